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
VERBATIM = ("verbatim", "verbatim*", "Verbatim", "BVerbatim", "LVerbatim", "lstlisting", "minted")
VERBATIM += ("filecontents", "filecontents*")
UNREAD = ("verb", "Verb", "lstinline", "url", "nolinkurl", "path", "href")  # their arguments
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


def _paired(character: str) -> str:
    """Return a pattern for text of such characters with paired braces, at most twelve deep."""
    pattern = ""
    for _ in range(12):
        pattern = rf"(?:{character}|\{{{pattern}\}})*+"
    return pattern


# What follows commands: arguments in braces and in brackets, and code in braces or as with \verb.
TEXT = _paired(r"\\(?s:.)|%.*|[^\\%{}]")
GROUP = rf"(?:\s|%.*\n)*\{{({TEXT})\}}"
BRACKETS = rf"\[((?:\\(?s:.)|%.*|[^]\\%{{}}]|\{{{TEXT}\}})*+)\]"
OPTION = rf"(?:\s*{BRACKETS})?"
CODE = rf"(?:\{{(?P<code>{_paired('[^{}]')})\}}|(?P<mark>[^\s\w\\])(?P<marked>.*?)(?P=mark))"
# Definitions that can be followed, and any other.
NAME = r"\*?\s*\{?\s*\\(?P<name>[A-Za-z@]+)\s*\}?\s*"
BODY = rf"(?:\s|%.*\n)*\{{(?P<body>{TEXT})\}}"
DEFAULT = BRACKETS.replace("(", "(?P<default>", 1)
NEWCOMMAND = rf"{NAME}(?:\[(?P<n>\d)\])?\s*(?:{DEFAULT})?{BODY}"
DOCUMENTCOMMAND = rf"{NAME}\{{\s*(?:O\{{(?P<default>[^{{}}]*)\}})?(?P<n>[m\s]*)\}}{BODY}"
DEF = rf"{NAME}(?P<n>(?:#\d)*)\{{(?P<body>{TEXT})\}}"
OTHER = rf"(?:\s*(?:\*|#\d|\\[A-Za-z@]+|\[[^]]*\]|\{{{TEXT}\}}))*"

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


class Rule(NamedTuple):
    """How a command is read.

    If the pattern of what follows the command matches, the method is given the text, the command's
    name and the match, and returns what replaces them, or None if they may stay.  Without a method
    all that matches stays, and is not read.  If it does not match, that is an error for the reason
    given, if there is one.
    """

    pattern: str
    method: "Method | None" = None
    reason: str = ""


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
        self.start = self.pos = 0  # of the command just read, and behind it
        self.out = ""

    def next(self) -> str:
        """Return the next command or comment's %, after copying what comes before it."""
        tokens = re.compile(r"%|\\(?:(?:begin|end)\{[^{}]*\}|[A-Za-z@]+|(?s:.))")
        token = tokens.search(self.text, self.pos)
        self.start = token.start() if token else len(self.text)
        self.out += self.text[self.pos : self.start]
        self.pos = token.end() if token else self.start
        return token[0] if token else ""

    def line_of(self, position: int) -> int:
        """Return the number of the line at a position."""
        return self.first + (0 if self.fixed else self.text.count("\n", 0, position))

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


Method = Callable[[Source, str, re.Match[str]], str | None]


class _Flattener:
    """The state of a document's flattening, and the methods of its rules."""

    def __init__(self, main: Path) -> None:
        self.main, self.runs = main, _runs(main)
        recorded = r"^\\resultvalue\{(.*?)\}\{(.*)\}$"
        lines = re.findall(recorded, _text(main.with_name("results.tex")), re.MULTILINE)
        self.results = {key: values.split("}{") for key, values in lines}
        self.places: dict[tuple[object, ...], tuple[list[Run], list[FlattenError]]] = {}
        self.printed: Run | None = None  # what \printpythontex prints
        self.macros = dict[str, Rule]()  # of the author
        self.settings = defaultdict[str, str](str)
        self.listed = self.begun = self.ended = False
        argument, code = (f"{what} in braces is needed here" for what in ("an argument", "code"))
        refused = r"\{} cannot be followed: write it in another way"
        biblatex = "biblatex cannot be exported: cite with natbib, and list by \\bibliography"
        newcommand = Rule(f"{NEWCOMMAND}|{OTHER}", self._definition)
        documentcommand = Rule(f"{DOCUMENTCOMMAND}|{OTHER}", self._definition)
        environments = ("newenvironment", "renewenvironment", "NewDocumentEnvironment")
        self.rules = {
            **{f"{verb}command": newcommand for verb in ("new", "renew", "provide")},
            **{f"{verb}DocumentCommand": documentcommand for verb in ("New", "Renew", "Provide")},
            **dict.fromkeys(("DeclareRobustCommand", "newrobustcmd"), newcommand),
            "DeclareDocumentCommand": documentcommand,
            **dict.fromkeys(("def", "gdef"), Rule(f"{DEF}|{OTHER}", self._definition)),
            **dict.fromkeys(environments, Rule(OTHER, self._definition)),
            "let": Rule(NAME + r"=?\s*\\(?P<meaning>[A-Za-z@]+)", self._let),
            **dict.fromkeys(SETTINGS, Rule(OPTION + GROUP, self._setting, argument)),
            **{name: Rule("(?!)", None, refused.format(name)) for name in REFUSED},
            **dict.fromkeys(("addbibresource", "printbibliography"), Rule("(?!)", None, biblatex)),
            **dict.fromkeys(COMMANDS, Rule(OPTION + CODE, self._command, code)),
            **dict.fromkeys(PRINTS, Rule(OPTION + OPTION, self._print)),
            **dict.fromkeys(UNREAD, Rule(rf"\*?{OPTION}\s*{CODE}")),
            **{f"begin{{{name}}}": self._environment(name, self._block) for name in BLOCKS},
            **{f"begin{{{name}}}": self._environment(name) for name in VERBATIM},
            "begin{pygments}": self._environment("pygments", self._pygments),
            "begin{comment}": self._environment("comment", lambda *_: ""),
            "input": Rule(
                r"\s*\{\s*([^{}]+?)\s*\}", self._input, r"\input needs braces: \input{file}"
            ),
            "include": Rule(r"\s*\{\s*([^{}]+?)\s*\}", self._input),
            "usepackage": Rule(
                rf"{OPTION}\s*\{{([^{{}}]*\bpythontex\b[^{{}}]*)\}}", self._usepackage
            ),
            "iffalse": Rule("", self._iffalse),
            "pygment": Rule(GROUP + CODE, self._pygment, code),
            **dict.fromkeys(("result", "interval"), Rule(GROUP, self._result, argument)),
            "claim": Rule(GROUP + GROUP, self._claim, argument),
        }

    @staticmethod
    def _environment(name: str, method: Method | None = None) -> Rule:
        options = rf"[ \t]*(?:{BRACKETS})?[ \t]*(?:{BRACKETS})?"
        lines = rf"(?P<lines>(?s:.*?))\\end\{{{re.escape(name)}\}}"  # with the rest of the first
        return Rule(options + lines, method, rf"\begin{{{name}}} has no end")

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
            if token == "%":
                source.drop_comment()
                continue
            name, behind = token.removeprefix("\\"), source.pos
            self.begun |= name == "begin{document}"
            self.ended = name == "end{document}"
            rule = self.macros.get(name) or self.rules.get(name, Rule(""))
            match = source.take(rule.pattern)
            if not match and rule.reason:
                raise source.error(rule.reason)
            replaced = rule.method(source, name, match) if match and rule.method else None
            if replaced:
                source.put(replaced)
            elif replaced is not None:
                source.drop()
            else:
                source.pos = behind if rule.method else source.pos
                source.out += source.text[source.start : source.pos]
        return source.out

    def _inner(self, text: str, source: Source) -> str:
        """Return the text of something within a line, whose last comment has done its work."""
        text = self.scan(Source(text, source.file, source.line, fixed=True))
        comment = re.search(r"(?<!\\)(?:\\\\)*(%\s*)\Z", text)
        return text[: comment.start(1)] if comment else text

    # Blocks, commands and what they print

    def _block(self, source: Source, name: str, match: re.Match[str]) -> str:
        family, kind = BLOCKS[name[len("begin{") : -1]]
        code = match["lines"].partition("\n")[2]
        return self._replaced(source, (family, match[1], kind, code), match[2] or "")

    def _command(self, source: Source, name: str, match: re.Match[str]) -> str:
        family, kind = COMMANDS[name]
        return self._replaced(source, (family, match[1], kind, _code(match)), None)

    def _replaced(
        self, source: Source, called: tuple[str, str | None, str, str], options: str | None
    ) -> str:
        """Return what replaces a block, which has options, or a command, which has none."""
        family, _, kind, code = called
        if kind in {"v", "verbatim"}:
            return self._shown(code, options)
        run = self._run(source, called)
        if kind in {"b", "block"}:
            return self._shown(code, options)
        if kind in {"c", "code"} and self.settings["setpythontexautoprint"] == "false":
            return ""
        if kind in {"code", "sub"}:
            printed = _printed(run.stdout, lines=True)
            return self.scan(Source(printed, source.file, source.line, fixed=True))
        if kind in {"c", "s"}:
            return self._inner(_printed(run.stdout), source)
        if run.value is None:
            raise source.error(UNSET)
        if family.endswith("con"):
            return self._shown(run.value, options, python=False)
        return self._inner(run.value.lstrip(" \t"), source)

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

    def _print(self, source: Source, name: str, match: re.Match[str]) -> str:
        form, options = match.groups()
        if not self.printed:
            raise source.error("nothing has been run before that could be printed")
        printed = self.printed.stderr if name == "stderrpythontex" else self.printed.stdout
        if form not in {"verb", "verbatim"}:
            source.take(r"[ \t]*")
            return self._inner(_printed(printed), source)
        if form == "verb" and printed.count("\n") < 2:
            return self._shown(printed.rstrip("\n"), None)
        # Nothing may stand behind the end of this environment.
        after = "\n" * bool(source.rest_of_line().strip())
        return _environment("Verbatim", options or "", printed) + after

    def _pygment(self, _: Source, __: str, match: re.Match[str]) -> str:
        return self._shown(_code(match), None)

    def _pygments(self, _: Source, __: str, match: re.Match[str]) -> str:
        return self._shown(match["lines"].partition("\n")[2], match[1] or "", python=False)

    def _shown(self, code: str, options: str | None, *, python: bool = True) -> str:
        """Return code within a line or, with options, as a listing, fancyvrb's if need be."""
        look = self.settings["setpythontexfv"]
        if options is None:
            mark = next(c for c in "|!+/=;:@\"'" if c not in code)
            return rf"\Verb{f'[{look}]' if look else ''}{mark}{code}{mark}"
        if python and code.isascii() and not options:
            self.listed = True
            return _environment("lstlisting", "", code)
        return _environment("Verbatim", _joined(look, options), code)

    # Results and claims

    def _result(self, source: Source, name: str, match: re.Match[str]) -> str:
        key = self._inner(match[1], source)
        if key not in self.results:
            raise source.error(f"the last build has no result {key}: run latexmk")
        value, *interval = self.results[key]
        if name == "result":
            return value
        low, high, unit = interval
        return rf"\num{{{value}}}{unit}~[\num{{{low}}},~\num{{{high}}}]"

    def _claim(self, source: Source, _: str, match: re.Match[str]) -> str:
        first = source.line_of(match.start(2))
        return self.scan(Source(match[2], source.file, first, fixed=source.fixed))

    # Commands of the author's

    def _definition(self, source: Source, name: str, match: re.Match[str]) -> str | None:
        defined, n, default, body = map(match.groupdict().get, ("name", "n", "default", "body"))
        self.macros.pop(defined or "", None)
        if not self._is_live(match[0] if body is None else body):
            return None
        if defined is None or body is None:
            form = r"\newcommand{\name}[number]{text}"
            raise source.error(rf"\{name} with results in it: write it as {form}, or write it out")
        n = n or "0"
        required = int(n) - (default is not None) if n.isdigit() else len(re.findall("[#m]", n))
        body = re.sub(r"(\\[A-Za-z@]+)#", r"\1 #", body)

        def replaced(source: Source, _: str, match: re.Match[str]) -> str:
            arguments = [default or "" if given is None else given for given in match.groups()]
            text = re.sub(r"(?<!#)#(\d)", lambda number: arguments[int(number[1]) - 1], body)
            text = self._inner(text, source)
            if not arguments and not source.take(r"\{\}"):
                source.take(r"[ \t]*")
                text += "%" * bool(re.match(r"\n(?![ \t]*\n)", source.text[source.pos :]))
            return text

        arguments = OPTION * (default is not None) + GROUP * required
        self.macros[defined] = Rule(arguments, replaced, rf"\{defined} needs arguments in braces")
        return ""

    def _is_live(self, body: str) -> bool:
        """Return whether a command's text prints results, or takes the name of a figure."""
        names = set(re.findall(r"\\([A-Za-z@]+)", body))
        figure = re.search(r"\\includegraphics[^{}]*\{[^{}]*#\d", body)
        return bool(figure) or not names.isdisjoint(LIVE | self.macros.keys())

    def _let(self, source: Source, _: str, match: re.Match[str]) -> str | None:
        name, meaning = match["name"], match["meaning"]
        if meaning in LIVE:
            raise source.error(rf"another name for \{meaning} cannot be followed")
        self.macros.pop(name, None)
        if meaning not in self.macros:
            return None
        self.macros[name] = self.macros[meaning]
        return ""

    # Other files, packages and settings

    def _input(self, source: Source, name: str, match: re.Match[str]) -> str | None:
        path = self.main.parent / match[1]
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

    def _usepackage(self, _: Source, __: str, match: re.Match[str]) -> str:
        names = [name.strip() for name in match[2].split(",")]
        others = ",".join(name for name in names if name != "pythontex")
        options = f"[{match[1]}]" if match[1] else ""
        return rf"\usepackage{options}{{{others}}}" * bool(others) + PACKAGES

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

    def _setting(self, _: Source, name: str, match: re.Match[str]) -> str | None:
        self.settings[name] = match[2].strip()
        return None if name == "fvset" else ""

    def _iffalse(self, source: Source, _: str, __: re.Match[str]) -> str:
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


def _code(match: re.Match[str]) -> str:
    return match["marked"] if match["mark"] else match["code"]


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
