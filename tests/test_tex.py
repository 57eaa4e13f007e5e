"""What is formatted is exact: groups of values and the strings they become."""

import math
import re
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycode import tex
from pycode.inference import Estimate

DECIMALS = {
    "integers stay whole": [(0, 4, "0"), (1200, 4, "1200"), (-3, 1, "-3"), (np.int64(7), 4, "7")],
    "others have their digits": [(0.93, 4, "0.9300"), (1.0, 2, "1.00"), (12.5, 0, "12")],
    "numpy's floats too": [(np.float64(0.25), 3, "0.250"), (np.float32(0.5), 1, "0.5")],
    "the stored value is rounded": [(0.125, 2, "0.12"), (0.375, 2, "0.38"), (2.675, 2, "2.67")],
    "no negative zero": [(-0.0, 4, "0.0000"), (-0.00001, 4, "0.0000"), (-0.00005001, 4, "-0.0001")],
    "no exponents": [(1e-20, 4, "0.0000"), (1e15, 1, "1000000000000000.0")],
}


@pytest.mark.parametrize(
    ("value", "digits", "text"), [case for group in DECIMALS.values() for case in group]
)
def test_decimal(value, digits, text):
    assert tex.decimal(value, digits) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_decimal_is_the_nearest(value, digits):
    exact = Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    assert Decimal(tex.decimal(value, digits)) == exact
    assert not re.fullmatch(r"-0(\.0*)?", tex.decimal(value, digits))


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
