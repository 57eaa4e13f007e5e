"""The study of paper.tex as a bare script, which no build of the paper can be faster than.

`python limit.py list PAPER CALLS` runs the blocks of PAPER/paper.tex.  It writes to the file CALLS
every call that a build would compute, if there is any, with the time it takes.  `python limit.py
make PAPER CALLS` makes these calls.  The fits come first, in one flat list, the longest first, in a
pool of two processes with one BLAS thread each, forked when the imports are done.  Then come the
figures.  Nothing is remembered, recorded or typeset.
"""

import multiprocessing
import os
import pickle
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

os.environ["OMP_NUM_THREADS"] = "1"
action, folder, file = sys.argv[1:4]
sys.path.insert(0, folder)

import cloudpickle  # noqa: E402

from literate import parallel, results  # noqa: E402
from pycode import evaluation, figures, inspection, models  # noqa: E402, F401

BLOCK = re.compile(r"\\begin\{(pycode|pyblock)\}\n(.*?)\\end\{\1\}", re.DOTALL)


def collected() -> dict:
    """Return the calls whose values are not remembered, by key.

    Each has its seconds, whether it is made alone, and the call.
    """
    found = {}

    def run(calls, *, alone=False):
        for key, task in calls.items():
            start = time.monotonic()
            value = next(iter(parallel._here({key: task}, float("inf"))))
            found[key] = (time.monotonic() - start, alone, task.call)
            yield value

    real, parallel.run = parallel.run, run
    results.begin = lambda pytex, seed=None: setattr(results, "_folder", folder)
    os.chdir(folder)
    built = Path("paper.pytxcode")  # in which LaTeX says how wide the figures are
    width = re.search(r"textwidth=([\d.]+pt)", built.read_text() if built.exists() else "")
    context = SimpleNamespace(textwidth=width[1] if width else "441pt", fontsize="10")
    scope = {"pytex": SimpleNamespace(context=context), "__name__": "__main__"}
    for _, block in BLOCK.findall(Path("paper.tex").read_text(encoding="utf-8")):
        exec(block, scope)
    parallel.run = real
    return found


def make(number):
    """Compute one fit, or whatever else the study computes."""
    function, arguments, options = calls[number][2]
    function(*arguments, **options)


if action == "list":
    if found := list(collected().values()):
        Path(file).write_bytes(cloudpickle.dumps(found))
else:
    calls = sorted(pickle.loads(Path(file).read_bytes()), key=lambda call: -call[0])
    fits = [number for number, (_, alone, _) in enumerate(calls) if not alone]
    if fits:
        with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
            list(pool.map(make, fits))
    for number in set(range(len(calls))) - set(fits):
        make(number)
    print(len(calls), "calls")
