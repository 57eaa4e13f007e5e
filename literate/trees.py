"""Trees of files: those of a source, copies of them, and histories of their own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

# Which files are ignored is a matter of the tree, not of whoever copies it.
PLAIN = ("-c", "core.excludesFile=/dev/null", "-c", "commit.gpgSign=false")
# What names another repository, in one of its hooks.
ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"}
COURSE = {"name": "The course", "email": "course@localhost"}  # that commits for no person


class TreeError(ValueError):
    """Why a tree cannot be taken or made."""


def files(root: Path) -> list[str]:
    """The names of a tree's files, sorted: those that git knows, and that are there.

    Without a git history of its own it has all that its .gitignore does not name.
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
    """The files that git neither knows nor ignores: a new module as well as a list of students."""
    return listed(root, "--others", "--exclude-standard") if own_history(root) else []


def own_history(root: Path) -> bool:
    """Whether a tree is a git repository, and not a folder in one."""
    try:
        top = git(root, "rev-parse", "--show-toplevel").strip()
    except TreeError:
        return False
    return bool(top) and Path(top).samefile(root)


def listed(root: Path, *options: str, there: tuple[str, ...] = ()) -> list[str]:
    """What `git ls-files` has with some options."""
    return git(root, *there, "ls-files", "-z", *options).split("\0")[:-1]


def lay(source: Path, target: Path, names: Iterable[str]) -> None:
    """Nothing; copies files of one tree over another, where they replace their like."""
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target / name, follow_symlinks=False)


def commit(tree: Path, message: str, *, name: str, email: str) -> None:
    """Nothing; makes a tree a repository with one commit."""
    git(tree, "init", "--quiet", "--initial-branch=main")
    git(tree, "add", "--all", "--force")
    author = ("-c", f"user.name={name}", "-c", f"user.email={email}")
    git(tree, *author, "commit", "--quiet", "--no-verify", f"--message={message}")


def git(folder: Path, *command: str) -> str:
    """What git prints; raises TreeError with what it says if it fails."""
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
