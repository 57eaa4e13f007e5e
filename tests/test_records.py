"""The records in results/ are of this code, and can be made anew."""

import re
from pathlib import Path

from literate import kept
from literate.testing import ROOT
from results import build


def test_the_simulation_is_of_this_code() -> None:
    found = kept.read("results/simulation.json")
    assert not kept.changed(found, code="results/simulation.py", inputs={}), "run it again"
    record = found["results"]
    for kind, least in (("proportion", 0.92), ("difference", 0.93)):  # of 35 samples and more
        assert least <= record[kind]["min"] <= record[kind]["max"] <= 0.97
    assert record["mcnemar"]["max"] <= 0.05 <= record["equivalence"]["max"] <= 0.07
    imbalanced = record["imbalanced"]  # of 10 samples in the smallest class, and more
    for kind, least in (("balanced_accuracy", 0.9), ("difference", 0.87)):
        assert least <= imbalanced[kind]["min"] <= imbalanced[kind]["max"] <= 0.98
    assert imbalanced["permutation"]["max"] <= 0.07
    assert record["t_test"]["corrected"] <= 0.06 < 0.3 < record["t_test"]["uncorrected"]


def test_the_paper_that_is_measured_has_all_files_that_its_code_reads(tmp_path: Path) -> None:
    folder = build.sources(tmp_path / "paper")
    sources = [folder / "paper.tex", *(folder / "pycode").glob("*.py")]
    read = set(re.findall(r'"(\w+/\w+\.json)"', "".join(map(Path.read_text, sources))))
    assert {"results/build.json", "results/deep.json"} <= read
    assert not [name for name in read if not (folder / name).exists()]


def test_each_edit_that_is_measured_can_be_made() -> None:
    for file, old, _ in build.EDITS.values():
        assert (ROOT / file).read_text(encoding="utf-8").count(old) == 1
