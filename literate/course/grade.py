"""The grader of what students hand in: `python literate/course/grade.py SUBMISSION`.

It runs in the course's source.  It builds a submission's paper, and calls its functions, in a box
(contain.py).  Outside the box it compares what they return with what the course's own solution
returns for that student's login.  Of a submission it takes only the files that have gaps,
references.bib, and modules and tables that the student has added.  Exercises, points, checks
(checks.py), latexmkrc and the rest of pycode are the course's.

A folder of submissions is graded in one call, with a table of all, grades.csv.  Without a
submission, in a student's folder, the checks that students have are run on that folder's paper.
"""

import argparse
import csv
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

if not __package__:  # called by its path
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tqdm import tqdm

from literate import ROOT, lint, trees
from literate.course import grades, marks, student
from literate.course.checking import (
    Functions,
    GradeError,
    Run,
    StudentError,
    assess,
    read_course,
    shown,
)
from literate.course.contain import ENTRIES, Box, ContainError, Limits
from literate.course.grades import Grade
from literate.course.marks import MarkError

LOGIN = re.compile(r'^login = "([^"\n]*)"', re.M)
# The files that a submission may add.
ADDED = re.compile(r"pycode/\w+\.py|data/[^/]+\.csv")
SECONDS = 120  # for the build; a call gets a quarter of it
MEGABYTES = 2000  # that the checks of a submission may take
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
SKIPPED = (".git", ".venv", "venv", "node_modules", ".cache", "dist")
PART = "only the checks that students have, a point each: whoever grades has more"


class HolesError(ContainError):
    """A lack of containment on this machine, because of which no submission is run."""


class Grader:
    """A grader that compares submissions, one after the other, with a course's private solution.

    If submissions cannot be contained, none is run, unless their code is trusted (`allow_holes`).
    """

    def __init__(self, root: Path, *, seconds: int = SECONDS, allow_holes: bool = False):
        self.course, self.seconds, self.allow_holes = read_course(root), seconds, allow_holes
        self._own: Own | None = None
        self._known: dict[str, Mapping[str, Any]] = {}
        self.holes: tuple[str, ...] = ()  # what was not contained
        with ExitStack() as stack:
            folder = tempfile.TemporaryDirectory(prefix="grader-", ignore_cleanup_errors=True)
            self.folder = Path(stack.enter_context(folder))  # for its owner only
            self.given, self.solution = self.folder / "given", self.folder / "solution"
            stripped = marks.student_tree(root, self.given)
            if stripped and not self.course.whole:
                raise MarkError(
                    "checks.py: no check stands between ### BEGIN HIDDEN TESTS and ### END HIDDEN "
                    "TESTS, so points would not count: put those there that need the solution"
                )
            self.gaps = (stripped.keys() or marks.gaps(root)) - {"checks.py"}
            trees.lay(root, self.solution, trees.files(root))
            self._stack = stack.pop_all()
        for tree in (self.given, self.solution):
            (tree / "results.json").unlink(missing_ok=True)

    def __enter__(self) -> "Grader":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def grade(self, submission: Path, login: str, pdf: Path | None = None) -> Grade:
        """Grade a submission, and copy its paper to `pdf` if it builds.

        Raises GradeError or ContainError if the course itself, or this machine, is at fault.
        Raises HolesError, before running any code of the submission, if it cannot be contained.
        """
        if not login.strip(". ") or not login.isprintable() or set(login) & set('/\\"'):
            raise GradeError(f"{login!r} cannot be a login: name the submission by one")
        began = time.monotonic()
        hidden = [ROOT, self.course.root, self.folder, submission.parent]
        with Box(hide=hidden) as box:
            self.holes = box.holes
            if self.holes and not self.allow_holes:
                raise HolesError(
                    "nothing was run, since submissions cannot be contained here:\n"
                    + "".join(f"- {hole}\n" for hole in self.holes)
                    + "Grade as root on Linux, with bubblewrap installed; or, if you trust all who"
                    " have handed in, with --allow-holes"
                )
            expected = self._expected(login) if self.course.whole else None
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
                try:
                    pdf.write_bytes(box.read("work/paper.pdf", 50_000_000))
                except (OSError, ValueError) as error:
                    notes.append(f"the paper is not copied: {error}")
            with Boxed(box, max(5, self.seconds // 4)) as functions, memory_limit(MEGABYTES):
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
        """Return a folder with the course's files, with the submission's in the gaps, and notes.

        Raises StudentError if there is no paper or the submission cannot be accepted.
        """
        with tempfile.TemporaryDirectory() as unpacked:
            source = submission
            if submission.suffix.lower() == ".zip":
                source = _unpack(submission, Path(unpacked))
            papers = [source / marks.PAPER, *sorted(source.glob(f"*/{marks.PAPER}"))]
            papers = [path for path in papers if path.is_file() and not path.is_symlink()]
            if not papers:
                raise StudentError(f"there is no {marks.PAPER} in {submission.name}")
            where = papers[0].parent.relative_to(source)
            others = len(papers) > 1 and papers[0].parent != source
            try:
                handed = box.copy(papers[0].parent, "handed", skip=SKIPPED)
            except ContainError as error:
                raise StudentError(f"not taken: {error}") from error
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.given, tree)
        notes = [f"of {len(papers)} papers that in {where} was taken"] if others else []
        for path in sorted(handed.rglob("*")):
            name = str(path.relative_to(handed))
            ours = self.given / name
            taken = name in self.gaps or name == "references.bib"
            taken |= not ours.exists() and bool(ADDED.fullmatch(name))
            if not path.is_file() or (not taken and not ours.is_file()):
                continue
            data = box.read(path)
            if taken:
                (tree / name).parent.mkdir(exist_ok=True)
                (tree / name).write_bytes(data)
            elif data != ours.read_bytes():
                notes.append(f"{name} was changed; the course's own was used")
        for name in sorted(self.gaps):
            if (handed / name).is_file():
                continue
            if (beside := handed / Path(name).name).is_file():
                notes.append(f"{beside.name} was taken for {name}")
                (tree / name).write_bytes(box.read(beside))
            else:
                notes.append(f"{name} is missing; the one with gaps was used")
        return tree, notes

    def _expected(self, login: str) -> Mapping[str, Any]:
        """Return the results.json of the solution's paper for a student's login."""
        if login in self._known:
            return self._known[login]
        own_login(self.course.root)
        line = f"login = {json.dumps(login, ensure_ascii=False)}"
        text = LOGIN.sub(lambda _: line, marks.read(self.course.root / marks.PAPER))
        # The solution's claims about its own data may be false for other students' data.
        text = re.sub(rf"\\claim\s*{lint.GROUP}\s*({lint.GROUP})", lambda m: m[1], text)
        # A name without a sentence would fail the build; str.format takes the same, for nothing.
        text = re.sub(r"\bresults\.claims(?=\()", "str.format", text)
        (self.solution / marks.PAPER).write_text(text, encoding="utf-8")
        (self.solution / "results.json").unlink(missing_ok=True)
        build(self.solution)
        found = (self.solution / "results.json").read_text(encoding="utf-8")
        self._known[login] = json.loads(found)
        return self._known[login]

    def _ask(self, request: str) -> str:
        if self._own is None:
            self._own = self._stack.enter_context(Own(self.solution))
        line = self._own.ask(request)
        if "error" in json.loads(line):
            raise GradeError(f"the solution fails: {json.loads(line)['error']}")
        return line


class Own:
    """The functions of a trusted paper, called in a process that is not contained."""

    def __init__(self, folder: Path):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(student.__file__))],
            cwd=folder,
            env=environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: str) -> str:
        """Return the line that answers a request, or "" if the process has ended."""
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):  # it has ended, and answers nothing
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
        return self.process.stdout.readline()

    def __enter__(self) -> "Own":
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()


class Boxed:
    """The functions of a submission in its box, in a process that is restarted if it has ended."""

    def __init__(self, box: Box, seconds: int):
        self.box, self.limits = box, Limits(seconds=seconds, output=20_000_000)
        self.process: subprocess.Popen[bytes] | None = None
        self.patience = 3  # calls that may fail to end

    def __enter__(self) -> Functions:
        return Functions(self.ask)

    def ask(self, request: str) -> str:
        """Return the line that answers a request.

        Raises StudentError if there is none.
        """
        if not self.patience:
            raise StudentError("not called any more: several calls did not end")
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, str(self.box.folder / "student.py")]
            cwd = self.box.folder / "calls"
            self.process = self.box.start(command, cwd=cwd, limits=self.limits)
        line, ended = self.box.ask(self.process, request.encode(), self.limits)
        if ended:
            self.patience -= ended.startswith("no end")
            name = json.loads(request)["call"]
            raise StudentError(f"{name}: {ended}")
        return line.decode(errors="replace")

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.box.kill(self.process)


@contextmanager
def memory_limit(megabytes: int) -> Iterator[None]:
    """Yield while this process can take no more than `megabytes` MB of additional memory.

    Beyond that, MemoryError is raised.  A check needs the limit even for short arrays: comparing a
    column with a row makes a whole table.
    """
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(OSError, ValueError):  # on macOS there is no such limit
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        highest = pages * resource.getpagesize() + (megabytes << 20)
        resource.setrlimit(resource.RLIMIT_AS, (highest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def own_login(root: Path) -> str:
    """Return the login in a paper.

    Raises GradeError unless there is exactly one.
    """
    found = LOGIN.findall(marks.read(root / marks.PAPER))
    if len(found) != 1:
        raise GradeError(
            f'{marks.PAPER}: {len(found)} lines begin with login = "...": have one, in a block'
        )
    return found[0]


def build(folder: Path) -> None:
    """Build one of the course's own papers.

    Raises GradeError, which says what went wrong.
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
        raise GradeError(f"the paper does not build: {_reason(told)}")


def environment() -> dict[str, str]:
    """Return the environment for building the course's own papers with this Python."""
    return {**os.environ, "PATH": f"{sys.prefix}/bin:{os.environ.get('PATH', os.defpath)}"}


def _reason(output: str) -> str:
    """Return the line of a failed build's output that says why it failed."""
    lines = [line.strip() for line in output.splitlines()]
    told = [line for line in lines if re.match(r"paper\.tex:\d+: \S", line)]
    told += [line for line in lines if re.match(r"! \S|\S+Error\b", line)]
    return shown((told or [line for line in lines if line] or ["it printed nothing"])[0])


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip archive into a folder and return the folder.

    Raises StudentError if it is not a zip archive, is too large or is packed in an unusual way.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [e for e in file.infolist() if not set(SKIPPED) & {*Path(e.filename).parts}]
            if len(entries) > ENTRIES or sum(entry.file_size for entry in entries) > 50_000_000:
                raise ValueError(f"more than 50 MB, or {ENTRIES} files")
            # Other methods can take any amount of memory.
            if any(entry.compress_type not in PACKED for entry in entries):
                raise ValueError("packed in an unusual way")
            file.extractall(folder, entries)
    except Exception as error:  # zipfile, zlib and codecs raise many kinds
        raise StudentError(f"{archive.name}: {error}") from error
    return folder


def check_yourself(root: Path = ROOT) -> Grade:
    """Build the paper in `root` and grade it by the checks that students have."""
    began, known = time.monotonic(), read_course(root)
    failure = ""
    try:
        build(root)
    except GradeError as error:
        failure = str(error)
    text = marks.read(root / marks.PAPER)
    with Own(root) as own:
        run = Run(
            (LOGIN.findall(text) or [""])[0],
            student=Functions(own.ask),
            solution=None,
            text=text,
            files=lambda name: (root / name).read_bytes(),
            failure=failure,
            expected=None,
        )
        outcomes = tuple(assess(known, run, only=known.visible))
    notes = (failure,) if failure else ()
    return Grade(run.login, outcomes, notes, round(time.monotonic() - began, 1))


def submissions(paths: Iterable[Path]) -> dict[str, Path]:
    """Return the submissions that are in `paths`, or in folders that are, each by its name.

    Raises GradeError if there is none, or if two have the same name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise GradeError(f"{path}: there is no such submission")
        several = path.is_dir() and not (path / marks.PAPER).exists()
        inside = sorted(path.iterdir()) if several else [path]
        some = [one for one in inside if one.is_dir() or one.suffix.lower() == ".zip"]
        some = [one for one in some if not several or not one.name.startswith((".", "__MACOSX"))]
        if not some:
            raise GradeError(f"{path}: no {marks.PAPER}, no folder and no zip archive in it")
        for one in set(inside) - set(some) if several else ():
            print(f"{one}: neither a folder nor a zip archive, and not graded", file=sys.stderr)
        for one in some:
            name = re.sub(r"\.zip\Z", "", one.resolve().name, flags=re.I)
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
    """Grade the submissions on the command line and return the exit status.

    It is 0 if all were graded, whatever their scores.
    """
    parser = argparse.ArgumentParser(prog="grade.py", description="Grades what was handed in.")
    add = parser.add_argument
    add("submissions", nargs="*", type=Path, help="a folder or zip archive, or a folder of them")
    add("--login", help="the student's; otherwise the submission's name")
    add("--out", type=Path, help="where reports, papers and grades.csv go")
    add("--gradescope", type=Path, metavar="FILE", help="writes Gradescope's results.json")
    add("--classroom50", type=Path, metavar="FILE", help="writes Classroom 50's result.json")
    add("--allow-holes", action="store_true", help="grade even if code cannot be contained")
    add("--seconds", type=int, default=SECONDS, help="for a paper's build (%(default)s)")
    arguments = parser.parse_args()
    try:
        if not arguments.submissions:
            print(f"Here are {PART}.\n\n{grades.report(check_yourself())}")
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
    """Grade each submission and return the exit status.

    If there are several, write a table of all.
    """
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
    rows, status = [], 0
    with (
        tempfile.TemporaryDirectory() as folder,
        Grader(
            marks.source(ROOT, Path(folder)),
            seconds=arguments.seconds,
            allow_holes=arguments.allow_holes,
        ) as grader,
    ):
        for login, path in tqdm(found.items(), unit="paper", disable=len(found) == 1):
            try:
                pdf = arguments.out / f"{login}.pdf" if arguments.out else None
                grade = grader.grade(path.resolve(), login, pdf)
                _write(grade, arguments)
            except HolesError:  # which all submissions share
                raise
            except Exception as error:  # nothing in one submission may cost the others their grades
                if len(found) == 1:
                    raise
                row = grades.row(Grade(login, (), (f"not graded: {str(error) or repr(error)}",), 0))
                rows.append({name: row[name] for name in ("login", "notes")})
                status = 1
                continue
            rows.append(grades.row(grade))
            if len(found) == 1:
                print(grades.report(grade))
        for hole in grader.holes:
            print(f"not contained: {hole}", file=sys.stderr)
    if len(found) > 1:
        rows_by_length = sorted(rows, key=len, reverse=True)
        names = list(dict.fromkeys(name for row in rows_by_length for name in row))
        table = arguments.out / "grades.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        print(f"{table}: {len(rows)} submissions")
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not without removing the solution
    sys.exit(main())
