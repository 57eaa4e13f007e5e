"""Networks are trained like any estimator, to the bit, and told of by what formulas say."""

import copy
import dataclasses
import hashlib
import json
import os
import pickle
import subprocess
import sys
import warnings
from importlib import import_module
from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import ttest_rel
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.multitest import multipletests

from literate import cache, kept, parallel, source
from literate.testing import ROOT
from pycode import data, evaluation, models
from results import deep

torch: Any = pytest.importorskip("torch")
pytest.importorskip("skorch")
pytest.importorskip("captum")
networks: Any = import_module("pycode.networks")
nn = torch.nn

NAMES = ("CNN", "VGG-like", "residual")


class Plain(nn.Sequential):
    """A layer of weights, and nothing else."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(nn.Linear(n_features, n_classes))


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """Keep what is remembered in a folder of the test, and compute in this process."""
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYCODE_WORKERS", "1")
    monkeypatch.delenv("PYCODE_CACHE", raising=False)
    cache._secret.cache_clear()
    yield
    cache._secret.cache_clear()
    assert not cache._warned


@pytest.fixture(scope="module")
def split() -> data.Split:
    some = data.digits()
    return data.split(data.Dataset(some.X[:400], some.y[:400], some.classes), seed=1)


@pytest.fixture(scope="module")
def rows(split) -> tuple[Any, Any]:
    """A hundred scaled images and their classes."""
    once = scaled(split)
    return once.X_train[:100], once.y_train[:100]


@pytest.fixture(scope="module")
def fitted(rows) -> dict[str, Any]:
    """Each candidate, after twenty steps; tests only read it."""
    return {name: network(name).fit(*rows) for name in NAMES}


@pytest.fixture
def steps():
    """All steps that optimisers make: each one's kind and settings."""
    made: list[tuple[str, dict[str, Any]]] = []
    hook = import_module("torch.optim.optimizer").register_optimizer_step_post_hook(
        lambda self, *_: made.append((type(self).__name__, dict(self.param_groups[0])))
    )
    yield made
    hook.remove()


def network(name: str = "CNN", n_steps: int = 20, **parameters: Any) -> Any:
    found = networks.candidates(device="cpu")[name][-1]
    return found.set_params(n_steps=n_steps, **parameters)


def scaled(split: data.Split) -> data.Split:
    return evaluation.scaled_once(models.scaled(network()), split)[1]


def unfitted(some: Any) -> Any:
    return clone(some)


def linear(**parameters: Any) -> Any:
    """A network of that layer alone, for ten classes."""
    sizes = {"module__n_features": 64, "module__n_classes": 10}
    return networks.Network(Plain, **sizes, n_steps=20, batch_size=32).set_params(**parameters)


def digest(weights: dict[str, Any]) -> str:
    content = b"".join(name.encode() + array.tobytes() for name, array in weights.items())
    return hashlib.sha256(content).hexdigest()


def same(first: Any, second: Any) -> bool:
    """Whether two networks have the same weights, to the bit."""
    return digest(first.weights) == digest(second.weights)


def convolution(channels: int, out: int, *, normal: bool = True) -> int:
    return 9 * channels * out + out + 2 * out * normal


def dense(n: int, out: int) -> int:
    return n * out + out


def residual(channels: int, depth: int, *, normal: bool = True, shortcut: bool = True) -> int:
    blocks = 2 * depth * convolution(16, 16, normal=normal)
    blocks += convolution(16, 32, normal=normal)
    blocks += (2 * depth - 1) * convolution(32, 32, normal=normal)
    first = convolution(channels, 16, normal=normal)
    return first + blocks + (16 * 32 + 32) * shortcut + dense(32, 10)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 11, 9)])
def test_candidates_have_the_weights_of_the_formula_and_learn_images_of_all_shapes(shape):
    channels, height, length = shape
    top = dense(32 * (height // 4) * (length // 4), 64) + dense(64, 10)
    expected = {
        "CNN": convolution(channels, 16, normal=False) + convolution(16, 32, normal=False) + top,
        "VGG-like": convolution(channels, 16)
        + convolution(16, 16)
        + convolution(16, 32)
        + convolution(32, 32)
        + top,
        "residual": residual(channels, 2),
    }
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    patterns = rng.normal(size=(3, channels * height * length))
    X = patterns[y] + 0.1 * rng.normal(size=(30, patterns.shape[1]))
    for name, candidate in networks.candidates(shape=shape, device="cpu").items():
        learnt: Any = evaluation.with_parameters(candidate, {"n_steps": 15})
        learnt.fit(X, y)
        assert evaluation.n_parameters(learnt) == expected[name]
        assert learnt.predict(X).shape == (30,)
        assert learnt.predict_proba(X).shape == (30, 10)
        assert learnt.score(X, y) > 0.6
    if shape == (1, 8, 8):
        assert max(expected.values()) < 100_000


def test_candidates_use_a_gpu_if_there_is_one(monkeypatch):
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert {some[-1].device for some in networks.candidates().values()} == {device}
        assert {some[-1].device for some in networks.candidates(device="cpu").values()} == {"cpu"}


def test_network_of_a_gpu_is_read_where_there_is_none(fitted, rows, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    state = fitted["CNN"].__getstate__()
    state["params"]["device"] = "cuda"
    other = networks.Network.__new__(networks.Network)
    other.__setstate__(state)
    assert np.array_equal(other.predict_proba(rows[0]), fitted["CNN"].predict_proba(rows[0]))


def test_network_is_cloned_and_set_like_any_estimator(rows):
    some = network("residual", n_steps=3)
    some.set_params(module__depth=1, optimizer__weight_decay=0.1)
    some.fit(*rows)
    other = unfitted(some)
    assert is_classifier(other)
    assert not hasattr(other, "module_")
    parameters = other.get_params(deep=False)
    assert parameters == some.get_params(deep=False)
    assert (parameters["n_steps"], parameters["module__depth"]) == (3, 1)
    assert parameters["optimizer__weight_decay"] == 0.1
    assert same(other.fit(*rows), some)
    assert evaluation.n_parameters(other) == residual(1, 1)
    with pytest.raises(ValueError, match="n_step"):
        network().set_params(n_step=3)


def test_network_ends_a_pipeline(split, rows):
    X, y = split.X_train[:100], split.y_train[:100]
    pipeline = Pipeline([("scaler", StandardScaler()), ("network", network())])
    pipeline.set_params(network__n_steps=7).fit(X, y)
    alone = network(n_steps=7).fit(StandardScaler().fit_transform(X), y)
    assert same(pipeline["network"], alone)
    assert list(pipeline.classes_) == list(range(10))
    assert pipeline.score(X, y) == np.mean(alone.predict(StandardScaler().fit_transform(X)) == y)


def test_probabilities_add_up_as_scikit_learn_wants(fitted, rows):
    X, y = rows
    for some in fitted.values():
        found = some.predict_proba(X)
        assert found.dtype == float
        assert np.array_equal(found.argmax(axis=1), some.predict(X))
        logits = scores(some, X).astype(float)
        softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        assert found == pytest.approx(softmax, abs=1e-5)
        assert log_loss(y, found) > 0  # a warning would be an error


def scores(some: Any, X: Any) -> Any:
    with torch.no_grad():
        return some.module_.eval()(torch.tensor(X, dtype=torch.float32)).numpy()


def test_variants_count_their_parameters(split):
    grid = {"module__width": [4, 8]}
    variants = evaluation.vary(network(n_steps=2), grid, split)
    assert [variant.n_parameters for variant in variants] == [
        convolution(1, width, normal=False)
        + convolution(width, 2 * width, normal=False)
        + dense(2 * width * 4, 64)
        + dense(64, 10)
        for width in (4, 8)
    ]
    once = scaled(split)
    wide = network(n_steps=2, module__width=8).fit(once.X_train, once.y_train)
    assert variants[1].validation == wide.score(once.X_validation, once.y_validation)


def test_score_and_learning_curve_of_a_network(split):
    some = network(n_steps=5)
    score = evaluation.score(models.scaled(some), split)
    once = scaled(split)
    again = network(n_steps=5).fit(once.X_train, once.y_train)
    fitted = score.estimator[-1]
    assert same(fitted, again)
    assert score.test == again.score(once.X_test, once.y_test)
    weights = sum(array.nbytes for array in fitted.weights.values())
    assert weights == 4 * evaluation.n_parameters(again)
    assert score.n_bytes == weights + again.classes_.nbytes
    curve = evaluation.learning_curve(models.scaled(some), split, cv=2, n_sizes=2)
    assert curve.sizes == (12, 120)
    whole = evaluation.reference_protocol({"": models.scaled(some)}, split, cv=2)[""]
    assert curve.validation[-1] == whole.cv_in_fold
    assert not hasattr(some, "module_")


def test_workers_and_other_processes_find_the_same_weights(rows, fitted, monkeypatch):
    X, y = rows
    program = (
        "from sklearn.datasets import load_digits\n"
        "import numpy as np, hashlib\n"
        "from pycode import networks\n"
        "X, y = (np.array(part[:50]) for part in load_digits(return_X_y=True))\n"
        "some = networks.candidates(device='cpu')['residual'][-1].set_params(n_steps=20)\n"
        "weights = some.fit(X, y).weights\n"
        "content = b''.join(n.encode() + array.tobytes() for n, array in weights.items())\n"
        "print(hashlib.sha256(content).hexdigest())\n"
    )
    others = [
        subprocess.Popen(
            [sys.executable, "-B", "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, threads in (("1", "1"), ("2", "2"))
    ]
    monkeypatch.setenv("PYCODE_WORKERS", "2")
    monkeypatch.setattr(parallel, "FEW", 0)
    here = os.getpid()
    fits = cache.remembered(_fit_elsewhere).map(map(network, NAMES), X=X, y=y)
    for name, (process, found) in zip(NAMES, fits, strict=True):
        assert process != here
        assert same(found, fitted[name])
        assert np.array_equal(found.predict_proba(X), fitted[name].predict_proba(X))
    some = data.digits()
    mine = network("residual").fit(some.X[:50], some.y[:50])
    for other in others:
        assert other.communicate()[0].strip() == digest(mine.weights)


def _fit_elsewhere(some: Any, X: Any, y: Any) -> tuple[int, Any]:
    return os.getpid(), unfitted(some).fit(X, y)


@pytest.mark.parametrize("name", NAMES)
def test_seed_alone_says_what_a_fit_finds(rows, fitted, name):
    torch.manual_seed(5)
    assert same(network(name).fit(*rows), fitted[name])
    other = network(name, random_state=43).fit(*rows)
    assert not any(
        np.array_equal(a, b)
        for a, b in zip(other.coefs_, fitted[name].coefs_, strict=True)
        if a.ndim > 1
    )


@pytest.mark.parametrize("strictness", ["default", "warn", "error"])
def test_torch_is_left_as_it_was(rows, strictness):
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    torch.set_deterministic_debug_mode(strictness)
    torch.manual_seed(7)

    def kept() -> tuple[Any, ...]:
        state = torch.random.get_rng_state().numpy().tobytes()
        mode = torch.get_deterministic_debug_mode()
        return state, torch.get_num_threads(), mode, torch.initial_seed()

    try:
        before = kept()
        found = network("residual", n_steps=2, module__shift=1).fit(*rows)
        assert kept() == before
        pickle.loads(pickle.dumps(found))
        assert kept() == before
        with pytest.raises(IndexError):
            network(n_steps=2).fit(rows[0], rows[1] + 1)
        assert kept() == before
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode("default")


@pytest.mark.parametrize("name", NAMES)
def test_pickle_has_what_was_fitted_and_nothing_of_when(rows, fitted, name):
    content = pickle.dumps(fitted[name])
    assert content == pickle.dumps(network(name).fit(*rows))
    other = pickle.loads(content)
    assert same(other, fitted[name])
    assert np.array_equal(other.predict_proba(rows[0]), fitted[name].predict_proba(rows[0]))
    assert np.array_equal(other.classes_, fitted[name].classes_)
    assert same(unfitted(other).fit(*rows), other)
    new = pickle.loads(pickle.dumps(network(name)))
    assert not hasattr(new, "module_")
    assert same(new.fit(*rows), other)


def forget_how(monkeypatch) -> None:
    """From now on nothing can be computed, only remembered."""

    def run(calls: Any, **_: Any) -> Any:
        assert not calls
        return iter(())

    monkeypatch.setattr(parallel, "run", run)


def test_fit_is_remembered(rows, fitted, monkeypatch):
    first = networks._fit(network(), *rows)
    forget_how(monkeypatch)
    again = networks._fit(network(), *rows)
    assert same(first, fitted["CNN"])
    assert same(again, fitted["CNN"])
    with pytest.raises(AssertionError):
        networks._fit(network(n_steps=19), *rows)


def test_fingerprint_knows_parameters_code_and_libraries(fitted, monkeypatch):
    before = source.fingerprint(network())
    assert source.fingerprint(unfitted(network())) == before
    assert source.fingerprint(unfitted(fitted["CNN"])) == before
    weights = {name: 2 * array for name, array in fitted["CNN"].weights.items()}
    others = (
        network(n_steps=21),
        network("residual"),
        network(random_state=1),
        network(module__width=8),
        network(optimizer=torch.optim.SGD),
        network(pretrained=fitted["CNN"].weights),
        network(pretrained=weights),
    )
    found = {before, *map(source.fingerprint, others)}
    assert len(found) == 1 + len(others)

    def __init__(self: Any, shape: Any, n_classes: int) -> None:  # noqa: N807
        nn.Sequential.__init__(self, nn.Linear(64, n_classes))

    for owner, name, value in (
        (networks.VGG, "__init__", __init__),
        (networks, "_convolution", lambda *_, **__: []),  # which VGG calls
        (networks, "_reproducible", lambda seed: None),  # which Network does
        (torch, "__version__", "0"),
        (sys.modules["skorch"], "__version__", "0"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            assert source.fingerprint(network()) != before, name
    assert source.fingerprint(network()) == before


@pytest.mark.parametrize(
    ("n_rows", "batch", "expected"),
    [
        (5, {}, 20),
        (32, {}, 20),
        (33, {}, 20),
        (100, {}, 20),
        (90, {}, 21),
        (50, {"batch_size": -1}, 20),
        (50, {"iterator_train__batch_size": 7}, 24),
    ],
)
def test_network_makes_its_steps_while_the_learning_rate_falls(
    rows, steps, n_rows, batch, expected
):
    X, y = rows
    found = linear(lr=0.5, **batch).fit(X[:n_rows], y[:n_rows])
    size = batch.get("iterator_train__batch_size", batch.get("batch_size", 32))
    per_epoch = 1 if size == -1 else ceil(n_rows / size)
    assert expected == per_epoch * ceil(20 / per_epoch)
    assert len(steps) == expected
    lines = [max(0, 0.5 * (1 - step / 20)) for step in range(expected)]
    assert [made["lr"] for _, made in steps] == pytest.approx(lines)
    assert found.optimizer_.param_groups[0]["lr"] == 0


@given(
    shape=st.tuples(*(st.integers(1, most) for most in (4, 2, 6, 6))),
    most=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_shift_moves_each_image_and_zeros_come_in(shape, most, seed):
    images = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    shift = networks.Shift(most)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        moved = shift(torch.tensor(images)).numpy()
    assert moved.shape == images.shape
    reach = range(-most, most + 1)
    for before, after in zip(images, moved, strict=True):
        assert any(np.array_equal(after, by_hand(before, i, j)) for i in reach for j in reach)
    shift.eval()
    assert np.array_equal(shift(torch.tensor(images)).numpy(), images)


def by_hand(image: Any, down: int, right: int) -> Any:
    """The image (channels, height, length), moved pixel by pixel."""
    moved = np.zeros_like(image)
    _, height, length = image.shape
    for i in range(height):
        for j in range(length):
            if 0 <= i + down < height and 0 <= j + right < length:
                moved[:, i + down, j + right] = image[:, i, j]
    return moved


def test_every_move_occurs():
    image = np.arange(1, 26, dtype=np.float32).reshape(1, 5, 5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        moved = networks.Shift(2)(torch.tensor(np.stack([image] * 1000))).numpy()
    expected = {by_hand(image, i, j).tobytes() for i in range(-2, 3) for j in range(-2, 3)}
    assert {some.tobytes() for some in moved} == expected


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize(("out", "stride"), [(3, 1), (6, 2)])
def test_block_adds_what_its_shortcut_lets_through(batch_norm, out, stride):
    X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    kind = {"stride": stride, "batch_norm": batch_norm}
    with torch.random.fork_rng(), torch.no_grad():
        plain = networks.Block(3, out, residual=False, **kind).eval()
        block = networks.Block(3, out, residual=True, **kind).eval()
        block.layers.load_state_dict(plain.layers.state_dict())
        Y = plain.layers(X)
        assert Y.shape == (4, out, 8 // stride, 8 // stride)
        assert (Y < 0).any()
        assert torch.equal(plain(X), Y.clamp(min=0))
        through = X if stride == 1 else block.shortcut(X)
        assert torch.equal(block(X), (Y + through).clamp(min=0))
        for weights in block.layers.parameters():
            weights.zero_()
        assert torch.equal(block(X), through.clamp(min=0))


@pytest.mark.parametrize("name", NAMES)
def test_pretrained_network_begins_with_all_layers_but_the_last(rows, fitted, name):
    before, last = copy.deepcopy(fitted[name].weights), list(fitted[name].weights)[-2:]
    new = {"module__n_classes": 4, "random_state": 5}
    begun = network(name, n_steps=0, pretrained=fitted[name].weights, **new).fit(*few_classes(rows))
    fresh = network(name, n_steps=0, **new).fit(*few_classes(rows))
    for weight, array in begun.weights.items():
        expected = fresh.weights if weight in last else before
        assert np.array_equal(array, expected[weight]), weight
    tuned = network(name, pretrained=fitted[name].weights, **new).fit(*few_classes(rows))
    assert not np.array_equal(tuned.coefs_[0], before["1.weight"])
    assert all(np.array_equal(fitted[name].weights[key], before[key]) for key in before)


def few_classes(rows: Any) -> tuple[Any, Any]:
    X, y = rows
    return X[y < 4], y[y < 4]


@pytest.mark.parametrize("parameters", [{"module__depth": 3}, {"module__shift": 1}])
def test_pretrained_weights_of_other_layers_are_refused(rows, fitted, parameters):
    other = network("residual", pretrained=fitted["residual"].weights, **parameters)
    with pytest.raises(RuntimeError, match=r"Missing key|size mismatch"):
        other.fit(*rows)


@pytest.mark.parametrize("name", NAMES)
def test_features_are_what_the_last_layer_sees(rows, fitted, name):
    found = networks.features(fitted[name], rows[0])
    assert found.shape == (100, 32 if name == "residual" else 64)
    assert (found >= 0).all()
    weights, bias = fitted[name].coefs_[-2:]
    assert found @ weights.T + bias == pytest.approx(scores(fitted[name], rows[0]), abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_attributions_are_integrals_of_gradients(rows, fitted, name):
    some, X, y = fitted[name], rows[0][:20], rows[1][:20]
    found = networks.attributions(some, X, y, n_steps=128)
    assert found.shape == X.shape
    ends, starts = scores(some, X), scores(some, 0 * X)
    differences = (ends - starts)[np.arange(20), y]
    assert found.sum(axis=1) == pytest.approx(differences, abs=0.01)
    gradients = [gradient(some, (n + 0.5) / 200 * X, y) for n in range(200)]
    assert found == pytest.approx(X * np.mean(gradients, axis=0), abs=0.01)
    assert np.abs(found - X * gradient(some, X, y)).max() > 0.025  # which is another map
    alone = networks.attributions(some, X[17:], y[17:], n_steps=128)
    assert found[17:] == pytest.approx(alone, abs=1e-5)


def gradient(some: Any, X: Any, y: Any) -> Any:
    """Of the score of class `y`, at the rows."""
    tensor = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    some.module_.eval()(tensor)[np.arange(len(y)), y].sum().backward()
    return tensor.grad.numpy()


def test_attributions_of_a_linear_network_are_its_weights_times_the_row(rows):
    X, y = rows
    found = linear().fit(X, y)
    (weights, _) = found.coefs_
    assert networks.attributions(found, X, y) == pytest.approx(weights[y] * X, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_filters_are_the_weights_next_to_the_image(fitted, name):
    found = networks.filters(fitted[name])
    assert found.shape == (16, 1, 3, 3)
    assert np.array_equal(found, fitted[name].weights["1.weight"])


@pytest.mark.parametrize("name", NAMES)
def test_shuffled_network_has_the_same_numbers_elsewhere(rows, fitted, name):
    some, before = fitted[name], digest(fitted[name].weights)
    other = networks.shuffled(some, seed=1)
    assert digest(some.weights) == before
    for old, new in zip(some.coefs_, other.coefs_, strict=True):
        assert old.shape == new.shape
        assert np.array_equal(np.sort(old, axis=None), np.sort(new, axis=None))
        assert old.ndim == 1 or not np.array_equal(old, new)
    assert (other.predict(rows[0]) != some.predict(rows[0])).any()
    assert same(networks.shuffled(some, seed=1), other)
    assert not same(networks.shuffled(some, seed=2), other)


MAPS = hnp.arrays(float, (3, 12), elements=st.integers(-4, 4))


@settings(max_examples=30)
@given(first=MAPS, second=MAPS)
def test_rank_correlation_is_that_of_what_counts(first, second):
    found = []
    for pair in zip(first, second, strict=True):
        table: Any = pd.DataFrame(pair).T
        table = table[(table != 0).any(axis=1)]
        assume((table.nunique() > 1).all())
        found.append(table.corr(method="spearman").iloc[0, 1])
    correlation = networks.rank_correlation(first, second)
    assert correlation == pytest.approx(np.mean(found))
    assert correlation.n == 3
    more = np.zeros((3, 5))
    padded = networks.rank_correlation(np.hstack([first, more]), np.hstack([second, more]))
    assert padded == pytest.approx(correlation)
    assert networks.rank_correlation(second, first) == pytest.approx(correlation)
    rising = np.cumsum(1 + np.abs(first), axis=1)
    assert networks.rank_correlation(rising, rising) == pytest.approx(1)
    assert networks.rank_correlation(rising, -rising) == pytest.approx(-1)


def spy(monkeypatch, module: Any, name: str) -> list[tuple[Any, ...]]:
    """The arguments of all calls of a function of `module`, which still does its work."""
    real, calls = getattr(module, name), []

    def seen(*arguments: Any) -> Any:
        calls.append(arguments)
        return real(*arguments)

    def seen_in_order(*iterables: Any, **same: Any) -> list[Any]:
        return [seen(*some, *same.values()) for some in zip(*iterables, strict=True)]

    seen.map = seen_in_order  # pyright: ignore
    monkeypatch.setattr(module, name, seen)
    monkeypatch.setenv("PYCODE_CACHE", "off")
    cache._secret.cache_clear()
    return calls


def test_transfer_learns_from_the_rows_it_may(split, monkeypatch):
    fits = spy(monkeypatch, networks, "_fit")
    tries = spy(monkeypatch, evaluation, "fit_score")
    labels, seeds = (1, 2, 5), (3, 4)
    found = networks.transfer(
        models.scaled(network("residual", n_steps=8)), split, seeds=seeds, labels=labels
    )

    early = split.X_train[split.y_train < 5]
    scaled = [(X - early.mean()) / early.std() for X in (split.X_train, split.X_test)]
    late, late_test = (y >= 5 for y in (split.y_train, split.y_test))
    known = {
        row.tobytes(): y
        for row, y in zip(rounded(scaled[0][late]), split.y_train[late], strict=True)
    }
    trained = []
    for seed, (some, X, y) in zip(seeds, fits, strict=True):
        assert pytest.approx(scaled[0][~late]) == X
        assert np.array_equal(y, split.y_train[~late])
        assert some.random_state == seed
        trained.append(unfitted(some).fit(X, y))

    size = len(labels) * len(seeds)
    choices, tests = tries[: -6 * size], tries[-6 * size :]
    assert len(choices) == 2 * len(networks.PENALTIES) * size
    kinds = ["scratch", "frozen", "fine-tuned", "raw pixels", "frozen, tuned", "raw pixels, tuned"]
    images: dict[tuple[int, int], Any] = {}
    for number, (learner, X, y, X_test, y_test) in enumerate(tests):
        kind, (seed, n) = kinds[number // size], divmod(number % size, len(labels))
        assert np.array_equal(y_test, split.y_test[late_test] - 5)
        assert list(np.bincount(y)) == [labels[n]] * 5
        assert learner.random_state == seeds[seed]
        if kind in ("frozen", "frozen, tuned"):
            rows = images[seed, n]
            assert pytest.approx(networks.features(trained[seed], rows), abs=1e-5) == X
            seen = networks.features(trained[seed], scaled[1][late_test])
            assert pytest.approx(seen, abs=1e-5) == X_test
            continue
        assert pytest.approx(scaled[1][late_test]) == X_test
        assert [known[row.tobytes()] - 5 for row in rounded(X)] == list(y)
        assert np.array_equal(X, images.setdefault((seed, n), X))
        if kind == "scratch":
            assert learner.pretrained is None
        elif kind == "fine-tuned":
            for name, array in trained[seed].weights.items():
                assert np.array_equal(learner.pretrained[name], array)
    for kind in ("frozen", "raw pixels"):
        place = size * kinds.index(kind)
        assert {repr(call[0]) for call in tests[place : place + size]} == {
            f"LogisticRegression(max_iter=10000, random_state={seed})" for seed in seeds
        }
    sets = {key: {row.tobytes() for row in X} for key, X in images.items()}
    for seed in range(2):
        assert sets[seed, 0] < sets[seed, 1] < sets[seed, 2]
    assert sets[0, 2] != sets[1, 2]

    accuracies = found["accuracy"]
    assert list(accuracies) == kinds
    runs: dict[tuple[str, int], Any] = {}
    for number, kind in enumerate(kinds):
        for n, label in enumerate(labels):
            places = [number * size + seed * len(labels) + n for seed in range(2)]
            again = [evaluation.fit_score(*tests[place]) for place in places]
            runs[kind, label] = np.array(again)
            assert accuracies[kind][label] == pytest.approx(np.mean(again))
            assert accuracies[kind][label].n == 2
    adapted = ["frozen", "fine-tuned", "frozen, tuned"]
    assert list(found["gain"]) == ["scratch", "raw pixels", "raw pixels, tuned"]
    for baseline, gains in found["gain"].items():
        others = ["scratch"] * (baseline != "scratch") + adapted
        p_holm = found["p_holm"][baseline]
        assert list(gains) == list(p_holm) == others
        p_values = []
        for kind, label in product(others, labels):
            first, second = runs[kind, label], runs[baseline, label]
            assert gains[kind][label] == pytest.approx(np.mean(first - second))
            p_values.append(
                ttest_rel(first, second).pvalue
                if np.ptp(first - second) > 1e-12
                else float((first == second).all())
            )
        expected = multipletests(p_values, method="holm")[1]
        shown = [p_holm[kind][label] for kind, label in product(others, labels)]
        assert shown == pytest.approx(expected)


def late(split: data.Split, part: str) -> tuple[Any, Any]:
    """The samples of the later classes, scaled by the earlier ones of the training samples."""
    early = split.X_train[split.y_train < 5]
    X, y = getattr(split, f"X_{part}"), getattr(split, f"y_{part}")
    return (X[y >= 5] - early.mean()) / early.std(), y[y >= 5] - 5


def unlearnt() -> Any:
    """A network that learns nothing, and whose last layer sees the pixels."""
    return models.scaled(linear(n_steps=0))


def test_penalties_are_chosen_on_validation_samples_alone(split, monkeypatch):
    tries = spy(monkeypatch, evaluation, "fit_score")
    labels, seeds = (2, 5), (3, 4, 5)
    found = networks.transfer(unlearnt(), split, seeds=seeds, labels=labels)
    choices = tries[: -6 * len(labels) * len(seeds)]
    (X, y), (X_held_out, y_held_out) = late(split, "train"), late(split, "validation")
    for _, _, _, X_test, y_test in choices:
        assert pytest.approx(X_held_out, abs=1e-5) == X_test
        assert np.array_equal(y_test, y_held_out)
    grid = networks.PENALTIES
    assert list(grid) == sorted(grid)
    chosen: dict[int, list[float]] = {n: [] for n in labels}
    for seed, n in product(seeds, labels):
        order = np.random.default_rng(seed).permutation(len(y))
        few = np.concatenate([order[y[order] == c][:n] for c in range(5)])
        accuracies = [
            LogisticRegression(C=C, max_iter=10_000)
            .fit(X[few], y[few])
            .score(X_held_out, y_held_out)
            for C in grid
        ]
        chosen[n].append(grid[accuracies.index(max(accuracies))])
    for n in labels:
        edges = [C in (grid[0], grid[-1]) for C in chosen[n]]
        assert found["C"]["raw pixels, tuned"][n] == np.median(chosen[n])
        assert found["at_edge"]["raw pixels, tuned"][n] == np.mean(edges)
    fitted = [call[0].C for call in tries[-len(labels) * len(seeds) :]]
    assert fitted == [chosen[n][seed] for seed in range(3) for n in labels]

    other = dataclasses.replace(split, X_test=split.X_test[::-1])
    again = networks.transfer(unlearnt(), other, seeds=seeds, labels=labels)
    assert (again["C"], again["at_edge"]) == (found["C"], found["at_edge"])
    assert again["accuracy"] != found["accuracy"]


def test_pixels_are_ahead_of_a_network_that_learns_nothing(split):
    found = networks.transfer(unlearnt(), split, seeds=range(4), labels=(5, 10))
    accuracy = found["accuracy"]
    for n in (5, 10):
        for kind in ("scratch", "fine-tuned"):
            assert accuracy[kind][n] < 0.5 < 0.8 < accuracy["raw pixels, tuned"][n]
            assert found["gain"]["raw pixels, tuned"][kind][n].high < 0
            assert found["p_holm"]["raw pixels, tuned"][kind][n] < 0.05
        for kind in ("frozen", "frozen, tuned"):  # which are the same pixels
            assert accuracy[kind][n] == pytest.approx(
                accuracy[kind.replace("frozen", "raw pixels")][n], abs=0.02
            )
        assert found["gain"]["scratch"]["frozen, tuned"][n].low > 0
        assert found["p_holm"]["scratch"]["frozen, tuned"][n] < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_training_curve_watches_the_same_training(split, fitted, name, monkeypatch):
    once = scaled(split)
    X, y, X_held_out, y_held_out = (
        once.X_train[:100],
        once.y_train[:100],
        once.X_validation,
        once.y_validation,
    )
    watched = network(name)
    watched.callbacks = [networks._Validation(X_held_out, y_held_out)]
    assert same(watched.fit(X, y), fitted[name])
    curve = networks.training_curve(network(name), X, y, X_held_out, y_held_out)
    assert curve["epoch"] == [1, 2, 3, 4, 5]
    assert len(curve["loss"]) == len(curve["validation"]) == 5
    assert curve["validation"][-1] == fitted[name].score(X_held_out, y_held_out)
    assert 0 < curve["loss"][-1] < curve["loss"][0]
    monkeypatch.setattr(networks, "N_POINTS", 3)
    thinned = networks.training_curve(network(name), X, y, X_held_out, y_held_out)
    assert thinned == {part: values[::2] for part, values in curve.items()}


def test_training_loss_of_an_epoch_is_the_mean_over_its_samples(rows):
    X, y = rows
    still = linear(lr=0.0)  # learns nothing, so each epoch has the same loss
    curve = networks.training_curve(still, X, y, X, y)
    expected = log_loss(y, unfitted(still).fit(X, y).predict_proba(X))
    assert curve["loss"] == pytest.approx([expected] * 5, rel=1e-5)


def test_layers_are_those_of_the_network(fitted, rows):
    image = {"kind": "image", "shape": [1, 8, 8]}
    ten = {"kind": "linear", "shape": [10]}
    assert networks.layers(fitted["CNN"], rows[0]) == [
        image,
        {"kind": "conv 3x3", "shape": [16, 8, 8]},
        {"kind": "pool 2x2", "shape": [16, 4, 4]},
        {"kind": "conv 3x3", "shape": [32, 4, 4]},
        {"kind": "pool 2x2", "shape": [32, 2, 2]},
        {"kind": "linear", "shape": [64]},
        ten,
    ]
    assert networks.layers(fitted["residual"], rows[0]) == [
        image,
        {"kind": "conv 3x3", "shape": [16, 8, 8]},
        *[{"kind": "block", "shape": [16, 8, 8]}] * 2,
        *[{"kind": "block", "shape": [32, 4, 4]}] * 2,
        {"kind": "average", "shape": [32, 1, 1]},
        ten,
    ]
    for name in NAMES:
        layers = networks.layers(fitted[name], rows[0])
        for kind, form in (
            ("conv 3x3", nn.Conv2d),
            ("linear", nn.Linear),
            ("block", networks.Block),
        ):
            number = sum(isinstance(layer, form) for layer in fitted[name].module_.children())
            assert sum(kind in layer["kind"] for layer in layers) == number
    plain = network("residual", n_steps=0, module__residual=False, module__shift=1).fit(*rows)
    assert [layer["kind"] for layer in networks.layers(plain, rows[0])][1:3] == [
        "conv 3x3",
        "plain",
    ]


def rounded(X: Any) -> Any:
    return np.round(X, 6) + 0.0  # -0 is 0


def test_transfer_is_remembered(split, monkeypatch):
    some = models.scaled(network(n_steps=2))
    found = networks.transfer(some, split, seeds=(0, 1), labels=(1, 2))
    forget_how(monkeypatch)
    assert networks.transfer(some, split, seeds=(0, 1), labels=(1, 2)) == found


def test_transfer_leaves_out_the_last_of_an_odd_number_of_classes(monkeypatch):
    some = data.digits()
    few = some.y < 5
    split = data.split(data.Dataset(some.X[few][:200], some.y[few][:200], tuple("01234")))
    tries = spy(monkeypatch, evaluation, "fit_score")
    networks.transfer(models.scaled(network(n_steps=1)), split, seeds=(0, 1), labels=(1,))
    for *_, y, _, y_test in tries:
        assert set(y) == set(y_test) == {0, 1}


def test_transfer_from_more_images_than_there_are(split):
    fewest = np.bincount(split.y_train)[5:].min()
    with pytest.raises(ValueError, match=f"{fewest} training samples.*{fewest + 1}"):
        networks.transfer(models.scaled(network()), split, seeds=(0, 1), labels=(1, fewest + 1))


def varied(monkeypatch) -> list[evaluation.Variant]:
    """What `evaluation.vary` finds from now on."""
    real, found = evaluation.vary, []

    def vary(*arguments: Any) -> Any:
        found.extend(real(*arguments))
        return found

    monkeypatch.setattr(evaluation, "vary", vary)
    return found


def test_depths_reach_the_network(split, monkeypatch):
    variants = varied(monkeypatch)
    found = networks.depths(network("residual", n_steps=4), split, seeds=(1, 2))
    assert (
        list(found["mean"]) == list(found["min"]) == ["both", "normalised", "residual", "neither"]
    )
    accuracies: dict[tuple[bool, bool, int], list[float]] = {}
    for variant in variants:
        normal, shortcut, depth = (
            variant.parameters[f"module__{name}"] for name in ("batch_norm", "residual", "depth")
        )
        expected = residual(1, depth, normal=normal, shortcut=shortcut)
        assert variant.n_parameters == expected
        accuracies.setdefault((normal, shortcut, depth), []).append(variant.validation)
    assert len(variants) == 24
    for kind, normal, shortcut in (
        ("both", True, True),
        ("normalised", True, False),
        ("residual", False, True),
        ("neither", False, False),
    ):
        assert list(found["mean"][kind]) == list(found["min"][kind]) == [1, 2, 3]
        for depth, mean in found["mean"][kind].items():
            some = accuracies[normal, shortcut, depth]
            assert mean.n == 2
            assert mean == pytest.approx(np.mean(some))
            assert found["min"][kind][depth] == min(some)
    gains, p_holm = (found["normalisation"][name] for name in ("gain", "p_holm"))
    tests = [
        ttest_rel(accuracies[True, True, depth], accuracies[False, True, depth])
        for depth in (1, 2, 3)
    ]
    for depth in (1, 2, 3):
        both, without = (np.mean(accuracies[normal, True, depth]) for normal in (True, False))
        assert gains[depth] == pytest.approx(both - without)
    expected = multipletests([test.pvalue for test in tests], method="holm")[1]
    assert list(p_holm.values()) == pytest.approx(expected)


def test_trainings_reach_the_network(split, steps, monkeypatch):
    variants = varied(monkeypatch)
    shifted: list[int] = []  # steps that were made before each

    def forward(self: Any, X: Any) -> Any:
        if self.training:
            shifted.append(len(steps))
        return X

    monkeypatch.setattr(networks.Shift, "forward", forward)
    # Calls change what this test looks at, which they reach by name.
    real = source.describe
    monkeypatch.setattr(
        source,
        "describe",
        lambda some, **numbered: real(some, **numbered) if numbered else ("", []),
    )
    found = networks.trainings(models.scaled(network("residual", n_steps=8)), split, seeds=(1, 2))
    assert list(found) == ["SGD", "Adam", "AdamW", "AdamW, shifts"]
    assert len(steps) == 8 * 8  # 240 rows are eight batches
    kinds = [steps[n][0] for n in range(0, 64, 8)]
    # The last are computed first.
    assert kinds == ["AdamW"] * 4 + ["Adam"] * 2 + ["SGD"] * 2
    assert [steps[n][1]["lr"] for n in range(0, 64, 8)] == [0.003] * 6 + [0.05] * 2
    assert steps[-1][1]["momentum"] == 0.9
    assert shifted == list(range(16))
    for place, mean in enumerate(found.values()):
        two = [variant.validation for variant in variants[2 * place : 2 * place + 2]]
        assert mean == pytest.approx(np.mean(two))
        assert mean.n == 2
    assert [variant.parameters["random_state"] for variant in variants] == [1, 2] * 4


def test_parameters_of_other_models_are_those_of_networks_alone(rows):
    with warnings.catch_warnings(action="ignore"):
        mlp = MLPClassifier((5,), max_iter=1).fit(*rows)
    assert evaluation.n_parameters(mlp) == dense(64, 5) + dense(5, 10)
    assert evaluation.n_parameters(LogisticRegression(max_iter=500).fit(*rows)) == 0


def test_a_record_whose_code_has_changed_meanwhile_is_not_made(monkeypatch):
    monkeypatch.setattr(networks, "study", lambda *_, seed: {"seed": seed})
    assert json.loads(deep.record())["results"] == {"seed": deep.SEED}
    digests = iter(["before", "after"])
    monkeypatch.setattr(kept, "digest", lambda _: next(digests))
    with pytest.raises(kept.KeptError, match=r"networks\.py, or code that it uses, has changed"):
        deep.record()


def test_study_says_all_that_the_paper_asks_for(monkeypatch):
    some = data.digits()
    split = data.split(data.Dataset(some.X[:200], some.y[:200], some.classes))
    names = networks.candidates().keys()
    quick = {name: models.scaled(network(name, n_steps=2)) for name in names}
    monkeypatch.setattr(networks, "candidates", lambda **_: quick)
    for name in ("depths", "trainings", "transfer"):
        monkeypatch.setattr(networks, name, lambda *_, seeds, name=name: (name, list(seeds)))
    others = {"logistic": LogisticRegression(max_iter=500)}
    found = networks.study(split, others, seed=42, seeds=(1, 2), transfer_seeds=(3, 4))
    assert list(found["scores"]) == ["logistic", *names]
    assert list(found["parameters"]) == list(names)
    assert found["parameters"]["residual"] == residual(1, 2)
    assert found["best"] in found["ties"]
    assert (found["seeds"], found["transfer_seeds"]) == ([1, 2], [3, 4])
    assert found["depths"] == ("depths", [1, 2])
    assert found["trainings"] == ("trainings", [1, 2])
    assert found["transfer"] == ("transfer", [3, 4])
    assert list(found["layers"]) == list(found["training_curves"]) == list(names)
    for name in names:
        assert found["layers"][name][-1] == {"kind": "linear", "shape": [10]}
        curve = found["training_curves"][name]
        assert curve["validation"][-1] == found["scores"][name].validation
    assert len(found["pairs"]) == 6
    assert set(found["curves"]) == set(found["scores"])
    images, fitted = found["images"], found["scores"]["residual"].estimator[-1]
    once = scaled(split)
    maps = networks.attributions(fitted, once.X_test, once.y_test)
    other = network("residual", n_steps=2, random_state=43).fit(once.X_train, once.y_train)
    again = networks.attributions(other, once.X_test, once.y_test)
    assert found["training"] == {"n_steps": 2, "batch_size": 32, "lr": 0.003}
    shown = [np.flatnonzero(split.y_test == label)[0] for label in (0, 2, 4, 6, 8)]
    assert images["maps"] == pytest.approx(maps[shown])
    assert found["rank_correlation"]["again"] == pytest.approx(
        networks.rank_correlation(maps, again)
    )
    assert found["rank_correlation"]["shuffled"].n == len(once.y_test)
    assert images["labels"] == ["0", "2", "4", "6", "8"]
    assert np.array_equal(images["digits"], split.X_test[shown])
    assert images["filters"].shape == (16, 9)
