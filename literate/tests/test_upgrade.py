"""make upgrade brings a later machine into a paper, touches nothing else, and can be taken back."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literate import trees, upgrade
from literate.testing import ROOT, Paper
from literate.trees import TreeError

pytestmark = pytest.mark.xdist_group("upgrade")

PAPER = r"""\documentclass{article}
\input{literate/macros}
\begin{document}
\begin{pycode}
from literate import results
results.begin(pytex)
results.record("own", {"number": 0.25})
\end{pycode}
Of \result{own.number}.
\end{document}
"""
SOMEBODY = {"name": "Somebody", "email": "somebody@localhost"}


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    return trees.git(folder, *identity, *command)


def commit(folder: Path, message: str, tag: str = "") -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={message}")
    if tag:
        git(folder, "tag", tag)


def release(template: Paper) -> None:
    """Make the later release, and go on."""
    (template.folder / "literate/VERSION").write_text("1.1.0\n")
    log = template.read("literate/CHANGELOG.md").replace("## ", "## 1.1.0\n\nBetter.\n\n## ", 1)
    (template.folder / "literate/CHANGELOG.md").write_text(log)
    (template.folder / "literate/more.py").write_text('"""More."""\n')
    (template.folder / "literate/fonts.py").write_text(
        template.read("literate/fonts.py") + "\n# later\n"
    )
    (template.folder / "paper.tex").write_text("not the author's")
    commit(template.folder, "Release 1.1.0", "v1.1.0")
    (template.folder / "literate/VERSION").write_text("1.2.0.dev\n")
    commit(template.folder, "Go on")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paper, Paper]:
    """The template with two releases, and a paper from the first, with work of the author's."""
    template = Paper(tmp_path_factory.mktemp("upgrade") / "template")
    trees.lay(ROOT, template.folder, trees.files(ROOT))
    (template.folder / "literate/VERSION").write_text("1.0.0\n")
    trees.commit(template.folder, "Release 1.0.0", **SOMEBODY)
    git(template.folder, "tag", "v1.0.0")
    paper = Paper(template.folder.with_name("mine"))
    command = (sys.executable, "-m", "literate.new", str(paper.folder), "Mine", "A. Author")
    new = template.run(*command)
    assert new.code == 0, new.output
    release(template)
    git(paper.folder, "config", "user.name", "Somebody")
    git(paper.folder, "config", "user.email", "somebody@localhost")
    (paper.folder / "paper.tex").write_text(PAPER)
    (paper.folder / "pycode/own.py").write_text("OWN = 1\n")
    (paper.folder / "latexmkrc").write_text(paper.read("latexmkrc") + "$max_repeat = 7;\n")
    (paper.folder / "requirements.txt").write_text(paper.read("requirements.txt") + "own==1\n")
    commit(paper.folder, "Work")
    return template, paper


@pytest.fixture
def template(made: tuple[Paper, Paper]) -> Paper:
    return made[0]


@pytest.fixture
def paper(made: tuple[Paper, Paper], tmp_path: Path) -> Paper:
    """A copy of that paper."""
    shutil.copytree(made[1].folder, tmp_path / "mine")
    return Paper(tmp_path / "mine")


def test_the_machine_is_later_and_all_else_as_it_was(template: Paper, paper: Paper):
    (paper.folder / ".venv").symlink_to(ROOT / ".venv")
    assert paper.build().code == 0
    commit(paper.folder, "Keep the numbers")
    before = {name: paper.read(name) for name in trees.files(paper.folder)}
    assert json.loads(before["results.json"])["own.number"]["value"] == 0.25
    said = upgrade.upgrade(paper.folder, str(template.folder))
    assert said.startswith("## 1.1.0\n\nBetter.")
    assert "latexmkrc is your own" in said
    assert said.endswith("literate/ is that of 1.1.0 now, and was that of 1.0.0")
    after = {name: paper.read(name) for name in trees.files(paper.folder)}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    own = {"VERSION", "more.py", "fonts.py"}
    assert changed == {f"literate/{name}" for name in own}
    assert not [name for name in after if name.startswith(upgrade.OPTIONAL)]
    assert git(paper.folder, "status", "--porcelain") == ""
    assert paper.build().code == 0
    numbers = (json.loads(text) for text in (before["results.json"], paper.read("results.json")))
    assert upgrade.differences(*numbers) == []
    again = upgrade.upgrade(paper.folder, str(template.folder), "1.1.0")
    assert again == "literate/ is that of 1.1.0 already"
    git(paper.folder, "revert", "--no-edit", "HEAD")
    assert {name: paper.read(name) for name in trees.files(paper.folder)} == before


def edit(paper: Paper) -> None:
    (paper.folder / "literate/tex.py").write_text("# mine\n")


def edit_and_commit(paper: Paper) -> None:
    edit(paper)
    commit(paper.folder, "Edit the machine")


@pytest.mark.parametrize(
    ("do", "to", "message"),
    [
        (edit, "", "not committed yet: literate/tex.py: commit or stash first"),
        (edit_and_commit, "", "edited here: literate/tex.py: take these changes back"),
        (lambda paper: None, "9.9", r"9\.9 is no commit, tag or version there; tags: \['v1.1.0'"),
    ],
    ids=["edited", "committed", "unknown"],
)
def test_what_would_be_lost_or_is_not_there_is_named(template, paper, do, to, message):
    do(paper)
    head = git(paper.folder, "rev-parse", "HEAD")
    with pytest.raises(TreeError, match=message):
        upgrade.upgrade(paper.folder, str(template.folder), to)
    assert git(paper.folder, "rev-parse", "HEAD") == head


names = st.sampled_from(["numpy", "scipy", "own", "my_own", "pandas"])
locks = st.dictionaries(names, st.sampled_from(["1", "2"]))


@given(locks, locks)
def test_a_lock_has_the_new_versions_and_the_authors_own_packages(own, new):
    texts = ("".join(f"{n}=={v}\n" for n, v in lock.items()) for lock in (own, new))
    merged = upgrade.merge_lock(*texts).split()
    assert sorted(merged) == sorted(f"{n}=={v}" for n, v in {**own, **new}.items())


def test_numbers_that_differ_are_listed():
    old = {"a": {"value": 1}, "b": {"value": 2}, "environment": {"value": 1}}
    new = {"a": {"value": 1}, "b": {"value": 3}, "c": {"value": 4}}
    lines = ["b: was 2, is 3", "c: was missing, is 4"]
    assert upgrade.differences(old, new) == lines


def test_the_last_release_is_in_the_changelog():
    released = re.findall(r"(?m)^## (\d\S+) - (\S+)$", (ROOT / "literate/CHANGELOG.md").read_text())
    version = (ROOT / "literate/VERSION").read_text().strip()
    assert version == released[0][0]
    assert released == sorted(released, key=lambda release: release[1], reverse=True)
