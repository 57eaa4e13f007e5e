"""The record keeps what the run found, under names, and nothing else."""

import hashlib
import json
import math
import os
import sys
import warnings
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import pytest

from literate import drawing, inputs, results
from pycode.inference import Estimate, proportion


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that has begun, with a stand-in for PythonTeX's object, in an empty folder."""
    (tmp_path / "literate").mkdir()
    (tmp_path / "pycode").mkdir()
    (tmp_path / "pycode/a.py").write_text("A = 1\n")
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "pythontex-files-paper/py.py")])
    monkeypatch.chdir(tmp_path)
    for name in ("_values", "_printed", "_claims"):
        monkeypatch.setattr(results, name, {})
    monkeypatch.setattr(results, "_folder", "")
    monkeypatch.setattr(drawing, "_unprinted", {})  # of tests that draw in this process
    monkeypatch.setattr(inputs, "ROOT", tmp_path)
    inputs.follow()
    monkeypatch.setattr(inputs._process(), "open", [inputs.Inputs()])
    monkeypatch.setattr(inputs._process(), "before", [])
    script = tmp_path / "pythontex-files-paper/py.py"
    script.parent.mkdir()
    script.write_text("pytex.before()\nresults.begin(pytex)\n")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    os.utime(tmp_path / "pycode/a.py", (1e9, 1e9))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    pytex = SimpleNamespace(
        line="1", cleanup=lambda: None, dependencies=[], add_dependencies=lambda *paths: None
    )
    results.begin(pytex, seed=7)
    return SimpleNamespace(folder=tmp_path, pytex=pytex)


def recorded(run) -> dict:
    run.pytex.cleanup()
    return json.loads((run.folder / "results.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Inner:
    accuracy: Annotated[float, "share of samples"]


@dataclass(frozen=True)
class Outer:
    counts: tuple[int, ...]
    inner: Inner
    array: np.ndarray = field(default_factory=lambda: np.zeros(3))
    estimator: object = None


def test_everything_with_a_name_is_recorded_and_arrays_are_not(run):
    results.record("x", {"Random Forest": Outer((3, 4), Inner(0.25)), "k-NN (5)": 1}, digits=1)
    entries = recorded(run)
    environment = entries.pop("environment")
    assert environment["python"] == ".".join(map(str, sys.version_info[:3]))
    found = {key: (entry["value"], entry["by"], entry["unit"]) for key, entry in entries.items()}
    assert found == {
        "x.k_nn_5": (1, "paper.tex", "count"),
        "x.random_forest.counts.1": (3, "test_results.Outer", "count"),
        "x.random_forest.counts.2": (4, "test_results.Outer", "count"),
        "x.random_forest.inner.accuracy": (0.25, "test_results.Outer", "share of samples"),
    }
    assert {(e["interval"], e["n"], e["seed"]) for e in entries.values()} == {(None, None, 7)}
    assert list(entries) == sorted(entries)
    assert r"\resultvalue{x.random_forest.inner.accuracy}{25}" in tex_file(run)


Share = Annotated[float, "share of samples"]


def tex_file(run) -> str:
    return (run.folder / "results.tex").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Ratio:
    share: Share
    p: float = 0.5
    effect: float = math.inf
    several: tuple[Share, ...] = (0.5, 0.75)
    parameters: dict = field(default_factory=lambda: {"alpha": 0.1})


def test_what_is_no_share_has_no_such_unit_and_what_is_infinite_is_left_out(run):
    results.record("x", Ratio(0.25), by="a function", seed=())
    entries = recorded(run)
    del entries["environment"]
    found = {key: (entry["by"], entry["unit"], entry["seed"]) for key, entry in entries.items()}
    assert found == {
        "x.share": ("a function", "share of samples", []),
        "x.p": ("a function", "1", []),
        "x.several.1": ("a function", "share of samples", []),
        "x.several.2": ("a function", "share of samples", []),
        "x.parameters.alpha": ("a function", "1", []),
    }


def test_what_stands_under_the_name_of_a_unit_has_it_unless_it_says_another(run):
    found = {"accuracy": {"t": Ratio(0.25)}, "p_holm": {"frozen": {1: 0.5}}, "seconds": [1, 2.5]}
    results.record("x", found, unit="share of samples")
    units = {key: entry["unit"] for key, entry in recorded(run).items() if key[0] == "x"}
    assert units == {
        "x.accuracy.t.share": "share of samples",
        "x.accuracy.t.p": "1",
        "x.accuracy.t.several.1": "share of samples",
        "x.accuracy.t.several.2": "share of samples",
        "x.accuracy.t.parameters.alpha": "1",
        "x.p_holm.frozen.1": "1",
        "x.seconds.1": "count",
        "x.seconds.2": "second",
    }


def test_an_estimate_is_recorded_with_its_interval(run):
    results.record("share", proportion([True, True, True, False]), seed=[1, 2])
    results.record("bare", Estimate(0.5))
    found = recorded(run)
    share = proportion([True, True, True, False])
    assert found["share"] == {
        "value": 0.75,
        "by": "paper.tex",
        "interval": [share.low, share.high],
        "n": 4,
        "unit": "1",
        "seed": [1, 2],
    }
    assert found["bare"]["interval"] is None
    assert r"\resultvalue{share}{0.7500}{0.301}{0.954}{}" in tex_file(run).splitlines()
    assert r"\resultvalue{bare}{0.5000}" in tex_file(run).splitlines()


def test_values_are_unrounded_in_json_and_rounded_for_the_paper(run):
    results.record("third", np.float64(1 / 3))
    results.record("name", "a_b & c")
    assert recorded(run)["third"]["value"] == 1 / 3
    assert r"\resultvalue{third}{0.3333}" in tex_file(run)
    assert r"\resultvalue{name}{a\_b \& c}" in tex_file(run)


RIGHT = Estimate(0.93, 0.9007, 0.9511, 400)
LEAD = Estimate(-0.0125, -0.03126, 0.00626, 400)
SHARES = {  # value, unit and digits; what is printed of them
    "share": (RIGHT, "share of samples", 4, r"{93.0}{90.1}{95.1}{\,\%}"),
    "all": (Estimate(1.0, 0.9912, 1.0, 400), "share of samples", 4, r"{100.0}{99.1}{100.0}{\,\%}"),
    "kind": (0.0625, "share of all pixels", 4, "{6.2}"),
    "bare": (Estimate(0.5), "share of samples", 4, "{50.0}"),
    "lead": (LEAD, "difference of shares", 4, "{-1.2}{-3.1}{0.6}{}"),
    "tiny": (-0.0002, "difference of shares", 4, "{-0.02}"),
    "three": (0.93, "share of samples", 3, "{93.0}"),
    "two": (0.93, "share of samples", 2, "{93}"),
    "one": (0.93, "share of samples", 1, "{93}"),
    "many": (RIGHT, "share of samples", 8, r"{93.0}{90.1}{95.1}{\,\%}"),
    "count": (3, "share of samples", 4, "{3}"),
    "loss": (Estimate(0.25, 0.125, 0.5), "1", 4, "{0.2500}{0.125}{0.500}{}"),
    "shared": (0.25, "shared secret", 4, "{0.2500}"),
}


@pytest.mark.parametrize("name", SHARES)
def test_shares_are_printed_in_percent_and_recorded_as_they_are(run, name):
    value, unit, digits, printed = SHARES[name]
    results.record(name, value, unit=unit, digits=digits)
    entry = recorded(run)[name]
    assert entry["value"] == value
    if entry["interval"]:
        assert entry["interval"] == [value.low, value.high]
    assert rf"\resultvalue{{{name}}}{printed}" in tex_file(run).splitlines()


def test_parameters_are_printed_at_their_shortest(run):
    chosen = {"alpha": 1e-4, "C": 1000.0, "gamma": 0.016, "sizes": (64, 32), "kernel": "rbf"}
    results.record("x", {"svm": {"parameters": chosen, "test": 0.5}}, unit="share of samples")
    entries = recorded(run)
    assert entries["x.svm.parameters.gamma"]["unit"] == "1"
    lines = tex_file(run).splitlines()
    for key, printed in (
        *(("parameters.alpha", "0.0001"), ("parameters.c", "1000"), ("parameters.gamma", "0.016")),
        *(("parameters.sizes.2", "32"), ("parameters.kernel", "rbf"), ("test", "50.0")),
    ):
        assert rf"\resultvalue{{x.svm.{key}}}{{{printed}}}" in lines


def test_state_is_incomplete_until_the_end(run):
    results.record("x", 1)
    assert r"\resultstate{incomplete}{}" in tex_file(run)
    assert "resultvalue" not in tex_file(run)
    assert not (run.folder / "results.json").exists()
    run.pytex.cleanup()
    assert r"\resultstate{complete}{}" in tex_file(run)


def test_a_second_value_for_a_key_is_refused_but_the_same_is_none(run):
    results.record("x", 1)
    results.record("x", 1)
    with pytest.raises(ValueError, match="x is recorded twice, as 1 and as 2"):
        results.record("x", 2)


@pytest.mark.parametrize("names", [("<=50K", ">50K"), ("+", "yes")])
def test_names_that_keys_cannot_tell_apart_are_counted(run, names):
    results.record("classes", dict(zip(names, (3, 4), strict=True)))
    assert recorded(run).keys() - {"paper.n_claims"} == {"environment", "classes.1", "classes.2"}
    assert recorded(run)["classes.2"]["value"] == 4


@pytest.mark.parametrize("value", [None, True, np.True_, b"x", 1j, {1, 2}, np.zeros(2)], ids=repr)
def test_what_is_no_result_is_refused(run, value):
    with pytest.raises(TypeError, match="x cannot be"):
        results.record("x", value)


def test_a_second_document_is_refused(run, monkeypatch):
    (run.folder / "paper.tex").touch()
    monkeypatch.setattr(sys, "argv", ["pythontex-files-supplement/py.py"])
    with pytest.raises(RuntimeError, match=r"supplement.tex needs a folder of its own"):
        results.begin(run.pytex)


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": np.nan}, [1.0, np.inf]])
def test_what_is_not_finite_is_refused(run, value):
    with pytest.raises(ValueError, match="not a result"):
        results.record("x", value)


@pytest.mark.parametrize(
    "key", ["", "a b", "a%", "a{", "a#1", "ä", "a\\b", "a~", "a_b.c\n", "a..b", "a."]
)
def test_key_that_latex_cannot_read_is_refused(run, key):
    with pytest.raises(ValueError, match="is no key"):
        results.record(key, 1)


def test_recording_before_the_run_has_begun_is_refused(run, monkeypatch):
    monkeypatch.setattr(results, "_folder", "")
    monkeypatch.setattr(drawing, "_unprinted", {})  # of tests that draw in this process
    with pytest.raises(RuntimeError, match=r"call results.begin\(pytex\)"):
        results.record("x", 1)


def test_near_names(run):
    results.record("data", {"svm": {"test": 1, "train": 2}, "mlp": {"test": 3}})
    run.pytex.cleanup()
    assert results.near("data.smv.test")[0] == "data.svm.test"
    assert results.near("nothing like it") == []


def test_digests_of_what_was_read_and_written(run):
    run.pytex.cleanup()
    source = hashlib.md5((run.folder / "pycode/a.py").read_bytes()).hexdigest()
    record = hashlib.md5((run.folder / "results.json").read_bytes()).hexdigest()
    assert f"% read {source} file pycode/a.py\n" in tex_file(run)
    assert f"% wrote {record} file results.json\n" in tex_file(run)


def test_numbers_of_numpy_are_written_like_others(run):
    results.begin(run.pytex, seed=np.int64(3))  # type: ignore[arg-type]
    estimate = Estimate(np.float64(0.5), np.float32(0.25), np.float64(0.75), np.int64(8))  # type: ignore[arg-type]
    results.record("a", estimate)
    results.record("b", 1, seed=np.uint8(4))  # type: ignore[arg-type]
    for key, seeds in (("c", np.arange(2)), ("d", range(2)), ("e", (np.int32(0), 1))):
        results.record(key, 0.5, seed=seeds)  # type: ignore[arg-type]
    results.record("f", 1, seed=())
    found = recorded(run)
    assert found["a"]["seed"] == 3
    assert (found["a"]["interval"], found["a"]["n"]) == ([0.25, 0.75], 8)
    assert [found[key]["seed"] for key in "bcdef"] == [4, [0, 1], [0, 1], [0, 1], []]


def test_environment_is_no_key(run):
    with pytest.raises(ValueError, match="rename the key"):
        results.record("environment", 3)
