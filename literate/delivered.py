"""A comparison of a delivered PDF with one that was built: its text and its figures."""

import re
import subprocess
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import ContentStream, StreamObject

# Tolerance of coordinates, in points, and of colours, where 1/255 is visible: programs that
# rewrite a PDF round.
CLOSE = 1e-3
BROKEN = (PyPdfError, AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError)
# Which of a step's numbers are its place, and in which resource its name is looked up.
PLACE = {"m": slice(0, 2), "re": slice(0, 2), "Td": slice(0, 2), "cm": slice(4, 6)}
NAMED = {"gs": "/ExtGState", "sh": "/Shading", "scn": "/Pattern", "SCN": "/Pattern"}
NAMED |= {"cs": "/ColorSpace", "CS": "/ColorSpace"}
PACKING = {"/Length", "/Filter", "/DecodeParms", "/Type"}


def compare(delivered: Path, built: Path) -> Iterator[str]:
    """Yield a line for each difference: of pages, then of figures, then of each page's text.

    Raises ValueError if one of the files is not a readable PDF.
    """
    if delivered.read_bytes() == built.read_bytes():
        return
    files = read(delivered), read(built)
    lengths = [len(file.pages) for file in files]
    if lengths[0] != lengths[1]:
        yield f"it has {lengths[0]} pages, the one built {lengths[1]}"
    for number, pages in enumerate(zip(*(f.pages for f in files), strict=False), start=1):
        try:
            yield from (f"page {number}, {difference}" for difference in _figures_differ(*pages))
        except BROKEN as error:
            raise ValueError(f"{delivered}, page {number}: cannot be read: {error}") from error
    texts = zip(_texts(delivered), _texts(built), strict=False)
    for number, (one, two) in enumerate(texts, start=1):
        if one != two:
            said = _around(one, two), _around(two, one)
            yield "page {}: it says {!r}, the one built {!r}".format(number, *said)


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


def _texts(path: Path) -> list[str]:
    """Return the text of each page, with runs of white space as single spaces."""
    done = subprocess.run(["pdftotext", "-raw", path, "-"], capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"{path}: pdftotext: {done.stderr.decode(errors='replace').strip()}")
    pages = done.stdout.decode("utf-8", "replace").split("\f")[:-1]
    return [" ".join(page.split()) for page in pages]


def _around(text: str, other: str) -> str:
    """Return the first sentence of `text` that differs from `other`, shortened to be shown."""
    pairs = enumerate(zip(text, other, strict=False))
    at = next((n for n, (one, two) in pairs if one != two), min(len(text), len(other)))
    start = max([m.end() for m in re.finditer(r"[.:?!] ", text[:at])] or [0])
    start = max(start, text.find(" ", max(0, at - 120)) + 1 if at > 120 else 0)
    end = re.compile(r"[.?!](?= |$)").search(text, at)
    return text[start : min(end.end() if end else len(text), start + 240)]


def _figures_differ(page: Any, built: Any) -> Iterator[str]:
    """Yield how the figures and images of two pages differ, in drawing order."""
    figures = list(_figures(page)), list(_figures(built))
    names = [str(f.get("/PTEX.FileName", "an image")).removeprefix("./") for f in figures[1]]
    if len(figures[0]) != len(names):
        yield f"it has {len(figures[0])} figures, the one built {', '.join(names) or 'none'}"
    for name, one, two in zip(names, *figures, strict=False):
        if difference := _text_differs(page, one, built, two) or _drawing_differs(one, two):
            yield f"{name}: {difference}"


def _figures(page: Any) -> Iterator[Any]:
    known = page.get("/Resources", {}).get("/XObject", {})
    for operands, operator in ContentStream(page.get_contents(), None).operations:
        if operator == b"Do":
            figure = known[operands[0]].get_object()
            if not _is_place_of_mark(figure):
                yield figure


def _is_place_of_mark(figure: Any) -> bool:
    """Return whether this is an empty place for the mark of an incomplete paper.

    A page has the mark in such a place if the paper is incomplete.
    """
    inner = figure.get("/Resources", {}).get("/XObject", {})
    mark = inner["/pycode"].get_object() if list(inner) == ["/pycode"] else None
    return mark is not None and not mark.get_data().strip()


def _text_differs(page: Any, one: Any, built: Any, two: Any) -> str:
    if not one["/Subtype"] == two["/Subtype"] == "/Form":
        return ""
    texts = page.extract_xform_text(one), built.extract_xform_text(two)
    for ours, theirs in zip_longest(*(text.splitlines() for text in texts), fillvalue=""):
        if ours != theirs:
            return f"it says {ours!r}, the one built {theirs!r}"
    return ""


def _drawing_differs(one: Any, two: Any) -> str:
    place = ""
    nothing: Any = ("nothing",)
    for ours, theirs in zip_longest(_steps(one), _steps(two), fillvalue=nothing):
        if (step := theirs[-1]) in PLACE:
            x, y = theirs[PLACE[step]]
            up = float(two["/BBox"][3]) - y
            place = f", about {x:.1f} points from the left and {up:.1f} from the top"
        if not _close(ours, theirs):
            shown = [" ".join(map(str, step))[:80] for step in (ours, theirs)]
            return f"it draws {shown[0]!r}, the one built {shown[1]!r}{place}"
    return ""


def _steps(figure: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the steps that draw a figure, all but text.

    A name is replaced by what it refers to.
    """
    if figure["/Subtype"] == "/Image":
        yield _plain(figure), "image"
        return
    resources = figure.get("/Resources", {})
    for operands, operator in ContentStream(figure, None).operations:
        step = operator.decode("latin-1")
        if step == "Do":
            yield from _steps(resources["/XObject"][operands[0]].get_object())
            yield (step,)
        elif step == "Tf":  # a font's name says nothing
            yield float(operands[1]), step
        elif step not in {"Tj", "TJ", "'", '"'}:
            named = resources.get(NAMED.get(step), {})
            found = (named.get(it, it) if isinstance(it, str) else it for it in operands)
            yield *(_plain(it) for it in found), step


def _plain(thing: Any) -> Any:
    """Return an object of a PDF in Python's own types.

    A stream is represented by its content, not by how it is compressed.
    """
    thing = thing.get_object() if hasattr(thing, "get_object") else thing
    if isinstance(thing, dict):
        parts = {str(key): _plain(part) for key, part in thing.items() if key not in PACKING}
        return parts | ({"data": thing.get_data()} if isinstance(thing, StreamObject) else {})
    if isinstance(thing, list):
        return [_plain(item) for item in thing]
    return float(thing) if isinstance(thing, int | float) else str(thing)


def _close(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return abs(one - two) <= CLOSE
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(map(_close, one, two))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_close(one[key], two[key]) for key in one)
    return one == two
