"""Texts that the processes of one gateway ask each other for over a Unix socket: one line, one text.

The socket stands in the gateway's own folder, which no other user may reach.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

#: Seconds for a whole exchange.
_PATIENCE: Final = 5.0


@contextlib.asynccontextmanager
async def telling(path: Path, texts: Mapping[str, Callable[[], Awaitable[bytes]]]) -> AsyncIterator[None]:
    """Tell ``texts`` to whoever asks at ``path`` for one by its name, while the block runs."""

    async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(_PATIENCE):
                name = (await reader.readline()).decode().strip()
                if name in texts:
                    writer.write(await texts[name]())
                    await writer.drain()

    server = await asyncio.start_unix_server(asked, path)
    try:
        yield
    finally:
        server.close()


async def ask(path: Path, name: str, patience: float = _PATIENCE) -> bytes:
    """Return the text of a name.

    Raises TimeoutError where it is not told within ``patience`` seconds, and any other OSError where nobody
    is there to tell it.
    """
    async with asyncio.timeout(patience):
        reader, writer = await asyncio.open_unix_connection(path)
        with contextlib.closing(writer):
            writer.write(f"{name}\n".encode())
            return await reader.read()
