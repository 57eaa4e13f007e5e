"""What checks of a course's exercises are made of: `check` marks one, a `Run` is what it may ask.

The course's checks.py imports both from here; literate/course/grade.py calls what it has.
"""

import ast
import importlib.util
import json
import math
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from literate import claims, lint
from literate.course import marks, student
from literate.course.grades import Outcome
from literate.course.marks import Exercise, MarkError

LONGEST = 20_000  # characters of an answer that are looked at
NUMBERS = (bool, int, float)

Check = Callable[["Run"], tuple[Any, Any]]


class GradeError(Exception):
    """Why a submission cannot be graded."""


class StudentError(Exception):
    """What a submission does not do, or not well."""


@dataclass(frozen=True)
class Checked:
    """A check of an exercise, as checks.py has it."""

    exercise: str
    name: str
    hint: str
    function: Check


_checks: list[Checked] = []


def check(exercise: str, *, hint: str) -> Callable[[Check], Check]:
    """Makes a function a check of the exercise with that key.

    It gets a `Run` and returns what is expected and what was found; it passes if these agree.  The
    first line of its docstring says what is checked, `hint` what helps those who fail.
    """

    def add(function: Check) -> Check:
        name = (function.__doc__ or function.__name__).strip().splitlines()[0].rstrip(".")
        _checks.append(Checked(exercise, name, hint, function))
        return function

    return add


@dataclass(frozen=True)
class Course:
    """A course's source: its exercises, and the checks of each by the exercise's key."""

    root: Path
    exercises: tuple[Exercise, ...]
    checks: Mapping[str, tuple[Checked, ...]]
    visible: frozenset[str]  # the names of the functions that students have
    whole: bool  # whether it has hidden checks, and with them a solution

    def share(self, exercise: Exercise) -> int:
        """The points that each check of an exercise is worth; one where checks are missing."""
        return exercise.points // len(self.checks[exercise.key]) if self.whole else 1


def read_course(root: Path) -> Course:
    """The course whose source is in `root`.

    Raises MarkError where an exercise has no check, a check no exercise, or points cannot be
    shared equally.
    """
    exercises = marks.exercises(marks.read(root / marks.PAPER))
    if not exercises:
        raise MarkError(f"{root / marks.PAPER}: there is no \\begin{{exercise}} in it")
    _checks.clear()
    spec = importlib.util.spec_from_file_location("checks", root / "checks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.name == "<module>"
        ]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1]
        raise MarkError(f"checks.py:{line}: {type(error).__name__}: {error}") from error
    checks = {e.key: tuple(c for c in _checks if c.exercise == e.key) for e in exercises}
    known_names: set[str] = set()
    for found in _checks:
        line, name = found.function.__code__.co_firstlineno, found.function.__name__
        if name in known_names:  # students may have one of them
            raise MarkError(f"checks.py:{line}: another check is called {name}, too: rename one")
        known_names.add(name)
        if found.exercise not in checks:
            known = ", ".join(checks)
            raise MarkError(
                f"checks.py:{line}: no exercise has the key {found.exercise!r}: {known}"
            )
    text = marks.read(root / "checks.py")
    given = marks.strip(text, "checks.py").text
    whole = given != text
    for exercise in exercises:
        if not checks[exercise.key] and whole:
            here = f"{marks.PAPER}:{exercise.line}: exercise {exercise.key}"
            raise MarkError(f"{here}: checks.py has no check of it")
    for exercise in exercises:
        n = len(checks[exercise.key])
        if whole and exercise.points % n:
            raise MarkError(
                f"{marks.PAPER}:{exercise.line}: exercise {exercise.key}: its {n} checks cannot"
                f" share {exercise.points} points equally"
            )
    names = {node.name for node in ast.walk(ast.parse(given)) if isinstance(node, ast.FunctionDef)}
    return Course(root, tuple(exercises), checks, frozenset(names), whole)


class Functions:
    """The functions of a paper's pycode, called in another process by their names there."""

    def __init__(self, ask: Callable[[str], str]):
        self._ask = ask

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What the function returns; records have attributes, but are of no class."""
        return self._answer(name, args, kwargs, draw=False)

    def draw(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What the function draws on an axes that it gets first (see `student.drawn`)."""
        return self._answer(name, args, kwargs, draw=True)

    def _answer(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], draw: bool) -> Any:
        request: dict[str, Any] = {"call": name, "draw": draw}
        request["args"] = [student.encode(value) for value in args]
        request["kwargs"] = {key: student.encode(value) for key, value in kwargs.items()}
        line = self._ask(json.dumps(request))
        try:
            told = json.loads(line)
            if "error" in told:
                raise StudentError(f"{name}: {told['error']}")
            return student.decode(told["value"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StudentError(f"{name}: no answer that can be read ({error})") from error


class Run:
    """What a check may ask: the submission's paper and functions, and the solution's.

    `login` is the student's; `student` and `solution` call functions of pycode, as
    `run.student("lab.load", run.login)`.  Only the checks that students do not have may ask for
    the solution.
    """

    def __init__(
        self,
        login: str,
        *,
        student: Functions,
        solution: Functions | None,
        text: str,
        files: Callable[[str], bytes],
        failure: str,
        expected: Mapping[str, Any] | None,
    ):
        self.login, self.student = login, student
        self._solution, self._text, self._files = solution, text, files
        self._failure, self._expected = failure, expected

    @property
    def solution(self) -> Functions:
        """The functions of the solution."""
        if self._solution is None:
            raise GradeError("only checks between the marks of HIDDEN TESTS have the solution")
        return self._solution

    @property
    def expected(self) -> Mapping[str, Any]:
        """What results.json of the solution's paper has for this student's login."""
        if self._expected is None:
            raise GradeError("only checks between the marks of HIDDEN TESTS have the solution")
        return self._expected

    def both(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """What the solution's function returns, and what the submission's does."""
        return self.solution(name, *args, **kwargs), self.student(name, *args, **kwargs)

    def recorded(self, *keys: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values that the paper has to have under some keys, and those that it has."""
        found = self._results()
        return (
            {key: self.expected[key]["value"] for key in keys},
            {key: found[key]["value"] if key in found else "nothing" for key in keys},
        )

    def file(self, name: str) -> bytes:
        """A file that the submission's build has left; raises StudentError if there is none."""
        if self._failure:
            raise StudentError(f"the paper does not build: {self._failure}")
        try:
            return self._files(name)
        except (OSError, ValueError) as error:
            raise StudentError(f"{name} was not made") from error

    def answer(self, exercise: str) -> str:
        """The LaTeX that answers an exercise, without what is not set; "" for what is to do."""
        begin = rf"\\begin\s*\{{exercise\}}\s*{lint.GROUP}\s*{lint.GROUP}\s*\{{\s*{exercise}\s*\}}"
        found = re.search(rf"{begin}(.*?)(?:\\begin\s*\{{exercise\}}|\Z)", self._text, re.S)
        if not found:
            raise StudentError("this exercise is not in paper.tex any more: put it back")
        parts = found[1].split("\\begin{solution}")[1:]
        answers = [part.partition("\\end{solution}")[0] for part in parts]
        text = re.sub(r"(?<!\\)%.*", "", "\n".join(answers)[:LONGEST])
        text = re.sub(r"\\iffalse\b.*?(?:\\fi\b|\Z)", "", text, flags=re.S).strip()
        return "" if text == marks.TODO else text

    def claims(self, exercise: str) -> list[str]:
        """The conditions of the claims in an answer."""
        found = re.findall(rf"\\claim\s*({lint.GROUP})\s*{lint.GROUP}", self.answer(exercise))
        return [" ".join(condition[1:-1].split())[:1000] for condition in found]

    def typed(self, exercise: str) -> list[str]:
        """The numbers in an answer that were typed by hand, with the words around each."""
        # The lint would follow these to any file of the grader's, and pass over all up to those.
        hiding = r"\\(?:input|include|title|author)\b|\\(?:begin|end)\{document\}"
        text = re.sub(hiding, r"\\relax", self.answer(exercise))
        return [found.excerpt for found in lint.find(text, only=lint.TYPED)]

    def holds(self, condition: str, results: Mapping[str, Any] | None = None) -> bool:
        """Whether a claim's condition holds for this student, or for made-up values by key."""
        if results is None:
            return not claims.check(condition, self.expected)
        made_up = {"interval": None, "n": None}
        return not claims.check(condition, {k: {"value": v} | made_up for k, v in results.items()})

    def _results(self) -> Mapping[str, Any]:
        found = json.loads(self.file("results.json"))
        if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
            raise StudentError("results.json is not as literate writes it")
        return found


def differ(expected: Any, found: Any, where: str = "") -> tuple[str, str] | None:
    """How the two differ first, as texts; None if they agree, numbers to six digits.

    A dict that is found may have more keys, and for an array a list will do.
    """
    place = f"{where}: " if where else ""
    if isinstance(expected, np.ndarray) or isinstance(found, np.ndarray):
        with np.errstate(all="ignore"):
            try:
                ours, theirs = np.asarray(expected), np.asarray(found)
                if ours.shape != theirs.shape:
                    return f"{place}shape {ours.shape}", f"{place}shape {theirs.shape}"
                same = ours == theirs
                if ours.dtype.kind in "biuf" and theirs.dtype.kind in "biuf":
                    same = np.isclose(ours, theirs, rtol=1e-6, atol=1e-9, equal_nan=True)
            except (ValueError, TypeError):
                return place + shown(expected), place + shown(found)
        if np.all(same):
            return None
        at = tuple(int(n) for n in np.argwhere(~same)[0])
        some = f"{place}[{', '.join(map(str, at))}] = "
        return some + shown(ours[at]), some + shown(theirs[at])
    if isinstance(expected, SimpleNamespace) and isinstance(found, SimpleNamespace):
        if vars(expected).keys() == {"other"}:  # of it only the first words are known
            return f"{place}what can be compared, not {shown(expected)}", place + shown(found)
        return differ(vars(expected), vars(found), where)
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected:
            inner = f"{where} {key}".strip()
            if key not in found:
                return (
                    f"{place}{key}",
                    f"{place}no {key}, but {', '.join(map(str, found)) or 'none'}",
                )
            if difference := differ(expected[key], found[key], inner):
                return difference
        return None
    if isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple)):
        if len(expected) != len(found):
            return place + shown(expected), place + shown(found)
        pairs = enumerate(zip(expected, found, strict=True), 1)
        differences = (differ(*pair, f"{where} {n}".strip()) for n, pair in pairs)
        return next((difference for difference in differences if difference), None)
    if isinstance(expected, NUMBERS) and isinstance(found, NUMBERS):
        close = math.isclose(expected, found, rel_tol=1e-6, abs_tol=1e-9)
        same = close or (expected != expected and found != found)
    else:
        same = type(expected) is type(found) and expected == found
    if same:
        return None
    texts = shown(expected), shown(found)
    if texts[0] == texts[1]:
        texts = tuple(f"{shown(value)} ({type(value).__name__})" for value in (expected, found))
    return place + texts[0], place + texts[1]


def shown(value: Any) -> str:
    """The value as a report names it, in a line."""
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    if isinstance(value, SimpleNamespace):
        value = getattr(value, "other", None) or f"a record of {', '.join(vars(value))}"
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else f"{text[:200]} ..."


def assess(
    course: Course, run: Run | StudentError, *, only: frozenset[str] | None = None
) -> Iterator[Outcome]:
    """What each check finds, or why it cannot; `only` are names of functions."""
    for exercise in course.exercises:
        for checked in course.checks[exercise.key]:
            if only is not None and checked.function.__name__ not in only:
                continue
            passed, texts, hint = False, ("", ""), checked.hint
            try:
                if isinstance(run, StudentError):
                    raise run
                run.answer(exercise.key)  # an exercise that was deleted is worth nothing
                difference = differ(*checked.function(run))
                passed, texts = difference is None, difference or texts
            except StudentError as error:
                texts, hint = ("", str(error)), ""  # which is about an answer that is wrong
            except GradeError as error:
                line = checked.function.__code__.co_firstlineno
                raise GradeError(f"checks.py:{line}: {checked.name}: {error}") from error
            except Exception as error:  # what was returned is not at all what was asked for
                texts = "", f"an answer of another kind ({type(error).__name__}: {error})"
            yield Outcome(
                exercise=exercise.key,
                title=exercise.title,
                name=checked.name,
                points=course.share(exercise),
                passed=passed,
                expected=texts[0],
                found=texts[1],
                hint=hint,
                hidden=checked.function.__name__ not in course.visible,
            )
