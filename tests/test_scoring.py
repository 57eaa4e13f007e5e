"""Metrics are scikit-learn's, intervals and tests those of SciPy and of counting."""

import warnings
from dataclasses import replace
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from literate import cache, drawing, results
from pycode import data, evaluation, figures, inspection, models, report, scoring
from pycode.scoring import METRICS, bca, bootstrap_interval, permutation_test

OTHERS = [name for name in METRICS if name != "accuracy"]


class Fixed(ClassifierMixin, BaseEstimator):
    """A fitted classifier that says the same of any samples."""

    def __init__(self, predicted: Any = None, probabilities: Any = None):
        self.predicted, self.probabilities = predicted, probabilities
        self.classes_ = np.arange(3)

    def predict(self, X):
        return self.predicted

    def predict_proba(self, X):
        return self.probabilities


def drawn(seed: int, n: int, n_classes: int = 3) -> tuple[np.ndarray, Fixed]:
    """True classes, each of two samples or more, and a model with many equal probabilities."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.repeat(np.arange(n_classes), 2), rng.integers(n_classes, size=n)]
    chances = 0.2 + np.eye(n_classes)[y]
    chances /= chances.sum(axis=1, keepdims=True)
    probabilities = np.array([rng.multinomial(4, row) for row in chances]) / 4
    model = Fixed(rng.integers(n_classes, size=len(y)), probabilities)
    model.classes_ = np.arange(n_classes)
    return y, model


seeds, sizes, classes = st.integers(0, 10_000), st.integers(0, 30), st.integers(2, 4)


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=15)
@given(seeds, sizes, classes)
def test_a_metric_is_scikit_learns_and_weights_repeat_samples(name, seed, n, n_classes):
    y, model = drawn(seed, n, n_classes)
    metric, X = METRICS[name], np.zeros((len(y), 1))
    found = metric.outputs(model, X, n_classes=n_classes)
    expected = metrics.get_scorer(name)(model, X, y)
    assert metric.value(y, found) == pytest.approx(expected, abs=1e-12)
    weights = np.random.default_rng(seed).integers(1, 4, size=(2, len(y)))
    once = [metric.value(np.repeat(y, row), np.repeat(found, row, axis=0)) for row in weights]
    assert metric.values(y, found, weights.astype(float)) == pytest.approx(once, abs=1e-12)


def test_a_class_that_was_not_trained_on_has_no_probability():
    model = GaussianNB().fit([[0.0], [0.1], [1.0], [1.1]], [0, 0, 2, 2])
    y, X = np.array([0, 1, 2]), np.array([[0.0], [0.5], [1.0]])
    metric = METRICS["neg_log_loss"]
    found = metric.outputs(model, X, n_classes=3)
    assert found[:, 1].tolist() == [0, 0, 0]
    expected = -metrics.log_loss(y, found, labels=[0, 1, 2])
    assert metric.value(y, found) == pytest.approx(expected)


def bar(expected: Any) -> Any:
    interval = expected.confidence_interval
    return pytest.approx((interval.low, interval.high), abs=1e-9)


@settings(max_examples=10)
@given(seeds, st.integers(15, 40))  # with fewer, draws equal the samples, which SciPy rounds
def test_bca_is_scipys_for_one_and_for_several_samples(seed, n):
    rng = np.random.default_rng(seed)
    first, second = rng.exponential(size=n), rng.exponential(2, size=n + 5)
    theirs: Any = {"n_resamples": 500, "method": "BCa", "rng": rng}
    one = stats.bootstrap((first,), np.mean, **theirs)
    without = np.array([np.delete(first, i).mean() for i in range(n)])
    # The acceleration of a mean is a sixth of its skewness.
    assert bca(first.mean(), one.bootstrap_distribution, [without], [n]) == bar(one)

    def difference(a, b, axis):
        return a.mean(axis=axis) - b.mean(axis=axis)

    two = stats.bootstrap((first, second), difference, **theirs)
    others = np.array([first.mean() - np.delete(second, i).mean() for i in range(n + 5)])
    lost = [without - second.mean(), others]
    found = bca(first.mean() - second.mean(), two.bootstrap_distribution, lost, [n, n + 5])
    assert found == bar(two)


def test_the_interval_is_that_of_scipys_bootstrap_within_classes():
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], [150, 50])
    right = rng.random(200) < np.where(y, 0.6, 0.9)
    found = bootstrap_interval(y, np.where(right, y, 1 - y), scoring="balanced_accuracy")

    def balanced(a, b, axis):
        return (a.mean(axis=axis) + b.mean(axis=axis)) / 2

    groups = right[y == 0].astype(float), right[y == 1].astype(float)
    expected = stats.bootstrap(groups, balanced, n_resamples=4000, method="BCa", rng=rng)
    interval = expected.confidence_interval
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.01)
    # Closed form: the variance of a mean of two independent shares.
    error = np.sqrt(sum(group.var() / len(group) for group in groups)) / 2
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert (found.n, found.unit) == (200, "1")


def test_each_class_is_drawn_as_often_as_it_has_samples(monkeypatch):
    y, model = drawn(3, 40)
    members = [np.flatnonzero(y == label) for label in range(3)]
    weights = scoring._resamples(members, 50, np.random.default_rng(0))
    for some in members:
        assert set(weights[:, some].sum(axis=1)) == {len(some)}
    # Many samples are taken in batches, and a class's first ones give the acceleration.
    whole = bootstrap_interval(y, model.predicted, scoring="f1_macro")
    monkeypatch.setattr(scoring, "CELLS", 1000)
    monkeypatch.setattr(scoring, "JACKKNIFE", 8)
    parts = bootstrap_interval(y, model.predicted, scoring="f1_macro")
    assert whole == parts
    assert (whole.low, whole.high) == pytest.approx((parts.low, parts.high), abs=0.03)


@pytest.mark.parametrize("name", OTHERS)
@settings(max_examples=5)
@given(seeds)
def test_intervals_are_within_bounds_and_honest_where_the_bootstrap_cannot_tell(name, seed):
    y, model = drawn(seed, 20)
    metric = METRICS[name]
    some, less = (metric.outputs(m, y, n_classes=3) for m in (model, drawn(seed + 1, 20)[1]))
    found = bootstrap_interval(y, some, scoring=name, n_draws=200)
    if np.isfinite(found.low):
        assert metric.bounds[0] <= found.low <= found.high <= metric.bounds[1]
    over = bootstrap_interval(y, some, less, scoring=name, n_draws=200)
    assert over == pytest.approx(found - metric.value(y, less))
    perfect = Fixed(y, np.eye(3)[y])
    for labels, best in ((y, perfect), (np.r_[y, 3], Fixed(np.r_[y, 0], np.eye(4)[np.r_[y, 0]]))):
        outputs = best.probabilities if metric.probabilistic else best.predicted
        sure = bootstrap_interval(labels, outputs, scoring=name, n_draws=200)
        assert np.isnan([sure.low, sure.high]).all()


@pytest.mark.parametrize("name", METRICS)
def test_the_permutation_test_is_that_of_all_swaps(name):
    y = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    metric, rng = METRICS[name], np.random.default_rng(4)
    good, poor = (Fixed(None, rng.dirichlet([1, 1, 1], 8) + w * np.eye(3)[y]) for w in (2, 0))
    for model in (good, poor):
        model.probabilities = model.probabilities / model.probabilities.sum(axis=1, keepdims=True)
        model.predicted = model.probabilities.argmax(axis=1)
    first, second = (metric.outputs(model, y, n_classes=3) for model in (good, poor))
    ranked = name == "roc_auc_ovr"
    a, b = (stats.rankdata(some, axis=0) if ranked else some for some in (first, second))
    differences = []
    for swap in product([False, True], repeat=8):
        keep = ~np.array(swap) if a.ndim == 1 else ~np.array(swap)[:, None]
        pair = np.where(keep, a, b), np.where(keep, b, a)
        differences.append(metric.value(y, pair[0]) - metric.value(y, pair[1]))
    exact = np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9)
    assert exact < 0.5
    found = permutation_test(y, first, second, scoring=name)
    assert found == pytest.approx(exact, abs=0.02)
    assert permutation_test(y, second, first, scoring=name) == found
    assert permutation_test(y, first, first, scoring=name) == 1
    if name == "neg_log_loss":
        losses = [np.log(some[np.arange(8), y]) for some in (first, second)]
        kind: Any = {"permutation_type": "samples", "n_resamples": np.inf}
        theirs = stats.permutation_test(losses, lambda a, b: np.mean(a) - np.mean(b), **kind)
        assert exact == pytest.approx(theirs.pvalue)


@pytest.fixture(scope="module")
def split() -> data.Split:
    """Imbalanced samples of three classes."""
    dataset = data.synthetic(n_samples=300, n_features=8, n_informative=5, n_redundant=0, seed=2)
    y = dataset.y % 3  # the first two classes are twice as large as the third
    return data.split(data.Dataset(dataset.X, y, ("a", "b", "c")), seed=1)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Neither reads nor writes what this paper remembers, draws and records."""
    monkeypatch.setenv("PYCODE_CACHE", "off")
    monkeypatch.setenv("PYCODE_WORKERS", "1")
    monkeypatch.setattr(drawing, "ROOT", tmp_path)
    monkeypatch.setattr(results, "_folder", "a run has begun")
    monkeypatch.setattr(results, "_printed", {})
    monkeypatch.setattr(results, "_values", recorded := {})
    cache._secret.cache_clear()
    return recorded


CANDIDATES = {
    "constant": models.baseline(),
    "logistic": models.scaled(LogisticRegression(max_iter=1000)),
    "bayes": GaussianNB(),
}


@pytest.mark.parametrize("name", METRICS)
def test_a_study_by_any_metric(name, split, alone, monkeypatch):
    scores = evaluation.compare(CANDIDATES, split, scoring=name)
    scorer, metric = metrics.get_scorer(name), METRICS[name]
    for score in scores.values():
        for part in evaluation.PARTS:
            samples = getattr(split, f"X_{part}"), getattr(split, f"y_{part}")
            expected = scorer(score.estimator, *samples)
            assert getattr(score, part) == pytest.approx(expected, abs=1e-12)
    best = evaluation.best(scores)
    ties, pairs = evaluation.ties(scores), evaluation.compare_pairs(scores)
    top = max(scores, key=lambda one: scores[one].validation)
    assert best == ties[0]
    assert {best, top} <= set(ties)
    assert best != "constant"  # also by the log loss, which is best if it is least
    lead = pairs["constant", "logistic"]
    assert lead.difference == pytest.approx(scores["constant"].test - scores["logistic"].test)
    assert lead.difference.high < 0
    assert lead.p <= lead.p_holm < 0.05
    folds = evaluation.cross_validate(CANDIDATES, split, cv=2, repeats=1, scoring=name)
    tests = evaluation.compare_folds(folds)
    assert folds["constant"].mean < folds["logistic"].mean <= metric.bounds[1]
    curve = evaluation.learning_curve(CANDIDATES[best], split, cv=2, n_sizes=2, scoring=name)
    assert scores[best].scoring == folds[best].scoring == curve.scoring == name

    chosen = report.best(scores, split)
    report.learning_curve("study", curve)
    for key, found in {"scores": scores, "pairs": pairs, "tests": tests, "folds": folds}.items():
        results.record(f"study.{key}", found)
    results.record("study.best", chosen)
    assert chosen.over_baseline.low > 0
    share = name == "accuracy"
    for key in ("scores.bayes.test", "folds.bayes.mean", "folds.bayes.sd", "best.validation"):
        assert alone[f"study.{key}"]["unit"] == ("share of samples" if share else "1")
    for key in ("learning_curve.train.1", "learning_curve.validation_sd.2"):
        assert alone[f"study.{key}"]["unit"] == ("share of samples" if share else "1")
    for key in ("pairs.logistic_bayes", "tests.logistic_bayes"):
        unit = "difference of shares" if share else "1"
        assert alone[f"study.{key}.difference"]["unit"] == unit
    for key in ("best.over_baseline", "gap.first"):
        assert alone[f"study.{key}"]["unit"] == ("difference of shares" if share else "1")
    assert ("study.best.metric" in alone) is not share
    assert "study.scores.bayes.scoring" not in alone  # which would change other papers' results
    row = report.score_table(scores).splitlines()[-3]
    shown = 100 * scores["bayes"].test if share else scores["bayes"].test
    assert f"{shown:.{1 if share else 3}f}" in row

    if name not in {"accuracy", "neg_log_loss"}:  # figures take their time
        return
    drawings = []
    monkeypatch.setattr(drawing, "_drawn", {})
    monkeypatch.setattr(plt, "close", drawings.append)
    confusion = inspection.confusion(scores[best].estimator, split)
    size = {"best": best, "width": "441.0pt"}
    command = figures.performance(scores, folds, curve, confusion, split.classes, **size)
    label = "accuracy in %" if share else metric.label
    axes = drawings[0].axes[:3]
    assert [ax.get_ylabel() for ax in axes] == [label, *[f"{label}, mean, s.d."] * 2]
    assert f"Test {metric.label}: constant" in command
    ticks = [
        float(text.get_text().replace("\N{MINUS SIGN}", "-")) for text in axes[0].get_yticklabels()
    ]
    assert (max(ticks) > 2) is share


def test_scores_of_two_metrics_or_of_other_samples_are_not_compared(split, alone):
    by_share = evaluation.score(GaussianNB(), split)
    by_f1 = evaluation.score(GaussianNB(), split, scoring="f1_macro")
    with pytest.raises(ValueError, match="accuracy and f1_macro cannot be compared"):
        evaluation.compare_pairs({"a": by_share, "b": by_f1})
    other = replace(by_f1, outputs={"train": by_f1.outputs["test"]})
    with pytest.raises(ValueError, match="train samples are not the same"):
        evaluation.difference(by_f1, other, part="train")


@pytest.mark.parametrize(
    "evaluate",
    [
        lambda model, split, name: evaluation.compare({"mine": model}, split, scoring=name),
        lambda model, split, name: evaluation.cross_validate({"mine": model}, split, scoring=name),
        lambda model, split, name: evaluation.learning_curve(model, split, scoring=name),
    ],
)
def test_what_a_metric_cannot_measure_is_refused(evaluate, split):
    with pytest.raises(ValueError, match="'f1' is no scoring: take one of accuracy, balanced_acc"):
        evaluate(GaussianNB(), split, "f1")
    for name in ("roc_auc_ovr", "neg_log_loss"):
        with pytest.raises(TypeError, match=r"has no predict_proba.*CalibratedClassifierCV"):
            evaluate(models.scaled(SVC()), split, name)


def test_models_are_tuned_by_the_metric(split, alone, monkeypatch):
    by: Any = {"scoring": "f1_macro"}
    monkeypatch.setattr(models, "SPACES", {"SVM": {"C": [0.1, 1.0]}})
    tuned = models.tuned({"SVM": models.scaled(SVC(random_state=0))}, n_settings=2, **by)
    score = evaluation.compare(tuned, split, **by)["SVM"]
    assert tuned["SVM"].get_params()["scoring"] == "f1_macro"
    assert score.parameters.keys() == {"C"}
    # The folds' accuracies are not what the search would call its score.
    folds = evaluation.cross_validate(tuned, split, cv=2, repeats=1)["SVM"]
    counts = folds.accuracies * folds.n_test
    assert counts == pytest.approx(np.round(counts), abs=1e-9)
    with pytest.raises(ValueError, match="'SVM' is tuned by f1_macro: a spread needs accuracy"):
        evaluation.reseed(tuned, split, seeds=[1])


@pytest.mark.parametrize(
    ("counts", "warned"),
    [((90, 20), True), ((80, 20), False), ((40, 40, 40, 4), True), ((40, 40, 40, 5), False)],
)
def test_accuracy_of_imbalanced_classes_is_warned_of(counts, warned, alone):
    y = np.repeat(np.arange(len(counts)), counts)
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    names = tuple(f"kind {label}" for label in range(len(counts)))
    part = data.Split(X, X, X, y, y, y, names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        evaluation.score(GaussianNB(), part)
    messages = [str(one.message) for one in caught]
    assert len(messages) == warned
    if warned:
        assert f"class 'kind 0' has {counts[0] / len(y):.1%} of the training" in messages[0]
        assert 'scoring="balanced_accuracy"' in messages[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluation.score(GaussianNB(), part, scoring="balanced_accuracy")
