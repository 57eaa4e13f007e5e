r"""Checks of the paper's claims: the conditions on its results that `\claim` attaches to a text.

A condition is a comparison, or several joined by `and`, `or` and `not`, of results, numbers and
texts in quotes, with `+ - * /`, `abs`, `min` and `max`; `in` is followed by a list in parentheses.
A result is written as its key, and the bounds of its interval and its number of observations as
`key.low`, `key.high` and `key.n`.

A claim may give the name of several conditions instead, which `results.claims` has given them.
"""

import ast
import difflib
import re
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "min": min, "max": max}
_WORDS = {"and", "or", "not", "in", *FUNCTIONS}
# Text in quotes is not a key, nor is the tail of a number such as 1e3.
_TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'|(?<![\w.])[A-Za-z_][\w+-]*(?:\.[\w+-]*\w)*")

NAME = re.compile(r"[a-z][a-z0-9_]*")  # of conditions, which have an operator
_PART = r"(?:[\w+-]*(?:\w|\{[^{}\s]*\}))+"
# Text in quotes, or a key that may begin with a dot and have braces, as in .gain.{20,50}.high.
_SHORT = re.compile(
    rf"\"[^\"]*\"|'[^']*'|(?<![\w.}}])(?:\.(?=[A-Za-z_{{])|(?=[A-Za-z_{{])){_PART}(?:\.{_PART})*"
)


class ClaimError(Exception):
    """A statement of the paper that this run's results do not support."""


def check(condition: str, results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return why a condition does not hold, with the values of its results; empty if it does.

    `results` is what results.json has under each key.
    """
    tokens = [token for token in _TOKEN.findall(condition) if token[0] not in "\"'"]
    values = {key: _value(key, results) for key in tokens if key not in _WORDS}
    for key, value in values.items():
        if value is None:
            near = " ".join(difflib.get_close_matches(key, results, n=3))
            return f"{condition}: no result is called {key}; near it: {near}"
    names = {key: f"_{n}" for n, key in enumerate(values)}
    shown = {
        key: f"{key} = {f'{value:.6g}' if isinstance(value, float) else repr(value)}"
        for key, value in values.items()
    }
    reason = "is false"
    try:
        tree = ast.parse(_replace(condition, names).strip(), mode="eval")
        if "#" in _replace(condition, names):
            raise SyntaxError("# may not stand in a claim")
        _allow_condition(tree.body)
        known = {names[key]: value for key, value in values.items()} | FUNCTIONS
        if eval(compile(tree, "claim", "eval"), {"__builtins__": {}}, known):
            return ""
    except (SyntaxError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        reason = f"cannot be checked: {error.msg if isinstance(error, SyntaxError) else error}"
    return f"{_replace(condition, shown)} {reason}"


def write_out(condition: str, prefix: str) -> str:
    """Return a condition with whole keys.

    A key that begins with a dot gets the prefix, and each of those that `{a,b}` in a key stands for
    is listed.

    >>> write_out("max(.gain.{20,50}.high) < 0.02", "deep")
    'max(deep.gain.20.high, deep.gain.50.high) < 0.02'
    """

    def whole(match: re.Match[str]) -> str:
        key = match[0]
        if key[0] in "\"'":
            return key
        if key[0] == ".":
            if not prefix:
                raise ValueError(f"{key} begins with a dot, but the claims have no prefix")
            key = prefix + key
        parts = re.split(r"\{(.*?)\}", key)
        parts[1::2] = [part.split(",") for part in parts[1::2]]
        choices = [part if isinstance(part, list) else [part] for part in parts]
        return ", ".join(map("".join, product(*choices)))

    return _SHORT.sub(whole, condition)


def _allow_condition(node: ast.expr) -> None:
    """Raise SyntaxError for anything but comparisons of results and combinations of these."""
    match node:
        case ast.BoolOp(values=parts):
            for part in parts:
                _allow_condition(part)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            _allow_condition(part)
        case ast.Compare(left=left, ops=signs, comparators=others):
            if not any(isinstance(n, ast.Name) and n.id[0] == "_" for n in ast.walk(node)):
                raise SyntaxError("a comparison without a result says nothing")
            _allow_value(left)
            for sign, other in zip(signs, others, strict=True):
                listed = isinstance(sign, (ast.In, ast.NotIn))
                if listed != isinstance(other, ast.Tuple):
                    raise SyntaxError("only after in, and always there, stands a list like (1, 2)")
                for value in other.elts if isinstance(other, ast.Tuple) else [other]:
                    _allow_value(value)
        case _:
            raise SyntaxError("this is neither true nor false")


def _allow_value(node: ast.expr) -> None:
    match node:
        case ast.Constant(value=int() | float() | str()):
            pass
        case ast.Name(id=name) if name[0] == "_":
            pass
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            _allow_value(left)
            _allow_value(right)
        case ast.UnaryOp(op=ast.USub(), operand=part):
            _allow_value(part)
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in FUNCTIONS:
            for part in parts:
                _allow_value(part)
        case _:
            raise SyntaxError(f"{type(node).__name__} may not stand in a claim")


def _value(key: str, results: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the value of a result, or a part of it; None if there is none of this name."""
    if key in results:
        return results[key].get("value")  # environment has none
    key, _, part = key.rpartition(".")
    entry = results.get(key, {})
    low, high = entry.get("interval") or (None, None)
    return {"n": entry.get("n"), "low": low, "high": high}.get(part)


def _replace(condition: str, tokens: Mapping[str, str]) -> str:
    return _TOKEN.sub(lambda match: tokens.get(match[0], match[0]), condition)
