"""Convolutional networks as scikit-learn estimators, and the paper's experiments on them.

This module needs PyTorch, skorch and captum (`pip install .[deep]`), which nothing else here does.
Samples are flat images, as in all data sets here; `shape` says how they unfold.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import ceil, isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from literate.cache import remembered
from pycode import evaluation, inference
from pycode.data import Split
from pycode.evaluation import Variant
from pycode.inference import Estimate
from pycode.models import scaled

try:
    import torch  # pyright: ignore[reportMissingImports]
    from captum.attr import IntegratedGradients  # pyright: ignore[reportMissingImports]
    from skorch import NeuralNetClassifier  # pyright: ignore[reportMissingImports]
    from skorch.callbacks import Callback  # pyright: ignore[reportMissingImports]
    from torch import nn  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise ImportError(f"{error}: for networks run pip install .[deep], or make deep") from error

Shape = tuple[int, int, int]  # channels, height, width
Array = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.float32]]

DEPTHS = (1, 2, 3)  # blocks in a stage
LABELS = (1, 2, 5, 10, 20, 50)  # labelled images per class, to adapt with
PENALTIES = tuple(10.0**power for power in range(-4, 7))  # C of a regression, strongest first
N_POINTS = 30  # of a training curve, at most


class VGG(nn.Sequential):
    """Two stacks of `depth` convolutions 3 x 3, each halved by pooling (Simonyan 2015).

    With one convolution each, and no normalisation, it is the plain network of LeCun (1998).
    """

    def __init__(
        self,
        shape: Shape,
        n_classes: int,
        *,
        width: int = 16,
        depth: int = 2,
        batch_norm: bool = True,
        shift: int = 0,
    ) -> None:
        channels, height, length = shape
        layers = []
        for out in (width, 2 * width):
            for _ in range(depth):
                layers += _convolution(channels, out, batch_norm=batch_norm)
                channels = out
            layers.append(nn.MaxPool2d(2))
        super().__init__(
            *_images(shape, shift),
            *layers,
            nn.Flatten(),
            nn.Linear(channels * (height // 4) * (length // 4), 64),
            nn.ReLU(),
            nn.Linear(64, n_classes),
        )


class ResNet(nn.Sequential):
    """Two stages of `depth` residual blocks, the second with half the pixels (He 2016)."""

    def __init__(
        self,
        shape: Shape,
        n_classes: int,
        *,
        width: int = 16,
        depth: int = 2,
        batch_norm: bool = True,
        residual: bool = True,
        shift: int = 0,
    ) -> None:
        block: Any = partial(Block, batch_norm=batch_norm, residual=residual)
        super().__init__(
            *_images(shape, shift),
            *_convolution(shape[0], width, batch_norm=batch_norm),
            *(block(width, width) for _ in range(depth)),
            block(width, 2 * width, stride=2),
            *(block(2 * width, 2 * width) for _ in range(depth - 1)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * width, n_classes),
        )


class Block(nn.Module):
    """Two convolutions, with a shortcut around them if `residual`."""

    def __init__(
        self, channels: int, out: int, *, stride: int = 1, batch_norm: bool, residual: bool
    ) -> None:
        super().__init__()
        first = _convolution(channels, out, stride=stride, batch_norm=batch_norm)
        second = _convolution(out, out, batch_norm=batch_norm)[:-1]
        self.layers = nn.Sequential(*first, *second)
        self.shortcut = None
        if residual:
            same = channels == out and stride == 1
            self.shortcut = nn.Identity() if same else nn.Conv2d(channels, out, 1, stride)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the block's output, (n, out, height, width)."""
        Y = self.layers(X)
        return torch.relu(Y if self.shortcut is None else Y + self.shortcut(X))


class Shift(nn.Module):
    """A layer that moves each image by up to `max_pixels`, in training only.

    Pixels that move in are 0, which is the mean once the images are scaled.
    """

    def __init__(self, max_pixels: int) -> None:
        super().__init__()
        self.max_pixels = max_pixels

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the images (n, channels, height, width), each moved by its own amount."""
        if not self.training:
            return X
        height, length = X.shape[2:]
        padded = nn.functional.pad(X, (self.max_pixels,) * 4)
        moves = torch.randint(0, 2 * self.max_pixels + 1, (len(X), 2)).tolist()
        return torch.stack(
            [x[:, i : i + height, j : j + length] for x, (i, j) in zip(padded, moves, strict=True)]
        )


class Network(NeuralNetClassifier):
    """A neural network that is trained like any scikit-learn estimator.

    Training takes `n_steps` steps, and those that complete the last epoch, whatever the number of
    samples, which are shuffled for each epoch.  The learning rate falls linearly from `lr` to zero.
    The same `random_state` gives the same network again.  `pretrained`, the `weights` of another
    network, replace the initial weights of all layers but the last.  Everything else is skorch's.
    """

    def __init__(
        self,
        module: Any,
        *,
        n_steps: int = 500,
        random_state: int = 0,
        pretrained: Weights | None = None,
        criterion: Any = nn.CrossEntropyLoss,
        train_split: Any = None,
        iterator_train__shuffle: bool = True,
        callbacks: Any = "disable",
        verbose: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(
            module,
            criterion=criterion,
            train_split=train_split,
            iterator_train__shuffle=iterator_train__shuffle,
            callbacks=callbacks,
            verbose=verbose,
            **settings,
        )
        self.n_steps = n_steps
        self.random_state = random_state
        self.pretrained = pretrained

    def fit(self, X: Any, y: Any, **fit_params: Any) -> "Network":
        """Train the network on samples `X` (n, n_features) of classes `y`, 0 to n_classes - 1."""
        with _reproducible(self.random_state):
            return super().fit(np.asarray(X, np.float32), np.asarray(y, np.int64), **fit_params)

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the classes, (n, n_classes)."""
        found = super().predict_proba(np.asarray(X, np.float32)).astype(float)
        return found / found.sum(axis=1, keepdims=True)

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Any:
        """Train for the epochs that have `n_steps` steps or a few more."""
        batches = self.get_iterator(self.get_dataset(X, y), training=True)
        epochs = epochs or ceil(self.n_steps / len(batches))
        return super().fit_loop(X, y, epochs=epochs, **fit_params)

    def initialize_module(self) -> "Network":
        """Give the network new weights.

        Raises RuntimeError if `pretrained` are those of a network with other layers.
        """
        super().initialize_module()
        if self.pretrained is not None:
            *_, (last, _) = self.module_.named_children()
            new = {name: w for name, w in self.weights.items() if name.startswith(f"{last}.")}
            self._load({**self.pretrained, **new})
        return self

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> "Network":
        """Give the network a learning rate that will fall to zero."""
        super().initialize_optimizer(*args, **kwargs)
        self.schedule_ = torch.optim.lr_scheduler.PolynomialLR(self.optimizer_, self.n_steps)
        return self

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Take one training step and return its loss and predictions."""
        step = super().train_step(batch, **fit_params)
        self.schedule_.step()
        return step

    @property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return all arrays that the fitted network keeps, by their names in its module."""
        return {name: w.cpu().numpy() for name, w in self.module_.state_dict().items()}

    @property
    def coefs_(self) -> list[NDArray[np.float32]]:
        """Return all trained weights and biases, under the name that scikit-learn's MLP has."""
        return [w.detach().cpu().numpy() for w in self.module_.parameters()]

    def _load(self, weights: Weights) -> None:
        # Copied, since the arrays belong to another network.
        tensors = {name: torch.tensor(np.asarray(w)) for name, w in weights.items()}
        self.module_.load_state_dict(tensors)

    # Torch's own state would keep the times of training, and need the tensors' device.
    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {"params": self.get_params(deep=False)}
        if hasattr(self, "module_"):
            state |= {"weights": self.weights, "classes": self.classes_}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["params"])
        if str(self.device).startswith("cuda") and not torch.cuda.is_available():
            self.device = "cpu"
        if "weights" in state:
            with torch.random.fork_rng():
                self.initialize()
            self._load(state["weights"])
            self.classes_inferred_ = state["classes"]


def candidates(
    *, shape: Shape = (1, 8, 8), n_classes: int = 10, seed: int = 42, device: str = ""
) -> dict[str, Pipeline]:
    """Return the networks, simplest first, for images of `shape` (channels, height, width).

    They are trained on `device`, by default a GPU if there is one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    modules: dict[str, dict[str, Any]] = {
        "CNN": {"module": VGG, "module__depth": 1, "module__batch_norm": False},
        "VGG-like": {"module": VGG},
        "residual": {"module": ResNet},
    }
    return {
        name: scaled(
            Network(
                **module,
                module__shape=shape,
                module__n_classes=n_classes,
                optimizer=torch.optim.AdamW,
                lr=0.003,
                batch_size=32,
                device=device,
                random_state=seed,
            )
        )
        for name, module in modules.items()
    }


def depths(
    network: Pipeline, split: Split, *, seeds: Sequence[int]
) -> dict[str, dict[str, dict[int, Any]]]:
    """Measure validation accuracy by depth, with and without shortcuts and batch normalisation.

    Returns the mean over `seeds` of the network, with Student's interval, and the lowest accuracy;
    and what normalisation gains with shortcuts, by the paired t-test over seeds with Holm's
    correction for all depths.
    """
    kinds = {
        "both": (True, True),
        "normalised": (True, False),
        "residual": (False, True),
        "neither": (False, False),
    }
    grid = [
        {
            "module__batch_norm": [batch_norm],
            "module__residual": [residual],
            "module__depth": DEPTHS,
            "random_state": list(seeds),
        }
        for batch_norm, residual in kinds.values()
    ]
    accuracies = _over_seeds(evaluation.vary(network, grid, split), len(seeds))
    by_kind = dict(zip(kinds, accuracies.reshape(len(kinds), len(DEPTHS), -1), strict=True))
    gain, p_holm = _gains({kind: rows.T for kind, rows in by_kind.items()}, ["both"], "residual")
    measured: dict[str, dict[str, list[Any]]] = {
        "mean": {
            kind: [inference.mean(row, bounds=(0, 1)) for row in rows]
            for kind, rows in by_kind.items()
        },
        "min": {kind: rows.min(axis=1).tolist() for kind, rows in by_kind.items()},
        "normalisation": {"gain": gain["both"], "p_holm": p_holm["both"]},
    }
    return {part: _by(DEPTHS, rows) for part, rows in measured.items()}


def trainings(network: Pipeline, split: Split, *, seeds: Sequence[int]) -> dict[str, Estimate]:
    """Measure validation accuracy with other optimisers, and with images shifted in training.

    Returns means over `seeds` of the network, with Student's interval.
    """
    grids = {
        "SGD": {"optimizer": [torch.optim.SGD], "lr": [0.05], "optimizer__momentum": [0.9]},
        "Adam": {"optimizer": [torch.optim.Adam]},
        "AdamW": {"optimizer": [torch.optim.AdamW]},
        "AdamW, shifts": {"module__shift": [1]},
    }
    grid = [{**some, "random_state": list(seeds)} for some in grids.values()]
    accuracies = _over_seeds(evaluation.vary(network, grid, split), len(seeds))
    means = (inference.mean(row, bounds=(0, 1)) for row in accuracies)
    return dict(zip(grids, means, strict=True))


def transfer(
    network: Pipeline, split: Split, *, seeds: Sequence[int], labels: Sequence[int] = LABELS
) -> dict[str, dict[str, Any]]:
    """Measure transfer to the second half of the classes, by labelled images of each class.

    A network is trained on the first half of the classes and adapted to the second half with a few
    images.  In `frozen`, a logistic regression learns from the network's penultimate layer.  In
    `fine-tuned`, training continues in all layers below a new last one.  `scratch` starts with new
    weights, and `raw pixels` is a logistic regression without any network.  All pixels are scaled
    alike, since a pixel may always be empty in the first half.  If the number of classes is odd,
    the last class is left out.

    The regressions have their default penalty.  In `frozen, tuned` and `raw pixels, tuned`, the
    penalty is that of PENALTIES with the highest accuracy on the validation samples of the second
    half, and the strongest of equals.  These are more labelled images than the few that the models
    learn from, so both have an advantage over the others.  Features are not standardised: they
    vary about equally, and the penalty adapts to their common scale.

    Returns test accuracies as means over `seeds`, with Student's interval.  Each seed draws the
    images, the weights and the training anew.  The interval does not cover the choice of the test
    samples.  `gain` has, for each baseline, the differences from it: from `scratch`, those of what
    a network learnt before, and from raw pixels, tuned or not, those of all networks.  The p-values
    are those of the paired t-test, with Holm's correction for all gains over the same baseline.
    `C` is the median of the penalties chosen, and `at_edge` the share of the draws that chose the
    first or the last.

    Raises ValueError if a class has fewer training samples than `labels` asks for.
    """
    half = len(split.classes) // 2
    early = split.y_train < half
    mean, sd = split.X_train[early].mean(), split.X_train[early].std()
    pixels, y = {}, {}
    for part in evaluation.PARTS:
        X_part, y_part = getattr(split, f"X_{part}"), getattr(split, f"y_{part}")
        late = (y_part >= half) & (y_part < 2 * half)
        pixels[part], y[part] = (X_part[late] - mean) / sd, y_part[late] - half
    fewest = np.bincount(y["train"], minlength=half).min()
    if fewest < max(labels):
        raise ValueError(
            f"a class has {fewest} training samples, and labels has {max(labels)}: ask for fewer"
        )

    fresh = [_with(network[-1], module__n_classes=half, random_state=seed) for seed in seeds]
    trained = _fit.map(fresh, X=(split.X_train[early] - mean) / sd, y=split.y_train[early])
    adapted = [_with(new, pretrained=old.weights) for new, old in zip(fresh, trained, strict=True)]
    raw = [pixels] * len(seeds)
    seen = [{part: features(old, X) for part, X in pixels.items()} for old in trained]
    orders = [np.random.default_rng(seed).permutation(len(y["train"])) for seed in seeds]
    few = [
        [np.concatenate([order[y["train"][order] == c][:n] for c in range(half)]) for n in labels]
        for order in orders
    ]

    def each(models: Sequence[Network]) -> list[list[Any]]:
        return [[model] * len(labels) for model in models]

    def logistic(penalties: Any = 1.0) -> list[list[Any]]:
        rows = np.broadcast_to(penalties, (len(seeds), len(labels))).tolist()
        return [
            [LogisticRegression(C=C, max_iter=10_000, random_state=seed) for C in row]
            for seed, row in zip(seeds, rows, strict=True)
        ]

    tuned = {"frozen, tuned": seen, "raw pixels, tuned": raw}
    tries = [(logistic(C), X) for X in tuned.values() for C in PENALTIES]
    validation = _accuracies(tries, y, few, part="validation")
    validation = validation.reshape(len(tuned), len(PENALTIES), len(seeds), len(labels))
    chosen = dict(zip(tuned, np.array(PENALTIES)[validation.argmax(axis=1)], strict=True))
    plans = {
        "scratch": (each(fresh), raw),
        "frozen": (logistic(), seen),
        "fine-tuned": (each(adapted), raw),
        "raw pixels": (logistic(), raw),
        **{name: (logistic(chosen[name]), X) for name, X in tuned.items()},
    }
    found = dict(zip(plans, _accuracies(list(plans.values()), y, few, part="test"), strict=True))
    by_network = ("scratch", "frozen", "fine-tuned", "frozen, tuned")
    baselines = {
        "scratch": by_network[1:],
        "raw pixels": by_network,
        "raw pixels, tuned": by_network,
    }
    gains = {name: _gains(found, compared, name) for name, compared in baselines.items()}
    measured = {
        "accuracy": {
            name: [inference.mean(row, bounds=(0, 1)) for row in values.T]
            for name, values in found.items()
        },
        "C": {
            name: np.quantile(C, 0.5, axis=0, method="lower").tolist() for name, C in chosen.items()
        },
        "at_edge": {
            name: np.isin(C, (PENALTIES[0], PENALTIES[-1])).mean(axis=0).tolist()
            for name, C in chosen.items()
        },
    }
    return {
        **{key: _by(labels, rows) for key, rows in measured.items()},
        "gain": {name: _by(labels, gain) for name, (gain, _) in gains.items()},
        "p_holm": {name: _by(labels, p_holm) for name, (_, p_holm) in gains.items()},
    }


@remembered
def training_curve(
    network: Any, X: Any, y: Any, X_validation: Any, y_validation: Any
) -> dict[str, list[float]]:
    """Train a copy of `network` and return its loss and validation accuracy by epoch, from 1.

    An epoch's loss is the mean over its training samples, each before the step that it is used for.
    The accuracy is that after the epoch.  Measuring it does not change the training.  Of more than
    N_POINTS epochs, as many are returned, evenly spaced from the first to the last.
    """
    watched: Any = clone(network)
    # Not by set_params, which fails for callbacks of a network that is not initialised.
    watched.callbacks = [_Validation(X_validation, y_validation)]
    history: Any = watched.fit(X, y).history
    shown = np.linspace(0, len(history) - 1, min(len(history), N_POINTS)).round().astype(int)
    epochs = [history[place] for place in shown.tolist()]
    return {
        "epoch": [epoch["epoch"] for epoch in epochs],
        "loss": [float(epoch["train_loss"]) for epoch in epochs],
        "validation": [float(epoch["validation"]) for epoch in epochs],
    }


def layers(network: Network, X: Any) -> list[dict[str, Any]]:
    """Return the fitted network's layers for a drawing: the kind of each, and its output's shape.

    The shapes are found by passing the first sample of `X` through the network.  A convolution or a
    linear layer includes the normalisation and the nonlinearity that follow it.
    """
    tensor = torch.tensor(np.asarray(X[:1]), dtype=torch.float32, device=network.device)
    found = []
    with torch.no_grad():
        for layer in network.module_.eval().children():
            tensor = layer(tensor)
            if kind := _kind(layer):
                found.append({"kind": kind, "shape": list(tensor.shape[1:])})
    return found


def features(network: Network, X: Any) -> Array:
    """Return the input of the fitted network's last layer for the samples, (n, n_last)."""
    tensor = torch.tensor(np.asarray(X), dtype=torch.float32, device=network.device)
    with torch.no_grad():
        layers = list(network.module_.eval().children())
        return nn.Sequential(*layers[:-1])(tensor).cpu().numpy().astype(float)


def attributions(network: Network, X: Any, y: Any, *, n_steps: int = 64) -> Array:
    """Attribute the score of class `y` to the features (n, n_features) by integrated gradients.

    The path is a straight line from 0, the mean image once scaled, to the sample, with `n_steps`
    Gauss-Legendre points.  A sample's attributions sum to the difference between the scores at the
    ends of its path, up to the error of the steps (Sundararajan 2017).
    """
    ends = torch.tensor(np.asarray(X), dtype=torch.float32, device=network.device)
    target = torch.tensor(np.asarray(y), device=network.device)
    explain = IntegratedGradients(network.module_.eval()).attribute
    # Few samples at a time: memory has to hold all points of their paths.
    parts = zip(ends.split(16), target.split(16), strict=True)
    found = torch.cat([explain(rows, target=some, n_steps=n_steps) for rows, some in parts])
    return found.detach().cpu().numpy().astype(float)


def filters(network: Network) -> Array:
    """Return the weights of the first convolution, (n_filters, channels, 3, 3)."""
    first = next(layer for layer in network.module_.modules() if isinstance(layer, nn.Conv2d))
    return first.weight.detach().cpu().numpy().astype(float)


def shuffled(network: Network, *, seed: int = 0) -> Network:
    """Return a copy of the fitted network with each of its weight arrays in another order."""
    rng = np.random.default_rng(seed)
    other = copy.deepcopy(network)
    with torch.no_grad():
        for weights in other.module_.parameters():
            order = rng.permutation(weights.numel())
            weights.copy_(weights.flatten()[order].reshape(weights.shape))
    return other


def rank_correlation(first: Array, second: Array) -> Estimate:
    """Return Spearman's rank correlation of two maps of a sample, as the mean over the samples.

    The maps are (n, n_features) each.  Features that are 0 in both maps of a sample, such as those
    that never vary, do not count.
    """
    found = []
    for a, b in zip(first, second, strict=True):
        counted = (a != 0) | (b != 0)
        correlation: Any = spearmanr(a[counted], b[counted])
        found.append(correlation.statistic)
    return inference.mean(found, bounds=(-1, 1))


def study(
    split: Split,
    others: Mapping[str, BaseEstimator],
    *,
    seed: int,
    seeds: Sequence[int] = range(5),
    transfer_seeds: Sequence[int] = range(10),
) -> dict[str, Any]:
    """Return all that the paper says of the networks, trained on the CPU, and of `others`.

    `split` has samples that are square greyscale images.
    """
    side = isqrt(split.X_train.shape[1])
    networks = candidates(
        shape=(1, side, side), n_classes=len(split.classes), seed=seed, device="cpu"
    )
    models = dict(others) | networks
    scores = evaluation.compare(models, split)
    folds = evaluation.cross_validate(models, split, seed=seed)
    network = networks["residual"]
    scaler, fitted = scores["residual"].estimator.named_steps.values()
    other = evaluation.with_parameters(network, {"random_state": seed + 1})
    again = _fit(other, X=split.X_train, y=split.y_train)[-1]
    maps = {
        name: attributions(some, scaler.transform(split.X_test), split.y_test)
        for name, some in (
            ("trained", fitted),
            ("again", again),
            ("shuffled", shuffled(fitted, seed=seed)),
        )
    }
    parameters = {name: evaluation.n_parameters(s.estimator) for name, s in scores.items()}
    trainable = [evaluation.scaled_once(some, split) for some in networks.values()]
    training_curves = training_curve.map(
        *zip(
            *(
                (last, s.X_train, s.y_train, s.X_validation, s.y_validation)
                for last, s in trainable
            ),
            strict=True,
        )
    )
    # The first test sample of every other class, whatever it looks like.
    shown = [list(split.y_test).index(label) for label in range(0, len(split.classes), 2)]
    return {
        "seeds": list(seeds),
        "transfer_seeds": list(transfer_seeds),
        "training": {name: getattr(network[-1], name) for name in ("n_steps", "batch_size", "lr")},
        "scores": scores,
        "parameters": {name: n for name, n in parameters.items() if n},
        "layers": {name: layers(scores[name].estimator[-1], split.X_test) for name in networks},
        "training_curves": dict(zip(networks, training_curves, strict=True)),
        "best": evaluation.best(scores),
        "ties": evaluation.ties(scores),
        "pairs": evaluation.compare_pairs(scores),
        "folds": folds,
        "fold_tests": evaluation.compare_folds(folds),
        "curves": {
            name: evaluation.learning_curve(*evaluation.scaled_once(model, split), n_sizes=5)
            for name, model in models.items()
        },
        "depths": depths(network, split, seeds=seeds),
        "trainings": trainings(network, split, seeds=seeds),
        "transfer": transfer(network, split, seeds=transfer_seeds),
        "rank_correlation": {
            "again": rank_correlation(maps["trained"], maps["again"]),
            "shuffled": rank_correlation(maps["trained"], maps["shuffled"]),
        },
        "images": {
            "digits": split.X_test[shown],
            "labels": [split.classes[label] for label in split.y_test[shown]],
            "maps": maps["trained"][shown],
            "shuffled": maps["shuffled"][shown],
            "filters": filters(fitted).reshape(-1, 9),
        },
    }


def _images(shape: Shape, shift: int) -> list[nn.Module]:
    """Return the layers that turn samples into images and shift these."""
    return [nn.Unflatten(1, shape), *[Shift(shift)] * (shift > 0)]


def _convolution(
    channels: int, out: int, *, stride: int = 1, batch_norm: bool = False
) -> list[nn.Module]:
    normalise = [nn.BatchNorm2d(out)] * batch_norm
    return [nn.Conv2d(channels, out, 3, stride, padding=1), *normalise, nn.ReLU()]


def _kind(layer: nn.Module) -> str:
    """Return what a drawing calls a layer, or nothing if it does not show the layer."""
    match layer:
        case nn.Unflatten():
            return "image"
        case nn.Conv2d():
            return "conv {}x{}".format(*layer.kernel_size)
        case nn.MaxPool2d():
            return f"pool {layer.kernel_size}x{layer.kernel_size}"
        case nn.AdaptiveAvgPool2d():
            return "average"
        case Block():
            return "plain" if layer.shortcut is None else "block"
        case nn.Linear():
            return "linear"
    return ""


class _Validation(Callback):
    """Notes a network's accuracy on the validation samples after each epoch of its training."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    def on_epoch_end(self, net: Any, **_: Any) -> None:  # pyright: ignore
        # A pass over samples draws a random number, which the training must not miss.
        with torch.random.fork_rng():
            net.history.record("validation", net.score(self.X, self.y))


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Yield with a fixed order of all sums and fixed random numbers; restore both afterwards."""
    threads, strictness = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(strictness)


def _over_seeds(variants: Sequence[Variant], n: int) -> Array:
    """Return the validation accuracies, one row for each `n` that differ only in the seed."""
    return np.reshape([float(variant.validation) for variant in variants], (-1, n))


def _accuracies(
    plans: Sequence[tuple[Any, Any]],
    y: Mapping[str, NDArray[np.int64]],
    few: Sequence[Sequence[NDArray[np.intp]]],
    *,
    part: str,
) -> Array:
    """Return accuracies on a part of the samples, (n_plans, n_seeds, n_labels).

    A plan has a model for each seed and number of labels, and the samples of each part for each
    seed.  `few` are the positions of the training samples to fit each model on.
    """
    calls = [
        (model, X["train"][some], y["train"][some], X[part], y[part])
        for models, samples in plans
        for row, X, draw in zip(models, samples, few, strict=True)
        for model, some in zip(row, draw, strict=True)
    ]
    found = evaluation.fit_score.map(*zip(*calls, strict=True))
    return np.reshape(found, (len(plans), len(few), -1))


def _gains(
    accuracies: Mapping[str, Array], names: Sequence[str], baseline: str
) -> tuple[dict[str, list[Estimate]], dict[str, list[float]]]:
    """Return the gains over a baseline, and their p-values, with Holm's correction for all.

    The accuracies are (n_seeds, n_labels) each.
    """
    tests = {
        name: [
            inference.paired_t_test(*pair)
            for pair in zip(accuracies[name].T, accuracies[baseline].T, strict=True)
        ]
        for name in names
    }
    p_holm = inference.holm([test.p for row in tests.values() for test in row])
    rows = np.reshape(p_holm, (len(tests), -1)).tolist()
    gains = {name: [test.difference for test in row] for name, row in tests.items()}
    return gains, dict(zip(tests, rows, strict=True))


def _by(sizes: Sequence[int], rows: Mapping[str, Sequence[Any]]) -> dict[str, dict[int, Any]]:
    """Return each row of values by the sizes they were measured with."""
    return {name: dict(zip(sizes, row, strict=True)) for name, row in rows.items()}


def _with(network: Any, **parameters: Any) -> Network:
    other: Any = clone(network)
    return other.set_params(**parameters)


@remembered
def _fit(network: Any, X: Any, y: Any) -> Any:
    other: Any = clone(network)
    return other.fit(X, y)
