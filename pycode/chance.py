"""Lets one seed decide every draw that has no seed of its own.

Generators of that kind are the global ones of NumPy and Python, which a `random_state` of None
means, and `np.random.default_rng()`, which asks the system.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pycode import inputs


def reseed(seed: int) -> None:
    """Start the global generators anew, and those that would ask the system from here on."""
    process = inputs._process()
    np.random.seed(seed % 2**32)
    random.seed(seed)
    process.entropy, process.n_asked = random.Random(seed), 0
    np.random.bit_generator.randbits = _entropy  # pyright: ignore


def position() -> Any:
    """Return where the generators stand: two positions are equal if nothing was drawn between."""
    name, keys, *rest = np.random.get_state()
    asked = getattr(inputs._process(), "n_asked", 0)
    return name, keys.tobytes(), rest, random.getstate(), asked  # pyright: ignore


def move() -> None:
    """Draw once, so that what is drawn next differs from what was drawn before."""
    np.random.random()


@contextmanager
def seeded(seed: int) -> Iterator[Callable[[], bool]]:
    """Let `seed` decide what is drawn inside, and nothing that is drawn after it.

    Returns a function that says whether something was drawn.
    """
    process = inputs._process()
    numpy_state, python_state = np.random.get_state(), random.getstate()
    entropy, n_asked = getattr(process, "entropy", None), getattr(process, "n_asked", 0)
    reseed(seed)
    start = position()
    try:
        yield lambda: position() != start
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        process.entropy, process.n_asked = entropy or random.Random(seed), n_asked


def _entropy(bits: int) -> int:
    """Return what NumPy takes for random bits of the system."""
    process = inputs._process()
    process.n_asked += 1
    return process.entropy.getrandbits(bits)
