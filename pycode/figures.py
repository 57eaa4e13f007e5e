"""The paper's figures.

`width` and `fontsize` are those of the text around a figure, in TeX's points.  Plotting libraries
are imported where they are used: a figure whose content has not changed is remembered, and then
nobody waits for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from literate.drawing import (
    Drawn,
    colours,
    draw_estimates,
    figure,
    in_percent,
    inches,
    logarithmic,
    markers,
    panels,
)
from pycode.evaluation import (
    CrossValidation,
    LearningCurve,
    Score,
    Spread,
    Variant,
    common_scoring,
)
from pycode.inference import Calibration, Estimate
from pycode.inspection import Confidence, Importances, precision_at
from pycode.scoring import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

ACCURACY = "accuracy in %"
FEWEST = 5  # samples in a bin that the reliability diagram shows
PARTS = {"train": "0.7", "validation": "0.4", "test": "0"}  # greys: colours are for models
MARKERS = {"train": "o", "validation": "s", "test": "^"}
# Each has one colour in all figures; others get those that follow.
MODELS = ("logistic", "random forest", "SVM", "MLP", "CNN", "VGG-like", "residual")

Scores = Mapping[str, Score]


@figure
def performance(
    scores: Scores,
    folds: Mapping[str, CrossValidation],
    curve: LearningCurve,
    confusion: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    best: str,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw the models' performance and return its `\includegraphics`.

    Panels: (a) accuracy, or another metric, on each part of the split, with intervals; (b) on the
    folds of a cross-validation, with mean and standard deviation; (c) learning curve; (d) confusion
    matrix of `best`.
    """
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=0.6 * inches(width))
    _draw_accuracies(axes[0], scores)
    _draw_folds(axes[1], folds)
    _draw_learning_curve(axes[2], curve)
    _draw_confusion(axes[3], confusion, classes, best)
    low, high = curve.validation[0], curve.validation[-1]
    right = np.trace(confusion) / confusion.sum()
    means = ", ".join(f"{name} {found.mean:.2f}" for name, found in folds.items())
    return fig, (
        f"Four panels. (a) Test {_metric(scores)}: {_listed(scores, 'test')}."
        f" (b) Cross-validation {_metric(folds)}: {means}."
        f" (c) Learning curve: validation {METRICS[curve.scoring].label} goes from {low:.2f} with"
        f" {curve.sizes[0]} samples to {high:.2f} with {curve.sizes[-1]}; training"
        f" {METRICS[curve.scoring].label} ends at"
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

    Panels: (a) the forest's importances, ranked; (b) confidence of the MLP on test samples; (c)
    accuracy, or another metric, against the size of the fitted model; (d) the same in validation
    against training.
    """
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=0.6 * inches(width))
    _draw_importances(axes[0], importances)
    _draw_confidence(axes[1], confidence)
    _draw_complexity(axes[2], scores)
    _draw_generalisation(axes[3], scores)
    sizes = ", ".join(f"{name} {score.n_bytes / 1e3:.0f} kB" for name, score in scores.items())
    gaps = ", ".join(f"{name} {s.train - s.validation:.2f}" for name, s in scores.items())
    metric = _metric(scores)
    return fig, (
        f"Four panels. (a) Importances of {len(importances.values)} features, ranked: they fall"
        f" from {importances.largest:.3f} to {importances.values.min():.3f}."
        f" (b) Histogram of confidence: mean {confidence.mean_correct:.2f} on samples classified"
        f" correctly, {confidence.mean_wrong:.2f} on the others."
        f" (c) {metric[0].upper()}{metric[1:]} against the size of the fitted model: {sizes}."
        f" (d) Training minus validation {metric}: {gaps}."
    )


@figure
def ablation(
    activations: Sequence[Variant],
    penalties: Sequence[Variant],
    architectures: Sequence[Variant],
    seeds: Mapping[str, Mapping[str, Spread]],
    *,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw the effects of the MLP's parts and of seeds and return their `\includegraphics`.

    Panels: (a) validation accuracy by activation and optimiser; (b) accuracy against the penalty,
    with early stopping and without; (c) validation accuracy against the number of parameters; (d)
    test accuracies with different seeds.
    """
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=0.6 * inches(width))
    _draw_activations(axes[0], activations)
    _draw_penalties(axes[1], penalties)
    _draw_architectures(axes[2], architectures)
    _draw_seeds(axes[3], seeds)
    top = max(architectures, key=lambda variant: variant.validation)
    reached = "; ".join(
        "{activation} {solver}".format(**v.parameters) + f" {v.validation:.2f}" for v in activations
    )
    ranges = "; ".join(
        f"{kind}: " + ", ".join(f"{n} {s.min:.2f} to {s.max:.2f}" for n, s in spreads.items())
        for kind, spreads in seeds.items()
    )
    return fig, (
        f"Four panels. (a) Validation accuracy: {reached}. (b) Validation accuracy goes from"
        f" {penalties[0].validation:.2f} with the smallest penalty to"
        f" {penalties[-1].validation:.2f} with the largest."
        f" (c) The highest validation accuracy, {top.validation:.2f}, is that of"
        f" {top.n_parameters} parameters. (d) Test accuracies by seed. {ranges}."
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

    Panels: (a) reliability diagram; (b) share of informative or redundant features among the
    top-ranked, by each of the `importances`; (c, d) two importances of an image's pixels.
    """
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=0.46 * inches(width))
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
    training: Mapping[str, Mapping[str, Sequence[float]]],
    curves: Mapping[str, Mapping[str, Sequence[Any]]],
    depths: Mapping[str, Mapping[str, Estimate]],
    images: Mapping[str, Sequence[Any]],
    *,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw how the networks learn and what they look at, and return its `\includegraphics`.

    Panels: (a) training loss by "epoch"; (b) learning curves, of "sizes" and "validation"
    accuracies; (c) accuracy against depth; (d) "digits" with their "labels", their "maps" of
    attributions, the same of "shuffled" weights, and "filters".  An image is a flat list of the
    pixels of a square.  A map or a filter is coloured from minus to plus its largest absolute
    entry.
    """
    height = max(0.62 * inches(width), 4.05)  # five rows of images fit in a narrow text, too
    fig, axes = panels(width, fontsize, rows=2, columns=2, height=height)
    _draw_training(axes[0], training)
    _draw_curves(axes[1], curves)
    _draw_depths(axes[2], depths)
    _draw_attributions(axes[3], images)
    losses = ", ".join(f"{name} {t['loss'][-1]:.2g}" for name, t in training.items())
    ends = ", ".join(
        f"{name} {c['validation'][0]:.2f} to {c['validation'][-1]:.2f}"
        for name, c in curves.items()
    )
    return fig, (
        f"Four panels. (a) Training loss falls to {losses}."
        f" (b) Validation accuracy from the fewest samples to all: {ends}."
        f" (c) Validation accuracy with {', '.join(next(iter(depths.values())))} blocks in a stage:"
        f" {_series(depths)}."
        f" (d) The digits {', '.join(images['labels'])}, maps of what their pixels contribute,"
        f" the same with shuffled weights, and {len(images['filters'])} filters."
    )


@figure
def transfer(
    accuracy: Mapping[str, Mapping[str, Estimate]],
    gain: Mapping[str, Mapping[str, Estimate]],
    *,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw accuracy by labelled images per class, and return its `\includegraphics`.

    Panels: (a) accuracy of each method; (b) its difference from the baseline.
    """
    height = 0.3 + 0.34 * inches(width)  # with the legend below
    fig, axes = panels(width, fontsize, columns=2, height=height)
    styles = _styles_of_methods(accuracy)
    for ax, some in zip(axes, (accuracy, gain), strict=True):
        for name, found in some.items():
            factor = 1.04 ** (list(accuracy).index(name) - len(accuracy) / 2)
            x = [int(n) * factor for n in found]
            draw_estimates(ax, x, found.values(), label=name, markersize=3, **styles[name])
        logarithmic(ax)
        ax.set_xticks([int(n) for n in next(iter(some.values()))])
        ax.set_xlabel("labelled images per class")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    axes[0].set(ylabel=f"test {ACCURACY}", title="(a) accuracy")
    axes[1].axhline(0, color="0.5", ls=":", lw=0.8)
    axes[1].set(ylabel="percentage points", title="(b) gain over raw pixels, tuned")
    in_percent(axes[0].yaxis, axes[1].yaxis)
    return fig, (
        f"Two panels. (a) Test accuracy with {', '.join(next(iter(accuracy.values())))} labelled"
        f" images per class: {_series(accuracy)}. (b) Difference from the tuned logistic model on"
        f" raw pixels: {_series(gain)}."
    )


@figure
def gallery(
    images: Sequence[ArrayLike],
    titles: Sequence[str],
    *,
    cmap: str = "Greys",
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn | str:
    r"""Draw a row of images with a title each, and return its `\includegraphics`.

    An image of shape (height, width) is drawn in `cmap`: "Greys" has ink for high values, "gray"
    light, as photographs need it.  One of shape (3, height, width) has red, green and blue from 0
    to 255.  Without images there is no figure, only a sentence that says so.
    """
    if not len(images):
        return "There is no such image."
    height = 0.3 + inches(width) / max(len(images), 8)
    fig, axes = panels(width, fontsize, columns=len(images), height=height)
    for ax, image, title in zip(axes, images, titles, strict=True):
        pixels = np.asarray(image)
        if pixels.ndim == 3:
            ax.imshow(np.moveaxis(pixels, 0, -1).astype(np.uint8), interpolation="none")
        else:
            ax.pcolormesh(pixels[::-1], cmap=cmap)
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.set_title(title, loc="center")
        ax.spines[:].set_visible(True)
    return fig, f"{len(images)} images: {', '.join(titles)}."


@figure
def architectures(
    layers: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    width: str | float,
    fontsize: str | float = 10,
) -> Drawn:
    r"""Draw a network's layers from left to right, a row each, and return its `\includegraphics`.

    A layer has its "kind" and the "shape" of its output.
    """
    from matplotlib.patches import FancyBboxPatch

    fig, (ax,) = panels(width, fontsize, height=0.55 * len(layers) + 0.05)
    styles, longest = _styles(layers), max(map(len, layers.values()))
    for row, (name, some) in enumerate(layers.items()):
        ax.text(-0.15, -row, name, ha="right", va="center")
        for column, layer in enumerate(some):
            if column:
                ax.plot([column - 0.1, column], [-row, -row], color="0.5", zorder=0)
            ax.add_patch(
                FancyBboxPatch(
                    (column + 0.04, -row - 0.32),
                    0.82,
                    0.64,
                    boxstyle="round,pad=0,rounding_size=0.08",
                    facecolor="white",
                    edgecolor=styles[name]["color"],
                )
            )
            text = f"{layer['kind']}\n{'x'.join(map(str, layer['shape']))}"
            text = re.sub(r"(?<=\d)x(?=\d)", "\N{MULTIPLICATION SIGN}", text)
            ax.text(column + 0.45, -row, text, ha="center", va="center", size=7)
    ax.set(xlim=(-1, longest), ylim=(0.4 - len(layers), 0.4), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return fig, "; ".join(
        f"{name}: " + ", ".join(f"{layer['kind']}" for layer in some)
        for name, some in layers.items()
    )


def _draw_accuracies(ax: Axes, scores: Scores) -> None:
    for (part, colour), offset in zip(PARTS.items(), (-0.2, 0, 0.2), strict=True):
        found = [getattr(score, part) for score in scores.values()]
        x = [position + offset for position in range(len(found))]
        draw_estimates(ax, x, found, label=part, color=colour, marker=MARKERS[part], ls="")
    ax.set_xticks(range(len(scores)), list(scores))
    label = _metric(scores)
    ax.margins(x=0.1, y=0.3)  # with the legend below
    ax.grid(axis="y")
    ax.legend(loc="lower center", ncols=3)
    ax.set(title=f"(a) {label} on each part of the samples")
    _label(label, ax.yaxis)


def _draw_folds(ax: Axes, folds: Mapping[str, CrossValidation]) -> None:
    styles = _styles(folds)
    for position, (name, found) in enumerate(folds.items()):
        colour = styles[name]["color"]
        x = position + np.linspace(-0.15, 0.15, len(found.accuracies))
        ax.plot(x, found.accuracies, ".", color=colour, markersize=2.5)
        ax.errorbar(position + 0.3, found.mean, yerr=found.sd, color=colour, fmt="o")
    ax.set_xticks(range(len(folds)), list(folds))
    ax.margins(x=0.1)
    ax.grid(axis="y")
    ax.set(title="(b) cross-validation")
    _label(_metric(folds), ax.yaxis, after=", mean, s.d.")


def _draw_learning_curve(ax: Axes, curve: LearningCurve) -> None:
    label, parts = METRICS[curve.scoring].label, ("train", "validation")
    span = 1 if label == "accuracy" else np.ptp([getattr(curve, part) for part in parts])
    for part in parts:
        mean, sd = np.array(getattr(curve, part)), np.array(getattr(curve, f"{part}_sd"))
        ax.plot(curve.sizes, mean, MARKERS[part], ls="-", color=PARTS[part])
        ax.fill_between(curve.sizes, mean - sd, mean + sd, color=PARTS[part], alpha=0.3, lw=0)
        below = mean[-1] - (0.03 if part == "train" else 0.07) * span
        ax.text(curve.sizes[-1], below, part, ha="right", va="top", color=PARTS[part])
    ax.grid(axis="y")
    ax.set(xlabel="training samples", title="(c) learning curve")
    _label(label, ax.yaxis, after=", mean, s.d.")


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
    colour = _styles(["random forest"])["random forest"]["color"]
    places = np.arange(1, len(ranked) + 1)
    ax.bar(places, ranked, width=1, color=colour, edgecolor="white", linewidth=0.3)
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
        palette=[_styles(["MLP"])["MLP"]["color"], "0.7"],
        alpha=1,
        edgecolor="black",
        ax=ax,
    )
    sns.move_legend(ax, "upper left", title=None)
    ax.set(
        xlim=(0, 1),
        xlabel="probability of the predicted class in %",
        ylabel="share of these samples in %",
    )
    ax.set_title("(b) confidence of the MLP")
    in_percent(ax.xaxis)


def _draw_complexity(ax: Axes, scores: Scores) -> None:
    styles = _styles(scores)
    for name, score in scores.items():
        size, colour = score.n_bytes / 1e3, styles[name]["color"]
        ax.plot([size, size], [score.validation, score.train], color=colour, lw=0.5)
        ax.plot(size, score.train, "o", markerfacecolor="white", color=colour)
        ax.plot(size, score.validation, "o", color=colour)
    logarithmic(ax)
    ax.set(xlabel="size of the fitted model in kB", title="(c) size of the model")
    _label(_metric(scores), ax.yaxis)


def _draw_generalisation(ax: Axes, scores: Scores) -> None:
    ends = [value for score in scores.values() for value in (score.train, score.validation)]
    low, styles = min(ends) - 0.05, _styles(scores)
    label, high = _metric(scores), METRICS[common_scoring(scores)].bounds[1]
    ax.plot([low, high], [low, high], color="0.5", ls="--")
    for name, score in scores.items():
        draw_estimates(ax, [score.train], [score.validation], ls="", label=name, **styles[name])
    ax.legend(loc="upper left")
    ax.set(title="(d) generalisation")
    _label(label, ax.xaxis, before="training ")
    _label(label, ax.yaxis, before="validation ")


def _draw_activations(ax: Axes, variants: Sequence[Variant]) -> None:
    solvers = list(dict.fromkeys(v.parameters["solver"] for v in variants))
    names = list(dict.fromkeys(v.parameters["activation"] for v in variants))
    offsets = np.linspace(-0.2, 0.2, len(solvers))
    greys = np.linspace(0.7, 0, len(solvers)).astype(str)
    kinds = zip(solvers, offsets, greys, markers(len(solvers)), strict=True)
    for solver, offset, grey, marker in kinds:
        some = [v.validation for v in variants if v.parameters["solver"] == solver]
        x = [n + offset for n in range(len(some))]
        draw_estimates(ax, x, some, label=solver, color=grey, marker=marker, ls="")
    ax.set_xticks(range(len(names)), names)
    ax.grid(axis="y")
    ax.legend(loc="lower right")
    ax.set(ylabel=f"validation {ACCURACY}", title="(a) activation and optimiser")
    in_percent(ax.yaxis)


def _draw_penalties(ax: Axes, variants: Sequence[Variant]) -> None:
    for stopping, style in ((False, "-"), (True, "--")):
        some = [v for v in variants if v.parameters["early_stopping"] is stopping]
        alphas = [v.parameters["alpha"] for v in some]
        for part in ("train", "validation"):
            label = f"{part}, early stopping" if stopping else part
            found = [getattr(v, part) for v in some]
            line = {"ls": style, "color": PARTS[part], "label": label, "markersize": 3}
            ax.plot(alphas, found, MARKERS[part], **line)
    logarithmic(ax)
    ax.legend(loc="lower left", handlelength=2.5)  # to distinguish dashes from lines
    ax.set(xlabel="penalty", ylabel=ACCURACY, title="(b) regularisation")
    in_percent(ax.yaxis)


def _draw_architectures(ax: Axes, variants: Sequence[Variant]) -> None:
    depths = sorted({len(v.parameters["hidden_layer_sizes"]) for v in variants})
    greys = np.linspace(0.75, 0, len(depths))
    for depth, grey, marker in zip(depths, greys, markers(len(depths)), strict=True):
        some = [v for v in variants if len(v.parameters["hidden_layer_sizes"]) == depth]
        sizes, found = [v.n_parameters for v in some], [v.validation for v in some]
        label = f"{depth} hidden layer{'s' if depth > 1 else ''}"
        ax.plot(sizes, found, label=label, marker=marker, color=str(grey))
    logarithmic(ax)
    ax.margins(y=0.1)
    ax.legend(loc="lower right")
    ax.set(
        xlim=(None, 4 * max(v.n_parameters for v in variants)),
        xlabel="weights and biases",
        ylabel=f"validation {ACCURACY}",
        title="(c) architecture",
    )
    in_percent(ax.yaxis)


def _draw_seeds(ax: Axes, seeds: Mapping[str, Mapping[str, Spread]]) -> None:
    for (kind, spreads), marker, offset in zip(seeds.items(), "ox", (-0.15, 0.15), strict=True):
        styles = _styles(spreads)
        for position, (name, spread) in enumerate(spreads.items()):
            some, colour = spread.accuracies, styles[name]["color"]
            ax.plot([position + offset] * len(some), some, marker, ls="", color=colour)
        ax.plot([], [], marker, ls="", color="0.5", label=kind)
    names = list(next(iter(seeds.values())))
    ax.set_xticks(range(len(names)), names)
    ax.margins(x=0.15)
    ax.grid(axis="y")
    ax.legend(loc="lower right")
    ax.set(ylabel=f"test {ACCURACY}", title="(d) seeds")
    in_percent(ax.yaxis)


def _draw_reliability(ax: Axes, calibrations: Mapping[str, Calibration]) -> None:
    ax.plot([0, 1], [0, 1], color="0.5", ls="--")
    styles = _styles(calibrations)
    for name, found in calibrations.items():
        shown = found.counts >= FEWEST
        ax.plot(found.confidence[shown], found.accuracy[shown], label=name, **styles[name])
    ax.legend(loc="lower right")
    ax.set(xlabel="mean confidence in %", ylabel=ACCURACY, title="(a) reliability, test samples")
    in_percent(ax.xaxis, ax.yaxis)


def _draw_precision(
    ax: Axes, importances: Mapping[str, NDArray[np.float64]], roles: Sequence[str]
) -> None:
    n = len(next(iter(importances.values())))
    useful = ("informative", "redundant")
    greys = np.linspace(0.7, 0, len(importances))
    for (name, values), grey in zip(importances.items(), greys, strict=True):
        if roles:
            found = [precision_at(k, values, roles, useful) for k in range(1, n + 1)]
            ax.plot(range(1, n + 1), found, label=name, color=str(grey))
    if roles:
        share = float(np.isin(roles, useful).mean())
        ax.axhline(share, color="0.5", ls="--", label="random order")
        ax.legend(loc="center left")
    ax.grid(axis="y")
    ax.set(xlabel="number k of features", ylabel="precision at k in %")
    in_percent(ax.yaxis)
    ax.set_title("(b) useful among the k top-ranked")


def _draw_image(ax: Axes, image: NDArray[np.float64]) -> None:
    import matplotlib.pyplot as plt
    import seaborn as sns

    label = {"label": "importance"}
    sns.heatmap(image, ax=ax, cmap=plt.rcParams["image.cmap"], square=True, cbar_kws=label)
    ax.set(xticks=[], yticks=[])


def _draw_training(ax: Axes, training: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    styles = _styles(training)
    for name, found in training.items():
        ax.plot(found["epoch"], found["loss"], color=styles[name]["color"], label=name)
    logarithmic(ax, "y")
    ax.legend(loc="upper right")
    ax.set(xlabel="epoch", ylabel="training loss", title="(a) training")


def _draw_curves(ax: Axes, curves: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
    styles = _styles(curves)
    for name, curve in curves.items():
        ax.plot(curve["sizes"], curve["validation"], markersize=3, label=name, **styles[name])
    ax.grid(axis="y")
    ax.legend(loc="lower right", labelspacing=0.3)  # below the curves also in a narrow text
    # A model that is tuned on few samples may fail, and would hide all else.
    starts = sorted(curve["validation"][0] for curve in curves.values())
    ax.set_ylim(starts[len(starts) // 4] - 0.05, 1.005)
    ax.set(xlabel="training samples", ylabel=f"validation {ACCURACY}", title="(b) learning curves")
    in_percent(ax.yaxis)


def _draw_depths(ax: Axes, depths: Mapping[str, Mapping[str, Estimate]]) -> None:
    offsets = np.linspace(-0.12, 0.12, len(depths))
    greys = np.linspace(0.75, 0, len(depths))
    kinds = zip(depths.items(), offsets, greys, markers(len(depths)), strict=True)
    for (name, found), offset, grey, marker in kinds:
        x = [int(d) + offset for d in found]
        draw_estimates(ax, x, found.values(), label=name, color=str(grey), marker=marker)
    ax.set_xticks([int(depth) for depth in next(iter(depths.values()))])
    # Where a seed fails, the interval is so wide that it would hide all else.
    ax.set_ylim(min(min(found.values()) for found in depths.values()) - 0.05, 1.02)
    ax.grid(axis="y")
    ax.legend(loc="best")  # how far the curves fall with depth is unknown
    ax.set(xlabel="blocks in a stage", ylabel=f"validation {ACCURACY}", title="(c) depth")
    in_percent(ax.yaxis)


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
    ax.set(aspect="equal", anchor="N", title="(d) attribution maps, filters")


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


def _metric(found: Scores | Mapping[str, CrossValidation]) -> str:
    return METRICS[common_scoring(found)].label


def _label(metric: str, axis: Axis, *, before: str = "", after: str = "") -> None:
    """Label an axis by a metric, in percent if it is accuracy."""
    share = metric == "accuracy"
    axis.set_label_text(f"{before}{ACCURACY if share else metric}{after}")
    if share:
        in_percent(axis)


def _series(found: Mapping[str, Mapping[str, Estimate]]) -> str:
    return "; ".join(
        f"{name} " + ", ".join(f"{value:.2f}" for value in values.values())
        for name, values in found.items()
    )


def _listed(scores: Scores, part: str) -> str:
    return ", ".join(f"{name} {getattr(score, part):.2f}" for name, score in scores.items())


def _styles_of_methods(names: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return colour, marker and line of each method of transfer.

    Networks have a grey each, and raw pixels the colour of the logistic model that learns them.  A
    method has a solid line, unless there is another one of its name that is tuned.
    """
    kinds = list(dict.fromkeys(name.removesuffix(", tuned") for name in names))
    greys = dict(zip(kinds, map(str, np.linspace(0, 0.65, len(kinds)).tolist()), strict=True))
    raw = {"raw pixels": _styles(["logistic"])["logistic"]["color"]}
    return {
        name: {
            "color": (greys | raw)[name.removesuffix(", tuned")],
            "marker": marker,
            "ls": "--" if f"{name}, tuned" in names else "-",
        }
        for name, marker in zip(names, markers(len(names)), strict=True)
    }


def _styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return colour and marker of each model."""
    order = [*MODELS, *(name for name in names if name not in MODELS)]
    cycle, shapes = colours(8), markers(len(order))
    found = {name: order.index(name) for name in names}
    return {n: {"color": cycle[i % len(cycle)], "marker": shapes[i]} for n, i in found.items()}
