"""How certain the numbers are: intervals, paired tests, calibration and model selection.

Intervals have the confidence level CONFIDENCE, and tests the significance level ALPHA.  This module
knows only arrays, no data set and no model.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import inf, sqrt
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from literate.estimate import Estimate

CONFIDENCE = 0.95
ALPHA = 0.05
MARGIN = 0.03  # a smaller difference of accuracies would not matter, it was decided beforehand
POWER = 0.8  # with which a test should find the smallest difference that it is said to find
N_BINS = 10  # of equal width between 0 and 1, for the calibration error
Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))

Bounds = tuple[float, float]  # the least and the greatest value that a mean can have

# With the unit that results.json names for them.
Share = Annotated[float, "share of samples"]
Accuracy = Annotated[Estimate, "share of samples"]
Difference = Annotated[Estimate, "difference of shares"]


@dataclass(frozen=True)
class Comparison:
    """A comparison of two models on the same samples."""

    difference: Difference  # first minus second
    n_first: int  # samples that only the first one gets right
    n_second: int
    p: float  # exact McNemar
    p_holm: float  # the same, corrected for the number of pairs
    p_equivalent: float  # that the accuracies differ by MARGIN or more, corrected as well
    detectable: Annotated[float, "difference of shares"]  # with POWER, if all pairs are corrected


@dataclass(frozen=True)
class ResampledTest:
    """A comparison of two models on the same folds of a repeated cross-validation."""

    difference: Difference  # of the means over the folds
    t: float
    p: float
    p_holm: float  # the same, corrected for the number of pairs if there are more
    p_uncorrected: float  # of the t-test that treats the folds as independent
    effect: float  # mean of the differences divided by their standard deviation


@dataclass(frozen=True)
class PairedTest:
    """A comparison of two models on the same independent draws."""

    difference: Accuracy  # of the means, first minus second
    t: float
    p: float


@dataclass(frozen=True)
class Calibration:
    """The agreement of predicted probabilities with the true classes."""

    log_loss: Estimate
    brier: Estimate
    ece: float  # expected calibration error
    overconfidence: float  # mean confidence minus accuracy
    confidence: NDArray[np.float64] = field(repr=False)  # mean in each bin, NaN if it is empty
    accuracy: NDArray[np.float64] = field(repr=False)
    counts: NDArray[np.int64] = field(repr=False)  # samples in each bin


def exact(value: float, scale: float = 1.0) -> float:
    """Return the value, or 0.0 if it differs from zero only by rounding.

    `scale` is the size of the terms that were rounded.
    """
    return 0.0 if abs(value) < 1e-12 * scale else float(value)


def proportion(successes: ArrayLike) -> Estimate:
    """Return the share of true values among booleans, with Wilson's score interval (Wilson 1927).

    Raises ValueError if there are no values.
    """
    successes = np.asarray(successes, dtype=bool)
    if not successes.size:
        raise ValueError("a share of no samples is no number")
    k, n = int(successes.sum()), successes.size
    interval = stats.binomtest(k, n).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(k / n, interval.low, interval.high, n)


def mean(values: ArrayLike, *, bounds: Bounds = (-inf, inf)) -> Estimate:
    """Return the mean of independent values, with the part of Student's interval within `bounds`.

    The bounds are those of the quantity, such as (0, 1) for accuracies.  Its true mean lies within
    them, so cutting the interval there loses no coverage.  The interval of n equal values has no
    width, although a few of them leave the true mean uncertain.
    """
    values = np.asarray(values, dtype=float)
    return _student(values, stats.sem(values), bounds)


def standard_deviation(values: Sequence[float]) -> Estimate:
    """Return the standard deviation (ddof 1) of independent values, with its interval.

    The interval is that of the chi-squared distribution.  The standard deviation is exactly 0 if
    all values are the same.
    """
    sd, df = statistics.stdev(values), len(values) - 1
    low, high = (sd * sqrt(df / q) for q in stats.chi2.interval(CONFIDENCE, df)[::-1])
    return Estimate(sd, low, high, len(values))


def difference(first: ArrayLike, second: ArrayLike) -> Estimate:
    """Return the difference of two shares of the same samples, with Bonett and Price's interval.

    Their adjusted Wald interval adds a sample to each kind of disagreement (Bonett and Price 2012),
    so its centre is a little nearer to zero than the difference.
    """
    only_first, only_second, n = _disagreements(first, second)
    p, q = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    centre, error = p - q, sqrt((p + q - (p - q) ** 2) / (n + 2))
    low, high = max(-1.0, centre - Z * error), min(1.0, centre + Z * error)
    return Estimate((only_first - only_second) / n, low, high, n)


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """Return the p-value of McNemar's exact test that two models are right equally often.

    Under the null hypothesis, each model is right on half of the samples that only one of them gets
    right.  The test is a two-sided binomial test, without continuity correction or mid-p.  The
    p-value is 1 if there are no such samples.
    """
    only_first, only_second, _ = _disagreements(first, second)
    if not only_first + only_second:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def equivalence(first: ArrayLike, second: ArrayLike, *, margin: float = MARGIN) -> float:
    """Return the p-value of the hypothesis that two shares differ by `margin` or more.

    It is the larger one of two one-sided tests (Schuirmann 1987), each by the score statistic of
    Tango (1998).
    """
    only_first, only_second, n = _disagreements(first, second)
    orders = (only_first, only_second), (only_second, only_first)
    return max(_inferiority(*order, n, margin) for order in orders)


def detectable_difference(first: ArrayLike, second: ArrayLike, *, n_tests: int = 1) -> float:
    """Return the smallest difference of two shares that a test finds with probability POWER.

    The test is McNemar's, at ALPHA divided by the number of tests, which is where Holm's method
    begins.  Models are taken to disagree on as many samples as these two do (Connor 1987, in the
    large sample), or on as many as they must to differ so much.
    """
    only_first, only_second, n = _disagreements(first, second)
    quantiles = float(stats.norm.ppf([1 - ALPHA / n_tests / 2, POWER]).sum())
    return quantiles * sqrt(max(only_first + only_second, quantiles**2)) / n


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values for their number by Holm's step-down method (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    return adjusted.tolist()


def compare_pairs(correct: Mapping[str, ArrayLike]) -> dict[tuple[str, str], Comparison]:
    """Compare every pair of models on the same samples, with Holm's correction of both tests.

    `correct` says which of the samples each model gets right.
    """
    pairs = {(a, b): (correct[a], correct[b]) for a, b in combinations(correct, 2)}
    p_values = [mcnemar(*pair) for pair in pairs.values()]
    p_equivalent = holm([equivalence(*pair) for pair in pairs.values()])
    return {
        name: Comparison(
            difference(*pair),
            *_disagreements(*pair)[:2],
            p,
            p_holm,
            equivalent,
            detectable_difference(*pair, n_tests=len(pairs)),
        )
        for (name, pair), p, p_holm, equivalent in zip(
            pairs.items(), p_values, holm(p_values), p_equivalent, strict=True
        )
    }


def indistinguishable(correct: Mapping[str, ArrayLike]) -> list[str]:
    """Return the models that cannot be distinguished from the best.

    These are the models that do not differ significantly from it by McNemar's exact test, with
    Holm's correction, and the best model itself.  The best model has the most samples right; of
    several such models it is the first.
    """
    best = max(correct, key=lambda name: np.asarray(correct[name]).mean())
    return not_apart(best, correct, compare_pairs(correct))


def not_apart(best: str, names: Iterable[str], pairs: Mapping[tuple[str, str], Any]) -> list[str]:
    """Return `best` and the models that do not differ from it, by the `p_holm` of all pairs."""
    apart = {
        name
        for pair, found in pairs.items()
        if best in pair and found.p_holm <= ALPHA
        for name in pair
    }
    return [name for name in names if name == best or name not in apart]


def corrected_mean(
    values: ArrayLike, *, n_train: int, n_test: int, bounds: Bounds = (-inf, inf)
) -> Estimate:
    """Return the mean over the folds of a repeated cross-validation, with its interval.

    Folds share most of their training samples, so the variance of the mean of J values is taken as
    (1/J + n_test/n_train) times theirs (Nadeau and Bengio 2003).  `bounds` are those of `mean`, and
    n equal values have an interval of no width here, too.
    """
    values = np.asarray(values, dtype=float)
    return _student(values, _corrected_error(values, n_train, n_test), bounds)


def paired_t_test(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Compare two models' accuracies on the same draws by Student's paired t-test.

    Unlike folds, the draws are independent.  If the difference is the same on all of them, but not
    0, `t` is infinite and `p` is 0.  Raises ValueError for fewer than two pairs.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape or first.size < 2:
        raise ValueError(f"the test needs two pairs or more, not {first.size} and {second.size}")
    values = first - second
    return PairedTest(mean(values, bounds=(-1, 1)), *_t_test(values, stats.sem(values)))


def corrected_t_test(
    first: ArrayLike, second: ArrayLike, *, n_train: int, n_test: int, bounds: Bounds = (-1, 1)
) -> ResampledTest:
    """Compare two models' accuracies on the same folds by the corrected resampled t-test.

    The correction is Nadeau and Bengio's.  `n_train` and `n_test` are the numbers of samples that a
    fold trains and tests on.  If the difference is the same on all folds, but not 0, `t` and
    `effect` are infinite.  Raises ValueError for fewer than two folds.
    """
    values = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if values.size < 2:
        raise ValueError(f"the test needs two folds or more, not {values.size}")
    t, p = _t_test(values, _corrected_error(values, n_train, n_test))
    _, p_uncorrected = _t_test(values, stats.sem(values))
    effect, _ = _t_test(values, values.std(ddof=1))  # like t, infinite for equal differences
    interval = corrected_mean(values, n_train=n_train, n_test=n_test, bounds=bounds)
    return ResampledTest(interval, t, p, p, p_uncorrected, effect)


def compare_folds(
    accuracies: Mapping[str, ArrayLike], *, n_train: int, n_test: int, bounds: Bounds = (-1, 1)
) -> dict[tuple[str, str], ResampledTest]:
    """Apply the corrected t-test to every pair of models on the folds, with Holm's correction."""
    size: Any = {"n_train": n_train, "n_test": n_test, "bounds": bounds}
    tests = {
        (a, b): corrected_t_test(accuracies[a], accuracies[b], **size)
        for a, b in combinations(accuracies, 2)
    }
    adjusted = holm([test.p for test in tests.values()])
    return {
        pair: replace(test, p_holm=p)
        for (pair, test), p in zip(tests.items(), adjusted, strict=True)
    }


def calibration(probabilities: ArrayLike, y: ArrayLike) -> Calibration:
    """Measure the calibration of the probabilities (n_samples, n_classes) of the classes `y`.

    Classes are counted from 0.  Log loss is -log of the true class's probability (at least
    2.2e-16).  The Brier score is the sum over classes of squared errors (Brier 1950), between 0 and
    2.  Both are means over samples.  The calibration error is the mean distance, weighted by
    samples, between accuracy and mean confidence in N_BINS bins of the predicted class's
    probability, each without its lower end (Guo 2017).
    """
    probabilities, y = np.asarray(probabilities, dtype=float), np.asarray(y)
    true = probabilities[np.arange(len(y)), y]
    squares = ((probabilities - np.eye(probabilities.shape[1])[y]) ** 2).sum(axis=1)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    bins = np.searchsorted(np.linspace(0, 1, N_BINS + 1)[1:-1], confidence)
    counts = np.bincount(bins, minlength=N_BINS)
    with np.errstate(invalid="ignore"):  # empty bins
        means, shares = (np.bincount(bins, v, N_BINS) / counts for v in (confidence, right))
    ece = exact(np.nansum(counts * np.abs(means - shares)) / len(y))
    losses = -np.log(np.maximum(true, np.finfo(float).eps))
    over = exact(confidence.mean() - right.mean())
    log_loss, brier = mean(losses, bounds=(0, inf)), mean(squares, bounds=(0, 2))
    return Calibration(log_loss, brier, ece, over, means, shares, counts)


def _disagreements(first: ArrayLike, second: ArrayLike) -> tuple[int, int, int]:
    """Count the samples only the first has right, those only the second has right, and all."""
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if first.shape != second.shape or not first.size:
        raise ValueError(f"{first.size} and {second.size} samples are no pairs")
    return int((first & ~second).sum()), int((second & ~first).sum()), first.size


def _inferiority(only_first: int, only_second: int, n: int, margin: float) -> float:
    """Return the p-value of the hypothesis that the first model is worse by `margin` or more."""
    # The most likely share that only the second has right, if it leads by the margin.
    b = only_first + only_second + (2 * n - only_first + only_second) * margin
    share = (b + sqrt(b**2 - 8 * n * only_second * margin * (1 + margin))) / (4 * n)
    variance = n * (2 * share - margin * (1 + margin))
    return float(stats.norm.sf((only_first - only_second + n * margin) / sqrt(variance)))


def _student(values: NDArray[np.float64], error: float, bounds: Bounds) -> Estimate:
    """Return the mean, with Student's interval for its standard error, cut at `bounds`."""
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, values.size - 1) * error)
    average = _average(values)
    low, high = np.clip([average - half, average + half], *bounds)
    return Estimate(average, low, high, values.size)


def _t_test(values: NDArray[np.float64], error: float) -> tuple[float, float]:
    """Return t and p of the test that the true mean is 0, for the mean's standard error."""
    average = float(values.mean())
    if values.std(ddof=1) > 1e-12:
        t = average / float(error)
        return t, 2 * float(stats.t.sf(abs(t), values.size - 1))
    if abs(average) > 1e-12:
        return float(np.copysign(inf, average)), 0.0
    return 0.0, 1.0


def _average(values: NDArray[np.float64]) -> float:
    return exact(values.mean(), np.abs(values).max())


def _corrected_error(values: NDArray[np.float64], n_train: int, n_test: int) -> float:
    return float(values.std(ddof=1)) * sqrt(1 / values.size + n_test / n_train)
