"""What has changed in the paper since an older commit, in its text and in its numbers.

`make diff OLD=<commit>` builds that commit beside this one, flattens both and writes dist/diff.pdf,
in which latexdiff marks what was removed and what was added.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from literate import ROOT, arxiv
from literate.flatten import FlattenError, flatten

# Commands whose content latexdiff may mark, and those that ulem must not break.
SAFE = "num,qty,SI,unit,cref,Cref,ref,texttt,dag"
WHOLE = "num,qty,SI,cref,Cref,ref"


class DiffError(Exception):
    """A reason why two versions of the paper cannot be compared."""


def build(root: Path, commit: str, folder: Path) -> Path:
    """Build the paper of `commit` in `folder` and return its paper.tex.

    The build uses what the paper in `root` remembers.
    """
    run(["git", "clone", "--quiet", "--no-checkout", str(root), str(folder)], root)
    run(["git", "checkout", "--quiet", "--detach", commit], folder)
    (folder / ".venv").symlink_to(root / ".venv")
    if (root / ".cache").exists():
        shutil.copytree(root / ".cache", folder / ".cache")
    run(["latexmk", "-silent"], folder)
    return folder / "paper.tex"


def run(command: list[str], folder: Path) -> str:
    """Return what a command prints; raise DiffError with its last lines if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode:
        told = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        raise DiffError("\n".join([f"{' '.join(command)} failed:", *told[-10:]]))
    return done.stdout.decode(errors="replace")


def compare(old: Path, new: Path, folder: Path) -> Path:
    """Write diff.pdf to `folder` and return its path.

    It marks what is new in the document `new`, and what was removed from `old`.
    """
    place = folder / "diff"
    arxiv.write(new, place)
    shutil.rmtree(place / "anc", ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        before = Path(temporary, "old")
        arxiv.write(old, before)
        for path in before.iterdir():  # figures that were removed
            if path.is_file() and not (place / path.name).exists():
                shutil.copyfile(path, place / path.name)
        for tree in (before, place):
            text = (tree / new.name).read_text(encoding="utf-8")
            # siunitx cannot align marked numbers.
            (tree / new.name).write_text(re.sub(r"S\[table-format=[^]]*\]", "r", text), "utf-8")
        command = ["latexdiff", f"--append-safecmd={SAFE}", f"--append-mboxsafecmd={WHOLE}"]
        marked = run([*command, str(before / new.name), str(place / new.name)], folder)
        _keep_references(before, place)
    (place / new.name).unlink()
    (place / new.with_suffix(".bbl").name).unlink(missing_ok=True)
    (place / "diff.tex").write_text(marked, encoding="utf-8")
    run(["latexmk", "-norc", "-pdf", "-silent", "-interaction=nonstopmode", "diff.tex"], place)
    shutil.copyfile(place / "diff.pdf", folder / "diff.pdf")
    return folder / "diff.pdf"


def _keep_references(old: Path, new: Path) -> None:
    """Add the works that only the old paper cites to the new one's references."""
    for path in old.glob("*.bib"):
        target = new / path.name
        text = target.read_text(encoding="utf-8") if target.exists() else ""
        entries = re.split(r"(?m)^(?=@)", path.read_text(encoding="utf-8"))
        gone = [entry for entry in entries[1:] if entry.partition(",")[0] not in text]
        target.write_text(text + "\n" + "".join(gone), encoding="utf-8")


def main() -> int:
    """Return the exit status: 1 if there is nothing to compare with."""
    if len(sys.argv) != 2 or not sys.argv[1]:
        print("name a commit, as in make diff OLD=HEAD~1", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        try:
            flatten(ROOT / "paper.tex")  # what cannot be compared is known before a long build
            print(f"building {sys.argv[1]} ...", flush=True)
            old = build(ROOT, sys.argv[1], Path(temporary, "paper"))
            pdf = compare(old, ROOT / "paper.tex", ROOT / "dist")
        except (DiffError, FlattenError) as error:
            print(error, file=sys.stderr)
            return 1
    text = (ROOT / "dist" / "diff" / "diff.tex").read_text(encoding="utf-8")
    body = text.partition(r"\begin{document}")[2]
    places = re.findall(
        r"\\DIFdelbegin.*?\\DIFdelend\s*(?:\\DIFaddbegin)?|\\DIFaddbegin", body, re.S
    )
    print(f"{pdf.relative_to(ROOT)}: {len(places)} places have changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
