"""Remembers what was computed once, under everything that it depends on."""

import functools
import hashlib
import os
import pickle
import re
import secrets
import warnings
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Any

import joblib

from pycode import parallel
from pycode.parallel import Call
from pycode.source import fingerprint

FOLDER = Path(__file__).resolve().parent.parent / ".cache"
DAYS = 30  # that a value is kept which no build has used
_warned: list[Exception] = []  # once is enough


def compute(calls: Sequence[Call], *, also: Any = None, alone: bool = False) -> list[Any]:
    """The values of `calls`, made with joblib.delayed, in their order.

    A value that this or an earlier build has computed is remembered; the others are computed
    in parallel, or `alone` in this process.  A call is known by the content of its arguments,
    by the code of its function and all code of this paper that it reaches, by the versions of
    Python and the libraries, and by `also`.  With an estimator whose random_state is None a
    call has no value that could be remembered, and is made in each build.
    """
    digests: dict[int, str] = {}  # of what calls share, their data above all
    keys = [_key(call, also, digests) for call in calls]
    names = [key or f"call {n}" for n, key in enumerate(keys)]
    known = {key: _load(key) for key in set(keys) if key}
    values = {key: value for key, value in known.items() if value is not None}
    missing = {n: call for n, call in zip(names, calls, strict=True) if n not in values}
    for name, value in parallel.run(missing, alone=alone):
        values[name] = pickle.dumps(value)
        if name in known:
            _save(name, values[name])
    # Always from bytes, so that what was remembered is like what was not.
    return [pickle.loads(values[name]) for name in names]


def drop_old() -> None:
    """Nothing; forgets the values that no build has used for a month."""
    with suppress(OSError):
        _memory().reduce_size(age_limit=timedelta(days=DAYS))


def _key(call: Call, also: Any, digests: dict[int, str]) -> str | None:
    """What a call is remembered under; None if that does not determine its value."""
    function, arguments, options = call
    for argument in arguments:
        parameters = argument.get_params() if hasattr(argument, "get_params") else {}
        if any(n.endswith("random_state") and v is None for n, v in parameters.items()):
            return None
    parts = [function, also, *options, *options.values(), *arguments]
    try:
        for part in parts:
            if id(part) not in digests:
                digests[id(part)] = fingerprint(part)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        _warn(error)
        return None
    known = [*parallel.versions(), *(digests[id(part)] for part in parts)]
    return hashlib.sha256("\n".join(known).encode()).hexdigest()


def _entry(key: str, content: bytes) -> bytes:
    """What joblib remembers: `content`, by its `key` alone."""
    return content


def _kept() -> Any:
    return _memory().cache(_entry, ignore=["content"])


@functools.cache
def _memory() -> joblib.Memory:
    """Where values are kept: in a folder that nobody else can have filled.

    To load a pickle is to run it.  The folder is named by a secret of this user, so what comes
    with a copy of the paper is never read.
    """
    try:
        folder = None if os.environ.get("PYCODE_CACHE") == "off" else FOLDER / _secret()
        return joblib.Memory(folder, verbose=0)
    except (OSError, RuntimeError, UnicodeError) as error:
        _warn(error)
        return joblib.Memory(None, verbose=0)


def _secret() -> str:
    path = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state", "pycode/secret")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.touch(mode=0o600)
        new.write_text(secrets.token_hex(16), encoding="ascii")
        with suppress(FileExistsError):  # of two builds that start at once, the first names it
            os.link(new, path)
        new.unlink()
    secret = path.read_text(encoding="ascii")
    if not re.fullmatch("[0-9a-f]{32}", secret):
        raise OSError(f"{path} holds no secret: delete it")
    return secret


def _load(key: str) -> bytes | None:
    """The pickled value kept under `key`, if there is one and it is whole."""
    try:
        if not _kept().check_call_in_cache(key, b""):
            return None
        content = _kept().call_and_shelve(key, b"").get()
        day, value = int(content[:8]), content[40:]
        if content != _signed(day, key, value):
            raise ValueError("one is damaged")
    except Exception as error:  # a damaged pickle raises anything
        _warn(error)
        return None
    if day != _today():  # so that it counts as used
        _save(key, value)
    return value


def _save(key: str, value: bytes) -> None:
    content = _signed(_today(), key, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # joblib only warns of a full disk
            _kept().call(key, content)
    except Exception as error:
        _warn(error)


def _signed(day: int, key: str, value: bytes) -> bytes:
    return b"%08d" % day + hashlib.sha256(b"%d %a" % (day, key) + value).digest() + value


def _today() -> int:
    return int(time() // 86400)


def _warn(error: Exception) -> None:
    if not _warned:
        _warned.append(error)
        warnings.warn(f"results cannot be remembered in {FOLDER.name}: {error}", stacklevel=2)
