"""Runs calls on all processors, or on a Dask cluster."""

import copy
import functools
import io
import os
import pickle
import platform
import pydoc
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from types import FunctionType
from typing import Any

import cloudpickle
import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from pycode.progress import Progress
from pycode.source import is_own

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

# Workers take more than a second to start: few calls, if they are short, are better off without.
FEW = 20
SHORT = 2.0  # seconds, for all that is left to do
_started = False


def run(calls: Mapping[str, Call], *, alone: bool = False) -> Iterator[tuple[str, Any]]:
    """Each key of `calls` with its call's value, as soon as it is there.

    They are computed `alone`, in this process, or as the environment says: on the cluster of
    DASK_SCHEDULER_ADDRESS, or else in PYCODE_WORKERS processes, by default one a processor.

    Raises what a call raises, ConnectionError if no scheduler answers, and RuntimeError if a
    worker of the cluster has other libraries.
    """
    global _started
    waiting, retries, try_here = dict(calls), 10, True
    cluster = os.environ.get("DASK_SCHEDULER_ADDRESS", "")
    with Progress(len(waiting)) as progress:
        while waiting:
            if alone or (not cluster and n_workers() == 1):
                values = _here(waiting, float("inf"))
            elif cluster:
                values = _remotely(waiting, backend="dask", client=_client(cluster))
            elif try_here and not _started and len(waiting) <= FEW:
                try_here = False
                values = _here(waiting, SHORT)
            else:
                _started = True
                pool = {"n_jobs": n_workers(), "inner_max_num_threads": 1}
                values = _remotely(waiting, backend="loky", **pool)
            try:
                for key, value in values:
                    del waiting[key]
                    progress.update()
                    yield key, value
            except BrokenExecutor:
                message = "a worker was killed, perhaps for want of memory: going on without"
                warnings.warn(message, stacklevel=2)
                os.environ["PYCODE_WORKERS"] = "1"
            except CancelledError:  # values were lost with a worker of the cluster
                retries -= 1
                if retries == 0:
                    raise


def n_workers() -> int:
    """The number of processes that compute at once."""
    wanted = os.environ.get("PYCODE_WORKERS") or str(joblib.cpu_count())
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ValueError(f"PYCODE_WORKERS is {wanted!r}: set it to 1 or more, or unset it")
    return int(wanted)


def versions() -> tuple[str, ...]:
    """Those of Python and of the libraries that results depend on."""
    import scipy
    import sklearn

    return (
        f"Python {platform.python_version()}",
        *(f"{library.__name__} {library.__version__}" for library in (np, scipy, sklearn)),
    )


def _here(calls: Mapping[str, Call], patience: float) -> Iterator[tuple[str, Any]]:
    """Computes in this process, until what is left seems to take longer than `patience`."""
    start = monotonic()
    for done, (key, (function, arguments, options)) in enumerate(list(calls.items()), start=1):
        with _one_thread():
            value = function(*map(_copy, arguments), **options)
        yield key, value
        if (monotonic() - start) / done * len(calls) > patience:  # those that are still waiting
            return


def _remotely(calls: Mapping[str, Call], **config: Any) -> Iterator[tuple[str, Any]]:
    """Computes in other processes, with the paper's code as it is in this one."""
    for module in list(sys.modules.values()):
        if is_own(module) and module.__name__ != "__main__":
            cloudpickle.register_pickle_by_value(module)
    arrays = {id(a): a for _, arguments, _ in calls.values() for a in arguments if _is_array(a)}
    if config["backend"] == "dask":
        config["scatter"] = list(arrays.values())
    tasks = [
        joblib.delayed(_ByValue(_answer))(
            key,
            _ByValue((function, options)),
            *(a if _is_array(a) else _ByValue(a) for a in arguments),
        )
        for key, (function, arguments, options) in calls.items()
    ]
    how: Any = {"batch_size": 1, "pre_dispatch": "all", "return_as": "generator_unordered"}
    with joblib.parallel_config(**config):
        answers: Any = joblib.Parallel(**how)(tasks)
        for key, theirs, value in answers:
            if theirs != versions():
                raise RuntimeError(
                    f"a worker has {', '.join(theirs)}, but here is {', '.join(versions())}:"
                    " install the same versions there"
                )
            yield key, pickle.loads(value)


def _answer(key: str, call: Any, *arguments: Any) -> tuple[str, tuple[str, ...], bytes]:
    """What a worker says to a call: its key, the worker's versions and the pickled value."""
    function, options = call
    with _one_thread():
        value = function(*arguments, **options)
    file = io.BytesIO()
    _ByName(file).dump(value)
    return key, versions(), file.getvalue()


class _ByName(pickle.Pickler):
    """Pickles what came by value as what it is called where it came from."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (type, FunctionType)):
            name, module = value.__qualname__, sys.modules.get(value.__module__)
            if value.__module__ == "__main__" or getattr(module, name, None) is not value:
                return pydoc.locate, (f"{value.__module__}.{name}",)
        return NotImplemented


class _ByValue:
    """An object that arrives in another process as itself, with its code, not its name.

    A worker may have read other code under that name, or none.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return cloudpickle.loads, (cloudpickle.dumps(self.value),)

    def __call__(self, *arguments: Any) -> Any:  # here, if joblib finds only one worker
        return self.value(*(getattr(a, "value", a) for a in arguments))


def _one_thread() -> AbstractContextManager[Any]:
    """A limit to one thread of BLAS: the order of its sums, and so its results, never change."""
    alone = os.environ.get("OMP_NUM_THREADS") == os.environ.get("OPENBLAS_NUM_THREADS", "1") == "1"
    return nullcontext() if alone else threadpool_limits(1)


def _copy(value: Any) -> Any:
    """`value` as a worker gets it: nothing done to it comes back."""
    return value if _is_array(value) else copy.deepcopy(value)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


@functools.cache
def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise ImportError(
            "DASK_SCHEDULER_ADDRESS is set, but Dask is not here: pip install distributed"
        ) from None
    try:
        return Client(address, timeout="5s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {address} ({error}): start one there,"
            " or unset DASK_SCHEDULER_ADDRESS"
        ) from None
