"""Grades what students have handed in: `python tools/grade.py SUBMISSION`, in the course's source.

A submission's paper is built, and its functions are called, in a box (tools/contain.py); what they
return is compared, here, with what the course's own solution gives for that student's login.  Of a
submission only the files that have gaps are taken, and files that it adds; the exercises, their
points, the checks (checks.py), latexmkrc and pycode are the course's.  A folder of submissions is
graded in one call, with a table of all, grades.csv.  Without a submission, in the folder that a
student has, the checks that students have are tried on it.
"""

import argparse
import ast
import csv
import importlib.util
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if not __package__:  # called by its path
    sys.path[0] = str(ROOT)

import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from pycode import claims  # noqa: E402
from tools import grades, lint, marks, student, trees  # noqa: E402
from tools.contain import Box, ContainError, Limits  # noqa: E402
from tools.grades import Grade, Outcome  # noqa: E402
from tools.marks import Exercise, MarkError  # noqa: E402

LOGIN = re.compile(r'^login = "([^"\n]*)"', re.M)
ADDED = ("pycode/*.py", "data/*.csv")  # what a submission may have that it was not given
SECONDS = 120  # for the build; a call has a quarter
LONGEST = 20_000  # characters of an answer that are looked at
SKIPPED = (".git", ".venv", ".cache", "dist")
PART = "only the checks that students have, a point each: whoever grades has more"
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
    exercises = marks.exercises((root / marks.PAPER).read_text(encoding="utf-8"))
    if not exercises:
        raise MarkError(f"{root / marks.PAPER}: there is no \\begin{{exercise}} in it")
    _checks.clear()
    spec = importlib.util.spec_from_file_location("checks", root / "checks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checks = {e.key: tuple(c for c in _checks if c.exercise == e.key) for e in exercises}
    for found in _checks:
        if found.exercise not in checks:
            line = found.function.__code__.co_firstlineno
            known = ", ".join(checks)
            raise MarkError(
                f"checks.py:{line}: no exercise has the key {found.exercise!r}: {known}"
            )
    text = (root / "checks.py").read_text(encoding="utf-8")
    given = marks.strip(text, "checks.py").text
    whole = given != text
    for exercise in exercises:
        if not checks[exercise.key] and whole:
            here = f"{marks.PAPER}:{exercise.line}: exercise {exercise.key}"
            raise MarkError(f"{here}: checks.py has no check of it")
    for exercise in exercises:
        here, n = (
            f"{marks.PAPER}:{exercise.line}: exercise {exercise.key}",
            len(checks[exercise.key]),
        )
        if whole and exercise.points % n:
            raise MarkError(f"{here}: its {n} checks cannot share {exercise.points} points equally")
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
        """The LaTeX that answers an exercise, without comments; "" for what is left to do."""
        begin = rf"\\begin\s*\{{exercise\}}\s*{lint.GROUP}\s*{lint.GROUP}\s*\{{\s*{exercise}\s*\}}"
        found = re.search(rf"{begin}(.*?)(?:\\begin\s*\{{exercise\}}|\Z)", self._text, re.S)
        if not found:
            raise StudentError("this exercise is not in paper.tex any more: put it back")
        answers = re.findall(r"\\begin\{solution\}(.*?)\\end\{solution\}", found[1], re.S)
        text = re.sub(r"(?<!\\)%.*", "", "\n".join(answers)).strip()[:LONGEST]
        return "" if text == marks.TODO else text

    def claims(self, exercise: str) -> list[str]:
        """The conditions of the claims in an answer."""
        found = re.findall(rf"\\claim\s*({lint.GROUP})\s*{lint.GROUP}", self.answer(exercise))
        return [" ".join(condition[1:-1].split())[:1000] for condition in found]

    def typed(self, exercise: str) -> list[str]:
        """The numbers in an answer that were typed by hand, with the words around each."""
        # The lint would follow these to any file of the grader's.
        text = re.sub(r"\\(?:input|include)\b", r"\\relax", self.answer(exercise))
        return [found.excerpt for found in lint.find(text) if found.kind == lint.TYPED]

    def holds(self, condition: str, results: Mapping[str, Any] | None = None) -> bool:
        """Whether a claim's condition holds for this student, or for made-up values by key."""
        if results is None:
            return not claims.check(condition, self.expected)
        made_up = {"interval": None, "n": None}
        return not claims.check(condition, {k: {"value": v} | made_up for k, v in results.items()})

    def _results(self) -> Mapping[str, Any]:
        found = json.loads(self.file("results.json"))
        if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
            raise StudentError("results.json is not as pycode writes it")
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
            passed, texts = False, ("", "")
            try:
                if isinstance(run, StudentError):
                    raise run
                run.answer(exercise.key)  # an exercise that was deleted is worth nothing
                difference = differ(*checked.function(run))
                passed, texts = difference is None, difference or texts
            except StudentError as error:
                texts = "", str(error)
            except GradeError:
                raise
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
                hint=checked.hint,
                hidden=checked.function.__name__ not in course.visible,
            )


class Grader:
    """Grades one submission after the other against a course's solution, which stays private."""

    def __init__(self, root: Path, *, seconds: int = SECONDS):
        self.course, self.seconds = read_course(root), seconds
        self.folder = Path(tempfile.mkdtemp(prefix="grader-"))  # for its owner only
        self.given, self.solution = self.folder / "given", self.folder / "solution"
        stripped = marks.student_tree(root, self.given)
        self.gaps = (stripped.keys() or marks.gaps(root)) - {"checks.py"}
        trees.lay(root, self.solution, trees.files(root))
        for tree in (self.given, self.solution):
            (tree / "results.json").unlink(missing_ok=True)
        self._process: subprocess.Popen[str] | None = None
        self._known: dict[str, Mapping[str, Any]] = {}
        self.holes: tuple[str, ...] = ()  # what was not contained

    def __enter__(self) -> "Grader":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            with self._process:
                self._process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def grade(self, submission: Path, login: str, pdf: Path | None = None) -> Grade:
        """What a submission is worth; its paper is copied to `pdf` if it builds.

        Raises GradeError or ContainError where the course itself, or this machine, is at fault.
        """
        began = time.monotonic()
        expected = self._expected(login) if self.course.whole else None
        hidden = [ROOT, self.course.root, self.folder, submission.parent]
        with Box(hide=hidden) as box:
            self.holes = box.holes
            try:
                tree, notes = self._take(box, submission)
            except StudentError as error:
                outcomes = tuple(assess(self.course, error))
                return Grade(login, outcomes, (str(error),), round(time.monotonic() - began, 1))
            work = box.copy(tree, "work")
            box.copy(tree, "calls")
            (box.folder / "latexmkrc").write_bytes((self.given / "latexmkrc").read_bytes())
            (box.folder / "student.py").write_bytes(Path(student.__file__).read_bytes())
            limits = Limits(seconds=self.seconds, output=1_000_000)
            command = ["latexmk", "-norc", "-r", str(box.folder / "latexmkrc")]
            ran = box.run(command, cwd=work, limits=limits)
            failure = ran.ended or (_reason(ran.output) if ran.code else "")
            text = (tree / marks.PAPER).read_text(encoding="utf-8", errors="replace")
            if (found := LOGIN.search(text)) and found[1].strip().lower() != login.strip().lower():
                notes.append(f"the login in paper.tex is {shown(found[1])}, not {login}")
            if failure:
                notes.append(f"the paper does not build: {failure}")
            elif pdf:
                pdf.write_bytes(box.read("work/paper.pdf", 50_000_000))
            with _called(box, max(5, self.seconds // 4)) as functions:
                run = Run(
                    login,
                    student=functions,
                    solution=Functions(self._ask) if self.course.whole else None,
                    text=text,
                    files=lambda name: box.read(f"work/{name}"),
                    failure=failure,
                    expected=expected,
                )
                outcomes = tuple(assess(self.course, run))
            if not self.course.whole:
                notes.append(PART)
        return Grade(login, outcomes, tuple(notes), round(time.monotonic() - began, 1))

    def _take(self, box: Box, submission: Path) -> tuple[Path, list[str]]:
        """The course's files with the submission's in place of those that have gaps; and notes."""
        with tempfile.TemporaryDirectory() as unpacked:
            source = submission
            if submission.suffix == ".zip":
                source = _unpack(submission, Path(unpacked))
            papers = [source / marks.PAPER, *sorted(source.glob(f"*/{marks.PAPER}"))]
            papers = [path for path in papers if path.is_file() and not path.is_symlink()]
            if not papers:
                raise StudentError(f"there is no {marks.PAPER} in {submission.name}")
            try:
                handed = box.copy(papers[0].parent, "handed", skip=SKIPPED)
            except ContainError as error:
                raise StudentError(f"not taken: {error}") from error
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.given, tree)
        notes = []
        for path in sorted(handed.rglob("*")):
            name = str(path.relative_to(handed))
            ours = self.given / name
            taken = name in self.gaps or name == "references.bib"
            taken |= not ours.exists() and any(Path(name).match(kind) for kind in ADDED)
            if not path.is_file() or (not taken and not ours.is_file()):
                continue
            data = box.read(path)
            if taken:
                (tree / name).parent.mkdir(exist_ok=True)
                (tree / name).write_bytes(data)
            elif data != ours.read_bytes():
                notes.append(f"{name} was changed; the course's own was used")
        for name in sorted(self.gaps):
            if not (handed / name).is_file():
                notes.append(f"{name} is missing; the one with gaps was used")
        return tree, notes

    def _expected(self, login: str) -> Mapping[str, Any]:
        """What the solution's paper finds with a student's login: its results.json."""
        if login in self._known:
            return self._known[login]
        paper = self.solution / marks.PAPER
        text = (self.course.root / marks.PAPER).read_text(encoding="utf-8")
        line = f"login = {json.dumps(login, ensure_ascii=False)}"
        text, n = LOGIN.subn(lambda _: line, text)
        # What the solution claims of its own data may be false for those of others.
        text = re.sub(rf"\\claim\s*{lint.GROUP}\s*({lint.GROUP})", lambda m: m[1], text)
        if n != 1:
            raise GradeError(
                f'{marks.PAPER}: {n} lines begin with login = "...": have one, in a block'
            )
        paper.write_text(text, encoding="utf-8")
        (self.solution / "results.json").unlink(missing_ok=True)
        build(self.solution)
        found = (self.solution / "results.json").read_text(encoding="utf-8")
        self._known[login] = json.loads(found)
        return self._known[login]

    def _ask(self, request: str) -> str:
        if self._process is None:
            command = [sys.executable, str(Path(student.__file__))]
            self._process = subprocess.Popen(
                command,
                cwd=self.solution,
                env=environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if "error" in json.loads(line):
            raise GradeError(f"the solution fails: {json.loads(line)['error']}")
        return line


class _called:  # noqa: N801
    """The functions of the submission in a box, whose process starts anew after one that ended."""

    def __init__(self, box: Box, seconds: int):
        self.box, self.limits = box, Limits(seconds=seconds)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Functions:
        return Functions(self.ask)

    def ask(self, request: str) -> str:
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, str(self.box.folder / "student.py")]
            cwd = self.box.folder / "calls"
            self.process = self.box.start(command, cwd=cwd, limits=self.limits)
        line, ended = self.box.ask(self.process, request.encode(), self.limits)
        if ended:
            name = json.loads(request)["call"]
            raise StudentError(f"{name}: {ended}")
        return line.decode(errors="replace")

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.box.kill(self.process)


def build(folder: Path) -> None:
    """Nothing; builds a paper of the course's own.

    Raises GradeError with what went wrong.
    """
    done = subprocess.run(
        ["latexmk", "-norc", "-r", "latexmkrc"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        told = done.stdout.decode(errors="replace")
        raise GradeError(f"{folder / marks.PAPER} does not build: {_reason(told)}")


def environment() -> dict[str, str]:
    """The environment in which the course's own papers are built, with this Python."""
    return {**os.environ, "PATH": f"{sys.prefix}/bin:{os.environ.get('PATH', os.defpath)}"}


def _reason(output: str) -> str:
    """What of a failed build's output tells why."""
    lines = [line.strip() for line in output.splitlines()]
    told = [line for line in lines if re.match(r"paper\.tex:\d+: \S", line)]
    told += [line for line in lines if re.match(r"! \S|\S+Error\b", line)]
    return shown((told or [line for line in lines if line] or ["it printed nothing"])[0])


def _unpack(archive: Path, folder: Path) -> Path:
    """The folder with the files of a zip archive; raises StudentError if it is none."""
    try:
        with zipfile.ZipFile(archive) as file:
            if sum(info.file_size for info in file.infolist()) > 50_000_000:
                raise StudentError(f"{archive.name}: more than 50 MB")
            file.extractall(folder)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise StudentError(f"{archive.name}: {error}") from error
    return folder


def check_yourself(root: Path = ROOT) -> Grade:
    """What the checks that students have say of the paper in `root`, which is built there."""
    began, known = time.monotonic(), read_course(root)
    failure = ""
    try:
        build(root)
    except GradeError as error:
        failure = str(error)
    command = [sys.executable, str(Path(student.__file__))]
    with subprocess.Popen(
        command, cwd=root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:

        def ask(request: str) -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write(request + "\n")
            process.stdin.flush()
            return process.stdout.readline()

        text = (root / marks.PAPER).read_text(encoding="utf-8")
        run = Run(
            LOGIN.findall(text)[0] if LOGIN.search(text) else "",
            student=Functions(ask),
            solution=None,
            text=text,
            files=lambda name: (root / name).read_bytes(),
            failure=failure,
            expected=None,
        )
        outcomes = tuple(assess(known, run, only=known.visible))
        process.kill()
    notes = ([failure] if failure else []) + ([] if known.whole else [PART])
    return Grade(run.login, outcomes, tuple(notes), round(time.monotonic() - began, 1))


def submissions(paths: Iterable[Path]) -> dict[str, Path]:
    """The submissions that were named, or lie in folders that were, each by its name.

    Raises GradeError where there is none, or two have one name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise GradeError(f"{path}: there is no such submission")
        several = path.is_dir() and not (path / marks.PAPER).exists()
        inside = sorted(path.iterdir()) if several else [path]
        some = [one for one in inside if one.is_dir() or one.suffix == ".zip"]
        if not some:
            raise GradeError(f"{path}: no {marks.PAPER}, no folder and no zip archive in it")
        for one in some:
            name = one.resolve().name.removesuffix(".zip")
            if name in found:
                raise GradeError(f"{one}: {found[name]} has the same name: rename one")
            found[name] = one
    return found


def _write(grade: Grade, arguments: argparse.Namespace) -> None:
    if arguments.out:
        (arguments.out / f"{grade.login}.md").write_text(grades.report(grade), encoding="utf-8")
        (arguments.out / f"{grade.login}.json").write_text(grades.dumps(grade), encoding="utf-8")
    for path, form in (
        (arguments.gradescope, grades.gradescope),
        (arguments.classroom50, grades.classroom50),
    ):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(form(grade), indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """The exit status: 0 if all was graded, whatever it is worth."""
    parser = argparse.ArgumentParser(prog="grade.py", description="Grades what was handed in.")
    add = parser.add_argument
    add("submissions", nargs="*", type=Path, help="a folder or zip archive, or a folder of them")
    add("--login", help="the student's; otherwise the submission's name")
    add("--out", type=Path, help="where reports, papers and grades.csv go")
    add("--gradescope", type=Path, metavar="FILE", help="writes Gradescope's results.json")
    add("--classroom50", type=Path, metavar="FILE", help="writes Classroom 50's result.json")
    add("--seconds", type=int, default=SECONDS, help="for a paper's build (%(default)s)")
    arguments = parser.parse_args()
    try:
        if not arguments.submissions:
            print(grades.report(check_yourself()))
            return 0
        if arguments.login is None:
            found = submissions(arguments.submissions)
        elif len(arguments.submissions) > 1:
            raise GradeError("--login names one student: name one submission")
        else:
            found = {arguments.login: arguments.submissions[0]}
        if len(found) > 1 and not arguments.out:
            arguments.out = ROOT / "dist" / "grades"
        return grade_all(found, arguments)
    except (GradeError, ContainError, MarkError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def grade_all(found: Mapping[str, Path], arguments: argparse.Namespace) -> int:
    """The exit status; grades each, and of several makes a table."""
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
    rows, status = [], 0
    with (
        tempfile.TemporaryDirectory() as folder,
        Grader(marks.source(ROOT, Path(folder)), seconds=arguments.seconds) as grader,
    ):
        for login, path in tqdm(found.items(), unit="paper", disable=len(found) == 1):
            try:
                pdf = arguments.out / f"{login}.pdf" if arguments.out else None
                grade = grader.grade(path.resolve(), login, pdf)
            except (GradeError, ContainError, OSError) as error:
                if len(found) == 1:
                    raise
                rows.append({"login": login, "notes": f"not graded: {error}"})
                status = 1
                continue
            _write(grade, arguments)
            rows.append(grades.row(grade))
            if len(found) == 1:
                print(grades.report(grade))
        for hole in grader.holes:
            print(f"not contained: {hole}", file=sys.stderr)
    if len(found) > 1:
        names = list(dict.fromkeys(name for row in rows for name in row))
        table = arguments.out / "grades.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        print(f"{table}: {len(rows)} submissions")
    return status


if __name__ == "__main__":
    from tools.grade import main  # the module from which checks.py imports

    sys.exit(main())
