"""Fits and scores of models; no other module trains."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from math import ceil, log
from typing import Any, ClassVar, cast

import cloudpickle
import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    HalvingGridSearchCV,
    ParameterGrid,
    RepeatedStratifiedKFold,
    StratifiedKFold,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from literate.cache import Call, compute
from pycode import data, inference
from pycode.data import Dataset, Split
from pycode.inference import Calibration, Comparison, Estimate, ResampledTest

Grid = Mapping[str, Sequence[Any]]
PARTS: tuple[str, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Score:
    """A model's accuracy, the share of samples it classifies correctly, on each part of a split.

    `correct` says which samples of each part these are.  `cv` and `cv_sd` are the mean and standard
    deviation (ddof 0) over the folds of the training samples, which were all scaled before they
    were folded.  For `cv_in_fold` each fold's scaler saw only the samples that the fold was trained
    on.
    """

    train: Estimate
    validation: Estimate
    test: Estimate
    cv: Estimate
    cv_sd: float
    cv_in_fold: Estimate
    cv_in_fold_sd: float
    n_bytes: int  # of the fitted model's arrays, a measure of complexity for all models
    estimator: Any = field(repr=False)  # a Pipeline, fitted: the scaler and the model
    correct: Mapping[str, NDArray[np.bool_]] = field(repr=False, default_factory=dict)
    by: ClassVar[str] = "evaluation.score"
    unit: ClassVar[str] = "share of rows"


@dataclass(frozen=True)
class Folds:
    """A model's accuracies in a repeated cross-validation, the scaler fitted in each fold."""

    accuracies: NDArray[np.float64] = field(repr=False)
    n_train: int  # samples that each fit saw
    n_test: int
    mean: Estimate  # with Nadeau and Bengio's interval
    by: ClassVar[str] = "evaluation.cross_validate"
    unit: ClassVar[str] = "share of rows"


@dataclass(frozen=True)
class Variant:
    """A model with some of its parameters set, fitted on the scaled training samples."""

    parameters: Mapping[str, Any]
    train: Estimate
    validation: Estimate
    n_parameters: int  # weights and biases of a network, 0 for other models
    converged: bool  # within the steps that it is allowed
    correct: NDArray[np.bool_] = field(repr=False)  # on the validation samples
    by: ClassVar[str] = "evaluation.vary"
    unit: ClassVar[str] = "share of rows"


@dataclass(frozen=True)
class LearningCurve:
    """A model's accuracies in cross-validation for each number of training samples.

    The sequences are (n_sizes,): mean and standard deviation over the folds.
    """

    sizes: tuple[int, ...]
    train: tuple[Estimate, ...]
    train_sd: tuple[float, ...]
    validation: tuple[Estimate, ...]
    validation_sd: tuple[float, ...]
    by: ClassVar[str] = "evaluation.learning_curve"
    unit: ClassVar[str] = "share of rows"


@dataclass(frozen=True)
class Trial:
    """A setting of a search: its parameters and its accuracy over the folds."""

    parameters: Mapping[str, Any]
    mean: Estimate
    sd: float
    n_train: int  # samples that each fit saw
    by: ClassVar[str] = "evaluation.search"
    unit: ClassVar[str] = "share of rows"


@dataclass(frozen=True)
class Tuning:
    """A search for parameters by cross-validation on all training samples, and its cost.

    After each trial or round, `path` has the cost so far and the best score: that of the grid so
    far, or that of the round.  A fit on all samples of a fold's training part costs 1.
    """

    tuned: Variant  # the best setting, fitted anew
    score: float  # its mean accuracy over the folds
    n_fits: int
    cost: float
    path: tuple[tuple[float, float], ...]
    by: ClassVar[str] = "evaluation.tune"
    digits: ClassVar[int] = 1


@dataclass(frozen=True)
class Spread:
    """A model's test accuracies with different seeds, all else being equal."""

    accuracies: tuple[float, ...]
    mean: Estimate
    sd: Estimate  # ddof 1
    least: float
    most: float
    by: str = "evaluation.reseed"
    unit: ClassVar[str] = "share of rows"


def score(estimator: BaseEstimator, split: Split, *, cv: int = 5) -> Score:
    """Return the accuracies of a copy of `estimator` fitted on the scaled training samples."""
    return compare({"": estimator}, split, cv=cv)[""]


def compare(
    candidates: Mapping[str, BaseEstimator], split: Split, *, cv: int = 5
) -> dict[str, Score]:
    """Return the score of each candidate, by its name; all are computed in parallel.

    Warns of a model whose fit has not converged.
    """
    _require_classifiers(candidates)
    scaled, scaler = split.scaled(), StandardScaler().fit(split.X_train)
    X, y = scaled.X_train, scaled.y_train
    calls: list[Call] = []
    # The simplest candidates come first there and last here: short calls fill gaps.
    for estimator in reversed(list(candidates.values())):
        pipeline = make_pipeline(StandardScaler(), estimator)
        calls.append(delayed(_fit)(estimator, *_parts(scaled)))
        calls += _folds(estimator, X, y, cv) + _folds(pipeline, split.X_train, y, cv)
    values = iter(compute(calls))
    scores: dict[str, Score] = {}
    for name in reversed(list(candidates)):
        (fitted, n_bytes, converged, right), *folds = islice(values, 1 + 2 * cv)
        once, in_fold = np.reshape(folds, (2, cv, 2))[:, :, 1]
        if not converged:  # warn in each build, not only in the one that fits
            message = f"{name or fitted} has not converged: let it make more steps"
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        correct = dict(zip(PARTS, right, strict=True))
        scores[name] = Score(
            **{part: inference.proportion(rows) for part, rows in correct.items()},
            cv=_over_folds(once, len(y)),
            cv_sd=inference.exact(once.std()),
            cv_in_fold=_over_folds(in_fold, len(y)),
            cv_in_fold_sd=inference.exact(in_fold.std()),
            n_bytes=n_bytes,
            estimator=make_pipeline(scaler, fitted),
            correct=correct,
        )
    return {name: scores[name] for name in candidates}


def ties(scores: Mapping[str, Score]) -> list[str]:
    """Return the models that the validation samples do not distinguish from the best.

    See `inference.indistinguishable`.
    """
    return inference.indistinguishable({n: s.correct["validation"] for n, s in scores.items()})


def best(scores: Mapping[str, Score]) -> str:
    """Return the simplest model, which is the first, that cannot be distinguished from the best."""
    return ties(scores)[0]


def compare_pairs(
    scores: Mapping[str, Score], *, part: str = "test"
) -> dict[tuple[str, str], Comparison]:
    """Compare every pair of models on the samples of one part."""
    return inference.compare_pairs({name: s.correct[part] for name, s in scores.items()})


def cross_validate(
    candidates: Mapping[str, BaseEstimator],
    split: Split,
    *,
    cv: int = 5,
    repeats: int = 5,
    seed: int = 42,
) -> dict[str, Folds]:
    """Return each candidate's accuracies on the same folds of the training samples.

    There are `cv` times `repeats` folds.
    """
    _require_classifiers(candidates)
    X, y = split.X_train, split.y_train
    folds = RepeatedStratifiedKFold(n_splits=cv, n_repeats=repeats, random_state=seed)
    splits = list(folds.split(X, y))
    n_train, n_test = (round(np.mean([len(part[i]) for part in splits])) for i in (0, 1))
    calls: list[Call] = []
    for estimator in reversed(list(candidates.values())):
        pipeline = make_pipeline(StandardScaler(), estimator)
        calls += [delayed(_fit_fold)(pipeline, X, y, train, test) for train, test in splits]
    values = np.reshape(compute(calls), (len(candidates), len(splits), 2))[::-1, :, 1]
    size = {"n_train": n_train, "n_test": n_test}
    return {
        name: Folds(row, **size, mean=inference.corrected_mean(row, **size))
        for name, row in zip(candidates, values, strict=True)
    }


def compare_folds(folds: Mapping[str, Folds]) -> dict[tuple[str, str], ResampledTest]:
    """Compare every pair of models on the folds of a repeated cross-validation."""
    size = next(iter(folds.values()))
    accuracies = {name: found.accuracies for name, found in folds.items()}
    return inference.compare_folds(accuracies, n_train=size.n_train, n_test=size.n_test)


def learning_curve(
    estimator: BaseEstimator, split: Split, *, cv: int = 5, n_sizes: int = 10
) -> LearningCurve:
    """Return the accuracies in cross-validation for growing numbers of training samples.

    The numbers are `n_sizes` even shares of the training folds.
    """
    _require_classifiers({"": estimator})
    scaled = split.scaled()
    X, y = scaled.X_train, scaled.y_train
    first, _ = next(StratifiedKFold(cv).split(X, y))
    sizes = [int(share * len(first)) for share in np.linspace(0.1, 1, n_sizes)]
    # From many samples to few: short calls fill gaps.
    calls = [call for size in reversed(sizes) for call in _folds(estimator, X, y, cv, size)]
    folds = np.reshape(compute(calls), (n_sizes, cv, 2))[::-1]
    train, validation = np.moveaxis(folds, 2, 0)

    def means(part: Any) -> tuple[Estimate, ...]:
        return tuple(_over_folds(row, len(y), n) for n, row in zip(sizes, part, strict=True))

    return LearningCurve(
        sizes=tuple(sizes),
        train=means(train),
        train_sd=tuple(map(inference.exact, train.std(axis=1))),
        validation=means(validation),
        validation_sd=tuple(map(inference.exact, validation.std(axis=1))),
    )


def vary(estimator: BaseEstimator, grid: Grid | Sequence[Grid], split: Split) -> list[Variant]:
    """Fit `estimator` with each setting of one or more grids, in order (see ParameterGrid)."""
    _require_classifiers({"": estimator})
    scaled = split.scaled()
    settings: list[dict[str, Any]] = list(ParameterGrid(cast(Any, grid)))
    calls: list[Call] = []
    for parameters in settings:
        candidate: Any = clone(estimator)
        calls.append(delayed(_fit)(candidate.set_params(**parameters), *_parts(scaled)))
    variants = []
    for parameters, fit in zip(settings, compute(calls), strict=True):
        fitted, _, converged, (train, validation, _) = fit
        variants.append(
            Variant(
                parameters,
                inference.proportion(train),
                inference.proportion(validation),
                n_parameters(fitted),
                converged,
                validation,
            )
        )
    return variants


def search(
    estimator: BaseEstimator,
    grid: Grid,
    split: Split,
    *,
    rows: int,
    cv: int = 3,
) -> list[Trial]:
    """Return every setting of `grid`, best first, by accuracy in cross-validation.

    Uses the first `rows` of the scaled training samples.  Equals keep the grid's order.
    """
    _require_classifiers({"": estimator})
    scaled = split.scaled()
    X, y = scaled.X_train[:rows], scaled.y_train[:rows]
    settings = list(ParameterGrid(dict(grid)))
    calls: list[Call] = []
    for parameters in settings:
        candidate: Any = clone(estimator)
        calls += _folds(candidate.set_params(**parameters), X, y, cv)
    accuracies = np.reshape(compute(calls), (len(settings), cv, 2))[:, :, 1]
    trials = [
        Trial(
            parameters,
            _over_folds(row, len(y)),
            inference.exact(row.std()),
            len(y) * (cv - 1) // cv,
        )
        for parameters, row in zip(settings, accuracies, strict=True)
    ]
    return sorted(trials, key=lambda trial: -trial.mean)


def tune(
    estimator: BaseEstimator, grid: Grid, split: Split, *, cv: int = 3, seed: int = 42
) -> dict[str, Tuning]:
    """Find the best setting of `grid` by trying all, and by successive halving (Jamieson 2016).

    Both searches use all training samples, scaled in each fold.  Halving starts with few samples.
    It keeps the better third of the settings for three times as many samples, until it uses all of
    them (HalvingGridSearchCV).
    """
    _require_classifiers({"": estimator})
    X, y, settings = split.X_train, split.y_train, list(ParameterGrid(dict(grid)))
    calls: list[Call] = [delayed(_halve)(estimator, grid, X, y, cv, seed)]
    for parameters in settings:
        candidate: Any = clone(estimator)
        pipeline = make_pipeline(StandardScaler(), candidate.set_params(**parameters))
        calls += _folds(pipeline, X, y, cv)
    rounds, *folds = compute(calls)
    means = np.reshape(folds, (len(settings), cv, 2))[:, :, 1].mean(axis=1)
    grid_path = [(cv * (n + 1.0), float(m)) for n, m in enumerate(np.maximum.accumulate(means))]
    rounds_path, spent = [], 0.0
    for n_rows, scores, _ in rounds:
        spent += cv * len(scores) * n_rows / len(y)
        rounds_path.append((spent, max(scores)))
    found = {
        "grid": (settings[int(means.argmax())], len(folds), grid_path),
        "halving": (rounds[-1][2], cv * sum(len(scores) for _, scores, _ in rounds), rounds_path),
    }
    refit = [{key: [value] for key, value in setting.items()} for setting, _, _ in found.values()]
    tuned = vary(estimator, refit, split)
    return {
        name: Tuning(variant, path[-1][1], n_fits, path[-1][0], tuple(path))
        for (name, (_, n_fits, path)), variant in zip(found.items(), tuned, strict=True)
    }


def reseed(
    candidates: Mapping[str, BaseEstimator], split: Split, *, seeds: Sequence[int]
) -> dict[str, Spread]:
    """Return how each candidate's test accuracy varies with its own seed, on the same split."""
    runs = [(split, seed) for seed in seeds]
    return _spread(candidates, runs, inference.mean, by="evaluation.reseed")


def resplit(
    candidates: Mapping[str, BaseEstimator], dataset: Dataset, *, seeds: Sequence[int]
) -> dict[str, Spread]:
    """Return how each candidate's test accuracy varies with the seed of the split.

    The candidate's own seed stays the same.  The splits share samples, so the interval of the mean
    is Nadeau and Bengio's.
    """
    runs = [(data.split(dataset, seed=seed), None) for seed in seeds]
    size = {"n_train": len(runs[0][0].y_train), "n_test": len(runs[0][0].y_test)}
    mean = partial(inference.corrected_mean, **size)
    return _spread(candidates, runs, mean, by="evaluation.resplit")


def calibrations(candidates: Mapping[str, BaseEstimator], split: Split) -> dict[str, Calibration]:
    """Measure how well each candidate's probabilities are calibrated on the test set.

    A candidate without probabilities gets them by Platt's sigmoids, fitted to its decisions on
    folds of the training samples, scaled anew in each (CalibratedClassifierCV).
    """
    _require_classifiers(candidates)
    scaled, once = split.scaled(), cast(Any, False)
    calls: list[Call] = []
    for model in candidates.values():
        if not hasattr(model, "predict_proba"):
            pipeline = make_pipeline(StandardScaler(), model)
            model = CalibratedClassifierCV(pipeline, cv=5, ensemble=once)
        calls.append(delayed(_fit)(model, *_parts(scaled)))
    return {
        name: inference.calibration(fitted.predict_proba(scaled.X_test), scaled.y_test)
        for name, (fitted, *_) in zip(candidates, compute(calls), strict=True)
    }


def n_parameters(estimator: Any) -> int:
    """Count the weights and biases of a fitted network, also in a pipeline; 0 for other models."""
    while isinstance(estimator, Pipeline):
        estimator = estimator[-1]
    arrays = [*getattr(estimator, "coefs_", []), *getattr(estimator, "intercepts_", [])]
    return sum(array.size for array in arrays)


def _n_bytes(model: object) -> int:
    """Count the bytes of all arrays of a fitted model that a pickle would hold."""
    counter = _Counter(io.BytesIO(), protocol=5, buffer_callback=lambda _: None)
    counter.dump(model)
    return counter.n_bytes


class _Counter(cloudpickle.Pickler):
    """A pickler that counts the bytes of arrays.

    Pickle's buffers would not do: they leave out arrays that are not contiguous, and which these
    are depends on the version of scikit-learn.  In a worker, pickle itself does not find a class
    that the paper defines.
    """

    n_bytes = 0

    def reducer_override(self, obj: Any) -> Any:
        """Count an array, and leave the rest to cloudpickle."""
        if isinstance(obj, np.ndarray) and not obj.dtype.hasobject:
            self.n_bytes += obj.nbytes
        return super().reducer_override(obj)


def fit_score(estimator: Any, X: Any, y: Any, X_test: Any, y_test: Any) -> float:
    """Fit a copy of `estimator` and return its accuracy on the test samples."""
    fitted: Any = clone(estimator)
    return fitted.fit(X, y).score(X_test, y_test)


def _require_classifiers(candidates: Mapping[str, Any]) -> None:
    """Raise TypeError for the first candidate that is not a classifier.

    Other models have no accuracy: a regressor's score, R squared, would be printed as one.
    """
    for name, candidate in candidates.items():
        created = not isinstance(candidate, type)  # scikit-learn 1.7 takes a class as well
        try:
            # The mixin alone, without a BaseEstimator, has no tags to ask.
            found = isinstance(candidate, ClassifierMixin) or (created and is_classifier(candidate))
        except (AttributeError, TypeError):
            found = False
        if not found:
            called = f"the candidate {name!r}" if name else "the estimator"
            advice = "replace it" if created else "create it, with parentheses"
            raise TypeError(
                f"{called} is no classifier: {candidate!r}: {advice}, since accuracy is"
                " defined for classifiers alone (scikit-learn's is_classifier)"
            )


def _folds(
    estimator: BaseEstimator, X: Any, y: Any, cv: int, size: int | None = None
) -> list[Call]:
    """Return the calls of a stratified cross-validation, with `size` samples to train each fold.

    These are the first ones of the fold; without `size` all are used.
    """
    splits = StratifiedKFold(cv).split(X, y)
    return [delayed(_fit_fold)(estimator, X, y, train[:size], test) for train, test in splits]


def _over_folds(accuracies: NDArray[np.float64], n: int, n_train: int = 0) -> Estimate:
    """Return the folds' mean accuracy, with its interval, if all `n` samples are tested once."""
    n_test = n // len(accuracies)
    return inference.corrected_mean(accuracies, n_train=n_train or n - n_test, n_test=n_test)


def _parts(split: Split) -> list[NDArray[Any]]:
    """Return the samples and the classes of each part, one part after the other."""
    return [getattr(split, f"{array}_{part}") for part in PARTS for array in "Xy"]


def _spread(
    candidates: Mapping[str, BaseEstimator],
    runs: Sequence[tuple[Split, int | None]],
    mean: Callable[[list[float]], Estimate],
    *,
    by: str,
) -> dict[str, Spread]:
    _require_classifiers(candidates)
    scaled = [(split.scaled(), seed) for split, seed in runs]
    calls: list[Call] = []
    for model in reversed(list(candidates.values())):
        for part, seed in scaled:
            seeded: Any = clone(model)
            if seed is not None and "random_state" in seeded.get_params():
                seeded.set_params(random_state=seed)
            rows = (part.X_train, part.y_train, part.X_test, part.y_test)
            calls.append(delayed(fit_score)(seeded, *rows))
    values = iter(compute(calls))
    spreads = {}
    for name in reversed(list(candidates)):
        found = list(islice(values, len(runs)))
        sd = inference.deviation(found)
        spreads[name] = Spread(tuple(found), mean(found), sd, min(found), max(found), by)
    return {name: spreads[name] for name in candidates}


def _halve(
    estimator: BaseEstimator, grid: Grid, X: Any, y: Any, cv: int, seed: int
) -> list[tuple[int, list[float], dict[str, Any]]]:
    """Return each round of a successive halving: its size, its scores and its best setting.

    The size is the number of samples that the round uses.
    """
    pipeline = make_pipeline(StandardScaler(), estimator)
    prefix = f"{pipeline.steps[-1][0]}__"
    folds, strict = cast(Any, StratifiedKFold(cv)), cast(Any, "raise")
    n_settings = len(ParameterGrid(dict(grid)))
    # As many rounds as the settings allow, but with enough samples to hold some out.
    fewest = len(y) // 3 ** (ceil(log(n_settings, 3)) - 1)
    search = HalvingGridSearchCV(
        pipeline,
        {prefix + key: list(values) for key, values in grid.items()},
        cv=folds,
        min_resources=min(len(y), max(fewest, 20 * len(np.unique(y)))),
        random_state=seed,
        refit=False,
        error_score=strict,
    ).fit(X, y)
    found, rounds = search.cv_results_, []
    for n in range(search.n_iterations_):
        inside = np.flatnonzero(found["iter"] == n)
        scores = found["mean_test_score"][inside]
        best = found["params"][inside[scores.argmax()]]
        setting = {key.removeprefix(prefix): value for key, value in best.items()}
        rounds.append((int(found["n_resources"][inside[0]]), scores.tolist(), setting))
    return rounds


def _fit(estimator: Any, *parts: Any) -> tuple[Any, int, bool, list[NDArray[np.bool_]]]:
    """Fit a copy of `estimator` and return it, with its size, convergence and correct samples.

    `parts` are the samples and classes of each part, the training samples first.  The size is the
    number of bytes of the copy's arrays.  The last item says for each part which samples the copy
    classifies correctly.
    """
    X, y = parts[:2]
    fitted: Any = clone(estimator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        fitted.fit(X, y)
    unfinished = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    for warning in caught:
        if warning not in unfinished:
            warnings.warn(warning.message, stacklevel=2)
    correct = [fitted.predict(X) == y for X, y in zip(parts[::2], parts[1::2], strict=True)]
    return fitted, _n_bytes(fitted), not unfinished, correct


def _fit_fold(estimator: Any, X: Any, y: Any, train: Any, test: Any) -> tuple[float, float]:
    """Fit a copy on samples `train` and return its accuracies on `train` and on `test`."""
    fitted: Any = clone(estimator)
    fitted.fit(X[train], y[train])
    return fitted.score(X[train], y[train]), fitted.score(X[test], y[test])
