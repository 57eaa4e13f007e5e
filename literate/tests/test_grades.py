"""A grade means the same in every form, whatever a submission has written."""

import csv
import io
import json
import re
import subprocess
import unicodedata
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from literate.course import grades
from literate.course.grades import Grade, Outcome
from literate.testing import ROOT

WIDE = "\N{FULLWIDTH EQUALS SIGN}"
RUNNER = {
    "CLASSROOM": "ml",
    "ASSIGNMENT": "lab",
    "ASSIGNMENT_TYPE": "individual",
    "OWNER": "ada",
    "USERNAME": "ada",
    "SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b2c3d",
    "COMMIT_URL": "https://host/commit/a1b2c3d",
    "RELEASE_URL": "https://host/releases/1",
    "REVIEW_URL": "https://host/compare/1...2",
}
ERROR = "Traceback (most recent call last):\n  File 'lab.py', line 3\nNotImplementedError"
ADA = Grade(
    "ada",
    (
        Outcome("load", "Load a data set", "it has 150 rows", 2, True, "150", "150", "", False),
        Outcome("load", "Load a data set", "the mean", 3, False, "0.93", ERROR, "mean()", False),
        Outcome("model", "Add a model", "its F1 score", 5, False, "0.9", "0.1", "seed 7", True),
        Outcome("panel", "Draw a panel", "its axes", 0, False, "time", "", "", False),
    ),
    ("latexmkrc is not ours", "the network was not cut"),
    12.34,
)

# Letters, control characters, half characters, what Markdown and HTML read, and much of it.
texts = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=40),
    st.text("`-+=@#|<>&\n\r\t\0\x1b\ud800 a", max_size=30),
    st.builds(lambda text, times: text * times, st.text(min_size=1), st.sampled_from([1, 3000])),
)
outcomes = st.builds(
    Outcome,
    exercise=st.sampled_from(["load", "model", "panel"]),
    title=texts,
    name=texts,
    points=st.integers(0, 20),
    passed=st.booleans(),
    expected=texts,
    found=texts,
    hint=texts,
    hidden=st.booleans(),
)
any_grade = st.builds(
    Grade,
    login=texts,
    outcomes=st.lists(outcomes, min_size=1, max_size=6).map(tuple),
    notes=st.lists(texts, max_size=2).map(tuple),
    seconds=st.floats(0, 1e6),
)


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((ROOT / f"literate/tests/{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@given(any_grade)
def test_grade_is_the_same_after_a_file(grade: Grade) -> None:
    assert grades.loads(grades.dumps(grade).encode("ascii").decode()) == grade


@pytest.mark.parametrize(
    "text", ["{}", "[]", "1", '{"outcomes": [{"points": 1}], "notes": []}', "x"]
)
def test_what_is_no_grade_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no grade|Expecting value"):
        grades.loads(text)


def test_points_and_percent() -> None:
    assert (ADA.score, ADA.max_score, ADA.percent) == (2, 10, 20)
    almost = [replace(ADA.outcomes[0], points=points) for points in (999, 1)]
    assert Grade("ada", (almost[0], replace(almost[1], passed=False)), (), 0).percent == 99
    assert Grade("ada", (), (), 0).percent == 0


def test_report_says_what_was_expected_and_found() -> None:
    assert grades.report(ADA).splitlines() == [
        "# ada: 2 of 10 points, 20 %",
        "",
        "## Load a data set: 2 of 5 points",
        "",
        "- passed: it has 150 rows (2 of 2 points)",
        "- NOT passed: the mean (0 of 3 points)",
        "  - expected: `0.93`",
        "  - found:",
        "",
        "    ```",
        *(f"    {line}" for line in ERROR.splitlines()),
        "    ```",
        "",
        "  - hint: mean()",
        "",
        "## Add a model: 0 of 5 points",
        "",
        "- NOT passed: its F1 score (0 of 5 points)",
        "  - expected: `0.9`",
        "  - found: `0.1`",
        "  - hint: seed 7",
        "",
        "## Draw a panel: 0 of 0 points",
        "",
        "- NOT passed: its axes (0 of 0 points)",
        "  - expected: `time`",
        "",
        "## Notes",
        "",
        "- latexmkrc is not ours",
        "- the network was not cut",
    ]


@given(any_grade)
def test_nothing_of_a_hidden_check_is_public_but_whether_it_passed(grade: Grade) -> None:
    secret = replace(ADA.outcomes[2], name="F1SECRET", expected="0.9SECRET", hint="seedSECRET")
    known = replace(grade, outcomes=(*grade.outcomes, secret))
    assert grades.report(known).count("SECRET") == 3
    assert "SECRET" not in grades.report(known, public=True)
    assert "SECRET" not in json.dumps(grades.classroom50(known, RUNNER))
    assert "NOT passed: a hidden check (0 of 5 points)" in grades.report(known, public=True)


@given(texts)
def test_markdown_does_not_read_what_was_found(found: str) -> None:
    outcome = Outcome("a", "A", "b", 1, False, "", found, "", False)
    report = grades.report(Grade("ada", (outcome,), (), 0))
    rest = report.partition("(0 of 1 point)\n")[2]
    if not rest:
        assert not found.strip()
    elif rest.startswith("  - found: "):
        (ticks, inside), *more = re.findall(r"^  - found: (`+)(.+)\1\n$", rest)
        assert not more
        assert ticks not in inside
    else:
        opening, *lines, closing, empty = rest.removeprefix("  - found:\n\n").split("\n")[:-1]
        assert re.fullmatch("    ```+", opening)
        assert (closing, empty) == (opening, "")
        assert not any(opening.strip() in line for line in lines)


@given(any_grade)
def test_gradescope_takes_any_grade(grade: Grade) -> None:
    made = json.loads(json.dumps(grades.gradescope(grade)))
    validator("gradescope").validate(made)
    assert made["score"] == sum(test["score"] for test in made["tests"]) == grade.score
    assert sum(test["max_score"] for test in made["tests"]) == grade.max_score


def test_gradescope_shows_a_hidden_check_when_grades_are_published() -> None:
    made = grades.gradescope(ADA)
    assert made["score"] == 2
    assert made["execution_time"] == 12.3
    assert made["stdout_visibility"] == "hidden"
    assert made["output"] == "latexmkrc is not ours\nthe network was not cut"
    assert [
        (test["number"], test["score"], test["max_score"], test["status"], test["visibility"])
        for test in made["tests"]
    ] == [
        ("1.1", 2, 2, "passed", "visible"),
        ("1.2", 0, 3, "failed", "visible"),
        ("2.1", 0, 5, "failed", "after_published"),
        ("3.1", 0, 0, "failed", "visible"),
    ]
    assert made["tests"][1]["name"] == "Load a data set: the mean"
    assert made["tests"][1]["output"] == f"expected: 0.93\nfound: {ERROR}\nhint: mean()"
    hidden = replace(ADA, outcomes=tuple(replace(each, hidden=True) for each in ADA.outcomes))
    assert grades.gradescope(hidden)["score"] == 2


@given(any_grade)
def test_classroom50_takes_any_grade(grade: Grade) -> None:
    made = json.loads(json.dumps(grades.classroom50(grade, RUNNER)))
    validator("classroom50").validate(made)
    assert made["score"] == sum(test["score"] for test in made["tests"]) <= made["max-score"]
    assert all(test["score"] in (0, test["max-score"]) for test in made["tests"])
    names = [test["test-name"] for test in made["tests"]]
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) <= 100 for name in names)


def test_classroom50_needs_its_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    made = grades.classroom50(ADA, RUNNER)
    assert (made["owner"], made["classroom"], made["assignment"]) == ("ada", "ml", "lab")
    assert made["review"] == RUNNER["REVIEW_URL"]
    older = {key: value for key, value in RUNNER.items() if key not in ("REVIEW_URL", "OWNER")}
    assert grades.classroom50(ADA, older)["review"] == RUNNER["COMMIT_URL"]
    assert grades.classroom50(ADA, older)["owner"] == "ada"
    for name in RUNNER:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="CLASSROOM, ASSIGNMENT, OWNER, SUBMISSION_TAG"):
        grades.classroom50(ADA)
    with pytest.raises(ValueError, match="ada: no checks"):
        grades.classroom50(replace(ADA, outcomes=()), RUNNER)


BROKEN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("gradescope", {"score": "2"}, {}),
    ("gradescope", {"scores": 2}, {}),
    ("gradescope", {"visibility": "never"}, {}),
    ("gradescope", {}, {"status": "ok"}),
    ("gradescope", {}, {"max-score": 2}),
    ("gradescope", {}, {"output": "nul \0"}),
    ("gradescope", {}, {"output": "x" * 100_001}),
    ("classroom50", {"score": 2.5}, {}),
    ("classroom50", {"owner": ""}, {}),
    ("classroom50", {"submission": "v1"}, {}),
    ("classroom50", {"datetime": "2026-06-01"}, {}),
    ("classroom50", {"tests": []}, {}),
    ("classroom50", {}, {"max_score": 2}),
    ("classroom50", {}, {"passed": 1}),
    ("classroom50", {}, {"test-name": "two\nlines"}),
]


@pytest.mark.parametrize(("name", "top", "test"), BROKEN)
def test_schemas_are_strict(name: str, top: dict[str, Any], test: dict[str, Any]) -> None:
    made = grades.gradescope(ADA) if name == "gradescope" else grades.classroom50(ADA, RUNNER)
    broken = {**made, "tests": [{**made["tests"][0], **test}, *made["tests"][1:]], **top}
    assert validator(name).is_valid(made)
    assert not validator(name).is_valid(broken)


def test_row_has_a_column_for_each_exercise() -> None:
    assert grades.row(ADA) == {
        "login": "ada",
        "score": 2,
        "max_score": 10,
        "percent": 20,
        "exercise load": 2,
        "exercise model": 0,
        "exercise panel": 0,
        "notes": "latexmkrc is not ours; the network was not cut",
    }


@given(any_grade)
def test_no_cell_is_a_formula(grade: Grade) -> None:
    made = grades.row(grade)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(made))
    writer.writeheader()
    writer.writerow(made)
    file.seek(0)
    (cells,) = csv.DictReader(file)
    assert cells == {key: str(value) for key, value in made.items()}
    first = [unicodedata.normalize("NFKC", cell.strip()[:1]) for cell in cells.values()]
    assert not any(sign.startswith(("-", "=", "+", "@")) for sign in first)


def test_wide_formula_signs_are_quoted_too() -> None:
    cells = [grades.row(replace(ADA, login=sign + "A1"))["login"] for sign in f"=+-@{WIDE}a"]
    assert cells == ["'=A1", "'+A1", "'-A1", "'@A1", f"'{WIDE}A1", "aA1"]


def test_long_texts_keep_their_beginning_and_end(tmp_path: Path) -> None:
    found = "first" + 3_000_000 * "x" + "last"
    outcome = replace(ADA.outcomes[1], found=found)
    output = grades.gradescope(replace(ADA, outcomes=(outcome,)))["tests"][0]["output"]
    assert len(output) < 3000
    assert output.index("first") < output.index("[2998009 characters are left out]")
    assert "xlast\nhint" in output
    # What is written so prints in any terminal.
    (tmp_path / "report.md").write_text(
        grades.report(replace(ADA, login="\ud800\x1b[31m")), "utf-8"
    )
    shown = subprocess.run(
        ["cat", "-v", "report.md"], cwd=tmp_path, capture_output=True, check=True
    )
    assert b"^" not in shown.stdout
