"""The containment of a submission: it can neither read the solutions nor change its grade.

Its commands run in bubblewrap, which needs Linux: in a file system of their own that shows only the
system's programs, this Python and their box, without network or a view of other processes, and as
root as a user of their own.  Where it does not work, `holes` says so.
"""

import os
import random
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

Process = subprocess.Popen[bytes]

# The folders of the system that are shown, and those of its programs.
SYSTEM = tuple(
    "/bin /sbin /lib /lib32 /lib64 /libx32 /usr /etc /opt /nix /Library "
    "/var/lib/texmf /var/cache/fontconfig".split()
)
PATH = "/usr/local/bin:/usr/bin:/bin"
# Users without an account, one for each box: neither Debian nor systemd assigns these numbers.
USERS = range(60578, 61184)
# The folders of control groups, the files that limit their memory, and those where 0 denies them
# swap, which would be memory as well; in versions 1 and 2.
GROUPS = (
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.swappiness"),
    ("/sys/fs/cgroup", "memory.max", "memory.swap.max"),
)
PROCESSES = 256
FILE, DISK, TMP = 100, 2000, 128  # MB of one file, of all files and of a folder in memory
ENTRIES, DEPTH = 5000, 40  # most files and folders of a submission, and their depth
TICK = 0.02  # s

# Starts a command, in the control group whose list of processes is $1, if any.  When memory runs
# out, it has to end before the grader does.
START = r"""
umask 022
{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null
[ -z "$1" ] || echo $$ >"$1" || exit
shift
exec "$@"
"""
# The first process in a process namespace: when it ends, the kernel ends all others before bwrap
# sees it.  (If bwrap's own were the first, bwrap would not wait for them.)
FIRST = ("sh", "-c", '"$@"; exit $?', "sh")


class ContainError(Exception):
    """A reason why a submission cannot be run or accepted."""


@dataclass(frozen=True)
class Limits:
    """The resources that a command can use."""

    seconds: float = 120  # of wall time
    megabytes: int = 2048  # of address space for each process, and of memory for all of them
    output: int = 1_000_000  # bytes of its output that are kept


@dataclass(frozen=True)
class Ran:
    """The outcome of a command: its exit status, its output, and what stopped it (or "")."""

    code: int
    output: str
    ended: str


class Box:
    """A fresh folder in which the commands of one submission run, unable to see `hide`.

    The folder belongs to the grader, and what `copy` puts into it belongs to the submission.
    `holes` says, in one sentence each, what is not contained.
    """

    folder: Path
    holes: tuple[str, ...]

    def __init__(self, hide: Sequence[Path]):
        self._root = os.geteuid() == 0
        self._user, self.folder = _folder(self._root)
        self._running: list[Process] = []
        self._group, self._limit = _group(self.folder.name)
        self._switch: list[str] = []  # the beginning of a command, that makes root the box's user
        self._prefix: list[str] = []  # the beginning of every command
        self._contained = True
        try:
            for name in ("home", "tmp"):
                (self.folder / name).mkdir()
                self._give(self.folder / name, 0o755)
            self.holes = tuple(self._contain([path.resolve() for path in hide]))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def copy(
        self, source: Path, name: str, *, skip: Iterable[str] = (), megabytes: int = 50
    ) -> Path:
        """Copy the files of `source` to the box's new folder `name`, and return that folder.

        The new folder belongs to the submission.  Symbolic links are left out, and so are files and
        folders with a name in `skip`.  Raises ContainError for anything else that is neither a file
        nor a folder, and for a file with another name elsewhere.  Also raises it for too many
        files, for folders that are too deep, and for more than `megabytes` MB.
        """
        target = self.folder / name
        target.mkdir()
        self._give(target, 0o755)
        count = size = 0
        if source.is_symlink() or not source.is_dir():
            raise ContainError(f"{_printable(source)}: not a folder")
        for place, folders, files in os.walk(source, onerror=_raise):
            here, below = Path(place), target / Path(place).relative_to(source)
            folders[:] = [e for e in folders if e not in skip and not (here / e).is_symlink()]
            files = [e for e in files if e not in skip and not (here / e).is_symlink()]
            count += len(folders) + len(files)
            if count > ENTRIES or len(below.relative_to(target).parts) > DEPTH:
                raise ContainError(
                    f"{_printable(source)}: more than {ENTRIES} files, or {DEPTH} folders deep"
                )
            for each in folders:
                (below / each).mkdir()
                self._give(below / each, 0o755)
            for each in files:
                try:
                    data = _read(here / each, megabytes * 1_000_000, alone=True)
                except (OSError, ValueError) as error:
                    raise ContainError(f"{_printable(here)}: {error}") from error
                size += len(data)
                if size > megabytes * 1_000_000:
                    raise ContainError(f"{_printable(source)}: more than {megabytes} MB")
                (below / each).write_bytes(data)
                self._give(below / each, 0o644)
        return target

    def read(self, path: Path | str, limit: int = 10_000_000) -> bytes:
        """Return the contents of a file in the box, where the submission may have put anything.

        Raises OSError if the file does not exist or is behind a symbolic link.  Raises ValueError
        if it is not a file, has more than `limit` bytes or is not in the box.
        """
        below = (self.folder / path).relative_to(self.folder)
        if ".." in below.parts:
            raise ValueError(f"{path}: not in the box")
        here = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in below.parts[:-1]:
                outer = here
                here = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=outer)
                os.close(outer)
            return _read(Path(below.name), limit, folder=here)
        finally:
            os.close(here)

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        limits: Limits = Limits(),
        env: Mapping[str, str] = {},
    ) -> Ran:
        """Run a command, end all that it has started, and return its outcome."""
        process = self.start(
            command, cwd=cwd, limits=limits, env=env, stdin=subprocess.DEVNULL, errors=None
        )
        output, ended = self._listen(process, limits)
        self.kill(process)
        return Ran(process.returncode, output.decode(errors="replace"), ended)

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        limits: Limits = Limits(),
        env: Mapping[str, str] = {},
        stdin: int = subprocess.PIPE,
        errors: int | IO[bytes] | None = subprocess.DEVNULL,
    ) -> Process:
        """Start a process with pipes for stdin and stdout, for `ask` and `kill`, and return it.

        Its stderr goes to the open file `errors`, which can take at most 100 MB, or to stdout if
        that is None.  The process does not outlive the thread that has started it.
        """
        process = subprocess.Popen(
            self._command(command, limits),
            cwd=cwd,
            env={**self._environment(), **env},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors is None else errors,
            bufsize=0,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def ask(self, process: Process, request: bytes, limits: Limits = Limits()) -> tuple[bytes, str]:
        """Send the line `request` to a process and return the line that it answers, and "".

        If it does not answer, kill it and return b"" and the reason.
        """
        output, ended = self._listen(process, limits, request.rstrip(b"\n") + b"\n")
        line, end, _ = output.partition(b"\n")
        if end:
            return line, ""
        self.kill(process)
        return b"", ended or f"it ended with status {process.returncode}"

    def kill(self, process: Process) -> None:
        """End a process with all that it has started, and wait until they have ended."""
        if process.poll() is None:
            # If contained, this is the first in its namespace: when it ends, all others end.
            with suppress(OSError, subprocess.TimeoutExpired):
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                for child in children.split():
                    os.kill(int(child), signal.SIGKILL)
                process.wait(5)
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if self._root and not self._contained:
            # One signal to all of its user's processes, which none can escape by forking.
            sweep = [*self._switch, "sh", "-c", "kill -s KILL -- -1"]
            subprocess.run(sweep, stderr=subprocess.DEVNULL, check=False)
            for _ in range(100):
                if not any(_owner(each) == self._user for each in Path("/proc").glob("[0-9]*")):
                    break
                time.sleep(TICK)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        self._running = [each for each in self._running if each is not process]

    def close(self) -> None:
        """End what is still running, and remove the folder."""
        for process in self._running:
            self.kill(process)
        # Python fails to remove very deep folders.
        remove = 'rm -rf -- "$1" 2>/dev/null || { chmod -R u+rwx -- "$1"; rm -rf -- "$1"; }'
        subprocess.run(["sh", "-c", remove, "sh", str(self.folder)], check=False)
        if self._group:
            with suppress(OSError):
                self._group.rmdir()

    def _give(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        if self._root:
            os.chown(path, self._user, self._user)

    def _environment(self) -> dict[str, str]:
        places = [*os.environ.get("PATH", "").split(":"), *PATH.split(":")]
        system = [each for each in places if _under(each)]
        return {
            "PATH": ":".join(dict.fromkeys([f"{sys.prefix}/bin", *system])),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "PYCODE_WORKERS": "1",
            "SOURCE_DATE_EPOCH": "1793491200",
            **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
        }

    def _command(self, command: Sequence[str], limits: Limits) -> list[str]:
        """Return the command line that runs `command` contained."""
        line = [*command]
        if self._contained or shutil.which("prlimit"):
            most = [f"--as={limits.megabytes << 20}", f"--fsize={FILE << 20}", "--core=0"]
            if self._contained or self._root:  # the limit counts no other processes
                most.append(f"--nproc={PROCESSES}")
            line = ["prlimit", *most, *line]
        processes = ""
        if self._group:
            (self._group / self._limit).write_text(str(limits.megabytes << 20))
            processes = str(self._group / "cgroup.procs")
        return ["sh", "-c", START, "sh", processes, *self._prefix, *line]

    def _listen(
        self, process: Process, limits: Limits, request: bytes | None = None
    ) -> tuple[bytes, str]:
        """Return what a process prints, and the reason to kill it ("" if there is none).

        Stops at the end of the output, or after the line that answers `request`.
        """
        out, into = process.stdout, process.stdin
        assert out
        if into and request:
            threading.Thread(target=_write, args=(into, request), daemon=True).start()
        output, ended = bytearray(), ""
        last, free = time.monotonic() + limits.seconds, shutil.disk_usage(self.folder).free
        while not ended:
            gone = process.poll() is not None  # asked before its last output is read
            ready = select.select([out], [], [], 0 if gone else TICK)[0]
            part = os.read(out.fileno(), 1 << 16) if ready else b""
            output += part
            if len(output) > limits.output:
                ended = f"more than {limits.output} bytes of output"
            elif (gone and not part) or (request and b"\n" in output):
                break
            elif time.monotonic() > last:
                ended = f"no end after {limits.seconds} s"
            elif free - shutil.disk_usage(self.folder).free > DISK * 1_000_000:
                ended = f"more than {DISK} MB written"
            elif ready and not part:
                time.sleep(TICK)  # it has closed its output
        return bytes(output[: limits.output]), ended

    def _contain(self, hide: Sequence[Path]) -> Iterator[str]:
        """Choose how to contain commands here, and yield a sentence for each thing left open.

        Raises ContainError if Python does not run.
        """
        if self._root:
            if not shutil.which("setpriv"):
                raise ContainError("no submission runs as root: install util-linux, for setpriv")
            self._switch = ["setpriv", f"--reuid={self._user}", f"--regid={self._user}"]
            self._switch += ["--clear-groups", "--no-new-privs", "--pdeathsig=KILL"]
            self._switch += ["--inh-caps=-all", "--bounding-set=-all"]
        bwrap, lacking = shutil.which("bwrap"), "is not installed"
        box = [bwrap or "", *self._view(hide), *FIRST]
        # Root may lack the right to make namespaces that users can make with one of their own.
        for prefix in ([*box, *self._switch], [*self._switch, *box]) if bwrap else ():
            self._prefix = prefix
            if not (ran := self._probe("true")).code:
                break
            told = ran.output.strip() or ran.ended or f"status {ran.code}"
            lacking = f"does not work here ({told})"
        else:
            self._contained, self._prefix = False, self._switch
            who, files = ("a user of its own", "all") if self._root else ("you", "you")
            yield (
                f"install bubblewrap, which {lacking}: without it code runs as {who}, with the"
                f" network and all files that {files} can read"
            )
        if (ran := self._probe(sys.executable, "-c", "")).code:
            raise ContainError(
                f"{sys.executable}: user {self._user} cannot run it: {ran.output.strip()}\n"
                "Let others into its folders (chmod o+x), or take a Python that all can run"
            )
        if self._contained:
            if not self._group:
                yield "no control group is to be had: each process can use the memory of all"
            for path in _python() & {*hide}:
                yield f"it can read {path}, where Python is: make .venv in a folder of its own"

    def _view(self, hide: Sequence[Path]) -> Iterator[str]:
        """Yield bwrap's options: it shows the system, Python and the box, and nothing of `hide`."""
        yield from ("--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts")
        yield from ("--die-with-parent", "--as-pid-1", "--proc", "/proc", "--dev", "/dev")
        for place in ("/tmp", "/var/tmp", "/dev/shm"):
            yield from ("--perms", "1777", "--size", f"{TMP << 20}", "--tmpfs", place)
        system = {Path(place) for place in SYSTEM if os.path.lexists(place)}
        kept = _python()
        hidden = {path for path in hide if path.exists() and _under(path, *system, *kept)} - kept
        for path in [
            *sorted(system | kept | hidden),
            self.folder,
        ]:  # folders before what is in them
            yield from ("--perms", "0755", "--dir", str(path.parent))  # bwrap would shut it
            if path in hidden and path.is_dir():
                yield from ("--perms", "0755", "--size", f"{1 << 20}", "--tmpfs", str(path))
            elif path in hidden:
                yield from ("--ro-bind", "/dev/null", str(path))
            elif path.is_symlink():
                yield from ("--symlink", os.readlink(path), str(path))
            else:
                yield from ("--bind" if path == self.folder else "--ro-bind", str(path), str(path))
        # Python's own names for its folders may be links.
        for path in {Path(sys.prefix), Path(sys.base_prefix)}:
            if path != path.resolve() and not _under(path, *system, *kept):
                yield from ("--perms", "0755", "--dir", str(path.parent))
                yield from ("--symlink", str(path.resolve()), str(path))
        yield from ("--remount-ro", "/dev", "--remount-ro", "/")

    def _probe(self, *command: str) -> Ran:
        return self.run(command, cwd=self.folder, limits=Limits(seconds=20))


def _python() -> set[Path]:
    """Return the folders that this Python needs."""
    return {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}


def _folder(root: bool) -> tuple[int, Path]:
    """Return a user and a new folder for a box.

    As root, the folder is named after the user, so that no other box has that user.  Raises
    ContainError if no user is free.
    """
    place = Path(tempfile.gettempdir()).resolve()
    if not root:
        return os.geteuid(), Path(tempfile.mkdtemp(prefix="box-", dir=place))
    busy = {_owner(process) for process in Path("/proc").glob("[0-9]*")}
    for user in random.sample(USERS, len(USERS)):  # there may be boxes in another place
        with suppress(FileExistsError):
            folder = place / f"box-{user}"
            if user in busy:
                continue
            folder.mkdir()
            folder.chmod(0o711)
            return user, folder
    raise ContainError(f"{place}: remove the folders box-* of gradings that have ended")


def _group(name: str) -> tuple[Path | None, str]:
    """Return a new control group and the name of the file that limits its memory.

    Returns None and "" if there can be none.
    """
    for place, limit, swap in GROUPS:
        group = Path(place, name)
        with suppress(OSError):
            group.mkdir(exist_ok=True)
            if (group / limit).exists():
                if (group / swap).exists():
                    (group / swap).write_text("0")
                return group, limit
            group.rmdir()
    return None, ""


def _write(into: IO[bytes], request: bytes) -> None:
    with suppress(OSError):  # it may end, or be ended, before it has read all
        into.write(request)


def _under(path: Path | str, *places: Path | str) -> bool:
    return any(Path(path).is_relative_to(place) for place in places or SYSTEM)


def _owner(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_uid


def _read(path: Path, limit: int, *, folder: int | None = None, alone: bool = False) -> bytes:
    """Return the contents of a file, whose path may be relative to an open folder.

    Raises OSError for a symbolic link.  Raises ValueError for what is not a file, for more than
    `limit` bytes and, if `alone`, for a file that has another name elsewhere.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(path, "rb", opener=lambda each, _: os.open(each, flags, dir_fd=folder)) as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{_printable(path.name)}: not a file")
        if alone and status.st_nlink > 1:
            raise ValueError(f"{_printable(path.name)}: it has another name elsewhere")
        if status.st_size > limit:
            raise ValueError(f"{_printable(path.name)}: more than {limit} bytes")
        return opened.read(limit)


def _printable(name: Path | str) -> str:
    return os.fsencode(name).decode(errors="replace")


def _raise(error: OSError) -> None:
    raise error
