r"""Checks the paper's claims: the conditions over its results that `\claim` puts under a text.

A condition is a comparison of results and numbers, or several joined by `and`, `or` and `not`,
with `+ - * /`, `abs`, `min` and `max`.  A result stands in it by its key, and the bounds of its
interval and its number of observations by `key.low`, `key.high` and `key.n`.
"""

import ast
import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max}
_WORDS = {"and", "or", "not", "in", *FUNCTIONS}
# Text in quotes is no key, nor is the tail of a number such as 1e3.
_TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'|(?<![\w.])[A-Za-z][\w+-]*(?:\.[\w+-]*\w)*")
_ALLOWED = (
    *(ast.Expression, ast.BoolOp, ast.boolop, ast.UnaryOp, ast.unaryop, ast.BinOp, ast.operator),
    *(ast.Compare, ast.cmpop, ast.Constant, ast.Name, ast.Load, ast.Call, ast.Tuple),
)


class ClaimError(Exception):
    """What the paper says and this run's results do not support."""


def check(condition: str, results: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a condition does not hold, with the values of its results; nothing if it does.

    `results` is what results.json has under each key.
    """
    values: list[Any] = []
    unknown: list[str] = []

    def name(match: re.Match[str]) -> str:
        key = match[0]
        if key[0] in "\"'" or key in _WORDS:
            return key
        try:
            values.append(_value(key, results))
        except KeyError:
            unknown.append(key)
        return f"_{len(values) - 1}"

    expression = _TOKEN.sub(name, condition)
    if unknown:
        near = difflib.get_close_matches(unknown[0], results, n=3)
        return f"{condition}: no result is called {unknown[0]}; near it: {' '.join(near)}"
    try:
        tree = ast.parse(expression, mode="eval")
        for node in ast.walk(tree):
            if not isinstance(node, _ALLOWED):
                raise SyntaxError(f"{type(node).__name__} may not stand in a claim")
        names = {f"_{n}": value for n, value in enumerate(values)} | FUNCTIONS
        holds = eval(compile(tree, "claim", "eval"), {"__builtins__": {}}, names)
        if not isinstance(holds, bool):
            raise TypeError("this is neither true nor false")
    except (SyntaxError, TypeError, ArithmeticError, NameError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        return f"{_shown(condition, results)} cannot be checked: {reason}"
    return "" if holds else f"{_shown(condition, results)} is false"


def _value(key: str, results: Mapping[str, Mapping[str, Any]]) -> Any:
    if key in results:
        return results[key]["value"]
    key, _, part = key.rpartition(".")
    entry = results[key]
    parts = {"n": entry["n"]}
    if entry["interval"]:
        parts["low"], parts["high"] = entry["interval"]
    return parts[part]


def _shown(condition: str, results: Mapping[str, Mapping[str, Any]]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[0][0] in "\"'" or match[0] in _WORDS:
            return match[0]
        found = _value(match[0], results)
        return f"{match[0]} = {f'{found:.6g}' if isinstance(found, float) else repr(found)}"

    return _TOKEN.sub(value, condition)
