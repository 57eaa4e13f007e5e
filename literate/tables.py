"""Tables of numbers and their classes, read and checked: no honest result comes from others."""

import csv
import hashlib
import io
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    groups: str | None = None,
    drop: Iterable[str] = (),
    separator: str | None = None,
    decimal: str | None = None,
) -> tuple[Any, NDArray[np.int64], tuple[str, ...], NDArray[np.str_] | None]:
    """Return the features, the classes, their names and the groups of a table.

    `target` is the column of the classes, and `groups` that of the groups, if there are any.  The
    features are an array if all are numbers, and otherwise a DataFrame, in which text is
    categorical and NaN is missing.  Columns named in `drop` are left out.  Without `separator` and
    `decimal` a CSV file's are those that fit all its rows; others than a comma and a point are
    warned of.

    Raises DataError, which names the file, the line or column, what is there and what to do.
    """
    header, lines, rows, separator = _read_rows(path, separator)
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
    labels: dict[str, list[str]] = {}
    roles = {target: "class"} | ({groups: "group"} if groups else {})
    for name, role in roles.items():
        _require(name, header, f"as {'target' if role == 'class' else 'groups'}", path)
        labels[role] = [row[header.index(name)] for row in rows]
        for line, label in zip(lines, labels[role], strict=True):
            if label.strip().casefold() in MISSING:
                raise DataError(
                    f"{path}, line {line}, column {name!r}: {label!r} is no {role} but stands for a"
                    f" missing value: fill in the {role}, drop the row, or give the {role} another"
                    " name"
                )
    for name in drop:
        _require(name, header, "to drop", path)
    classes, y = np.unique(labels["class"], return_inverse=True)
    check_classes(classes, len(y), f"{path}, column {target!r}")
    cells = {
        name: [row[n] for row in rows]
        for n, name in enumerate(header)
        if name not in {target, groups, *drop}
    }
    if not cells:
        raise DataError(f"{path}: there is no column besides the target: add the features")
    decimal = decimal or _decimal(path, cells, separator)
    columns = {name: _column(path, name, lines, cells[name], decimal) for name in cells}
    if all(column.dtype == float and np.isfinite(column).all() for column in columns.values()):
        X: Any = np.column_stack(list(columns.values()))
    else:
        import pandas as pd

        X = pd.DataFrame(columns)
    check_counter(numbers(X), list(columns), str(path))
    for name, column in columns.items():
        _check_feature(column, y, name, str(path))
    return X, y, tuple(map(str, classes)), np.array(labels["group"]) if groups else None


def numbers(X: Any) -> NDArray[np.float64]:
    """Return samples as an array of numbers, in which each text of a DataFrame has one of its own.

    A missing value is NaN.
    """
    if not hasattr(X, "iloc"):
        return np.asarray(X, dtype=float)
    columns = []
    for name in range(X.shape[1]):
        column = X.iloc[:, name]
        if column.dtype.kind not in "biuf":
            codes = {cell: _code(cell) for cell in column.dropna().unique()}
            column = column.astype(object).map(codes)
        columns.append(column.to_numpy(dtype=float, na_value=np.nan))
    return np.column_stack(columns)


def check_samples(X: Any, y: Any, n_classes: int, source: str) -> tuple[NDArray, NDArray]:
    """Return `X`, a DataFrame or an array, and `y` as an array.

    Raises DataError if no model could be fitted to them.
    """
    frame, y = hasattr(X, "iloc"), np.asarray(y)
    X = X if frame else np.asarray(X)
    if X.ndim != 2 or 0 in X.shape:
        raise DataError(
            f"{source}: X has the shape {X.shape}: give an array (n_samples, n_features)"
        )
    for n in range(X.shape[1]):
        column = X.iloc[:, n] if frame else X[:, n]
        if not frame and column.dtype.kind in "biuf":
            fine = np.isfinite(column)
        elif column.dtype.kind in "biuf":  # a DataFrame may have missing values
            fine = np.isfinite(column.to_numpy(dtype=float, na_value=0.0))
        else:
            fine = np.array([isinstance(cell, (str, Real) if frame else Real) for cell in column])
            fine |= np.asarray(column.isna()) if frame else False
        if not fine.all():
            row = int(np.argmin(fine))
            cell = np.asarray(column).tolist()[row]
            name = X.columns[n] if frame else n + 1
            raise DataError(
                f"{source}: X is {cell!r} in row {row + 1}, column {name!r}: give numbers in an"
                " array, or numbers and text in a DataFrame, and correct or drop what is missing"
                " or not finite"
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
    return X, y


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


def _require(name: Any, header: Sequence[str], role: str, path: str | Path) -> None:
    if name not in header:
        raise DataError(
            f"{path}, line 1: no column is called {name!r}, only {', '.join(header)}: name one of"
            f" these {role}"
        )


def _check_feature(column: NDArray, y: NDArray, name: str, path: str) -> None:
    """Raise DataError for a column that is no feature, whatever a model would find in it."""
    distinct, codes = np.unique(column.astype(str), return_inverse=True)
    advice = f"leave it out by drop=[{name!r}]"
    if len(distinct) == 1 < len(y):
        raise DataError(
            f"{path}, column {name!r}: it is {distinct[0]!s} in all rows, which tells nothing"
            f" apart: {advice}"
        )
    text = column.dtype == object
    if (text and len(distinct) > len(y) / 2) or (
        re.fullmatch(ID, name, re.IGNORECASE) and len(distinct) == len(y)
    ):
        raise DataError(
            f"{path}, column {name!r}: it has {len(distinct)} different values in {len(y)} rows, as"
            f" an identifier has, and is no feature: {advice}, or rename it if it is one"
        )
    pairs = len(np.unique(np.column_stack([codes, y]), axis=0))
    if len(y) >= 20 and len(distinct) == pairs == len(np.unique(y)):
        raise DataError(
            f"{path}, column {name!r}: it has one value for each class and so is the target in"
            f" other words: {advice}"
        )


def _code(text: Any) -> float:
    """Return a number that stands for a text, whatever others there are."""
    return float(int.from_bytes(hashlib.sha256(str(text).encode()).digest()[:6]))


def _read_rows(
    path: str | Path, separator: str | None
) -> tuple[list[str], list[int], list[list[str]], str]:
    """Return the header, the line number of each further row, these rows, and the separator."""
    try:
        content = (ROOT / path).read_bytes()
        if Path(path).suffix.lower() in SHEETS:
            numbered, separator = _read_frame(path, content), ","
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
    return header, [line for line, _ in numbered], [row for _, row in numbered], separator


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


def _decimal(path: str | Path, columns: Mapping[str, list[str]], separator: str) -> str:
    """Return the decimal mark of a table's numbers."""
    cells = [cell.strip() for column in columns.values() for cell in column]
    marked = {
        mark: [cell for cell in cells if re.fullmatch(COMMA.replace(",", re.escape(mark)), cell)]
        for mark in ",."
    }
    mark = "," if marked[","] and not marked["."] else "."
    some = marked[mark]
    # Where columns are separated by semicolons, points are often between thousands.
    doubtful = some and (mark == "," or separator == ";")
    if doubtful and all(re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}\{mark}\d{{3}}", c) for c in some):
        raise DataError(
            f"{path}: the mark in {some[0]!r} is a decimal one or stands between thousands: say"
            f" that it is decimal by decimal={mark!r}, or write numbers with nothing between"
            " thousands"
        )
    if mark == ",":
        warnings.warn(
            f"{path}: numbers are taken to have a decimal comma, as {some[0]!r}: say so by"
            " decimal=','",
            stacklevel=4,
        )
    return mark


def _column(
    path: str | Path, name: str, lines: list[int], cells: list[str], decimal: str
) -> NDArray[Any]:
    """Return a column's numbers, or its text, with NaN for missing values."""
    # Only Python reads 1_000 as a number, and a decimal comma leaves no other mark.
    texts = [c if decimal == "." else c.replace(".", "_").replace(decimal, ".") for c in cells]
    absent = [cell.strip().casefold() in MISSING for cell in cells]
    fine = [
        gap or ("_" not in t and are_numbers([t])) for t, gap in zip(texts, absent, strict=True)
    ]
    known = [cell for cell, gap in zip(cells, absent, strict=True) if not gap]
    if all(fine):
        return np.array([np.nan if gap else float(t) for t, gap in zip(texts, absent, strict=True)])
    letters = all(re.search(r"[^\W\d_]", cell) for cell in known)
    if letters and sum(fine) == sum(absent):  # no number among them
        return np.array(
            [np.nan if gap else cell for cell, gap in zip(cells, absent, strict=True)], dtype=object
        )
    n = fine.index(False)
    separated = re.fullmatch(r"\s*[+-]?\d+([.,_' \u00a0\u202f]\d+)+\s*", cells[n])
    mark = {".": "point", ",": "comma"}.get(decimal, decimal)
    advice = f"write it with a decimal {mark} and nothing between thousands"
    raise DataError(
        f"{path}, line {lines[n]}, column {name!r}: {cells[n]!r} is no finite number:"
        f" {advice if separated else 'correct it'}, or leave the column out by drop=[{name!r}]"
    )
