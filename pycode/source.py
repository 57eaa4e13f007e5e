"""Says which of the paper's own code a function reaches, as Python runs it."""

import dis
import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import joblib
import numpy as np

ROOT = Path(__file__).resolve().parent.parent

# What Python and dataclasses keep in a class beside its code and constants.
BOOKKEEPING = set(
    "__module__ __doc__ __dict__ __weakref__ __annotations__ __annotate__ __annotate_func__"
    " __annotations_cache__ __firstlineno__ __static_attributes__ __dataclass_params__"
    " __dataclass_fields__ __slotnames__ __abstractmethods__ _abc_impl".split()
)


def fingerprint(value: Any) -> str:
    """A digest of `value`, a function or an object, and of all code of the paper it reaches.

    The paper's own code is that of modules in its folder and of the blocks of paper.tex.  Its
    functions, methods and classes count with their constants and default arguments, as the
    bytecode that Python runs, whatever has become of the files since; comments, layout and
    docstrings do not.  A library's code counts by the library's version.  Files that a
    function opens, and names that it makes up while it runs, are not followed.

    Raises an error of pickle for a value whose content cannot be told.
    """
    digest, waiting = hashlib.sha256(), [value]
    order: dict[Any, int] = {}  # in which functions, classes and modules were found
    while waiting:
        item = waiting.pop()
        if isinstance(item, (FunctionType, type, ModuleType)):
            description, reached = f"number {order.get(item)}", []
            if item not in order:
                order[item] = len(order)
                description, reached = _describe(item)
        else:
            description, reached = _describe(item)
        digest.update(f"{description} and {len(reached)} more\n".encode())
        waiting += reached
    return digest.hexdigest()


def is_own(value: Any) -> bool:
    """Whether a module, or what a function or class is defined in, belongs to the paper."""
    name = "" if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    if name == "__main__" or (isinstance(value, FunctionType) and name not in sys.modules):
        return True  # from a block of paper.tex, or made by one
    file = getattr(sys.modules.get(name) if name else value, "__file__", None)
    return isinstance(file, str) and _in_paper(file)


@cache
def _in_paper(file: str) -> bool:
    path = Path(file).resolve()  # ROOT is, and a link may lead there
    libraries = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return ROOT in path.parents and not installed and not libraries & set(path.parents)


def _describe(value: Any) -> tuple[Any, list[Any]]:
    """What `value` is by itself, and what else it reaches."""
    if isinstance(value, (staticmethod, classmethod, MethodType)):
        return "method", [value.__func__, getattr(value, "__self__", None)]
    if isinstance(value, property):
        return "property", [value.fget, value.fset]
    if hasattr(value, "__wrapped__") and not isinstance(value, FunctionType):
        return "wrapper", [value.__wrapped__]  # functools.cache makes these
    if isinstance(value, partial):
        return "partial", [value.func, value.args, value.keywords]
    if isinstance(value, CodeType):
        steps = [(step.opname, step.argval) for step in dis.get_instructions(value)]
        nested = [constant for _, constant in steps if isinstance(constant, CodeType)]
        shown = [(name, _constant(argument)) for name, argument in steps]
        return f"{shown} {value.co_exceptiontable}", nested
    if isinstance(value, (FunctionType, type, ModuleType)) and not is_own(value):
        return _library(value), []
    if isinstance(value, ModuleType):
        return "module", []  # what is used of it is described
    if isinstance(value, FunctionType):
        closure = [cell.cell_contents for cell in value.__closure__ or ()]
        return "function", [
            *(value.__code__, value.__defaults__, value.__kwdefaults__, closure),
            *_globals(value),
        ]
    if isinstance(value, type):
        members = {name: vars(value)[name] for name in sorted(vars(value).keys() - BOOKKEEPING)}
        return f"class {list(members)}", [*value.__bases__, *members.values()]
    if isinstance(value, Path):
        return f"path {os.path.relpath(value, ROOT)}", []  # wherever the paper is
    if isinstance(value, Mapping):
        return f"mapping of {len(value)}", [part for item in value.items() for part in item]
    if isinstance(value, (list, tuple)) and not all(map(_is_plain, value)):
        return f"{type(value).__name__} of {len(value)}", list(value)
    if is_dataclass(value):
        return "dataclass", [type(value), *(getattr(value, field.name) for field in fields(value))]
    if _is_plain(value):
        return str(joblib.hash(value)), []
    # A library's object may hold functions of the paper, as a pipeline or a scorer does.
    held = list(getattr(value, "__dict__", {}).values())
    held += getattr(value, "get_params", dict)().values()
    return str(joblib.hash(value)), [type(value), *(item for item in held if _is_code(item))]


def _is_code(value: Any) -> bool:
    return isinstance(value, (FunctionType, MethodType, type, partial)) or is_own(type(value))


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, bytes, int, float, complex, np.ndarray))


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return "code"
    # A set's order is another in every process.
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)


def _library(value: Any) -> str:
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    version = getattr(sys.modules.get((name or "").partition(".")[0]), "__version__", "")
    return f"{name}.{getattr(value, '__qualname__', '')} {version}"


def _globals(function: FunctionType) -> list[Any]:
    """The values that a function's code has by name: its globals, and parts of own modules."""
    codes, names, modules = [function.__code__], set[str](), set[str]()
    for code in codes:
        for step in dis.get_instructions(code):
            if isinstance(step.argval, CodeType):
                codes.append(step.argval)
            elif step.opname == "IMPORT_NAME":
                modules.add(step.argval)
            elif step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
                names.add(step.argval)
    scope = function.__globals__
    values = [scope[name] for name in sorted(names) if name in scope]
    values += [import_module(name) for name in sorted(modules) if _is_own_module(name)]
    attributes = sorted({name for code in codes for name in code.co_names})
    for value in values:
        if isinstance(value, ModuleType) and is_own(value):
            parts = (vars(value)[name] for name in attributes if name in vars(value))
            values += [part for part in parts if not any(part is known for known in values)]
    return values


def _is_own_module(name: str) -> bool:
    spec = find_spec(name.partition(".")[0])
    return spec is not None and _in_paper(spec.origin or "")
