"""Papers that tests build: the shipped one, once, and small ones to edit and break.

The tests hold three principles: what is printed was run, what was run is reproducible, and what is
formatted is exact.
"""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pypdf
import pytest
from hypothesis import configuration, settings

from literate import ROOT

SOURCES = (
    "paper.tex",
    "references.bib",
    "pycode",
    "literate",
    "pyproject.toml",
    "latexmkrc",
    "figures/README.md",
    "results",
)
UNUSED = ("__pycache__", "tests", "course", "skeleton")  # by a paper alone

Process = subprocess.Popen[bytes]

# Nothing is kept in the folder, and no example is too slow on a busy machine.
configuration.set_hypothesis_home_dir(tempfile.mkdtemp())
settings.register_profile("paper", database=None, deadline=None)
settings.load_profile("paper")

STUDY_MODELS = '''
"""Models that are fitted in no time."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC


def candidates(*, seed=0):
    """Four of them."""
    return {
        "logistic": LogisticRegression(max_iter=200, random_state=seed),
        "random forest": RandomForestClassifier(n_estimators=5, random_state=seed),
        "SVM": SVC(C=1.0, random_state=seed),
        "MLP": MLPClassifier((4,), alpha=0.001, max_iter=30, random_state=seed),
    }
'''


@dataclass
class Build:
    """The outcome of a command: its exit status, its output, and the rules that latexmk ran."""

    code: int
    output: str

    @property
    def rules(self) -> list[str]:
        return re.findall(r"Run number \d+ of rule '(\w+)", self.output)


@dataclass
class Paper:
    """A folder with a paper in it."""

    folder: Path

    def run(self, *command: str, **env: str) -> Build:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
            check=False,
        )
        return Build(done.returncode, done.stdout.decode(errors="replace"))

    def start(self, *command: str, output: int = subprocess.DEVNULL, **env: str) -> Process:
        """Start a command that keeps running, in a session of its own."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def build(self, *options: str) -> Build:
        return self.run("latexmk", *options)

    def edit(self, file: str, old: str, new: str) -> None:
        text = self.read(file)
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        (self.folder / file).write_text(text.replace(old, new), encoding="utf-8")

    def read(self, file: str) -> str:
        return (self.folder / file).read_text(encoding="utf-8", errors="replace")

    def pages(self, file: str = "paper.pdf") -> list[str]:
        """Return the text of each page, with runs of white space as single spaces."""
        text = self.run("pdftotext", "-raw", file, "-").output
        return [" ".join(page.split()) for page in text.split("\f")[:-1]]

    def copy(self, folder: Path) -> "Paper":
        """Copy the sources to a new paper, from which nothing has been built."""
        folder.mkdir(parents=True)
        for name in (*SOURCES, "rows.csv"):
            source, target = self.folder / name, folder / name
            target.parent.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(*UNUSED))
            elif source.exists():
                shutil.copy2(source, target)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        return Paper(folder)

    def click(self, word: str, pdf: str = "paper.pdf") -> tuple[str, str]:
        """Return the file and the line that a click on a word of the first page leads to."""
        boxes = self.run("pdftotext", "-l", "1", "-bbox", pdf, "-").output
        box, *_ = re.findall(rf'<word xMin="(.*?)" yMin="(.*?)".*>{word}</word>', boxes)
        x, y = (float(side) + 2 for side in box)
        found = self.run("synctex", "edit", "-o", f"1:{x}:{y}:{pdf}").output
        file, line = re.findall(r"^(?:Input|Line):(.*)", found, flags=re.M)[:2]
        return Path(file).name, self.read(file).splitlines()[int(line) - 1]


def quicken(paper: Paper) -> None:
    """Give the shipped study smaller models, fewer digits and fewer seeds."""
    paper.edit("pycode/models.py", "(128, 64, 32), alpha=0.001, max_iter=500", "(16,), max_iter=50")
    paper.edit("pycode/models.py", "n_estimators=100", "n_estimators=10")
    whole = "Dataset(loaded.data, loaded.target,"
    paper.edit("pycode/data.py", whole, "Dataset(loaded.data[::4], loaded.target[::4],")
    paper.edit("paper.tex", "seeds = range(10)", "seeds = range(2)")
    text = paper.read("paper.tex")
    (paper.folder / "paper.tex").write_text(
        text.replace("repeats=2", "repeats=1").replace("n_settings=8", "n_settings=2")
    )


def red_rules(paper: Paper) -> int:
    """Count the red bars in the PDF."""
    red = found = 0
    for page in pypdf.PdfReader(paper.folder / "paper.pdf").pages:
        contents = page.get_contents()
        assert contents is not None
        for mark in re.findall(rb"1 0 0 RG|0 G|re f| l S", contents.get_data()):
            red = mark == b"1 0 0 RG" or (red and mark != b"0 G")
            found += red and mark in (b"re f", b" l S")
    return found


def environment(**more: str) -> dict[str, str]:
    """Return the environment of somebody who types a command in a new terminal.

    Small papers build faster without additional worker processes, and without a format.
    """
    mine = ("PYTHON", "VIRTUAL_ENV", "MPLBACKEND", "TEX", "PYTEST", "MAKE", "MFLAGS")
    env = {key: value for key, value in os.environ.items() if not key.startswith(mine)}
    path = [entry for entry in env["PATH"].split(":") if ".venv" not in entry]
    return {**env, "PATH": ":".join(path), "PYCODE_WORKERS": "1", "PYCODE_FORMAT": "off", **more}


def path_without(folder: Path, *missing: str) -> str:
    """Return a PATH with everything that is installed except the commands `missing`."""
    folder.mkdir()
    for place in environment()["PATH"].split(":"):
        for tool in Path(place).glob("*") if Path(place).is_dir() else ():
            if tool.name not in missing and not (folder / tool.name).exists():
                (folder / tool.name).symlink_to(tool)
    return str(folder)


def small_rows() -> str:
    """Return a table of a hundred samples, four numbers and a class each, as CSV."""
    rng = np.random.default_rng(0)
    lines = ["a,b,c,d,kind"]
    for number in range(100):
        kind = "even" if number % 2 == 0 else "odd"
        values = rng.normal(size=4) + (0.8 if kind == "odd" else 0)
        lines.append(",".join([*(f"{value:.3f}" for value in values), kind]))
    return "\n".join(lines) + "\n"


def small_sources(document: str, folder: Path) -> Paper:
    """Write a document of the tests, and a study without scikit-learn, to a new folder."""
    paper = Paper(ROOT).copy(folder)
    shutil.copy(ROOT / "literate/tests" / document, folder / "paper.tex")
    for module in (folder / "pycode").glob("*.py"):
        module.unlink()
    for module in (ROOT / "literate/tests/small").glob("*.py"):
        shutil.copy(module, folder / "pycode")
    (folder / "rows.csv").write_text(small_rows(), encoding="utf-8")
    return paper


@pytest.fixture(scope="session")
def built_small(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """Return the small paper, built; tests copy it."""
    paper = small_sources("small.tex", tmp_path_factory.mktemp("small") / "paper")
    build = paper.build()
    assert build.code == 0, build.output
    return paper


@pytest.fixture
def small(built_small: Paper, tmp_path: Path) -> Paper:
    """Return the small paper, built, in a folder of its own."""
    shutil.copytree(built_small.folder, tmp_path / "paper", symlinks=True)
    return Paper(tmp_path / "paper")


@pytest.fixture
def unbuilt(built_small: Paper, tmp_path: Path) -> Paper:
    """Return the small paper's sources, and what its build remembers."""
    paper = built_small.copy(tmp_path / "unbuilt")
    shutil.copytree(built_small.folder / ".cache", paper.folder / ".cache")
    return paper


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """Return the paper of this repository, built from its sources; tests only read it."""
    if built := os.environ.get(
        "SHIPPED_PAPER"
    ):  # set by a test that runs others on a paper it has built
        return Paper(Path(built))
    paper = Paper(ROOT).copy(tmp_path_factory.mktemp("shipped") / "paper")
    if (ROOT / ".cache").exists():  # what a build has remembered; `make verify` builds without
        shutil.copytree(ROOT / ".cache", paper.folder / ".cache")
    build = paper.run("latexmk", PYCODE_WORKERS="2")
    assert build.code == 0, build.output
    return paper


@pytest.fixture(scope="session")
def built_study(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """Return a paper with many quick fits, built."""
    paper = Paper(ROOT).copy(tmp_path_factory.mktemp("study") / "paper")
    shutil.copy(ROOT / "literate/tests/study.tex", paper.folder / "paper.tex")
    (paper.folder / "pycode/models.py").write_text(STUDY_MODELS, encoding="utf-8")
    build = paper.build()
    assert build.code == 0, build.output
    return paper


@pytest.fixture
def unbuilt_study(built_study: Paper, tmp_path: Path) -> Paper:
    """Return the sources of that paper."""
    return built_study.copy(tmp_path / "unbuilt")
