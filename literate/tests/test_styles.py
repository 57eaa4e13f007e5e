"""A paper in a venue's own style or class has that one's page, letters and references."""

import re
import shutil
from pathlib import Path

from literate import arxiv
from literate.testing import Paper

# A style of a conference as authors get it: its page, its letters, its references.
STYLE = r"""\ProvidesPackage{conference}
\RequirePackage[textwidth=5.5in,textheight=9in]{geometry}
\RequirePackage[round]{natbib}
\RequirePackage{times}
\setlength{\parindent}{0pt}
"""
LOADED = r"\usepackage{conference}"
MACROS = r"\input{literate/macros}"


def test_style_of_a_conference(small: Paper, tmp_path: Path) -> None:
    (small.folder / "conference.sty").write_text(STYLE, encoding="utf-8")
    small.edit("paper.tex", MACROS, LOADED + MACROS)
    small.edit("paper.tex", r"\author{Nobody}", r"\author{Nobody}\affiliation{Nowhere}")
    build = small.build()
    assert build.code == 0, build.output
    assert "textwidth=397.48499pt" in small.read("paper.pytxcode")
    fonts = small.run("pdffonts", "paper.pdf").output
    assert "NimbusRomNo9L" in fonts
    assert "LMRoman" not in re.sub(r".*LMRoman10-Regular .*", "", fonts)  # of figures
    text = " ".join(small.pages())
    assert "(Knuth, 1984)" in text
    assert "Nowhere" in text
    assert re.findall(r"\\bibstyle\{.*", small.read("paper.aux")) == [r"\bibstyle{plainnat}"]
    # The style may name one of references; then the paper names none.
    (small.folder / "conference.sty").write_text(STYLE + r"\bibliographystyle{abbrvnat}")
    small.edit("paper.tex", r"\bibliography{", r"\bibliographystyle{}\bibliography{")
    assert small.build().code == 0
    assert "D. E. Knuth" in small.pages()[1]
    arxiv.write(small.folder / "paper.tex", tmp_path / "arxiv")
    expected = arxiv.pdf_text(small.folder / "paper.pdf")
    found = arxiv.check(tmp_path / "arxiv", expected=expected)
    assert not any(found.values()), arxiv.report(found)


def test_style_that_is_loaded_too_late_is_explained(small: Paper) -> None:
    (small.folder / "conference.sty").write_text(STYLE, encoding="utf-8")
    small.edit("paper.tex", MACROS, MACROS + LOADED)
    build = small.build()
    assert build.code != 0
    last = build.output.strip().splitlines()[-1]
    assert last.startswith("conference.sty:3: LaTeX Error: Option clash for package geometry: ")
    assert r"load a venue's style before \input{literate/macros}" in last
    options = r"\PassOptionsToPackage{round}{natbib}"
    options += r"\PassOptionsToPackage{textwidth=5.5in,textheight=9in}{geometry}"
    assert r"\PassOptionsToPackage{options}{package}" in last
    small.edit("paper.tex", r"\documentclass", rf"{options}\documentclass")
    build = small.build()
    assert build.code == 0, build.output


def test_class_with_commands_of_the_same_names(small: Paper) -> None:
    r"""LNCS defines `\email`, and `claim` as a theorem; `\claim` is still ours."""
    venues = small.folder / "literate/venues"
    shutil.copy(venues / "article.tex", venues / "llncs.tex")
    small.edit("paper.tex", "{article}", "{llncs}")
    authors = r"\author{Nobody}\affiliation{Nowhere}\email{nobody@example.org}"
    small.edit("paper.tex", r"\author{Nobody}", authors)
    small.edit("paper.tex", r"\maketitle", r"\maketitle\keywords{one, two}")
    theorem = r"\begin{claim}[ours] All \claim{rows.logistic.test > 0.1}{is well}.\end{claim}"
    theorem += r" \claim{rows.logistic.test > 0}{The second page.}"
    small.edit("paper.tex", "The second page.", theorem)
    build = small.build()
    assert build.code == 0, build.output
    text = " ".join(small.pages())
    for part in ("Nowhere, nobody@example.org", "Keywords: one", "Claim (ours). All is well."):
        assert part in text
    assert "The second page." in text


def test_biblatex_is_refused_before_long_work(small: Paper) -> None:
    small.edit("paper.tex", r"\bibliography{references}", r"\printbibliography")
    for tool in ("arxiv", "diff"):
        done = small.run(".venv/bin/python3", "-m", f"literate.{tool}", *["HEAD"][: tool == "diff"])
        assert done.code == 1
        assert re.search(r"^paper\.tex:\d+: biblatex cannot be exported: .* natbib", done.output)
    small.edit("paper.tex", r"\title{", r"\usepackage{biblatex}\title{")
    assert "literate has natbib" in small.build().output.strip().splitlines()[-1]
