"""A model's accuracies, which are remembered."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from literate.cache import compute
from literate.estimate import Estimate

from .data import Split
from .models import Logistic, predict


@dataclass(frozen=True)
class Score:
    train: Estimate
    validation: Estimate
    test: Estimate
    cv: float
    n_bytes: int
    by: ClassVar[str] = "evaluation.score"
    unit: ClassVar[str] = "share of rows"


def score(model: Logistic, split: Split) -> Score:
    X, y = split.X_train, split.y_train
    parts = ((X, y), (split.X_validation, split.y_validation), (split.X_test, split.y_test))
    calls = [delayed(_accuracy)(model, X, y, *part) for part in parts]
    for fold in np.array_split(np.arange(len(y)), split.folds):
        kept = np.delete(np.arange(len(y)), fold)
        calls.append(delayed(_accuracy)(model, X[kept], y[kept], X[fold], y[fold]))
    found = compute(calls)
    shares = [
        Estimate(value, max(0, value - 0.1), min(1, value + 0.1), len(part[1]))
        for value, part in zip(found, parts, strict=False)
    ]
    return Score(*shares, cv=float(np.mean(found[3:])), n_bytes=8 * X.shape[1])


def search(split: Split, *, n: int) -> list[float]:
    """Return the accuracies of `n` models with more and more of a penalty."""
    models = [Logistic(C=2.0**-step, max_iter=2000) for step in range(n)]
    parts = (split.X_train, split.y_train, split.X_validation, split.y_validation)
    return compute([delayed(_accuracy)(model, *parts) for model in models])


def _accuracy(
    model: Logistic,
    X_train: NDArray[np.float64],
    y_train: NDArray[np.int64],
    X: NDArray[np.float64],
    y: NDArray[np.int64],
) -> float:
    return float(np.mean(predict(model.fit(X_train, y_train), X) == y))
