"""All that a course needs, made from one source: `make course` writes dist/course/.

student/ is what students start from, and cocalc/ is the same for handing out in CoCalc.
student.pdf and solution.pdf are the two papers.  gradescope.zip and classroom50/ are for the
services of these names.  Nothing is written unless no piece of a solution can be found in what
students get, the solution has all points, and what students start from builds and has none.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from literate import ROOT, lint, trees
from literate.course import autograders, grade, marks
from literate.course.autograders import AutogradersError
from literate.course.contain import ContainError
from literate.course.grade import GradeError, Grader
from literate.course.grades import Grade
from literate.course.marks import MarkError, Stripped
from literate.trees import TreeError

# Files of the students' tree that are useful only in a terminal.
NOT_IN_COCALC = shutil.ignore_patterns(".git", ".gitignore", ".devcontainer", "apt.txt")


class CourseError(Exception):
    """A reason why a source does not make a course."""


def write(root: Path, target: Path) -> str:
    """Write a course to `target` and return a summary for the terminal.

    Raises CourseError, MarkError or GradeError if the source does not make a course.
    """
    target.mkdir(parents=True)
    student = target / "student"
    stripped = marks.student_tree(root, student)
    with Grader(root, allow_holes=True) as grader:  # all of it is the course's own code
        login = grade.own_login(root)
        paper = grader.folder / "student-paper"
        trees.lay(student, paper, trees.files(student))
        # The checks that students have must work without the solution.
        if failures := grade.check_yourself(paper).notes:
            raise CourseError(f"what students start from: {failures[0]}")
        shutil.copy(paper / "paper.pdf", target / "student.pdf")
        shutil.copy(paper / "results.json", student)
        trees.commit(student, "Hand out the course", **trees.COURSE)
        shutil.copytree(student, target / "cocalc", ignore=NOT_IN_COCALC)
        autograders.classroom50(student, target / "classroom50", assignment(root))
        if found := leaks(stripped, target):
            raise CourseError("\n".join(["what students get holds pieces of a solution:", *found]))
        told = [
            prove("the solution", grader.grade(root, login, target / "solution.pdf"), whole=True),
            prove("what students start from", grader.grade(student, login), whole=False),
        ]
    # Students do not get this.
    autograders.gradescope(root, target / "gradescope.zip")
    return "\n".join(told)


def assignment(root: Path) -> str:
    """Return the course's name in Classroom 50: its paper's title, as part of a URL."""
    title = re.search(rf"\\title({lint.GROUP})", marks.read(root / marks.PAPER))
    words = re.findall(r"[a-z0-9]+", title[1].lower() if title else "")
    return "-".join(words)[:39].strip("-") or "course"


def leaks(stripped: Mapping[str, Stripped], target: Path) -> list[str]:
    """Return a line for each piece of a solution in `target`, git objects and PDFs included.

    The line says where the piece appears first, outside git if it does.
    """
    secret, found = marks.pieces(stripped), {}
    for path in sorted(target.rglob("*"), key=lambda path: (path.name == ".git", path)):
        if path.name == ".git":
            text = printed(path, "git", "cat-file", "--batch-all-objects", "--batch")
        elif path.suffix == ".pdf":
            text = printed(path.parent, "pdftotext", "-raw", str(path), "-")
        elif path.is_file() and ".git" not in path.parts:
            text = path.read_bytes()
        else:
            continue
        for piece, line in marks.leaks(secret, text.decode(errors="replace")).items():
            place = f"{path.relative_to(target)}:{line}".removesuffix(":0")
            found.setdefault(piece, f"{place}: {piece}")
    return list(found.values())


def printed(folder: Path, *command: str) -> bytes:
    """Return the output of a command."""
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


def prove(name: str, found: Grade, *, whole: bool) -> str:
    """Return a line about a grade.

    Raises CourseError unless all checks have passed, if `whole`, or otherwise none.
    """
    wrong = [outcome for outcome in found.outcomes if outcome.passed != whole]
    if wrong:
        lines = [f"  {o.exercise}: {o.name}: {o.found}" for o in wrong]
        raise CourseError("\n".join([f"{name} {'fails' if whole else 'passes'}:", *lines]))
    return f"{name}: {found.score} of {found.max_score} points"


def main() -> int:
    """Write dist/course/ and return the exit status: 1 if something has to be fixed first."""
    final = ROOT / "dist" / "course"
    with tempfile.TemporaryDirectory() as temporary:
        new = Path(temporary, "course")
        try:
            if names := set(trees.unknown(ROOT)) - {"results.json"}:
                raise CourseError(f"{min(names)}: add it to git, or name it in .gitignore")
            root = marks.source(ROOT, Path(temporary, "source"))
            if root != ROOT:
                print(f"paper.tex has no exercise: taking the sample in {marks.SAMPLE}", flush=True)
            print(write(root, new))
        except (
            CourseError,
            MarkError,
            TreeError,
            GradeError,
            ContainError,
            AutogradersError,
        ) as error:
            print(error, file=sys.stderr)
            return 1
        shutil.rmtree(final, ignore_errors=True)
        shutil.copytree(new, final, symlinks=True)
    print(f"{final.relative_to(ROOT)}/: {', '.join(sorted(path.name for path in final.iterdir()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
