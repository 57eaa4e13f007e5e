"""What builds of the paper cost, beside what they must: `python results/build.py [ROUNDS]`.

Each row is a scenario, with its wall-clock time and the ratio to a yardstick that is measured in
the same round.  Each number is the median of three rounds, or of as many as are asked for, with the
range of the ratios; short builds are repeated within a round.  All scenarios take turns within a
round; naive builds are made in the first round only.  A second table shows how time and memory grow
with the number of samples.  The first round takes up to fifty minutes on two cores, each further
one ten.  The times mean something only if the machine has nothing else to do.
"""

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
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
PDFLATEX = [["pdflatex", "-interaction=nonstopmode", "-synctex=1", "paper.tex"]]
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


COLOURS = ("black", "red", "green", "blue")  # one after the other
REPEATS = 4  # of short builds, within a round


class Time(float):
    """The seconds that commands took.

    With the passes of LaTeX among them, and the megabytes of the largest process.
    """

    passes = 0
    megabytes = 0.0


def seconds(commands: list[list[str]], folder: Path, **env: str) -> Time:
    """Measure how long commands take, one after the other, in `folder`."""
    start, passes, megabytes = time.monotonic(), 0, 0.0
    for command in commands:
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            said = output.read()
        if status:
            sys.exit(said.decode(errors="replace")[-3000:] + f"\n{command} failed")
        passes += said.count(b"of rule 'pdflatex'")
        megabytes = max(megabytes, usage.ru_maxrss / 1024)
    taken = Time(time.monotonic() - start)
    taken.passes, taken.megabytes = passes, megabytes
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


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Change one thing in a paper."""
    text = (folder / file).read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")


def edited(built: Path, folder: Path, file: str, old: str, new: str) -> Path:
    """Copy what has been built, with one thing changed."""
    shutil.copytree(built, folder, symlinks=True)
    edit(folder, file, old, new)
    return folder


def bare_study(folder: Path) -> Time:
    """Measure how long the calls of a build take by themselves; 0 if it has none to make.

    The calls are listed in the first round and kept beside the rounds' folders.
    """
    python, calls = str(ROOT / ".venv/bin/python"), folder.parent.parent / f"{folder.name}.calls"
    limit = [[python, str(LIMIT), action, str(folder), str(calls)] for action in ("list", "make")]
    if not calls.exists():
        seconds(limit[:1], folder)
    return seconds(limit[1:], folder) if calls.exists() else Time(0)


def keep_format(built: Path) -> None:
    """Edit and build until LaTeX starts from a format of the preamble, as it does for an author."""
    file, old, new = EDITS["a word of prose"]
    for change in ((old, new), (new, old)):
        edit(built, file, *change)
        seconds(LATEXMK, built)
        while not (built / ".paper.format/inputs").exists():
            time.sleep(0.1)


def previewed(folder: Path, file: str, changes: Iterable[tuple[str, str]]) -> list[float]:
    """Measure how long `latexmk -pvc` takes from each change of a file to the PDF.

    The first change starts the Python that is kept, and is not measured.
    """
    made = folder / "paper.made"  # in which latexmk says how a build has ended
    taken = []
    with subprocess.Popen(
        ["latexmk", "-pvc", "-view=none"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as preview:

        def wait(since: int) -> None:
            while not (made.stat().st_mtime_ns > since and made.read_text().endswith("ended\n")):
                assert preview.poll() is None, "latexmk ended"
                time.sleep(0.01)

        wait(0)
        for change in changes:
            time.sleep(8)  # in which the kept Python imports what it needs
            start, before = time.monotonic(), made.stat().st_mtime_ns
            edit(folder, file, *change)
            wait(before)
            taken.append(time.monotonic() - start)
        preview.terminate()
    return taken[1:]


def one_round(work: Path, *, naive: bool) -> dict[str, list[tuple[float, float]]]:
    """Return the times of each scenario, with those of its yardstick."""
    times: dict[str, list[tuple[float, float]]] = {}
    study = bare_study(sources(work / "bare"))
    built = sources(work / "built")
    cold = seconds(LATEXMK, built)
    tex = edited(built, work / "tex", *EDITS["a word of prose"])
    passes = [seconds(PDFLATEX, tex) for _ in range(REPEATS)]
    one_pass = statistics.median(passes)
    bibtex = seconds([["bibtex", "paper"]], tex)
    times["cold"] = [(cold, study + cold.passes * one_pass + bibtex)]
    times["memory, in megabytes"] = [(cold.megabytes, study.megabytes)]
    keep_format(built)
    times["nothing changed"] = [(seconds(LATEXMK, built), 0.15) for _ in range(REPEATS)]
    file, *words = EDITS["a word of prose"]
    times["a word of prose"] = []
    for _ in range(REPEATS):
        edit(built, file, *words)
        words.reverse()
        times["a word of prose"].append((seconds(LATEXMK, built), seconds(PDFLATEX, tex)))
    for name in ("a colour in a figure", "a hyper-parameter of the SVM"):
        least = bare_study(edited(built, work / f"bare {name}", *EDITS[name]))
        changed = seconds(LATEXMK, edited(built, work / name, *EDITS[name]))
        times[name] = [(changed, least + changed.passes * one_pass)]
    file, old, _ = EDITS["a colour in a figure"]
    edge = [old, *(old.replace("white", colour) for colour in COLOURS)]
    [(_, yardstick)] = times["a colour in a figure"]
    shutil.copytree(built, work / "preview", symlinks=True)
    taken = previewed(work / "preview", file, itertools.pairwise(edge))
    times["a colour, under -pvc"] = [(t, yardstick) for t in taken]
    if naive:
        folder = sources(work / "naive")
        times["cold, against naive"] = [(cold, seconds(LATEXMK, folder, **NAIVE))]
        forced = seconds(FORCED, built)
        times["CoCalc's forced build, against naive"] = [(forced, seconds(FORCED, folder, **NAIVE))]
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
        print("| scenario | seconds | yardstick | ratio | range |\n|---|--:|--:|--:|--:|")
        for name in rounds[0]:
            pairs = [pair for times in rounds for pair in times.get(name, ())]
            taken, yardstick = (statistics.median(pair[n] for pair in pairs) for n in (0, 1))
            ratios = [pair[0] / pair[1] for pair in pairs]
            shown = f"{statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f}"
            print(f"| {name} | {taken:.2f} | {yardstick:.2f} | {shown} |")
        record = {
            "seconds": round(statistics.median(r["cold"][0][0] for r in rounds)),
            "date": time.strftime("%Y-%m-%d"),
            "cores": os.cpu_count(),
            "processor": processor(),
            "megabytes": round(max(r["memory, in megabytes"][0][0] for r in rounds)),
        }
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print("\n| rows | cold, seconds | warm, seconds | megabytes |\n|--:|--:|--:|--:|")
        for rows in (1_000, 10_000, 100_000):
            folder = sources(Path(work, f"rows{rows}"))
            cold, warm, megabytes = growth(rows, folder)
            print(f"| {rows} | {cold:.1f} | {warm:.2f} | {megabytes:.0f} |")


if __name__ == "__main__":
    main()
