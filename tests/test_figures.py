"""Figures show the data they are given, in the paper's font and width, with nothing clipped."""

import re
import subprocess
import sys
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pypdf
import pytest
from matplotlib.colors import to_rgb
from matplotlib.path import Path
from matplotlib.text import Text

from literate import cache, drawing
from pycode import evaluation, figures, inference, inspection
from pycode.inference import Estimate

WIDTH = "441.0177pt"
CLASSES = ("a", "b", "c")
CONFUSION = np.array([[9, 1, 0], [2, 7, 1], [0, 0, 10]])


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.02, value + 0.02, 100)


def score(train: float, validation: float, test: float, n_bytes: int) -> evaluation.Score:
    shares = estimate(train), estimate(validation), estimate(test)
    return evaluation.Score(*shares, n_bytes, {}, None)


SCORES = {
    "logistic": score(0.79, 0.71, 0.75, 3_000),
    "random forest": score(1.0, 0.83, 0.79, 5_000_000),
    "SVM": score(0.99, 0.91, 0.93, 590_000),
    "MLP": score(1.0, 0.88, 0.89, 610_000),
}
FOLDS = {
    name: evaluation.CrossValidation(
        score.validation + np.array([-0.02, 0.01, 0.0, 0.01]),
        n_train=90,
        n_test=30,
        mean=score.validation,
        sd=0.014,
    )
    for name, score in SCORES.items()
}
CURVE = evaluation.LearningCurve(
    sizes=(10, 20, 30),
    train=(estimate(1.0), estimate(0.9), estimate(0.9)),
    train_sd=(0.0, 0.1, 0.1),
    validation=(estimate(0.5), estimate(0.6), estimate(0.7)),
    validation_sd=(0.1, 0.05, 0.02),
)
IMPORTANCES = inspection.Importances(np.array([0.2, 0.5, 0.3]), 0.5, 1 / 3, 0)
CONFIDENCE = inspection.Confidence(
    np.array([0.95, 0.85, 0.55, 0.75]), np.array([True, True, False, False]), 0.775, 0.9, 0.65
)


def variant(n_parameters: int, train: float, validation: float, **parameters) -> evaluation.Variant:
    shares = (estimate(train), estimate(validation))
    return evaluation.Variant(parameters, *shares, n_parameters, True, np.ones(4, dtype=bool))


PENALTIES = [
    variant(9, 1 - 0.1 * n, 0.8 - 0.1 * n, alpha=10.0**n, early_stopping=stopping)
    for n in range(3)
    for stopping in (False, True)
]
ARCHITECTURES = [
    variant(100 * d * w, 1.0, 0.7 + 0.01 * w - 0.02 * d, hidden_layer_sizes=(w,) * d)
    for d in (1, 2)
    for w in (4, 8, 16)
]
ACTIVATIONS = [
    variant(9, 0.9, 0.3 + 0.1 * n + 0.02 * m, activation=activation, solver=solver)
    for n, activation in enumerate(("identity", "logistic", "tanh", "relu"))
    for m, solver in enumerate(("sgd", "adam", "lbfgs"))
]
SPREADS = {
    kind: {
        name: evaluation.Spread(
            (0.7, 0.8 + shift), estimate(0.75), estimate(0.05), 0.7, 0.8 + shift
        )
        for name in SCORES
    }
    for kind, shift in (("seed of the model", 0.0), ("seed of the split", 0.1))
}
_DRAWN = np.random.default_rng(0).dirichlet([0.5, 0.5, 0.5], 300)
CALIBRATIONS = {
    name: inference.calibration(_DRAWN, np.argmax(_DRAWN**power, axis=1))
    for name, power in (("logistic", 1), ("MLP", 2))
}
RANKINGS = {"forest, impurity": np.array([3.0, 1.0, 2.0]), "SVM, permuted": np.array([1.0, 3, 2])}
ROLES = ("informative", "random", "redundant")
CURVES = {
    name: {
        "sizes": [86, 280, 474, 668, 862],
        "validation": [estimate(top - loss) for loss in (drop, 0.05, 0.03, 0.01, 0)],
    }
    for name, top, drop in (
        ("SVM", 0.975, 0.1),
        ("MLP", 0.97, 0.12),
        ("CNN", 0.98, 0.18),
        ("VGG-like", 0.985, 0.23),
        ("residual", 0.99, 0.16),
    )
}
TRAINING = {
    name: {"epoch": [1, 5, 10], "loss": [2.0, 0.3, last], "validation": [0.5, 0.9, 0.98]}
    for name, last in (("CNN", 0.031), ("VGG-like", 0.0072), ("residual", 0.0125))
}
DEPTHS = {
    "both": {"1": estimate(0.98), "2": estimate(0.985), "3": Estimate(1.0, 1.0, 1 - 1e-16, 3)},
    "normalised": {"1": estimate(0.98), "2": estimate(0.975), "3": estimate(0.97)},
    "residual": {"1": estimate(0.955), "2": estimate(0.95), "3": estimate(0.95)},
    "neither": {"1": estimate(0.9), "2": estimate(0.8), "3": Estimate(0.5, 0.2, 0.9, 5)},
}
N_LABELS = {"1": 0.35, "2": 0.48, "5": 0.7, "10": 0.82, "20": 0.88, "50": 0.9}
TRANSFER = {
    name: {
        n: Estimate(value + shift, value + shift - 0.06, value + shift + 0.04, 10)
        for n, value in N_LABELS.items()
    }
    for name, shift in (
        ("scratch", 0.0),
        ("frozen", 0.02),
        ("fine-tuned", 0.05),
        ("raw pixels", 0.03),
        ("frozen, tuned", 0.04),
        ("raw pixels, tuned", 0.06),
    )
}
GAINS = {
    name: {
        n: Estimate(e - 0.06 - N_LABELS[n], e.low - 0.06 - N_LABELS[n], e.high - N_LABELS[n], 10)
        for n, e in TRANSFER[name].items()
    }
    for name in ("scratch", "frozen", "fine-tuned", "frozen, tuned")
}
_PIXELS = np.random.default_rng(1)
IMAGES = {
    "digits": _PIXELS.normal(size=(5, 64)).tolist(),
    "labels": ["0", "3", "4", "7", "9"],
    "maps": _PIXELS.normal(size=(5, 64)).tolist(),
    "shuffled": [[0.0] * 64, *_PIXELS.normal(size=(4, 64)).tolist()],
    "filters": _PIXELS.normal(size=(16, 9)).tolist(),
}


_TOP = [("linear", [64]), ("linear", [10])]
_STAGE = [("conv 3x3", [16, 8, 8]), ("conv 3x3", [16, 8, 8]), ("pool 2x2", [16, 4, 4])]
LAYERS = {
    name: [{"kind": kind, "shape": shape} for kind, shape in [("image", [1, 8, 8]), *layers]]
    for name, layers in (
        ("CNN", [*_STAGE[1:], *_STAGE[1:], *_TOP]),
        ("VGG-like", [*_STAGE, *_STAGE, *_TOP]),
        (
            "residual",
            [
                *_STAGE[:1],
                *[("block", [16, 8, 8])] * 2,
                *[("block", [32, 4, 4])] * 2,
                ("average", [32, 1, 1]),
                _TOP[1],
            ],
        ),
    )
}
PICTURES = np.arange(32.0).reshape(2, 4, 4)


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draws a figure into a folder of its own; gives the figure and its include command."""
    monkeypatch.setattr(drawing, "ROOT", tmp_path)
    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    monkeypatch.setenv("PYCODE_CACHE", "off")
    cache._secret.cache_clear()

    def drawn(name: str, fontsize: str = "10", width: str = WIDTH):
        drawing._drawn.clear()  # as in a new run
        size = {"width": width, "fontsize": fontsize}
        command = {
            "performance": lambda: figures.performance(
                SCORES, FOLDS, CURVE, CONFUSION, CLASSES, best="SVM", **size
            ),
            "behaviour": lambda: figures.behaviour(SCORES, IMPORTANCES, CONFIDENCE, **size),
            "ablation": lambda: figures.ablation(
                ACTIVATIONS, PENALTIES, ARCHITECTURES, SPREADS, **size
            ),
            "interpretation": lambda: figures.interpretation(
                CALIBRATIONS,
                RANKINGS,
                ROLES,
                {"forest, impurity": PICTURES[0], "forest, permuted": PICTURES[1]},
                **size,
            ),
            "networks": lambda: figures.networks(TRAINING, CURVES, DEPTHS, IMAGES, **size),
            "transfer": lambda: figures.transfer(TRANSFER, GAINS, **size),
            "architectures": lambda: figures.architectures(LAYERS, **size),
            "gallery": lambda: figures.gallery(PICTURES, ["a, not b", "c, not a"], **size),
        }[name]()
        return kept[-1], command, tmp_path / f"figures/{name}.pdf"

    yield drawn
    monkeypatch.undo()
    cache._secret.cache_clear()
    plt.close("all")


PANELS = {  # of each figure, how many have axes with labels
    "performance": 4,
    "behaviour": 4,
    "ablation": 4,
    "interpretation": 2,
    "networks": 3,
    "transfer": 2,
}
NAMES = (*PANELS, "architectures", "gallery")


@pytest.mark.parametrize("name", NAMES)
def test_width_is_exactly_the_texts(draw, name):
    _, _, pdf = draw(name)
    width = pypdf.PdfReader(pdf).pages[0].mediabox.width
    assert float(width) == pytest.approx(441.0177 / 72.27 * 72, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_fonts_are_the_papers_and_not_type_3(draw, name):
    _, _, pdf = draw(name)
    listed = subprocess.run(["pdffonts", pdf], capture_output=True, text=True, check=True)
    assert listed.stderr == ""
    fonts = listed.stdout.splitlines()[2:]
    assert fonts
    assert all("LMRoman10" in line and "TrueType" in line for line in fonts)


@pytest.mark.parametrize("name", NAMES)
def test_text_is_large_enough_inside_and_apart(draw, name):
    fig, _, _ = draw(name)
    with drawing._style(drawing.font()):  # or else the letters are those of another font
        fig.canvas.draw()
        _assert_readable(fig)


def _assert_readable(fig) -> None:
    renderer = fig.canvas.get_renderer()
    texts = [t for t in fig.findobj(Text) if t.get_text().strip() and t.get_visible()]
    boxes = [(t, t.get_window_extent(renderer)) for t in texts]
    # Ticks beyond an axis' limits exist, but are not drawn.
    boxes = [(t, box) for t, box in boxes if not _hidden_tick(fig, t, renderer)]
    page = fig.bbox
    for text, box in boxes:
        assert text.get_size() >= 7, text
        assert page.x0 <= box.x0 < box.x1 <= page.x1, text
        assert page.y0 <= box.y0 < box.y1 <= page.y1, text
    for (one, a), (two, b) in combinations(boxes, 2):
        assert not a.shrunk(0.9, 0.9).overlaps(b.shrunk(0.9, 0.9)), (one, two)


def _hidden_tick(fig, text, renderer) -> bool:
    for ax in fig.axes:
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if text in (tick.label1, tick.label2):
                    return not min(low, high) <= tick.get_loc() <= max(low, high)
    return False


@pytest.mark.parametrize(("fontsize", "sizes"), [("9", {7.2, 7}), ("10.95", {8.76, 7.665})])
def test_letters_follow_the_papers_and_none_is_below_seven_points(draw, fontsize, sizes):
    fig, _, _ = draw("performance", fontsize=fontsize)
    found = {t.get_size() for t in fig.findobj(Text) if t.get_text().strip()}
    assert sorted(found) == pytest.approx(sorted(sizes))


@pytest.mark.parametrize("name", PANELS)
def test_panels_are_lettered_and_named(draw, name):
    fig, _, _ = draw(name)
    titles = [ax.get_title(loc="left") for ax in fig.axes[:4]]
    letters = ["(a)", "(b)"] if name == "transfer" else ["(a)", "(b)", "(c)", "(d)"]
    assert [title[:3] for title in titles] == letters
    assert all(ax.get_ylabel() for ax in fig.axes[: PANELS[name]])


def palette() -> dict[str, tuple[float, ...]]:
    """The colour of each model."""
    with plt.style.context(drawing.STYLE):
        colours = drawing.colours(len(figures.MODELS))
    return dict(zip(figures.MODELS, map(to_rgb, colours), strict=True))


def labelled(ax) -> dict[str, Any]:
    """The lines of an axis that have a label, and estimates with their intervals."""
    found: dict[str, Any] = {line.get_label(): line for line in ax.lines}
    found |= {drawn.get_label(): drawn.lines[0] for drawn in ax.containers}
    return {label: line for label, line in found.items() if not label.startswith("_")}


def intervals(drawn) -> np.ndarray:
    """The lower and the upper end of each interval, one row for each estimate."""
    (bars,) = drawn.lines[2]
    return np.array([segment[:, 1] for segment in bars.get_segments()])


def test_a_model_has_one_colour_in_all_figures(draw):
    found: list[tuple[str, Any]] = []

    def note(names, artists) -> None:
        found.extend((name, some.get_color()) for name, some in zip(names, artists, strict=True))

    for figure, panel in (
        ("behaviour", 3),
        ("interpretation", 0),
        ("networks", 0),
        ("networks", 1),
    ):
        lines = labelled(draw(figure)[0].axes[panel])
        note(lines, lines.values())
    note([name for name in SCORES for _ in range(3)], draw("behaviour")[0].axes[2].lines)
    folds = draw("performance")[0].axes[1]
    note(FOLDS, [line for line in folds.lines if line.get_marker() == "."])
    note(FOLDS, [drawn.lines[0] for drawn in folds.containers])
    seeds = draw("ablation")[0].axes[3]
    note([*SCORES] * 2, [line for line in seeds.lines if len(line.get_xdata())])
    bars = draw("behaviour")[0].axes[0].patches
    found += [("random forest", bar.get_facecolor()) for bar in bars]
    boxes = draw("architectures")[0].axes[0].patches
    rows = [name for name, layers in LAYERS.items() for _ in layers]
    found += [(name, box.get_edgecolor()) for name, box in zip(rows, boxes, strict=True)]
    assert {name for name, _ in found} == set(figures.MODELS)
    for name, colour in found:
        assert to_rgb(colour) == palette()[name], name


def test_a_model_of_ones_own_has_a_colour_that_no_other_has():
    with plt.style.context(drawing.STYLE):
        styles = figures._styles([*figures.MODELS, "mine"])
        assert figures._styles(["mine"]) == {"mine": styles["mine"]}
    for field in ("color", "marker"):
        assert len({style[field] for style in styles.values()}) == len(styles)


def test_parts_of_the_samples_are_grey(draw):
    performance, _, _ = draw("performance")
    ablation, _, _ = draw("ablation")
    found = [*labelled(performance.axes[0]).items(), *labelled(ablation.axes[1]).items()]
    found += [(text.get_text(), text) for text in performance.axes[2].texts]
    assert len(found) == 3 + 4 + 2
    for label, artist in found:
        assert to_rgb(artist.get_color()) == to_rgb(figures.PARTS[label.split(",")[0]]), label
    shades = sorted(map(float, figures.PARTS.values()))
    assert np.diff(shades).min() > 0.25


def test_performance_shows_its_data(draw):
    fig, _, _ = draw("performance")
    accuracies, folds, curve, matrix = fig.axes
    assert list(labelled(accuracies)) == ["train", "validation", "test"]
    for drawn in accuracies.containers:
        some = [getattr(score, drawn.get_label()) for score in SCORES.values()]
        assert drawn.lines[0].get_ydata().tolist() == some
        assert intervals(drawn) == pytest.approx(np.array([_ends(e) for e in some]))
    for ax in (accuracies, folds):
        assert [label.get_text() for label in ax.get_xticklabels()] == list(SCORES)
    dots = [line for line in folds.lines if line.get_marker() == "."]
    for place, (line, mean, found) in enumerate(
        zip(dots, folds.containers, FOLDS.values(), strict=True)
    ):
        assert line.get_ydata().tolist() == found.accuracies.tolist()
        assert np.abs(line.get_xdata() - place).max() < 0.2
        assert mean.lines[0].get_xydata().tolist() == [[place + 0.3, found.mean]]
        assert intervals(mean) == pytest.approx(found.mean + np.array([[-0.014, 0.014]]))
    for line, band, part in zip(
        curve.lines, curve.collections, ("train", "validation"), strict=True
    ):
        means, sds = getattr(CURVE, part), getattr(CURVE, f"{part}_sd")
        assert line.get_xydata().tolist() == [
            list(at) for at in zip(CURVE.sizes, means, strict=True)
        ]
        (path,) = band.get_paths()
        ends = {tuple(np.round(point, 9)) for point in path.vertices}
        for size, mean, sd in zip(CURVE.sizes, means, sds, strict=True):
            assert {(size, round(mean - sd, 9)), (size, round(mean + sd, 9))} <= ends
    assert [text.get_text() for text in curve.texts] == ["train", "validation"]
    assert [int(text.get_text()) for text in matrix.texts] == CONFUSION.ravel().tolist()
    assert "SVM" in matrix.get_title(loc="left")


def test_behaviour_shows_its_data(draw):
    fig, _, _ = draw("behaviour")
    ranked, confidence, complexity, generalisation = fig.axes
    assert [bar.get_height() for bar in ranked.patches] == [0.5, 0.3, 0.2]
    heights = np.array([bar.get_height() for bar in confidence.patches])
    assert heights.sum() == pytest.approx(200)  # per cent of each of the two groups
    assert complexity.get_xscale() == "log"
    assert "size of the fitted model" in complexity.get_xlabel()
    points = {
        tuple(line.get_xydata()[0]) for line in complexity.lines if len(line.get_xydata()) == 1
    }
    assert (590.0, 0.91) in points
    assert (590.0, 0.99) in points
    shown = {name: line.get_xydata()[0].tolist() for name, line in labelled(generalisation).items()}
    assert shown == {name: [s.train, s.validation] for name, s in SCORES.items()}
    for drawn, s in zip(generalisation.containers, SCORES.values(), strict=True):
        assert intervals(drawn)[0] == pytest.approx(_ends(s.validation))


def test_ablation_shows_its_data(draw):
    fig, _, _ = draw("ablation")
    activations, penalties, architectures, seeds = fig.axes
    assert list(labelled(activations)) == ["sgd", "adam", "lbfgs"]
    for drawn in activations.containers:
        some = [v.validation for v in ACTIVATIONS if v.parameters["solver"] == drawn.get_label()]
        assert drawn.lines[0].get_ydata().tolist() == some
        assert intervals(drawn) == pytest.approx(np.array([_ends(e) for e in some]))
    named = [label.get_text() for label in activations.get_xticklabels()]
    assert named == ["identity", "logistic", "tanh", "relu"]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in penalties.lines}
    assert len(drawn) == 4
    for label, points in drawn.items():
        part, _, stopping = label.partition(", ")
        some = [v for v in PENALTIES if v.parameters["early_stopping"] is bool(stopping)]
        assert points == [[v.parameters["alpha"], getattr(v, part)] for v in some]
    assert [line.get_label() for line in architectures.lines] == [
        "1 hidden layer",
        "2 hidden layers",
    ]
    assert architectures.lines[1].get_xdata().tolist() == [800, 1600, 3200]
    assert list(labelled(seeds)) == list(SPREADS)
    heights = [line.get_ydata().tolist() for line in seeds.lines if len(line.get_xdata())]
    found = [list(s.accuracies) for spreads in SPREADS.values() for s in spreads.values()]
    assert heights == found
    assert [label.get_text() for label in seeds.get_xticklabels()] == list(SCORES)


def test_interpretation_shows_its_data(draw):
    fig, _, _ = draw("interpretation")
    reliability, precision, left, right = fig.axes[:4]
    found = CALIBRATIONS["MLP"]
    shown = found.counts >= figures.FEWEST
    assert 2 < shown.sum() < (found.counts > 0).sum()
    expected = np.column_stack([found.confidence, found.accuracy])[shown]
    assert reliability.lines[2].get_xydata() == pytest.approx(expected)
    assert precision.lines[0].get_ydata().tolist() == [1, 1, 2 / 3]
    assert precision.lines[1].get_ydata().tolist() == [0, 0.5, 2 / 3]
    assert precision.lines[2].get_ydata()[0] == pytest.approx(2 / 3)
    for ax, first in ((left, 0), (right, 16)):
        shown = ax.collections[0].get_array()
        assert np.ravel(shown).tolist() == list(range(first, first + 16))


def test_networks_shows_its_losses_and_accuracies(draw):
    fig, _, _ = draw("networks")
    training, curves, depths = fig.axes[:3]
    assert training.get_yscale() == "log"
    for ax, series, of in (
        (training, TRAINING, ("epoch", "loss")),
        (curves, CURVES, ("sizes", "validation")),
    ):
        shown = {name: line.get_xydata().tolist() for name, line in labelled(ax).items()}
        assert shown == {
            name: [list(at) for at in zip(found[of[0]], found[of[1]], strict=True)]
            for name, found in series.items()
        }
    assert len({line.get_marker() for line in curves.lines}) == len(CURVES)
    _assert_estimates(depths, DEPTHS)
    assert len({drawn.lines[0].get_marker() for drawn in depths.containers}) == len(DEPTHS)
    for drawn in depths.containers:
        assert len(set(to_rgb(drawn.lines[0].get_color()))) == 1  # a grey: these are no models


def test_transfer_shows_its_data(draw):
    fig, _, _ = draw("transfer")
    for ax, series in zip(fig.axes, (TRANSFER, GAINS), strict=True):
        _assert_estimates(ax, series)
        assert ax.get_xscale() == "log"
    styles = [
        {
            name: (line.get_color(), line.get_marker(), line.get_linestyle())
            for name, line in labelled(ax).items()
        }
        for ax in fig.axes
    ]
    assert styles[1].items() <= styles[0].items()  # there is one legend for both
    found = styles[0]
    assert len({marker for _, marker, _ in found.values()}) == 6
    for name, (colour, _, line) in found.items():
        assert line == ("--" if name in ("frozen", "raw pixels") else "-")
        assert colour == found[name.removesuffix(", tuned")][0]
        if not name.startswith("raw"):
            assert len(set(to_rgb(colour))) == 1  # a grey: a network, however it has learnt
    assert found["raw pixels"][0] == "#0072B2"  # which the logistic model has
    (legend,) = fig.legends  # beside both panels, and so over no data
    assert [text.get_text() for text in legend.get_texts()] == list(TRANSFER)
    assert not any(ax.get_legend() for ax in fig.axes)
    (zero,) = (line for line in fig.axes[1].lines if line.get_linestyle() == ":")
    assert set(zero.get_ydata()) == {0}


def _assert_estimates(ax, series) -> None:
    """All of them are there, beside one another, with their intervals and the right ticks."""
    assert [drawn.get_label() for drawn in ax.containers] == list(series)
    for drawn, found in zip(ax.containers, series.values(), strict=True):
        line = drawn.lines[0]
        assert line.get_xdata() == pytest.approx([int(n) for n in found], rel=0.13)
        assert line.get_ydata().tolist() == list(found.values())
        ends = np.array([_ends(e) for e in found.values()])
        assert intervals(drawn) == pytest.approx(ends)
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == list(next(iter(series.values())))
    assert ax.get_xticks().tolist() == [int(label) for label in labels]
    at = [tuple(drawn.lines[0].get_xdata()) for drawn in ax.containers]
    assert len(set(at)) == len(at)


def _ends(estimate: Estimate) -> tuple[float, float]:
    return estimate.low, estimate.high


def test_networks_shows_its_images(draw):
    fig, _, _ = draw("networks")
    ax = fig.axes[3]
    names = ("digits", "maps", "shuffled", "filters")
    given = [(name, pixels) for name in names for pixels in IMAGES[name]]
    sides, rows = [], []
    for (name, pixels), shown in zip(given, ax.collections, strict=True):
        assert np.ravel(shown.get_array()).tolist() == pixels
        low, high = shown.get_clim()
        if name == "digits":
            assert (low, high) == (min(pixels), max(pixels))
        else:
            assert high == -low == (np.abs(pixels).max() or 1)
            assert min(shown.to_rgba(0.0)) > 0.95  # white
        corners = shown.get_coordinates()
        sides.append(np.ptp(corners, axis=(0, 1)))
        rows.append(corners[0, 0, 1])
        assert corners[0, 0, 1] < corners[-1, 0, 1]  # and the axis points downwards
    assert ax.yaxis_inverted()
    assert np.ptp(sides, axis=1) == pytest.approx(np.zeros(len(given)))
    assert ax.get_aspect() == 1
    tops = sorted(set(rows))
    assert rows == sorted(rows)
    assert [rows.count(top) for top in tops] == [5, 5, 5, 8, 8]
    named = [text.get_position()[1] for text in ax.texts[5:]]
    assert np.searchsorted(tops[:4], named).tolist() == [1, 2, 3, 4]  # each label beside its row
    texts = [text.get_text() for text in ax.texts]
    assert texts == [*IMAGES["labels"], "digit", "map", "shuffled", "filters"]
    boxes = [shown.get_window_extent() for shown in ax.collections]
    assert all(fig.bbox.contains(*corner) for box in boxes for corner in box.corners())
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize(
    ("width", "fontsize"),
    [("345pt", "10"), ("360pt", "10.95"), ("390pt", "12"), ("505pt", "9"), ("505pt", "10")],
)
@pytest.mark.parametrize("name", ["networks", "transfer"])
def test_networks_are_readable_and_small_at_each_width(draw, name, width, fontsize):
    fig, _, pdf = draw(name, fontsize=fontsize, width=width)
    assert pdf.stat().st_size < 100_000
    with drawing._style(drawing.font()):
        fig.canvas.draw()
        _assert_readable(fig)
        for ax in fig.axes[:3] if name == "networks" else ():
            legend = ax.get_legend().get_window_extent()
            drawn = [line.get_xydata() for line in ax.lines]
            drawn += [bar for bars in ax.collections for bar in bars.get_segments()]
            for points in drawn:
                path = Path(ax.transData.transform(points))
                assert not path.intersects_bbox(legend, filled=False)


def test_an_image_that_is_no_square_is_refused(draw):
    oblong = {**IMAGES, "maps": [[1.0] * 60] * 5}
    with pytest.raises(ValueError, match="60 pixels: give it those of a square"):
        figures.networks(TRAINING, CURVES, DEPTHS, oblong, width=WIDTH)


def test_architectures_name_each_layer_and_the_shape_of_its_output(draw):
    fig, _, _ = draw("architectures")
    (ax,) = fig.axes
    texts = [text.get_text() for text in ax.texts]
    assert [text for text in texts if "\n" not in text] == list(LAYERS)
    layers = [layer for some in LAYERS.values() for layer in some]
    inside = [text for text in ax.texts if "\n" in text.get_text()]
    assert [text.get_text() for text in inside] == [
        f"{layer['kind']}\n{'x'.join(map(str, layer['shape']))}".replace(
            "x", "\N{MULTIPLICATION SIGN}"
        )
        for layer in layers
    ]
    with drawing._style(drawing.font()):
        fig.canvas.draw()
        frames = [box.get_window_extent() for box in ax.patches]
        for text, frame in zip(inside, frames, strict=True):
            assert all(frame.contains(*at) for at in text.get_window_extent().corners()), text
    assert not any(a.overlaps(b) for a, b in combinations(frames, 2))


def test_gallery_shows_each_image_upright_below_its_title(draw):
    fig, _, _ = draw("gallery")
    assert [ax.get_title() for ax in fig.axes] == ["a, not b", "c, not a"]
    for ax, image in zip(fig.axes, PICTURES, strict=True):
        (shown,) = ax.collections
        corners = shown.get_coordinates()
        assert corners[0, 0, 1] < corners[-1, 0, 1]
        assert not ax.yaxis_inverted()
        assert np.reshape(shown.get_array(), (4, 4))[::-1].tolist() == image.tolist()
        assert ax.get_aspect() == 1


def test_a_gallery_of_ten_is_readable(draw):
    draw("gallery")
    titles = [str(n) for n in range(10)]
    figures.gallery([PICTURES[0]] * 10, titles, name="samples", width="345pt")
    fig = plt.figure(plt.get_fignums()[-1])
    assert [ax.get_title() for ax in fig.axes] == titles
    with drawing._style(drawing.font()):
        fig.canvas.draw()
        _assert_readable(fig)


def test_gallery_shows_colours_and_photographs_as_they_are(draw):
    draw("gallery")
    colored = np.zeros((3, 2, 4))
    colored[0, 0], colored[2, 1] = 255, 128  # red above, a dark blue below
    light = np.array([[0.0, 255.0]])
    figures.gallery([colored, light], ["a", "b"], name="colors", cmap="gray", width=WIDTH)
    first, second = plt.figure(plt.get_fignums()[-1]).axes
    (shown,) = first.images
    assert np.asarray(shown.get_array()).tolist() == [[[255, 0, 0]] * 4, [[0, 0, 128]] * 4]
    assert first.yaxis_inverted()  # the first row is above
    (shown,) = second.collections
    second.figure.canvas.draw()
    assert np.asarray(shown.get_facecolor())[:, :3].tolist() == [[0, 0, 0], [1, 1, 1]]


def test_no_images_are_no_figure():
    none = figures.gallery(np.empty((0, 8, 8)), [], width=WIDTH)
    assert none == "There is no such image."


@pytest.mark.parametrize("name", NAMES)
def test_command_includes_the_file_with_a_text_from_the_data(draw, name):
    _, command, pdf = draw(name)
    included = re.fullmatch(r"\\includegraphics\[alt=\{(.*)\},\]\{(.*)\}", command)
    assert included
    alt, path = included.groups()
    assert path == f"figures/{name}.pdf"
    assert pdf.exists()
    for part in {
        "performance": (
            "(a) Test accuracy: logistic 0.75, random forest 0.79, SVM 0.93, MLP 0.89.",
            "(b) Cross-validation accuracy: logistic 0.71, random forest 0.83, SVM 0.91, MLP 0.88.",
            "goes from 0.50 with 10 samples to 0.70 with 30; training accuracy ends at 0.90.",
            "Confusion matrix of SVM: 86.7\\% of 30 test samples",
        ),
        "behaviour": (
            "from 0.500 to 0.200",
            "SVM 590 kB",
            "random forest 0.17",
            "0.65 on the others",
        ),
        "ablation": (
            "identity sgd 0.30; identity adam 0.32;",
            "relu lbfgs 0.64.",
            "from 0.80 with the smallest penalty to 0.60 with the largest",
            "0.84, is that of 1600",
            "seed of the split: logistic 0.70 to 0.90,",
        ),
        "interpretation": ("logistic 0.299", "2 rankings of 3 features", "row 4, column 4"),
        "networks": (
            "Training loss falls to CNN 0.031, VGG-like 0.0072, residual 0.013.",
            "from the fewest samples to all: SVM 0.88 to 0.97, MLP 0.85 to 0.97",
            "with 1, 2, 3 blocks",
            "neither 0.90, 0.80, 0.50.",
            "digits 0, 3, 4, 7, 9,",
            "16 filters",
        ),
        "transfer": (
            "with 1, 2, 5, 10, 20, 50 labelled images per class",
            "fine-tuned 0.40, 0.53, 0.75, 0.87, 0.93, 0.95;",
            "(b) Difference from the tuned logistic model on raw pixels: scratch -0.06,",
            "frozen, tuned -0.02, -0.02, -0.02, -0.02, -0.02, -0.02.",
        ),
        "architectures": (
            "CNN: image, conv 3x3, pool 2x2, conv 3x3, pool 2x2, linear, linear;",
            "residual: image, conv 3x3, block, block,",
        ),
        "gallery": ("2 images: a, not b, c, not a.",),
    }[name]:
        assert part in alt


@pytest.mark.parametrize("name", NAMES)
def test_the_same_data_give_the_same_file(draw, name):
    first = draw(name)[2].read_bytes()
    assert draw(name)[2].read_bytes() == first


def test_models_differ_for_the_colour_blind_and_by_their_markers():
    rgb = np.array(list(palette().values()))
    # Deuteranopia and protanopia, Machado et al. (2009), severity 1.
    deuteranopia = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    protanopia = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
    for seen in (rgb, rgb @ deuteranopia.T, rgb @ protanopia.T):
        for one, two in combinations(seen, 2):
            assert np.linalg.norm(one - two) > 0.19
    with plt.style.context(drawing.STYLE):
        shapes = [style["marker"] for style in figures._styles(figures.MODELS).values()]
    assert len(set(shapes)) == len(figures.MODELS)


def test_global_style_is_left_alone(draw):
    before = dict(plt.rcParams)
    draw("performance")
    assert dict(plt.rcParams) == before


@pytest.fixture
def block(tmp_path, monkeypatch):
    """A run of PythonTeX, in its block on line 7, with an own figure of labels."""
    monkeypatch.setattr(drawing, "ROOT", tmp_path)
    monkeypatch.setattr(drawing, "_drawn", {})
    monkeypatch.setattr(drawing, "_unprinted", {})
    pytex = SimpleNamespace(line="7", instance="3")
    monkeypatch.setattr(sys.modules["__main__"], "pytex", pytex, raising=False)
    monkeypatch.setenv("PYCODE_CACHE", "off")
    cache._secret.cache_clear()
    yield drawing.figure(labels)
    monkeypatch.undo()
    cache._secret.cache_clear()


def labels(*names: str):
    """One axis with labels, if there are any."""
    fig, (ax,) = drawing.panels(WIDTH, height=2)
    ax.set_yticks(range(len(names)), names)
    return (fig, ", ".join(names)) if names else "No label."


def test_another_figure_of_the_same_name_is_refused(block, tmp_path):
    first = block("a")
    assert block("a") == first
    path = tmp_path / "figures/labels.pdf"
    drawn = path.read_bytes()
    message = r"paper.tex:7: figures/labels.pdf holds another figure already, drawn there"
    with pytest.raises(ValueError, match=message) as raised:
        block("b")
    assert 'labels(..., name="...")' in str(raised.value)
    assert path.read_bytes() == drawn
    assert block("b", name="labels-b").endswith("{figures/labels-b.pdf}")
    assert (tmp_path / "figures/labels-b.pdf").read_bytes() != drawn
    with pytest.raises(ValueError, match="names no file"):
        block("b", name="../b")


@pytest.mark.parametrize(
    "show",
    [
        print,
        str,
        lambda figure: f"{figure}",
        lambda figure: f"{figure:s}",
        lambda figure: "%s" % figure,  # noqa: UP031
        lambda figure: figure + "%",
        lambda figure: "%" + figure,
        lambda figure: "{}".format(figure),  # noqa: UP032
    ],
    ids="print str f-string spec percent before after format".split(),
)
@pytest.mark.parametrize("names", [("a",), ()], ids=["figure", "sentence"])
def test_a_figure_that_is_not_printed_is_told(block, names, show):
    included = block(*names)
    (told,) = drawing.unprinted()
    assert told.startswith("paper.tex:7: the figure 'labels' is drawn but not printed")
    show(included)
    assert drawing.unprinted() == []


def test_letters_that_the_papers_font_lacks_come_from_another(block, tmp_path):
    names = (
        "plain",
        "\u2265 50",
        "\u03b2",
        "\u041c\u043e\u0441\u043a\u0432\u0430",
        "\u2713",
        "\u0130",
    )
    block(*names)
    path = tmp_path / "figures/labels.pdf"
    shown = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True)
    assert set(names) <= set(shown.stdout.split("\n"))
    listed = subprocess.run(["pdffonts", path], capture_output=True, text=True, check=True)
    fonts = listed.stdout.splitlines()[2:]
    assert any("LMRoman10" in line for line in fonts)
    assert len(fonts) > 1
    assert all("TrueType" in line and "Type 3" not in line for line in fonts)


@pytest.mark.parametrize("text", ["cat \u732b", "\U0001f9ec"])
def test_a_letter_that_no_font_has_is_named(block, tmp_path, text):
    character = text[-1]
    with pytest.raises(
        ValueError, match=rf"has '{character}' \(U\+{ord(character):04X}\) in '{text}'"
    ):
        block("dog", text)
    assert not (tmp_path / "figures/labels.pdf").exists()
    assert not plt.get_fignums()
