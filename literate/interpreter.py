"""A Python for latexmk -pvc that has imported the study's libraries, and forks for each run.

`python interpreter.py serve SOCKET` imports the libraries that pycode/ and literate/ import, never
these themselves, and waits.  It ends when its standard input does.  `python interpreter.py run
SOCKET SCRIPT ...` runs a script in a fork of it, as `python SCRIPT ...` would, or does that where
there is none.  This file is no part of the package: it imports nothing of the paper.
"""

import sys

sys.path.pop(0)  # the folder of this file, whose modules would hide others

import importlib
import json
import os
import select
import signal
import socket
import stat
import struct
import threading
import types
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LENGTH = struct.Struct("!I")
STARTED = dict(os.environ)  # libraries add to it when they are imported


def libraries() -> list[str]:
    """Return the modules of the study's packages that its code or the machine's imports."""
    import ast
    import tomllib
    from importlib.metadata import packages_distributions

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {n for names in ("computes", "draws") for n in project["tool"]["literate"][names]}
    found = {n for n, by in packages_distributions().items() if wanted & set(by)}
    modules = []
    for file in sorted([*ROOT.glob("pycode/*.py"), *ROOT.glob("literate/*.py")]):
        with suppress(SyntaxError, UnicodeDecodeError):
            for node in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(node, ast.Import):
                    modules += [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.append(node.module)
    return [name for name in modules if name.partition(".")[0] in found]


def serve(path: str) -> None:
    """Import the libraries, and run a script in a fork for each connection to the socket `path`."""
    import gc

    for name in libraries():
        with suppress(ImportError):
            importlib.import_module(name)
    if threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:
        return  # a fork would lack the other threads, and what they hold
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        while sys.stdin.fileno() not in (ready := select.select([server, 0], [], [])[0]):
            if ready:
                run_fork(server)


def run_fork(server: socket.socket) -> None:
    """Take one connection and wait until its script has ended, or whoever wants it."""
    client, _ = server.accept()
    with client:
        request, streams = receive(client)
        known = request and not _differs(request["environment"])
        pid = os.fork() if known else None
        if pid == 0:
            server.close()
            client.close()
            run_script(streams, **request)
        for stream in streams:
            os.close(stream)
        if pid is None:
            return
        process = os.pidfd_open(pid)
        ready = select.select([process, client, 0], [], [])[0]
        if process not in ready:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(process)
        with suppress(OSError):
            client.sendall(LENGTH.pack(status))


def _differs(environment: dict[str, str]) -> bool:
    """Return whether the libraries might have been imported otherwise in this environment."""
    given = {"OMP_NUM_THREADS": "1"} | environment  # as the machine sets it
    names = (given.keys() | STARTED.keys()) - {"PATH", "PYCODE_RUN", "PWD", "OLDPWD", "_"}
    return any(given.get(name) != STARTED.get(name) for name in names)


def receive(client: socket.socket) -> tuple[dict, list[int]]:
    """Return a request and the client's standard streams."""
    head, streams, _, _ = socket.recv_fds(client, LENGTH.size, 3)
    if len(head) < LENGTH.size or len(streams) < 3:
        return {}, streams
    (left,), text = LENGTH.unpack(head), b""
    while len(text) < left and (part := client.recv(left - len(text))):
        text += part
    return (json.loads(text) if len(text) == left else {}), streams


def run_script(streams: list[int], argv: list[str], cwd: str, environment: dict[str, str]) -> None:
    """Become the process that a new Python would be, run the script, and end."""
    os.setsid()  # with the processes that it starts, it can be killed
    parent = os.getppid()
    _end_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(cwd)
    for name in STARTED.keys() - environment:
        os.environ.pop(name, None)
    os.environ.update(environment)
    script = os.path.abspath(argv[0])
    sys.argv[:] = argv
    sys.orig_argv[:] = [sys.executable, *argv]
    sys.path.insert(0, os.path.dirname(script))
    main = types.ModuleType("__main__")
    main.__loader__ = SourceFileLoader("__main__", script)
    main.__dict__.update(__file__=script, __builtins__=sys.modules["builtins"], __annotations__={})
    sys.modules["__main__"] = main
    code = 0
    try:
        exec(compile(Path(script).read_bytes(), script, "exec"), main.__dict__)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException as error:
        if trace := error.__traceback__:
            error.with_traceback(trace.tb_next)  # without this function
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    with suppress(BaseException):
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code & 255)


def _end_with_parent() -> None:
    """Let this process be killed when the one that has forked it ends."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def run(path: str, argv: list[str]) -> int:
    """Run a script in a fork of the server, or by this Python if there is none."""
    request = {"argv": argv, "cwd": os.getcwd(), "environment": dict(os.environ)}
    text = json.dumps(request).encode()
    answer = b""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        socket.send_fds(client, [LENGTH.pack(len(text))], [0, 1, 2])
        client.sendall(text)
        answer = client.recv(LENGTH.size)
    if len(answer) == LENGTH.size:
        (status,) = LENGTH.unpack(answer)
        return os.waitstatus_to_exitcode(status) & 255
    for output in (1, 2):  # what was printed until now will be printed again
        if stat.S_ISREG(os.fstat(output).st_mode):
            os.ftruncate(output, 0)
            os.lseek(output, 0, os.SEEK_SET)
    os.execv(sys.executable, [sys.executable, *argv])


if __name__ == "__main__":
    action, path, *rest = sys.argv[1:]
    sys.exit(serve(path) if action == "serve" else run(path, rest))
