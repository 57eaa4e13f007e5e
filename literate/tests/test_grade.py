"""What submissions are worth: the solution all, what students start from nothing, others a part."""

import csv
import json
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from literate.course import checking, grade, grades, marks
from literate.course.checking import GradeError, StudentError
from literate.course.contain import Box
from literate.course.grade import Grader
from literate.testing import ROOT, Paper

LOGIN = "ada"
ALL = {"data": 5, "model": 4, "panel": 4, "claim": 3}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample course's source."""
    return marks.source(ROOT, tmp_path_factory.mktemp("course") / "source")


@pytest.fixture(scope="session")
def grader(source: Path) -> Iterator[Grader]:
    """A grader of the sample course that has little patience."""
    # Tests that need a box to hold are those of test_contain.
    with Grader(source, seconds=45, allow_holes=True) as grader:
        yield grader


@pytest.fixture
def solved(source: Path, tmp_path: Path) -> Paper:
    """All that a student hands in whose answers are right."""
    paper = Paper(tmp_path / LOGIN)
    for name in marks.student_tree(source, paper.folder).keys() - {"checks.py"}:
        shutil.copy(source / name, paper.folder / name)
    paper.edit("paper.tex", 'login = "your-login"', f'login = "{LOGIN}"')
    return paper


def points(found: grades.Grade) -> dict[str, int]:
    """What was reached in each exercise."""
    return {
        key: sum(o.points for o in found.outcomes if o.exercise == key and o.passed) for key in ALL
    }


def rewrite(paper: Paper, function: str, body: str) -> None:
    """Give a function of the lab another body."""
    new = "".join(f"    {line}\n" for line in body.splitlines())
    text, n = re.subn(
        rf'(def {function}\(.*?""".*?"""\n)    ### BEGIN.*?### END SOLUTION\n',
        lambda m: m[1] + new,
        paper.read("pycode/lab.py"),
        flags=re.S,
    )
    assert n == 1
    (paper.folder / "pycode/lab.py").write_text(text)


def label_leak(paper: Paper) -> None:
    rewrite(
        paper,
        "predict_svm",
        "X = np.vstack([split.X_train, split.X_test])\n"
        "y = np.concatenate([split.y_train, split.y_test])\n"
        "return make_pipeline(StandardScaler(), SVC(C=100)).fit(X, y).predict(split.X_test)",
    )


def wrong_axis(paper: Paper) -> None:
    rewrite(
        paper,
        "draw",
        "ax.barh(list(accuracies), list(accuracies.values()))\nax.set_xlabel('test accuracy')",
    )


def hard_coded_number(paper: Paper) -> None:
    values = '{"n_rows": 600, "n_features": 12, "largest_class": 202 / 600}'
    rewrite(paper, "describe", f"return {values}")
    paper.edit("paper.tex", r"have \result{data.n_rows} rows", "have 600 rows")


def other_seed(paper: Paper) -> None:
    paper.edit("pycode/lab.py", "seed=seed(login)", "seed=42")


def syntax_error(paper: Paper) -> None:
    paper.edit("pycode/lab.py", "counts.max() / counts.sum(),", "counts.max() / counts.sum(")


def infinite_loop(paper: Paper) -> None:
    rewrite(paper, "describe", "while True:\n    pass")


def huge_allocation(paper: Paper) -> None:
    rewrite(paper, "describe", 'return {"n_rows": float(np.ones(10**11).sum())}')


def deleted_exercise(paper: Paper) -> None:
    text = paper.read("paper.tex")
    start, end = text.index(r"\begin{exercise}{Draw"), text.index(r"\begin{exercise}{Write")
    (paper.folder / "paper.tex").write_text(text[:start] + text[end:])


def tampered(paper: Paper) -> None:
    """Exercise 1 is not done, and all that the grader might believe says that it is."""
    rewrite(paper, "describe", 'raise NotImplementedError("to do")')
    values = {"n_rows": 600, "n_features": 12, "largest_class": 202 / 600}
    faked = json.dumps({f"data.{name}": {"value": value} for name, value in values.items()})
    (paper.folder / "results.json").write_text(faked)
    script = f"open F, '>', 'results.json'; print F '{faked}'; close F; exit 0;\n"
    for name in ("latexmkrc", "literate/latexmk.pl"):
        (paper.folder / name).write_text(script)
    for name in (
        "checks.py",
        "literate/course/grade.py",
        "literate/results.py",
        "literate/claims.py",
    ):
        (paper.folder / name).write_text("raise SystemExit(0)\n")
    paper.edit(
        "paper.tex", "{Load and describe a data set}{5}", "{Load and describe a data set}{50}"
    )


def another_route(paper: Paper) -> None:
    """All is right, but nothing is as the solution has it."""
    rewrite(
        paper,
        "load",
        "from pycode import routes\nreturn routes.rows(seed(login))",
    )
    (paper.folder / "pycode/routes.py").write_text(
        "from sklearn.datasets import make_classification\n\nfrom pycode.data import Dataset\n\n\n"
        "def rows(seed):\n    X, y = make_classification(600, 12, n_informative=6, n_redundant=2,\n"
        "        n_classes=3, n_clusters_per_class=1, random_state=seed)\n"
        '    return Dataset(X, y, ("0", "1", "2"))\n'
    )
    rewrite(
        paper,
        "describe",
        "found = {}\nfor label in dataset.y:\n    found[label] = found.get(label, 0) + 1\n"
        'return {"largest_class": max(found.values()) / len(dataset.X), "classes": len(found),\n'
        '        "n_rows": float(len(dataset.X)), "n_features": len(dataset.X[0])}',
    )
    rewrite(
        paper,
        "predict_svm",
        "scaled = split.scaled()\n"
        "machine = SVC().fit(scaled.X_train, scaled.y_train)\n"
        "return [int(machine.predict([row])[0]) for row in scaled.X_test]",
    )
    rewrite(
        paper,
        "draw",
        "from matplotlib.patches import Rectangle\n"
        "for place, (name, value) in enumerate(accuracies.items()):\n"
        "    ax.add_patch(Rectangle((place, 0), 0.8, value))\n"
        "ax.set(xlim=(-0.2, len(accuracies)), ylim=(0, 1.1), ylabel='test accuracy')\n"
        "ax.set_xticks([n + 0.4 for n in range(len(accuracies))], list(accuracies))",
    )
    paper.edit(
        "pycode/lab.py",
        "return inference.proportion(predicted == split.y_test)",
        "return inference.proportion(np.asarray(predicted) == split.y_test)",
    )
    turned = "not (logistic.accuracy >= svm.accuracy)"
    paper.edit("paper.tex", r"\claim{svm.accuracy > logistic.accuracy}", rf"\claim{{{turned}}}")


# What each is worth, and what the report or its notes say of it.
WRONG: dict[Callable[[Paper], None], tuple[dict[str, int], str]] = {
    label_leak: (ALL | {"model": 0}, "changed: 0"),
    wrong_axis: (ALL | {"panel": 1}, "ax.bar, not ax.barh"),
    hard_coded_number: (ALL | {"data": 3}, "n_rows: 600"),
    other_seed: (ALL | {"data": 2, "model": 3}, "same: True"),
    syntax_error: ({"data": 1, "model": 0, "panel": 0, "claim": 3}, "SyntaxError"),
    infinite_loop: ({"data": 3, "model": 3, "panel": 3, "claim": 3}, "no end after"),
    huge_allocation: ({"data": 3, "model": 3, "panel": 3, "claim": 3}, "Unable to allocate"),
    deleted_exercise: (ALL | {"panel": 0}, "put it back"),
    tampered: ({"data": 3, "model": 3, "panel": 3, "claim": 3}, "latexmkrc was changed"),
    another_route: (ALL, ""),
}


@pytest.mark.parametrize("mistake", WRONG, ids=lambda mistake: mistake.__name__)
def test_wrong_submissions(grader, solved, mistake, tmp_path):
    mistake(solved)
    found = grader.grade(solved.folder, LOGIN, tmp_path / "paper.pdf")
    expected, told = WRONG[mistake]
    assert points(found) == expected, grades.report(found)
    assert told in grades.report(found)
    builds = expected["model"] == 4 or expected["data"] == 5
    assert (tmp_path / "paper.pdf").exists() == (builds or mistake in (other_seed,))


def test_a_class_in_one_call(source, solved, tmp_path, monkeypatch, capfd):
    """A folder, a zip archive, and what holds no paper: a table has all of them."""
    handed = tmp_path / "handed in"
    start = handed / "Grace Hopper"
    marks.student_tree(source, start)
    with zipfile.ZipFile(handed / "ada.zip", "w") as archive:
        archive.write(solved.folder / "paper.tex", "work/paper.tex")
        archive.write(solved.folder / "pycode/lab.py", "work/lab.py")
        archive.writestr("work/.venv/lib/huge.so", bytes(60_000_000), zipfile.ZIP_DEFLATED)
        archive.writestr("work (1)/paper.tex", "an older one")
    (handed / "nobody").mkdir()
    (handed / "broken.zip").write_bytes(b"PK no archive")
    (handed / "notes.txt").write_text("not handed in")
    out = tmp_path / "out"
    monkeypatch.setattr(grade, "ROOT", source)
    monkeypatch.setattr(sys, "argv", ["grade.py", str(handed), "--out", str(out), "--allow-holes"])
    assert grade.main() == 0
    told = capfd.readouterr()
    assert "4/4" in told.err  # the progress bar
    assert "notes.txt: neither a folder nor a zip archive" in told.err
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["login"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"Grace Hopper", "ada", "nobody", "broken"}
    assert "lab.py was taken for pycode/lab.py" in rows["ada"]["notes"]
    assert (rows["ada"]["score"], rows["ada"]["max_score"]) == ("16", "16")
    assert (rows["Grace Hopper"]["score"], rows["Grace Hopper"]["exercise model"]) == ("0", "0")
    assert "there is no paper.tex" in rows["nobody"]["notes"]
    assert "broken.zip" in rows["broken"]["notes"]
    assert rows["broken"]["score"] == rows["nobody"]["score"] == "0"
    assert grades.loads((out / "ada.json").read_text()).score == 16
    assert (out / "ada.pdf").read_bytes().startswith(b"%PDF")
    assert "your-login" in rows["Grace Hopper"]["notes"]
    assert "of 2 papers that in work was taken" in rows["ada"]["notes"]


def test_what_is_no_archive(source, tmp_path):
    """Whatever zipfile thinks of it, it is a submission that cannot be read."""
    for name, packed in (("flipped", zipfile.ZIP_DEFLATED), ("greedy", zipfile.ZIP_BZIP2)):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", packed) as archive:
            archive.writestr("p\u00e4per.tex", bytes(range(256)) * 100)
    data = (tmp_path / "flipped.zip").read_bytes()
    (tmp_path / "flipped.zip").write_bytes(data[:45] + b"\xff" * 30 + data[75:])
    (tmp_path / "names.zip").write_bytes(data.replace("\u00e4".encode(), b"\xff\xfe"))
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(6000):
            archive.writestr(str(number), "")
    for name in ("flipped", "greedy", "names", "many"):
        with pytest.raises(StudentError, match=name):
            grade._unpack(tmp_path / f"{name}.zip", tmp_path)


def test_one_that_fails_costs_the_others_nothing(source, solved, tmp_path, monkeypatch):
    """Nor do a folder's own name, and what is no submission."""
    handed, out = tmp_path / "handed", tmp_path / "out"
    (handed / ".ipynb_checkpoints").mkdir(parents=True)
    (handed / "=a\\b").mkdir()
    (handed / "broken").mkdir()
    with zipfile.ZipFile(handed / "ada.ZIP", "w") as archive:
        for name in ("paper.tex", "pycode/lab.py"):
            archive.write(solved.folder / name, name)
    take = Grader._take

    def fails(self, box, submission):
        if submission.name == "broken":
            raise UnicodeDecodeError("utf-8", b"", 0, 0, "unforeseen")
        return take(self, box, submission)

    monkeypatch.setattr(Grader, "_take", fails)
    monkeypatch.setattr(grade, "ROOT", source)
    monkeypatch.setattr(sys, "argv", ["grade.py", str(handed), "--out", str(out), "--allow-holes"])
    assert grade.main() == 1
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["login"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"ada", "broken", "'=a\\b"}
    assert rows["ada"]["score"] == "16"
    assert "unforeseen" in rows["broken"]["notes"]
    assert "cannot be a login" in rows["'=a\\b"]["notes"]
    assert rows["broken"]["score"] == rows["'=a\\b"]["score"] == ""


@pytest.fixture
def holes(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """What cannot be contained, on this machine as on a poor one."""
    missing = ("no network namespace is to be had: it can reach the network", "no mount namespace")
    found = Box._found
    monkeypatch.setattr(Box, "_found", lambda self: [*missing, *found(self)])
    return missing


def test_nothing_is_run_that_cannot_be_contained(
    source, solved, tmp_path, monkeypatch, capfd, holes
):
    ran = []
    start = Box.start
    monkeypatch.setattr(
        Box, "start", lambda self, *a, **k: ran.append(k["cwd"].name) or start(self, *a, **k)
    )
    monkeypatch.setattr(grade, "ROOT", source)
    out = tmp_path / "out"
    (tmp_path / "handed").mkdir()
    for name in ("bob", LOGIN):
        shutil.copytree(solved.folder, tmp_path / "handed" / name)
    for handed in (solved.folder, tmp_path / "handed"):
        monkeypatch.setattr(sys, "argv", ["grade.py", str(handed), "--out", str(out)])
        assert grade.main() == 1
        told = capfd.readouterr().err
        assert "nothing was run" in told
        assert all(f"- {hole}\n" in told for hole in holes)
        assert "--allow-holes" in told
    assert not {"work", "calls"} & {*ran}
    assert not list(out.glob("*"))
    argv = ["grade.py", str(solved.folder), "--out", str(out), "--allow-holes"]
    monkeypatch.setattr(sys, "argv", argv)
    assert grade.main() == 0
    assert all(f"not contained: {hole}\n" in capfd.readouterr().err for hole in holes[:1])
    assert {"work", "calls"} <= {*ran}
    assert grades.loads((out / f"{LOGIN}.json").read_text()).score == 16


@pytest.mark.parametrize("login", ["", "..", "../ada", "a\nb", 'a"b', "\udcff"])
def test_what_is_no_login(grader, solved, login):
    with pytest.raises(GradeError, match="cannot be a login"):
        grader.grade(solved.folder, login)


def test_answers_that_grow(grader, solved, tmp_path):
    """What is small in a submission takes neither much memory here nor much time, nor hides."""
    rewrite(
        solved,
        "predict_svm",
        "global turn\nturn = not globals().get('turn')\n"
        "return np.zeros((90_000, 1) if turn else (1, 90_000), int)",
    )
    rewrite(solved, "describe", "return {'n_rows': 10**5000}")
    solved.edit(
        "paper.tex",
        "The data have",
        r"\iffalse\end{document}\fi The 600 rows have " + r"told\,~$ $" * 300,
    )
    solved.edit("paper.tex", r"\claim{svm", r"\claim{login * 9999999999 == 1 or svm")
    with (solved.folder / "paper.tex").open("a") as file:
        file.write(r"\begin{solution}" * 500_000)
    found = grader.grade(solved.folder, LOGIN, tmp_path / "paper.pdf")
    told = grades.report(found)
    assert points(found) == {"data": 2, "model": 0, "panel": 3, "claim": 1}, told
    assert "MemoryError" in told
    assert "4300 digits" in told
    assert "600 rows" in told


def test_a_paper_that_is_a_link(grader, solved, tmp_path):
    """It is graded without a copy."""
    with (solved.folder / "pycode/lab.py").open("a") as file:
        file.write(
            "import os\nif os.path.exists('paper.pdf'):\n"
            "    os.rename('paper.pdf', 'p.pdf')\n    os.symlink('p.pdf', 'paper.pdf')\n"
        )
    found = grader.grade(solved.folder, LOGIN, tmp_path / "paper.pdf")
    assert points(found) == ALL
    assert "not copied" in grades.report(found)


def test_links_lead_nowhere(grader, solved, tmp_path):
    """Neither to files of the grader's, nor out of a zip archive."""
    secret = tmp_path / "secret.py"
    secret.write_text((solved.folder / "pycode/lab.py").read_text())
    (solved.folder / "pycode/lab.py").unlink()
    (solved.folder / "pycode/lab.py").symlink_to(secret)
    found = grader.grade(solved.folder, LOGIN)
    assert "pycode/lab.py is missing" in grades.report(found)
    assert points(found)["panel"] == 0
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        archive.writestr("paper.tex", r"\begin{document}")
        archive.writestr("../../escaped.txt", "x")
    grader.grade(tmp_path / "out.zip", LOGIN)
    assert not [*tmp_path.parent.rglob("escaped.txt")]


def test_students_try_their_own_checks(source, tmp_path):
    tree = Paper(tmp_path / "student")
    marks.student_tree(source, tree.folder)
    (tree.folder / ".venv").symlink_to(ROOT / ".venv")
    shutil.copy(source / "pycode/lab.py", tree.folder / "pycode/lab.py")
    done = tree.run(".venv/bin/python3", "literate/course/grade.py")
    assert done.code == 0
    # The functions are right, and the paper has no answers yet.
    assert re.search(r": 6 of 10 points", done.output), done.output
    assert grade.PART in done.output
    assert "`load` returns the rows that belong to your login" not in done.output


def test_what_makes_no_course(source, tmp_path):
    """Each is named with its file and line."""
    for file, old, new, told in (
        ("paper.tex", "data set}{5}", "data set}{7}", r"paper\.tex:38: .*5 checks cannot share 7"),
        (
            "checks.py",
            '@check("panel"',
            '@check("panels"',
            r"checks\.py:\d+: no exercise .*'panels'",
        ),
        (
            "checks.py",
            "def load_gives_your_rows",
            "def describe_counts",
            r"checks\.py:\d+: another check is called describe_counts",
        ),
        ("checks.py", '"claim"', '"data"', r"paper\.tex:91: .*no check of it"),
        (
            "checks.py",
            '@check("claim", hint=',
            '@check("claim", ',
            r"checks\.py:\d+: (Type|Syntax)Error",
        ),
        ("checks.py", "import numpy as np", "import numpy as", r"checks\.py:\d+: SyntaxError"),
        ("paper.tex", r"\end{exercise}", "", r"paper\.tex:\d+: .*inside the exercise of line 38"),
        ("paper.tex", "Add a model", "F\xfcr alle", r"paper\.tex: .*: save it as UTF-8"),
    ):
        folder = tmp_path / file / str(len(told))
        shutil.copytree(source, folder)
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new), encoding="latin-1")
        with pytest.raises(marks.MarkError, match=told):
            checking.read_course(folder)


def test_nothing_is_left_of_a_grader(source, solved, tmp_path):
    """Neither when marks are not in order, nor when it is told to end: it has the solution."""
    shutil.copytree(source, tmp_path / "source")
    with (tmp_path / "source/pycode/lab.py").open("a") as file:
        file.write("### END SOLUTION\n")
    (tmp_path / "tmp").mkdir()
    command = ["literate/course/grade.py", str(solved.folder), "--allow-holes"]
    for folder, wait in ((tmp_path / "source", 0), (source, 1)):
        process = Paper(folder).start(sys.executable, *command, TMPDIR=str(tmp_path / "tmp"))
        while wait and not list((tmp_path / "tmp").glob("grader-*/solution/paper.tex")):
            time.sleep(0.05)
        if wait:
            process.terminate()
        assert process.wait(60) == (143 if wait else 1)
        assert not list((tmp_path / "tmp").iterdir())


def test_a_course_without_hidden_tests(source, tmp_path):
    """Its exercises' points would be those of its checks, without a word."""
    shutil.copytree(source, tmp_path / "source")
    text = (source / "checks.py").read_text()
    (tmp_path / "source/checks.py").write_text(re.sub(r"### .* HIDDEN TESTS\n", "", text))
    with pytest.raises(marks.MarkError, match="points would not count"):
        Grader(tmp_path / "source")


def test_patience_ends():
    """A module that never ends is not waited for at each call."""
    with Box(hide=[]) as box:
        (box.folder / "student.py").write_text("while True:\n    pass\n")
        (box.folder / "calls").mkdir()
        with grade.Boxed(box, 1) as functions:
            for told in 3 * ["no end after"] + 2 * ["not called any more"]:
                with pytest.raises(StudentError, match=told):
                    functions("lab.load")


def test_what_agrees():
    for expected, found in (
        (1, 1.0),
        (0.1 + 0.2, 0.3),
        (np.array([1.0, 2.0]), [1, 2]),
        ({"a": 1}, {"a": True, "b": "more"}),
        ((1, "x"), [1, "x"]),
        (float("nan"), float("nan")),
        (SimpleNamespace(X=np.ones(2)), SimpleNamespace(X=np.ones(2))),
    ):
        assert checking.differ(expected, found) is None
    for expected, found, told in (
        (1, 1.1, ("1", "1.1")),
        (1, "1", ("1 (int)", "1 (str)")),
        (1, None, ("1", "None")),
        ({"a": 1}, {"b": 1}, ("a", "no a, but b")),
        (np.zeros((2, 2)), np.eye(2), ("[0, 0] = 0", "[0, 0] = 1")),
        (np.zeros(3), np.zeros(2), ("shape (3,)", "shape (2,)")),
        ([1, [2, 3]], [1, [2, 4]], ("2 2: 3", "2 2: 4")),
        (np.zeros(2), [[], [1]], ("[0. 0.]", "[[], [1]]")),
        (SimpleNamespace(X=1), SimpleNamespace(X=2), ("X: 1", "X: 2")),
        (
            SimpleNamespace(other="SVC: SVC()"),
            SimpleNamespace(other="SVC: SVC()"),
            ("what can be compared, not SVC: SVC()", "SVC: SVC()"),
        ),
    ):
        assert checking.differ(expected, found) == told


@pytest.mark.parametrize(
    ("text", "answer", "claims"),
    [
        (r"\todo", "", []),
        ("% \\claim{a > b}{x}\nNo.", "No.", []),
        (r"\iffalse\claim{a > b}{x}\fi No.", "No.", []),
        (r"50\% \claim{a  > b}{\num{\result{a}}}", None, ["a > b"]),
    ],
)
def test_what_counts_as_an_answer(text, answer, claims):
    """What LaTeX does not set is none."""
    exercise = "\\begin{exercise}{T}{1}{key}\n\\end{exercise}\n"
    paper = f"{exercise}\\begin{{solution}}{text}\n\\end{{solution}}"
    nothing: Any = None
    run = checking.Run(
        LOGIN, student=nothing, solution=None, text=paper, files=nothing, failure="", expected=None
    )
    assert run.answer("key") == (text if answer is None else answer)
    assert run.claims("key") == claims
    with pytest.raises(checking.StudentError, match="put it back"):
        run.answer("other")
