"""The table of docs/resilience.md, made of a run: ``python -m tests.faults.table``, or ``scripts/faults``.

A run that went another way than ``expected`` says writes nothing. What the table says of outcomes is that
of ``expected``; when the upstream was called is what the run saw.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from tests.faults import mended, mended_calls, test_callers, test_mended, test_processes, test_queues
from tests.faults.cases import by_the_table
from tests.faults.doors import doors
from tests.faults.expected import CONNECT, FAULTS, SILENCE, TOTAL, Expected, Kind
from tests.faults.judge import Observed, complaints, observe
from tests.faults.stand import Stand, stand

PAGE: Final = Path(__file__).parents[2] / "docs" / "resilience.md"

_BEGIN: Final = "<!-- made by scripts/faults: begin -->"
_END: Final = "<!-- made by scripts/faults: end -->"

_HEAD: Final = f"""\
## What comes of each fault

Each row is a backend that misbehaves on the wire, a process of its own behind a core and a facade in theirs.
Every cell was asked through OpenAI's SDK, as plain HTTP and by gRPC, and all three came to the same; *alone*
the model has this one candidate, *with a second* a healthy one behind it. *Calls* are those at the first
candidate, and the pauses between them. Afterwards no call, attempt, request or connection was under way. The
limits were short: connect {CONNECT:g} s, silence {SILENCE:g} s, {TOTAL:g} s in all for an unstreamed call.
`tests/faults` makes and judges these calls.

| the backend | unstreamed, alone | streamed, alone | with a second | calls |
|---|---|---|---|---|
"""


_BESIDE: Final = """
Callers who leave or read slowly, and processes that are killed, paused, stopped and reloaded while calls run:

| what happens | what comes of it |
|---|---|
"""

_MENDED: Final = """
What the `broken` and the `hedge` of a model make of faults. Each row was asked as above: streamed, and those
that hedge unstreamed too. *Calls* are those at the first and at the second candidate.

| the model | the first backend | what the caller gets | calls |
|---|---|---|---|
"""


def rows(pauses: Mapping[str, str]) -> Iterator[str]:
    """Yield a row per fault. ``pauses``: what a run saw between the calls of each."""
    for name, fault in FAULTS.items():
        forms = [each for each in (fault.whole, fault.streamed) if each is not None]
        seconds = dict.fromkeys(_words(each.with_second()) for each in forms)
        tries = dict.fromkeys(str(each.tries) for each in forms)
        cells = (fault.does, _cell(fault.whole), _cell(fault.streamed), " / ".join(seconds))
        yield f"| {' | '.join(cells)} | {' / '.join(tries)}{pauses.get(name, '')} |"


def beside() -> Iterator[str]:
    """Yield a row per test of callers and of processes: its name, and the words that it holds."""
    for module in (test_callers, test_queues, test_processes, test_mended):
        for name, found in vars(module).items():
            if name.startswith("test_") and "fault_that_is_mended" not in name:
                yield f"| {name.removeprefix('test_').replace('_', ' ')} | {found.__doc__} |"


def _cell(expected: Expected | None) -> str:
    return "-" if expected is None else _words(expected)


def _words(expected: Expected) -> str:
    if expected.kind is Kind.ANSWER:
        return "answered by the second" if expected.elsewhere else "answered"
    if expected.kind is Kind.ENDLESS:
        return "until the caller leaves"
    code = f" `{expected.code}`" if expected.code else ""
    told = f"{expected.status}{code}"
    return told if expected.kind is Kind.ERROR else f"cut, error event{code}"


def pauses_of(observed: Iterable[Observed]) -> str:
    """Tell the pauses between calls, as the median over all cases of a fault."""
    seen = [[after.at - before.at for before, after in pairwise(each.first)] for each in observed]
    columns = zip(*(each for each in seen if each), strict=False)
    told = ", ".join(f"{median(column):.1f} s" for column in columns)
    return f", after {told}" if told else ""


async def run(running: Stand) -> dict[str, list[Observed]]:
    """Make all calls of the table, one fault after the other; exit where one went another way."""
    observed: dict[str, list[Observed]] = {}
    async with doors(running.facade.address, running.core.address) as ways:
        for name, fault in FAULTS.items():
            cases = [case for case in by_the_table() if case.fault == name]
            found = observed.setdefault(name, [])
            # Heavy ones would wait for one another.
            for turn in [[case] for case in cases] if fault.heavy else [cases]:
                found += await observe(running, ways, turn)
            await running.quiet()
    wrong = [words for each in observed.values() for one in each for words in complaints(one)]
    if wrong:
        sys.exit("\n".join(wrong))
    return observed


async def run_mended(running: Stand) -> None:
    """Make the calls of each row; exit where one went another way."""
    async with doors(running.facade.address, running.core.address) as ways:
        for number in range(len(mended.ROWS)):
            if wrong := await mended_calls.complaints(running, ways, number):
                sys.exit("\n".join(wrong))


def written(page: str, table: str) -> str:
    """Return the page with the table between its markers, which stand at the end where it has none."""
    made = f"{_BEGIN}\n{table}{_END}"
    if _BEGIN not in page:
        return f"{page.rstrip()}\n\n{made}\n"
    return re.sub(f"{_BEGIN}.*{_END}", lambda _: made, page, flags=re.DOTALL)


def table_of(page: str) -> list[list[str]]:
    """Return the cells of the rows that stand on the page."""
    found = page.partition(_BEGIN)[2].partition(_END)[0]
    lines = [line for line in found.partition("\nWhat the ")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def main() -> None:
    """Run everything and write the table."""
    with tempfile.TemporaryDirectory() as folder, stand(Path(folder), by_the_table()) as running:
        observed = asyncio.run(run(running))
    with tempfile.TemporaryDirectory() as folder, mended_calls.stand(Path(folder)) as running:
        asyncio.run(run_mended(running))
    pauses = {name: pauses_of(each) for name, each in observed.items()}
    parts = (_HEAD, rows(pauses)), (_MENDED, mended.rows()), (_BESIDE, beside())
    table = "\n".join([*(head + "\n".join(lines) for head, lines in parts), ""])
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    main()
