"""Results that another run has made and kept in a file, for what a build cannot compute itself.

Such a record says with which code and on which inputs it was made, so that a build can tell
whether both are still the same, without the libraries that the code needs.
"""

import ast
import hashlib
import io
import json
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycode.inference import Estimate

ROOT = Path(__file__).resolve().parent.parent
# They say where and when something is computed, not what.
ENGINE = {"cache", "parallel", "progress", "source"}


class KeptError(ValueError):
    """A record that cannot be used; the message says where, why and what to do."""


def read(path: str | Path) -> dict[str, Any]:
    """What the file holds, numbers with an interval as Estimate.

    A relative path starts in the paper's folder.  Raises KeptError, with the line and column, if
    the file is not there or is no record.
    """
    remedy = "take it from git again, or run make deep"
    try:
        found = json.loads((ROOT / path).read_text(encoding="utf-8"), object_hook=_estimate)
        for name in ("code", "inputs", "environment", "results"):
            found[name]
    except FileNotFoundError:
        raise KeptError(f"{path}: there is no such file: {remedy}") from None
    except UnicodeDecodeError as error:
        raise KeptError(f"{path}: byte {error.start + 1} is not UTF-8: {remedy}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise KeptError(f"{path}, {place}: {error.msg}: {remedy}") from None
    except (KeyError, TypeError):
        raise KeptError(f"{path}: this is no record of code and results: {remedy}") from None
    return found


def changed(record: Mapping[str, Any], *, code: str | Path, inputs: Mapping[str, str]) -> list[str]:
    """What a record was made of that is not the same any more: code, or names of inputs."""
    names = [str(code)] * (record["code"] != digest(code))
    known = record["inputs"]
    return names + sorted(n for n in known.keys() | inputs if known.get(n) != inputs.get(n))


def text(
    results: Any, *, code: str | Path, inputs: Mapping[str, str], environment: Mapping[str, Any]
) -> str:
    """The text of a record, in JSON.

    `results` may hold mappings, sequences, dataclasses, numbers, text and arrays, these with four
    decimals.  What a dataclass does not show in its repr is left out.
    """
    whole = {"environment": environment, "code": digest(code), "inputs": inputs}
    return json.dumps(whole | {"results": _plain(results)}, indent=1, allow_nan=False) + "\n"


def digest(path: str | Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a module's code and of what that uses.

    That is what it uses of other modules in its folder by name, and what this uses in turn, but
    for those of ENGINE.  Comments, docstrings and empty lines do not count, nor what other modules
    do besides defining these names; nothing is run.
    """
    folder, first = (ROOT / path).parent, Path(path).stem
    modules: dict[str, _Module] = {}
    waiting, seen = [(first, "")], set[tuple[str, str]]()
    parts = []
    while waiting:
        module, name = waiting.pop()
        if (module, name) in seen or module in ENGINE or not (folder / f"{module}.py").exists():
            continue
        seen.add((module, name))
        if module not in modules:
            modules[module] = _Module(folder / f"{module}.py", folder.name)
        code, uses = modules[module].part(name)
        parts.append(f"{module}.{name}\n{code}")
        waiting += uses
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


class _Module:
    """A module's source, by the names that it defines."""

    def __init__(self, path: Path, package: str) -> None:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, str(path))
        self.name, self.lines = path.stem, _bare(source, tree)
        self.defined: dict[str, list[ast.stmt]] = {}
        self.imported: dict[str, tuple[str, str]] = {}  # module and name, "" for a module itself
        self.statements: list[ast.stmt] = []
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package):
                inside = (node.module or "").partition(".")[2]
                for alias in node.names:
                    target = (inside, alias.name) if inside else (alias.name, "")
                    self.imported[alias.asname or alias.name] = target
                continue
            self.statements.append(node)
            for name in _defines(node):
                self.defined.setdefault(name, []).append(node)

    def part(self, name: str) -> tuple[str, list[tuple[str, str]]]:
        """The code that defines `name`, all if it is empty, and what of modules it uses."""
        nodes = self.defined.get(name, []) if name else self.statements
        uses = []
        for node in (inner for outer in nodes for inner in ast.walk(outer)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module, whole = self.imported.get(node.value.id, ("", "-"))
                uses += [(module, node.attr)] * (not whole)
            elif isinstance(node, ast.Name):
                module, known = self.imported.get(node.id, ("", ""))
                uses += [(module, known)] * bool(known)
                uses += [(self.name, node.id)] * (node.id in self.defined and bool(name))
        return "\n".join(line for node in nodes for line in self._code(node)), uses

    def _code(self, node: Any) -> list[str]:
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        return [line for line in self.lines[start - 1 : node.end_lineno] if line]


def _defines(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    for target in (*getattr(node, "targets", ()), getattr(node, "target", None)):
        yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name)) if target else ()


def _bare(source: str, tree: ast.Module) -> list[str]:
    """The lines of a module without comments and docstrings, which leave empty ones."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            first, last = node.body[0].lineno, node.body[0].end_lineno or 0
            lines[first - 1 : last] = [""] * (last - first + 1)
    return [line.rstrip() for line in lines]


def _estimate(found: dict[str, Any]) -> Any:
    return Estimate(**found) if found.keys() == {"value", "low", "high", "n"} else found


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate):
        return {"value": float(value), "low": value.low, "high": value.high, "n": value.n}
    if isinstance(value, Mapping):
        return {_name(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        shown = [field.name for field in fields(value) if field.repr and field.name != "by"]
        return {name: _plain(getattr(value, name)) for name in shown}
    if isinstance(value, np.ndarray):
        return np.round(value, 4).tolist()
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _name(key: Any) -> str:
    return " - ".join(key) if isinstance(key, tuple) else str(key)
