"""Data sets, and their split into samples for training, model selection and testing."""

import csv
import hashlib
import re
import socket
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from numbers import Real
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import fetch_openml, get_data_home, load_digits, make_classification
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from literate import ROOT

PATIENCE = 10  # seconds to wait for an answer from OpenML
# How programs write an unknown class; "none" may be a class, for example of symptoms.
MISSING = {"", "?", "-", ".", "na", "n/a", "#n/a", "<na>", "nan", "null"}
MANY = 10  # numbers that may still be names of classes: more of them look like a quantity
# The first bytes of files that are CSV in name only.
MAGIC = {
    b"PK\x03\x04": "a spreadsheet or an archive (.xlsx, .ods, .zip)",
    b"\xd0\xcf\x11\xe0": "a spreadsheet (.xls)",
    b"\x1f\x8b": "a compressed file (.gz)",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


class DataError(ValueError):
    """Data that no honest result can come from; the message says where and what to do."""


@dataclass(frozen=True)
class Dataset:
    """Samples `X` (n_samples, n_features) with a class `y` each, 0 to n_classes - 1.

    `X` may be a DataFrame of numbers, and then is one in all parts of a split.  Raises DataError,
    saying what to do, for data that do not have this form or could not be classified honestly.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    classes: tuple[str, ...]  # names of the classes, in the order of their numbers
    source: str = "the data set"  # named in errors
    roles: tuple[str, ...] = ()  # of the features, if known: informative, redundant or random

    def __post_init__(self) -> None:
        """Check the whole data set, since models would accept almost anything."""
        names = self.classes
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise DataError(
                f"{self.source}: classes is {names!r}: give the names of the classes, as a tuple"
                " of strings"
            )
        X, y = _checked_rows(self.X, self.y, len(names), self.source)
        _check_classes(names, len(y), f"{self.source}, classes")
        names_of_features = list(X) if hasattr(X, "iloc") else range(1, X.shape[1] + 1)
        _check_counter(np.asarray(X), names_of_features, self.source)
        if len(self.roles) not in {0, X.shape[1]}:
            raise DataError(
                f"{self.source}: {len(self.roles)} roles for {X.shape[1]} features: give one for"
                " each, or none"
            )
        for name, value in (("X", X), ("y", y), ("classes", tuple(names))):
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Summary:
    """A description of a data set and of its split for the reader.

    Mean, standard deviation (ddof 0) and range are over all entries of the training samples, before
    scaling.
    """

    n_samples: int
    n_features: int
    n_classes: int
    class_counts: tuple[int, ...]
    n_train: int
    n_validation: int
    n_test: int
    mean: float
    sd: float
    min: float
    max: float


@dataclass(frozen=True)
class Leakage:
    """Signs that held-out samples influenced training; each count is 0 where there is none."""

    n_shared: int  # held-out samples that are, to six decimals, in another part as well
    n_scaled: int  # features with mean 0 and variance 1 over all samples, before the split
    n_moved: int  # preprocessed entries that depend on samples they must not depend on


@dataclass(frozen=True)
class Split:
    """A data set's samples in three parts: for training, for model selection, for reporting."""

    X_train: NDArray[np.float64] = field(repr=False)
    X_validation: NDArray[np.float64] = field(repr=False)
    X_test: NDArray[np.float64] = field(repr=False)
    y_train: NDArray[np.int64] = field(repr=False)
    y_validation: NDArray[np.int64] = field(repr=False)
    y_test: NDArray[np.int64] = field(repr=False)
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check each part as `Dataset` does."""
        for part in ("train", "validation", "test"):
            names = f"X_{part}", f"y_{part}"
            X, y = (getattr(self, name) for name in names)
            found = _checked_rows(X, y, len(self.classes), f"the {part} part of the split")
            for name, value in zip(names, found, strict=True):
                object.__setattr__(self, name, value)


def synthetic(
    *,
    n_samples: int = 2000,
    n_features: int = 64,
    n_informative: int = 40,
    n_redundant: int = 10,
    n_classes: int = 5,
    seed: int = 42,
) -> Dataset:
    """Generate a data set with one Gaussian cluster per class, on the corners of a hypercube.

    Features that are neither informative nor redundant (linear combinations of the informative
    ones) are random; see scikit-learn's make_classification.
    """
    made: Any = make_classification(
        n_samples=n_samples,
        n_features=n_features,
        n_informative=n_informative,
        n_redundant=n_redundant,
        n_classes=n_classes,
        n_clusters_per_class=1,
        random_state=seed,
        return_X_y=False,
    )
    classes = tuple(str(number) for number in range(n_classes))
    roles = tuple(map(str, made.feature_info))
    return Dataset(made.X, made.y, classes, "the generated data", roles)


def digits() -> Dataset:
    """Return the 1797 handwritten digits that come with scikit-learn, 8 x 8 pixels from 0 to 16."""
    loaded: Any = load_digits()
    return Dataset(loaded.data, loaded.target, tuple("0123456789"), "scikit-learn's digits")


def read_table(path: str | Path, *, target: str) -> Dataset:
    """Read a data set from a CSV file: a header, the column `target`, numbers in all others.

    The file is UTF-8 with commas; a relative path starts in the paper's folder.  The values of
    `target` may be text; they become the classes, sorted.

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
        if not label.strip():
            raise DataError(f"{path}, line {line}, column {target!r}: no class: fill it in")
        if label.strip().casefold() in MISSING:
            raise DataError(
                f"{path}, line {line}, column {target!r}: {label!r} stands for a missing value:"
                " fill in the class, drop the row, or give the class another name"
            )
    classes, y = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"{path}, column {target!r}: every row is of the one class {str(classes[0])!r}:"
            " there is nothing to tell apart, name another target or add rows"
        )
    _check_classes(classes, len(y), f"{path}, column {target!r}")
    X = _numbers(path, names, lines, rows)
    _check_counter(X, names, str(path))
    return Dataset(X, y, tuple(map(str, classes)), str(path))


def openml(name: str, *, version: int = 1) -> Dataset:
    """Return the data set that OpenML has under this name and version, its classes sorted.

    All features must be numbers, and the target must be nominal.  Classes that are numbers are
    sorted as numbers.  "Fashion-MNIST" has 70 000 images of 28 x 28 pixels from 0 to 255, which
    take 0.4 GB as X.  "CIFAR_10", as OpenML writes it, has 60 000 images of 3 x 32 x 32, which take
    1.5 GB.  Reading them takes 1.1 and 3.7 GB.

    The first call downloads the data set.  scikit-learn keeps the files in the folder openml of its
    get_data_home(), which SCIKIT_LEARN_DATA sets, and from then on no network is needed.

    Raises DataError if OpenML has no such data set, if OpenML cannot be reached and the data set is
    not in that folder, if a file there is damaged, and for features and targets that do not meet
    these requirements, naming the row, counted from 1, and the column.
    """
    source = f"OpenML's {name}, version {version}"
    fetched = _fetch(quote(name, safe=""), version, source)
    targets, target = fetched.target_names, fetched.target
    advice = "take another data set, or save this one, corrected, as a CSV file for data.read_table"
    if len(targets) != 1:
        raise DataError(f"{source}: it has {len(targets)} targets, and classes need one: {advice}")
    if target.dtype != "category":
        raise DataError(
            f"{source}: its target {targets[0]!r} is not nominal, so there are no classes: {advice}"
        )
    if target.isna().any():
        row = 1 + int(target.isna().argmax())
        raise DataError(f"{source}, row {row}, column {targets[0]!r}: no class: {advice}")
    X = None
    with suppress(ValueError):  # of text
        X = fetched.data.to_numpy(dtype=np.float64, na_value=np.nan)
    if X is None or not np.isfinite(X).all():
        row, column, cell = _first_no_number(fetched.data)
        raise DataError(
            f"{source}, row {row}, column {column!r}: {cell} is no finite number: {advice}"
        )
    classes, y = np.unique(target.astype(str).to_numpy(dtype=str), return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"{source}, column {targets[0]!r}: every row is of one class: {advice}")
    with suppress(ValueError):  # classes that are not numbers
        order = np.argsort([float(label) for label in classes], kind="stable")
        classes, y = classes[order], np.argsort(order)[y]
    _check_classes(classes, len(y), f"{source}, column {targets[0]!r}")
    _check_counter(X, list(fetched.data), source)
    return Dataset(X, y, tuple(map(str, classes)), source)


def split(dataset: Dataset, *, test_size: float = 0.4, folds: int = 5, seed: int = 42) -> Split:
    """Split the samples into three parts, each with the same share of every class.

    A share `test_size` is held out and halved for validation and test.

    Raises DataError if a class has fewer than `folds` training samples, since it could not be in
    every fold of a cross-validation, or fewer than two samples to hold out.
    """
    n_classes = len(dataset.classes)
    for name, count in zip(dataset.classes, _counts(dataset), strict=True):
        held_out = count * test_size
        if count - held_out < folds or held_out < 2:
            several = "sample" if count == 1 else "samples"
            few = f"class {name!r} has only {count} {several}, {held_out:.0f} of them held out"
            if _are_numbers(dataset.classes) and len(dataset.y) < 5 * n_classes:
                raise DataError(f"{dataset.source}: {few}, and y {_continuous(n_classes)}")
            raise DataError(
                f"{dataset.source}: {few}, too few for {folds} folds and two held-out parts: add"
                " samples, or merge or drop the class"
            )
    parts: Any = train_test_split(
        dataset.X, dataset.y, test_size=test_size, stratify=dataset.y, random_state=seed
    )
    X_train, X_held, y_train, y_held = parts
    parts = train_test_split(X_held, y_held, test_size=0.5, stratify=y_held, random_state=seed)
    X_validation, X_test, y_validation, y_test = parts
    return Split(
        *(X_train, X_validation, X_test, y_train, y_validation, y_test),
        classes=dataset.classes,
    )


def describe(dataset: Dataset, split: Split) -> Summary:
    """Return sizes, class counts and raw statistics of a data set and its split."""
    X = np.asarray(split.X_train, dtype=float)
    return Summary(
        n_samples=len(dataset.X),
        n_features=dataset.X.shape[1],
        n_classes=len(dataset.classes),
        class_counts=tuple(_counts(dataset).tolist()),
        n_train=len(split.y_train),
        n_validation=len(split.y_validation),
        n_test=len(split.y_test),
        mean=float(X.mean()),
        sd=float(X.std()),
        min=float(X.min()),
        max=float(X.max()),
    )


def leakage(dataset: Dataset, split: Split, estimators: Iterable[Any]) -> Leakage:
    """Count the signs that fitted `estimators` may know held-out samples.

    Preprocessing that learns from more than the training samples is detected by its effect: a
    pipeline's must give the training samples what it gives them when it is fitted on these alone,
    and a held-out sample the same whatever other samples come with it.  What was done to the data
    before the split is detected only if it gave features mean 0 and variance 1 (with ddof 0 or 1),
    to four decimals.
    """
    X = np.asarray(dataset.X, dtype=float)
    held = (split.X_train, split.X_validation, split.X_test)
    parts = [np.asarray(rows, dtype=float) for rows in held]
    part = np.repeat([0, 1, 2], [len(rows) for rows in parts])
    _, row = np.unique(_rounded(np.vstack(parts)), axis=0, return_inverse=True)
    stands = np.zeros((row.max() + 1, 3), dtype=bool)
    stands[row, part] = True
    shared = (stands.sum(axis=1) > 1)[row] & (part > 0)
    near: Any = {"rtol": 0, "atol": 1e-4}
    scaled = np.isclose(X.mean(axis=0), 0, **near) & np.any(
        [np.isclose(X.var(axis=0, ddof=ddof), 1, **near) for ddof in (0, 1)], axis=0
    )
    steps = [e[:-1] for e in estimators if isinstance(e, Pipeline) and len(e) > 1]
    return Leakage(
        n_shared=int(shared.sum()),
        n_scaled=int(scaled.sum()),
        n_moved=sum(_moved(some, split) for some in steps),
    )


def digests(split: Split) -> dict[str, str]:
    """Return the first 16 hexadecimal digits of each part's SHA-256.

    The digest is that of the part's samples and classes, rounded to six decimals.
    """
    found = {}
    for part in ("train", "validation", "test"):
        X, y = getattr(split, f"X_{part}"), getattr(split, f"y_{part}")
        rows = _rounded(np.column_stack([np.asarray(X, dtype=float), y]))
        found[part] = hashlib.sha256(rows.astype("<f8").tobytes()).hexdigest()[:16]
    return found


def take(X: Any, positions: Any) -> Any:
    """Return the samples at these positions of an array or a DataFrame."""
    return X.iloc[positions] if hasattr(X, "iloc") else X[positions]


def _moved(steps: Any, split: Split) -> int:
    """Count the entries that fitted preprocessing makes of a split with what it must not know."""
    alone: Any = clone(steps).fit(split.X_train, split.y_train)
    pairs = [(steps.transform(split.X_train), alone.transform(split.X_train))]
    for X in (split.X_validation, split.X_test):
        pairs.append((steps.transform(X)[:1], steps.transform(X[:1])))
    return sum(int((np.asarray(a) != np.asarray(b)).sum()) for a, b in pairs)


def _counts(dataset: Dataset) -> NDArray[np.int64]:
    return np.bincount(dataset.y, minlength=len(dataset.classes))


def _checked_rows(X: Any, y: Any, n_classes: int, source: str) -> tuple[NDArray, NDArray]:
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
    if X.dtype.kind not in "biuf":
        cells = ((row, *cell) for row, line in enumerate(X, start=1) for cell in enumerate(line, 1))
        row, column, cell = next(found for found in cells if not isinstance(found[2], Real))
        raise DataError(
            f"{source}: X holds {cell!r} in row {row}, column {column}: encode text as numbers, and"
            " fill in or drop what is missing"
        )
    if X.dtype.kind == "f" and not (finite := np.isfinite(X)).all():
        row, column = np.argwhere(~finite)[0]
        raise DataError(
            f"{source}: X is {X[row, column]} in row {row + 1}, column {column + 1}: correct it,"
            " or drop the row or the column"
        )
    if y.shape != (len(X),):
        raise DataError(
            f"{source}: y has the shape {y.shape} beside {len(X)} rows of X: give one class a row"
        )
    if y.dtype.kind == "f" and (y % 1 != 0).any():
        raise DataError(f"{source}: y {_continuous(len(np.unique(y)))}")
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


def _check_classes(names: Iterable[str], n_rows: int, where: str) -> None:
    """Raise DataError for names that do not identify the classes of `n_rows` samples."""
    names = [str(name) for name in names]  # numpy's, too
    if len(names) < 2:
        raise DataError(
            f"{where}: {len(names)} class, with nothing to tell apart: name two or more"
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
    if len(names) > MANY and _are_numbers(names):
        fractions = any(float(name) % 1 for name in names)
        if fractions or n_rows < 5 * len(names):
            raise DataError(f"{where}: {_continuous(len(names))}")


def _continuous(n: int) -> str:
    return (
        f"looks continuous ({n} distinct numbers): this template compares classifiers, so make"
        " classes of it or name another target"
    )


def _are_numbers(names: Sequence[str]) -> bool:
    with suppress(ValueError):
        return bool(np.isfinite([float(name) for name in names]).all())
    return False


def _check_counter(X: NDArray, names: Sequence[object], source: str) -> None:
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


def _rounded(X: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.round(X, 6) + 0.0  # no negative zeros


def _read_rows(path: str | Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Return the header, the line number of each further row, and these rows."""
    try:
        with (ROOT / path).open("rb") as file:
            start = file.read(1000)
        other = next((what for magic, what in MAGIC.items() if start.startswith(magic)), "")
        if other or b"\0" in start:
            raise DataError(
                f"{path}: this is {other or 'UTF-16, or no text'}: open it in the program that"
                " made it, and save it as CSV in UTF-8"
            )
        with (ROOT / path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            numbered = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file: check the path, or copy it here") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start + 1} (0x{error.object[error.start]:02x}) is not UTF-8:"
            " save the file in that encoding"
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
    X = np.empty((len(rows), len(names)))
    for index, (line, row) in enumerate(zip(lines, rows, strict=True)):
        for position, cell in enumerate(row):
            try:
                # Only Python reads 1_000 as a number.
                X[index, position] = np.nan if "_" in cell else float(cell)
            except ValueError:
                X[index, position] = np.nan
            if not np.isfinite(X[index, position]):
                separated = re.fullmatch(r"\s*[+-]?\d+([.,_' \u00a0\u202f]\d+)+\s*", cell)
                advice = "write it with a decimal point and nothing between thousands"
                raise DataError(
                    f"{path}, line {line}, column {names[position]!r}: {cell!r} is no finite"
                    f" number: {advice if separated else 'correct it'}, or drop the row or the"
                    " column"
                )
    return X


def _fetch(name: str, version: int, source: str, *, parser: str = "auto") -> Any:
    """Return what fetch_openml finds, as pandas data."""
    folder = Path(get_data_home()) / "openml"
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)  # behind a firewall an answer may never come
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A network error")
            # On any error, even lack of memory, scikit-learn would delete what it has read.
            warnings.filterwarnings("error", "Invalid cache")
            return fetch_openml(
                name,
                version=version,
                as_frame=True,
                parser=parser,
                n_retries=1,
                # With a thousands separator set, pandas 3.1 does not convert classes 0 to 9 to
                # numbers, which scikit-learn 1.9.1 could not handle.
                read_csv_kwargs={"thousands": "\x1f"},
            )
    except ValueError as error:
        reason = str(error).partition(". ")[0].removesuffix(".")
        raise DataError(f"{source}: {reason}: look for another name or version there") from None
    except (OSError, LookupError, TypeError, AttributeError, RuntimeWarning) as raised:
        error = raised.__context__ if isinstance(raised, RuntimeWarning) else raised
    finally:
        socket.setdefaulttimeout(timeout)
    if isinstance(error, TypeError) and parser == "auto":  # as above, from true and false
        return _fetch(name, version, source, parser="liac-arff")
    if isinstance(error, MemoryError):
        raise error
    reason = str(error).strip("<>") or type(error).__name__
    if isinstance(error, (URLError, TimeoutError, ConnectionError, HTTPException)):
        raise DataError(
            f"{source}: not all of it is in {folder}, and OpenML could not be reached ({reason}):"
            " connect once, or copy that folder from where it was read before"
        )
    raise DataError(
        f"{source}: a file in {folder} is damaged ({reason}): delete that folder and connect once,"
        " or copy it anew from where it was read before"
    )


def _first_no_number(frame: Any) -> tuple[int, str, str]:
    """Return the row (from 1), the column and the printable text of the first non-number."""
    row, column, cell = next(
        (row, name, cell)
        for name in frame
        for row, cell in enumerate(frame[name], start=1)
        if not _is_finite(cell)
    )
    missing = frame[column].isna().iloc[row - 1]
    return row, column, "a missing value" if missing else repr(cell)


def _is_finite(cell: Any) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except (ValueError, TypeError):  # such as pandas' NA
        return False
