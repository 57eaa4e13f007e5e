"""Looks into fitted models: their mistakes, their confidence, and the features they use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from scipy.cluster.hierarchy import average, fcluster
from scipy.spatial.distance import squareform
from scipy.stats import hypergeom, rankdata
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from literate.cache import compute
from pycode import inference
from pycode.data import Split
from pycode.inference import Estimate


@dataclass(frozen=True)
class Confidence:
    """The probability a model gives to the class it names, for each test row."""

    values: NDArray[np.float64] = field(repr=False)
    correct: NDArray[np.bool_] = field(repr=False)
    mean: float
    mean_correct: float  # NaN if no row is
    mean_wrong: float
    by: ClassVar[str] = "inspection.confidence"


@dataclass(frozen=True)
class ClassScore:
    """How well the test rows of one class are found; a share of no rows is 0, without interval.

    Of several classes it has their means, which have none either.
    """

    precision: Estimate
    recall: Estimate
    f1: float
    n: int  # test rows of the class
    by: ClassVar[str] = "inspection.by_class"
    unit: ClassVar[str] = "share of rows"


@dataclass(frozen=True)
class Importances:
    """Each feature's share of the impurity that a forest's splits remove, summing to 1."""

    values: NDArray[np.float64] = field(repr=False)
    largest: float
    mean: float
    n_zero: int
    by: ClassVar[str] = "inspection.importances"


def confusion(estimator: Any, split: Split) -> NDArray[np.int64]:
    """Counts of test rows (n_classes, n_classes), true class down and named class across."""
    labels = np.arange(len(split.classes))
    return confusion_matrix(split.y_test, estimator.predict(split.X_test), labels=labels)


def mistakes(estimator: Any, split: Split) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The positions of the test rows that a fitted model misclassifies, and what it says."""
    predicted = estimator.predict(split.X_test)
    wrong = np.flatnonzero(predicted != split.y_test)
    return wrong, predicted[wrong]


def by_class(estimator: Any, split: Split) -> dict[str, ClassScore]:
    """How well a fitted model finds each class among the test rows, by the class's name."""
    y, predicted = split.y_test, estimator.predict(split.X_test)
    labels = np.arange(len(split.classes))
    none: Any = 0
    columns: Any = precision_recall_fscore_support(y, predicted, labels=labels, zero_division=none)
    scores = {}
    for name, label, f1, n in zip(split.classes, labels, *columns[2:], strict=True):
        precision, recall = (
            inference.proportion(rows) if len(rows) else Estimate(0.0)
            for rows in (y[predicted == label] == label, predicted[y == label] == label)
        )
        scores[name] = ClassScore(precision, recall, float(f1), int(n))
    return scores


def macro(scores: Mapping[str, ClassScore]) -> ClassScore:
    """The means over the classes, each counting the same, and the number of all rows."""
    columns = [(s.precision, s.recall, s.f1) for s in scores.values()]
    precision, recall, f1 = np.mean(columns, axis=0)
    n = sum(score.n for score in scores.values())
    return ClassScore(Estimate(precision), Estimate(recall), float(f1), n)


def confidence(estimator: Any, split: Split) -> Confidence:
    """How sure a model fitted on the training rows is of each test row."""
    values = estimator.predict_proba(split.X_test).max(axis=1)
    correct = estimator.predict(split.X_test) == split.y_test
    means = (float(v.mean()) if len(v) else np.nan for v in (values[correct], values[~correct]))
    return Confidence(values, correct, float(values.mean()), *means)


def importances(forest: Any) -> Importances:
    """The impurity importances of a fitted forest's features.

    Raises TypeError for a model that has none of the features as they stand in the data.
    """
    model = forest[-1] if isinstance(forest, Pipeline) else forest  # behind the scaler
    shares = getattr(model, "feature_importances_", None)
    if shares is None or (isinstance(forest, Pipeline) and not _scales_alone(forest)):
        raise TypeError(f"{forest!r} has no importances of the features: give a fitted forest")
    return Importances(shares, float(shares.max()), float(shares.mean()), int((shares == 0).sum()))


def correlated(split: Split, *, threshold: float) -> list[list[int]]:
    """The features in groups: those whose ranks on the training rows are correlated.

    Average linkage of one minus the size of Spearman's coefficient, cut at one minus
    `threshold`.  A constant feature is correlated with none.
    """
    ranks = np.apply_along_axis(rankdata, 0, split.X_train)
    ranks = ranks - ranks.mean(axis=0)
    norms = np.linalg.norm(ranks, axis=0)
    ranks = ranks / np.where(norms == 0, 1, norms)
    distances = 1 - np.clip(np.abs(ranks.T @ ranks), 0, 1)
    np.fill_diagonal(distances, 0)
    labels = fcluster(average(squareform(distances, checks=False)), 1 - threshold, "distance")
    return [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]


def permuted(
    estimators: Mapping[str, Any],
    split: Split,
    groups: Sequence[Sequence[int]],
    *,
    repeats: int = 5,
    seed: int = 42,
) -> dict[str, NDArray[np.float64]]:
    """What permuting each feature's group costs a fitted model in validation accuracy.

    Arrays are (n_features,), means over `repeats`.  A group is permuted as a whole: a feature
    permuted alone may cost nothing only because others tell the same.
    """
    X, y = split.X_validation, split.y_validation
    calls = [
        delayed(_permute)(estimator, X, y, groups, seed + n)
        for estimator in estimators.values()
        for n in range(repeats)
    ]
    lost = np.reshape(compute(calls), (len(estimators), repeats, X.shape[1])).mean(axis=1)
    return dict(zip(estimators, lost, strict=True))


def precision_at(
    k: int, values: NDArray[np.float64], roles: Sequence[str], wanted: Sequence[str]
) -> float:
    """The share of the `k` most important features that are known to have a wanted role."""
    if not roles or not k:
        return 0.0
    first = np.argsort(-values, kind="stable")[:k]
    return float(np.isin(np.asarray(roles)[first], wanted).mean())


def precision_by_chance(k: int, roles: Sequence[str], wanted: Sequence[str]) -> Estimate:
    """What a random order would have for `precision_at`, with the hypergeometric interval.

    Where no roles are known it could have any share.
    """
    if not roles or not k:
        return Estimate(0.0, 0.0, 1.0)
    n_wanted = int(np.isin(roles, wanted).sum())
    low, high = hypergeom.interval(inference.CONFIDENCE, len(roles), n_wanted, k)
    return Estimate(n_wanted / len(roles), low / k, high / k)


def _scales_alone(pipeline: Pipeline) -> bool:
    return all(isinstance(step, StandardScaler) for step in pipeline[:-1])


def _permute(
    fitted: Any, X: Any, y: Any, groups: Sequence[Sequence[int]], seed: int
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    lost, whole = np.empty(X.shape[1]), fitted.score(X, y)
    for group in groups:
        shuffled = X.copy()
        shuffled[:, group] = X[rng.permutation(len(X))][:, group]
        lost[group] = whole - fitted.score(shuffled, y)
    return lost
