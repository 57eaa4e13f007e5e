"""The containment of a submission: it can neither read the solutions nor change its grade.

As root on Linux, its commands run as a user of their own, in a file system of their own that shows
only the system's programs, this Python and their box.  They have no network and see no other
processes.  Measures that the machine does not support are left out, and `holes` says which.
"""

import itertools
import os
import random
import select
import shlex
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
# Ways to contain, the best first.
SPACES = (("net", "pid", "mount"), ("net", "pid"), ("net",), ("pid",))
HOLES = {
    "net": "no network namespace is to be had: it can reach the network",
    "pid": "no process namespace is to be had: it sees the other processes",
    "mount": "no mount namespace is to be had: it sees the whole file system",
}
PROCESSES = 256
FILE, DISK, TMP = 100, 2000, 256  # MB of one file, of all files and of those in memory
ENTRIES, DEPTH = 5000, 40  # most files and folders of a submission, and their depth
TICK = 0.02  # s

# The beginning of a script that builds a file system in $root and moves into it.
SCRIPT = r"""
set -e
umask 022
{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null || :
begin() {
    root=$1
    mount -t tmpfs -o "mode=755,size=$2m,nosuid,nodev" box "$root"
}
show() {
    if [ -L "$1" ]; then ln -s "$(readlink "$1")" "$root$1"; return; fi
    mkdir -p "$root$1"
    mount --rbind "$1" "$root$1"
    mount -o "remount,bind,nosuid,nodev,$2" "$root$1"
}
cover() {
    if [ -d "$1" ]; then mount -t tmpfs -o mode=755,size=1m hidden "$root$1"
    else mount --bind /dev/null "$root$1"; fi
}
name() {
    mkdir -p "$root${1%/*}"
    [ -e "$root$1" ] || [ -L "$root$1" ] || ln -s "$2" "$root$1"
}
enter() {
    for name in tmp var/tmp dev/shm; do
        mkdir -p "$root/$name"
        chmod 1777 "$root/$name"
    done
    for name in null zero full random urandom; do
        : >"$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    ln -s /proc/self/fd "$root/dev/fd"
    for name in stdin:0 stdout:1 stderr:2; do
        ln -s "/proc/self/fd/${name#*:}" "$root/dev/${name%:*}"
    done
    mkdir "$root/proc" "$root/.old"
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    cd "$root"
    "$1" . .old
    umount -l /.old
    rmdir /.old
}
"""


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
        self._hide = [path.resolve() for path in hide]
        self._root = os.geteuid() == 0
        self._user, self.folder = _folder(self._root)
        self._running: list[Process] = []
        self._spaces: tuple[str, ...] = ()
        self._mapped = False  # whether in a user namespace
        self._group, self._limit = _group(self.folder.name)
        self._tools = bool(shutil.which("prlimit") and shutil.which("setpriv"))
        try:
            (self.folder / ".root").mkdir()
            for name in ("home", "tmp"):
                (self.folder / name).mkdir()
                self._give(self.folder / name, 0o755)
            if self._root and not self._tools:
                raise ContainError("no submission runs as root: install util-linux, for setpriv")
            self._choose()
            self.holes = tuple(self._found())
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
        for place, folders, files, here in os.fwalk(source, onerror=_raise):
            below = Path(place).relative_to(source)
            folders[:] = [each for each in folders if each not in skip and not _is_link(each, here)]
            files = [each for each in files if each not in skip and not _is_link(each, here)]
            count += len(folders) + len(files)
            if count > ENTRIES or len(below.parts) > DEPTH:
                raise ContainError(
                    f"{_printable(source)}: more than {ENTRIES} files, or {DEPTH} folders deep"
                )
            for each in folders:
                (target / below / each).mkdir()
                self._give(target / below / each, 0o755)
            for each in files:
                try:
                    data = _read(each, here, megabytes * 1_000_000, alone=True)
                except (OSError, ValueError) as error:
                    raise ContainError(f"{_printable(Path(place))}: {error}") from error
                size += len(data)
                if size > megabytes * 1_000_000:
                    raise ContainError(f"{_printable(source)}: more than {megabytes} MB")
                (target / below / each).write_bytes(data)
                self._give(target / below / each, 0o644)
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
            return _read(below.name, here, limit)
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
            self._command(command, cwd, limits),
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
            # One of these is the first in its namespace: when it ends, all others end.
            with suppress(OSError, subprocess.TimeoutExpired):
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                for child in children.split():
                    os.kill(int(child), signal.SIGKILL)
                process.wait(5)
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if self._root and "pid" not in self._spaces:
            # One signal to all of its user's processes, which none can escape by forking.
            sweep = [*self._setpriv(True), "sh", "-c", "kill -s KILL -- -1"]
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

    def _setpriv(self, switch: bool, *options: str) -> list[str]:
        """Return the beginning of a command that may switch to the box's user."""
        user = [f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups"]
        return [_tool("setpriv"), *(user if switch and self._root else []), *options]

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

    def _command(self, command: Sequence[str], cwd: Path, limits: Limits) -> list[str]:
        """Return the command line that runs `command` contained."""
        alone = self._root or self._mapped  # the limit counts no other processes
        line = [*command]
        if self._tools:
            most = [f"--as={limits.megabytes << 20}", f"--fsize={FILE << 20}", "--core=0"]
            most += [f"--nproc={PROCESSES}"] if alone else []
            drop = ["--inh-caps=-all", "--bounding-set=-all"] if alone else []
            setpriv = self._setpriv(not self._mapped, "--no-new-privs", *drop)
            line = [*setpriv, _tool("prlimit"), *most, *line]
        mounts = self._mounts() if "mount" in self._spaces else ()
        # The shell stays, as the first process, and waits for the others.
        script = [SCRIPT, *mounts, shlex.join(["cd", str(cwd)]), '"$@"', "exit $?"]
        line = ["sh", "-c", "\n".join(script), "sh", *line]
        if self._spaces:
            flags = [f"--{space}" for space in ("ipc", "uts", *self._spaces)]
            flags += ["--fork", "--kill-child"] if "pid" in self._spaces else []
            flags += ["--user", "--map-root-user"] if self._mapped else []
            line = [_tool("unshare"), *flags, *line]
        if self._tools:
            line = [*self._setpriv(self._mapped, "--pdeathsig=KILL"), *line]
        if self._group:
            (self._group / self._limit).write_text(str(limits.megabytes << 20))
            join = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self._group / "cgroup.procs")]
            line = [*join, *line]
        return line

    def _mounts(self) -> Iterator[str]:
        """Yield the lines of the script that name what its file system shows."""
        system = {Path(place) for place in SYSTEM if os.path.lexists(place)}
        mine = [Path(place) for place in (sys.prefix, sys.base_prefix)]
        kept = {path.resolve() for path in mine}
        hidden = {path for path in self._hide if path.exists() and _under(path, *system, *kept)}
        yield shlex.join(["begin", str(self.folder / ".root"), str(TMP)])
        for path in sorted(system | kept | hidden):  # folders before what is in them
            covered = path in hidden - kept
            yield shlex.join(["cover", str(path)] if covered else ["show", str(path), "ro"])
        yield shlex.join(["show", str(self.folder), "rw"])
        for path in mine:  # Python uses these names, which may be links
            yield shlex.join(["name", str(path), str(path.resolve())])
        places = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        yield shlex.join(["enter", shutil.which("pivot_root", path=places) or "pivot_root"])

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

    def _choose(self) -> None:
        """Choose the best way to contain a command that works here, and try Python in it.

        Raises ContainError if Python does not run.
        """
        ways = itertools.product(SPACES, (False, True)) if shutil.which("unshare") else ()
        for self._spaces, self._mapped in [*ways, ((), False)]:
            if (self._root or self._mapped) and self._probe("true").code == 0:
                break
        if (ran := self._probe(sys.executable, "-c", "")).code:
            raise ContainError(
                f"{sys.executable}: user {self._user} cannot run it: {ran.output.strip()}\n"
                "Let others into its folders (chmod o+x), or take a Python that all can run"
            )

    def _probe(self, *command: str) -> Ran:
        return self.run(command, cwd=self.folder, limits=Limits(seconds=20))

    def _found(self) -> Iterator[str]:
        """Yield a sentence for each thing that is not contained."""
        for space, hole in HOLES.items():
            if space not in self._spaces:
                yield hole
        if not (self._root or self._mapped):
            yield "this is not root: it runs as you, with your files and your processes"
            yield "this is not root: what it starts may outlive it, and is not counted"
        if not self._tools:
            yield "there is no prlimit: it can use all memory"
        elif not self._group:
            yield "no control group is to be had: each of its processes can use the memory of all"
        mine = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), self.folder}
        for folder in self._hide:
            files = [folder]
            with suppress(OSError):
                files = list(_apart(folder, mine))
            test = 'for file; do [ ! -r "$file" ] || exit 1; done'
            if self._probe("sh", "-c", test, "sh", *map(str, files[:ENTRIES])).code:
                yield f"it can read {folder}" + ": chmod 700 it" * self._root


def _apart(folder: Path, shown: set[Path]) -> Iterator[Path]:
    """Yield what is in a folder, except the paths in `shown`.

    Of a folder that leads to one of these, yield what is in it in the same way.
    """
    for each in folder.iterdir():
        inside = [path for path in shown if path.is_relative_to(each.resolve())]
        if not inside:
            yield each
        elif each.resolve() not in inside:
            yield from _apart(each, shown)


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


def _tool(name: str) -> str:
    return shutil.which(name) or name


def _owner(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_uid


def _is_link(name: str, folder: int) -> bool:
    return stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode)


def _read(name: str, folder: int, limit: int, *, alone: bool = False) -> bytes:
    """Return the contents of the file `name` in an open folder.

    Raises OSError for a symbolic link.  Raises ValueError for what is not a file, for more than
    `limit` bytes and, if `alone`, for a file that has another name elsewhere.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(name, "rb", opener=lambda each, _: os.open(each, flags, dir_fd=folder)) as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{_printable(name)}: not a file")
        if alone and status.st_nlink > 1:
            raise ValueError(f"{_printable(name)}: it has another name elsewhere")
        if status.st_size > limit:
            raise ValueError(f"{_printable(name)}: more than {limit} bytes")
        return opened.read(limit)


def _printable(name: Path | str) -> str:
    return os.fsencode(name).decode(errors="replace")


def _raise(error: OSError) -> None:
    raise error
