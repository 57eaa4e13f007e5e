"""The packages with which Gradescope and Classroom 50 grade a course's submissions.

Gradescope keeps a course's source private, so its package holds the whole source.  Classroom 50
publishes what it grades with, so its package holds the students' version.  The next steps are in
classroom50/README.md.
"""

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

from literate import trees

HERE = Path(__file__).resolve().parent
NEEDED = ("Makefile", "requirements.txt", "paper.tex")  # of a source
NEEDED += ("literate/apt.txt", "literate/course/grade.py")
MEGABYTES = 10  # the most that Classroom 50 accepts for a grader
# What the grader reads of a submission; the runner removes the rest.
ALLOWED = ["*", "!/paper.tex", "!/references.bib", "!/pycode/", "!/pycode/*.py"]
ALLOWED += ["!/data/", "!/data/*.csv"]


class AutogradersError(Exception):
    """A reason why a course cannot be packed."""


def gradescope(source: Path, target: Path) -> None:
    """Write the zip file `target`, with which Gradescope grades a course's submissions.

    Raises AutogradersError if the source lacks a file that grading needs.
    """
    names = _needed(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("run_autograder", "setup.sh"):
            script = (HERE / "gradescope" / name).read_bytes().replace(b"\r\n", b"\n")
            _pack(packed, name, script, executable=True)
        for name in names:
            path = source / name
            executable = os.access(path, os.X_OK)
            _pack(packed, f"course/{name}", path.read_bytes(), executable=executable)


def _pack(packed: zipfile.ZipFile, name: str, data: bytes, *, executable: bool) -> None:
    entry = zipfile.ZipInfo(name)  # dated 1980, so that the same source gives the same file
    entry.create_system = 3  # Unix, whose permissions follow
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    packed.writestr(entry, data)


def classroom50(student: Path, target: Path, name: str) -> None:
    """Write the folder `target` with everything for an assignment `name` of Classroom 50.

    All of it comes from the students' version in `student`, including its checks and its grader.
    Raises AutogradersError if the name is not valid, if a file that grading needs is missing, or if
    the files are too large.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,38}", name):
        raise AutogradersError(f"{name}: an assignment has 2 to 39 of a-z, 0-9 and -, no - first")
    handed_out = _needed(student)
    if (size := sum((student / each).stat().st_size for each in handed_out) / 1e6) > MEGABYTES:
        raise AutogradersError(f"{student}: {size:.1f} MB, and a grader may have {MEGABYTES}")
    shutil.rmtree(target, ignore_errors=True)
    grader = target / "autograders" / name
    trees.lay(student, grader / "source", handed_out)
    shutil.copyfile(HERE / "classroom50/autograder.py", grader / "autograder.py")
    # A course's workflows would run in each student's repository, and autograde.yaml is not ours.
    template = [each for each in handed_out if not each.startswith(".github/workflows/")]
    trees.lay(student, target / "template", template)
    trees.commit(target / "template", "Hand out the assignment", **trees.COURSE)
    listed = (student / "literate/apt.txt").read_text(encoding="utf-8")
    packages = re.findall("(?m)^[a-z].*", listed.partition("[paper]")[2].partition("[")[0])
    # The Ubuntu that literate/apt.txt is for, and its version of Python.
    runtime = {"runs-on": "ubuntu-24.04", "python": "3.12", "apt": packages}
    entry = {
        "slug": name,
        "name": name,
        "mode": "individual",
        "autograder": "default",
        "runtime": runtime,
        "allowed_files": ALLOWED,
        "release_assets": ["paper.pdf"],
    }
    for file, content in (("assignment.json", entry), ("runtime.json", runtime)):
        (target / file).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    text = (HERE / "classroom50/README.md").read_text(encoding="utf-8")
    options = " \\\n     ".join(f"--allowed-files '{pattern}'" for pattern in ALLOWED)
    text = text.replace("ALLOWED", f"\\\n     {options}").replace("ASSIGNMENT", name)
    (target / "README.md").write_text(text, encoding="utf-8")


def _needed(source: Path) -> list[str]:
    """Return the names of a source's files.

    Raises AutogradersError if the source lacks a file that grading needs.
    """
    names = trees.files(source)
    if missing := [name for name in NEEDED if name not in names]:
        raise AutogradersError(f"{source}: no {missing[0]}, with which it would be graded")
    return names
