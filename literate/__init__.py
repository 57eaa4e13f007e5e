"""The machine: runs a study while its paper compiles, and knows no study.

It remembers values, follows what they rest on, names results and checks what the paper says of
them; the ways out (arXiv, the web, a course) are here, too.  To import it calls `prepare`.
"""

import functools
import os
import re
import stat
import sys
from importlib.metadata import Distribution, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent  # the paper's folder


def prepare() -> None:
    """Prepare this process for a paper: all that an import of this package changes in it.

    No bytecode is written, a file changed twice within a second would be taken for its old one.
    BLAS has one thread (OMP_NUM_THREADS), unless it is set: the models are small, and threads that
    wait for one another made a build on a busy machine take five times as long; this has to be so
    before NumPy is loaded.  The packages of .venv come first on sys.path.  In a run of PythonTeX,
    all that it reads is followed from here on, and the script starts again with PYTHONHASHSEED=0
    where the order of sets would be another in each run.

    Raises ImportError, in a run of PythonTeX, if Python is too old or a package is missing.
    """
    sys.dont_write_bytecode = True
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    running = hasattr(sys.modules["__main__"], "pytex")
    if running:
        _fix_hash_seed()
    _find_packages()
    if running:
        require_packages()
        from literate import chance, inputs

        inputs.follow()
        chance.reseed(0)  # until results.begin knows the paper's seed


@functools.cache
def require_packages() -> None:
    """Raise ImportError if this Python is too old, or lacks what pyproject.toml lists."""
    here = f"python3 is {sys.executable}, Python {sys.version_info.major}.{sys.version_info.minor}"
    if sys.version_info < (3, 11):
        raise ImportError(f"{here}: the paper needs Python 3.11 or newer")
    lib = _site_packages()
    if lib and not lib.is_dir():
        raise ImportError(
            f"{here}, but the packages in {ROOT / '.venv'} are for {ROOT / '.venv/bin/python3'}:"
            " build with latexmk, or remove .venv and run make"
        )
    needed = [re.split(r"[^\w.-]", line)[0] for line in study()["project"]["dependencies"]]
    missing = [name for name in needed if not any(Distribution.discover(name=name))]
    if missing:
        raise ImportError(
            f"{here}, and has no {', '.join(missing)}: run make,"
            " or install requirements.txt for this Python"
        )


@functools.cache
def study() -> dict[str, Any]:
    """Return what pyproject.toml says: the study's packages, and under tool.literate the rest."""
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def versions(purpose: str) -> dict[str, str]:
    """Return the versions of the packages that the study computes or draws with, by name."""
    return {name: version(name) for name in libraries(purpose)}


def libraries(purpose: str) -> tuple[str, ...]:
    """Return the names of the packages that the study `computes` or `draws` with."""
    return tuple(study()["tool"]["literate"][purpose])


def _site_packages() -> Path | None:
    """Return where .venv has the packages of this Python if another one's run here."""
    venv = ROOT / ".venv"
    if not venv.exists() or Path(sys.prefix).resolve() == venv.resolve():
        return None
    lib = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    return venv / lib / "site-packages"


def _find_packages() -> None:
    """Put the packages of .venv first on sys.path, whatever python3 runs here.

    PythonTeX runs the first python3 on PATH.  latexmk.pl makes that the one of .venv, other
    programs (CoCalc) do not.
    """
    lib = _site_packages()
    if lib and lib.is_dir():
        # Before other site-packages, after the standard library.
        places = (n for n, entry in enumerate(sys.path) if entry.endswith("-packages"))
        sys.path.insert(next(places, len(sys.path)), str(lib))


def _fix_hash_seed() -> None:
    """Start PythonTeX's script again if the order of sets, of texts say, is another in each run.

    latexmk.pl fixes it; other programs that call PythonTeX (CoCalc) do not.
    """
    if os.environ.get("PYTHONHASHSEED") == "0":
        return
    os.environ["PYTHONHASHSEED"] = "0"
    for output in (1, 2):  # what was printed until now will be printed again
        if stat.S_ISREG(os.fstat(output).st_mode):
            os.ftruncate(output, 0)
            os.lseek(output, 0, os.SEEK_SET)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


prepare()
