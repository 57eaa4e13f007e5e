r"""The paper without Python: each block and command replaced by what it printed.

Reads a document that PythonTeX has run and returns one file of plain LaTeX.  `\py`, `\pyc`,
`\pys` and hidden blocks give way to their output, shown code to a listing, `\result`, `\interval`
and `\claim` to their text, `\input` to the file, and commands of the author's whose text contains
any of these to that text.  Comments are dropped.  What each block printed is taken from PythonTeX's
own record; where that does not say beyond doubt which output belongs to which place, as after an
edit without a build, a FlattenError names the line.
"""

import re
import sys
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MACROS = "pycode/macros"

FAMILIES = ("py", "sympy", "pylab")
INLINE = {"": "i", "c": "c", "b": "b", "v": "v", "s": "s"}
BLOCKS = ("code", "block", "verbatim", "sub", "console")
PRINTS = {"printpythontex": "stdout", "stdoutpythontex": "stdout", "stderrpythontex": "stderr"}
VERBATIM = {"verbatim", "verbatim*", "Verbatim", "BVerbatim", "LVerbatim", "lstlisting", "minted"}
VERBATIM |= {"filecontents", "filecontents*", "alltt"}
DEFINITIONS = {
    "newcommand",
    "renewcommand",
    "providecommand",
    "DeclareRobustCommand",
    "newrobustcmd",
}
DEFINITIONS |= {"NewDocumentCommand", "RenewDocumentCommand", "ProvideDocumentCommand"}
DEFINITIONS |= {"DeclareDocumentCommand", "NewExpandableDocumentCommand", "def", "gdef"}
# PythonTeX's settings, which say nothing once it is gone, with how many arguments they have.
SETTINGS = {"setpythontexcontext": 1, "restartpythontexsession": 1, "setpythontexworkingdir": 1}
SETTINGS |= {"setpythontexoutputdir": 1, "setpythontexpyglexer": 1, "setpythontexpygopt": 1}
SETTINGS |= {"setpythontexprettyprinter": 1, "setpythontexautoprint": 1, "makepythontexfamily": 1}
SETTINGS |= {"setpythontexautostdout": 1, "setpygmentspygopt": 1, "pythontexcustomc": 2}
PYGMENTS = dict(zip(
    "bs us ob cb ca am lt gt sh pc dl hy sq dq ti at lb rb".split(), r"\_{}^&<>#%$-'" + '"~@[]',
    strict=True,
))  # fmt: skip
# As much of PythonTeX's look as listings can give, in a form that LaTeXML knows as well.
LISTINGS = r"""\usepackage{listings}
\lstset{
  language=Python, upquote, showstringspaces=false, columns=fullflexible, keepspaces,
  literate={-}{-}1, basicstyle=SIZE\ttfamily, xleftmargin=MARGIN,
  aboveskip=\topsep, belowskip=\topsep,
  keywordstyle=\bfseries\color{green!50!black}, stringstyle=\color{red!73!black},
  commentstyle=\itshape\color{cyan!40!black},
}"""


class FlattenError(Exception):
    """A place in the document that cannot be replaced by what Python printed there."""


Failure = Callable[[str], FlattenError]
Key = tuple[str, ...]  # family, session, kind and code of a block or command


@dataclass
class Instance:
    """A block or command as PythonTeX met it."""

    name: str  # the name of its output: family, session, restart and number
    key: Key
    restart: str  # what \restartpythontexsession divides a session into
    file: str  # "" for the main file
    line: int


@dataclass
class Occurrence:
    """A block or command as it stands in the text."""

    key: Key
    file: str
    line: int
    last: int  # the line where its paragraph ends
    instance: Instance | None = None


@dataclass
class Hole:
    """A place for output: `render` makes LaTeX of what was printed there."""

    occurrence: Occurrence
    what: str  # value, stdout, stderr or console
    render: Callable[[str], str]


@dataclass
class Macro:
    """A command of the author's: how many arguments, the first one's default, its text."""

    n: int
    default: str | None
    body: str


@dataclass
class Record:
    """What PythonTeX and the run have kept of a document's last build."""

    folder: Path
    job: str
    instances: list[Instance] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    results: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outputs = self.folder / f"pythontex-files-{self.job.replace(' ', '-')}"
        head = re.compile(r"^=>PYTHONTEX#(.*)#$", re.MULTILINE)
        _, *parts = head.split(self._text(self.folder / f"{self.job}.pytxcode").split(
            "=>PYTHONTEX:SETTINGS#")[0])  # fmt: skip
        for about, code in zip(parts[::2], parts[1::2], strict=True):
            family, session, restart, number, kind, *_, file, line = about.split("#")
            name = f"{family}@{session}@{restart}@{number}"
            key = _key(family, session, kind, code)
            self.instances.append(Instance(name, key, restart, file, int(line)))
        macros = self._text(self.outputs / f"{self.job.replace(' ', '-')}.pytxmcr")
        self.values.update(re.findall(
            r"\\pytx@SVMCR\{pytx@MCR@(.*?)\}\n(.*?)\\endpytx@SVMCR\n", macros, re.DOTALL))  # fmt: skip
        saved = macros + self._text(self.outputs / f"{self.job.replace(' ', '-')}.pytxpyg")
        for name, shown in re.findall(
            r"\\begin\{(?:pytx@)?SaveVerbatim\}(?:\[.*?\])?\{pytx@(.*?)\}\n(.*?)\n?\\end\{", saved,
            re.DOTALL,
        ):  # fmt: skip
            self.values.setdefault(name, _plain(shown))
        for line in self._text(self.folder / "results.tex").splitlines():
            if match := re.fullmatch(r"\\resultvalue\{(.*?)\}\{(.*)\}", line):
                self.results[match[1]] = match[2].split("}{")

    def output(self, instance: Instance, what: str) -> str | None:
        """What an instance printed, or its value; None if there is none."""
        if what == "value":
            return self.values.get(instance.name)
        path = self.outputs / f"{instance.name.replace('@', '_')}.{what}"
        return path.read_text(encoding="utf-8") if path.exists() else None

    @staticmethod
    def _text(path: Path) -> str:
        return path.read_text(encoding="utf-8") if path.exists() else ""


def flatten(main: Path) -> str:
    """One file of plain LaTeX that sets what `main`, a document that was built, sets.

    Raises FlattenError, with file and line, for what cannot be replaced.
    """
    if not main.with_suffix(".pytxcode").exists():
        raise FlattenError(f"{main.name} has not been built here: run latexmk")
    run = main.with_name("results.tex")
    if run.exists() and r"\resultstate{complete}" not in run.read_text(encoding="utf-8"):
        raise FlattenError(f"{main.name}: its last run was not completed: run latexmk")
    return _Flattener(main).flatten()


class _Flattener:
    def __init__(self, main: Path) -> None:
        self.main, self.folder = main, main.parent
        self.record = Record(self.folder, main.stem)
        self.macros: dict[str, Macro] = {}
        self.holes: list[Hole] = []
        self.occurrences: list[Occurrence] = []
        self.last: Occurrence | None = None  # whose printed text \printpythontex sets
        self.saved: dict[str, Occurrence] = {}
        self.options: dict[str, str] = {"": ""}  # of fancyvrb, by family
        self.lines: dict[Key, int] = defaultdict(int)  # set so far, by session
        self.packages: set[str] = set()
        self.ended = False
        families = set(FAMILIES) | {i.key[0] for i in self.record.instances}
        families = {f.removesuffix("con") for f in families if f.isalpha()}
        self.commands = {
            f"{family}{con}{suffix}": (f"{family}{con}", kind)
            for family in families for con in ("", "con") for suffix, kind in INLINE.items()
        }  # fmt: skip
        self.blocks = {f"{f}{b}": (f, b) for f in families for b in BLOCKS if b != "console"}
        self.blocks |= {
            f"{f}con{b}": (f"{f}con", b) for f in families for b in ("code", "verbatim")
        }
        self.blocks |= {f"{f}console": (f"{f}con", "console") for f in families}
        self.live = {"result", "interval", "claim", "pygment", *PRINTS, *self.commands}

    def flatten(self) -> str:
        text = self.scan(self.main.read_text(encoding="utf-8"), self.main.name)
        self._match()
        text = re.sub("\ue000(\\d+)\ue001", self._fill, text)
        text = re.sub("\n\n(\ue002\n)+\n", "\n\n", text)
        text = re.sub("\ue002\n", "", text)
        text = text.replace("\ue003", self._preamble(text))
        return text.rstrip("\n") + "\n"

    def scan(self, text: str, file: str, first: int = 1, *, fixed: bool = False) -> str:
        """`text`, which begins on the line `first` of `file` or all stands there, without Python."""
        starts = [0, *(m.end() for m in re.finditer("\n", text))]
        out, pos = "", 0

        def line_of(position: int) -> int:
            return first if fixed else first - 1 + bisect(starts, position)

        while pos < len(text) and not self.ended:
            token = re.compile(r"%|\\([A-Za-z@]+)\*?|\\.", re.DOTALL).search(text, pos)
            if not token:
                out += text[pos:]
                break
            out += text[pos : token.start()]
            pos = token.start()
            at, end, name = line_of(pos), token.end(), token[1]
            paragraph = line_of((text + "\n\n").find("\n\n", end))
            fail = _failure(file, at)
            if token[0] == "%":
                out, pos = _without_comment(out, text, end)
            elif name in {"verb", "lstinline", "Verb"}:
                self.packages |= {"upquote"}
                _, end = _optional(text, end)
                _, end = _inline_code(text, end, fail)
                out, pos = out + text[pos:end], end
            elif name == "begin" and (match := re.compile(r"\{([^{}]*)\}").match(text, end)):
                environment, end = match[1], match.end()
                if environment in VERBATIM | {"comment", "pygments", "pythontexcustomcode"} or (
                    environment in self.blocks
                ):
                    close = text.find(rf"\end{{{environment}}}", end)
                    if close < 0:
                        raise fail(rf"\begin{{{environment}}} has no end")
                    inner, end = text[end:close], close + len(rf"\end{{{environment}}}")
                    if environment in VERBATIM:
                        self.packages |= {"upquote"}
                        out, pos = out + text[pos:end], end
                        continue
                    shown = self._block(environment, inner, file, at)
                    out, pos = (out + shown, end) if shown else _drop(out, text, end)
                else:
                    out, pos = out + text[pos:end], end
            elif name == "end" and text.startswith("{document}", end):
                out, self.ended = out + r"\end{document}", True
            elif name in {"input", "include"} and (found := self._input(text, end)):
                path, end = found
                if path == self.folder / f"{MACROS}.tex":
                    inner = self._venue(fail)
                else:
                    inner = path.read_text(encoding="utf-8").rstrip("\n")
                    inner = self.scan(inner, path.relative_to(self.folder).as_posix())
                if name == "include":
                    inner = f"\\clearpage\n{inner}\n\\clearpage"
                out, pos = out + inner, end
            elif name in {"usepackage", "RequirePackage"} and "pythontex" in text[end : end + 200]:
                out, pos = self._without_pythontex(out, text, pos, end)
            elif name == "iffalse":
                out, pos = _drop(out, text, _after_fi(text, end))
            elif name in DEFINITIONS and (found := self._definition(name, text, end, fail)):
                command, macro, end = found
                if self._is_live(macro.body):
                    self.macros[command] = macro
                    out, pos = _drop(out, text, end)
                else:
                    self.macros.pop(command, None)
                    out, pos = out + token[0], token.end()
            elif name in {"newenvironment", "renewenvironment", "NewDocumentEnvironment"} and (
                self._is_live("".join(_arguments(text, end, 4)[0]))
            ):
                raise fail("an environment that prints results cannot be replaced: write it out")
            elif name in {"setpythontexfv", "setpygmentsfv"}:
                family, end = _optional(text, end)
                (options,), end = _arguments(text, end, 1)
                prefix = "PYG" if name == "setpygmentsfv" else ""
                self.options[f"{prefix}{family or ''}"] = options
                out, pos = _drop(out, text, end)
            elif name in SETTINGS:
                _, end = _optional(text, end)
                _, end = _arguments(text, end, SETTINGS[name])
                out, pos = _drop(out, text, end)
            elif name == "result":
                (key,), pos = _arguments(text, end, 1)
                out += self._result(self.scan(key, file, at, fixed=True), fail)[0]
            elif name == "interval":
                (key,), pos = _arguments(text, end, 1)
                value, *bounds = self._result(self.scan(key, file, at, fixed=True), fail)
                if len(bounds) != 2:
                    raise fail(f"{key} has no interval")
                out += rf"\num{{{value}}}~[\num{{{bounds[0]}}},~\num{{{bounds[1]}}}]"
            elif name == "claim":
                (_, claimed), pos = _arguments(text, end, 2)
                begin = line_of(pos - len(claimed) - 1)
                out += self.scan(claimed, file, begin, fixed=fixed)
            elif name in PRINTS or name in {"saveprintpythontex", "useprintpythontex"}:
                shown, pos = self._printed(name, text, end, fail)
                out += shown
            elif name == "pygment":
                (lexer,), end = _arguments(text, end, 1)
                code, pos = _inline_code(text, end, fail)
                out += self._verb(code, f"PYG{lexer}")
            elif name == "inputpygments":
                options, end = _optional(text, end)
                (_, path), pos = _arguments(text, end, 2)
                self.packages |= {"fvextra"}
                out += rf"\VerbatimInput[{options or ''}]{{{path}}}".replace("[]", "")
            elif name in self.commands:
                session, end = _optional(text, end)
                code, pos = _inline_code(text, end, fail)
                family, kind = self.commands[name]
                if kind == "v":
                    out += self._verb(code, family)
                    continue
                key = _key(family, session, kind, code)
                occurrence = self._occurrence(key, file, at, paragraph)
                if kind == "b":
                    out += self._verb(code, family)
                elif family.endswith("con") and kind == "i":
                    out += self._hole(occurrence, "value", lambda v, f=family: self._verb(v, f))
                else:
                    value = kind == "i"
                    what, render = ("value", str) if value else ("stdout", _inline)
                    out += self._hole(occurrence, what, render)
            elif name in self.macros:
                expanded, pos = self._expand(name, text, end, fail)
                out += self.scan(expanded, file, at, fixed=True)
            else:
                out, pos = out + token[0], end
        return out

    # Blocks and commands

    def _block(self, environment: str, inner: str, file: str, line: int) -> str:
        """What stands in the place of an environment."""
        if environment in {"comment", "pythontexcustomcode"}:
            return ""
        first, _, code = inner.partition("\n")
        session, end = _optional(first, 0)
        options = _optional(first, end)[0] or ""
        if environment == "pygments":
            options, session = session or "", None
            (lexer,), _ = _arguments(first, end, 1)
            family, kind = f"PYG{lexer}", "verbatim"
        else:
            family, kind = self.blocks[environment]
        key = _key(family, session, kind, code)
        if kind == "verbatim":
            return self._listing(code, key, options)
        occurrence = self._occurrence(key, file, line, line + inner.count("\n") + 1)
        if kind == "block":
            return self._listing(code, key, options)
        if kind == "console":
            return self._hole(occurrence, "value", lambda v: self._listing(v, key, options))
        return self._hole(occurrence, "stdout", _block_output)

    def _occurrence(self, key: Key, file: str, line: int, last: int) -> Occurrence:
        self.last = Occurrence(key, "" if file == self.main.name else file, line, last)
        self.occurrences.append(self.last)
        return self.last

    def _hole(self, occurrence: Occurrence, what: str, render: Callable[[str], str]) -> str:
        self.holes.append(Hole(occurrence, what, render))
        return f"\ue000{len(self.holes) - 1}\ue001"

    def _printed(self, name: str, text: str, end: int, fail: Failure) -> tuple[str, int]:
        if name == "saveprintpythontex" and self.last:
            (label,), end = _arguments(text, end, 1)
            self.saved[label] = self.last
            return "", end
        form, end = _optional(text, end)
        options, end = _optional(text, end)
        occurrence = self.last
        if name == "useprintpythontex":
            (label,), end = _arguments(text, end, 1)
            occurrence = self.saved.get(label)
        if not occurrence:
            raise fail(rf"\{name} stands before any block")
        if form not in {"verb", "verbatim"}:
            return self._hole(occurrence, PRINTS.get(name, "stdout"), _inline), _skip_spaces(
                text, end
            )
        self.packages |= {"fvextra", "upquote"}
        environment = "BVerbatim" if form == "verb" else "Verbatim"
        return self._hole(
            occurrence,
            PRINTS.get(name, "stdout"),
            lambda shown: _environment(environment, options or "", shown),
        ), end

    def _verb(self, code: str, family: str) -> str:
        self.packages |= {"fvextra", "upquote"}
        options = _join(self.options.get(family, ""), self.options[""])
        mark = next(c for c in "|!+/=;:@\"'" if c not in code)
        return rf"\Verb{f'[{options}]' if options else ''}{mark}{code}{mark}"

    def _listing(self, code: str, key: Key, options: str) -> str:
        """Code as listings sets it if it can, otherwise as fancyvrb does."""
        family, session, kind, _ = key
        restart = next((i.restart for i in self.record.instances if i.key == key), "")
        before = self.lines[family, session, restart]
        self.lines[family, session, restart] += code.rstrip("\n").count("\n") + 1
        python = kind != "console" and not family.startswith("PYG")
        if python and code.isascii() and not options and not self.options.get(family):
            self.packages |= {"listings", "xcolor"}
            return _environment("lstlisting", "", code)
        if "numbers" in options and before:
            options = _join(f"firstnumber={before + 1}", options)
        self.packages |= {"fvextra", "upquote"}
        options = _join(self.options[""], self.options.get(family, ""), options)
        return _environment("Verbatim", options, code)

    # Which output belongs where

    def _match(self) -> None:
        instances: dict[Key, list[Instance]] = defaultdict(list)
        for instance in self.record.instances:
            instances[instance.key].append(instance)
        same: dict[Key, list[Occurrence]] = defaultdict(list)
        for occurrence in self.occurrences:
            same[occurrence.key].append(occurrence)
        for key, places in same.items():
            for place, instance in zip(places, self._pairs(places, instances[key]), strict=True):
                place.instance = instance

    def _pairs(self, places: list[Occurrence], instances: list[Instance]) -> Iterator[Instance]:
        """An instance for each place, of several with different output the one of its lines."""
        if len(places) == len(instances):
            yield from instances
            return
        left = list(instances)
        for place in places:
            fail = _failure(place.file or self.main.name, place.line)
            fits = [i for i in left if i.file == place.file and place.line <= i.line <= place.last]
            if len({self._output(i) for i in instances}) == 1:
                fits = instances
            if not fits:
                raise fail("the last build has no output for this: run latexmk")
            if len({self._output(i) for i in fits}) > 1:
                raise fail("this is set several times, with different output: write it out")
            yield fits[0]
            left = [i for i in left if i not in fits] or left

    def _output(self, instance: Instance) -> tuple[str | None, ...]:
        return tuple(self.record.output(instance, what) for what in ("value", "stdout", "stderr"))

    def _fill(self, match: re.Match[str]) -> str:
        hole = self.holes[int(match[1])]
        place = hole.occurrence
        assert place.instance
        output = self.record.output(place.instance, hole.what)
        if output is None and hole.what == "value":
            raise _failure(place.file or self.main.name, place.line)(
                "the last build has no output for this: run latexmk")  # fmt: skip
        text, position = match.string, match.span()
        shown = hole.render(output) if output else ""
        if not output and text[: position[0]].endswith("\n") and text.startswith("\n", position[1]):
            return "\ue002"
        if text.startswith("\n", position[1]):
            shown = shown.rstrip(" ")
        before, after = text[max(0, position[0] - 40) : position[0]], text[position[1] :]
        if re.search(r"\\[A-Za-z@]+$", before) and shown[:1].isalpha():
            shown = " " + shown
        elif re.search(r"(\\\\|\\[A-Za-z@]+)\s*$", before) and shown[:1] in {"[", "*"}:
            shown = "{}" + shown
        if re.search(r"\\[A-Za-z@]+$", shown) and after[:1].isalpha():
            shown += "{}"
        if re.search(r"(?<!\\)%[^\n]*$", shown):
            shown += "\n"
        return shown

    # Commands of the author's

    def _is_live(self, body: str) -> bool:
        names = set(re.findall(r"\\([A-Za-z@]+)", body))
        return bool(names & (self.live | self.macros.keys()))

    def _definition(
        self, name: str, text: str, end: int, fail: Failure
    ) -> tuple[str, Macro, int] | None:
        match = re.compile(r"\s*\{?\s*\\([A-Za-z@]+)\s*\}?").match(text, end)
        if not match:
            return None
        command, end = match[1], match.end()
        default = None
        if name in {"def", "gdef"}:
            parameters = re.compile(r"(?:#\d)*").match(text, end)
            assert parameters
            n, end = parameters[0].count("#"), parameters.end()
            if not text.startswith("{", end):
                return None  # with delimiters; its use would be refused
        elif "Document" in name:
            (specification,), end = _arguments(text, end, 1)
            letters = re.sub(r"O\{[^{}]*\}", "O", specification.replace(" ", ""))
            optional = re.search(r"O\{([^{}]*)\}", specification)
            default, n = optional[1] if optional else None, len(letters)
            (body,), after = _arguments(text, end, 1)
            if self._is_live(body) and not re.fullmatch("O?m*", letters):
                raise fail(rf"\{command} prints results and takes other arguments than O and m:"
                           " write its text out where it is used")  # fmt: skip
            return command, Macro(n, default, body), after
        else:
            number, end = _optional(text, end)
            n = int(number) if number else 0
            default, end = _optional(text, end) if n else (None, end)
        (body,), end = _arguments(text, end, 1)
        return command, Macro(n, default, body), end

    def _expand(self, name: str, text: str, end: int, fail: Failure) -> tuple[str, int]:
        macro, arguments = self.macros[name], list[str]()
        if macro.default is not None:
            given, end = _optional(text, end)
            arguments.append(macro.default if given is None else given)
        rest, end = _arguments(text, end, macro.n - len(arguments))
        arguments += rest
        if len(arguments) < macro.n:
            raise fail(rf"\{name} needs {macro.n} arguments")
        body = re.sub(r"(?<!#)#(\d)", lambda m: arguments[int(m[1]) - 1], macro.body)
        if macro.n:
            return body, end
        if text.startswith("{}", end):
            return body, end + 2
        end = _skip_spaces(text, end)
        line_goes_on = re.compile(r"\n(?![ \t]*\n)").match(text, end)
        return body + "%" * bool(line_goes_on), end

    # The preamble

    def _result(self, key: str, fail: Failure) -> list[str]:
        if key not in self.record.results:
            raise fail(f"results.tex has no {key}: run latexmk")
        return self.record.results[key]

    def _input(self, text: str, end: int) -> tuple[Path, int] | None:
        match = re.compile(r"\s*(?:\{\s*([^{}]+?)\s*\}|([^\s{}\\]+))").match(text, end)
        if not match:
            return None
        path = self.folder / (match[1] or match[2])
        for file in (path.with_name(path.name + ".tex"), path):
            if file.is_file():
                return file, match.end()
        return None

    def _venue(self, fail: Failure) -> str:
        r"""What stands for \input{pycode/macros}: the packages, and the class's own file."""
        source = self.main.read_text(encoding="utf-8")
        found = re.search(r"^[^%\n]*\\documentclass(?:\[.*?\])?\{(.*?)\}", source, re.M | re.S)
        venue = self.folder / "pycode" / "venues" / f"{found[1] if found else ''}.tex"
        inner = ""
        if venue.exists():
            inner = self.scan(venue.read_text(encoding="utf-8").rstrip("\n"), venue.name)
        self.packages |= {"xcolor"}
        return f"{inner}\n\ue003" if inner else "\ue003"

    def _without_pythontex(self, out: str, text: str, pos: int, end: int) -> tuple[str, int]:
        _, after = _optional(text, end)
        (names,), after = _arguments(text, after, 1)
        packages = [name.strip() for name in names.split(",")]
        if "pythontex" not in packages:
            return out + text[pos:end], end
        packages.remove("pythontex")
        others = rf"\usepackage{{{','.join(packages)}}}" + "\n" if packages else ""
        self.packages |= {"xcolor"}
        return f"{out}{others}\ue003", after

    def _preamble(self, text: str) -> str:
        """The packages that PythonTeX had loaded, as far as they are still needed."""
        loaded = set(re.findall(r"[\w-]+", " ".join(
            re.findall(r"\\(?:usepackage|RequirePackage)(?:\[[^\]]*\])?\{([^}]*)\}", text))))  # fmt: skip
        if "color" in loaded or not re.search(r"color|!\d+!", text + LISTINGS * (
            "listings" in self.packages)):  # fmt: skip
            loaded.add("xcolor")
        lines = [
            rf"\usepackage{{{name}}}"
            for name in ("xcolor", "fvextra", "upquote")
            if name in self.packages - loaded
        ]
        if "listings" in self.packages:
            options = dict(re.findall(r"(\w+)\s*=\s*([^,]+)", self.options[""]))
            lines.append(
                LISTINGS.replace("SIZE", options.get("fontsize", r"\normalsize").strip())
                .replace("MARGIN", options.get("xleftmargin", "0pt").strip())
            )  # fmt: skip
        return "\n".join(lines)


def _failure(file: str, line: int) -> Failure:
    return lambda reason: FlattenError(f"{file}:{line}: {reason}")


def _key(family: str, session: str | None, kind: str, code: str) -> Key:
    # LaTeX changes the white space of code in arguments, and doubles #.
    folded = re.sub("#+", "#", "".join(code.split()))
    return family, (session or "default").replace(":", "-"), kind, folded


def _plain(shown: str) -> str:
    """Code that Pygments has marked up, without the marks."""
    shown = re.sub(r"\\PYGZ(\w\w)\{\}", lambda m: f"\ue010{m[1]}\ue011", shown)
    while (plain := re.sub(r"\\PYG\{[^{}]*\}\{([^{}]*)\}", r"\1", shown)) != shown:
        shown = plain
    return re.sub("\ue010(..)\ue011", lambda m: PYGMENTS[m[1]], shown)


def _inline(shown: str) -> str:
    r"""Output within a line: TeX reads no further than \endinput, and a line's end is a space."""
    if (cut := shown.find(r"\endinput")) >= 0:
        return shown[:cut] + shown[cut + len(r"\endinput") :].partition("\n")[0]
    return shown.removesuffix("\n") + " "


def _block_output(shown: str) -> str:
    """Output in the place of lines, where the last one ends as the document's did."""
    return _inline(shown) + "%" if r"\endinput" in shown else shown.removesuffix("\n")


def _environment(name: str, options: str, inner: str) -> str:
    inner = inner.removesuffix("\n")
    return f"\\begin{{{name}}}{f'[{options}]' if options else ''}\n{inner}\n\\end{{{name}}}"


def _join(*options: str) -> str:
    return ", ".join(option for option in options if option)


def _without_comment(out: str, text: str, end: int) -> tuple[str, int]:
    """Drops a comment, but not what it does to the end of its line."""
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    line = out.rpartition("\n")[2]
    if not line.strip():
        return _drop(out, text, stop)
    if line[-1].isspace():
        return out.rstrip(" \t"), stop
    return out + "%", stop


def _drop(out: str, text: str, end: int) -> tuple[str, int]:
    """Goes on after `end`, without the line if nothing else stands on it."""
    line = out.rpartition("\n")[2]
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    if line.strip() or text[end:stop].strip():
        return out, end
    out, stop = out[: len(out) - len(line)], min(stop + 1, len(text))
    if out[-2:] in {"", "\n\n"}:
        while text.startswith("\n", stop):
            stop += 1
    return out, stop


def _skip_spaces(text: str, end: int) -> int:
    """Where the text goes on for TeX after a command's name."""
    while text[end : end + 1] in {" ", "\t"}:
        end += 1
    return end


def _after_fi(text: str, end: int) -> int:
    depth = 1
    for token in re.compile(r"\\(if[a-zA-Z@]*|fi)(?![A-Za-z@])").finditer(text, end):
        depth += 1 if token[1] != "fi" else -1
        if not depth:
            return token.end()
    return len(text)


def _optional(text: str, end: int) -> tuple[str | None, int]:
    match = re.compile(r"\s*\[").match(text, end)
    if not match:
        return None, end
    depth = 0
    for position in range(match.end(), len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if text[position] == "]" and not depth:
            return text[match.end() : position], position + 1
    return None, end


def _arguments(text: str, end: int, n: int) -> tuple[list[str], int]:
    """As many as there are of `n` arguments: groups, commands or single characters."""
    found = list[str]()
    while len(found) < n and (match := re.compile(r"(?:\s|%.*\n)*(\\[A-Za-z@]+|\\.|[^\s])").match(text, end)):  # fmt: skip
        if match[1] == "}":
            break
        end = match.end()
        if match[1] != "{":
            found.append(match[1])
            continue
        close = _close(text, end)
        found.append(text[end:close])
        end = close + 1
    return found, end


def _close(text: str, start: int) -> int:
    """Where the group ends that begins before `start`."""
    depth = 1
    for token in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if not depth:
            return token.start()
    return len(text)


def _inline_code(text: str, end: int, fail: Failure) -> tuple[str, int]:
    r"""The code of \py and its like, which stands in braces or, as with \verb, in others."""
    match = re.compile(r"[^\s\w\\]").match(text, end)
    if not match:
        raise fail("code in braces is needed here")
    if match[0] != "{":
        close = text.find(match[0], end + 1)
        return text[end + 1 : close], close + 1
    depth = 0
    for position in range(end, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if not depth:
            return text[end + 1 : position], position + 1
    raise fail("the code has no closing brace")


if __name__ == "__main__":
    print(flatten(Path(sys.argv[1])), end="")
