"""The tables of docs/performance.md: what is put on the targets, and which figures are told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from tests.bench.answers import Ask


class How(Enum):
    """How a table comes about."""

    LOADS = "each load on all targets that run, in turn"
    WORKERS = "the same on the gateway alone, once for each number of workers"
    DIRECT = "the same on the bare upstream alone"
    MEMORY = "streams held open, on a fresh start of each target"
    SLOW = "a client that does not read, on a fresh start"
    COLD = "the time of a fresh start to its first answer"


@dataclass(frozen=True)
class Column:
    """A figure, and how it is written."""

    title: str
    key: str
    factor: float = 1
    decimals: int = 0


@dataclass(frozen=True)
class Load:
    """A load by its name, and its part of a ``Spec``."""

    name: str
    #: Members of the spec that are not its defaults.
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A table, or one for each load."""

    name: str
    heading: str
    columns: tuple[Column, ...]
    loads: tuple[Load, ...] = ()
    how: How = How.LOADS
    #: One table for each column, in which the loads are the columns: to see how a figure grows.
    across: bool = False
    notes: str = ""


_RATE: Final = Column("requests/s", "requests/s")
_ADDED: Final = Column("added p50 ms", "added p50", 1e3, 2)
_CPU: Final = Column("CPU us/request", "CPU", 1e6)
_RSS: Final = Column("RSS MB", "RSS bytes", 1e-6)
_TOKENS: Final = Column("tokens/s", "tokens/s")
_FIRST: Final = Column("first token p50 ms", "first token", 1e3, 2)
_ADDED_FIRST: Final = Column("added", "added first token", 1e3, 2)
_GAP: Final = Column("gap p99 ms", "gap p99", 1e3, 2)
_LAG: Final = Column("lag p50 ms", "lag p50", 1e3, 2)
_LAG_99: Final = Column("lag p99 ms", "lag p99", 1e3, 2)
_CPU_TOKEN: Final = Column("CPU us/token", "CPU a token", 1e6, 1)

_AT: Final = (1, 32, 128)
_REQUESTS: Final = tuple(Load(f"requests, c={at}", {"connections": at}) for at in _AT)
_STREAMS: Final = tuple(Load(f"streams, c={at}", {"connections": at, "stream": True}) for at in (1, 64, 256))
_PACED: Final = tuple(
    Load(
        f"{at} streams, a token each {pace} ms",
        {"connections": at, "requests": at, "stream": True, "ask": Ask(tokens, pace), "ramp": ramp},
    )
    for at, pace, tokens, ramp in ((256, 20, 200, 1.0), (2000, 100, 100, 4.0))
)
_SIZES: Final = (("1 KB", 1_000), ("32 KB", 32_000), ("1 MB", 1_000_000))

#: How many streams are held open at a time.
HELD: Final = (10, 100, 1_000, 10_000)

TABLES: Final = (
    Table(
        "requests",
        "Requests",
        (
            _RATE,
            Column("p50 ms", "p50", 1e3, 2),
            Column("p99 ms", "p99", 1e3, 2),
            _ADDED,
            _CPU,
            _RSS,
        ),
        _REQUESTS,
    ),
    Table(
        "streams",
        "Streams, unpaced",
        (_TOKENS, _FIRST, _ADDED_FIRST, _GAP, _LAG_99, _CPU_TOKEN),
        _STREAMS,
        notes="200 tokens, each written by itself, as fast as the sockets take them. A gap is between two "
        "reads of a stream; the lag is from the upstream's write of a token to its being read.",
    ),
    Table(
        "paced",
        "Streams at the pace of a model",
        (_TOKENS, _FIRST, _ADDED_FIRST, _LAG, _LAG_99, _GAP, _CPU_TOKEN, _RSS),
        _PACED,
    ),
    Table(
        "sizes",
        "Growth with size",
        (_CPU, _ADDED),
        tuple(Load(f"request of {name}", {"connections": 8, "payload": size}) for name, size in _SIZES)
        + tuple(Load(f"answer of {name}", {"connections": 8, "ask": Ask(size=size)}) for name, size in _SIZES)
        + (Load("200 messages, 40 KB", {"connections": 8, "messages": 200}),),
        across=True,
        notes="8 requests at a time.",
    ),
    Table(
        "workers",
        "Growth with workers",
        (_RATE, _CPU, _TOKENS, _CPU_TOKEN),
        (_REQUESTS[1], _STREAMS[1]),
        How.WORKERS,
    ),
    Table(
        "memory",
        "Memory of open streams",
        (
            Column("RSS after start MB", "start", 1e-6),
            *(Column(f"KiB a stream, {held:,}", str(held), 1 / 1024, 1) for held in HELD),
        ),
        how=How.MEMORY,
        notes="Streams that have had their first token and wait for the next: growth of all processes over "
        "what they held after 200 requests and 20 streams. With few, what is taken in advance shows.",
    ),
    Table(
        "slow",
        "A reader that stops",
        (
            Column("RSS before MB", "before", 1e-6),
            Column("growth MB", "growth", 1e-6, 1),
            Column("s", "elapsed", 1, 1),
        ),
        how=How.SLOW,
        notes="A stream of 215 MB, whose client reads nothing for 10 s after its first token, then all.",
    ),
    Table(
        "cold",
        "Cold start",
        (Column("s to the first answer", "cold", 1, 2), Column("RSS MB", "RSS bytes", 1e-6)),
        how=How.COLD,
    ),
    Table(
        "harness",
        "The load generator and the upstream themselves",
        (
            _RATE,
            _TOKENS,
            Column("generator us/request", "generator CPU", 1e6),
            Column("upstream us/request", "upstream CPU", 1e6),
            Column("generator us/token", "generator CPU a token", 1e6, 1),
            Column("upstream us/token", "upstream CPU a token", 1e6, 1),
        ),
        (*_REQUESTS[1:], *_STREAMS[1:]),
        How.DIRECT,
        notes="Without a gateway between them: nothing that is measured can be faster.",
    ),
)
