"""Fits models and says how well they do: the only module that trains."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import model_selection
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
    n_bytes: int  # of the fitted model, pickled: a measure of complexity that all models have
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
    scaled = split.scaled()
    fitted: Any = clone(estimator)
    fitted.fit(scaled.X_train, scaled.y_train)
    pipeline = make_pipeline(StandardScaler(), clone(estimator))
    return Score(
        train=float(fitted.score(scaled.X_train, scaled.y_train)),
        validation=float(fitted.score(scaled.X_validation, scaled.y_validation)),
        test=float(fitted.score(scaled.X_test, scaled.y_test)),
        **_cross_validate(estimator, scaled.X_train, scaled.y_train, cv, "cv"),
        **_cross_validate(pipeline, split.X_train, split.y_train, cv, "cv_in_fold"),
        n_bytes=len(pickle.dumps(fitted)),
        estimator=fitted,
    )


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
    sizes, train, validation = model_selection.learning_curve(
        clone(estimator),
        scaled.X_train,
        scaled.y_train,
        cv=cv,
        train_sizes=np.linspace(0.1, 1, n_sizes),
    )[:3]
    columns = (train.mean(1), train.std(1), validation.mean(1), validation.std(1))
    return LearningCurve(tuple(sizes.tolist()), *(tuple(c.tolist()) for c in columns))


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
    found = model_selection.GridSearchCV(clone(estimator), dict(grid), cv=cv, refit=False)
    X, y = scaled.X_train[:rows], scaled.y_train[:rows]
    found.fit(X, y)
    table, n_train = found.cv_results_, len(y) * (cv - 1) // cv
    columns = (table["params"], table["mean_test_score"], table["std_test_score"])
    trials = [
        Trial(p, float(mean), float(sd), n_train) for p, mean, sd in zip(*columns, strict=True)
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


def _cross_validate(
    estimator: BaseEstimator, X: Any, y: Any, cv: int, name: str
) -> dict[str, float]:
    folds = model_selection.cross_val_score(clone(estimator), X, y, cv=cv)
    return {name: float(folds.mean()), f"{name}_sd": float(folds.std())}
