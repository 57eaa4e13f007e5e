"""Figures show the data they are given, in the paper's font and width, with nothing clipped."""

import re
import subprocess
import sys
from itertools import combinations
from types import SimpleNamespace

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
    return evaluation.Score(*shares, estimate(validation), 0.02, n_bytes, None)


SCORES = {
    "logistic": score(0.79, 0.71, 0.75, 3_000),
    "random forest": score(1.0, 0.83, 0.79, 5_000_000),
    "SVM": score(0.99, 0.91, 0.93, 590_000),
    "MLP": score(1.0, 0.88, 0.89, 610_000),
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
TUNED = {
    "grid": evaluation.Tuning(PENALTIES[0], 0.8, 6, 6.0, ((3.0, 0.7), (6.0, 0.8))),
    "halving": evaluation.Tuning(PENALTIES[0], 0.75, 9, 4.0, ((2.0, 0.5), (4.0, 0.75))),
}
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
DEPTHS = {
    "both": {"1": estimate(0.98), "2": estimate(0.985), "3": Estimate(1.0, 1.0, 1 - 1e-16, 3)},
    "normalised": {"1": estimate(0.98), "2": estimate(0.975), "3": estimate(0.97)},
    "residual": {"1": estimate(0.955), "2": estimate(0.95), "3": estimate(0.95)},
    "neither": {"1": estimate(0.9), "2": estimate(0.8), "3": Estimate(0.5, 0.2, 0.9, 5)},
}
TRANSFER = {
    name: {
        n: Estimate(value + shift, value + shift - 0.06, value + shift + 0.04, 10)
        for n, value in (
            ("1", 0.35),
            ("2", 0.48),
            ("5", 0.7),
            ("10", 0.82),
            ("20", 0.88),
            ("50", 0.9),
        )
    }
    for name, shift in (("scratch", 0.0), ("frozen", 0.02), ("fine-tuned", 0.05))
}
_PIXELS = np.random.default_rng(1)
IMAGES = {
    "digits": _PIXELS.normal(size=(5, 64)).tolist(),
    "labels": ["0", "3", "4", "7", "9"],
    "maps": _PIXELS.normal(size=(5, 64)).tolist(),
    "shuffled": [[0.0] * 64, *_PIXELS.normal(size=(4, 64)).tolist()],
    "filters": _PIXELS.normal(size=(16, 9)).tolist(),
}


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draws a figure into a folder of its own; gives the figure and its include command."""
    monkeypatch.setattr(drawing, "ROOT", tmp_path)
    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    monkeypatch.setenv("PYCODE_CACHE", "off")
    cache._secret.cache_clear()

    images = np.arange(32.0).reshape(2, 4, 4)

    def drawn(name: str, fontsize: str = "10", width: str = WIDTH):
        drawing._drawn.clear()  # as in a new run
        size = {"width": width, "fontsize": fontsize}
        command = {
            "performance": lambda: figures.performance(
                SCORES, CURVE, CONFUSION, CLASSES, best="SVM", **size
            ),
            "behaviour": lambda: figures.behaviour(SCORES, IMPORTANCES, CONFIDENCE, **size),
            "ablation": lambda: figures.ablation(PENALTIES, ARCHITECTURES, TUNED, SPREADS, **size),
            "interpretation": lambda: figures.interpretation(
                CALIBRATIONS,
                RANKINGS,
                ROLES,
                {"forest, impurity": images[0], "forest, permuted": images[1]},
                **size,
            ),
            "networks": lambda: figures.networks(CURVES, DEPTHS, TRANSFER, IMAGES, **size),
            "mistakes": lambda: figures.mistakes(
                images, np.array([0, 2]), np.array([1, 0]), CLASSES, **size
            ),
        }[name]()
        return kept[-1], command, tmp_path / f"figures/{name}.pdf"

    yield drawn
    monkeypatch.undo()
    cache._secret.cache_clear()
    plt.close("all")


NAMES = ("performance", "behaviour", "ablation", "interpretation", "networks", "mistakes")


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


def test_panels_are_lettered_and_named(draw):
    for name in NAMES[:-1]:
        fig, _, _ = draw(name)
        titles = [ax.get_title(loc="left") for ax in fig.axes[:4]]
        assert [title[:3] for title in titles] == ["(a)", "(b)", "(c)", "(d)"]
        images = {"interpretation": 2, "networks": 3}.get(name, 4)
        assert all(ax.get_ylabel() for ax in fig.axes[:images])


def test_performance_shows_its_data(draw):
    fig, _, _ = draw("performance")
    bars, errors, curve, matrix = fig.axes
    heights = [[bar.get_height() for bar in group] for group in bars.containers]
    assert heights == [
        [getattr(s, part) for s in SCORES.values()] for part in ("train", "validation", "test")
    ]
    assert errors.lines[0].get_ydata().tolist() == [s.cv_in_fold for s in SCORES.values()]
    ends = errors.collections[0].get_segments()
    assert ends[0][:, 1] == pytest.approx([0.71 - 0.02, 0.71 + 0.02])
    assert curve.lines[0].get_ydata().tolist() == list(CURVE.train)
    assert curve.lines[1].get_xdata().tolist() == list(CURVE.sizes)
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
    shown = {line.get_label(): line.get_xydata()[0].tolist() for line in generalisation.lines[1:]}
    assert shown == {name: [s.train, s.validation] for name, s in SCORES.items()}


def test_ablation_shows_its_data(draw):
    fig, _, _ = draw("ablation")
    penalties, architectures, tuning, seeds = fig.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in penalties.lines}
    for stopping, label in ((False, "validation"), (True, "validation, early stopping")):
        some = [v for v in PENALTIES if v.parameters["early_stopping"] is stopping]
        assert drawn[label] == [[v.parameters["alpha"], v.validation] for v in some]
    assert [line.get_label() for line in architectures.lines] == [
        "1 hidden layer",
        "2 hidden layers",
    ]
    assert architectures.lines[1].get_xdata().tolist() == [800, 1600, 3200]
    assert tuning.lines[1].get_xydata().tolist() == [list(step) for step in TUNED["halving"].path]
    heights = [line.get_ydata().tolist() for line in seeds.lines]
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


def test_networks_shows_its_accuracies(draw):
    fig, _, _ = draw("networks")
    curves, depths, transfer = fig.axes[:3]
    assert [line.get_label() for line in curves.lines] == list(CURVES)
    for line, curve in zip(curves.lines, CURVES.values(), strict=True):
        assert line.get_xydata().tolist() == [
            list(at) for at in zip(curve["sizes"], curve["validation"], strict=True)
        ]
    for ax, series in ((depths, DEPTHS), (transfer, TRANSFER)):
        assert ax.get_legend_handles_labels()[1] == list(series)
        for drawn, found in zip(ax.containers, series.values(), strict=True):
            line, _, [bars] = drawn.lines
            assert line.get_xdata() == pytest.approx([int(n) for n in found], rel=0.13)
            assert line.get_ydata().tolist() == list(found.values())
            ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
            assert np.ravel(ends) == pytest.approx([v for e in found.values() for v in _ends(e)])
        labels = [label.get_text() for label in ax.get_xticklabels()]
        assert labels == list(next(iter(series.values())))
        assert ax.get_xticks().tolist() == [int(label) for label in labels]
        at = [tuple(drawn.lines[0].get_xdata()) for drawn in ax.containers]
        assert len(set(at)) == len(at)  # beside one another
        assert len({drawn.lines[0].get_marker() for drawn in ax.containers}) == len(series)
    assert transfer.get_xscale() == "log"
    assert len({line.get_marker() for line in curves.lines}) == len(CURVES)


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
def test_networks_are_readable_and_small_at_each_width(draw, width, fontsize):
    fig, _, pdf = draw("networks", fontsize=fontsize, width=width)
    assert pdf.stat().st_size < 100_000
    with drawing._style(drawing.font()):
        fig.canvas.draw()
        _assert_readable(fig)
        for ax in fig.axes[:3]:
            legend = ax.get_legend().get_window_extent()
            drawn = [line.get_xydata() for line in ax.lines]
            drawn += [bar for bars in ax.collections for bar in bars.get_segments()]
            for points in drawn:
                path = Path(ax.transData.transform(points))
                assert not path.intersects_bbox(legend, filled=False)


def test_an_image_that_is_no_square_is_refused(draw):
    oblong = {**IMAGES, "maps": [[1.0] * 60] * 5}
    with pytest.raises(ValueError, match="60 pixels: give it those of a square"):
        figures.networks(CURVES, DEPTHS, TRANSFER, oblong, width=WIDTH)


def test_mistakes_name_true_and_predicted_class(draw):
    fig, _, _ = draw("mistakes")
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["a, not b", "c, not a"]
    shown = fig.axes[1].collections[0].get_array()
    assert np.ravel(shown).tolist() == list(range(16, 32))


def test_no_mistakes_are_no_figure():
    none = np.empty((0, 8, 8)), np.array([], int), np.array([], int)
    assert figures.mistakes(*none, CLASSES, width=WIDTH) == "No test image is misclassified."


@pytest.mark.parametrize("name", NAMES)
def test_command_includes_the_file_with_a_text_from_the_data(draw, name):
    _, command, pdf = draw(name)
    included = re.fullmatch(r"\\includegraphics\[alt=\{(.*)\},\]\{(.*)\}", command)
    assert included
    alt, path = included.groups()
    assert path == f"figures/{name}.pdf"
    assert pdf.exists()
    for part in {
        "performance": ("SVM 0.93", "goes from 0.50 with 10 samples to 0.70 with 30", "86.7\\%"),
        "behaviour": (
            "from 0.500 to 0.200",
            "SVM 590 kB",
            "random forest 0.17",
            "0.65 on the others",
        ),
        "ablation": ("from 0.80", "0.84, is that of 1600", "halving 0.750 for 4 fits"),
        "interpretation": ("logistic 0.299", "2 rankings of 3 features", "row 4, column 4"),
        "networks": (
            "with 86 to 862 samples: SVM 0.88 to 0.97",
            "with 1, 2, 3 blocks",
            "neither 0.90, 0.80, 0.50.",
            "fine-tuned 0.40, 0.53, 0.75, 0.87, 0.93, 0.95.",
            "digits 0, 3, 4, 7, 9,",
            "16 filters",
        ),
        "mistakes": ("2 misclassified", "a as b, c as a"),
    }[name]:
        assert part in alt


@pytest.mark.parametrize("name", NAMES)
def test_the_same_data_give_the_same_file(draw, name):
    first = draw(name)[2].read_bytes()
    assert draw(name)[2].read_bytes() == first


def test_colours_differ_for_the_colour_blind_and_in_grey():
    with plt.style.context(drawing.STYLE):
        colours = drawing.colours(3)
    rgb = np.array([to_rgb(colour) for colour in colours])
    # Deuteranopia and protanopia, Machado et al. (2009), severity 1; and luminance.
    deuteranopia = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    protanopia = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
    for seen in (rgb, rgb @ deuteranopia.T, rgb @ protanopia.T):
        for one, two in combinations(seen, 2):
            assert np.linalg.norm(one - two) > 0.25
    grey = np.sort(rgb @ [0.2126, 0.7152, 0.0722])
    assert np.diff(grey).min() > 0.15


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
