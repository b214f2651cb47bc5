"""What a target holds: while streams wait, and while a client does not read."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, cast

from tests.bench.answers import Ask
from tests.bench.client import LAST_CHUNK, Client, Tally
from tests.bench.meters import rss_bytes
from tests.bench.spec import Spec

#: Streams that are opened at a time, and seconds for one to begin.
_AT_ONCE: Final = 64
_PATIENCE: Final = 60
#: Below the 30 s after which the gateway takes a silent backend for broken.
_PAUSE_MS: Final = 20_000
#: Seconds without a read, and between two looks at the memory.
_STALL: Final = 10.0
_LOOK: Final = 0.05
_BYTES: Final = 215_000_000
_TOKEN_BYTES: Final = 2_000


class _Held(asyncio.Protocol):
    """A stream of which the first token is waited for."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._seen = b""
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's class.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.began.done():
            self._seen += data
            if b"@0" in self._seen:
                self.began.set_result(None)
            elif self._seen.endswith((b"}", LAST_CHUNK)):
                self._refuse()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True
        self._refuse()

    def _refuse(self) -> None:
        if not self.began.done():
            self.began.set_exception(RuntimeError(f"the stream did not begin: {self._seen[:600]!r}"))


async def held(url: str, model: str, counts: Sequence[int], seen: Callable[[int], None]) -> None:
    """Open streams; call ``seen`` when so many as each count are open, and close all in the end.

    Raises RuntimeError where one does not begin or is lost.
    """
    # The longest lasts until everything is open.
    spec = Spec(url, 1, model, stream=True, ask=Ask(tokens=1_000, pace=_PAUSE_MS))
    request, loop = spec.request(), asyncio.get_running_loop()
    open_now: list[_Held] = []
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one() -> None:
        async with gate, asyncio.timeout(_PATIENCE):
            _, stream = await loop.create_connection(lambda: _Held(request), *spec.address)
            open_now.append(stream)
            await stream.began

    try:
        for count in counts:
            await asyncio.gather(*(one() for _ in range(count - len(open_now))))
            # Until the last answers' work is done.
            await asyncio.sleep(1)
            if lost := sum(stream.lost for stream in open_now):
                raise RuntimeError(f"{lost} of {count} streams were lost")
            seen(count)
    finally:
        for stream in open_now:
            stream.transport.abort()


class _Stopping(Client):
    """A client that reads nothing for a while after its first token."""

    _stopped = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._stopped and b"@0" in data:
            self._stopped = True
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(_STALL, self._transport.resume_reading)


async def slow(url: str, model: str, pids: Sequence[int]) -> dict[str, float]:
    """Read 215 MB after a pause; return the memory before and by how much it grew at most."""
    ask = Ask(tokens=_BYTES // _TOKEN_BYTES, size=_TOKEN_BYTES)
    spec = Spec(url, 1, model, stream=True, ask=ask, requests=1)
    tally = Tally(1, float("inf"))
    before = most = rss_bytes(pids)
    began = time.monotonic()
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: _Stopping(spec, spec.request(), tally), *spec.address
    )
    while not client.over.done():
        await asyncio.wait([client.over], timeout=_LOOK)
        most = max(most, rss_bytes(pids))
    client.over.result()
    return {"before": before, "growth": most - before, "elapsed": time.monotonic() - began}
