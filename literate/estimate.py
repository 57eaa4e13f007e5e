"""A number and its uncertainty."""

from math import nan
from typing import Any


class Estimate(float):
    """A number with an interval from `low` to `high`, based on `n` observations.

    A `unit` of its own, if it has one, goes before all others that results.json would name.
    """

    low: float
    high: float
    n: int
    unit = ""

    def __new__(
        cls, value: float, low: float = nan, high: float = nan, n: int = 0, unit: str = ""
    ) -> Any:
        """Return the number, which calculates, compares and formats like any float."""
        estimate = super().__new__(cls, value)
        estimate.low, estimate.high, estimate.n = float(low), float(high), int(n)
        if unit:
            estimate.unit = unit
        return estimate
