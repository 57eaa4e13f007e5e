"""make installs nothing that is here, and says at once what it may not install."""

import shutil
import subprocess
from pathlib import Path

import pytest

from literate.testing import ROOT, Paper, path_without


def listed(group: str) -> list[str]:
    text = (ROOT / "literate/apt.txt").read_text().partition(f"[{group}]")[2]
    return [line for line in text.partition("[")[0].splitlines() if line and line[0] != "#"]


PACKAGES, TOOLS, COURSE, TESTS = map(listed, ("paper", "tools", "course", "test"))


@pytest.fixture
def repository(unbuilt: Paper) -> Paper:
    for name in ("Makefile", "requirements.txt"):
        shutil.copy2(ROOT / name, unbuilt.folder)
    (unbuilt.folder / "literate/course").mkdir()
    shutil.copy2(ROOT / "literate/course/make.mk", unbuilt.folder / "literate/course")
    return unbuilt


def test_with_everything_here_it_builds_and_then_has_nothing_to_do(repository: Paper):
    first, second = repository.run("make"), repository.run("make")
    assert (first.code, second.code) == (0, 0), first.output
    assert "Missing:" not in first.output + second.output
    assert first.rules.count("pythontex") == 1
    assert second.rules == []
    assert repository.run("make", "clean").code == 0
    assert not (repository.folder / "paper.pdf").exists()
    assert not (repository.folder / ".cache").exists()


def without_rights(folder: Path, *missing: str) -> str:
    path = path_without(folder, "id", *missing)
    (folder / "id").write_text("#!/bin/sh\necho 1000\n")
    (folder / "id").chmod(0o755)
    return path


def test_without_rights_it_names_the_packages(repository: Paper, tmp_path: Path):
    path = without_rights(tmp_path / "bin", "sudo", "latexmk", "pythontex")
    build = repository.run("make", PATH=path)
    assert build.code != 0
    assert "Missing: latexmk pythontex" in build.output
    assert "administrator for: apt-get install " + " ".join(PACKAGES) in build.output
    assert build.rules == []


def test_where_sudo_is_refused_it_names_the_packages(repository: Paper, tmp_path: Path):
    path = without_rights(tmp_path / "bin", "sudo", "latexmk")
    (tmp_path / "bin/sudo").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/sudo").chmod(0o755)
    build = repository.run("make", PATH=path)
    assert build.code != 0
    assert " ".join(PACKAGES) in build.output


def test_on_another_system_it_says_so(repository: Paper, tmp_path: Path):
    path = path_without(tmp_path / "bin", "apt-get", "bibtex")
    build = repository.run("make", PATH=path)
    assert build.code != 0
    assert "Missing: bibtex" in build.output
    assert (
        "This is no Debian or Ubuntu: install what literate/apt.txt lists for the paper,"
        in build.output
    )
    assert (
        "has here, or a full TeX Live, Python 3.11 or newer, Pygments and poppler.\n"
        in build.output
    )


@pytest.mark.parametrize(
    ("target", "missing", "packages"),
    [
        ("system-tools", "latexml", TOOLS),
        ("system-course", "bwrap", COURSE),
        ("system-test", "chromium", TESTS),
    ],
)
def test_what_only_tools_or_tests_need_is_asked_for_by_these(
    repository: Paper, tmp_path: Path, target: str, missing: str, packages: list[str]
):
    path = without_rights(tmp_path / "bin", "sudo", missing)
    quiet = "--no-print-directory"  # as a make within make would
    paper = repository.run("make", quiet, "system", PATH=path)
    assert (paper.code, paper.output) == (0, "")
    tools = repository.run("make", quiet, target, PATH=path)
    assert tools.code != 0
    assert f"Missing: {missing}\n" in tools.output
    assert "administrator for: apt-get install " + " ".join(packages) + "\n" in tools.output


@pytest.mark.parametrize(
    ("target", "packages"),
    [("html", "tools"), ("diff", "tools"), ("test-machine", "test"), ("test-all", "test")],
)
def test_targets_ask_for_their_packages(repository: Paper, target: str, packages: str):
    assert rf"/^\[{packages}\]/" in repository.run("make", "-n", target).output


def test_fonts_of_the_tests_on_another_system(repository: Paper, tmp_path: Path):
    path = path_without(tmp_path / "bin", "apt-get", "kpsewhich")
    build = repository.run("make", "system-test", "TEX_FILES=", PATH=path)
    assert build.code != 0
    assert "Missing: sfrm1000.pfb\n" in build.output
    assert (
        "install what literate/apt.txt lists for the test, under the names it has here.\n"
        in build.output
    )


def test_a_tagged_pdf_needs_a_new_latex(repository: Paper, tmp_path: Path):
    path = path_without(tmp_path / "bin", "kpsewhich")
    source, kpsewhich = tmp_path / "latex.ltx", tmp_path / "bin/kpsewhich"
    kpsewhich.write_text(f"#!/bin/sh\necho {source}\n")
    kpsewhich.chmod(0o755)
    source.write_text("\\edef\\fmtversion\n   {2022-11-01}\n")
    build = repository.run("make", "accessible", PATH=path)
    assert build.code != 0
    assert "this is LaTeX 2022-11-01, and tagged PDF needs 2025-11-01 or later" in build.output
    assert build.rules == []
    source.write_text("\\edef\\fmtversion\n   {2026-06-01}\n")
    assert repository.run("make", "tagging", PATH=path).code == 0


def test_one_file_lists_the_system_packages():
    groups = (PACKAGES, TOOLS, COURSE, TESTS)
    for packages in groups:
        assert sorted(set(packages)) == packages
    assert len({name for group in groups for name in group}) == sum(map(len, groups))
    dockerfile = (ROOT / ".devcontainer/Dockerfile").read_text()
    assert "COPY literate/apt.txt /tmp/apt.txt\n" in dockerfile
    script = dockerfile.partition("sed -n '")[2].partition("'")[0]
    command = ("sed", "-n", script, ROOT / "literate/apt.txt")
    assert subprocess.check_output(command, text=True).splitlines() == PACKAGES
    assert "make" in (ROOT / ".github/workflows/paper.yml").read_text()


def test_lint_shows_what_all_checks_find(repository: Paper):
    (repository.folder / ".venv").unlink()
    (repository.folder / ".venv/bin").mkdir(parents=True)
    for name in ("python3", "ruff", "basedpyright"):
        tool = repository.folder / ".venv/bin" / name
        tool.write_text("#!/bin/sh\necho a fault that $1 finds\nexit 1\n")
        tool.chmod(0o755)
    build = repository.run("make", "--old-file=.venv/test", "lint")
    assert build.code != 0
    for check in ("-m", "format", "check", "--pythonpath"):
        assert f"a fault that {check} finds" in build.output
