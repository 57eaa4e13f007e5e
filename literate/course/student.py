"""The process in which a grader calls functions of a paper whose code it does not trust.

`python student.py` runs in the paper's folder.  It reads one line of JSON for each call and answers
with one line: what the function returned, or how it failed.  The grader also uses `encode` and
`decode`, but code from that folder never runs in the grader's own process.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

DEEPEST = 8  # nesting of values


def encode(value: Any, depth: int = 0) -> Any:
    """Return a value in a form that JSON can hold.

    Numbers, text, arrays, lists and dicts are kept, an estimate with its interval, and a record (a
    dataclass) with its fields.  Of any other value only the type and the beginning of its text are
    kept.
    """
    if depth > DEEPEST:
        return {"other": "too deep"}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float):
        bounds = [float(getattr(value, name, np.nan)) for name in ("low", "high")]
        if type(value) is not float:
            return {"estimate": [str(float(value)), *map(str, bounds), int(getattr(value, "n", 0))]}
        return {"float": repr(value)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return {"array": value.tolist(), "kind": value.dtype.kind}
    if isinstance(value, (list, tuple)):
        return {"list": [encode(item, depth + 1) for item in value]}
    if isinstance(value, dict):
        pairs = [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in value.items()]
        return {"dict": pairs}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        fields = {name: encode(getattr(value, name), depth + 1) for name in names}
        return {"record": [type(value).__module__, type(value).__name__], "fields": fields}
    return {"other": f"{type(value).__name__}: {str(value)[:200]}"}


def decode(data: Any, *, trusted: bool = False) -> Any:
    """Return the value that was encoded.

    Records and estimates are of their classes again only if the data are `trusted`.  Raises
    ValueError, KeyError or TypeError for data that `encode` has not made.
    """
    if not isinstance(data, dict):
        return data
    if "float" in data:
        return float(data["float"])
    if "estimate" in data:
        value, low, high, n = data["estimate"]
        if not trusted:
            return float(value)
        estimate = importlib.import_module("literate.estimate")
        return estimate.Estimate(float(value), float(low), float(high), n)
    if "array" in data:
        return np.array(data["array"], dtype=_KINDS[data["kind"]])
    if "list" in data:
        return [decode(item, trusted=trusted) for item in data["list"]]
    if "dict" in data:
        pairs = [[decode(item, trusted=trusted) for item in pair] for pair in data["dict"]]
        return dict(pairs)
    if "record" in data:
        fields = {k: decode(v, trusted=trusted) for k, v in data["fields"].items()}
        if not trusted:
            return SimpleNamespace(**fields)
        module, name = data["record"]
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return getattr(importlib.import_module(module), name)(**fields)
    return SimpleNamespace(other=str(data.get("other")))


_KINDS = {"b": bool, "i": np.int64, "u": np.int64, "f": float, "U": str}


def drawn(ax: Any) -> dict[str, Any]:
    """Return what is drawn on an axes: labels, limits and ticks, and bars, lines and points.

    `bars` has the x, y, width and height of each bar; `lines` and `points` have arrays of
    coordinates.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.patches import Rectangle

    ax.figure.canvas.draw()
    legend = ax.get_legend()
    points = [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    return {
        "title": ax.get_title(),
        "xlabel": ax.get_xlabel(),
        "ylabel": ax.get_ylabel(),
        "xlim": list(ax.get_xlim()),
        "ylim": list(ax.get_ylim()),
        "xscale": ax.get_xscale(),
        "yscale": ax.get_yscale(),
        "xticks": {label.get_text(): label.get_position()[0] for label in ax.get_xticklabels()},
        "yticks": {label.get_text(): label.get_position()[1] for label in ax.get_yticklabels()},
        "legend": [text.get_text() for text in legend.get_texts()] if legend else [],
        "texts": [text.get_text() for text in ax.texts],
        "bars": [
            [*patch.get_xy(), patch.get_width(), patch.get_height()]
            for patch in ax.patches
            if isinstance(patch, Rectangle)
        ],
        "lines": [np.asarray(line.get_xydata(), dtype=float) for line in ax.lines],
        "points": [np.asarray(offsets, dtype=float) for offsets in points],
        "images": [np.asarray(image.get_array(), dtype=float) for image in ax.images],
    }


def answer(request: dict[str, Any]) -> Any:
    """Return what the function `call` of pycode returns, or what it draws.

    A function that draws gets an axes as its first argument.
    """
    module, _, name = request["call"].rpartition(".")
    arguments = [decode(value, trusted=True) for value in request["args"]]
    named = {key: decode(value, trusted=True) for key, value in request["kwargs"].items()}
    function = getattr(importlib.import_module(f"pycode.{module}"), name)
    if not request["draw"]:
        return function(*arguments, **named)
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots()
    try:
        function(ax, *arguments, **named)
        return drawn(ax)
    finally:
        plt.close(fig)


def failure(error: BaseException) -> str:
    """Return what went wrong, and where in the paper's own code."""
    root = f"{Path.cwd()}{os.sep}"
    if isinstance(error, SyntaxError) and (error.filename or "").startswith(root):
        file = os.path.relpath(error.filename or "")
        return f"{type(error).__name__}: {error.msg} ({file}:{error.lineno})"
    told = " ".join("".join(traceback.format_exception_only(error)).split())
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(root)]
    place = f" ({os.path.relpath(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return told[:500] + place


def main() -> None:
    """Answer requests until there are no more."""
    sys.path.insert(0, os.getcwd())
    # What the functions print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            told = json.dumps({"value": encode(answer(json.loads(line)))})
        except (Exception, SystemExit) as error:
            told = json.dumps({"error": failure(error)})
        answers.write(told + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
