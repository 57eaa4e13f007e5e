"""Shows how far a build is, to whoever started it."""

import functools
import io
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

SECONDS = 10  # between lines, where no bar can move

_said = float("-inf")


class Progress:
    """A bar on the terminal where latexmk was started; in a file or pipe a line now and then.

    PythonTeX keeps what blocks print, so latexmk.pl names its own output in PYCODE_PROGRESS.
    If that cannot be opened (a socket cannot, nor is there /proc on every system) nothing is
    shown, and nothing if there is nothing to do.
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
        """Nothing; one more is done."""
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
    """What is written here is lost, not an error, if nobody can take it any more."""

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
    """The block that runs, and of how many: PythonTeX's script has them all."""
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
