"""All that a course needs, from one source: `make course` writes dist/course/.

student/ is what students start from, cocalc/ the same to hand out there, student.pdf and
solution.pdf their papers, gradescope.zip and classroom50/ what those services want.  All is written
only if no piece of a solution can be found in what students get, the solution has all points, and
what students start from builds and has none.
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

# What of the students' tree only terminals have use for.
NOT_IN_COCALC = shutil.ignore_patterns(".git", ".gitignore", ".devcontainer", "apt.txt")


class CourseError(Exception):
    """Why a source makes no course."""


def write(root: Path, target: Path) -> str:
    """What was made in `target`, for the terminal.

    Raises CourseError, MarkError or GradeError where the source does not do.
    """
    target.mkdir(parents=True)
    student = target / "student"
    stripped = marks.student_tree(root, student)
    with Grader(root, allow_holes=True) as grader:  # all of it is the course's own code
        login = grade.own_login(root)
        paper = grader.folder / "student-paper"
        trees.lay(student, paper, trees.files(student))
        # Those checks that students have must do without the solution.
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
    # Which students do not get.
    autograders.gradescope(root, target / "gradescope.zip")
    return "\n".join(told)


def assignment(root: Path) -> str:
    """What Classroom 50 shall call the course: its paper's title, as part of an address."""
    title = re.search(rf"\\title({lint.GROUP})", marks.read(root / marks.PAPER))
    words = re.findall(r"[a-z0-9]+", title[1].lower() if title else "")
    return "-".join(words)[:39].strip("-") or "course"


def leaks(stripped: Mapping[str, Stripped], target: Path) -> list[str]:
    """A line for each piece of a solution in what is in `target`, git objects and PDFs included.

    It says where the piece stands first, outside git.
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
    """What a command prints."""
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


def prove(name: str, found: Grade, *, whole: bool) -> str:
    """A line on a grade; raises CourseError if it is not all, or not nothing."""
    wrong = [outcome for outcome in found.outcomes if outcome.passed != whole]
    if wrong:
        lines = [f"  {o.exercise}: {o.name}: {o.found}" for o in wrong]
        raise CourseError("\n".join([f"{name} {'fails' if whole else 'passes'}:", *lines]))
    return f"{name}: {found.score} of {found.max_score} points"


def main() -> int:
    """The exit status: 1 if there is something to mend first."""
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
