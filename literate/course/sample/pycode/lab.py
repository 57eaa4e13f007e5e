"""The functions that the lab's paper calls.

The exercises in paper.tex say how to fill the gaps.
"""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from literate import drawing
from pycode import data, inference
from pycode.data import Dataset, Split
from pycode.inference import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def seed(login: str) -> int:
    """Return the seed that belongs to a login, so that its data are unlike anybody else's."""
    return int.from_bytes(hashlib.sha256(login.strip().lower().encode()).digest()[:4])


def load(login: str) -> Dataset:
    """Return the data of a login: a synthetic data set, drawn with the login's `seed`.

    It has 600 samples of 12 features, of which 6 are informative and 2 are redundant, in 3 classes.
    """
    ### BEGIN SOLUTION
    return data.synthetic(
        n_samples=600,
        n_features=12,
        n_informative=6,
        n_redundant=2,
        n_classes=3,
        seed=seed(login),
    )
    ### END SOLUTION


def describe(dataset: Dataset) -> dict[str, float]:
    """Return `n_rows`, `n_features` and `largest_class` of a data set, in a dict with these keys.

    `n_rows` is the number of samples, and `n_features` the number of features.  `largest_class` is
    the share of the samples that belong to the most frequent class.
    """
    ### BEGIN SOLUTION
    counts = np.bincount(dataset.y)
    return {
        "n_rows": len(dataset.y),
        "n_features": dataset.X.shape[1],
        "largest_class": counts.max() / counts.sum(),
    }
    ### END SOLUTION


def predict_logistic(split: Split) -> NDArray[np.int64]:
    """Return the classes of the test samples, predicted by logistic regression.

    The model learns from the training samples only.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return model.fit(split.X_train, split.y_train).predict(split.X_test)


def predict_svm(split: Split) -> NDArray[np.int64]:
    """Return the classes of the test samples, predicted by a support vector machine.

    The machine learns from the training samples only.  It is scikit-learn's with its defaults, on
    features scaled to mean 0 and variance 1.
    """
    ### BEGIN SOLUTION
    machine = make_pipeline(StandardScaler(), SVC())
    return machine.fit(split.X_train, split.y_train).predict(split.X_test)
    ### END SOLUTION


def accuracy(predicted: NDArray[np.int64], split: Split) -> Estimate:
    """Return the share of the test samples that are predicted correctly, with its interval."""
    return inference.proportion(predicted == split.y_test)


def draw(ax: "Axes", accuracies: Mapping[str, float]) -> None:
    """Draw upright bars over the models' names, each as high as its model's accuracy.

    The vertical axis is called "test accuracy", begins at 0 and has room for all bars.
    """
    ### BEGIN SOLUTION
    ax.bar(list(accuracies), list(accuracies.values()), width=0.5)
    ax.set_ylabel("test accuracy")
    ax.set_ylim(0, 1)
    ### END SOLUTION


@drawing.figure
def accuracies(
    accuracies: Mapping[str, float], *, width: str | float, fontsize: str | float = 10
) -> drawing.Drawn:
    r"""Return the `\includegraphics` of accuracies, in figures/accuracies.pdf.

    The figure is narrower than the text.
    """
    fig, (ax,) = drawing.panels(0.6 * drawing.points(width), fontsize, height=2)
    draw(ax, accuracies)
    listed = ", ".join(f"{name} {value:.2f}" for name, value in accuracies.items())
    return fig, f"Test accuracy: {listed}."
