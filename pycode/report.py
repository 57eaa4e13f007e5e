"""What the paper records of the study's results, and how its tables look.

Keys begin with the name of the data.  Accuracies are printed in percent, and their differences in
percentage points.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from literate import ROOT, kept, results, tex
from pycode import data, evaluation, inference, inspection, models
from pycode.data import Dataset, Split, Summary
from pycode.evaluation import CrossValidation, LearningCurve, Reference, Score, Trial, Variant
from pycode.inference import (
    Accuracy,
    Calibration,
    Comparison,
    Difference,
    Estimate,
    Share,
)
from pycode.inspection import Confidence, Importances
from pycode.scoring import METRICS


@dataclass(frozen=True)
class Best:
    """The model that the rule selects on the validation set."""

    name: str
    n_ties: int  # models that do not differ significantly from the best, and the best
    validation: Accuracy
    test: Accuracy
    over_baseline: Difference  # on the test set
    metric: str | None = None  # if it is not accuracy


@dataclass(frozen=True)
class Range:
    """How far models differ on the test set, and in how many pairs."""

    over_baseline: Difference  # of the model that exceeds the majority class least
    spread: Difference  # between the highest and the lowest accuracy
    min_p_test: float  # of all pairs, corrected
    min_p_folds: float
    n_equivalent: int  # pairs whose accuracies are equivalent within MARGIN
    n_at_edge: int  # models with a tuned value at an end of those it was chosen from


def describe(datasets: Mapping[str, Dataset], splits: Mapping[str, Split]) -> dict[str, Summary]:
    """Record a description of each data set, and return them."""
    for level in ("ALPHA", "MARGIN"):
        value, by = getattr(inference, level), f"inference.{level}"
        results.record(level.lower(), value, by=by, digits=2, seed=())
    found = {name: data.describe(datasets[name], split) for name, split in splits.items()}
    for name, summary in found.items():
        results.record(name, summary, digits=3)
    return found


def comparison(
    name: str,
    scores: Mapping[str, Score],
    untuned: Mapping[str, Score],
    reference: Mapping[str, Reference],
    folds: Mapping[str, CrossValidation],
    split: Split,
) -> None:
    """Record a comparison of tuned models, and what each gains over itself untuned."""
    pairs = evaluation.compare_pairs(scores)
    tests = evaluation.compare_folds(folds)
    baseline = majority(split)
    accuracies = [score.test for score in scores.values()]
    gains = {
        model: inference.compare_pairs(
            {"tuned": score.correct["test"], "untuned": untuned[model].correct["test"]}
        )["tuned", "untuned"]
        for model, score in scores.items()
    }
    models_differ = Range(
        over_baseline=min(evaluation.difference(s, baseline) for s in scores.values()),
        spread=Estimate(max(accuracies) - min(accuracies)),
        min_p_test=min(pair.p_holm for pair in pairs.values()),
        min_p_folds=min(test.p_holm for test in tests.values()),
        n_equivalent=sum(pair.p_equivalent < inference.ALPHA for pair in pairs.values()),
        n_at_edge=sum(models.at_edge(model, s.parameters) for model, s in scores.items()),
    )
    leak = max(abs(s.cv - s.cv_in_fold) for s in reference.values())
    results.record(f"{name}.leak", leak, unit="difference of shares")
    results.record(name, reference)
    results.record(
        name,
        {
            "tuned": scores,
            "folds": folds,
            "pairs": pairs,
            "validation_pairs": evaluation.compare_pairs(scores, part="validation"),
            "fold_tests": tests,
            "majority_class": baseline,
            "gain": gains,
            "untuned_pairs": evaluation.compare_pairs(untuned),
            "best": best(scores, split),
            "range": models_differ,
        },
    )


def best(scores: Mapping[str, Score], split: Split) -> Best:
    """Return what is said of the selected model."""
    name = evaluation.best(scores)
    score, ties = scores[name], len(evaluation.ties(scores))
    over = evaluation.difference(score, majority(split, scoring=score.scoring))
    metric = None if score.scoring == "accuracy" else METRICS[score.scoring].label
    return Best(name, ties, score.validation, score.test, over, metric)


def majority(split: Split, *, scoring: str = "accuracy") -> Score:
    """Return the score of the model that names the most frequent class."""
    return evaluation.score(models.baseline(), split, scoring=scoring)


def learning_curve(name: str, curve: LearningCurve) -> None:
    """Record a learning curve, and the gaps between training and validation at its ends."""
    gaps = [float(t - v) for t, v in zip(curve.train, curve.validation, strict=True)]
    results.record(f"{name}.learning_curve", curve)
    gap = {"first": gaps[0], "last": gaps[-1]}
    unit = "difference of shares" if curve.scoring == "accuracy" else "1"
    results.record(f"{name}.gap", gap, unit=unit)


def ablation(
    name: str,
    activations: Sequence[Variant],
    penalties: Sequence[Variant],
    architectures: Sequence[Variant],
    original: Score,
) -> None:
    """Record variants of the MLP, the best ones, and how they compare on the validation set."""

    def best(variants: Iterable[Variant]) -> Variant:
        return max(variants, key=lambda variant: variant.validation)

    def compare(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Comparison:
        return inference.compare_pairs({"a": first, "b": second})["a", "b"]

    linear = best(v for v in activations if v.parameters["activation"] == "identity")
    nonlinear = best(v for v in activations if v.parameters["activation"] != "identity")
    penalty, architecture = map(best, (penalties, architectures))
    over_untuned = compare(penalty.correct, original.correct["validation"])
    results.record(
        name,
        {
            "activations": {"{activation} {solver}".format(**v.parameters): v for v in activations},
            "penalties": {
                f"{v.parameters['alpha']:g}" + " stopped" * v.parameters["early_stopping"]: v
                for v in penalties
            },
            "architectures": {
                f"{len(v.parameters['hidden_layer_sizes'])} x"
                f" {v.parameters['hidden_layer_sizes'][0]}": v
                for v in architectures
            },
            "linear": linear,
            "nonlinear": compare(nonlinear.correct, linear.correct),
            "best_penalty": penalty,
            "best_depth": len(architecture.parameters["hidden_layer_sizes"]),
            "over_untuned": over_untuned,
            # Any of them might have been the best.
            "best_penalty_p": min(1.0, len(penalties) * over_untuned.p),
        },
    )


def classes(name: str, scores: Mapping[str, Score], split: Split) -> str:
    """Record what the selected model finds of each class, and return the table."""
    found = inspection.by_class(scores[evaluation.best(scores)].estimator, split)
    found["macro"] = inspection.macro(found)
    results.record(f"{name}.classes", found)
    table = tex.table(
        ["class", "$n$", "precision", "recall", "$F_1$"],
        [
            [label, s.n, tex.percent(s.precision), tex.percent(s.recall), 100 * s.f1]
            for label, s in found.items()
        ],
        digits=1,
    )
    return table.replace("{tabular}", "{tabular}[t]", 1)  # to stand beside another


def pixels(name: str, forest: Any, split: Split) -> dict[str, NDArray[np.float64]]:
    """Return two importances of square images' pixels, and record those of the border."""
    side = isqrt(split.X_train.shape[1])
    groups = inspection.correlation_clusters(split, threshold=0.5)
    permuted = inspection.grouped_permutation_importance({"": forest}, split, groups)[""]
    impurity = inspection.importances(forest).values
    ink = split.X_train.sum(axis=0)
    border = [n for n in range(side * side) if n % side in (0, side - 1)]
    shares = {"ink": ink[border].sum() / ink.sum(), "impurity": impurity[border].sum()}
    results.record(f"{name}.border", shares, unit="share of all pixels")
    found = {"forest, impurity": impurity, "forest, permuted": permuted}
    return {ranking: values.reshape(side, side) for ranking, values in found.items()}


def networks(record: Mapping[str, Any]) -> None:
    """Record the results of `make deep`."""
    found, share = record["results"], "share of samples"
    pairs = found["pairs"]
    results.record(
        "deep",
        {
            name: found[name]
            for name in ("scores", "folds", "pairs", "fold_tests", "curves", "depths")
        },
        by="networks.study",
        unit=share,
    )
    results.record(
        "deep",
        {
            "training": found["training"],
            "parameters": found["parameters"],
            "labels": [int(n) for n in found["transfer"]["accuracy"]["scratch"]],
            "n_apart": sum(pair["p_holm"] <= inference.ALPHA for pair in pairs.values()),
        },
        by="networks.study",
    )
    correlation = found["rank_correlation"]
    results.record("deep.rank_correlation", correlation, by="networks.rank_correlation", digits=2)
    results.record("deep.trainings", found["trainings"], by="networks.trainings", unit=share)
    seeds = found["transfer_seeds"]
    by = "networks.transfer"
    results.record("deep.transfer", found["transfer"], by=by, unit=share, seed=seeds)
    results.record("deep.environment", record["environment"], by="results/deep.py", seed=())


def simulation(record: Mapping[str, Any]) -> None:
    """Record the results of results/simulation.py that the paper prints."""
    found = dict(record["results"])
    found.pop("imbalanced", None)
    found["paired"] = found.pop("difference")  # shares of draws, and no difference
    by, unit = "results/simulation.py", "share of draws"
    results.record("simulation", found, by=by, unit=unit, seed=found["seed"])


def reproducibility(
    datasets: Mapping[str, Dataset],
    splits: Mapping[str, Split],
    scores: Mapping[str, Mapping[str, Score]],
) -> None:
    """Record digests of the samples, signs of leaks, and what a build has taken."""
    for name, split in splits.items():
        estimators = [score.estimator for score in scores[name].values()]
        results.record(f"{name}.digest", data.digests(split), by="data.digests")
        results.record(f"{name}.leakage", data.leakage(datasets[name], split, estimators))
    build = json.loads((ROOT / "results/build.json").read_text(encoding="utf-8"))
    results.record("build", build, by="results/build.py", digits=0, seed=())


def outdated(record: Mapping[str, Any], split: Split, others: Mapping[str, Any]) -> str:
    """Return a sentence in red if a record is not of this code and these samples, or nothing."""
    rows = data.digests(split)
    named = {
        name: models.description(others[name]) if name in others else "none"
        for name in record["inputs"]
        if name not in rows
    }
    changed = kept.changed(record, code="pycode/networks.py", inputs=rows | named)
    results.record("deep.n_changed", len(changed), by="kept.changed")
    if not changed:
        return ""
    what = tex.text(tex.series(changed))
    return (
        rf"\ \textcolor{{red}}{{But {what} changed since then: run \texttt{{make deep}}, whose"
        r" samples and seed are those of \texttt{results/deep.py}.}"
    )


def interpretation(
    name: str,
    importances: Importances,
    permuted: Mapping[str, NDArray[np.float64]],
    roles: Sequence[str],
    confidence: Confidence,
    calibrations: Mapping[str, Calibration],
) -> dict[str, NDArray[np.float64]]:
    """Record what models use and how certain they are, and return the rankings of features."""
    found = {"forest, impurity": importances.values}
    found |= {f"{model}, permuted": values for model, values in permuted.items()}
    results.record(f"{name}.importances", importances)
    results.record(f"{name}.rankings", rankings(found, roles))
    results.record(f"{name}.confidence", confidence, digits=2)
    results.record(f"{name}.calibration", calibrations, digits=2)
    return found


def rankings(
    importances: Mapping[str, NDArray[np.float64]], roles: Sequence[str]
) -> dict[str, Any]:
    """Return how well rankings of features find those that were made informative.

    `useful` is the share of informative or redundant features among as many top-ranked ones as
    there are; `informative` is that of informative ones among the useful.
    """
    useful = ("informative", "redundant")
    # The number of informative ones is their ranking's k.
    found: dict[str, Any] = {role: roles.count(role) for role in ("redundant", "random")}
    for name, wanted, among in (
        ("useful", useful, (*useful, "random")),
        ("informative", useful[:1], useful),
    ):
        some = [n for n, role in enumerate(roles) if role in among]
        known = [roles[n] for n in some]
        k = sum(role in wanted for role in known)
        shares = {
            ranking: inspection.precision_at(k, values[some], known, wanted)
            for ranking, values in importances.items()
        }
        chance = inspection.precision_by_chance(k, known, wanted)
        found[name] = Ranking(k, chance, min(shares.values()), max(shares.values()))
    return found


@dataclass(frozen=True)
class Ranking:
    """The precision of rankings among the `k` top-ranked features."""

    k: int
    chance: Accuracy  # of a random order
    min: Share  # of the rankings
    max: Share


def data_table(summaries: Mapping[str, Summary]) -> str:
    """Return the table of the data sets."""
    return tex.table(
        ["data", "train", "validation", "test", "features", "classes"],
        [
            [name, s.n_train, s.n_validation, s.n_test, s.n_features, s.n_classes]
            for name, s in summaries.items()
        ],
    )


def score_table(scores: Mapping[str, Score]) -> str:
    """Return the table of any models by any metric: accuracy in percent, others as they are."""
    share = evaluation.common_scoring(scores) == "accuracy"
    return tex.table(
        ["model", "validation", "test"],
        [
            [name, *(tex.percent(v) if share else v for v in (s.validation, s.test))]
            for name, s in scores.items()
        ],
        digits=1 if share else 3,
    )


def main_table(
    columns: Mapping[str, tuple[Mapping[str, Score], Mapping[str, CrossValidation], Score]],
    networks: Mapping[str, Any],
) -> str:
    """Return the table of all models: accuracy in cross-validation and on the test set."""
    header, rows = ["model"], {}
    names = [*next(iter(columns.values()))[0], *networks["scores"], "majority class"]
    for name in dict.fromkeys(names):
        rows[name] = [name]
    for heading, (scores, folds, baseline) in columns.items():
        header += [f"{heading}: CV", "test"]
        found: dict[str, tuple[float, ...]] = {"majority class": (baseline.test,)}
        found |= {name: (folds[name].mean, score.test) for name, score in scores.items()}
        if heading == "digits":
            found |= {
                name: (networks["folds"][name]["mean"], score["test"])
                for name, score in networks["scores"].items()
                if name not in found
            }
        for name, row in rows.items():
            cells = [tex.percent(value) for value in found.get(name, ())]
            row += [""] * (2 - len(cells)) + cells
    return tex.table(header, rows.values(), digits=1)


def reference_table(scores: Mapping[str, Reference]) -> str:
    """Return the table of the untuned models, to four decimals."""
    return tex.table(
        ["model", "training", "validation", "test", "CV, scaled once", "CV, scaled in fold"],
        [
            [
                name,
                *(tex.num(value) for value in (s.train, s.validation, s.test)),
                tex.pm(float(s.cv), s.cv_sd),
                tex.pm(float(s.cv_in_fold), s.cv_in_fold_sd),
            ]
            for name, s in scores.items()
        ],
    )


def search_table(trials: Sequence[Trial], n: int = 5) -> str:
    """Return the table of a search's `n` best settings, to four decimals."""
    return tex.table(
        ["penalty $\\alpha$", "hidden layers", "learning rate", "accuracy"],
        [
            [*map(tex.setting, trial.parameters.values()), tex.pm(float(trial.mean), trial.sd)]
            for trial in trials[:n]
        ],
    )


def settings_table(columns: Mapping[str, Mapping[str, Score]]) -> str:
    """Return the table of what the searches have chosen."""
    first = next(iter(columns.values()))
    return tex.table(
        ["model", "parameter", *columns],
        [
            [
                name,
                key.replace("_", " "),
                *(tex.setting(scores[name].parameters[key]) for scores in columns.values()),
            ]
            for name, score in first.items()
            for key in score.parameters
        ],
    )


def pair_table(scores: Mapping[str, Score], folds: Mapping[str, CrossValidation]) -> str:
    """Return the table of all pairs of models, on the test set and on the folds."""
    tests = evaluation.compare_folds(folds)
    return _pairs(
        {
            names: (vars(pair), vars(tests[names]))
            for names, pair in evaluation.compare_pairs(scores).items()
        }
    )


def network_pairs(networks: Mapping[str, Any]) -> str:
    """Return the same table of the pairs that a convolutional network has a part in."""
    return _pairs(
        {
            (a, b): (pair, networks["fold_tests"][names])
            for names, pair in networks["pairs"].items()
            for a, b in [names.split(" - ")]
            if {a, b} & networks["layers"].keys()
        }
    )


def _pairs(
    found: Mapping[tuple[str, str], tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> str:
    def points(difference: Estimate) -> Estimate:
        shown = tex.percent(difference)
        return Estimate(round(shown, 1), round(shown.low, 1), round(shown.high, 1), difference.n)

    return tex.table(
        ["pair", "test set", "$p$", "$p$, equivalence", "folds", "$p$"],
        [
            [
                tex.TeX(" $-$ ".join(map(tex.text, names))),
                points(pair["difference"]),
                tex.p_value(pair["p_holm"]),
                tex.p_value(pair["p_equivalent"]),
                points(test["difference"]),
                tex.p_value(test["p_holm"]),
            ]
            for names, (pair, test) in found.items()
        ],
        digits=1,
    )


def calibration_table(calibrations: Mapping[str, Calibration]) -> str:
    """Return the table of how well probabilities are calibrated."""
    return tex.table(
        ["model", "log loss", "Brier score", "calibration error"],
        [[name, c.log_loss, c.brier, c.ece] for name, c in calibrations.items()],
        digits=3,
    )
