r"""The paper as plain LaTeX, for arXiv, a journal and co-authors without Python.

`make arxiv` writes dist/arxiv/, the flattened paper with the files that it uses.  It packs the
folder as dist/arxiv.tar.gz if, in an empty folder and without Python, the paper compiles to a PDF
with the same text as paper.pdf and passes every check below.  What was checked, and found, is in
dist/arxiv.txt.
"""

import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from literate import ROOT
from literate.flatten import FlattenError, flatten

# What the bundle's own build may call: TeX and Perl, so no Python.
PROGRAMS = (
    "latexmk pdflatex bibtex kpsewhich perl sh env mktexpk mktextfm mktexmf cat rm sed".split()
)
ANCILLARY = ("literate/*.py", "pycode/*.py", "pycode/*.mplstyle", "requirements.txt")
ANCILLARY += ("results.json", "results/*.json")
# Commands that name a file in their last argument.
LOADS = (
    r"(\\(?:includegraphics|includepdf|VerbatimInput|lstinputlisting|verbatiminput)\*?\s*"
    r"(?:<[^<>]*>)?(?:\[[^][]*\])*(?:\s|%.*\n)*)"
)
MEGAPIXELS = 34  # of one image; arXiv warns of more
MEGABYTES = 50  # of all files, before they are packed
MADE = set(
    ".aux .log .out .toc .lof .lot .blg .fls .fdb_latexmk .gz .dvi".split()
    + ".pytxcode .pytxmcr .claims .made .synctex .bcf .xml".split()
)
TEX = (".tex", ".sty", ".cls")
# The checks, as the report names them.
CHECKS = {
    "compiles": "It compiles in an empty folder, without shell escape and Python.",
    "same_text": "Its PDF says what paper.pdf says, line by line; floats may stand elsewhere.",
    "no_python": "It needs neither PythonTeX nor a shell.",
    "no_internals": "It holds nothing of the template's machinery.",
    "plain_names": "File names are plain, and differ by more than capitals.",
    "no_hidden": "There are no hidden files.",
    "flat": "There are no folders but anc.",
    "no_tex_in_anc": "There is no TeX in anc.",
    "relative_paths": "Paths are relative, and lead nowhere else.",
    "nothing_unused": "Every file is used.",
    "nothing_missing": "No file is missing.",
    "nothing_made": "No file that LaTeX makes is sent.",
    "no_today": r"The date is not that of \today.",
    "no_type_3": "No font is of Type 3.",
    "fonts_embedded": "All fonts are embedded.",
    "pixels": "No image has more pixels than arXiv likes.",
    "figure_formats": "Figures are in formats that pdfLaTeX reads.",
    "size": "The files are not too large.",
    "references": "No reference or citation is undefined.",
    "bibliography": "The bibliography is one that every TeX Live takes.",
    "encoding": "Text is UTF-8, with plain ends of lines.",
}


@dataclass
class Compiled:
    """The outcome of compiling the bundle: exit status, log, files read, and the PDF's text."""

    code: int
    log: str
    read: set[str]
    text: str
    fonts: str
    images: str


def write(main: Path, folder: Path) -> None:
    """Write the flattened paper and all that it uses to an empty `folder`."""
    text = flatten(main)
    places = [main.parent]
    if given := re.search(r"\\graphicspath\{((?:\{[^{}]*\})*)\}\n?", text):
        places += [main.parent / place for place in re.findall(r"\{(.*?)\}", given[1])]
        text = text.replace(given[0], "")
    names: dict[Path, str] = {}

    def renamed(match: re.Match[str]) -> str:
        path = _found(places, match[2])
        if path is None:
            return match[0]
        name = re.sub(r"[^\w.+-]", "-", path.name, flags=re.ASCII).lstrip(".-")
        taken = {known.lower() for other, known in names.items() if other != path}
        while name.lower() in taken:
            name = f"{path.parent.name}-{name}"
        names.setdefault(path, name)
        return f"{match[1]}{{{names[path]}}}"

    text = re.sub(LOADS + r"\{([^{}]+)\}", renamed, text)
    text = re.sub(r"(\\bibliograph(?:y|ies)\{)([^{}]*)\}", _without_folders, text)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / main.name).write_text(text, encoding="utf-8")
    for path, name in names.items():
        shutil.copyfile(path, folder / name)
    for path in _other_files(main) - names.keys():
        if path.is_file():  # and not, as the bibliography styles, one of TeX's own
            shutil.copyfile(path, folder / path.name)
    for pattern in ANCILLARY:
        for path in sorted(main.parent.glob(pattern)):
            target = folder / "anc" / path.relative_to(main.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _found(places: list[Path], name: str) -> Path | None:
    endings = [".pdf", ".png", ".jpg", ".jpeg"]
    for ending in ["", *endings, *(ending.upper() for ending in endings)]:
        for place in places:
            if (path := place / f"{name}{ending}").is_file():
                return path
    return None


def _without_folders(match: re.Match[str]) -> str:
    names = [Path(name.strip()).name.removesuffix(".bib") for name in match[2].split(",")]
    return f"{match[1]}{','.join(names)}}}"


def _other_files(main: Path) -> set[Path]:
    """Return what else LaTeX and BibTeX have read but not made: references, classes, data."""
    written = re.findall(r"^OUTPUT (.*)$", _text(main.with_suffix(".fls")), re.MULTILINE)
    paths = {main.parent / name for name in _files_read(main) - set(written)}
    beside = {path for path in paths if path.parent == main.parent and path.suffix != ".tex"}
    return beside | {path for path in paths if path.suffix == ".bib"}


def _files_read(job: Path) -> set[str]:
    """Return the files that LaTeX and BibTeX report as read, by the document's names for them."""
    lines = _text(job.with_suffix(".fls")).splitlines()
    names = {os.path.normpath(line[6:]) for line in lines if line.startswith("INPUT ")}
    told = r"^(?:Database file #\d+|The style file): (.*)$"
    return names | set(re.findall(told, _text(job.with_suffix(".blg")), re.MULTILINE))


def compile_alone(folder: Path, main: str = "paper.tex") -> Compiled:
    """Compile a bundle in an empty folder, without access to Python."""
    with tempfile.TemporaryDirectory() as place:
        programs, paper = Path(place, "bin"), Path(place, "paper")
        programs.mkdir()
        for name in PROGRAMS:
            if path := shutil.which(name):
                (programs / name).symlink_to(path)
        shutil.copytree(folder, paper, ignore=shutil.ignore_patterns("anc"))
        command = "latexmk -norc -pdf -f -interaction=nonstopmode -no-shell-escape".split()
        kept = {"HOME": place, "SOURCE_DATE_EPOCH": "0"}
        env = {name: os.environ.get(name, default) for name, default in kept.items()}
        env |= {"PATH": str(programs), "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
        done = subprocess.run(
            [*command, main], cwd=paper, env=env, capture_output=True, check=False, timeout=600
        )
        job = paper / Path(main).stem
        pdf = job.with_suffix(".pdf")
        if pdf.exists():
            shutil.copyfile(pdf, folder.with_suffix(".pdf"))
        return Compiled(
            done.returncode,
            _text(job.with_suffix(".log")),
            _files_read(job),
            pdf_text(pdf),
            _output("pdffonts", pdf),
            _output("pdfimages", "-list", pdf),
        )


def pdf_text(pdf: Path) -> str:
    """Return the lines of a PDF, page after page, without empty ones."""
    lines = _output("pdftotext", "-raw", pdf, "-").replace("\f", "\n").splitlines()
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())


def _output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, check=False)
    return done.stdout.decode(errors="replace")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def check(
    folder: Path, main: str = "paper.tex", expected: str | None = None
) -> dict[str, list[str]]:
    """Return the faults of a bundle, by what each check says.

    `expected` is the text that its PDF should have.
    """
    compiled = compile_alone(folder, main)
    return {CHECKS[name]: wrong for name, wrong in _faults(folder, main, compiled, expected)}


def _faults(
    folder: Path, main: str, compiled: Compiled, expected: str | None
) -> Iterator[tuple[str, list[str]]]:
    """Yield each check's name, and what contradicts it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path.relative_to(folder).as_posix() for path in paths]
    top = [n for n in files if "/" not in n]
    ancillary = [n for n in files if n.startswith("anc/")]
    data = {n: (folder / n).read_bytes() for n in top if n.endswith(TEX)}
    sources = {
        n: re.sub(r"(?<!\\)%.*", "", text.decode(errors="replace")) for n, text in data.items()
    }

    def lines(pattern: str) -> list[str]:
        return [
            f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
            for name, text in sources.items()
            for match in re.finditer(pattern, _without_verbatim(text))
        ]

    errors = re.findall(r"^! (.*)", compiled.log, re.MULTILINE)
    yield "compiles", errors or ["latexmk failed"] * bool(compiled.code)
    figures = [path for path, name in zip(paths, files, strict=True) if name.endswith(".pdf")]
    yield "same_text", [] if expected is None else _text_differs(compiled.text, expected, figures)
    shells = [n for n in compiled.read if Path(n).name in {"pythontex.sty", "minted.sty"}]
    python = r"\\write18|\\ShellEscape|shell-escape|\\py[bcsv]?(?![A-Za-z])"
    yield "no_python", shells + lines(python)
    internals = r"\\(?:result|interval|claim|resultvalue)(?![A-Za-z])|(?:pycode|literate)/"
    yield "no_internals", lines(internals)
    strange = [n for n in files if not re.fullmatch(r"[\w.+/-]+", n, re.ASCII)]
    lower = Counter(n.lower() for n in files)
    yield "plain_names", strange + [n for n in files if lower[n.lower()] > 1]
    yield "no_hidden", [n for n in files if re.search(r"(^|/)\.", n)]
    yield "flat", [n for n in files if n not in {*top, *ancillary}]
    yield "no_tex_in_anc", [n for n in ancillary if n.endswith(TEX)]
    loads = r"\\(?:input|include\w*|bibliography|usepackage)\b[^{}\n]*"
    yield "relative_paths", lines(loads + r"\{\s*(?:/|~|\.\./|[A-Za-z]:|anc/)[^{}]*\}")
    yield "nothing_unused", [n for n in top if n not in compiled.read]
    yield "nothing_missing", re.findall(r"(?:File|file) `([^']+)' not found", compiled.log)
    made = Path(main).with_suffix(".pdf").name
    yield "nothing_made", [n for n in files if Path(n).suffix in MADE or n == made]
    yield "no_today", lines(r"\\today(?![A-Za-z])")
    yield "no_type_3", re.findall(r"^(\S+).* Type 3 ", compiled.fonts, re.M)
    embedded = r"^(\S+) .* no +(?:yes|no) +(?:yes|no) +\S.*$"
    yield "fonts_embedded", re.findall(embedded, compiled.fonts, re.M)
    images = [line.split()[:5] for line in compiled.images.splitlines()[2:]]
    large = [image for image in images if int(image[3]) * int(image[4]) > MEGAPIXELS * 1e6]
    yield "pixels", [f"page {page}: {x} x {y} pixels" for page, _, _, x, y in large]
    unread = (".eps", ".ps", ".svg", ".tif", ".tiff", ".gif", ".bmp", ".webp")
    yield "figure_formats", [n for n in files if n.lower().endswith(unread)]
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    yield "size", [f"{megabytes:.0f} MB, and {MEGABYTES} are usual"] * (megabytes > MEGABYTES)
    undefined = r"(?:Reference|Citation) `([^']+)'.*undefined|Label `([^']+)' multiply"
    found = sorted({"".join(names) for names in re.findall(undefined, compiled.log)})
    yield "references", found + ["?? in the PDF"] * ("??" in compiled.text)
    bbl = Path(main).with_suffix(".bbl").name
    cites = any(r"\bibliography{" in text for text in sources.values())
    yield "bibliography", _bibliography_faults(folder / bbl) if cites else []
    wrong = [f"{n} has a byte order mark" for n in data if data[n].startswith(b"\xef\xbb\xbf")]
    wrong += [f"{n} has ends of lines with \\r" for n in data if b"\r" in data[n]]
    wrong += [line for name in data for line in _not_utf_8(name, data[name])]
    yield "encoding", wrong


def _not_utf_8(name: str, content: bytes) -> list[str]:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return [f"{name}, byte {error.start + 1} (0x{content[error.start]:02x}), is not UTF-8"]
    return []


def _text_differs(ours: str, theirs: str, figures: list[Path]) -> list[str]:
    """Return how two PDFs' texts differ, but for the order of lines."""
    lines = [Counter(text.split("\n")) for text in (ours, theirs)]
    added, missing = ([*(a - b).elements()] for a, b in (lines, reversed(lines)))
    words = [sorted(" ".join(some).split()) for some in (added, missing)]
    # pdftotext divides the letters of a figure into other lines if the figure is elsewhere.
    drawn = {word for figure in figures for word in pdf_text(figure).split()}
    if words[0] == words[1] and drawn.issuperset(words[0]):
        return []
    return [f"it says {' '.join(added[:1])!r} where paper.pdf says {' '.join(missing[:1])!r}"]


def _bibliography_faults(bbl: Path) -> list[str]:
    text = _text(bbl)
    if r"\begin{thebibliography}" not in text:
        return [f"{bbl.name} is none that BibTeX has written: every TeX Live takes those alone"]
    return [] if r"\bibitem" in text else [f"{bbl.name} is empty"]


def _without_verbatim(text: str) -> str:
    """Return TeX code with verbatim text blanked out, line by line."""
    block = r"\\begin\{(lstlisting|B?[vV]erbatim\*?)\}.*?\\end\{\1\}"
    pattern = block + r"|\\[vV]erb\*?(?:\[[^]]*\])?([^\w\s]).*?\2"
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)


def report(found: dict[str, list[str]]) -> str:
    """Return a line for each check, and one for each fault."""
    lines = []
    for name, faults in found.items():
        lines.append(f"{'FAULT' if faults else 'ok   '} {name}")
        lines += [f"      {fault}" for fault in faults]
    return "\n".join(lines) + "\n"


def pack(folder: Path, target: Path) -> None:
    """Pack a folder so that the same files always give the same bytes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            about = tar.gettarinfo(path, path.relative_to(folder).as_posix())
            about.mtime = about.uid = about.gid = 0
            about.uname, about.gname, about.mode = "", "", 0o644
            tar.addfile(about, io.BytesIO(path.read_bytes()))
    target.write_bytes(gzip.compress(archive.getvalue(), mtime=0))


def main() -> int:
    """Return the exit status: 1 if the paper cannot be sent as it is."""
    paper, folder = ROOT / "paper.tex", ROOT / "dist" / "arxiv"
    archive = folder.with_suffix(".tar.gz")
    archive.unlink(missing_ok=True)
    try:
        write(paper, folder)
    except FlattenError as error:
        print(error, file=sys.stderr)
        return 1
    found = check(folder, paper.name, pdf_text(paper.with_suffix(".pdf")))
    told = report(found)
    folder.with_suffix(".txt").write_text(told, encoding="utf-8")
    print(told, end="")
    if any(found.values()):
        print("dist/arxiv.tar.gz was not written", file=sys.stderr)
        return 1
    pack(folder, archive)
    print(f"dist/arxiv.tar.gz: {archive.stat().st_size / 1e6:.1f} MB; its folder is dist/arxiv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
