"""With other data and no edit to its prose the paper says which of its sentences are false."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from literate.testing import ROOT, Build, Paper, quicken, red_rules

LABELS = ("a_b", "50%", ">50K", "<=50K", r"$\x{$ & C#^~")
DATA = {  # the call that makes the data, and what the paper then prints
    "synthetic": (
        "data.synthetic(n_samples=400, n_classes=2, seed=seed)",
        ("have sizes 199 and 201.",),
    ),
    "digits": ("data.digits()", ("have sizes 44, 45, 43, 38, 49, 45, 45, 47, 44 and 50.",)),
    "labels": (
        'data.read_table("rows.csv", target="kind_1")',
        ("have sizes 40, 40, 40, 40 and 40.", *LABELS[:4]),
    ),
}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """The shipped paper with smaller models, and a table with classes that LaTeX minds."""
    paper = Paper(ROOT).copy(tmp_path_factory.mktemp("quick") / "paper")
    quicken(paper)
    call = re.search(r"data\.synthetic\(.*?\)", paper.read("paper.tex"), re.S)
    assert call
    paper.edit("paper.tex", call[0], "DATA")
    rng = np.random.default_rng(0)
    lines = ["a,b,c,d,kind_1"]
    for number in range(200):
        label = number % len(LABELS)
        values = rng.normal(size=4) + 0.7 * label
        lines.append(",".join([*(f"{value:.3f}" for value in values), LABELS[label]]))
    (paper.folder / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paper


@pytest.fixture(scope="module", params=DATA)
def swapped(request, quick: Paper) -> Iterator[tuple[Paper, Build, tuple[str, ...]]]:
    """The paper with other data, and the build of it; what was fitted before is remembered."""
    line, printed = DATA[request.param]
    source = quick.read("paper.tex")
    quick.edit("paper.tex", "DATA", line)
    build = quick.build()
    yield quick, build, printed
    (quick.folder / "paper.tex").write_text(source, encoding="utf-8")


@pytest.mark.xdist_group("datasets")
def test_only_claims_are_in_the_way_and_each_is_named_and_struck(swapped):
    paper, build, printed = swapped
    assert build.code != 0
    record, lines = paper.read("results.tex"), paper.read("paper.tex").splitlines()
    failures = re.findall(r"^% failure (.*)", record, re.M)
    false = set(re.findall(r"^\\claimstate\{(.*)\}\{no\}$", record, re.M))
    conditions = set()
    for failure in failures:
        named = re.fullmatch(r"paper\.tex:(\d+): (.* = .*) is false", failure)
        assert named, failure
        condition = re.sub(r" = (?:[-\w.+]+|'.*?')", "", named[2])  # without the values
        if name := re.match(r"([a-z][a-z0-9_]*): ", named[2]):
            condition = name[1]
        assert rf"\claim{{{condition}}}" in lines[int(named[1]) - 1]
        assert failure in build.output
        conditions.add(condition)
    assert conditions == false != set()
    text = " ".join(paper.pages())
    assert "has not been completed" in text
    assert "??" not in text
    assert red_rules(paper) >= len(failures)
    assert re.findall(r"^!.*|.*(?:undefined|multiply).*", paper.read("paper.log"), re.M) == []
    assert set(re.findall(r"\w*Error\b", build.output)) == {"ClaimError"}
    for words in printed:
        assert words in text
