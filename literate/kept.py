"""Results that another run has computed and kept in a file, for what a build cannot compute itself.

Such a record says with which code and from which inputs it was made.  A build can therefore check
whether both are still the same, without the libraries that the code needs.
"""

import ast
import hashlib
import io
import json
import symtable
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

import numpy as np

from literate import ROOT, inputs
from literate.estimate import Estimate


class KeptError(ValueError):
    """A record that cannot be used; the message says where, why and what to do."""


def read(path: str | Path) -> dict[str, Any]:
    """Return the contents of a record, with each number that has an interval as an Estimate.

    A relative path starts in the paper's folder.  Raises KeptError, with the line and column, if
    the file is missing or is not a record.
    """
    remedy = "take it from git again, or make it anew"
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
    """Return what a record was made of and has changed since: its code, or names of inputs."""
    names = [str(code)] * (record["code"] != digest(code))
    known = record["inputs"]
    return names + sorted(n for n in known.keys() | inputs if known.get(n) != inputs.get(n))


def text(
    results: Any, *, code: str | Path, inputs: Mapping[str, str], environment: Mapping[str, Any]
) -> str:
    """Return the text of a record, in JSON.

    `results` may hold mappings, sequences, dataclasses, numbers, text and arrays; arrays are
    rounded to four decimals.  What a dataclass does not show in its repr is left out.
    """
    whole = {"environment": environment, "code": digest(code), "inputs": inputs}
    return json.dumps(whole | {"results": _plain(results)}, indent=1, allow_nan=False) + "\n"


def digest(path: str | Path) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a module's code and of what it uses.

    What it uses is what it names of other modules of the paper, wherever it imports them, and what
    these names use in turn, except for the modules of inputs.MACHINE.  If a module is passed on as
    a value, all of it counts.  Comments, docstrings and empty lines do not count, nor does what
    other modules do besides defining these names.  No code is run.
    """
    folder, stem = (ROOT / path).parent, Path(path).stem
    modules: dict[str, _Module] = {}
    parts: dict[tuple[str, str], str] = {}
    waiting = [(f"{folder.name}.{stem}", "")]
    for module, name in waiting:  # which grows
        if (module, name) in parts or module in inputs.MACHINE:
            continue
        if module not in modules:
            modules[module] = _Module(folder.parent, module)
        parts[module, name], uses = modules[module].part(name)
        waiting += uses
    text = "\n".join(sorted(f"{module}.{name}\n{code}" for (module, name), code in parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Module:
    """A module's source, by the names that it defines, and what the paper's imports mean in it."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        file = self._find(name) or root
        source = file.read_text(encoding="utf-8") if file.is_file() else ""
        tree = ast.parse(source, str(file))
        self.package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        self.lines = _bare(source, tree)
        self.imported: dict[str, list[str]] = {}  # full names, of modules or of what is in them
        self.defined: dict[str, list[ast.stmt]] = {}
        self.statements: list[ast.stmt] = []
        for node in ast.walk(tree):
            for alias, target in self._imports(node):
                self.imported.setdefault(alias, []).append(target)
        for node in tree.body:
            if any(self._imports(node)):
                continue
            self.statements.append(node)
            for symbol in symtable.symtable(ast.unparse(node), str(file), "exec").get_symbols():
                if symbol.is_assigned() or symbol.is_imported():
                    self.defined.setdefault(symbol.get_name(), []).append(node)

    def part(self, name: str) -> tuple[str, list[tuple[str, str]]]:
        """Return the code that defines `name`, or all if it is empty, and the names it uses."""
        nodes = self.defined.get(name, []) if name else self.statements
        reached = [*self.imported.get(name, []), *self.imported.get("*", [])]
        uses = []
        for first, *rest in (chain for node in nodes for chain in _chains(node)):
            reached += [".".join([target, *rest]) for target in self.imported.get(first, [])]
            if name and first in self.defined:
                uses.append((self.name, first))
        code = "\n".join(line for node in nodes for line in self._code(node))
        return code, uses + [self._split(target) for target in reached]

    def _imports(self, node: ast.AST) -> Iterator[tuple[str, str]]:
        """Yield each name that a statement imports from the paper, and what it means."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                if self._find(name):
                    yield alias.asname or name, name
        elif isinstance(node, ast.ImportFrom):
            try:
                origin = resolve_name("." * node.level + (node.module or ""), self.package)
            except ImportError:  # beyond the paper's folder, where Python finds nothing either
                return
            if self._find(origin):
                for alias in node.names:
                    target = origin if alias.name == "*" else f"{origin}.{alias.name}"
                    yield alias.asname or alias.name, target

    def _find(self, module: str) -> Path | None:
        """Return the file of a module of the paper, or the folder of a package that has none."""
        path = self.root / module.replace(".", "/")
        places = (path / "__init__.py", path.with_name(f"{path.name}.py"), path)
        return next(filter(Path.exists, places), None)

    def _split(self, target: str) -> tuple[str, str]:
        """Return the module in a full name, and the name in that module, or none for all of it."""
        module, *rest = target.split(".")
        while rest and self._find(f"{module}.{rest[0]}"):
            module = f"{module}.{rest.pop(0)}"
        return module, rest[0] if rest else ""

    def _code(self, node: Any) -> list[str]:
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        return [line for line in self.lines[start - 1 : node.end_lineno] if line]


def _chains(node: ast.AST) -> Iterator[list[str]]:
    """Yield the names that code uses, each with the attributes that it takes of it."""
    if isinstance(node, (ast.Name, ast.Attribute)):
        chain = ast.unparse(node).split(".")
        if all(map(str.isidentifier, chain)):
            yield chain
            return
    for inner in ast.iter_child_nodes(node):
        yield from _chains(inner)


def _bare(source: str, tree: ast.Module) -> list[str]:
    """Return the lines of a module with comments and docstrings removed, leaving empty lines."""
    lines = source.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            text = node.body[0]
            place = slice(text.lineno - 1, text.end_lineno)
            whole = [line.encode() for line in lines[place]]
            around = whole[0][: text.col_offset] + whole[-1][text.end_col_offset :]
            # One that shares its lines with other code stays, and counts.
            if not around.strip():
                lines[place] = [""] * len(lines[place])
    return [line.rstrip() for line in lines]


def _estimate(found: dict[str, Any]) -> Any:
    return Estimate(**found) if found.keys() == {"value", "low", "high", "n"} else found


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate):
        return {"value": float(value), "low": value.low, "high": value.high, "n": value.n}
    if isinstance(value, Mapping):
        return {_name(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value):
        shown = [field.name for field in fields(value) if field.repr]
        return {name: _plain(getattr(value, name)) for name in shown}
    if isinstance(value, np.ndarray):
        return np.round(value, 4).tolist()
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _name(key: Any) -> str:
    return " - ".join(key) if isinstance(key, tuple) else str(key)
