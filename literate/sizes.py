"""The size of a fitted model."""

import io
from typing import Any

import cloudpickle
import numpy as np


def n_bytes(model: object) -> int:
    """Count the bytes of all arrays that a pickle of `model` would hold."""
    counter = _Counter(io.BytesIO(), protocol=5, buffer_callback=lambda _: None)
    counter.dump(model)
    return counter.n_bytes


class _Counter(cloudpickle.Pickler):
    """A pickler that counts the bytes of arrays.

    Pickle's buffers would not do: they leave out arrays that are not contiguous, and which these
    are depends on the version of scikit-learn.  In a worker, pickle itself does not find a class
    that the paper defines.
    """

    n_bytes = 0

    def reducer_override(self, obj: Any) -> Any:
        """Count an array, and leave the rest to cloudpickle."""
        if isinstance(obj, np.ndarray) and not obj.dtype.hasobject:
            self.n_bytes += obj.nbytes
        return super().reducer_override(obj)
