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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

# PythonTeX's families, what the ends of their commands mean, and their environments.
FAMILIES = {"py", "sympy", "pylab"}
KINDS = {"": "i", "c": "c", "b": "b", "v": "v", "s": "s"}
BLOCKS = ("code", "block", "verbatim", "sub")
PRINTS = {"printpythontex": "stdout", "stdoutpythontex": "stdout", "stderrpythontex": "stderr"}
# Its settings, which say nothing once it is gone.
SETTINGS = {"setpythontexcontext", "restartpythontexsession", "setpythontexworkingdir"}
SETTINGS |= {"setpythontexoutputdir", "setpythontexpyglexer", "setpythontexpygopt"}
SETTINGS |= {"setpygmentspygopt"}
REFUSED = {"makepythontexfamily", "inputpygments", "subfile", "import", "subimport"}
REFUSED |= {"MakeShortVerb", "lstMakeShortInline"}
VERBATIM = {"verbatim", "verbatim*", "Verbatim", "BVerbatim", "LVerbatim", "lstlisting", "minted"}
VERBATIM |= {"filecontents", "filecontents*"}
DEFINITIONS = {"newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "def"}
DEFINITIONS |= {"newrobustcmd", "NewDocumentCommand", "RenewDocumentCommand", "gdef"}
DEFINITIONS |= {"ProvideDocumentCommand", "DeclareDocumentCommand"}
ENVIRONMENTS = {"newenvironment", "renewenvironment", "NewDocumentEnvironment"}
# What Pygments writes for TeX's special characters: \PYGZbs{} for a backslash.
PYGMENTS: dict[str, str] = dict(
    zip(
        "bs us ob cb ca am lt gt sh pc dl hy sq dq ti at lb rb".split(),
        r"\_{}^&<>#%$-'" + '"~@[]',
        strict=True,
    )
)
# PythonTeX's style, as far as the listings package, which LaTeXML also knows, can match it.
LISTINGS = r"""\usepackage{listings}
\lstset{
  language=Python, upquote, showstringspaces=false, columns=fullflexible, keepspaces,
  literate={-}{-}1, basicstyle=SIZE\ttfamily, xleftmargin=MARGIN,
  aboveskip=\topsep, belowskip=\topsep,
  keywordstyle=\bfseries\color{green!50!black}, stringstyle=\color{red!73!black},
  commentstyle=\itshape\color{cyan!40!black},
}"""
# Marks in the text: a place for output, an empty one, the packages' place.
HOLE, EMPTY, PACKAGES = "\ue000{}\ue001", "\ue002", "\ue003"

UNSET = r"""the last build has no output for this: run latexmk, or, if LaTeX never sets it, delete
it or put it between \iffalse and \fi""".replace("\n", " ")

Key = tuple[str, ...]  # family, session, kind and code of a block or command


class FlattenError(Exception):
    """A place in the document that cannot be replaced by what Python printed there."""


@dataclass
class Instance:
    """A block or command as PythonTeX ran it: the name of its output, and its place."""

    name: str
    key: Key
    file: str  # nothing for the main file
    line: int


@dataclass
class Occurrence:
    """A block or command as it is in the text, in a paragraph that ends on the line `last`."""

    key: Key
    file: str
    line: int
    last: int
    instance: Instance | None = None


@dataclass
class Macro:
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


class Record:
    """The files that PythonTeX and the run have kept of the last build."""

    def __init__(self, main: Path) -> None:
        job = main.stem.replace(" ", "-")
        self.folder = main.parent / f"pythontex-files-{job}"
        written = _text(main.with_suffix(".pytxcode")).split("=>PYTHONTEX:SETTINGS#")[0]
        _, *parts = re.split(r"^=>PYTHONTEX#(.*)#$", written, flags=re.MULTILINE)
        self.instances = list[Instance]()
        for about, code in zip(parts[::2], parts[1::2], strict=True):
            family, session, restart, number, kind, *_, file, line = about.split("#")
            name, key = f"{family}@{session}@{restart}@{number}", _key(family, session, kind, code)
            self.instances.append(Instance(name, key, file, int(line)))
        macros = _text(self.folder / f"{job}.pytxmcr")
        value = r"\\pytx@SVMCR\{pytx@MCR@(.*?)\}\n(.*?)\\endpytx@SVMCR\n"
        self.values = dict(re.findall(value, macros, re.DOTALL))
        shown = r"\\begin\{(?:pytx@)?SaveVerbatim\}(?:\[.*?\])?\{pytx@(.*?)\}\n(.*?)\n?\\end\{"
        marked_up = macros + _text(self.folder / f"{job}.pytxpyg")
        for name, code in re.findall(shown, marked_up, re.DOTALL):
            self.values.setdefault(name, _plain(code))
        recorded = r"^\\resultvalue\{(.*?)\}\{(.*)\}$"
        lines = re.findall(recorded, _text(main.with_name("results.tex")), re.MULTILINE)
        self.results = {key: values.split("}{") for key, values in lines}

    def output(self, instance: Instance, what: str) -> str | None:
        """Return an instance's `value`, `stdout` or `stderr`; None if there is none."""
        if what == "value":
            return self.values.get(instance.name)
        path = self.folder / f"{instance.name.replace('@', '_')}.{what}"
        return _text(path) if path.exists() else None


class Source:
    """A text that is read from left to right, and the result so far, `out`.

    It begins on the line `first` of `file`.  The text of one of the author's commands is `fixed` to
    the line where the command is used.
    """

    def __init__(self, text: str, file: str, first: int = 1, *, fixed: bool = False) -> None:
        self.text, self.file, self.first, self.fixed = text, file, first, fixed
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.pos, self.out = 0, ""
        self.line = first

    def next(self) -> re.Match[str] | None:
        """Return the next comment or command, after copying what comes before it."""
        token = re.compile(r"%|\\([A-Za-z@]+)\*?|\\.", re.DOTALL).search(self.text, self.pos)
        start = token.start() if token else len(self.text)
        self.out += self.text[self.pos : start]
        self.line, self.pos = self.line_of(start), token.end() if token else start
        return token

    def line_of(self, position: int) -> int:
        """Return the number of the line at a position."""
        return self.first if self.fixed else self.first - 1 + bisect(self.starts, position)

    def paragraph_end(self) -> int:
        """Return the number of the line on which the paragraph ends."""
        return self.line_of((self.text + "\n\n").find("\n\n", self.pos))

    def error(self, reason: str) -> FlattenError:
        """Return a FlattenError that names the line of the command just read."""
        return FlattenError(f"{self.file}:{self.line}: {reason}")

    def take(self, pattern: str) -> re.Match[str] | None:
        """Read and return what follows here, if it matches the pattern."""
        match = re.compile(pattern).match(self.text, self.pos)
        if match:
            self.pos = match.end()
        return match

    def optional(self) -> str | None:
        """Read and return the argument in brackets, if there is one here."""
        begin = self.pos
        if not self.take(r"\s*\["):
            return None
        start, depth = self.pos, 0
        for position in range(start, len(self.text)):
            depth += {"{": 1, "}": -1}.get(self.text[position], 0)
            if self.text[position] == "]" and not depth:
                self.pos = position + 1
                return self.text[start:position]
        self.pos = begin
        return None

    def argument(self) -> str:
        """Read and return the next argument: a group, a command or a character."""
        match = self.take(r"(?:\s|%.*\n)*(\\[A-Za-z@]+|\\.|[^\s}])")
        if not match:
            raise self.error("an argument is missing")
        if match[1] != "{":
            return match[1]
        start, depth = self.pos, 1
        for token in re.compile(r"\\(?s:.)|%.*|[{}]").finditer(self.text, start):
            depth += {"{": 1, "}": -1}.get(token[0], 0)
            if not depth:
                self.pos = token.end()
                return self.text[start : token.start()]
        raise self.error("an argument has no closing brace")

    def code(self) -> str:
        r"""Read and return the code of \py and its like, in braces or, as with \verb, in others."""
        match = self.take(r"[^\s\w\\]")
        mark = match[0] if match else ""
        braces, start, depth = mark == "{", self.pos, 1
        for position in range(start, len(self.text) if mark else 0):
            depth += {"{": 1, "}": -1}.get(self.text[position], 0)
            if not depth if braces else self.text[position] == mark:
                self.pos = position + 1
                return self.text[start:position]
        raise self.error("code in braces is needed here")

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
        """Add the replacement of the command that has been read."""
        self.out += _fitted(self.out[-40:], text, self.text[self.pos : self.pos + 1])

    def copy(self, start: int) -> None:
        """Add what has been read since `start`, unchanged."""
        self.out += self.text[start : self.pos]

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
        elif line[-1].isspace():
            self.out = self.out.rstrip(" \t")
        else:
            self.out += "%"


class _Flattener:
    def __init__(self, main: Path) -> None:
        self.main, self.record = main, Record(main)
        self.occurrences = list[Occurrence]()
        self.holes = list[tuple[Occurrence, str, Callable[[str], str]]]()
        self.printed: Occurrence | None = None  # what \printpythontex prints
        self.macros = dict[str, Macro]()
        self.options = {"": ""}  # of fancyvrb, by family
        self.look = ""  # and for all its code
        self.saved = dict[str, Occurrence]()
        self.verbatim = set(VERBATIM)
        self.autoprint = True
        self.packages = set[str]()
        self.begun = self.ended = False
        families = {i.key[0].removesuffix("con") for i in self.record.instances}
        families = FAMILIES | {family for family in families if family.isalpha()}
        both = families | {f"{family}con" for family in families}
        self.commands = {f + end: (f, kind) for f in both for end, kind in KINDS.items()}
        self.blocks = {f + block: (f, block) for f in both for block in BLOCKS}
        self.blocks |= {f"{family}console": (f"{family}con", "console") for family in families}
        self.handlers: dict[str, Callable[[Source], None]] = {
            **dict.fromkeys(DEFINITIONS, self._definition),
            **dict.fromkeys(ENVIRONMENTS, self._environment_definition),
            **dict.fromkeys(SETTINGS, self._setting),
            **dict.fromkeys(REFUSED, self._refuse),
            **dict.fromkeys(self.commands, self._command),
            **dict.fromkeys(PRINTS, self._print),
            **dict.fromkeys(("verb", "Verb", "lstinline"), self._verb),
            **dict.fromkeys(("input", "include"), self._input),
            **dict.fromkeys(("usepackage", "RequirePackage"), self._usepackage),
            **dict.fromkeys(("setpythontexfv", "setpygmentsfv"), self._options),
            **dict.fromkeys(("setpythontexautoprint", "setpythontexautostdout"), self._autoprint),
            **dict.fromkeys(("url", "nolinkurl", "path", "href"), self._url),
            **dict.fromkeys(("lstnewenvironment", "DefineVerbatimEnvironment"), self._verbatim),
            "let": self._let,
            "endinput": self._endinput,
            "saveprintpythontex": self._save,
            "useprintpythontex": self._print,
            "pythontexcustomc": self._setting,
            "fvset": self._fvset,
            "begin": self._begin,
            "end": self._end,
            "iffalse": self._iffalse,
            "pygment": self._pygment,
            "result": self._result,
            "interval": self._interval,
            "claim": self._claim,
        }
        self.live = {"pygment", "result", "interval", "claim", *PRINTS, *self.commands}

    def flatten(self) -> str:
        text = self.scan(Source(_text(self.main), self.main.name))
        self._match()
        text = re.sub(HOLE.format(r"(\d+)"), self._fill, text)
        text = re.sub(f"\n\n({EMPTY}\n)+\n", "\n\n", text).replace(f"{EMPTY}\n", "")
        if "fvextra" not in self.packages and not re.search(r"[\\{]B?Verb", text):
            text = re.sub(r"\n\\usepackage\{fancyvrb\}\n\\fvset\{.*\}\n", "", text)
        return text.replace(PACKAGES, self._packages(text)).rstrip("\n") + "\n"

    def scan(self, source: Source) -> str:
        """Return the text of `source` without Python, but with holes for its output."""
        while not self.ended and (token := source.next()):
            self.token, name = token[0], token[1]
            if self.token == "%":
                source.drop_comment()
            elif name in self.macros:
                source.pos -= self.token.endswith("*")
                self._macro(source, name)
            elif name in self.handlers:
                self.name = name
                self.handlers[name](source)
            else:
                source.out += self.token
        return source.out

    # Blocks, commands and what they print

    def _begin(self, source: Source) -> None:
        start = source.pos - len(self.token)
        match = source.take(r"\{([^{}]*)\}")
        name = match[1] if match else ""
        if name in self.verbatim:
            self.packages.add("upquote")
            source.environment(name)
            source.copy(start)
        elif name in {"comment", "pythontexcustomcode"}:
            source.environment(name)
            source.drop()
        elif name in self.blocks or name == "pygments":
            shown = self._block(name, source)
            source.out += shown
            if not shown:
                source.drop()
        else:
            self.begun |= name == "document"
            source.copy(start)

    def _end(self, source: Source) -> None:
        source.out += self.token
        if source.take(r"\{document\}"):
            source.out, self.ended = source.out + "{document}", True

    def _block(self, name: str, source: Source) -> str:
        head, _, code = source.environment(name).partition("\n")
        arguments = Source(head, source.file, source.line, fixed=True)
        first, second = arguments.optional(), arguments.optional()
        if name == "pygments":
            key, options = _key(f"PYG{arguments.argument()}", None, "verbatim", code), first or ""
        else:
            family, kind = self.blocks[name]
            key, options = _key(family, first, kind, code), second or ""
        if key[2] == "verbatim":
            return self._listing(code, key, options)
        occurrence = self._occurrence(key, source, source.line_of(source.pos))
        if key[2] == "block":
            return self._listing(code, key, options)
        if key[2] == "console":
            return self._hole(occurrence, "value", lambda shown: self._listing(shown, key, options))
        if key[2] == "code" and not self.autoprint:
            return ""
        return self._hole(occurrence, "stdout", _lines)

    def _command(self, source: Source) -> None:
        family, kind = self.commands[self.name]
        session, code = source.optional(), source.code()
        if kind == "v":
            source.out += self._inline_code(code, family)
            return
        key = _key(family, session, kind, code)
        occurrence = self._occurrence(key, source, source.paragraph_end())
        if kind == "b":
            source.out += self._inline_code(code, family)
        elif kind == "i" and family.endswith("con"):
            source.out += self._hole(occurrence, "value", lambda v: self._inline_code(v, family))
        elif kind == "i":
            source.out += self._hole(occurrence, "value", str)
        elif kind == "s" or self.autoprint:
            source.out += self._hole(occurrence, "stdout", _inline)

    def _print(self, source: Source) -> None:
        what, printed = PRINTS.get(self.name, "stdout"), self.printed
        form, options = source.optional(), source.optional() or ""
        if self.name == "useprintpythontex":
            printed = self.saved.get(source.argument())
        if not printed:
            raise source.error("nothing has been run before that could be printed")
        if form in {"verb", "verbatim"}:
            self.packages |= {"fvextra", "upquote"}
            block = "BVerbatim" if form == "verb" else "Verbatim"
            # Nothing may stand behind the end of such an environment.
            end = "\n" * bool(source.rest_of_line().strip())

            def render(shown: str) -> str:
                if form == "verb" and shown.count("\n") < 2 and not options:
                    return self._inline_code(shown.rstrip("\n"), "")
                return _environment(block, options, shown) + end
        else:
            source.take(r"[ \t]*")
            render = _inline
        source.out += self._hole(printed, what, render)

    def _save(self, source: Source) -> None:
        if self.printed:
            self.saved[source.argument()] = self.printed
        source.drop()

    def _verb(self, source: Source) -> None:
        start = source.pos - len(self.token)
        self.packages.add("upquote")
        source.optional()
        source.code()
        source.copy(start)

    def _pygment(self, source: Source) -> None:
        family = f"PYG{source.argument()}"
        source.out += self._inline_code(source.code(), family)

    def _inline_code(self, code: str, family: str) -> str:
        self.packages |= {"fvextra", "upquote"}
        options = _joined(*{self.options[""]: 0, self.options.get(family, ""): 0})
        mark = next(c for c in "|!+/=;:@\"'" if c not in code)
        return rf"\Verb{f'[{options}]' if options else ''}{mark}{code}{mark}"

    def _listing(self, code: str, key: Key, options: str) -> str:
        """Return code as a listing if that is possible, otherwise in fancyvrb's Verbatim."""
        family, _, kind, _ = key
        python = kind != "console" and not family.startswith("PYG")
        if python and code.isascii() and not options and not self.options.get(family):
            self.packages |= {"listings", "xcolor"}
            return _environment("lstlisting", "", code)
        self.packages |= {"fvextra", "upquote"}
        options = _joined(self.options[""], self.options.get(family, ""), options)
        return _environment("Verbatim", options, code)

    # Which output belongs where

    def _occurrence(self, key: Key, source: Source, last: int) -> Occurrence:
        file = "" if source.file == self.main.name else source.file
        if not self.begun:  # title and authors are set later, in the class's order
            last = source.line
        self.printed = Occurrence(key, file, source.line, last)
        self.occurrences.append(self.printed)
        return self.printed

    def _hole(self, occurrence: Occurrence, what: str, render: Callable[[str], str]) -> str:
        self.holes.append((occurrence, what, render))
        return HOLE.format(len(self.holes) - 1)

    def _match(self) -> None:
        instances, places = defaultdict[Key, list[Instance]](list), defaultdict(list)
        for instance in self.record.instances:
            instances[instance.key].append(instance)
        for place in self.occurrences:
            places[place.key].append(place)
        for key, same in places.items():
            for place, instance in zip(same, self._pairs(same, instances[key]), strict=True):
                place.instance = instance

    def _pairs(self, places: list[Occurrence], instances: list[Instance]) -> Iterator[Instance]:
        """Yield an instance for each place.

        LaTeX may set a place several times, for example in captions.
        """
        # While amsmath and tabularx measure they set a block several times, under one name.
        instances = list({instance.name: instance for instance in instances}.values())
        alike = len({self._outputs(instance) for instance in instances}) == 1
        for (file, last), group in groupby(places, key=lambda place: (place.file, place.last)):
            paragraph = list(group)
            first = paragraph[0].line
            fits = [i for i in instances if i.file == file and first <= i.line <= last]
            if alike:
                fits = instances
            if not fits:
                raise self._error(paragraph[0], UNSET)
            if len({self._outputs(i) for i in fits}) == 1:
                yield from fits[:1] * len(paragraph)
            elif len(fits) == len(paragraph):
                yield from fits
            else:
                raise self._error(paragraph[0], "this has several outputs: write it out")

    def _outputs(self, instance: Instance) -> tuple[str | None, ...]:
        return tuple(self.record.output(instance, what) for what in ("value", "stdout", "stderr"))

    def _error(self, place: Occurrence, reason: str) -> FlattenError:
        return FlattenError(f"{place.file or self.main.name}:{place.line}: {reason}")

    def _fill(self, match: re.Match[str]) -> str:
        place, what, render = self.holes[int(match[1])]
        assert place.instance
        output = self.record.output(place.instance, what)
        if output is None and what == "value":
            raise self._error(place, UNSET)
        before, after = match.string[: match.start()][-40:], match.string[match.end() :][:1]
        if not output and before.endswith("\n") and after == "\n":
            return EMPTY
        shown = render(output) if output else ""
        if render in {str, _inline, _lines}:  # TeX, in which there may be more to replace
            printed = Source(
                shown.lstrip(" \t"), place.file or self.main.name, place.line, fixed=True
            )
            known = len(self.holes)
            self.ended = False
            shown = self.scan(printed)
            if len(self.holes) > known:
                raise self._error(place, "this prints what PythonTeX would have to run")
        return _fitted(before, shown, after, lines=render is _lines)

    # Results and claims

    def _values(self, source: Source) -> list[str]:
        key = self.scan(Source(source.argument(), source.file, source.line, fixed=True))
        if key not in self.record.results:
            raise source.error(f"the last build has no result {key}: run latexmk")
        return self.record.results[key]

    def _result(self, source: Source) -> None:
        source.put(self._values(source)[0])

    def _interval(self, source: Source) -> None:
        value, low, high = self._values(source)
        source.out += rf"\num{{{value}}}~[\num{{{low}}},~\num{{{high}}}]"

    def _claim(self, source: Source) -> None:
        source.argument()
        claimed = source.argument()
        first = source.line_of(source.pos - len(claimed) - 1)
        source.put(self.scan(Source(claimed, source.file, first, fixed=source.fixed)))

    # Commands of the author's

    def _is_live(self, body: str) -> bool:
        if re.search(r"\\includegraphics[^{}]*\{[^{}]*#\d", body):
            return True  # so that the file's name is known
        return any(n in self.live or n in self.macros for n in re.findall(r"\\([A-Za-z@]+)", body))

    def _definition(self, source: Source) -> None:
        name, token, start = self.name, self.token, source.pos
        match = source.take(r"\s*\{?\s*\\([A-Za-z@]+)\s*\}?")
        macro = self._macro_defined(name, source) if match else None
        if match and macro and self._is_live(macro.body):
            self.macros[match[1]] = macro
            source.drop()
            return
        if match:
            self.macros.pop(match[1], None)
        source.out, source.pos = source.out + token, start

    def _macro_defined(self, name: str, source: Source) -> Macro | None:
        default = None
        if name.endswith("def"):
            n = (source.take(r"(?:#\d)*") or "")[0].count("#")
            if not source.text.startswith("{", source.pos):
                return None  # its arguments are delimited
        elif "Document" in name:
            takes = source.argument()
            if optional := re.search(r"O\{([^{}]*)\}", takes):
                default = optional[1]
            letters = re.sub(r"O\{[^{}]*\}|\s", lambda m: m[0][:1].strip(), takes)
            macro = Macro(len(letters), default, source.argument())
            if self._is_live(macro.body) and not re.fullmatch("O?m*", letters):
                raise source.error(f"only O and m, not {takes}, can be followed: write it out")
            return macro
        else:
            n = int(source.optional() or 0)
            default = source.optional() if n else None
        return Macro(n, default, source.argument())

    def _environment_definition(self, source: Source) -> None:
        token, start = self.token, source.pos
        source.argument()
        while source.optional():
            pass
        if self._is_live(source.argument() + source.argument()):
            raise source.error(
                "an environment that prints results cannot be followed: write it out"
            )
        source.out, source.pos = source.out + token, start

    def _macro(self, source: Source, name: str) -> None:
        macro, arguments = self.macros[name], list[str]()
        if macro.default is not None:
            given = source.optional()
            arguments.append(macro.default if given is None else given)
        while len(arguments) < macro.n:
            arguments.append(source.argument())

        def argument(match: re.Match[str]) -> str:
            given = arguments[int(match[2]) - 1]
            return match[1] + " " * (bool(match[1]) and given[:1].isalpha()) + given

        body = re.sub(r"(\\[A-Za-z@]+|)(?<!#)#(\d)", argument, macro.body)
        source.put(self.scan(Source(body, source.file, source.line, fixed=True)))
        if not macro.n and not source.take(r"\{\}"):
            source.take(r"[ \t]*")
            if re.match(r"\n(?![ \t]*\n)", source.text[source.pos :]):
                source.out += "%"

    # Other files, packages and settings

    def _input(self, source: Source) -> None:
        name, token, start = self.name, self.token, source.pos
        match = source.take(r"\s*(?:\{\s*([^{}]+?)\s*\}|([^\s{}\\]+))")
        path = self.main.parent / ((match[1] or match[2]) if match else "")
        file = next((p for p in (path.with_name(f"{path.name}.tex"), path) if p.is_file()), None)
        if not file:
            source.out, source.pos = source.out + token, start
        elif file == self.main.parent / "literate" / "macros.tex":
            source.out += self._venue(source)
        else:
            name_in_record = file.relative_to(self.main.parent).as_posix()
            part = Source(_text(file).rstrip("\n"), name_in_record)
            inner = self.scan(part)
            # The end of its last line is a space, unless that ends in a comment or \endinput.
            inner += " " * (not inner.endswith("%") and part.text[-9:] != r"\endinput")
            source.put(f"\\clearpage\n{inner}\n\\clearpage" if name == "include" else inner)

    def _venue(self, source: Source) -> str:
        r"""Return the class's own part of \input{literate/macros}, and a place for packages."""
        found = re.search(r"\\documentclass(?:\[[^]]*\])?\{(.*?)\}", source.out)
        venue = self.main.parent / "literate" / "venues" / f"{found[1] if found else ''}.tex"
        self.packages.add("xcolor")
        if not venue.exists():
            return PACKAGES
        return self.scan(Source(_text(venue).rstrip("\n"), venue.name)) + f"\n{PACKAGES}"

    def _usepackage(self, source: Source) -> None:
        start = source.pos - len(self.token)
        options = source.optional() or ""
        names = [name.strip() for name in source.argument().split(",")]
        if "pythontex" not in names:
            source.copy(start)
            return
        if re.search(r"auto(print|stdout)\s*=\s*false", options):
            self.autoprint = False
        others = ",".join(name for name in names if name != "pythontex")
        source.out += f"\\usepackage{{{others}}}\n" * bool(others) + PACKAGES
        self.packages.add("xcolor")

    def _packages(self, text: str) -> str:
        """Return the packages that PythonTeX had loaded, as far as they are needed."""
        loading = r"\\(?:usepackage|RequirePackage)(?:\[[^\]]*\])?\{([^}]*)\}"
        loaded = {name.strip() for names in re.findall(loading, text) for name in names.split(",")}
        coloured = "listings" in self.packages or re.search(r"color|!\d+!", text)
        if "color" in loaded or not coloured:
            loaded.add("xcolor")
        needed = [p for p in ("xcolor", "fvextra", "upquote") if p in self.packages - loaded]
        lines = [rf"\usepackage{{{name}}}" for name in needed]
        if "listings" in self.packages:
            given = _joined(self.look, self.options[""])
            given = dict(re.findall(r"(\w+)\s*=\s*([^,]+)", given))
            look = LISTINGS.replace("SIZE", given.get("fontsize", "").strip())
            lines.append(look.replace("MARGIN", given.get("xleftmargin", "0pt").strip()))
        if r"\begin{listing}" in text:
            lines.append("\\usepackage{newfloat}\n\\DeclareFloatingEnvironment{listing}")
        return "\n".join(lines)

    def _options(self, source: Source) -> None:
        prefix = "PYG" if self.name == "setpygmentsfv" else ""
        family = source.optional() or ""
        self.options[prefix + family] = source.argument()
        source.drop()

    def _fvset(self, source: Source) -> None:
        start = source.pos - len(self.token)
        self.look = source.argument()
        source.copy(start)

    def _setting(self, source: Source) -> None:
        source.optional()
        source.argument()
        if self.name == "pythontexcustomc":
            source.code()
        source.drop()

    def _iffalse(self, source: Source) -> None:
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
                source.out += r"\iftrue" * bool(depth)
                break
        source.drop()

    def _endinput(self, source: Source) -> None:
        source.text = source.text[: source.pos + len(source.rest_of_line())]

    def _url(self, source: Source) -> None:
        start = source.pos - len(self.token)
        source.optional()
        source.take(r"\s*")
        source.code()
        source.copy(start)

    def _verbatim(self, source: Source) -> None:
        source.out += self.token
        if name := source.take(r"\s*\{(.*?)\}"):
            self.verbatim.add(name[1])
            source.out += name[0]

    def _let(self, source: Source) -> None:
        match = source.take(r"\s*\\([A-Za-z@]+)\s*=?\s*\\([A-Za-z@]+)")
        if match and match[2] in self.live:
            raise source.error(f"another name for \\{match[2]} cannot be followed")
        if match and match[2] in self.macros:
            self.macros[match[1]] = self.macros[match[2]]
            source.drop()
        else:
            source.out += self.token + (match[0] if match else "")

    def _autoprint(self, source: Source) -> None:
        self.autoprint = source.argument().strip() != "false"
        source.drop()

    def _refuse(self, source: Source) -> None:
        raise source.error(f"{self.token} cannot be followed: write it in another way")


def _key(family: str, session: str | None, kind: str, code: str) -> Key:
    # LaTeX changes the white space of code in arguments, and doubles #.
    folded = re.sub("#+", "#", "".join(code.split()))
    return family, (session or "default").replace(":", "-"), kind, folded


def _plain(shown: str) -> str:
    """Return code that Pygments has marked up, without the markup."""
    shown = re.sub(r"\\PYGZ(\w\w)\{\}", "\ue010\\1\ue011", shown)
    while (plain := re.sub(r"\\PYG\{[^{}]*\}\{([^{}]*)\}", r"\1", shown)) != shown:
        shown = plain
    return re.sub("\ue010(..)\ue011", lambda match: PYGMENTS[match[1]], shown)


def _fitted(before: str, text: str, after: str, *, lines: bool = False) -> str:
    """Return TeX code adjusted so that it does not merge with its neighbours.

    As output of Python it had not met them as text.
    """
    if after.isspace():
        text = text.rstrip(" ")
    # A comment at its end has done its work, unless the line that ends here is the document's.
    if not lines and (comment := re.search(r"(?<!\\)(?:\\\\)*(%\s*)\Z", text)):
        text = text[: comment.start(1)]
    if re.search(r"\\[A-Za-z@]+\Z", before) and text[:1].isalpha():
        text = " " + text
    elif re.search(r"\\(\\|[A-Za-z@]+)\s*\Z", before) and text[:1] in {"[", "*"}:
        text = "{}" + text
    if re.search(r"\\[A-Za-z@]+\Z", text) and after.isalpha():
        text += "{}"
    return text


def _inline(shown: str) -> str:
    r"""Return output within a line.

    TeX reads no further than \endinput, and the end of a line is a space.
    """
    before, ended, after = shown.partition(r"\endinput")
    return before + after.partition("\n")[0] if ended else shown.removesuffix("\n") + " "


def _lines(shown: str) -> str:
    """Return output that replaces lines, the last of which ends as the document's did."""
    return _inline(shown) + "%" if r"\endinput" in shown else shown.removesuffix("\n")


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
