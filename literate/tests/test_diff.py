"""make diff marks what has changed since a commit, in the text and in the numbers."""

import pytest

from literate.testing import Paper

OLD = "A sentence that goes~\\citep{Poore2015}."
NEW = "A sentence that comes~\\citep{Breiman2001}."


@pytest.fixture
def repository(small: Paper) -> Paper:
    """The small paper in a repository of one commit."""
    small.edit("paper.tex", "The second page.", f"The second page. {OLD}")
    (small.folder / ".gitignore").write_text("/.*\n/paper.*\n!/paper.tex\n/pythontex*\n/dist\n")
    for command in (
        ("init", "--quiet"),
        ("add", "--all"),
        ("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "Old"),
    ):
        done = small.run("git", *command)
        assert done.code == 0, done.output
    return small


def diff(paper: Paper, commit: str) -> str:
    """What the tool prints, with its exit status."""
    done = paper.run(".venv/bin/python3", "-m", "literate.diff", commit)
    return f"{done.code}\n{done.output}"


def test_changed_sentences_and_numbers_are_marked(repository: Paper) -> None:
    (number,) = [w for w in repository.pages()[0].split() if w.startswith("0.") and w[-1] == ","]
    repository.edit("paper.tex", OLD, NEW)
    repository.edit("paper.tex", "split(rows, folds=3)", "split(rows, folds=3, seed=1)")
    assert repository.build().code == 0
    (changed,) = [w for w in repository.pages()[0].split() if w.startswith("0.") and w[-1] == ","]
    assert number != changed
    told = diff(repository, "HEAD")
    assert told.startswith("0\n"), told
    text = " ".join(repository.pages("dist/diff.pdf"))
    assert number.rstrip(",") in text
    assert changed.rstrip(",") in text
    marked = " ".join(repository.read("dist/diff/diff.tex").split())
    assert r"\DIFdel{goes" in marked
    assert r"\DIFadd{comes" in marked
    for title in ("PythonTeX", "Random Forests"):  # the work that was cited stays listed
        assert title.lower() in text.lower()
    assert "??" not in text


def test_nothing_changed(repository: Paper) -> None:
    assert repository.build().code == 0
    assert diff(repository, "HEAD").endswith("dist/diff.pdf: 0 places have changed\n")


def test_what_cannot_be_compared_is_said(repository: Paper) -> None:
    assert diff(repository, "nowhere").startswith("1\n")
    assert "nowhere" in diff(repository, "nowhere")
    assert "make diff OLD=" in diff(repository, "")
    repository.edit("paper.tex", "rows.csv", "absent.csv")
    repository.run("git", "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qam", "Broken")
    repository.edit("paper.tex", "absent.csv", "rows.csv")  # as it was built
    told = diff(repository, "HEAD")
    assert told.startswith("1\n")
    assert "absent.csv" in told
