"""What benchmarks/ found is of this code."""

import ast
import hashlib
import json

from conftest import ROOT


def test_the_simulation_is_of_this_code() -> None:
    record = json.loads((ROOT / "benchmarks/inference.json").read_text(encoding="utf-8"))
    tree = ast.parse((ROOT / "pycode/inference.py").read_text(encoding="utf-8"))
    digest = hashlib.sha256(ast.unparse(tree).encode()).hexdigest()
    assert record["code"] == digest, "run benchmarks/inference.py again"
    for kind in ("proportion", "difference"):
        assert 0.93 <= record[kind]["least"] <= record[kind]["most"] <= 0.97
    assert record["mcnemar"]["most"] <= 0.05
    assert record["t_test"]["corrected"] <= 0.06 < 0.3 < record["t_test"]["uncorrected"]
