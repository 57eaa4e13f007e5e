"""make verify names what a commit does not give again, and nothing else."""

import copy
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfWriter
from pypdf.generic import FloatObject, NameObject, StreamObject

from literate import delivered, kept, verify
from literate.testing import ROOT, Build, Paper

N = 400
Results = dict[str, dict[str, Any]]


def entry(value: Any, *, interval=None, n=None, unit="1") -> dict[str, Any]:
    return {
        "value": value,
        "by": "a test",
        "interval": interval,
        "n": n,
        "unit": unit,
        "seed": 42,
    }


def share(rows: int, of: int = N, **more: Any) -> dict[str, Any]:
    return entry(rows / of, unit="share of samples", **more)


RESULTS: Results = {
    "environment": {"python": "3.11.0"},
    "data.n_train": entry(1200, unit="count"),
    "data.n_validation": entry(400, unit="count"),
    "data.n_test": entry(N, unit="count"),
    "data.best.name": entry("SVM", unit="text"),
    "data.svm.test": share(372, interval=[0.9007, 0.9511], n=N),
    "data.mlp.train": share(1199, 1200, interval=[0.9953, 0.9999], n=1200),
    "data.mlp.test": share(356, interval=[0.8556, 0.9171], n=N),
    "data.mlp.cv": share(335, interval=[0.8214, 0.8552], n=5),
    "data.mlp.n_bytes": entry(612624, unit="byte"),
    "data.pairs.svm_mlp.difference": share(16, interval=[0.01, 0.07], n=N),
    "data.pairs.svm_mlp.n_first": entry(26, unit="count"),
    "data.pairs.svm_mlp.n_second": entry(10, unit="count"),
    "data.pairs.svm_mlp.p": entry(0.011330984),
    "data.fold_tests.svm_mlp.t": entry(3.5),
    "data.fold_tests.svm_mlp.p": entry(0.002),
    "data.calibration.mlp.log_loss": entry(0.43, interval=[0.3, 0.5], n=N),
    "data.search.majority_class.mean": share(85, interval=[0.2, 0.22], n=3),
    "data.search.1.parameters.alpha": entry(0.001),
    "other.mlp.p": entry(0.5),
}
NAMED = sorted(RESULTS.keys() - {"environment"})


def compared(*changes: tuple[str, Any]) -> list[str]:
    """The keys that are named if these values have been rebuilt."""
    rebuilt = copy.deepcopy(RESULTS)
    for key, value in changes:
        key, _, bound = key.partition("@")
        if bound:
            rebuilt[key]["interval"][("low", "high").index(bound)] = value
        else:
            rebuilt[key]["value"] = value
    return [value.key for value in verify.compare(RESULTS, rebuilt) if not value.fine]


def test_the_same_results_have_no_difference():
    values = verify.compare(RESULTS, copy.deepcopy(RESULTS))
    assert all(value.apart == 0 for value in values)
    assert len(values) == len(NAMED) + 2 * sum(bool(RESULTS[key]["interval"]) for key in NAMED)


@given(st.sampled_from(NAMED), st.integers(3, 10**6), st.booleans())
def test_any_value_changed_by_more_than_two_rows_is_named(key: str, size: int, up: bool):
    value = RESULTS[key]["value"]
    changed = f"{value}?" if isinstance(value, str) else value + (size if up else -size)
    assert key in compared((key, changed))


@given(st.sampled_from(NAMED))
def test_a_missing_and_a_new_key_are_named(key: str):
    less = {name: found for name, found in RESULTS.items() if name != key}
    for one, two in ((RESULTS, less), (less, RESULTS)):
        (missing,) = (value for value in verify.compare(one, two) if value.key == key)
        assert not missing.fine
        assert "nothing" in str(missing)


@pytest.mark.parametrize("field", ["by", "n", "unit", "seed", "interval"])
def test_whatever_else_an_entry_says_is_compared(field: str):
    rebuilt = copy.deepcopy(RESULTS)
    rebuilt["data.svm.test"][field] = None
    found = [value.key for value in verify.compare(RESULTS, rebuilt) if not value.fine]
    assert found
    assert all(key.startswith("data.svm.test") for key in found)


def test_versions_are_not_compared():
    assert not [
        value
        for value in verify.compare(RESULTS, {**RESULTS, "environment": {"python": "3.12.0"}})
        if not value.fine
    ]


def test_last_bits_may_differ():
    assert compared(("data.svm.test", 0.93 * (1 + 1e-12))) == []
    assert compared(("data.svm.test", 0.93 * (1 + 1e-8))) == ["data.svm.test"]
    assert compared(("data.fold_tests.svm_mlp.t", 3.5 * (1 + 1e-12))) == []
    assert compared(("data.fold_tests.svm_mlp.t", 3.5 + 1e-7)) == ["data.fold_tests.svm_mlp.t"]


@pytest.mark.parametrize(("key", "row"), [("test", 1 / N), ("train", 1 / 1200), ("cv", 1 / N)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_an_mlp_may_be_one_row_off(key: str, row: float, sign: int):
    key = f"data.mlp.{key}"
    value = RESULTS[key]["value"]
    assert compared((key, value + sign * row)) == []
    assert compared((key, value + sign * 1.01 * row)) == [key]


def test_its_counts_may_be_one_row_off():
    key = "data.pairs.svm_mlp.n_first"
    assert compared((key, 27)) == compared((key, 25)) == []
    assert compared((key, 28)) == compared((key, 24)) == [key]


@pytest.mark.parametrize("key", ["data.svm.test", "data.search.majority_class.mean"])
def test_others_may_not_be_one_row_off(key: str):
    assert compared((key, RESULTS[key]["value"] + 1 / N)) == [key]


def test_sizes_and_parameters_of_an_mlp_are_exact():
    for key, value in (("mlp.n_bytes", 612625), ("search.1.parameters.alpha", 0.0011)):
        assert compared((f"data.{key}", value), ("data.mlp.test", 357 / N)) == [f"data.{key}"]


@pytest.mark.parametrize(
    ("key", "near", "far"),
    [
        ("pairs.svm_mlp.p", 0.0201, 0.04),  # with 26 to 11 rows it is 0.0201
        ("fold_tests.svm_mlp.p", 0.003, 0.0031),
        ("fold_tests.svm_mlp.t", 3.8, 3.9),
        ("calibration.mlp.log_loss", 0.47, 0.49),
        ("mlp.test@low", 0.8556 - 2 / N, 0.8556 - 2.1 / N),
        ("mlp.cv@high", 0.8552 + 8 / N, 0.8552 + 8.1 / N),
    ],
)
def test_what_follows_may_differ_only_where_a_row_does(key: str, near: float, far: float):
    key, named = f"data.{key}", f"data.{key}".replace("@", ".")
    row = ("data.pairs.svm_mlp.n_first", 27)
    assert compared((key, near)) == [named]
    assert compared((key, near), row) == []
    assert compared((key, far), row) == [named]
    assert compared(("other.mlp.p", 0.6), row) == ["other.mlp.p"]


def test_the_table_counts_each_value_once():
    values = verify.compare(RESULTS, {**RESULTS, "data.svm.test": share(300, interval=[0.7, 0.8])})
    rows = [line.split() for line in verify.table(values).splitlines()[1:]]
    assert sum(int(row[2]) for row in rows) == len(values)
    for row in rows:
        assert int(row[2]) == sum(map(int, row[3:6]))
    assert sum(int(row[5]) for row in rows) == len([v for v in values if not v.fine]) > 1


def git(paper: Paper, *command: str) -> None:
    who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    date = {name: "2026-11-01T12:00:00Z" for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE")}
    done = paper.run("git", *who, *command, **date)
    assert done.code == 0, done.output


@pytest.fixture(scope="module")
def committed(built_small: Paper, tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """The small paper in a repository with one commit, and its PDF; tests copy it."""
    paper = built_small.copy(tmp_path_factory.mktemp("committed") / "paper")
    for name in (ROOT / ".gitignore", built_small.folder / "results.json"):
        shutil.copy(name, paper.folder)
    git(paper, "init", "--quiet")
    git(paper, "add", "--all")
    git(paper, "commit", "--quiet", "--message", "Begin")
    build = paper.build()
    assert build.code == 0, build.output
    return paper


@pytest.fixture
def repository(committed: Paper, tmp_path: Path) -> Paper:
    shutil.copytree(committed.folder, tmp_path / "repository", symlinks=True)
    return Paper(tmp_path / "repository")


def run(paper: Paper, *pdf: str) -> Build:
    return paper.run(".venv/bin/python3", "-m", "literate.verify", *pdf)


def test_a_commit_and_its_pdf_are_verified(repository: Paper):
    repository.edit("paper.tex", "a word", "two words")
    build = run(repository, "paper.pdf")
    assert build.code == 0, build.output
    assert "Not committed, and so not verified: paper.tex\n" in build.output
    assert "paper.pdf: the same bytes\n" in build.output
    assert build.output.endswith("verified: the commit gives its results.json again and the PDF\n")
    assert not Path(re.findall("from nothing in (\\S+)", build.output)[0]).parent.exists()


OLD_RECORD = """from literate import kept
old = kept.read("results/old.json")
changed = kept.changed(old, code="pycode/models.py", inputs={})
results.record("old.n_changed", len(changed))
images ="""


def test_a_number_changed_by_hand_a_record_of_other_code_and_another_pdf_are_named(
    repository: Paper,
):
    # Of the models of this repository, which are others.
    record = kept.text({}, code="pycode/models.py", inputs={}, environment={})
    (repository.folder / "results/old.json").write_text(record, encoding="utf-8")
    git(repository, "add", "results")
    repository.edit("paper.tex", "images =", OLD_RECORD)
    source = repository.read("paper.tex")
    repository.edit("paper.tex", "a word", "two words")
    assert repository.build().code == 0
    (repository.folder / "paper.tex").write_text(source, encoding="utf-8")
    text = repository.read("results.json")
    (found,) = re.findall(r'"rows.logistic.test": {"value": (.*?),', text)
    repository.edit("results.json", f'test": {{"value": {found},', 'test": {"value": 0.99,')
    git(repository, "commit", "--quiet", "--all", "--message", "Improve")
    build = run(repository, "paper.pdf")
    assert build.code == 1
    line = f"rows.logistic.test: 0.99 is committed, {found} rebuilt: "
    assert f"NOT verified, 3 differ, first {line}" in build.output
    lines = repository.read("paper.tex").splitlines()
    number = next(n for n, text in enumerate(lines, 1) if r"\result{rows.logistic.test}" in text)
    assert f"(exact); printed on paper.tex:{number}" in build.output
    assert "\nold.n_changed: 1 of what a kept record was made of changed" in build.output
    assert "paper.pdf, page 1: it says" in build.output
    (log,) = re.findall("from nothing in (\\S+)", build.output)
    shutil.rmtree(Path(log).parent)


def test_a_commit_that_does_not_build_is_not_verified(repository: Paper):
    repository.edit("paper.tex", "images =", "1 / 0\nimages =")
    git(repository, "commit", "--quiet", "--all", "--message", "Break")
    build = run(repository)
    assert build.code == 1
    assert "ZeroDivisionError" in build.output
    assert build.output.endswith("NOT verified\n")
    (log,) = re.findall("does not build: the whole log is (.*)", build.output)
    assert "ZeroDivisionError" in Path(log).read_text(encoding="utf-8")
    shutil.rmtree(Path(log).parents[1])


def test_what_is_no_pdf_is_said_before_anything_is_built(repository: Paper):
    folder, pdf = repository.folder, (repository.folder / "paper.pdf").read_bytes()
    writer = PdfWriter(folder / "paper.pdf")
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(folder / "encrypted.pdf")
    (folder / "half.pdf").write_bytes(pdf[: len(pdf) // 2])
    (folder / "empty.pdf").write_bytes(b"")
    for name in ("encrypted", "half", "empty", "absent"):
        with pytest.raises(ValueError, match=rf"{name}.pdf: (no PDF that can be read|encrypted)"):
            delivered.read(folder / f"{name}.pdf")
    build = run(repository, "paper.tex")
    assert build.code == 1
    assert build.output.startswith("paper.tex: no PDF that can be read: ")
    assert build.output.endswith("\nNOT verified\n")
    assert "Building" not in build.output


def test_results_that_are_no_json_are_named(repository: Paper, monkeypatch, tmp_path: Path):
    def build(root: Path, folder: Path) -> None:
        shutil.copytree(root, folder, symlinks=True)

    monkeypatch.setattr(verify, "rebuild", build)
    with (repository.folder / "results.json").open("a", encoding="utf-8") as file:
        file.write("<<<<<<< HEAD\n")
    git(repository, "commit", "--quiet", "--all", "--message", "Merge")
    repository.edit("results.json", "<<<<<<< HEAD\n", "")
    with pytest.raises(ValueError, match=r"results.json: .*line \d+ .*: build, and commit"):
        verify.verify(repository.folder, tmp_path / "built", None)


def test_without_a_commit_there_is_nothing_to_verify(repository: Paper):
    shutil.rmtree(repository.folder / ".git")
    build = run(repository)
    assert build.code == 1
    assert "git rev-parse failed" in build.output


def differences(paper: Paper, committed: Paper) -> list[str]:
    return list(delivered.compare(paper.folder / "paper.pdf", committed.folder / "paper.pdf"))


def test_a_pdf_of_another_date_or_rewritten_is_the_same(repository: Paper, committed: Paper):
    path = repository.folder / "paper.pdf"
    assert repository.run("latexmk", "-g", SOURCE_DATE_EPOCH="1").code == 0
    assert path.read_bytes() != (committed.folder / "paper.pdf").read_bytes()
    assert differences(repository, committed) == []
    writer = PdfWriter(path)
    writer.compress_identical_objects()
    writer.write(path)
    assert differences(repository, committed) == []


CHANGES = {
    "sentence": ("paper.tex", "The second page", "The third page", ["page 2: it says 'The third"]),
    "title in a figure": ("paper.tex", "[0, 1], [1, 0]", "[1, 1], [0, 0]", ["it says 'odd, not"]),
    "points": ("paper.tex", "X_test[:2]", "X_test[1:3]", ["page 1: it looks"]),
    "colours": ("pycode/figures.py", 'cmap="Greys"', 'cmap="Blues"', ["page 1: it looks"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_another_paper_shows_is_named(repository: Paper, committed: Paper, change):
    *edit, named = change
    repository.edit(*edit)
    assert repository.build().code == 0
    found = differences(repository, committed)
    for text in named:
        assert text in found[0]
    assert len(found) <= 2


def drawn(writer: PdfWriter) -> Any:
    """The figure of the first page."""
    objects = writer.pages[0]["/Resources"]["/XObject"].values()  # type: ignore[index]
    (figure,) = [each.get_object() for each in objects if "/PTEX.FileName" in each.get_object()]
    return figure


def forged(paper: Paper, old: bytes, new: bytes) -> None:
    """Replace a piece of what draws the figure."""
    writer = PdfWriter(paper.folder / "paper.pdf")
    figure = drawn(writer)
    data = figure.get_data()
    assert re.search(old, data)
    figure.set_data(re.sub(old, new, data))
    writer.write(paper.folder / "paper.pdf")


FORGED = {
    "a line": (rb"\n[\d.]+ ([\d.]+ l\n)", rb"\n7.5 \1"),
    "a colour": (rb"\b1 g\b", rb"0.99 g"),
    "a width": (rb"[\d.]+ w\b", rb"3.5 w"),
    "a step less": (rb"\nS\n", rb"\n"),
}


@pytest.mark.parametrize("piece", FORGED.values(), ids=list(FORGED))
def test_a_figure_changed_in_the_pdf_alone_is_named(repository: Paper, committed: Paper, piece):
    forged(repository, *piece)
    (found,) = differences(repository, committed)
    assert found.startswith("page 1: it looks different")


def without_a_page(writer: PdfWriter) -> None:
    writer.remove_page(1)


def without_figures(writer: PdfWriter) -> None:
    page = writer.pages[0]
    data = page.get_contents()
    assert data is not None
    stream = StreamObject()
    stream.set_data(re.sub(rb"/Im1 Do", b"", data.get_data()))
    page[NameObject("/Contents")] = writer._add_object(stream)


def transparent(writer: PdfWriter) -> None:
    for state in drawn(writer)["/Resources"]["/ExtGState"].values():
        state.get_object()[NameObject("/ca")] = FloatObject(0.5)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without_a_page, "it has 1 pages, the one built 2"),
        (without_figures, "page 1: it says"),
        (transparent, "page 1: it looks different"),
    ],
)
def test_a_pdf_that_lacks_something_is_told(
    repository: Paper, committed: Paper, change: Callable[[PdfWriter], None], named: str
):
    writer = PdfWriter(repository.folder / "paper.pdf")
    change(writer)
    writer.write(repository.folder / "paper.pdf")
    assert differences(repository, committed)[0].startswith(named)


def test_make_passes_the_pdf_on():
    command = ["make", "--dry-run", "--silent", "verify", "PDF=my paper.pdf"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == '.venv/bin/python3 -m literate.verify "my paper.pdf"'
