"""A box holds what tries to get out of it, and says where it does not."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from literate.course import contain
from literate.course.contain import Box, ContainError, Limits
from literate.testing import ROOT, environment, path_without

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
QUICK = Limits(seconds=3, megabytes=1000)
DOCUMENTS = Path("/usr/share/doc")  # a part of the system that nobody needs


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box([ROOT, DOCUMENTS]) as box:
        (box.folder / "grader.txt").write_text("mine")
        (box.folder / "grader.txt").chmod(0o644)
        yield box


@pytest.fixture
def work(box: Box, tmp_path: Path) -> Path:
    """An empty folder of the submission."""
    (tmp_path / "empty").mkdir()
    name = f"work{len(list(box.folder.iterdir()))}"
    return box.copy(tmp_path / "empty", name)


def python(box: Box, work: Path, script: str, *args: object, limits: Limits = QUICK) -> contain.Ran:
    command = [sys.executable, "-c", script, *map(str, args)]
    return box.run(command, cwd=work, limits=limits)


def left(mark: str) -> list[int]:
    """The processes that have `mark` in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "cmdline").read_text(errors="replace").split("\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def soon(happens: Callable[[], object]) -> bool:
    """Whether it does within ten seconds."""
    return any(happens() or time.sleep(0.05) for _ in range(200))


def test_everything_is_contained_here(box: Box) -> None:
    if os.geteuid() == 0 and Path("/sys/fs/cgroup/memory").is_dir():
        assert box.holes == ()


def test_a_command_ends_with_its_status_and_output(box: Box, work: Path) -> None:
    ran = box.run(["sh", "-c", "echo out; echo err >&2; exit 7"], cwd=work, limits=QUICK)
    assert (ran.code, ran.output, ran.ended) == (7, "out\nerr\n", "")


def test_python_has_its_packages_and_a_clean_environment(
    box: Box, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "42")
    script = "import os, sys; print(sys.prefix, sys.executable, *os.environ); import numpy"
    ran = python(box, work, script, limits=Limits(60))
    assert (ran.code, *ran.output.split()[:2]) == (0, sys.prefix, sys.executable), ran.output
    assert set(ran.output.split()[2:]) - {"PWD", "OLDPWD", "_", "LC_CTYPE", "SHLVL"} == set(
        "HOME LANG MKL_NUM_THREADS OMP_NUM_THREADS OPENBLAS_NUM_THREADS PATH PYCODE_WORKERS "
        "PYTHONDONTWRITEBYTECODE PYTHONNOUSERSITE SOURCE_DATE_EPOCH TMPDIR".split()
    )


def test_tex_runs(box: Box, work: Path) -> None:
    paper = r"\documentclass{article}\usepackage{pythontex}\begin{document}\py{6 * 7}\end{document}"
    script = (
        f"printf '%s' '{paper}' >a.tex; latexmk -norc -pdf a.tex; pythontex a.tex;"
        "latexmk -g -norc -pdf a.tex; pdftotext a.pdf -; touch $HOME/h $TMPDIR/t"
    )
    ran = box.run(["sh", "-ec", script], cwd=work, limits=Limits(60))
    assert ran.code == 0, ran.output
    assert "\n42\n" in ran.output
    assert box.read(f"{work.name}/a.pdf").startswith(b"%PDF")


@pytest.mark.parametrize(
    "script",
    [
        "while True: pass",
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)",
        "import os; os.close(1); os.close(2)\nwhile True: pass",
    ],
)
def test_what_does_not_end_is_ended(box: Box, work: Path, script: str) -> None:
    ran = python(box, work, script, work, limits=Limits(seconds=1))
    assert ran.ended == "no end after 1 s"
    assert not left(str(work))


DAEMON = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for end in (0, 1, 2) if "quiet" in sys.argv else ():
            os.close(end)
        time.sleep(1000)
    os._exit(0)
os.wait()
print("started")
"""


@as_root
@pytest.mark.parametrize("how", ["quiet", "with the pipe"])
def test_no_daemon_stays(box: Box, work: Path, how: str) -> None:
    ran = python(box, work, DAEMON, work, how)
    assert (ran.output, ran.ended) == ("started\n", "")
    assert not left(str(work))


@as_root
def test_nothing_outlives_the_grader() -> None:
    script = (
        "from pathlib import Path; from literate.course.contain import Box; box = Box([]); "
        "print(box.folder, flush=True); "
        "box.run(['sh', '-c', 'touch on; sleep 100', str(box.folder)], cwd=box.folder / 'home')"
    )
    grader = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert grader.stdout
    folder = grader.stdout.readline().decode().strip()
    try:
        assert soon(Path(folder, "home/on").exists)
        assert left(folder)
        grader.kill()
        assert soon(lambda: not left(folder))
    finally:
        grader.communicate()
        shutil.rmtree(folder)
        for group in Path("/sys/fs/cgroup").glob(f"*/{Path(folder).name}"):
            group.rmdir()


BOMB = """
import os, time
started = 0
try:
    while started < 2000:
        if os.fork() == 0:
            time.sleep(1000)
        started += 1
except BlockingIOError:
    print(started, flush=True)
time.sleep(1000)
"""


@as_root
def test_a_fork_bomb_fizzles_out(box: Box, work: Path) -> None:
    ran = python(box, work, BOMB, work)
    assert 0 < int(ran.output) < contain.PROCESSES
    assert ran.ended == "no end after 3 s"
    assert not left(str(work))


# One process after the other takes 150 MB; how many of the four live when all have tried?
GROWING = """
import subprocess, sys
script = "import sys; a = b'x' * 150_000_000; print(len(a), flush=True); sys.stdin.read()"
started = []
for _ in range(4):
    started.append(subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1))
    started[-1].stdout.readline()
for each in started:
    each.stdin.close()
print(sum(each.wait() == 0 for each in started))
"""


def test_memory_is_limited(box: Box, work: Path) -> None:
    ran = python(box, work, "b'x' * 20_000_000_000")
    assert "MemoryError" in ran.output


def test_memory_of_all_processes_is_limited(box: Box, work: Path) -> None:
    if any("control group" in hole for hole in box.holes):
        pytest.skip("no control groups here")
    ran = python(box, work, GROWING, limits=Limits(seconds=60, megabytes=400))
    assert (ran.output, ran.ended) in [("1\n", ""), ("2\n", "")]


def test_output_is_limited(box: Box, work: Path) -> None:
    limits = Limits(seconds=20, output=50_000)
    ran = box.run(["head", "-c", "1000000000", "/dev/zero"], cwd=work, limits=limits)
    assert (len(ran.output), ran.ended) == (50_000, "more than 50000 bytes of output")


def test_a_file_is_limited(box: Box, work: Path) -> None:
    script = "open('a', 'wb').truncate(10_000_000_000)"
    assert "File too large" in python(box, work, script).output
    script = "file = open('b', 'wb')\nwhile True: file.write(bytes(1_000_000))"
    assert "File too large" in python(box, work, script, limits=Limits(60)).output
    assert (work / "b").stat().st_size == contain.FILE << 20


def test_the_disk_is_limited(box: Box, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contain, "DISK", 100)
    script = "for i in 1 2 3 4 5 6 7 8 9; do head -c 50000000 /dev/zero >$i; done; sleep 100"
    ran = box.run(["sh", "-c", script], cwd=work, limits=Limits(seconds=30))
    assert ran.ended == "more than 100 MB written"


READS = """
import ctypes, os, sys
places, process = sys.argv[2:], int(sys.argv[1])
places += [f"/proc/{who}/root{place}" for place in places for who in (1, process, os.getppid())]
for who in (1, process, os.getppid()):
    places += [f"/proc/{who}/{part}" for part in ("environ", "mem", "maps", "cwd/README.md")]
for place in places:
    try:
        print(place, os.listdir(place) if os.path.isdir(place) else open(place, "rb").read(10))
    except OSError as error:
        assert error.errno
libc = ctypes.CDLL(None)
print(*("traced" for who in (1, process, os.getppid()) if libc.ptrace(16, who, 0, 0) == 0))
"""


@as_root
def test_nothing_hidden_can_be_read(box: Box, work: Path) -> None:
    assert any(DOCUMENTS.iterdir())
    for place in ("/tmp", "/var/tmp", "/dev/shm"):  # others are seen there
        box.run(["touch", f"{place}/{work.name}"], cwd=work, limits=QUICK)
        assert not Path(place, work.name).exists()
    places = [
        ROOT / "README.md",
        f"/.old{ROOT}/README.md",
        "/etc/shadow",
        Path.home() / ".bashrc",
        "/run",
        "/sys",
    ]
    ran = python(box, work, READS, os.getpid(), *places)
    assert (ran.code, ran.output.strip()) == (0, "")
    ran = box.run(["ls", "-A", str(DOCUMENTS), str(ROOT)], cwd=work, limits=QUICK)
    assert sorted(ran.output.split()) == sorted([f"{DOCUMENTS}:", f"{ROOT}:", ".venv"])


@as_root
@pytest.mark.parametrize("within", ["", "unshare --user --map-root-user --mount --pid --fork "])
def test_what_covers_stays(box: Box, work: Path, within: str) -> None:
    script = f"{within}sh -c 'umount {DOCUMENTS} /; umount -l {DOCUMENTS}; ls {DOCUMENTS}'"
    ran = box.run(["sh", "-c", f"{script} 2>/dev/null"], cwd=work, limits=QUICK)
    assert ran.output == ""


@as_root
def test_nothing_of_the_grader_can_be_written(box: Box, work: Path) -> None:
    python3 = Path(sys.executable)
    places = ["../grader.txt", "../new", f"{python3.parent}/new", "/usr/local/new"]
    script = (
        "for place; do echo x >>$place; done; rm -f ../grader.txt; mv .. ../../x; "
        "chmod 777 ..; ln -s /etc/shadow ../link"
    )
    box.run(["sh", "-c", script, "sh", *places], cwd=work, limits=QUICK)
    assert (box.folder / "grader.txt").read_text() == "mine"
    assert not any(Path(place).exists() for place in places[2:])
    assert not [*box.folder.glob("new"), *box.folder.glob("link")]


@as_root
def test_nobody_can_be_called(box: Box, work: Path) -> None:
    name = f"\0box-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(name)
        unix.listen()
        script = (
            "import socket\n"
            f"for kind, to in ((2, {server.getsockname()!r}), (1, {name!r})):\n"
            "    try: socket.socket(kind).connect(to); print('called', to)\n"
            "    except OSError as error: print(error.errno)"
        )
        here = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert here.stdout.count("called") == 2
        assert "called" not in python(box, work, script).output


@as_root
def test_boxes_do_not_meet(box: Box, work: Path) -> None:
    echo = "import sys\nfor line in sys.stdin: print(line.strip() * 2, flush=True)"
    with Box([]) as other:
        process = other.start([sys.executable, "-c", echo], cwd=other.folder, limits=QUICK)
        assert other.ask(process, b"ab") == (b"abab", "")
        script = f"kill -9 -1; kill -9 {process.pid}; ls {other.folder} {other.folder}/home"
        ran = box.run(["sh", "-c", script], cwd=work, limits=QUICK)
        assert ran.output.count("No such file") == 2, ran.output
        assert other.ask(process, b"cd\n") == (b"cdcd", "")
        folder = other.folder
    assert process.returncode
    assert not folder.exists()


def test_an_answer_that_does_not_come_is_told(box: Box, work: Path) -> None:
    for script, limits, told in (
        ("input(); raise SystemExit(3)", QUICK, "it ended with status 3"),
        ("import time; time.sleep(1000)", Limits(seconds=1), "no end after 1 s"),
        (
            "while True: print(end='x' * 1000)",
            Limits(output=9000),
            "more than 9000 bytes of output",
        ),
    ):
        process = box.start([sys.executable, "-c", script], cwd=work)
        assert box.ask(process, b"x" * 500_000, limits) == (b"", told)
        assert process.poll() is not None


def test_errors_of_a_process_are_kept_apart(box: Box, work: Path) -> None:
    with tempfile.TemporaryFile() as errors:
        script = "import sys; sys.stderr.write('oh'); sys.stderr.flush(); print(input())"
        process = box.start([sys.executable, "-c", script], cwd=work, errors=errors)
        assert box.ask(process, b"hello") == (b"hello", "")
        errors.seek(0)
        assert errors.read() == b"oh"
        box.kill(process)


def test_what_is_planted_is_not_read(box: Box, work: Path) -> None:
    script = (
        "echo good >good; ln -s /etc/passwd link; ln -s /etc folder; mkfifo fifo; mkdir inner;"
        "truncate -s 90M sparse; ln -s ../../grader.txt inner/up"
    )
    assert box.run(["sh", "-ec", script], cwd=work, limits=QUICK).code == 0
    assert box.read(work / "good") == b"good\n"
    for name in ("link", "folder/passwd", "inner/up", "none", "inner"):
        with pytest.raises(OSError, match=Path(name).parts[-2 if name == "folder/passwd" else -1]):
            box.read(f"{work.name}/{name}")
    for name, told in (("fifo", "not a file"), ("sparse", "more than"), ("../../x", "not in")):
        with pytest.raises(ValueError, match=told):
            box.read(f"{work.name}/{name}")


def test_a_submission_is_copied_without_links(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "ada"
    (source / "inner").mkdir(parents=True)
    (source / "inner/a.txt").write_text("a")
    (source / ".git").mkdir()
    (source / "link").symlink_to("/etc/shadow")
    (source / "inner/folder").symlink_to("/etc")
    target = box.copy(source, "ada", skip=[".git"])
    assert [path.name for path in sorted(target.rglob("*"))] == ["inner", "a.txt"]
    assert "ok" in box.run(["sh", "-c", "echo >inner/a.txt && echo ok"], cwd=target).output


def test_what_is_no_submission_is_refused(box: Box, tmp_path: Path) -> None:
    bad = {name: tmp_path / name for name in "fifo hard large many deep file link".split()}
    for name in "fifo hard large many".split():
        bad[name].mkdir()
    os.mkfifo(bad["fifo"] / "x")
    (tmp_path / "solution").write_text("x")
    (bad["hard"] / "x").hardlink_to(tmp_path / "solution")
    with open(bad["large"] / "x", "wb") as file:
        file.truncate(60_000_000)
    for number in range(contain.ENTRIES + 1):
        (bad["many"] / str(number)).touch()
    bad["deep"].joinpath(*"x" * 50).mkdir(parents=True)
    bad["file"].touch()
    bad["link"].symlink_to("many")
    told = "fifo: x: not a file,hard: x: it has another name,large: x: more than,many: more than"
    for line in f"{told},deep: more than,file: not a folder,link: not a folder".split(","):
        name, _, rest = line.partition(": ")
        with pytest.raises(ContainError, match=f"{name}: {rest}"):
            box.copy(bad[name], f"refused-{name}")


@as_root
def test_whatever_a_submission_leaves_goes_with_the_box(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with Box([]) as box:
        work = box.copy(tmp_path / "empty", "work")
        deep = "import os\nfor i in range(1100): os.mkdir('d'); os.chdir('d')\nos.chmod('.', 0)"
        assert python(box, work, deep).code == 0
        folder = box.folder
    assert not folder.exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{folder.name}"))


DRIVER = """
import json, sys
from pathlib import Path
from literate.course.contain import Box, Limits
with Box([Path(sys.argv[1])]) as box:
    def run(*command):
        return vars(box.run(command, cwd=box.folder / "home", limits=Limits(1, 500, 5000)))
    print(json.dumps({
        "holes": box.holes,
        "endless": run("sh", "-c", "while :; do :; done"),
        "output": run("yes"),
        "secret": run("cat", sys.argv[1] + "/solution.py"),
        "network": run(sys.executable, "-c",
            f"import socket; socket.create_connection(('127.0.0.1', {sys.argv[2]})); print('yes')"),
        "daemon": run("sh", "-c", "(setsid sleep $0 >/dev/null 2>&1 &) ; echo ok",
            "98." + sys.argv[2]),
        "memory": run(sys.executable, "-c", "b'x' * 2_000_000_000"),
        "user": run("id", "-u"),
    }))
"""
NOBODY = ("setpriv", "--reuid=65533", "--regid=65533", "--clear-groups")


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that all can read, with the tool and what is to be hidden in it."""
    folder = Path(tempfile.mkdtemp())
    (folder / "literate/course").mkdir(parents=True)
    shutil.copy(ROOT / "literate/course/contain.py", folder / "literate/course")
    (folder / "course").mkdir()
    (folder / "course/solution.py").write_text("secret")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


def driven(public: Path, *within: str, path: str = "") -> dict[str, Any]:
    """What a box says and does under the system's Python, started by the command `within`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = subprocess.run(
            [*within, "/usr/bin/python3", "-c", DRIVER, public / "course", port],
            cwd=public,
            env={"PATH": path or environment()["PATH"], "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["endless"]["ended"] == "no end after 1 s"
    assert found["output"]["ended"] == "more than 5000 bytes of output"
    assert found["daemon"]["output"] == "ok\n"
    assert "MemoryError" in found["memory"]["output"]
    found["left"] = left(f"98.{port}")
    return found


def works(*command: str) -> bool:
    line = ["sh", "-c", '"$@"', "sh", *command]
    return subprocess.run(line, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("within", [NOBODY, ("setpriv", "--bounding-set=-sys_admin")])
def test_a_user_namespace_does_as_well(public: Path, within: tuple[str, ...]) -> None:
    within = within if os.geteuid() == 0 else ()
    space = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork")
    if not works(*NOBODY * bool(within), *space, "mount", "-t", "tmpfs", "x", "/tmp"):
        pytest.skip("no user namespace is to be had")
    found = driven(public, *within)
    assert not [hole for hole in found["holes"] if "control group" not in hole]
    assert "No such file" in found["secret"]["output"]
    assert "yes" not in found["network"]["output"]
    assert not found["left"]


def test_without_bubblewrap_it_says_so(public: Path) -> None:
    within = NOBODY if os.geteuid() == 0 else ()
    found = driven(public, *within, path=path_without(public / "path", "bwrap"))
    (told,) = found["holes"]
    assert told.startswith("install bubblewrap, which is not installed: ")
    assert "runs as you, with the network and all files that you can read" in told
    assert found["secret"]["output"] == "secret"
    assert "yes" in found["network"]["output"]
    for process in found["left"]:
        os.kill(process, signal.SIGKILL)


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_root_without_namespaces_still_changes_the_user(public: Path, mode: int) -> None:
    (public / "course").chmod(mode)
    path = path_without(public / "path", "bwrap")
    broken = public / "path/bwrap"  # as where namespaces are forbidden
    broken.write_text("#!/bin/sh\necho no namespaces\nexit 1\n")
    broken.chmod(0o755)
    found = driven(public, path=path)
    (told,) = found["holes"]
    assert told.startswith("install bubblewrap, which does not work here (no namespaces): ")
    assert "runs as a user of its own, with the network and all files that all can read" in told
    assert (found["secret"]["output"] == "secret") == (mode == 0o755)
    assert int(found["user"]["output"]) in contain.USERS
    assert not found["left"]


@as_root
def test_a_python_that_cannot_run_is_an_error(
    public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(public))
    monkeypatch.setenv("PATH", path_without(tmp_path / "path", "bwrap"))
    tmp_path.chmod(0o700)
    shutil.copy("/bin/true", tmp_path / "python")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ContainError, match=r"cannot run it(.|\n)*Permission denied(.|\n)*chmod o"):
        Box([])
    (tmp_path / "path/setpriv").unlink()
    with pytest.raises(ContainError, match="no submission runs as root"):
        Box([])
    assert not list(public.glob("box-*"))


@as_root
def test_where_python_is_cannot_be_hidden() -> None:
    prefix = Path(sys.prefix).resolve()
    with Box(hide=[prefix]) as box:
        assert any(f"it can read {prefix}" in hole for hole in box.holes)


@as_root
def test_what_leads_to_python_is_no_hole():
    """A folder with the submissions may have that of the course, and its .venv, in it, too."""
    with Box(hide=[Path(sys.prefix).resolve().parent.parent]) as box:
        if "bubblewrap" in str(box.holes):
            pytest.skip("bubblewrap does not work here")
        assert not [hole for hole in box.holes if "can read" in hole]
