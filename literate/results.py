r"""The record: names for what the run found, for the paper and for other programs.

A run writes two files beside the document.  results.json holds every number that the paper prints,
unrounded, and results.tex gives the same numbers, rounded, to LaTeX for its `\result`.  results.tex
also says whether the run is complete, and tells latexmk which files it read and wrote, so that no
build can mistake an old value for a new one.
"""

import ast
import difflib
import hashlib
import json
import os
import platform
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import lru_cache
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from types import TracebackType
from typing import Any, get_args, get_type_hints

import literate
from literate import ROOT, cache, chance, inputs, tex
from literate.claims import NAME, ClaimError, check, write_out
from literate.estimate import Estimate

UNITS = literate.study()["tool"]["literate"]["units"]
# These read files in other ways than Python's own.
UNSEEN = ("h5py", "tables", "netCDF4", "pyarrow.parquet", "pyarrow.feather")

checks: list[Callable[[], list[str]]] = []  # at the run's end, each returns lines of errors
_values: dict[str, dict[str, Any]] = {}
_printed: dict[str, str] = {}  # in braces a value, and the bounds of its interval if it has one
_claims: dict[str, str] = {}  # each condition or name of some, and why it does not hold
_named: dict[
    str, tuple[list[str], str]
] = {}  # conditions with a name, and the place of their block
_n_claims = 0  # how many LaTeX has met
_seed: int | None = None
_lock: Any = None
_depends = False  # whether a block has named files
_folder = ""  # where PythonTeX runs: the paper's, or the output directory
_warnings: list[str] = []
_job = "paper"  # the document's name, without .tex
_code: list[bytes] = []  # lines of its blocks, as LaTeX wrote them for PythonTeX


def begin(pytex: Any, *, seed: int | None = None) -> None:
    """Begin the run: note its files and errors until the session ends.

    `pytex` is the object that PythonTeX puts into every session.  `seed` is the seed that
    results.json names for every value recorded without another.  When the session ends, the paper's
    claims are checked.  A claim that does not hold is an error, after which all that the run has
    found is typeset nevertheless.  Until the session ends well, results.tex says that the run is
    incomplete, so that nothing from an earlier run can be printed.

    Raises RuntimeError if results.json belongs to another document, if the paper's own code is
    imported before literate, and if blocks before this call do more than import and set constants.
    """
    global _code, _folder, _job, _seed
    job = Path(sys.argv[0]).resolve().parent.name.removeprefix("pythontex-files-")
    owner = _document()
    if job != owner and (ROOT / f"{owner}.tex").exists():
        raise RuntimeError(
            f"results.json is that of {owner}.tex: {job}.tex needs a folder of its own"
        )
    if "PYCODE_BUILD" not in os.environ:
        _wait_for_latexmk()
    _folder, _job = os.getcwd(), job
    _seed = None if seed is None else int(seed)  # numpy's, too
    with inputs.unfollowed(), suppress(OSError):
        written = Path(f"{_job}.pytxcode").read_bytes()
        _code = written.partition(b"=>PYTHONTEX:SETTINGS#")[0].splitlines()
    os.chdir(ROOT)  # so that paths in blocks mean the same with an output directory
    _write_tex("incomplete")
    chance.reseed(_seed or 0)
    _note_surroundings()

    def failed(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ClaimError):
            print(f"ClaimError: {error}", file=sys.stderr)
            return
        place, source = _place(traceback.extract_tb(trace), pytex)
        reason = "".join(traceback.format_exception_only(kind, error)).strip()
        _write_tex("failed", f"{place}: {reason}{source}")
        sys.__excepthook__(kind, error, trace)

    sys.excepthook = failed
    show = warnings.showwarning

    def warned(message: Warning | str, kind: type[Warning], *place: Any) -> None:
        found, source = _place(traceback.extract_stack(), pytex)
        _warnings.append(f"{found}: {kind.__name__}: {message}{source}")
        show(message, kind, *place)

    # LaTeX shows warnings, too: editors look there, and PythonTeX does not repeat them.
    warnings.showwarning = warned
    if before := inputs.imported_before():
        raise RuntimeError(
            f"{', '.join(before)} is imported before literate, so that nobody sees what it reads:"
            " import literate first"
        )
    if code := _before_begin():
        raise RuntimeError(
            f"{code!r} stands before results.begin(pytex), where only imports and constants may:"
            " move it"
        )
    # PythonTeX calls its cleanup last, and only if no block has failed.
    cleanup = pytex.cleanup

    def complete() -> None:
        _warn_of_unseen()
        lost = [line for check in checks for line in check()]
        if false := "\n".join(filter(None, [_false_claims(), *lost])):
            _write_tex("failed", false)
        else:
            _write_json()
            _write_tex("complete")
            cache.drop_old()
        read = [
            name for (kind, name), digest in inputs.of_run().items() if kind == "file" and digest
        ]
        pytex.add_dependencies(*(str(ROOT / name) for name in read))
        cleanup()  # so that what blocks printed is typeset even if the run fails here
        if false:
            raise ClaimError(false)

    pytex.cleanup = complete


def _digest_of_blocks() -> str:
    """Return a digest of the code, independent of its place in the document.

    macros.tex and latexmkrc compute the same digest.
    """
    digest = ""
    for line in _code:
        if line.startswith(b"=>PYTHONTEX#"):
            line = line.split(b"#")[6]  # the width of the text, and the like
        digest = hashlib.md5(digest.encode() + line.rstrip(b" \t")).hexdigest().upper()
    return digest


def _wait_for_latexmk() -> None:
    """Wait until nobody builds this folder, and make others wait until the end."""
    global _lock
    with suppress(ImportError, OSError):
        import fcntl

        _lock = (ROOT / "latexmkrc").open("r+")  # which latexmk locks
        fcntl.flock(_lock, fcntl.LOCK_EX)


def record(
    key: str,
    value: Any,
    *,
    by: str = "",
    digits: int = 4,
    unit: str = "1",
    seed: int | Sequence[int] | None = None,
) -> None:
    r"""Record `value` under `key`, for `\result{key}` and results.json.

    Numbers and strings are recorded under `key`.  The items of mappings and sequences and the
    fields of dataclasses are recorded under `key.name`.  The name is in lower case with underscores
    for all but letters and digits; a position is counted from 1.  Positions also replace names that
    would not differ, such as those of the classes <=50K and >50K.  Arrays, truth values and
    estimators among the items are not results and are left out, and so are a dataclass's numbers
    that are not finite and its fields without a repr.  An Estimate is recorded with its interval,
    which `\interval{key}` prints.

    `by` names what computed the value: without it a dataclass's own name, or the document's.
    A dataclass may name units of its own: `share: Annotated[float, "share of samples"]`.  Fractions
    are printed with `digits` digits, and what has a unit such as "share of samples" or "difference
    of shares" in percent, with two digits fewer, one at most.  Parameters are printed at their
    shortest.  A `seed` of the value's own, several seeds, or () may replace the run's seed.

    Raises TypeError for what cannot be recorded.  Raises ValueError for NaN, for a key that has
    another value already and for one with other characters than ASCII letters, digits and `_.+-`.
    Raises RuntimeError before the run has begun.
    """
    if not _folder:
        raise RuntimeError("call results.begin(pytex) in the first block")
    if not _is_result(value):
        raise TypeError(f"{key} cannot be {value!r}: record numbers, text, or a collection of them")
    unit = UNITS.get(key.rpartition(".")[2], unit)
    about: dict[str, Any] = {"by": by, "digits": digits, "unit": unit, "seed": seed}
    if is_dataclass(value):
        kind, hints = type(value), {}
        about["by"] = by or f"{kind.__module__.rpartition('.')[2]}.{kind.__qualname__}"
        with suppress(NameError):  # an annotation may be a text that names what is not imported
            hints = get_type_hints(kind, include_extras=True)
        for field in fields(value):
            item = getattr(value, field.name)
            shown = field.repr and _is_result(item)
            if shown and not (isinstance(item, float) and not isfinite(item)):
                own = _unit(hints.get(field.name)) or unit
                record(f"{key}.{slug(field.name)}", item, **{**about, "unit": own})
    elif isinstance(value, Mapping):
        names: Sequence[object] = [slug(name) for name in value]
        if "" in names or len(set(names)) < len(names):
            names = range(1, len(names) + 1)
        for name, item in zip(names, value.values(), strict=True):
            if _is_result(item):
                record(f"{key}.{name}", item, **about)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for position, item in enumerate(value, start=1):
            record(f"{key}.{position}", item, **about)
    else:
        _add(key, value, **{**about, "by": by or f"{_job}.tex"})


def claims(prefix: str, **named: str | Sequence[str]) -> None:
    r"""Name conditions, all of which have to hold, for `\claim{name}{text}` anywhere in the text.

    In a condition, keys that begin with a dot get the prefix, and `{a,b}` in a key stands for
    several keys, as in `max(.gain.{20,50}.high) < 0.02`.  results.json has them written out, under
    `claims.name`.

    Raises ValueError for a name that is taken or has other characters than lower-case letters,
    digits and underscores, and for a condition that could not be checked.
    """
    for name, conditions in named.items():
        if not NAME.fullmatch(name):
            raise ValueError(f"{name} cannot name a claim: use lower-case letters, digits and _")
        if name in _named:
            raise ValueError(f"{name} names two claims: rename one")
        parts = [conditions] if isinstance(conditions, str) else conditions
        parts = [write_out(condition, prefix) for condition in parts]
        whole = " and ".join(f"({part})" if " or " in part else part for part in parts)
        record(f"claims.{name}", whole, by="results.claims", seed=())
        _named[name] = parts, block()


def _unit(hint: Any) -> str:
    """Return the unit that an annotation names, for the value or for what it holds."""
    if metadata := getattr(hint, "__metadata__", ()):
        return str(metadata[0])
    return next(filter(None, map(_unit, get_args(hint))), "")


def slug(name: object) -> str:
    """Return a name as it is in a key: lower case, underscores for all but letters and digits."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def _is_result(value: Any) -> bool:
    if isinstance(value, (bool, bytes)):
        return False
    return is_dataclass(value) or isinstance(value, (Real, str, Mapping, Sequence))


def environment() -> dict[str, str]:
    """Return the versions of Python and of the libraries that make the results, by name."""
    versions = literate.versions("computes") | literate.versions("draws")
    return {"python": platform.python_version(), **versions}


def near(key: str) -> list[str]:
    """Return up to three keys of results.json that are most similar to `key`, for messages."""
    recorded = json.loads((ROOT / "results.json").read_text(encoding="utf-8"))
    return difflib.get_close_matches(key, recorded, n=3)


def _add(
    key: str, value: Any, by: str, digits: int, unit: str, seed: int | Sequence[int] | None
) -> None:
    if key == "environment":
        raise ValueError("environment is what results.json has the versions under: rename the key")
    if not re.fullmatch(r"[\w+-]+(\.[\w+-]+)*", key, re.ASCII):
        raise ValueError(f"{key!r} is no key that LaTeX can read: use letters, digits and _.+-")
    bounds, n = [], None
    if isinstance(value, Estimate):
        bounds = [bound for bound in (value.low, value.high) if isfinite(bound)]
        n, unit = value.n, value.unit or unit
    if isinstance(value, str):
        printed, unit = [str(tex.text(value))], "text"
    elif isinstance(value, Integral):
        value, printed = int(value), [str(int(value))]
        unit = UNITS.get(key.rpartition(".")[2], "count")
    else:
        value = float(value)  # numpy's, too
        unit = "1" if (setting := ".parameters." in key) else unit
        if is_share := re.search(r"\bshares?\b", unit) is not None:
            digits = max(0, min(digits - 2, 1))
        scale = 100 if is_share else 1
        printed = [f"{value:g}" if setting else tex.decimal(scale * value, digits)]
        printed += [tex.decimal(scale * b, min(tex.BOUND_DIGITS, digits)) for b in bounds]
        printed += [r"\,\%" * unit.startswith("share")] * bool(bounds)
    entry = {
        "value": value,
        "by": by,
        "interval": bounds or None,
        "n": n,
        "unit": unit,
        "seed": _seed if seed is None else _plain_seed(seed),
    }
    if _values.setdefault(key, entry) != entry:
        raise ValueError(
            f"{key} is recorded twice, as {_values[key]['value']} and as {value}: rename one"
        )
    _printed[key] = "".join(f"{{{number}}}" for number in printed)


def _plain_seed(seed: int | Iterable[int]) -> int | list[int]:
    """Return a seed, or several, without numpy's integers, which JSON does not support."""
    return list(map(int, seed)) if isinstance(seed, Iterable) else int(seed)


def _false_claims() -> str:
    """Return a line for each claim that does not hold, with its place.

    Also notes for every claim whether it holds.
    """
    global _n_claims
    path = Path(_folder) / f"{_job}.claims"
    with inputs.unfollowed():  # looking a line up does not make the text an input of the run
        if not path.exists():  # a paper without any
            return ""
        lines = path.read_text(encoding="utf-8").splitlines()
        written = {(c, *p[2:].rsplit(":", 1)) for p, c in zip(lines[::2], lines[1::2], strict=True)}
        places = sorted({(file, _claim_line(file, int(n), c), c) for c, file, n in written})
    _n_claims = len(written)
    record("paper.n_claims", len(places), by="results.begin")
    _claims.update({condition: _why_false(condition) for _, _, condition in places})
    false = [f"{file}:{line}: {_claims[c]}" for file, line, c in places if _claims[c]]
    unused = _named.keys() - _claims.keys()
    return "\n".join(
        false
        + [
            rf"{_named[name][1]}no \claim{{{name}}} is in the text: write one, or remove the name"
            for name in sorted(unused)
        ]
    )


def _why_false(condition: str) -> str:
    """Return why a condition, or one of those with this name, does not hold; empty if it does."""
    if not NAME.fullmatch(condition):
        return check(condition, _values)
    if condition not in _named:
        near = " ".join(difflib.get_close_matches(condition, _named, n=3))
        return f"{condition} names no claim: write it into results.claims; near it: {near}"
    why = "; ".join(filter(None, (check(part, _values) for part in _named[condition][0])))
    return why and f"{condition}: {why}"


def _claim_line(file: str, line: int, condition: str) -> int:
    r"""Return the line on which a `\claim` begins that LaTeX typeset when it was at `line`."""
    words = r"\s+".join(map(re.escape, condition.split()))
    with suppress(OSError):
        text = (ROOT / file).read_text(encoding="utf-8")
        found = re.finditer(rf"\\claim\s*\{{\s*{words}\s*\}}", text)
        lines = [text.count("\n", 0, claim.start()) + 1 for claim in found]
        return min(lines, key=lambda number: abs(number - line), default=line)
    return line


def _place(frames: Sequence[traceback.FrameSummary], pytex: Any) -> tuple[str, str]:
    """Return the line of the document that the frames lead through, as messages start.

    The second item is the line of pycode or literate, if the frames lead there.
    """
    script = str(_script())
    line, instance = int(pytex.line), str(getattr(pytex, "instance", ""))
    if reached := [frame.lineno or 0 for frame in frames if frame.filename == script]:
        # PythonTeX's script says which line a block starts on, then has it, two below a call.
        lines = Path(script).read_text(encoding="utf-8").splitlines()[: reached[-1]]
        last = dict(
            re.findall(r"^pytex\.(line|instance) = '(\d+)'", "\n".join(lines), re.MULTILINE)
        )
        line = int(last["line"]) + lines[::-1].index("pytex.before()") - 2
        instance = last["instance"]
    folders = tuple(f"{ROOT / name}{os.sep}" for name in ("pycode", "literate"))
    inner = [
        frame
        for frame in frames
        if frame.filename.startswith(folders) and frame.filename != __file__
    ]
    source = f" ({inputs.relative(inner[-1].filename)}:{inner[-1].lineno})" if inner else ""
    return f"{file_of_block(instance)}:{line}", source


def block() -> str:
    """Return where PythonTeX's current block begins, as messages start; empty elsewhere."""
    pytex = getattr(sys.modules["__main__"], "pytex", None)
    return f"{file_of_block(pytex.instance)}:{pytex.line}: " if pytex else ""


def file_of_block(instance: str) -> str:
    """Return the file that a block is in, by the block's number."""
    head = f"=>PYTHONTEX#py#default#default#{instance}#".encode()
    for line in _code:
        if line.startswith(head):
            return line.split(b"#")[9].decode() or f"{_job}.tex"
    return f"{_job}.tex"


def _document() -> str:
    """Return the name, without .tex, of the document that results.json belongs to."""
    with inputs.unfollowed(), suppress(OSError, ValueError):
        recorded = json.loads((ROOT / "results.json").read_text(encoding="utf-8"))
        return str(recorded["environment"].get("document", "paper"))
    return "paper"


def depends(path: str | Path) -> None:
    """Let the paper follow a file, or all files in a folder, that Python itself does not open.

    Such files are opened by other programs, and by libraries with their own readers (HDF5, Arrow).
    In a remembered call the file counts for the call's value.  A relative path starts in the
    paper's folder.
    """
    global _depends
    _depends = True
    name = inputs.relative(ROOT / path)
    if not (ROOT / path).is_dir():
        inputs.note("file", name)
        return
    for folder, _, files in os.walk(ROOT / path):
        inputs.note("folder", inputs.relative(folder))
        for file in files:
            inputs.note("file", inputs.relative(Path(folder, file)))


def _note_surroundings() -> None:
    """Note what the run depends on that may have been read before anything was noted."""
    started = _script().stat().st_mtime  # PythonTeX has just written its script
    with inputs.unfollowed():
        folders = (ROOT / "pycode", ROOT / "literate")
        files = [p for f in folders for p in f.iterdir() if p.suffix in {".py", ".mplstyle"}]
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and os.path.isfile(file) and not inputs.is_internal(file):
            files.append(Path(file))
    for path in files:
        # Python may have read an older version of a file that was saved since then.
        stale = path.name != "paper.mplstyle" and path.stat().st_mtime >= started
        inputs.note("file", inputs.relative(path), "" if stale else None)
    inputs.note("file", "requirements.txt")
    inputs.note("file", "pyproject.toml")
    inputs.note("stamp", inputs.relative(sys.executable))
    for entry in sys.path:
        if entry.endswith("-packages") and os.path.isdir(entry):
            inputs.note("packages", inputs.relative(entry))


@lru_cache
def _script() -> Path:
    """Return the script that PythonTeX makes of the blocks."""
    # Python 3.14 forgets it before it reports an exception, so the run asks at its beginning.
    return Path(str(sys.modules["__main__"].__file__))


def _before_begin() -> str:
    """Return the first statement before the run begins that is no import or constant."""
    statements = ast.parse(_script().read_text(encoding="utf-8")).body
    codes = [ast.unparse(statement) for statement in statements]
    first = codes.index("pytex.before()")  # what is above is PythonTeX's own
    for statement, code in zip(statements[first:], codes[first:], strict=True):
        if re.search(r"\bbegin\(pytex\b", code):
            break
        imported = isinstance(statement, (ast.Import, ast.ImportFrom))
        constant = isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        if not (imported or constant or re.search("py(thon)?tex", code, re.I)):
            return code.splitlines()[0]
    return ""


def _warn_of_unseen() -> None:
    """Warn of libraries that read files unnoticed, and of processes that were started."""
    readers = [] if _depends else [name for name in UNSEEN if name in sys.modules]
    if inputs.of_run().processes and not _depends:
        readers.append("another process, which a block has started,")
    for reader in readers:
        message = f"what {reader} reads is not followed: name it by results.depends(path)"
        warnings.warn(message, stacklevel=2)


def _write_json() -> None:
    """Write results.json, one line for each value."""
    about = {"document": _job} | environment()
    entries = {"environment": about} | {key: _values[key] for key in sorted(_values)}
    lines = [f" {json.dumps(key)}: {json.dumps(entry)}" for key, entry in entries.items()]
    _replace(ROOT / "results.json", "{\n" + ",\n".join(lines) + "\n}\n")


def _write_tex(state: str, failure: str = "") -> None:
    reasons = [" ".join(line.split()) for line in failure.splitlines()]
    lines = [
        "% Written by literate/results.py at each run; edit nothing here.",
        rf"\resultstate{{{state}}}{{{_message(' '.join(reasons))}}}",
        *(rf"\resultwarning{{{_message(text)}}}" for text in dict.fromkeys(_warnings)),
        rf"\resultblocks{{{_digest_of_blocks()}}}",
        *(f"% failure {reason}" for reason in reasons if reason),
        *(rf"\resultvalue{{{key}}}{shown}" for key, shown in sorted(_printed.items())),
        *(rf"\claimstate{{{c}}}{{{'no' if why else 'yes'}}}" for c, why in _claims.items()),
        f"% claims {_n_claims}",
        f"% in {_folder}",
        *(
            f"% read {digest} {kind} {name}"
            for (kind, name), digest in sorted(inputs.of_run().items())
        ),
    ]
    if state == "complete":
        written = (name for name in inputs.of_run().written if not name.startswith(".."))
        written = [name for name in written if (ROOT / name).is_file()] + ["results.json"]
        lines += [f"% wrote {inputs.current('file', name)} file {name}" for name in sorted(written)]
    lines.append("% end")
    _replace(ROOT / "results.tex", "\n".join(lines) + "\n")


def _message(text: str) -> str:
    # pdfLaTeX stops at a character that its fonts lack, and this line must never fail.
    shown = tex.text(" ".join(text.split())[:400].encode("ascii", "replace").decode())
    return shown.replace("/", r"/\allowbreak{}")


def _replace(path: Path, contents: str) -> None:
    """Write a file completely or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(contents, encoding="utf-8")
    new.replace(path)
