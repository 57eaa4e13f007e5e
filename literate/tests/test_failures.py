"""A run that fails is loud: exit status, one message with the line, and marks on every page."""

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from literate.testing import ROOT, Build, Paper, path_without

MARK = "run has not been completed."
APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"  # what LaTeX makes of a straight one


def line_of(paper: Paper, text: str, file: str = "paper.tex") -> int:
    lines = paper.read(file).splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def assert_failed(paper: Paper, build: Build, *message: str, shown: str = "?") -> None:
    """Exit status, message and PDF of a failed build.

    `shown` is what an early result is replaced by, or its start.
    """
    assert build.code != 0
    pages = paper.pages()
    for part in message:
        assert part in build.output
        assert all(part.replace("'", APOSTROPHE) in page for page in pages)
    assert all("run has not been completed." in page for page in pages)
    assert f"Early: {shown}" in pages[0]
    assert "Late: 0." not in pages[0]


def assert_fixed(paper: Paper, like: Paper) -> None:
    build = paper.build()
    assert build.code == 0, build.output
    assert paper.pages() == like.pages()


def test_exception_in_a_block(small: Paper, built_small: Paper) -> None:
    small.edit("paper.tex", "split = data", "1 / 0\nsplit = data")
    line = line_of(small, "1 / 0")
    for options in ([], ["-f"], ["-g"], []):  # the first failure, forced ones, and no change since
        build = small.build(*options)
        assert_failed(small, build, f"paper.tex:{line}: ZeroDivisionError")
        last = build.output.splitlines()[-1]  # not latexmk's own summary
        assert last == f"paper.tex:{line}: ZeroDivisionError: division by zero"
        # latexmk 4.82a and newer would run it until they give up, and say so instead of the error.
        assert build.output.count("This is PythonTeX") == 1
        assert "too many passes" not in build.output
    small.edit("paper.tex", "1 / 0\nsplit = data", "split = data")
    assert_fixed(small, built_small)


FAIL = "def fail():\n    1 / 0\nsplit = data"


class Fault(NamedTuple):
    edits: list[tuple[str, str, str]]
    line: str  # what stands on the line of the paper that is named
    message: str
    inner: tuple[str, ...] = ()  # what stands on the line that is named, too, and in which file
    early: str = "?"  # what an early result is replaced by, or its start


FAULTS = {
    "a Python that has forgotten its script": Fault(  # as 3.14 has when it calls sys.excepthook
        [("paper.tex", "split = data", "del __file__; 1 / 0\nsplit = data")],
        "1 / 0",
        "ZeroDivisionError: division by zero",
    ),
    "exception in pycode": Fault(
        [("pycode/models.py", "    return {", "    1 / 0\n    return {")],
        "models.candidates()",
        "ZeroDivisionError",
        inner=("1 / 0", "pycode/models.py"),
    ),
    "syntax error in pycode": Fault(
        [("pycode/data.py", "import csv\n", "import = 1\n")],
        "from pycode import",
        "SyntaxError",
        inner=("import = 1", "pycode/data.py"),
    ),
    "bad table": Fault(
        [("rows.csv", "a,b,c,d,kind\n", "a,b,c,d,kind\n1,2,x,4,odd\n")],
        "read_table",
        "pycode.data.DataError: rows.csv: could not convert",
    ),
    "NaN": Fault(
        [("paper.tex", "images =", 'results.record("x", float("nan"))\nimages =')],
        "nan",
        "ValueError: nan is not a result",
        early="0.",
    ),
    "function of another block": Fault(
        [("paper.tex", "split = data", FAIL), ("paper.tex", "images =", "fail()\nimages =")],
        "1 / 0",
        "ZeroDivisionError",
        early="0.",
    ),
    "long message": Fault(  # which is cut and still set
        [("paper.tex", "images =", 'raise ValueError("x" * 350 + "\\\\{%$" * 50)\nimages =')],
        "raise",
        "ValueError",
        early="0.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_each_fault_is_told_with_its_line(small: Paper, fault: Fault) -> None:
    for edit in fault.edits:
        small.edit(*edit)
    messages = [f"paper.tex:{line_of(small, fault.line)}: {fault.message}"]
    if fault.inner:
        messages.append(f"{fault.inner[1]}:{line_of(small, *fault.inner)}")
    build = small.build()
    assert_failed(small, build, *messages, shown=fault.early)
    assert "AttributeError" not in build.output
    assert "! " not in small.read("paper.log")


def test_syntax_error_in_a_block(small: Paper, built_small: Paper) -> None:
    small.edit("paper.tex", "split = data", "split = = data")
    assert_failed(small, small.build(), f"paper.tex:{line_of(small, '= =')}: SyntaxError")
    small.edit("paper.tex", "split = = data", "split = data")
    assert_fixed(small, built_small)


def test_missing_package(small: Paper, built_small: Paper) -> None:
    small.edit("paper.tex", "import pycode\n", "import pycode, nosuch\n")
    line = line_of(small, "nosuch")
    assert_failed(
        small, small.build(), f"paper.tex:{line}: ModuleNotFoundError: No module named 'nosuch'"
    )
    # Installing it changes no file that latexmk knows of.
    (small.folder / "nosuch.py").touch()
    build = small.build()
    assert build.code == 0, build.output


def test_only_python3_without_the_packages(
    small: Paper, built_small: Paper, tmp_path: Path
) -> None:
    (small.folder / ".venv").unlink()
    small.edit("paper.tex", "folds=3", "folds=4")
    build = small.run("latexmk", PATH=path_without(tmp_path / "bin", "python"))
    line = line_of(small, "import pycode")
    assert_failed(small, build, f"paper.tex:{line}: ImportError: python3 is", "run make")
    (small.folder / ".venv").symlink_to(ROOT / ".venv")
    small.edit("paper.tex", "folds=4", "folds=3")
    assert_fixed(small, built_small)


def test_environment_for_another_python(small: Paper, built_small: Paper) -> None:
    (small.folder / ".venv").unlink()
    (small.folder / ".venv/lib/python3.9/site-packages").mkdir(parents=True)
    small.edit("paper.tex", "folds=3", "folds=4")
    assert_failed(small, small.build(), "python3 is", ".venv/bin/python3", "run make")
    shutil.rmtree(small.folder / ".venv")
    (small.folder / ".venv").symlink_to(ROOT / ".venv")
    small.edit("paper.tex", "folds=4", "folds=3")
    assert_fixed(small, built_small)


def test_missing_data_file(small: Paper, built_small: Paper) -> None:
    (small.folder / "rows.csv").rename(small.folder / "hidden.csv")
    line = line_of(small, "read_table")
    assert_failed(small, small.build(), f"paper.tex:{line}: FileNotFoundError", "No such file")
    (small.folder / "hidden.csv").rename(small.folder / "rows.csv")
    assert_fixed(small, built_small)


def test_misspelt_results(small: Paper, built_small: Paper) -> None:
    early, title = r"Early: \result{rows.logistic.test}", r"\num{\result{rows.logistic.test}}"
    small.edit("paper.tex", early, r"Early: \result{rows.logistik.test}")
    small.edit("paper.tex", title, r"\num{\result{rows.logistic.tset}}")
    messages = [
        f"paper.tex:{line_of(small, 'logistik')}: no result is called rows.logistik.test; near it:",
        "no result is called rows.logistic.tset; near it: rows.logistic.test",
    ]
    for build in (small.build(), small.build("-f"), small.build()):
        assert build.code != 0
        assert all(message in build.output for message in messages), build.output
        assert "?rows.logistik.test?" in small.pages()[0]
    small.edit("paper.tex", "logistik", "logistic")
    small.edit("paper.tex", "tset", "test")
    assert_fixed(small, built_small)


def test_missing_pythontex(small: Paper, built_small: Paper, tmp_path: Path) -> None:
    small.edit("paper.tex", "folds=3", "folds=4")
    build = small.run("latexmk", PATH=path_without(tmp_path / "bin", "pythontex"))
    assert build.code != 0
    assert "pythontex: not found" in build.output
    assert all("has not been completed" in page for page in small.pages())
    small.edit("paper.tex", "folds=4", "folds=3")
    assert_fixed(small, built_small)


# The block runs in a child of one of PythonTeX's workers.
KILL_PYTHONTEX = 'os.kill(int(open(f"/proc/{os.getppid()}/stat").read().split()[3]), 9)'


ENDS = ("os._exit(0)", "sys.exit(0)", "sys.exit(3)", KILL_PYTHONTEX)


def test_run_that_does_not_reach_its_end(small: Paper, built_small: Paper) -> None:
    rows, source = small.read("rows.csv"), small.read("paper.tex")
    small.edit("rows.csv", "a,b,c,d,kind\n", "a,b,c,d,kind\n9,9,9,9,even\n")
    for end in ENDS:
        text = source.replace("images =", f"import os, sys; {end}\nimages =")
        (small.folder / "paper.tex").write_text(text, encoding="utf-8")
        message = "PythonTeX was killed" if "kill" in end else "the run ended before its last block"
        assert_failed(small, small.build(), message)
    (small.folder / "paper.tex").write_text(source, encoding="utf-8")
    (small.folder / "rows.csv").write_text(rows, encoding="utf-8")
    assert_fixed(small, built_small)


@pytest.mark.parametrize("age", [-60, 60])  # PythonTeX begins, or LaTeX does
def test_second_failure_is_not_taken_for_the_first(small: Paper, age: int) -> None:
    small.edit("paper.tex", "images =", "1 / 0\nimages =")
    assert small.build().code != 0
    small.edit("paper.tex", "1 / 0\nimages =", "images =")
    small.edit("pycode/data.py", "import csv\n", "import csv\nimport = 1\n")
    moment = time.time() + age
    os.utime(small.folder / "paper.tex", (moment, moment))
    build = small.build()
    assert_failed(small, build, "SyntaxError", "pycode/data.py:4")
    assert "ZeroDivisionError" not in build.output


def test_second_session_is_refused(small: Paper, built_small: Paper) -> None:
    other = "\\begin{pycode}[two]\nprint(2)\n\\end{pycode}\n"
    small.edit("paper.tex", "The second page.", f"{other}The second page.")
    line = line_of(small, "[two]")
    assert_failed(small, small.build(), f"paper.tex:{line}: all blocks run in one session")
    small.edit("paper.tex", other, "")
    assert_fixed(small, built_small)


def test_second_document_is_refused(small: Paper, built_small: Paper) -> None:
    (small.folder / "supplement.tex").write_text(
        small.read("paper.tex").replace("folds=3", "folds=4")
    )
    for _ in range(2):
        build = small.build("supplement.tex")
        assert build.code != 0
        assert "results.json is that of paper.tex" in build.output
        assert "supplement.tex needs a folder of its own" in build.output
        assert all("has not been completed" in page for page in small.pages("supplement.pdf"))
    assert_fixed(small, built_small)


@pytest.mark.parametrize("options", [[], ["-outdir=build", "thesis"]])
def test_document_may_have_any_name(small: Paper, built_small: Paper, options) -> None:
    pdf = "build/thesis.pdf" if "thesis" in options else "thesis.pdf"
    (small.folder / "paper.tex").rename(small.folder / "thesis.tex")
    small.build("-C")
    build = small.build(*options)
    assert build.code == 0, build.output
    assert small.pages(pdf) == built_small.pages()
    assert small.build(*options).rules == []
    if not options:
        assert small.build("thesis.tex").rules == []
    claim = r"\claim{rows.logistic.test > 2}{A claim}. The second page."
    small.edit("thesis.tex", "The second page.", claim)
    build = small.build(*options)
    assert build.code != 0
    assert re.search(r"thesis.tex:\d+: rows.logistic.test = 0.7 > 2 is false", build.output)
    small.edit("thesis.tex", claim, "The second page.")
    small.edit("thesis.tex", "split = data", "1 / 0\nsplit = data")
    build = small.build(*options)
    assert re.search(r"\nthesis.tex:1\d: ZeroDivisionError", build.output)
    assert all("tex:1" in page and MARK in page for page in small.pages(pdf))


PART = """
\\begin{pycode}
x = 1
BLOCK
\\end{pycode}
Text.
"""


@pytest.mark.parametrize(
    ("name", "command", "block"),
    [  # each pair of them
        ("more", "input", "1 / 0"),
        ("more", "include", "y = = 1"),
        ("parts/more", "input", "y = = 1"),
        ("parts/more", "include", "1 / 0"),
        ("parts/paper", "input", "1 / 0"),
        ("parts/paper", "include", "y = = 1"),
    ],
)
def test_error_in_another_file_names_it(small: Paper, name: str, command: str, block: str) -> None:
    (small.folder / "parts").mkdir()
    (small.folder / f"{name}.tex").write_text(PART.replace("BLOCK", block))
    small.edit("paper.tex", "The second page.", rf"\{command}{{{name}}}")
    build = small.build()
    assert build.code != 0
    reason = "ZeroDivisionError" if "/" in block else "SyntaxError"
    assert f"\n{name}.tex:4: {reason}" in build.output
    assert all(f"{name}.tex:4: {reason}" in page for page in small.pages())


def test_misspelt_result_and_session_in_another_file(small: Paper) -> None:
    small.edit("paper.tex", "The second page.", r"\input{more}")
    (small.folder / "more.tex").write_text("\nText \\result{typo}.\n")
    assert "\nmore.tex:2: no result is called typo" in small.build().output
    (small.folder / "more.tex").write_text("\n\\begin{pycode}[two]\n1\n\\end{pycode}\n")
    assert "more.tex:2: all blocks run in one session" in small.build().output


def test_printed_latex_that_breaks_the_pass(small: Paper, built_small: Paper) -> None:
    bad = 'print(r"\\undefinedcommand{")\nimages ='
    small.edit("paper.tex", "images =", bad)
    assert small.build().code != 0
    small.edit("paper.tex", bad, "images =")
    assert_fixed(small, built_small)


def test_contents_and_appendices(small: Paper) -> None:
    source = (ROOT / "paper.tex").read_text(encoding="utf-8")
    (begins,) = re.findall(r"\\appendix\n(?:%.*\n)?.*crefalias.*\n", source)
    small.edit("paper.tex", r"\title{", r"\usepackage{hyperref,cleveref}\title{")
    contents = "\\maketitle\\tableofcontents\n\\section{At \\result{rows.logistic.test}}"
    small.edit("paper.tex", "\\maketitle", contents)
    more = "\\Cref{a} and \\cref{b}.\n" + begins
    more += "\\section{A}\\label{a}\n\\subsection{B}\\label{b}\n"
    small.edit("paper.tex", "The second page.", more)
    assert small.build().code == 0
    assert "Appendix A and appendix A.1." in small.pages()[1]
    assert small.pages()[0].count("At 0.") == 2
    # The contents of this run are not left in the next, which fails.
    small.edit("paper.tex", "split = data", "1 / 0\nsplit = data")
    assert small.build().code != 0
    assert "At 0." not in small.pages()[0]


def test_latex_error_does_not_keep_old_results(small: Paper) -> None:
    before = small.pages()[0]
    small.edit("rows.csv", "a,b,c,d,kind\n", "a,b,c,d,kind\n9,9,9,9,even\n8,8,8,8,even\n")
    small.edit("paper.tex", "a word", "a word \\undefinedcommand")
    assert small.build().code != 0
    early = re.search(r"Small (0\.\d+)", small.pages()[0])
    record = json.loads(small.read("results.json"))
    assert early
    assert float(early[1]) == pytest.approx(record["rows.logistic.test"]["value"], abs=5e-5)
    assert early[0] not in before


def test_paper_that_does_not_begin_a_run(small: Paper) -> None:
    small.edit("paper.tex", "results.begin(pytex)\n", "")
    build = small.build()
    assert build.code != 0
    assert "results.begin(pytex)" in build.output


def test_figure_that_is_not_printed(small: Paper, built_small: Paper) -> None:
    small.edit("paper.tex", "print(figures.mistakes(", "len(figures.mistakes(")
    build = small.build()
    assert build.code != 0
    assert "'mistakes' is drawn" in build.output
    assert "but not printed" in build.output
    small.edit("paper.tex", "len(figures.mistakes(", "print(figures.mistakes(")
    assert_fixed(small, built_small)


def test_warnings_are_shown(small: Paper) -> None:
    small.edit("paper.tex", "images =", 'import warnings; warnings.warn("look here")\nimages =')
    build = small.build()
    assert build.code == 0
    assert "look here" in build.output
    assert f"line {line_of(small, 'look here')}" in build.output
    assert "SyntaxWarning" not in build.output  # of PythonTeX's own code


PDFLATEX = ("pdflatex", "-interaction=nonstopmode", "paper")


def test_latex_alone_knows_that_a_block_has_changed(small: Paper) -> None:
    engines = [(name, *PDFLATEX[1:]) for name in ("lualatex", "xelatex", "pdflatex")]
    small.edit("paper.tex", "a word", "two words\n\nand a paragraph")
    for engine in engines:
        assert small.run(*engine).code == 0
        assert not any(MARK in page for page in small.pages())
    small.edit("paper.tex", "folds=3", "folds=4")
    for engine in engines:
        said = small.run(*engine).output
        assert "its blocks have changed" in "".join(said.lower().split("\n"))
        assert all(MARK in page for page in small.pages())
    build = small.build()
    assert build.code == 0, build.output
    assert not any(MARK in page for page in small.pages())


def test_latex_alone_knows_that_no_run_begins(small: Paper) -> None:
    small.edit("paper.tex", "results.begin(pytex)", "# results.begin(pytex)")
    small.run(*PDFLATEX)
    assert all(MARK in page for page in small.pages())


def test_latexmk_from_another_folder_marks_what_it_does_not_run(small: Paper) -> None:
    small.edit("paper.tex", "folds=3", "folds=4")
    parent = Paper(small.folder.parent)
    parent.run("latexmk", "-cd", "-pdf", "-interaction=nonstopmode", "paper/paper.tex")
    assert all(MARK in page for page in small.pages())


SECOND = "The second page."


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        (SECOND, f"{SECOND} a_b", SECOND, r"Missing $ inserted: is a _ or ^ or a command"),
        (SECOND, rf"{SECOND} \foo", SECOND, r"Undefined control sequence \foo: correct its name"),
        (
            SECOND,
            rf"{SECOND} \input{{other}}",
            "",
            r"other.tex:2: Undefined control sequence \oops:",
        ),
        (
            "\\begin{pycode}\nimages",
            "\\begin{pyblock}\nimages",
            r"\begin{pyblock}",
            r"the \end of a block of Python is missing",
        ),
        (
            r"\begin{document}",
            "\\usepackage{nosuch}\n\\begin{document}",
            r"\begin{document}",  # where LaTeX looks for an argument
            "`nosuch.sty' not",
        ),
        (
            r"\begin{document}",
            "\\newtheorem{claim}{Claim}\n\\begin{document}",
            r"\begin{document}",
            r"Command \claim already defined: choose another name",
        ),
    ],
    ids=["underscore", "macro", "included file", "block", "package", "name"],
)
def test_error_of_latex_has_its_place_and_cause_on_the_last_line(small, old, new, place, message):
    (small.folder / "other.tex").write_text("Fine.\n\\oops\n", encoding="utf-8")
    small.edit("paper.tex", old, new)
    build = small.build()
    assert build.code != 0
    line = build.output.strip().splitlines()[-1]
    assert message in line
    assert line.startswith(f"paper.tex:{line_of(small, place)}: " if place else message)
    assert "Run LaTeX to make sure" not in " ".join(small.pages())


def test_class_without_a_venue_leaves_no_unmarked_page(small: Paper) -> None:
    small.edit("paper.tex", "{article}", "{report}")
    for command in (PDFLATEX, ("latexmk",)):
        build = small.run(*command)
        assert build.code != 0
        assert "there is no literate/venues/report.tex" in " ".join(build.output.split())
        assert "article.tex in that folder" in build.output
        assert all(MARK in page for page in small.pages())


NUMBERS = r"""
\num{\result{typo}} \num[round-mode=places]{\result{typo} +- 2e3} \SI{\result{typo}}{\meter}
\qty{\result{typo}}{\meter} \ang{\result{typo}} \tablenum{\result{typo}} $\num{\result{typo}}$
$\result{typo}$ \interval{typo} \numlist{\result{typo};\result{typo}}
\begin{tabular}{S[table-format=1.4]S} \result{typo} & \result{typo} \\ \end{tabular}
"""


@pytest.mark.parametrize("run", ["complete", "failed", "missing"])
def test_no_number_stands_for_an_unknown_result(small: Paper, run: str) -> None:
    small.edit("paper.tex", "The second page.", NUMBERS)
    if run == "failed":
        small.edit("paper.tex", "split = data", "1 / 0\nsplit = data")
    if run == "missing":
        (small.folder / "results.tex").unlink()
        small.run(*PDFLATEX)
    else:
        assert small.build().code != 0
    page = small.pages()[1].partition(" References")[0]
    assert page.count("?typo?") == 13
    assert not re.search(r"\d", page[page.index("?typo?") : page.rindex("?typo?")])
    assert re.search(r"^! .*Missing number", small.read("paper.log"), re.MULTILINE) is None


TABLE = """from pathlib import Path
for name in ("made", "figures/made"):
    Path(f"{name}.tex").write_text(f"Made {name}: {score.test:.3f}.")
images ="""


def test_files_that_a_block_writes_are_input(small: Paper, tmp_path: Path) -> None:
    inputs = r"The second page. \input{made} \input{figures/made}"
    small.edit("paper.tex", "The second page.", inputs)
    small.edit("paper.tex", "images =", TABLE)
    fresh = small.copy(tmp_path / "fresh")
    for paper in (small, fresh):
        build = paper.build()
        assert build.code == 0, build.output
        assert "Made made: 0.7" in paper.pages()[1]
        assert "Made figures/made: 0.7" in paper.pages()[1]
        assert paper.build().rules == []
    small.edit("rows.csv", "a,b,c,d,kind\n", "a,b,c,d,kind\n9,9,9,9,even\n8,8,8,8,even\n")
    assert small.build().code == 0
    assert small.pages()[1].count("made: 0.7") == small.pages()[1].count("made: 0.727") == 2
    small.edit("paper.tex", "split = data", "1 / 0\nsplit = data")
    assert small.build().code != 0
    assert all(MARK in page for page in small.pages())


def test_missing_input_is_named(small: Paper) -> None:
    small.edit("paper.tex", "The second page.", r"The second page. \input{nosuch}")
    build = small.build()
    assert build.code != 0
    line = line_of(small, "nosuch")
    assert f"paper.tex:{line}: there is no file nosuch.tex" in build.output
    assert "?nosuch.tex?" in small.pages()[1]


def test_packages_that_ask_for_more(small: Paper) -> None:
    packages = r"\usepackage[table,dvipsnames]{xcolor}\usepackage{underscore}\title{"
    small.edit("paper.tex", r"\title{", packages)
    more = r"\result{a_b} \num{\result{a_b}} \interval{a_b} \claim{a_b > 1}{a_b.}"
    more += r" \textcolor{Plum}{x}"
    small.edit("paper.tex", "The second page.", more)
    small.edit(
        "paper.tex",
        "images =",
        "from literate.estimate import Estimate\n"
        'results.record("a_b", Estimate(2.5, 2.0, 3.0), digits=1)\nimages =',
    )
    build = small.build()
    assert build.code == 0, build.output
    assert "2.5 2.5 2.5 [2.0, 3.0] a_b. x" in small.pages()[1]
    assert not re.search("^!", small.read("paper.log"), re.MULTILINE)
    small.edit("paper.tex", "split = data", "1 / 0\nsplit = data")
    assert small.build().code != 0
    assert small.pages()[1].count("?a_b?") == 3


def test_percent_in_a_moving_argument_is_explained(small: Paper) -> None:
    small.edit("paper.tex", "The second page.", r"\section{\py{'%.1f' % score.test}} Second.")
    line = line_of(small, "section")
    build = small.build()
    assert build.code != 0
    assert f"paper.tex:{line}: LaTeX reads % in the argument" in build.output
