"""What the README and the guide tell people to do works, as it is written there."""

import re
import shutil
import sys

import pytest

from literate import lint
from literate.testing import ROOT, Paper, quicken, small_rows

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
TROUBLES = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
PAGES = {"README.md": README, "docs/guide.md": GUIDE, "docs/troubleshooting.md": TROUBLES}
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README + GUIDE, flags=re.S)


def block(language: str, start: str) -> str:
    (found,) = (text for kind, text in BLOCKS if kind == language and start in text)
    return found


def test_it_is_short_and_shows_the_paper():
    assert len(README.splitlines()) <= 110
    shown = block("latex", "grid's best setting").replace("\n", " ").strip()
    assert shown in (ROOT / "paper.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", PAGES[page])
    assert links
    for path, heading in links:
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.is_file(), path
        headings = re.findall(r"^#+ (.*)", target.read_text("utf-8"), re.M) if heading else []
        assert not heading or heading in [h.lower().replace(" ", "-") for h in headings]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_it_names_exists(page):
    # Names without a folder may be of one of these; dist/ is made.
    places = [ROOT / folder for folder in ("", "pycode", "literate", "literate/venues")]
    kinds = "py|tex|txt|bib|json|md|mk|pl|mplstyle"
    named = re.findall(rf"`(?!dist/)([\w./-]+(?:/|\.(?:{kinds})))`", PAGES[page])
    assert named
    for name in named:
        assert any((place / name).exists() for place in places), name


def test_messages_are_those_of_the_machine():
    files = [*ROOT.glob("literate/*.*"), *ROOT.glob("pycode/*.py")]
    texts = (path.read_text("utf-8") for path in files if path.suffix in {".py", ".pl", ".tex"})
    source = re.sub(r'"\s*\n\s*f?"', "", "".join(texts)).replace("~", " ")
    shown = re.findall(r"^\| (`+)(.*?)\1 \|", TROUBLES, re.M)
    assert len(shown) > 10
    for _, message in shown:
        # What is not a name or a number in the example.
        parts = re.split(r"\b[xy]\b|\.\.\.|\d+|`|'.*?'|, and has no \w+", message)
        assert max(parts, key=len).strip() in source, message


def test_commands_are_targets():
    assert "include literate/make.mk\n" in (ROOT / "Makefile").read_text()
    files = (ROOT / folder / "make.mk" for folder in ("literate", "literate/course", "results"))
    rules = "".join(file.read_text() for file in files)
    targets = re.findall(r"^([\w-]+):.*##", rules, flags=re.M)
    text = "".join(PAGES.values())
    used = re.findall(r"`make ([\w-]+)", text) + re.findall(r"^make ([\w-]+)", text, re.M)
    assert {"test", "help", "new", "deep", "verify"} <= set(used) <= set(targets)
    assert "make\n" in block("sh", "clone")


def rewritten(claim: re.Match[str]) -> str:
    """A sentence that says nothing but still cites what the claim did."""
    return "Rewritten" + "".join(re.findall(r"\\citep\{.*?\}", claim[0]))


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Paper:
    """The repository with all of the guide's edits made, and the data of a table."""
    paper = Paper(ROOT).copy(tmp_path_factory.mktemp("own") / "paper")
    for name in ("tests", ".github", "docs"):
        shutil.copytree(ROOT / name, paper.folder / name)
    for name in ("README.md", "Makefile"):
        shutil.copy(ROOT / name, paper.folder)
    (paper.folder / "tests/test_reference.py").unlink()
    rows = small_rows().replace(",kind\n", ",label\n")
    (paper.folder / "rows.csv").write_text(rows)

    quicken(paper)
    call = re.search(r"data\.synthetic\(.*?\)", paper.read("paper.tex"), flags=re.S)
    assert call
    paper.edit("paper.tex", call[0], block("python", "read_table").strip())
    paper.edit("paper.tex", r"\title{Deep Neural", r"\title{Our Neural")
    paper.edit("paper.tex", "pdftitle={Deep Neural", "pdftitle={Our Neural")
    paper.edit("paper.tex", r"\author{First Author}", r"\author{Ada L.}")
    paper.edit("pycode/models.py", '        "SVM"', block("python", "nearest") + '        "SVM"')
    forest = "from sklearn.neural_network"
    imported = re.search(r"`(from sklearn.neighbors .*?)`", GUIDE)
    assert imported
    paper.edit("pycode/models.py", forest, f"{imported[1]}\n{forest}")
    source = paper.folder / "pycode/figures.py"
    with source.open("a", encoding="utf-8") as file:
        file.write("\n\n" + block("python", "summary"))
    paper.edit(
        "paper.tex",
        r"\section{Discussion}",
        "".join(
            block("latex", start)
            for start in (
                "{figures.summary",
                "{tex.table",
                '"lead"',
                "lead > -0.5",
                "mlp_not_ahead",
            )
        )
        + r"\section{Discussion}",
    )
    build = paper.build()
    assert build.code != 0
    # The sentences that these data do not support, and only they, are in the way.
    named = re.findall(
        r"^paper\.tex:(\d+): .*(?:is false|no result|be checked)", build.output, re.M
    )
    assert named
    lines = paper.read("paper.tex").splitlines(keepends=True)
    for number in sorted(set(map(int, named))):
        assert r"\claim" in lines[number - 1]
        claim = rf"\\claim{lint.GROUP}{lint.GROUP}"
        lines[number - 1] = re.sub(claim, rewritten, lines[number - 1])
    text = "".join(lines)
    (paper.folder / "paper.tex").write_text(text, encoding="utf-8")
    for name in re.findall(r"no \\claim\{(\w+)\} is in the text", paper.build().output):
        text = re.sub(rf"\b{name}=(?:\[[^\]]*\]|\"[^\"]*\"),?", "", text)
    (paper.folder / "paper.tex").write_text(text, encoding="utf-8")
    build = paper.build()
    assert build.code == 0, build.output
    return paper


@pytest.mark.xdist_group("readme")
def test_each_edit_is_in_the_paper(own):
    text = " ".join(own.pages())
    assert "Our Neural" in text
    assert "Ada L." in text
    assert text.count("nearest") >= 3
    assert (own.folder / "figures/summary.pdf").exists()
    gap = re.search(r"resultvalue\{lead\}\{-?([\d.]+)\}", own.read("results.tex"))
    assert gap
    assert f"differ by {gap[1]}" in text.replace("\N{MINUS SIGN}", "")
    assert "Samples of each class." in text
    assert "The SVM is not far behind the MLP." in text


@pytest.mark.xdist_group("readme")
def test_the_suite_passes_with_other_data(own):
    """All tests that ask for the paper, and the one that asks for its models."""
    files = {file.name: file.read_text() for file in (own.folder / "tests").glob("test_*.py")}
    tests = [f"tests/{name}" for name, text in sorted(files.items()) if "shipped: Paper" in text]
    assert "tests/test_document.py" in tests
    tests.append("tests/test_models.py::test_models_are_reproducible_whatever_ran_before")
    options = ("-q", "-n", "0", "-p", "no:cacheprovider")
    command = (sys.executable, "-m", "pytest", *options, *tests)
    done = own.run(*command, SHIPPED_PAPER=str(own.folder))
    assert done.code == 0, done.output[-3000:]
