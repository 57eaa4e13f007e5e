r"""A fresh paper from this template, in a folder and a git history of its own.

`make new NAME=../my-paper` copies the files that git knows here, as they are now, without those of
LEFT_OUT.  Then it copies literate/skeleton/ over them: a paper with empty sections.
With FROM=course it copies the sample course instead, for an instructor to extend.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

from literate import ROOT, lint, trees
from literate.trees import TreeError

try:
    from literate import tex
except ImportError as error:  # says what to do, where nothing has been installed yet
    sys.exit(str(error))

SKELETON = "literate/skeleton"
SOURCES = {"course": "literate/course/sample"}  # what else a paper may start from
# The skeleton's placeholders for title, author and address.
TITLE, AUTHOR, EMAIL = "A Fresh Paper", "First Author", "first@example.org"
LEFT_OUT = {  # and why
    "literate/course/*": "grades, and stays with FROM=course",
    "literate/tests/*": "the machine's",
    "docs/*": "about the template, but for PAGES; all are kept with FROM=course",
    ".github/*.png": "the template's pages",
    "literate/CHANGELOG.md": "the template's releases",
    "results.json": "the template's numbers; the first build writes others",
    "results/*": "records that the template's paper is set from",
    ".github/workflows/networks.yml": "checks that record",
    "tests/*": "the template's paper, records and releases, which it answers for",
}
# Tests of what an author writes and calls, which also hold with other models and data.
TESTS = ("code", "data", "document", "evaluation", "figures", "inference", "scoring")
COURSE = """
This is a course: `docs/course.md` says how exercises, in `paper.tex`, `pycode/lab.py` and
`checks.py`, are written, handed out and graded.  Students get `course/README.md` for this page.
"""
PAGES = ("guide", "inputs", "troubleshooting")  # for authors
KEPT = {"tests/conftest.py", *(f"tests/test_{name}.py" for name in TESTS)}
KEPT |= {f"docs/{name}.md" for name in PAGES}


def start(folder: Path, *, title: str = "", author: str = "", source: str = "") -> None:
    """Make `folder`, with a paper in it and one commit, or leave everything unchanged.

    The title is the folder's name unless given.  The author, a name and perhaps <an address>, is by
    default the user of git.  With a `source`, that folder of the template replaces the skeleton.
    Raises TreeError.
    """
    folder = folder.absolute()
    if folder.resolve().is_relative_to(ROOT):
        raise TreeError(f"{folder} is in the template's own folder: name one beside it")
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        found = "a file" if folder.is_file() else "not empty"
        raise TreeError(f"{folder} is {found}: name a folder that is new or empty")
    sample = SOURCES.get(source, source)
    if source and not (ROOT / sample / "paper.tex").is_file():
        raise TreeError(f"no {sample}/paper.tex in the template to start from")
    name, email = (
        trees.git(ROOT, "config", "--default", "", f"user.{key}").strip()
        for key in ("name", "email")
    )
    identity = {"name": name or AUTHOR, "email": email or EMAIL}
    if author:
        given = re.fullmatch(r"(.*?)\s*<(.*)>", author)
        name, email = given.groups() if given else (author, email if author == name else "")

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        new = Path(temporary, "paper")
        files = trees.files(ROOT)
        kept = [f for f in files if f in KEPT or not any(fnmatch(f, p) for p in LEFT_OUT)]
        trees.lay(ROOT, new, kept)
        own = _inside(SKELETON, files)
        trees.lay(ROOT / SKELETON, new, ["README.md", "CITATION.cff"] if source else own)
        if source:
            # This test expects a paper, not answers.
            (new / "tests/test_document.py").unlink(missing_ok=True)
            trees.lay(ROOT / sample, new, _inside(sample, files))
            course = [file for file in files if file.startswith(("docs/", "literate/course/"))]
            trees.lay(ROOT, new, [file for file in course if not file.startswith(f"{sample}/")])
            with (new / "README.md").open("a", encoding="utf-8") as file:
                file.write(COURSE)
        _fill(new, title or folder.resolve().name, name or AUTHOR, email or EMAIL)
        _cite(new)
        trees.commit(new, "Start a fresh paper", **identity)
        new.rename(folder)


def _inside(folder: str, files: Iterable[str]) -> list[str]:
    return [file.removeprefix(f"{folder}/") for file in files if file.startswith(f"{folder}/")]


def _fill(folder: Path, title: str, author: str, email: str) -> None:
    """Replace the placeholders for title and author in the skeleton's files."""
    given = {TITLE: " ".join(title.split()), AUTHOR: " ".join(author.split()), EMAIL: email}
    places = re.compile(f"({'|'.join(map(re.escape, given))})")

    def quoted(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)[1:-1]

    for name, written in (("paper.tex", tex.text), ("CITATION.cff", quoted), ("README.md", str)):
        pieces = places.split((folder / name).read_text(encoding="utf-8"))
        pieces[1::2] = [written(given[placeholder]) for placeholder in pieces[1::2]]
        (folder / name).write_text("".join(pieces), encoding="utf-8")


def _cite(folder: Path) -> None:
    """Keep in references.bib only the works that paper.tex cites."""
    lists = re.findall(
        r"\\cite\w*\*?(?:\[[^]]*\])*\{([^}]*)\}", (folder / "paper.tex").read_text("utf-8")
    )
    cited = {key.strip() for keys in lists for key in keys.split(",")}
    path = folder / "references.bib"
    entries = re.split(r"(?m)^(?=@)", path.read_text(encoding="utf-8"))
    kept = [e for e in entries if re.sub(r"@\w+\{", "", e).partition(",")[0] in cited]
    path.write_text("".join(kept).rstrip() + "\n", encoding="utf-8")


def main() -> int:
    """Return the exit status: 1 if no paper was made."""
    parser = argparse.ArgumentParser(description="Starts a fresh paper from this template.")
    parser.add_argument("name", help="the folder that it shall have")
    parser.add_argument("title", nargs="?", default="")
    parser.add_argument("author", nargs="?", default="")
    parser.add_argument("source", nargs="?", default="", help="course, or nothing")
    given = parser.parse_args()
    try:
        if not given.name:
            raise TreeError("name a folder, as in make new NAME=../my-paper")
        folder = Path(given.name).expanduser()
        start(folder, title=given.title, author=given.author, source=given.source)
    except (TreeError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    paper = folder / "paper.tex"
    for finding in lint.find(paper.read_text("utf-8"), paper):  # in a title
        print(f"make lint will find {finding}")
    print(f"{folder} has a fresh paper.  Next: cd {folder} && make")
    return 0


if __name__ == "__main__":
    sys.exit(main())
