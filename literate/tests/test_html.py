"""The web page says what the paper says, and is whole at a desk and on a phone."""

import re
import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
import yaml
from pypdf import PdfWriter
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from literate import arxiv, webpage
from literate.testing import ROOT, Paper

pytestmark = pytest.mark.xdist_group("shipped")

WIDTHS = (1280, 390)
MINUS = "\N{MINUS SIGN}"
CODE = ("ltx_listing", "ltx_font_typewriter", "ltx_url")
# axe-core's rules of WCAG 2.1 AA; this version takes the one about links for an experiment.
AXE = """
const rules = {"link-in-text-block": {enabled: true}};
return axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], rules}).then(
  found => found.violations.map(rule => [rule.help, rule.nodes.map(node => node.html)]));
"""


@dataclass
class Parsed(HTMLParser):
    """What stands in a page, by the kind of thing that it is."""

    text: str
    headings: list[int] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    prose: str = ""  # the text without code
    whole: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.feed(self.text)
        self.prose, self.whole = (" ".join(text.split()) for text in (self.prose, self.whole))
        self.captions = [" ".join(caption.split()) for caption in self.captions]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = dict(attrs).get("class") or ""
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag == "figcaption":
            self.captions.append("")
        if "ltx_bibitem" in classes:
            self.entries.append("")
        if tag not in {"meta", "link", "img", "br"}:
            self.open.append((tag, classes))

    def handle_endtag(self, tag: str) -> None:
        while self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        classes = " ".join(classes for _, classes in self.open)
        self.whole += data
        if not any(name in classes for name in CODE):
            self.prose += data
        if any(tag == "figcaption" for tag, _ in self.open):
            self.captions[-1] += data
        if "ltx_bibitem" in classes:
            self.entries[-1] += data


@dataclass
class Seen:
    """What a browser makes of a page at one width."""

    console: list[str]
    scrolls: tuple[int, int]
    images: list[tuple[str, int, str]]
    beyond: list[str]
    keywords: list[str]
    loaded: list[str]
    barriers: list[list[object]]


def look(page: Path, width: int, profile: Path) -> Seen:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
        f"disable-component-update disable-sync disable-dev-shm-usage user-data-dir={profile}"
    ).split():
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(page.as_uri())
        found = driver.execute_script("""
            const root = document.scrollingElement;
            const boxed = e => e.closest(".ltx_scroll, .ltx_flex_cell, .ltx_listing");
            return {
              scrolls: [root.scrollWidth, root.clientWidth],
              images: [...document.images].map(
                i => [i.getAttribute("src"), i.naturalWidth, i.getAttribute("alt")]),
              beyond: [...document.body.querySelectorAll("*")].filter(e => !boxed(e) &&
                (e.getBoundingClientRect().right > root.clientWidth + 1 ||
                 e.getBoundingClientRect().left < -1)).map(e => e.outerHTML.slice(0, 200)),
              keywords: [...document.querySelectorAll(".ltx_lst_keyword")].map(
                e => e.textContent + " " + getComputedStyle(e).color),
              loaded: performance.getEntriesByType("resource").map(e => e.name),
            }""")
        images = [(src, wide, alt) for src, wide, alt in found["images"]]
        console = [entry["message"] for entry in driver.get_log("browser")]
        scrolls = (found["scrolls"][0], found["scrolls"][1])
        script = resources.files("axe_core_python").joinpath("axe.min.js")
        driver.execute_script(script.read_text(encoding="utf-8"))
        barriers = driver.execute_script(AXE)
        beyond, keywords, loaded = found["beyond"], found["keywords"], found["loaded"]
        return Seen(console, scrolls, images, beyond, keywords, loaded, barriers)
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def flattened(shipped: Paper, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped paper without Python."""
    folder = tmp_path_factory.mktemp("flattened") / "arxiv"
    arxiv.write(shipped.folder / "paper.tex", folder)
    return folder / "paper.tex"


@pytest.fixture(scope="session")
def page(shipped: Paper, flattened: Path) -> Path:
    """The shipped paper's page."""
    folder = flattened.parent.with_name("html")
    webpage.write(flattened, folder, shipped.folder / "paper.pdf")
    return folder / "index.html"


@pytest.fixture(scope="session")
def parsed(page: Path) -> Parsed:
    return Parsed(page.read_text(encoding="utf-8"))


@pytest.fixture(scope="session", params=WIDTHS)
def seen(request: pytest.FixtureRequest, page: Path, tmp_path_factory) -> Seen:
    return look(page, request.param, tmp_path_factory.mktemp("profile"))


def test_it_is_quiet_fits_and_needs_no_network(seen: Seen) -> None:
    assert seen.console == []
    assert seen.scrolls[0] <= seen.scrolls[1]
    assert seen.beyond == []
    assert [name for name in seen.loaded if not name.startswith("file:")] == []


def test_it_has_no_barriers(seen: Seen) -> None:
    assert seen.barriers == []


def test_figures_are_shown_with_their_alternative_text(seen: Seen, flattened: Path) -> None:
    source = flattened.read_text(encoding="utf-8")
    included = re.findall(r"includegraphics\[alt=\{(.*?)\},?\]\{(.*?)\.pdf\}", source)
    assert len(included) >= 5
    alt = {f"{name}.svg": text.replace(r"\%", "%") for text, name in included}
    assert {src: text for src, _, text in seen.images} == alt
    assert all(width > 0 for _, width, _ in seen.images)


def test_code_is_shown_as_it_was_run_with_coloured_keywords(
    seen: Seen, parsed: Parsed, flattened: Path
) -> None:
    assert any(word.startswith("for ") for word in seen.keywords)
    assert all("rgb(0, 0, 0)" not in word for word in seen.keywords)
    source = flattened.read_text(encoding="utf-8")
    blocks = re.findall(r"\\begin\{lstlisting\}\n(.*?)\\end\{lstlisting\}", source, flags=re.S)
    assert len(blocks) >= 5
    for block in blocks:
        assert " ".join(block.split()) in parsed.whole.replace("\N{NO-BREAK SPACE}", " ")


def test_headings_are_in_order(parsed: Parsed, flattened: Path) -> None:
    assert parsed.headings[0] == 1
    assert parsed.headings.count(1) == 1
    for before, after in zip(parsed.headings, parsed.headings[1:], strict=False):
        assert after <= before + 1
    sections = re.findall(r"\\(?:sub)*section\b", flattened.read_text(encoding="utf-8"))
    assert len(parsed.headings) == len(sections) + 3  # title, abstract, references


def words(text: str) -> list[str]:
    return re.findall(r"\w+(?:\.\d+)?", text)


def test_the_abstract_is_that_of_the_pdf(shipped: Paper, parsed: Parsed) -> None:
    pdf = " ".join(shipped.pages()[:2])
    abstract = pdf.split("Abstract", 1)[1].split("Keywords")[0]
    abstract = re.sub(r"(?<=[a-z])- (?=[a-z])", "", abstract)
    assert len(words(abstract)) > 100
    assert " ".join(words(abstract)) in " ".join(words(parsed.whole))


def test_every_result_of_the_prose_is_on_the_page(shipped: Paper, parsed: Parsed) -> None:
    printed = dict(re.findall(r"\\resultvalue\{(.*?)\}\{(.*?)\}", shipped.read("results.tex")))
    used = set(re.findall(r"\\result\{(.*?)\}", shipped.read("paper.tex")))
    assert len(used) > 30
    for key in used & set(printed):
        number = re.escape(re.sub("^-", MINUS, printed[key]))
        assert re.search(rf"(?<![\w.]){number}(?!\w|\.\d)", parsed.whole), key


def test_every_table_has_the_numbers_of_the_paper(flattened: Path, parsed: Parsed) -> None:
    source = flattened.read_text(encoding="utf-8")
    tables = re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", source, flags=re.S)
    assert len(tables) >= 8
    for number in re.findall(r"(?<![\w.])-?\d+\.\d{3,}", " ".join(tables)):
        assert number.replace("-", MINUS) in parsed.whole, number


def test_captions_and_references_are_all_there(
    shipped: Paper, flattened: Path, parsed: Parsed
) -> None:
    source = flattened.read_text(encoding="utf-8")
    assert len(parsed.captions) == len(re.findall(r"\\caption\{", source))
    labels = [caption.split(":")[0] for caption in parsed.captions]
    for kind in ("Table", "Figure"):
        count = len(re.findall(rf"\\begin\{{{kind.lower()}\*?\}}", source))
        assert [name for name in labels if name.startswith(kind)] == [
            f"{kind} {number}" for number in range(1, count + 1)
        ]
    entries = re.findall(r"\\bibitem", shipped.read("paper.bbl"))
    assert len(parsed.entries) == len(entries)
    for number, entry in enumerate(parsed.entries, 1):
        assert entry.strip().startswith(f"[{number}]")
        assert "https://" in entry


def test_links_arrive_and_no_tex_is_left(page: Path, parsed: Parsed) -> None:
    text = page.read_text(encoding="utf-8")
    inside = re.findall(r'href="#(.*?)"', text)
    assert len(inside) > 50
    assert set(inside) <= set(re.findall(r'\bid="(.*?)"', text))
    assert "\\" not in parsed.prose
    assert "??" not in parsed.prose
    assert not re.search(r"\bltx_(missing|ERROR)", text)
    assert page.with_name("paper.pdf").exists()
    assert 'href="paper.pdf"' in text
    assert re.search(r'<html[^>]* lang="en"', text)
    assert re.search(r"<title>\S.*</title>", text)
    assert 'name="viewport" content="width=device-width' in text


def small_source(folder: Path, body: str, preamble: str = "") -> Path:
    """A short document, with figures beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = PdfWriter()
    figure.add_blank_page(100, 50)
    for name in ("a.pdf", "c.pdf"):
        figure.write(folder / name)
    lines = (r"\documentclass{article}", preamble, r"\begin{document}", body, r"\end{document}")
    (folder / "paper.tex").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "paper.tex"


FAULTY = r"""One.\par\nosuch{x}
\includegraphics{a.pdf}
\includegraphics[alt={}]{c.pdf}
\includegraphics[alt={A box}]{b.pdf}
See~\ref{nope} and~\cite{nope}."""
SAID = [
    r"undefined:\\nosuch .* at paper.tex; line 4",
    r"a.svg has no alternative text: write \\incl",
    "c.svg has no alternative text",
    "the image b.svg is not there",
    "Missing Target for Label: LABEL:nope",
    "Missing Entry for citation: nope",
    "missing_file:nosuch .* at paper.tex; line 3",
]


def test_what_cannot_be_shown_is_named_and_leaves_no_page(tmp_path: Path) -> None:
    (tmp_path / "html").mkdir()
    (tmp_path / "html/index.html").write_text("an old page")
    source = small_source(tmp_path, FAULTY, r"\usepackage{nosuch,graphicx}")
    with pytest.raises(webpage.PageError) as error:
        webpage.write(source, tmp_path / "html")
    for said in SAID:
        assert re.search(said, str(error.value)), said
    assert not (tmp_path / "html").exists()


def test_the_command_fails_with_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(webpage, "ROOT", tmp_path)
    small_source(tmp_path / "dist/arxiv", r"\nosuch")
    assert webpage.main() == 1
    assert r"undefined:\nosuch" in capsys.readouterr().err
    small_source(tmp_path / "dist/arxiv", "One.")
    assert webpage.main() == 0
    assert (tmp_path / "dist/html/index.html").exists()


FRONT = r"""
\makeatletter
\newcommand{\affiliation}[1]{\g@addto@macro\@author{\\#1}}
\newcommand{\email}[1]{\g@addto@macro\@author{\\\texttt{#1}}}
\newcommand{\keywords}[1]{\par\noindent\textbf{Keywords:} #1}
\makeatother
\title{A Title}
\author{First Author}\affiliation{University of Somewhere}\email{first_a@example.org}
\author{Second Author}\affiliation{Anytown}\email{second@example.org}
"""


def test_front_matter_notes_numbers_and_formulas_and_the_same_bytes(tmp_path: Path) -> None:
    body = r"""\maketitle\begin{abstract}Short.\end{abstract}\keywords{one, two}
\section{One}\footnote{A note.} \num{-0.93 +- 0.01} \begin{equation}x^2=\frac{1}{2}\end{equation}
\begin{tabular}{lS}a&{b}\\c&-1.25\end{tabular}
\begin{theorem}True.\end{theorem}
\includegraphics[alt={A box},width=50pt]{a.pdf}"""
    numbers = r"\usepackage{siunitx}\sisetup{separate-uncertainty}\newtheorem{theorem}{Theorem}"
    source = small_source(tmp_path / "paper", body, rf"\usepackage{{graphicx}}{numbers}{FRONT}")
    for name in ("html", "again"):
        webpage.write(source, tmp_path / name)
    files, again = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("html", "again")
    )
    assert files == again
    text = files["index.html"].decode()
    page = Parsed(text)
    assert page.headings == [1, 2, 2, 2]  # title, abstract, section, notes
    assert text.count('<span class="ltx_creator') == 2
    assert text.count("ltx_role_affiliation") == 2
    assert '<a class="ltx_contact" href="mailto:first_a@example.org">first_a@' in text
    assert "Keywords: one, two" in page.whole
    assert 'href="#footnote1"' in text
    assert page.whole.endswith("1 A note.")
    assert f"{MINUS}0.93 ± 0.01" in page.whole
    assert re.search(r"<math.*<msup>.*<mfrac>", text)
    assert re.search(r'ltx_align_right"><span class="ltx_number">(&minus;|\u2212)1.25', text)
    assert 'style="width:5em"' in text


def test_the_workflow_publishes_the_page_and_the_pdf() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/paper.yml").read_text())
    build, publish = workflow["jobs"]["paper"], workflow["jobs"]["publish"]
    uses = [step.get("uses", "").split("@")[0] for step in build["steps"] + publish["steps"]]
    runs = [step.get("run") for step in build["steps"]]
    assert {"make", "make html", "make test", "make test-machine"} <= set(runs)
    assert uses.count("actions/upload-artifact") == 1
    assert uses.count("actions/upload-pages-artifact") == 1
    assert uses[-1] == "actions/deploy-pages"
    assert publish["needs"] == "paper"
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
    assert publish["continue-on-error"] is True
    assert "default_branch" in publish["if"]
