"""Tables of numbers and their classes, read and checked: no honest result comes from others."""

import csv
import io
import re
import unicodedata
import warnings
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
SEPARATORS = ",;\t|"  # of columns
COMMA = r"[+-]?\d*,\d+([eE][+-]?\d+)?"  # a number with a decimal comma
ID = r"(.*[_ .-])?(id|uuid|guid|index|key|nr|no)"  # names of what identifies a row
# What pandas reads by which function, and the library that it needs for that.
SHEETS = {".xlsx": ("excel", "openpyxl"), ".parquet": ("parquet", "pyarrow")}
MANY = 10  # numbers that may still be names of classes: more of them look like a quantity


Numbered = list[tuple[int, list[str]]]  # rows with the numbers of their lines


class DataError(ValueError):
    """Data that no honest result can come from; the message says where and what to do."""


def read(
    path: str | Path,
    *,
    target: str,
    drop: Iterable[str] = (),
    separator: str | None = None,
    decimal: str | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64], tuple[str, ...]]:
    """Return the numbers, the classes and their names of a table, whose column is `target`.

    Columns named in `drop` are left out.  Without `separator` and `decimal` a CSV file's are those
    that fit all its rows; others than a comma and a point are warned of.

    Raises DataError, which names the file, the line or column, what is there and what to do.
    """
    header, lines, rows = _read_rows(path, separator)
    for number, name in enumerate(header, start=1):
        if re.fullmatch(r"(unnamed:? ?\d*)?", name, re.IGNORECASE):
            raise DataError(
                f"{path}, line 1, column {number}: {name!r} is no name: drop the column if it"
                " numbers the rows (pandas: to_csv(..., index=False)), or name it"
            )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(f"{path}, line 1: more than one column is called {twice[0]!r}: rename it")
    drop = [drop] if isinstance(drop, str) else list(drop)
    for name in (target, *drop):
        if name not in header:
            raise DataError(
                f"{path}, line 1: no column is called {name!r}, only {', '.join(header)}:"
                f" name one of these {'to drop' if name in drop else 'as target'}"
            )
    column = header.index(target)
    labels = [row[column] for row in rows]
    kept = [n for n, name in enumerate(header) if n != column and name not in drop]
    names, rows = [header[n] for n in kept], [[row[n] for n in kept] for row in rows]
    for line, label in zip(lines, labels, strict=True):
        if label.strip().casefold() in MISSING:
            raise DataError(
                f"{path}, line {line}, column {target!r}: {label!r} is no class but stands for a"
                " missing value: fill in the class, drop the row, or give the class another name"
            )
    classes, y = np.unique(labels, return_inverse=True)
    check_classes(classes, len(y), f"{path}, column {target!r}")
    X = _numbers(path, names, lines, rows, decimal or _decimal(path, rows))
    _check_features(X, y, names, str(path))
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


def _check_features(X: NDArray, y: NDArray, names: Sequence[str], path: str) -> None:
    """Raise DataError for columns that are no features, whatever a model would find in them."""
    check_counter(X, names, path)
    constant = [
        name for name, values in zip(names, X.T, strict=True) if (values == values[0]).all()
    ]
    if constant and len(X) > 1:
        raise DataError(
            f"{path}, column {constant[0]!r}: it is {X[0, names.index(constant[0])]:g} in all rows"
            f" and tells nothing apart: leave it out by drop={constant}"
        )
    for name, values in zip(names, X.T, strict=True):
        distinct, codes = np.unique(values, return_inverse=True)
        if re.fullmatch(ID, name, re.IGNORECASE) and len(distinct) == len(X):
            raise DataError(
                f"{path}, column {name!r}: it has another value in each row, as an identifier has,"
                f" and is no feature: leave it out by drop=[{name!r}], or rename it if it is one"
            )
        pairs = len(np.unique(np.column_stack([codes, y]), axis=0))
        if len(X) >= 20 and len(distinct) == pairs == len(np.unique(y)):
            raise DataError(
                f"{path}, column {name!r}: it has one value for each class and so is the target in"
                f" other words: leave it out by drop=[{name!r}]"
            )


def _read_rows(
    path: str | Path, separator: str | None
) -> tuple[list[str], list[int], list[list[str]]]:
    """Return the header, the line number of each further row, and these rows."""
    try:
        content = (ROOT / path).read_bytes()
        if Path(path).suffix.lower() in SHEETS:
            numbered = _read_frame(path, content)
        else:
            numbered, separator = _read_text(path, content, separator)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file: check the path, or copy it here") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start + 1} (0x{error.object[error.start]:02x}) is not UTF-8 text:"
            " save the file as CSV in UTF-8, in the program that made it if it is UTF-16, an old"
            " spreadsheet (.xls, .ods) or compressed (.gz, .zip); a new one is named .xlsx"
        ) from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: this is no readable CSV file ({error}): fix it") from None
    if len(numbered) < 2:
        raise DataError(f"{path}: the file holds no rows of data: a header and rows are needed")
    (_, header), *numbered = numbered
    header = [name.strip() for name in header]
    for line, row in numbered:
        if len(row) != len(header):
            raise DataError(
                f"{path}, line {line}: {len(row)} cells under {len(header)} headings, separated by"
                f" {separator!r}: each row needs one for each column, and quotes around text"
                f" with {separator!r}"
            )
    return header, [line for line, _ in numbered], [row for _, row in numbered]


def _read_text(path: str | Path, content: bytes, separator: str | None) -> tuple[Numbered, str]:
    """Return the rows of a CSV file with the numbers of their lines, and what separates cells."""
    if (zero := content.find(b"\0")) >= 0:  # which UTF-8 allows
        raise UnicodeDecodeError("utf-8", content, zero, zero + 1, "no text has it")
    text = content.decode("utf-8").removeprefix("\ufeff")

    def rows(mark: str) -> Numbered:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
        return [(reader.line_num, row) for row in reader if row]

    found: dict[str, Numbered] = {}
    if separator is None:
        for mark in SEPARATORS:
            with suppress(csv.Error):
                cells = rows(mark)
                widths = {len(row) for _, row in cells}
                if len(widths) == 1 and widths != {1}:
                    found[mark] = cells
        if len(found) > 1:
            raise DataError(
                f"{path}: {' and '.join(map(repr, found))} could separate its columns: name the"
                f" one that does, separator={next(iter(found))!r} say"
            )
        heading = text.partition("\n")[0]
        separator = next(iter(found), max(SEPARATORS, key=heading.count))
        if separator != "," and len(found) == 1:
            warnings.warn(
                f"{path}: columns are taken to be separated by {separator!r}: say so by"
                f" separator={separator!r}",
                stacklevel=5,
            )
    return found.get(separator) or rows(separator), separator


def _read_frame(path: str | Path, content: bytes) -> Numbered:
    """Return the rows of a spreadsheet's first sheet or of a Parquet file, as text."""
    import pandas as pd

    kind, library = SHEETS[Path(path).suffix.lower()]
    try:
        frame: Any = getattr(pd, f"read_{kind}")(io.BytesIO(content))
    except ImportError:
        raise DataError(
            f"{path}: reading it needs {library}: pip install {library}, or save it as CSV"
        ) from None
    except Exception as error:  # of libraries that raise what they like
        raise DataError(
            f"{path}: {library} cannot read it ({error}): save it anew, or as CSV"
        ) from error
    cells = frame.astype(object).where(frame.notna(), "").to_numpy().tolist()
    rows = [[str(cell) for cell in row] for row in (list(frame.columns), *cells)]
    return list(enumerate(rows, start=1))


def _decimal(path: str | Path, rows: list[list[str]]) -> str:
    """Return the decimal mark of a table's numbers."""
    cells = [cell.strip() for row in rows for cell in row]
    commas = [cell for cell in cells if re.fullmatch(COMMA, cell)]
    if not commas or any(re.fullmatch(COMMA.replace(",", r"\."), cell) for cell in cells):
        return "."
    if all(re.fullmatch(r"[+-]?\d{1,3},\d{3}", cell) for cell in commas):
        raise DataError(
            f"{path}: {commas[0]!r} has a decimal comma or one between thousands: say which, by"
            " decimal=',' or decimal='.', which needs numbers with nothing between thousands"
        )
    warnings.warn(
        f"{path}: numbers are taken to have a decimal comma, as {commas[0]!r}: say so by"
        " decimal=','",
        stacklevel=4,
    )
    return ","


def _numbers(
    path: str | Path, names: list[str], lines: list[int], rows: list[list[str]], decimal: str
) -> NDArray[np.float64]:
    if not names:
        raise DataError(f"{path}: there is no column besides the target: add the features")
    X = np.empty((len(rows), len(names)))
    for n, (line, row) in enumerate(zip(lines, rows, strict=True)):
        for m, (name, cell) in enumerate(zip(names, row, strict=True)):
            # Only Python reads 1_000 as a number, and a decimal comma leaves no other mark.
            text = cell if decimal == "." else cell.replace(".", "_").replace(decimal, ".")
            if "_" in text or not are_numbers([text]):
                separated = re.fullmatch(r"\s*[+-]?\d+([.,_' \u00a0\u202f]\d+)+\s*", cell)
                mark = {".": "point", ",": "comma"}.get(decimal, decimal)
                advice = f"write it with a decimal {mark} and nothing between thousands"
                raise DataError(
                    f"{path}, line {line}, column {name!r}: {cell!r} is no finite number:"
                    f" {advice if separated else 'correct it'}, or leave the column out by"
                    f" drop=[{name!r}]"
                )
            X[n, m] = float(text)
    return X
