"""The core's admin port: GET /metrics over HTTP/1.1, one answer per connection.

As much of HTTP as a scraper speaks: the core has no web server, and needs none for this.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry

from portico.tallies import encoder

_log: Final = logging.getLogger("portico.admin")

#: Gives what is to be told: this process's metrics, or those of several.
Metrics: TypeAlias = Callable[[], Awaitable[CollectorRegistry]]

#: Seconds for a whole exchange, and bytes for the headers of a request.
_PATIENCE: Final = 10.0
_HEAD_BYTES: Final = 16 * 1024

_TEXT: Final = "text/plain; charset=utf-8"


@contextlib.asynccontextmanager
async def admin(metrics: Metrics, listen: str | None) -> AsyncIterator[str | None]:
    """Serve ``metrics`` while the block runs; ``listen`` is HOST:PORT, and None serves nothing.

    Yields the address with the port that was chosen. Raises OSError where it cannot be listened on.
    """
    if listen is None:
        yield None
        return
    running: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve(reader, writer, metrics))
        running.add(task)
        task.add_done_callback(running.discard)

    host, _, port = listen.rpartition(":")
    try:
        server = await asyncio.start_server(accepted, host.strip("[]"), int(port), limit=_HEAD_BYTES)
    except OSError as error:
        # asyncio adds the address to what the system says; what a resolver says has a number below 0.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        raise OSError(error.errno, f"cannot listen on {listen}: {reason}") from None
    address = f"{host}:{server.sockets[0].getsockname()[1]}"
    _log.info("metrics are at http://%s/metrics", address)
    try:
        yield address
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, metrics: Metrics) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(await _answer(head.decode("latin-1"), metrics))
            await writer.drain()
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # Whoever it was did not want metrics.
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _answer(head: str, metrics: Metrics) -> bytes:
    request, *lines = head.split("\r\n")
    method, _, rest = request.partition(" ")
    if rest.partition(" ")[0].partition("?")[0] != "/metrics":
        return _response("404 Not Found", _TEXT, b"The metrics are at /metrics.\n")
    if method != "GET":
        return _response("405 Method Not Allowed", _TEXT, b"GET is all there is.\n", "Allow: GET\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    encode, kind = encoder(headers.get("accept", ""))
    # Thousands of lines take milliseconds, which the calls under way must not wait for.
    return _response("200 OK", kind, await asyncio.to_thread(encode, await metrics()))


def _response(status: str, kind: str, body: bytes, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"{more}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
