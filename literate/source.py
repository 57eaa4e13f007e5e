"""Fingerprints of values and functions: their content and all of the paper's code they reach."""

import copyreg
import dis
import functools
import hashlib
import importlib
import os
import pickle
import re
import sys
import weakref
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec, resolve_name
from itertools import takewhile
from pathlib import Path, PurePath
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

from literate import ROOT, inputs

# What Python and dataclasses keep in a class beside its code and constants.
BOOKKEEPING = set(
    "__module__ __doc__ __dict__ __weakref__ __annotations__ __annotate__ __annotate_func__"
    " __annotations_cache__ __firstlineno__ __static_attributes__ __dataclass_params__"
    " __dataclass_fields__ __slotnames__ __abstractmethods__ _abc_impl".split()
)
# And in a module.
MODULE_BOOKKEEPING = set(
    "__name__ __doc__ __package__ __loader__ __spec__ __path__ __file__ __cached__ __builtins__"
    " __annotations__ __annotate__ __conditional_annotations__".split()
)
# With these a function looks up names that its code does not show.
DYNAMIC = {"eval", "exec", "compile", "globals", "__import__", "import_module"}
ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD"}  # steps of bytecode
HEAP = 1 << 9  # the flag of a class that was made while Python ran, not written in C
_ATOMS = (type(None), bool, int, float, complex, str, bytes)
# Replaces what is described in a pickle, which is never loaded, so any callable will do.
_stand_in = id


def fingerprint(value: Any) -> str:
    """Return a digest of `value`, a function or an object, and of all code of the paper it reaches.

    The paper's own code is that of the blocks of paper.tex and of every module that is not part of
    Python or of an installed package.  Its functions, methods and classes count with their
    constants, default arguments and the data that they reach by name.  They count as the bytecode
    that Python runs, whatever has become of the files since; comments, layout and docstrings do not
    count.  A library's code counts by the library's version.

    An object is described by the way it would be pickled.  An object that cannot be pickled, and a
    function that looks names up while it runs (with eval, for example), count as all of the paper's
    code and everything that the run has read so far, since these determine them.
    """
    return describe(value, numbered=True)[0]


def describe(value: Any, *, numbered: bool = False) -> tuple[str, list[Any]]:
    """Return the fingerprint of a value, and the functions and classes of the paper it reaches.

    Objects whose content is unknown are told apart only if they are to be `numbered`.  Then two
    descriptions of the same one differ.
    """
    pickler = _Describer(numbered=numbered)
    pickler.dump(value)
    pickler.describe_code()
    return pickler.digest.hexdigest(), pickler.own


def is_own(value: Any) -> bool:
    """Return whether a module, or the module that defines a function or class, is the study's."""
    if isinstance(value, ModuleType):
        module = value
    else:
        name = getattr(value, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
        if name == "__main__" or (isinstance(value, (FunctionType, type)) and module is None):
            return True  # from a block of paper.tex, made by one, or sent here
    file = getattr(module, "__file__", None)
    if getattr(module, "__name__", "") in inputs.MACHINE:
        return False
    if isinstance(file, str):
        return not inputs.is_library(file)
    places = getattr(module, "__path__", ())  # of a package without __init__.py
    return any(not inputs.is_library(place) for place in list(places))


def all_code() -> str:
    """Return a digest of all code of the paper, and of everything the run has read so far."""
    parts = [f"{key} {digest}" for key, digest in inputs.of_run().items()]
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if module is not None and isinstance(file, str) and is_own(module):
            parts.append(f"{inputs.relative(file)} {inputs.current('file', file)}")
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script and hasattr(sys.modules["__main__"], "pytex"):
        text = Path(script).read_text(encoding="utf-8", errors="replace")
        # PythonTeX's own lines say on which line of paper.tex a block stands.
        parts.append(re.sub(r"^pytex\..*", "", text, flags=re.MULTILINE))
    return hashlib.sha256("\n".join(sorted(parts)).encode("utf-8", "replace")).hexdigest()


class _Describer(pickle.Pickler):
    """A pickler into a digest that describes functions and classes by what is behind their names.

    These are numbered as they are met, and each is described once, after the rest, so that they may
    refer to each other.  Texts, bytes and tuples of such count by content, whether they are one
    object or several, since that differs between processes.
    """

    def __init__(self, *, numbered: bool) -> None:
        self.digest, self.numbered = hashlib.sha256(), numbered
        super().__init__(self, protocol=5, buffer_callback=self._array)
        self.numbers: dict[int, int] = {}
        self.found: list[Any] = []  # functions, classes and modules, by their number
        self.own: list[Any] = []

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return len(content)

    def _array(self, buffer: pickle.PickleBuffer) -> None:
        self.digest.update(hashlib.sha256(buffer.raw()).digest())

    def describe_code(self) -> None:
        """Describe all functions, classes and modules met so far, and those that they reach."""
        for item in self.found:  # which grows
            if isinstance(item, FunctionType):
                self.dump(self._function(item))
            elif isinstance(item, type):
                self.dump(self._class(item))
            else:
                self.dump(self._module(item))

    def persistent_id(self, value: Any) -> Any:
        kind = type(value)
        if kind in (str, bytes) or (kind is tuple and _is_flat(value)):
            content = value
        elif kind in (set, frozenset) and _is_flat(value):  # its order is how it has grown
            content = sorted(map(repr, value))
        elif isinstance(value, np.dtype) and not value.hasobject:
            content = value, value.metadata
        else:
            return None
        return int.from_bytes(repr((kind.__name__, content)).encode(), "big")

    def reducer_override(self, value: Any) -> Any:
        if value is _stand_in:
            return NotImplemented
        if isinstance(value, (FunctionType, type, ModuleType)):
            if id(value) not in self.numbers:
                self.numbers[id(value)] = len(self.found)
                self.found.append(value)
            return _stand_in, (self.numbers[id(value)],)
        parts = _parts(value)
        return self._object(value) if parts is None else (_stand_in, (type(value),), parts)

    def _object(self, value: Any) -> Any:
        """Return how an object is made and what is in it, in the form that pickle uses."""
        if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
            # Pickle leaves out what a subclass adds, and copies a memory-mapped file.
            added = {name: item for name, item in vars(value).items() if name != "_mmap"}
            if isinstance(value, np.memmap):
                added |= {"filename": None}
            return _stand_in, (type(value),), (value.view(np.ndarray), added)
        if type(value) is np.ndarray and not (value.flags.c_contiguous or value.flags.f_contiguous):
            value = np.ascontiguousarray(value)  # as a copy of it would be
        held = getattr(value, "__dict__", None)  # first, since looking it up may create it
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            reduced = reduce(value) if reduce else value.__reduce_ex__(5)
        except Exception:
            return self._unknown(value)
        if isinstance(reduced, str):
            module = pickle.whichmodule(value, reduced)  # pyright: ignore
            if _attribute(sys.modules.get(module), reduced) is not value:
                return self._unknown(value)
            return _stand_in, ("named", reduced, _version(module))
        if held and is_own(type(value)):  # its pickling may leave out what it uses
            parts = (*reduced[:3], *(list(part or ()) for part in reduced[3:5]))
            return _stand_in, (type(value),), (parts, held)
        return reduced

    def _unknown(self, value: Any) -> Any:
        """Return a stand-in for an object whose content cannot be determined.

        All code and inputs determine the object, but not which of several such objects it is.  So
        each has a number, in the order in which the run meets them.
        """
        if not self.numbered:
            return _stand_in, (type(value), "unknown")
        state = inputs._process().__dict__
        state["unknown"] = state.get("unknown", 0) + 1
        return _stand_in, (type(value), "unknown", state["unknown"], all_code())

    def _function(self, function: FunctionType) -> tuple[Any, ...]:
        own = is_own(function)
        named = _attribute(sys.modules.get(function.__module__ or ""), function.__qualname__)
        if not own and named is function:
            return "library", function.__qualname__, _version(function.__module__)
        closure = tuple(map(_content, function.__closure__ or ()))
        if hasattr(function, "registry") and hasattr(function, "dispatch"):
            # singledispatch keeps a cache beside it
            closure = (dict(getattr(function, "registry")),)  # noqa: B009
        described = (
            *("function", _code(function.__code__).text, function.__defaults__),
            *(function.__kwdefaults__, closure, vars(function)),
        )
        if not own:  # a part of a library that holds what it was given
            return *described, _version(function.__module__)
        self.own.append(function)
        return *described, *self._names(function)

    def _class(self, value: type) -> tuple[Any, ...]:
        named = _attribute(sys.modules.get(value.__module__ or ""), value.__qualname__)
        if not is_own(value):
            found = ("library", value.__qualname__, _version(value.__module__))
            fixed = named is value or not value.__flags__ & HEAP
            return found if fixed else (*found, *value.__bases__, dict(vars(value)))
        self.own.append(value)
        members = {n: item for n, item in vars(value).items() if n not in BOOKKEEPING}
        return "class", type(value), value.__bases__, members

    def _module(self, module: ModuleType) -> tuple[Any, ...]:
        if not is_own(module) or module.__name__ == "__main__":
            return "library", _version(module.__name__)
        held = {n: item for n, item in vars(module).items() if n not in MODULE_BOOKKEEPING}
        return "module", held

    def _names(self, function: FunctionType) -> tuple[Any, ...]:
        """Return what a function's code reaches by name: its globals, and parts of own modules."""
        uses, scope = _code(function.__code__), function.__globals__
        values: list[Any] = []
        for name, attributes in uses.chains:
            if name not in scope:
                continue
            value, used = scope[name], [name]
            for attribute in attributes:
                if not isinstance(value, ModuleType) or attribute not in vars(value):
                    break
                value = vars(value)[attribute]
                used.append(attribute)
            # Of a library's module only what the paper has put there counts.
            if value is sys.modules:
                values.append(("anything", all_code()))
            library = isinstance(scope[name], ModuleType) and not is_own(scope[name])
            told = _version(scope[name].__name__) if library and not is_own(value) else value
            values.append((".".join(used), told))
        for level, module, names in uses.imports:
            values += self._imported(function, level, module, names)
        if uses.dynamic:
            values.append(("anything", all_code()))
        return tuple(values)

    def _imported(self, function: FunctionType, level: int, module: str, names: Any) -> list[Any]:
        """Return what a function imports while it runs, if it is the paper's."""
        package = function.__globals__.get("__package__") or ""
        try:
            name = resolve_name("." * level + module, package) if level else module
            top = name.partition(".")[0]
            spec: Any = getattr(sys.modules.get(top), "__spec__", None) or find_spec(top)
            places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
            if not any(os.path.isabs(p) and not inputs.is_library(p) for p in places):
                return [(name, _version(name))]
            found = importlib.import_module(name)
            values = [] if names else [(name, found), (top, sys.modules[top])]
            for part in names or ():
                if not hasattr(found, part):
                    importlib.import_module(f"{name}.{part}")
                values.append((f"{name}.{part}", getattr(found, part)))
            return values
        except Exception:  # the caller of the function will see it
            return [(module, all_code())]


@dataclass
class _Code:
    """What code does, as a text, and the names that it loads, imports and looks up."""

    text: str
    chains: list[tuple[str, tuple[str, ...]]]  # a name, and the attributes taken of it
    imports: list[tuple[int, str, Any]]
    dynamic: bool


def _code(code: CodeType) -> _Code:
    """Return a description of `code`, including functions inside it."""
    memo = inputs._process().__dict__.setdefault("code", {})
    if code not in memo:
        texts, waiting = [], [code]
        found = _Code("", [], [], False)
        for part in waiting:  # which grows
            steps = list(dis.get_instructions(part))
            texts.append(f"{[(s.opname, _constant(s.argval)) for s in steps]}")
            texts.append(f"{part.co_exceptiontable} {part.co_flags} {part.co_argcount}")
            waiting += [step.argval for step in steps if isinstance(step.argval, CodeType)]
            for n, step in enumerate(steps):
                if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
                    after = takewhile(lambda s: s.opname in ATTRIBUTE, steps[n + 1 :])
                    found.chains.append((step.argval, tuple(s.argval for s in after)))
                    found.dynamic |= step.argval in DYNAMIC
                elif step.opname == "IMPORT_NAME":
                    found.imports.append((steps[n - 2].argval, step.argval, steps[n - 1].argval))
                if step.opname.startswith("LOAD_") and step.argval == "import_module":
                    found.dynamic = True
        found.chains = list(dict.fromkeys(found.chains))
        found.text = "\n".join(texts)
        memo[code] = found
    return memo[code]


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return "code"
    # A set's order is another in every process.
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)


def _is_flat(items: Any) -> bool:
    return all(type(item) in _ATOMS for item in items)


def _parts(value: Any) -> Any:
    """Return what an object of Python's own consists of, or None for what pickle describes well."""
    match value:
        case staticmethod() | classmethod():
            return value.__func__, vars(value)
        case MethodType():
            return value.__func__, value.__self__
        case property():
            return value.fget, value.fset, value.fdel
        case functools._lru_cache_wrapper():  # its cached values do not matter
            return value.__wrapped__, vars(value)
        case MappingProxyType():
            return (dict(value),)
        case weakref.ref():
            return (value(),)
        case weakref.WeakKeyDictionary() | weakref.WeakValueDictionary():
            return ()
        case PurePath():  # wherever the paper is
            return (os.path.relpath(value, ROOT) if _inside(value) else str(value),)
        case BuiltinFunctionType() if isinstance(value.__self__, ModuleType):
            return value.__module__ or "", value.__qualname__
    return () if type(value).__module__ == "_thread" else None  # a lock


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "empty"


def _attribute(module: Any, name: str) -> Any:
    """Return what a qualified name refers to in a module."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def _inside(path: PurePath) -> bool:
    return path == ROOT or ROOT in path.parents


def _version(module: str | None) -> str:
    """Return a module's name and its library's version, which is Python's for its own modules."""
    name = (module or "").partition(".")[0]
    found = getattr(sys.modules.get(name), "__version__", None)
    if found is None and name not in sys.stdlib_module_names:
        memo = inputs._process().__dict__.setdefault("versions", {})
        if name not in memo:
            memo[name] = None
            with suppress(PackageNotFoundError, ValueError):
                memo[name] = version(name)
            if memo[name] is None and name not in sys.modules:  # Pillow's module is PIL
                with suppress(PackageNotFoundError, ValueError, LookupError):
                    memo[name] = version(packages_distributions()[name][0])
        found = memo[name]
    return f"{module} {found}"
