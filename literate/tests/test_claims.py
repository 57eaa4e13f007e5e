"""A claim that its results do not support is named, struck and fails the build; others pass."""

import ast
import itertools
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from literate import claims, results
from literate.testing import ROOT, Paper, quicken, red_rules


def entry(value, interval=None, n=None) -> dict:
    return {"value": value, "interval": interval, "n": n}


RESULTS = {
    "svm.test": entry(0.93, [0.9, 0.95], 400),
    "mlp.test": entry(0.95),
    "curve.10": entry(3),
    "name": entry("SVM"),
}


@pytest.mark.parametrize(
    "condition",
    [
        "svm.test < mlp.test",
        "mlp.test - svm.test > 0.01 and not svm.test > mlp.test",
        "svm.test.low >= 0.9 and svm.test.high <= 0.95 and svm.test.n == 400",
        'name == "SVM" or name == "svm.test"',
        "curve.10 == 3 and 2 < curve.10 <= 3",
        "abs(svm.test - mlp.test) < 3e-2",
        "max(svm.test, mlp.test) == mlp.test",
        "name in ('SVM', 'MLP')",
        "-svm.test / 2 < 0",
    ],
)
def test_conditions_that_hold(condition):
    assert claims.check(condition, RESULTS) == ""


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("svm.test > mlp.test", "svm.test = 0.93 > mlp.test = 0.95 is false"),
        ("curve.10 > 3", "curve.10 = 3 > 3 is false"),
        ("name == 'MLP'", "name = 'SVM' == 'MLP' is false"),
        ("svm.tests > 1", "no result is called svm.tests; near it: svm.test"),
        ("mlp.test.low > 0", "no result is called mlp.test.low"),
        ("svm.test", "svm.test = 0.93 cannot be checked: this is neither true nor false"),
        ("name > 1", "cannot be checked: '>' not supported"),
        ("svm.test >", "cannot be checked: invalid syntax"),
        ("svm.test / 0 > 1", "division by zero"),
        ("[x for x in (1, 2)] == 1", "no result is called x"),
        ("(lambda: 1)() > 0", "no result is called lambda"),
        ("'a'.upper() == name", "cannot be checked: Call may not stand in a claim"),
        ("svm.test > 0 & mlp.test > 0", "cannot be checked: BinOp may not stand in a claim"),
        ("svm.test and mlp.test > 0", "cannot be checked: this is neither true nor false"),
        ("not 0 * svm.test", "cannot be checked: this is neither true nor false"),
        ("1 > 0", "cannot be checked: a comparison without a result says nothing"),
        ("svm.test > 0 and 'b' > 'a'", "cannot be checked: a comparison without a result"),
        ("name in 'SVMs'", "cannot be checked: only after in, and always there, stands a list"),
        ("(mlp.test, 1) > (svm.test, 2)", "cannot be checked: Tuple may not stand in a claim"),
        ("mlp.test.n != 400", "no result is called mlp.test.n"),
        ("_0 > 0", "no result is called _0"),
        ("svm.test > 0 # and svm.test > 2", "cannot be checked: # may not stand in a claim"),
        ("min() < svm.test", "cannot be checked: min expected at least 1 argument"),
        ("not " * 3000 + "svm.test > 2", "cannot be checked: maximum recursion depth"),
        ("\u00e9 < svm.test", "cannot be checked: Name may not stand in a claim"),
    ],
)
def test_conditions_that_do_not_hold_or_are_none(condition, why):
    assert why in claims.check(condition, RESULTS)


numbers = st.floats(-10, 10, allow_nan=False).map(lambda x: round(x, 3))


@given(numbers, numbers, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_comparisons_are_pythons(a, b, sign):
    found = claims.check(f"a.x {sign} b.y", {"a.x": entry(a), "b.y": entry(b)})
    assert (found == "") == eval(f"{a} {sign} {b}")


CLAIMS = r"""
\title{\claim{rows.logistic.test > 0.1}{In the title}}
\begin{abstract}
\claim{rows.logistic.test < 1.5}{In the abstract, with \interval{rows.logistic.test}.}
\end{abstract}
"""


@pytest.fixture(scope="module")
def built_claiming(built_small: Paper, tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """A built paper with claims in many places; tests copy it."""
    folder = tmp_path_factory.mktemp("claiming") / "paper"
    shutil.copytree(built_small.folder, folder, symlinks=True)
    small = Paper(folder)
    small.edit("paper.tex", r"\maketitle", CLAIMS + r"\maketitle\pagestyle{headings}")
    macros = r"\input{literate/macros}"
    small.edit("paper.tex", macros, macros + r"\usepackage{hyperref}")
    small.edit(
        "paper.tex",
        "The second page.",
        "\\section{\\claim{rows.logistic.n_bytes > 0}{In a heading}}\n"
        "Text\\footnote{\\claim{rows.logistic.train > 0}{In a footnote}} and\n"
        "\\begin{table}\\caption{\\claim{rows.logistic.cv > 0}{In a caption}}\\end{table}\n"
        "\\claim{rows.logistic.test\n > 0 and\n rows.logistic.test < 2}"
        "{over several lines, \\citep[vol.~27]{Knuth1984}\\footnote{A note.} of \\SI{3}{\\m}}\n"
        "\\input{parts/more}",
    )
    part = "\n\\claim{rows.logistic.cv < 2}{In another file}.\n"
    (small.folder / "parts").mkdir()
    (small.folder / "parts/more.tex").write_text(part)
    build = small.build()
    assert build.code == 0, build.output
    return small


@pytest.fixture
def claiming(built_claiming: Paper, tmp_path: Path) -> Paper:
    shutil.copytree(built_claiming.folder, tmp_path / "paper", symlinks=True)
    return Paper(tmp_path / "paper")


def test_claims_that_hold_are_set_as_text(claiming):
    text = " ".join(claiming.pages())
    places = ("title", "abstract", "heading", "footnote", "caption", "another file")
    for place in places:
        assert re.search(f"In (the |a |an )?{place}", text)
    assert "over several lines, [1, vol. 27]" in text
    assert "IN A HEADING" in text
    outline: list[Any] = pypdf.PdfReader(claiming.folder / "paper.pdf").outline
    assert [entry.title for entry in outline] == ["In a heading"]
    recorded = json.loads(claiming.read("results.json"))
    assert recorded["paper.n_claims"]["value"] == 7
    assert claiming.build().rules == []


FALSE = [  # in each place: the file, the claim, and another that does not hold
    ("paper.tex", "rows.logistic.test > 0.1", "rows.logistic.test > 2"),
    ("paper.tex", "rows.logistic.train > 0", "rows.logistic.train > 10"),
    (
        "paper.tex",
        "rows.logistic.test\n > 0 and\n rows.logistic.test < 2",
        "rows.logistic.test > 3",
    ),
    ("parts/more.tex", "rows.logistic.cv < 2", "rows.logistic.cv > 20"),
]
UNKNOWN = ("paper.tex", "rows.logistic.cv > 0", "rows.logistik.cv > 0")


def test_false_claims_fail_the_build_and_are_struck(claiming):
    record = claiming.read("results.json")
    for edit in (*FALSE, UNKNOWN):
        claiming.edit(*edit)
    build = claiming.build("-f")
    assert build.code != 0
    page = claiming.pages()[0].replace(" ", "").replace("\N{MINUS SIGN}", "-")
    for file, _, claim in FALSE:
        where = f"{file}:{claiming.read(file).partition(claim)[0].count(chr(10)) + 1}"
        key, sign, number = claim.split()
        value = json.loads(record)[key]["value"]
        message = f"{where}: {key} = {value:.6g} {sign} {number} is false"
        assert message in build.output
        assert message.replace(" ", "") in page
    assert "no result is called rows.logistik.cv; near it: rows.logistic.cv" in build.output
    assert "??" not in " ".join(claiming.pages())  # all else is set as ever
    assert claiming.read("results.json") == record
    assert red_rules(claiming) >= len(FALSE)
    assert not re.search(r"^!", claiming.read("paper.log"), re.MULTILINE)
    for file, old, new in (*FALSE, UNKNOWN):
        claiming.edit(file, new, old)
    build = claiming.build()
    assert build.code == 0, build.output
    assert red_rules(claiming) == 0


def test_claims_are_counted_and_on_another_line_run_no_python(claiming):
    more = "Early: \\result{paper.n_claims} claims \\claim{rows.logistic.cv < 2}{again}."
    claiming.edit("paper.tex", "Early:", more)
    assert claiming.build().code == 0
    assert "Early: 8 claims" in " ".join(claiming.pages())
    claiming.edit("paper.tex", " \\claim{rows.logistic.cv < 2}{again}", "")
    assert claiming.build().code == 0
    assert "Early: 7 claims" in " ".join(claiming.pages())
    assert json.loads(claiming.read("results.json"))["paper.n_claims"]["value"] == 7
    assert claiming.build().rules == []
    written = (claiming.folder / "results.json").stat().st_mtime_ns
    claiming.edit("paper.tex", "Early:", "% a comment\n\nEarly:")
    build = claiming.build()
    assert build.code == 0
    assert "pdflatex" in build.rules
    assert (claiming.folder / "results.json").stat().st_mtime_ns == written


def test_named_claims_stand_anywhere_and_each_name_is_known_and_used(claiming):
    source = claiming.read("paper.tex")
    naming = """results.claims("rows.logistic",
    fits=[".test > 0.1", "max(.{test,cv}) <= 1"], odd=".test > 2", spare=".test > 0")
"""
    block = 'results.record("rows.logistic", score)\n'
    claiming.edit("paper.tex", block, block + naming)
    early = r"\claim{fits}{Named early,} \claim{odd}{oddly,} \claim{fitz}{wrongly.}"
    claiming.edit("paper.tex", "Early:", f"{early} Early:")
    build = claiming.build("-f")
    assert build.code != 0
    at = claiming.read("paper.tex").partition(early)[0].count("\n") + 1
    value = json.loads(claiming.read("results.json"))["rows.logistic.test"]["value"]
    assert f"paper.tex:{at}: odd: rows.logistic.test = {value:.6g} > 2 is false" in build.output
    assert f"paper.tex:{at}: fitz names no claim" in build.output
    assert "near it: fits" in build.output
    assert re.search(r"paper\.tex:\d+: no \\claim\{spare\} is in the text", build.output)
    naming = naming.replace(', odd=".test > 2", spare=".test > 0"', "")
    (claiming.folder / "paper.tex").write_text(
        source.replace(block, block + naming).replace(
            "Early:", r"\claim{fits}{Named early.} \claim{fits}{Again.} Early:"
        )
    )
    build = claiming.build()
    assert build.code == 0, build.output
    kept = json.loads(claiming.read("results.json"))["claims.fits"]["value"]
    assert kept == "rows.logistic.test > 0.1 and max(rows.logistic.test, rows.logistic.cv) <= 1"
    assert "Named early. Again." in " ".join(claiming.pages())


SEGMENTS = st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True)


@given(st.lists(st.lists(SEGMENTS, min_size=1, max_size=3), min_size=1, max_size=3), SEGMENTS)
def test_braces_and_prefixes_stand_for_all_their_keys(parts, prefix):
    short = "".join("." + (f"{{{','.join(some)}}}" if some[1:] else some[0]) for some in parts)
    whole = [".".join([prefix, *key]) for key in itertools.product(*parts)]
    assert claims.write_out(f"min({short}) > .5", prefix) == f"min({', '.join(whole)}) > .5"
    assert claims.write_out(f"{prefix} == '{short}'", prefix) == f"{prefix} == '{short}'"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Big": "x > 1"}, "Big cannot name a claim"),
        ({"small": ".x > 1"}, "begins with a dot, but the claims have no prefix"),
    ],
)
def test_names_and_keys_that_cannot_be_are_refused(monkeypatch, given, message):
    monkeypatch.setattr(results, "record", lambda *_, **__: None)
    with pytest.raises(ValueError, match=message):
        results.claims("", **given)


def test_a_name_is_given_once(monkeypatch):
    monkeypatch.setattr(results, "record", lambda *_, **__: None)
    monkeypatch.setattr(results, "_named", {})
    results.claims("a", large=".b > 1")
    with pytest.raises(ValueError, match="large names two claims"):
        results.claims("a", large=".b > 2")


def test_claims_with_an_output_directory(claiming):
    claiming.edit("paper.tex", "rows.logistic.train > 0", "rows.logistic.train > 10")
    build = claiming.build("-outdir=build")
    assert build.code != 0
    assert "is false" in build.output


def nested(results: dict) -> dict:
    """The results as Python objects, `a.b.c` for each key that Python can write so."""
    root = SimpleNamespace()
    for key, found in results.items():
        if key == "environment":
            continue
        at = root
        for part in key.split("."):
            name = f"_{part}" if part[0].isdigit() else part
            if not hasattr(at, name):
                setattr(at, name, SimpleNamespace())
            at = getattr(at, name)
        at.value = found["value"]
        if found["interval"]:
            at.low = SimpleNamespace(value=found["interval"][0])
            at.high = SimpleNamespace(value=found["interval"][1])
    return vars(root) | {"abs": abs, "min": min, "max": max}


def holds(condition: str, names: dict) -> bool:
    """Whether a condition holds, by another way than literate.claims: Python's own objects."""
    tree = ast.parse(
        re.sub(r"\.(\d)", r"._\1", re.sub(r"(?<![\w.])(\d+)\.(\d)", r"\1#\2", condition)).replace(
            "#", "."
        ),
        mode="eval",
    )

    class Value(ast.NodeTransformer):
        def visit_Attribute(self, node):
            return ast.Attribute(node, "value", ast.Load())

        def visit_Name(self, node):
            if node.id in {"abs", "min", "max"}:
                return node
            return ast.Attribute(node, "value", ast.Load())

    code = compile(ast.fix_missing_locations(Value().visit(tree)), "claim", "eval")
    try:
        return eval(code, {}, names)
    except (AttributeError, NameError, TypeError):
        return False


CLAIM = re.compile(r"\\claim\{([^{}]*)\}")
NAMING = re.compile(r"^results\.claims\(.*?\)$", re.DOTALL | re.MULTILINE)


def conditions(source: str) -> dict[str, str]:
    """Each condition that a claim gives or names, as claims.check reads it."""
    found = {c: c for c in CLAIM.findall(source)}

    def note(prefix: str, **named: str | list[str]) -> None:
        for name, some in named.items():
            some = [some] if isinstance(some, str) else some
            found[name] = " and ".join(claims.write_out(c, prefix) for c in some)

    for call in NAMING.findall(source):
        exec(call, {"results": SimpleNamespace(claims=note)})
    return found


CHANGES = [  # of the shipped study: labels are shuffled, the SVM is removed, the seed is another
    ("pycode/data.py", "made.X, made.y,", "made.X, np.random.default_rng(0).permutation(made.y),"),
    ("pycode/models.py", '        "SVM": SVC(kernel="rbf", random_state=seed),\n', ""),
    ("paper.tex", "\nseed = 42\n", "\nseed = 43\n"),
]


def test_the_shipped_paper_names_exactly_the_claims_that_no_longer_hold(tmp_path: Path):
    paper = Paper(ROOT).copy(tmp_path / "paper")
    quicken(paper)
    paper.edit("paper.tex", "n_samples=2000", "n_samples=400")
    for change in CHANGES:
        paper.edit(*change)
    build = paper.build()
    assert build.code != 0
    lines = paper.read("paper.tex").splitlines()
    named = dict(
        re.findall(r"^(paper\.tex:\d+): .*(is false|cannot be|no result)", build.output, re.M)
    )
    assert {"is false", "no result"} <= set(named.values())

    known = conditions(paper.read("paper.tex"))
    neutral = CLAIM.sub(r"\\claim{alpha > 0}", NAMING.sub("", paper.read("paper.tex")))
    (paper.folder / "paper.tex").write_text(neutral, encoding="utf-8")
    paper.build()
    names = nested(json.loads(paper.read("results.json")))
    false = {
        f"paper.tex:{number}"
        for number, line in enumerate(lines, start=1)
        for condition in CLAIM.findall(line.partition("%")[0] if line[:1] == "%" else line)
        if not holds(known[condition], names)
    }
    assert set(named) == false
    assert len(false) > 3


CONDITIONS = list(conditions((ROOT / "paper.tex").read_text(encoding="utf-8")).values())
COMMITTED = json.loads((ROOT / "results.json").read_text(encoding="utf-8"))
COMPARED = {k: found for k, found in COMMITTED.items() if any(k in c for c in CONDITIONS)}


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_the_claims_of_the_shipped_paper_are_checked_as_python_would(random):
    results = {}
    for key, found in COMPARED.items():
        if random.random() < 0.05:
            continue
        value = found["value"]
        if not isinstance(value, str):
            value *= random.choice((0.5, 1, 1, 2))
        results[key] = {**found, "value": value}
    told = {condition: claims.check(condition, results) == "" for condition in CONDITIONS}
    names = nested(results)
    assert told == {condition: holds(condition, names) for condition in CONDITIONS}
