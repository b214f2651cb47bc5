"""A candidate with a limit: who waits and leaves, and who finds the queue full."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cases import DOORS
from tests.faults.doors import Saw, asking, doors, through
from tests.faults.expected import Kind
from tests.faults.stand import Stand, started, until, upstream

_CONFIG = """\
admin: 127.0.0.1:0
timeouts: {silence: 9s}
backends:
"""

_NAMES = [f"{door}-{form}" for door in DOORS for form in ("whole", "stream")]


@pytest.fixture
def running(tmp_path: Path, layout: str) -> Iterator[Stand]:
    """A gateway with a model per way in, each of which takes one call at a time and lets one wait."""
    with upstream() as (_, ports):
        lines = [
            f'  {name}: {{dialect: openai, url: "http://127.0.0.1:{ports[""]}/{name}/drip_after_content/v1", '
            "models: [m], limit: 1, queue: 1}"
            for name in _NAMES
        ]
        with started(tmp_path, _CONFIG + "\n".join(lines), layout) as (core, facade):
            yield Stand(ports[""], core, facade)


async def test_who_waits_in_a_full_queue(running: Stand) -> None:
    """Who comes too late is told so at once; who leaves the queue makes room; who stays has its turn."""

    def queued(name: str) -> bool:
        return bool(running.core.samples(f'portico_calls_queued{{backend="{name}"'))

    async def one(name: str) -> None:
        door, streamed, model = ways[name.partition("-")[0]], name.endswith("stream"), f"{name}/m"
        async with asking(door, model, streamed=True, saw=Saw()):
            await until(lambda: len(running.calls(name)) == 1, lambda: f"{name} has not come")
            async with asking(door, model, streamed=streamed, saw=Saw()):
                await until(lambda: queued(name), lambda: f"nobody waits for {name}")
                late = await through(door, model, streamed=streamed)
                assert (late.kind, late.status, late.code) == (Kind.ERROR, 503, "overloaded")
                assert late.retry_after
                assert late.seconds < 1
            await until(lambda: not queued(name), lambda: f"somebody still waits for {name}")
            assert len(running.calls(name)) == 1
            stays = asking(door, model, streamed=streamed, saw=Saw())
            await stays.__aenter__()
            await until(lambda: queued(name), lambda: f"nobody waits for {name}")
        await until(lambda: len(running.calls(name)) == 2, lambda: f"{name} has no second call")
        await stays.__aexit__(None, None, None)

    async with doors(running.facade.address, running.core.address) as ways:
        await asyncio.gather(*(one(name) for name in _NAMES))
        await running.quiet()
    assert all(call.end.startswith("gateway") for name in _NAMES for call in running.calls(name))
