"""What builds of the paper cost, beside what they must: `python results/build.py [ROUNDS]`.

Each row is a scenario, with its wall-clock time and the ratio to a yardstick that is measured in
the same round.  Each number is the median of three rounds, or of as many as are asked for.  All
scenarios take turns within a round; naive builds are made in the first round only.  A second table
shows how time and memory grow with the number of samples.  The first round takes some twenty
minutes on two cores, each further one five.  The times mean something only if the machine has
nothing else to do.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from literate import ROOT
from results.deep import processor

LIMIT = ROOT / "results/limit.py"
RECORD = ROOT / "results/build.json"
ROUNDS = 3
COCALC = ["latexmk", "-pdf", "-f", "-g", "-bibtex", "-deps", "-synctex=1"]
COCALC += ["-interaction=nonstopmode", "paper.tex"]
FORCED = [COCALC, ["pythontex", "--jobs", "2", "--rerun=always", "paper"], COCALC]
LATEXMK = [["latexmk"]]
NAIVE = {"PYCODE_CACHE": "off", "PYCODE_WORKERS": "1"}
EDITS = {
    "a word of prose": ("paper.tex", "Their successes come", "Their success comes"),
    "a colour in a figure": (
        "pycode/figures.py",
        'edgecolor="white", linewidth=0.3',
        'edgecolor="black", linewidth=0.3',
    ),
    # a change so small that all claims still hold
    "a hyper-parameter of the SVM": ("pycode/models.py", '"rbf", ', '"rbf", tol=9e-4, '),
}


class Time(float):
    """The seconds that commands took, and how many passes of LaTeX were among them."""

    passes = 0


def seconds(commands: list[list[str]], folder: Path, **env: str) -> Time:
    """Measure how long commands take, one after the other, in `folder`."""
    start, passes = time.monotonic(), 0
    for command in commands:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            sys.exit(done.stdout.decode(errors="replace")[-3000:] + f"\n{command} failed")
        passes += done.stdout.count(b"of rule 'pdflatex'")
    taken = Time(time.monotonic() - start)
    taken.passes = passes
    return taken


def sources(folder: Path) -> Path:
    """Make a folder with the paper in it, from which nothing has been built."""
    folder.mkdir()
    for name in ("paper.tex", "references.bib", "latexmkrc", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("pycode", "literate", "results"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "figures").mkdir()
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def edited(built: Path, folder: Path, file: str, old: str, new: str) -> Path:
    """Copy what has been built, with one thing changed."""
    shutil.copytree(built, folder, symlinks=True)
    text = (folder / file).read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return folder


def bare_study(folder: Path) -> float:
    """Measure how long the calls of a build take by themselves; 0 if it has none to make.

    The calls are listed in the first round and kept beside the rounds' folders.
    """
    python, calls = str(ROOT / ".venv/bin/python"), folder.parent.parent / f"{folder.name}.calls"
    limit = [[python, str(LIMIT), action, str(folder), str(calls)] for action in ("list", "make")]
    if not calls.exists():
        seconds(limit[:1], folder)
    return seconds(limit[1:], folder) if calls.exists() else 0.0


def keep_format(built: Path) -> None:
    """Edit and build until LaTeX starts from a format of the preamble, as it does for an author."""
    file, old, new = EDITS["a word of prose"]
    for before, after in ((old, new), (new, old)):
        text = (built / file).read_text(encoding="utf-8")
        (built / file).write_text(text.replace(before, after), encoding="utf-8")
        seconds(LATEXMK, built)
        while not (built / ".paper.format/inputs").exists():
            time.sleep(0.1)


def one_round(work: Path, *, naive: bool) -> dict[str, tuple[float, float]]:
    """Return each scenario's time, and that of its yardstick."""
    times = {}
    study = bare_study(sources(work / "bare"))
    built = sources(work / "built")
    cold = seconds(LATEXMK, built)
    tex = seconds(
        [["pdflatex", "-interaction=nonstopmode", "-synctex=1", "paper.tex"]],
        edited(built, work / "tex", *EDITS["a word of prose"]),
    )
    bibtex = seconds([["bibtex", "paper"]], work / "tex")
    times["cold"] = cold, study + cold.passes * tex + bibtex
    keep_format(built)
    times["nothing changed"] = seconds(LATEXMK, built), 0.2
    for name, (file, old, new) in EDITS.items():
        least = bare_study(edited(built, work / f"bare {name}", file, old, new))
        changed = seconds(LATEXMK, edited(built, work / name, file, old, new))
        times[name] = changed, least + changed.passes * tex
    if naive:
        folder = sources(work / "naive")
        times["cold, against naive"] = cold, seconds(LATEXMK, folder, **NAIVE)
        forced = seconds(FORCED, built)
        times["CoCalc's forced build, against naive"] = forced, seconds(FORCED, folder, **NAIVE)
    return times


GROWTH = """
import resource, sys, time
sys.path.insert(0, {root!r})
from pycode import data, evaluation, models
split = data.split(data.synthetic(n_samples={rows}))
some = {{name: models.candidates()[name] for name in ("logistic", "random forest")}}
start = time.monotonic()
evaluation.compare(some, split)
evaluation.cross_validate(some, split, cv=5, repeats=1)
own, workers = (resource.getrusage(who).ru_maxrss for who in (0, -1))
print(time.monotonic() - start, (own + 2 * workers) / 1024)
"""


def growth(rows: int, folder: Path) -> tuple[float, float, float]:
    """Return the seconds of comparing two models, cold and warm, and the megabytes when cold."""
    # The library's code is copied, so that its cache is empty.
    script = GROWTH.format(root=str(folder), rows=rows)
    said = [
        subprocess.run(
            [ROOT / ".venv/bin/python", "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    return float(said[0][0]), float(said[1][0]), float(said[0][1])


def main() -> None:
    """Print both tables, in Markdown, and write the cost of a cold build to build.json."""
    with tempfile.TemporaryDirectory() as work:
        rounds = []
        n_rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
        for number in range(n_rounds):
            print(f"round {number + 1} of {n_rounds}", file=sys.stderr)
            folder = Path(work, str(number))
            folder.mkdir()
            rounds.append(one_round(folder, naive=number == 0))
        print("| scenario | seconds | yardstick | ratio |\n|---|--:|--:|--:|")
        for name in rounds[0]:
            times = [r[name] for r in rounds if name in r]
            taken, yardstick = (statistics.median(pair[n] for pair in times) for n in (0, 1))
            ratio = statistics.median(pair[0] / pair[1] for pair in times)
            print(f"| {name} | {taken:.2f} | {yardstick:.2f} | {ratio:.2f} |")
        record = {
            "seconds": round(statistics.median(r["cold"][0] for r in rounds)),
            "date": time.strftime("%Y-%m-%d"),
            "cores": os.cpu_count(),
            "processor": processor(),
            "megabytes": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        }
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print("\n| rows | cold, seconds | warm, seconds | megabytes |\n|--:|--:|--:|--:|")
        for rows in (1_000, 10_000, 100_000):
            folder = sources(Path(work, f"rows{rows}"))
            cold, warm, megabytes = growth(rows, folder)
            print(f"| {rows} | {cold:.1f} | {warm:.2f} | {megabytes:.0f} |")


if __name__ == "__main__":
    main()
