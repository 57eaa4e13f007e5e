"""Trees of files: lists of a source's files, copies of them, and their own git histories."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

# Which files are ignored depends on the tree, not on whoever copies it.
PLAIN = ("-c", "core.excludesFile=/dev/null", "-c", "commit.gpgSign=false")
# Variables that name another repository when this runs in one of its hooks.
ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"}
COURSE = {"name": "The course", "email": "course@localhost"}  # that commits on no person's behalf


class TreeError(ValueError):
    """A reason why a tree cannot be read or made."""


def files(root: Path) -> list[str]:
    """Return the sorted names of a tree's files: those that git knows and that exist.

    Without a git history of its own, these are all files that its .gitignore does not name.
    """
    if own_history(root):
        names = listed(root, "--cached")
    else:
        with tempfile.TemporaryDirectory() as place:
            git(root, "init", "--quiet", "--bare", place)
            there = (f"--git-dir={place}", f"--work-tree={root.resolve()}")
            names = listed(root, "--others", "--exclude-standard", there=there)
    return sorted(name for name in names if (root / name).is_file())


def unknown(root: Path) -> list[str]:
    """Return the files that git neither knows nor ignores: new modules, or lists of students."""
    return listed(root, "--others", "--exclude-standard") if own_history(root) else []


def own_history(root: Path) -> bool:
    """Return whether a tree is a git repository itself, not just a folder in one."""
    try:
        top = git(root, "rev-parse", "--show-toplevel").strip()
    except TreeError:
        return False
    return bool(top) and Path(top).samefile(root)


def listed(root: Path, *options: str, there: tuple[str, ...] = ()) -> list[str]:
    """Return the names that `git ls-files` prints with some options."""
    return git(root, *there, "ls-files", "-z", *options).split("\0")[:-1]


def lay(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copy files of one tree over another, replacing files of the same name."""
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target / name, follow_symlinks=False)


def commit(tree: Path, message: str, *, name: str, email: str) -> None:
    """Make a tree a repository with one commit."""
    git(tree, "init", "--quiet", "--initial-branch=main")
    git(tree, "add", "--all", "--force")
    author = ("-c", f"user.name={name}", "-c", f"user.email={email}")
    git(tree, *author, "commit", "--quiet", "--no-verify", f"--message={message}")


def git(folder: Path, *command: str) -> str:
    """Return what git prints; raise TreeError with its error message if it fails."""
    env = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    try:
        done = subprocess.run(
            ["git", *PLAIN, *command], cwd=folder, env=env, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise TreeError("git is not installed") from None
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()
        raise TreeError(f"{folder}: git {command[0]} failed: {told}")
    return os.fsdecode(done.stdout)
