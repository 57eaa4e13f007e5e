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

from tools import autograders, grade, lint, marks, trees
from tools.autograders import AutogradersError
from tools.contain import ContainError
from tools.grade import GradeError, Grader
from tools.marks import MarkError, Stripped
from tools.trees import TreeError

ROOT = Path(__file__).resolve().parent.parent
# What of the students' tree only terminals have use for.
NOT_IN_COCALC = shutil.ignore_patterns(".git", ".gitignore", ".devcontainer", "apt*.txt")


class CourseError(Exception):
    """Why a source makes no course."""


def write(root: Path, target: Path) -> str:
    """What was made in `target`, for the terminal.

    Raises CourseError, MarkError or GradeError where the source does not do.
    """
    target.mkdir(parents=True)
    student = target / "student"
    stripped = marks.student_tree(root, student)
    with Grader(root) as grader:
        login = grade.LOGIN.findall((root / marks.PAPER).read_text(encoding="utf-8"))
        if len(login) != 1:
            raise CourseError(f'{marks.PAPER}: begin one line of a block with login = "..."')
        papers = {}
        for name, source in (("solution", root), ("student", student)):
            papers[name] = folder = grader.folder / f"{name}-paper"
            trees.lay(source, folder, trees.files(source))
            grade.build(folder)
        shutil.copy(papers["student"] / "paper.pdf", target / "student.pdf")
        shutil.copy(papers["student"] / "results.json", student)
        trees.commit(student, "Hand out the course", **trees.COURSE)
        shutil.copytree(student, target / "cocalc", ignore=NOT_IN_COCALC)
        autograders.classroom50(root, student, target / "classroom50", assignment(root))
        if found := leaks(stripped, target):
            raise CourseError("\n".join(["what students get holds pieces of a solution:", *found]))
        shutil.copy(papers["solution"] / "paper.pdf", target / "solution.pdf")
        told = [prove(grader, root, login[0], whole=True)]
        told.append(prove(grader, student, login[0], whole=False))
    # Which students do not get.
    autograders.gradescope(root, target / "gradescope.zip")
    return "\n".join(told)


def assignment(root: Path) -> str:
    """What Classroom 50 shall call the course: its paper's title, as part of an address."""
    title = re.search(rf"\\title({lint.GROUP})", (root / marks.PAPER).read_text(encoding="utf-8"))
    words = re.findall(r"[a-z0-9]+", title[1].lower() if title else "")
    return "-".join(words)[:39].strip("-") or "course"


def leaks(stripped: Mapping[str, Stripped], target: Path) -> list[str]:
    """A line for each piece of a solution in what is in `target`, git objects and PDFs included."""
    given = "\n".join(found.text for found in stripped.values())
    taken = [line for found in stripped.values() for line in found.taken]
    pieces = list(dict.fromkeys(marks.pieces(taken, given)))
    texts = {}
    for path in sorted(target.rglob("*")):
        if path.name == ".git":
            texts[path] = printed(path, "git", "cat-file", "--batch-all-objects", "--batch")
        elif path.suffix == ".pdf":
            texts[path] = printed(path.parent, "pdftotext", "-raw", str(path), "-")
        elif path.is_file() and ".git" not in path.parts:
            texts[path] = path.read_bytes()
    return [
        f"{path.relative_to(target)}: {piece}"
        for path, text in texts.items()
        for piece in marks.leaks(pieces, text.decode(errors="replace"))
    ]


def printed(folder: Path, *command: str) -> bytes:
    """What a command prints."""
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


def prove(grader: Grader, tree: Path, login: str, *, whole: bool) -> str:
    """A line on what a tree is worth; raises CourseError if it is not all, or not nothing."""
    found = grader.grade(tree, login)
    wrong = [outcome for outcome in found.outcomes if outcome.passed != whole]
    name = "the solution" if whole else "what students start from"
    if wrong:
        what = "fails" if whole else "passes"
        lines = [f"  {o.exercise}: {o.name}: {o.found}" for o in wrong]
        raise CourseError("\n".join([f"{name} {what}:", *lines, *found.notes]))
    return f"{name}: {found.score} of {found.max_score} points"


def main() -> int:
    """The exit status: 1 if there is something to mend first."""
    final = ROOT / "dist" / "course"
    with tempfile.TemporaryDirectory() as temporary:
        new = Path(temporary, "course")
        try:
            if names := trees.unknown(ROOT):
                raise CourseError(f"{names[0]}: add it to git, or name it in .gitignore")
            root = marks.source(ROOT, Path(temporary, "source"))
            if root != ROOT:
                print("paper.tex has no exercise: taking the sample in course/", flush=True)
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
