"""The calls of the rows of ``mended``, and how they went."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.faults.cases import DOORS
from tests.faults.doors import Door, Saw, through
from tests.faults.expected import Kind
from tests.faults.mended import BY_FIRST, BY_SECOND, ROWS, Row
from tests.faults.server import Call
from tests.faults.stand import Stand, started, until, upstream

#: Seconds of the backends' silence: one that loses a race must not be silent for so long before.
SILENCE: Final = 1.5


class Asked(NamedTuple):
    """One call of a row."""

    number: int
    door: str
    streamed: bool

    @property
    def row(self) -> Row:
        return ROWS[self.number]

    @property
    def name(self) -> str:
        """The model that callers ask for, and the backend of the first candidate."""
        return f"mended-{self.number}.{self.door}.{'stream' if self.streamed else 'whole'}"

    @property
    def backends(self) -> Mapping[str, str]:
        """Name and fault of each candidate's backend."""
        second = {f"{self.name}-2": self.row.second} if self.row.second else {}
        return {self.name: self.row.first, **second}


def calls_of(number: int) -> list[Asked]:
    """Return the calls of a row: each through every door, those that hedge unstreamed too."""
    forms = (False, True) if ROWS[number].hedges else (True,)
    return [Asked(number, door, streamed) for door in DOORS for streamed in forms]


def all_calls() -> Iterator[Asked]:
    for number in range(len(ROWS)):
        yield from calls_of(number)


def config(calls: Iterable[Asked], port: int, further: Mapping[str, str], models: Iterable[str]) -> str:
    """Return the configuration; ``further``: name and fault of other backends, ``models``: their lines."""
    backends, lines = dict(further), list(models)
    for asked in calls:
        backends |= asked.backends
        lines.append(model(asked.name, asked.backends, asked.row.policy))
    head = ["admin: 127.0.0.1:0", f"timeouts: {{silence: {SILENCE}s}}", "backends:"]
    made = (_backend(name, fault, port) for name, fault in backends.items())
    return "\n".join([*head, *made, "models:", *lines, ""])


def model(name: str, backends: Iterable[str], policy: str) -> str:
    """Return the line of a model."""
    candidates = ", ".join(f"{each}/m" for each in backends)
    return f'  "{name}": {{candidates: [{candidates}], {policy}}}'


def _backend(name: str, fault: str, port: int) -> str:
    how = ", continues: last_message" if fault == "goes_on" else ""
    url = f"http://127.0.0.1:{port}/{name}/{fault}/v1"
    return f'  {name}: {{dialect: openai, url: "{url}", models: [m]{how}}}'


@contextlib.contextmanager
def stand(
    folder: Path,
    backends: Mapping[str, str] | None = None,
    models: Sequence[str] = (),
    layout: str = "halves",
) -> Iterator[Stand]:
    """Run a gateway over these calls, and over further backends (name and fault) and models (lines)."""
    with (
        upstream() as (_, ports),
        started(folder, config(all_calls(), ports[""], backends or {}, models), layout) as halves,
    ):
        yield Stand(ports[""], *halves)


async def complaints(running: Stand, ways: Mapping[str, Door], number: int) -> list[str]:
    """Make the calls of a row side by side; return where one went another way than the table says."""
    calls = calls_of(number)
    seen = await asyncio.gather(
        *(through(ways[each.door], each.name, streamed=each.streamed) for each in calls)
    )
    made: dict[str, list[Call]] = {}

    def over() -> bool:
        made.update({name: running.calls(name) for each in calls for name in each.backends})
        return all(call.ended for each in made.values() for call in each)

    await until(over, lambda: f"connections are left: {made}")
    await running.quiet()
    lost = running.core.samples("portico_attempts_total")
    return [
        f"{asked.name}: {words}; {saw}"
        for asked, saw in zip(calls, seen, strict=True)
        for words in (*_of_the_caller(asked, saw), *_of_the_upstream(asked, made, lost))
    ]


def _of_the_caller(asked: Asked, saw: Saw) -> Iterator[str]:
    row = asked.row
    if (saw.kind, saw.code, saw.text) != (row.kind, row.code, row.text):
        yield f"ended as {saw.kind}, {saw.code}, not as {row.kind}, {row.code}"
    by = asked.name if row.by == BY_FIRST else f"{asked.name}-2"
    if row.kind is not Kind.ERROR and saw.by != by:
        yield f"by {saw.by}, not by {by}"


def _of_the_upstream(
    asked: Asked, made: Mapping[str, list[Call]], attempts: Mapping[str, float]
) -> Iterator[str]:
    row = asked.row
    for number, name in enumerate(asked.backends):
        calls = made[name]
        if len(calls) != row.calls[number]:
            yield f"{name} was called {len(calls)} times"
        if not row.hedges:
            continue
        left = row.left == (BY_FIRST, BY_SECOND)[number]
        if left != all(call.end.startswith("gateway") for call in calls):
            yield f"{name}: {calls}"
        counted = attempts.get(f'portico_attempts_total{{backend="{name}",result="hedged"}}', 0)
        if counted != left:
            yield f"{name}: {counted} attempts are counted as hedged"
