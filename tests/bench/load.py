"""A load generator that costs little: keep-alive connections that each ask again and again.

``python -m tests.bench.load URL MODEL CONNECTIONS REQUESTS stream|whole [PACE]`` prints one line of JSON with
the times of all requests (seconds), and for streams the times to the first token and the tokens seen. With
PACE, milliseconds between two tokens of the upstream, also how late tokens come: behind the pace since their
stream's first one.
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
    #: Seconds by which tokens were late, where there is a pace.
    lags: list[float] = field(default_factory=list)
    tokens: int = 0
    failures: int = 0


async def _client(host: str, port: int, request: bytes, stream: bool, pace: float, tally: _Tally) -> None:
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
            await _read_stream(reader, start, pace, tally)
        tally.seconds.append(time.perf_counter() - start)
    writer.close()


async def _read_stream(reader: asyncio.StreamReader, start: float, pace: float, tally: _Tally) -> None:
    body = b""
    began, seen = 0.0, 0
    while not body.endswith(b"0\r\n\r\n"):
        piece = await reader.read(65536)
        if not piece:
            break
        body += piece
        now = time.perf_counter()
        if not began and b" token" in body:
            tally.first_token.append(now - start)
            began = now
        if pace and began:
            seen += piece.count(b'" token"')
            tally.lags.append(now - began - (seen - 1) * pace)
    tally.tokens += body.count(b'" token"')
    # Not [DONE]: a proxy may cut its chunks in the middle of the word.
    if not body.endswith(b"0\r\n\r\n"):
        tally.failures += 1


async def _main(url: str, model: str, connections: int, requests: int, stream: bool, pace: int) -> None:
    parts = urlsplit(url)
    body = {
        "model": model,
        "stream": stream,
        "messages": [{"role": "user", "content": "How is it going? " * 8}],
    }
    payload = json.dumps(body).encode()
    request = (
        f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"content-type: application/json\r\nx-pace: {pace}\r\ncontent-length: {len(payload)}\r\n\r\n"
    ).encode() + payload
    tally = _Tally(requests)
    start = time.perf_counter()
    host, port = parts.hostname or "", parts.port or 80
    clients = (_client(host, port, request, stream, pace / 1000, tally) for _ in range(connections))
    await asyncio.gather(*clients)
    report = {
        "elapsed": time.perf_counter() - start,
        "seconds": tally.seconds,
        "first_token": tally.first_token,
        "lags": tally.lags,
        "tokens": tally.tokens,
        "failures": tally.failures,
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    import uvloop

    url, model, connections, requests, kind, *pace = sys.argv[1:]
    paced = int(pace[0]) if pace else 0
    uvloop.run(_main(url, model, int(connections), int(requests), kind == "stream", paced))
