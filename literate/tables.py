"""Tables of numbers and their classes, read and checked: no honest result comes from others."""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from literate import ROOT

# How programs write an unknown class; "none" may be a class, for example of symptoms.
MISSING = {"", "?", "-", ".", "na", "n/a", "#n/a", "<na>", "nan", "null"}
MANY = 10  # numbers that may still be names of classes: more of them look like a quantity


class DataError(ValueError):
    """Data that no honest result can come from; the message says where and what to do."""


def read(
    path: str | Path, *, target: str
) -> tuple[NDArray[np.float64], NDArray[np.int64], tuple[str, ...]]:
    """Return the numbers, the classes and their names of a CSV file, whose column is `target`.

    Raises DataError, which names the file, the line or column, what is there and what to do.
    """
    header, lines, rows = _read_rows(path)
    for number, name in enumerate(header, start=1):
        if re.fullmatch(r"(unnamed:? ?\d*)?", name, re.IGNORECASE):
            raise DataError(
                f"{path}, line 1, column {number}: {name!r} is no name: drop the column if it"
                " numbers the rows (pandas: to_csv(..., index=False)), or name it"
            )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(f"{path}, line 1: more than one column is called {twice[0]!r}: rename it")
    if target not in header:
        raise DataError(
            f"{path}, line 1: no column is called {target!r}, only {', '.join(header)}:"
            " name one of these as target, and separate columns by commas"
        )
    column = header.index(target)
    labels = [row.pop(column) for row in rows]
    names = header[:column] + header[column + 1 :]
    for line, label in zip(lines, labels, strict=True):
        if label.strip().casefold() in MISSING:
            raise DataError(
                f"{path}, line {line}, column {target!r}: {label!r} is no class but stands for a"
                " missing value: fill in the class, drop the row, or give the class another name"
            )
    classes, y = np.unique(labels, return_inverse=True)
    check_classes(classes, len(y), f"{path}, column {target!r}")
    X = _numbers(path, names, lines, rows)
    check_counter(X, names, str(path))
    return X, y, tuple(map(str, classes))


def check_samples(X: Any, y: Any, n_classes: int, source: str) -> tuple[NDArray, NDArray]:
    """Return `X`, a DataFrame or an array, and `y` as an array.

    Raises DataError if no model could be fitted to them.
    """
    given, X, y = X, np.asarray(X), np.asarray(y)
    if X.ndim != 2 or 0 in X.shape:
        raise DataError(
            f"{source}: X has the shape {X.shape}: give an array (n_samples, n_features)"
        )
    if X.dtype.kind == "O" and all(isinstance(cell, Real) for cell in X.flat):
        X = X.astype(np.float64)  # a DataFrame with columns of several kinds
    numeric = X.dtype.kind in "biuf"
    fine = np.isfinite(X) if numeric else np.vectorize(lambda cell: isinstance(cell, Real))(X)
    if not fine.all():
        row, column = np.argwhere(~fine)[0]
        cell = X[row].tolist()[column]
        name = (list(given) if hasattr(given, "iloc") else range(1, X.shape[1] + 1))[column]
        raise DataError(
            f"{source}: X is {cell!r} in row {row + 1}, column {name!r}: encode text as numbers,"
            " and correct or drop what is missing or not finite"
        )
    if y.shape != (len(X),):
        raise DataError(
            f"{source}: y has the shape {y.shape} beside {len(X)} rows of X: give one class a row"
        )
    if y.dtype.kind == "f" and (y % 1 != 0).any():
        raise DataError(f"{source}: y {continuous(len(np.unique(y)))}")
    if y.dtype.kind not in "iu":
        raise DataError(
            f"{source}: y holds {y.tolist()[0]!r}, no integer: number the classes,"
            " names, y = np.unique(labels, return_inverse=True), and give their names as classes"
        )
    if y.min() < 0 or y.max() >= n_classes:
        raise DataError(
            f"{source}: y goes from {y.min()} to {y.max()}, and the numbers of {n_classes} classes"
            f" from 0 to {n_classes - 1}: number them so, or name all classes"
        )
    return given if hasattr(given, "iloc") else X, y


def check_classes(names: Iterable[str], n_rows: int, where: str) -> None:
    """Raise DataError for names that do not identify the classes of `n_rows` samples."""
    names = [str(name) for name in names]  # numpy's, too
    if len(names) < 2:
        raise DataError(
            f"{where}: there is only the one class {names[0]!r}, with nothing to tell apart: name"
            " another target, or add samples of another class"
        )
    seen: dict[str, str] = {}
    for name in names:
        if name.strip().casefold() in MISSING:
            raise DataError(
                f"{where}: {name!r} stands for a missing value: fill in the class, drop these"
                " rows, or give the class another name"
            )
        plain = " ".join(unicodedata.normalize("NFC", name).casefold().split())
        if plain in seen:
            raise DataError(
                f"{where}: the classes {seen[plain]!r} and {name!r} differ only in case"
                " or white space: write them alike, or rename one if they are two"
            )
        seen[plain] = name
    if len(names) > MANY and are_numbers(names):
        fractions = any(float(name) % 1 for name in names)
        if fractions or n_rows < 5 * len(names):
            raise DataError(f"{where}: {continuous(len(names))}")


def continuous(n: int) -> str:
    """Return what a message says of a target with `n` distinct numbers."""
    return (
        f"looks continuous ({n} distinct numbers): this template compares classifiers, so make"
        " classes of it or name another target"
    )


def are_numbers(names: Sequence[str]) -> bool:
    """Return whether all these names are finite numbers."""
    with suppress(ValueError):
        return bool(np.isfinite([float(name) for name in names]).all())
    return False


def check_counter(X: NDArray, names: Sequence[object], source: str) -> None:
    """Raise DataError for a feature that numbers the samples, as the index of a table does.

    Where samples are sorted by class, such a feature reveals the classes.
    """
    if len(X) < 3:
        return
    with np.errstate(over="ignore"):
        first = np.abs(np.diff(X[:3].astype(float), axis=0))
    # Few features remain, so all of their entries are checked.
    for column in np.flatnonzero((first == 1).all(axis=0)).tolist():
        steps = np.diff(X[:, column].astype(float))
        if (steps == steps[0]).all():
            raise DataError(
                f"{source}, column {names[column]!r}: it numbers the rows, from"
                f" {X[0, column]:g} to {X[-1, column]:g}, and is no feature: drop it"
            )


def _read_rows(path: str | Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Return the header, the line number of each further row, and these rows."""
    try:
        content = (ROOT / path).read_bytes()
        if (zero := content.find(b"\0")) >= 0:  # which UTF-8 allows
            raise UnicodeDecodeError("utf-8", content, zero, zero + 1, "no text has it")
        text = content.decode("utf-8").removeprefix("\ufeff")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        numbered = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file: check the path, or copy it here") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start + 1} (0x{error.object[error.start]:02x}) is not UTF-8 text:"
            " save the file as CSV in UTF-8, in the program that made it if it is UTF-16, a"
            " spreadsheet (.xlsx, .xls, .ods) or compressed (.gz, .zip)"
        ) from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: this is no readable CSV file ({error}): fix it") from None
    if len(numbered) < 2:
        raise DataError(f"{path}: the file holds no rows of data: a header and rows are needed")
    (_, header), *numbered = numbered
    header = [name.strip() for name in header]
    if len(header) == 1 and (other := re.search(r"[;\t|]", header[0])):
        raise DataError(
            f"{path}, line 1: columns are separated by {other[0]!r}: separate them by commas, and"
            " write numbers with a decimal point"
        )
    for line, row in numbered:
        if len(row) != len(header):
            raise DataError(
                f"{path}, line {line}: {len(row)} cells under {len(header)} headings:"
                " each row needs one for each column, commas in text need quotes"
            )
    return header, [line for line, _ in numbered], [row for _, row in numbered]


def _numbers(
    path: str | Path, names: list[str], lines: list[int], rows: list[list[str]]
) -> NDArray[np.float64]:
    if not names:
        raise DataError(f"{path}: there is no column besides the target: add the features")
    for line, row in zip(lines, rows, strict=True):
        for name, cell in zip(names, row, strict=True):
            # Only Python reads 1_000 as a number.
            if "_" in cell or not are_numbers([cell]):
                separated = re.fullmatch(r"\s*[+-]?\d+([.,_' \u00a0\u202f]\d+)+\s*", cell)
                advice = "write it with a decimal point and nothing between thousands"
                raise DataError(
                    f"{path}, line {line}, column {name!r}: {cell!r} is no finite number:"
                    f" {advice if separated else 'correct it'}, or drop the row or the column"
                )
    return np.array(rows, dtype=np.float64)
