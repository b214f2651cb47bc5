"""The calls that are made: each has a backend of its own, so that none lives on what another left."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from tests.faults.expected import CONNECT, FAULTS, SILENCE, TOTAL, Expected

DOORS: Final = ("sdk", "raw", "grpc")


class Case(NamedTuple):
    """One call, or several of a kind."""

    fault: str
    door: str
    streamed: bool
    second: bool
    #: Of several that are alike.
    tag: str = ""

    @property
    def name(self) -> str:
        """The model that callers ask for, and the backend of the first candidate."""
        form = "stream" if self.streamed else "whole"
        return f"{self.fault}.{self.door}.{form}.{'second' if self.second else 'alone'}{self.tag}"

    def expected(self) -> Expected | None:
        """What the table says of it."""
        row = FAULTS[self.fault]
        found = row.streamed if self.streamed else row.whole
        return found.with_second() if found is not None and self.second else found


def forms(fault: str, *, second: bool = False, tag: str = "") -> list[Case]:
    """Return a fault through every door, streamed and not."""
    return [Case(fault, door, streamed, second, tag) for door in DOORS for streamed in (False, True)]


def by_the_table() -> Iterator[Case]:
    """Yield every case that the table has a cell for."""
    for fault in FAULTS:
        for second in (False, True):
            yield from (case for case in forms(fault, second=second) if case.expected() is not None)


#: What callers leave, by when they do: the fault whose call they leave.
LEFT: Final = {
    "before-content": "endless_drip",
    "in-mid-stream": "drip_after_content",
    "in-a-pause": "429_patient",
}


def of_callers() -> Iterator[Case]:
    """Yield the cases in which the caller misbehaves, and that of a candidate that comes and goes."""
    for when, fault in LEFT.items():
        yield from forms(fault, tag=f".{when}")
    for second in (False, True):
        yield from forms("flapping", second=second)
    yield from (case for case in forms("endless_body", tag=".slow") if case.streamed)


def config(cases: Iterable[Case], ports: dict[str, int]) -> str:
    """Return the gateway's configuration. ``ports``: by fault, with "" for all others."""
    backends, models = [], []
    for case in cases:
        name, fault = case.name, case.fault
        port = ports.get(fault, ports[""])
        backends.append(_backend(name, port, f"{name}/{fault}"))
        candidates = [f"{name}/m"]
        if case.second:
            backends.append(_backend(f"{name}-2", ports[""], f"{name}-2/healthy"))
            candidates.append(f"{name}-2/m")
        models.append(f'  "{name}": [{", ".join(candidates)}]')
    return "\n".join(
        [
            "admin: 127.0.0.1:0",
            f"timeouts: {{connect: {CONNECT}s, silence: {SILENCE}s, total: {TOTAL}s}}",
            "backends:",
            *backends,
            "models:",
            *models,
            "",
        ]
    )


def _backend(name: str, port: int, path: str) -> str:
    return f'  {name}: {{dialect: openai, url: "http://127.0.0.1:{port}/{path}/v1", models: [m]}}'
