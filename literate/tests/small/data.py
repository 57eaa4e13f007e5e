"""Rows of numbers, their classes, and how they are split."""

import csv
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from literate import ROOT


class DataError(ValueError):
    """A reason why a table is no data."""


@dataclass(frozen=True)
class Dataset:
    X: NDArray[np.float64]
    y: NDArray[np.int64]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    X_train: NDArray[np.float64]
    y_train: NDArray[np.int64]
    X_validation: NDArray[np.float64]
    y_validation: NDArray[np.int64]
    X_test: NDArray[np.float64]
    y_test: NDArray[np.int64]
    folds: int


def read_table(name: str, *, target: str) -> Dataset:
    with (ROOT / name).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [column for column in rows[0] if column != target]
    try:
        X = np.array([[float(row[column]) for column in names] for row in rows])
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None
    kinds = [row[target] for row in rows]
    classes = tuple(sorted(set(kinds)))
    return Dataset(X, np.array([classes.index(kind) for kind in kinds]), classes)


def split(dataset: Dataset, *, folds: int, seed: int = 17) -> Split:
    order = np.random.default_rng(seed).permutation(len(dataset.y))
    train, validation, test = np.split(order, [60, 80])
    X, y = dataset.X, dataset.y
    return Split(X[train], y[train], X[validation], y[validation], X[test], y[test], folds)
