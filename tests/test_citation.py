"""CITATION.cff is valid, and says of the version what pyproject.toml and CHANGELOG.md say."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from ruamel.yaml import YAML

from literate.testing import ROOT

CITATION = YAML(typ="safe").load(ROOT / "CITATION.cff")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def validate(file: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("check-jsonschema")
    command = (tool, "--builtin-schema", "vendor.citation-file-format", file)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_valid(tmp_path: Path):
    done = validate(ROOT / "CITATION.cff")
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "CITATION.cff"
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    wrong.write_text(text.replace("type: software", "type: paper"), encoding="utf-8")
    assert validate(wrong).returncode != 0


def test_it_says_what_a_citation_needs():
    needed = {"title", "authors", "version", "license", "abstract", "keywords", "type", "message"}
    assert needed <= CITATION.keys()


def test_it_cites_this_version():
    assert CITATION["version"] == PROJECT["version"]
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["abstract"].startswith(PROJECT["description"].partition(":")[0])
    released = re.search(
        rf"^## \[?{re.escape(PROJECT['version'])}\]? - (\S+)$",
        (ROOT / "literate/CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    # A version without a date there has not been released.
    assert str(CITATION.get("date-released", "")) == (released[1] if released else "")
