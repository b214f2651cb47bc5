"""What the workers of one gateway tell, gathered: the metrics of all are sums, those of the ended too.

Each worker tells at a socket of its own, and leaves its last words in a file beside it when it ends. What one
that was killed had counted since it was last asked is lost with it.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest

from portico.v1.gateway_pb2 import GetStatusResponse
from portico_facade.merged import merged, totals
from portico_facade.merged_status import merged_status
from portico_facade.telling import ask

#: What a worker tells of itself, and the supervisor of all: two sets of metrics, and a GetStatusResponse.
FACADE: Final = "facade"
CORE: Final = "core"
STATUS: Final = "status"

#: Seconds that one worker has to answer: less than whoever asks for all of them waits.
_PATIENCE: Final = 1.0
#: For the status, which probes ask for.
_SHORT_PATIENCE: Final = 0.4


def own(folder: Path) -> Path:
    """Return where a worker may tell of itself: never where one did before, as process ids come again."""
    return folder / f"worker-{secrets.token_hex(4)}.sock"


def of_all(folder: Path) -> Path:
    """Return where the supervisor tells of all workers."""
    return folder / "all.sock"


def _tellers(folder: Path) -> set[Path]:
    """Return where workers tell of themselves, or did before they ended."""
    return set(folder.glob("worker-*.sock"))


def state_of_all(folder: Path) -> Path:
    """Return where the supervisor keeps what the workers share."""
    return folder / "state.sock"


def leave_behind(path: Path, texts: Mapping[str, bytes]) -> None:
    """Write last words, which nobody is there to tell any more at ``path``."""
    for name, text in texts.items():
        # Whoever reads it finds all of it or nothing.
        part = path.with_suffix(f".{name}.part")
        part.write_bytes(text)
        part.rename(path.with_suffix(f".{name}"))


def text_of(told: Callable[[], Awaitable[CollectorRegistry]]) -> Callable[[], Awaitable[bytes]]:
    """Return what writes metrics in Prometheus' text format."""

    async def text() -> bytes:
        # Thousands of lines take milliseconds, which the calls under way must not wait for.
        return await asyncio.to_thread(generate_latest, await told())

    return text


class Gathering:
    """The sums of one set of metrics. None of them ever falls but gauges."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder: Final = folder
        self._name: Final = name
        # What each told last, who has ended, and what those counted.
        self._last: dict[Path, str] = {}
        self._ended: set[Path] = set()
        self._past = ""
        # Of two who ask, the later must not be told what is older.
        self._one_by_one: Final = asyncio.Lock()

    async def __call__(self) -> CollectorRegistry:
        """Return the sums. Who does not answer in time counts as when it last did."""
        async with self._one_by_one:
            paths = sorted(_tellers(self._folder) - self._ended)
            texts = await asyncio.gather(*(self._told_by(path) for path in paths))
            ended = [path for path, text in zip(paths, texts, strict=True) if text is None]
            for path, text in zip(paths, texts, strict=True):
                if text is not None:
                    self._last[path] = text
            return await asyncio.to_thread(self._sums, ended)

    def _sums(self, ended: list[Path]) -> CollectorRegistry:
        """Add up; what has ended goes over to the past."""
        for path in ended:
            last = path.with_suffix(f".{self._name}")
            text = last.read_text() if last.exists() else self._last.get(path, "")
            self._past = totals(generate_latest(merged([self._past, text])).decode())
            self._last.pop(path, None)
            self._ended.add(path)
        return merged([self._past, *self._last.values()])

    async def _told_by(self, path: Path) -> str | None:
        """Return what a worker tells, or told last. None: it has ended."""
        try:
            return (await ask(path, self._name, _PATIENCE)).decode() or self._last.get(path, "")
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError:
            # It hangs, maybe for so long that more wait at its socket than the system holds.
            return self._last.get(path, "")


async def status_of_all(folder: Path) -> bytes:
    """Return how the workers are, less those that do not say so at once."""
    asked = (ask(path, STATUS, _SHORT_PATIENCE) for path in _tellers(folder))
    told = await asyncio.gather(*asked, return_exceptions=True)
    statuses = [GetStatusResponse.FromString(each) for each in told if isinstance(each, bytes) and each]
    return merged_status(statuses).SerializeToString()
