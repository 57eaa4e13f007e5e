"""What is recorded has the right key, value and unit, and tables show it with the right digits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import RandomForestClassifier

from literate import kept, results
from pycode import data, evaluation, inference, models, report
from pycode.evaluation import CrossValidation, LearningCurve, Reference, Score, Trial, Variant
from pycode.inference import Estimate
from pycode.inspection import Confidence, Importances


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What is recorded from now on, as results.json has it."""
    found: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(results, "_folder", "a run has begun")
    monkeypatch.setattr(results, "_values", found)
    monkeypatch.setattr(results, "_printed", {})
    return found


@pytest.fixture(scope="module")
def split() -> data.Split:
    """180 samples to train on, and 60 each to validate and to test on, of three classes."""
    return data.split(data.synthetic(n_samples=300, n_classes=3, seed=1), seed=1)


def right(n: int, wrong: Sequence[int]) -> np.ndarray:
    found = np.ones(n, dtype=bool)
    found[list(wrong)] = False
    return found


class Fixed:
    """A fitted model that makes the same predictions for any samples."""

    def __init__(self, predictions: Any) -> None:
        self.predictions = predictions

    def predict(self, X: Any) -> Any:
        return self.predictions


def score(
    validation: Sequence[int], test: Sequence[int], estimator: Any = None, **parameters: Any
) -> Score:
    """A model that gets all samples right but some to validate and to test on."""
    correct = {"train": right(180, []), "validation": right(60, validation)}
    correct["test"] = right(60, test)
    shares: Any = {part: inference.proportion(some) for part, some in correct.items()}
    return Score(**shares, n_bytes=8, parameters=parameters, estimator=estimator, correct=correct)


TUNED = {
    "logistic": score(range(30), range(24), C=1e3),
    "SVM": score(range(3), range(3), C=10.0, gamma=0.016),
    "MLP": score(range(2, 4), range(2, 5), alpha=1.0, hidden_layer_sizes=(128, 64)),
}
UNTUNED = {
    "logistic": score(range(30), range(24)),
    "SVM": score(range(6), range(9)),
    "MLP": score(range(20), range(15)),
}


PAIRS = [f"{a}_{b}".lower() for a, b in combinations(TUNED, 2)]


def cross_validation(*accuracies: float) -> CrossValidation:
    values, size = np.array(accuracies), dict[str, Any](n_train=144, n_test=36)
    mean = inference.corrected_mean(values, **size, bounds=(0, 1))
    return CrossValidation(values, **size, mean=mean, sd=float(values.std(ddof=1)))


FOLDS = {
    "logistic": cross_validation(0.5, 0.6, 0.55, 0.57),
    "SVM": cross_validation(0.92, 0.95, 0.94, 0.97),
    "MLP": cross_validation(0.91, 0.96, 0.93, 0.95),
}


def reference(cv: float, in_fold: float) -> Reference:
    part = Estimate(0.9, 0.85, 0.95, 180)
    return Reference(
        *(part, part, part), Estimate(cv, cv - 0.02, cv + 0.02, 5), 0.0123, Estimate(in_fold), 0.0
    )


REFERENCE = {
    "logistic": reference(0.69671, 0.69671),
    "SVM": reference(0.905, 0.9042),
    "MLP": reference(0.8383, 0.8408),
}


def cells(table: str) -> list[list[str]]:
    """The rows of a table, below its headings."""
    body = re.search(r"\\midrule\n(.*)\\bottomrule", table, re.DOTALL)
    assert body
    lines = body[1].splitlines()
    return [[cell.strip() for cell in line.removesuffix(r"\\").split(" & ")] for line in lines]


def headings(table: str) -> list[str]:
    return re.findall(r"\{((?:[^{}]|\{.*?\})*)\}", table.split("\\toprule\n")[1].splitlines()[0])


def percent(share: Estimate) -> str:
    """How a table prints it."""
    value, low, high = (f"{100 * number:.1f}" for number in (share, share.low, share.high))
    return rf"\num{{{value}}} [\num{{{low}}}, \num{{{high}}}]"


def compare(recorded: Mapping[str, Any], split: data.Split) -> None:
    report.comparison("data", TUNED, UNTUNED, REFERENCE, FOLDS, split)
    assert all(key.startswith("data.") for key in recorded)


def test_comparison_records_scores_pairs_and_gains(recorded, split):
    compare(recorded, split)
    tuned, mean = TUNED["SVM"].test, FOLDS["MLP"].mean
    for key, found in (("tuned.svm.test", tuned), ("folds.mlp.mean", mean)):
        entry = recorded[f"data.{key}"]
        assert (entry["value"], entry["n"]) == (found, found.n)
        assert entry["interval"] == [found.low, found.high]
        assert entry["unit"] == "share of samples"
    assert recorded["data.tuned.svm.n_bytes"]["unit"] == "byte"
    assert recorded["data.tuned.svm.parameters.gamma"]["value"] == 0.016
    assert recorded["data.tuned.mlp.parameters.hidden_layer_sizes.2"]["value"] == 64
    for name in ("logistic", "svm", "mlp"):
        for field in ("train", "validation", "test", "cv", "cv_sd", "cv_in_fold", "cv_in_fold_sd"):
            assert recorded[f"data.{name}.{field}"]["unit"] == "share of samples"
    assert recorded["data.mlp.cv_in_fold"]["value"] == 0.8408
    # The SVM errs on 0 to 2, the MLP on 2 to 4.
    # On the validation samples they err on 0 to 2 and on 2 to 3.
    for part, counts in (("pairs", (2, 2)), ("validation_pairs", (1, 2))):
        fields = ("n_first", "n_second")
        pair = tuple(recorded[f"data.{part}.svm_mlp.{field}"]["value"] for field in fields)
        assert pair == counts
    untuned = recorded["data.untuned_pairs.svm_mlp.difference"]
    assert untuned["value"] == pytest.approx((15 - 9) / 60)
    gain = recorded["data.gain.mlp.difference"]
    assert (gain["value"], gain["n"]) == (pytest.approx((15 - 3) / 60), 60)
    assert recorded["data.gain.logistic.p"]["value"] == 1
    fold = recorded["data.fold_tests.logistic_svm.difference"]
    assert fold["value"] == pytest.approx(FOLDS["logistic"].mean - FOLDS["SVM"].mean)
    for entry in (untuned, gain, fold, recorded["data.pairs.svm_mlp.detectable"]):
        assert entry["unit"] == "difference of shares"
    for field in ("p", "p_holm", "p_equivalent"):
        assert recorded[f"data.pairs.svm_mlp.{field}"]["unit"] == "1"
    leak = recorded["data.leak"]
    assert (leak["value"], leak["unit"]) == (pytest.approx(0.0025), "difference of shares")


def test_comparison_records_the_choice_and_the_range_of_models(recorded, split):
    compare(recorded, split)
    found = {key: recorded[f"data.best.{key}"]["value"] for key in ("name", "n_ties", "test")}
    assert found == {"name": "SVM", "n_ties": 2, "test": 57 / 60}
    frequent = np.mean(split.y_test == np.bincount(split.y_train).argmax())
    assert recorded["data.majority_class.test"]["value"] == frequent
    worst = recorded["data.range.over_baseline"]
    assert worst["value"] == pytest.approx(36 / 60 - frequent)
    assert worst["interval"][0] < worst["value"] < worst["interval"][1]
    spread = recorded["data.range.spread"]
    assert (spread["value"], spread["interval"]) == (pytest.approx(21 / 60), None)
    assert worst["unit"] == spread["unit"] == "difference of shares"
    assert results._printed["data.range.spread"] == "{35.0}"
    smallest = min(recorded[f"data.pairs.{pair}.p_holm"]["value"] for pair in PAIRS)
    assert recorded["data.range.min_p_test"]["value"] == smallest
    smallest = min(recorded[f"data.fold_tests.{pair}.p_holm"]["value"] for pair in PAIRS)
    assert recorded["data.range.min_p_folds"]["value"] == smallest
    assert recorded["data.range.n_equivalent"]["value"] == 0  # 60 samples are too few
    assert recorded["data.range.n_at_edge"]["value"] == 1  # logistic regression's C


def test_pairs_within_the_margin_are_counted(recorded, split, monkeypatch):
    monkeypatch.setattr(inference.equivalence, "__kwdefaults__", {"margin": 0.2})
    compare(recorded, split)
    below = [recorded[f"data.pairs.{pair}.p_equivalent"]["value"] < 0.05 for pair in PAIRS]
    assert below == [False, False, True]
    assert recorded["data.range.n_equivalent"]["value"] == 1


def test_values_at_an_edge_are_counted(recorded, split, monkeypatch):
    monkeypatch.setitem(TUNED, "SVM", replace(TUNED["SVM"], parameters={"C": 10.0, "gamma": 0.064}))
    monkeypatch.setitem(TUNED, "MLP", replace(TUNED["MLP"], parameters={"alpha": 1e-3}))
    compare(recorded, split)
    assert recorded["data.range.n_at_edge"]["value"] == 3


def test_learning_curve_records_the_gaps_at_its_ends(recorded):
    train, validation = (
        tuple(Estimate(value, value - 0.1, value, 5) for value in some)
        for some in ((1.0, 0.98, 0.97), (0.4, 0.6, 0.8))
    )
    curve = LearningCurve((10, 15, 20), train, (0.0, 0.1, 0.1), validation, (0.0, 0.1, 0.1))
    report.learning_curve("data", curve)
    assert recorded["data.learning_curve.sizes.3"]["value"] == 20
    assert recorded["data.learning_curve.validation.1"]["interval"] == [pytest.approx(0.3), 0.4]
    for end, gap in (("first", 0.6), ("last", 0.17)):
        entry = recorded[f"data.gap.{end}"]
        assert (entry["value"], entry["unit"]) == (pytest.approx(gap), "difference of shares")


def variant(wrong: Sequence[int], **parameters: Any) -> Variant:
    correct = right(60, wrong)
    return Variant(parameters, Estimate(1.0), inference.proportion(correct), 9, True, correct)


def test_ablation_compares_the_best_variants_corrected_for_those_tried(recorded):
    activations = [
        variant(range(n, 60), activation=activation, solver=solver)
        for activation, solver, n in (
            ("identity", "sgd", 20),
            ("identity", "adam", 40),
            ("relu", "sgd", 30),
            ("relu", "adam", 50),
        )
    ]
    penalties = [
        variant(range(n), alpha=alpha, early_stopping=stopping)
        for alpha, stopping, n in ((0.01, False, 9), (0.01, True, 12), (1.0, False, 4))
    ]
    architectures = [
        variant(range(n), hidden_layer_sizes=sizes)
        for sizes, n in (((16,), 9), ((32,), 8), ((16, 16), 7), ((32, 32), 7))
    ]
    report.ablation("data", activations, penalties, architectures, UNTUNED["SVM"])

    def value(key: str) -> Any:
        return recorded[f"data.{key}"]["value"]

    assert value("activations.relu_sgd.validation") == 0.5
    assert value("penalties.0_01_stopped.validation") == 48 / 60
    assert value("penalties.1.validation") == 56 / 60
    assert value("architectures.2_x_16.validation") == 53 / 60
    assert value("linear.parameters.solver") == "adam"
    assert value("linear.validation") == 40 / 60
    assert value("nonlinear.difference") == pytest.approx(10 / 60)
    assert (value("nonlinear.n_first"), value("nonlinear.n_second")) == (10, 0)
    p = stats.binomtest(10, 10).pvalue
    assert value("nonlinear.p") == pytest.approx(p)
    assert value("nonlinear.p") == pytest.approx(p)
    assert value("best_penalty.parameters.alpha") == 1
    assert value("best_depth") == 2
    # The untuned model errs on 0 to 5, the best penalty on 0 to 3.
    assert value("over_untuned.difference") == pytest.approx(2 / 60)
    assert value("over_untuned.p") == 0.5
    assert value("best_penalty_p") == 1
    assert recorded["data.over_untuned.difference"]["unit"] == "difference of shares"


def test_classes_have_their_table(recorded, split):
    predictions = split.y_test.copy()
    first = np.flatnonzero(predictions == 0)
    predictions[first[:5]] = 1  # of 20, which the second class gets
    n = np.bincount(split.y_test)
    scores = {"only": replace(TUNED["SVM"], estimator=Fixed(predictions))}
    table = report.classes("data", scores, split)
    assert table.startswith(r"\begin{tabular}[t]{")
    *rows, macro = cells(table)
    assert [row[0] for row in rows] == list(split.classes)
    assert [int(row[1]) for row in [*rows, macro]] == [*n, 60]
    recall = inference.proportion([True] * (n[0] - 5) + [False] * 5)
    precision = inference.proportion([True] * n[1] + [False] * 5)
    assert rows[0][3] == percent(recall)
    assert rows[1][2] == percent(precision)
    assert rows[1][4] == f"{100 * 2 * n[1] / (2 * n[1] + 5):.1f}"
    assert rows[2][2:] == [percent(inference.proportion([True] * n[2])), rows[2][2], "100.0"]
    assert macro[3] == rf"\num{{{100 * (recall + 2) / 3:.1f}}}"
    entry = recorded[f"data.classes.{results.slug(split.classes[0])}.recall"]
    assert (entry["value"], entry["unit"]) == (recall, "share of samples")
    assert recorded["data.classes.macro.recall"]["interval"] is None


def test_pixels_of_the_border_have_their_shares(recorded):
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    X = rng.random((100, 16))
    X[:, 5] += y  # row 2, column 2
    split = data.split(data.Dataset(X, y, ("a", "b")))
    forest: Any = RandomForestClassifier(5, random_state=0).fit(split.X_train, split.y_train)
    images = report.pixels("data", forest, split)
    assert list(images) == ["forest, impurity", "forest, permuted"]
    for image in images.values():
        assert np.unravel_index(image.argmax(), image.shape) == (1, 1)
    impurity = forest.feature_importances_.reshape(4, 4)
    assert np.array_equal(images["forest, impurity"], impurity)
    ink = split.X_train.sum(axis=0).reshape(4, 4)
    for key, image in (("ink", ink), ("impurity", impurity)):
        entry = recorded[f"data.border.{key}"]
        assert entry["value"] == pytest.approx(image[:, [0, 3]].sum() / image.sum())
        assert entry["unit"] == "share of all pixels"


SHARE = Estimate(0.975, 0.95, 0.99, 360)
NETWORKS: dict[str, Any] = {
    "scores": {name: {"test": SHARE, "n_bytes": 80} for name in ("SVM", "CNN")},
    "folds": {name: {"mean": SHARE, "sd": 0.01, "n_train": 9} for name in ("SVM", "CNN")},
    "pairs": {"SVM - CNN": {"difference": Estimate(0.0, -0.01, 0.01, 360), "p_holm": 0.04}},
    "fold_tests": {"SVM - CNN": {"difference": Estimate(-0.01), "t": -1.5, "p_holm": 0.4}},
    "curves": {"CNN": {"sizes": [86], "validation": [SHARE]}},
    "depths": {
        "mean": {"both": {"1": SHARE}},
        "min": {"both": {"1": 0.9}},
        "normalisation": {"gain": {"1": Estimate(0.02, 0.01, 0.03, 5)}, "p_holm": {"1": 0.03}},
    },
    "training": {"n_steps": 400, "batch_size": 32, "lr": 0.003},
    "parameters": {"CNN": 13_000},
    "rank_correlation": {"again": Estimate(0.5, 0.4, 0.6, 360)},
    "trainings": {"SGD": SHARE},
    "transfer_seeds": [3, 4],
    "transfer": {
        "accuracy": {"scratch": {"1": SHARE}},
        "gain": {"raw pixels": {"frozen": {"1": Estimate(0.1, 0.05, 0.15, 10)}}},
        "p_holm": {"raw pixels": {"frozen": {"1": 0.001}}},
        "C": {"frozen, tuned": {"1": 10.0}},
        "at_edge": {"frozen, tuned": {"1": 0.2}},
    },
}


def test_networks_are_recorded_with_their_units_and_seeds(recorded):
    environment = {"seconds": 60, "torch": "2.13.0"}
    report.networks({"results": NETWORKS, "environment": environment})
    units = {key: entry["unit"] for key, entry in recorded.items()}
    assert units == {
        **{f"deep.scores.{name}.test": "share of samples" for name in ("svm", "cnn")},
        **{f"deep.scores.{name}.n_bytes": "byte" for name in ("svm", "cnn")},
        **{f"deep.folds.{name}.mean": "share of samples" for name in ("svm", "cnn")},
        **{f"deep.folds.{name}.sd": "share of samples" for name in ("svm", "cnn")},
        **{f"deep.folds.{name}.n_train": "count" for name in ("svm", "cnn")},
        "deep.pairs.svm_cnn.difference": "difference of shares",
        "deep.pairs.svm_cnn.p_holm": "1",
        "deep.fold_tests.svm_cnn.difference": "difference of shares",
        "deep.fold_tests.svm_cnn.t": "1",
        "deep.fold_tests.svm_cnn.p_holm": "1",
        "deep.curves.cnn.sizes.1": "count",
        "deep.curves.cnn.validation.1": "share of samples",
        "deep.depths.mean.both.1": "share of samples",
        "deep.depths.min.both.1": "share of samples",
        "deep.depths.normalisation.gain.1": "difference of shares",
        "deep.depths.normalisation.p_holm.1": "1",
        "deep.training.n_steps": "count",
        "deep.training.batch_size": "count",
        "deep.training.lr": "1",
        "deep.parameters.cnn": "count",
        "deep.rank_correlation.again": "1",
        "deep.labels.1": "count",
        "deep.n_apart": "count",
        "deep.trainings.sgd": "share of samples",
        "deep.transfer.accuracy.scratch.1": "share of samples",
        "deep.transfer.gain.raw_pixels.frozen.1": "difference of shares",
        "deep.transfer.p_holm.raw_pixels.frozen.1": "1",
        "deep.transfer.c.frozen_tuned.1": "1",
        "deep.transfer.at_edge.frozen_tuned.1": "share of draws",
        "deep.environment.seconds": "second",
        "deep.environment.torch": "text",
    }
    assert recorded["deep.n_apart"]["value"] == 1
    assert recorded["deep.transfer.accuracy.scratch.1"]["seed"] == [3, 4]
    assert recorded["deep.transfer.accuracy.scratch.1"]["by"] == "networks.transfer"


def test_the_simulation_is_recorded_with_its_own_seed(recorded):
    record = kept.read("results/simulation.json")
    report.simulation(record)
    assert not [key for key in recorded if "difference" in key]
    for key in ("paired.min", "proportion.max", "t_test.corrected"):
        assert recorded[f"simulation.{key}"]["unit"] == "share of draws"
    entry = recorded["simulation.mcnemar.max"]
    assert entry["value"] == record["results"]["mcnemar"]["max"]
    assert entry["seed"] == record["results"]["seed"]


def test_reproducibility_records_digests_leaks_and_the_build(recorded):
    dataset = data.synthetic(n_samples=300, n_classes=3, seed=1)
    split = data.split(dataset, seed=1)
    fitted = evaluation.score(models.baseline(), split)
    report.reproducibility({"data": dataset}, {"data": split}, {"data": {"": fitted}})
    digests = {part: recorded[f"data.digest.{part}"]["value"] for part in evaluation.PARTS}
    assert digests == data.digests(split)
    assert recorded["data.leakage.n_shared"]["value"] == 0
    assert any(key.startswith("build.") for key in recorded)


@pytest.fixture
def outdated(recorded, split):
    """Tells of what has changed since a record was made, of two models and these samples."""
    others = {name: models.tuned(models.candidates())[name] for name in ("logistic", "SVM")}
    named = {name: models.description(model) for name, model in others.items()}
    record = {
        "code": kept.digest("pycode/networks.py"),
        "inputs": {**data.digests(split), **named},
    }

    def told(split: data.Split = split, code: str = "", **changed: Any) -> str:
        recorded.clear()
        some = {name: model for name, model in {**others, **changed}.items() if model is not None}
        return report.outdated({**record, **({"code": code} if code else {})}, split, some)

    return told


def test_a_record_of_this_code_and_these_samples_is_not_outdated(outdated, recorded):
    assert outdated() == ""
    assert recorded["deep.n_changed"]["value"] == 0
    assert outdated(MLP=models.baseline()) == ""  # which the record is not of


def test_what_a_record_is_not_of_is_named_in_red(outdated, recorded, split):
    moved = replace(split, X_test=split.X_test + 1)
    for changes, named in (
        ({"split": moved}, ["test"]),
        ({"code": "0" * 16}, ["pycode/networks.py"]),
        ({"SVM": models.tuned(models.candidates(), n_settings=4)["SVM"]}, ["SVM"]),
        ({"logistic": None}, ["logistic"]),
        ({"split": moved, "SVM": None}, ["SVM and test"]),
    ):
        text = outdated(**changes)
        assert text.startswith(r"\ \textcolor{red}{But " + named[0] + " changed since then: ")
        assert r"run \texttt{make deep}" in text
        assert text.count("{") == text.count("}")
        assert recorded["deep.n_changed"]["value"] == len(named[0].split(" and "))


def test_rankings_are_judged_by_the_roles():
    roles = ("random", "informative", "redundant", "random", "informative")
    importances = {
        "perfect": np.array([0.0, 5.0, 3.0, 1.0, 4.0]),
        "reverse": np.array([5.0, 0.0, 2.0, 4.0, 1.0]),
    }
    found = report.rankings(importances, roles)
    assert (found["redundant"], found["random"]) == (1, 2)
    useful, informative = found["useful"], found["informative"]
    assert (useful.k, useful.min, useful.max, useful.chance) == (3, 1 / 3, 1, 3 / 5)
    # Among the three useful ones alone.
    assert (informative.k, informative.min, informative.max) == (2, 1 / 2, 1)
    assert informative.chance == pytest.approx(2 / 3)
    unknown = report.rankings(importances, ())
    assert (unknown["useful"].k, unknown["useful"].max, unknown["random"]) == (0, 0, 0)


def test_interpretation_records_rankings_confidence_and_calibration(recorded):
    importances = Importances(np.array([0.5, 0.3, 0.2]), 0.5, 1 / 3, 0)
    confidence = Confidence(np.array([0.9, 0.6]), np.array([True, False]), 0.75, 0.9, 0.6)
    calibration = inference.calibration([[0.9, 0.1], [0.2, 0.8]], [0, 1])
    found = report.interpretation(
        "data",
        importances,
        {"SVM": np.array([0.1, 0.0, 0.2])},
        ("informative", "redundant", "random"),
        confidence,
        {"random forest": calibration},
    )
    assert {name: values.tolist() for name, values in found.items()} == {
        "forest, impurity": [0.5, 0.3, 0.2],
        "SVM, permuted": [0.1, 0.0, 0.2],
    }
    assert recorded["data.importances.largest"]["value"] == 0.5
    assert recorded["data.confidence.mean"]["value"] == 0.75
    assert recorded["data.calibration.random_forest.ece"]["value"] == calibration.ece
    useful = {key: recorded[f"data.rankings.useful.{key}"] for key in ("k", "chance", "min", "max")}
    assert [entry["value"] for entry in useful.values()] == [2, pytest.approx(2 / 3), 0.5, 1]
    assert useful["min"]["unit"] == useful["chance"]["unit"] == "share of samples"


def test_data_table(recorded, split):
    dataset = data.synthetic(n_samples=300, n_classes=3, seed=1)
    summaries = report.describe({"mine": dataset}, {"mine": split})
    table = report.data_table(summaries)
    assert cells(table) == [["mine", "180", "60", "60", str(dataset.X.shape[1]), "3"]]
    assert recorded["mine.n_train"]["value"] == 180
    assert (recorded["alpha"]["value"], results._printed["alpha"]) == (0.05, "{0.05}")


def test_main_table_has_every_model_and_leaves_out_what_there_is_not(split):
    baseline = report.majority(split)
    column = (TUNED, FOLDS, baseline)
    table = report.main_table({"synthetic": column, "digits": column}, NETWORKS)
    assert headings(table) == ["model", "synthetic: CV", "test", "digits: CV", "test"]
    rows = {row[0]: row[1:] for row in cells(table)}
    assert list(rows) == ["logistic", "SVM", "MLP", "CNN", "majority class"]
    for name, found in TUNED.items():
        # The record of the networks has an SVM too, but the paper's own counts.
        assert rows[name] == [percent(FOLDS[name].mean), percent(found.test)] * 2
    assert rows["majority class"] == ["", percent(baseline.test)] * 2
    assert rows["CNN"] == ["", "", percent(SHARE), percent(SHARE)]


def test_reference_table_has_four_decimals():
    assert cells(report.reference_table(REFERENCE))[:2] == [
        [
            "logistic",
            *[r"\num{0.9000}"] * 3,
            r"\num{0.6967 +- 0.0123}",
            r"\num{0.6967 +- 0.0000}",
        ],
        [
            "SVM",
            *[r"\num{0.9000}"] * 3,
            r"\num{0.9050 +- 0.0123}",
            r"\num{0.9042 +- 0.0000}",
        ],
    ]


def test_search_table_has_the_best_settings():
    trials = [
        Trial(
            {"alpha": alpha, "hidden_layer_sizes": (64, 32), "learning_rate_init": 0.001},
            Estimate(mean, mean - 0.1, mean + 0.1, 3),
            0.0152,
            333,
        )
        for alpha, mean in ((0.01, 0.716), (0.0001, 0.714), (0.1, 0.7))
    ]
    assert cells(report.search_table(trials, n=2)) == [
        ["0.01", "64, 32", "0.001", r"\num{0.7160 +- 0.0152}"],
        ["0.0001", "64, 32", "0.001", r"\num{0.7140 +- 0.0152}"],
    ]


def test_settings_table_has_what_was_chosen():
    other = TUNED | {"SVM": replace(TUNED["SVM"], parameters={"C": 0.1, "gamma": 0.002})}
    table = report.settings_table({"synthetic": TUNED, "digits": other})
    assert headings(table) == ["model", "parameter", "synthetic", "digits"]
    assert cells(table) == [
        ["logistic", "C", "1000", "1000"],
        ["SVM", "C", "10", "0.1"],
        ["SVM", "gamma", "0.016", "0.002"],
        ["MLP", "alpha", "1", "1"],
        ["MLP", "hidden layer sizes", "128, 64", "128, 64"],
    ]


def test_pair_table_is_in_percentage_points():
    rows = cells(report.pair_table(TUNED, FOLDS))
    pairs, tests = evaluation.compare_pairs(TUNED), evaluation.compare_folds(FOLDS)
    assert [row[0] for row in rows] == ["logistic $-$ SVM", "logistic $-$ MLP", "SVM $-$ MLP"]
    for row, pair in zip(rows, pairs, strict=True):
        assert row[1] == percent(pairs[pair].difference)
        assert row[4] == percent(tests[pair].difference)
        for cell, p in (
            (row[2], pairs[pair].p_holm),
            (row[3], pairs[pair].p_equivalent),
            (row[5], tests[pair].p_holm),
        ):
            assert cell == (rf"\num{{{p:.3f}}}" if p >= 0.001 else r"$<\num{0.001}$")
    assert rows[0][1].startswith(r"\num{-35.0} [")
    assert rows[0][2] == r"$<\num{0.001}$"


def test_pairs_with_a_network_have_the_same_table():
    pair, test = (NETWORKS[kind]["SVM - CNN"] for kind in ("pairs", "fold_tests"))
    pairs = {name: pair | {"p_equivalent": 0.2} for name in ("SVM - CNN", "SVM - MLP", "CNN - a b")}
    tests = {name: test | {"difference": SHARE} for name in pairs}
    rows = cells(report.network_pairs({"pairs": pairs, "fold_tests": tests, "layers": {"CNN": []}}))
    assert [row[0] for row in rows] == ["SVM $-$ CNN", "CNN $-$ a b"]
    assert rows[0][1:4] == [percent(pair["difference"]), r"\num{0.040}", r"\num{0.200}"]
    assert rows[0][4:] == [percent(SHARE), r"\num{0.400}"]


def test_calibration_table_has_three_decimals():
    found = inference.calibration([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], [0, 1, 1])
    ((name, loss, brier, error),) = cells(report.calibration_table({"mine": found}))
    assert name == "mine"
    assert loss == (
        rf"\num{{{found.log_loss:.3f}}}"
        rf" [\num{{{found.log_loss.low:.3f}}}, \num{{{found.log_loss.high:.3f}}}]"
    )
    assert brier.startswith(rf"\num{{{found.brier:.3f}}} [")
    assert error == f"{found.ece:.3f}"
