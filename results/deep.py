r"""The paper's convolutional networks, computed anew: `python -m results.deep [--check]`.

Writes results/deep.json, which the section on networks in paper.tex uses.  With --check it writes
nothing and compares the record with a new one.  On the processor and with the versions that the
record names, every number has to be the same.  Elsewhere sums have another order.  The many steps
of training amplify this until a network is like one of another seed, so there

- names, sizes and numbers of parameters are the same,
- numbers with an interval are at most twice the root of the sum of their half widths' squares
  apart, which is four standard errors of their difference if they are independent, or SHARE,
- other numbers, and those of FOLLOWS, which depend on single samples or networks, are not compared,
  nor are the scores of OTHERS, which each build computes.
"""

import argparse
import datetime
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import product
from math import hypot
from pathlib import Path
from typing import Any

from literate import ROOT, kept
from pycode import data, models
from pycode.data import Split

CODE, RECORD = "pycode/networks.py", "results/deep.json"
OTHERS = ("logistic", "SVM", "MLP")  # that the networks are compared with
SEED = 42
SHARE = 0.01
FOLLOWS = ("best", "ties", "pairs", "fold_tests", "rank_correlation", "images", "training_curves")
LIBRARIES = ("torch", "skorch", "captum", "scikit-learn", "scipy", "numpy")
SAME = ("processor", "instructions", "python", *LIBRARIES)  # where numbers have to be the same


def record() -> str:
    """Return the text of the record, computed now, on the CPU.

    Raises KeptError if somebody has changed the code meanwhile.
    """
    import torch  # pyright: ignore[reportMissingImports]

    from pycode import networks

    start, code = time.monotonic(), kept.digest(CODE)
    split = data.split(data.digits(), seed=SEED)
    candidates = models.tuned(models.candidates(seed=SEED), seed=SEED)
    others = {name: candidates[name] for name in OTHERS if name in candidates}
    results = networks.study(split, others, seed=SEED)
    if kept.digest(CODE) != code:
        raise kept.KeptError(f"{CODE}, or code that it uses, has changed meanwhile: run this again")
    environment = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seconds": round(time.monotonic() - start),
        "cores": os.cpu_count(),
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }
    return kept.text(results, code=CODE, inputs=inputs(split, others), environment=environment)


def inputs(split: Split, others: Mapping[str, Any]) -> dict[str, str]:
    """Return what the record depends on beside its code, by name: samples and estimators."""
    described = {name: models.description(model) for name, model in others.items()}
    return data.digests(split) | described


def processor() -> str:
    """Return the processor's name, with the model number that a virtual one needs."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = dict(re.findall(r"^(cpu family|model name|model)\s*: (.*)", text, re.MULTILINE))
    if len(found) < 3:
        return platform.processor() or "an unnamed processor"
    return "{model name}, family {cpu family}, model {model}".format(**found)


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a line for each difference between two records' results that is too large."""
    same = all(old["environment"].get(n) == new["environment"].get(n) for n in SAME)
    parts: list[dict[str, Any]] = [dict(some["results"]) for some in (old, new)]
    if not same:
        parts = [{n: v for n, v in part.items() if n not in FOLLOWS} for part in parts]
        for part, name in product(parts, ("scores", "parameters")):  # the paper fits the others
            part[name] = {n: v for n, v in part.get(name, {}).items() if n not in OTHERS}
    pairs = _pairs(parts[0], parts[1])
    return [f"{key}: {a} is kept, {b} computed" for key, a, b in pairs if not _fine(a, b, same)]


def _pairs(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each value of two records with its key, `None` where one record has none."""
    if isinstance(old, dict) and isinstance(new, dict) and "low" not in old:
        for name in sorted(old.keys() | new.keys()):
            yield from _pairs(old.get(name), new.get(name), f"{key}.{name}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (a, b) in enumerate(zip(old, new, strict=True), start=1):
            yield from _pairs(a, b, f"{key}.{number}")
    else:
        yield key, old, new


def _fine(old: Any, new: Any, same: bool) -> bool:
    if same or old is None or new is None or type(old) is not type(new):
        return old == new
    if isinstance(old, dict):
        half_widths = ((some["high"] - some["low"]) / 2 for some in (old, new))
        return abs(old["value"] - new["value"]) <= max(SHARE, 2 * hypot(*half_widths))
    return isinstance(old, float) or old == new


def main() -> int:
    """Return the exit status: 1 if a check has found a difference."""
    parser = argparse.ArgumentParser(description="Computes the paper's networks anew.")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args().check
    os.environ.setdefault("PYCODE_PROGRESS", "/dev/stderr")
    os.environ["PYCODE_CACHE"] = "off"  # all values are computed now, by this code
    old = {}
    try:
        if check:
            kept.read(RECORD)
            old = json.loads((ROOT / RECORD).read_text(encoding="utf-8"))
        text = record()
    except kept.KeptError as error:
        print(error)
        return 1
    if not check:
        (ROOT / RECORD).parent.mkdir(exist_ok=True)
        (ROOT / RECORD).write_text(text, encoding="utf-8")
        print(f"{RECORD} is written: build, and commit both")
        return 0
    found = compare(old, json.loads(text))
    print(*found[:20], *[f"and {len(found) - 20} more"] * (len(found) > 20), sep="\n")
    print(f"{RECORD} is NOT what {CODE} gives" if found else f"{RECORD} is what {CODE} gives")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
