"""What students get of a source: no solution and no hidden test, or an error that says where."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literate.course import marks
from literate.course.marks import MarkError
from literate.testing import ROOT

EXERCISE = "\\begin{exercise}{Title}{2}{key}\nText\n\\end{exercise}\n"
BROKEN = {
    "unended solution": (EXERCISE + "\\begin{solution}\nx", 4, "is not ended"),
    "solution ended twice": (EXERCISE + "\\end{solution}\n", 4, "ends none"),
    "nested": (EXERCISE + "\\begin{solution}\n\\begin{solution}\n", 5, "inside the solution of"),
    "exercise in solution": (EXERCISE + "\\begin{solution}\n" + EXERCISE, 5, "inside the solution"),
    "solution in exercise": (
        EXERCISE.partition("Text")[0] + "\\begin{solution}\n",
        2,
        "inside the exercise",
    ),
    "no exercise before": ("x\n\\begin{solution}\n", 2, "before the first exercise"),
    "no arguments": ("\\begin{exercise}{Title}{2}\n", 1, "needs {title}{points}{key}"),
    "no points": (EXERCISE.replace("2", "many"), 1, "'many' are no points"),
    "half a point": (EXERCISE.replace("2", "0.5"), 1, "'0.5' are no points"),
    "no key": (EXERCISE.replace("key", "A key"), 1, "'A key' is no key"),
    "the same key": (EXERCISE + EXERCISE, 4, "is that of line 1"),
    "on one line": (EXERCISE + "\\begin{solution}x\\end{solution}\n", 4, "line of its own"),
    "in a comment": (EXERCISE + "% \\begin{solution}\n", 4, "in no comment"),
    "mark outside a block": (EXERCISE + "### BEGIN SOLUTION\n", 4, "stands in no block"),
    "mark over the block's end": (
        "\\begin{pycode}\n### BEGIN SOLUTION\nx = 1\n\\end{pycode}\n### END SOLUTION\n",
        2,
        "not ended in its block",
    ),
}
BROKEN_CODE = {
    "unended": ("x = 1\n    ### BEGIN SOLUTION\n", 2, "is not ended"),
    "not begun": ("### END SOLUTION\n", 1, "ends none"),
    "another's end": ("### BEGIN SOLUTION\n### END HIDDEN TESTS\n", 2, "ends none"),
    "nested": ("### BEGIN SOLUTION\n### BEGIN HIDDEN TESTS\n", 2, "inside the solution of line 1"),
    "misspelt": ("\n### BEGIN SOLUTON\n", 2, "no mark"),
    "small letters": ("# begin solution\n", 1, "no mark"),
    "after code": ("x = 1  ### BEGIN SOLUTION\n", 1, "no mark"),
    "another word": ("### START SOLUTION\n", 1, "no mark"),
    "two signs": ("## END SOLUTION\n", 1, "no mark"),
    "something after": ("### BEGIN SOLUTION of 1\n", 1, "no mark"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_paper(case):
    text, line, why = BROKEN[case]
    with pytest.raises(MarkError, match=rf"^paper\.tex:{line}: .*") as error:
        marks.strip(text, "paper.tex")
    assert why in str(error.value)


@pytest.mark.parametrize("case", BROKEN_CODE)
def test_broken_code(case):
    text, line, why = BROKEN_CODE[case]
    with pytest.raises(MarkError, match=rf"^pycode/lab\.py:{line}: .*") as error:
        marks.strip(text, "pycode/lab.py")
    assert why in str(error.value)


def test_exercises_of_the_sample():
    text = (ROOT / marks.SAMPLE / marks.PAPER).read_text(encoding="utf-8")
    found = marks.exercises(text)
    assert [e.key for e in found] == ["data", "model", "panel", "claim"]
    assert all(f"{{{e.title}}}{{{e.points}}}" in text.splitlines()[e.line - 1] for e in found)


@pytest.mark.parametrize(
    ("environment", "gap"),
    [("pycode", r'print(r"\todo")'), ("pyblock", "...  # To do"), ("pyverbatim", "...  # To do")],
)
def test_gap_in_a_block(environment, gap):
    text = (
        f"\\begin{{{environment}}}\nif True:\n    ### BEGIN SOLUTION\n    x = 1\n"
        f"    ### END SOLUTION\n\\end{{{environment}}}\n"
    )
    found = marks.strip(text, "paper.tex")
    assert found.text.splitlines()[1:-1] == ["if True:", f"    {gap}"]
    assert found.taken == ("    x = 1",)


def test_gap_in_a_function_and_in_a_module():
    text = (
        "### BEGIN SOLUTION\nimport secret\n### END SOLUTION\n\ndef f():\n    ### BEGIN SOLUTION\n"
        "    return 1\n    ### END SOLUTION\n\n### BEGIN HIDDEN TESTS\nassert f() == 1\n"
        "### END HIDDEN TESTS\n"
    )
    found = marks.strip(text, "lab.py")
    assert found.text == '# To do\n\ndef f():\n    raise NotImplementedError("to do")\n\n'
    assert found.taken == ("import secret", "    return 1", "assert f() == 1")


NAMES = (marks.SOLUTION, marks.HIDDEN)
LINES = st.sampled_from(
    ("given = 1", "secret", "", *(f"### {k} {n}" for k in ("BEGIN", "END") for n in NAMES))
)


@given(st.lists(LINES, max_size=12))
def test_whatever_stands_between_marks_goes(lines):
    """And if marks are not balanced nothing comes out at all."""
    numbered = [f"{line}_{n} = {n}" if line == "secret" else line for n, line in enumerate(lines)]
    depth, secret, fine = "", [], True
    for line in numbered:
        if line.startswith("### "):
            kind, _, name = line[4:].partition(" ")
            fine &= (depth == "") if kind == "BEGIN" else (depth == name)
            depth = name if kind == "BEGIN" else ""
        elif depth and line:
            secret.append(line)
    if not fine or depth:
        with pytest.raises(MarkError):
            marks.strip("\n".join(numbered), "lab.py")
        return
    found = marks.strip("\n".join(numbered), "lab.py")
    assert list(found.taken) == secret
    ast.parse(found.text)
    left = found.text.splitlines()
    kept = [line for line in numbered if line.startswith("secret") and line not in secret]
    assert [line for line in left if line.startswith("secret")] == kept


def test_pieces_of_solutions_are_found_in_other_words_around_them():
    taken = ("  return  model.fit(X_train, y_train)", r"We see \num{3} that the machine is ahead.")
    pieces = marks.pieces({"lab.py": marks.Stripped("nothing of this", taken)})
    line = "return model.fit(X_train, y_train)"
    assert marks.leaks(pieces, "\ndef f(): return model.fit(X_train,  y_train) # so") == {line: 2}
    assert marks.leaks(pieces, "return model.fit(X_train,\n y_train)") == {line: 0}
    words = "that the machine is ahead."
    assert marks.leaks(pieces, f"but {words}") == {words: 1}
    assert not marks.leaks(pieces, "return model.fit(X_test, y_test)")


@pytest.mark.parametrize(
    ("before", "given"), [("", True), ("# old: ", False), ("x = 1  # ", False)]
)
def test_what_students_get_anyway_is_no_secret(before, given):
    line = "return model.fit(X_train, y_train)"
    text = f"{before}{line}\n"
    assert (marks.pieces({"lab.py": marks.Stripped(text, (line,))}) == []) == given
