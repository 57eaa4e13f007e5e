"""A submission's commands, run where they can neither read the solutions nor change the grade.

As root on Linux they run under a user of their own, in a file system of their own that shows the
system's programs, this Python and their box, without network and without other processes to see.
What of this cannot be had is left out, and `holes` says so.
"""

import itertools
import os
import selectors
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# What is shown of the system, and where its programs are.
SYSTEM = (
    "bin sbin lib lib32 lib64 libx32 usr etc opt nix Library var/lib/texmf var/cache/fontconfig"
)
DEVICES = "null zero full random urandom"
PATH = "/usr/local/bin:/usr/bin:/bin"
# Users of no account, one a box: between those that Debian and systemd give to somebody.
USERS = range(60578, 61184)
SPACES = {
    "net": "no network namespace is to be had: it can reach the network",
    "pid": "no process namespace is to be had: it sees the other processes",
    "mount": "no mount namespace is to be had: it sees the whole file system",
}
# The files that limit the memory of a control group, in both versions.
GROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
LIMITS = ("memory.limit_in_bytes", "memory.max")
WAYS = (("net", "pid", "mount"), ("net", "pid"), ("net",), ("pid",))
PROCESSES = 256
DISK = 2000  # MB that a command may fill
FILE = 100  # MB that one file may have
ENTRIES, DEPTH = 5000, 40  # files and folders of a submission, and how deep they lie
TICK = 0.02  # s


class ContainError(Exception):
    """Why a submission cannot be run, or not be taken."""


@dataclass(frozen=True)
class Limits:
    """What a command may use."""

    seconds: int = 120  # of wall time
    megabytes: int = 2048  # of address space a process, and of memory all of them
    output: int = 1_000_000  # bytes that are kept of what it prints


@dataclass(frozen=True)
class Ran:
    """What became of a command: its exit status, what it printed, and what ended it if not it."""

    code: int
    output: str
    ended: str


class Box:
    """A fresh folder in which the commands of one submission run, and cannot see `hide`.

    Its folder is the grader's; what `copy` puts into it is the submission's.
    """

    folder: Path
    holes: tuple[str, ...]

    def __init__(self, hide: Sequence[Path]):
        self.hide = [path.resolve() for path in hide]
        self.root = os.geteuid() == 0
        self.user, self.folder = _folder() if self.root else (os.geteuid(), _temporary())
        self._running: list[subprocess.Popen[bytes]] = []
        self._group: Path | None = None
        self.spaces: tuple[str, ...] = ()
        self.mapped = False  # in a user namespace
        try:
            for name in ("home", "tmp"):
                self._own(self.folder / name)
            (self.folder / ".root").mkdir()
            if self.root and not shutil.which("setpriv"):
                raise ContainError(
                    "a submission does not run as root: install util-linux (setpriv), or run this "
                    "as somebody else"
                )
            self._group = _group(self.folder.name)
            self._way()
            self._check()
            self.holes = tuple(self._holes())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def copy(
        self, source: Path, name: str, *, skip: Iterable[str] = (), megabytes: int = 20
    ) -> Path:
        """The box's folder `name`, the submission's own, with the files of `source`.

        Symbolic links are left out, and what is called as in `skip`.  Raises ContainError for what
        else is neither file nor folder, files with another name elsewhere, and too many or large.
        """
        if source.is_symlink() or not source.is_dir():
            raise ContainError(f"{source}: not a folder")
        target = self.folder / name
        self._own(target)
        count = size = 0
        for place, folders, files, here in os.fwalk(source, onerror=_raise):
            below = Path(place).relative_to(source)
            folders[:] = [each for each in folders if each not in skip]
            files = [each for each in files if each not in skip]
            count += len(folders) + len(files)
            if count > ENTRIES:
                raise ContainError(f"{source}: more than {ENTRIES} files and folders")
            if len(below.parts) > DEPTH:
                raise ContainError(f"{place}: more than {DEPTH} folders deep")
            for each in folders:
                if not stat.S_ISLNK(os.lstat(each, dir_fd=here).st_mode):
                    self._own(target / below / each)
            for each in files:
                if stat.S_ISLNK(os.lstat(each, dir_fd=here).st_mode):
                    continue
                try:
                    data = _read(each, here, megabytes * 1_000_000 - size, links=1)
                except (OSError, ValueError) as error:
                    raise ContainError(f"{Path(place) / each}: {error}") from error
                size += len(data)
                (target / below / each).write_bytes(data)
                self._give(target / below / each, 0o644)
        return target

    def read(self, path: Path | str, limit: int = 10_000_000) -> bytes:
        """What a file of the box holds, in which the submission may have put anything.

        Raises OSError where it is not there or behind a symbolic link, ValueError where it is no
        file or has more than `limit` bytes.
        """
        below = (self.folder / path).relative_to(self.folder)
        if ".." in below.parts:
            raise ValueError(f"{path}: not in the box")
        here = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in below.parts[:-1]:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                here, before = os.open(part, flags, dir_fd=here), here
                os.close(before)
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
        """What became of a command, after which nothing of what it has started runs."""
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
    ) -> subprocess.Popen[bytes]:
        """A process with pipes for stdin and stdout, which `ask` talks to and `kill` ends.

        Its stderr goes to the file `errors`, which can have 100 MB, or None for that of stdout.
        """
        return self._start(self._command(command, cwd, limits), env, stdin, errors)

    def ask(
        self,
        process: subprocess.Popen[bytes],
        request: bytes,
        limits: Limits = Limits(),
    ) -> tuple[bytes, str]:
        """The line that a process answers to the line `request`, and why there is none, or "".

        After the latter it has been killed.
        """
        output, ended = self._listen(process, limits, request.rstrip(b"\n") + b"\n")
        line, end, _ = output.partition(b"\n")
        if not end:
            self.kill(process)
            ended = ended or f"it ended with status {process.returncode}"
        return line, ended if not end else ""

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Nothing; ends a process and all that it has started, and has seen them end."""
        if process.poll() is None:
            # The first of a process namespace: where it has gone, so have the others.
            with suppress(OSError):
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                for child in children.split():
                    os.kill(int(child), signal.SIGKILL)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(5)
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if self.root and "pid" not in self.spaces:
            for _ in range(100):
                sweep = [*self._switch(), "sh", "-c", "kill -s KILL -- -1"]
                if subprocess.run(sweep, stderr=subprocess.DEVNULL, check=False).returncode:
                    break
                time.sleep(TICK)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        if process in self._running:
            self._running.remove(process)

    def close(self) -> None:
        """Nothing; ends what still runs, and removes the folder."""
        for process in [*self._running]:
            self.kill(process)
        # Neither stops at folders that are too deep for Python, or not readable.
        remove = 'rm -rf -- "$1" 2>/dev/null || { chmod -R u+rwx -- "$1"; rm -rf -- "$1"; }'
        subprocess.run(["sh", "-c", remove, "sh", str(self.folder)], check=False)
        if self._group:
            with suppress(OSError):
                self._group.rmdir()

    def _own(self, folder: Path) -> None:
        folder.mkdir()
        self._give(folder, 0o755)

    def _give(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        if self.root:
            os.chown(path, self.user, self.user)

    def _start(
        self,
        command: list[str],
        env: Mapping[str, str] = {},
        stdin: int = subprocess.DEVNULL,
        errors: int | IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            env={**self._environment(), **env},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors is None else errors,
            bufsize=0,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        mine = [f"{sys.prefix}/bin", *os.environ.get("PATH", "").split(":"), *PATH.split(":")]
        system = tuple(f"/{name}/" for name in SYSTEM.split())
        path = [mine[0], *(place for place in mine[1:] if f"{place}/".startswith(system))]
        return {
            "PATH": ":".join(dict.fromkeys(path)),
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
        """The command line that runs `command` contained."""
        inner = [*command]
        if limit := shutil.which("prlimit"):
            size, file = limits.megabytes << 20, FILE << 20
            some = [] if self._shared else [f"--nproc={PROCESSES}"]
            inner = [limit, f"--as={size}", f"--fsize={file}", "--core=0", *some, *inner]
        setpriv = shutil.which("setpriv")
        drop = ["--no-new-privs"]
        if self.root or self.mapped:
            drop += ["--inh-caps=-all", "--bounding-set=-all"]
        if self.root and not self.mapped:
            inner = [*self._switch(), *drop, *inner]
        elif setpriv:
            inner = [setpriv, *drop, *inner]
        lines = ["set -e", "umask 022", "echo 1000 2>/dev/null >/proc/self/oom_score_adj || :"]
        if "mount" in self.spaces:
            lines += self._mounts()
        # The shell stays, as the first process, and reaps the others.
        lines += [shlex.join(["cd", str(cwd)]), shlex.join(inner), "exit $?"]
        outer = ["sh", "-c", "\n".join(lines)]
        if self.spaces:
            flags = [f"--{space}" for space in (*self.spaces, "ipc", "uts")]
            flags += ["--fork", "--kill-child"] if "pid" in self.spaces else []
            flags += ["--user", "--map-root-user"] if self.mapped else []
            outer = [shutil.which("unshare") or "unshare", *flags, *outer]
        if self.root and self.mapped:
            outer = [*self._switch(), *outer]
        if setpriv:
            outer = [setpriv, "--pdeathsig=KILL", *outer]
        if self._group:
            for limit in LIMITS:
                if (self._group / limit).exists():
                    (self._group / limit).write_text(str(limits.megabytes << 20))
            join = 'echo $$ >"$0" && exec "$@"'
            outer = ["sh", "-c", join, str(self._group / "cgroup.procs"), *outer]
        return outer

    @property
    def _shared(self) -> bool:
        """Whether the processes of others count as its own."""
        return not self.root and not self.mapped

    def _switch(self) -> list[str]:
        user = [f"--reuid={self.user}", f"--regid={self.user}"]
        return [shutil.which("setpriv") or "setpriv", *user, "--clear-groups"]

    def _mounts(self) -> Iterator[str]:
        """The lines of a script that leave it nothing but what it may see."""
        root = str(self.folder / ".root")

        def line(*words: object) -> str:
            return shlex.join([str(word) for word in words])

        def show(path: Path, kind: str = "--rbind", access: str = "ro,") -> Iterator[str]:
            yield line("mkdir", "-p", f"{root}{path}")
            yield line("mount", kind, path, f"{root}{path}")
            yield line("mount", "-o", f"remount,bind,{access}nosuid,nodev", f"{root}{path}")

        yield line("mount", "-t", "tmpfs", "-o", "mode=755,size=256m,nosuid,nodev", "box", root)
        system = [Path("/", name) for name in SYSTEM.split()]
        for path in [path for path in system if path.is_symlink()]:
            yield line("ln", "-s", os.readlink(path), f"{root}{path}")
        shown = [path for path in system if path.is_dir() and not path.is_symlink()]
        mine = [Path(place) for place in (sys.prefix, sys.base_prefix)]
        kept = {path.resolve() for path in mine}
        hidden = {
            path for path in self.hide if any(path.is_relative_to(each) for each in (*shown, *kept))
        }
        for path in sorted({*shown, *kept, *hidden}):  # folders before what is in them
            if path in kept or path not in hidden:
                yield from show(path)
            elif path.is_dir():
                yield line(
                    "mount", "-t", "tmpfs", "-o", "mode=755,size=1m", "hidden", root + str(path)
                )
            elif path.exists():
                yield line("mount", "--bind", "/dev/null", root + str(path))
        yield from show(self.folder, "--bind", "")
        for path in mine:  # by the names under which it knows itself
            yield line("mkdir", "-p", f"{root}{path.parent}")
            yield f"[ -e {shlex.quote(root + str(path))} ] || " + line(
                "ln", "-s", path.resolve(), f"{root}{path}"
            )
        for name in ("tmp", "var/tmp", "dev/shm"):
            yield line("mkdir", "-p", f"{root}/{name}")
            yield line("chmod", "1777", f"{root}/{name}")
        for name in DEVICES.split():
            yield line("touch", f"{root}/dev/{name}")
            yield line("mount", "--bind", f"/dev/{name}", f"{root}/dev/{name}")
        for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            yield line("ln", "-s", f"/proc/self/fd{target}", f"{root}/dev/{name}")
        yield line("mkdir", f"{root}/proc", f"{root}/.old")
        yield line("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", f"{root}/proc")
        yield line("cd", root)
        pivot = shutil.which("pivot_root", path=f"{os.environ.get('PATH')}:/usr/sbin:/sbin")
        yield line(pivot or "pivot_root", ".", ".old")
        yield line("umount", "-l", "/.old")
        yield line("rmdir", "/.old")

    def _listen(
        self, process: subprocess.Popen[bytes], limits: Limits, request: bytes | None = None
    ) -> tuple[bytes, str]:
        """What a process prints, to its end or to that of the line that answers the request."""
        out, into = process.stdout, process.stdin
        assert out
        output, last, free = bytearray(), time.monotonic() + limits.seconds, self._free()
        os.set_blocking(out.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            if request and into:
                os.set_blocking(into.fileno(), False)
                selector.register(into, selectors.EVENT_WRITE)
            while True:
                gone = process.poll() is not None  # before its last words are read
                for key, _ in (ready := selector.select(0 if gone else TICK)):
                    if key.fileobj is out:
                        part = os.read(out.fileno(), 1 << 16)
                        output += part
                        if not part:
                            selector.unregister(out)
                            gone = gone or request is not None
                    elif into:
                        try:
                            request = (
                                request[os.write(into.fileno(), request) :] if request else b""
                            )
                        except BrokenPipeError:
                            request = b""
                        if not request:
                            selector.unregister(into)
                if request is not None and b"\n" in output[: limits.output]:
                    return bytes(output[: limits.output]), ""
                if len(output) > limits.output:
                    told = f"more than {limits.output} bytes of output"
                    return bytes(output[: limits.output]), told
                if gone and (request is not None or not ready):
                    return bytes(output), ""
                if time.monotonic() > last:
                    return bytes(output), f"no end after {limits.seconds} s"
                if free - self._free() > DISK * 1_000_000:
                    return bytes(output), f"more than {DISK} MB written"

    def _free(self) -> int:
        return shutil.disk_usage(self.folder).free

    def _way(self) -> None:
        """Nothing; takes the best of the ways to contain a command that works here."""
        if shutil.which("unshare"):
            for spaces, mapped in itertools.product(WAYS, (False, True)):
                self.spaces, self.mapped = spaces, mapped
                if (self.root or mapped) and self._probe("true").code == 0:
                    return
        self.spaces, self.mapped = (), False

    def _probe(self, *command: str) -> Ran:
        return self.run(command, cwd=self.folder, limits=Limits(seconds=20))

    def _check(self) -> None:
        """Nothing; raises ContainError where Python cannot run in the box."""
        if (ran := self._probe(sys.executable, "-c", "")).code:
            raise ContainError(
                f"user {self.user} cannot run {sys.executable}: {ran.output.strip()}\n"
                "Let others read its folders (chmod o+rx), or take a Python that they can run"
            )

    def _holes(self) -> Iterator[str]:
        for space, hole in SPACES.items():
            if space not in self.spaces:
                yield hole
        if not self.root and "mount" not in self.spaces:
            yield "this is not root: it runs as you, and can read and change your files"
        if not self.root and "pid" not in self.spaces:
            yield "this is not root: it can end your processes, and start some that outlive it"
        if self._shared:
            yield "the processes that it starts are not counted"
        if not shutil.which("prlimit"):
            yield "there is no prlimit: it can use all memory"
        elif not self._group:
            yield "no control group is to be had: memory is limited for each process, not for all"
        own = [Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), self.folder]
        for folder in self.hide:
            try:
                inside = [path for path in folder.iterdir() if path.resolve() not in own]
            except OSError:
                continue
            test = 'for file; do [ ! -r "$file" ] || exit 1; done'
            if self._probe("sh", "-c", test, "sh", *map(str, inside[:ENTRIES])).code:
                yield f"it can read {folder}: chmod 700 it"


def _folder() -> tuple[int, Path]:
    """A new folder, and the user who is it by its name, so that no other box has it."""
    for user in USERS:
        with suppress(FileExistsError):
            folder = _temporary(user)
            return user, folder
    raise ContainError(f"{tempfile.gettempdir()}: remove the box-* that no grading uses")


def _temporary(user: int | None = None) -> Path:
    place = Path(tempfile.gettempdir()).resolve()
    folder = place / f"box-{user}" if user else Path(tempfile.mkdtemp(prefix="box-", dir=place))
    folder.mkdir(exist_ok=not user)
    folder.chmod(0o711)
    return folder


def _group(name: str) -> Path | None:
    """A new control group that can limit memory, None if there is none to be had."""
    for place in GROUPS:
        group = place / name
        with suppress(OSError):
            group.mkdir(exist_ok=True)
            if any((group / limit).exists() for limit in LIMITS):
                return group
            group.rmdir()
    return None


def _read(name: str, folder: int, limit: int, links: int | None = None) -> bytes:
    """What the file `name` of an open folder holds, if it is one of at most `limit` bytes."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{name}: not a file")
        if links and status.st_nlink > links:
            raise ValueError(f"{name}: it has another name elsewhere")
        if status.st_size > limit:
            raise ValueError(f"{name}: more than {limit} bytes")
        with os.fdopen(os.dup(file), "rb") as whole:
            return whole.read(limit)
    finally:
        os.close(file)


def _raise(error: OSError) -> None:
    raise error
