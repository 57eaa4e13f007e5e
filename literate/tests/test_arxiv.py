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
        path.write_text(whole.replace("The second page.", text), encoding="utf-8")

    return fault


def add(name: str, data: bytes = b"%\n", text: str = "The second page.") -> Callable[[Path], None]:
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
    (folder / "references.bib").unlink()
    (folder / "paper.bbl").write_text("% $ biblatex bbl format version 3.2 $\n", encoding="utf-8")


FAULTS: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "blank in a name": (add("a b.tex", text=r"\input{a b}"), {"plain_names"}),
    "names that differ in capitals": (
        add("Paper.bbl", text=r"\IfFileExists{Paper.bbl}{}{}"),
        {"plain_names"},
    ),
    "hidden file": (add(".DS_Store"), {"no_hidden", "nothing_unused"}),
    "folder": (add("parts/a.tex", text=r"\input{parts/a}"), {"flat"}),
    "TeX in anc": (add("anc/macros.tex"), {"no_tex_in_anc"}),
    "the study": (add("pycode/a.tex", text=r"\input{pycode/a}"), {"flat", "no_internals"}),
    "the machine": (
        add("literate/a.tex", text=r"\input{literate/a}"),
        {"flat", "no_internals"},
    ),
    "absolute path": (put(r"\input{/dev/null}"), {"relative_paths"}),
    "path that leaves": (put(r"\IfFileExists{../x}{\input{../x}}{}"),
                         {"relative_paths"}),
    "unused file": (add("old.pdf"), {"nothing_unused"}),
    "missing figure": (put(r"\includegraphics{absent.pdf}"), {"compiles", "nothing_missing"}),
    "file of LaTeX's": (add("paper.aux", b"\\relax\n"), {"nothing_made"}),
    "today": (put(r"\today"), {"no_today"}),
    "Type 3 font": (type_3_figure, {"no_type_3"}),
    "font that is not there": (figure_without_fonts, {"fonts_embedded"}),
    "huge image": (
        add("white.png", png(6000, 6000), r"\includegraphics[width=1cm]{white.png}"),
        {"pixels"},
    ),
    "huge file": (add("anc/data.csv", b"0" * 51_000_000), {"size"}),
    "PostScript": (add("plot.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
                   {"figure_formats", "nothing_unused"}),
    "undefined reference": (put(r"See \ref{nowhere}."), {"references"}),
    "undefined citation": (put(r"See \citet{nobody2026}."), {"references"}),
    "label given twice": (put(r"\label{x}\label{x}"), {"references"}),
    "biblatex": (biblatex_bbl, {"bibliography", "references"}),
    "shell": (put(r"\immediate\write18{date}"), {"no_python"}),
    "PythonTeX": (add("pythontex.sty", text=r"\input{pythontex.sty}"), {"no_python"}),
    "Python left": (put(r"\providecommand{\py}[1]{}\py{1}"), {"no_python"}),
    "macro left": (put(r"\providecommand{\result}[1]{}\result{a}"), {"no_internals"}),
    "error": (put(r"\undefined"), {"compiles"}),
    "bytes": (put("x"), {"encoding"}),
}  # fmt: skip


def test_the_small_paper_is_without_fault(sent: Path, built_small: Paper) -> None:
    expected = arxiv.pdf_text(built_small.folder / "paper.pdf")
    found = arxiv.check(sent, expected=expected)
    assert len(found) > 20
    assert not any(found.values()), arxiv.report(found)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_caught(name: str, sent: Path, tmp_path: Path) -> None:
    fault, wanted = FAULTS[name]
    folder = tmp_path / "arxiv"
    shutil.copytree(sent, folder)
    fault(folder)
    if name == "bytes":
        text = (folder / "paper.tex").read_bytes()
        (folder / "paper.tex").write_bytes(text.replace(b"\nx\n", b"\n% Z\xfcrich\n"))
    found = arxiv.check(folder)
    caught = {title for title, wrong in found.items() if wrong}
    assert titles(*wanted) <= caught
    # Much may follow from an error.
    assert caught == titles(*wanted) or titles("compiles") <= caught
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
def test_the_shipped_paper(shipped: Paper, tmp_path: Path) -> None:
    folder = tmp_path / "arxiv"
    arxiv.write(shipped.folder / "paper.tex", folder)
    found = arxiv.check(folder, expected=arxiv.pdf_text(shipped.folder / "paper.pdf"))
    assert not any(found.values()), arxiv.report(found)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    figures = {path.name for path in shipped.folder.glob("figures/*.pdf")}
    assert {n for n in names if "/" not in n} == {
        "paper.tex", "paper.bbl", "references.bib", *figures
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
