"""One seed for every draw that has no seed of its own.

Such draws come from the global generators of NumPy and Python, which a `random_state` of None uses,
and from `np.random.default_rng()`, which would ask the operating system.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from literate import inputs


def reseed(seed: int) -> None:
    """Restart the global generators, and from here on those that would ask the system."""
    process = _process()
    np.random.seed(seed % 2**32)
    random.seed(seed)
    process.entropy, process.n_asked = random.Random(seed), 0


def position() -> Any:
    """Return the state of the generators; two are equal if nothing was drawn in between."""
    name, keys, *rest = np.random.get_state()
    return name, keys.tobytes(), rest, random.getstate(), _process().n_asked  # pyright: ignore


def move() -> None:
    """Draw once, so that the next draws differ from the previous ones."""
    np.random.random()


@contextmanager
def seeded(seed: int) -> Iterator[Callable[[], bool]]:
    """Yield with draws inside determined by `seed`, and draws afterwards unaffected.

    The value is a function that returns whether something was drawn.
    """
    process = _process()
    numpy_state, python_state = np.random.get_state(), random.getstate()
    asked = process.entropy, process.n_asked
    reseed(seed)
    start = position()
    try:
        yield lambda: position() != start
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        process.entropy, process.n_asked = asked


def _process() -> Any:
    """Return this process's state, with NumPy's unseeded generators under its control."""
    process = inputs._process()
    if not hasattr(process, "n_asked"):
        process.entropy, process.n_asked = random.Random(0), 0
        np.random.default_rng = _seeding(np.random.default_rng)
        # A RandomState asks even if it gets a seed, so whether it draws cannot be detected: it gets
        # a constant.
        np.random.bit_generator.randbits = lambda bits: random.Random(0).getrandbits(bits)  # pyright: ignore
    return process


def _seeding(default_rng: Any) -> Any:
    """Return a default_rng that does not ask the system if it gets no seed."""

    def wrapper(seed: Any = None) -> Any:
        if seed is None:
            process = inputs._process()
            process.n_asked += 1
            seed = process.entropy.getrandbits(128)
        return default_rng(seed)

    return wrapper
