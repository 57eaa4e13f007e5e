"""Intervals and tests are those of statsmodels, mlxtend, scikit-posthocs and closed forms."""

import pickle
from fractions import Fraction
from math import comb, sqrt
from typing import Any

import numpy as np
import pytest
import scikit_posthocs
from hypothesis import given, settings
from hypothesis import strategies as st
from mlxtend.evaluate import mcnemar as mlxtend_mcnemar
from scipy import optimize, stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from pycode import inference

samples = st.lists(st.booleans(), min_size=1, max_size=300)
pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=300)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def close(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-10, abs=1e-12)


@given(samples)
def test_proportion_has_wilsons_interval(right):
    found = inference.proportion(right)
    low, high = proportion_confint(sum(right), len(right), method="wilson")
    assert (found, found.n) == (sum(right) / len(right), len(right))
    assert (found.low, found.high) == close((low, high))


def test_proportion_of_nothing():
    with pytest.raises(ValueError, match="no samples"):
        inference.proportion([])


def test_estimate_is_a_number_that_can_be_kept():
    found = pickle.loads(pickle.dumps(inference.proportion([True, True, False])))
    assert found == 2 / 3
    assert f"{found:.2f}" == "0.67"
    assert found.n == 3
    assert found.low < found < found.high


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50))
def test_mean_has_students_interval(values):
    found = inference.mean(values)
    low, high = DescrStatsW(values).tconfint_mean()
    assert (found.low, found.high) == close((low, high))


shares = st.lists(st.floats(0, 1), min_size=2, max_size=20)


@given(shares, st.integers(1, 9))
def test_interval_of_a_mean_is_students_within_its_bounds(values, ratio):
    folds = {"n_train": ratio * 10, "n_test": 10}
    for found, free in (
        (inference.mean(values, bounds=(0, 1)), inference.mean(values)),
        (
            inference.corrected_mean(values, **folds, bounds=(0, 1)),
            inference.corrected_mean(values, **folds),
        ),
    ):
        assert (found, found.n) == (free, free.n)
        assert 0 <= found.low <= found <= found.high <= 1
        assert found.low == (free.low if free.low >= 0 else 0)
        assert found.high == (free.high if free.high <= 1 else 1)


def test_interval_of_a_mean_is_cut_at_one_bound_alone():
    found = inference.mean([0.98, 1.0, 0.99, 0.96], bounds=(0, 1))
    assert (found.low, found.high) == (inference.mean([0.98, 1.0, 0.99, 0.96]).low, 1)
    positive = inference.mean([0.0, 0.1, 5.0], bounds=(0, np.inf))
    assert (positive.low, positive.high) == (0, inference.mean([0.0, 0.1, 5.0]).high)


# The squares of tiny differences would be zero.
@given(st.lists(st.integers(-(10**6), 10**6).map(lambda n: n / 1000), min_size=2, max_size=50))
def test_deviation_has_the_chi_squared_interval(values):
    found = inference.standard_deviation(values)
    assert found == close(np.std(values, ddof=1))
    outside = [stats.chi2.sf((found.n - 1) * (found / b) ** 2, found.n - 1) for b in bounds(found)]
    assert outside == close([0.025, 0.975] if found else [])


def bounds(found: inference.Estimate) -> list[float]:
    """Those that are not zero."""
    return [bound for bound in (found.low, found.high) if bound]


def test_deviation_of_equal_values_is_zero():
    assert inference.standard_deviation([0.1] * 3 + [0.1]) == 0


def exact_mcnemar(b: int, c: int) -> float:
    """Twice the tail of the binomial distribution, counted in whole numbers."""
    tail = sum(comb(b + c, k) for k in range(min(b, c) + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2 ** (b + c))))


@given(pairs)
def test_mcnemar_is_that_of_two_libraries_and_of_counting(right):
    first, second = np.array(right).T
    table = [[np.sum(first & second), np.sum(first & ~second)]]
    table.append([np.sum(~first & second), np.sum(~first & ~second)])
    found = inference.mcnemar(first, second)
    assert found == close(exact_mcnemar(table[0][1], table[1][0]))
    if table[0][1] + table[1][0]:
        assert found == close(vars(statsmodels_mcnemar(table, exact=True))["pvalue"])
        theirs = mlxtend_mcnemar(np.array(table), exact=True)[1]
        assert found == close(min(1, theirs))


@given(pairs)
def test_difference_has_bonett_and_prices_interval(right):
    first, second = np.array(right).T
    n, b, c = len(first), int(np.sum(first & ~second)), int(np.sum(~first & second))
    found = inference.difference(first, second)
    middle = Fraction(b - c, n + 2)
    error = sqrt((Fraction(b + c + 2, n + 2) - middle**2) / (n + 2))
    half = stats.norm.isf(0.025) * error
    assert found == close((b - c) / n)
    assert found.low == close(max(-1, float(middle) - half))
    assert found.high == close(min(1, float(middle) + half))
    swapped = inference.difference(second, first)
    assert (-swapped.high, -swapped.low) == close((found.low, found.high))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 2000), st.floats(0.005, 0.5))
def test_equivalence_is_tangos_score_test_on_both_sides(b, c, more, margin):
    n = b + c + more
    first, second = disagreeing(b, c, n)
    p = inference.equivalence(first, second, margin=margin)
    assert inference.equivalence(second, first, margin=margin) == close(p)
    tests = []
    for better, worse in ((b, c), (c, b)):

        def unlikely(share, better=better, worse=worse):
            # If `worse` leads by the margin.
            shares = np.array([share - margin, share, 1 - 2 * share + margin])
            counts = np.array([better, worse, n - better - worse])
            return -np.sum(counts[counts > 0] * np.log(np.maximum(shares[counts > 0], 1e-300)))

        share = optimize.minimize_scalar(
            unlikely, bounds=(margin, (1 + margin) / 2), method="bounded", options={"xatol": 1e-12}
        ).x
        error = sqrt(n * (2 * share - margin - margin**2))
        tests.append(stats.norm.sf((better - worse + n * margin) / error))
    assert p == pytest.approx(max(tests), rel=1e-5, abs=1e-9)


def disagreeing(b: int, c: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two models of which each alone is right on `b` and on `c` of `n` samples."""
    return right(n, range(c)), right(n, range(c, b + c))


def test_few_samples_are_no_sign_of_equivalence():
    same = disagreeing(0, 0, 20)
    assert inference.mcnemar(*same) == 1
    assert inference.equivalence(*same) > 0.05
    many = disagreeing(9, 9, 2000)
    assert inference.equivalence(*many) < 0.001
    # The margin is that of the module: a difference as large is not equivalent.
    apart = disagreeing(60, 0, 2000)
    assert inference.equivalence(*apart) == pytest.approx(0.5, abs=0.01)
    assert inference.equivalence(*apart, margin=0.05) < 0.001


@pytest.mark.parametrize(("disagreements", "n"), [(60, 360), (200, 2000), (1000, 2000)])
def test_a_detectable_difference_is_found_four_times_in_five(disagreements, n):
    found = inference.detectable_difference(*disagreeing(disagreements, 0, n))
    assert found == inference.detectable_difference(*disagreeing(0, disagreements, n))
    # How often McNemar's test rejects when the models differ by that much; being exact, it rejects
    # a little less often than in the large sample.
    first = np.arange(disagreements + 1)
    share = (1 + found * n / disagreements) / 2
    chances = stats.binom.pmf(first, disagreements, share)
    rejected = [exact_mcnemar(int(b), int(disagreements - b)) <= 0.05 for b in first]
    assert chances[rejected].sum() == pytest.approx(0.8, abs=0.06)


def test_models_that_hardly_disagree_have_a_detectable_difference_all_the_same():
    found = inference.detectable_difference(*disagreeing(0, 0, 360))
    assert found == inference.detectable_difference(*disagreeing(3, 4, 360)) > 0
    # The number of disagreements, all to the better model's credit, is about Poisson's.
    rejected = stats.poisson.sf(5, found * 360)  # exact_mcnemar(6, 0) < 0.05 < exact_mcnemar(5, 0)
    assert rejected == pytest.approx(0.8, abs=0.06)


def test_samples_that_are_no_pairs():
    with pytest.raises(ValueError, match="2 and 3 samples are no pairs"):
        inference.mcnemar([True, False], [True, False, True])
    for function in (inference.equivalence, inference.detectable_difference):
        with pytest.raises(ValueError, match="2 and 3 samples are no pairs"):
            function([True, False], [True, False, True])


@settings(max_examples=30)  # statsmodels takes its time
@given(p_values)
def test_holm_is_that_of_statsmodels(values):
    expected = multipletests(values, method="holm")[1]
    assert inference.holm(values) == close(expected)


def test_holm_is_that_of_scikit_posthocs():
    rng = np.random.default_rng(0)
    groups = [rng.normal(shift, size=12) for shift in (0, 0.5, 1, 1)]
    raw = scikit_posthocs.posthoc_ttest(groups).to_numpy()
    corrected = scikit_posthocs.posthoc_ttest(groups, p_adjust="holm").to_numpy()
    upper = np.triu_indices(4, 1)
    assert inference.holm(raw[upper].tolist()) == close(corrected[upper])


def right(n: int, *wrong: range) -> np.ndarray:
    """Which of `n` samples are right: all but `wrong`."""
    found = np.ones(n, dtype=bool)
    for some in wrong:
        found[some] = False
    return found


def test_all_pairs_are_compared():
    correct = {"a": right(100), "b": right(100, range(9)), "c": right(100, range(90, 99))}
    found = inference.compare_pairs(correct)
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [(pair.n_first, pair.n_second) for pair in found.values()] == [(9, 0), (9, 0), (9, 9)]
    assert [pair.difference for pair in found.values()] == close([0.09, 0.09, 0])
    assert [pair.p for pair in found.values()] == close([2 / 512, 2 / 512, 1])
    assert [pair.p_holm for pair in found.values()] == close([6 / 512, 6 / 512, 1])
    # q * sqrt(disagreements) / n, but at least q**2 / n, with q = 2.39398 + 0.84162 at 0.05 / 3.
    detectable = [pair.detectable for pair in found.values()]
    assert detectable == pytest.approx([0.1046911, 0.1046911, 0.1372749], abs=1e-6)
    alone = [inference.equivalence(correct[a], correct[b]) for a, b in found]
    corrected = multipletests(alone, method="holm")[1]
    assert [pair.p_equivalent for pair in found.values()] == pytest.approx(corrected)
    assert min(found[pair].p_equivalent for pair in found) > 0.05


def test_models_that_do_not_differ_from_the_best():
    correct = {"poor": right(100, range(30)), "near": right(100, range(4)), "best": right(100)}
    assert inference.indistinguishable(correct) == ["near", "best"]
    assert inference.indistinguishable({"only": right(5)}) == ["only"]
    assert inference.indistinguishable({"a": right(9), "b": right(9)}) == ["a", "b"]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        # p is 10/256 for x and the best, 1 and 56/512 for the pairs with the other: no correction
        # would leave x out.
        ([range(98, 100)], ["x", "other", "best"]),
        # Far off, so that x is the last of three pairs: Bonferroni would leave x in.
        ([range(40)], ["best"]),
        # p of x and the other is 1/8, the largest: Holm over pairs with the best would leave x out.
        ([range(12)], ["x", "best"]),
    ],
    ids=["no correction", "Bonferroni", "pairs with the best"],
)
def test_the_choice_corrects_for_all_pairs_by_holms_method(other, expected):
    correct = {"x": right(100, range(8)), "other": right(100, *other)}
    correct["best"] = right(100, range(99, 100))
    assert inference.mcnemar(correct["x"], correct["best"]) == close(10 / 256)
    assert inference.indistinguishable(correct) == expected


# Differences that are 0 or far from it, since scipy divides by their spread.
@given(
    st.lists(st.tuples(*[st.integers(0, 50).map(lambda n: n / 50)] * 2), min_size=2, max_size=30)
)
def test_paired_t_test_is_that_of_scipy(values):
    first, second = np.array(values).T
    found = inference.paired_t_test(first, second)
    assert found.difference == close(first.mean() - second.mean())
    assert -1 <= found.difference.low <= found.difference.high <= 1
    if np.ptp(first - second) > 1e-9:
        expected = stats.ttest_rel(first, second)
        interval = expected.confidence_interval(0.95)
        assert (found.t, found.p) == close((expected.statistic, expected.pvalue))
        assert found.difference.low == close(max(-1, interval.low))
        assert found.difference.high == close(min(1, interval.high))


def test_paired_t_test_of_equal_and_of_constant_differences():
    same = inference.paired_t_test([0.5, 0.6], [0.5, 0.6])
    assert (same.difference, same.t, same.p) == (0, 0, 1)
    apart = inference.paired_t_test([0.5, 0.75], [0.25, 0.5])
    assert (apart.t, apart.p) == (np.inf, 0)
    for first, second in (([0.5], [0.4]), ([0.5, 0.6], [0.5]), ([0.5, 0.6], [0.5, 0.6, 0.7])):
        with pytest.raises(ValueError, match="two pairs or more"):
            inference.paired_t_test(first, second)


def test_corrected_t_test_without_overlap_is_students():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.02, 1, 30), rng.normal(0, 1, 30)
    found = inference.corrected_t_test(first, second, n_train=1, n_test=0)
    expected = stats.ttest_rel(first, second)
    assert (found.t, found.p) == close((expected.statistic, expected.pvalue))
    assert found.p_uncorrected == close(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    bounds = (found.difference.low, found.difference.high)
    assert bounds == close((interval.low, interval.high))


@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 100))
def test_corrected_t_is_students_shrunk(n_values, ratio, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n_values))
    found = inference.corrected_t_test(first, second, n_train=ratio * 10, n_test=10)
    naive = stats.ttest_rel(first, second)
    shrunk = naive.statistic / sqrt(1 + n_values / ratio)  # (1/J) / (1/J + 1/ratio)
    assert found.t == close(shrunk)
    assert found.p == close(2 * stats.t.cdf(-abs(shrunk), n_values - 1))
    assert found.effect == close(naive.statistic / sqrt(n_values))
    outside = found.difference.low > 0 or found.difference.high < 0
    assert outside == (found.p < 0.05)


def test_corrected_t_test_of_equal_and_of_constant_differences():
    same = inference.corrected_t_test([0.5, 0.6], [0.5, 0.6], n_train=4, n_test=1)
    assert (same.t, same.p, same.effect) == (0, 1, 0)
    apart = inference.corrected_t_test([0.5, 0.75], [0.25, 0.5], n_train=4, n_test=1)
    assert (apart.t, apart.p) == (np.inf, 0)
    behind = inference.corrected_t_test([0.2] * 3, [1.0, 1.0, 1.0], n_train=4, n_test=1)
    assert (behind.t, behind.p, behind.effect) == (-np.inf, 0, -np.inf)
    assert inference.corrected_t_test([0.1] * 3, [0.1] * 3, n_train=4, n_test=1).p == 1
    with pytest.raises(ValueError, match="two folds"):
        inference.corrected_t_test([0.5], [0.4], n_train=4, n_test=1)


def test_all_pairs_are_compared_on_folds():
    rng = np.random.default_rng(2)
    folds = {name: rng.normal(shift, 0.1, 25) for name, shift in (("a", 0), ("b", 0), ("c", 1))}
    found = inference.compare_folds(folds, n_train=4, n_test=1)
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    expected = multipletests([test.p for test in found.values()], method="holm")[1]
    assert [test.p_holm for test in found.values()] == close(expected)
    alone = inference.corrected_t_test(folds["a"], folds["c"], n_train=4, n_test=1)
    assert (found["a", "c"].t, found["a", "c"].p) == (alone.t, alone.p)
    assert found["a", "b"].p > 0.05 > found["b", "c"].p_holm


def probabilities(seed: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = rng.dirichlet(np.ones(n_classes), 200)
    return found, np.array([rng.choice(n_classes, p=row) for row in found])


@pytest.mark.parametrize(("seed", "n_classes"), [(0, 2), (1, 3), (2, 10)])
def test_calibration_is_that_of_scikit_learn_and_of_counting(seed, n_classes):
    found, y = probabilities(seed, n_classes)
    calibration = inference.calibration(found, y)
    labels = list(range(n_classes))
    assert calibration.log_loss == close(log_loss(y, found, labels=labels))
    halved: Any = False
    brier = brier_score_loss(y, found, labels=labels, scale_by_half=halved)
    assert calibration.brier == close(brier)

    error, confidence, right = 0.0, found.max(axis=1), found.argmax(axis=1) == y
    for b in range(10):
        inside = (confidence > b / 10) & (confidence <= (b + 1) / 10)
        if inside.any():
            error += abs(right[inside].sum() - confidence[inside].sum()) / len(y)
    assert calibration.ece == close(error)
    assert calibration.overconfidence == close(confidence.mean() - right.mean())
    assert calibration.counts.sum() == len(y)
    accuracy, means = calibration_curve(right, confidence, n_bins=10)
    filled = calibration.counts > 0
    assert calibration.accuracy[filled] == close(accuracy)
    assert calibration.confidence[filled] == close(means)


def test_calibration_of_certainty():
    sure = inference.calibration(np.eye(3)[[0, 1, 2, 0]], [0, 1, 2, 0])
    assert (sure.log_loss, sure.brier, sure.ece) == (0, 0, 0)
    wrong = inference.calibration(np.eye(3)[[1, 1]], [0, 0])
    assert wrong.brier == 2
    assert wrong.ece == 1
    assert wrong.overconfidence == 1
    assert wrong.log_loss == close(log_loss([0, 0], np.eye(3)[[1, 1]], labels=[0, 1, 2]))


def test_what_rounding_leaves_of_zero_is_zero():
    differences = np.array([0.3, -0.2, -0.1]) + 0.1 - 0.1
    assert differences.mean() != 0
    assert inference.mean(differences) == 0
    assert inference.corrected_mean(differences, n_train=4, n_test=2) == 0
    assert inference.mean(np.array([2e-13, 3e-13])) == pytest.approx(2.5e-13, rel=1e-9, abs=0)
    # The shares of the classes are those of the samples, so that no error is left.
    y = np.repeat([0, 1, 2], [41, 33, 26])
    found = inference.calibration(np.tile([0.41, 0.33, 0.26], (100, 1)), y)
    assert (found.ece, found.overconfidence) == (0, 0)
