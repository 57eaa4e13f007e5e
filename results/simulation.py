"""What intervals cover and tests reject: `python results/simulation.py`, some minutes.

Draws data with a known truth many times.  Writes to simulation.json how often the truth lies in an
interval of pycode.inference, and how often its tests reject a true null hypothesis.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.naive_bayes import GaussianNB

import literate
from literate import kept
from pycode import inference, scoring

Test = Callable[[NDArray[np.bool_], NDArray[np.bool_]], float]

CODE, RECORD = "results/simulation.py", Path(__file__).with_suffix(".json")
DRAWS = 10_000  # of samples, for the intervals
STUDIES = 2_000  # with a repeated cross-validation each, for the t-test
RESAMPLED = 1_000  # studies of imbalanced classes, with bootstraps and permutations each
SEED = 42


def share_covered(rng: np.random.Generator, p: float, n: int) -> float:
    """Return how often Wilson's interval of `n` samples covers the true share `p`."""
    intervals = [inference.proportion(np.arange(n) < k) for k in range(n + 1)]
    drawn = rng.binomial(n, p, DRAWS)
    return float(np.mean([intervals[k].low <= p <= intervals[k].high for k in drawn]))


def difference_covered(rng: np.random.Generator, p: float, q: float, n: int) -> float:
    """Return how often the interval of a difference covers the true difference.

    A share `p` of `n` samples is right in the first model only, a share `q` in the second only.
    """
    covered = 0
    for _ in range(DRAWS):
        kind = rng.choice(3, n, p=[p, q, 1 - p - q])
        found = inference.difference(kind != 1, kind != 0)
        covered += found.low <= p - q <= found.high
    return covered / DRAWS


def rejects(rng: np.random.Generator, test: Test, p: float, q: float, n: int) -> float:
    """Return how often a test of pairs rejects.

    A share `p` of `n` samples is right in the first model only, a share `q` in the second only.
    """
    drawn = rng.multinomial(n, [p, q, 1 - p - q], DRAWS)[:, :2]
    values = {
        (a, b): test(np.arange(n) < a, np.arange(n) >= n - b)
        for a, b in {tuple(pair) for pair in drawn.tolist()}
    }
    return float(np.mean([values[a, b] <= inference.ALPHA for a, b in drawn.tolist()]))


def study(seed: int, n: int, n_classes: int, n_features: int, spread: float) -> tuple[bool, bool]:
    """Return whether the t-test rejects that two equal models are equal, corrected and not.

    Each model sees its own half of the features, and both halves have the same distribution.
    """
    rng = np.random.default_rng([SEED, seed])
    y = np.arange(n) % n_classes
    centres = spread * rng.normal(size=(n_classes, n_features))
    X = rng.normal(size=(n, 2, n_features)) + centres[y][:, None]
    folds = list(RepeatedStratifiedKFold(n_splits=5, n_repeats=5, random_state=seed).split(X, y))
    first, second = (
        [GaussianNB().fit(X[a, half], y[a]).score(X[b, half], y[b]) for a, b in folds]
        for half in (0, 1)
    )
    found = inference.corrected_t_test(first, second, n_train=4 * n // 5, n_test=n // 5)
    return found.p <= inference.ALPHA, found.p_uncorrected <= inference.ALPHA


def t_test_rejects(*size: float) -> dict[str, float]:
    """Return the shares of studies in which the t-test rejects."""
    rejected = Parallel(n_jobs=-1)(delayed(study)(seed, *size) for seed in range(STUDIES))
    corrected, uncorrected = np.mean(np.array(rejected), axis=0)
    return {"corrected": float(corrected), "uncorrected": float(uncorrected)}


def imbalanced(seed: int, n: int, *recalls: float) -> tuple[bool, bool, bool]:
    """Return whether BCa intervals cover a balanced accuracy and the difference of two equal ones.

    The third item is whether the permutation test rejects that they are equal.  Of `n` samples 60 %
    are of the first class, 30 % of the second and 10 % of the third.
    """
    rng = np.random.default_rng([SEED, seed, n])
    y = np.repeat([0, 1, 2], [6 * n // 10, 3 * n // 10, n // 10])
    wrong = rng.random((2, n)) >= np.array(recalls)[y]
    first, second = (y + wrong * rng.integers(1, 3, (2, n))) % 3
    how = {"scoring": "balanced_accuracy"}
    found = scoring.bootstrap_interval(y, first, **how)
    apart = scoring.bootstrap_interval(y, first, second, **how)
    p = scoring.permutation_test(y, first, second, n_draws=999, **how)
    covers = found.low <= np.mean(recalls) <= found.high, apart.low <= 0 <= apart.high
    return *covers, p <= inference.ALPHA


def of_imbalanced(*kind: float) -> list[float]:
    """Return the shares of studies in which each item of `imbalanced` is true."""
    found = Parallel(n_jobs=-1)(delayed(imbalanced)(seed, *kind) for seed in range(RESAMPLED))
    return np.mean(np.array(found), axis=0).tolist()


def main() -> None:
    """Write the record and print it."""
    rng = np.random.default_rng(SEED)
    shares, sizes = (0.7, 0.8, 0.9, 0.95, 0.99), (35, 100, 200, 400, 1000)
    proportion = [share_covered(rng, p, n) for p in shares for n in sizes]
    kinds = [(p, q, n) for p, q in ((0.05, 0.05), (0.1, 0.05), (0.15, 0.05)) for n in (200, 400)]
    difference = [difference_covered(rng, *kind) for kind in kinds]
    null = [rejects(rng, inference.mcnemar, p, p, n) for p in (0.02, 0.05, 0.1) for n in (200, 400)]
    margin = [  # where the true difference is the margin
        rejects(rng, inference.equivalence, p + inference.MARGIN, p, n)
        for p in (0.0, 0.02, 0.05)
        for n in (200, 400, 1000)
    ]
    recalls = (0.9, 0.8, 0.6), (0.95, 0.9, 0.8)
    balanced, apart, permuted = zip(
        *(of_imbalanced(n, *some) for n in (100, 400) for some in recalls), strict=True
    )
    results = {
        "seed": SEED,
        "draws": DRAWS,
        "studies": STUDIES,
        "shares": {"min": min(shares), "max": max(shares)},
        "samples": {"min": min(sizes), "max": max(sizes)},
        "proportion": {"min": min(proportion), "max": max(proportion)},
        "difference": {"min": min(difference), "max": max(difference)},
        "mcnemar": {"max": max(null)},
        "equivalence": {"max": max(margin)},
        "t_test": t_test_rejects(1200, 5, 32, 0.3),  # the paper's training samples
        "t_test_small": t_test_rejects(100, 2, 10, 0.2),  # where models hardly learn
        "imbalanced": {
            "studies": RESAMPLED,
            "balanced_accuracy": {"min": min(balanced), "max": max(balanced)},
            "difference": {"min": min(apart), "max": max(apart)},
            "permutation": {"max": max(permuted)},
        },
    }
    text = kept.text(results, code=CODE, inputs={}, environment=literate.versions("computes"))
    RECORD.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
