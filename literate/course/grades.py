"""The record of a submission's grade, and the forms in which people and services read it.

A submission's text can be anything.  Here it loses what no reader should get, control characters
and lone surrogates, and long text loses all but its beginning and end.
"""

import datetime
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

SHOWN = 2000  # characters of a text; Gradescope cuts at 100,000
NAME = 100  # bytes of a test's name, the limit for Classroom 50's own tests
# The variables that Classroom 50's runner sets, by field; it overwrites some of these fields.
IDENTITY = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "assignment_type": "ASSIGNMENT_TYPE",
    "owner": "OWNER",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check of an exercise."""

    exercise: str  # its key
    title: str  # its title
    name: str  # what is checked, one line
    points: int  # that it is worth
    passed: bool
    expected: str  # printable, "" if there is nothing to say
    found: str
    hint: str
    hidden: bool  # students do not have this check

    @property
    def score(self) -> int:
        """Return the points that the check has earned."""
        return self.points if self.passed else 0


@dataclass(frozen=True)
class Grade:
    """The grade of a submission."""

    login: str
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]  # tampered files, another login, what was not contained
    seconds: float

    @property
    def score(self) -> int:
        """Return the points of the checks that passed."""
        return sum(outcome.score for outcome in self.outcomes)

    @property
    def max_score(self) -> int:
        """Return the points of all checks."""
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def percent(self) -> int:
        """Return the percentage of the points, rounded down so that only all of them are 100."""
        return 100 * self.score // self.max_score if self.max_score else 0

    @property
    def exercises(self) -> dict[str, list[Outcome]]:
        """Return the outcomes of each exercise, by the exercise's key."""
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            groups.setdefault(outcome.exercise, []).append(outcome)
        return groups


def dumps(grade: Grade) -> str:
    """Return the JSON of a grade, for `loads`."""
    return json.dumps(asdict(grade), indent=1) + "\n"


def loads(text: str) -> Grade:
    """Return the grade that `dumps` has written.

    Raises ValueError if the text is not a grade.
    """
    try:
        known: Mapping[str, Any] = json.loads(text)
        outcomes = tuple(Outcome(**outcome) for outcome in known["outcomes"])
        return Grade(**{**known, "outcomes": outcomes, "notes": tuple(known["notes"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no grade: {error!r}") from error


def report(grade: Grade, *, public: bool = False) -> str:
    """Return what the checks found, by exercise, as Markdown that also reads well as plain text.

    A `public` report may be shown to the student at any time: of hidden checks it says only whether
    they passed.
    """
    total = f"{grade.score} of {_points(grade.max_score)}, {grade.percent} %"
    lines = [f"# {_line(grade.login)}: {total}"]
    for outcomes in grade.exercises.values():
        score = sum(outcome.score for outcome in outcomes)
        points = _points(sum(outcome.points for outcome in outcomes))
        lines += ["", f"## {_line(outcomes[0].title)}: {score} of {points}", ""]
        for outcome in outcomes:
            secret = public and outcome.hidden
            name = "a hidden check" if secret else _line(outcome.name)
            passed = "passed" if outcome.passed else "NOT passed"
            lines.append(f"- {passed}: {name} ({outcome.score} of {_points(outcome.points)})")
            lines += [] if secret else _said(outcome)
    if grade.notes:
        lines += ["", "## Notes", "", *(f"- {_line(note)}" for note in grade.notes)]
    return "\n".join(lines) + "\n"


def _points(number: int) -> str:
    return f"{number} point{'s' * (number != 1)}"


def _said(outcome: Outcome) -> Iterator[str]:
    """Yield what to say about a check that has not passed, as items of a nested list."""
    if outcome.passed:
        return
    for label, text in (("expected", outcome.expected), ("found", outcome.found)):
        lines = _clean(text).strip("\n").split("\n")
        if lines == [""]:
            continue
        # Backticks keep it from being read as Markdown; there must be more than it has itself.
        longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
        ticks = "`" * (longest + 1)
        if len(lines) == 1:
            space = " " if "`" in lines[0] else ""
            yield f"  - {label}: {ticks}{space}{lines[0]}{space}{ticks}"
        else:
            ticks = ticks.ljust(3, "`")
            block = [ticks, *lines, ticks]
            yield from [f"  - {label}:", "", *(f"    {line}".rstrip() for line in block), ""]
    if outcome.hint.strip():
        yield f"  - hint: {_line(outcome.hint)}"


def gradescope(grade: Grade) -> dict[str, Any]:
    """Return the results.json that Gradescope reads.

    Students see a hidden check once the grades are published, and do not see their total before
    that.
    """
    tests = [
        {
            "name": _line(f"{outcome.title}: {outcome.name}"),
            "number": f"{number}.{part}",
            "score": outcome.score,
            "max_score": outcome.points,
            "status": "passed" if outcome.passed else "failed",  # of checks without points, too
            "output": _output(outcome),
            "visibility": "after_published" if outcome.hidden else "visible",
        }
        for number, outcomes in enumerate(grade.exercises.values(), 1)
        for part, outcome in enumerate(outcomes, 1)
    ]
    return {
        "score": grade.score,  # otherwise Gradescope adds up the tests that are shown
        "execution_time": round(grade.seconds, 1),
        "output": "\n".join(map(_line, grade.notes)),
        # What a submission prints must not be read as HTML.
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
    }


def classroom50(grade: Grade, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the result.json that Classroom 50's runner reads, with the runner's own `environ`.

    Students read it, so of hidden checks it says only whether they passed.  Raises ValueError if
    the runner has not set one of its variables, or if there is no check, which Classroom 50 would
    take for a pass.
    """
    known = {field: environ.get(name, "") for field, name in IDENTITY.items()}
    known["assignment_type"] = known["assignment_type"] or "individual"
    known["owner"] = known["owner"] or environ.get("USERNAME", "")
    known["review"] = known["review"] or known["commit"]
    if missing := [IDENTITY[field] for field, value in known.items() if not value]:
        raise ValueError(f"{', '.join(missing)} not set: this is for Classroom 50's runner, it is")
    if not grade.outcomes:
        raise ValueError(f"{_line(grade.login)}: no checks, which Classroom 50 takes for a pass")
    names = _unique(
        f"{outcome.title}: {'a hidden check' if outcome.hidden else outcome.name}"
        for outcome in grade.outcomes
    )
    tests = [
        {
            "test-name": name,
            "passed": outcome.passed,
            "score": outcome.score,
            "max-score": outcome.points,
            "output": "" if outcome.hidden else _output(outcome),
        }
        for name, outcome in zip(names, grade.outcomes, strict=True)
    ]
    return {
        "schema": "classroom50/result/v1",
        **known,
        "datetime": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": grade.score,
        "max-score": grade.max_score,
        "tests": tests,
    }


def row(grade: Grade) -> dict[str, str | int]:
    """Return a grade's row of a class's table.

    It has the login, the points and their maximum, the percentage, the points of each exercise, and
    the notes.
    """
    parts = grade.exercises.items()
    return {
        "login": _cell(grade.login),
        "score": grade.score,
        "max_score": grade.max_score,
        "percent": grade.percent,
        **{_line(f"exercise {key}"): sum(each.score for each in some) for key, some in parts},
        "notes": _cell("; ".join(grade.notes)),
    }


def _output(outcome: Outcome) -> str:
    """Return what to say about a check that has not passed, as plain text."""
    if outcome.passed:
        return ""
    said = {"expected": outcome.expected, "found": outcome.found, "hint": outcome.hint}
    return "\n".join(f"{label}: {_clean(text)}" for label, text in said.items() if text.strip())


def _clean(text: str) -> str:
    """Return text without unprintable characters, and without its middle if it is long."""
    if (over := len(text) - SHOWN) > 0:
        half = SHOWN // 2  # an error's last line says most
        text = f"{text[:half]}\n[{over} characters are left out]\n{text[-half:]}"
    text = text.replace("\r\n", "\n")
    return "".join(
        char
        if char.isprintable() or char == "\n"
        else " "
        if char.isspace()
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def _line(text: str) -> str:
    return " ".join(_clean(text).split())


def _cell(text: str) -> str:
    """Return a text as one line that a spreadsheet does not read as a formula."""
    line = _line(text)
    first = unicodedata.normalize("NFKC", line[:1])  # the signs also have wide forms
    return f"'{line}" if first.startswith(("=", "+", "-", "@")) else line


def _unique(names: Iterator[str]) -> Iterator[str]:
    """Yield the names, each as one line of at most NAME bytes, and no line twice."""
    taken: set[str] = set()
    for name in map(_line, names):
        number, short = 1, _short(name)
        while short in taken:
            number += 1
            short = _short(name, f" ({number})")
        taken.add(short)
        yield short


def _short(name: str, end: str = "") -> str:
    room = NAME - len(end.encode())
    if len(name.encode()) > room:
        name = name.encode()[: room - 3].decode(errors="ignore") + "…"
    return name + end
