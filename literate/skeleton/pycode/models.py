"""The models that the paper compares, by the name it prints."""

from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def baseline() -> BaseEstimator:
    """Return the model that all others have to beat: it knows only the shares of the classes."""
    return DummyClassifier(strategy="prior")


def scaled(model: BaseEstimator) -> Pipeline:
    """Return `model` behind a scaler, which learns from the samples that the model is fitted on."""
    return make_pipeline(StandardScaler(), model)


def candidates(*, seed: int = 42) -> dict[str, Pipeline]:
    """Return the models, simplest first.

    A model added here appears in every table and figure.
    """
    return {
        "logistic": scaled(LogisticRegression(max_iter=1000, random_state=seed)),
    }
