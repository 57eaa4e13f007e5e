"""The bundle for arXiv is checked as arXiv would, and nothing faulty is packed."""

import shutil
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from literate import arxiv
from literate.testing import ROOT, Paper


def titles(*functions: str) -> set[str]:
    """What the checks of these names say."""
    return {arxiv.CHECKS[function] for function in functions}


@pytest.fixture(scope="module")
def sent(built_small: Paper, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small paper as it is sent; tests copy it."""
    folder = tmp_path_factory.mktemp("sent") / "arxiv"
    arxiv.write(built_small.folder / "paper.tex", folder)
    return folder


def put(text: str) -> Callable[[Path], None]:
    """A fault that is a text in the document."""

    def fault(folder: Path) -> None:
        path = folder / "paper.tex"
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole.replace(LAST, f"{text}\n{LAST}"), encoding="utf-8")

    return fault


LAST = "The second page."


def add(name: str, data: bytes = b"%\n", text: str = "%") -> Callable[[Path], None]:
    """A fault that is a file, and perhaps a text that uses it."""

    def fault(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        put(text)(folder)

    return fault


def type_3_figure(folder: Path) -> None:
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, "type 3")
    with mpl.rc_context({"pdf.fonttype": 3}):
        figure.savefig(folder / "mistakes.pdf")


def figure_without_fonts(folder: Path) -> None:
    content = b"BT /F 12 Tf 9 9 Td (text) Tj ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R"
        b"/Resources<</Font<</F<</Type/Font/Subtype/TrueType/BaseFont/Nowhere>>>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, body)
    start = len(data)
    data += b"xref\n0 5\n0000000000 65535 f \n"
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % start
    (folder / "mistakes.pdf").write_bytes(data)


def png(width: int, height: int) -> bytes:
    """A white image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = b"\0" + b"\xff" * ((width + 7) // 8)
    data = zlib.compress(row * height)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*c) for c in [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    )


def biblatex_bbl(folder: Path) -> None:
    for path in folder.glob("*.bib"):
        path.unlink()
    (folder / "paper.bbl").write_text("% $ biblatex bbl format version 3.2 $\n", encoding="utf-8")


def latin_1(folder: Path) -> None:
    text = (folder / "paper.tex").read_bytes()
    (folder / "paper.tex").write_bytes(
        text.replace(LAST.encode(), b"% Z\xfcrich\n" + LAST.encode())
    )


# Bundles, each with faults that different checks find, and what these name.
BUNDLES: list[dict[str, tuple[Callable[[Path], None], dict[str, str]]]] = [
    {
        "blank in a name": (add("a b.tex", text=r"\input{a b}"), {"plain_names": "a b.tex"}),
        "hidden file": (
            add(".DS_Store"),
            {"no_hidden": ".DS_Store", "nothing_unused": ".DS_Store"},
        ),
        "TeX in anc": (add("anc/macros.tex"), {"no_tex_in_anc": "anc/macros.tex"}),
        "folder": (add("parts/a.tex", text=r"\input{parts/a}"), {"flat": "parts/a.tex"}),
        "absolute path": (put(r"\input{/dev/null}"), {"relative_paths": "/dev/null"}),
        "file of LaTeX's": (add("paper.aux", b"\\relax\n"), {"nothing_made": "paper.aux"}),
        "today": (put(r"\today"), {"no_today": r"\today"}),
        "Type 3 font": (type_3_figure, {"no_type_3": ""}),
        "huge image": (
            add("white.png", png(6000, 6000), r"\includegraphics[width=1cm]{white.png}"),
            {"pixels": "6000 x 6000 pixels"},
        ),
        "huge file": (add("anc/data.csv", b"0" * 51_000_000), {"size": "51 MB"}),
        "undefined reference": (put(r"See \ref{nowhere}."), {"references": ""}),
        "shell": (put(r"\immediate\write18{date}"), {"no_python": r"\write18"}),
        "macro left": (
            put(r"\providecommand{\result}[1]{}\result{a}"),
            {"no_internals": r"\result"},
        ),
        "bytes": (latin_1, {"encoding": "paper.tex, byte"}),
    },
    {
        "names that differ in capitals": (
            add("Paper.bbl", text=r"\IfFileExists{Paper.bbl}{}{}"),
            {"plain_names": "aper.bbl"},
        ),
        "the study": (
            add("pycode/a.tex", text=r"\input{pycode/a}"),
            {"flat": "pycode/a.tex", "no_internals": "pycode/"},
        ),
        "path that leaves": (
            put(r"\IfFileExists{../x}{\input{../x}}{}"),
            {"relative_paths": "../x"},
        ),
        "unused file": (add("old.pdf"), {"nothing_unused": "old.pdf"}),
        "font that is not there": (figure_without_fonts, {"fonts_embedded": "Nowhere"}),
        "undefined citation": (put(r"See \citet{nobody2026}."), {"references": ""}),
        "PythonTeX": (
            add("pythontex.sty", text=r"\input{pythontex.sty}"),
            {"no_python": "pythontex.sty"},
        ),
    },
    {
        "the machine": (
            add("literate/a.tex", text=r"\input{literate/a}"),
            {"flat": "literate/a.tex", "no_internals": "literate/"},
        ),
        "PostScript": (
            add("plot.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
            {"figure_formats": "plot.eps", "nothing_unused": "plot.eps"},
        ),
        "label given twice": (put(r"\label{x}\label{x}"), {"references": "x"}),
        "Python left": (put(r"\providecommand{\py}[1]{}\py{1}"), {"no_python": r"\py"}),
    },
    {"biblatex": (biblatex_bbl, {"bibliography": "paper.bbl", "references": ""})},
    {
        "missing figure": (
            put(r"\includegraphics{absent.pdf}"),
            {"compiles": "absent.pdf", "nothing_missing": "absent.pdf"},
        )
    },
    {"error": (put(r"\undefined"), {"compiles": "Undefined control sequence"})},
]


def test_the_small_paper_is_without_fault(sent: Path, built_small: Paper) -> None:
    expected = arxiv.pdf_text(built_small.folder / "paper.pdf")
    found = arxiv.check(sent, expected=expected)
    assert len(found) > 20
    assert not any(found.values()), arxiv.report(found)


@pytest.mark.parametrize("faults", BUNDLES, ids=[", ".join(faults) for faults in BUNDLES])
def test_each_fault_is_caught(faults, sent: Path, tmp_path: Path) -> None:
    folder = tmp_path / "arxiv"
    shutil.copytree(sent, folder)
    named: dict[str, str] = {}
    for fault, checks in faults.values():
        fault(folder)
        assert not named.keys() & checks.keys()
        named |= checks
    found = arxiv.check(folder)
    for check, text in named.items():
        wrong = found[arxiv.CHECKS[check]]
        assert wrong, check
        assert all(text in line for line in wrong)
    caught = {title for title, wrong in found.items() if wrong}
    # Much may follow from an error.
    assert caught == titles(*named) or "compiles" in named
    assert "FAULT" in arxiv.report(found)


def test_a_number_that_was_changed_is_named(sent: Path, built_small: Paper, tmp_path: Path) -> None:
    folder = tmp_path / "arxiv"
    shutil.copytree(sent, folder)
    expected = arxiv.pdf_text(built_small.folder / "paper.pdf")
    value = next(word for word in expected.split() if word.startswith("0."))
    text = (folder / "paper.tex").read_text(encoding="utf-8").replace(value, "0.1234", 1)
    (folder / "paper.tex").write_text(text, encoding="utf-8")
    (wrong,) = arxiv.check(folder, expected=expected)[next(iter(titles("same_text")))]
    assert "0.1234" in wrong
    assert value in wrong


@pytest.mark.xdist_group("shipped")
def test_the_files_of_the_shipped_paper(shipped: Paper, tmp_path: Path) -> None:
    folder = tmp_path / "arxiv"
    arxiv.write(shipped.folder / "paper.tex", folder)
    # That it is without fault is tested with the other venues.
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    figures = {path.name for path in shipped.folder.glob("figures/*.pdf")}
    assert {n for n in names if "/" not in n} == {
        "paper.tex", "paper.bbl", "references.bib", "links.bib", *figures
    }  # fmt: skip
    assert {"anc/results.json", "anc/pycode/evaluation.py", "anc/literate/cache.py"} <= names


def test_numbers_that_changed_places_are_named(
    sent: Path, built_small: Paper, tmp_path: Path
) -> None:
    folder = tmp_path / "arxiv"
    shutil.copytree(sent, folder)
    put("First 0.1234 here.\n\nThen 0.5678 there.")(folder)
    swapped = arxiv.check(folder)  # for the text that it has now
    assert not any(swapped.values())
    expected = arxiv.pdf_text(folder.with_suffix(".pdf"))
    text = (folder / "paper.tex").read_text(encoding="utf-8")
    text = text.replace("0.1234", "x").replace("0.5678", "0.1234").replace("x here", "0.5678 here")
    (folder / "paper.tex").write_text(text, encoding="utf-8")
    found = arxiv.check(folder, expected=expected)
    assert {title for title, wrong in found.items() if wrong} == titles("same_text")


def test_code_results_and_pins_go_along(small: Paper, tmp_path: Path) -> None:
    shutil.copy(ROOT / "requirements.txt", small.folder)
    arxiv.write(small.folder / "paper.tex", tmp_path / "arxiv")
    names = ("requirements.txt", "results.json", "results/deep.json")
    for name in (*names, "pycode/figures.py", "pycode/paper.mplstyle", "literate/drawing.py"):
        assert (tmp_path / "arxiv/anc" / name).read_bytes() == (small.folder / name).read_bytes()


def test_packing_gives_the_same_bytes(sent: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sent, copy)
    for path in copy.rglob("*"):
        path.touch()
    arxiv.pack(sent, tmp_path / "a.tar.gz")
    arxiv.pack(copy, tmp_path / "b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert "paper.tex" in tar.getnames()
        assert {member.uid for member in tar.getmembers()} == {0}
