"""What was computed once is remembered, and nothing that has changed is."""

import collections  # noqa: F401
import copy
import ctypes
import functools
import importlib
import json
import operator  # noqa: F401
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import types
import weakref  # noqa: F401
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import delayed
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier, VotingClassifier  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, ShuffleSplit, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from literate import cache, chance, inputs, parallel, source, tex
from literate.testing import ROOT, Paper
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
    """Return one."""
    return 1
'''
# Notes each fit, and can pretend to another version of scikit-learn.
COUNTER = """
import os
FITS = os.path.join(os.path.dirname(__file__), "../../fits")
try:
    import sklearn, sklearn.svm, sklearn.linear_model, sklearn.ensemble, sklearn.neural_network
    import sklearn.naive_bayes
except ImportError:  # PythonTeX's own Python
    pass
else:
    sklearn.__version__ = os.environ.get("SKLEARN", sklearn.__version__)
    def counted(kind, fit):
        def count(self, *args, **kwargs):
            with open(FITS, "a") as file:
                file.write(kind + "\\n")
            return fit(self, *args, **kwargs)
        return count
    for kind in (sklearn.svm.SVC, sklearn.linear_model.LogisticRegression,
                 sklearn.ensemble.RandomForestClassifier, sklearn.neural_network.MLPClassifier,
                 sklearn.naive_bayes.GaussianNB):
        kind.fit = counted(kind.__name__, kind.fit)
"""
EACH = ("LogisticRegression", "RandomForestClassifier", "SVC", "MLPClassifier")
ALL = {**dict.fromkeys(EACH, 4), "MLPClassifier": 16}
FOLDS = {**dict.fromkeys(EACH, 3), "MLPClassifier": 15}
EVALUATION = "found(*parts[1])"


class Study:
    """A folder with a study in it, whose fits are counted."""

    def __init__(self, paper: Paper) -> None:
        self.paper, self.folder = paper, paper.folder
        self.fits = paper.folder.parent / "fits"  # what a fit writes in the paper's folder counts

    def build(self, *, options: tuple[str, ...] = (), **env: str) -> Counter[str]:
        fits = self.fits
        fits.unlink(missing_ok=True)
        env = {"PYTHONPATH": str(self.folder / "counter"), **env}
        env.setdefault("PYCODE_AUDIT", "off")
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
    paper.edit("pycode/evaluation.py", EVALUATION, "helpers.rate(fitted, *parts[1])")
    paper.edit("pycode/evaluation.py", "import warnings\n", "import helpers\nimport warnings\n")
    counter = paper.folder / "counter/sitecustomize.py"
    counter.parent.mkdir()
    counter.write_text(COUNTER, encoding="utf-8")
    study = Study(paper)
    assert study.build() == ALL
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
# In each group a build after each step fits what it must, and the last is like a cold one.  The
# edits of a step are of values that do not depend on each other.
MODELS = "pycode/models.py"
EDITS: dict[str, list[tuple[list[tuple[str, str, str]], dict[str, int]]]] = {
    "models": [
        (
            [
                (MODELS, "max_iter=200", "max_iter=201"),
                (MODELS, "ators=5", "ators=6"),
                (MODELS, "(4,)", "(5,)"),
            ],
            {"LogisticRegression": 4, "RandomForestClassifier": 4, "MLPClassifier": 10},
        ),
        ([(MODELS, "C=1.0", "C=2.0")], {"SVC": 4}),
        ([(MODELS, '"SVM": ', '"bayes": GaussianNB(),\n        "SVM": ')], {"GaussianNB": 4}),
        ([(MODELS, "seed=0", "seed=1")], {**ALL, "MLPClassifier": 10}),
    ],
    "data": [
        ([("paper.tex", "seed=1", "seed=2")], ALL),
        ([("paper.tex", "test_size=0.4", "test_size=0.25")], ALL),
        (
            [
                ("paper.tex", "cv=3, repeats=1", "cv=4, repeats=1"),
                ("paper.tex", "[0.001, 0.1]", "[0.001, 0.1, 1]"),
            ],
            {**dict.fromkeys(EACH, 4), "MLPClassifier": 7},
        ),
    ],
    "helpers": [  # of a constant, of code, and of a default argument
        ([("helpers.py", "WEIGHT = 1.0", "WEIGHT = 0.5")], FOLDS),
        ([("helpers.py", "right.mean() *", "1 - right.mean() *")], FOLDS),
        ([("helpers.py", "factor=1.0", "factor=0.5")], FOLDS),
    ],
}


@pytest.mark.parametrize("name", EDITS)
def test_warm_build_is_like_a_cold_one_and_fits_what_it_must(study, name):
    for edits, fits in EDITS[name]:
        for edit in edits:
            study.paper.edit(*edit)
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
    fits = study.fits
    fits.unlink(missing_ok=True)
    counter = {"PYTHONPATH": str(study.folder / "counter"), "PYCODE_AUDIT": "off"}
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
    assert study.build(PYCODE_WORKERS=workers, PYCODE_CACHE="off") == ALL
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
        cache._secret.cache_clear()
        cache._warned.clear()
        self.log.write_text("")
        found = cache.compute([delayed(double)(value, str(self.log)) for value in values])
        return found, len(self.log.read_text().split())

    def entries(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("PYCODE_CACHE", raising=False)
    monkeypatch.setenv("PYCODE_AUDIT", "off")
    yield Store(tmp_path / "cache")
    cache._secret.cache_clear()
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
    with pytest.warns(UserWarning, match="is damaged"):
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


def test_what_no_build_has_used_for_a_month_is_dropped(store):
    store.doubled(1, 2)
    for entry in store.entries():
        last_month = time.time() - 31 * 86400
        os.utime(entry, (last_month, last_month))
    store.doubled(1)
    (store.folder / "of version 1").mkdir()
    cache.drop_old()
    assert len(store.entries()) == 1
    assert store.doubled(1, 2) == ([2, 4], 1)


def test_clock_set_back_does_no_harm(store):
    store.doubled(1)
    (entry,) = store.entries()
    os.utime(entry, (4e9, 4e9))
    assert store.doubled(1) == ([2], 0)
    cache.drop_old()
    assert store.doubled(1) == ([2], 0)


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
    from literate import tex

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
        assert not inputs.is_library(str(tmp_path / "link" / own))
    for other in ("env/lib/python3.11/site-packages/a.py", ".venv/lib/python3/site-packages/b.py"):
        assert inputs.is_library(str(ROOT / other))
    made = FunctionType(above.__code__, {})
    made.__module__ = "of no module"
    assert all(map(source.is_own, (above, Shape, Shape(), tex, made)))
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


@given(st.lists(st.text() | st.integers() | st.floats(allow_nan=False), unique=True))
def test_fingerprint_of_a_set_does_not_depend_on_how_it_has_grown(items):
    for kind in (set, frozenset):
        assert source.fingerprint(kind(items)) == source.fingerprint(kind(reversed(items)))
        assert source.fingerprint(kind(items)) != source.fingerprint(kind([*items, "another"]))


# Where it is computed.


class Constant(ClassifierMixin, BaseEstimator):
    """A classifier of the paper's own."""

    @property
    def is_constant(self):
        return True

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
        assert model.is_constant
        assert model.pid_ != os.getpid()
        assert list(model.predict(X)) == [0, 0, 0, 0]


def scored(metric, x):
    return os.getpid(), metric is noted, isinstance(x, Constant)


def test_arguments_with_code_are_those_of_the_function_in_workers(store, workers):
    given = [(noted, 1), (fragile, Constant()), (len, Constant()), (noted, Constant())]
    found = cache.compute([delayed(scored)(*arguments) for arguments in given])
    assert os.getpid() not in [pid for pid, *_ in found]
    expected = [(metric is noted, isinstance(x, Constant)) for metric, x in given]
    assert [tuple(rest) for _, *rest in found] == expected


def fragile(x, parent: int):
    if os.getpid() != parent and x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_killed_worker_is_done_without(store, workers):
    with pytest.warns(UserWarning, match="a worker was killed"):
        found = cache.compute([delayed(fragile)(x, os.getpid()) for x in range(6)])
    assert found == list(range(6))


def noted(x, y=0, *, log: str):
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{x}\n")
    return x + y


def test_a_remembered_function_is_called_as_before_and_many_times_by_its_map(store, monkeypatch):
    monkeypatch.setenv("PYCODE_WORKERS", "1")
    function: Any = cache.remembered(noted)
    log = str(store.log)
    assert (function.__name__, function.__doc__) == ("noted", None)
    assert function(1, 2, log=log) == function(y=2, x=1, log=log) == 3
    assert function.map([1, 2, 3], [2, 2, 2], log=log) == [3, 4, 5]
    assert function.map(range(1, 4), y=2, log=log) == [3, 4, 5]
    assert store.log.read_text().split() == ["1", "3", "2"]  # the last call starts first
    with pytest.raises(ValueError, match="zip"):
        function.map([1, 2], [1], log=log)
    with pytest.raises(TypeError, match="z"):
        function(1, z=1, log=log)


def growing(x):
    if x > 3:  # more than a worker may grow by
        sys.grown = [*getattr(sys, "grown", []), np.ones(60_000_000)]  # pyright: ignore
        time.sleep(1.1)  # a worker looks at its size each second
    return x


def test_worker_that_grows_is_replaced_without_an_end(store, workers):
    for some in (range(4), range(4, 8)):
        assert cache.compute([delayed(growing)(x) for x in some]) == list(some)


def failing(x):
    raise ValueError(f"no {x}")


def test_error_in_a_worker_is_raised_here(store, workers):
    with pytest.raises(ValueError, match="no 1"):
        cache.compute([delayed(failing)(1)])


# What a value depends on: warm, cold, here and elsewhere it is what the code says now.

STUDY = """
import collections, functools, os
import numpy as np
from pathlib import Path

CONSTANT = 1
HERE = Path(__file__).parent


def inner(x):
    return x + CONSTANT


def cost(y, z):
    return float((y != z).mean())


@functools.singledispatch
def by_type(x):
    return inner(x)


@by_type.register
def _(x: list):
    return 0


def outer(x):
    return inner(x)


outer.scale = inner


class Meta(type):
    def made(cls):
        return inner(1)


class Base(metaclass=Meta):
    def method(self):
        return inner(1)


class Held:
    def __init__(self, item):
        self.item = item


class Hiding(Held):
    def __getstate__(self):
        return {}


Pair = collections.namedtuple("Pair", "a b")


def with_import():
    from .sub import deep

    return deep()


def through_getattr(name="inner"):
    import study.sub

    return getattr(study.sub, name)()


def evaluated():
    return eval("inner(1)")
"""
SUB = """
def deep():
    return deeper()


def deeper():
    return 1
"""
# What reaches `inner`, and what reaches `deeper` in a module that only a function imports.
REACHING = {
    "a scorer": "make_scorer(study.outer)",
    "a search": "GridSearchCV(LogisticRegression(), {}, scoring=make_scorer(study.outer))",
    "an estimator's arguments": "FunctionTransformer(str, kw_args={'f': study.outer})",
    "a grid": "{'transform': [study.outer, None]}",
    "a list of estimators": "VotingClassifier([('a', FunctionTransformer(study.outer))])",
    "a vectorized function": "np.vectorize(study.outer)",
    "a ufunc": "np.frompyfunc(study.outer, 1, 1)",
    "singledispatch": "study.by_type",
    "a function's attribute": "study.outer",
    "a set": "{study.outer}",
    "a deque": "collections.deque([study.outer])",
    "an array of objects": "np.array([study.outer, None], dtype=object)",
    "a namedtuple": "study.Pair(study.outer, 1)",
    "a class with a metaclass": "study.Base",
    "an instance": "study.Base()",
    "a bound method": "study.Base().method",
    "an attribute": "study.Held(study.outer)",
    "an attribute that pickle does not see": "study.Hiding(study.outer)",
    "a closure": "(lambda f: lambda x: f(x))(study.outer)",
    "a library's closure": "operator.methodcaller('x', study.outer)",
    "partial": "functools.partial(study.outer, 1)",
    "lru_cache": "functools.lru_cache(study.outer)",
    "a mapping that is read only": "types.MappingProxyType({'f': study.outer})",
    "a weak reference": "weakref.ref(study.outer)",
    "a cycle": "cycle(study.outer)",
    "a generator": "(study.outer(x) for x in [1])",
    "a lock beside it": "study.Held([threading.Lock(), study.outer])",
    "a relative import inside": "study.with_import",
    "a module by name": "study.through_getattr",
    "eval": "study.evaluated",
    "the module": "study",
}


KNOWN_BY_ALL_CODE = {"a generator", "eval", "a ufunc", "the module", "a module by name"}


def cycle(item: Any) -> list[Any]:
    found = [item]
    found.append(found)
    return found


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that imports the package `study` anew, as its files are now."""
    folder = tmp_path / "modules/study"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(STUDY)
    (folder / "sub.py").write_text(SUB)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load() -> Any:
        for name in [name for name in sys.modules if name.split(".")[0] == "study"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module("study")

    yield folder, load
    for name in [name for name in sys.modules if name.split(".")[0] == "study"]:
        del sys.modules[name]


@pytest.mark.parametrize("how", REACHING)
def test_an_edit_of_what_is_reached_is_seen_and_nothing_else(package, how):
    folder, load = package

    def fingerprint(file: str, old: str, new: str) -> str:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))
        inputs._process().__dict__.pop("unknown", None)  # as in a run that has just begun
        return source.fingerprint(eval(REACHING[how], globals() | {"study": load()}))

    inside = how in ("a relative import inside", "a module by name")
    edit = ("sub.py", "return 1", "return 2") if inside else ("__init__.py", "x + C", "x - C")
    before = fingerprint("__init__.py", "CONSTANT", "CONSTANT")
    commented = fingerprint("__init__.py", "def cost(", "# a comment\ndef cost(")
    assert commented == before or how in KNOWN_BY_ALL_CODE
    before = fingerprint("__init__.py", "CONSTANT", "CONSTANT")
    assert fingerprint(*edit) != before


WAYS = {  # in which a function can reach another
    "a call": "{f}()",
    "a list": "[{f}][0]()",
    "a mapping": "{{'f': {f}}}['f']()",
    "a partial": "functools.partial({f})()",
    "a default": "(lambda f={f}: f())()",
    "a closure": "(lambda f: (lambda: f()))({f})()",
    "a set": "next(iter({{{f}}}))()",
    "a class": "type('A', (), {{'m': staticmethod({f})}}).m()",
    "a variable": "TABLE['{f}']()",
    "a generator": "sum({f}() for _ in [1])",
    "a library object": "FunctionTransformer(lambda X: {f}()).transform([[1]])",
    "a module": "getattr(SELF, '{f}')()",
}


@given(st.data())
@settings(max_examples=60)
def test_any_edit_of_what_is_reached_computes_anew_and_no_other_does(data):
    n = 5
    uses = [
        data.draw(
            st.lists(
                st.tuples(st.integers(i + 1, n - 1), st.sampled_from(sorted(WAYS))), max_size=2
            )
        )
        if i < n - 1
        else []
        for i in range(n)
    ]
    edited = data.draw(st.integers(0, n - 1))

    def module(constants: list[int]) -> Any:
        lines = ["import functools", "import numpy as np"]
        lines += [
            "from sklearn.preprocessing import FunctionTransformer, StandardScaler",
            "TABLE = {}",
        ]
        for i in reversed(range(n)):
            calls = [WAYS[way].format(f=f"f{j}") for j, way in uses[i]]
            lines += [f"def f{i}():", f"    return {' + '.join([str(constants[i]), *calls])}"]
            lines.append(f"TABLE['f{i}'] = f{i}")
        made: Any = types.ModuleType("random_study")
        made.__file__ = str(ROOT / "random_study.py")
        sys.modules["random_study"] = made.SELF = made
        exec("\n".join(lines), made.__dict__)
        return made

    try:
        before = module([1] * n)
        known = source.fingerprint(before.f0)
        value = before.f0()
        after = module([1 + (i == edited) for i in range(n)])
        assert (source.fingerprint(after.f0) != known) >= (after.f0() != value)
        assert source.fingerprint(module([1] * n).f0) == known
        if not any(way in ("a variable", "a module") for found in uses for _, way in found):
            assert (source.fingerprint(after.f0) != known) == (after.f0() != value)
    finally:
        del sys.modules["random_study"]


DIFFERENT = {
    "a mask": "np.ma.array([1, 2], mask=[0, 1])",
    "another mask": "np.ma.array([1, 2], mask=[1, 0])",
    "an array": "np.array([1, 2])",
    "a record array": "np.array([1, 2]).view(np.recarray)",
    "an order of keys": "{'a': 1, 'b': 2}",
    "another order": "{'b': 2, 'a': 1}",
    "a record": "np.array([(1, 2)], dtype=[('a', int), ('b', int)])",
    "other names": "np.array([(1, 2)], dtype=[('b', int), ('a', int)])",
    "an attribute of an array": "tagged('a')",
    "another attribute": "tagged('b')",
    "an attribute that is no field": "beside('a')",
    "another that is none": "beside('b')",
    "a deque": "collections.deque([1, 2])",
    "a bounded deque": "collections.deque([1, 2], maxlen=2)",
    "zero": "0.0",
    "negative zero": "-0.0",
}


class Tagged(np.ndarray):
    tag: str


def tagged(tag: str) -> Tagged:
    array = np.arange(2).view(Tagged)
    array.tag = tag
    return array


@dataclass
class Beside:
    field: int = 1


def beside(other: str) -> Beside:
    made: Any = Beside()
    made.other = other
    return made


def test_what_differs_is_told_apart():
    found = {name: source.fingerprint(eval(text)) for name, text in DIFFERENT.items()}
    assert len(set(found.values())) == len(DIFFERENT)
    again = {name: source.fingerprint(eval(text)) for name, text in DIFFERENT.items()}
    assert again == found


def test_a_file_that_is_mapped_to_memory_counts_by_its_content(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(10.0))
    mapped = np.load(path, mmap_mode="r")
    before = source.fingerprint(mapped)
    assert before == source.fingerprint(np.load(path, mmap_mode="r"))
    np.save(path, np.arange(10.0)[::-1])
    assert source.fingerprint(np.load(path, mmap_mode="r")) != before


def kind_of(X):
    return type(X).__name__, X.flags.writeable, float(X[-1])


@pytest.mark.parametrize("n", ["1", "2"])
def test_a_file_that_is_mapped_to_memory_is_not_copied(store, workers, monkeypatch, tmp_path, n):
    monkeypatch.setenv("PYCODE_WORKERS", n)
    np.save(tmp_path / "rows.npy", np.arange(10.0))
    X = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert cache.compute([delayed(kind_of)(X)] * 2) == [("memmap", False, 9.0)] * 2


def test_search_over_numbers_is_described(store):
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, y)
    assert source.fingerprint(search) == source.fingerprint(copy.deepcopy(search))


def scaled(x, scale=1):
    return x if scale == 1 else (x, scale)


def test_arguments_by_position_and_by_name_are_told_apart(store):
    calls = [delayed(scaled)("scale", 2), delayed(scaled)(x="scale", scale=2)]
    calls += [delayed(functools.partial(dict, a=1))(scale=2), delayed(dict)({"scale": 2})]
    assert cache.compute(calls) == [("scale", 2), ("scale", 2), {"a": 1, "scale": 2}, {"scale": 2}]
    assert len({cache._key(call, None, {}) for call in calls}) == 4


def count_lines(path):
    return len(Path(path).read_text().splitlines())


def names_in(folder):
    return sorted(entry.name for entry in Path(folder).iterdir())


def is_there(path):
    return Path(path).exists()


def variable(name):
    return os.environ.get(name)


def rows_of(path):
    with sqlite3.connect(path) as database:
        return database.execute("select count(*) from t").fetchone()[0]


def test_what_a_call_reads_belongs_to_its_value(store, workers, tmp_path, monkeypatch):
    folder = tmp_path / "data/.hidden"
    folder.mkdir(parents=True)
    path, new, base = folder / "rows.txt", folder / "new", tmp_path / "data/base.db"
    path.write_text("1\n")
    monkeypatch.setenv("STUDY_LEVEL", "low")
    with sqlite3.connect(base) as database:
        database.execute("create table t (a)")
    calls = [
        *(delayed(count_lines)(str(path)), delayed(names_in)(str(folder))),
        *(
            delayed(is_there)(str(new)),
            delayed(variable)("STUDY_LEVEL"),
            delayed(rows_of)(str(base)),
        ),
    ]
    inputs.of_run().clear()
    assert cache.compute(calls) == [1, ["rows.txt"], False, "low", 0]
    assert cache.compute(calls) == [1, ["rows.txt"], False, "low", 0]
    path.write_text("1\n2\n")
    new.touch()
    monkeypatch.setenv("STUDY_LEVEL", "high")
    with sqlite3.connect(base) as database:
        database.execute("insert into t values (1)")
    inputs.of_run().clear()  # as another run
    for alone in (True, False):
        found = cache.compute(calls, alone=alone)
        assert found == [2, ["new", "rows.txt"], True, "high", 1]


def write(path, text):
    Path(path).write_text(text)


def test_a_file_that_a_call_writes_is_as_the_call_left_it(store, monkeypatch, tmp_path):
    monkeypatch.setattr(inputs, "ROOT", tmp_path)
    path = tmp_path / "table.tex"
    for text in ("a", "b", "a"):
        cache.compute([delayed(write)(str(path), text)], alone=True)
        assert path.read_text() == text
    path.unlink()
    cache.compute([delayed(write)(str(path), "a")], alone=True)
    assert path.read_text() == "a"


# Chance.

DRAWS = {
    "a forest": lambda X, y: RandomForestClassifier(3).fit(X, y).predict_proba(X),
    "folds": lambda X, y: [t for t, _ in StratifiedKFold(2, shuffle=True).split(X, y)],
    "splits": lambda X, y: [t for t, _ in ShuffleSplit(2).split(X)],
    "numpy": lambda X, y: np.random.random(3),
    "a generator": lambda X, y: np.random.default_rng().random(3),
    "python": lambda X, y: random.random(),
    "inside a list": lambda X, y: [e.fit(X, y).predict(X) for e in [RandomForestClassifier(2)]],
}


@pytest.mark.parametrize("what", DRAWS)
def test_what_has_no_seed_draws_by_the_seed_of_the_run(store, monkeypatch, what):
    X, y = np.random.RandomState(0).normal(size=(30, 3)), np.arange(30) % 2
    calls = [delayed(DRAWS[what])(X, y) for _ in range(3)]

    def drawn(seed: int, workers: str, cached: str) -> tuple[str, str]:
        monkeypatch.setenv("PYCODE_WORKERS", workers)
        monkeypatch.setenv("PYCODE_CACHE", cached)
        cache._warned.clear()
        chance.reseed(seed)
        with pytest.warns(UserWarning, match="draws without a seed"):
            first, second = repr(cache.compute(calls)), repr(cache.compute(calls))
        assert first != second
        return first, second

    monkeypatch.setattr(parallel, "FEW", 0)
    found = drawn(1, "1", "off")
    assert drawn(1, "1", "on") == drawn(1, "1", "on") == drawn(1, "2", "off") == found
    assert drawn(2, "1", "on") != found


def test_equal_calls_that_draw_differ_and_others_do_not(store):
    chance.reseed(0)
    with pytest.warns(UserWarning, match="draws without a seed"):
        a, b, c, d = cache.compute([delayed(DRAWS["numpy"])(0, 0)] * 3 + [delayed(scaled)(1)])
    assert len({tuple(x) for x in (a, b, c)}) == 3
    assert d == 1


COUNTER_STATE = {"n": 0}
GENERATOR = np.random.default_rng(0)


def counting(x):
    COUNTER_STATE["n"] += 1
    return x + COUNTER_STATE["n"]


def remembering(x, seen=[]):  # noqa: B006
    seen.append(x)
    return len(seen)


def drawing(x):
    return x + GENERATOR.random()


@pytest.mark.parametrize("function", [counting, remembering, drawing])
@pytest.mark.parametrize("n", ["1", "2"])
def test_a_call_that_changes_what_it_reaches_is_refused(store, workers, monkeypatch, function, n):
    monkeypatch.setenv("PYCODE_WORKERS", n)
    with pytest.raises(ValueError, match=f"{function.__name__} changes data that it reaches"):
        cache.compute([delayed(function)(x) for x in range(3)])


# Between processes.


class Doing(BaseEstimator):
    def __init__(self, what: Any = None) -> None:
        self.what = what

    def fit(self, X, y):
        self.double_ = lambda x: x * 2
        return self

    def predict(self, X):
        return self.double_(X) if self.what is None else self.what(X)


def centred(X):
    X -= X.mean(axis=0)
    return X


def center_sum(X, deep):
    centred(deep["X"][0])
    return float(abs(centred(X).sum()).round(6))


@pytest.mark.parametrize("n", ["1", "2"])
def test_results_come_back_whole_and_arguments_stay_as_they_are(store, workers, monkeypatch, n):
    monkeypatch.setenv("PYCODE_WORKERS", n)
    X, y = np.arange(300_000.0).reshape(-1, 2), np.zeros(150_000)
    calls = [delayed(center_sum)(X, deep={"X": [X]}) for _ in range(3)]
    calls += [delayed(fitted)(Doing(), X[:4], y[:4]), delayed(fitted)(Doing(lambda x: x * 3), X, y)]
    *sums, two, three = cache.compute(calls)
    assert sums == [0.0] * 3
    assert X[0, 0] == 0
    assert X[-1, -1] == 299_999
    assert list(two.predict(np.array([1.0]))) == [2.0]
    assert list(three.predict(np.array([1.0]))) == [3.0]
    assert type(two) is Doing


def kinds(X):
    return type(StandardScaler().fit_transform(X)).__name__, np.geterr()["divide"]


@pytest.mark.parametrize("n", ["1", "2"])
def test_what_the_paper_sets_in_libraries_counts_everywhere(store, workers, monkeypatch, n):
    monkeypatch.setenv("PYCODE_WORKERS", n)
    call = delayed(kinds)(np.eye(3))
    with np.errstate(divide="ignore"):
        assert cache.compute([call]) == [("ndarray", "ignore")]
        with config_context(transform_output="pandas"):
            assert cache.compute([call]) == [("DataFrame", "ignore")]
    with np.errstate(divide="raise"):
        assert cache.compute([call]) == [("ndarray", "raise")]


LOCK = threading.Lock()


def locked(x):
    with LOCK:
        return x


def test_what_cannot_be_sent_to_a_worker_is_computed_here(store, workers):
    with pytest.warns(UserWarning, match="locked is computed in this process alone"):
        assert cache.compute([delayed(locked)(x) for x in range(3)]) == [0, 1, 2]


# Trust, and the memory's check of itself.


class Planted:
    def __reduce__(self):
        return os.system, ("touch /tmp/planted",)


def test_nothing_that_is_not_signed_is_loaded(store, tmp_path, monkeypatch):
    store.doubled(21)
    (entry,) = store.entries()
    monkeypatch.setattr(cache.pickle, "loads", lambda content: pytest.fail("it was loaded"))
    about = entry.read_bytes().split(b"\n", 2)[1]
    monkeypatch.setattr(cache, "_secret", lambda: b"0" * 32)
    forged = cache._signature(entry.name, about + b"\n" + pickle.dumps(Planted()))
    entry.write_bytes(forged + about + b"\n" + pickle.dumps(Planted()))
    monkeypatch.undo()
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    cache._secret.cache_clear()
    assert cache._load(entry.name) is None


UNSEEN = [1]


def unsound(x):
    return x + ctypes.cast(id(UNSEEN), ctypes.py_object).value[0] if x else 0


@pytest.mark.parametrize("how", ["", "all"])
def test_a_value_that_is_another_when_it_is_computed_again_fails_the_build(store, monkeypatch, how):
    calls = [delayed(unsound)(1), delayed(double)(1, str(store.log))]
    monkeypatch.setattr(cache, "_key", lambda call, *_: cache._digest(call[0].__name__))
    assert cache.compute(calls) == [2, 2]
    UNSEEN[0] = 2
    try:
        assert cache.compute(calls) == [2, 2]  # nobody looks
        monkeypatch.setenv("PYCODE_AUDIT", how)
        monkeypatch.setattr(cache, "AUDIT", 1e9)
        with pytest.raises(cache.RememberedError, match=r"unsound\(1\) gives another value"):
            cache.compute(calls)
        assert len(store.entries()) == 1  # that of the other function
        assert cache.compute(calls) == [3, 2]
    finally:
        UNSEEN[0] = 1


def searched(model, X, y):
    pipeline = make_pipeline(GridSearchCV(model, {"C": [1.0, 2.0]}, cv=2)).fit(X, y)
    return [pipeline, cross_validate(model, X, y, cv=2)]


fit_time = 1  # of this module


def test_an_audit_is_blind_to_the_times_that_scikit_learn_measures(store, monkeypatch):
    X, y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
    calls = [delayed(searched)(LogisticRegression(C=c), X, y) for c in (1, 2, 3)]
    monkeypatch.setenv("PYCODE_AUDIT", "all")
    for _ in range(3):
        for pipeline, folds in cache.compute(calls, alone=True):
            assert pipeline[-1].refit_time_ > 0
            assert len(folds["fit_time"]) == 2
    value = [{"fit_time": 1, "n": sys.modules[__name__]}]
    cache._drop_times(value)
    assert "fit_time" not in value[0]
    assert fit_time == 1  # what a value only refers to is left as it is


def test_an_audit_finds_nothing_where_nothing_is_wrong(store, workers, monkeypatch):
    X, y = np.arange(8.0).reshape(4, 2), np.array([0, 0, 1, 1])
    calls = [delayed(fitted)(LogisticRegression(C=c), X, y) for c in (1, 2, 3)]
    before = [model.coef_.tolist() for model in cache.compute(calls)]
    monkeypatch.setenv("PYCODE_AUDIT", "all")
    assert [model.coef_.tolist() for model in cache.compute(calls)] == before
