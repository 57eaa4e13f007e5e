"""Models are tuned on one budget, by samples that the settings have not learnt from."""

from collections import Counter
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from pycode import models

SEEN: list[tuple[str, int, frozenset[float]]] = []  # each call, its level and its samples


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that notes its samples, and gets more of them right the higher its level."""

    def __init__(self, level: int = 0) -> None:
        self.level = level

    def fit(self, X: Any, y: Any) -> "Recorder":
        SEEN.append(("fit", self.level, frozenset(X[:, 0])))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        SEEN.append(("predict", self.level, frozenset(X[:, 0])))
        return np.where(X[:, 0] < (self.level + 1) / 9, X[:, 1], 1 - X[:, 1])


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A search among eight levels, fitted on 400 samples, whose calls are in SEEN."""
    monkeypatch.setattr(models, "SPACES", {"mine": {"level": list(range(8))}})
    SEEN.clear()
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.permutation(400) / 400, np.arange(400) % 2])
    search: Any = models.tuned({"mine": make_pipeline(Recorder())}, seed=3)["mine"]
    return search.fit(X, X[:, 1])


def test_all_settings_are_tried_on_a_quarter_and_the_best_quarter_on_all(search):
    fits = [(level, len(samples)) for call, level, samples in SEEN if call == "fit"]
    # A quarter of the samples of each round is held out; the winner has all.
    assert [n for _, n in fits] == [75] * 8 + [300] * 2 + [400]
    levels = [level for level, _ in fits]
    assert sorted(levels[:8]) == list(range(8))
    assert sorted(levels[8:10]) == [6, 7]
    assert levels[10] == 7
    assert search.best_params_ == {"recorder__level": 7}


def test_settings_are_scored_on_samples_that_they_have_not_seen(search):
    starts = [n for n, (call, *_) in enumerate(SEEN) if call == "fit"]
    held_out = []
    for start, end in pairwise(starts):
        learnt = SEEN[start][2]
        unseen = [samples for _, _, samples in SEEN[start + 1 : end] if samples != learnt]
        (scored,) = unseen  # beside the accuracy on the samples that it has learnt from
        assert not scored & learnt
        held_out.append(scored)
    assert list(map(len, held_out)) == [25] * 8 + [100] * 2
    assert len(set(held_out[:8])) == len(set(held_out[8:])) == 1  # the same ones for all settings


def test_every_model_has_the_same_budget():
    quick = {
        "logistic": models.scaled(LogisticRegression(max_iter=2000)),
        "random forest": models.scaled(RandomForestClassifier(3, random_state=0)),
        "SVM": models.scaled(SVC()),
    }
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    X = rng.normal(size=(160, 20)) + y[:, None]
    for search in models.tuned(quick, n_settings=8).values():
        fitted: Any = clone(search)
        fitted.fit(X, y)
        assert Counter(fitted.cv_results_["n_resources"].tolist()) == {40: 8, 160: 2}
        assert fitted.n_splits_ == 1


def test_spaces_have_enough_settings_of_parameters_that_the_models_have():
    searches: dict[str, Any] = dict(models.tuned(models.candidates()))
    assert searches.keys() == models.SPACES.keys()
    for name, search in searches.items():
        assert prod(map(len, models.SPACES[name].values())) >= search.n_candidates
        assert search.param_distributions.keys() <= search.estimator.get_params().keys()
        assert (search.n_candidates, search.factor) == (8, 4)


def test_a_model_without_a_space_is_not_tuned():
    candidates = {"bayes": models.scaled(GaussianNB())}
    assert models.tuned(candidates)["bayes"] is candidates["bayes"]


def test_the_same_seed_makes_the_same_choice():
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    X = rng.normal(size=(160, 5)) + 0.3 * y[:, None]

    def settings(seed: int) -> tuple[Any, list[Any]]:
        search: Any = models.tuned({"SVM": models.scaled(SVC())}, seed=seed)["SVM"]
        search.fit(X, y)
        return search.best_params_, search.cv_results_["params"]

    assert settings(1) == settings(1)
    assert settings(1)[1] != settings(2)[1]


@pytest.mark.parametrize(
    ("name", "parameters", "found"),
    [
        ("logistic", {"C": 1e-4}, True),
        ("logistic", {"C": 1e3}, True),
        ("logistic", {"C": 10.0}, False),
        ("SVM", {"C": 10.0, "gamma": 0.064}, True),
        ("SVM", {"C": 10.0, "gamma": 0.016}, False),
        ("MLP", {"alpha": 10.0, "hidden_layer_sizes": (128,), "learning_rate_init": 1e-3}, True),
        # Of two learning rates each is an end, and of layers and features no end is a limit.
        ("MLP", {"alpha": 1.0, "hidden_layer_sizes": (64,), "learning_rate_init": 1e-2}, False),
        ("random forest", {"criterion": "gini", "max_features": 4, "min_samples_leaf": 1}, False),
        ("bayes", {}, False),
        ("logistic", {}, False),  # which nobody has tuned
    ],
)
def test_values_at_an_end_of_their_range(name, parameters, found):
    assert models.at_edge(name, parameters) is found


def test_models_are_reproducible_whatever_ran_before():
    np.random.seed(1)
    first = {name: m[-1].get_params() for name, m in models.candidates(seed=3).items()}
    np.random.seed(2)
    again = {name: m[-1].get_params() for name, m in models.candidates(seed=3).items()}
    assert first == again
    assert all(params.get("random_state", 3) == 3 for params in first.values())
