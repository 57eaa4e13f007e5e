"""The models that the paper compares, by the name it prints."""

from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression


def baseline() -> BaseEstimator:
    """Return the model that all others have to beat: it knows only the shares of the classes."""
    return DummyClassifier(strategy="prior", random_state=0)  # with a seed fits are remembered


def candidates(*, seed: int = 42) -> dict[str, BaseEstimator]:
    """Return the models, simplest first.

    A model added here appears in every table and figure.
    """
    return {
        "logistic": LogisticRegression(max_iter=1000, random_state=seed),
    }
