"""The Python code is formatted, linted and typed, and its imports run one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from literate.testing import ROOT

BIN = Path(sys.executable).parent
# Each module, and what of pycode it may import.
IMPORTS = {
    "__init__": {"chance", "inputs"},
    "inputs": set(),
    "chance": {"inputs"},
    "data": set(),
    "models": set(),
    "source": {"inputs"},
    "progress": set(),
    "parallel": {"chance", "inputs", "progress", "source"},
    "cache": {"chance", "inputs", "parallel", "source"},
    "inference": set(),
    "evaluation": {"cache", "data", "inference"},
    "inspection": {"cache", "data", "inference"},
    "tex": {"inference"},
    "fonts": set(),
    "figures": {"cache", "evaluation", "fonts", "inference", "inspection", "results", "tex"},
    "claims": set(),
    "kept": {"inference", "inputs"},
    "networks": {"cache", "data", "evaluation", "inference"},
    "results": {"cache", "chance", "claims", "inference", "inputs", "tex"},
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


def test_imports_run_one_way():
    for path in (ROOT / "pycode").glob("*.py"):
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "pycode":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pycode."):
                found.add(str(node.module).removeprefix("pycode."))
        # A module of one's own may import all, and none of these imports it.
        assert found <= IMPORTS.get(path.stem, found), path.name
