"""`make course`: what students get holds no solution, and builds; the packages are whole."""

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from literate import trees
from literate.course import course, grade, marks
from literate.testing import ROOT, Paper

pytestmark = pytest.mark.xdist_group("course")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample course's source."""
    return marks.source(ROOT, tmp_path_factory.mktemp("course") / "source")


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """What `make course` writes; `output` says what it printed."""
    target = tmp_path_factory.mktemp("made") / "course"
    told = course.write(source, target)
    (target / "output").write_text(told)
    return Paper(target)


def test_all_is_there_and_was_proved(made):
    for name in (
        "student.pdf",
        "solution.pdf",
        "gradescope.zip",
        "classroom50",
        "cocalc/paper.tex",
    ):
        assert (made.folder / name).exists(), name
    assert "the solution: 16 of 16 points" in made.read("output")
    assert "what students start from: 0 of 16 points" in made.read("output")


def test_papers(made):
    student, solution = (" ".join(made.pages(f"{name}.pdf")) for name in ("student", "solution"))
    assert student.count("To do") == 1 + 4  # the introduction names it
    assert solution.count("To do") == 1
    for title in ("Load and describe a data set (data, 5 points)", "holds (claim, 3 points)"):
        assert title in student
        assert title in solution
    assert "The SVM is ahead" in solution
    assert "??" not in student + solution


def test_no_line_of_a_solution(source, made):
    """Looked for by hand: every line that only the solution has, in every file and git object."""
    student = made.folder / "student"
    secret = []
    for name in ("paper.tex", "pycode/lab.py", "checks.py"):
        given = (student / name).read_text().splitlines()
        secret += [
            line.strip()
            for line in (source / name).read_text().splitlines()
            if line not in given and len(line.strip()) > 12 and "###" not in line
        ]
    assert len(secret) > 50
    assert 'ax.set_ylabel("test accuracy")' in secret
    objects = ["git", "cat-file", "--batch-all-objects", "--batch"]
    history = subprocess.run(objects, cwd=student, capture_output=True, check=True).stdout
    assert b"Hand out the course" in history
    texts = [path.read_bytes() for path in student.rglob("*") if path.is_file()]
    texts += [history, "".join(made.pages("student.pdf")).encode()]
    texts += [path.read_bytes() for path in (made.folder / "cocalc").rglob("*") if path.is_file()]
    for line in secret:
        assert not any(line.encode() in text for text in texts), line
    recorded = json.loads(made.read("student/results.json"))
    assert not [key for key in recorded if key.startswith(("data.", "svm.", "logistic."))]


def test_what_students_do_not_get(made):
    for tree in ("student", "cocalc"):
        names = {
            p.relative_to(made.folder / tree).as_posix() for p in (made.folder / tree).rglob("*")
        }
        for name in (
            "tests",
            "course",
            "docs",
            ".cache",
            "literate/tests",
            "literate/testing.py",
            "literate/course/sample",
            "literate/course/course.py",
            "literate/course/autograders.py",
        ):
            assert name not in names, name
        assert "Lab: classifiers" in made.read(f"{tree}/README.md")
        assert not [name for name in names if re.search(r"sync|sage|pythontex-files|\.pdf$", name)]
    assert not (made.folder / "cocalc/.git").exists()


def test_a_leak_is_found(source, tmp_path):
    """A solution that also stands where students get it stops all."""
    shutil.copytree(source, tmp_path / "source")
    (tmp_path / "source/pycode/hints.py").write_text(
        '"""Hints."""\n\n# machine = make_pipeline(StandardScaler(), SVC())\n'
    )
    paper = tmp_path / "source/paper.tex"
    paper.write_text("% rows = lab.load(login)\n" + paper.read_text())
    stripped = marks.student_tree(tmp_path / "source", tmp_path / "target/student")
    trees.commit(tmp_path / "target/student", "x", **trees.COURSE)
    found = course.leaks(stripped, tmp_path / "target")
    assert found == [
        "student/paper.tex:1: rows = lab.load(login)",
        "student/pycode/hints.py:3: machine = make_pipeline(StandardScaler(), SVC())",
    ]


def test_gradescope_has_the_solution_and_what_builds_it(made):
    with zipfile.ZipFile(made.folder / "gradescope.zip") as archive:
        names = archive.namelist()
    assert {"setup.sh", "run_autograder"} <= set(names)
    for name in (
        "paper.tex",
        "checks.py",
        "literate/course/grade.py",
        "pycode/lab.py",
        "latexmkrc",
    ):
        assert [path for path in names if path.endswith(name)], name


def test_a_check_that_students_cannot_run_is_named(source, tmp_path, monkeypatch):
    """Whatever their paper has recorded."""
    monkeypatch.setattr(grade, "build", lambda to: (to / "results.json").write_text("{}"))
    paper = Paper(tmp_path / "source")
    shutil.copytree(source, paper.folder)
    text = paper.read("checks.py")
    first = text.index('@check("data"')
    asking = (
        '@check("data", hint="no")\ndef asks(run: Run):\n    return run.recorded("data.n_rows")'
    )
    (paper.folder / "checks.py").write_text(f"{text[:first]}{asking}\n\n\n{text[first:]}")
    paper.edit("paper.tex", "data set}{5}", "data set}{6}")
    with pytest.raises(grade.GradeError, match=r"checks\.py:\d+: asks: only checks between the"):
        course.write(paper.folder, tmp_path / "target")


def test_a_block_that_calls_what_is_to_do(source, tmp_path):
    paper = Paper(tmp_path / "source")
    shutil.copytree(source, paper.folder)
    called = "\\begin{pycode}\nlab.load(login)\n\\end{pycode}\n\\section{Data}"
    paper.edit("paper.tex", "\\section{Data}", called)
    with pytest.raises(course.CourseError, match=r"what students start from: .* NotImplemented"):
        course.write(paper.folder, tmp_path / "target")
