r"""The marks in a course's source: they set its exercises, and what students do not get.

An exercise stands in paper.tex as \begin{exercise}{title}{points}{key}, followed by its
\begin{solution}.  In Python code, including that of blocks, a solution stands between the lines
`### BEGIN SOLUTION` and `### END SOLUTION`, and tests that students do not get stand between `###
BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS`.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from literate import trees
from literate.lint import GROUP

PAPER = "paper.tex"
SOLUTION, HIDDEN = "SOLUTION", "HIDDEN TESTS"
ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{\s*(exercise|solution)\s*\}")
ARGUMENTS = re.compile(rf"\s*({GROUP})\s*({GROUP})\s*({GROUP})\s*(?:%.*)?")
BLOCK = re.compile(r"\s*\\(begin|end)\{(py\w+)\}")
MARK = re.compile(r"\s*### (BEGIN|END) (SOLUTION|HIDDEN TESTS)\s*")
# Lines that were meant as marks, but are not.
NEARLY = re.compile(
    r"#\s*(?:begin|end|start|stop)\s+(?:the\s+)?(?:solution|hidden)|^\s*###\s*(?:begin|end)\b", re.I
)
MISPLACED = re.compile(rb"\s*(?:### BEGIN (?:SOLUTION|HIDDEN)|\\begin\s*\{(?:exercise|solution)\})")
TODO, COMMENT, RAISE = r"\todo", "# To do", 'raise NotImplementedError("to do")'
SAMPLE = "literate/course/sample/"
README = "course/README.md"  # the students' README
# What students do not get: the instructor's files, and those for developing the template.
KEPT = (SAMPLE, "course/", "docs/", "tests/", "literate/tests/", ".ci/", ".github/")
KEPT += ("literate/CHANGELOG.md", "CITATION.cff", "literate/new.py", "literate/skeleton/")
KEPT += ("literate/testing.py", "literate/upgrade.py")
KEPT += ("literate/course/course.py", "literate/course/autograders.py")
KEPT += ("literate/course/gradescope/", "literate/course/classroom50/", "results/README.md")
KEPT += ("results/build.", "results/limit.", "results/simulation.")
FEWEST = 20  # characters of a piece of a solution that is searched for


class MarkError(Exception):
    """An error in the marks; the message says where it is, and what to do."""


@dataclass(frozen=True)
class Exercise:
    """An exercise, as paper.tex states it."""

    key: str
    title: str
    points: int
    line: int


@dataclass(frozen=True)
class Stripped:
    """A file as students get it, and the lines that were removed from it."""

    text: str
    taken: tuple[str, ...]


def exercises(text: str, file: str = PAPER) -> list[Exercise]:
    """Return the exercises of a paper, in order.

    Raises MarkError for an exercise or a solution that is unbalanced or nested, or that shares its
    line with anything else.  Also raises it for a solution before the first exercise, and for an
    exercise without a title, points and a key of its own.
    """
    found: list[Exercise] = []
    opened = ""
    at = 0
    for number, line in enumerate(text.split("\n"), 1):
        for mark in ENVIRONMENT.finditer(line):
            kind, name = mark.groups()
            here = f"{file}:{number}: \\{kind}{{{name}}}"
            before, rest = line[: mark.start()].strip(), line[mark.end() :]
            begins = (kind, name) == ("begin", "exercise")
            arguments = ARGUMENTS.fullmatch(rest) if begins else None
            if before or (not begins and rest.partition("%")[0].strip()):
                raise MarkError(f"{here} has to stand on a line of its own, and in no comment")
            if begins and not arguments:
                raise MarkError(f"{here} needs {{title}}{{points}}{{key}} on its own line")
            if kind == "begin" and opened:
                raise MarkError(f"{here} stands inside the {opened} of line {at}: end that first")
            if kind == "end" and opened != name:
                raise MarkError(f"{here} ends none that was begun")
            if name == "solution" and not found:
                raise MarkError(f"{here} stands before the first exercise")
            opened, at = (name, number) if kind == "begin" else ("", 0)
            if arguments:
                found.append(_exercise(here, number, arguments, found))
    if opened:
        raise MarkError(f"{file}:{at}: \\begin{{{opened}}} is not ended")
    return found


def _exercise(here: str, line: int, arguments: re.Match[str], known: list[Exercise]) -> Exercise:
    title, points, key = (argument[1:-1].strip() for argument in arguments.groups())
    if not re.fullmatch(r"[1-9]\d*", points):
        raise MarkError(f"{here}: {points!r} are no points: write a whole number above 0")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
        raise MarkError(f"{here}: {key!r} is no key: use small letters, digits and _")
    for other in known:
        if other.key == key:
            raise MarkError(f"{here}: the key {key!r} is that of line {other.line}: take another")
    return Exercise(key, " ".join(title.split()), int(points), line)


def strip(text: str, file: str) -> Stripped:
    """Return a file of the course's source as students get it.

    In paper.tex a solution becomes a visible *To do*.  In Python code it becomes an error, or in a
    block a *To do*, and hidden tests are removed.  Raises MarkError for marks that are unknown,
    nested or unbalanced.
    """
    if file.endswith(".tex"):
        exercises(text, file)
    lines: list[str] = []
    taken: list[str] = []
    inside = block = solution = ""
    at = 0
    for number, line in enumerate(text.split("\n"), 1):
        here = f"{file}:{number}: {line.strip()}"
        environment = ENVIRONMENT.search(line) if file.endswith(".tex") else None
        edge = BLOCK.match(line) if file.endswith(".tex") else None
        mark = MARK.fullmatch(line)
        if mark:
            kind, name = mark.groups()
            if file.endswith(".tex") and not block:
                raise MarkError(f"{here} stands in no block")
            if kind == "BEGIN" and (inside or solution):
                raise MarkError(f"{here} stands inside the solution of line {at}: remove one")
            if kind == "END" and inside != name:
                raise MarkError(f"{here} ends none that was begun")
            if kind == "BEGIN":
                inside, at = name, number
                lines += _gap(line[: line.index("#")], block, name)
            else:
                inside = ""
        elif NEARLY.search(line) and (block or file.endswith(".py")):
            raise MarkError(f"{here} is no mark: write BEGIN or END and {SOLUTION} or {HIDDEN}")
        elif edge and edge[1] == "end" and inside:
            raise MarkError(f"{file}:{at}: ### BEGIN {inside} is not ended in its block")
        elif environment and environment[2] == "solution":
            solution = (environment[1] == "begin" and environment[2]) or ""
            at = number
            lines += [line, TODO] if solution else [line]
        else:
            (taken if inside or solution else lines).append(line)
        if edge:
            block = edge[2] if edge[1] == "begin" else ""
    if inside:
        raise MarkError(f"{file}:{at}: ### BEGIN {inside} is not ended")
    return Stripped("\n".join(lines), tuple(line for line in taken if line.strip()))


def _gap(indent: str, block: str, name: str) -> list[str]:
    """Return the lines that replace a solution: code that runs, or says what is to do."""
    if name == HIDDEN:
        return []
    if block:
        return [f'{indent}print(r"{TODO}")' if block == "pycode" else f"{indent}...  {COMMENT}"]
    return [f"{indent}{RAISE}" if indent else COMMENT]


def pieces(stripped: Mapping[str, Stripped]) -> list[str]:
    """Return the pieces of text that would give solutions away.

    These are their lines and, in prose, the words between commands, with white space folded.  A
    piece does not count if it is short, or if it stands outside comments in the students' version
    of the same files.
    """
    comments = {file: "%" if file.endswith(".tex") else "#" for file in stripped}
    known = _folded(
        "\n".join(re.sub(f"{comments[f]}.*", "", found.text) for f, found in stripped.items())
    )
    secret: dict[str, None] = {}
    for line in (line for found in stripped.values() for line in found.taken):
        words = re.split(r"\\[A-Za-z]+\*?|[{}\[\]]", line) if "\\" in line else []
        some = [_folded(piece) for piece in (line, *words)]
        secret |= dict.fromkeys(p for p in some if len(p) >= FEWEST and p not in known)
    return list(secret)


def leaks(secret: Iterable[str], text: str) -> dict[str, int]:
    """Return the pieces of solutions that a text contains, each with the line of the text.

    The line is 0 if a piece spans several lines.
    """
    folded, lines = _folded(text), [_folded(line) for line in text.split("\n")]
    return {
        piece: next((n for n, line in enumerate(lines, 1) if piece in line), 0)
        for piece in secret
        if piece in folded
    }


def _folded(text: str) -> str:
    return " ".join(text.split())


def read(path: Path) -> str:
    """Return the text of a file.

    Raises MarkError if the file is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MarkError(f"{path}: {error}: save it as UTF-8") from error


def source(root: Path, folder: Path) -> Path:
    """Return the folder with the course's source: `root`, or `folder` with the sample course.

    The sample course is used if the template's paper.tex has no exercise.  It is the template in
    `root` with the files of SAMPLE in place of its own, and is written to `folder`.
    """
    own = exercises(read(root / PAPER))
    if own or not (root / SAMPLE / PAPER).exists():
        return root
    names = trees.files(root)
    laid = [name for name in names if name.startswith(SAMPLE)]
    trees.lay(root, folder, set(names) - set(laid))
    trees.lay(root / SAMPLE, folder, [name.removeprefix(SAMPLE) for name in laid])
    return folder


def gaps(root: Path) -> set[str]:
    """Return the names of the files of the students' version in which something is left to do."""
    found = set()
    for name in trees.files(root):
        if (name == PAPER or name.endswith(".py")) and not name.startswith("literate/"):
            text = (root / name).read_text(encoding="utf-8", errors="replace")
            if name == PAPER or any(line.strip() in (RAISE, COMMENT) for line in text.split("\n")):
                found.add(name)
    return found


def student_tree(root: Path, target: Path) -> dict[str, Stripped]:
    """Write all that students get to `target`, and return the files that have gaps, by name.

    Raises MarkError for marks that are not valid, or in files where they have no effect.
    """
    left_out = (*KEPT, "README.md", "results.json")
    names = [name for name in trees.files(root) if not name.startswith(left_out)]
    trees.lay(root, target, names)
    stripped = {}
    for name in names:
        if name.startswith("literate/"):
            continue  # these files mention marks
        if name == PAPER or name.endswith(".py"):
            text = read(root / name)
            found = strip(text, name)
            if found.text != text:
                stripped[name] = found
                (target / name).write_text(found.text, encoding="utf-8")
        else:
            for number, line in enumerate((root / name).read_bytes().splitlines(), 1):
                if MISPLACED.match(line):
                    here = f"{name}:{number}: {line.decode(errors='replace').strip()}"
                    raise MarkError(
                        f"{here}: marks stand in {PAPER} and .py files, or are not seen"
                    )
    if (root / README).exists():
        shutil.copy(root / README, target / "README.md")
    return stripped
