r"""What is marked in a course's source: its exercises, and what students do not get.

Exercises stand in paper.tex, each as \begin{exercise}{title}{points}{key} and after it its
\begin{solution}.  In Python code, also that of blocks, a solution stands between the lines
`### BEGIN SOLUTION` and `### END SOLUTION`, and tests that students do not get between
`### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS`.
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
# What was meant for a mark, if it is none.
NEARLY = re.compile(
    r"#\s*(?:begin|end|start|stop)\s+(?:the\s+)?(?:solution|hidden)|^\s*###\s*(?:begin|end)\b", re.I
)
MISPLACED = re.compile(rb"\s*(?:### BEGIN (?:SOLUTION|HIDDEN)|\\begin\s*\{(?:exercise|solution)\})")
TODO, COMMENT, RAISE = r"\todo", "# To do", 'raise NotImplementedError("to do")'
SAMPLE = "literate/course/sample/"
README = "course/README.md"  # that of students
# What students do not get: it is the instructor's, or of the template's own development.
KEPT = (SAMPLE, "course/", "docs/", "tests/", "literate/tests/", ".ci/", ".github/")
KEPT += ("literate/CHANGELOG.md", "CITATION.cff", "literate/new.py", "literate/skeleton/")
KEPT += ("literate/testing.py", "literate/upgrade.py")
KEPT += ("literate/course/course.py", "literate/course/autograders.py")
KEPT += ("literate/course/gradescope/", "literate/course/classroom50/", "results/README.md")
KEPT += ("results/build.", "results/limit.", "results/simulation.")
FEWEST = 20  # characters of a piece of a solution that is looked for


class MarkError(Exception):
    """Marks that cannot be obeyed; the message says where they stand, and what to do."""


@dataclass(frozen=True)
class Exercise:
    """What students are asked for, as paper.tex says it."""

    key: str
    title: str
    points: int
    line: int


@dataclass(frozen=True)
class Stripped:
    """A file as students get it, and the lines that were taken out of it."""

    text: str
    taken: tuple[str, ...]


def exercises(text: str, file: str = PAPER) -> list[Exercise]:
    r"""The exercises of a paper, in their order.

    Raises MarkError for an exercise or a solution that is unbalanced, nested, or no exercise's,
    shares its line with anything else, or has no title, points and key of its own.
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
    """A file of the course's source as students get it.

    In paper.tex a solution becomes a visible *To do*; in Python code one becomes an error, in a
    block a *To do*, and hidden tests go.  Raises MarkError for marks that are unknown, nested or
    unbalanced.
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
    """The lines that stand where a solution stood: code that runs, or says what is to do."""
    if name == HIDDEN:
        return []
    if block:
        return [f'{indent}print(r"{TODO}")' if block == "pycode" else f"{indent}...  {COMMENT}"]
    return [f"{indent}{RAISE}" if indent else COMMENT]


def pieces(stripped: Mapping[str, Stripped]) -> list[str]:
    """What would give solutions away: their lines, and of prose the words between commands.

    White space is folded; what is short, or stands outside comments in what students get of the
    same files, does not count.
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
    """Those pieces of solutions that stand in a text, with the line, 0 if they are over several."""
    folded, lines = _folded(text), [_folded(line) for line in text.split("\n")]
    return {
        piece: next((n for n, line in enumerate(lines, 1) if piece in line), 0)
        for piece in secret
        if piece in folded
    }


def _folded(text: str) -> str:
    return " ".join(text.split())


def read(path: Path) -> str:
    """The text of a file; raises MarkError if it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MarkError(f"{path}: {error}: save it as UTF-8") from error


def source(root: Path, folder: Path) -> Path:
    """The folder with the course's source: `root`, or the sample, which is laid into `folder`.

    The sample course is the template in `root` with the files of SAMPLE in place of its own; it is
    taken if the template's paper.tex has no exercise.
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
    """The names of the files in which something is left to do, in what students have."""
    found = set()
    for name in trees.files(root):
        if (name == PAPER or name.endswith(".py")) and not name.startswith("literate/"):
            text = (root / name).read_text(encoding="utf-8", errors="replace")
            if name == PAPER or any(line.strip() in (RAISE, COMMENT) for line in text.split("\n")):
                found.add(name)
    return found


def student_tree(root: Path, target: Path) -> dict[str, Stripped]:
    """The files that have gaps, by their names; writes all that students get to `target`."""
    left_out = (*KEPT, "README.md", "results.json")
    names = [name for name in trees.files(root) if not name.startswith(left_out)]
    trees.lay(root, target, names)
    stripped = {}
    for name in names:
        if name.startswith("literate/"):
            continue  # which speak of marks
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
