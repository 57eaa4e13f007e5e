"""Fits run elsewhere with the same results, and whoever waits for them sees how far they are."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from literate import progress
from literate.testing import Paper, environment

BAR = re.compile(r"block \d of 2, line \d+: +\d+%\|")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a Dask scheduler on loopback, and its two workers."""
    address, folder = tmp_path / "scheduler.json", tmp_path / "elsewhere"
    folder.mkdir()
    dask = [sys.executable, "-m", "distributed.cli.dask_"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}

    def start(program: str, *options: str) -> subprocess.Popen[bytes]:
        command = [*dask[:2], dask[2] + program, "--scheduler-file", str(address), *options]
        return processes.enter_context(
            subprocess.Popen(command, env=environment(), **quiet)  # pyright: ignore
        )

    with ExitStack() as processes:
        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        workers = [
            start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard") for _ in range(2)
        ]
        while not address.exists() or not address.read_text():
            assert scheduler.poll() is None
            time.sleep(0.05)
        yield json.loads(address.read_text())["address"], workers
        for process in (*workers, scheduler):
            process.kill()


def test_cluster_gives_the_same_results_even_if_a_worker_dies(unbuilt_study, built_study, cluster):
    address, workers = cluster
    build = unbuilt_study.start("latexmk", DASK_SCHEDULER_ADDRESS=address)
    while len(list(unbuilt_study.folder.glob(".cache/*"))) < 5:
        assert build.poll() is None
        time.sleep(0.01)
    workers[0].send_signal(signal.SIGKILL)
    assert build.wait() == 0
    assert unbuilt_study.read("results.json") == built_study.read("results.json")
    assert unbuilt_study.pages() == built_study.pages()


def test_cluster_that_does_not_answer(unbuilt_study):
    start = time.monotonic()
    build = unbuilt_study.run("latexmk", DASK_SCHEDULER_ADDRESS="tcp://127.0.0.1:9")
    assert build.code != 0
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in build.output
    assert time.monotonic() - start < 30


def test_number_of_workers_that_is_none(unbuilt_study):
    build = unbuilt_study.run("latexmk", PYCODE_WORKERS="many")
    assert build.code != 0
    assert "PYCODE_WORKERS" in build.output


def watched(paper: Paper, stream: int, reader: int) -> str:
    """What a build prints to `stream`, read from `reader`."""
    build = paper.start("latexmk", output=stream)
    os.close(stream)
    output = b""
    while select.select([reader], [], [], 100)[0]:
        try:
            chunk = os.read(reader, 10000)
        except OSError:  # a terminal that is closed
            break
        if not chunk:
            break
        output += chunk
    assert build.wait() == 0, output.decode()
    return output.decode()


def test_terminal_shows_a_bar(unbuilt_study):
    shown = watched(unbuilt_study, *terminal())
    assert BAR.search(shown)
    assert re.search(r"\d+/\d+ \[\d\d:\d\d<\d\d:\d\d", shown)
    unbuilt_study.run("latexmk", "-C")
    assert not BAR.search(watched(unbuilt_study, *terminal()))


def terminal() -> tuple[int, int]:
    """Both ends of a terminal of 24 lines and 100 columns."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    return writer, reader


def test_pipe_has_plain_lines(unbuilt_study):
    start = time.monotonic()
    reader, writer = os.pipe()
    lines = [line for line in watched(unbuilt_study, writer, reader).split("\n") if "block" in line]
    assert 1 <= len(lines) <= 1 + (time.monotonic() - start) / 10
    assert all(BAR.match(line) and "\r" not in line for line in lines)


def test_file_has_whole_lines(unbuilt_study, tmp_path):
    output = tmp_path / "output"
    with output.open("wb") as file:
        assert unbuilt_study.start("latexmk", output=file.fileno()).wait() == 0
    text = output.read_text(encoding="utf-8", errors="replace")
    assert "\0" not in text
    assert any(BAR.match(line) for line in text.split("\n"))
    assert "PythonTeX:  paper - 0 error(s)" in text


def test_socket_is_left_alone(unbuilt_study):
    here, there = socket.socketpair()
    with here:
        shown = watched(unbuilt_study, there.detach(), here.fileno())
    assert "PythonTeX:  paper - 0 error(s)" in shown
    assert "block" not in shown


@pytest.mark.parametrize("trouble", ["full", "nobody reads"])
@pytest.mark.parametrize("bar", [True, False], ids=["bar", "lines"])
def test_output_that_nobody_takes_is_lost_without_an_error(monkeypatch, trouble, bar):
    reader, writer = terminal()[::-1] if bar else os.pipe()
    monkeypatch.setenv("PYCODE_PROGRESS", f"/proc/self/fd/{writer}")
    monkeypatch.setattr(progress, "_said", float("-inf"))
    monkeypatch.setattr(progress, "SECONDS", 0)
    progress._stream.cache_clear()
    with progress.progress(3) as shown:
        assert shown.fp.isatty() == bar
        shown.update()
        if trouble == "full":
            os.set_blocking(writer, False)
            with suppress(BlockingIOError):
                while True:
                    os.write(writer, b"x" * 1000)
        else:
            os.close(reader)
        shown.update()
        shown.update()
    shown.fp.close()
    progress._stream.cache_clear()
    for file in (writer, reader) if trouble == "full" else (writer,):
        os.close(file)
