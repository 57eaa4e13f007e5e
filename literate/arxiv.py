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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from literate import ROOT
from literate.flatten import FlattenError, flatten

# What the bundle's own build may call: TeX and Perl, so no Python.
PROGRAMS = (
    "latexmk pdflatex bibtex kpsewhich perl sh env mktexpk mktextfm mktexmf cat rm sed".split()
)
ANCILLARY = (
    "literate/*.py",
    "pycode/*.py",
    "pycode/*.mplstyle",
    "results.json",
    "results/*.json",
    "requirements.txt",
)
# Commands that name a file in their last argument.
LOADS = (
    r"(\\(?:includegraphics|includepdf|VerbatimInput|lstinputlisting|verbatiminput)\*?\s*"
    r"(?:<[^<>]*>)?(?:\[[^][]*\])*(?:\s|%.*\n)*)"
)
MEGAPIXELS = 34  # of one image; arXiv warns of more
MEGABYTES = 50  # of all files, before they are packed
MADE = {
    ".aux",
    ".log",
    ".out",
    ".toc",
    ".lof",
    ".lot",
    ".blg",
    ".fls",
    ".fdb_latexmk",
    ".gz",
    ".dvi",
}
MADE |= {".pytxcode", ".pytxmcr", ".claims", ".made", ".synctex", ".bcf", ".xml"}


@dataclass
class Compiled:
    """The outcome of compiling the bundle: exit status, log, files read, and the PDF's text."""

    code: int
    log: str
    read: set[str]
    text: str
    fonts: str
    images: str


@dataclass
class Bundle:
    """The folder to be sent, the outcome of compiling it, and the paper's text."""

    folder: Path
    main: str
    compiled: Compiled
    expected: str | None = None

    @property
    def files(self) -> list[str]:
        """Return the names of all files, with their folders."""
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file()
        )

    @property
    def sources(self) -> dict[str, str]:
        """Return the TeX files that are compiled, by name, without their comments."""
        names = [n for n in self.files if n.endswith((".tex", ".sty", ".cls")) and "/" not in n]
        texts = {n: (self.folder / n).read_bytes().decode(errors="replace") for n in names}
        return {n: re.sub(r"(?<!\\)%.*", "", text) for n, text in texts.items()}


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
    flat = re.sub(r"(\\bibliography\{)([^{}]*)\}", _without_folders, text)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / main.name).write_text(flat, encoding="utf-8")
    for path, name in names.items():
        shutil.copyfile(path, folder / name)
    for path in [*_bibliography(main, text), *_local_files(main, names)]:
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


def _bibliography(main: Path, text: str) -> list[Path]:
    """Return the references that a document reads, and BibTeX's output for them."""
    names = [
        n.strip() for part in re.findall(r"\\bibliography\{(.*?)\}", text) for n in part.split(",")
    ]
    paths = [main.parent / f"{name.removesuffix('.bib')}.bib" for name in names]
    paths += [main.with_suffix(".bbl")] * bool(names)
    return [path for path in paths if path.is_file()]


def _local_files(main: Path, known: dict[Path, str]) -> list[Path]:
    """Return what else LaTeX and BibTeX have read beside the paper: classes, styles, data."""
    paths = {main.parent / name for name in _files_read(main)} - known.keys()
    ours = {main, main.with_suffix(".bbl"), main.with_name("results.tex"), main.with_suffix(".pdf")}
    return sorted(
        path
        for path in paths - ours
        if path.parent == main.parent
        and path.suffix not in MADE | {".tex", ".bib"}
        and path.is_file()
    )


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
        command = [
            "latexmk",
            "-norc",
            "-pdf",
            "-f",
            "-interaction=nonstopmode",
            "-no-shell-escape",
            main,
        ]
        environment = {
            "PATH": str(programs),
            "HOME": os.environ.get("HOME", place),
            "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "0"),
            "FORCE_SOURCE_DATE": "1",
            "max_print_line": "1000",
        }
        done = subprocess.run(
            command, cwd=paper, env=environment, capture_output=True, check=False, timeout=600
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


CHECKS: list[Callable[[Bundle], list[str]]] = []


def checked(function: Callable[[Bundle], list[str]]) -> Callable[[Bundle], list[str]]:
    """Add `function` to CHECKS and return it.

    It returns what contradicts its docstring, which the report prints.
    """
    CHECKS.append(function)
    return function


@checked
def compiles(bundle: Bundle) -> list[str]:
    """It compiles in an empty folder, without shell escape and Python."""
    errors = re.findall(r"^! (.*)", bundle.compiled.log, re.MULTILINE)
    return errors or ["latexmk failed"] * bool(bundle.compiled.code)


@checked
def same_text(bundle: Bundle) -> list[str]:
    """Its PDF says what paper.pdf says, line by line, though floats may stand elsewhere."""
    if bundle.expected is None:
        return []
    ours, theirs = (Counter(text.split("\n")) for text in (bundle.compiled.text, bundle.expected))
    added, missing = list((ours - theirs).elements()), list((theirs - ours).elements())
    words = [sorted(" ".join(lines).split()) for lines in (added, missing)]
    # pdftotext divides the letters of a figure into other lines if the figure is elsewhere.
    figures = [bundle.folder / name for name in bundle.files if name.endswith(".pdf")]
    drawn = {word for figure in figures for word in pdf_text(figure).split()}
    if words[0] != words[1] or not drawn.issuperset(words[0]):
        return [f"it says {' '.join(added[:1])!r} where paper.pdf says {' '.join(missing[:1])!r}"]
    return []


@checked
def no_python(bundle: Bundle) -> list[str]:
    """It needs neither PythonTeX nor a shell."""
    shells = {"pythontex.sty", "minted.sty"}
    read = [name for name in bundle.compiled.read if Path(name).name in shells]
    return read + _lines(bundle, r"\\write18|\\ShellEscape|shell-escape|\\py[bcsv]?(?![A-Za-z])")


@checked
def no_internals(bundle: Bundle) -> list[str]:
    """It holds nothing of the template's machinery."""
    return _lines(
        bundle, r"\\(?:result|interval|claim|resultvalue)(?![A-Za-z])|(?:pycode|literate)/"
    )


@checked
def plain_names(bundle: Bundle) -> list[str]:
    """File names are plain, and differ by more than capitals."""
    strange = [n for n in bundle.files if not re.fullmatch(r"[\w.+/-]+", n, re.ASCII)]
    lower = [name.lower() for name in bundle.files]
    return strange + [n for n in bundle.files if lower.count(n.lower()) > 1]


@checked
def no_hidden(bundle: Bundle) -> list[str]:
    """There are no hidden files."""
    return [n for n in bundle.files if any(part.startswith(".") for part in n.split("/"))]


@checked
def flat(bundle: Bundle) -> list[str]:
    """There are no folders but anc."""
    return [n for n in bundle.files if "/" in n and not n.startswith("anc/")]


@checked
def no_tex_in_anc(bundle: Bundle) -> list[str]:
    """There is no TeX in anc."""
    return [
        n for n in bundle.files if n.startswith("anc/") and n.endswith((".tex", ".sty", ".cls"))
    ]


@checked
def relative_paths(bundle: Bundle) -> list[str]:
    """Paths are relative, and lead nowhere else."""
    return _lines(
        bundle,
        r"\\(?:input|include\w*|bibliography|usepackage)\b[^{}\n]*"
        r"\{\s*(?:/|~|\.\./|[A-Za-z]:|anc/)[^{}]*\}",
    )


@checked
def nothing_unused(bundle: Bundle) -> list[str]:
    """Every file is used."""
    return [n for n in bundle.files if "/" not in n and n not in bundle.compiled.read]


@checked
def nothing_missing(bundle: Bundle) -> list[str]:
    """No file is missing."""
    return re.findall(r"(?:File|file) `([^']+)' not found", bundle.compiled.log)


@checked
def nothing_made(bundle: Bundle) -> list[str]:
    """No file that LaTeX makes is sent."""
    main = Path(bundle.main).with_suffix(".pdf").name
    return [n for n in bundle.files if Path(n).suffix in MADE or n == main]


@checked
def no_today(bundle: Bundle) -> list[str]:
    r"""The date is not that of \today."""
    return _lines(bundle, r"\\today(?![A-Za-z])")


@checked
def no_type_3(bundle: Bundle) -> list[str]:
    """No font is of Type 3."""
    return [line.split()[0] for line in bundle.compiled.fonts.splitlines() if " Type 3 " in line]


@checked
def fonts_embedded(bundle: Bundle) -> list[str]:
    """All fonts are embedded."""
    return re.findall(r"^(\S+) .* no +(?:yes|no) +(?:yes|no) +\S.*$", bundle.compiled.fonts, re.M)


@checked
def pixels(bundle: Bundle) -> list[str]:
    """No image has more pixels than arXiv likes."""
    rows = [line.split() for line in bundle.compiled.images.splitlines()[2:]]
    large = [row for row in rows if int(row[3]) * int(row[4]) > MEGAPIXELS * 1e6]
    return [f"page {row[0]}: {row[3]} x {row[4]} pixels" for row in large]


@checked
def figure_formats(bundle: Bundle) -> list[str]:
    """Figures are in formats that pdfLaTeX reads."""
    unknown = {".eps", ".ps", ".svg", ".tif", ".tiff", ".gif", ".bmp", ".webp"}
    return [n for n in bundle.files if Path(n).suffix.lower() in unknown]


@checked
def size(bundle: Bundle) -> list[str]:
    """The files are not too large."""
    megabytes = sum((bundle.folder / n).stat().st_size for n in bundle.files) / 1e6
    return [f"{megabytes:.0f} MB, and {MEGABYTES} are usual"] * (megabytes > MEGABYTES)


@checked
def references(bundle: Bundle) -> list[str]:
    """No reference or citation is undefined."""
    found = re.findall(
        r"(?:Reference|Citation) `([^']+)'.*undefined|Label `([^']+)' multiply", bundle.compiled.log
    )
    marks = ["?? in the PDF"] * ("??" in bundle.compiled.text)
    return sorted({"".join(names) for names in found}) + marks


@checked
def bibliography(bundle: Bundle) -> list[str]:
    """The bibliography is one that every TeX Live takes."""
    name = Path(bundle.main).with_suffix(".bbl").name
    cites = any(r"\bibliography{" in text for text in bundle.sources.values())
    if not cites:
        return []
    text = _text(bundle.folder / name)
    if r"\begin{thebibliography}" not in text:
        return [f"{name} is none that BibTeX has written: every TeX Live takes those alone"]
    return [] if r"\bibitem" in text else [f"{name} is empty"]


@checked
def encoding(bundle: Bundle) -> list[str]:
    """Text is UTF-8, with plain ends of lines."""
    wrong = []
    for name in bundle.sources:
        data = (bundle.folder / name).read_bytes()
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong.append(f"{name}, byte {error.start}")
        if data.startswith(b"\xef\xbb\xbf") or b"\r" in data:
            wrong.append(f"{name} has a byte order mark or ends of lines with \\r")
    return wrong


def _lines(bundle: Bundle, pattern: str) -> list[str]:
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for name, text in bundle.sources.items()
        for match in re.finditer(pattern, _without_verbatim(text))
    ]


def _without_verbatim(text: str) -> str:
    """Return TeX code with verbatim text blanked out, line by line."""
    block = r"\\begin\{(lstlisting|B?[vV]erbatim\*?)\}.*?\\end\{\1\}"
    pattern = block + r"|\\[vV]erb\*?(?:\[[^]]*\])?([^\w\s]).*?\2"
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)


def check(
    folder: Path, main: str = "paper.tex", expected: str | None = None
) -> dict[str, list[str]]:
    """Return the faults of a bundle, by the docstring of each check.

    `expected` is the text that its PDF should have.
    """
    bundle = Bundle(folder, main, compile_alone(folder, main), expected)
    return {str(function.__doc__): function(bundle) for function in CHECKS}


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
