"""latexmk builds the paper in one call, never shows an old value, and does nothing twice."""

import gzip
import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from literate.testing import Paper

MODULES = ("__init__", "data", "evaluation", "figures", "fonts", "models", "results", "tex")


def assert_like_cold(paper: Paper, cold: Path) -> None:
    """What a warm build left is what a build of the same sources from nothing gives."""
    fresh = paper.copy(cold)
    assert fresh.build().code == 0
    assert_same(paper, fresh)


def assert_same(paper: Paper, fresh: Paper) -> None:
    assert paper.pages() == fresh.pages()
    for name in ("paper.pdf", "results.json", "figures/mistakes.pdf"):
        assert (paper.folder / name).read_bytes() == (fresh.folder / name).read_bytes(), name


def edit(file: str, old: str, new: str) -> Callable[[Paper], None]:
    return lambda paper: paper.edit(file, old, new)


def from_the_future(paper: Paper) -> None:
    os.utime(paper.folder / "paper.tex", (4e9, 4e9))


# Those that stand together act on different parts of a build.
EDITS = {
    "prose, references and style": [
        edit("paper.tex", "a word", "two words"),
        edit("references.bib", "{Literate Programming}", "{Illiterate Programming}"),
        edit("pycode/paper.mplstyle", "axes.titlesize: 8", "axes.titlesize: 7"),
    ],
    "lines and macros": [
        edit("paper.tex", "Early:", "More.\n\nEarly:"),
        edit("literate/macros.tex", r"\footnotesize \bfseries \color { red }", r"\footnotesize"),
    ],
    "block, from the future": [
        edit("paper.tex", "split(rows, folds=3)", "split(rows, folds=3, seed=1)"),
        from_the_future,
    ],
    "data": [edit("rows.csv", "a,b,c,d,kind\n", "a,b,c,d,kind\n9,9,9,9,even\n")],
}
DELETED = ("figures/mistakes.pdf", "results.tex", "results.json", "paper.pdf")
DELETED += ("pythontex-files-paper",)


def test_nothing_is_run_again_by_a_latexmk_with_its_own_stat(small: Paper) -> None:
    # That of Debian 13 imports this, too.
    assert small.run("latexmk", PERL5OPT="-MTime::HiRes=stat").rules == []


@pytest.mark.parametrize("changes", EDITS.values(), ids=list(EDITS))
def test_edited_paper_is_like_a_cold_one(small: Paper, tmp_path: Path, changes) -> None:
    before = small.pages()
    for change in changes:
        change(small)
    build = small.build()
    assert build.code == 0, build.output
    assert_like_cold(small, tmp_path / "cold")
    assert small.pages() != before
    assert small.build().rules == []


def test_all_builds_of_a_commit_are_the_same(built_study: Paper, tmp_path: Path) -> None:
    other = built_study.copy(tmp_path / "other folder")
    # A year later by the clock of all that writes into the PDF, in another place.
    build = other.run(
        *("faketime", "-f", "+400d", "latexmk"),
        FAKETIME_ONLY_CMDS="pdflatex,python,python3",
        NO_FAKE_STAT="1",
        PYTHONHASHSEED="77",
        PYCODE_WORKERS="2",
        TZ="Asia/Tokyo",
        LC_ALL="C",
    )
    assert build.code == 0, build.output
    for name in ("paper.pdf", "results.json", "figures/performance.pdf"):
        same = (built_study.folder / name).read_bytes() == (other.folder / name).read_bytes()
        assert same, name


def test_a_commit_dates_the_pdf_anew_and_runs_no_python(small: Paper, tmp_path: Path) -> None:
    for command in (("init", "-q"), ("add", "paper.tex"), ("commit", "-qm", "One")):
        assert small.run("git", "-c", "user.name=A", "-c", "user.email=a@b", *command).code == 0
    before = (small.folder / "paper.pdf").read_bytes()
    assert small.build().rules == ["pdflatex"]
    assert (small.folder / "paper.pdf").read_bytes() != before
    assert small.build().rules == []
    cold = small.copy(tmp_path / "cold")
    shutil.copytree(small.folder / ".git", cold.folder / ".git")
    assert cold.build().code == 0
    assert_same(small, cold)


@pytest.mark.parametrize("name", DELETED)
def test_deleted_output_is_made_again(small: Paper, built_small: Paper, name: str) -> None:
    path = small.folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    build = small.build()
    assert build.code == 0, build.output
    assert_same(small, built_small)
    assert small.build().rules == []


def test_word_of_prose_runs_no_python(small: Paper) -> None:
    small.edit("paper.tex", "a word", "two words")
    assert small.build().rules == ["pdflatex"]


def test_each_module_is_followed_even_twice_within_a_second(small: Paper) -> None:
    files = ["literate/fonts.py", "literate/results.py", "literate/tex.py"]
    files += [f"pycode/{name}.py" for name in MODULES if f"literate/{name}.py" not in files]
    record = small.read("results.tex")
    assert len(files) == len(MODULES)
    for name in files:
        assert re.search(rf"^% read \w{{32}} file {name}$", record, re.M), name
    sources = {file: small.read(file) for file in files}
    for mark in (1, 2):  # of the same length, and saved in the same second
        for file, source in sources.items():
            (small.folder / file).write_text(f"{source}\nMARK = {mark}\n", encoding="utf-8")
            os.utime(small.folder / file, (2e9, 2e9))
        build = small.build()
        assert build.code == 0, build.output
        assert f"Marks: {[mark] * len(MODULES)}" in small.pages()[0]
    # Of one alone, too.
    small.edit("literate/tex.py", "\nMARK = 2\n", "\nMARK = 3\n")
    assert small.build().code == 0
    assert f"Marks: {[2] * (len(MODULES) - 1) + [3]}" in small.pages()[0]


def test_nothing_runs_when_nothing_has_changed(small: Paper) -> None:
    assert small.build().rules == []
    for path in small.folder.rglob("*"):
        if path.is_file() and ".venv" not in path.parts:
            path.touch()
    assert small.build().rules == []


def test_new_result_used_in_the_same_edit(small: Paper) -> None:
    small.edit("paper.tex", "images =", 'results.record("new", 42)\nimages =')
    small.edit("paper.tex", "a word.", r"a word, \num{\result{new}} and \result{new}.")
    build = small.build()
    assert build.code == 0, build.output
    assert "42 and 42." in small.pages()[0]
    assert small.build().rules == []


def test_modules_of_ones_own_are_followed(small: Paper) -> None:
    paths = {}
    for place, point in {"before": "from pycode", "after": "images ="}.items():
        for module in (place, f"pycode.sub.{place}"):
            path = paths[module] = small.folder / f"{module.replace('.', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text('V = "old"\n')
            # leaves bytecode
            small.run(str(small.folder / ".venv/bin/python"), "-c", f"import {module}")
            small.edit("paper.tex", point, f"import {module}\n{point}")
            small.edit("paper.tex", "images =", f"print('{module}', {module}.V)\nimages =")
    assert small.build().code == 0
    assert all(f"{module} old" in small.pages()[0] for module in paths)
    for module, path in paths.items():
        path.write_text('V = "new"\n')
        assert small.build().code == 0
        assert f"{module} new" in small.pages()[0]


@pytest.mark.parametrize("name", ["figures/mistakes.pdf", "results.json", "results.tex"])
@pytest.mark.parametrize("contents", [b"", b"%PDF-1.4 of another paper"], ids=["empty", "other"])
def test_replaced_output_is_made_again(small: Paper, built_small: Paper, name, contents) -> None:
    (small.folder / name).write_bytes(contents)
    assert small.build().code == 0
    assert_same(small, built_small)


@pytest.mark.parametrize("engine", ["-pdfxe", "-pdflua"])
def test_engines_from_a_clean_tree(unbuilt: Paper, built_small: Paper, engine: str) -> None:
    build = unbuilt.build(engine)
    assert build.code == 0, build.output
    assert build.rules.count("pythontex") == 1
    assert words(unbuilt) == words(built_small)
    assert unbuilt.build(engine).rules == []
    assert_clicks_lead_to_blocks(unbuilt)


def assert_clicks_lead_to_blocks(paper: Paper, pdf: str = "paper.pdf") -> None:
    r"""SyncTeX knows what a block prints, and the number of a `\py`, by their lines."""
    records = gzip.decompress((paper.folder / pdf).with_suffix(".synctex.gz").read_bytes())
    assert b".stdout" not in records
    assert paper.click("not", pdf) == ("paper.tex", r"\begin{pycode}")  # in a figure
    file, line = paper.click(r"0\.7500", pdf)
    assert file == "paper.tex"
    assert line.startswith(r"Late: \py")


def words(paper: Paper) -> list[str]:
    # Engines differ in how far apart pdftotext sees the letters.
    return ["".join(page.split()) for page in paper.pages()]


def test_output_directory(small: Paper, built_small: Paper) -> None:
    written = (small.folder / "paper.pdf").stat().st_mtime_ns
    build = small.build("-outdir=build")
    assert build.code == 0, build.output
    assert small.pages("build/paper.pdf") == built_small.pages()
    assert small.build("-outdir=build").rules == []
    assert_clicks_lead_to_blocks(small, "build/paper.pdf")
    assert (small.folder / "paper.pdf").stat().st_mtime_ns == written
    # Both folders follow the same edit, and a relative path in a block is the paper's.
    small.edit("rows.csv", "a,b,c,d,kind\n", "a,b,c,d,kind\n9,9,9,9,even\n")
    (small.folder / "note.txt").write_text("two words", encoding="utf-8")
    small.edit("paper.tex", "images =", 'print(open("note.txt").read())\nimages =')
    assert small.build("-outdir=build").code == 0
    assert small.build().code == 0
    assert small.pages() == small.pages("build/paper.pdf")
    assert "two words" in small.pages()[0]


def test_latex_workshop_in_a_folder_with_space_and_accent(
    unbuilt: Paper, built_small: Paper, tmp_path: Path
) -> None:
    folder = tmp_path / "mon café/été 2"
    paper = unbuilt.copy(folder)
    build = paper.build(
        *("-synctex=1", "-interaction=nonstopmode", "-file-line-error", "-pdf"),
        *(f"-outdir={folder}", f"{folder}/paper"),
    )
    assert build.code == 0, build.output
    assert paper.pages() == built_small.pages()


def test_preview_follows_edits_and_survives_an_error(small: Paper) -> None:
    viewer = small.start("latexmk", "-pvc", "-view=none")

    def wait_for(text: str) -> None:
        for _ in range(120):
            if any(text in page for page in small.pages()):
                return
            time.sleep(0.5)
        pytest.fail(f"{text!r} did not appear in {small.pages()}")

    try:
        time.sleep(3)
        small.edit("paper.tex", "a word", "two words")
        wait_for("two words")
        small.edit("literate/tex.py", '"""Python values', 'MARK = 1 / 0\n"""Python values')
        wait_for("has not been completed")
        small.edit("literate/tex.py", 'MARK = 1 / 0\n"""', 'MARK = 7\n"""')
        wait_for("0, 0, 7]")
        assert small.build().code == 0  # in between others may build
    finally:
        os.killpg(viewer.pid, signal.SIGKILL)
        viewer.wait()


def test_cleaning_up(small: Paper) -> None:
    def left() -> set[str]:
        files = {str(p.relative_to(small.folder)) for p in small.folder.rglob("*")}
        return {
            name
            for name in files
            if not name.startswith((".venv", ".cache", "pycode", "literate", "results/"))
        }

    sources = {"paper.tex", "references.bib", "latexmkrc", "rows.csv", "figures"}
    kept = sources | {"figures/README.md", "results.json", "results", "pyproject.toml"}
    assert small.build("-c").code == 0
    assert left() == kept | {"paper.pdf", "figures/mistakes.pdf"}
    assert small.build("-C").code == 0
    assert left() == kept


def put(file: str, text: str) -> Callable[[Paper], None]:
    def write(paper: Paper) -> None:
        (paper.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (paper.folder / file).write_text(text, encoding="utf-8")

    return write


def insert(paper: Paper) -> None:
    with sqlite3.connect(paper.folder / "base.db") as database:
        database.execute("create table if not exists t (a)")
        database.execute("insert into t values (1)")


COUNT = "__import__('sqlite3').connect('base.db').execute('select count(*) from t').fetchone()"
# What a block asks for, what is there first, what is there then, and what the page says then.
ASKED = {
    "a pattern": (
        "len(list(Path('more').glob('*.csv')))",
        *(put("more/a.csv", ""), put("more/b.csv", ""), "2"),
    ),
    "a listing": ("os.listdir('more')", put("more/a", ""), put("more/z", ""), "z"),
    "a folder that may be there": (
        "Path('kept').mkdir(exist_ok=True) or Path('kept/x').read_text()",
        *(put("kept/x", "low"), put("kept/x", "high"), "high"),
    ),
    "existence": ("Path('alpha').exists()", put("beta", ""), put("alpha", ""), "True"),
    "a database": (COUNT, insert, insert, "(2,)"),
    "a hidden file": (
        "open('.data/x').read()",
        *(put(".data/x", "low"), put(".data/x", "high"), "high"),
    ),
    "a file of the system's folder": (
        "Path('../elsewhere').read_text()",
        *(put("../elsewhere", "low"), put("../elsewhere", "high"), "high"),
    ),
    "an unbuffered file": (
        "io.FileIO(Path('raw')).read().decode()",
        *(put("raw", "low"), put("raw", "high"), "high"),
    ),
    "what is named": ("results.depends('seen') or 1", put("seen/a", "1"), put("seen/a", "2"), "1"),
    "an import": (
        "helper.VALUE",
        *(put("helper.py", "VALUE = 'low'"), put("helper.py", "VALUE = 'high'"), "high"),
    ),
    "a file at the top of a module": (
        "helper.VALUE",
        *(put("note.txt", "low"), put("note.txt", "high"), "high"),
    ),
    "a package of parts": (
        "__import__('parts.part').part.VALUE",
        *(put("parts/part.py", "VALUE = 1"), put("parts/part.py", "VALUE = 22"), "22"),
    ),
}


def test_what_blocks_ask_for_is_followed(small: Paper) -> None:
    top = "from pathlib import Path\nVALUE = Path('note.txt').read_text()\n"
    put("noted.py", top)(small)
    for _, before, _, _ in ASKED.values():
        before(small)
    asked = "".join(
        f"print('Asked {n}:', {code.replace('helper', 'noted') if 'top' in name else code}, '.')\n"
        for n, (name, (code, *_)) in enumerate(ASKED.items())
    )
    modules = "import io, os, helper, noted\nfrom pathlib import Path\n"
    small.edit("paper.tex", "import pycode\n", f"import pycode\n{modules}")
    small.edit("paper.tex", "images =", f"{asked}images =")
    build = small.build()
    assert build.code == 0, build.output
    assert small.build().rules == []
    for n, (name, (_, _, change, after)) in enumerate(ASKED.items()):
        change(small)
        build = small.build()
        assert build.code == 0, build.output
        assert build.rules.count("pythontex") == 1, name
        said = re.search(rf"Asked {n}: (.*?) \.", small.pages()[0])
        assert said
        assert after in said[1], name
        assert small.build().rules == [], name


def test_what_surrounds_a_run_is_followed(small: Paper, tmp_path: Path) -> None:
    places = tmp_path / "x-packages"
    (places / "thing-1.0.dist-info").mkdir(parents=True)
    (small.folder / "requirements.txt").write_text("thing==1.0\n")
    small.edit("paper.tex", "images =", "import os; print(os.environ.get('LEVEL'))\nimages =")
    env = {"PYTHONPATH": str(places), "LEVEL": "low"}
    for what in ("nothing", "variable", "packages", "requirements"):
        if what == "variable":
            env["LEVEL"] = "high"
        elif what == "packages":
            (places / "thing-1.0.dist-info").rename(places / "thing-2.0.dist-info")
        elif what == "requirements":
            (small.folder / "requirements.txt").write_text("thing==2.0\n")
        build = small.run("latexmk", **env)
        assert build.code == 0
        assert "pythontex" in build.rules, what
        assert env["LEVEL"] in small.pages()[0]
        assert small.run("latexmk", **env).rules == []


def test_module_saved_between_its_import_and_the_beginning(small: Paper) -> None:
    save = "import os; os.system('echo V = 2 > helper.py')"  # as an editor would
    saves = f"import helper\nif helper.V == 1: {save}\n"
    (small.folder / "helper.py").write_text("V = 1")
    (small.folder / "saving.py").write_text(saves)
    small.edit("paper.tex", "import pycode\n", "import pycode, helper, saving\n")
    small.edit("paper.tex", "images =", "print(f'V is {helper.V}')\nimages =")
    build = small.build()
    assert build.code == 0, build.output
    assert "V is 2" in small.pages()[0]


def test_only_imports_and_constants_may_precede_a_run(small: Paper) -> None:
    small.edit("paper.tex", "results.begin", "rows = dict()\nresults.begin")
    build = small.build()
    assert build.code != 0
    assert "'rows = dict()' stands before results.begin(pytex)" in build.output
    small.edit("paper.tex", "rows = dict()\n", "seed = 3\n")
    assert small.build().code == 0
    (small.folder / "helper.py").touch()
    small.edit("paper.tex", "import pycode\n", "import helper\nimport pycode\n")
    assert "helper is imported before literate" in small.build().output


def test_what_cannot_be_followed_is_said(small: Paper) -> None:
    lscpu = "import subprocess; subprocess.run(['lscpu'], capture_output=True)\n"  # as numpy 1.26
    small.edit("paper.tex", "images =", f"{lscpu}images =")
    assert "is not followed" not in small.build().output
    small.edit("paper.tex", lscpu, "import subprocess; subprocess.run(['true'])\n")
    build = small.build()
    assert build.code == 0
    assert "what another process, which a block has started, reads is not followed" in build.output
    small.edit("paper.tex", "subprocess.run", "results.depends('rows.csv'); subprocess.run")
    assert small.build().code == 0
    # LaTeX's first pass still shows what the old run has said.
    assert "is not followed" not in small.read("paper.log")


def test_every_remembered_value_can_be_computed_again(small: Paper, built_small: Paper) -> None:
    build = small.run("latexmk", "-g", PYCODE_AUDIT="all")
    assert build.code == 0, build.output
    assert "pythontex" in build.rules
    assert_same(small, built_small)
