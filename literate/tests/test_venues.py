"""One line changes the class of the shipped paper, which then is whole in that class, too."""

import re
import shutil

import pypdf
import pytest

from literate import arxiv
from literate.testing import ROOT, Paper

pytestmark = pytest.mark.xdist_group("shipped")

LINE = r"\documentclass[10pt,a4paper]{article}"
# The class's line, its bibliography style, and what its pages alone say.
VENUES = {
    "article": (LINE, "IEEEtranN", "Abstract Deep networks"),
    "IEEEtran": (r"\documentclass[10pt,a4paper]{IEEEtran}", "IEEEtranN", "Index Terms"),
    "conference": (r"\documentclass[conference]{IEEEtran}", "IEEEtranN", "Index Terms"),
    "acmart": (r"\documentclass[sigconf]{acmart}", "ACM-Reference-Format", "KEYWORDS"),
    "elsarticle": (
        r"\documentclass[10pt,a4paper]{elsarticle}",
        "elsarticle-num",
        "Keywords:",
    ),
    "revtex4-2": (
        r"\documentclass[aps,pra,reprint]{revtex4-2}",
        "apsrev4-2",
        "Dated: November 2026",
    ),
    "scrartcl": (r"\documentclass[10pt,a4paper]{scrartcl}", "IEEEtranN", "Abstract Deep networks"),
}
# Width of the text and size of its letters, as the classes have them.
SIZES = {
    "article": (478.01, 10),
    "IEEEtran": (516.0, 10),
    "conference": (516.0, 10),
    "acmart": (506.295, 9),
    "elsarticle": (438.17, 10),
    "revtex4-2": (510.0, 10),
    "scrartcl": (438.17, 10),
}
FIGURES = {
    *("samples", "architectures", "performance", "behaviour", "ablation", "networks", "transfer"),
    *("interpretation", "mistakes"),
}


@pytest.fixture(scope="module")
def built(shipped: Paper) -> dict[str, Paper]:
    """The paper in each class that has been tried."""
    return {"article": shipped}


@pytest.fixture(scope="module", params=VENUES)
def venue(request, built: dict[str, Paper], tmp_path_factory) -> tuple[str, Paper]:
    """A class and the paper in it."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param) / "paper"
    if name in built:
        return name, built[name]
    line = VENUES[name][0]
    alike = [other for other in built if VENUES[other][0].endswith(line[line.index("]") :])]
    source = built[alike[0] if alike else "article"]
    if alike:  # it has the same width, so that LaTeX alone has to run
        shutil.copytree(source.folder, folder, symlinks=True)
        paper = Paper(folder)
    else:
        paper = source.copy(folder)
        shutil.copytree(source.folder / ".cache", folder / ".cache")
    paper.edit("paper.tex", VENUES[alike[0] if alike else "article"][0], line)
    build = paper.run("latexmk", PYCODE_AUDIT="off")
    assert build.code == 0, build.output[-3000:]
    built[name] = paper
    return name, paper


def folded(text: str) -> str:
    """Letters and digits alone, so that neither hyphens nor small capitals matter."""
    return re.sub(r"[\W_]", "", text).lower()


def context(paper: Paper, name: str) -> float:
    found = re.search(rf"\b{name}=([\d.]+)", paper.read("paper.pytxcode"))
    assert found
    return float(found[1])


def test_nothing_is_undefined_or_too_wide(venue):
    _, paper = venue
    log = paper.read("paper.log")
    assert "??" not in " ".join(paper.pages())
    assert "has not been completed" not in " ".join(paper.pages())
    assert [w for w in map(float, re.findall(r"Overfull \\.box \(([\d.]+)pt", log)) if w > 5] == []
    assert re.findall(r".*LaTeX Warning: (?!Unused global).*", log) == []
    assert re.findall(r"^(?:! |.* Warning: ).*undefined.*", log, re.MULTILINE) == []


def test_fonts_are_embedded_and_not_type_3(venue):
    _, paper = venue
    fonts = paper.run("pdffonts", "paper.pdf").output.splitlines()[2:]
    assert fonts
    for line in fonts:
        assert "Type 3" not in line
        assert re.search(r"yes (yes|no) +yes|yes +yes +(yes|no)", line), line


def test_figures_are_as_wide_as_the_text_and_in_its_size(venue):
    name, paper = venue
    width, size = context(paper, "textwidth"), context(paper, "fontsize")
    assert (width, size) == pytest.approx(SIZES[name], abs=0.01)
    log = paper.read("paper.log")
    for figure in FIGURES:
        assert f"<use figures/{figure}.pdf>" in log
        page = pypdf.PdfReader(paper.folder / f"figures/{figure}.pdf").pages[0]
        assert float(page.mediabox.width) == pytest.approx(width / 72.27 * 72, abs=0.01)
        drawn = page.get_contents()
        assert drawn is not None
        found = {float(size) for size in re.findall(rb"/\S+ ([\d.]+) Tf", drawn.get_data())}
        assert found, figure
        sizes = [max(part * size, 7) for part in (0.8, 0.7)]
        assert all(any(one == pytest.approx(s) for s in sizes) for one in found), figure


def test_front_matter_and_references_are_there(venue):
    name, paper = venue
    pages = paper.pages()
    source = paper.read("paper.tex")
    title = re.search(r"pdftitle=\{(.*?)\}", source)
    assert title
    first = folded(pages[0])
    assert folded(title[1]) in first
    for command in ("author", "affiliation", "email"):
        values = re.findall(rf"^\\{command}\{{(.*)\}}$", source, flags=re.M)
        assert len(values) == 3
        for value in values:
            assert folded(value) in first, value
    (keywords,) = re.findall(r"\\keywords\{(.*)\}", source)
    assert folded(keywords) in first
    assert first.index("deepnetworkssetthestandard") < first.index("introduction")
    assert folded(VENUES[name][2]) in first
    style = VENUES[name][1]
    assert rf"\bibstyle{{{style}}}" in paper.read("paper.aux")
    assert re.findall(r"Warning--(?!empty |page numbers missing).*", paper.read("paper.blg")) == []
    text = folded(" ".join(pages))
    works = re.findall(r"author = \{(\w+)", paper.read("references.bib"))
    assert len(works) >= 12
    for family in works:
        assert folded(family) in text, family


def test_it_can_be_sent(venue, tmp_path):
    _, paper = venue
    arxiv.write(paper.folder / "paper.tex", tmp_path / "arxiv")
    expected = arxiv.pdf_text(paper.folder / "paper.pdf")
    found = arxiv.check(tmp_path / "arxiv", expected=expected)
    assert not any(found.values()), arxiv.report(found)


def test_every_class_of_the_folder_is_tried():
    tried = {re.sub(r".*\{(.*)\}", r"\1", line) for line, _, _ in VENUES.values()}
    assert {path.stem for path in (ROOT / "literate/venues").iterdir()} == tried
