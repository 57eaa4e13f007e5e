"""CoCalc's sequence of commands gives the same paper, and shows errors where it looks for them."""

import re
import time

import pytest

from literate.testing import ROOT, Build, Paper

DEFAULT = "latexmk -pdf -f -g -bibtex -deps -synctex=1 -interaction=nonstopmode".split()
DIRECTIVE = re.match(r"% !TeX cocalc = (.*)", (ROOT / "paper.tex").read_text(encoding="utf-8"))


def cocalc(paper: Paper, *, directive: bool, forced: bool) -> list[Build]:
    """What CoCalc does when a paper is built: each of its commands, in order."""
    assert DIRECTIVE
    first = [*DEFAULT, f"-output-directory={paper.folder.parent}/sha1", "paper.tex"]
    latexmk = DIRECTIVE[1].split() if directive else [*DEFAULT, "paper.tex"]
    builds = [] if directive else [paper.run(*first)]
    builds.append(paper.run(*latexmk))
    assert "PythonTeX" in builds[-1].output  # which is how CoCalc learns of it
    rerun = ["--rerun=always"] if forced else []
    builds.append(paper.run("pythontex", "--jobs", "2", *rerun, "paper", MPLBACKEND="Agg"))
    builds.append(paper.run(*latexmk))
    return builds


def ran(paper: Paper) -> int:
    """When the paper's code ran last."""
    return (paper.folder / "results.tex").stat().st_mtime_ns


@pytest.mark.parametrize(("directive", "forced"), [(False, True), (True, False)])
def test_sequence_gives_the_same_text(unbuilt, built_small, directive: bool, forced: bool):
    builds = cocalc(unbuilt, directive=directive, forced=forced)
    assert [build.code for build in builds] == [0] * len(builds), builds[0].output
    assert unbuilt.pages() == built_small.pages()
    before = ran(unbuilt)
    builds = cocalc(unbuilt, directive=True, forced=False)
    assert [build.code for build in builds] == [0, 0, 0]
    assert ran(unbuilt) == before


def test_pythontex_by_itself_finds_nothing_left_to_run(small):
    before = ran(small)
    assert small.run("pythontex", "--jobs", "2", "paper").code == 0
    assert ran(small) == before


@pytest.mark.parametrize(("directive", "forced"), [(False, False), (True, True)])
def test_failure_is_in_the_pages_and_in_the_margin(small, built_small, directive, forced):
    small.edit("paper.tex", "split = data", "1 / 0\nsplit = data")
    lines = small.read("paper.tex").splitlines()
    builds = cocalc(small, directive=directive, forced=forced)
    pythontex = builds[-2].output
    assert "PythonTeX stderr" in pythontex
    assert f"line {lines.index('1 / 0') + 1}:" in pythontex
    for page in small.pages():
        assert f"paper.tex:{lines.index('1 / 0') + 1}: ZeroDivisionError" in page
    assert "0.7" not in small.pages()[0]
    small.edit("paper.tex", "1 / 0\n", "")
    cocalc(small, directive=directive, forced=forced)
    assert small.pages() == built_small.pages()


def test_edits_of_pycode_and_data_arrive(small):
    small.edit("pycode/models.py", '"""The models that', 'MARK = 5\n"""The models that')
    small.edit("rows.csv", "a,b,c,d,kind\n", "a,b,c,d,kind\n9,9,9,9,even\n")
    cocalc(small, directive=True, forced=False)
    assert "0, 5, 0, 0]" in small.pages()[0]
    fresh = small.copy(small.folder.parent / "fresh")
    assert fresh.build().code == 0
    assert fresh.pages() == small.pages()


def in_the_margin(build: Build) -> dict[int, str]:
    """What CoCalc shows beside which line, from what LaTeX says."""
    found = re.findall(r"^LaTeX Warning: (.*) on input line (\d+)\.", build.output, re.MULTILINE)
    return {int(line): text for text, line in found}


def test_warning_false_claim_and_error_are_in_the_margin(small):
    claim = r"\claim{max(rows.logistic.test, 0) > 2}{A claim.}"
    named = r"\claim{too_high}{Another.}"
    small.edit("paper.tex", "The second page.", f"The second page.\n{claim}\n{named}")
    name = 'results.claims("rows.logistic", too_high=".test > 2")\n'
    small.edit(
        "paper.tex", "images =", name + 'import warnings; warnings.warn("look (here")\nimages ='
    )
    lines = ["", *small.read("paper.tex").splitlines()]
    for _ in range(2):
        margin = in_the_margin(cocalc(small, directive=True, forced=False)[-1])
        assert "does not hold" in margin[lines.index(claim)]
        assert "too_high' does not hold" in margin[lines.index(named)]
        warned = next(n for n, line in enumerate(lines) if "look" in line)
        assert "UserWarning: look [here" in margin[warned]
    small.edit("paper.tex", "split = data", "1 / (\n0)\nsplit = data")
    builds = cocalc(small, directive=True, forced=False)
    line = small.read("paper.tex").splitlines().index("1 / (") + 1
    assert any("ZeroDivisionError" in text for text in in_the_margin(builds[-1]).values())
    assert f"\npaper.tex:{line}: ZeroDivisionError" in builds[0].output
    said = builds[0].output.rpartition("This is PythonTeX")[2].partition("\nPythonTeX:")[0]
    assert "1 / (" in said
    assert all(line.count("(") == line.count(")") for line in said.splitlines())


SLOW = """import time
from joblib import delayed
from literate import cache
def slow(n):
    time.sleep(1)
    return n

cache.compute([delayed(slow)(n) for n in range(8)])
images ="""


def n_remembered(paper: Paper) -> int:
    """How many values of the slow function there are."""
    return sum(b'"function": "slow"' in p.read_bytes() for p in (paper.folder / ".cache").glob("*"))


def test_builds_that_are_stopped_say_so_and_each_gets_further(small):
    small.edit("paper.tex", "images =", SLOW)
    remembered = [0]
    for _ in range(3):
        build = small.start("latexmk")
        while n_remembered(small) < remembered[-1] + 2:
            time.sleep(0.1)
        build.kill()
        build.wait()
        remembered.append(n_remembered(small))
        latex = small.run("pdflatex", "-interaction=nonstopmode", "paper", max_print_line="1000")
        assert "build again to go on" in " ".join(in_the_margin(latex).values())
        assert all("build again to go on" in page for page in small.pages())
    assert sorted(set(remembered)) == remembered
    assert remembered[-1] < 8
    assert small.build().code == 0
    assert n_remembered(small) == 8
