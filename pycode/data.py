"""Data sets, and their split into samples for training, model selection and testing."""

import hashlib
import socket
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import fetch_openml, get_data_home, load_digits, make_classification
from sklearn.model_selection import StratifiedGroupKFold, train_test_split
from sklearn.pipeline import Pipeline

from literate import images, tables
from literate.tables import DataError

PATIENCE = 10  # seconds to wait for an answer from OpenML


@dataclass(frozen=True)
class Dataset:
    """Samples `X` (n_samples, n_features) with a class `y` each, 0 to n_classes - 1.

    `X` may be a DataFrame, with numbers, text and missing values, and then is one in all parts of a
    split.  Raises DataError, saying what to do, for data that do not have this form or could not be
    classified honestly.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    classes: tuple[str, ...]  # names of the classes, in the order of their numbers
    source: str = "the data set"  # named in errors
    roles: tuple[str, ...] = ()  # of the features, if known: informative, redundant or random
    groups: NDArray[Any] | None = None  # of each sample: those of one group stay together

    def __post_init__(self) -> None:
        """Check the whole data set, since models would accept almost anything."""
        names = self.classes
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise DataError(
                f"{self.source}: classes is {names!r}: give the names of the classes, as a tuple"
                " of strings"
            )
        X, y = tables.check_samples(self.X, self.y, len(names), self.source)
        tables.check_classes(names, len(y), f"{self.source}, classes")
        names_of_features = list(X) if hasattr(X, "iloc") else range(1, X.shape[1] + 1)
        tables.check_counter(tables.numbers(X), names_of_features, self.source)
        groups = None if self.groups is None else np.asarray(self.groups)
        if groups is not None and groups.shape != y.shape:
            raise DataError(
                f"{self.source}: groups has the shape {groups.shape} beside {len(y)} rows of X:"
                " give one group a row"
            )
        if len(self.roles) not in {0, X.shape[1]}:
            raise DataError(
                f"{self.source}: {len(self.roles)} roles for {X.shape[1]} features: give one for"
                " each, or none"
            )
        checked = {"X": X, "y": y, "classes": tuple(names), "groups": groups}
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Summary:
    """A description of a data set and of its split for the reader.

    Mean, standard deviation (with ddof 0, as the reference printed it) and range are over all
    numbers of the training samples that are not missing, before scaling.
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
    groups: NDArray[Any] | None = field(default=None, repr=False)  # of the training samples

    def __post_init__(self) -> None:
        """Check each part as `Dataset` does."""
        for part in ("train", "validation", "test"):
            names = f"X_{part}", f"y_{part}"
            X, y = (getattr(self, name) for name in names)
            found = tables.check_samples(X, y, len(self.classes), f"the {part} part of the split")
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


def read_table(
    path: str | Path,
    *,
    target: str,
    groups: str | None = None,
    drop: Sequence[str] = (),
    separator: str | None = None,
    decimal: str | None = None,
) -> Dataset:
    """Read a data set from a table: a header, the column `target`, and features in all others.

    The table is CSV in UTF-8, the first sheet of an .xlsx file (with openpyxl) or a .parquet file
    (with pyarrow).  A relative path starts in the paper's folder.  The values of `target` may be
    text; they become the classes, sorted.  Samples with the same value of `groups` stay together in
    every split.  Columns named in `drop` are left out.  Features of text, and missing values, need
    `models.preprocess`.  A separator of columns or a decimal mark that is not given is found, and
    warned of if it is no comma or point.

    Raises DataError, which names the file, the line or column, what is there and what to do.
    """
    X, y, classes, found = tables.read(
        path, target=target, groups=groups, drop=drop, separator=separator, decimal=decimal
    )
    return Dataset(X, y, classes, str(path), groups=found)


def read_images(
    folder: str | Path,
    *,
    size: tuple[int, int],
    color: bool = False,
    fit: images.Fit | None = None,
) -> Dataset:
    """Read a data set from a folder that has a folder of images for each class.

    The images are PNG, JPEG or TIFF; a relative path starts in the paper's folder.  Each becomes a
    row of X at `size` (height, width): grey values from 0 to 255 or, in `color`, all red, all green
    and all blue ones.  One of other proportions is refused, unless `fit` says "crop", "pad" or
    "stretch".  literate.images.read says more.  Of 64 x 64 pixels 10 000 images take 0.5 GB to
    read, and in colour 1.3 GB.

    Raises DataError, which names the file, what is there and what to do.
    """
    X, y, classes = images.read(folder, size=size, color=color, fit=fit)
    return Dataset(X.reshape(len(X), -1).astype(np.float64), y, classes, str(folder))


def openml(name: str, *, version: int = 1) -> Dataset:
    """Return the data set that OpenML has under this name and version, its classes sorted.

    The target must be nominal.  Features are as those of `read_table`.  Classes that are numbers
    are sorted as numbers.  "Fashion-MNIST" has 70 000 images of 28 x 28 pixels from 0 to 255, which
    take 0.4 GB as X.  "CIFAR_10", as OpenML writes it, has 60 000 images of 3 x 32 x 32, which take
    1.5 GB.  Reading them takes 1.1 and 3.7 GB.

    The first call downloads the data set.  scikit-learn keeps the files in the folder openml of its
    get_data_home(), which SCIKIT_LEARN_DATA sets, and from then on no network is needed.

    Raises DataError if the data set cannot be had, or does not meet these requirements.
    """
    source = f"OpenML's {name}, version {version}"
    fetched = _fetch(name, version, source)
    targets, target = fetched.target_names, fetched.target
    advice = "take another data set, or save this one, corrected, as a CSV file for data.read_table"
    if len(targets) != 1:
        raise DataError(f"{source}: it has {len(targets)} targets, and classes need one: {advice}")
    if target.dtype != "category" or target.isna().any():
        raise DataError(f"{source}: its target {targets[0]!r} is not one class a row: {advice}")
    classes, y = np.unique(target.astype(str).to_numpy(dtype=str), return_inverse=True)
    with suppress(ValueError):  # classes that are not numbers
        order = np.argsort([float(label) for label in classes], kind="stable")
        classes, y = classes[order], np.argsort(order)[y]
    X = fetched.data
    with suppress(ValueError):  # text stays in the DataFrame, and so do missing values
        X = X.astype(np.float64)
        tables.check_samples(X, y, len(classes), source)
        X = X if X.isna().any(axis=None) else X.to_numpy()
    return Dataset(X, y, tuple(map(str, classes)), source)


def split(dataset: Dataset, *, test_size: float = 0.4, folds: int = 5, seed: int = 42) -> Split:
    """Split the samples into three parts, each with the same share of every class.

    A share `test_size` is held out and halved for validation and test.  Groups stay whole, so with
    them the shares are as near to that as they can be.

    Raises DataError if a class has fewer than `folds` training samples, since it could not be in
    every fold of a cross-validation, or fewer than two samples to hold out, or fewer groups.
    """
    y, groups = dataset.y, dataset.groups
    for name, count in zip(dataset.classes, _counts(dataset), strict=True):
        held_out = count * test_size
        if count - held_out < folds or held_out < 2:
            several = "sample" if count == 1 else "samples"
            few = f"class {name!r} has only {count} {several}, {held_out:.0f} of them held out"
            if tables.are_numbers(dataset.classes) and len(y) < 5 * len(dataset.classes):
                raise DataError(
                    f"{dataset.source}: {few}, and y {tables.continuous(len(dataset.classes))}"
                )
            raise DataError(
                f"{dataset.source}: {few}, too few for {folds} folds and two held-out parts: add"
                " samples, or merge or drop the class"
            )
    if groups is None:
        parts: Any = train_test_split(
            np.arange(len(y)), test_size=test_size, stratify=y, random_state=seed
        )
        train, held = parts
        parts = train_test_split(held, test_size=0.5, stratify=y[held], random_state=seed)
        validation, test = parts
    else:
        for number, name in enumerate(dataset.classes):
            if (n := len(np.unique(groups[y == number]))) < folds + 2:
                raise DataError(
                    f"{dataset.source}: class {name!r} is in only {n} groups, too few for {folds}"
                    " folds and two held-out parts: add groups, or merge or drop the class"
                )
        maker = StratifiedGroupKFold(round(2 / test_size), shuffle=True, random_state=seed)
        validation, test = (held for _, held in islice(maker.split(y, y, groups), 2))
        train = np.setdiff1d(np.arange(len(y)), np.concatenate([validation, test]))
    some = (train, validation, test)
    return Split(
        *(take(dataset.X, positions) for positions in some),
        *(y[positions] for positions in some),
        classes=dataset.classes,
        groups=None if groups is None else groups[train],
    )


def describe(dataset: Dataset, split: Split) -> Summary:
    """Return sizes, class counts and raw statistics of a data set and its split."""
    X: Any = split.X_train
    X = X.select_dtypes(["number", "bool"]).to_numpy(dtype=float) if hasattr(X, "iloc") else X
    X = X[np.isfinite(X)] if np.isfinite(X).any() else np.array([np.nan])
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
    X = tables.numbers(dataset.X)
    parts = [tables.numbers(X) for X in (split.X_train, split.X_validation, split.X_test)]
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
        rows = _rounded(np.column_stack([tables.numbers(X), y]))
        found[part] = hashlib.sha256(rows.astype("<f8").tobytes()).hexdigest()[:16]
    return found


def take(X: Any, positions: Any) -> Any:
    """Return the samples at these positions of an array or a DataFrame."""
    return X.iloc[positions] if hasattr(X, "iloc") else X[positions]


def _moved(steps: Any, split: Split) -> int:
    """Count the entries that fitted preprocessing makes of a split with what it must not know."""
    alone: Any = clone(steps)
    alone.fit(split.X_train, split.y_train)
    pairs = [(steps.transform(split.X_train), alone.transform(split.X_train))]
    for X in (split.X_validation, split.X_test):
        pairs.append((steps.transform(X)[:1], steps.transform(X[:1])))
    return sum(int((np.asarray(a) != np.asarray(b)).sum()) for a, b in pairs)


def _counts(dataset: Dataset) -> NDArray[np.int64]:
    return np.bincount(dataset.y, minlength=len(dataset.classes))


def _rounded(X: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.nan_to_num(np.round(X, 6), nan=-np.inf) + 0.0  # no negative zeros


def _fetch(name: str, version: int, source: str) -> Any:
    """Return what fetch_openml finds, as pandas data."""
    error: BaseException | None = None
    timeout = socket.getdefaulttimeout()
    # pandas converts classes true and false, which scikit-learn 1.9.1 cannot handle; nor could it
    # handle digits, which pandas 3.1 keeps where they might hold a thousands separator.
    for parser in ("auto", "liac-arff"):
        socket.setdefaulttimeout(PATIENCE)  # behind a firewall an answer may never come
        try:
            with warnings.catch_warnings():
                # On any error, even these, scikit-learn would warn and delete what it has read.
                warnings.filterwarnings("error", "Invalid cache")
                return fetch_openml(
                    quote(name, safe=""),
                    version=version,
                    as_frame=True,
                    parser=parser,
                    n_retries=1,
                    read_csv_kwargs={"thousands": "\x1f"},
                )
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            OSError,
            HTTPException,
        ) as found:
            error = found
        except RuntimeWarning as warning:
            error = warning.__context__
        finally:
            socket.setdefaulttimeout(timeout)
        if isinstance(error, MemoryError):
            raise error
        if not isinstance(error, TypeError):
            break
    folder = Path(get_data_home()) / "openml"
    raise DataError(
        f"{source}: {error or type(error).__name__}: look for another name or version there;"
        f" without a network, copy {folder} from where it was read before; a damaged file in it"
        " must be deleted"
    )
