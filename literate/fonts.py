"""The paper's font for matplotlib."""

import atexit
import io
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

# Latin letters with accents, and the dashes, quotes and minus of typeset text.
CHARACTERS = [*range(0x20, 0x180), 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2212]


@cache
def load(font: bytes) -> str:
    """Register a TrueType font with matplotlib and return its family name."""
    from matplotlib import font_manager

    folder = tempfile.mkdtemp()  # matplotlib reads it when it saves a figure
    atexit.register(shutil.rmtree, folder)
    file = Path(folder, "font.ttf")
    file.write_bytes(font)
    font_manager.fontManager.addfont(file)
    return font_manager.FontProperties(fname=str(file)).get_name()


def to_truetype(opentype: bytes) -> bytes:
    """Convert an OpenType font to TrueType outlines, with only CHARACTERS.

    TeX's fonts have cubic outlines, which matplotlib embeds as Type 3 or labels wrongly.  Quadratic
    outlines are embedded correctly, and deviate by at most half a unit in a thousand.
    """
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.cu2quPen import Cu2QuPen
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from fontTools.subset import Subsetter
    from fontTools.ttLib import TTFont, newTable

    font: Any = TTFont(io.BytesIO(opentype), recalcTimestamp=False)
    subsetter = Subsetter()
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    glyphs, outlines = font.getGlyphSet(), {}
    for name in font.getGlyphOrder():
        pen = TTGlyphPen(glyphs)
        glyphs[name].draw(Cu2QuPen(pen, max_err=0.5, reverse_direction=True))
        outlines[name] = pen.glyph()
    del font["CFF "]
    font["glyf"] = newTable("glyf")  # by which the builder knows what it builds
    font.sfntVersion = "\x00\x01\x00\x00"
    builder = FontBuilder(font=font)
    builder.setupMaxp()
    builder.setupPost()
    builder.setupGlyf(outlines)
    for record in font["name"].names:
        if record.nameID in {1, 16}:  # the family; else matplotlib finds the original
            record.string = f"{record} TrueType"
    file = io.BytesIO()
    font.save(file)
    return file.getvalue()
