"""The inputs of a run: what it reads, lists and looks for, so that no value outlives its sources.

Each input is identified by its kind, its name and a digest of what was there: the contents of a
`file`, the names in a `folder`, whether a path `exists`, an environment variable (`env`), the
`packages` that are installed in a folder, and the size and time of a program (`stamp`).  latexmkrc
computes the same digests.
"""

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from literate import ROOT

INTERNAL = {".venv", ".git", ".cache", "results.tex", "results.json", "__pycache__"}
# What a build writes beside its sources is not part of a folder's listing.
MADE = re.compile(
    r"\.|pythontex-files-|__pycache__$|results\.(tex|json)$"
    r"|.*\.(aux|bbl|blg|claims|fdb_latexmk|fls|log|made|out|pytxcode|synctex.*|xdv)$"
)
# These modules say where, when and from what something is computed, not what.
MACHINE = {"literate"} | {
    f"literate.{name}"
    for name in ("cache", "chance", "inputs", "kept", "parallel", "progress", "results", "source")
}
SYSTEM = ("/proc/", "/dev/", "/sys/", "/etc/", "/usr/")
# Python's own modules through which a path or a variable is looked up.
THROUGH = {"genericpath", "posixpath", "pathlib", "glob", "shutil", "os", "collections"}
# These report where fonts are, and to joblib and older numpy what the processor is.
MACHINE_TOOLS = {"fc-list", "kpsewhich", "lscpu"}
TEMPORARY = re.compile(r"joblib_memmapping_folder|/loky-|/fontlist-")


class Inputs(dict[tuple[str, str], str]):
    """The digest of each input, by kind and name, as it was when the input was first met."""

    def __init__(self) -> None:
        super().__init__()
        self.written: set[str] = set()  # files, which are not inputs from then on
        self.processes = False  # whether others, which are not followed, were started


def follow() -> None:
    """Follow the inputs of this process from here to its end.

    Adds an audit hook to Python, and wraps os.stat, os.lstat and the lookup of environment
    variables, for which Python has no events.  A second call does nothing.
    """
    state = _process()
    if hasattr(state, "open"):
        return
    state.open, state.quiet = [Inputs()], 0
    state.before = _own_modules()
    sys.addaudithook(_audit)
    for name in ("stat", "lstat"):
        plain = getattr(os, name)
        setattr(os, name, _noting_existence(plain))
        for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if plain in able:
                able.add(getattr(os, name))
    environment = type(os.environ)
    environment.__getitem__ = _noting_variables(environment.__getitem__)


def of_run() -> Inputs:
    """Return the inputs of this whole process."""
    follow()
    return _process().open[0]


def imported_before() -> list[str]:
    """Return the paper's own modules that were imported before anything could be followed."""
    return _process().before


@contextmanager
def recorded() -> Iterator[Inputs]:
    """Yield the inputs of what runs inside, which are inputs of everything around it, too."""
    follow()
    open_records, found = _process().open, Inputs()
    open_records.append(found)
    try:
        yield found
    finally:
        open_records.pop()


@contextmanager
def unfollowed() -> Iterator[None]:
    """Yield without noting what runs inside: the machine's own files and processes."""
    follow()
    state = _process()
    state.quiet += 1
    try:
        yield
    finally:
        state.quiet -= 1


def note(kind: str, name: str, digest: str | None = None) -> None:
    """Note an input, by default with its present digest, unless it was written before."""
    state = _process()
    with unfollowed():
        for record in state.open:
            if (kind, name) not in record and not _is_written(name, record.written):
                digest = current(kind, name) if digest is None else digest
                record[kind, name] = digest


def _is_written(name: str, written: set[str]) -> bool:
    """Return whether this run wrote the file, or a folder that it is in."""
    return bool(written) and not written.isdisjoint([name, *map(str, Path(name).parents)])


def current(kind: str, name: str) -> str:
    """Return the present digest of an input; it is empty if there is none."""
    if kind == "env":
        value = os.environ._data.get(os.fsencode(name))  # pyright: ignore
        return "" if value is None else _md5(value)
    path = ROOT / name
    with unfollowed(), suppress(OSError, ValueError):
        if kind == "exists":
            return "folder" if path.is_dir() else "file" if path.exists() else ""
        if kind == "folder":
            found = set(os.listdir(path))
            papers = {f"{name[:-4]}.pdf" for name in found if name.endswith(".tex")}
            return _digest_of_names(name for name in found - papers if not MADE.match(name))
        if kind == "packages":
            return _digest_of_names(name for name in os.listdir(path) if name.endswith("-info"))
        if kind == "stamp":
            return f"{path.stat().st_size}_{int(path.stat().st_mtime)}"
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    return ""


def _digest_of_names(names: Iterable[str]) -> str:
    return _md5("\n".join(sorted(names)).encode("utf-8", "surrogateescape"))


def relative(path: str | Path) -> str:
    """Return the path relative to the paper's folder, in which latexmk runs."""
    return os.path.relpath(os.path.abspath(path), ROOT)


def is_library(path: str) -> bool:
    """Return whether a file belongs to Python or to an installed package."""
    memo = _process().__dict__.setdefault("library", {})
    if path not in memo:
        with unfollowed():
            places = {os.path.abspath(path), os.path.realpath(path)}
            roots = {sys.prefix, sys.base_prefix, sys.exec_prefix}
            roots |= {os.path.realpath(root) for root in roots}
            # What the paper's folder names is the paper's, wherever a link may lead.
            inside = os.path.relpath(os.path.abspath(path), ROOT).split(os.sep)
            if inside[0] != "..":
                memo[path] = not {".venv", "site-packages", "dist-packages"}.isdisjoint(inside)
            else:
                parts = {part for place in places for part in place.split(os.sep)}
                memo[path] = bool({"site-packages", "dist-packages"} & parts) or any(
                    place.startswith(f"{root}{os.sep}") for place in places for root in roots
                )
    return memo[path]


def _own_modules() -> list[str]:
    names = []
    for name, module in list(sys.modules.items()):
        file, spec = getattr(module, "__file__", None), getattr(module, "__spec__", None)
        importing = getattr(spec, "_initializing", False)  # one that imports this package
        own = isinstance(file, str) and not is_internal(os.path.abspath(file))
        if own and spec is not None and not importing and not name.endswith("customize"):
            names.append(name)
    return sorted(name for name in names if name not in MACHINE)


def _process() -> Any:
    """Return this process's state, also for functions that arrived without their module."""
    return sys.modules.setdefault("_literate_process", ModuleType("_literate_process"))


def _md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Note the file, folder or process that an event of Python names (see sys.addaudithook)."""
    if event not in _EVENTS or _process().quiet:
        return
    how, position = _EVENTS[event]
    if how == "processes" and arguments and arguments[0] in MACHINE_TOOLS:
        return
    path = arguments[position] if how != "processes" else ""
    if event == "sqlite3.connect":
        path = _database(path)
    # joblib starts its processes without an event, but makes a folder for them.
    if how == "processes" or (event == "os.mkdir" and "joblib_memmapping_folder" in str(path)):
        _process().open[-1].processes = True
        return
    try:
        path = os.path.abspath(os.fsdecode("." if path is None else path))
    except (TypeError, ValueError):  # an open file by its number
        return
    nameless = getattr(os, "O_TMPFILE", 0)  # such a file has only a folder
    if is_internal(path) or (event == "open" and nameless and arguments[2] & nameless == nameless):
        return
    # These events come before Python tries, which fails if there is something already.
    new = event == "os.mkdir" or (event == "open" and "x" in str(arguments[1]))
    if new and os.path.lexists(path):
        return
    if how == "written" or (event == "open" and _writes(*arguments[1:3])):
        _note_written(path)
    elif how == "file":
        note("file", relative(path))
    elif not _by_machinery(sys._getframe(1)):
        note("folder", relative(path))


# What an event means, and which of its arguments names the file.
_EVENTS = {
    "open": ("file", 0),
    "sqlite3.connect": ("file", 0),
    "os.listdir": ("folder", 0),
    "os.scandir": ("folder", 0),
    "os.mkdir": ("written", 0),
    "os.rename": ("written", 1),
    "os.link": ("written", 1),
    "os.symlink": ("written", 1),
    **dict.fromkeys(("subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec"), ("processes", 0)),
}


def _writes(mode: Any, flags: Any) -> bool:
    return bool(set(mode or "") & set("wxa+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR))


def _database(name: Any) -> Any:
    """Return the file of a database, which may be named by a URI."""
    if isinstance(name, (str, bytes)) and os.fsdecode(name).startswith("file:"):
        return unquote(urlsplit(os.fsdecode(name)).path)
    return name


def _note_written(path: str) -> None:
    name = relative(path)
    for record in _process().open:
        record.written.add(name)
        for kind in ("file", "folder", "exists"):  # what is read and then written is not an input
            record.pop((kind, name), None)


def _noting_existence(stat: Any) -> Any:
    """Return os.stat or os.lstat that notes which paths the paper's code looks for."""

    def wrapper(path: Any, *arguments: Any, **options: Any) -> Any:
        if not _process().quiet and not isinstance(path, int) and not options.get("dir_fd"):
            frame = sys._getframe(1)
            with suppress(TypeError, ValueError):
                place = os.path.abspath(os.fsdecode(path))
                above = f"{ROOT}{os.sep}".startswith(f"{place}{os.sep}") or place == os.sep
                if not above and not is_internal(place) and _by_paper(frame):
                    note("exists", relative(place))
        return stat(path, *arguments, **options)

    return wrapper


def _noting_variables(getitem: Any) -> Any:
    """Return a lookup in os.environ that notes which variables the paper's code reads."""

    def wrapper(self: Any, key: Any) -> Any:
        if not _process().quiet and isinstance(key, str) and _by_paper(sys._getframe(1)):
            note("env", key)
        return getitem(self, key)

    return wrapper


def _by_paper(frame: FrameType | None) -> bool:
    """Return whether the paper's code asks, directly or through the standard library's paths."""
    name = ""
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name.partition(".")[0] not in THROUGH:
            break
        frame = frame.f_back
    if frame is None or name in MACHINE:
        return False
    file = frame.f_code.co_filename
    return not (file.startswith("<frozen") or is_library(file))


def _by_machinery(frame: FrameType | None) -> bool:
    """Return whether Python is looking for modules, or the machine for its own files."""
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame is None or "importlib" in frame.f_code.co_filename


def is_internal(path: str) -> bool:
    """Return whether a file belongs to Python, the build or the system, not to the study."""
    if path.startswith(f"{ROOT}{os.sep}") or path == str(ROOT):
        parts = os.path.relpath(path, ROOT).split(os.sep)
        return parts[0] in INTERNAL or any(
            part.startswith(("pythontex-files-", "__pycache__", ".results.")) for part in parts
        )
    if path.startswith(SYSTEM) or TEMPORARY.search(path) or path == os.sep:
        return True
    return is_library(path)
