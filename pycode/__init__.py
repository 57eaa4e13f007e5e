"""The paper's Python: data, models, their evaluation, and how results reach the page."""

import importlib.util
import os
import stat
import sys
from pathlib import Path

# A file changed twice within a second would be taken for its old bytecode.
sys.dont_write_bytecode = True

# The models are small: threads that wait for one another made a build on a busy machine take
# five minutes instead of one.  Set before NumPy is loaded, so import pycode first.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REQUIRED = (
    "numpy",
    "scipy",
    "sklearn",
    "matplotlib",
    "seaborn",
    "fontTools",
    "joblib",
    "cloudpickle",
    "threadpoolctl",
    "tqdm",
)


def _find_packages(root: Path) -> None:
    """Puts the packages of root/.venv first on sys.path, whatever python3 runs here.

    PythonTeX runs the first python3 on PATH.  latexmkrc makes that the one of .venv, other
    programs (CoCalc) do not.  Raises ImportError if a package cannot be had so.
    """
    here = f"python3 is {sys.executable}, Python {sys.version_info.major}.{sys.version_info.minor}"
    if sys.version_info < (3, 11):
        raise ImportError(f"{here}: the paper needs Python 3.11 or newer")
    venv = root / ".venv"
    if venv.exists() and Path(sys.prefix).resolve() != venv.resolve():
        lib = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        if not (venv / lib).is_dir():
            raise ImportError(
                f"{here}, but the packages in {venv} are for {venv / 'bin/python3'}:"
                " build with latexmk, or remove .venv and run make"
            )
        # Before other site-packages, after the standard library.
        places = (n for n, entry in enumerate(sys.path) if entry.endswith("-packages"))
        sys.path.insert(next(places, len(sys.path)), str(venv / lib))
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"{here}, and has no {', '.join(missing)}: run make,"
            " or install requirements.txt for this Python"
        )


def _fix_hash_seed() -> None:
    """Start PythonTeX's script again if the order of sets, of texts say, is another in each run.

    latexmkrc fixes it; other programs that call PythonTeX (CoCalc) do not.
    """
    if not hasattr(sys.modules["__main__"], "pytex") or os.environ.get("PYTHONHASHSEED") == "0":
        return
    os.environ["PYTHONHASHSEED"] = "0"
    for output in (1, 2):  # what was printed until now will be printed again
        if stat.S_ISREG(os.fstat(output).st_mode):
            os.ftruncate(output, 0)
            os.lseek(output, 0, os.SEEK_SET)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


_fix_hash_seed()
_find_packages(Path(__file__).resolve().parent.parent)

from pycode import chance, inputs  # noqa: E402

inputs.follow()
if hasattr(sys.modules["__main__"], "pytex"):
    chance.reseed(0)  # until results.begin knows the paper's seed
