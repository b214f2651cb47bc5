"""How the lines of the log are written: each request has two, so what each costs counts."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from typing import TextIO


class LineFormatter(logging.Formatter):
    """Time, level, logger and message; asks the calendar once a second."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s %(message)s")
        self._second = 0
        self._told = ""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        if record.exc_info or record.stack_info:
            return super().format(record)
        second = int(record.created)
        if second != self._second:
            self._told = time.strftime(self.default_time_format, time.localtime(second))
            self._second = second
        when = f"{self._told},{int(record.msecs):03d}"
        return f"{when} {record.levelname:<7} {record.name} {record.getMessage()}"


class TurnWriter:
    """A stream for ``logging`` that writes the lines of one turn of the event loop together.

    Each write wakes whoever reads it. Where no loop runs a line is written at once, and so is what is left at
    the end, when ``logging`` flushes its streams. Other threads may log; ``logging`` lets in one at a time.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[str] = deque()
        #: The loop that will write.
        self._due: asyncio.AbstractEventLoop | None = None

    def write(self, line: str) -> None:
        """Keep a line."""
        self._lines.append(line)

    def flush(self) -> None:
        """See that what is kept is written."""
        if self._due is not None and self._due.is_running():
            return
        try:
            self._due = asyncio.get_running_loop()
        except RuntimeError:
            self._write()
        else:
            self._due.call_soon(self._write)

    def _write(self) -> None:
        self._due = None
        lines: list[str] = []
        with contextlib.suppress(IndexError):
            while True:
                # One by one: another thread may be doing the same.
                lines.append(self._lines.popleft())
        self._stream.write("".join(lines))
        self._stream.flush()
