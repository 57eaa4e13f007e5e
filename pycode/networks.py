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
    from torch import nn  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise ImportError(f"{error}: for networks run pip install .[deep], or make deep") from error

Shape = tuple[int, int, int]  # channels, height, width
Array = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.float32]]

DEPTHS = (1, 2, 3)  # blocks in a stage
LABELS = (1, 2, 5, 10, 20, 50)  # labelled images per class, to adapt with


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

    Returns the mean over `seeds` of the network, with Student's interval, and the lowest accuracy.
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
    places = [(kind, depth) for kind in kinds for depth in DEPTHS]
    found: dict[str, dict[str, dict[int, Any]]] = {
        part: {kind: {} for kind in kinds} for part in ("mean", "min")
    }
    for (kind, depth), row in zip(places, accuracies, strict=True):
        found["mean"][kind][depth] = inference.mean(row)
        found["min"][kind][depth] = float(row.min())
    return found


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
    return {name: inference.mean(row) for name, row in zip(grids, accuracies, strict=True)}


def transfer(
    network: Pipeline, split: Split, *, seeds: Sequence[int], labels: Sequence[int] = LABELS
) -> dict[str, dict[str, dict[int, Any]]]:
    """Measure transfer to the second half of the classes, by labelled images of each class.

    A network is trained on the first half of the classes and adapted to the second half with a few
    images.  In `frozen`, a logistic regression learns from the network's penultimate layer.  In
    `fine-tuned`, training continues in all layers below a new last one.  `scratch` starts with new
    weights.  All pixels are scaled alike, since a pixel may always be empty in the first half.  If
    the number of classes is odd, the last class is left out.

    Returns test accuracies and gains as means over `seeds`, with Student's interval.  Each seed
    draws the images, the weights and the training anew.  The interval does not cover the choice of
    the test samples.  The gains are means of the differences from `scratch`, with the p of
    Student's test, corrected by Holm's method for all of them.

    Raises ValueError if a class has fewer training samples than `labels` asks for.
    """
    half = len(split.classes) // 2
    early = split.y_train < half
    late = (split.y_train >= half) & (split.y_train < 2 * half)
    late_test = (split.y_test >= half) & (split.y_test < 2 * half)
    fewest = np.bincount(split.y_train[late], minlength=2 * half)[half:].min()
    if fewest < max(labels):
        raise ValueError(
            f"a class has {fewest} training samples, and labels has {max(labels)}: ask for fewer"
        )
    mean, sd = split.X_train[early].mean(), split.X_train[early].std()
    X, y = (split.X_train[late] - mean) / sd, split.y_train[late] - half
    X_test, y_test = (split.X_test[late_test] - mean) / sd, split.y_test[late_test] - half

    fresh = [_with(network[-1], module__n_classes=half, random_state=seed) for seed in seeds]
    trained = _fit.map(fresh, X=(split.X_train[early] - mean) / sd, y=split.y_train[early])
    calls: list[tuple[Any, ...]] = []
    for seed, new, old in zip(seeds, fresh, trained, strict=True):
        logistic = LogisticRegression(max_iter=10_000, random_state=seed)
        learners = (
            (new, X, X_test),
            (logistic, features(old, X), features(old, X_test)),
            (_with(new, pretrained=old.weights), X, X_test),
        )
        order = np.random.default_rng(seed).permutation(len(y))
        for n in labels:
            few = np.concatenate([order[y[order] == c][:n] for c in range(half)])
            calls += [(some, train[few], y[few], test, y_test) for some, train, test in learners]
    accuracies = evaluation.fit_score.map(*zip(*calls, strict=True))
    found = np.reshape(accuracies, (len(seeds), len(labels), 3))
    scratch, frozen, tuned = np.moveaxis(found, 2, 0)
    curves = {"scratch": scratch, "frozen": frozen, "fine-tuned": tuned}
    gains = {"frozen": frozen - scratch, "fine-tuned": tuned - scratch}
    # Seeds, unlike folds, share no samples, so the test needs no correction for that.
    tests = [
        inference.corrected_t_test(gain, np.zeros(len(seeds)), n_train=1, n_test=0)
        for values in gains.values()
        for gain in values.T
    ]
    p_holm = np.reshape(inference.holm([test.p for test in tests]), (len(gains), -1))

    def means(some: Mapping[str, Array]) -> dict[str, dict[int, Any]]:
        return {
            name: dict(zip(labels, map(inference.mean, values.T), strict=True))
            for name, values in some.items()
        }

    return {
        "accuracy": means(curves),
        "gain": means(gains),
        "p_holm": {
            name: dict(zip(labels, row.tolist(), strict=True))
            for name, row in zip(gains, p_holm, strict=True)
        },
    }


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
    return inference.mean(found)


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
    # The first test sample of every other class, whatever it looks like.
    shown = [list(split.y_test).index(label) for label in range(0, len(split.classes), 2)]
    return {
        "seeds": list(seeds),
        "transfer_seeds": list(transfer_seeds),
        "training": {name: getattr(network[-1], name) for name in ("n_steps", "batch_size", "lr")},
        "scores": scores,
        "parameters": {name: n for name, n in parameters.items() if n},
        "best": evaluation.best(scores),
        "ties": evaluation.ties(scores),
        "pairs": evaluation.compare_pairs(scores),
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


def _with(network: Any, **parameters: Any) -> Network:
    other: Any = clone(network)
    return other.set_params(**parameters)


@remembered
def _fit(network: Any, X: Any, y: Any) -> Any:
    other: Any = clone(network)
    return other.fit(X, y)
