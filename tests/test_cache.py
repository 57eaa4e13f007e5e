"""What was computed once is remembered, and nothing that has changed is."""

import copy
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joblib import delayed
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from conftest import ROOT, Paper
from pycode import cache, parallel, source, tex
from pycode.data import Dataset

HELPERS = '''
"""Beside pycode, two calls below what is remembered."""

WEIGHT = 1.0


def rate(fitted, X, y):
    """The accuracy."""
    return share(fitted.predict(X) == y)


def share(right, factor=1.0):
    """The mean."""
    # a comment
    return float(right.mean() * factor * WEIGHT)


def unrelated():
    """Nothing."""
    return 1
'''
# Notes each fit, and can pretend to another version of scikit-learn.
COUNTER = """
import os
try:
    import sklearn, sklearn.svm, sklearn.linear_model, sklearn.ensemble, sklearn.neural_network
    import sklearn.naive_bayes
except ImportError:  # PythonTeX's own Python
    pass
else:
    sklearn.__version__ = os.environ.get("SKLEARN", sklearn.__version__)
    def counted(kind, fit):
        def count(self, *args, **kwargs):
            with open(os.environ["FITS"], "a") as file:
                file.write(kind + "\\n")
            return fit(self, *args, **kwargs)
        return count
    for kind in (sklearn.svm.SVC, sklearn.linear_model.LogisticRegression,
                 sklearn.ensemble.RandomForestClassifier, sklearn.neural_network.MLPClassifier,
                 sklearn.naive_bayes.GaussianNB):
        kind.fit = counted(kind.__name__, kind.fit)
"""
EACH = ("LogisticRegression", "RandomForestClassifier", "SVC", "MLPClassifier")
ALL = {**dict.fromkeys(EACH, 7), "MLPClassifier": 16}
FOLDS = {**dict.fromkeys(EACH, 6), "MLPClassifier": 15}
EVALUATION = "fitted.score(X[test], y[test])"


class Study:
    """A folder with a study in it, whose fits are counted."""

    def __init__(self, paper: Paper) -> None:
        self.paper, self.folder = paper, paper.folder

    def build(self, *, options: tuple[str, ...] = (), **env: str) -> Counter[str]:
        fits = self.folder / "fits"
        fits.unlink(missing_ok=True)
        env = {"FITS": str(fits), "PYTHONPATH": str(self.folder / "counter"), **env}
        build = self.paper.run("latexmk", *options, **env)
        assert build.code == 0, build.output
        return Counter(fits.read_text().split() if fits.exists() else [])

    def results(self) -> tuple[object, list[str]]:
        return json.loads(self.paper.read("results.json")), self.paper.pages()

    def forget(self) -> None:
        shutil.rmtree(self.folder / ".cache")


@pytest.fixture(scope="module")
def counted_study(built_study: Paper, tmp_path_factory: pytest.TempPathFactory) -> Study:
    paper = built_study.copy(tmp_path_factory.mktemp("counted") / "paper")
    (paper.folder / "helpers.py").write_text(HELPERS, encoding="utf-8")
    paper.edit("pycode/evaluation.py", EVALUATION, "helpers.rate(fitted, X[test], y[test])")
    paper.edit("pycode/evaluation.py", "import pickle\n", "import pickle\nimport helpers\n")
    counter = paper.folder / "counter/sitecustomize.py"
    counter.parent.mkdir()
    counter.write_text(COUNTER, encoding="utf-8")
    study = Study(paper)
    assert study.build() == ALL  # the last point of the learning curve is fitted once
    return study


@pytest.fixture
def study(counted_study: Study, tmp_path: Path) -> Study:
    shutil.copytree(counted_study.folder, tmp_path / "paper", symlinks=True)
    return Study(Paper(tmp_path / "paper"))


HARMLESS = [
    ("paper.tex", "A word", "Another word"),
    ("paper.tex", "A caption", "Another caption"),
    ("paper.tex", "best = ev", 'results.record("x", 1)\nbest = ev'),
    ("pycode/paper.mplstyle", "0072B2", "0072B3"),
    ("helpers.py", "return 1", "return 2"),
    ("helpers.py", "# a comment", "# a remark\n    # in two lines"),
    ("helpers.py", "The mean", "The arithmetic mean"),
    ("helpers.py", "right.mean() * factor", "right.mean()  *  factor"),
]
EDITS = {
    "logistic": ("pycode/models.py", "max_iter=200", "max_iter=201", {"LogisticRegression": 7}),
    "forest": ("pycode/models.py", "ators=5", "ators=6", {"RandomForestClassifier": 7}),
    "SVM": ("pycode/models.py", "C=1.0", "C=2.0", {"SVC": 7}),
    "MLP": ("pycode/models.py", "(4,)", "(5,)", {"MLPClassifier": 10}),
    "models' seed": ("pycode/models.py", "seed=0", "seed=1", {**ALL, "MLPClassifier": 10}),
    "a model": (
        "pycode/models.py",
        '"SVM": ',
        '"bayes": GaussianNB(),\n        "SVM": ',
        {"GaussianNB": 7},
    ),
    "data seed": ("paper.tex", "seed=1", "seed=2", ALL),
    "split": ("paper.tex", "test_size=0.4", "test_size=0.25", ALL),
    "folds": ("paper.tex", "split, cv=3)\nres", "split, cv=4)\nres", {**dict.fromkeys(EACH, 8)}),
    "grid": ("paper.tex", "[0.001, 0.1]", "[0.001, 0.1, 1]", {"MLPClassifier": 3}),
    "deep helper": ("helpers.py", "right.mean() *", "1 - right.mean() *", FOLDS),
    "constant": ("helpers.py", "WEIGHT = 1.0", "WEIGHT = 0.5", FOLDS),
    "default argument": ("helpers.py", "factor=1.0", "factor=0.5", FOLDS),
}


@pytest.mark.parametrize("name", EDITS)
def test_warm_build_is_like_a_cold_one_and_fits_what_it_must(study, name):
    file, old, new, fits = EDITS[name]
    study.paper.edit(file, old, new)
    assert study.build() == fits
    assert_like_a_cold_build(study)


def test_harmless_edits_fit_nothing(study):
    for edit in HARMLESS:
        study.paper.edit(*edit)
    assert study.build() == {}
    assert "Another word" in study.paper.pages()[0]
    assert_like_a_cold_build(study)


def assert_like_a_cold_build(study: Study) -> None:
    warm = study.results()
    study.forget()
    study.paper.run("latexmk", "-C")
    study.build()
    assert study.results() == warm


def test_other_version_of_a_library_computes_anew(study):
    study.paper.run("latexmk", "-C")
    assert study.build(SKLEARN="9.9.9") == ALL
    study.paper.run("latexmk", "-C")
    assert study.build() == {}


def test_forced_builds_are_warm(study):
    study.paper.run("latexmk", "-C")
    assert study.build() == {}
    before = study.results()
    fits = study.folder / "fits"
    counter = {"FITS": str(fits), "PYTHONPATH": str(study.folder / "counter")}
    done = study.paper.run("pythontex", "--rerun=always", "paper", **counter)
    assert done.code == 0
    assert not fits.exists()
    assert study.results() == before


def test_first_build_of_cocalc_fits_once(study):
    study.forget()
    study.paper.run("latexmk", "-C")
    assert study.build(options=("-output-directory=elsewhere",)) == ALL
    assert study.build() == {}


@pytest.mark.parametrize("workers", ["1", "2", "8"])
def test_results_do_not_depend_on_the_number_of_workers(study, workers):
    before = study.results()
    study.forget()
    study.paper.run("latexmk", "-C")
    assert study.build(PYCODE_WORKERS=workers, PYCODE_CACHE="off") == {
        **ALL,
        "MLPClassifier": 19,  # without memory nothing is known of the learning curve's end
    }
    assert study.results() == before
    assert not (study.folder / ".cache").exists()


# Below, calls of a function that notes in a file when it is computed.


def double(x, log: str):
    with open(log, "a", encoding="utf-8") as file:
        file.write("computed\n")
    return x * 2


class Store:
    """An empty cache in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder.parent / "log"

    def doubled(self, *values) -> tuple[list, int]:
        """The doubles, from a process that has just begun, and how many were computed."""
        cache._memory.cache_clear()
        cache._warned.clear()
        self.log.write_text("")
        found = cache.compute([delayed(double)(value, str(self.log)) for value in values])
        return found, len(self.log.read_text().split())

    def entries(self) -> list[Path]:
        return sorted(self.folder.rglob("output.pkl"))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("PYCODE_CACHE", raising=False)
    yield Store(tmp_path / "cache")
    cache._memory.cache_clear()
    cache._warned.clear()


def test_equal_calls_are_computed_once(store):
    rows = np.arange(3.0)
    found, computed = store.doubled(rows, rows.copy(), rows + 1, 1, 1.0, True, "1")
    assert [np.sum(value) if isinstance(value, np.ndarray) else value for value in found] == [
        *(6.0, 6.0, 12.0),
        *(2, 2.0, 2, "11"),
    ]
    assert computed == 6
    assert store.doubled(rows, 1, "1")[1] == 0


def test_values_are_copies(store):
    (first, second), _ = store.doubled([1], [1])
    first.append(2)
    assert second == [1, 1]
    assert store.doubled([1])[0] == [[1, 1]]


DAMAGES = {
    "truncated": lambda entry: entry.write_bytes(entry.read_bytes()[:50]),
    "emptied": lambda entry: entry.write_bytes(b""),
    "noise": lambda entry: entry.write_bytes(os.urandom(200)),
    "one bit": lambda entry: entry.write_bytes(
        bytes(
            byte ^ (n == len(entry.read_bytes()) - 12) for n, byte in enumerate(entry.read_bytes())
        )
    ),
    "a folder": lambda entry: (entry.unlink(), entry.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entry_is_computed_again_with_a_warning(store, damage):
    store.doubled(21)
    DAMAGES[damage](*store.entries())
    with pytest.warns(UserWarning, match="cannot be remembered"):
        assert store.doubled(21) == ([42], 1)
    if damage != "a folder":
        assert store.doubled(21) == ([42], 0)


def test_entry_of_another_call_is_not_taken(store):
    store.doubled(1, 2)
    one, other = store.entries()
    other.write_bytes(one.read_bytes())
    with pytest.warns(UserWarning, match="cannot be remembered"):
        found, computed = store.doubled(1, 2)
    assert (found, computed) == ([2, 4], 1)


def test_whatever_the_folder_is_the_value_is_right(store):
    store.folder.write_text("no folder")
    with pytest.warns(UserWarning, match="cannot be remembered"):
        assert store.doubled(21) == ([42], 1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("option", ["ro", "size=4k"], ids=["read-only", "full"])
def test_folder_that_cannot_be_written(store, option):
    store.folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", option, "none", str(store.folder)]
    subprocess.run(mount, check=True)
    try:
        with pytest.warns(UserWarning, match="cannot be remembered"):
            assert store.doubled(21, "x" * 5000) == ([42, "x" * 10000], 2)
    finally:
        subprocess.run(["umount", str(store.folder)], check=True)


def test_remembered_in_a_folder_that_became_read_only(store):
    store.doubled(21)
    if os.getuid() == 0:
        bind = ["mount", "--bind", str(store.folder), str(store.folder)]
        subprocess.run(bind, check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(store.folder)], check=True)
    else:
        for path in (store.folder, *store.folder.rglob("*")):
            path.chmod(path.stat().st_mode & 0o555)
    try:
        assert store.doubled(21) == ([42], 0)
        with pytest.warns(UserWarning, match="cannot be remembered"):
            assert store.doubled(21, 22) == ([42, 44], 1)
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", str(store.folder)], check=True)
        else:
            for path in (store.folder, *store.folder.rglob("*")):
                path.chmod(path.stat().st_mode | 0o700)


def test_folder_of_somebody_else_is_not_read(store, tmp_path, monkeypatch):
    store.doubled(21)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another's"))
    assert store.doubled(21) == ([42], 1)


def test_without_a_secret_nothing_is_remembered(store, tmp_path):
    store.doubled(21)
    (tmp_path / "state/pycode/secret").write_text("..")
    with pytest.warns(UserWarning, match="holds no secret"):
        assert store.doubled(21) == ([42], 1)


def test_what_no_build_has_used_for_a_month_is_dropped(store, monkeypatch):
    today = cache._today()
    store.doubled(1, 2)
    for entry in store.entries():
        last_month = (today - 31) * 86400
        os.utime(entry, (last_month, last_month))
    monkeypatch.setattr(cache, "_today", lambda: today + 1)
    store.doubled(1)
    cache.drop_old()
    assert len(store.entries()) == 1
    assert store.doubled(1, 2) == ([2, 4], 1)


def test_clock_set_back_does_no_harm(store, monkeypatch):
    store.doubled(1)
    today = cache._today()
    monkeypatch.setattr(cache, "_today", lambda: today - 400)
    assert store.doubled(1) == ([2], 0)
    cache.drop_old()
    assert store.doubled(1) == ([2], 0)


def coefficients(estimator: Any, X, y, log: str):
    with open(log, "a", encoding="utf-8") as file:
        file.write("fitted\n")
    return estimator.fit(X, y).coef_


@pytest.mark.parametrize(("seed", "fits"), [(None, 4), (0, 1)])
def test_model_without_a_seed_is_fitted_each_time(store, seed, fits):
    X, y = np.arange(8.0).reshape(4, 2), np.array([0, 0, 1, 1])
    call = delayed(coefficients)(LogisticRegression(random_state=seed), X, y, str(store.log))
    for _ in range(2):
        cache.compute([call, call])
    assert len(store.log.read_text().split()) == fits


# What a function reaches.

LEVEL = 1


def deep(x, step=1):
    return x + step + LEVEL


def above(x):
    """Says."""
    return deep(x)


def unseen(x):
    return x


class Shape:
    side = 1

    def area(self):
        return self.side**2

    @property
    def double(self):
        return above(self.side)


def outer(x):
    shapes = [Shape() for _ in range(x)]
    return sum(shape.area() for shape in shapes)


def local(x):
    from pycode import tex

    return tex.num(x)


def edited(monkeypatch, function, **changes):
    """The fingerprints of a function before and after something in this module changes."""
    module = sys.modules[__name__]
    before = source.fingerprint(function)
    assert before == source.fingerprint(function)
    for name, value in changes.items():
        monkeypatch.setattr(module, name, value)
    return before, source.fingerprint(function)


def other_deep(x, step=1):
    return x + step + LEVEL * 1


def other_default(x, step=2):
    return x + step + LEVEL


class OtherShape(Shape):
    def area(self):
        return self.side**3


@pytest.mark.parametrize(
    ("function", "changes"),
    [
        (above, {"LEVEL": 2}),
        (above, {"deep": other_deep}),
        (above, {"deep": other_default}),
        (outer, {"Shape": OtherShape}),
        (outer, {"deep": other_deep}),  # which a property of Shape calls
        (Shape(), {"deep": other_deep}),
        ([1, above], {"deep": other_deep}),
        ({"f": above}, {"deep": other_deep}),
        (functools.partial(above, 1), {"deep": other_deep}),
        (functools.cache(above), {"deep": other_deep}),
        (FunctionTransformer(above), {"deep": other_deep}),
        (make_pipeline(FunctionTransformer(above), LogisticRegression()), {"deep": other_deep}),
        (make_scorer(above), {"deep": other_deep}),
        (lambda x: above(x), {"deep": other_deep}),
    ],
)
def test_fingerprint_changes_with_what_is_reached(monkeypatch, function, changes):
    before, after = edited(monkeypatch, function, **changes)
    assert before != after


def test_fingerprint_reaches_modules_imported_inside(monkeypatch):
    before = source.fingerprint(local)
    monkeypatch.setattr(tex, "num", deep)
    assert source.fingerprint(local) != before


def test_fingerprint_does_not_change_with_what_is_not_reached(monkeypatch):
    before, after = edited(monkeypatch, above, unseen=deep, Shape=OtherShape)
    assert before == after
    monkeypatch.setattr(above, "__doc__", "Says something else.")
    assert source.fingerprint(above) == before


def test_what_belongs_to_the_paper(tmp_path):
    (tmp_path / "link").symlink_to(ROOT)
    for own in ("pycode/data.py", "helpers.py", "more/of.py"):
        assert source._in_paper(str(tmp_path / "link" / own))
    for other in ("env/lib/python3.11/site-packages/a.py", ".venv/lib/python3/site-packages/b.py"):
        assert not source._in_paper(str(ROOT / other))
    made = FunctionType(above.__code__, {})
    made.__module__ = "of no module"
    assert all(map(source.is_own, (above, Shape, Shape(), source, made)))
    assert not any(map(source.is_own, (np, np.mean, LogisticRegression, json, len, int)))


def test_fingerprint_tells_apart_what_is_swapped():
    one, two = Dataset(np.zeros((1, 1)), np.zeros(1, int), ("a", "b")), LogisticRegression()
    assert source.fingerprint({"x": one, "y": two}) != source.fingerprint({"x": two, "y": one})
    assert source.fingerprint([above, deep, above]) != source.fingerprint([above, deep, deep])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(values, values)
def test_fingerprints_are_equal_for_equal_values_alone(one, other):
    assert source.fingerprint(one) == source.fingerprint(copy.deepcopy(one))
    if repr(one) != repr(other):
        assert source.fingerprint(one) != source.fingerprint(other)


# Where it is computed.


class Constant(ClassifierMixin, BaseEstimator):
    """A classifier of the paper's own."""

    def fit(self, X, y):
        self.classes_, self.pid_ = np.unique(y), os.getpid()
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def fitted(estimator, X, y):
    model: Any = clone(estimator)
    return model.fit(X, y)


@pytest.fixture
def workers(store, monkeypatch):
    monkeypatch.setattr(parallel, "FEW", 0)
    monkeypatch.setenv("PYCODE_WORKERS", "2")


def test_workers_compute_with_the_papers_own_classes(store, workers):
    X, y = np.arange(8.0).reshape(4, 2), np.array([0, 0, 1, 1])
    call = delayed(fitted)(Constant(), X, y)
    for _ in range(2):
        [model] = cache.compute([call])
        assert type(model) is Constant
        assert model.pid_ != os.getpid()
        assert list(model.predict(X)) == [0, 0, 0, 0]


def fragile(x, parent: int):
    if os.getpid() != parent and x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_killed_worker_is_done_without(store, workers):
    with pytest.warns(UserWarning, match="a worker was killed"):
        found = cache.compute([delayed(fragile)(x, os.getpid()) for x in range(6)])
    assert found == list(range(6))


def failing(x):
    raise ValueError(f"no {x}")


def test_error_in_a_worker_is_raised_here(store, workers):
    with pytest.raises(ValueError, match="no 1"):
        cache.compute([delayed(failing)(1)])
