"""The lines of the log, as they are written."""

import asyncio
import io
import logging
import sys
import threading

from portico_facade.cli.log_lines import LineFormatter, TurnWriter


class Counted(io.StringIO):
    """Counts what would be system calls."""

    writes = 0

    def write(self, text: str, /) -> int:
        self.writes += 1
        return super().write(text)


def logger_to(stream: io.StringIO) -> logging.Logger:
    """Return a logger of its own."""
    logger = logging.Logger("lines")  # noqa: LOG001 - that nobody else has
    logger.addHandler(logging.StreamHandler(TurnWriter(stream)))
    return logger


async def test_lines_of_one_turn_are_one_write() -> None:
    """In their order; those of the next turn are another."""
    stream = Counted()
    logger = logger_to(stream)
    for turn in range(2):
        logger.info("a %d", turn)
        logger.warning("b %d", turn)
        await asyncio.sleep(0)
    assert (stream.getvalue(), stream.writes) == ("a 0\nb 0\na 1\nb 1\n", 2)


def test_without_a_loop_a_line_is_written_at_once() -> None:
    stream = Counted()
    logger_to(stream).info("a")
    assert stream.getvalue() == "a\n"


def test_nothing_is_lost_with_the_loop_or_to_another_thread() -> None:
    """A loop may end before its turn does, and threads have none."""
    stream = Counted()
    logger = logger_to(stream)

    async def main() -> None:
        await asyncio.to_thread(logger.info, "in a thread")
        logger.info("last words")
        asyncio.get_running_loop().stop()

    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    loop.run_forever()
    loop.close()
    assert task.done()
    thread = threading.Thread(target=logger.info, args=("afterwards",))
    thread.start()
    thread.join()
    assert stream.getvalue() == "in a thread\nlast words\nafterwards\n"


def test_a_line_is_what_logging_makes_of_it() -> None:
    """Traceback and all."""
    records = [logging.LogRecord("a.b", level, "", 1, "%s!", ("hello",), None) for level in (20, 30, 50)]
    try:
        raise ValueError("oh")
    except ValueError:
        records.append(logging.LogRecord("a", 40, "", 1, "failed", (), sys.exc_info()))
    usual = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s %(message)s")
    quick = LineFormatter()
    for record in records:
        for later in (0.0, 0.25, 1.0, -3600.0):
            record.created += later
            assert quick.format(record) == usual.format(record)
