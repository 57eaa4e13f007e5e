"""The models that are compared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Logistic:
    C: float = 1.0
    max_iter: int = 100

    def fit(self, X: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weights, after steps of gradient descent."""
        Z, weights = _with_ones(X), np.zeros(X.shape[1] + 1)
        for _ in range(self.max_iter):
            wrong = 1 / (1 + np.exp(-Z @ weights)) - y
            weights -= 0.01 * (wrong @ Z + weights / self.C)
        return weights


def predict(weights: NDArray[np.float64], X: NDArray[np.float64]) -> NDArray[np.bool_]:
    return _with_ones(X) @ weights > 0


def _with_ones(X: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([X, np.ones(len(X))])


def candidates() -> dict[str, Logistic]:
    return {
        "logistic": Logistic(max_iter=1000),
    }
