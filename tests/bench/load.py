"""A load generator that costs little: keep-alive connections that each ask again and again.

``python -m tests.bench.load URL MODEL CONNECTIONS REQUESTS stream|whole`` prints one line of JSON with the
times of all requests (seconds), and for streams the times to the first token and the tokens seen.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class _Tally:
    left: int
    seconds: list[float] = field(default_factory=list)
    first_token: list[float] = field(default_factory=list)
    tokens: int = 0
    failures: int = 0


async def _client(host: str, port: int, request: bytes, stream: bool, tally: _Tally) -> None:
    reader, writer = await asyncio.open_connection(host, port, limit=2**20)
    while tally.left > 0:
        tally.left -= 1
        start = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:20]:
            tally.failures += 1
            break
        if not stream:
            await reader.readexactly(
                int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            )
        else:
            await _read_stream(reader, start, tally)
        tally.seconds.append(time.perf_counter() - start)
    writer.close()


async def _read_stream(reader: asyncio.StreamReader, start: float, tally: _Tally) -> None:
    body = b""
    first = True
    while not body.endswith(b"0\r\n\r\n"):
        piece = await reader.read(65536)
        if not piece:
            break
        body += piece
        if first and b" token" in body:
            tally.first_token.append(time.perf_counter() - start)
            first = False
    tally.tokens += body.count(b'" token"')
    # Not [DONE]: a proxy may cut its chunks in the middle of the word.
    if not body.endswith(b"0\r\n\r\n"):
        tally.failures += 1


async def _main(url: str, model: str, connections: int, requests: int, stream: bool) -> None:
    parts = urlsplit(url)
    body = {
        "model": model,
        "stream": stream,
        "messages": [{"role": "user", "content": "How is it going? " * 8}],
    }
    payload = json.dumps(body).encode()
    request = (
        f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    ).encode() + payload
    tally = _Tally(requests)
    start = time.perf_counter()
    host, port = parts.hostname or "", parts.port or 80
    await asyncio.gather(*(_client(host, port, request, stream, tally) for _ in range(connections)))
    report = {
        "elapsed": time.perf_counter() - start,
        "seconds": tally.seconds,
        "first_token": tally.first_token,
        "tokens": tally.tokens,
        "failures": tally.failures,
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "stream"))
