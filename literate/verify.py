r"""A check that the current commit reproduces its numbers: `python -m literate.verify [paper.pdf]`.

Clones the commit, builds it from nothing and compares the resulting results.json with the committed
one, and a PDF, if one is named, with the PDF it makes.  Prints a table and a verdict, and exits
with 1 if anything differs.  What a number depends on is read from its key:

exact    everything that is not unstable: text and counts are the same, floats to 1e-9 of
         themselves, since another processor adds in another order.  (In a build of this study
         without AVX2 and FMA, 9 of its 1,031 entries differed, by less than 1e-14 of themselves,
         including the network's.)
row      unstable shares and counts of samples, since the many steps of a network may carry a last
         bit on until a sample changes class: one of the samples that a share is of; where
         these are folds or seeds, one test sample.
follows  what is computed from these samples: bounds, p, t, effects, probabilities.  These
         are exact as well, unless a sample of the same data set has changed.  Then the p of an
         exact test may be what one sample more or less gives it, and another p may differ by half.
         Bounds may differ by two samples, or by eight if they are over folds (Student's quantile
         for three is 4.3, and one sample is more of a fold).  Other numbers may differ by a tenth
         of themselves, or 0.05.  What the paper says of them rests on claims, which the build has
         checked.

Which keys are unstable, and of what kind, the study says in pyproject.toml, under
tool.literate.verify; names, parameters, sizes and numbers of fits are exact.  What a build reads
from a record that another run has kept (literate/kept.py) is exact, and must be of this commit's
code.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product, zip_longest
from math import inf
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from literate import ROOT, claims, delivered, study
from literate.trees import git

SHOWN = 20  # differences
BITS = 1e-9  # of a float's size
ROW_BOUNDS, FOLD_BOUNDS = 2, 8  # samples
RULES = f"""\
exact    the same, floats to {BITS:g} of themselves
row      samples that an unstable model gets right: one may differ
follows  computed from these: exact, unless a row of the data set differs (literate/verify.py)"""
PARTS = ("train", "validation", "test")
Entries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Value:
    """A number or text of results.json, committed and rebuilt, and the difference allowed."""

    key: str
    committed: Any
    rebuilt: Any
    rule: str = "exact"
    allowed: float = 0

    @property
    def apart(self) -> float:
        """Return the difference, which is infinite if they are not two numbers."""
        both = (self.committed, self.rebuilt)
        if both[0] == both[1]:
            return 0
        return abs(both[0] - both[1]) if all(isinstance(v, int | float) for v in both) else inf

    @property
    def fine(self) -> bool:
        """Return whether the rule allows the difference, or it is one of last bits."""
        # Where shares are subtracted, zero may come out as a last bit of theirs.
        bits = max(BITS * abs(self.committed), 1e-14) if isinstance(self.committed, float) else 0
        return self.apart <= max(self.allowed * (1 + BITS), bits)

    @property
    def data_set(self) -> str:
        """Return the first part of the key."""
        return re.split("[.,]", self.key)[0]

    def __str__(self) -> str:
        text = f"{self.key}: {self.committed} is committed, {self.rebuilt} rebuilt"
        if self.apart < inf:
            text += f": {self.apart:.2g} apart, {self.allowed:.2g} allowed ({self.rule})"
        return text


def compare(committed: Entries, rebuilt: Entries) -> list[Value]:
    """Compare each value and bound of two results.json, and whatever else their entries have."""
    values = list(_values(committed, rebuilt))
    moved = {v.data_set for v in values if v.rule == "row" and v.fine and v.apart > BITS}
    return [
        replace(value, allowed=0)
        if value.rule == "follows" and value.data_set not in moved
        else value
        for value in values
    ]


def _values(committed: Entries, rebuilt: Entries) -> Iterator[Value]:
    for key in sorted((committed.keys() | rebuilt.keys()) - {"environment"}):
        if key not in committed or key not in rebuilt:
            both = (known.get(key, {}).get("value", "nothing") for known in (committed, rebuilt))
            yield Value(key, *both)
            continue
        old, new = committed[key], rebuilt[key]
        rule, allowed, of_bounds = _rule(key, committed)
        yield Value(key, old["value"], new["value"], rule, allowed)
        bounds = zip_longest(old["interval"] or (), new["interval"] or (), fillvalue="nothing")
        rule = "exact" if rule == "exact" else "follows"
        for name, both in zip(("low", "high"), bounds, strict=False):
            yield Value(f"{key}.{name}", *both, rule, of_bounds)
        for name in sorted((old.keys() | new.keys()) - {"value", "interval"}):
            if old.get(name) != new.get(name):
                yield Value(f"{key}, {name}", old.get(name), new.get(name))


def _rule(key: str, known: Entries) -> tuple[str, float, float]:
    """Return the rule for a key's value, and how far the value and its bounds may differ.

    The differences are those allowed if a sample changes.
    """
    value, data_set = known[key]["value"], key.partition(".")[0]
    sizes: Any = [known.get(f"{data_set}.n_{part}", {}).get("value") for part in PARTS]
    if isinstance(value, str) or not all(sizes) or not _is("unstable", key) or _is("stable", key):
        return "exact", 0, 0
    if _is("counts", key):
        return "row", 1, 0
    if known[key]["unit"] == "share of samples" or _is("shares", key):
        n, of_rows = known[key]["n"], known[key]["n"] in sizes
        row = 1 / (n if of_rows else sizes[-1])
        return "row", row, row * (ROW_BOUNDS if of_rows else FOLD_BOUNDS)
    if _is("p_values", key):
        counts = [known.get(f"{key.rpartition('.')[0]}.n_{name}") for name in ("first", "second")]
        if not (counts[0] and counts[1]):
            return "follows", value / 2, 0
        p, *near = (
            _exact_p(counts[0]["value"] + i, counts[1]["value"] + j)
            for i, j in product((0, -1, 1), repeat=2)
        )
        by_holm = max(1, value / p)  # what it was multiplied by
        return "follows", by_holm * max(abs(other - p) for other in near), 0
    other = max(0.05, abs(value) / 10)
    return ("follows", other, other) if _is("others", key) else ("exact", 0, 0)


def _is(kind: str, key: str) -> bool:
    """Return whether the study says that a key is of a kind."""
    patterns = study()["tool"]["literate"].get("verify", {}).get(kind, [])
    return any(re.search(pattern, key) for pattern in patterns)


def _exact_p(first: int, second: int) -> float:
    """Return the p of McNemar's exact test, given how many samples only one model gets right."""
    first, second = max(0, first), max(0, second)
    return float(binomtest(first, first + second).pvalue) if first + second else 1.0


def table(values: list[Value]) -> str:
    """Return a line for each data set and rule.

    It shows how many values are equal, how many differ by an allowed amount, and how many differ.
    """
    groups: dict[tuple[str, str], list[Value]] = {}
    for value in values:
        groups.setdefault((value.data_set, value.rule), []).append(value)
    heads = ("key", "rule", "values", "equal", "allowed", "differ")
    lines = ["{:13}{:8}{:>7}{:>7}{:>9}{:>8}  largest difference".format(*heads)]
    for group, some in groups.items():
        equal = sum(value.apart == 0 for value in some)
        allowed = sum(value.fine for value in some) - equal
        counts = (len(some), equal, allowed, len(some) - equal - allowed)
        most = max(some, key=lambda value: value.apart)
        largest = f"{most.apart:.2g} in {most.key}" if most.apart else ""
        lines.append("{:13}{:8}{:7}{:7}{:9}{:8}  {}".format(*group, *counts, largest).rstrip())
    return "\n".join(lines)


def rebuild(root: Path, folder: Path) -> None:
    """Build the commit that `root` is at in a new folder; show the progress on a terminal.

    Raises ValueError if there is no commit, or, with the last lines of output, if it does not
    build.
    """
    commit = git(root, "rev-parse", "--short", "HEAD").strip()
    if changed := git(root, "status", "--porcelain", "--untracked-files=no"):
        names = ", ".join(line.split(maxsplit=1)[1] for line in changed.splitlines())
        print(f"Not committed, and so not verified: {names}")
    git(root, "clone", "--quiet", str(root), str(folder))
    if (root / ".venv").exists():
        (folder / ".venv").symlink_to((root / ".venv").resolve())
    (folder / "results.json").unlink(missing_ok=True)  # so that the build has to make it
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    takes = ""
    with suppress(OSError, ValueError, KeyError):
        known = json.loads((folder / "results/build.json").read_text(encoding="utf-8"))
        takes = "; {seconds} seconds on {cores} cores of a {processor}".format(**known)
    print(f"Building {commit} from nothing in {folder}{takes}", flush=True)
    env = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    if sys.stdout.isatty():
        env["PYCODE_PROGRESS"] = f"/proc/{os.getpid()}/fd/1"
    log = folder / "verify.log"
    with log.open("wb") as out:
        streams: Any = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": subprocess.STDOUT}
        build = subprocess.run(["latexmk"], cwd=folder, env=env, check=False, **streams)
    if build.returncode or not (folder / "results.json").exists():
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        raise ValueError("\n".join([*last, f"{commit} does not build: the whole log is {log}"]))


def verify(root: Path, folder: Path, pdf: Path | None) -> list[str]:
    """Return a line for each difference; print the progress and the table."""
    if pdf:
        delivered.read(pdf)  # before the long build
    rebuild(root, folder)
    rebuilt = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    try:
        committed = json.loads(git(root, "show", "HEAD:results.json"))
    except json.JSONDecodeError as error:
        raise ValueError(f"results.json: {error}: build, and commit what that writes") from error
    for name, version in committed.get("environment", {}).items():
        if version != (here := rebuilt["environment"].get(name)):
            print(f"Not compared: committed with {name} {version}, rebuilt with {here}")
    values = compare(committed, rebuilt)
    print(f"\n{table(values)}\n\n{RULES}\n")
    allowed = [value for value in values if value.fine and value.apart > BITS]
    print(*(f"Allowed: {value}\n" for value in allowed[:SHOWN]), sep="", end="")
    source = (folder / "paper.tex").read_text(encoding="utf-8")
    found = [f"{value}{_printed(value.key, source)}" for value in values if not value.fine]
    found += [
        f"{key}, as committed: {why}"
        for key, entry in committed.items()
        if key.startswith("claims.") and (why := claims.check(entry["value"], committed))
    ]
    found += [
        f"{key}: {entry['value']} of what a kept record was made of changed since: compute it anew"
        for key, entry in rebuilt.items()
        if key.endswith(".n_changed") and entry["value"]
    ]
    if pdf:
        differences = list(delivered.compare(pdf, folder / "paper.pdf"))
        same = pdf.read_bytes() == (folder / "paper.pdf").read_bytes()
        fine = f"the {'same bytes' if same else 'bytes differ, text and looks do not'}"
        print(f"{pdf}: {'it differs' if differences else fine}")
        found += [f"{pdf}, {line}" for line in differences]
    return found


def _printed(key: str, source: str) -> str:
    found = re.search(rf"\\(?:result|interval)\{{{re.escape(key)}\}}", source)
    line = len(source[: found.start()].split("\n")) if found else 0
    return f"; printed on paper.tex:{line}" if line else ""


def main(root: Path = ROOT) -> None:
    """Exit with 1 if anything differs or cannot be compared."""
    folder = Path(tempfile.mkdtemp(prefix="verify-")) / "paper"
    try:
        found = verify(root, folder, Path(sys.argv[1]) if sys.argv[1:] else None)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{error}\nNOT verified")
    if found:
        print(*found[:SHOWN], *[f"and {len(found) - SHOWN} more"] * (len(found) > SHOWN), sep="\n")
        print(f"What was built is in {folder}")
        sys.exit(f"NOT verified, {len(found)} differ, first {found[0]}")
    shutil.rmtree(folder.parent)
    print("verified: the commit gives its results.json again", *["and the PDF"] * len(sys.argv[1:]))


if __name__ == "__main__":
    main()
