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


class Progress:
    """A progress bar on the terminal where latexmk was started; elsewhere a line now and then.

    PythonTeX keeps what blocks print, so latexmk.pl names its own output in PYCODE_PROGRESS.  If
    that cannot be opened (a socket cannot, and not every system has /proc) nothing is shown.
    Nothing is shown either if there is nothing to do.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done, self.start = total, 0, monotonic()
        self.stream = _stream(os.environ.get("PYCODE_PROGRESS")) if total else None
        self.bar: Any = None

    def __enter__(self) -> "Progress":
        if self.stream and self.stream.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=self.total, desc=_step(), file=self.stream, leave=False, dynamic_ncols=True
            )
        return self

    def update(self) -> None:
        """Count one more call as done."""
        global _said
        self.done += 1
        if self.bar is not None:
            self.bar.update()
        elif self.stream and monotonic() - _said >= SECONDS:
            from tqdm import tqdm

            _said = monotonic()
            elapsed = _said - self.start
            line = tqdm.format_meter(
                self.done, self.total, elapsed, ncols=79, prefix=_step(), ascii=True
            )
            self.stream.write(line + "\n")

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()


class _Stream(io.TextIOWrapper):
    """A stream that loses what is written, without an error, once nobody can receive it."""

    def write(self, text: str) -> int:
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
