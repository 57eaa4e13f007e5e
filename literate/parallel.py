"""Calls on all processors, or on a Dask cluster."""

import copy
import functools
import importlib
import io
import os
import platform
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import monotonic, perf_counter
from types import FunctionType
from typing import Any

import cloudpickle
import joblib
import numpy as np
from threadpoolctl import threadpool_limits

import literate
from literate import chance, inputs, source
from literate.progress import progress
from literate.source import is_own

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

# Workers take more than a second to start, so a few short calls are faster without them.
FEW = 20
SHORT = 2.0  # seconds, for all that is left to do
_started = False


@dataclass(frozen=True)
class Task:
    """A call, and the seed of its draws."""

    call: Call
    seed: int


@dataclass(frozen=True)
class Answer:
    """The outcome of a call."""

    content: bytes  # the pickled value
    inputs: dict[str, str]  # their digests, by kind and name
    drew: bool  # whether it drew at random without a seed of its own
    processes: bool  # whether it started others, whose inputs are not followed
    seconds: float
    by: str  # the processor


def run(calls: Mapping[str, Task], *, alone: bool = False) -> Iterator[tuple[str, Answer]]:
    """Yield each key of `calls` with the answer to its call, as soon as it is there.

    The calls are computed `alone`, in this process, or as the environment says: on the cluster of
    DASK_SCHEDULER_ADDRESS, or else in PYCODE_WORKERS processes, by default one per processor.

    Raises what a call raises, ConnectionError if no scheduler answers, and RuntimeError if a worker
    of the cluster has other libraries.
    """
    global _started
    if not calls:
        return
    waiting, retries, try_here = dict(calls), 10, True
    cluster = os.environ.get("DASK_SCHEDULER_ADDRESS", "")
    with progress(len(waiting)) as bar:
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
                    bar.update()
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
    """Return the number of processes that compute at the same time."""
    wanted = os.environ.get("PYCODE_WORKERS") or str(joblib.cpu_count())
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ValueError(f"PYCODE_WORKERS is {wanted!r}: set it to 1 or more, or unset it")
    return int(wanted)


@functools.cache
def versions() -> tuple[str, ...]:
    """Return those of Python and of the libraries that the study computes with."""
    return _versions(literate.libraries("computes"))


def _versions(libraries: Sequence[str]) -> tuple[str, ...]:
    # The study may not be where this is called, on a worker of a cluster.
    return (f"Python {platform.python_version()}", *(f"{n} {version(n)}" for n in libraries))


def settings() -> dict[str, Any]:
    """Return the settings of libraries that the paper may have changed for all later code.

    scikit-learn has none until it is loaded: it takes longer to import than a small paper to build.
    """
    sklearn = sys.modules.get("sklearn")
    return {"sklearn": sklearn.get_config() if sklearn else {}, "numpy": np.geterr()}


def processor() -> str:
    """Return the name of this machine's processor, on which the last digits may depend."""
    memo = inputs._process().__dict__  # a worker of a cluster may lack this module
    if "processor" not in memo:
        memo["processor"] = platform.machine()
        with inputs.unfollowed(), suppress(OSError):
            if named := re.search("model name.*: (.*)", Path("/proc/cpuinfo").read_text()):
                memo["processor"] = named[1]
    return memo["processor"]


def _here(tasks: Mapping[str, Task], patience: float) -> Iterator[tuple[str, Answer]]:
    """Yield answers computed in this process, while the rest seems to take at most `patience`."""
    start = monotonic()
    for done, (key, task) in enumerate(list(tasks.items()), start=1):
        yield key, Answer(*answer(task.call, task.seed))
        if (monotonic() - start) / done * len(tasks) > patience:  # leave the rest to workers
            return


def _remotely(tasks: Mapping[str, Task], **config: Any) -> Iterator[tuple[str, Answer]]:
    """Yield answers computed in other processes, with the paper's code as it is in this one.

    What cannot be sent there, such as a function that holds a lock, is computed here.
    """
    afar = config["backend"] == "dask"  # where this package may be missing
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        if (name != "__main__" and is_own(module)) or (afar and name in inputs.MACHINE):
            cloudpickle.register_pickle_by_value(module)
    if afar:
        arrays = {id(a): a for task in tasks.values() for a in task.call[1] if _is_array(a)}
        config["scatter"] = list(arrays.values())
    # What the paper has set in this process since its workers started.
    variables = {} if afar else {k: v for k, v in os.environ.items() if "NUM_THREADS" not in k}
    here = variables, settings(), literate.libraries("computes")
    code: dict[int, _Sent] = {}  # of each function, which is pickled once
    sent, kept = [], {}
    for key, task in tasks.items():
        function, arguments, options = task.call
        # joblib sends arrays in files or once for all calls, if it finds them beside the rest.
        arrays = {str(n): a for n, a in enumerate(arguments) if _is_array(a)}
        others = tuple(None if _is_array(a) else a for a in arguments)
        rest = key, others, options, task.seed
        try:
            call = _Sent(rest)
            if b"cloudpickle" in call.content:  # code, which the function may compare with its own
                whole: Any = _Sent(functools.partial(_remote, function, here, rest))
            else:
                if id(function) not in code:
                    code[id(function)] = _Sent(functools.partial(_remote, function, here))
                whole = functools.partial(code[id(function)], call)
            sent.append(joblib.delayed(whole)(**arrays))
        except Exception as error:  # pickle raises anything
            message = f"{name_of(function)} is computed in this process alone: {error}"
            warnings.warn(message, stacklevel=2)
            kept[key] = task
    # A worker that grows, by a large library or by data, is replaced, and its work is done.  Where
    # warnings are errors this one would stop the thread that waits for the workers.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
    how: Any = {"batch_size": 1, "pre_dispatch": "all", "return_as": "generator_unordered"}
    with inputs.unfollowed(), joblib.parallel_config(**config):
        answers: Any = joblib.Parallel(**how)(sent) if sent else ()
        for key, theirs, found in answers:
            if theirs != versions():
                raise RuntimeError(
                    f"a worker has {', '.join(theirs)}, but here is {', '.join(versions())}:"
                    " install the same versions there"
                )
            yield key, Answer(*found)
    yield from _here(kept, float("inf"))


class _Sent:
    """A value that arrives in another process with its code, not by its name.

    A worker may have read other code under that name, or none.
    """

    def __init__(self, value: Any) -> None:
        self.content = cloudpickle.dumps(value)

    def __reduce__(self) -> tuple[Any, ...]:
        return cloudpickle.loads, (self.content,)

    def __call__(self, *call: Any, **arrays: Any) -> Any:  # here, if joblib finds only one worker
        given = [cloudpickle.loads(sent.content) for sent in call]
        return cloudpickle.loads(self.content)(*given, **arrays)


def _remote(function: Any, there: Any, rest: Any, **arrays: Any) -> tuple[Any, ...]:
    """Return a worker's answer to a call, with its key and the worker's versions."""
    key, arguments, options, seed = rest
    arguments = tuple(arrays.get(str(n), a) for n, a in enumerate(arguments))
    variables, set_there, libraries = there  # where the calls come from
    for name in os.environ.keys() - variables.keys():
        if variables and "NUM_THREADS" not in name and not name.startswith("LOKY"):
            del os.environ[name]
    os.environ.update(variables)
    with _settings(set_there):
        found = answer((function, arguments, options), seed)
    return key, _versions(libraries), found


def answer(call: Call, seed: int) -> tuple[Any, ...]:
    """Return the fields of an Answer to a call, computed from copies of its arguments.

    Raises ValueError if the call changes what its code reaches by name.
    """
    function, arguments, options = call
    with _one_thread(), _settings(settings()), inputs.recorded() as found:
        arguments = tuple(  # in the order in which they arrive at a worker
            np.ascontiguousarray(a) if _is_array(a) and not a.flags.forc else a for a in arguments
        )
        fixed = {id(a): a for a in arguments if _is_read_only_file(a)}
        arguments, options = copy.deepcopy((arguments, options), fixed)
        described = function, [a for a in arguments if not _is_array(a)], options
        code = source.describe(described)[1]
        before = source.describe(code)[0]
        start = perf_counter()
        with chance.seeded(seed) as drew:
            value = function(*arguments, **options)
            drawn = drew()
        seconds = perf_counter() - start
        if source.describe(code)[0] != before:
            raise ValueError(
                f"{name_of(function)} changes data that it reaches by name, so that its value would"
                " depend on what was computed before: pass them as an argument, or make them anew"
                " in each call"
            )
        content = dumps(value)
        read = {f"{kind} {name}": digest for (kind, name), digest in found.items()}
        # Files that the call has written must still be there when its value is remembered.
        for name in sorted(found.written):
            if not name.startswith("..") and (digest := inputs.current("file", name)):
                read[f"file {name}"] = digest
        return content, read, drawn, found.processes, seconds, processor()


def dumps(value: Any) -> bytes:
    """Return the complete pickled value, for this process or one that has the paper's modules.

    What the paper's code refers to by a name is pickled as that name, and all else by its content.
    """
    file = io.BytesIO()
    _ByName(file, protocol=5).dump(value)
    return file.getvalue()


class _ByName(cloudpickle.Pickler):
    """A pickler of functions and classes by their names, wherever these lead back to them."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)) and source.is_own(obj):
            name, module = obj.__qualname__, obj.__module__
            # What came by value is not in the module here, but it is where it came from.
            if "<" not in name and name != "<lambda>":
                return _named, (module, name)
        return super().reducer_override(obj)


def _named(module: str, name: str) -> Any:
    """Return the function or class that is called `name` in a module of the paper.

    Raises LookupError if there is something else.
    """
    found: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, (type, FunctionType)):
        raise LookupError(f"{module}.{name}, which a value holds, is no function or class here")
    return found


@contextmanager
def _settings(libraries: Mapping[str, Any]) -> Iterator[None]:
    """Yield with these settings of the libraries, whatever they were before."""
    context: AbstractContextManager[Any] = nullcontext()
    if libraries["sklearn"]:
        import sklearn

        context = sklearn.config_context(**libraries["sklearn"])
    with context, np.errstate(**libraries["numpy"]):
        yield


def _one_thread() -> AbstractContextManager[Any]:
    """Limit BLAS to one thread, so that the order of its sums, and its results, never change."""
    alone = os.environ.get("OMP_NUM_THREADS") == os.environ.get("OPENBLAS_NUM_THREADS", "1") == "1"
    return nullcontext() if alone else threadpool_limits(1)


def name_of(function: Any) -> str:
    """Return the name of a function, with its module."""
    module = getattr(function, "__module__", "") or ""
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module}.{name}".removeprefix("__main__.").removeprefix(".")


def _is_read_only_file(value: Any) -> bool:
    """Return whether an array is a read-only file, which may be larger than memory.

    joblib sends arrays in files of its own, which are copied: the call may write to the copies.
    """
    mapped = isinstance(value, np.memmap) and not value.flags.writeable
    return mapped and not inputs.TEMPORARY.search(str(value.filename))


def _is_array(value: Any) -> bool:
    return type(value) in (np.ndarray, np.memmap) and value.dtype != object


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
