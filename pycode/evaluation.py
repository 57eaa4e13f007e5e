"""Fits models and says how well they do: the only module that trains."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import ParameterGrid, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pycode.cache import Call, compute
from pycode.data import Split


@dataclass(frozen=True)
class Score:
    """One model's accuracy, the share of rows whose class it names, on each part of a split.

    `cv` and `cv_sd` are mean and standard deviation (ddof 0) over the folds of the
    training rows, all scaled before they were folded; for `cv_in_fold` each fold's scaler
    saw only the rows it was trained on.
    """

    train: float
    validation: float
    test: float
    cv: float
    cv_sd: float
    cv_in_fold: float
    cv_in_fold_sd: float
    n_bytes: int  # of the fitted model's arrays: a measure of complexity that all models have
    estimator: Any = field(repr=False)  # fitted on the scaled training rows
    by: ClassVar[str] = "evaluation.score"


@dataclass(frozen=True)
class LearningCurve:
    """Accuracies in cross-validation, a row for each number of training rows.

    The arrays are (n_sizes,): mean and standard deviation over the folds.
    """

    sizes: tuple[int, ...]
    train: tuple[float, ...]
    train_sd: tuple[float, ...]
    validation: tuple[float, ...]
    validation_sd: tuple[float, ...]
    by: ClassVar[str] = "evaluation.learning_curve"


@dataclass(frozen=True)
class Trial:
    """One setting of a search: its parameters and its accuracy over the folds."""

    parameters: Mapping[str, Any]
    mean: float
    sd: float
    n_train: int  # rows that each fit saw
    by: ClassVar[str] = "evaluation.search"


@dataclass(frozen=True)
class Importances:
    """Each feature's share of the impurity that a forest's splits remove, summing to 1."""

    values: NDArray[np.float64] = field(repr=False)
    largest: float
    mean: float
    n_zero: int
    by: ClassVar[str] = "evaluation.importances"


@dataclass(frozen=True)
class Confidence:
    """The probability a model gives to the class it names, for each test row."""

    values: NDArray[np.float64] = field(repr=False)
    correct: NDArray[np.bool_] = field(repr=False)
    mean: float
    mean_correct: float
    mean_wrong: float
    by: ClassVar[str] = "evaluation.confidence"


def score(estimator: BaseEstimator, split: Split, *, cv: int = 5) -> Score:
    """The accuracies of a copy of `estimator` that is fitted on the scaled training rows."""
    return compare({"": estimator}, split, cv=cv)[""]


def compare(
    candidates: Mapping[str, BaseEstimator], split: Split, *, cv: int = 5
) -> dict[str, Score]:
    """The score of each candidate, by its name; all are computed at once."""
    scaled = split.scaled()
    X, y = scaled.X_train, scaled.y_train
    calls: list[Call] = []
    # The simplest come first among candidates and last here: short work fills gaps.
    for estimator in reversed(list(candidates.values())):
        pipeline = make_pipeline(StandardScaler(), estimator)
        calls.append(delayed(_fit)(estimator, X, y))
        calls += _folds(estimator, X, y, cv) + _folds(pipeline, split.X_train, y, cv)
    values = iter(compute(calls))
    scores: dict[str, Score] = {}
    for name in reversed(list(candidates)):
        (fitted, n_bytes), *folds = islice(values, 1 + 2 * cv)
        once, in_fold = np.reshape(folds, (2, cv, 2))[:, :, 1]
        scores[name] = Score(
            train=float(fitted.score(X, y)),
            validation=float(fitted.score(scaled.X_validation, scaled.y_validation)),
            test=float(fitted.score(scaled.X_test, scaled.y_test)),
            cv=float(once.mean()),
            cv_sd=float(once.std()),
            cv_in_fold=float(in_fold.mean()),
            cv_in_fold_sd=float(in_fold.std()),
            n_bytes=n_bytes,
            estimator=fitted,
        )
    return {name: scores[name] for name in candidates}


def best(scores: Mapping[str, Score]) -> str:
    """The name of the model with the highest accuracy on the validation rows.

    Of equals the first, which is the simplest.
    """
    return max(scores, key=lambda name: scores[name].validation)


def learning_curve(
    estimator: BaseEstimator, split: Split, *, cv: int = 5, n_sizes: int = 10
) -> LearningCurve:
    """The accuracies with more and more rows: `n_sizes` even shares of the training folds."""
    scaled = split.scaled()
    X, y = scaled.X_train, scaled.y_train
    first, _ = next(StratifiedKFold(cv).split(X, y))
    sizes = [int(share * len(first)) for share in np.linspace(0.1, 1, n_sizes)]
    # From many rows to few: short work fills gaps.
    calls = [call for size in reversed(sizes) for call in _folds(estimator, X, y, cv, size)]
    folds = np.reshape(compute(calls), (n_sizes, cv, 2))[::-1]
    train, validation = np.moveaxis(folds, 2, 0)
    columns = (train.mean(1), train.std(1), validation.mean(1), validation.std(1))
    return LearningCurve(tuple(sizes), *(tuple(c.tolist()) for c in columns))


def search(
    estimator: BaseEstimator,
    grid: Mapping[str, Sequence[Any]],
    split: Split,
    *,
    rows: int,
    cv: int = 3,
) -> list[Trial]:
    """Every setting of `grid`, best first, by accuracy in cross-validation.

    Uses the first `rows` of the scaled training rows.  Equals keep the grid's order.
    """
    scaled = split.scaled()
    X, y = scaled.X_train[:rows], scaled.y_train[:rows]
    settings = list(ParameterGrid(dict(grid)))
    calls: list[Call] = []
    for parameters in settings:
        candidate: Any = clone(estimator)
        calls += _folds(candidate.set_params(**parameters), X, y, cv)
    accuracies = np.reshape(compute(calls), (len(settings), cv, 2))[:, :, 1]
    trials = [
        Trial(parameters, float(row.mean()), float(row.std()), len(y) * (cv - 1) // cv)
        for parameters, row in zip(settings, accuracies, strict=True)
    ]
    return sorted(trials, key=lambda trial: -trial.mean)


def importances(forest: Any) -> Importances:
    """The impurity importances of a fitted forest's features."""
    shares = forest.feature_importances_
    return Importances(shares, float(shares.max()), float(shares.mean()), int((shares == 0).sum()))


def confidence(estimator: Any, split: Split) -> Confidence:
    """How sure a model fitted on the scaled training rows is of each test row."""
    scaled = split.scaled()
    values = estimator.predict_proba(scaled.X_test).max(axis=1)
    correct = estimator.predict(scaled.X_test) == scaled.y_test
    return Confidence(
        values,
        correct,
        float(values.mean()),
        float(values[correct].mean()),
        float(values[~correct].mean()),
    )


def confusion(estimator: Any, split: Split) -> NDArray[np.int64]:
    """Counts of test rows (n_classes, n_classes), true class down and named class across."""
    scaled = split.scaled()
    labels = np.arange(len(split.classes))
    return confusion_matrix(scaled.y_test, estimator.predict(scaled.X_test), labels=labels)


def mistakes(estimator: Any, split: Split) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The positions of the test rows that a fitted model misclassifies, and what it says."""
    predicted = estimator.predict(split.scaled().X_test)
    wrong = np.flatnonzero(predicted != split.y_test)
    return wrong, predicted[wrong]


def _folds(
    estimator: BaseEstimator, X: Any, y: Any, cv: int, size: int | None = None
) -> list[Call]:
    """The calls of a stratified cross-validation, with the first `size` rows of each fold."""
    splits = StratifiedKFold(cv).split(X, y)
    return [delayed(_fit_fold)(estimator, X, y, train[:size], test) for train, test in splits]


def _fit(estimator: Any, X: Any, y: Any) -> tuple[Any, int]:
    """A fitted copy of `estimator`, and how many bytes its arrays have."""
    fitted: Any = clone(estimator)
    fitted.fit(X, y)
    arrays: list[pickle.PickleBuffer] = []
    pickle.dumps(fitted, protocol=5, buffer_callback=arrays.append)
    return fitted, sum(memoryview(array).nbytes for array in arrays)


def _fit_fold(estimator: Any, X: Any, y: Any, train: Any, test: Any) -> tuple[float, float]:
    """The accuracies on rows `train` and rows `test` of a copy fitted on the former."""
    fitted: Any = clone(estimator)
    fitted.fit(X[train], y[train])
    return fitted.score(X[train], y[train]), fitted.score(X[test], y[test])
