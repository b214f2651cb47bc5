"""Nothing is lost, doubled or out of order in millions of tokens, thousands of streams, in each layout.

The load generator judges: it ends with an error at the first token that is not the one due.
PORTICO_BENCH_TOKENS sets how many tokens go through each layout (default ten million).
"""

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.bench.answers import Ask
from tests.bench.holding import held
from tests.bench.meters import rss_bytes
from tests.bench.runs import generate
from tests.bench.spec import Spec
from tests.bench.targets import CPUS, Layout, Target, layouts, upstream

pytestmark = pytest.mark.nightly

_TOKENS: Final = int(os.environ.get("PORTICO_BENCH_TOKENS", "10000000"))
_A_STREAM: Final = 1_000
_OPEN: Final = 10_000
#: Open files of a process: a worker has two sockets for each of its streams, and not just its share of them.
_FILES: Final = _OPEN * 3 // min(CPUS, 2)
#: What the gateway's processes may hold for a stream that waits: four times the aim, as this is no benchmark.
_KIB_A_STREAM: Final = 160


@pytest.fixture(params=["worker", "linked", "RPCs"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """Run each layout, warm."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files[1], files[1]))
    try:
        with (
            upstream(0) as backend,
            _named(request.param, layouts(backend, tmp_path, [], None)).start() as made,
        ):
            generate(Spec(made.url, 4, requests=100))
            yield made
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)


def _named(name: str, found: list[Layout]) -> Layout:
    return next(each for each in found if each.ours and name in each.name)


def test_every_token_arrives_once_and_in_order(target: Target) -> None:
    """As fast as they go, over 64 connections."""
    spec = Spec(
        target.url, 64, stream=True, ask=Ask(_A_STREAM), requests=max(64, _TOKENS // _A_STREAM), check=True
    )
    assert generate(spec, patience=3_600)["tokens"] == spec.requests * _A_STREAM


def test_two_thousand_streams_are_delivered_in_full(target: Target) -> None:
    """Ten tokens a second each, all of them open at once."""
    spec = Spec(target.url, 2_000, stream=True, ask=Ask(150, 100), requests=2_000, ramp=8)
    assert generate(spec)["tokens"] == 300_000


async def test_ten_thousand_streams_are_open_at_once(target: Target) -> None:
    """None fails to begin, none is lost."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if allowed < _FILES:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"{_OPEN:,} streams need `ulimit -Hn` of {_FILES:,}; it is {allowed:,}"
        )
    before = rss_bytes(target.pids)
    grown: list[float] = []
    await held(target.url, target.model, [_OPEN], lambda _: grown.append(rss_bytes(target.pids) - before))
    assert grown[0] / _OPEN / 1024 < _KIB_A_STREAM
