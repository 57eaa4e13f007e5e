"""The study of paper.tex as a bare script, which no build of the paper can be faster than.

`python limit.py KEPT` makes all fits, one flat list with the long ones first, in a pool of two
processes with one BLAS thread each, forked when the imports are done; draws the figures into
the folder KEPT, and keeps there what is drawn.  `limit.py KEPT svm` makes the fits of the SVM
alone and draws, `limit.py KEPT figure` draws one figure.  Nothing is remembered (but
the converted font, as in a build), recorded or set in type.
"""

import multiprocessing
import os
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pycode import data, evaluation, figures, inspection, models

GRID = {
    "alpha": [1e-4, 1e-3, 1e-2],
    "hidden_layer_sizes": [(64,), (128, 64), (128, 64, 32)],
    "learning_rate_init": [1e-3, 1e-2],
}
SIZES = range(96, 961, 96)
WIDTH = "441pt"


def plan(split, *, full):
    """The fits by name: an estimator, the rows to fit and one or more parts to score."""
    fits, scaled = {}, split.scaled()
    X, y, raw = scaled.X_train, scaled.y_train, split.X_train
    folds = list(StratifiedKFold(5).split(X, y))
    for model, estimator in models.candidates().items():
        held_out = (scaled.X_validation, scaled.y_validation, scaled.X_test, scaled.y_test)
        fits[model, "fit"] = (estimator, X, y, X, y, *held_out)
        pipeline = make_pipeline(StandardScaler(), estimator)
        for k, (a, b) in enumerate(folds):
            fits[model, "cv", k] = (estimator, X[a], y[a], X[b], y[b])
            fits[model, "in fold", k] = (pipeline, raw[a], y[a], raw[b], y[b])
    if full:
        mlp = models.candidates()["MLP"]
        for k, (a, b) in enumerate(folds):
            for size in SIZES[:-1]:  # the last is the cross-validation
                rows = a[:size]
                fits["curve", size, k] = (mlp, X[rows], y[rows], X[rows], y[rows], X[b], y[b])
        X, y = X[:500], y[:500]
        stopping = MLPClassifier(early_stopping=True, max_iter=200, random_state=42)
        for n, parameters in enumerate(ParameterGrid(GRID)):
            candidate = clone(stopping).set_params(**parameters)
            for k, (a, b) in enumerate(StratifiedKFold(3).split(X, y)):
                fits["search", n, k] = (candidate, X[a], y[a], X[b], y[b])
    return fits


def fit(task):
    """The name of a fit, the fitted estimator if it is used later, and its accuracies."""
    name, (estimator, X, y, *parts) = task
    fitted = clone(estimator).fit(X, y)
    scores = [fitted.score(*part) for part in zip(parts[::2], parts[1::2], strict=True)]
    return name, (fitted if "fit" in name else None, scores)


def cost(task):
    """A guess: networks take longest, then forests, and more rows take longer."""
    estimator, X = task[1][:2]
    return -len(X) * (1 + 3 * ("MLP" in str(estimator)) + 2 * ("Forest" in str(estimator)))


def run(fits):
    """What `fit` says of each, by name."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        return dict(pool.map(fit, sorted(fits.items(), key=cost)))


def drawn(split, digits, fitted):
    """What the figures show, by their names."""
    done = {name[1:]: said for name, said in fitted.items() if name[0] == "synthetic"}
    done |= {name: said for name, said in fitted.items() if name[0] == "digits"}
    scores = {}
    for model in models.candidates():
        estimator, parts = done[model, "fit"]
        cv = np.array([done[model, "cv", k][1][0] for k in range(5)])
        in_fold = np.array([done[model, "in fold", k][1][0] for k in range(5)])
        spread = (cv.mean(), cv.std(), in_fold.mean(), in_fold.std())
        scores[model] = evaluation.Score(*parts, *spread, len(pickle.dumps(estimator)), estimator)
    done.update({("curve", 960, k): (None, [1.0, *done["MLP", "cv", k][1]]) for k in range(5)})
    points = np.array([[done["curve", size, k][1] for k in range(5)] for size in SIZES])
    (train, validation), (train_sd, validation_sd) = points.mean(1).T, points.std(1).T
    curve = evaluation.LearningCurve(tuple(SIZES), train, train_sd, validation, validation_sd)
    importances = inspection.importances(scores["random forest"].estimator)
    confidence = inspection.confidence(scores["MLP"].estimator, split)
    confusion = inspection.confusion(scores["SVM"].estimator, split)
    wrong, said = inspection.mistakes(done["digits", "SVM", "fit"][0], digits)
    images = digits.X_test[wrong].reshape(-1, 8, 8)
    return {
        "mistakes": ((images, digits.y_test[wrong], said, digits.classes), {}),
        "performance": ((scores, curve, confusion, split.classes), {"best": "SVM"}),
        "behaviour": ((scores, importances, confidence), {}),
    }


def draw(folder, name, arguments, options):
    """Draws a figure into a file."""
    function = getattr(figures, name).__wrapped__
    pdf, _ = figures._pdf(function, arguments, {**options, "width": WIDTH}, figures.font())
    (folder / f"{name}.pdf").write_bytes(pdf)


def main(folder, part="all"):
    """Everything, or a part."""
    kept = folder / "kept.pickle"
    if part == "figure":
        draw(folder, "behaviour", *pickle.loads(kept.read_bytes())["drawn"]["behaviour"])
        return
    split = data.split(data.synthetic())
    digits = data.split(data.digits())
    fits = {("synthetic", *name): task for name, task in plan(split, full=True).items()}
    fits |= {("digits", *name): task for name, task in plan(digits, full=False).items()}
    done = {}
    if part == "svm":
        done = pickle.loads(kept.read_bytes())["done"]
        fits = {name: task for name, task in fits.items() if name[1] == "SVM"}
    done |= run(fits)
    images = drawn(split, digits, done)
    for name, (arguments, options) in images.items():
        draw(folder, name, arguments, options)
    if part == "all":
        kept.write_bytes(pickle.dumps({"done": done, "drawn": images}))
    print(len(fits), "fits")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
