"""The Python code is formatted, linted and typed, and its imports run one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from literate.testing import ROOT

BIN = Path(sys.executable).parent
# Each module of the study, and what of it this may import.
IMPORTS = {
    "__init__": set(),
    "data": set(),
    "models": set(),
    "inference": set(),
    "scoring": {"inference"},
    "evaluation": {"data", "inference", "scoring"},
    "inspection": {"data", "inference"},
    "figures": {"evaluation", "inference", "inspection", "scoring"},
    "networks": {"data", "models", "evaluation", "inference"},
    "report": {"data", "models", "evaluation", "inference", "inspection", "scoring"},
}


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "format", "--no-cache", "--check", "."),
        ("ruff", "check", "--no-cache", "."),
        ("basedpyright", "--pythonpath", sys.executable),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_tools_are_content(command):
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def imported(path: Path) -> set[str]:
    """Return the full names of what a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_imports_run_one_way():
    for path in (ROOT / "pycode").glob("*.py"):
        names = {name.split(".")[1] for name in imported(path) if name.startswith("pycode.")}
        # A module of one's own may import all, and none of these imports it.
        assert names <= IMPORTS.get(path.stem, names), path.name


def test_the_machine_knows_no_study():
    for path in (ROOT / "literate").rglob("*.py"):
        if not {"tests", "sample", "skeleton"} & set(path.relative_to(ROOT).parts):
            found = {name.partition(".")[0] for name in imported(path)}
            assert not found & {"pycode", "results"}, path
