"""A record that another run has made is read whole or not at all, and held against its code."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from literate import kept
from literate.testing import ROOT, Paper
from pycode import data, models
from pycode.inference import Estimate
from results import deep

NETWORKS, SHORT = "pycode/networks.py", "literate/estimate.py"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of pycode, to edit, beside one of the machine."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("pycode", "literate"):
        only = shutil.ignore_patterns("tests", "course", "skeleton", "__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=only)
    return folder / "pycode"


@pytest.fixture(scope="module")
def digest() -> str:
    """What describes the code of the networks."""
    return kept.digest(NETWORKS)


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


CHANGES = {  # file, what stands there, and what would make another record
    "a network": ("networks.py", "nn.MaxPool2d(2)", "nn.AvgPool2d(2)"),
    "a number": ("networks.py", "lr=0.003", "lr=0.004"),
    "what a function calls": ("evaluation.py", "data.take(X, train)", "data.take(X, train[1:])"),
    "a constant": ("inference.py", "CONFIDENCE = 0.95", "CONFIDENCE = 0.9"),
    "a method": (
        "../literate/estimate.py",
        "estimate.n = float(low), float(high)",
        "estimate.n = low, high",
    ),
    "what a name means": (
        "models.py",
        "preprocessing import OneHotEncoder, StandardScaler",
        "preprocessing import OneHotEncoder, RobustScaler as StandardScaler",
    ),
    "what a network is compared by": (
        "networks.py",
        "import spearmanr",
        "import kendalltau as spearmanr",
    ),
    "a decorator": ("inference.py", "@dataclass(frozen=True)", "@dataclass"),
}
SAME = {  # and what would not
    "a comment": ("networks.py", "lr=0.003,", "lr=0.003,  # or less"),
    "a docstring": ("networks.py", '"""Train the network on', '"""Fit the network to'),
    "an empty line": ("networks.py", "    return [nn.Conv2d", "\n    return [nn.Conv2d"),
    "a model": (
        "models.py",
        '"MLP": MLPClassifier(',
        '"more": SVC(),\n        "MLP": MLPClassifier(',
    ),
    "a data set": ("data.py", "def digits()", "def more():\n    return digits()\n\n\ndef digits()"),
    "a function of no use here": (
        "evaluation.py",
        "key=lambda trial: -trial.mean",
        "key=lambda trial: trial.mean",
    ),
    "how results are remembered": ("../literate/cache.py", "DAYS = 30", "DAYS = 31"),
    "an import of no use here": (
        "inference.py",
        "import statistics",
        "import statistics as statistics",
    ),
    "a figure": ("figures.py", "FEWEST = 5", "FEWEST = 6"),
}


@pytest.mark.parametrize("change", [*CHANGES, *SAME])
def test_what_counts_as_other_code(package: Path, digest: str, change: str) -> None:
    file, old, new = (CHANGES | SAME)[change]
    with edited(package / file, old, new):
        assert (kept.digest(package / "networks.py") != digest) is (change in CHANGES)


def test_a_digest_is_the_same_in_another_folder(package: Path, digest: str) -> None:
    assert kept.digest(package / "networks.py") == digest


def test_a_digest_needs_no_library(package: Path) -> None:
    path = package / "alone.py"
    path.write_text("import no_such_library\nfrom pycode.inference import holm\nX = holm\n")
    before = kept.digest(path)
    with edited(package / "inference.py", "np.minimum(1, ", "np.minimum(2, "):
        assert kept.digest(path) != before


@dataclass(frozen=True)
class Found:
    score: Estimate
    sizes: tuple[int, ...]
    hidden: object = field(repr=False, default=None)
    by = "nobody"


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    results = {
        "found": {("a", "b"): Found(Estimate(0.5, 0.25, 0.75, 8), (1, 2), object())},
        "images": np.array([[0.123456, 1.0]]),
        "names": ["x"],
    }
    path = tmp_path / "record.json"
    about = {"code": SHORT, "inputs": {"rows": "abc"}, "environment": {"date": "today"}}
    path.write_text(kept.text(results, **about), encoding="utf-8")
    record = kept.read(path)
    found = record["results"]["found"]["a - b"]
    assert found == {"score": 0.5, "sizes": [1, 2]}
    score = found["score"]
    assert (score.low, score.high, score.n) == (0.25, 0.75, 8)
    assert record["results"]["images"] == [[0.1235, 1.0]]
    assert record["results"]["names"] == ["x"]
    assert kept.changed(record, code=SHORT, inputs={"rows": "abc"}) == []


plain = st.recursive(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda some: st.lists(some) | st.dictionaries(st.text(), some),
)


@given(plain)
def test_plain_values_come_back_as_they_are(value: object) -> None:
    text = kept.text(value, code=SHORT, inputs={}, environment={})
    assert json.loads(text)["results"] == value


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        kept.text(float("nan"), code=SHORT, inputs={}, environment={})


def test_changed_inputs_are_named() -> None:
    record = {"code": kept.digest(SHORT), "inputs": {"rows": "a", "SVM": "b"}}
    assert kept.changed(record, code=SHORT, inputs={"rows": "a", "SVM": "c"}) == ["SVM"]
    assert kept.changed(record, code=SHORT, inputs={"rows": "a"}) == ["SVM"]
    record["code"] = "other"
    inputs = {"rows": "a", "SVM": "b", "more": ""}
    assert kept.changed(record, code=SHORT, inputs=inputs) == [SHORT, "more"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file: take it from git again, or make it anew"),
        (b'{"code": "a",\n "inputs"', "line 2, column 10: "),
        (b"{}\xff", "byte 3 is not UTF-8"),
        (b'{"code": "a"}', "this is no record of code and results: take"),
        (b"[]", "this is no record of code and results: take"),
        (b"", "line 1, column 1"),
    ],
    ids=["missing", "cut", "bytes", "keys", "list", "empty"],
)
def test_no_record_is_an_error_that_says_where(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "deep.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kept.KeptError, match=message) as caught:
        kept.read(path)
    assert str(path) in str(caught.value)


def test_the_record_of_the_networks_is_of_this_code() -> None:
    split = data.split(data.digits(), seed=deep.SEED)
    candidates = models.tuned(models.candidates(seed=deep.SEED), seed=deep.SEED)
    inputs = deep.inputs(split, {name: candidates[name] for name in deep.OTHERS})
    record = kept.read(deep.RECORD)
    assert kept.changed(record, code=deep.CODE, inputs=inputs) == [], "run make deep"


@pytest.mark.xdist_group("shipped")
def test_a_paper_whose_networks_are_of_other_code_says_so_in_red(
    shipped: Paper, tmp_path: Path
) -> None:
    assert "Code, samples and tuned models are the same in this build." in " ".join(shipped.pages())
    shutil.copytree(shipped.folder, tmp_path / "paper", symlinks=True)
    paper = Paper(tmp_path / "paper")
    paper.edit(NETWORKS, "lr=0.003", "lr=0.004")
    assert paper.build().code == 0
    text = " ".join(paper.pages())
    assert text.count("But pycode/networks.py changed since then: run make deep, whose") == 2
    assert "are the same in this build" not in text
    assert json.loads(paper.read("results.json"))["deep.n_changed"]["value"] == 1
    streams = [page.get_contents() for page in pypdf.PdfReader(paper.folder / "paper.pdf").pages]
    red = [stream for stream in streams if stream is not None and b"1 0 0 rg" in stream.get_data()]
    assert len(red) == 2


def number(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high, "n": 10}


def records(old: object, new: object, processor: str = "same") -> list[str]:
    environment = dict.fromkeys(deep.SAME, "same")
    first = {"environment": environment, "results": {"here": old}}
    second = {"environment": environment | {"processor": processor}, "results": {"here": new}}
    return deep.compare(first, second)


def test_the_same_machine_has_to_give_the_same_numbers() -> None:
    assert records(number(0.5, 0.4, 0.6), number(0.5, 0.4, 0.6)) == []
    (line,) = records(number(0.5, 0.4, 0.6), number(0.5, 0.4, 0.6000001))
    assert line.startswith("here: {'value': 0.5")
    assert records([1.0, {"a": 2.0}], [1.0, {"a": 2.1}]) == ["here.2.a: 2.0 is kept, 2.1 computed"]


def test_another_machine_has_to_give_numbers_that_their_intervals_allow() -> None:
    old = number(0.5, 0.47, 0.53)
    assert records(old, number(0.59, 0.55, 0.63), "other") == []  # 2 x 0.05
    assert len(records(old, number(0.61, 0.57, 0.65), "other")) == 1
    assert len(records(old, number(0.41, 0.40, 0.42), "other")) == 1
    # Where all rows are right, or all seeds agree, an interval has no width.
    assert records(number(1.0, 1.0, 1.0), number(0.992, 0.99, 0.994), "other") == []
    assert len(records(number(1.0, 1.0, 1.0), number(0.98, 0.978, 0.982), "other")) == 1
    assert records({"a": 0.01, "n": 5}, {"a": 0.02, "n": 5}, "other") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [({"n": 5}, {"n": 6}), ({"a": 1.0}, {}), ([1], [1, 2]), ("CNN", "MLP"), (1.0, None)],
)
def test_names_and_sizes_are_the_same_everywhere(old: object, new: object) -> None:
    assert len(records(old, new, "other")) == 1


def test_what_hangs_on_single_rows_is_compared_on_the_same_machine_only() -> None:
    environment = dict.fromkeys(deep.SAME, "same")
    old = {"environment": environment, "results": dict.fromkeys(deep.FOLLOWS, 1)}
    new = {"environment": environment, "results": dict.fromkeys(deep.FOLLOWS, 2)}
    assert len(deep.compare(old, new)) == len(deep.FOLLOWS)
    assert deep.compare(old, new | {"environment": environment | {"torch": "other"}}) == []
