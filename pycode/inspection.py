"""A look into fitted models: their mistakes, their confidence, and the features they use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import average, fcluster
from scipy.spatial.distance import squareform
from scipy.stats import hypergeom, rankdata
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from literate.cache import remembered
from pycode import data, inference
from pycode.data import Split
from pycode.inference import Accuracy, Estimate, Share


@dataclass(frozen=True)
class Confidence:
    """The probability that a model gives to its predicted class, for each test sample."""

    values: NDArray[np.float64] = field(repr=False)
    correct: NDArray[np.bool_] = field(repr=False)
    mean: float
    mean_correct: float  # NaN if no prediction is
    mean_wrong: float


@dataclass(frozen=True)
class ClassScore:
    """A model's precision, recall and F1 score on the test samples of one class.

    A share of no samples is 0, without an interval.  For several classes these are the means over
    the classes, which have no intervals either.
    """

    precision: Accuracy
    recall: Accuracy
    f1: Share
    n: int  # test samples of the class


@dataclass(frozen=True)
class Importances:
    """Each feature's share of the impurity that a forest's splits remove; shares sum to 1."""

    values: NDArray[np.float64] = field(repr=False)
    largest: float
    mean: float
    n_zero: int


def confusion(estimator: Any, split: Split) -> NDArray[np.int64]:
    """Count the test samples by true class (down) and predicted class (across).

    The array is (n_classes, n_classes).
    """
    labels = np.arange(len(split.classes))
    return confusion_matrix(split.y_test, estimator.predict(split.X_test), labels=labels)


def mistakes(estimator: Any, split: Split) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return the positions of the test samples that a model misclassifies, and its predictions."""
    predicted = estimator.predict(split.X_test)
    wrong = np.flatnonzero(predicted != split.y_test)
    return wrong, predicted[wrong]


def by_class(estimator: Any, split: Split) -> dict[str, ClassScore]:
    """Score how well a fitted model finds each class among the test samples, by class name."""
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
    """Return the means over the classes, equally weighted, and the number of all samples."""
    columns = [(s.precision, s.recall, s.f1) for s in scores.values()]
    precision, recall, f1 = np.mean(columns, axis=0)
    n = sum(score.n for score in scores.values())
    return ClassScore(Estimate(precision), Estimate(recall), float(f1), n)


def confidence(estimator: Any, split: Split) -> Confidence:
    """Return how confident a model fitted on the training samples is of each test sample."""
    values = estimator.predict_proba(split.X_test).max(axis=1)
    correct = estimator.predict(split.X_test) == split.y_test
    means = (float(v.mean()) if len(v) else np.nan for v in (values[correct], values[~correct]))
    return Confidence(values, correct, float(values.mean()), *means)


def importances(forest: Any) -> Importances:
    """Return the impurity importances of a fitted forest's features.

    Raises TypeError for a model without importances for the features as they are in the data.
    """
    model = forest[-1] if isinstance(forest, Pipeline) else forest  # behind the scaler
    shares = getattr(model, "feature_importances_", None)
    if shares is None or (isinstance(forest, Pipeline) and not _scales_alone(forest)):
        raise TypeError(f"{forest!r} has no importances of the features: give a fitted forest")
    return Importances(shares, float(shares.max()), float(shares.mean()), int((shares == 0).sum()))


def correlation_clusters(split: Split, *, threshold: float) -> list[list[int]]:
    """Group the features whose ranks on the training samples are correlated.

    The clusters are those of average linkage of one minus the absolute value of Spearman's
    coefficient, cut at one minus `threshold`.  A constant feature is correlated with none.

    Raises TypeError for features that have no ranks.
    """
    X = np.asarray(split.X_train)
    if X.dtype.kind not in "biuf" or not np.isfinite(X).all():
        raise TypeError("text and missing values have no ranks: group the features by hand")
    ranks = np.apply_along_axis(rankdata, 0, X)
    ranks = ranks - ranks.mean(axis=0)
    norms = np.linalg.norm(ranks, axis=0)
    ranks = ranks / np.where(norms == 0, 1, norms)
    distances = 1 - np.clip(np.abs(ranks.T @ ranks), 0, 1)
    np.fill_diagonal(distances, 0)
    labels = fcluster(average(squareform(distances, checks=False)), 1 - threshold, "distance")
    return [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]


def grouped_permutation_importance(
    estimators: Mapping[str, Any],
    split: Split,
    groups: Sequence[Sequence[int]],
    *,
    repeats: int = 5,
    seed: int = 42,
) -> dict[str, NDArray[np.float64]]:
    """Return how much validation accuracy a model loses when each feature's group is permuted.

    Arrays are (n_features,), means over `repeats`, by the name of the fitted model.  A group is
    permuted as a whole: permuting a feature alone may cost nothing, only because others carry the
    same information.
    """
    X, y = split.X_validation, split.y_validation
    calls = list(product(estimators.values(), range(seed, seed + repeats)))
    lost = _permute.map(*zip(*calls, strict=True), X=X, y=y, groups=groups)
    means = np.reshape(lost, (len(estimators), repeats, X.shape[1])).mean(axis=1)
    return dict(zip(estimators, means, strict=True))


def precision_at(
    k: int, values: NDArray[np.float64], roles: Sequence[str], wanted: Sequence[str]
) -> float:
    """Return the share of the `k` most important features that have a wanted role."""
    if not roles or not k:
        return 0.0
    first = np.argsort(-values, kind="stable")[:k]
    return float(np.isin(np.asarray(roles)[first], wanted).mean())


def precision_by_chance(k: int, roles: Sequence[str], wanted: Sequence[str]) -> Estimate:
    """Return the `precision_at` of a random order, with the hypergeometric interval.

    If no roles are known, the interval is from 0 to 1.
    """
    if not roles or not k:
        return Estimate(0.0, 0.0, 1.0)
    n_wanted = int(np.isin(roles, wanted).sum())
    low, high = hypergeom.interval(inference.CONFIDENCE, len(roles), n_wanted, k)
    return Estimate(n_wanted / len(roles), low / k, high / k)


def _scales_alone(pipeline: Pipeline) -> bool:
    return all(isinstance(step, StandardScaler) for step in pipeline[:-1])


@remembered
def _permute(
    fitted: Any, seed: int, X: Any, y: Any, groups: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    lost, whole = np.empty(X.shape[1]), fitted.score(X, y)
    for group in groups:
        shuffled, other = X.copy(), data.take(X, rng.permutation(len(X)))
        for n in group:
            if hasattr(X, "iloc"):
                shuffled.isetitem(n, other.iloc[:, n].array)
            else:
                shuffled[:, n] = other[:, n]
        lost[group] = whole - fitted.score(shuffled, y)
    return lost
