"""LaTeX with a format of the preamble gives what it gives without one, whatever has changed."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from literate.testing import Build, Paper, small_sources

INTERVAL = r"\AtBeginDocument{\setlength\parindent{3cm}}"
LMODERN = INTERVAL + r"\def\rmdefault{lmr}\def\sfdefault{lmss}\def\ttdefault{lmtt}"
BEGIN = r"\begin{document}"


def build(paper: Paper, *options: str, **env: str) -> Build:
    """Build with a format, and wait for the next one."""
    found = paper.run("latexmk", *options, PYCODE_FORMAT="on", **env)
    assert found.code == 0, found.output
    until(lambda: not list(paper.folder.glob(".paper.format.*")))
    return found


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def preamble_was_read(paper: Paper) -> bool:
    return "Document Class: article" in paper.read("paper.log")


def pdf(paper: Paper) -> bytes:
    return (paper.folder / "paper.pdf").read_bytes()


def assert_right(paper: Paper, **env: str) -> None:
    """A build without a format gives the same, and latexmk sees the preamble's files."""
    found, code = pdf(paper), paper.read("paper.pytxcode")
    inputs = paper.read("paper.fls")
    for name in ("literate/macros.tex", "literate/venues/article.tex", "article.cls"):
        assert name in inputs
    (paper.folder / ".paper.format/pdflatex.fmt").unlink(missing_ok=True)
    without = paper.run("latexmk", "-g", **env)
    assert without.code == 0, without.output
    assert preamble_was_read(paper)
    assert (pdf(paper), paper.read("paper.pytxcode")) == (found, code)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    paper = small_sources("small.tex", tmp_path_factory.mktemp("format") / "paper")
    build(paper)
    assert not (paper.folder / ".paper.format").exists()  # the first build makes none
    paper.edit("paper.tex", "a word", "two words")
    build(paper)
    assert preamble_was_read(paper)
    assert (paper.folder / ".paper.format/pdflatex.fmt").exists()
    return paper


@pytest.fixture
def paper(built: Paper, tmp_path: Path) -> Paper:
    """A paper with a format, in a folder of its own."""
    built.run("cp", "-a", ".", str(tmp_path / "paper"))
    return Paper(tmp_path / "paper")


def append(file: str, text: str) -> Callable[[Paper], None]:
    def change(paper: Paper) -> None:
        path = paper.folder / file
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(old + text, encoding="utf-8")

    return change


def replace(old: str, new: str) -> Callable[[Paper], None]:
    return lambda paper: paper.edit("paper.tex", old, new)


@pytest.mark.parametrize(
    "change",
    [
        replace("two words", "three words"),
        replace(r"\py{tex.num(score.validation)}", r"\py{tex.num(score.validation, 2)}"),
        replace(
            'results.record("rows.logistic"',
            'results.record("rows.other", 1)\nresults.record("rows.logistic"',
        ),
        append("rows.csv", "1,1,1,1,even\n" * 9),
    ],
    ids=["prose", "expression", "block", "data"],
)
def test_edits_behind_the_preamble_use_the_format(paper, change):
    change(paper)
    build(paper)
    assert not preamble_was_read(paper)
    assert_right(paper)


@pytest.mark.parametrize(
    "change",
    [
        replace(r"\title{Small", r"\title{Smaller"),
        replace(BEGIN, INTERVAL + "\n" + BEGIN),
        append("literate/macros.tex", INTERVAL),
        append("literate/venues/article.tex", INTERVAL),
        append("lmodern.sty", LMODERN),  # which is found instead of TeX's
        append("geometry.cfg", INTERVAL),  # which is read if it is there
        lambda paper: (paper.folder / ".paper.format/pdflatex.fmt").write_bytes(b"no format"),
    ],
    ids=["title", "preamble", "macros", "venue", "package", "configuration", "damage"],
)
def test_edits_of_the_preamble_read_it_again(paper, change):
    change(paper)
    replace("two words", "three words")(paper)
    before = pdf(paper)
    build(paper)
    assert preamble_was_read(paper)
    assert pdf(paper) != before
    replace("three words", "four words")(paper)
    build(paper)
    assert not preamble_was_read(paper)  # there is a new one already
    assert_right(paper)


def test_file_of_the_preamble_is_watched(paper):
    replace("two words", "three words")(paper)
    build(paper)
    assert not preamble_was_read(paper)
    append("literate/venues/article.tex", INTERVAL)(paper)
    build(paper)
    assert preamble_was_read(paper)
    assert_right(paper)


@pytest.mark.parametrize("variable", ["TEXMFHOME", "TEXINPUTS"])
def test_file_that_is_found_instead_of_another(paper, tmp_path, variable):
    mine = tmp_path / "texmf"
    (mine / "tex/latex").mkdir(parents=True)
    env = {variable: f"{mine}" if variable == "TEXMFHOME" else f"{mine}//:"}
    replace("two words", "three words")(paper)
    build(paper, **env)
    replace("three words", "four words")(paper)
    build(paper, **env)
    assert not preamble_was_read(paper)
    (mine / "tex/latex/lmodern.sty").write_text(LMODERN, encoding="utf-8")
    replace("four words", "no words")(paper)  # of another size: latexmk counts in seconds
    build(paper, **env)
    assert preamble_was_read(paper)
    assert_right(paper, **env)


def test_pdf_of_another_commit_has_its_date(paper):
    build(paper, SOURCE_DATE_EPOCH="1700000000")
    assert b"D:20231114" in pdf(paper)
    assert_right(paper, SOURCE_DATE_EPOCH="1700000000")


@pytest.mark.parametrize(
    ("preamble", "kept"),
    [
        (r"\edef\early{\result{rows.logistic.test}}\AtEndDocument{\early}", False),
        (r"\newwrite\mine\immediate\openout\mine=mine.txt", False),
        (r"\input{glyphtounicode}\pdfgentounicode=1", None),
        (r"\usepackage{underscore}", None),
        (r"\newcommand\hash[1]{#1}% \begin{document}" + "\n" + r"\usepackage{comment}", True),
    ],
    ids=["result", "file", "characters", "underscore", "arguments"],
)
def test_preamble_that_cannot_be_kept_is_read(paper, preamble, kept):
    replace(BEGIN, preamble + "\n" + BEGIN)(paper)
    build(paper)
    assert (paper.folder / ".paper.format/inputs").exists()
    has = (paper.folder / ".paper.format/pdflatex.fmt").exists()
    assert kept in (None, has)
    append("rows.csv", "1,1,1,1,even\n" * 9)(paper)
    build(paper)
    assert preamble_was_read(paper) is not has
    assert_right(paper)


@pytest.mark.parametrize("engine", ["-pdfxe", "-pdflua"])
def test_other_engines_read_the_preamble(paper, engine):
    build(paper, engine)
    assert preamble_was_read(paper)


def test_an_output_directory_has_the_same_format(paper):
    build(paper, "-outdir=out")
    replace("two words", "three words")(paper)
    build(paper, "-outdir=out")
    log = paper.read("out/paper.log")
    assert "Document Class" not in log
    assert paper.click("not", "out/paper.pdf") == ("paper.tex", r"\begin{pycode}")
    found = (paper.folder / "out/paper.pdf").read_bytes()
    (paper.folder / ".paper.format/pdflatex.fmt").unlink()
    assert paper.build("-g", "-outdir=out").code == 0
    assert (paper.folder / "out/paper.pdf").read_bytes() == found


def test_killed_while_a_format_is_made(paper):
    replace(r"\title{Small", r"\title{Smaller")(paper)
    running = paper.start("latexmk", PYCODE_FORMAT="on")
    until(lambda: list(paper.folder.glob(".paper.format.*")))
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if process.info["cwd"] == str(paper.folder):
            process.send_signal(signal.SIGKILL)
    running.wait()
    assert list(paper.folder.glob(".paper.format.*"))
    replace("two words", "three words")(paper)
    assert paper.run("latexmk", PYCODE_FORMAT="on").code == 0
    until(lambda: not list(paper.folder.glob(".paper.format.*")))
    replace("three words", "four words")(paper)
    build(paper)
    assert_right(paper)


def test_a_cleaned_folder_has_no_format(paper):
    assert paper.build("-C").code == 0
    assert not (paper.folder / ".paper.format").exists()
