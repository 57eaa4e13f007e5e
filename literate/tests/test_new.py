"""make new starts a paper that builds and passes its own tests, with these data or others."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from literate import new
from literate.course import checking
from literate.testing import ROOT, Build, Paper
from pycode import models

TITLE = r"""R&D on "x_y", `~{z}^' and \w #"""
QUICK = ("code", "document")
OWN = ("literate", "pycode", "tests", "results")


def git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paper, Build]:
    """A fresh paper, built."""
    folder = tmp_path_factory.mktemp("new") / "my paper"
    author = "AUTHOR=Ada L. <ada_l@example.org>"
    done = Paper(ROOT).run("make", "new", f"NAME={folder}", f"TITLE={TITLE}", author)
    assert done.code == 0, done.output
    assert done.output == f"{folder} has a fresh paper.  Next: cd {folder} && make\n"
    assert git(folder, "status", "--porcelain") == ""
    (folder / ".venv").symlink_to(ROOT / ".venv")
    paper = Paper(folder)
    return paper, paper.build()


@pytest.fixture
def fresh(made: tuple[Paper, Build]) -> Paper:
    return made[0]


@pytest.mark.xdist_group("new")
def test_it_builds_and_is_somebody_elses(made, fresh: Paper):
    assert made[1].code == 0, made[1].output
    text = " ".join(fresh.pages())
    for words in ("Ada L.", "ada_l@example.org", "5 Conclusions", "[2]"):
        assert words in text
    best = json.loads(fresh.read("results.json"))["study.best.name"]["value"]
    assert f"The {best} model classifies" in text
    assert all(f"{name} " in text for name in models.candidates())  # in the table
    info = fresh.run("pdfinfo", "paper.pdf").output
    assert f"Title:           {TITLE}\n" in info
    assert git(fresh.folder, "log", "--format=%s").splitlines() == ["Start a fresh paper"]
    assert fresh.read("README.md").startswith(f"# {TITLE}\n")
    citation = YAML(typ="safe").load(fresh.read("CITATION.cff"))
    assert (citation["title"], citation["authors"]) == (TITLE, [{"name": "Ada L."}])
    tool = (Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema")
    valid = fresh.run(*map(str, tool), "vendor.citation-file-format", "CITATION.cff")
    assert valid.code == 0, valid.output
    found = {path.name for path in fresh.folder.iterdir()}
    assert not found & {"course", "results"}
    pages = {path.name for path in (fresh.folder / "docs").iterdir()}
    assert pages == {"guide.md", "inputs.md", "troubleshooting.md"}
    machine = {path.name for path in (fresh.folder / "literate").iterdir()}
    assert not machine & {"course", "tests", "CHANGELOG.md"}
    commands = fresh.run("make", "help").output
    assert "new\t" in commands
    assert "course\t" not in commands


@pytest.mark.xdist_group("new")
def test_its_tests_pass(fresh: Paper):
    options = ("-q", "-n", "0", "-p", "no:cacheprovider", "-k", "not basedpyright")
    tests = (f"tests/test_{name}.py" for name in QUICK)
    done = fresh.run(
        *(sys.executable, "-m", "pytest", *options, *tests), SHIPPED_PAPER=str(fresh.folder)
    )
    assert done.code == 0, done.output[-3000:]
    assert set(QUICK) < set(new.TESTS)
    kept = {str(path.relative_to(fresh.folder)) for path in fresh.folder.glob("tests/*.*")}
    assert kept == {name for name in new.KEPT if name.startswith("tests/")}


@pytest.mark.xdist_group("new")
def test_its_types_are_right(fresh: Paper):
    """The other files are the template's, if all that they import is there."""
    done = fresh.run(str(Path(sys.executable).with_name("basedpyright")), "pycode/models.py")
    assert done.code == 0, done.output
    for path in (path for own in OWN for path in (fresh.folder / own).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OWN:
                module = fresh.folder / str(node.module).replace(".", "/")
                file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
                text = file.read_text(encoding="utf-8")
                for name in {alias.name for alias in node.names} - {"*"}:
                    assert (module / f"{name}.py").exists() or re.search(rf"\b{name}\b", text)


@pytest.mark.xdist_group("new")
def test_other_data_are_one_line_and_another_model_is_one(fresh: Paper, tmp_path: Path):
    paper = Paper(tmp_path / "paper")
    shutil.copytree(fresh.folder, paper.folder, symlinks=True)
    rng = np.random.default_rng(0)
    kinds = np.resize(["50% & more", "a_b", "rest"], 300)
    rows = [f"{float(k == 'a_b') + rng.normal(0, 0.3)},{float(k == 'rest')}" for k in kinds]
    row = '        "logistic"'
    paper.edit("pycode/models.py", row, f'        "stump": DummyClassifier(),\n{row}')

    def build(labels) -> Build:
        lines = ["a,b,label", *(f"{row},{kind}" for row, kind in zip(rows, labels, strict=True))]
        (paper.folder / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return paper.build()

    table = 'data.read_table("rows.csv", target="label")'
    paper.edit("paper.tex", "data.synthetic(seed=seed)", table)
    done = build(kinds)
    assert done.code == 0, done.output
    text = " ".join(paper.pages())
    assert "of 300 samples in 3 classes" in text
    assert "50% & more" in text
    assert "stump" in text

    done = build(rng.permutation(kinds))
    assert done.code != 0
    number = paper.read("paper.tex").partition(r"\claim{")[0].count("\n") + 1
    low = json.loads(paper.read("results.json"))["study.best.over_baseline"]["interval"][0]
    assert low > 0  # of the build before
    assert f"paper.tex:{number}: study.best.over_baseline.low = -" in done.output
    assert "??" not in " ".join(paper.pages())


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("", (), "name a folder, as in make new NAME=../my-paper"),
        ("literate/own", (), "/literate/own is in the template's own folder: name one beside it"),
        (".", (), " is in the template's own folder: name one beside it"),
        ("{tmp}/full", (), "/full is not empty: name a folder that is new or empty"),
        ("{tmp}/full/note", (), "/note is a file: name a folder that is new or empty"),
        ("{tmp}/a", ("FROM=pycode",), "no pycode/paper.tex in the template to start from"),
    ],
)
def test_where_it_cannot_be_it_says_why_and_makes_nothing(tmp_path, name, more, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/note").write_text("mine")
    done = Paper(ROOT).run("make", "new", f"NAME={name.format(tmp=tmp_path)}", *more)
    assert done.code != 0
    assert f"{message}\n" in done.output
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "note"]


def test_a_title_that_states_a_result_is_told(tmp_path):
    done = Paper(ROOT).run("make", "new", f"NAME={tmp_path / 'new/a'}", "TITLE=SVMs Are Better")
    assert done.code == 0
    place = "paper.tex:18: comparison outside a claim: "
    assert done.output.startswith(f"make lint will find {place}")


def test_a_course_is_laid_over_the_template(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    template = tmp_path / "template"
    shutil.copytree(ROOT / "pycode", template / "pycode")
    ignored = shutil.ignore_patterns("sample", "__pycache__")
    shutil.copytree(ROOT / "literate", template / "literate", ignore=ignored)
    shutil.copy(ROOT / "references.bib", template)
    course = template / "literate/course/sample"
    (course / "pycode").mkdir(parents=True)
    (course / "pycode/lab.py").write_text("A = 1\n")
    (course / "course").mkdir()
    (course / "course/README.md").write_text("# For students\n")
    (course / "paper.tex").write_text(
        "\\author{First Author}\n\\citep[p.~1]{Wilson1927, Holm1979}\n"
    )
    git(template, "init", "-q")
    git(template, "add", ".")
    (course / "left.aux").write_text("")  # which git does not know
    monkeypatch.setattr(new, "ROOT", template)

    folder = tmp_path / "ml"
    folder.mkdir()
    new.start(folder, source="course")
    assert (folder / "pycode/lab.py").read_text() == "A = 1\n"
    assert (folder / "pycode/models.py").read_text() == (ROOT / "pycode/models.py").read_text()
    assert (folder / "paper.tex").read_text() == (course / "paper.tex").read_text()
    assert (folder / "course/README.md").read_text() == "# For students\n"
    assert (folder / "literate/course/grade.py").exists()
    assert not (folder / "literate/course/sample").exists()
    assert (folder / "README.md").read_text().startswith("# ml\n")
    assert (folder / "references.bib").read_text().count("\n}") == 2
    assert not (folder / "left.aux").exists()
    assert git(folder, "log", "--format=%an %ae") == "First Author first@example.org\n"


def test_the_sample_course_can_be_started_from(tmp_path):
    new.start(tmp_path / "lab", source="course")
    known = checking.read_course(tmp_path / "lab")
    assert known.whole
    assert [exercise.key for exercise in known.exercises] == ["data", "model", "panel", "claim"]
    assert (tmp_path / "lab/docs/course.md").exists()
    assert "docs/course.md" in (tmp_path / "lab/README.md").read_text()
