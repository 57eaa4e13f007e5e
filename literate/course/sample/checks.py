"""The checks that grade the lab: those of an exercise share its points equally.

A check returns what it expects and what it has found.  The checks between the marks of hidden tests
compare with the course's own solution, which students do not have.
"""

import numpy as np

from literate.course.checking import Run, check
from pycode import data
from pycode.data import Dataset

KEYS = ("svm.accuracy", "logistic.accuracy")
ANEW = np.random.default_rng()  # new in each grading, so that nobody can know what is asked


def made_up() -> dict[str, float]:
    """Return newly drawn accuracies of three models."""
    return dict(zip(("first", "second", "third"), ANEW.uniform(0.2, 0.9, 3).tolist(), strict=True))


def other_split(seed: int = 7) -> data.Split:
    """Return a split of data that no student has."""
    made = data.synthetic(n_samples=300, n_features=9, n_informative=5, n_redundant=1, seed=seed)
    return data.split(made)


@check("data", hint="load has to call data.synthetic with the sizes that its text names.")
def load_draws_what_is_asked(run: Run):
    """`load` draws 600 rows of 12 features in 3 classes, and other ones for another login."""
    found, other = (run.student("lab.load", login) for login in (run.login, f"not {run.login}"))
    same = np.shape(found.X) == np.shape(other.X) and bool(np.allclose(found.X, other.X))
    size = {"rows": len(found.y), "features": found.X.shape[1], "classes": len(set(found.y))}
    return {"rows": 600, "features": 12, "classes": 3, "same": False}, size | {"same": same}


@check(
    "data", hint="Count with len, shape and numpy.bincount; nothing may depend on your own data."
)
def describe_counts(run: Run):
    """`describe` counts any data set correctly."""
    counts, n_features = ANEW.integers(1, 20, 3), int(ANEW.integers(2, 6))
    n_rows = int(counts.sum())
    rows = Dataset(np.zeros((n_rows, n_features)), np.repeat([0, 1, 2], counts), ("a", "b", "c"))
    largest = float(counts.max() / n_rows)
    expected = {"n_rows": n_rows, "n_features": n_features, "largest_class": largest}
    return expected, run.student("lab.describe", rows)


@check("data", hint="Set each number by \\result{data....}, as the exercise says.")
def sentence_prints_results(run: Run):
    """The sentence prints the three results, and no number is typed by hand."""
    answer = run.answer("data")
    names = ("n_rows", "n_features", "largest_class")
    printed = [name for name in names if f"\\result{{data.{name}}}" in answer]
    return {"results": list(names), "typed": []}, {"results": printed, "typed": run.typed("data")}


### BEGIN HIDDEN TESTS
@check("data", hint="The seed of your data is seed(login), with your own login in paper.tex.")
def load_gives_your_rows(run: Run):
    """`load` returns the rows that belong to your login."""
    expected, found = run.both("lab.load", run.login)
    return {"X": expected.X, "y": expected.y}, {"X": found.X, "y": found.y}


@check("data", hint="Record what describe returns for your data, under the key data.")
def paper_records_your_data(run: Run):
    """The paper has recorded what is true of your data."""
    return run.recorded("data.n_rows", "data.n_features", "data.largest_class")


### END HIDDEN TESTS
@check("model", hint="Fit to X_train and y_train alone: y_test is for scoring predictions.")
def predictions_ignore_test_classes(run: Run):
    """`predict_svm` predicts the same whatever the classes of the test rows are."""
    split = other_split()
    changed = data.Split(**{**vars(split), "y_test": np.roll(split.y_test, 1)})
    first, second = (run.student("lab.predict_svm", each) for each in (split, changed))
    return {"predictions": len(split.y_test), "changed": 0}, {
        "predictions": np.size(first),
        "changed": int(np.sum(np.asarray(first) != np.asarray(second))),
    }


### BEGIN HIDDEN TESTS
def agreement(run: Run, split: data.Split):
    """Return the expected and the found agreement with the solution's predictions.

    The classes of 99 % of the test samples have to agree, since ties may be decided differently.
    """
    expected, found = run.both("lab.predict_svm", split)
    if np.shape(found) != np.shape(expected):
        return f"{len(expected)} classes", f"shape {np.shape(found)}"
    same = float(np.mean(np.asarray(found) == expected))
    return "at least 99 % as the SVM", "at least 99 % as the SVM" if same >= 0.99 else f"{same:.0%}"


@check("model", hint="Scale on the training rows, then take SVC() as it is.")
def predictions_for_your_rows(run: Run):
    """`predict_svm` predicts your test rows as the SVM that was asked for does."""
    rows = run.solution("lab.load", run.login)
    return agreement(run, data.split(Dataset(rows.X, rows.y, tuple(rows.classes))))


@check("model", hint="The function has to work for any split, whatever its size and classes.")
def predictions_for_other_rows(run: Run):
    """`predict_svm` does so for other data, too."""
    return agreement(run, other_split(seed=8))


@check("model", hint="Record lab.accuracy of both predictions, for data.split with its defaults.")
def paper_records_accuracies(run: Run):
    """The paper has recorded the accuracies of both models on your test rows."""
    return run.recorded(*KEYS)


### END HIDDEN TESTS
@check("panel", hint="Bars stand upright, from 0 to the accuracy: ax.bar, not ax.barh.")
def bars_are_as_high_as_accuracies(run: Run):
    """The bars are as high as the accuracies."""
    accuracies = made_up()
    bars = run.student.draw("lab.draw", accuracies)["bars"]
    heights = sorted(height for _, bottom, _, height in bars if bottom == 0)
    return sorted(accuracies.values()), heights


@check("panel", hint="Each name has to be a tick label of the horizontal axis, under its bar.")
def bars_stand_over_their_names(run: Run):
    """Each bar stands over its model's name."""
    accuracies = made_up()
    drawn = run.student.draw("lab.draw", accuracies)
    names = {}
    for name, place in drawn["xticks"].items():
        inside = [h for x, _, width, h in drawn["bars"] if x <= place <= x + width]
        names[name] = inside[0] if inside else "no bar"
    return accuracies, names


@check("panel", hint="See ax.set_ylabel and ax.set_ylim.")
def axis_is_named_and_begins_at_zero(run: Run):
    """The vertical axis is called "test accuracy", begins at 0 and has room for all bars."""
    accuracies = made_up()
    drawn = run.student.draw("lab.draw", accuracies)
    bottom, top = drawn["ylim"]
    expected = {"name": "test accuracy", "begins at": 0, "has room": True}
    room = bool(drawn["bars"]) and top >= max(accuracies.values())
    return expected, {"name": drawn["ylabel"], "begins at": bottom, "has room": room}


@check("panel", hint="Print lab.accuracies(...) in a pycode block in a figure with a \\caption.")
def paper_shows_the_panel(run: Run):
    """The paper shows the panel in a figure with a caption."""
    answer = run.answer("panel")
    found = {
        "picture": b"<figures/accuracies.pdf" in run.file("paper.log"),
        "in a figure": "\\begin{figure" in answer,
        "caption": "\\caption{" in answer,
    }
    return dict.fromkeys(found, True), found


@check("claim", hint="Compare the keys in the condition, as in first.accuracy > second.accuracy.")
def claim_could_be_false(run: Run):
    """The claim compares the two accuracies: with others it would be false."""
    low, high = sorted(ANEW.uniform(0.5, 0.9, 2).tolist())
    cases = [(high, low), (low, high), (high, high)]
    for condition in run.claims("claim"):
        held = [run.holds(condition, dict(zip(KEYS, values, strict=True))) for values in cases]
        if any(held) and not all(held):
            return "a claim that can fail", "a claim that can fail"
    return "a claim that can fail", " and ".join(run.claims("claim")) or "no claim"


@check(
    "claim", hint="Inside the claim's text, \\interval{svm.accuracy} prints number and interval."
)
def sentence_prints_both(run: Run):
    """The sentence prints both accuracies with their intervals, and no number typed by hand."""
    answer = run.answer("claim")
    printed = [key for key in KEYS if f"\\interval{{{key}}}" in answer]
    return {"intervals": list(KEYS), "typed": []}, {
        "intervals": printed,
        "typed": run.typed("claim"),
    }


### BEGIN HIDDEN TESTS
@check("claim", hint="Look at your two accuracies, and say what is true of them.")
def claim_holds(run: Run):
    """The claim holds for your data."""
    found = run.claims("claim")
    false = [condition for condition in found if not run.holds(condition)]
    named = [condition for condition in found if all(key in condition for key in KEYS)]
    return {"claims of both": True, "false": []}, {"claims of both": bool(named), "false": false}


### END HIDDEN TESTS
