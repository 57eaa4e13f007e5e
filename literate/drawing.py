"""Figures in the paper's style and font, and the LaTeX that includes them.

Matplotlib is imported where it is used: a figure whose content has not changed is remembered, and
then nobody waits for it.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from joblib import delayed

import literate
from literate import ROOT, fonts, results, tex
from literate.cache import compute
from literate.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

STYLE = ROOT / "pycode" / "paper.mplstyle"
POINTS_PER_INCH = 72.27  # TeX's points, in which `width` is given
SMALLEST = 7  # font size that is printed
# The sizes in the style are for a text of 10 points and scale with the text.
TEXT = (
    "font.size",
    "axes.labelsize",
    "axes.titlesize",
    "legend.fontsize",
    "xtick.labelsize",
    "ytick.labelsize",
)
# Fonts that come with matplotlib, for letters that the paper's font lacks.
FALLBACK = ("STIXGeneral", "DejaVu Sans")

P = ParamSpec("P")
Drawn = tuple["Figure", str]

_drawn: dict[str, tuple[str, bytes]] = {}  # each file: where this run drew it first, and what
_unprinted: dict[str, str] = {}  # each figure not printed yet, and where it was drawn


class Included(str):
    """The LaTeX of a figure, which notes when it is printed."""

    name = ""

    def __str__(self) -> str:
        _unprinted.pop(self.name, None)
        return super().__str__()

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __add__(self, other: str) -> str:
        return str(self) + other

    def __radd__(self, other: str) -> str:
        return other + str(self)


def figure(draw: Callable[P, Drawn | str]) -> Callable[..., str]:
    r"""Make `draw` return the `\includegraphics` of what it draws, in figures/NAME.pdf.

    `draw` returns the figure and its description for those who cannot see it.  If there is nothing
    to draw, it returns a sentence that says so.  It draws in the paper's style, and only if its
    arguments, the style or the code have changed.  NAME is that of `draw`, or the keyword `name` of
    a call.  ValueError is raised if this run has drawn another figure under that name.
    """

    @wraps(draw)
    def include(*args: Any, name: str = draw.__name__, **kwargs: Any) -> str:
        if not re.fullmatch(r"[\w-]+", name, re.ASCII):
            raise ValueError(f"name={name!r} names no file: use letters, digits, _ and -")
        _warn_of_settings()
        also = (STYLE.read_text(encoding="utf-8"), literate.versions("draws"))
        [(pdf, alt)] = compute([delayed(_pdf)(draw, args, kwargs, font())], also=also, alone=True)
        if not pdf:
            return _included(alt, name)
        first, other = _drawn.setdefault(name, (results.block(), pdf))
        if other != pdf:
            raise ValueError(
                f"{first}figures/{name}.pdf holds another figure already, drawn there: give this"
                f' one a name of its own, {draw.__name__}(..., name="...")'
            )
        path = ROOT / "figures" / f"{name}.pdf"
        path.parent.mkdir(exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}")  # whole or not at all
        new.write_bytes(pdf)
        new.replace(path)
        # Some classes load xkeyval, which without the last comma claims commas for itself.
        command = rf"\includegraphics[alt={{{tex.text(alt)}}},]{{figures/{path.name}}}"
        return _included(command, name)

    return include


def unprinted() -> list[str]:
    """Return a line, with its place, for each figure of this run that was never printed."""
    return [
        f"{place}the figure {name!r} is drawn but not printed, so the paper lacks it: print what"
        r" the call returns, print(...) or \py{...}"
        for name, place in _unprinted.items()
    ]


results.checks.append(unprinted)


def _included(text: str, name: str) -> Included:
    included = Included(text)
    included.name = name
    _unprinted[name] = results.block()
    return included


def _pdf(
    draw: Callable[..., Drawn | str], args: tuple, kwargs: dict, font: bytes
) -> tuple[bytes, str]:
    import matplotlib.pyplot as plt

    with _style(font), _no_missing_glyphs():
        drawn = draw(*args, **kwargs)
        if isinstance(drawn, str):
            return b"", drawn
        fig, alt = drawn
        file = io.BytesIO()
        # Without a date, the same results give the same file.
        fig.savefig(file, format="pdf", metadata={"CreationDate": None})
        plt.close(fig)
    return file.getvalue(), alt


@contextmanager
def _no_missing_glyphs() -> Iterator[None]:
    """Yield, and raise ValueError if text inside has a character that no font has.

    Matplotlib would warn and draw a box.
    """
    import matplotlib.pyplot as plt
    from matplotlib.text import Text

    with warnings.catch_warnings():
        warnings.filterwarnings("error", r"Glyph \d+", UserWarning)
        try:
            yield
        except UserWarning as warning:
            if not (found := re.match(r"Glyph (\d+)", str(warning))):
                raise
            character = chr(int(found[1]))
            figures = [plt.figure(number) for number in plt.get_fignums()]
            texts = [text.get_text() for fig in figures for text in fig.findobj(Text)]
            plt.close("all")
            where = next((f" in {text!r}" for text in texts if character in text), "")
            raise ValueError(
                f"no font of the figures has {character!r} (U+{ord(character):04X}){where}: write"
                " it in other letters, or add a font that has it to FALLBACK in literate/drawing.py"
            ) from None


@contextmanager
def _style(font: bytes) -> Iterator[None]:
    """Yield with the paper's style set, for drawing and for saving.

    Matplotlib reads the style again when it saves a figure.
    """
    import matplotlib

    matplotlib.use("Agg")  # no window, whoever runs this
    import matplotlib.pyplot as plt

    families = [*([fonts.load(font)] if font else []), *FALLBACK]
    # Start from matplotlib's defaults, whatever a matplotlibrc or a block has set.
    with plt.style.context([STYLE, {"font.family": families}], after_reset=True):
        yield


def _warn_of_settings() -> None:
    """Warn of rcParams that a block has set, since the paper's figures ignore them."""
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None or not hasattr(matplotlib, "rcParamsOrig"):
        return
    now, first = matplotlib.rcParams, matplotlib.rcParamsOrig
    changed = [n for n, value in dict.items(first) if repr(dict.get(now, n)) != repr(value)]
    if changed := sorted(n for n in changed if not n.startswith(("backend", "interactive"))):
        message = f"figures do not show rcParams of a block ({', '.join(changed)}): set them in"
        warnings.warn(f"{message} pycode/{STYLE.name}", stacklevel=4)


@cache
def font() -> bytes:
    """Return Latin Modern Roman, the font of paper.tex, from TeX's trees.

    The result is empty if the font is not there.
    """
    command = ["kpsewhich", "lmroman10-regular.otf"]
    file = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if not file:
        return b""
    call = delayed(fonts.to_truetype)(Path(file).read_bytes())
    return compute([call], also=version("fonttools"), alone=True)[0]


def panels(
    width: str | float,
    fontsize: str | float = 10,
    *,
    rows: int = 1,
    columns: int = 1,
    height: float,
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `rows` times `columns` panels, row by row, as wide as the text.

    `width` and `fontsize`, that of the text around the figure, are in TeX's points, and `height` is
    in inches.
    """
    import matplotlib
    import matplotlib.pyplot as plt

    style = matplotlib.rc_params_from_file(STYLE, use_default_template=False)
    scale = points(fontsize) / 10
    plt.rcParams.update({name: max(style[name] * scale, SMALLEST) for name in TEXT})
    fig, axes = plt.subplots(rows, columns, figsize=(inches(width), height), squeeze=False)
    return fig, list(axes.flat)


def inches(width: str | float) -> float:
    """Convert a width in TeX's points, such as "441.0pt", to inches."""
    return points(width) / POINTS_PER_INCH


def points(length: str | float) -> float:
    """Return a length as TeX writes it, such as "441.0pt", as a number."""
    return float(str(length).removesuffix("pt"))


def draw_estimates(
    ax: Axes, x: Sequence[float], estimates: Iterable[Estimate], **line: Any
) -> None:
    """Draw estimates at `x`, with their intervals."""
    y = list(estimates)
    # After rounding, an end may lie beyond the estimate, which errorbar rejects.
    ends = [[max(0, e - e.low) for e in y], [max(0, e.high - e) for e in y]]
    ax.errorbar(x, y, yerr=ends, **line)


def logarithmic(ax: Axes, axis: Literal["x", "y"] = "x") -> None:
    """Give an axis a logarithmic scale with plain numbers."""
    from matplotlib.ticker import FuncFormatter

    getattr(ax, f"set_{axis}scale")("log")
    getattr(ax, f"{axis}axis").set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
    ax.minorticks_off()
    ax.grid(axis="y")


def in_percent(*axes: Axis) -> None:
    """Write the numbers of axes, which are shares, in percent, without its sign."""
    from matplotlib.ticker import FuncFormatter

    for axis in axes:
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))


def colours(n: int) -> list[str]:
    """Return the first `n` colours of the paper's style."""
    import matplotlib.pyplot as plt

    return plt.rcParams["axes.prop_cycle"].by_key()["color"][:n]


def markers(n: int) -> list[str]:
    """Return `n` markers, the first eight of them different."""
    return [("o", "s", "^", "D", "v", "P", "X", "*")[i % 8] for i in range(n)]
