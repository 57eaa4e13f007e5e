"""A later version of the machine in a paper made earlier: `make upgrade FROM=<address or folder>`.

Replaces literate/, and latexmkrc, Makefile and requirements.txt where they are as they came, in one
commit; a requirements.txt with lines of the author's own gets the new versions.  All other files
stay as they are, and `git revert` takes the commit back.  Then the paper is built, and numbers that
differ are listed.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from literate import ROOT, trees
from literate.new import LEFT_OUT, SOURCES
from literate.trees import TreeError

MACHINE = "literate"
# What a paper may lack, and does not get then: what make new leaves out.
OPTIONAL = tuple(name.removesuffix("*") for name in LEFT_OUT if name.startswith(MACHINE))
OPTIONAL += tuple(f"{folder}/" for folder in SOURCES.values())
STUBS = ("latexmkrc", "Makefile")
LOCK = "requirements.txt"


def upgrade(paper: Path, source: str, to: str = "") -> str:
    """Commit the machine of `source`, a git address or folder, to a paper; return what is new.

    `to` is a commit, a tag or a version, by default the last release, or without any the last
    commit.  Raises TreeError if the paper is no clean repository, or if somebody has edited the
    machine in it: that is, if a file of literate/ was in no version of the source.
    """
    if not trees.own_history(paper):
        raise TreeError(f"{paper} is no git repository: run git init, add and commit first")
    if changed := trees.git(paper, "status", "--porcelain").splitlines():
        names = ", ".join(line[3:] for line in changed[:5])
        raise TreeError(f"not committed yet: {names}: commit or stash first")
    with tempfile.TemporaryDirectory() as temporary:
        new = Path(temporary, "new")
        trees.git(paper, "clone", "--quiet", "--no-checkout", source, str(new))
        trees.git(new, "checkout", "--quiet", "--detach", _commit(new, to))
        if not (new / MACHINE / "VERSION").exists():
            raise TreeError(f"{source} has no {MACHINE}/VERSION at {to or 'its last commit'}")
        foreign = _foreign(paper, new)
        if edited := [name for name in foreign if name.startswith(f"{MACHINE}/")]:
            raise TreeError(
                f"edited here: {', '.join(edited)}: take these changes back, or send them to"
                f" {source}, since an upgrade replaces them"
            )
        before, after = ((some / MACHINE / "VERSION").read_text().strip() for some in (paper, new))
        _replace(paper, new, foreign)
        trees.git(paper, "add", "--all")
        if not trees.git(paper, "status", "--porcelain"):
            return f"{MACHINE}/ is that of {after} already"
        trees.git(paper, "commit", "--quiet", "--no-verify", f"--message=Upgrade to {after}")
        said = [news((new / MACHINE / "CHANGELOG.md").read_text(encoding="utf-8"), before)]
        own = (name for name in STUBS if name in foreign)
        said += [f"{name} is your own: compare it with {source}'s" for name in own]
        said += [f"{MACHINE}/ is that of {after} now, and was that of {before}"]
        return "\n".join(filter(None, said))


def news(changelog: str, version: str) -> str:
    """Return the sections of a changelog that stand above that of a version."""
    sections = re.split(r"(?m)^(?=## )", changelog)[1:]
    older = re.compile(rf"## \[?{re.escape(version)}\b")
    place = next((n for n, text in enumerate(sections) if older.match(text)), len(sections))
    return "".join(sections[:place]).strip()


def merge_lock(own: str, new: str) -> str:
    """Return the new lock, and below it what only the author's has."""

    def name(line: str) -> str:
        return re.split(r"[=<>~!; \[]", line.strip().lower(), maxsplit=1)[0].replace("_", "-")

    lines = new.splitlines()
    pinned = {name(line) for line in lines if not line.startswith("#")}
    kept = [line for line in own.splitlines() if line not in lines and name(line) not in pinned]
    return "\n".join([*lines, *kept]) + "\n"


def differences(before: Mapping[str, dict], after: Mapping[str, dict]) -> list[str]:
    """Return a line for each number that is not the same in two results.json."""
    lines = []
    for key in sorted((before.keys() | after.keys()) - {"environment"}):
        old, new = (some.get(key, {}).get("value", "missing") for some in (before, after))
        if old != new:
            lines.append(f"{key}: was {old}, is {new}")
    return lines


def _commit(new: Path, to: str) -> str:
    """Return the commit that `to` names in a clone."""
    tags = trees.git(new, "tag", "--sort=-version:refname").split()
    if not to:
        return next((tag for tag in tags if re.fullmatch(r"v?\d+\.\d+\.\d+", tag)), "HEAD")
    found = next((tag for tag in tags if tag in (to, f"v{to}")), to)
    try:
        return trees.git(new, "rev-parse", "--verify", "--quiet", f"{found}^{{commit}}").strip()
    except TreeError:
        raise TreeError(f"{to} is no commit, tag or version there; tags: {tags}") from None


def _foreign(paper: Path, new: Path) -> list[str]:
    """Return those of the paper's files that would be replaced, but are in no version of `new`."""
    paths = (MACHINE, *STUBS, LOCK)
    known = set(trees.git(new, "rev-list", "--objects", "--all", "--", *paths).split())
    listed = trees.git(paper, "ls-tree", "-r", "HEAD", *paths).splitlines()
    return [line.split("\t")[1] for line in listed if line.split()[2] not in known]


def _replace(paper: Path, new: Path, foreign: Collection[str]) -> None:
    """Replace the machine, what is as it came, and in the author's own lock the versions."""
    without = tuple(folder for folder in OPTIONAL if not (paper / folder).exists())
    shutil.rmtree(paper / MACHINE)
    names = [name for name in trees.files(new) if name.startswith(f"{MACHINE}/")]
    names = [name for name in names if not name.startswith(without)]
    came = [name for name in (*STUBS, LOCK) if (paper / name).exists() and (new / name).exists()]
    trees.lay(new, paper, names + [name for name in came if name not in foreign])
    if LOCK in foreign and LOCK in came:
        own, other = ((some / LOCK).read_text(encoding="utf-8") for some in (paper, new))
        (paper / LOCK).write_text(merge_lock(own, other), encoding="utf-8")


def main() -> int:
    """Return the exit status: 1 if there was no upgrade, or if the paper does not build."""
    parser = argparse.ArgumentParser(description="Brings a later version of the machine.")
    parser.add_argument("source", help="a git address, or a folder")
    parser.add_argument("to", nargs="?", default="", help="a commit, a tag or a version")
    given = parser.parse_args()
    results = ROOT / "results.json"
    before = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    try:
        if not given.source:
            raise TreeError("say from where: make upgrade FROM=<git address or folder>")
        print(upgrade(ROOT, given.source, given.to), flush=True)
    except TreeError as error:
        print(error, file=sys.stderr)
        return 1
    if subprocess.run(["make"], cwd=ROOT, check=False).returncode:
        print("The paper does not build: git revert HEAD takes the upgrade back", file=sys.stderr)
        return 1
    lines = differences(before, json.loads(results.read_text(encoding="utf-8")))
    print(*lines, sep="\n")
    print(f"{len(lines)} numbers differ" if lines else "All numbers are the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
