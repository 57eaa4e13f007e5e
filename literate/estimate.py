"""A number and how sure it is."""

from math import nan
from typing import Any


class Estimate(float):
    """A number with the interval from `low` to `high` that its `n` observations allow."""

    low: float
    high: float
    n: int

    def __new__(cls, value: float, low: float = nan, high: float = nan, n: int = 0) -> Any:
        """Return the number; it calculates, compares and formats like any float."""
        estimate = super().__new__(cls, value)
        estimate.low, estimate.high, estimate.n = float(low), float(high), int(n)
        return estimate
