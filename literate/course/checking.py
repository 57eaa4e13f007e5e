"""The building blocks of a course's checks: `check` marks one, and a `Run` is what it can ask.

The course's checks.py imports both from here, and literate/course/grade.py runs its checks.
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

LONGEST = 20_000  # characters of an answer that are read
NUMBERS = (bool, int, float)

Check = Callable[["Run"], tuple[Any, Any]]


class GradeError(Exception):
    """A reason why a submission cannot be graded."""


class StudentError(Exception):
    """Something that a submission does not do, or does not do correctly."""


@dataclass(frozen=True)
class Checked:
    """A check of an exercise, as checks.py defines it."""

    exercise: str
    name: str
    hint: str
    function: Check


_checks: list[Checked] = []


def check(exercise: str, *, hint: str) -> Callable[[Check], Check]:
    """Make a function a check of the exercise with that key.

    The function takes a `Run` and returns what is expected and what was found.  It passes if these
    agree.  The first line of its docstring says what is checked, and `hint` helps those who fail.
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
        """Return the points for each check of an exercise.

        This is 1 if the source has no hidden checks.
        """
        return exercise.points // len(self.checks[exercise.key]) if self.whole else 1


def read_course(root: Path) -> Course:
    """Return the course whose source is in `root`.

    Raises MarkError if there is no exercise, if checks.py cannot be loaded, if two checks have the
    same name, or if a check belongs to no exercise.  If there are hidden checks, it is also raised
    for an exercise without a check and for points that an exercise's checks cannot share equally.
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
    """The functions of a paper's pycode, called by name in another process."""

    def __init__(self, ask: Callable[[str], str]):
        self._ask = ask

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return what a function returns.

        Records keep their attributes, but not their class.
        """
        return self._answer(name, args, kwargs, draw=False)

    def draw(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return what a function draws (see `student.drawn`).

        The function gets an axes as its first argument, before those given here.
        """
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
    """What a check can ask for: the submission's paper and functions, and those of the solution.

    `login` is the student's login.  `student` and `solution` call functions of pycode, as in
    `run.student("lab.load", run.login)`.  Only the checks that students do not have can ask for the
    solution.
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
        """Return the functions of the solution."""
        if self._solution is None:
            raise GradeError("only checks between the marks of HIDDEN TESTS have the solution")
        return self._solution

    @property
    def expected(self) -> Mapping[str, Any]:
        """Return the results.json of the solution's paper for this student's login."""
        if self._expected is None:
            raise GradeError("only checks between the marks of HIDDEN TESTS have the solution")
        return self._expected

    def both(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Return what the solution's function returns, and what the submission's returns."""
        return self.solution(name, *args, **kwargs), self.student(name, *args, **kwargs)

    def recorded(self, *keys: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the expected and the recorded values of some keys of results.json.

        A key that the paper has not recorded has the value "nothing".
        """
        found = self._recorded()
        return (
            {key: self.expected[key]["value"] for key in keys},
            {key: found[key]["value"] if key in found else "nothing" for key in keys},
        )

    def file(self, name: str) -> bytes:
        """Return the contents of a file that the submission's build has written.

        Raises StudentError if the paper does not build or the file does not exist.
        """
        if self._failure:
            raise StudentError(f"the paper does not build: {self._failure}")
        try:
            return self._files(name)
        except (OSError, ValueError) as error:
            raise StudentError(f"{name} was not made") from error

    def answer(self, exercise: str) -> str:
        """Return the LaTeX code that answers an exercise, without comments and other hidden text.

        Returns "" if the answer is still to do.  Raises StudentError if paper.tex no longer has the
        exercise.
        """
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
        """Return the conditions of the claims in an answer, also of those that have names."""
        found = re.findall(rf"\\claim\s*({lint.GROUP})\s*{lint.GROUP}", self.answer(exercise))
        given = [" ".join(condition[1:-1].split())[:1000] for condition in found]
        if not any(map(claims.NAME.fullmatch, given)):
            return given
        recorded = self._recorded()
        return [str(recorded.get(f"claims.{c}", {}).get("value", c))[:1000] for c in given]

    def typed(self, exercise: str) -> list[str]:
        """Return the numbers typed by hand in an answer, each with the words around it."""
        # The lint would follow some of these to the grader's files, and skip text for others.
        hiding = r"\\(?:input|include|title|author)\b|\\(?:begin|end)\{document\}"
        text = re.sub(hiding, r"\\relax", self.answer(exercise))
        return [found.excerpt for found in lint.find(text, only=lint.TYPED)]

    def holds(self, condition: str, results: Mapping[str, Any] | None = None) -> bool:
        """Return whether a claim's condition holds for this student.

        If `results` is given, the condition is checked against these made-up values, by key.
        """
        if results is None:
            return not claims.check(condition, self.expected)
        made_up = {"interval": None, "n": None}
        return not claims.check(condition, {k: {"value": v} | made_up for k, v in results.items()})

    def _recorded(self) -> dict[str, dict[str, Any]]:
        found = json.loads(self.file("results.json"))
        if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
            raise StudentError("results.json is not as literate writes it")
        return found


def differ(expected: Any, found: Any, where: str = "") -> tuple[str, str] | None:
    """Return the first difference as two texts, or None if the two agree.

    Numbers are compared to six digits.  A dict that is found may have more keys than expected, and
    a list may stand for an array.
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
        if vars(expected).keys() == {"other"}:  # only its first words are known
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
    """Return a value as a report shows it, on one line."""
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    if isinstance(value, SimpleNamespace):
        value = getattr(value, "other", None) or f"a record of {', '.join(vars(value))}"
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else f"{text[:200]} ..."


def assess(
    course: Course, run: Run | StudentError, *, only: frozenset[str] | None = None
) -> Iterator[Outcome]:
    """Yield the outcome of each check.

    A check that cannot run does not pass, and its outcome says why.  `only` restricts the checks to
    functions with these names.
    """
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
                texts, hint = ("", str(error)), ""  # the hint is for a wrong answer
            except GradeError as error:
                line = checked.function.__code__.co_firstlineno
                raise GradeError(f"checks.py:{line}: {checked.name}: {error}") from error
            except Exception as error:  # what was returned is of an unexpected kind
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
