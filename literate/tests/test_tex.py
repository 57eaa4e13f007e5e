"""What is formatted is exact: groups of values and the strings they become."""

import math
import re
import subprocess
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from literate import tex
from pycode.inference import Estimate

DECIMALS = {
    "integers stay whole": [(0, 4, "0"), (1200, 4, "1200"), (-3, 1, "-3"), (np.int64(7), 4, "7")],
    "others have their digits": [(0.93, 4, "0.9300"), (1.0, 2, "1.00"), (12.5, 0, "12")],
    "numpy's floats too": [(np.float64(0.25), 3, "0.250"), (np.float32(0.5), 1, "0.5")],
    "the stored value is rounded": [(0.125, 2, "0.12"), (0.375, 2, "0.38"), (2.675, 2, "2.67")],
    "no negative zero": [(-0.0, 4, "0.0000"), (-0.00005001, 4, "-0.0001")],
    "no large exponents": [(1e15, 1, "1000000000000000.0")],
    "nothing but zero is zero": [
        *((0.0, 4, "0.0000"), (1e-5, 4, "1e-5"), (-1e-5, 4, "-1e-5"), (3.2e-9, 4, "3.2e-9")),
        *((-0.00046, 3, "-0.00046"), (0.4, 0, "0.4"), (6.12e-17, 4, "6.1e-17")),
        *((5e-324, 8, "4.9e-324"), (np.float32(1e-10), 2, "1e-10"), (0.00049999, 3, "0.0005")),
    ],
}


@pytest.mark.parametrize(
    ("value", "digits", "text"), [case for group in DECIMALS.values() for case in group]
)
def test_decimal(value, digits, text):
    assert tex.decimal(value, digits) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_decimal_is_the_nearest(value, digits):
    exact = Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    if not exact:
        exact = Context(prec=2, rounding=ROUND_HALF_EVEN, Emin=-999).create_decimal(value)
    assert Decimal(tex.decimal(value, digits)) == exact
    assert not re.fullmatch(r"-0(\.0*)?", tex.decimal(value, digits))


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1e6),
    st.integers(0, 8),
)
def test_only_zero_is_printed_as_zero(value, sd, digits):
    estimate = Estimate(value, value - sd, value + sd)
    for shown, numbers in (
        (tex.num(value, digits), [value]),
        (tex.pm(value, sd, digits), [value, sd]),
        (tex.bounds(estimate, digits), [estimate.low, estimate.high]),
        (tex.interval(estimate, digits), [value, estimate.low, estimate.high]),
    ):
        printed = re.findall(r"(?:\{|\+- )(-?[\d.]+(?:e-[1-9]\d*)?)", shown)
        assert [float(number) == 0 for number in printed] == [number == 0 for number in numbers]
        assert all(float(one) * other >= 0 for one, other in zip(printed, numbers, strict=True))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.nan])
def test_what_is_not_finite_is_refused(value):
    for form in (tex.decimal, tex.num):
        with pytest.raises(ValueError, match="not a result"):
            form(value)
    with pytest.raises(ValueError, match=r"not a result|cannot be negative"):
        tex.pm(0.5, value)


@pytest.mark.parametrize("value", [True, "0.5", None, 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="a number is needed"):
        tex.decimal(value)


def test_negative_deviation_is_refused():
    with pytest.raises(ValueError, match="cannot be negative"):
        tex.pm(0.5, -0.1)


TEXTS = {
    "random_forest": r"random\_forest",
    "50 % & #1 $x$": r"50 \% \& \#1 \$x\$",
    r"a\b{c}": r"a\textbackslash{}b\{c\}",
    "~^": r"\textasciitilde{}\textasciicircum{}",
    "é": "é",
    'say "a"': 'say "{}a"{}',
}


@pytest.mark.parametrize(("plain", "escaped"), TEXTS.items())
def test_text_is_escaped_once(plain, escaped):
    assert tex.text(plain) == escaped
    assert tex.text(tex.text(plain)) == escaped


@pytest.mark.parametrize(
    ("items", "text"), [([1], "1"), (["a", "b"], "a and b"), ((1, 2, 3), "1, 2 and 3")]
)
def test_series(items, text):
    assert tex.series(items) == text


def test_table_whole():
    rows = [["a_b", 12, -0.5, (0.25, 0.125)], ["c", 3, 10.25, (0.5, 0.0)]]
    assert tex.table(["model", "n", "x", "CV"], rows, digits=2) == "\n".join(
        [
            r"\begin{tabular}{@{}lS[table-format=2.0]S[table-format=-2.2]c@{}}",
            r"\toprule",
            r"{model} & {n} & {x} & {CV} \\",
            r"\midrule",
            r"a\_b & 12 & -0.50 & \num{0.25 +- 0.12} \\",
            r"c & 3 & 10.25 & \num{0.50 +- 0.00} \\",
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def test_small_numbers_have_room_in_their_column():
    rows = [
        ["a", 0.5, 1e-5, (0.5, 0.1)],
        ["b", -3.2e-12, 12.0, (0.5, 3.2e-9)],
        ["c", 0.0, 0.0, (0, 0)],
    ]
    lines = tex.table(["", "x", "y", "z"], rows).splitlines()
    assert lines[0] == (r"\begin{tabular}{@{}lS[table-format=-1.4e-2]S[table-format=2.4e-1]c@{}}")
    assert lines[4:7] == [
        r"a & 0.5000 & 1e-5 & \num{0.5000 +- 0.1000} \\",
        r"b & -3.2e-12 & 12.0000 & \num{0.5000} $\pm$ \num{3.2e-9} \\",
        r"c & 0.0000 & 0.0000 & \num{0 +- 0} \\",
    ]


def test_headings_are_text_with_mathematics():
    rows = [[1, 2, 3, 4, 5]]
    header = ["validation_acc", "50 % & more", "$p_1$ of a_b", tex.TeX(r"\textbf{x}"), "US$"]
    assert tex.table(header, rows).splitlines()[2] == (
        r"{validation\_acc} & {50 \% \& more} & {$p_1$ of a\_b} & {\textbf{x}} & {US\$} \\"
    )


@pytest.mark.parametrize("engine", ["pdflatex", "lualatex"])
def test_what_is_printed_is_set(tmp_path, engine):
    # As ngerman does, and only where it is installed.
    shorthand = r'\useshorthands{"}\defineshorthand{"a}{umlaut}'
    fonts = r"\usepackage[T1]{fontenc}\usepackage{lmodern}" * (engine == "pdflatex")
    said, quoted = tex.text('say "a"'), '"a"'
    rows = [["a_b", 0.5, (0.5, 3.2e-9)], [quoted, -3.2e-12, (0.25, 0.125)]]
    lines = [
        r"\documentclass{article}" + fonts,
        r"\usepackage[english]{babel}\usepackage{booktabs,siunitx,graphicx,hyperref}" + shorthand,
        r"\begin{document}\tableofcontents\section{" + said + r"}",
        tex.table(["validation_acc", "$x_1$", '"a" %'], rows),
        rf"\par {tex.code(quoted)} {tex.bounds(Estimate(0.5, 0.00046, 0.9))} {tex.num(1e-5)}",
        r"\end{document}",
    ]
    (tmp_path / "a.tex").write_text("\n".join(lines), encoding="utf-8")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    shown = subprocess.run(
        ["pdftotext", "-raw", "a.pdf", "-"], cwd=tmp_path, capture_output=True, check=True
    )
    page = " ".join(shown.stdout.decode().replace("\u201d", '"').split())
    page = page.replace("\u00d7", "x").replace("\u2212", "-")
    assert "umlaut" not in page
    assert page.count('say "a"') == 2
    for part in ("validation_acc", '"a" %', "3.2 x 10-9", "3.2 x 10-12", "0.000 46", "1 x 10-5"):
        assert part in page
    outline: list[Any] = pypdf.PdfReader(tmp_path / "a.pdf").outline
    assert [entry["/Title"] for entry in outline] == ['say "a"']


def test_estimates_have_their_intervals():
    known, unknown = Estimate(0.93, 0.9007, 0.9511, 400), Estimate(0.93)
    assert tex.interval(known) == r"\num{0.9300} [\num{0.901}, \num{0.951}]"
    assert tex.interval(known, 2) == r"\num{0.93} [\num{0.90}, \num{0.95}]"
    assert tex.interval(known, 0) == r"\num{1} [\num{1}, \num{1}]"
    assert tex.interval(unknown, 2) == r"\num{0.93}"
    rows = [["a", known, (known, 0.01)], ["b", unknown, (unknown, 0.01)]]
    assert tex.table(["", "x", "y"], rows, digits=2).splitlines()[4:6] == [
        r"a & \num{0.93} [\num{0.90}, \num{0.95}]"
        r" & \num{0.93 +- 0.01} [\num{0.90}, \num{0.95}] \\",
        r"b & \num{0.93} & \num{0.93 +- 0.01} \\",
    ]


def test_shares_in_percent_keep_their_intervals_and_samples():
    share = tex.percent(Estimate(0.25, 0.125, 0.5, 8))
    assert (share, share.low, share.high, share.n) == (25, 12.5, 50, 8)
    assert tex.table(["x"], [[share]], digits=1).splitlines()[4] == (
        r"\num{25.0} [\num{12.5}, \num{50.0}] \\"
    )
    for bare in (tex.percent(0.5), tex.percent(Estimate(0.5))):
        assert tex.interval(bare, 1) == r"\num{50.0}"
    assert tex.num(tex.percent(-0.0125), 2) == r"\num{-1.25}"


def test_what_is_infinite_stands_in_a_table_as_such():
    lines = tex.table(["a", "b"], [[1.5, math.inf], [-math.inf, math.inf]], digits=1).splitlines()
    assert lines[0] == r"\begin{tabular}{@{}S[table-format=1.1]S[table-format=1.0]@{}}"
    assert lines[4:6] == [r"1.5 & {$\infty$} \\", r"{$-\infty$} & {$\infty$} \\"]


def test_table_with_a_row_too_short_is_refused():
    with pytest.raises(ValueError, match="2 headings for the 1 cells"):
        tex.table(["a", "b"], [[1, 2], [3]])


def test_table_without_rows_is_refused():
    with pytest.raises(ValueError, match="a table of a, b has no rows"):
        tex.table(["a", "b"], [])
