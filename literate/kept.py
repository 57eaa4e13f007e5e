"""Results that another run has computed and kept in a file, for what a build cannot compute itself.

Such a record says with which code and from which inputs it was made.  A build can therefore check
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
    waiting, seen = [(f"{folder.name}.{stem}", "")], set[tuple[str, str]]()
    parts = []
    while waiting:
        module, name = waiting.pop()
        if (module, name) in seen or module in inputs.MACHINE:
            continue
        seen.add((module, name))
        if module not in modules:
            file = _file(folder.parent, module)
            if file is None:
                continue
            modules[module] = _Module(file, module, folder.parent)
        code, uses = modules[module].part(name)
        parts.append(f"{module}.{name}\n{code}")
        waiting += uses
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


def _file(root: Path, module: str) -> Path | None:
    """Return a module's file; a package comes before a module, as in Python."""
    path = root / module.replace(".", "/")
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            return file
    return None


class _Module:
    """A module's source, by the names that it defines."""

    def __init__(self, path: Path, name: str, root: Path) -> None:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, str(path))
        self.name, self.lines, self.root = name, _bare(source, tree), root
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.defined: dict[str, list[ast.stmt]] = {}
        self.imported: dict[str, list[tuple[str, str]]] = {}  # module and name, "" for all of it
        self.statements: list[ast.stmt] = []
        for node in ast.walk(tree):
            self._note_imports(node)
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)) and self._is_own(node):
                continue
            self.statements.append(node)
            for defined in _defines(node):
                self.defined.setdefault(defined, []).append(node)

    def part(self, name: str) -> tuple[str, list[tuple[str, str]]]:
        """Return the code that defines `name`, or all if it is empty, and the names it uses."""
        nodes = self.defined.get(name, []) if name else self.statements
        uses = [] if name in self.defined or not name else self.imported.get(name, [])[:]
        uses += self.imported.get("*", [])
        inner = [node for outer in nodes for node in ast.walk(outer)]
        local = {node.arg for node in inner if isinstance(node, ast.arg)}
        told = set[int]()  # names of modules that come before a dot
        for node in inner:
            if isinstance(node, ast.Attribute):
                chain = ast.unparse(node).split(".")
                for module, whole in self.imported.get(chain[0], []):
                    if not whole and module:
                        uses.append(self._reached(module, chain[1:]))
                        told |= {id(n) for n in ast.walk(node) if isinstance(n, ast.Name)}
        for node in inner:
            if isinstance(node, ast.Name) and id(node) not in told and node.id not in local:
                uses += self.imported.get(node.id, [])
                uses += [(self.name, node.id)] * (node.id in self.defined and bool(name))
        return "\n".join(line for node in nodes for line in self._code(node)), uses

    def _note_imports(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                if self._exists(name):
                    self.imported.setdefault(alias.asname or name, []).append((name, ""))
        elif isinstance(node, ast.ImportFrom) and self._exists(origin := self._origin(node)):
            for alias in node.names:
                target = (origin, "" if alias.name == "*" else alias.name)
                if self._exists(f"{origin}.{alias.name}"):
                    target = (f"{origin}.{alias.name}", "")
                self.imported.setdefault(alias.asname or alias.name, []).append(target)

    def _origin(self, node: ast.ImportFrom) -> str:
        """Return the full name of the module that names are imported from."""
        if not node.level:
            return node.module or ""
        package = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
        return ".".join([*package, *filter(None, [node.module])])

    def _is_own(self, node: ast.Import | ast.ImportFrom) -> bool:
        names = [alias.name for alias in node.names]
        return any(
            map(self._exists, names if isinstance(node, ast.Import) else [self._origin(node)])
        )

    def _exists(self, module: str) -> bool:
        path = self.root / module.replace(".", "/")
        return bool(module) and (path.is_dir() or _file(self.root, module) is not None)

    def _reached(self, module: str, attributes: list[str]) -> tuple[str, str]:
        """Return the module that attributes lead to, and the name in it."""
        for n, attribute in enumerate(attributes):
            if not self._exists(f"{module}.{attribute}"):
                return module, attributes[n]
            module = f"{module}.{attribute}"
        return module, ""

    def _code(self, node: Any) -> list[str]:
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        return [line for line in self.lines[start - 1 : node.end_lineno] if line]


def _defines(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement gives a value to, also inside if and try."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
        return
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    for inner in ast.iter_child_nodes(node):
        yield from _defines(inner)


def _bare(source: str, tree: ast.Module) -> list[str]:
    """Return the lines of a module with comments and docstrings removed, leaving empty lines."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            text = node.body[0]
            first, last = text.lineno - 1, (text.end_lineno or 0) - 1
            # Columns count bytes; other code may stand before and after it.
            before = lines[first].encode()[: text.col_offset].decode()
            after = lines[last].encode()[text.end_col_offset or 0 :].decode()
            lines[first : last + 1] = (
                [before] + [""] * (last - first - 1) + [after] * (last > first)
            )
            if last == first:
                lines[first] = before + after
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
