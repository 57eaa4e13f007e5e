"""Python values as LaTeX: numbers, text and tables, without any data."""

import math
import re
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import TypeGuard, cast

from literate.estimate import Estimate

BOUND_DIGITS = 3  # that bounds of intervals have at most

Cell = str | float | Estimate | tuple[float, float]


class TeX(str):
    """Text that is already LaTeX and is not escaped again."""


# Order matters: the backslash first, or it would escape the escapes.
_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{char: "\\" + char for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    '"': '"{}',  # in German, say, babel makes "a an umlaut: an empty argument stops it
}
_TRANSLATION = str.maketrans(_SPECIAL)


def text(value: object) -> TeX:
    r"""Return the text of `value` with LaTeX's special characters escaped.

    >>> text("50 % of a_b")
    '50 \\% of a\\_b'
    """
    return value if isinstance(value, TeX) else TeX(str(value).translate(_TRANSLATION))


def code(value: object) -> TeX:
    r"""Return the text of `value` in a typewriter face, with runs of white space as single spaces.

    >>> code("f(a_b,\n  1)")
    '\\texttt{f(a\\_b, 1)}'
    """
    return TeX(rf"\texttt{{{text(' '.join(str(value).split()))}}}")


def decimal(value: float, digits: int = 4) -> str:
    """Return the number as plain digits: integers whole, others with `digits` decimals.

    Rounds the stored binary value to the nearest, ties to even.  A number that is not zero but
    would be rounded to zero has two significant digits instead, so that only a zero is printed as
    one.  Raises ValueError for NaN and infinities, TypeError for anything that is not a number.

    >>> decimal(0.93), decimal(0.0), decimal(-0.000023), decimal(1200)
    ('0.9300', '0.0000', '-2.3e-5', '1200')
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"a number is needed here, not {value!r}")
    if isinstance(value, Integral):
        return str(int(value))
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a result that can be printed")
    shown = f"{float(value):z.{digits}f}"
    if value and not float(shown):
        shown = re.sub(r"e-0*", "e-", f"{float(value):.2g}")
    return shown


def num(value: float, digits: int = 4) -> TeX:
    r"""Return the number as siunitx's `\num{...}`.

    >>> num(0.5, 2)
    '\\num{0.50}'
    """
    return TeX(rf"\num{{{decimal(value, digits)}}}")


def pm(mean: float, sd: float, digits: int = 4) -> TeX:
    r"""Return mean and standard deviation as `\num{mean +- sd}`, with the interval if there is one.

    Raises ValueError for a negative `sd`.

    >>> pm(0.6967, 0.0223)
    '\\num{0.6967 +- 0.0223}'
    """
    if sd < 0:
        raise ValueError(f"a standard deviation cannot be negative, as {sd} is")
    numbers = [decimal(number, digits) for number in (mean, sd)]
    shown = TeX(rf"\num{{{' +- '.join(numbers)}}}")
    if "e" in "".join(numbers):  # siunitx knows one exponent, behind both
        shown = TeX(r" $\pm$ ".join(rf"\num{{{number}}}" for number in numbers))
    return TeX(f"{shown} {bounds(mean, digits)}") if _has_bounds(mean) else shown


def percent(value: float) -> Estimate:
    r"""Return a share in percent, with its interval if it has one.

    >>> interval(percent(Estimate(0.93, 0.9007, 0.9511)), 1)
    '\\num{93.0} [\\num{90.1}, \\num{95.1}]'
    """
    if not isinstance(value, Estimate):
        return Estimate(100 * value)
    return Estimate(100 * value, 100 * value.low, 100 * value.high, value.n)


def p_value(p: float) -> TeX:
    r"""Return a p-value with three decimals, or state that it is below what they can show.

    >>> p_value(0.0411), p_value(1e-9)
    ('\\num{0.041}', '$<\\num{0.001}$')
    """
    return TeX(rf"$<{num(0.001, 3)}$") if p < 0.001 else num(p, 3)


def bounds(estimate: Estimate, digits: int = 4) -> TeX:
    r"""Return the interval of an estimate, in brackets and with at most three digits.

    >>> bounds(Estimate(0.93, 0.9007, 0.9511))
    '[\\num{0.901}, \\num{0.951}]'
    """
    low, high = (num(bound, min(BOUND_DIGITS, digits)) for bound in (estimate.low, estimate.high))
    return TeX(f"[{low}, {high}]")


def interval(estimate: Estimate, digits: int = 4) -> TeX:
    r"""Return the estimate and, with at most three digits, its interval if it has one.

    >>> interval(Estimate(0.93, 0.9007, 0.9511))
    '\\num{0.9300} [\\num{0.901}, \\num{0.951}]'
    """
    shown = num(estimate, digits)
    return TeX(f"{shown} {bounds(estimate, digits)}") if _has_bounds(estimate) else shown


def setting(value: object) -> TeX:
    """Return a parameter as a person writes it: a number at its shortest, a tuple as a list.

    >>> setting((128, 64)), setting(0.0001)
    ('128, 64', '0.0001')
    """
    items = value if isinstance(value, tuple) else (value,)
    return TeX(", ".join(f"{v:g}" if isinstance(v, float) else text(v) for v in items))


def series(items: Iterable[object]) -> str:
    """Return the items as a list within a sentence.

    >>> series(["a", "b", "c"])
    'a, b and c'
    """
    *head, last = [str(item) for item in items]
    return f"{', '.join(head)} and {last}" if head else last


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]], digits: int = 4) -> str:
    """Return a complete booktabs `tabular` with a line for each row.

    Headings and strings are set as text, unless they are TeX or, in a heading, between two dollar
    signs.  Numbers are set in siunitx columns aligned at the decimal marker, and estimates with
    their intervals.  Pairs are set as mean and standard deviation, with the interval of the mean if
    it has one.  The first row decides which of these a column is.  Raises ValueError if there are
    no rows, or if a row differs in length from the header.
    """
    rows = [list(row) for row in rows]
    if not rows:
        raise ValueError(f"a table of {', '.join(header)} has no rows")
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"{len(header)} headings for the {len(row)} cells of {row}")
    columns = zip(*rows, strict=True)
    lines = [
        r"\begin{tabular}{@{}" + "".join(_column(cells, digits) for cells in columns) + "@{}}",
        r"\toprule",
        _line(f"{{{_heading(heading)}}}" for heading in header),
        r"\midrule",
        *(_line(_cell(cell, digits) for cell in row) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def _has_bounds(value: float) -> TypeGuard[Estimate]:
    return isinstance(value, Estimate) and not math.isnan(value.low)


def _heading(heading: str) -> str:
    """Return a heading with its text escaped and its mathematics unchanged."""
    if isinstance(heading, TeX):
        return heading
    parts = re.split(r"(\$[^$]+\$)", heading)
    return "".join(part if n % 2 else text(part) for n, part in enumerate(parts))


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell, digits: int) -> str:
    if isinstance(cell, str):
        return text(cell)
    if isinstance(cell, tuple):
        return pm(*cell, digits)
    if isinstance(cell, Estimate):
        return interval(cell, digits)
    if math.isinf(cell):
        return rf"{{${'-' * (cell < 0)}\infty$}}"
    return decimal(cell, digits)


def _column(cells: Sequence[Cell], digits: int) -> str:
    """Return the column type that fits all of the cells."""
    if isinstance(cells[0], str):
        return "l"
    if isinstance(cells[0], tuple):
        return "c"
    if isinstance(cells[0], Estimate):
        return "r"
    shown = [_cell(cell, digits) for cell in cells if not math.isinf(cast(float, cell))]
    sign = "-" if any(number.startswith("-") for number in shown) else ""
    parts = [number.lstrip("-").partition("e-") for number in shown]
    numbers = [number.partition(".") for number, _, _ in parts]
    whole = max((len(before) for before, _, _ in numbers), default=1)
    decimals = max((len(after) for _, _, after in numbers), default=0)
    exponent = max((len(power) for _, _, power in parts), default=0)
    scale = f"e-{exponent}" if exponent else ""
    return f"S[table-format={sign}{whole}.{decimals}{scale}]"
