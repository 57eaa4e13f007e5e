"""The progress of a build, shown to whoever started it."""

import functools
import io
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

SECONDS = 10  # between lines, where there is no bar

_said = float("-inf")


def progress(total: int) -> Any:
    """Return a tqdm bar for the terminal where latexmk was started; elsewhere, for lines.

    PythonTeX keeps what blocks print, so latexmk.pl names its own output in PYCODE_PROGRESS.  If
    that cannot be opened (a socket cannot, and not every system has /proc) nothing is shown.
    """
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread, which a process that a block forks would lack
    stream = _stream(os.environ.get("PYCODE_PROGRESS"))
    if stream is None:
        return tqdm(disable=True)
    bar = stream.isatty()
    width: dict[str, Any] = {"dynamic_ncols": True} if bar else {"ncols": 79, "ascii": True}
    return tqdm(total=total, desc=_step(), file=stream, leave=False, **width)


class _Stream(io.TextIOWrapper):
    """A stream that loses what is written, without an error, once nobody can receive it.

    What is no terminal gets a bar now and then, as a line of its own.
    """

    def write(self, text: str) -> int:
        global _said
        if not self.isatty():
            if not text.strip() or monotonic() - _said < SECONDS:
                return len(text)
            _said = monotonic()
            text = f"{text.strip()}\n"
        with suppress(OSError):  # a terminal closed, a reader gone
            super().write(text)
        return len(text)


@functools.cache
def _stream(path: str | None) -> TextIO | None:
    try:
        # Without waiting for a reader, and without making a terminal this process's own.
        file = os.open(path or "", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    raw: Any = io.FileIO(file, "w")  # nothing is buffered, which could be an error at the end
    return _Stream(raw, encoding="utf-8", write_through=True)


def _step() -> str:
    """Return which block is running, and of how many.

    PythonTeX's script has all of them.
    """
    main = sys.modules["__main__"]
    if not hasattr(main, "pytex") or not main.__file__:
        return ""
    script = Path(main.__file__).read_text(encoding="utf-8")
    blocks = re.findall(
        r"^pytex\.command = '(?!i')\w+'.*?^pytex\.line = '(\d+)'", script, re.M | re.S
    )
    line = str(main.pytex.line)
    at = f"block {blocks.index(line) + 1} of {len(blocks)}, " if line in blocks else ""
    return f"{at}line {line}"
