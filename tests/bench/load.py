"""A load generator that costs little: keep-alive connections that each ask again and again.

``python -m tests.bench.load SPEC`` takes a ``Spec`` as JSON and prints its figures as one line of JSON:
seconds, unless a name says otherwise. An answer in which a token is out of its place ends the run.
"""

import asyncio
import json
import sys
import time
from array import array
from typing import Any

from tests.bench.client import Client, Tally
from tests.bench.meters import cpu_seconds, rss_bytes
from tests.bench.spec import Spec


def at(share: float, times: "array[float]") -> float:
    """Return the time that so large a share of all stays below."""
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


async def run(spec: Spec) -> dict[str, float]:
    """Put a load on a target; return figures. Raises RuntimeError for an answer that is none."""
    loop = asyncio.get_running_loop()
    cpu, upstream_cpu = cpu_seconds(spec.pids), cpu_seconds(spec.upstream_pids)
    own_cpu, began = time.process_time(), time.monotonic()
    tally = Tally(spec.requests or float("inf"), began + spec.seconds if spec.seconds else float("inf"))
    request = spec.request()

    async def client(number: int) -> None:
        await asyncio.sleep(spec.ramp * number / spec.connections)
        _, client = await loop.create_connection(lambda: Client(spec, request, tally), *spec.address)
        await client.over

    await asyncio.gather(*(client(number) for number in range(spec.connections)))
    elapsed = time.monotonic() - began
    figures = {
        "elapsed": elapsed,
        "requests": tally.done,
        "requests/s": tally.done / elapsed,
        "p50": at(0.5, tally.whole),
        "p99": at(0.99, tally.whole),
        "CPU": (cpu_seconds(spec.pids) - cpu) / tally.done,
        "generator CPU": (time.process_time() - own_cpu) / tally.done,
        "upstream CPU": (cpu_seconds(spec.upstream_pids) - upstream_cpu) / tally.done,
        "RSS bytes": rss_bytes(spec.pids),
    }
    if spec.stream:
        each = tally.done / tally.tokens
        figures |= {
            "tokens": tally.tokens,
            "tokens/s": tally.tokens / elapsed,
            "first token": at(0.5, tally.first_token),
            "first token p99": at(0.99, tally.first_token),
            "gap p99": at(0.99, tally.gaps),
            "lag p50": at(0.5, tally.lags),
            "lag p99": at(0.99, tally.lags),
        } | {f"{whose} a token": figures[whose] * each for whose in ("CPU", "generator CPU", "upstream CPU")}
    return figures


def main() -> None:
    """Run a load and print its figures."""
    import uvloop

    report: dict[str, Any]
    try:
        report = uvloop.run(run(Spec.read(sys.argv[1])))
    except (RuntimeError, OSError) as error:
        report = {"error": str(error)}
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
