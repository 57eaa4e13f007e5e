"""Fits and scores of models; no other module trains.

An estimator is any classifier of scikit-learn, usually a Pipeline with its preprocessing, or a
search for a pipeline's parameters.  Where parameters are varied, their names are those of the
pipeline's last step.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, product
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    ParameterGrid,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)
from sklearn.pipeline import Pipeline

from literate.cache import remembered
from literate.sizes import n_bytes
from pycode import data, inference
from pycode.data import Dataset, Split
from pycode.inference import Accuracy, Calibration, Estimate, ResampledTest, Share
from pycode.scoring import (
    METRICS,
    Metric,
    PermutationTest,
    bootstrap_interval,
    measured,
    metric,
    permutation_test,
)

Grid = Mapping[str, Sequence[Any]]
Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]  # positions to train and to test on
PARTS: tuple[str, ...] = ("train", "validation", "test")
IMBALANCE = 0.8, 10  # share of the largest class, and how many times the smallest, to warn from


@dataclass(frozen=True)
class Score:
    """A model's accuracy, the share of samples it classifies correctly, on each part of a split.

    `correct` says which samples of each part these are.  With another `scoring` the three numbers
    are those of that metric.
    """

    train: Accuracy
    validation: Accuracy
    test: Accuracy
    n_bytes: int  # of the fitted model's arrays, a measure of complexity for all models
    parameters: Mapping[str, Any]  # that a search has chosen
    estimator: Any = field(repr=False)  # fitted on the training samples
    correct: Mapping[str, NDArray[np.bool_]] = field(repr=False, default_factory=dict)
    scoring: str = field(repr=False, default="accuracy")
    # The true classes of each part and what the model predicts, if the metric is not accuracy.
    outputs: Mapping[str, tuple[Any, Any]] = field(repr=False, default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """A model's accuracies by the protocol of the paper that this one extends.

    `cv` is the mean over five folds of training samples that were scaled once, before folding, and
    `cv_in_fold` over the same folds scaled within each.  Their standard deviations have ddof 0, as
    in that paper, and all others here ddof 1.
    """

    train: Accuracy
    validation: Accuracy
    test: Accuracy
    cv: Accuracy
    cv_sd: Share
    cv_in_fold: Accuracy
    cv_in_fold_sd: Share


@dataclass(frozen=True)
class CrossValidation:
    """A model's accuracies on the folds of a repeated cross-validation."""

    accuracies: NDArray[np.float64] = field(repr=False)  # or the values of another `scoring`
    n_train: int  # samples that each fit saw
    n_test: int
    mean: Accuracy  # with Nadeau and Bengio's interval
    sd: Share  # over the folds
    scoring: str = field(repr=False, default="accuracy")


@dataclass(frozen=True)
class Variant:
    """A model with some of its parameters set, fitted on the training samples."""

    parameters: Mapping[str, Any]
    train: Accuracy
    validation: Accuracy
    n_parameters: int  # weights and biases of a network, 0 for other models
    converged: bool  # within the steps that it is allowed
    correct: NDArray[np.bool_] = field(repr=False)  # on the validation samples


@dataclass(frozen=True)
class LearningCurve:
    """A model's accuracies in cross-validation for each number of training samples.

    The sequences are (n_sizes,): mean and standard deviation over the folds (with ddof 0, as the
    reference printed it).
    """

    sizes: tuple[int, ...]
    train: tuple[Accuracy, ...]
    train_sd: tuple[Share, ...]
    validation: tuple[Accuracy, ...]
    validation_sd: tuple[Share, ...]
    scoring: str = field(repr=False, default="accuracy")


@dataclass(frozen=True)
class Trial:
    """A setting of a search: its parameters and its accuracy over the folds.

    The standard deviation has ddof 0, as the reference printed it.
    """

    parameters: Mapping[str, Any]
    mean: Accuracy
    sd: Share
    n_train: int  # samples that each fit saw


@dataclass(frozen=True)
class Spread:
    """A model's test accuracies with different seeds, all else being equal."""

    accuracies: tuple[Share, ...]
    mean: Accuracy
    sd: Accuracy  # ddof 1
    min: Share
    max: Share


def score(estimator: BaseEstimator, split: Split, *, scoring: str = "accuracy") -> Score:
    """Return the accuracies of a copy of `estimator` fitted on the training samples."""
    return compare({"": estimator}, split, scoring=scoring)[""]


def compare(
    candidates: Mapping[str, BaseEstimator], split: Split, *, scoring: str = "accuracy"
) -> dict[str, Score]:
    """Return the score of each candidate, by its name.

    `scoring` is a name of `scoring.METRICS`.  Of a search the score has the best pipeline and its
    parameters.  Warns of a model whose fit has not converged, and of classes so imbalanced that
    accuracy tells little.
    """
    _require_classifiers(candidates, scoring)
    if scoring == "accuracy":
        _warn_of_imbalance(split)
    scores: dict[str, Score] = {}
    for name, (fitted, converged, *parts) in zip(
        candidates, _fit.map(_grouped(candidates.values(), split), **_arrays(split)), strict=True
    ):
        if not converged:  # warn in each build, not only in the one that fits
            message = f"{name or fitted} has not converged: let it make more steps"
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        correct = dict(zip(PARTS, parts, strict=True))
        estimator = getattr(fitted, "best_estimator_", fitted)
        chosen = getattr(fitted, "best_params_", {})
        shares: Any = {part: inference.proportion(right) for part, right in correct.items()}
        scores[name] = Score(
            **shares,
            n_bytes=n_bytes(_last(estimator)),
            parameters={key.rpartition("__")[2]: value for key, value in chosen.items()},
            estimator=estimator,
            correct=correct,
        )
    return scores if scoring == "accuracy" else _rescored(scores, split, scoring)


def ties(scores: Mapping[str, Score]) -> list[str]:
    """Return the models that the validation samples do not distinguish from the best.

    See `inference.indistinguishable`.
    """
    if common_scoring(scores) == "accuracy":
        return inference.indistinguishable({n: s.correct["validation"] for n, s in scores.items()})
    first = max(scores, key=lambda name: scores[name].validation)
    return inference.not_apart(first, scores, compare_pairs(scores, part="validation"))


def best(scores: Mapping[str, Score]) -> str:
    """Return the simplest model, which is the first, that cannot be distinguished from the best."""
    return ties(scores)[0]


def compare_pairs(scores: Mapping[str, Score], *, part: str = "test") -> dict[tuple[str, str], Any]:
    """Compare every pair of models on the samples of one part.

    The values are of `inference.Comparison`, or with another scoring than accuracy of
    `scoring.PermutationTest`.
    """
    scoring = common_scoring(scores)
    if scoring == "accuracy":
        return inference.compare_pairs({name: s.correct[part] for name, s in scores.items()})
    pairs = list(combinations(scores, 2))
    differences = _differences(scores, pairs, part)
    calls = [_paired(scores[a], scores[b], part) for a, b in pairs]
    p_values = remembered(permutation_test).map(*zip(*calls, strict=True), scoring=scoring)
    tests = zip(differences, p_values, inference.holm(p_values), strict=True)
    return {pair: PermutationTest(*test) for pair, test in zip(pairs, tests, strict=True)}


def difference(first: Score, second: Score, *, part: str = "test") -> Estimate:
    """Return how much a model exceeds another on the samples of one part, with its interval."""
    scores = {"first": first, "second": second}
    if common_scoring(scores) == "accuracy":
        return inference.difference(first.correct[part], second.correct[part])
    return _differences(scores, [("first", "second")], part)[0]


def common_scoring(found: Mapping[str, Score | CrossValidation]) -> str:
    """Return the scoring of all; raises ValueError if there are several."""
    names = sorted({one.scoring for one in found.values()})
    if len(names) > 1:
        raise ValueError(f"{' and '.join(names)} cannot be compared: give all models one scoring")
    return names[0]


def scaled_once(estimator: BaseEstimator, split: Split) -> tuple[BaseEstimator, Split]:
    """Return the last step of a pipeline, and a split that the other steps have transformed.

    In a cross-validation of these, each fold's preprocessing has seen the samples that the fold is
    tested on.  The reference's numbers were found in this way; new ones should not be.
    """
    if not isinstance(estimator, Pipeline):
        return estimator, split
    steps: Any = clone(cast(Any, estimator[:-1]))
    steps.fit(split.X_train, split.y_train)
    transformed = {f"X_{part}": steps.transform(getattr(split, f"X_{part}")) for part in PARTS}
    return estimator[-1], replace(split, **transformed)


def reference_protocol(
    candidates: Mapping[str, BaseEstimator], split: Split, *, cv: int = 5
) -> dict[str, Reference]:
    """Score each candidate as the paper that this one extends did, and scaled in each fold."""
    scores = compare(candidates, split)
    y = split.y_train
    folds = _folds(y, split.groups, cv)
    runs = [scaled_once(candidate, split) for candidate in candidates.values()]
    runs += [(candidate, split) for candidate in candidates.values()]
    fits = [(model, *fold, part.X_train) for model, part in runs for fold in folds]
    found = np.array(_fit_fold.map(*zip(*fits, strict=True), y=y))[:, 1]
    once, in_fold = np.reshape(found, (2, len(candidates), cv))
    return {
        name: Reference(
            s.train,
            s.validation,
            s.test,
            _over_folds(a, len(y)),
            inference.exact(a.std()),
            _over_folds(b, len(y)),
            inference.exact(b.std()),
        )
        for (name, s), a, b in zip(scores.items(), once, in_fold, strict=True)
    }


def cross_validate(
    candidates: Mapping[str, BaseEstimator],
    split: Split,
    *,
    cv: int = 5,
    repeats: int = 2,
    seed: int = 42,
    scoring: str = "accuracy",
) -> dict[str, CrossValidation]:
    """Return each candidate's accuracies on the same folds of the training samples.

    There are `cv` times `repeats` folds.  For searches this is nested cross-validation.
    """
    _require_classifiers(candidates, scoring)
    X, y = split.X_train, split.y_train
    splits = _folds(y, split.groups, cv, seeds=range(seed, seed + repeats))
    n_train, n_test = (round(np.mean([len(part[i]) for part in splits])) for i in (0, 1))
    size = {"n_train": n_train, "n_test": n_test}
    found = _score_folds(candidates.values(), X, y, splits, split.groups, scoring)
    accuracies = found[:, :, 1]
    bounds = metric(scoring).bounds
    own = partial(measured, scoring=scoring)
    return {
        name: CrossValidation(
            row,
            **size,
            mean=own(inference.corrected_mean(row, **size, bounds=bounds)),
            sd=own(inference.exact(row.std(ddof=1))),
            scoring=scoring,
        )
        for name, row in zip(candidates, accuracies, strict=True)
    }


def compare_folds(
    folds: Mapping[str, CrossValidation],
) -> dict[tuple[str, str], ResampledTest]:
    """Compare every pair of models on the folds of a repeated cross-validation."""
    size = next(iter(folds.values()))
    accuracies = {name: found.accuracies for name, found in folds.items()}
    scoring = common_scoring(folds)
    low, high = metric(scoring).bounds
    tests = inference.compare_folds(
        accuracies, n_train=size.n_train, n_test=size.n_test, bounds=(low - high, high - low)
    )
    return {
        pair: replace(test, difference=measured(test.difference, scoring=scoring))
        for pair, test in tests.items()
    }


def learning_curve(
    estimator: BaseEstimator,
    split: Split,
    *,
    cv: int = 5,
    n_sizes: int = 10,
    scoring: str = "accuracy",
) -> LearningCurve:
    """Return the accuracies in cross-validation for growing numbers of training samples.

    The numbers are `n_sizes` even shares of the training folds, the first samples of each, without
    those too small to hold two classes.  As in the paper that this one extends, the standard
    deviations have ddof 0.
    """
    _require_classifiers({"": estimator}, scoring)
    X, y = split.X_train, split.y_train
    folds = _folds(y, split.groups, cv)
    sizes = [int(share * len(folds[0][0])) for share in np.linspace(0.1, 1, n_sizes)]
    sizes = [n for n in sizes if all(len(np.unique(y[train[:n]])) > 1 for train, _ in folds)]
    splits = [(train[:size], test) for size in sizes for train, test in folds]
    found = _score_folds([estimator], X, y, splits, split.groups, scoring)
    train, validation = np.moveaxis(found.reshape(len(sizes), cv, 2), 2, 0)

    def means(part: NDArray[np.float64]) -> tuple[Estimate, ...]:
        over = [_over_folds(row, len(y), n, scoring) for n, row in zip(sizes, part, strict=True)]
        return tuple(over)

    def sds(part: NDArray[np.float64]) -> tuple[float, ...]:
        return tuple(measured(inference.exact(sd), scoring=scoring) for sd in part.std(axis=1))

    return LearningCurve(
        sizes=tuple(sizes),
        train=means(train),
        train_sd=sds(train),
        validation=means(validation),
        validation_sd=sds(validation),
        scoring=scoring,
    )


def vary(estimator: BaseEstimator, grid: Grid | Sequence[Grid], split: Split) -> list[Variant]:
    """Fit `estimator` with each setting of one or more grids, in order (see ParameterGrid)."""
    _require_classifiers({"": estimator})
    settings: list[dict[str, Any]] = list(ParameterGrid(cast(Any, grid)))
    models = [with_parameters(estimator, some) for some in settings]
    fits = _fit.map(_grouped(models, split), **_arrays(split))
    return [
        Variant(
            parameters,
            inference.proportion(train),
            inference.proportion(validation),
            n_parameters(fitted),
            converged,
            validation,
        )
        for parameters, (fitted, converged, train, validation, _) in zip(
            settings, fits, strict=True
        )
    ]


def search(
    estimator: BaseEstimator,
    grid: Grid,
    split: Split,
    *,
    n_samples: int,
    cv: int = 3,
) -> list[Trial]:
    """Return every setting of `grid`, best first, by accuracy in cross-validation.

    Uses the first `n_samples` training samples.  Equals keep the grid's order.  As in the paper
    that this one extends, the standard deviations have ddof 0.
    """
    _require_classifiers({"": estimator})
    X, y = split.X_train[:n_samples], split.y_train[:n_samples]
    settings: list[dict[str, Any]] = list(ParameterGrid(dict(grid)))
    candidates = [with_parameters(estimator, some) for some in settings]
    groups = None if split.groups is None else split.groups[:n_samples]
    folds = _folds(y, groups, cv)
    accuracies = _score_folds(candidates, X, y, folds, groups)[:, :, 1]
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


def reseed(
    candidates: Mapping[str, BaseEstimator], split: Split, *, seeds: Sequence[int]
) -> dict[str, Spread]:
    """Return how each candidate's test accuracy varies with its own seed, on the same split."""
    runs = [(split, {"random_state": seed}) for seed in seeds]
    return _spread(candidates, runs, partial(inference.mean, bounds=(0, 1)))


def resplit(
    candidates: Mapping[str, BaseEstimator], dataset: Dataset, *, seeds: Sequence[int]
) -> dict[str, Spread]:
    """Return how each candidate's test accuracy varies with the seed of the split.

    The candidate's own seed stays the same.  The splits share samples, so the interval of the mean
    is Nadeau and Bengio's.
    """
    runs = [(data.split(dataset, seed=seed), {}) for seed in seeds]
    size = {"n_train": len(runs[0][0].y_train), "n_test": len(runs[0][0].y_test)}
    return _spread(candidates, runs, partial(inference.corrected_mean, **size, bounds=(0, 1)))


def calibrations(candidates: Mapping[str, BaseEstimator], split: Split) -> dict[str, Calibration]:
    """Measure how well each candidate's probabilities are calibrated on the test set.

    A candidate without probabilities gets them by Platt's sigmoids, fitted to its decisions on
    folds of the training samples (CalibratedClassifierCV).
    """
    _require_classifiers(candidates)
    once = cast(Any, False)
    models: list[Any] = [
        model
        if hasattr(model, "predict_proba")
        else CalibratedClassifierCV(model, cv=5, ensemble=once)
        for model in candidates.values()
    ]
    return {
        name: inference.calibration(fitted.predict_proba(split.X_test), split.y_test)
        for name, (fitted, *_) in zip(
            candidates, _fit.map(_grouped(models, split), **_arrays(split)), strict=True
        )
    }


def n_parameters(estimator: Any) -> int:
    """Count the weights and biases of a fitted network, also in a pipeline; 0 for other models."""
    model = _last(estimator)
    arrays = [*getattr(model, "coefs_", []), *getattr(model, "intercepts_", [])]
    return sum(array.size for array in arrays)


def with_parameters(estimator: BaseEstimator, parameters: Mapping[str, Any]) -> BaseEstimator:
    """Return an unfitted copy of `estimator` with parameters of its last step set."""
    copy: Any = clone(estimator)
    _last(copy).set_params(**parameters)
    return copy


@remembered
def fit_score(estimator: Any, X: Any, y: Any, X_test: Any, y_test: Any) -> float:
    """Fit a copy of `estimator` and return its accuracy on the test samples."""
    fitted: Any = clone(estimator)
    return fitted.fit(X, y).score(X_test, y_test)


def _require_classifiers(candidates: Mapping[str, Any], scoring: str = "accuracy") -> None:
    """Raise TypeError for the first candidate that is not a classifier, or lacks probabilities.

    Other models have no accuracy: a regressor's score, R squared, would be printed as one.
    """
    needed = metric(scoring).probabilistic
    for name, candidate in candidates.items():
        called = f"the candidate {name!r}" if name else "the estimator"
        created = not isinstance(candidate, type)  # scikit-learn 1.7 takes a class as well
        try:
            # The mixin alone, without a BaseEstimator, has no tags to ask.
            found = isinstance(candidate, ClassifierMixin) or (created and is_classifier(candidate))
        except (AttributeError, TypeError):
            found = False
        if not found:
            advice = "replace it" if created else "create it, with parentheses"
            raise TypeError(
                f"{called} is no classifier: {candidate!r}: {advice}, since accuracy is"
                " defined for classifiers alone (scikit-learn's is_classifier)"
            )
        if needed and not hasattr(candidate, "predict_proba"):
            raise TypeError(
                f"{called} has no predict_proba, which scoring={scoring!r} needs: {candidate!r}:"
                " wrap it in scikit-learn's CalibratedClassifierCV(model, ensemble=False), or take"
                " another scoring"
            )


def _warn_of_imbalance(split: Split) -> None:
    """Warn if a model that names the largest class alone would have a high accuracy."""
    counts = np.bincount(split.y_train, minlength=len(split.classes))
    shares = counts / counts.sum()
    largest, smallest = shares.argmax(), shares.argmin()
    if shares[largest] > IMBALANCE[0] or counts[largest] >= IMBALANCE[1] * counts[smallest]:
        message = (
            f"class {split.classes[largest]!r} has {shares[largest]:.1%} of the training samples"
            f" and class {split.classes[smallest]!r} {shares[smallest]:.1%}: accuracy tells little"
            ' of small classes, and scoring="balanced_accuracy" or "f1_macro" tells more'
        )
        warnings.warn(message, stacklevel=1)  # here, so that it is given once


def _rescored(scores: Mapping[str, Score], split: Split, scoring: str) -> dict[str, Score]:
    """Return the scores with the values of another metric than accuracy."""
    places = list(product(scores, PARTS))
    true = [getattr(split, f"y_{part}") for _, part in places]
    fitted = [scores[name].estimator for name, _ in places]
    X = [getattr(split, f"X_{part}") for _, part in places]
    predict = remembered(Metric.outputs)
    found = predict.map([metric(scoring)] * len(X), fitted, X, n_classes=len(split.classes))
    values = remembered(bootstrap_interval).map(true, found, scoring=scoring)
    of = dict(zip(places, zip(true, found, values, strict=True), strict=True))
    return {
        name: replace(
            one,
            **{part: of[name, part][2] for part in PARTS},
            scoring=scoring,
            outputs={part: of[name, part][:2] for part in PARTS},
        )
        for name, one in scores.items()
    }


def _paired(first: Score, second: Score, part: str) -> tuple[Any, Any, Any]:
    """Return the true classes of a part and both models' outputs; raises ValueError for others."""
    (y, some), (other, others) = first.outputs[part], second.outputs[part]
    if not np.array_equal(y, other):
        raise ValueError(f"the {part} samples are not the same: compare models of one split")
    return y, some, others


def _differences(
    scores: Mapping[str, Score], pairs: Iterable[tuple[str, str]], part: str
) -> list[Estimate]:
    calls = [_paired(scores[a], scores[b], part) for a, b in pairs]
    scoring = common_scoring(scores)
    return remembered(bootstrap_interval).map(*zip(*calls, strict=True), scoring=scoring)


def _last(estimator: Any) -> Any:
    """Return the last step of a pipeline, or the estimator if it is none."""
    return _last(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def _grouped(estimators: Iterable[BaseEstimator], split: Split) -> list[BaseEstimator]:
    return [_keep_together(some, split.y_train, split.groups) for some in estimators]


def _arrays(split: Split) -> dict[str, NDArray[Any]]:
    """Return the samples and the classes of each part, by their names."""
    return {name: getattr(split, name) for part in PARTS for name in (f"X_{part}", f"y_{part}")}


def _folds(
    y: NDArray[Any], groups: NDArray[Any] | None, cv: int, *, seeds: Sequence[int] = ()
) -> Folds:
    """Return the stratified folds of a cross-validation, which keep groups together.

    With `seeds` they are shuffled, and there are as many rounds.
    """
    if groups is not None:
        makers = [StratifiedGroupKFold(cv, shuffle=True, random_state=seed) for seed in seeds]
        makers = makers or [StratifiedGroupKFold(cv)]
        return [fold for maker in makers for fold in maker.split(y, y, groups)]
    if not seeds:
        return list(StratifiedKFold(cv).split(y, y))
    maker = RepeatedStratifiedKFold(n_splits=cv, n_repeats=len(seeds), random_state=seeds[0])
    return list(maker.split(y, y))


def _keep_together(
    estimator: BaseEstimator, y: NDArray[Any], groups: NDArray[Any] | None
) -> BaseEstimator:
    """Return the estimator, if it is cross-validated inside with folds that keep groups together.

    It has as many folds as before, of at least four.
    """
    if groups is None or "cv" not in estimator.get_params(deep=False):
        return estimator
    copy: Any = clone(estimator)
    splitter: Any = check_cv(copy.cv, y, classifier=True)
    n = splitter.get_n_splits(y, y, groups)
    return copy.set_params(cv=_folds(y, groups, max(n, 4))[:n])


def _score_folds(
    estimators: Iterable[BaseEstimator],
    X: Any,
    y: Any,
    folds: Folds,
    groups: NDArray[Any] | None,
    scoring: str = "accuracy",
) -> NDArray[np.float64]:
    """Return the accuracies on the two parts of each fold, (n_estimators, n_folds, 2)."""
    estimators = list(estimators)
    fits = [
        (
            _keep_together(estimator, y[train], None if groups is None else groups[train]),
            train,
            test,
        )
        for estimator, (train, test) in product(estimators, folds)
    ]
    accuracies = _fit_fold.map(*zip(*fits, strict=True), X=X, y=y, metric=metric(scoring))
    return np.reshape(accuracies, (len(estimators), len(folds), 2))


def _over_folds(
    accuracies: NDArray[np.float64], n: int, n_train: int = 0, scoring: str = "accuracy"
) -> Any:
    """Return the folds' mean accuracy, with its interval, if all `n` samples are tested once."""
    n_test = n // len(accuracies)
    size = {"n_train": n_train or n - n_test, "n_test": n_test}
    mean = inference.corrected_mean(accuracies, **size, bounds=metric(scoring).bounds)
    return measured(mean, scoring=scoring)


def _spread(
    candidates: Mapping[str, BaseEstimator],
    runs: Sequence[tuple[Split, Mapping[str, Any]]],
    mean: Callable[[Any], Estimate],
) -> dict[str, Spread]:
    """Return the spread of each candidate over splits, with parameters to set if it has them."""
    _require_classifiers(candidates)
    for name, model in candidates.items():  # a search's score is that of its own scoring
        if (by := getattr(model, "scoring", None)) not in (None, "accuracy"):
            raise ValueError(f"{name!r} is tuned by {by}: a spread needs accuracy")
    fits = []
    for model, (split, parameters) in product(candidates.values(), runs):
        known = _last(model).get_params().keys() & parameters.keys()
        seeded = with_parameters(model, {name: parameters[name] for name in known})
        (seeded,) = _grouped([seeded], split)
        fits.append((seeded, split.X_train, split.y_train, split.X_test, split.y_test))
    found = np.reshape(fit_score.map(*zip(*fits, strict=True)), (len(candidates), len(runs)))
    return {
        name: Spread(tuple(row), mean(row), inference.standard_deviation(row), min(row), max(row))
        for name, row in zip(candidates, found.tolist(), strict=True)
    }


@remembered
def _fit(
    estimator: Any,
    X_train: Any,
    y_train: Any,
    X_validation: Any,
    y_validation: Any,
    X_test: Any,
    y_test: Any,
) -> tuple[Any, bool, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Fit a copy of `estimator` and return it, and whether its fit has converged.

    The other items say for each part which samples the copy classifies correctly.
    """
    fitted: Any = clone(estimator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        fitted.fit(X_train, y_train)
    unfinished = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    for warning in caught:
        if warning not in unfinished:
            warnings.warn(warning.message, stacklevel=2)
    best = _last(getattr(fitted, "best_estimator_", fitted))
    if best is not _last(fitted):  # a search, whose other settings may take as long as they like
        unfinished = 0 < getattr(best, "max_iter", 0) <= np.max(getattr(best, "n_iter_", 0))
    return (
        fitted,
        not unfinished,
        fitted.predict(X_train) == y_train,
        fitted.predict(X_validation) == y_validation,
        fitted.predict(X_test) == y_test,
    )


@remembered
def _fit_fold(
    estimator: Any, train: Any, test: Any, X: Any, y: Any, metric: Metric = METRICS["accuracy"]
) -> tuple[float, float]:
    """Fit a copy on samples `train` and return its accuracies on `train` and on `test`."""
    fitted: Any = clone(estimator)
    with warnings.catch_warnings():
        # `compare` warns of the models that the paper reports, and a search may try any others.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(data.take(X, train), y[train])

    def found(X: Any, some: Any) -> float:
        return metric.value(some, metric.outputs(fitted, X, n_classes=1 + int(y.max())))

    parts = [(data.take(X, positions), y[positions]) for positions in (train, test)]
    return found(*parts[0]), found(*parts[1])
