"""Accuracies are those of an independent count, and models are chosen by validation samples."""

import warnings
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats
from sklearn import model_selection
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, precision_recall_fscore_support
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from statsmodels.stats.proportion import proportion_confint

from literate.sizes import n_bytes
from pycode import data, evaluation, inference, inspection, models


@pytest.fixture(scope="module")
def split() -> data.Split:
    return data.split(data.synthetic(n_samples=300, n_classes=3, seed=1), seed=1)


def by_hand(estimator, X, y, *, inside: bool) -> np.ndarray:
    """Accuracies over five folds, counted without scikit-learn's cross-validation or scaler."""
    found = []
    if not inside:
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    for train, rest in StratifiedKFold(5).split(X, y):
        mean, sd = (X[train].mean(axis=0), X[train].std(axis=0)) if inside else (0, 1)
        fitted: Any = clone(estimator)
        fitted.fit((X[train] - mean) / sd, y[train])
        found.append(np.mean(fitted.predict((X[rest] - mean) / sd) == y[rest]))
    return np.array(found)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(max_iter=1000), KNeighborsClassifier(3)], ids=repr
)
def test_score_is_the_share_of_samples_classified_correctly(split, estimator):
    score = evaluation.score(models.scaled(estimator), split)
    mean, sd = split.X_train.mean(axis=0), split.X_train.std(axis=0)
    fitted: Any = clone(estimator)
    fitted.fit((split.X_train - mean) / sd, split.y_train)
    for part in ("train", "validation", "test"):
        X, y = (getattr(split, f"X_{part}") - mean) / sd, getattr(split, f"y_{part}")
        assert getattr(score, part) == np.mean(fitted.predict(X) == y)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(max_iter=1000), KNeighborsClassifier(3)], ids=repr
)
def test_reference_protocol_scales_once_and_in_each_fold(split, estimator):
    candidates = {"": models.scaled(estimator), "raw": clone(estimator)}
    found = evaluation.reference_protocol(candidates, split)
    for name, candidate in candidates.items():
        score = evaluation.score(candidate, split)
        for part in evaluation.PARTS:
            assert getattr(found[name], part) == getattr(score, part)
    for name, inside in (("cv", False), ("cv_in_fold", True)):
        folds = by_hand(estimator, split.X_train, split.y_train, inside=inside)
        assert getattr(found[""], name) == pytest.approx(folds.mean(), abs=1e-12)
        assert getattr(found[""], f"{name}_sd") == pytest.approx(folds.std(ddof=0), abs=1e-12)
        assert_interval(getattr(found[""], name), folds, 144, 36)
    raw = found["raw"]  # without a scaler
    assert (raw.cv, raw.cv_sd) == (raw.cv_in_fold, raw.cv_in_fold_sd)
    three = evaluation.reference_protocol({"": candidates[""]}, split, cv=3)[""]
    expected = model_selection.cross_val_score(
        candidates[""], split.X_train, split.y_train, cv=StratifiedKFold(3)
    )
    assert three.cv_in_fold == pytest.approx(expected.mean(), abs=1e-12)
    assert_interval(three.cv_in_fold, expected, 120, 60)


def assert_interval(found: inference.Estimate, folds, n_train: int, n_test: int) -> None:
    """The bounds are Student's with Nadeau and Bengio's variance, within 0 and 1."""
    half = stats.t.isf(0.025, len(folds) - 1) * np.std(folds, ddof=1)
    half *= np.sqrt(1 / len(folds) + n_test / n_train)
    mean = np.mean(folds)
    expected = max(0, mean - half), min(1, mean + half)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    assert found.n == len(folds)


def test_score_leaves_the_estimator_unfitted(split):
    estimator = models.scaled(LogisticRegression())
    evaluation.score(estimator, split)
    assert not hasattr(estimator[-1], "coef_")


def test_the_estimator_of_a_score_predicts_samples_as_they_are(split):
    # Far from mean 0 and variance 1: a model without its scaler would be at chance level.
    parts = {f"X_{part}": getattr(split, f"X_{part}") * 50 + 1000 for part in evaluation.PARTS}
    moved = replace(split, **parts)
    candidates = {
        "logistic": models.scaled(LogisticRegression(max_iter=1000)),
        "piped": models.scaled(make_pipeline(PCA(5), SVC(random_state=0))),
        "MLP": models.scaled(MLPClassifier((4,), max_iter=2000, random_state=0)),
    }
    scores = evaluation.compare(candidates, moved)
    for found in scores.values():
        for part in evaluation.PARTS:
            y = getattr(moved, f"y_{part}")
            assert found.estimator.score(getattr(moved, f"X_{part}"), y) == getattr(found, part)
        assert np.trace(inspection.confusion(found.estimator, moved)) / 60 == found.test
        assert len(inspection.mistakes(found.estimator, moved)[0]) / 60 == pytest.approx(
            1 - found.test
        )
    n_features = split.X_train.shape[1]
    assert evaluation.n_parameters(scores["MLP"].estimator) == n_features * 4 + 4 + 4 * 3 + 3


NO_CLASSIFIERS = {
    "regressor": Ridge(),
    "pipeline": make_pipeline(PCA(), Ridge()),
    "search": model_selection.GridSearchCV(Ridge(), {"alpha": [1.0]}),
    "clusterer": KMeans(2),
    "transformer": PCA(),
    "outliers": IsolationForest(),
    "class": LogisticRegression,
    "nothing": None,
}


@pytest.mark.parametrize("candidate", NO_CLASSIFIERS.values(), ids=list(NO_CLASSIFIERS))
@pytest.mark.parametrize(
    "evaluate",
    [
        lambda model, split: evaluation.score(model, split),
        lambda model, split: evaluation.compare({"mine": model}, split),
        lambda model, split: evaluation.cross_validate({"mine": model}, split),
        lambda model, split: evaluation.learning_curve(model, split),
        lambda model, split: evaluation.vary(model, {}, split),
        lambda model, split: evaluation.search(model, {}, split, n_samples=100),
        lambda model, split: evaluation.reference_protocol({"mine": model}, split),
        lambda model, split: evaluation.reseed({"mine": model}, split, seeds=[1]),
        lambda model, split: evaluation.resplit(
            {"mine": model}, data.synthetic(n_samples=300), seeds=[1]
        ),
        lambda model, split: evaluation.calibrations({"mine": model}, split),
    ],
    ids="score compare folds curve vary search reference reseed resplit calibrations".split(),
)
def test_what_is_no_classifier_is_refused(split, candidate, evaluate):
    with pytest.raises(TypeError, match=r"(the candidate 'mine'|the estimator) is no classifier"):
        evaluate(candidate, split)


class Duck(ClassifierMixin, BaseEstimator):
    """A classifier of somebody's own: always the first class."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize(
    "model",
    [
        Duck(),
        make_pipeline(PCA(3), LogisticRegression()),
        model_selection.GridSearchCV(
            models.scaled(LogisticRegression()), {"logisticregression__C": [1.0]}, cv=2
        ),
    ],
    ids=["own", "pipeline", "search"],
)
def test_any_classifier_is_scored(split, model):
    score = evaluation.score(model, split)
    assert score.test == np.mean(score.estimator.predict(split.X_test) == split.y_test)


def test_majority_class_scores_its_share(split):
    score = evaluation.score(DummyClassifier(strategy="most_frequent"), split)
    assert score.test == np.mean(split.y_test == np.bincount(split.y_train).argmax())


def fake(n_validation: int, n_test: int) -> evaluation.Score:
    """A model that gets the first samples of a hundred right."""
    correct = {
        "train": np.ones(100, dtype=bool),
        "validation": np.arange(100) < n_validation,
        "test": np.arange(100) < n_test,
    }
    train, validation, test = (inference.proportion(right) for right in correct.values())
    return evaluation.Score(train, validation, test, 0, {}, None, correct)


def test_best_is_the_simplest_that_validation_does_not_distinguish_from_the_best():
    assert evaluation.best({"a": fake(80, 90), "b": fake(90, 10)}) == "b"
    assert evaluation.best({"a": fake(90, 10), "b": fake(90, 90)}) == "a"
    assert evaluation.best({"a": fake(87, 10), "b": fake(90, 90)}) == "a"
    assert evaluation.ties({"a": fake(80, 90), "b": fake(88, 10), "c": fake(90, 10)}) == ["b", "c"]


def test_learning_curve_ends_with_the_cross_validation(split):
    estimator = LogisticRegression(max_iter=1000)
    curve = evaluation.learning_curve(estimator, split, n_sizes=4)
    whole = evaluation.reference_protocol({"": estimator}, split)[""]
    assert curve.sizes == (14, 57, 100, 144)
    assert curve.validation[-1] == pytest.approx(whole.cv_in_fold)
    assert curve.validation_sd[-1] == pytest.approx(whole.cv_in_fold_sd)


def test_compare_scores_each_candidate_by_itself(split):
    candidates = {
        "nearest": KNeighborsClassifier(3),
        "logistic": models.scaled(LogisticRegression()),
    }
    scores = evaluation.compare(candidates, split)
    assert list(scores) == list(candidates)
    for name, estimator in candidates.items():
        alone = evaluation.score(estimator, split)
        kept = {"estimator": None, "correct": {}}
        assert replace(scores[name], **kept) == replace(alone, **kept)


def test_learning_curve_is_scikit_learns(split):
    estimator = KNeighborsClassifier(3)
    curve = evaluation.learning_curve(estimator, split, n_sizes=4)
    X, y, shares = split.X_train, split.y_train, np.linspace(0.1, 1, 4)
    sizes, train, validation = model_selection.learning_curve(
        estimator, X, y, cv=5, train_sizes=shares
    )[:3]
    assert curve.sizes == tuple(sizes)
    assert curve.train == pytest.approx(train.mean(axis=1))
    for part, folds in ((curve.train, train), (curve.validation, validation)):
        for size, found, row in zip(sizes, part, folds, strict=True):
            assert_interval(found, row, size, 36)
    assert curve.validation_sd == pytest.approx(validation.std(axis=1))


def test_search_tries_every_setting_and_puts_the_best_first(split):
    grid = {"C": [1e-4, 1.0, 1.0], "fit_intercept": [True, False]}
    trials = evaluation.search(LogisticRegression(max_iter=1000), grid, split, n_samples=100, cv=3)
    assert len(trials) == 6
    means = [trial.mean for trial in trials]
    assert means == sorted(means, reverse=True)
    X, y = split.X_train[:100], split.y_train[:100]
    for trial in trials:
        folds = [
            LogisticRegression(max_iter=1000, **trial.parameters).fit(X[a], y[a]).score(X[b], y[b])
            for a, b in StratifiedKFold(3).split(X, y)
        ]
        assert trial.mean == pytest.approx(np.mean(folds))
        assert trial.sd == pytest.approx(np.std(folds))
        sizes = [len(a) for a, _ in StratifiedKFold(3).split(X, y)]
        assert trial.n_train == min(sizes)
        assert_interval(trial.mean, folds, 67, 33)


def test_cross_validation_is_scikit_learns(split):
    candidates = {
        "logistic": models.scaled(LogisticRegression()),
        "nearest": models.scaled(KNeighborsClassifier(3)),
    }
    found = evaluation.cross_validate(candidates, split, cv=3, repeats=2, seed=5)
    cv = model_selection.RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=5)
    for name, estimator in candidates.items():
        expected = model_selection.cross_val_score(estimator, split.X_train, split.y_train, cv=cv)
        assert found[name].accuracies == pytest.approx(expected)
        assert found[name].mean == pytest.approx(expected.mean(), abs=1e-12)
        assert found[name].sd == pytest.approx(expected.std(ddof=1), abs=1e-12)
        assert_interval(found[name].mean, expected, 120, 60)
        assert (found[name].n_train, found[name].n_test) == (120, 60)
    tests = evaluation.compare_folds(found)
    alone = inference.corrected_t_test(
        found["logistic"].accuracies, found["nearest"].accuracies, n_train=120, n_test=60
    )
    assert tests["logistic", "nearest"] == alone
    usual = evaluation.cross_validate({"nearest": candidates["nearest"]}, split)["nearest"]
    cv = model_selection.RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=42)
    expected = model_selection.cross_val_score(
        candidates["nearest"], split.X_train, split.y_train, cv=cv
    )
    assert usual.accuracies == pytest.approx(expected)


def test_cross_validation_of_a_search_is_nested(split):
    candidates = {"logistic": models.scaled(LogisticRegression(max_iter=1000))}
    searches: Any = models.tuned(candidates, n_settings=4, seed=1)
    found = evaluation.cross_validate(searches, split, cv=3, repeats=1, seed=5)["logistic"]
    cv = model_selection.RepeatedStratifiedKFold(n_splits=3, n_repeats=1, random_state=5)
    theirs = model_selection.cross_validate(
        searches["logistic"], split.X_train, split.y_train, cv=cv, return_estimator=True
    )
    assert found.accuracies == pytest.approx(theirs["test_score"])
    # Each fold has a choice of its own.
    assert len({repr(fitted.best_params_) for fitted in theirs["estimator"]}) > 1


def test_a_search_is_scored_as_the_pipeline_that_it_chooses(split):
    candidate = models.scaled(SVC(random_state=0))
    search: Any = models.tuned({"SVM": candidate}, n_settings=4, seed=1)["SVM"]
    score = evaluation.score(search, split)
    theirs: Any = clone(search)
    theirs.fit(split.X_train, split.y_train)
    chosen = {f"svc__{key}": value for key, value in score.parameters.items()}
    assert chosen == theirs.best_params_
    alone: Any = evaluation.with_parameters(candidate, score.parameters)
    assert evaluation.score(alone, split).n_bytes == score.n_bytes
    alone.fit(split.X_train, split.y_train)
    assert repr(score.estimator) == repr(alone)
    assert score.n_bytes == n_bytes(alone[-1])
    for part in evaluation.PARTS:
        X, y = getattr(split, f"X_{part}"), getattr(split, f"y_{part}")
        predicted = score.estimator.predict(X)
        assert np.array_equal(predicted, alone.predict(X))
        assert np.array_equal(predicted, theirs.predict(X))
        assert np.array_equal(score.correct[part], predicted == y)
        assert getattr(score, part) == np.mean(predicted == y)
    assert evaluation.score(candidate, split).parameters == {}


class Slow(KNeighborsClassifier):
    """A classifier that does not converge with one number of neighbours."""

    max_iter = 5

    def __init__(self, n_neighbors=5, *, hard=0):
        super().__init__(n_neighbors)
        self.hard = hard

    def fit(self, X, y):
        self.n_iter_ = self.max_iter if self.n_neighbors == self.hard else 1
        if self.n_iter_ == self.max_iter:
            warnings.warn("more steps", ConvergenceWarning, stacklevel=2)
        return super().fit(X, y)


@pytest.mark.parametrize(("hard", "told"), [(3, True), (60, False), (0, False)])
def test_only_the_model_that_a_search_chooses_has_to_converge(split, hard, told):
    grid = {"slow__n_neighbors": [3, 60]}
    search = model_selection.GridSearchCV(models.scaled(Slow(hard=hard)), grid, cv=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (score,) = evaluation.compare({"slow": search}, split).values()
    assert score.parameters == {"n_neighbors": 3}
    messages = {"slow has not converged: let it make more steps"} if told else set()
    assert {str(warning.message) for warning in caught} == messages


def test_vary_fits_each_setting_on_the_training_samples(split):
    network = MLPClassifier((3,), max_iter=5, random_state=0)
    grid = {"alpha": [1e-4, 10.0], "hidden_layer_sizes": [(3,), (3, 2)]}
    found = evaluation.vary(network, grid, split)
    assert [v.parameters for v in found] == list(model_selection.ParameterGrid(grid))
    for v in found:
        fitted: Any = clone(network)
        fitted.set_params(**v.parameters)
        with pytest.warns(ConvergenceWarning):
            fitted.fit(split.X_train, split.y_train)
        correct = fitted.predict(split.X_validation) == split.y_validation
        assert np.array_equal(v.correct, correct)
        assert v.validation == np.mean(correct)
        assert not v.converged
    n_features = split.X_train.shape[1]
    assert found[0].n_parameters == n_features * 3 + 3 + 3 * 3 + 3
    assert found[1].n_parameters == n_features * 3 + 3 + 3 * 2 + 2 + 2 * 3 + 3


def test_a_model_that_has_not_converged_is_named_in_each_build(split):
    hasty = {"hasty": LogisticRegression(max_iter=2)}
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            evaluation.compare(hasty, split)
        assert "hasty has not converged: let it make more steps" in [str(w.message) for w in caught]


def test_seeds_of_the_model_and_of_the_split():
    dataset = data.synthetic(n_samples=300, n_classes=3, seed=1)
    split = data.split(dataset, seed=1)
    candidates = {
        "forest": RandomForestClassifier(5, random_state=0),
        "nearest": models.scaled(KNeighborsClassifier(3)),
    }
    reseeded = evaluation.reseed(candidates, split, seeds=range(4))
    for seed, accuracy in enumerate(reseeded["forest"].accuracies):
        forest = RandomForestClassifier(5, random_state=seed)
        forest.fit(split.X_train, split.y_train)
        assert accuracy == forest.score(split.X_test, split.y_test)
    assert reseeded["forest"].sd == pytest.approx(np.std(reseeded["forest"].accuracies, ddof=1))
    assert reseeded["nearest"].sd == 0
    assert reseeded["forest"].mean.high == inference.mean(reseeded["forest"].accuracies).high
    again = evaluation.resplit(candidates, dataset, seeds=[1, 2])
    assert again["nearest"].accuracies[0] == reseeded["nearest"].accuracies[0]
    assert again["nearest"].sd > 0
    assert_interval(again["nearest"].mean, again["nearest"].accuracies, 180, 60)


def test_probabilities_of_models_that_have_none_are_calibrated(split):
    candidates = {
        "logistic": LogisticRegression(max_iter=1000),
        "SVM": models.scaled(SVC(random_state=0)),
    }
    found = evaluation.calibrations(candidates, split)
    logistic = candidates["logistic"].fit(split.X_train, split.y_train)
    expected = log_loss(split.y_test, logistic.predict_proba(split.X_test))
    assert found["logistic"].log_loss == pytest.approx(expected)
    prior = evaluation.calibrations({"": models.baseline()}, split)[""]
    assert found["SVM"].log_loss < prior.log_loss
    platt = CalibratedClassifierCV(candidates["SVM"], cv=5, ensemble=cast(Any, False))
    platt.fit(split.X_train, split.y_train)
    expected = log_loss(split.y_test, platt.predict_proba(split.X_test))
    assert found["SVM"].log_loss == pytest.approx(expected, abs=1e-9)


def test_classes_have_precision_recall_and_f1(split):
    score = evaluation.score(LogisticRegression(max_iter=1000), split)
    found = inspection.by_class(score.estimator, split)
    confusion = inspection.confusion(score.estimator, split)
    for label, scores in enumerate(found.values()):
        right, n = confusion[label, label], confusion[label].sum()
        assert scores.n == scores.recall.n == n
        assert scores.recall == right / n
        assert scores.precision == right / confusion[:, label].sum()
        harmonic = 2 / (1 / scores.precision + 1 / scores.recall)
        assert scores.f1 == pytest.approx(harmonic)
        low, high = proportion_confint(right, n, method="wilson")
        assert (scores.recall.low, scores.recall.high) == pytest.approx((low, high))
    macro = inspection.macro(found)
    predicted: Any = score.estimator.predict(split.X_test)
    theirs: Any = precision_recall_fscore_support(split.y_test, predicted, average="macro")
    assert (macro.precision, macro.recall, macro.f1) == pytest.approx(theirs[:3])
    assert macro.n == len(split.y_test)
    assert np.isnan(macro.recall.low)


def test_a_class_that_is_never_named_has_no_precision(split):
    baseline: Any = models.baseline()
    found = inspection.by_class(baseline.fit(split.X_train, split.y_train), split)
    never = [scores for scores in found.values() if scores.recall == 0]
    assert never
    assert all(s.precision == 0 and np.isnan(s.precision.low) and s.f1 == 0 for s in never)


def test_correlated_features_are_grouped(split):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(180, 4))
    X[:, 2] = np.exp(X[:, 0])  # the same ranks
    X[:, 3] = 1.0
    found = inspection.correlation_clusters(replace(split, X_train=X), threshold=0.5)
    assert sorted(found) == [[0, 2], [1], [3]]


def test_permuting_a_group_costs_what_its_features_tell_together():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 100)
    X = np.column_stack([y, y, rng.normal(size=200)]) + rng.normal(0, 1e-3, (200, 3))
    split = data.split(data.Dataset(X, y, ("a", "b")))
    forest = evaluation.score(RandomForestClassifier(20, random_state=0), split).estimator
    importance = inspection.grouped_permutation_importance
    alone = importance({"": forest}, split, [[0], [1], [2]])[""]
    together = importance({"": forest}, split, [[0, 1], [2]])[""]
    assert together[0] == together[1] == pytest.approx(0.5, abs=0.15)
    assert alone.max() < together[0]
    assert together[2] == 0
    theirs: Any = permutation_importance(
        forest, split.X_validation, split.y_validation, n_repeats=20, random_state=0
    )
    ours = importance({"": forest}, split, [[0], [1], [2]], repeats=20)[""]
    assert ours == pytest.approx(theirs.importances_mean, abs=0.1)


def test_precision_at_k():
    values = np.array([0.5, 0.1, 0.4, 0.0])
    roles = ("informative", "random", "redundant", "random")
    assert inspection.precision_at(1, values, roles, ("informative",)) == 1
    assert inspection.precision_at(2, values, roles, ("informative",)) == 0.5
    assert inspection.precision_at(3, values, roles, ("informative", "redundant")) == 2 / 3
    assert inspection.precision_at(3, values, (), ("informative",)) == 0


def test_precision_of_a_random_order():
    roles = ["informative"] * 40 + ["redundant"] * 10
    found = inspection.precision_by_chance(40, roles, ("informative",))
    assert found == 0.8
    rng = np.random.default_rng(0)
    drawn = [
        inspection.precision_at(40, rng.random(50), roles, ("informative",)) for _ in range(4000)
    ]
    inside = np.mean([found.low <= share <= found.high for share in drawn])
    assert 0.94 < inside < 0.995  # there are few possible shares
    unknown = inspection.precision_by_chance(3, (), ("informative",))
    assert (unknown.low, unknown.high) == (0, 1)


def test_importances_of_a_feature_that_is_never_used():
    X = np.column_stack([np.arange(40.0), np.zeros(40)])
    forest = RandomForestClassifier(10, random_state=0).fit(X, X[:, 0] > 19)
    found = inspection.importances(forest)
    assert (found.n_zero, found.largest, found.mean) == (1, 1.0, 0.5)


def test_bytes_are_those_of_all_arrays_whatever_their_order(split):
    X = np.arange(24.0).reshape(4, 6)
    for array in (X, X.T, np.asfortranarray(X), X[:, ::2], X[::2].T[::3], np.float32(X)):
        assert n_bytes({"a": [Kept(array)]}) == array.nbytes
    assert n_bytes([X, X]) == X.nbytes
    assert n_bytes(np.array([X, None, "a"], dtype=object)) == X.nbytes
    # As scikit-learn 1.7 has it: not contiguous, and so in no buffer of pickle's.
    model: Any = LogisticRegression(max_iter=1000).fit(split.X_train, split.y_train)
    before = n_bytes(model)
    model.coef_ = np.repeat(model.coef_, 2, axis=1)[:, ::2]
    assert not model.coef_.flags.forc
    assert n_bytes(model) == before
    attributes = [value for value in vars(model).values() if isinstance(value, np.ndarray)]
    assert before == sum(array.nbytes for array in attributes)


class Kept:
    """What holds an array."""

    def __init__(self, array):
        self.array = array


def test_importances_are_those_of_the_features_or_none(split):
    forest = RandomForestClassifier(10, random_state=0)
    found = evaluation.score(forest, split).estimator
    alone: Any = clone(forest)
    alone.fit(split.X_train, split.y_train)
    assert np.array_equal(inspection.importances(found).values, alone.feature_importances_)
    piped = make_pipeline(PCA(split.X_train.shape[1]), forest)
    for model in (piped, models.scaled(LogisticRegression())):
        with pytest.raises(TypeError, match="has no importances of the features"):
            inspection.importances(evaluation.score(model, split).estimator)
    with pytest.raises(TypeError, match="has no importances of the features"):
        inspection.importances(piped.fit(split.X_train, split.y_train))


def test_confidence_mistakes_and_confusion_agree(split):
    score = evaluation.score(LogisticRegression(max_iter=1000), split)
    confidence = inspection.confidence(score.estimator, split)
    wrong, predicted = inspection.mistakes(score.estimator, split)
    confusion = inspection.confusion(score.estimator, split)
    assert confidence.correct.mean() == score.test
    assert np.array_equal(np.flatnonzero(~confidence.correct), wrong)
    assert np.all(split.y_test[wrong] != predicted)
    assert np.trace(confusion) / confusion.sum() == score.test
    assert np.array_equal(confusion.sum(axis=1), np.bincount(split.y_test))
    perfect = inspection.confidence(score.estimator, replace(split, **only_right(score, split)))
    assert np.isnan(perfect.mean_wrong)
    assert perfect.mean_correct == perfect.mean
    for true, said in zip(split.y_test[wrong], predicted, strict=True):
        assert confusion[true, said] > 0


def only_right(score: evaluation.Score, split: data.Split) -> dict[str, np.ndarray]:
    """The test samples that a model gets right."""
    right = score.correct["test"]
    return {"X_test": split.X_test[right], "y_test": split.y_test[right]}


def test_groups_stay_together_in_every_fold_and_search():
    """A model that knows nothing but who somebody is has nothing to say of others."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    who = rng.normal(size=(60, 3))  # the same in all samples of a group
    X = who[groups] + rng.normal(size=(300, 3)) / 1000
    y = rng.permutation(np.tile([0, 1], 30))[groups]
    nearest: Any = {"": KNeighborsClassifier(1)}
    plain = data.split(data.Dataset(X, y, ("a", "b")))
    grouped: Any = data.split(data.Dataset(X, y, ("a", "b"), groups=groups))
    assert evaluation.cross_validate(nearest, plain)[""].mean > 0.95
    assert abs(evaluation.cross_validate(nearest, grouped)[""].mean - 0.5) < 0.15
    assert abs(evaluation.learning_curve(nearest[""], grouped).validation[-1] - 0.5) < 0.15
    found = evaluation.search(nearest[""], {"p": [2]}, grouped, n_samples=200)
    assert abs(found[0].mean - 0.5) < 0.2

    for cv, n in ((4, 4), (model_selection.StratifiedShuffleSplit(1, random_state=0), 1)):
        search: Any = model_selection.GridSearchCV(nearest[""], {"p": [1, 2]}, cv=cv)
        (kept,) = cast(Any, evaluation._grouped([search], grouped))
        assert len(kept.cv) == n
        for train, test in kept.cv:
            assert not set(grouped.groups[train]) & set(grouped.groups[test])
        assert evaluation._grouped([search], plain) == [search]
        nested = evaluation.cross_validate({"": search}, grouped, repeats=1)[""]
        assert abs(nested.mean - 0.5) < 0.2
    calibrated = evaluation.calibrations({"SVM": SVC(random_state=0)}, grouped)
    assert calibrated["SVM"].log_loss > 0.5


def test_learning_curve_begins_where_there_are_two_classes():
    made = np.random.default_rng(0).normal(size=(40, 2))
    dataset = data.Dataset(made, np.repeat([0, 1], [30, 10]), ("a", "b"))
    split = data.split(dataset)
    order = np.argsort(split.y_train, kind="stable")  # the second class comes last
    split = replace(split, X_train=split.X_train[order], y_train=split.y_train[order])
    curve = evaluation.learning_curve(LogisticRegression(), split, cv=3)
    assert np.bincount(split.y_train).tolist() == [18, 6]  # of which a fold trains on 12 and 4
    assert curve.sizes == (14, 16)
    assert len(curve.train) == len(curve.validation) == 2
