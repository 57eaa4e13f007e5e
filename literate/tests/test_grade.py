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
from literate.testing import ROOT, Paper, environment

# The solution's paper is built once.
pytestmark = pytest.mark.xdist_group("grade")

LOGIN = "ada"
ALL = {"data": 5, "model": 4, "panel": 4, "claim": 3}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample course's source."""
    return marks.source(ROOT, tmp_path_factory.mktemp("course") / "source")


@pytest.fixture(scope="session")
def grader(source: Path) -> Iterator[Grader]:
    """A grader of the sample course."""
    # Tests that need a box to hold are those of test_contain.
    with Grader(source, allow_holes=True) as grader:
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
    paper.edit("paper.tex", "rows = lab.load(login)\n", "while True:\n    rows = lab.load(login)\n")


def deleted_exercise(paper: Paper) -> None:
    text = paper.read("paper.tex")
    start, end = text.index(r"\begin{exercise}{Draw"), text.index(r"\begin{exercise}{Write")
    (paper.folder / "paper.tex").write_text(text[:start] + text[end:])


def tampered(paper: Paper) -> None:
    """A function takes all memory, and all that the grader might believe says that it is right."""
    rewrite(paper, "describe", 'return {"n_rows": float(np.ones(10**11).sum())}')
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


def link(paper: Paper) -> None:
    with (paper.folder / "pycode/lab.py").open("a") as file:
        file.write(
            "import os\nif os.path.exists('paper.pdf'):\n"
            "    os.rename('paper.pdf', 'p.pdf')\n    os.symlink('p.pdf', 'paper.pdf')\n"
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
        "scaler = StandardScaler().fit(split.X_train)\n"
        "machine = SVC().fit(scaler.transform(split.X_train), split.y_train)\n"
        "return [int(machine.predict([row])[0]) for row in scaler.transform(split.X_test)]",
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


# What they are worth together, and what the report or its notes say of them.
WRONG: list[tuple[tuple[Callable[[Paper], None], ...], dict[str, int], tuple[str, ...]]] = [
    (
        (label_leak, wrong_axis, hard_coded_number),
        {"data": 3, "model": 0, "panel": 1, "claim": 3},
        ("changed: 0", "ax.bar, not ax.barh", "n_rows: 600"),
    ),
    (
        (other_seed, deleted_exercise, link),
        {"data": 2, "model": 3, "panel": 0, "claim": 3},
        ("same: True", "put it back", "not copied"),
    ),
    (
        (tampered,),
        {"data": 3, "model": 3, "panel": 3, "claim": 3},
        ("latexmkrc was changed", "Unable to allocate"),
    ),
]


@pytest.mark.parametrize(
    ("mistakes", "expected", "told"), WRONG, ids=["three mistakes", "less and other", "tampered"]
)
def test_wrong_submissions(grader, solved, mistakes, expected, told, tmp_path):
    for mistake in mistakes:
        mistake(solved)
    report = grades.report(found := grader.grade(solved.folder, LOGIN, tmp_path / "paper.pdf"))
    assert points(found) == expected, report
    assert [words for words in told if words not in report] == []
    assert (tmp_path / "paper.pdf").exists() == (label_leak in mistakes)


def test_a_paper_that_is_never_done(grader, solved, tmp_path, monkeypatch):
    """Its functions are graded all the same."""
    infinite_loop(solved)
    boxed = grade.Boxed
    monkeypatch.setattr(grader, "seconds", 3)
    monkeypatch.setattr(grade, "Boxed", lambda box, _: boxed(box, 60))
    found = grader.grade(solved.folder, LOGIN, tmp_path / "paper.pdf")
    assert points(found) == {"data": 4, "model": 3, "panel": 3, "claim": 3}, grades.report(found)
    assert "the paper does not build: no end after 3 s" in grades.report(found)
    assert not (tmp_path / "paper.pdf").exists()


@pytest.fixture
def main(grader: Grader, source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command.  It takes the solution's numbers from the other tests' grader."""
    expected = grader._expected(LOGIN)
    monkeypatch.setattr(Grader, "_expected", lambda *_: expected)
    monkeypatch.setattr(grade, "ROOT", source)

    def call(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["grade.py", *map(str, arguments)])
        return grade.main()

    return call


@pytest.fixture
def holes(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """What cannot be contained, on this machine as on a poor one."""
    missing = ("no network namespace is to be had: it can reach the network", "no mount namespace")
    found = Box._contain
    monkeypatch.setattr(Box, "_contain", lambda self, hide: [*missing, *found(self, hide)])
    return missing


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders in which commands are started."""
    folders, start = [], Box.start
    monkeypatch.setattr(
        Box, "start", lambda self, *a, **k: folders.append(k["cwd"].name) or start(self, *a, **k)
    )
    return folders


def test_a_class_in_one_call(main, solved, tmp_path, monkeypatch, capfd, holes, ran):
    """One that fails costs the others nothing, nor does a folder's name, or what is no paper."""
    handed, out = tmp_path / "handed in", tmp_path / "out"
    wrong = Paper(handed / "Grace Hopper")
    shutil.copytree(solved.folder, wrong.folder)
    wrong.edit("paper.tex", f'login = "{LOGIN}"', 'login = "your-login"')
    syntax_error(wrong)
    another_route(solved)
    with zipfile.ZipFile(handed / "ada.ZIP", "w") as archive:
        for name in ("paper.tex", "pycode/routes.py"):
            archive.write(solved.folder / name, f"work/{name}")
        archive.write(solved.folder / "pycode/lab.py", "work/lab.py")
        archive.writestr("work/.venv/lib/huge.so", bytes(60_000_000), zipfile.ZIP_DEFLATED)
        archive.writestr("work (1)/paper.tex", "an older one")
    for name in ("nobody", "unforeseen", "=a\\b", ".ipynb_checkpoints"):
        (handed / name).mkdir()
    (handed / "broken.zip").write_bytes(b"PK no archive")
    (handed / "notes.txt").write_text("not handed in")
    take = Grader._take

    def fails(self, box, submission):
        if submission.name == "unforeseen":
            raise UnicodeDecodeError("utf-8", b"", 0, 0, "what nobody foresaw")
        return take(self, box, submission)

    monkeypatch.setattr(Grader, "_take", fails)
    assert main(handed, "--out", out, "--allow-holes") == 1
    told = capfd.readouterr().err
    assert "6/6" in told  # the progress bar
    assert "notes.txt: neither a folder nor a zip archive" in told
    assert all(f"not contained: {hole}\n" in told for hole in holes)
    assert {"work", "calls"} <= {*ran}
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["login"]: row for row in csv.DictReader(file)}
    scores = {login: row["score"] for login, row in rows.items()}
    nothing = {"nobody": "0", "broken": "0", "unforeseen": "", "'=a\\b": ""}
    assert scores == {"ada": "16", "Grace Hopper": "4", **nothing}
    assert rows["ada"]["max_score"] == "16"
    assert rows["Grace Hopper"]["exercise data"] == "1"
    for login, words in (
        ("ada", "lab.py was taken for pycode/lab.py"),
        ("ada", "of 2 papers that in work was taken"),
        ("Grace Hopper", "your-login"),
        ("nobody", "there is no paper.tex"),
        ("broken", "broken.zip"),
        ("unforeseen", "what nobody foresaw"),
        ("'=a\\b", "cannot be a login"),
    ):
        assert words in rows[login]["notes"]
    wrong_points = {"data": 1, "model": 0, "panel": 0, "claim": 3}
    for login, expected in (("ada", ALL), ("Grace Hopper", wrong_points)):
        assert points(grades.loads((out / f"{login}.json").read_text())) == expected
    assert "SyntaxError" in (out / "Grace Hopper.md").read_text()
    assert (out / "ada.pdf").read_bytes().startswith(b"%PDF")
    assert not (out / "Grace Hopper.pdf").exists()


def test_nothing_is_run_that_cannot_be_contained(main, solved, tmp_path, capfd, holes, ran):
    handed, out = tmp_path / "handed", tmp_path / "out"
    for name in ("bob", LOGIN):
        shutil.copytree(solved.folder, handed / name)
    for submissions in (solved.folder, handed):
        assert main(submissions, "--out", out) == 1
        told = capfd.readouterr().err
        assert "nothing was run" in told
        assert all(f"- {hole}\n" in told for hole in holes)
        assert "--allow-holes" in told
    assert not {"work", "calls"} & {*ran}
    assert not list(out.glob("*"))


def test_a_score_of_nothing_is_a_grade(main, tmp_path, capfd):
    (tmp_path / "bob.zip").write_bytes(b"PK no archive")
    assert main(tmp_path / "bob.zip", "--allow-holes") == 0
    assert "bob: 0 of 16 points" in capfd.readouterr().out


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


def test_links_lead_nowhere(grader, solved, tmp_path):
    """Neither to files of the grader's, nor out of a zip archive."""
    secret = tmp_path / "secret.py"
    (solved.folder / "pycode/lab.py").rename(secret)
    (solved.folder / "pycode/lab.py").symlink_to(secret)
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        archive.writestr("paper.tex", r"\begin{document}")
        archive.writestr("../../escaped.txt", "x")
    for submission in (solved.folder, tmp_path / "out.zip"):
        with Box(hide=[]) as box:
            tree, notes = grader._take(box, submission)
        assert "pycode/lab.py is missing; the one with gaps was used" in notes
        given = (grader.given / "pycode/lab.py").read_text()
        assert (tree / "pycode/lab.py").read_text() == given
        assert "NotImplementedError" in given
    assert not [*tmp_path.parent.rglob("escaped.txt")]


def test_students_try_their_own_checks(source, tmp_path):
    """Their paper is built; that it can be is for test_course."""
    tree = Paper(tmp_path / "student")
    marks.student_tree(source, tree.folder)
    (tree.folder / ".venv").symlink_to(ROOT / ".venv")
    shutil.copy(source / "pycode/lab.py", tree.folder / "pycode/lab.py")
    build = tmp_path / "bin/latexmk"
    build.parent.mkdir()
    build.write_text("#!/bin/sh\ntouch built\n")
    build.chmod(0o755)
    path = f"{build.parent}:{environment()['PATH']}"
    done = tree.run(".venv/bin/python3", "literate/course/grade.py", PATH=path)
    assert done.code == 0
    assert (tree.folder / "built").exists()
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


STUB = """
import sys, time
for line in sys.stdin:
    if "loop" in line:
        time.sleep(1000)
    print('{"value": 1}', flush=True)
"""


def test_patience_ends():
    """A function that never ends costs no other its answer, but is not waited for at each call."""
    with Box(hide=[]) as box:
        (box.folder / "student.py").write_text(STUB)
        (box.folder / "calls").mkdir()
        with grade.Boxed(box, 2) as functions:
            for _ in range(3):
                assert functions("lab.load") == 1
                with pytest.raises(StudentError, match="no end after"):
                    functions("lab.loop")
            for name in ("lab.load", "lab.loop"):
                with pytest.raises(StudentError, match="not called any more"):
                    functions(name)


def test_the_conditions_of_a_named_claim_are_those_of_results_json():
    paper = r"""\begin{exercise}{T}{1}{key}\end{exercise}
\begin{solution}\claim{wins}{A.} \claim{a > 1}{B.} \claim{unknown}{C.}\end{solution}
"""
    nothing: Any = None

    def run(recorded: object) -> checking.Run:
        return checking.Run(
            LOGIN,
            student=nothing,
            solution=None,
            text=paper,
            files=lambda _: json.dumps(recorded).encode(),
            failure="",
            expected={"a": {"value": 14}, "b": {"value": 3}},
        )

    good = run({"claims.wins": {"value": "a > b and a > 13"}})
    assert good.claims("key") == ["a > b and a > 13", "a > 1", "unknown"]
    assert [good.holds(condition) for condition in good.claims("key")] == [True, True, False]
    for recorded in ([], {"claims.wins": "a > b"}):
        with pytest.raises(checking.StudentError, match="not as literate writes it"):
            run(recorded).claims("key")


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
