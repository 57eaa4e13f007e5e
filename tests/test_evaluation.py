"""Accuracies are those of an independent count, and models are chosen by validation rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import model_selection
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

from pycode import data, evaluation, inspection, models


@pytest.fixture(scope="module")
def split() -> data.Split:
    return data.split(data.synthetic(n_samples=300, n_classes=3, seed=1), seed=1)


def by_hand(estimator, X, y, *, inside: bool) -> np.ndarray:
    """Accuracies over five folds, counted without scikit-learn's cross-validation or scaler."""
    found = []
    if not inside:
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    for train, rest in StratifiedKFold(5).split(X, y):
        mean, sd = (X[train].mean(axis=0), X[train].std(axis=0)) if inside else (0, 1)
        fitted: Any = clone(estimator)
        fitted.fit((X[train] - mean) / sd, y[train])
        found.append(np.mean(fitted.predict((X[rest] - mean) / sd) == y[rest]))
    return np.array(found)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(max_iter=1000), KNeighborsClassifier(3)], ids=repr
)
def test_score_is_the_share_of_rows_named_rightly(split, estimator):
    score = evaluation.score(estimator, split)
    scaled = split.scaled()
    fitted: Any = clone(estimator)
    fitted.fit(scaled.X_train, scaled.y_train)
    for part in ("train", "validation", "test"):
        X, y = getattr(scaled, f"X_{part}"), getattr(scaled, f"y_{part}")
        assert getattr(score, part) == np.mean(fitted.predict(X) == y)
    for name, inside in (("cv", False), ("cv_in_fold", True)):
        folds = by_hand(estimator, split.X_train, split.y_train, inside=inside)
        assert getattr(score, name) == pytest.approx(folds.mean(), abs=1e-12)
        assert getattr(score, f"{name}_sd") == pytest.approx(folds.std(), abs=1e-12)


def test_score_leaves_the_estimator_unfitted(split):
    estimator = LogisticRegression()
    evaluation.score(estimator, split)
    assert not hasattr(estimator, "coef_")


def test_majority_class_scores_its_share(split):
    score = evaluation.score(DummyClassifier(strategy="most_frequent"), split)
    assert score.test == np.mean(split.y_test == np.bincount(split.y_train).argmax())


def fake(validation: float, test: float) -> evaluation.Score:
    return evaluation.Score(1, validation, test, 0, 0, 0, 0, 0, None)


def test_best_is_chosen_by_validation_rows_and_the_first_of_equals():
    assert evaluation.best({"a": fake(0.8, 0.9), "b": fake(0.9, 0.1)}) == "b"
    assert evaluation.best({"a": fake(0.9, 0.1), "b": fake(0.9, 0.9)}) == "a"


def test_learning_curve_ends_with_the_cross_validation(split):
    estimator = LogisticRegression(max_iter=1000)
    curve = evaluation.learning_curve(estimator, split, n_sizes=4)
    score = evaluation.score(estimator, split)
    assert curve.sizes == (14, 57, 100, 144)
    assert curve.validation[-1] == pytest.approx(score.cv)
    assert curve.validation_sd[-1] == pytest.approx(score.cv_sd)


def test_compare_scores_each_candidate_by_itself(split):
    candidates = {"nearest": KNeighborsClassifier(3), "logistic": LogisticRegression()}
    scores = evaluation.compare(candidates, split, cv=3)
    assert list(scores) == list(candidates)
    for name, estimator in candidates.items():
        alone = evaluation.score(estimator, split, cv=3)
        assert replace(scores[name], estimator=None) == replace(alone, estimator=None)


def test_learning_curve_is_scikit_learns(split):
    estimator = KNeighborsClassifier(3)
    curve = evaluation.learning_curve(estimator, split, n_sizes=4)
    X, y, shares = split.scaled().X_train, split.y_train, np.linspace(0.1, 1, 4)
    sizes, train, validation = model_selection.learning_curve(
        estimator, X, y, cv=5, train_sizes=shares
    )[:3]
    assert curve.sizes == tuple(sizes)
    assert curve.train == pytest.approx(train.mean(axis=1))
    assert curve.validation_sd == pytest.approx(validation.std(axis=1))


def test_search_tries_every_setting_and_puts_the_best_first(split):
    grid = {"C": [1e-4, 1.0, 1.0], "fit_intercept": [True, False]}
    trials = evaluation.search(LogisticRegression(max_iter=1000), grid, split, rows=100, cv=3)
    assert len(trials) == 6
    means = [trial.mean for trial in trials]
    assert means == sorted(means, reverse=True)
    X, y = split.scaled().X_train[:100], split.y_train[:100]
    for trial in trials:
        folds = [
            LogisticRegression(max_iter=1000, **trial.parameters).fit(X[a], y[a]).score(X[b], y[b])
            for a, b in StratifiedKFold(3).split(X, y)
        ]
        assert trial.mean == pytest.approx(np.mean(folds))
        assert trial.sd == pytest.approx(np.std(folds))
        sizes = [len(a) for a, _ in StratifiedKFold(3).split(X, y)]
        assert trial.n_train == min(sizes)


def test_importances_of_a_feature_that_is_never_used():
    X = np.column_stack([np.arange(40.0), np.zeros(40)])
    forest = RandomForestClassifier(10, random_state=0).fit(X, X[:, 0] > 19)
    found = inspection.importances(forest)
    assert (found.n_zero, found.largest, found.mean) == (1, 1.0, 0.5)


def test_confidence_mistakes_and_confusion_agree(split):
    score = evaluation.score(LogisticRegression(max_iter=1000), split)
    confidence = inspection.confidence(score.estimator, split)
    wrong, predicted = inspection.mistakes(score.estimator, split)
    confusion = inspection.confusion(score.estimator, split)
    assert confidence.correct.mean() == score.test
    assert np.array_equal(np.flatnonzero(~confidence.correct), wrong)
    assert np.all(split.y_test[wrong] != predicted)
    assert np.trace(confusion) / confusion.sum() == score.test
    assert np.array_equal(confusion.sum(axis=1), np.bincount(split.y_test))
    for true, said in zip(split.y_test[wrong], predicted, strict=True):
        assert confusion[true, said] > 0


def test_models_are_reproducible_whatever_ran_before(split):
    np.random.seed(1)
    first = {name: m.get_params() for name, m in models.candidates(seed=3).items()}
    np.random.seed(2)
    again = {name: m.get_params() for name, m in models.candidates(seed=3).items()}
    assert first == again
    assert all(params.get("random_state", 3) == 3 for params in first.values())
