r"""The paper without Python: each block and command replaced by what it printed.

Reads a document that PythonTeX has run and returns one file of plain LaTeX.  `\py`, `\pyc`, `\pys`
and hidden blocks are replaced by their output, shown code by a listing, `\result`, `\interval` and
`\claim` by their text, and `\input` by the file.  The author's own commands whose text contains any
of these are replaced by that text.  Comments are dropped.  What each block printed is taken from
PythonTeX's own record.  If the record does not show beyond doubt which output belongs to which
place, as after an edit without a build, a FlattenError names the line.
"""

import re
import sys
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# PythonTeX's families, and the commands and environments of each.
FAMILIES = ("py", "pycon", "sympy", "sympycon", "pylab", "pylabcon")
COMMANDS = {f + end: (f, end or "i") for f in FAMILIES for end in ("", "c", "b", "v", "s")}
BLOCKS = {f + kind: (f, kind) for f in FAMILIES for kind in ("code", "block", "verbatim", "sub")}
BLOCKS |= {f"{f}sole": (f, "console") for f in FAMILIES if f.endswith("con")}
PRINTS = ("printpythontex", "stdoutpythontex", "stderrpythontex")
LIVE = {"pygment", "result", "interval", "claim", *PRINTS, *COMMANDS}
SETTINGS = ("setpythontexautoprint", "setpythontexfv", "setpythontexcontext", "fvset")
SETTINGS += ("restartpythontexsession", "setpythontexworkingdir", "setpythontexoutputdir")
SETTINGS += ("setpythontexpyglexer", "setpythontexpygopt", "setpygmentspygopt", "setpygmentsfv")
REFUSED = ("makepythontexfamily", "setpythontexautostdout", "pythontexcustomc", "endinput")
REFUSED += ("saveprintpythontex", "useprintpythontex", "inputpygments", "subfile", "import")
REFUSED += ("subimport", "MakeShortVerb", "lstMakeShortInline", "lstnewenvironment")
REFUSED += ("DefineVerbatimEnvironment",)
VERBATIM = {"verbatim", "verbatim*", "Verbatim", "BVerbatim", "LVerbatim", "lstlisting", "minted"}
VERBATIM |= {"filecontents", "filecontents*"}
UNREAD = ("verb", "Verb", "lstinline", "url", "nolinkurl", "path", "href")  # their arguments
DEFINITIONS = ("newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "def")
DEFINITIONS += ("newrobustcmd", "NewDocumentCommand", "RenewDocumentCommand", "gdef")
DEFINITIONS += ("ProvideDocumentCommand", "DeclareDocumentCommand")
ENVIRONMENTS = ("newenvironment", "renewenvironment", "NewDocumentEnvironment")
# What Pygments writes for TeX's special characters: \PYGZbs{} for a backslash.
_NAMES = "bs us ob cb ca am lt gt sh pc dl hy sq dq ti at lb rb".split()
PYGMENTS: dict[str, str] = dict(zip(_NAMES, r"\_{}^&<>#%$-'" + '"~@[]', strict=True))
# PythonTeX's style, as far as the listings package, which LaTeXML also knows, can match it.
LISTINGS = r"""\usepackage{listings}
\lstset{
  language=Python, upquote, showstringspaces=false, columns=fullflexible, keepspaces,
  literate={-}{-}1, basicstyle=SIZE\ttfamily, xleftmargin=MARGIN,
  aboveskip=\topsep, belowskip=\topsep,
  keywordstyle=\bfseries\color{green!50!black}, stringstyle=\color{red!73!black},
  commentstyle=\itshape\color{cyan!40!black},
}"""
PACKAGES = "\ue000"  # marks their place in the text

UNSET = r"""the last build has no output for this: run latexmk, or, if LaTeX never sets it, delete
it or put it between \iffalse and \fi""".replace("\n", " ")

TOKENS = r"\\(?s:.)|%.*|[{}\]]"  # that matter where an argument ends
Key = tuple[str, ...]  # family, session, kind and code of a block or command


class FlattenError(Exception):
    """A place in the document that cannot be replaced by what Python printed there."""


class Run(NamedTuple):
    """What a block or command printed when it was run, and its place."""

    file: str  # nothing for the main file
    line: int
    value: str | None
    stdout: str
    stderr: str


class Macro(NamedTuple):
    """A command of the author's: its number of arguments, the first one's default, its text."""

    n: int
    default: str | None
    body: str


def flatten(main: Path) -> str:
    """Return one file of plain LaTeX with the same content as `main`, a document that was built.

    Raises FlattenError, with file and line, for what cannot be replaced.
    """
    if not main.with_suffix(".pytxcode").exists():
        raise FlattenError(f"{main.name} has not been built here: run latexmk")
    run = main.with_name("results.tex")
    if run.exists() and r"\resultstate{complete}" not in run.read_text(encoding="utf-8"):
        raise FlattenError(f"{main.name}: its last run was not completed: run latexmk")
    return _Flattener(main).flatten()


def _runs(main: Path) -> dict[Key, list[Run]]:
    """Return what PythonTeX has kept of the last build."""
    job = main.stem.replace(" ", "-")
    folder = main.parent / f"pythontex-files-{job}"
    macros = _text(folder / f"{job}.pytxmcr")
    value = r"\\pytx@SVMCR\{pytx@MCR@(.*?)\}\n(.*?)\\endpytx@SVMCR\n"
    values = dict(re.findall(value, macros, re.DOTALL))
    shown = r"\\begin\{(?:pytx@)?SaveVerbatim\}(?:\[.*?\])?\{pytx@(.*?)\}\n(.*?)\n?\\end\{"
    for name, code in re.findall(shown, macros + _text(folder / f"{job}.pytxpyg"), re.DOTALL):
        values.setdefault(name, _plain(code))
    written = _text(main.with_suffix(".pytxcode")).split("=>PYTHONTEX:SETTINGS#")[0]
    _, *parts = re.split(r"^=>PYTHONTEX#(.*)#$", written, flags=re.MULTILINE)
    named: dict[str, tuple[Key, Run]] = {}
    for about, code in zip(parts[::2], parts[1::2], strict=True):
        family, session, restart, number, kind, *_, file, line = about.split("#")
        name = f"{family}@{session}@{restart}@{number}"
        base = folder / name.replace("@", "_")
        printed = [_text(base.with_name(f"{base.name}.{end}")) for end in ("stdout", "stderr")]
        # While amsmath and tabularx measure they set a block several times, under one name.
        run = Run(file, int(line), values.get(name), *printed)
        named[name] = _key(family, session, kind, code), run
    runs = defaultdict[Key, list[Run]](list)
    for key, run in named.values():
        runs[key].append(run)
    return runs


class Source:
    """A text that is read from left to right, and the result so far, `out`.

    It begins on the line `first` of `file`.  The text of one of the author's commands is `fixed` to
    the line where the command is used.
    """

    def __init__(self, text: str, file: str, first: int = 1, *, fixed: bool = False) -> None:
        self.text, self.file, self.first, self.fixed = text, file, first, fixed
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.start = self.pos = 0  # of the command just read, and behind it
        self.out = ""

    def next(self) -> re.Match[str] | None:
        """Return the next comment or command, after copying what comes before it."""
        token = re.compile(r"%|\\([A-Za-z@]+)\*?|\\.", re.DOTALL).search(self.text, self.pos)
        self.start = token.start() if token else len(self.text)
        self.out += self.text[self.pos : self.start]
        self.pos = token.end() if token else self.start
        return token

    def line_of(self, position: int) -> int:
        """Return the number of the line at a position."""
        return self.first if self.fixed else self.first - 1 + bisect(self.lines, position)

    @property
    def line(self) -> int:
        """Return the number of the line of the command just read."""
        return self.line_of(self.start)

    @property
    def paragraph(self) -> tuple[int, int]:
        """Return the numbers of the first and the last line of the paragraph."""
        first = self.text.rfind("\n\n", 0, self.start) + 2
        return self.line_of(first), self.line_of((self.text + "\n\n").find("\n\n", self.pos))

    def error(self, reason: str) -> FlattenError:
        """Return a FlattenError that names the line of the command just read."""
        return FlattenError(f"{self.file}:{self.line}: {reason}")

    def take(self, pattern: str) -> re.Match[str] | None:
        """Read and return what follows here, if it matches the pattern."""
        match = re.compile(pattern).match(self.text, self.pos)
        if match:
            self.pos = match.end()
        return match

    def _until(self, end: str, pattern: str) -> str | None:
        """Read and return what stands before the token `end`, which may also be within braces."""
        start, depth = self.pos, 0
        for token in re.compile(pattern).finditer(self.text, start):
            if token[0] == end and not depth:
                self.pos = token.end()
                return self.text[start : token.start()]
            depth += {"{": 1, "}": -1}.get(token[0], 0)
        return None

    def optional(self) -> str | None:
        """Read and return the argument in brackets, if there is one here."""
        begin = self.pos
        found = self._until("]", TOKENS) if self.take(r"\s*\[") else None
        if found is None:
            self.pos = begin
        return found

    def argument(self) -> str:
        """Read and return the next argument: a group, a command or a character."""
        match = self.take(r"(?:\s|%.*\n)*(\\[A-Za-z@]+|\\.|[^\s}])")
        if not match:
            raise self.error("an argument is missing")
        found = self._until("}", TOKENS) if match[1] == "{" else match[1]
        if found is None:
            raise self.error("an argument has no closing brace")
        return found

    def code(self) -> str:
        r"""Read and return the code of \py and its like, in braces or, as with \verb, in others."""
        if self.take(r"\{"):
            found = self._until("}", "[{}]")
        else:
            match = self.take(r"([^\s\w\\])(.*?)\1")
            found = match and match[2]
        if found is None:
            raise self.error("code in braces is needed here")
        return found

    def environment(self, name: str) -> str:
        r"""Read and return what is between \begin{name} and \end{name}."""
        start, close = self.pos, self.text.find(rf"\end{{{name}}}", self.pos)
        if close < 0:
            raise self.error(rf"\begin{{{name}}} has no end")
        self.pos = close + len(rf"\end{{{name}}}")
        return self.text[start:close]

    def rest_of_line(self) -> str:
        """Return what is left of the line."""
        return self.text[self.pos :].partition("\n")[0]

    def put(self, text: str) -> None:
        """Add the replacement of what has been read, so that it does not merge with the rest."""
        after = self.text[self.pos : self.pos + 1]
        if after.isspace():
            text = text.rstrip(" ")
        if re.search(r"\\[A-Za-z@]+\Z", self.out[-40:]) and text[:1].isalpha():
            text = " " + text
        elif re.search(r"\\(\\|[A-Za-z@]+)\s*\Z", self.out[-40:]) and text[:1] in {"[", "*"}:
            text = "{}" + text
        if re.search(r"\\[A-Za-z@]+\Z", text) and after.isalpha():
            text += "{}"
        self.out += text

    def drop(self) -> None:
        """Remove the line that has been read, if there is nothing else on it."""
        line = self.out.rpartition("\n")[2]
        if line.strip() or self.rest_of_line().strip():
            return
        self.out = self.out[: len(self.out) - len(line)]
        self.pos = min(self.pos + len(self.rest_of_line()) + 1, len(self.text))
        if self.out[-2:] in {"", "\n\n"}:
            self.take(r"\n*")

    def drop_comment(self) -> None:
        """Remove a comment, but keep its effect on the end of its line."""
        self.pos += len(self.rest_of_line())
        line = self.out.rpartition("\n")[2]
        if not line.strip():
            self.drop()
        elif self.text[self.start - 1].isspace():
            self.out = self.out.rstrip(" \t")
        else:
            self.out += "%"


class _Flattener:
    """Methods that read a command return what replaces it, or None if it stays as it was read."""

    def __init__(self, main: Path) -> None:
        self.main, self.runs = main, _runs(main)
        recorded = r"^\\resultvalue\{(.*?)\}\{(.*)\}$"
        lines = re.findall(recorded, _text(main.with_name("results.tex")), re.MULTILINE)
        self.results = {key: values.split("}{") for key, values in lines}
        self.places: dict[tuple[object, ...], tuple[list[Run], list[FlattenError]]] = {}
        self.printed: Run | None = None  # what \printpythontex prints
        self.macros = dict[str, Macro]()
        self.settings = defaultdict[str, str](str)
        self.listed = self.begun = self.ended = False
        self.handlers: dict[str, Callable[[Source, str], str | None]] = {
            **dict.fromkeys(DEFINITIONS, self._definition),
            **dict.fromkeys(ENVIRONMENTS, self._environment_definition),
            **dict.fromkeys(SETTINGS, self._setting),
            **dict.fromkeys(REFUSED, self._refuse),
            **dict.fromkeys(COMMANDS, self._command),
            **dict.fromkeys(PRINTS, self._print),
            **dict.fromkeys(UNREAD, self._unread),
            **dict.fromkeys(("input", "include"), self._input),
            "usepackage": self._usepackage,
            "let": self._let,
            "begin": self._begin,
            "end": self._end,
            "iffalse": self._iffalse,
            "pygment": self._pygment,
            **dict.fromkeys(("result", "interval"), self._result),
            "claim": self._claim,
        }

    def flatten(self) -> str:
        text = self.scan(Source(_text(self.main), self.main.name))
        for runs, places in self.places.values():
            if not _alike(runs) and len(runs) != len(places):
                raise places[0]
        if not re.search(r"[\\{]B?Verb", text):
            text = re.sub(r"\n\\usepackage\{fancyvrb\}\n\\fvset\{.*\}\n", "", text)
        return text.replace(PACKAGES, self._packages(text)).rstrip("\n") + "\n"

    def scan(self, source: Source) -> str:
        """Return the text of `source` without Python."""
        while not self.ended and (token := source.next()):
            name = token[1]
            if token[0] == "%":
                source.drop_comment()
                continue
            handler = self._macro if name in self.macros else self.handlers.get(name)
            replaced = handler(source, name) if handler else None
            if replaced is None:
                source.out += source.text[source.start : source.pos]
            elif replaced:
                source.put(replaced)
            else:
                source.drop()
        return source.out

    def _inner(self, text: str, source: Source) -> str:
        """Return the text of something within a line, whose last comment has done its work."""
        text = self.scan(Source(text, source.file, source.line, fixed=True))
        comment = re.search(r"(?<!\\)(?:\\\\)*(%\s*)\Z", text)
        return text[: comment.start(1)] if comment else text

    # Blocks, commands and what they print

    def _begin(self, source: Source, _: str) -> str | None:
        match = source.take(r"\{([^{}]*)\}")
        name = match[1] if match else ""
        if name in BLOCKS or name == "pygments":
            return self._block(source, name)
        if name in VERBATIM or name == "comment":
            source.environment(name)
        self.begun |= name == "document"
        return "" if name == "comment" else None

    def _end(self, source: Source, _: str) -> None:
        self.ended = bool(source.take(r"\{document\}"))

    def _block(self, source: Source, name: str) -> str:
        head, _, code = source.environment(name).partition("\n")
        arguments = Source(head, source.file, source.line, fixed=True)
        first, second = arguments.optional(), arguments.optional() or ""
        if name == "pygments":
            return self._listing(code, first or "", python=False)
        family, kind = BLOCKS[name]
        if kind == "verbatim":
            return self._listing(code, second)
        run = self._run(source, (family, first, kind, code))
        if kind == "block":
            return self._listing(code, second)
        if kind == "console":
            return self._listing(self._value(source, run), second, python=False)
        if kind == "code" and self.settings["setpythontexautoprint"] == "false":
            return ""
        shown = _printed(run.stdout, lines=True)
        return self.scan(Source(shown, source.file, source.line, fixed=True))

    def _command(self, source: Source, name: str) -> str:
        family, kind = COMMANDS[name]
        session, code = source.optional(), source.code()
        if kind == "v":
            return self._verb(code)
        run = self._run(source, (family, session, kind, code))
        if kind == "b":
            return self._verb(code)
        if kind == "c" and self.settings["setpythontexautoprint"] == "false":
            return ""
        if kind != "i":
            return self._inner(_printed(run.stdout), source)
        value = self._value(source, run)
        if family.endswith("con"):
            return self._verb(value)
        return self._inner(value.lstrip(" \t"), source)

    def _run(self, source: Source, called: tuple[str, str | None, str, str]) -> Run:
        """Return the run of what was just read.

        LaTeX may set a place several times, for example in captions.
        """
        key = _key(*called)
        runs = self.runs.get(key, [])
        file = "" if source.file == self.main.name else source.file
        # Title and authors are set later, in the class's order.
        first, last = source.paragraph if self.begun else (source.line, source.line)
        if not _alike(runs):
            runs = [run for run in runs if run.file == file and first <= run.line <= last]
        if not runs:
            raise source.error(UNSET)
        _, places = self.places.setdefault((key, file, last), (runs, []))
        places.append(source.error("this has several outputs: write it out"))
        self.printed = runs[min(len(places), len(runs)) - 1]
        return self.printed

    def _value(self, source: Source, run: Run) -> str:
        if run.value is None:
            raise source.error(UNSET)
        return run.value

    def _print(self, source: Source, name: str) -> str:
        form, options = source.optional(), source.optional() or ""
        if not self.printed:
            raise source.error("nothing has been run before that could be printed")
        shown = self.printed.stderr if name == "stderrpythontex" else self.printed.stdout
        if form not in {"verb", "verbatim"}:
            source.take(r"[ \t]*")
            return self._inner(_printed(shown), source)
        if form == "verb" and shown.count("\n") < 2:
            return self._verb(shown.rstrip("\n"))
        # Nothing may stand behind the end of this environment.
        return _environment("Verbatim", options, shown) + "\n" * bool(source.rest_of_line().strip())

    def _pygment(self, source: Source, _: str) -> str:
        source.argument()
        return self._verb(source.code())

    def _verb(self, code: str) -> str:
        mark = next(c for c in "|!+/=;:@\"'" if c not in code)
        options = self.settings["setpythontexfv"]
        return rf"\Verb{f'[{options}]' if options else ''}{mark}{code}{mark}"

    def _listing(self, code: str, options: str, *, python: bool = True) -> str:
        """Return code as a listing if that is possible, otherwise in fancyvrb's Verbatim."""
        if python and code.isascii() and not options:
            self.listed = True
            return _environment("lstlisting", "", code)
        return _environment("Verbatim", _joined(self.settings["setpythontexfv"], options), code)

    # Results and claims

    def _result(self, source: Source, name: str) -> str:
        key = self._inner(source.argument(), source)
        if key not in self.results:
            raise source.error(f"the last build has no result {key}: run latexmk")
        value, *bounds = self.results[key]
        if name == "result":
            return value
        return rf"\num{{{value}}}~[" + r",~".join(rf"\num{{{bound}}}" for bound in bounds) + "]"

    def _claim(self, source: Source, _: str) -> str:
        source.argument()
        claimed = source.argument()
        first = source.line_of(source.pos - len(claimed) - 1)
        return self.scan(Source(claimed, source.file, first, fixed=source.fixed))

    # Commands of the author's

    def _is_live(self, body: str) -> bool:
        if re.search(r"\\includegraphics[^{}]*\{[^{}]*#\d", body):
            return True  # so that the file's name is known
        return any(n in LIVE or n in self.macros for n in re.findall(r"\\([A-Za-z@]+)", body))

    def _definition(self, source: Source, name: str) -> str | None:
        begin = source.pos
        if defined := source.take(r"\s*\{?\s*\\([A-Za-z@]+)\s*\}?"):
            macro = self._macro_defined(source, name)
            if macro and self._is_live(macro.body):
                self.macros[defined[1]] = macro
                return ""
            self.macros.pop(defined[1], None)
        source.pos = begin
        return None

    def _macro_defined(self, source: Source, name: str) -> Macro | None:
        if name.endswith("def"):
            n = (source.take(r"(?:#\d)*") or "")[0].count("#")
            delimited = not source.text.startswith("{", source.pos)
            return None if delimited else Macro(n, None, source.argument())
        if "Document" in name:
            takes, body = source.argument(), source.argument()
            form = re.fullmatch(r"\s*(?:O\{([^{}]*)\})?([\sm]*)", takes)
            if not form and self._is_live(body):
                raise source.error(f"only O and m, not {takes}, can be followed: write it out")
            return form and Macro(form[2].count("m") + (form[1] is not None), form[1], body)
        n = int(source.optional() or 0)
        return Macro(n, source.optional() if n else None, source.argument())

    def _environment_definition(self, source: Source, _: str) -> None:
        begin = source.pos
        source.argument()
        while source.optional():
            pass
        if self._is_live(source.argument() + source.argument()):
            raise source.error("an environment that prints results cannot be kept: write it out")
        source.pos = begin

    def _macro(self, source: Source, name: str) -> str:
        macro, arguments = self.macros[name], list[str]()
        source.pos = source.start + 1 + len(name)  # a star is none of the command's
        if macro.default is not None:
            given = source.optional()
            arguments.append(macro.default if given is None else given)
        while len(arguments) < macro.n:
            arguments.append(source.argument())

        def argument(match: re.Match[str]) -> str:
            given = arguments[int(match[2]) - 1]
            return match[1] + " " * (bool(match[1]) and given[:1].isalpha()) + given

        body = re.sub(r"(\\[A-Za-z@]+|)(?<!#)#(\d)", argument, macro.body)
        text = self._inner(body, source)
        if not macro.n and not source.take(r"\{\}"):
            source.take(r"[ \t]*")
            text += "%" * bool(re.match(r"\n(?![ \t]*\n)", source.text[source.pos :]))
        return text

    def _let(self, source: Source, _: str) -> str | None:
        match = source.take(r"\s*\\([A-Za-z@]+)\s*=?\s*\\([A-Za-z@]+)")
        if match and match[2] in LIVE:
            raise source.error(f"another name for \\{match[2]} cannot be followed")
        if not match or match[2] not in self.macros:
            return None
        self.macros[match[1]] = self.macros[match[2]]
        return ""

    # Other files, packages and settings

    def _input(self, source: Source, name: str) -> str | None:
        match = source.take(r"\s*\{\s*([^{}]+?)\s*\}")
        if not match and name == "input" and source.take(r"\s+[\w./-]"):
            raise source.error("\\input needs braces to be followed: \\input{file}")
        path = self.main.parent / (match[1] if match else "")
        file = next((p for p in (path.with_name(f"{path.name}.tex"), path) if p.is_file()), None)
        if not file:
            return None
        if file == self.main.parent / "literate" / "macros.tex":
            return self._venue(source) + PACKAGES
        part = Source(_text(file).rstrip("\n"), file.relative_to(self.main.parent).as_posix())
        inner = self.scan(part)
        # The end of its last line is a space, unless that ends in a comment.
        inner = inner[:-1] if inner.endswith("%") else f"{inner} "
        return f"\\clearpage\n{inner}\n\\clearpage" if name == "include" else inner

    def _venue(self, source: Source) -> str:
        r"""Return the class's own part of \input{literate/macros}."""
        found = re.search(r"\\documentclass(?:\[[^]]*\])?\{(.*?)\}", source.out)
        venue = self.main.parent / "literate" / "venues" / f"{found[1] if found else ''}.tex"
        return self.scan(Source(_text(venue), venue.name)).rstrip("\n") + "\n" * venue.exists()

    def _usepackage(self, source: Source, _: str) -> str | None:
        begin, match = source.pos, source.take(r"\s*(\[[^]]*\])?\s*\{([^{}]*)\}")
        names = [name.strip() for name in match[2].split(",")] if match else []
        if not match or "pythontex" not in names:
            source.pos = begin
            return None
        others = ",".join(name for name in names if name != "pythontex")
        return rf"\usepackage{match[1] or ''}{{{others}}}" * bool(others) + PACKAGES

    def _packages(self, text: str) -> str:
        """Return the packages that PythonTeX had loaded, as far as they are needed."""
        loading = r"\\(?:usepackage|RequirePackage)(?:\[[^\]]*\])?\{([^}]*)\}"
        loaded = {name.strip() for names in re.findall(loading, text) for name in names.split(",")}
        uses = {"xcolor": "", "fvextra": r"\\Verb|\{[BL]?Verbatim", "upquote": r"\\verb|\{verbatim"}
        needed = [name for name in uses if re.search(uses[name], text) and name not in loaded]
        lines = [rf"\usepackage{{{name}}}" for name in needed]
        if self.listed:
            look = _joined(self.settings["fvset"], self.settings["setpythontexfv"])
            look = dict(re.findall(r"(\w+)\s*=\s*([^,]+)", look))
            size, margin = look.get("fontsize", ""), look.get("xleftmargin", "0pt")
            lines.append(LISTINGS.replace("SIZE", size.strip()).replace("MARGIN", margin.strip()))
        if r"\begin{listing}" in text:
            lines.append("\\usepackage{newfloat}\n\\DeclareFloatingEnvironment{listing}")
        return "\n".join(lines)

    def _setting(self, source: Source, name: str) -> str | None:
        source.optional()
        self.settings[name] = source.argument().strip()
        return None if name == "fvset" else ""

    def _unread(self, source: Source, _: str) -> None:
        source.optional()
        source.take(r"\s*")
        source.code()

    def _refuse(self, source: Source, name: str) -> None:
        raise source.error(f"\\{name} cannot be followed: write it in another way")

    def _iffalse(self, source: Source, _: str) -> str:
        depth = 1
        tokens = re.compile(r"%.*|\\(if[A-Za-z@]*|else|fi)(?![A-Za-z@])|\\(?s:.)")
        for token in tokens.finditer(source.text, source.pos):
            name = token[1] or ""
            # \iff is a symbol, and \ifthenelse{ and the like have no \fi.
            if name.startswith("if") and name != "iff" and source.text[token.end()] != "{":
                depth += 1
            depth -= name == "fi"
            if depth == 0 or (depth == 1 and name == "else"):
                source.pos = token.end()
                return r"\iftrue" * bool(depth)
        return ""


def _key(family: str, session: str | None, kind: str, code: str) -> Key:
    # LaTeX changes the white space of code in arguments, and doubles #.
    folded = re.sub("#+", "#", "".join(code.split()))
    return family, (session or "default").replace(":", "-"), kind, folded


def _alike(runs: list[Run]) -> bool:
    return len({(run.value, run.stdout, run.stderr) for run in runs}) < 2


def _plain(shown: str) -> str:
    """Return code that Pygments has marked up, without the markup."""
    shown = re.sub(r"\\PYGZ(\w\w)\{\}", "\ue010\\1\ue011", shown)
    while (plain := re.sub(r"\\PYG\{[^{}]*\}\{([^{}]*)\}", r"\1", shown)) != shown:
        shown = plain
    return re.sub("\ue010(..)\ue011", lambda match: PYGMENTS[match[1]], shown)


def _printed(shown: str, *, lines: bool = False) -> str:
    r"""Return what was printed as a part of a line, or in place of lines.

    TeX reads no further than \endinput, and the end of a line is a space.
    """
    before, ended, after = shown.lstrip(" \t").partition(r"\endinput")
    if ended:
        return before + after.partition("\n")[0] + "%" * lines
    return before.removesuffix("\n") + " " * (bool(shown) and not lines)


def _environment(name: str, options: str, inner: str) -> str:
    head = rf"\begin{{{name}}}" + f"[{options}]" * bool(options)
    return f"{head}\n{inner.removesuffix(chr(10))}\n\\end{{{name}}}"


def _joined(*options: str) -> str:
    return ", ".join(option for option in options if option)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except UnicodeDecodeError as error:
        raise FlattenError(f"{path.name}: byte {error.start} is no UTF-8") from error


if __name__ == "__main__":
    print(flatten(Path(sys.argv[1])), end="")
