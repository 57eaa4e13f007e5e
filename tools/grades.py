"""The record of what a submission is worth, as tools/grade.py finds it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What one check of an exercise has found."""

    exercise: str  # its key
    title: str  # its title
    name: str  # what is checked, one line
    points: int  # that it is worth
    passed: bool
    expected: str  # printable, "" if there is nothing to say
    found: str
    hint: str
    hidden: bool  # students do not have this check


@dataclass(frozen=True)
class Grade:
    """What a submission is worth."""

    login: str
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]  # tampered files, another login, what was not contained
    seconds: float

    @property
    def score(self) -> int:
        """The points of the checks that passed."""
        return sum(outcome.points for outcome in self.outcomes if outcome.passed)

    @property
    def max_score(self) -> int:
        """The points of all checks."""
        return sum(outcome.points for outcome in self.outcomes)


def dumps(grade: Grade) -> str:
    """The JSON of a grade, which `loads` reads."""
    return json.dumps(asdict(grade), indent=1)


def loads(text: str) -> Grade:
    """The grade that `dumps` has written; raises ValueError if it is none."""
    try:
        known: Mapping[str, Any] = json.loads(text)
        outcomes = tuple(Outcome(**outcome) for outcome in known["outcomes"])
        return Grade(**{**known, "outcomes": outcomes, "notes": tuple(known["notes"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no grade: {error!r}") from error
