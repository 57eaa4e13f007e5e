"""A comparison of a delivered PDF with one that was built: its text and its looks."""

import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageChops
from pypdf import PdfReader
from pypdf.errors import PyPdfError

DOTS = 144  # per inch of a page that is looked at
BROKEN = (PyPdfError, AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError)


def compare(delivered: Path, built: Path) -> Iterator[str]:
    """Yield a line for each difference: of pages, then of each page's text, or else of its looks.

    Raises ValueError if one of the files is not a readable PDF.
    """
    if delivered.read_bytes() == built.read_bytes():
        return
    lengths = [len(read(path).pages) for path in (delivered, built)]
    if lengths[0] != lengths[1]:
        yield f"it has {lengths[0]} pages, the one built {lengths[1]}"
    for number in range(1, min(lengths) + 1):
        one, two = (_text(path, number) for path in (delivered, built))
        if one != two:
            said = _around(one, two), _around(two, one)
            yield "page {}: it says {!r}, the one built {!r}".format(number, *said)
        elif place := _differs(*(_image(path, number) for path in (delivered, built))):
            yield f"page {number}: it looks different from the one built{place}"


def read(path: Path) -> PdfReader:
    """Return the PDF; raise ValueError if it is not readable."""
    try:
        reader = PdfReader(path)
        if not reader.is_encrypted and len(reader.pages):
            return reader
    except (OSError, *BROKEN) as error:
        raise ValueError(f"{path}: no PDF that can be read: {error}") from error
    problem = "encrypted: name a copy without" if reader.is_encrypted else "a PDF without pages"
    raise ValueError(f"{path}: {problem}")


def _poppler(program: str, path: Path, number: int, *options: str) -> bytes:
    """Return what one of poppler's programs makes of a page."""
    command = [program, "-f", str(number), "-l", str(number), *options]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise ValueError(f"{path}, page {number}: {program}: {said}")
    return done.stdout


def _text(path: Path, number: int) -> str:
    """Return the text of a page, with runs of white space as single spaces."""
    text = _poppler("pdftotext", path, number, "-raw", str(path), "-")
    return " ".join(text.decode("utf-8", "replace").split())


def _image(path: Path, number: int) -> Image.Image:
    image = _poppler("pdftoppm", path, number, "-r", str(DOTS), str(path))
    return Image.open(io.BytesIO(image))


def _differs(one: Image.Image, two: Image.Image) -> str:
    """Return where two images of a page differ, or nothing."""
    if one.size != two.size:
        return ", whose page has another size"
    if not (box := ImageChops.difference(one, two).getbbox()):
        return ""
    left, top, right, bottom = (edge * 72 // DOTS for edge in box)
    return f", {left} to {right} points from the left and {top} to {bottom} from the top"


def _around(text: str, other: str) -> str:
    """Return the first sentence of `text` that differs from `other`, shortened to be shown."""
    pairs = enumerate(zip(text, other, strict=False))
    at = next((n for n, (one, two) in pairs if one != two), min(len(text), len(other)))
    start = max([m.end() for m in re.finditer(r"[.:?!] ", text[:at])] or [0])
    start = max(start, text.find(" ", max(0, at - 120)) + 1 if at > 120 else 0)
    end = re.compile(r"[.?!](?= |$)").search(text, at)
    return text[start : min(end.end() if end else len(text), start + 240)]
