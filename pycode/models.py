"""The models that the paper compares, by the names it prints, and what is tuned in each."""

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import HalvingRandomSearchCV, StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

# The values of each model's hyperparameters, from which settings are drawn.
SPACES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "logistic": {"C": [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3]},
    "random forest": {"max_features": [2, 4, 8], "min_samples_leaf": [1, 2, 4]},
    "SVM": {"C": [0.1, 1.0, 10.0, 100.0, 1e3], "gamma": [0.002, 0.004, 0.008, 0.016, 0.032, 0.064]},
    "MLP": {
        "alpha": [1e-3, 1e-2, 0.1, 1.0, 10.0],
        "hidden_layer_sizes": [(64,), (128,), (256,), (128, 64, 32)],
        "learning_rate_init": [3e-3, 1e-2],
    },
}


def baseline() -> BaseEstimator:
    """Return the model that all others have to beat: it knows only the shares of the classes."""
    return DummyClassifier(strategy="prior")


def preprocess(dataset: Any) -> BaseEstimator:
    """Return the step before a model that makes scaled numbers of a data set's features.

    It learns from the samples that the pipeline is fitted on.  Of a DataFrame, numbers that are
    missing become the column's median, and each text a column of its own, a missing one too; a text
    that was not there when it was fitted has none.
    """
    if not hasattr(dataset.X, "iloc"):
        return StandardScaler()
    numbers = make_column_selector(dtype_include="number")
    other = make_column_selector(dtype_exclude="number")
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (make_pipeline(filled, StandardScaler()), numbers), (encoder, other)
    )


def scaled(model: BaseEstimator, preprocessing: BaseEstimator | None = None) -> Pipeline:
    """Return `model` behind a scaler, or other preprocessing.

    It learns from the samples that the model is fitted on.
    """
    return make_pipeline(preprocessing or StandardScaler(), model)


def candidates(
    *, preprocessing: BaseEstimator | None = None, seed: int = 42
) -> dict[str, Pipeline]:
    """Return the models, simplest first, behind a scaler or other preprocessing.

    A model added here appears in every table and figure.
    """
    found = {
        "logistic": LogisticRegression(max_iter=1000, random_state=seed),
        "random forest": RandomForestClassifier(n_estimators=100, random_state=seed),
        "SVM": SVC(kernel="rbf", random_state=seed),
        "MLP": MLPClassifier((128, 64, 32), alpha=0.001, max_iter=500, random_state=seed),
    }
    return {name: scaled(model, preprocessing) for name, model in found.items()}


def tuned(
    candidates: Mapping[str, Pipeline],
    *,
    n_settings: int = 8,
    seed: int = 42,
    scoring: str | None = None,
) -> dict[str, BaseEstimator]:
    """Return each candidate as a search that tunes it when it is fitted, all on one budget.

    A search draws `n_settings` settings from SPACES and compares them by successive halving
    (Jamieson 2016): all on a quarter of the samples, the best quarter of the settings on all
    samples.  A quarter of the samples of each round is held out to score the settings.  The winner
    is fitted to all samples.  A candidate without a space is returned as it is.  `scoring` is that
    of scikit-learn's searches, which compare settings by accuracy without it.
    """
    options: Any = {
        "n_candidates": n_settings,
        "factor": 4,
        "min_resources": "exhaust",
        "cv": StratifiedShuffleSplit(1, test_size=0.25, random_state=seed),
        "random_state": seed,
        "error_score": "raise",
        "scoring": scoring,
    }
    searches: dict[str, BaseEstimator] = {}
    for name, candidate in candidates.items():
        prefix = candidate.steps[-1][0]
        space = {f"{prefix}__{key}": list(v) for key, v in SPACES.get(name, {}).items()}
        searches[name] = candidate
        if space:
            searches[name] = HalvingRandomSearchCV(candidate, space, **options)
    return searches


def at_edge(name: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether a penalty or a width is the least or the largest that SPACES has for it."""
    ranges = {
        key: v for key, v in SPACES.get(name, {}).items() if isinstance(v[0], float) and v[2:]
    }
    return any(parameters.get(key) in (min(v), max(v)) for key, v in ranges.items())


def description(model: BaseEstimator) -> str:
    """Return a text that differs if the model, or a parameter that is tuned in it, does."""
    return repr(sorted(model.get_params(deep=False).items()))
