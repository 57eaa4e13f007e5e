"""What is uploaded to Gradescope and Classroom 50 grades there, or says that it did not."""

import json
import os
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from literate import trees
from literate.course import autograders
from literate.course.autograders import AutogradersError
from literate.course.grade import ADDED
from literate.testing import ROOT, environment, path_without
from literate.tests.test_grades import RUNNER, validator

# Gradescope's folder is prepared once.
pytestmark = pytest.mark.xdist_group("autograders")

SECRET = "mean = X.mean(axis=0)"
# A grader of which the results are known: its --out, its records and what it printed are as those
# of the real one.  A submission with a file `break` makes it fail in the way that this names.
GRADER = """
import argparse, json, os, pathlib, sys
sys.path.insert(0, os.getcwd())
from literate.course import grades
parser = argparse.ArgumentParser()
parser.add_argument("submission")
for option in ("login", "out", "gradescope", "classroom50"):
    parser.add_argument(f"--{option}")
parser.add_argument("--allow-holes", action="store_true")
known = parser.parse_args()
submission = pathlib.Path(known.submission)
broken = submission / "break"
how = broken.read_text() if broken.exists() else ""
found = pathlib.Path("pycode/lab.py").read_text()
outcome = grades.Outcome("load", "Load", "the mean", 3, True, "", "", "", False)
other = grades.Outcome("load", "Load", "rows", 2, False, "150", "1```50", "count", False)
grade = grades.Grade(known.login, (outcome, other), (), 1)
for file, form in ((known.gradescope, grades.gradescope), (known.classroom50, grades.classroom50)):
    if file:
        text = json.dumps(form(grade))
        pathlib.Path(file).write_text(text[:20] if how else text)
if known.out:
    out = pathlib.Path(known.out)
    out.mkdir(parents=True)
    (out / f"{known.login}.pdf").write_text("%PDF of " + known.login)
print("allowed" if known.allow_holes else "contained")
print("graded", submission.name, "of", known.login, "in", os.getcwd())
sys.exit(how == "exit")
"""
MAKEFILE = """
system:
\techo system >> $(CALLED)
system-course: system
\techo course >> $(CALLED)
tools: system
\techo tools in $(CURDIR) >> $(CALLED)
\tmkdir -p .venv/bin
\ttest -e .venv/bin/python3 || ln -s $(PYTHON) .venv/bin/python3
"""


def course(folder: Path) -> Path:
    """A folder with a small course in it, with its solutions."""
    for name, text in {
        "Makefile": MAKEFILE,
        "literate/apt.txt": "# All\n[paper]\nlatexmk\n\ntexlive-science\n\n[tools]\nlatexml\n",
        "requirements.txt": "",
        ".gitignore": "/.venv\n__pycache__/\n/dist\n/paper.pdf\n",
        "paper.tex": "\\begin{exercise}\n",
        "paper.pdf": "built",
        "pycode/lab.py": f"### BEGIN SOLUTION\n{SECRET}\n### END SOLUTION\n",
        "pycode/__pycache__/lab.pyc": SECRET,
        "dist/notes": SECRET,
        "literate/course/grade.py": GRADER,
        ".github/workflows/paper.yml": "on: push",
        ".github/workflows/autograde.yaml": "on: push",
        "a name, ü.csv": "1\r\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    shutil.copy(ROOT / "literate/course/grades.py", folder / "literate/course")
    (folder / "literate/course/grade.py").chmod(0o755)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return course(tmp_path / "source")


@pytest.fixture
def student(source: Path) -> Path:
    """What students get of it."""
    folder = source.with_name("student")
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("dist", "__pycache__"))
    (folder / "pycode/lab.py").write_text("raise NotImplementedError\n", encoding="utf-8")
    return folder


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    known = {"CALLED": str(folder / "called"), "PYTHON": shutil.which("python3") or "", **env}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**known),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


def unpack(packed: Path, target: Path) -> None:
    """Unpack with the rights that are in the file, as Info-ZIP does."""
    with zipfile.ZipFile(packed) as file:
        for entry in file.infolist():
            path = Path(file.extract(entry, target))
            path.chmod(stat.S_IMODE(entry.external_attr >> 16))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gradescope's folder with the pack, as setup.sh has left it."""
    root = tmp_path_factory.mktemp("gradescope") / "autograder"
    autograders.gradescope(course(root.with_name("course")), root.with_name("gradescope.zip"))
    unpack(root.with_name("gradescope.zip"), root / "source")
    shutil.copy(root / "source/run_autograder", root)
    path = environment()["PATH"]
    python = root.with_name("bin") / "python3"  # its environments take seconds with pip
    python.parent.mkdir()
    without = '[ "$1 $2" != "-m venv" ] || set -- "$@" --without-pip'
    python.write_text(f'#!/bin/sh\n{without}\nexec {shutil.which("python3", path=path)} "$@"\n')
    python.chmod(0o755)
    setup, path = [str(root / "source/setup.sh")], f"{python.parent}:{path}"
    done = run(setup, root, AUTOGRADER=str(root), PATH=path)
    assert done.returncode == 0, done.stdout
    return root


@pytest.fixture
def gradescope(installed: Path) -> Path:
    """That folder with a submission, as Gradescope prepares it."""
    for name in ("results", "submission"):
        shutil.rmtree(installed / name, ignore_errors=True)
        (installed / name).mkdir()
    (installed / "submission/paper.tex").touch()
    users = [{"email": "Ada.L@school.edu", "id": 1, "name": "Ada"}, {"email": "b@school.edu"}]
    metadata = {"id": 1, "users": users, "previous_submissions": []}
    (installed / "submission_metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    return installed


def test_zip_holds_the_source_and_two_scripts(source: Path, tmp_path: Path) -> None:
    packed = tmp_path / "new/gradescope.zip"
    autograders.gradescope(source, packed)
    with zipfile.ZipFile(packed) as file:
        modes = {each.filename: oct(each.external_attr >> 16) for each in file.infolist()}
        for script in ("setup.sh", "run_autograder"):
            text = file.read(script)
            assert text.startswith(b"#!/usr/bin/env bash\n")
            assert b"\r" not in text
            done = subprocess.run(["bash", "-n"], input=text, capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, b"")
        assert file.read("course/a name, ü.csv") == b"1\r\n"
        assert SECRET.encode() in file.read("course/pycode/lab.py")
    executable = {"setup.sh", "run_autograder", "course/literate/course/grade.py"}
    assert {name for name, mode in modes.items() if mode == "0o100755"} == executable
    assert {mode for name, mode in modes.items() if name not in executable} == {"0o100644"}
    assert not [name for name in modes if "dist" in name or "pyc" in Path(name).suffix]
    assert "course/paper.pdf" not in modes
    first = packed.read_bytes()
    os.utime(source / "paper.tex", (0, 0))
    autograders.gradescope(source, packed)
    assert packed.read_bytes() == first


def test_setup_shuts_the_source_and_installs_beside_it(installed: Path) -> None:
    assert stat.S_IMODE((installed / "source").stat().st_mode) == 0o700
    called = (installed / "called").read_text(encoding="utf-8").splitlines()
    inside = installed / "source/course"
    assert called == ["system", "course", "system", f"tools in {inside}"]
    assert (inside / ".venv").resolve() == installed / "venv"
    python = installed / "venv/bin/python3"
    assert stat.S_IMODE((installed / "venv").stat().st_mode) & 0o055 == 0o055
    prefix = run([str(python), "-c", "import sys; print(sys.prefix)"], installed).stdout
    assert prefix.strip() == str(installed / "venv")


def test_setup_installs_make_and_shuts_the_source_first(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "autograder"
    autograders.gradescope(source, tmp_path / "gradescope.zip")
    unpack(tmp_path / "gradescope.zip", root / "source")
    (root / "source").chmod(0o755)
    path = path_without(tmp_path / "bin", "make", "apt-get")
    installer = tmp_path / "bin/apt-get"
    installer.write_text('#!/bin/sh\necho apt-get "$@" >> "$CALLED"\ntest "$1" = update\n')
    installer.chmod(0o755)
    done = run(["bash", str(root / "source/setup.sh")], root, AUTOGRADER=str(root), PATH=path)
    assert done.returncode != 0
    called = (root / "called").read_text(encoding="utf-8").splitlines()
    assert called == ["apt-get update", "apt-get install -y --no-install-recommends make"]
    assert stat.S_IMODE((root / "source").stat().st_mode) == 0o700


def test_setup_refuses_an_old_python(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "autograder"
    autograders.gradescope(source, tmp_path / "gradescope.zip")
    unpack(tmp_path / "gradescope.zip", root / "source")
    path = path_without(tmp_path / "bin", "python3")
    (tmp_path / "bin/python3").symlink_to("/bin/false")
    done = run(["bash", str(root / "source/setup.sh")], root, AUTOGRADER=str(root), PATH=path)
    assert done.returncode != 0
    assert "choose a newer base image" in done.stdout
    assert not (root / "venv").exists()


def grade(root: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    done = run([str(root / "run_autograder")], root, AUTOGRADER=str(root))
    return done, root / "results/results.json"


def test_gradescope_grades_for_the_first_user(gradescope: Path) -> None:
    done, results = grade(gradescope)
    assert done.returncode == 0, done.stdout
    made = json.loads(results.read_text(encoding="utf-8"))
    validator("gradescope").validate(made)
    assert (made["score"], len(made["tests"])) == (3, 2)
    told = f"allowed\ngraded submission of ada.l in {gradescope / 'source/course'}\n"
    assert done.stdout == told


@pytest.mark.parametrize("how", ["exit", "half"])
def test_a_grader_that_fails_leaves_no_grade_on_gradescope(gradescope: Path, how: str) -> None:
    (gradescope / "submission/break").write_text(how)
    (gradescope / "results/results.json").write_text('{"score": 100}')
    done, results = grade(gradescope)
    assert done.returncode != 0
    assert "graded submission of ada.l" in done.stdout  # what it said, for the instructor
    assert not results.exists()


@pytest.mark.parametrize("users", [[], [{"name": "Ada"}]])
def test_gradescope_grades_nobody(gradescope: Path, users: list[dict[str, str]]) -> None:
    metadata = json.dumps({"users": users})
    (gradescope / "submission_metadata.json").write_text(metadata, encoding="utf-8")
    done, results = grade(gradescope)
    assert done.returncode != 0
    assert "Error" in done.stdout
    assert not results.exists()


@pytest.fixture
def classroom(student: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "classroom50"
    autograders.classroom50(student, folder, "lab-1")
    return folder


def test_classroom50_gets_no_solution(classroom: Path) -> None:
    assert sorted(path.name for path in classroom.iterdir()) == [
        "README.md",
        "assignment.json",
        "autograders",
        "runtime.json",
        "template",
    ]
    for path in classroom.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    grader = classroom / "autograders/lab-1"
    assert (grader / "source/literate/course/grade.py").exists()
    assert "NotImplementedError" in (grader / "source/pycode/lab.py").read_text(encoding="utf-8")


def test_template_has_one_commit_and_no_workflows(classroom: Path) -> None:
    template = classroom / "template"
    logged = run(["git", "log", "--all", "--format=%an: %s"], template).stdout.splitlines()
    assert logged == ["The course: Hand out the assignment"]
    assert run(["git", "status", "--porcelain", "--ignored"], template).stdout == ""
    assert SECRET not in run(["git", "log", "--all", "--patch"], template).stdout
    names = run(["git", "ls-files", "-z"], template).stdout.split("\0")
    assert {"paper.tex", "pycode/lab.py", "a name, ü.csv"} < set(names)
    assert not [name for name in names if name.startswith(".github/")]


def test_nothing_stays_of_an_earlier_pack(classroom: Path, student: Path) -> None:
    (classroom / "template/old.py").touch()
    autograders.classroom50(student, classroom, "lab-2")
    assert not (classroom / "template/old.py").exists()
    assert [path.name for path in (classroom / "autograders").iterdir()] == ["lab-2"]


def test_assignment_is_as_its_schema_has_it(classroom: Path) -> None:
    entry = json.loads((classroom / "assignment.json").read_text(encoding="utf-8"))
    assert entry["slug"] == "lab-1"
    assert entry["release_assets"] == ["paper.pdf"]
    assert entry["runtime"]["apt"] == ["latexmk", "texlive-science"]
    assert entry["runtime"] == json.loads((classroom / "runtime.json").read_text(encoding="utf-8"))
    assert "container" not in entry["runtime"]  # which excludes apt
    text = (classroom / "README.md").read_text(encoding="utf-8")
    assert "CLASSROOM/autograders/lab-1/" in text
    assert all(f"--allowed-files '{pattern}'" in text for pattern in entry["allowed_files"])
    assert not {"ASSIGNMENT", "ALLOWED"} & set(text.split())


def test_downloads_are_named_by_their_students(classroom: Path, tmp_path: Path) -> None:
    text = (classroom / "README.md").read_text(encoding="utf-8").replace("CLASSROOM", "ml")
    loop = text[text.index("for folder in") : text.index("make grade")]
    for name in ("ada", "bob-lab-1-b"):
        (tmp_path / "submissions" / f"ml-lab-1-{name}").mkdir(parents=True)
    assert run(["bash", "-c", loop], tmp_path).stdout == ""
    names = sorted(path.name for path in (tmp_path / "submissions").iterdir())
    assert names == ["ada", "bob-lab-1-b"]


def test_allowed_files_are_those_of_a_paper(classroom: Path, tmp_path: Path) -> None:
    entry = json.loads((classroom / "assignment.json").read_text(encoding="utf-8"))
    read = ["paper.tex", "references.bib", "pycode/lab.py", "data/rows.csv"]
    assert all(ADDED.fullmatch(name) for name in read[2:])
    others = [
        "latexmkrc",
        "literate/course/grade.py",
        "Makefile",
        "deep/paper.tex",
        "pycode.py",
        ".venv/x",
    ]
    others += ["results.json", "rows.csv", "literate/venues/a.tex", "pycode/deep/a.py"]
    tree = tmp_path / "checkout"
    for name in (*read, *others):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    (tree / ".gitignore").write_text("\n".join(entry["allowed_files"]), encoding="utf-8")
    run(["git", "init", "-q"], tree)
    kept = run(["git", "ls-files", "--others", "--exclude-standard"], tree).stdout.split()
    assert sorted(kept) == sorted(read)


def graded(
    classroom: Path, checkout: Path, **env: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """What the runner gets when it grades a checkout."""
    checkout.mkdir(exist_ok=True)
    python = shutil.which("python3", path=environment()["PATH"]) or ""
    command = [python, str(classroom / "autograders/lab-1/autograder.py")]
    done = run(command, checkout, **{**RUNNER, **env})
    result = checkout / "result.json"
    return done, json.loads(result.read_text("utf-8")) if result.is_file() else {}


def test_classroom50_grades_a_checkout(classroom: Path, tmp_path: Path) -> None:
    checkout, outside = tmp_path / "checkout", tmp_path / "outside"
    checkout.mkdir()
    outside.write_text("not theirs")
    (checkout / "release-body.md").symlink_to(outside)
    (checkout / "result.json").symlink_to(tmp_path / "nowhere")
    (checkout / "paper.pdf").mkdir()
    done, result = graded(classroom, checkout)
    assert done.returncode == 0, done.stdout
    validator("classroom50").validate(result)
    assert (result["owner"], result["score"], result["max-score"]) == ("ada", 3, 5)
    assert "allowed\n" in done.stdout
    assert (checkout / "paper.pdf").read_bytes() == b"%PDF of ada"
    assert (checkout / "release-body.md").read_text(encoding="utf-8").splitlines() == [
        "# 3 of 5 points",
        "",
        "- passed: Load: the mean (3 of 3)",
        "- NOT passed: Load: rows (0 of 2)",
        "",
        "  ````",
        "  expected: 150",
        "  found: 1```50",
        "  hint: count",
        "  ````",
        "",
    ]
    assert outside.read_text() == "not theirs"
    assert not (tmp_path / "nowhere").exists()
    assert not list(classroom.rglob("__pycache__"))


@pytest.mark.parametrize("how", ["exit", "half"])
def test_a_grader_that_fails_is_an_error_on_classroom50(
    classroom: Path, tmp_path: Path, how: str
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "break").write_text(how)
    done, result = graded(classroom, checkout)
    assert done.returncode == 1
    assert "not graded: " in done.stdout
    assert result == {}


def test_a_source_of_ones_own_is_used_as_root(
    classroom: Path, source: Path, tmp_path: Path
) -> None:
    run(["make", "tools"], source)
    checkout = tmp_path / "checkout"
    done, result = graded(classroom, checkout, COURSE_SOURCE=str(source))
    if os.geteuid() == 0:
        assert done.returncode == 0, done.stdout
        assert f"in {source}\n" in done.stdout
        assert "contained\n" in done.stdout  # the solution is there
        assert not (checkout / "called").exists()  # nothing is installed
        assert result["score"] == 3
    else:
        assert "is open to submissions" in done.stdout


# What the script does as a user who may call sudo, or may not.
AS_USER = (
    "import os, runpy, sys; os.geteuid = lambda: 1000; runpy.run_path(sys.argv[1], {}, '__main__')"
)


def test_classroom50_grades_as_root_if_it_may(classroom: Path, source: Path) -> None:
    """If it may not, a source of one's own would be open to submissions."""
    checkout = source.with_name("checkout")
    checkout.mkdir()
    script = classroom / "autograders/lab-1/autograder.py"
    python = shutil.which("python3", path=environment()["PATH"]) or ""
    env = {**RUNNER, "PATH": path_without(source.with_name("bin"), "sudo")}
    command = [python, "-c", AS_USER, str(script)]
    done = run(command, checkout, **env, COURSE_SOURCE=str(source))
    assert done.returncode == 1
    assert "is open to submissions: let the runner use sudo" in done.stdout
    assert not [*checkout.iterdir()]

    sudo = source.with_name("bin") / "sudo"
    sudo.write_text('#!/bin/sh\necho sudo "$2" >> "$CALLED"\nshift\nexec env -i "$@"\n')
    sudo.chmod(0o755)
    done = run(command, checkout, **env)
    assert done.returncode == 0, done.stdout
    called = (checkout / "called").read_text(encoding="utf-8").splitlines()
    tools = f"tools in {script.parent / 'source'}"
    assert called == ["system", tools, "sudo true", "sudo env"]
    result = json.loads((checkout / "result.json").read_text(encoding="utf-8"))
    validator("classroom50").validate(result)
    assert result["score"] == 3


def test_files_are_those_in_git_or_not_ignored(source: Path) -> None:
    names = trees.files(source)
    assert {"paper.tex", ".gitignore", "a name, ü.csv", "literate/course/grade.py"} < set(names)
    assert not [name for name in names if name.startswith("dist") or name.endswith(".pyc")]
    run(["git", "init", "-q"], source)
    run(["git", "add", "paper.tex"], source)
    assert trees.files(source) == ["paper.tex"]
    assert sorted([*trees.unknown(source), "paper.tex"]) == names
    run(["git", "add", "--all"], source)
    assert trees.files(source) == names
    (source / "paper.tex").unlink()
    assert trees.files(source) == [name for name in names if name != "paper.tex"]


def test_what_cannot_be_graded_is_not_packed(source: Path, student: Path, tmp_path: Path) -> None:
    target = tmp_path / "classroom50"
    for name in ("Lab", "-lab", "l", "lab/1", "l" * 40):
        with pytest.raises(AutogradersError, match="an assignment has"):
            autograders.classroom50(student, target, name)
    (student / "big.csv").write_bytes(bytes(11_000_000))
    with pytest.raises(AutogradersError, match=r"student: 11\.0 MB, and a grader may have 10"):
        autograders.classroom50(student, target, "lab")
    assert not target.exists()
    (source / "literate/course/grade.py").unlink()
    with pytest.raises(AutogradersError, match=r"no literate/course/grade\.py"):
        autograders.gradescope(source, tmp_path / "gradescope.zip")
    assert not (tmp_path / "gradescope.zip").exists()
