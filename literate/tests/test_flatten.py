"""The flattened paper says what the paper says, wherever its results stand."""

import gzip
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literate import arxiv, flatten
from literate.testing import ROOT, Paper

MANUALS = Path("/usr/share/doc/texlive-doc/latex/pythontex")


def faults(main: Path, folder: Path) -> dict[str, list[str]]:
    """What is wrong with the flattened document, which is left in `folder`."""
    arxiv.write(main, folder)
    found = arxiv.check(folder, main.name, arxiv.pdf_text(main.with_suffix(".pdf")))
    return {title: wrong for title, wrong in found.items() if wrong}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """A document with results in all places."""
    paper = Paper(ROOT).copy(tmp_path_factory.mktemp("corpus") / "paper")
    shutil.copy(ROOT / "literate/tests/corpus.tex", paper.folder / "paper.tex")
    shutil.copy(ROOT / "literate/tests/corpus-part.tex", paper.folder / "part.tex")
    build = paper.build()
    assert build.code == 0, build.output
    return paper


@pytest.mark.xdist_group("corpus")
def test_corpus(corpus: Paper, tmp_path: Path) -> None:
    assert faults(corpus.folder / "paper.tex", tmp_path / "flat") == {}


@pytest.mark.xdist_group("corpus")
@pytest.mark.parametrize(
    "text",
    [
        r"\title{A corpus with 2 parts and a gap of \num{0.2500}}",
        r"\author{Nobody\thanks{Of room 101.}}",
        r"has an abstract value, 101, \num{0.5000}~[\num{0.250},~\num{0.750}].",
        r"A claim, with 42 and \num{0.2500} in it.",
        r"\section{A title with 3 and 50 \% of a\_b}",
        "Two on a line: 1.5 and 2.5, 3.5 and {4.5}.\n",
        "Again and again: 0, 1, then %\n2; and the sum 6 over two lines.",
        r"a symbol $\alpha$, \TeX{}nician, \TeX nique.",
        "over several lines with a value,\n  \\num{0.125} and a claim of\n  101.} of the whole.",
        "Print in the middle of\na paragraph, and once more\nwith a word after it; glued%\n, even.",
        r"Commands: in sight, in sight or in sight\ and in sight%",
        r"\num{6}, \num{8}, \textbf{\num{3} and \num{5}}, \plain{nothing}, \num{0.2500}\,m,",
        r"twice: in sight, then 2," + "\n" + r"  and \num{7.5}; above zero by \num{0.5000}.}",
        r"\caption{The part A1}",
        r"\caption[Short, 10]{Long, 13\label{fig:corpus}}",
        r"$x = 2^{2} + 0.2500$",
        r"{\itshape50 \% of a\_b}, \relax it holds, $\star\times3*2$, 3* and" + "\n",
        "\\textbf{words\n  inside}: wrapped go on; \\url{http://example.org/a%20b}, ends in goes",
        "After all: in sight.\n",
        "Printed: 101, and claimed.\nKept back\\Verb[fontsize=\\small]|kept back|.\n",
        r"b &= \num{6} + \frac{2}{101}",
        r"\item[label] an item with 2" + "\n\\item some\nwords\n",
        '\\begin{lstlisting}\ntotal = sum(range(10))  # shown: 50 % of it\'s "all" <>&{}~^\\$_\n',
        r"A share of \num{93.0}\,\%~[\num{90.1},~\num{95.1}], in short \num{93.0}, and a"
        r" difference of \num{93.0}~[\num{90.1},~\num{95.1}] points.",
        r"Only looks like it: \verb|\py{n}| and \verb+\result{corpus.gap}+.",
        '\\begin{verbatim}\n\\py{n} % not a comment\n\\begin{pycode}\nprint("never run")\n',
        "\\subsection{In another file, 20}\nHere are two words, 23, and printed there\nbefore 3.",
        r"The end: 3, 50 \% of a\_b.",
    ],
)
def test_each_place(corpus: Paper, text: str) -> None:
    assert text in flatten.flatten(corpus.folder / "paper.tex")


@pytest.mark.xdist_group("corpus")
def test_shares_have_their_sign_in_the_pdf(corpus: Paper) -> None:
    text = " ".join(corpus.pages())
    assert "A share of 93.0 % [90.1, 95.1], in short 93.0, and" in text
    assert "a difference of 93.0 [90.1, 95.1] points." in text


@pytest.mark.xdist_group("corpus")
@pytest.mark.parametrize(
    "gone", ["pycode}\nfrom", "% nothing", "Never set", "!TeX", "\\shown", "\n\n\n"]
)
def test_nothing_else_is_left(corpus: Paper, gone: str) -> None:
    assert gone in corpus.read("paper.tex") + "\n\n\n!TeX"
    assert gone not in flatten.flatten(corpus.folder / "paper.tex")


@pytest.mark.parametrize("name", ["pythontex_gallery", "pythontex_quickstart"])
def test_documents_that_nobody_wrote_for_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SOURCE_DATE_EPOCH", "FORCE_SOURCE_DATE"):  # they print the date
        monkeypatch.setenv(variable, "1")
    paper = Paper(tmp_path)
    manual = gzip.decompress((MANUALS / f"{name}.tex.gz").read_bytes())
    (tmp_path / f"{name}.tex").write_bytes(manual)
    latex = ("pdflatex", "-interaction=nonstopmode", name)
    path = f"{Path(sys.executable).parent}:{paper.run('printenv', 'PATH').output.strip()}"
    paper.run(*latex)
    run = paper.run("pythontex", name, PATH=path)
    # The gallery shows one error, on purpose.
    assert f"PythonTeX:  {name} - {int('gallery' in name)} error(s)" in run.output, run.output
    for _ in range(2):
        assert "!" not in paper.run(*latex).output.splitlines()
    assert paper.pages(f"{name}.pdf")
    assert faults(tmp_path / f"{name}.tex", tmp_path / "dist" / "flat") == {}


@pytest.mark.xdist_group("shipped")
def test_the_shipped_paper_looks_hand_written(shipped: Paper, tmp_path: Path) -> None:
    arxiv.write(shipped.folder / "paper.tex", tmp_path / "arxiv")
    text = (tmp_path / "arxiv/paper.tex").read_text(encoding="utf-8")
    assert not set("\ue000\ue001\ue002\ue003") & set(text)
    for internal in (
        "pycode",
        "literate/",
        "pythontex",
        r"\py",
        r"\result",
        r"\claim",
        "cocalc =",
        "no result",
    ):
        assert internal not in text
    assert "\n\n\n" not in text
    body = text[text.index(r"\begin{document}") :]
    sentences = [line for line in body.splitlines() if line.endswith(".")]
    assert len(sentences) > 100
    assert all(". The " not in line and ". A " not in line for line in sentences)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (r"\py{[getattr", r"\py{1 + [getattr", "the last build has no output for this"),
        (r"Late: \py", r"Late: \result{rows.nothing} \py", "no result rows.nothing"),
        ("The second page.", r"\printpythontex \py", "code in braces is needed here"),
        (r"\newpage", r"\newcommand{\x}[1]{\py{#1}}\x{2}", "the last build has no output for this"),
        (r"\newpage", r"\NewDocumentCommand{\x}{s m}{\py{#2}}", r"\NewDocumentCommand with"),
        (r"\newpage", r"\newenvironment{x}{\py{1}}{}", r"\newenvironment with results"),
        (r"\newpage", r"\addbibresource{x.bib}\newpage", "cite with natbib"),
        (r"\end{pycode}" + "\n\nMarks", "\n\nMarks", "\\begin{pycode} has no end"),
    ],
)
def test_what_was_not_built_is_refused(small: Paper, old: str, new: str, error: str) -> None:
    text = small.read("paper.tex")
    if "has no end" in error:
        text = text[: text.index(r"\end{pycode}")]
    (small.folder / "paper.tex").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(flatten.FlattenError, match=r"^paper\.tex:\d+: ") as raised:
        flatten.flatten(small.folder / "paper.tex")
    assert error in str(raised.value)


def test_no_build_and_failed_builds_are_refused(small: Paper) -> None:
    main = small.folder / "paper.tex"
    small.edit("results.tex", r"\resultstate{complete}", r"\resultstate{failed}")
    with pytest.raises(flatten.FlattenError, match="last run was not completed"):
        flatten.flatten(main)
    (small.folder / "paper.pytxcode").unlink()
    with pytest.raises(flatten.FlattenError, match="has not been built here"):
        flatten.flatten(main)


@pytest.mark.xdist_group("corpus")
def test_packages_and_files_are_found_however_they_are_named(corpus: Paper, tmp_path: Path) -> None:
    shutil.copytree(corpus.folder, tmp_path / "paper", symlinks=True)
    paper = Paper(tmp_path / "paper")
    paper.edit("paper.tex", r"\usepackage{hyperref}", r"\usepackage{hyperref, pythontex,verbatim}")
    assert r"\usepackage{hyperref,verbatim}" in flatten.flatten(paper.folder / "paper.tex")
    paper.edit("paper.tex", r"\input{part}", r"\input part")
    with pytest.raises(flatten.FlattenError, match=r"paper.tex:\d+: .input needs braces"):
        flatten.flatten(paper.folder / "paper.tex")


LOOP = r"""\documentclass{article}
\input{literate/macros}
\begin{document}
\begin{pycode}
from literate import results
results.begin(pytex)
k = 0
\end{pycode}
\newcounter{x}\loop\stepcounter{x}\pyc{k += 1}\py{k}\ifnum\value{x}<3\repeat
\end{document}
"""


def test_one_place_with_several_outputs_is_refused(unbuilt: Paper) -> None:
    (unbuilt.folder / "paper.tex").write_text(LOOP, encoding="utf-8")
    build = unbuilt.build()
    assert build.code == 0, build.output
    with pytest.raises(flatten.FlattenError, match="this has several outputs: write it out"):
        flatten.flatten(unbuilt.folder / "paper.tex")


@given(st.text(alphabet="abc %{}\\\n#$_^&~", max_size=40))
def test_code_marked_up_by_pygments_is_got_back(code: str) -> None:
    marks = {mark: rf"\PYGZ{name}{{}}" for name, mark in flatten.PYGMENTS.items()}
    marked = "".join(marks.get(character, character) for character in code)
    assert flatten._plain(rf"\PYG{{k}}{{{marked}}}") == code
