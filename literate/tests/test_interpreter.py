"""A run in a fork of the kept Python is the run of a new one, however either of them ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from literate.testing import ROOT, Paper

FILE = ROOT / "literate/interpreter.py"
ENVIRONMENT = {
    **os.environ,
    **{"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "MARK": "here"},
}


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen, Path]]:
    path = folder / "socket"
    command = [sys.executable, str(FILE), "serve", str(path)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, env=ENVIRONMENT)
    until(path.exists)
    assert server.stdin
    with server.stdin:
        yield server, path
    server.wait(60)  # it ends with whoever has started it


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with serving(tmp_path_factory.mktemp("server")) as (_, path):
        yield path


def command(path: Path, *script: str) -> list[str]:
    return [sys.executable, "-SEs", str(FILE), "run", str(path), *script]


def outcome(call: list[str], folder: Path, **more: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        call, cwd=folder, env=ENVIRONMENT | more, capture_output=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "print(sys.argv, sys.orig_argv, sys.path, sys.flags, os.getcwd(), __file__, __name__)",
        "import sklearn\n"  # which adds to it
        "print(sorted(os.environ.items()), os.environb[b'MARK'], subprocess.getoutput('env'))",
        "import numpy, sklearn.svm; print(hash('a'), {'x', 'y', 'z'}, numpy.__version__)",
        "print(sys.stdin.read(), os.isatty(0)); print('error', file=sys.stderr)",
        "print([k for k in sorted(globals()) if k != '__cached__'], __spec__, type(__loader__))",
        "def f():\n    raise ValueError('é')\nf()",
        "1 +",
        "sys.exit(3)",
        "sys.exit('with a message')",
        "sys.exit()",
        "print('unflushed', end=''); os._exit(5)",
        "import atexit; atexit.register(print, 'at the end'); raise KeyError",
        "import threading\nthreading.Timer(0.3, print, ['late']).start()",
        "from joblib import Parallel, delayed\n"
        "def square(n): return n * n\n"
        "print(Parallel(2)(delayed(square)(n) for n in range(3)))",
        "import signal; print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGPIPE))",
        "import literate; print(literate.ROOT, [m for m in sys.modules if m.startswith('pycode')])",
    ],
)
def test_fork_is_like_a_new_python(server, tmp_path, code):
    (tmp_path / "made").mkdir()
    script = tmp_path / "made/script.py"
    script.write_text(f"import os, subprocess, sys, time\n{code}\n", encoding="utf-8")
    calls = [sys.executable, "made/script.py", "a b"], command(server, "made/script.py", "a b")
    expected, found = (outcome(call, tmp_path) for call in calls)
    assert found == expected


def test_libraries_are_loaded_and_the_paper_is_not(server, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys; print(*sys.modules)")
    loaded = outcome(command(server, str(script)), tmp_path)[1].decode().split()
    assert {"numpy", "scipy.stats", "sklearn.svm", "matplotlib.pyplot", "seaborn"} <= set(loaded)
    assert not {"torch", "pycode", "literate", "tables"} & set(loaded)


def test_a_signal_ends_both(server, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import os; os.kill(os.getpid(), 9)")
    assert outcome([sys.executable, str(script)], tmp_path)[0] == -9
    assert outcome(command(server, str(script)), tmp_path)[0] not in (0, None)


SLOW = """
import os, subprocess, sys, time
print("begun", flush=True)
subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
open("pid", "a").write(f"{os.getpid()}\\n")
while not os.path.exists("go"):
    time.sleep(0.05)
print("ended")
"""


def test_script_ends_with_the_one_who_wants_it(server, tmp_path):
    (tmp_path / "script.py").write_text(SLOW)
    client = subprocess.Popen(
        command(server, "script.py"), cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    script = psutil.Process(int((tmp_path / "pid").read_text()))
    started = script.children()
    assert started
    client.kill()
    client.wait()
    until(lambda: not any(alive(process.pid) for process in (script, *started)))


def test_script_runs_again_if_the_server_is_killed(tmp_path):
    (tmp_path / "script.py").write_text(SLOW)
    with serving(tmp_path) as (server, path), (tmp_path / "output").open("w") as output:
        client = subprocess.Popen(
            command(path, "script.py"), cwd=tmp_path, env=ENVIRONMENT, stdout=output
        )
        until(lambda: (tmp_path / "pid").exists())
        server.kill()
        until(lambda: (tmp_path / "pid").read_text().count("\n") == 2)
        (tmp_path / "go").touch()
        assert client.wait(30) == 0
    first, second = map(int, (tmp_path / "pid").read_text().split())
    assert second == client.pid
    assert not alive(first)
    assert (tmp_path / "output").read_text() == "begun\nended\n"
    assert outcome(command(path, "script.py"), tmp_path)[:2] == (0, b"begun\nended\n")


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_another_environment_has_a_new_python(server, tmp_path):
    (tmp_path / "script.py").write_text("import os; print(os.getsid(0) == os.getpid())")
    for more, forked in (
        ({}, b"True\n"),
        ({"MARK": "other"}, b"False\n"),
        ({"NEW": "x"}, b"False\n"),
    ):
        found = outcome(command(server, "script.py"), tmp_path, **more)
        assert found == (0, forked, b"")


FORKED = r"\py{('new', 'forked')[os.getsid(0) == os.getpid()]}"


@pytest.fixture
def paper(small: Paper) -> Paper:
    """The small paper, which tells what runs it, with a .venv of its own."""
    small.edit("paper.tex", "import pycode\n", "import os\nimport pycode\n")
    small.edit("paper.tex", "Late: ", f"Late: {FORKED} ")
    venv, packages = small.folder / ".venv", ROOT / ".venv/lib"
    venv.unlink()
    site = next(packages.glob("python3*/site-packages"))
    own = venv / site.relative_to(ROOT / ".venv")
    own.mkdir(parents=True)
    (venv / "bin").symlink_to(ROOT / ".venv/bin")
    shutil.copy(ROOT / ".venv/pyvenv.cfg", venv)
    for entry in site.iterdir():
        (own / entry.name).symlink_to(entry)
    return small


def interrupt(viewer: subprocess.Popen) -> None:
    """Press Ctrl-C until latexmk ends: it misses one while it waits for LaTeX, say."""
    for _ in range(20):
        with suppress(ProcessLookupError):
            os.killpg(viewer.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            viewer.wait(5)
            return
    pytest.fail("latexmk goes on")


@contextmanager
def preview(paper: Paper) -> Iterator[None]:
    viewer = paper.start("latexmk", "-pvc", "-view=none", "-e", "$sleep_time=0.1")
    try:
        yield
    finally:
        interrupt(viewer)
        until(lambda: not interpreters(paper))  # which end with latexmk


def interpreters(paper: Paper) -> list[psutil.Process]:
    mine = str(paper.folder / "literate/interpreter.py")
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] and mine in process.info["cmdline"]:
            found += [process] * ("serve" in process.info["cmdline"])
    return found


def waiting(paper: Paper, *gone: psutil.Process) -> psutil.Process:
    """Wait until an interpreter listens, another than those that are gone, and return it."""

    def found() -> bool:
        servers = interpreters(paper)
        return len(servers) == 1 and servers[0] not in gone and listens(servers[0])

    until(found)
    (server,) = interpreters(paper)
    return server


def listens(server: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any(server.net_connections("unix"))
    return False


def shows(paper: Paper, *texts: str) -> Callable[[], bool]:
    return lambda: all(text in " ".join(paper.pages()) for text in texts)


def assert_replaced(paper: Paper, first: psutil.Process) -> None:
    """The next run is of a new Python, and the one after it a fork of another one."""
    paper.edit("paper.tex", "tex.num(score.validation)", "tex.num(score.validation, 2)")
    until(shows(paper, "Late: new", "0.75"))
    waiting(paper, first)
    paper.edit("paper.tex", "score.validation, 2", "score.validation, 3")
    until(shows(paper, "Late: forked", "0.750"))


def assert_like_a_new_build(paper: Paper) -> None:
    pdf, results = (paper.folder / name for name in ("paper.pdf", "results.json"))
    found = pdf.read_bytes(), results.read_bytes()
    paper.edit("paper.tex", FORKED, r"\py{'forked'}")
    done = paper.build("-g")
    assert done.code == 0, done.output
    assert (pdf.read_bytes(), results.read_bytes()) == found


def test_edits_under_pvc_are_run_in_forks(paper):
    with preview(paper):
        until(shows(paper, "Late: new"))
        waiting(paper)
        paper.edit("paper.tex", "tex.num(score.validation)", "tex.num(score.validation, 2)")
        until(shows(paper, "Late: forked"))
        paper.edit("literate/tex.py", '"""Python values', 'MARK = 5\n"""Python values')
        until(shows(paper, "0, 5]", "Late: forked"))
    assert_like_a_new_build(paper)


def test_edits_of_code_alone_are_run_in_forks(paper):
    """The interpreter starts before LaTeX has ever run, whose environment is another."""
    assert paper.build().code == 0
    with preview(paper):
        paper.edit("literate/tex.py", '"""Python values', 'MARK = 4\n"""Python values')
        until(shows(paper, "0, 4]", "Late: new"))
        waiting(paper)
        paper.edit("literate/tex.py", "MARK = 4", "MARK = 5")
        until(shows(paper, "0, 5]", "Late: forked"))


def test_block_that_fails_in_a_fork_is_named(paper):
    with preview(paper):
        waiting(paper)
        paper.edit("paper.tex", "split = data.split", "1 / 0\nsplit = data.split")
        until(lambda: "ZeroDivisionError" in paper.read("results.tex"))
        lines = paper.read("paper.tex").splitlines()
        assert f"paper.tex:{lines.index('1 / 0') + 1}: ZeroDivisionError" in paper.read(
            "results.tex"
        )
        paper.edit("paper.tex", "1 / 0\n", "")
        until(shows(paper, "Late: forked"))
    assert_like_a_new_build(paper)


def test_interpreter_of_other_packages_is_replaced(paper):
    with preview(paper):
        first = waiting(paper)
        site = next((paper.folder / ".venv/lib").glob("python3*/site-packages"))
        (site / "other-1.0.dist-info").mkdir()
        assert_replaced(paper, first)
    assert_like_a_new_build(paper)


def test_interpreter_that_is_killed_is_replaced(paper):
    with preview(paper):
        first = waiting(paper)
        first.kill()
        assert_replaced(paper, first)
    assert_like_a_new_build(paper)


def test_two_previews_of_one_folder(paper):
    with preview(paper):
        until(lambda: interpreters(paper))
        other = paper.start("latexmk", "-pvc", "-view=none", "-e", "$sleep_time=0.1")
        for n in range(4):  # either may be the first to see an edit
            old = f", {n}" if n else ""
            paper.edit("paper.tex", f"score.validation{old})", f"score.validation, {n + 1})")
            until(shows(paper, f"{0.75:.{n + 1}f}"))
            time.sleep(2)
        interrupt(other)
    assert_like_a_new_build(paper)


def test_a_single_build_starts_none(paper):
    assert paper.build().code == 0
    assert shows(paper, "Late: new")()
    assert not interpreters(paper)
