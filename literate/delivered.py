"""A comparison of a delivered PDF with one that was built: its text and its looks."""

import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageChops

DOTS = 144  # per inch of a page that is looked at


def compare(delivered: Path, built: Path) -> Iterator[str]:
    """Yield a line for each difference: of pages, then of each page's text, or else of its looks.

    Raises ValueError if one of the files is not a readable PDF.
    """
    if delivered.read_bytes() == built.read_bytes():
        return
    lengths = [read(path) for path in (delivered, built)]
    if lengths[0] != lengths[1]:
        yield f"it has {lengths[0]} pages, the one built {lengths[1]}"
    for number in range(1, min(lengths) + 1):
        one, two = (_text(path, number) for path in (delivered, built))
        if one != two:
            pairs = enumerate(zip(one, two, strict=False))
            at = next((n for n, (a, b) in pairs if a != b), min(len(one), len(two)))
            said = _sentence(one, at), _sentence(two, at)
            yield "page {}: it says {!r}, the one built {!r}".format(number, *said)
        elif place := _differs(*(_image(path, number) for path in (delivered, built))):
            yield f"page {number}: it looks different from the one built{place}"


def read(path: Path) -> int:
    """Return the number of a PDF's pages; raise ValueError if it is not readable."""
    about = _poppler("pdfinfo", path).decode("utf-8", "replace")
    return int(re.findall(r"^Pages: *(\d+)", about, re.MULTILINE)[0])


def _poppler(program: str, path: Path, *options: str) -> bytes:
    """Return what one of poppler's programs prints about a PDF."""
    command = [program, *options, str(path), *["-"] * (program == "pdftotext")]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise ValueError(f"{path}: no PDF that can be read: {program}: {said}")
    return done.stdout


def _text(path: Path, number: int) -> str:
    """Return the text of a page, with runs of white space as single spaces."""
    text = _poppler("pdftotext", path, "-raw", "-f", str(number), "-l", str(number))
    return " ".join(text.decode("utf-8", "replace").split())


def _image(path: Path, number: int) -> Image.Image:
    page = _poppler("pdftoppm", path, "-r", str(DOTS), "-f", str(number), "-l", str(number))
    return Image.open(io.BytesIO(page))


def _differs(one: Image.Image, two: Image.Image) -> str:
    """Return where two images of a page differ, or nothing."""
    if one.size != two.size:
        return ", whose page has another size"
    if not (box := ImageChops.difference(one, two).getbbox()):
        return ""
    left, top, right, bottom = (edge * 72 // DOTS for edge in box)
    return f", {left} to {right} points from the left and {top} to {bottom} from the top"


def _sentence(text: str, at: int) -> str:
    """Return the sentence around a place in a text, shortened to be shown."""
    before = re.split(r"(?<=[.:?!]) ", text[:at])[-1]
    after = re.split(r"(?<=[.?!]) ", text[at:])[0]
    return f"{before[-120:]}{after[:120]}"
