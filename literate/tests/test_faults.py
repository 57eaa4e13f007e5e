"""Whatever happens to a build, the next latexmk makes the right PDF, and no wrong one passes."""

import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from literate.testing import ROOT, Paper, Process, small_sources

# Shares of a cold build, one in each sixth of it; Ctrl-C comes in every other.
MOMENTS = [(n + random.Random(n).random()) / 6 for n in range(6)]
only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paper, float]:
    """A paper with many short calls, built from nothing, and the seconds that this took."""
    paper = small_sources("search.tex", tmp_path_factory.mktemp("search") / "paper")
    begun = time.monotonic()
    build = paper.run("latexmk", PYCODE_WORKERS="2")
    assert build.code == 0, build.output
    return paper, time.monotonic() - begun


@pytest.fixture(scope="module")
def expected(search: tuple[Paper, float]) -> tuple[list[str], str]:
    return outcome(search[0])


@pytest.fixture
def unbuilt(search: tuple[Paper, float], tmp_path: Path) -> Paper:
    """Its sources."""
    return search[0].copy(tmp_path / "unbuilt")


def outcome(paper: Paper) -> tuple[list[str], str]:
    return paper.pages(), paper.read("results.json")


def started_by(build: Process) -> list[psutil.Process]:
    """The living processes that a build has started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PYCODE_BUILD", "").startswith(f"{build.pid}-"):
                found.append(process)
        except psutil.Error:
            pass
    return found


def looks_good(paper: Paper) -> bool:
    """Whether there is a PDF that can be read and says nothing of a failure."""
    if not (paper.folder / "paper.pdf").exists():
        return False
    text = paper.run("pdftotext", "paper.pdf", "-")
    return text.code == 0 and "?" not in text.output and "not been completed" not in text.output


@pytest.mark.parametrize(
    ("way", "share"),
    [(signal.SIGKILL, share) for share in MOMENTS] + [(signal.SIGINT, s) for s in MOMENTS[::2]],
)
def test_build_that_is_killed(unbuilt, expected, search, way, share):
    users = unbuilt.folder / ".notes.2026"
    users.touch()
    moment = share * search[1]
    while True:
        build = unbuilt.start("latexmk", PYCODE_WORKERS="2")
        time.sleep(moment)
        if build.poll() is None:
            break
        moment *= 0.7  # the machine is faster than it was
        for made in (unbuilt.folder / ".cache", unbuilt.folder / "results.json"):
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        assert unbuilt.build("-C").code == 0
    if way == signal.SIGKILL:
        build.kill()
    else:
        os.killpg(build.pid, signal.SIGINT)
    if build.wait() == 0:  # LaTeX may have been done when Ctrl-C came
        assert outcome(unbuilt) == expected
    if looks_good(unbuilt):
        assert unbuilt.pages() == expected[0]
    deadline = time.monotonic() + 5
    while started_by(build) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not started_by(build)
    again = unbuilt.build()
    assert again.code == 0, again.output
    assert outcome(unbuilt) == expected
    assert list(unbuilt.folder.glob("**/.*.[0-9]*")) == [users]


def test_processes_that_become_other_programs_are_killed(tmp_path):
    again = tmp_path / "again"
    again.write_text('#!/bin/sh\nexec "$0"\n', encoding="utf-8")
    again.chmod(0o755)
    code = (ROOT / "literate/latexmk.pl").read_text(encoding="utf-8")
    (kill_all,) = re.findall(r"^sub kill_all .*?^}", code, re.S | re.M)
    (read_lines,) = re.findall(r"^sub read_lines .*", code, re.M)
    script = f"use File::Glob 'bsd_glob'; use Time::HiRes; {kill_all} {read_lines} kill_all('IS=1')"
    for _ in range(50):
        with subprocess.Popen([again], env={"IS": "1"}) as process:
            subprocess.run(["perl", "-e", script], check=True)
            time.sleep(0.01)
            process.terminate()  # if it lives
            assert process.wait() == -signal.SIGKILL


def test_ctrl_c_in_the_last_pass_of_latex(unbuilt, expected):
    wait = r"\pdfresettimer\loop\ifnum\pdfelapsedtime<262144\repeat"  # four seconds
    unbuilt.build()
    unbuilt.edit("paper.tex", "A word.", f"A word.{wait}")
    build = unbuilt.start("latexmk")
    time.sleep(2)
    os.killpg(build.pid, signal.SIGINT)
    build.wait(timeout=60)  # LaTeX fails, or latexmk calls it once more
    unbuilt.edit("paper.tex", wait, "")
    assert unbuilt.build().code == 0
    assert outcome(unbuilt) == expected


def test_build_that_is_killed_with_its_watcher(unbuilt, expected):
    build = unbuilt.start("latexmk", PYCODE_WORKERS="2")
    while len(started_by(build)) < 4:  # PythonTeX, its pool and the blocks
        assert build.poll() is None
        time.sleep(0.05)
    for process in psutil.Process(build.pid).children():
        if process.cmdline() == ["watcher"]:
            process.kill()
    build.kill()
    build.wait()
    orphans = started_by(build)
    assert unbuilt.build().code == 0
    assert orphans
    assert not started_by(build)
    assert outcome(unbuilt) == expected


@pytest.mark.parametrize("victim", ["pythontex", "py_default_default.py"])
def test_part_of_a_build_that_is_killed(unbuilt, expected, victim):
    build = unbuilt.start("latexmk")
    kill_when_there(build, victim)
    code = build.wait()
    assert not started_by(build)
    assert looks_good(unbuilt) == (code == 0)
    assert unbuilt.build().code == 0
    assert outcome(unbuilt) == expected


def test_worker_that_is_killed(unbuilt, expected):
    build = unbuilt.start("latexmk", PYCODE_WORKERS="2")
    kill_when_there(build, "popen_loky_posix")
    assert build.wait() == 0
    assert outcome(unbuilt) == expected


def kill_when_there(build: Process, name: str) -> None:
    while build.poll() is None:
        for process in started_by(build):
            try:
                if any(name in word for word in process.cmdline()):
                    process.kill()
                    return
            except psutil.Error:
                pass
        time.sleep(0.02)
    raise AssertionError(f"no {name} was started")


def test_builds_at_once(unbuilt, expected):
    builds = [unbuilt.start("latexmk") for _ in range(3)]
    assert [build.wait() for build in builds] == [0, 0, 0]
    assert outcome(unbuilt) == expected


def test_pythontex_by_itself_waits_for_a_build(small):
    with (small.folder / "latexmkrc").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = small.start("pythontex", "--rerun=always", "paper")
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=5)
    assert waiting.wait(timeout=60) == 0


@only_root
@pytest.mark.parametrize("kilobytes", [60, 500, 780])  # beside the sources
def test_disk_that_fills_up(unbuilt, expected, tmp_path, kilobytes):
    disk = tmp_path / "disk"
    disk.mkdir()

    def resize(size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}k", str(disk)], check=True)

    with mounted("-t", "tmpfs", "-o", "size=100m", "none", str(disk)):
        paper = unbuilt.copy(disk / "paper")
        resize(shutil.disk_usage(disk).used // 1024 + kilobytes)
        build = paper.build()
        assert looks_good(paper) == (build.code == 0), build.output
        assert build.code != 0 or kilobytes > 700
        resize(100_000)
        build = paper.build()
        assert build.code == 0, build.output
        assert outcome(paper) == expected


@only_root
def test_read_only_figures(unbuilt, expected):
    figures = str(unbuilt.folder / "figures")
    with mounted("--bind", figures, figures):
        subprocess.run(["mount", "-o", "remount,ro,bind", figures], check=True)
        build = unbuilt.build()
        assert build.code != 0
        assert "Read-only file system" in build.output
        assert not looks_good(unbuilt)
    assert unbuilt.build().code == 0
    assert outcome(unbuilt) == expected


@contextmanager
def mounted(*options: str) -> Iterator[None]:
    subprocess.run(["mount", *options], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", options[-1]], check=True)


def test_clock_that_was_set_back(small):
    tomorrow = time.time() + 86400
    for path in small.folder.rglob("*"):
        if ".venv" not in path.parts:
            os.utime(path, (tomorrow, tomorrow))
    small.edit("paper.tex", "a word", "a new word")
    small.edit("pycode/models.py", "max_iter=1000", "max_iter=1000, C=0.01")
    assert small.build().code == 0
    (changed,) = [page for page in small.pages() if "a new word" in page]
    fresh = small.copy(small.folder.parent / "fresh")
    assert fresh.build().code == 0
    assert changed in fresh.pages()


HALF = [
    *("paper.aux", "paper.bbl", "paper.pytxcode", "paper.fdb_latexmk", "paper.fls", "paper.log"),
    *("paper.pdf", "results.tex", "figures/mistakes.pdf", "paper.made"),
    *("pythontex-files-paper/pythontex_data.pkl", "pythontex-files-paper/paper.pytxmcr"),
    "pythontex-files-paper/*.stdout",
]


@pytest.mark.parametrize("name", HALF)
def test_file_that_is_half_written(built_small, small, name):
    path = next(small.folder.glob(name))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    build = small.build()
    assert build.code == 0, build.output
    assert small.pages() == built_small.pages()
