"""The study of paper.tex as a bare script: what no build of the paper can be faster than.

All fits are one flat list, the long ones first, for a pool of two processes with one BLAS
thread each, forked when the imports are done.  It does nothing but fit, score and draw.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sklearn.base import clone
from sklearn.model_selection import ParameterGrid, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pycode import data, models

GRID = {
    "alpha": [1e-4, 1e-3, 1e-2],
    "hidden_layer_sizes": [(64,), (128, 64), (128, 64, 32)],
    "learning_rate_init": [1e-3, 1e-2],
}
SIZES = range(96, 961, 96)


def plan():
    """The names of all fits with what they need: estimator, rows to fit and rows to score."""
    fits = {}
    for name, dataset in {"synthetic": data.synthetic(), "digits": data.digits()}.items():
        split = data.split(dataset)
        scaled = split.scaled()
        X, y = scaled.X_train, scaled.y_train
        folds = list(StratifiedKFold(5).split(X, y))
        for model, estimator in models.candidates().items():
            pipeline = make_pipeline(StandardScaler(), estimator)
            held_out = (scaled.X_validation, scaled.y_validation, scaled.X_test, scaled.y_test)
            fits[name, model] = (estimator, X, y, X, y, *held_out)
            for k, (train, test) in enumerate(folds):
                fits[name, model, "cv", k] = (estimator, X[train], y[train], X[test], y[test])
                raw = split.X_train
                fits[name, model, "in fold", k] = (
                    pipeline,
                    raw[train],
                    y[train],
                    raw[test],
                    y[test],
                )
        if name == "synthetic":
            mlp = models.candidates()["MLP"]
            for k, (train, test) in enumerate(folds):
                for size in SIZES[:-1]:  # the last is the cross-validation
                    rows = train[:size]
                    fits["curve", size, k] = (
                        mlp,
                        X[rows],
                        y[rows],
                        X[test],
                        y[test],
                        X[rows],
                        y[rows],
                    )
            X, y = X[:500], y[:500]
            stopping = MLPClassifier(early_stopping=True, max_iter=200, random_state=42)
            for n, parameters in enumerate(ParameterGrid(GRID)):
                estimator = clone(stopping).set_params(**parameters)
                for k, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
                    fits["search", n, k] = (estimator, X[train], y[train], X[test], y[test])
    return fits


def fit(task):
    """The name of a task, the fitted estimator where it is needed, and its accuracies."""
    name, (estimator, X, y, *parts) = task
    fitted = clone(estimator).fit(X, y)
    accuracies = [fitted.score(*part) for part in zip(parts[::2], parts[1::2], strict=True)]
    return name, fitted if len(name) == 2 else None, accuracies


def cost(task):
    """A guess: networks take longest, then forests, and more rows take longer."""
    estimator, X = task[1][:2]
    text = str(estimator)
    return -len(X) * (("MLP" in text) * 3 + ("Forest" in text) * 2 + 1)


def main():
    """Everything."""
    fits = plan()
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        done = {name: rest for name, *rest in pool.map(fit, sorted(fits.items(), key=cost))}
    print(len(done), "fits")


if __name__ == "__main__":
    main()
