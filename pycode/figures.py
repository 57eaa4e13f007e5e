"""The paper's figures.

Plotting libraries are imported where they are used: a figure whose content has not changed is
remembered, and then nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from literate.drawing import (
    Drawn,
    colours,
    draw_estimates,
    figure,
    inches,
    lines,
    logarithmic,
    markers,
    panels,
)
from pycode.evaluation import LearningCurve, Score, Spread, Tuning, Variant
from pycode.inference import Calibration, Estimate
from pycode.inspection import Confidence, Importances, precision_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST = 5  # samples in a bin that the reliability diagram shows

Scores = Mapping[str, Score]


@figure
def performance(
    scores: Scores,
    curve: LearningCurve,
    confusion: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    best: str,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw the models' performance and return its `\includegraphics`.

    The file is figures/performance.pdf.  Panels: (a) accuracy of each model on each part of the
    split; (b) in cross-validation, with standard deviations; (c) the learning curve; (d) the
    confusion matrix of `best`.  `width` is that of the text and `fontsize` that of its letters, in
    TeX's points.
    """
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=0.6 * inches(width))
    _draw_accuracies(axes[0], scores)
    _draw_cross_validation(axes[1], scores)
    _draw_learning_curve(axes[2], curve)
    _draw_confusion(axes[3], confusion, classes, best)
    low, high = curve.validation[0], curve.validation[-1]
    right = np.trace(confusion) / confusion.sum()
    return fig, (
        f"Four panels. (a) Test accuracy: {_listed(scores, 'test')}."
        f" (b) Cross-validation accuracy: {_listed(scores, 'cv_in_fold')}."
        f" (c) Learning curve: validation accuracy goes from {low:.2f} with {curve.sizes[0]}"
        f" samples to {high:.2f} with {curve.sizes[-1]}; training accuracy ends at"
        f" {curve.train[-1]:.2f}."
        f" (d) Confusion matrix of {best}: {right:.1%} of {confusion.sum()} test samples are on"
        " the diagonal."
    )


@figure
def behaviour(
    scores: Scores,
    importances: Importances,
    confidence: Confidence,
    *,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw the models' behaviour and return its `\includegraphics`.

    The file is figures/behaviour.pdf.  Panels: (a) the forest's importances, ranked; (b) the
    confidence of the MLP on test samples; (c) accuracy against the size of the fitted model; (d)
    training against validation accuracy.  `width` and `fontsize` are those of the text.
    """
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=0.6 * inches(width))
    _draw_importances(axes[0], importances)
    _draw_confidence(axes[1], confidence)
    _draw_complexity(axes[2], scores)
    _draw_generalisation(axes[3], scores)
    sizes = ", ".join(f"{name} {score.n_bytes / 1e3:.0f} kB" for name, score in scores.items())
    gaps = ", ".join(f"{name} {s.train - s.validation:.2f}" for name, s in scores.items())
    return fig, (
        f"Four panels. (a) Importances of {len(importances.values)} features, ranked: they fall"
        f" from {importances.largest:.3f} to {importances.values.min():.3f}."
        f" (b) Histogram of confidence: mean {confidence.mean_correct:.2f} on samples classified"
        f" correctly, {confidence.mean_wrong:.2f} on the others."
        f" (c) Accuracy against the size of the fitted model: {sizes}."
        f" (d) Training minus validation accuracy: {gaps}."
    )


@figure
def ablation(
    penalties: Sequence[Variant],
    architectures: Sequence[Variant],
    tuned: Mapping[str, Tuning],
    seeds: Mapping[str, Mapping[str, Spread]],
    *,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw the effects of the MLP's parameters and return their `\includegraphics`.

    The file is figures/ablation.pdf.  Panels: (a) accuracy against the penalty, with early stopping
    and without; (b) validation accuracy against the number of parameters; (c) the score of each
    search against its cost so far; (d) the test accuracies with different seeds.  `width` and
    `fontsize` are those of the text.
    """
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=0.57 * inches(width))
    _draw_penalties(axes[0], penalties)
    _draw_architectures(axes[1], architectures)
    _draw_tuning(axes[2], tuned)
    _draw_seeds(axes[3], seeds)
    top = max(architectures, key=lambda variant: variant.validation)
    searches = ", ".join(f"{n} {t.score:.3f} for {t.cost:.0f} fits" for n, t in tuned.items())
    ranges = "; ".join(
        f"{kind}: " + ", ".join(f"{n} {s.min:.2f} to {s.max:.2f}" for n, s in spreads.items())
        for kind, spreads in seeds.items()
    )
    return fig, (
        "Four panels. (a) Validation accuracy goes from"
        f" {penalties[0].validation:.2f} with the smallest penalty to"
        f" {penalties[-1].validation:.2f} with the largest."
        f" (b) The highest validation accuracy, {top.validation:.2f}, is that of"
        f" {top.n_parameters} parameters. (c) Scores of the searches: {searches}."
        f" (d) Test accuracies by seed. {ranges}."
    )


@figure
def interpretation(
    calibrations: Mapping[str, Calibration],
    importances: Mapping[str, NDArray[np.float64]],
    roles: Sequence[str],
    images: Mapping[str, NDArray[np.float64]],
    *,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw what the models know and use, and return its `\includegraphics`.

    The file is figures/interpretation.pdf.  Panels: (a) reliability diagram; (b) how many of the
    most important features are informative or redundant, by each of the `importances`; (c, d) two
    importances of an image's pixels.
    """
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=0.57 * inches(width))
    _draw_reliability(axes[0], calibrations)
    _draw_precision(axes[1], importances, roles)
    for ax, letter, (name, image) in zip(axes[2:], "cd", images.items(), strict=True):
        _draw_image(ax, image)
        ax.set_title(f"({letter}) {name}")
    errors = ", ".join(f"{name} {found.ece:.3f}" for name, found in calibrations.items())
    brightest = ", ".join(
        f"{name}: row {row + 1}, column {column + 1}"
        for name, image in images.items()
        for row, column in [np.unravel_index(image.argmax(), image.shape)]
    )
    return fig, (
        f"Four panels. (a) Reliability diagram; calibration errors: {errors}."
        f" (b) Precision of {len(importances)} rankings of {len(next(iter(importances.values())))}"
        f" features at each length. (c, d) Importances of pixels; the largest are at {brightest}."
    )


@figure
def networks(
    curves: Mapping[str, Mapping[str, Sequence[Any]]],
    depths: Mapping[str, Mapping[str, Estimate]],
    transfer: Mapping[str, Mapping[str, Estimate]],
    images: Mapping[str, Sequence[Any]],
    *,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw what the networks learn, and from what, and return its `\includegraphics`.

    The file is figures/networks.pdf.  Panels: (a) learning curves, of "sizes" and "validation"
    accuracies; (b) accuracy against depth; (c) accuracy against labelled images per class; (d)
    "digits" with their "labels", their "maps" of attributions, the same of "shuffled" weights, and
    "filters".  An image is a flat list of the pixels of a square.  A map or a filter is coloured
    from minus to plus its largest absolute entry.  `width` and `fontsize` are those of the text.
    """
    height = max(0.62 * inches(width), 4.05)  # five rows of images fit in a narrow text, too
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=height)
    _draw_curves(axes[0], curves)
    _draw_depths(axes[1], depths)
    _draw_transfer(axes[2], transfer)
    _draw_attributions(axes[3], images)
    sizes = [size for curve in curves.values() for size in curve["sizes"]]
    ends = ", ".join(
        f"{name} {c['validation'][0]:.2f} to {c['validation'][-1]:.2f}"
        for name, c in curves.items()
    )
    blocks = ", ".join(next(iter(depths.values())))
    labelled = ", ".join(next(iter(transfer.values())))
    return fig, (
        f"Four panels. (a) Validation accuracy with {min(sizes)} to {max(sizes)} samples: {ends}."
        f" (b) Validation accuracy with {blocks} blocks in a stage: {_series(depths)}."
        f" (c) Test accuracy with {labelled} labelled images per class: {_series(transfer)}."
        f" (d) The digits {', '.join(images['labels'])}, maps of what their pixels contribute,"
        f" the same with shuffled weights, and {len(images['filters'])} filters."
    )


@figure
def mistakes(
    images: NDArray[np.float64],
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn | str:
    r"""Draw a row of misclassified images and return its `\includegraphics`.

    The file is figures/mistakes.pdf.  `images` is (n, height, width); the title of each image has
    its true class and the predicted one.  Without images there is no figure, only a sentence that
    says so.
    """
    if not len(images):
        return "No test image is misclassified."
    import seaborn as sns

    height = 0.3 + inches(width) / len(images)
    fig, axes = panels(width, fontsize, columns=len(images), height=height)
    for ax, image, right, wrong in zip(axes, images, true, predicted, strict=True):
        sns.heatmap(image, ax=ax, cmap="Greys", cbar=False, square=True)
        ax.set(title=f"{classes[right]}, not {classes[wrong]}", xticks=[], yticks=[])
        ax.spines[:].set_visible(True)
    pairs = ", ".join(f"{classes[r]} as {classes[w]}" for r, w in zip(true, predicted, strict=True))
    return fig, f"{len(images)} misclassified images: {pairs}."


def _draw_accuracies(ax: Axes, scores: Scores) -> None:
    import seaborn as sns

    parts = ("train", "validation", "test")
    rows = [(name, part, getattr(s, part)) for name, s in scores.items() for part in parts]
    model, part, accuracy = zip(*rows, strict=True)
    sns.barplot(
        x=model, y=accuracy, hue=part, ax=ax, saturation=1, edgecolor="black", palette=colours(3)
    )
    ax.legend(ncols=3, loc="upper center", columnspacing=1)
    ax.set(ylim=(0, 1.2), yticks=np.linspace(0, 1, 6), xlabel="", ylabel="accuracy")
    ax.set_title("(a) accuracy on each part of the samples")


def _draw_cross_validation(ax: Axes, scores: Scores) -> None:
    mean = [score.cv_in_fold for score in scores.values()]
    sd = [score.cv_in_fold_sd for score in scores.values()]
    ax.errorbar(list(scores), mean, yerr=sd, fmt="o")
    ax.margins(x=0.15)
    ax.grid(axis="y")
    ax.set(ylabel="accuracy, mean and s.d.", title="(b) cross-validation, training samples")


def _draw_learning_curve(ax: Axes, curve: LearningCurve) -> None:
    for part, marker in (("train", "s"), ("validation", "o")):
        mean, sd = np.array(getattr(curve, part)), np.array(getattr(curve, f"{part}_sd"))
        (line,) = ax.plot(curve.sizes, mean, marker, ls="-", label=part)
        ax.fill_between(curve.sizes, mean - sd, mean + sd, color=line.get_color(), alpha=0.25, lw=0)
    ax.grid(axis="y")
    ax.legend(loc="lower right")
    ax.set(xlabel="training samples", ylabel="accuracy, mean and s.d.", title="(c) learning curve")


def _draw_confusion(
    ax: Axes, confusion: NDArray[np.int64], classes: tuple[str, ...], best: str
) -> None:
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.heatmap(
        confusion,
        ax=ax,
        annot=len(classes) <= 10,
        fmt="d",
        annot_kws={"size": plt.rcParams["xtick.labelsize"]},
        cmap=plt.rcParams["image.cmap"],
        cbar=False,
        square=True,
        xticklabels=classes,
        yticklabels=classes,
    )
    ax.tick_params(length=0, labelrotation=0)
    ax.set(
        xlabel="predicted class",
        ylabel="true class",
        title=f"(d) confusion of the {best}, test set",
    )


def _draw_importances(ax: Axes, importances: Importances) -> None:
    ranked = np.sort(importances.values)[::-1]
    ax.bar(np.arange(1, len(ranked) + 1), ranked, width=1, edgecolor="white", linewidth=0.3)
    ax.axhline(importances.mean, color="black", ls="--", label="mean")
    ax.legend()
    ax.set(xlabel="rank of feature", ylabel="importance", title="(a) random-forest importances")


def _draw_confidence(ax: Axes, confidence: Confidence) -> None:
    import seaborn as sns

    outcome = np.where(confidence.correct, "correct", "wrong")
    sns.histplot(
        x=confidence.values,
        hue=outcome,
        hue_order=["correct", "wrong"],
        stat="percent",
        common_norm=False,
        multiple="dodge",
        shrink=0.9,
        bins=np.linspace(0, 1, 11).tolist(),
        palette=colours(2),
        alpha=1,
        edgecolor="black",
        ax=ax,
    )
    sns.move_legend(ax, "upper left", title=None)
    ax.set(
        xlim=(0, 1),
        xlabel="probability of the predicted class",
        ylabel="share of these samples in %",
    )
    ax.set_title("(b) confidence of the MLP")


def _draw_complexity(ax: Axes, scores: Scores) -> None:
    for part, colour in zip(("train", "validation"), colours(2), strict=True):
        ax.plot([], [], "-", color=colour, lw=4, label=part)
        for score, marker in zip(scores.values(), markers(len(scores)), strict=True):
            ax.plot(score.n_bytes / 1e3, getattr(score, part), marker, color=colour)
    for score in scores.values():
        size = score.n_bytes / 1e3
        ax.plot([size, size], [score.validation, score.train], color="0.5", lw=0.5, zorder=0)
    logarithmic(ax)
    ax.legend(loc="upper left")
    ax.set(xlabel="size of the fitted model in kB", ylabel="accuracy", title="(c) complexity")


def _draw_generalisation(ax: Axes, scores: Scores) -> None:
    ends = [value for score in scores.values() for value in (score.train, score.validation)]
    low = min(ends) - 0.03
    ax.plot([low, 1], [low, 1], color="0.5", ls="--")
    for (name, score), marker in zip(scores.items(), markers(len(scores)), strict=True):
        ax.plot(score.train, score.validation, marker, color="C0", label=name, ls="")
    ax.legend(loc="upper left")
    ax.set(xlabel="training accuracy", ylabel="validation accuracy", title="(d) generalisation")


def _draw_penalties(ax: Axes, variants: Sequence[Variant]) -> None:
    for stopping, style in ((False, "-"), (True, "--")):
        some = [v for v in variants if v.parameters["early_stopping"] is stopping]
        alphas = [v.parameters["alpha"] for v in some]
        for part, marker, colour in zip(("train", "validation"), "so", colours(2), strict=True):
            label = f"{part}, early stopping" if stopping else part
            scores = [getattr(v, part) for v in some]
            ax.plot(alphas, scores, marker, ls=style, color=colour, label=label, markersize=3)
    logarithmic(ax)
    ax.legend(loc="lower left", handlelength=2.5)  # to distinguish dashes from lines
    ax.set(xlabel="penalty", ylabel="accuracy", title="(a) regularisation")


def _draw_architectures(ax: Axes, variants: Sequence[Variant]) -> None:
    depths = sorted({len(v.parameters["hidden_layer_sizes"]) for v in variants})
    for depth, line in zip(depths, lines(len(depths)), strict=True):
        some = [v for v in variants if len(v.parameters["hidden_layer_sizes"]) == depth]
        sizes, scores = [v.n_parameters for v in some], [v.validation for v in some]
        label = f"{depth} hidden layer{'s' if depth > 1 else ''}"
        ax.plot(sizes, scores, label=label, **line)
    logarithmic(ax)
    ax.margins(y=0.1)
    ax.legend(loc="lower right")
    ax.set(
        xlim=(None, 4 * max(v.n_parameters for v in variants)),
        xlabel="weights and biases",
        ylabel="validation accuracy",
        title="(b) architecture",
    )


def _draw_tuning(ax: Axes, tuned: Mapping[str, Tuning]) -> None:
    for (name, tuning), line in zip(tuned.items(), lines(len(tuned)), strict=True):
        cost, score = zip(*tuning.path, strict=True)
        ax.plot(cost, score, markersize=3, label=name, **line)
    ax.grid(axis="y")
    ax.legend(loc="lower right")
    ax.set(xlabel="cost, in fits to all samples", ylabel="highest accuracy")
    ax.set_title("(c) searches, cross-validation")


def _draw_seeds(ax: Axes, seeds: Mapping[str, Mapping[str, Spread]]) -> None:
    for (kind, spreads), marker, offset in zip(seeds.items(), "ox", (-0.15, 0.15), strict=True):
        for position, spread in enumerate(spreads.values()):
            some = spread.accuracies
            label = kind if position == 0 else None
            colour = colours(2)[offset > 0]
            x = [position + offset] * len(some)
            ax.plot(x, some, marker, ls="", color=colour, label=label, markersize=4)
    names = list(next(iter(seeds.values())))
    ax.set_xticks(range(len(names)), names)
    ax.margins(x=0.15)
    ax.grid(axis="y")
    ax.legend(loc="lower right")
    ax.set(ylabel="test accuracy", title="(d) seeds")


def _draw_reliability(ax: Axes, calibrations: Mapping[str, Calibration]) -> None:
    ax.plot([0, 1], [0, 1], color="0.5", ls="--")
    styles = lines(len(calibrations))
    for (name, found), line in zip(calibrations.items(), styles, strict=True):
        shown = found.counts >= FEWEST
        ax.plot(found.confidence[shown], found.accuracy[shown], label=name, **line)
    ax.legend(loc="lower right")
    ax.set(xlabel="mean confidence", ylabel="accuracy", title="(a) reliability, test samples")


def _draw_precision(
    ax: Axes, importances: Mapping[str, NDArray[np.float64]], roles: Sequence[str]
) -> None:
    n = len(next(iter(importances.values())))
    useful = ("informative", "redundant")
    for (name, values), line in zip(importances.items(), lines(len(importances)), strict=True):
        if roles:
            found = [precision_at(k, values, roles, useful) for k in range(1, n + 1)]
            ax.plot(range(1, n + 1), found, markevery=8, label=name, **line)
    if roles:
        share = float(np.isin(roles, useful).mean())
        ax.axhline(share, color="0.5", ls="--", label="random order")
        ax.legend(loc="center left")
    ax.grid(axis="y")
    ax.set(xlabel="number k of features", ylabel="precision at k")
    ax.set_title("(b) useful among the k top-ranked")


def _draw_image(ax: Axes, image: NDArray[np.float64]) -> None:
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.heatmap(image, ax=ax, cmap=plt.rcParams["image.cmap"], square=True)
    ax.set(xticks=[], yticks=[])


def _draw_curves(ax: Axes, curves: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
    for (name, curve), line in zip(curves.items(), lines(len(curves)), strict=True):
        ax.plot(curve["sizes"], curve["validation"], markersize=3, label=name, **line)
    ax.grid(axis="y")
    ax.legend(loc="lower right", labelspacing=0.3)  # below the curves also in a narrow text
    ax.set(xlabel="training samples", ylabel="validation accuracy", title="(a) learning curves")


def _draw_depths(ax: Axes, depths: Mapping[str, Mapping[str, Estimate]]) -> None:
    offsets = np.linspace(-0.12, 0.12, len(depths))
    styles = lines(len(depths))
    for (name, found), offset, line in zip(depths.items(), offsets, styles, strict=True):
        draw_estimates(ax, [int(d) + offset for d in found], found.values(), label=name, **line)
    ax.set_xticks([int(depth) for depth in next(iter(depths.values()))])
    # Where a seed fails, the interval is so wide that it would hide all else.
    ax.set_ylim(min(min(found.values()) for found in depths.values()) - 0.05, 1.02)
    ax.grid(axis="y")
    ax.legend(loc="best")  # how far the curves fall with depth is unknown
    ax.set(xlabel="blocks in a stage", ylabel="validation accuracy", title="(b) depth")


def _draw_transfer(ax: Axes, transfer: Mapping[str, Mapping[str, Estimate]]) -> None:
    factors = np.geomspace(0.92, 1 / 0.92, len(transfer))
    styles = lines(len(transfer))
    for (name, found), factor, line in zip(transfer.items(), factors, styles, strict=True):
        draw_estimates(ax, [int(n) * factor for n in found], found.values(), label=name, **line)
    logarithmic(ax)
    ax.set_xticks([int(n) for n in next(iter(transfer.values()))])
    ax.legend(loc="lower right")
    ax.set(xlabel="labelled images per class", ylabel="test accuracy", title="(c) transfer")


def _draw_attributions(ax: Axes, images: Mapping[str, Sequence[Any]]) -> None:
    import matplotlib.pyplot as plt

    size = plt.rcParams["xtick.labelsize"]
    step = 1.15  # from one image, whose side is 1, to the next
    for column, label in enumerate(images["labels"]):
        ax.text(column * step + 0.5, -0.1, label, ha="center", va="bottom", size=size)
    rows = {"digits": "digit", "maps": "map", "shuffled": "shuffled"}
    for row, (name, label) in enumerate(rows.items()):
        ax.text(-0.15, row * step + 0.5, label, ha="right", va="center", size=size)
        for column, pixels in enumerate(images[name]):
            _draw_tile(ax, pixels, (column * step, row * step), signed=name != "digits")
    # Two rows of filters, as wide as the images; the lower one is where other panels have their
    # axis labels.
    width, top = len(images["labels"]) * step, len(rows) * step
    columns = ceil(len(images["filters"]) / 2)
    pitch = width / columns
    for number, pixels in enumerate(images["filters"]):
        row, column = divmod(number, columns)
        corner = (column * pitch, top + row * pitch)
        _draw_tile(ax, pixels, corner, side=pitch / step, signed=True)
    ax.text(-0.15, top + pitch, "filters", ha="right", va="center", size=size)
    ax.spines[:].set_visible(False)
    ax.set(xlim=(0, width), ylim=(top + pitch, -0.45), xticks=[], yticks=[])
    ax.set(aspect="equal", anchor="NW", title="(d) attribution maps, filters")


def _draw_tile(
    ax: Axes, pixels: Sequence[float], corner: tuple[float, float], *, side: float = 1, signed: bool
) -> None:
    from matplotlib.patches import Rectangle

    n = isqrt(len(pixels))
    if n * n != len(pixels):
        raise ValueError(f"an image has {len(pixels)} pixels: give it those of a square")
    largest = np.abs(pixels).max() or 1  # white where all are 0
    signs = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    colouring: dict[str, Any] = signs if signed else {"cmap": "Greys"}
    x, y = (start + np.linspace(0, side, n + 1) for start in corner)
    ax.pcolormesh(x, y, np.reshape(pixels, (n, n)), clip_on=False, **colouring)
    ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor="0.5", clip_on=False))


def _series(found: Mapping[str, Mapping[str, Estimate]]) -> str:
    return "; ".join(
        f"{name} " + ", ".join(f"{value:.2f}" for value in values.values())
        for name, values in found.items()
    )


def _listed(scores: Scores, part: str) -> str:
    return ", ".join(f"{name} {getattr(score, part):.2f}" for name, score in scores.items())
