"""The paper's font for matplotlib."""

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Subsetter
from fontTools.ttLib import TTFont, newTable
from matplotlib import font_manager

# Latin letters with accents, and the dashes, quotes and minus of typeset text.
CHARACTERS = [*range(0x20, 0x180), 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2212]

_folder = tempfile.TemporaryDirectory()  # lives as long as this module


@cache
def paper_font(name: str = "lmroman10-regular.otf") -> str:
    """The family under which matplotlib knows the font file `name` of TeX's trees.

    Latin Modern Roman by default, the font of paper.tex.  TeX has it as OpenType with cubic
    outlines, which matplotlib embeds as Type 3 or wrongly labelled; as TrueType it is right.
    Where TeX does not have the file, STIX, which comes with matplotlib, has to do.
    """
    found = subprocess.run(["kpsewhich", name], capture_output=True, text=True, check=False)
    if not found.stdout.strip():
        return "STIXGeneral"
    file = Path(_folder.name, name).with_suffix(".ttf")
    _to_truetype(TTFont(found.stdout.strip(), recalcTimestamp=False)).save(file)
    font_manager.fontManager.addfont(file)
    return font_manager.FontProperties(fname=str(file)).get_name()


def _to_truetype(font: Any) -> Any:
    """`font` with quadratic outlines of CHARACTERS, off by at most half a unit in a thousand."""
    subsetter = Subsetter()
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    glyphs, outlines = font.getGlyphSet(), {}
    for name in font.getGlyphOrder():
        pen = TTGlyphPen(glyphs)
        glyphs[name].draw(Cu2QuPen(pen, max_err=0.5, reverse_direction=True))
        outlines[name] = pen.glyph()
    del font["CFF "]
    font["loca"] = newTable("loca")
    font["glyf"] = newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = font.getGlyphOrder(), outlines
    font["maxp"].tableVersion = 0x00010000
    for field in (
        "maxTwilightPoints maxStorage maxFunctionDefs maxInstructionDefs maxStackElements"
        " maxSizeOfInstructions maxComponentElements maxPoints maxContours maxCompositePoints"
        " maxCompositeContours maxComponentDepth"
    ).split():
        setattr(font["maxp"], field, 0)  # those that count something are set in saving
    font["maxp"].maxZones = 1
    font["post"].formatType, font["post"].extraNames, font["post"].mapping = 2.0, [], {}
    font.sfntVersion = "\x00\x01\x00\x00"
    for record in font["name"].names:
        if record.nameID in {1, 16}:  # the family, or else matplotlib finds the original
            record.string = f"{record} TrueType"
    return font
