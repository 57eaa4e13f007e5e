"""A memory of computed values, each under all that it depends on, which checks itself.

Each value is in a file of its own in .cache, signed with a secret of this account.  A file from
anybody else is never read, since loading a pickle runs it.
"""

import functools
import hashlib
import hmac
import inspect
import json
import os
import pickle
import re
import secrets
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom
from time import monotonic, time
from types import FunctionType, ModuleType
from typing import Any, ParamSpec, Protocol, TypeVar

from literate import ROOT, chance, inputs, parallel, source
from literate.parallel import Answer, Call, Task

P = ParamSpec("P")
R = TypeVar("R")

FOLDER = ROOT / ".cache"
DAYS = 30  # that an unused value is kept
AUDIT = 0.03  # share of a build's time spent on recomputing remembered values
# What scikit-learn's searches and cross_validate measure, which is never twice the same.
TIMES = re.compile("((mean|std)_)?(fit|score)_time|refit_time_")
_began = monotonic()
_audited = 0.0  # seconds
_warned: set[str] = set()  # each warning is given once


class RememberedError(RuntimeError):
    """A remembered value that differs from what the same call gives now."""


@dataclass(frozen=True)
class _Wanted:
    """A call as it is remembered: by its key and, if it draws at random, by its seed."""

    call: Call
    key: str  # empty if what the call depends on is unknown
    seed: str


class Remembered(Protocol[P, R]):
    """A function that remembers its values."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the value of a call, remembered or new."""
        ...

    def map(self, *iterables: Iterable[Any], **same: Any) -> list[R]:
        """Return the values of many calls, in their order; they are computed in parallel.

        The n-th call gets the n-th items of `iterables` as its first arguments, and all get `same`.
        The last calls start first, so let lists go from what is simple to what takes long.
        """
        ...


def remembered(function: Callable[P, R]) -> Remembered[P, R]:
    """Make `function` remember its values, in this build and in later ones.

    It is called as before, or with many arguments at once by its `map`.  What `compute` says of
    calls holds for it.
    """
    signature = inspect.signature(function)

    def call(args: Iterable[Any], options: Mapping[str, Any]) -> Call:
        bound = signature.bind(*args, **options)  # f(1) and f(x=1) are the same call
        return function, bound.args, bound.kwargs

    @functools.wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        return compute([call(args, options)])[0]

    def map(*iterables: Iterable[Any], **same: Any) -> list[Any]:
        return compute([call(args, same) for args in zip(*iterables, strict=True)])

    wrapper.map = map  # pyright: ignore
    return wrapper  # pyright: ignore


def compute(calls: Sequence[Call], *, also: Any = None, alone: bool = False) -> list[Any]:
    """Return the values of `calls`, made with joblib.delayed, in their order.

    A value that this or an earlier build has computed is remembered.  The others are computed in
    parallel, or `alone` in this process.  A call is identified by the content of its arguments, by
    its function and all code of this paper that it reaches, by the versions of Python and the
    libraries, and by `also`.  Its value is computed again if a file that it read has changed.

    A call gets copies of its arguments.  What it draws without a seed of its own depends on the
    state of NumPy's global generator, so equal calls may differ.  Raises ValueError if a call
    changes data that it reaches by name, and RememberedError if a value that is recomputed as a
    check differs.
    """
    digests: dict[int, str] = {}  # of what calls share, mainly their data
    place = _digest(repr(chance.position()))
    met = Counter[str]()
    wanted = []
    for n, call in enumerate(calls):
        key = _key(call, also, digests)
        met[key] += bool(key)
        wanted.append(_Wanted(call, key, _digest(key or str(n), place, met[key])))
    # Of equal calls one is computed, and the others only if it has drawn at random.
    first = {one.key or one.seed: one for one in reversed(wanted)}
    answers = _answers([one for one in wanted if first[one.key or one.seed] is one], alone)
    drew = {one.key for one in first.values() if answers[one.seed].drew}
    answers |= _answers(
        [one for one in wanted if one.key in drew and one.seed not in answers], alone
    )
    if drew:
        names = sorted({parallel.name_of(one.call[0]) for one in wanted if one.key in drew})
        _warn(
            f"{', '.join(names)}: draws without a seed, so that of the run decides: give"
            " random_state to the models and splitters"
        )
        chance.move()
    used = [one if one.seed in answers else first[one.key] for one in wanted]
    # Always from bytes, so that remembered and new values are alike.
    return [pickle.loads(answers[one.seed].content) for one in used]


def drop_old() -> None:
    """Delete the values that no build has used for a month, and what is not a value."""
    with suppress(OSError):
        for path in FOLDER.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.stat().st_mtime < time() - DAYS * 86400:
                path.unlink()


def _answers(wanted: Sequence[_Wanted], alone: bool) -> dict[str, Answer]:
    """Return the answers by the seeds of the calls: those remembered, and those computed now."""
    found = {one.seed: answer for one in wanted if (answer := _recall(one)) is not None}
    _audit([one for one in wanted if one.seed in found], found)
    missing = {one.seed: one for one in wanted if one.seed not in found}
    tasks = {
        seed: Task(one.call, int(seed, 16))
        for seed, one in reversed(missing.items())  # long ones first, and short ones fill the gaps
    }
    for seed, answer in parallel.run(tasks, alone=alone):
        found[seed] = answer
        for name, digest in answer.inputs.items():
            inputs.note(*name.split(" ", 1), digest)  # pyright: ignore
        _remember(missing[seed], answer)
    return found


def _recall(one: _Wanted) -> Answer | None:
    answer = _load(one.key) if one.key else None
    return _load(one.seed) if answer is not None and answer.drew else answer


def _remember(one: _Wanted, answer: Answer) -> None:
    name = parallel.name_of(one.call[0])
    if answer.processes:
        _warn(
            f"{name} starts other processes, whose files nobody follows: it is computed in each"
            " build; with n_jobs=1 it is remembered"
        )
    elif one.key and answer.drew:
        _save(one.key, name, replace(answer, content=b""))
        _save(one.seed, name, answer)
    elif one.key:
        _save(one.key, name, answer)


def _audit(wanted: list[_Wanted], remembered: Mapping[str, Answer]) -> None:
    """Recompute some remembered values, drawn at random, and compare them.

    These are values that take a small part of the build's time, or all if PYCODE_AUDIT is "all".
    """
    global _audited
    how = os.environ.get("PYCODE_AUDIT", "")
    if how == "all":
        tasks = {one.seed: Task(one.call, int(one.seed, 16)) for one in wanted}
        again = dict(parallel.run(tasks))
        for one in wanted:
            _compare(one, remembered[one.seed], again[one.seed])
        return
    wanted = [
        one for one in wanted if how != "off" and remembered[one.seed].by == parallel.processor()
    ]
    SystemRandom().shuffle(wanted)
    for one in wanted:
        if remembered[one.seed].seconds <= AUDIT * (monotonic() - _began) - _audited:
            start = monotonic()
            again = Answer(*parallel.answer(one.call, int(one.seed, 16)))
            _compare(one, remembered[one.seed], again)
            _audited += monotonic() - start


def _compare(one: _Wanted, remembered: Answer, again: Answer) -> None:
    """Raise RememberedError, and forget the function's values, if two values differ."""
    if remembered.content == again.content:
        return
    values = [pickle.loads(answer.content) for answer in (remembered, again)]
    _drop_times(values)
    if len(set(map(source.fingerprint, values))) == 1:
        return
    function, arguments, options = one.call
    name = parallel.name_of(function)
    for path in FOLDER.iterdir():
        with suppress(OSError, ValueError):
            if json.loads(path.read_bytes().split(b"\n", 2)[1])["function"] == name:
                path.unlink()
    given = [_shown(argument) for argument in arguments]
    given += [f"{option}={_shown(argument)}" for option, argument in options.items()]
    read = "; ".join([*remembered.inputs, *parallel.versions()])
    raise RememberedError(
        f"{name}({', '.join(given)}) gives another value than the one that was remembered, which"
        f" was known by these arguments, the code of {name}, and {read}: it depends on something"
        " else (docs/inputs.md lists what is followed), or changes between two calls."
        f" Every value of {name} is forgotten: build again"
    )


def _drop_times(values: list[Any]) -> None:
    """Delete the times that scikit-learn has measured from values and all that they hold."""
    waiting, seen = [*values], set[int]()
    for value in waiting:  # which grows
        # What is pickled by name is no copy, but what this process uses.
        if id(value) in seen or isinstance(value, (type, FunctionType, ModuleType)):
            continue
        seen.add(id(value))
        held = value if isinstance(value, dict) else getattr(value, "__dict__", {})
        for name in [n for n in held if isinstance(n, str) and TIMES.fullmatch(n)]:
            del held[name]
        waiting += held.values()
        waiting += value if isinstance(value, (list, tuple)) else ()


def _shown(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"{type(value).__name__} {value.shape}"
    return " ".join(repr(value).split())[:200]


def _key(call: Call, also: Any, digests: dict[int, str]) -> str:
    """Return the key that a call is stored under; it is empty if a part of it raises an error."""
    function, arguments, options = call
    parts = [function, also, *arguments, *options.values()]
    try:
        for part in parts:
            if id(part) not in digests:
                digests[id(part)] = source.fingerprint(part)
    except Exception as error:  # RecursionError, or what an object of the paper raises
        _warn(f"{parallel.name_of(function)} cannot be remembered: {error}")
        return ""
    how = (len(arguments), tuple(options))
    known = [*parallel.versions(), repr((how, parallel.settings()))]
    return _digest(*known, *(digests[id(part)] for part in parts))


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


@functools.cache
def _secret() -> bytes:
    """Return the secret of this account, which is created when it is first needed.

    Raises OSError or RuntimeError if it cannot be stored.
    """
    path = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state", "pycode/secret")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.touch(mode=0o600)
        new.write_text(secrets.token_hex(16), encoding="ascii")
        with suppress(FileExistsError):  # if two builds start at once, the first sets the secret
            os.link(new, path)
        new.unlink()
    secret = path.read_text(encoding="ascii", errors="replace")
    if not re.fullmatch("[0-9a-f]{32}", secret):
        raise OSError(f"{path} holds no secret: delete it")
    return secret.encode()


def _signature(key: str, content: bytes) -> bytes:
    """Return a line with the account that signs and its signature."""
    account = hashlib.sha256(_secret()).hexdigest()[:16]
    signed = hmac.digest(_secret(), key.encode() + content, "sha256").hex()
    return f"{account} {signed}\n".encode()


def _load(key: str) -> Answer | None:
    """Return the answer under `key` if it is this account's, whole and of the same inputs."""
    path = FOLDER / key
    try:
        with inputs.unfollowed():
            if os.environ.get("PYCODE_CACHE") == "off" or not path.exists():
                return None
            signature, content = path.read_bytes().split(b"\n", 1)
            expected = _signature(key, content)
            if not hmac.compare_digest(signature + b"\n", expected):
                if signature[:16] == expected[:16] or len(signature) != len(expected) - 1:
                    raise ValueError("one value is damaged")
                return None  # another account's
            if path.stat().st_mtime < time() - 86400:  # so that it counts as used
                with suppress(OSError):
                    os.utime(path)
        about, content = content.split(b"\n", 1)
        about = json.loads(about)
        read = [(*name.split(" ", 1), digest) for name, digest in about["inputs"].items()]
        of_run = inputs.of_run()
        for kind, name, digest in read:
            if of_run.get((kind, name)) != digest and inputs.current(kind, name) != digest:
                return None
        for kind, name, digest in read:
            inputs.note(kind, name, digest)
        return Answer(
            *(content, about["inputs"], about["drew"], False, about["seconds"], about["by"])
        )
    except (OSError, RuntimeError, ValueError, UnicodeError) as error:
        _warn(f"results cannot be remembered in {FOLDER.name}: {error}")
        return None


def _save(key: str, function: str, answer: Answer) -> None:
    if os.environ.get("PYCODE_CACHE") == "off":
        return
    about = {"function": function, "inputs": answer.inputs, "drew": answer.drew}
    about |= {"seconds": answer.seconds, "by": answer.by}
    content = json.dumps(about).encode() + b"\n" + answer.content
    new = FOLDER / f"{key}.{os.getpid()}"
    try:
        with inputs.unfollowed():
            FOLDER.mkdir(exist_ok=True)
            new.write_bytes(_signature(key, content) + content)
            new.replace(FOLDER / key)
    except (OSError, RuntimeError, UnicodeError) as error:
        with suppress(OSError):
            new.unlink()
        _warn(f"results cannot be remembered in {FOLDER.name}: {error}")


def _warn(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, stacklevel=2)
