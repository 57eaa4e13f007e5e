r"""The paper as a web page: dist/html/index.html, its figures as SVG and its style sheet.

`make html` lets LaTeXML read the flattened paper in dist/arxiv, as arXiv does for its readers.  The
page needs no network and no script.  It is kept only if LaTeXML understood all of the paper, each
image has alternative text, and each link within the page has a target.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

from literate import ROOT

TOOLS = Path(__file__).resolve().parent
SECONDS = 600  # for each of the programs, which loop forever on some packages
# What LaTeXML reports when it leaves something out; other warnings are matters of taste.
FAULT = r"^(?:Fatal|Error|Warning:(?:missing_file|expected|undefined|unexpected)):?.*(?:\n\tat .*)?"


class PageError(Exception):
    """A reason why a paper cannot become a page."""


class _Page(HTMLParser):
    """The names that links may lead to, the links and the images of a page, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.missing: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.names.add(found.get("id", ""))
        if tag == "a":
            self.links.append(found.get("href", ""))
        if tag == "img":
            self.images.append(found)
        if "ltx_missing" in found.get("class", "") or "ltx_ERROR" in found.get("class", ""):
            self.missing.append(self.get_starttag_text() or tag)


def faults(page: Path, log: str) -> list[str]:
    """Return what is wrong with a page, including what LaTeXML reported when it made it."""
    found = [
        re.sub(r"\s+", " ", match[0]).strip() for match in re.finditer(FAULT, log, re.MULTILINE)
    ]
    read = _Page(page.read_text(encoding="utf-8"))
    for image in read.images:
        name = image.get("src", "")
        if not image.get("alt", "").strip():
            found.append(rf"{name} has no alternative text: write \includegraphics[alt={{...}}]")
        if not page.with_name(name).is_file():
            found.append(f"the image {name} is not there: give it as PDF, PNG or JPEG")
    for link in read.links:
        if not link or (link.startswith("#") and link[1:] not in read.names):
            found.append(f"the link {link!r} leads nowhere")
    return found or [f"LaTeXML marked as wrong: {tag}" for tag in read.missing]


def write(source: Path, folder: Path, pdf: Path | None = None) -> None:
    """Write the page of the LaTeX file `source` to `folder`.

    Raises PageError, and leaves no `folder`, if there are faults.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as place:
        made, xml = Path(place, "html"), Path(place, "paper.xml")
        made.mkdir()
        _figures(source.parent, made)
        options = [] if pdf is None else [f"--xsltparameter=PDF:{pdf.name}"]
        log = _latexml(
            source.parent,
            *("latexml", "--nocomments", f"--preload={TOOLS / 'webpage.ltxml'}"),
            *(f"--dest={xml}", f"--log={place}/latexml.log", source.name),
        )
        log += _latexml(
            made,
            *("latexmlpost", "--format=html5", "--nographicimages", "--nodefaultresources"),
            *(f"--css={TOOLS / 'webpage.css'}", *options),
            *(f"--stylesheet={TOOLS / 'webpage.xsl'}", f"--log={place}/latexmlpost.log"),
            *(f"--dest={made / 'index.html'}", str(xml)),
        )
        found = faults(made / "index.html", log)
        if found:
            raise PageError("\n".join(dict.fromkeys(found)))
        (made / "LaTeXML.cache").unlink(missing_ok=True)
        if pdf is not None:
            shutil.copyfile(pdf, made / pdf.name)
        shutil.copytree(made, folder)


def _figures(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.suffix == ".pdf":
            svg = target / path.with_suffix(".svg").name
            subprocess.run(["pdftocairo", "-svg", path, svg], check=True, timeout=SECONDS)
            # Text of 10 pt on paper is as large as the page's, so the page shows figures larger.
            text = re.sub(
                r'\b(width|height)="([\d.]+)pt"',
                lambda match: f'{match[1]}="{float(match[2]) / 10:.4f}em"',
                svg.read_text(encoding="utf-8"),
                count=2,
            )
            svg.write_text(text, encoding="utf-8")
        elif path.suffix.lower() in {".png", ".jpg", ".jpeg"}:
            shutil.copyfile(path, target / path.name)


def _latexml(folder: Path, *command: str) -> str:
    """Run a program of LaTeXML and return what it prints."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise PageError(f"{command[0]} did not end within {SECONDS} seconds") from None
    said = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode and not re.search(FAULT, said, re.MULTILINE):
        raise PageError(f"{command[0]} failed: {said[-500:]}")
    return said


def main() -> int:
    """Return the exit status: 1 if there is no page."""
    folder, pdf = ROOT / "dist" / "html", ROOT / "paper.pdf"
    try:
        write(ROOT / "dist" / "arxiv" / "paper.tex", folder, pdf if pdf.exists() else None)
    except PageError as error:
        print(
            f"{error}\nThere is no page; lines are those of dist/arxiv/paper.tex", file=sys.stderr
        )
        return 1
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    print(f"dist/html/index.html: {size:.1f} MB with its figures and the PDF")
    return 0


if __name__ == "__main__":
    sys.exit(main())
