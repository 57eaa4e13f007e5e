"""The metrics of scikit-learn that models can be compared by, with intervals and paired tests.

A metric compares the true classes `y` with a model's outputs: predicted classes (n_samples,) or
probabilities (n_samples, n_classes).  Resamples, jackknife samples and permutations are weights
(n_draws, n_samples) of the samples, for which a metric has all values at once.  That is faster than
scikit-learn's functions, one call each, by two orders of magnitude.  This module knows only arrays
and fitted models.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pycode.inference import Bounds, Estimate, Z

CELLS = 4_000_000  # of weights at once
JACKKNIFE = 1_000  # samples of a class that the acceleration is estimated from, at most

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A metric, of which more is better."""

    label: str  # in figures and tables
    values: Callable[[Any, Any, Floats], Floats]  # of y and outputs for each row of weights
    bounds: Bounds = (0, 1)
    probabilistic: bool = False  # of probabilities

    def outputs(self, estimator: Any, X: Any, *, n_classes: int) -> NDArray[Any]:
        """Return the classes or the probabilities that a fitted model predicts.

        A class that the model was not trained on has the probability 0.
        """
        if not self.probabilistic:
            return estimator.predict(X)
        known = estimator.predict_proba(X)
        found = np.zeros((len(known), n_classes), dtype=known.dtype)
        found[:, estimator.classes_] = known
        return found

    def value(self, y: Any, outputs: Any) -> float:
        """Return the metric of a model's outputs."""
        return float(self.values(y, outputs, np.ones((1, len(y))))[0])


@dataclass(frozen=True)
class PermutationTest:
    """A comparison of two models by a metric on the same samples."""

    difference: Estimate  # first minus second, with the bootstrap's interval
    p: float
    p_holm: float  # the same, corrected for the number of pairs


def _counts(y: Any, predicted: Any, weights: Floats) -> Iterator[Floats]:
    """Return how many samples each class has, how many are predicted to be in it, and both."""
    classes = np.arange(1 + max(y.max(), predicted.max()))
    true, found = y[:, None] == classes, predicted[:, None] == classes
    return (weights @ some.astype(float) for some in (true, found, true & found))


def _accuracy(y: Any, predicted: Any, weights: Floats) -> Floats:
    return weights @ (y == predicted).astype(float) / weights.sum(axis=1)


def _balanced_accuracy(y: Any, predicted: Any, weights: Floats) -> Floats:
    true, _, right = _counts(y, predicted, weights)
    with np.errstate(invalid="ignore"):  # a class without samples
        return np.nanmean(right / true, axis=1)


def _f1_macro(y: Any, predicted: Any, weights: Floats) -> Floats:
    true, found, right = _counts(y, predicted, weights)
    with np.errstate(invalid="ignore"):
        return np.nanmean(2 * right / (true + found), axis=1)


def _matthews_corrcoef(y: Any, predicted: Any, weights: Floats) -> Floats:
    true, found, right = _counts(y, predicted, weights)
    n = weights.sum(axis=1)
    covariance, *variances = (
        n * right.sum(axis=1) - (true * found).sum(axis=1),
        *(n**2 - (some**2).sum(axis=1) for some in (true, found)),
    )
    scale = np.sqrt(variances[0] * variances[1])
    return np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)


def _roc_auc_ovr(y: Any, probabilities: Any, weights: Floats) -> Floats:
    """Return the areas of each class against the others, averaged over the classes."""
    areas, n_classes = [], probabilities.shape[1]
    for label in range(n_classes) if n_classes > 2 else [1]:
        order = np.argsort(probabilities[:, label], kind="stable")
        starts = np.flatnonzero(np.diff(probabilities[order, label], prepend=-inf))  # of ties
        inside, sorted_weights = y[order] == label, weights[:, order]
        positive, negative = (
            np.add.reduceat(sorted_weights * some, starts, axis=1) for some in (inside, ~inside)
        )
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        with np.errstate(invalid="ignore"):
            areas.append((positive * below).sum(axis=1) / pairs)
    return np.nanmean(areas, axis=0)


def _neg_log_loss(y: Any, probabilities: Any, weights: Floats) -> Floats:
    true = probabilities[np.arange(len(y)), y]
    logarithms = np.log(np.maximum(true, np.finfo(probabilities.dtype).eps))
    return weights @ logarithms / weights.sum(axis=1)


METRICS = {
    "accuracy": Metric("accuracy", _accuracy),
    "balanced_accuracy": Metric("balanced accuracy", _balanced_accuracy),
    "f1_macro": Metric("macro F1", _f1_macro),
    "roc_auc_ovr": Metric("ROC AUC", _roc_auc_ovr, probabilistic=True),
    "neg_log_loss": Metric("negative log loss", _neg_log_loss, (-inf, 0), probabilistic=True),
    "matthews_corrcoef": Metric("Matthews correlation", _matthews_corrcoef, (-1, 1)),
}


def metric(scoring: str) -> Metric:
    """Return the metric with a name of scikit-learn; raises ValueError for other names."""
    if scoring not in METRICS:
        raise ValueError(f"{scoring!r} is no scoring: take one of {', '.join(METRICS)}")
    return METRICS[scoring]


def measured(number: float, *, scoring: str) -> Any:
    """Return a number, with the unit 1 if the metric is not accuracy, a share of samples."""
    if scoring == "accuracy":
        return number
    interval = vars(number) if isinstance(number, Estimate) else {}
    return Estimate(number, **{**interval, "unit": "1"})


def bootstrap_interval(
    y: Any,
    outputs: Any,
    others: Any = None,
    *,
    scoring: str,
    n_draws: int = 2_000,
    seed: int = 42,
) -> Estimate:
    """Return the metric of a model, or how much it exceeds another's, with a BCa interval.

    The interval is bias-corrected and accelerated (Efron 1987).  Samples are drawn within each
    class, and the acceleration is that of several independent samples.  There is no interval where
    the bootstrap cannot tell: a class has a single sample, or all draws have the same value.
    """
    values, rng, n = METRICS[scoring].values, np.random.default_rng(seed), len(y)

    def statistic(weights: Floats) -> Floats:
        found = values(y, outputs, weights)
        return found if others is None else found - values(y, others, weights)

    classes = [np.flatnonzero(y == label) for label in np.unique(y)]
    found = float(statistic(np.ones((1, n)))[0])
    bounds: tuple[float, ...] = ()
    if min(map(len, classes)) > 1:
        sizes = _batches(n_draws, n)
        draws = np.concatenate([statistic(_resamples(classes, m, rng)) for m in sizes])
        lost = [
            np.concatenate([statistic(_without(some, n)) for some in _parts(members, n)])
            for members in classes
        ]
        bounds = bca(found, draws, lost, list(map(len, classes)))
    return Estimate(found, *bounds, n=n, unit="1")


def bca(
    found: float, draws: Floats, lost: Sequence[Floats], sizes: Sequence[int]
) -> tuple[float, ...]:
    """Return the ends of the BCa interval, or nothing if there is none.

    `lost` has for each class the values without one of its samples, and `sizes` how many samples
    the class has.
    """
    level, drawn = round(found, 12), np.round(draws, 12)  # equal but for rounding is equal
    bias = stats.norm.ppf((np.mean(drawn < level) + np.mean(drawn <= level)) / 2)
    if not np.ptp(drawn) or not np.isfinite(bias):
        return ()
    influences = [(m - 1) * (some.mean() - some) for some, m in zip(lost, sizes, strict=True)]
    variance, skewness = (
        sum(np.mean(u**k) / m ** (k - 1) for u, m in zip(influences, sizes, strict=True))
        for k in (2, 3)
    )
    z = bias + np.array([-Z, Z])
    acceleration = skewness / (6 * variance**1.5)
    low, high = np.quantile(draws, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def permutation_test(
    y: Any, first: Any, second: Any, *, scoring: str, n_draws: int = 9_999, seed: int = 42
) -> float:
    """Return the p-value of the hypothesis that two models' outputs are interchangeable.

    Swaps the outputs for each sample with probability 1/2; two-sided.  Areas under the curve depend
    only on ranks, which are swapped instead of probabilities (Bandos 2005), so that models need not
    agree on the scale.
    """
    values, rng, n = METRICS[scoring].values, np.random.default_rng(seed), len(y)
    if scoring == "roc_auc_ovr":
        first, second = (stats.rankdata(some, axis=0) for some in (first, second))
    y, both = np.concatenate([y, y]), np.concatenate([first, second])

    def distances(swapped: NDArray[np.bool_]) -> Floats:
        weights = np.concatenate([~swapped, swapped], axis=1).astype(float)
        found = values(y, both, weights) - values(y, both, 1 - weights)
        return np.abs(found).round(12)  # equal but for rounding is equal

    least = distances(np.zeros((1, n), dtype=bool))
    batches = (rng.random((size, n)) < 0.5 for size in _batches(n_draws, 2 * n))
    extreme = sum(np.count_nonzero(distances(swapped) >= least) for swapped in batches)
    return float(1 + extreme) / (1 + n_draws)


def _batches(n_draws: int, n: int) -> list[int]:
    """Return how many draws of `n` samples are made at once, batch by batch."""
    size = max(1, CELLS // n)
    return [min(size, n_draws - start) for start in range(0, n_draws, size)]


def _parts(members: NDArray[np.intp], n: int) -> list[NDArray[np.intp]]:
    some = members[:JACKKNIFE]
    return np.split(some, np.cumsum(_batches(len(some), n))[:-1])


def _resamples(
    classes: Sequence[NDArray[np.intp]], n_draws: int, rng: np.random.Generator
) -> Floats:
    """Return how often each sample is drawn, if each class is resampled by itself."""
    drawn = [rng.choice(members, (n_draws, len(members))) for members in classes]
    n = sum(map(len, classes))
    cells = np.concatenate(drawn, axis=1) + n * np.arange(n_draws)[:, None]
    return np.bincount(cells.ravel(), minlength=n * n_draws).reshape(n_draws, n).astype(float)


def _without(members: NDArray[np.intp], n: int) -> Floats:
    weights = np.ones((len(members), n))
    weights[np.arange(len(members)), members] = 0
    return weights
