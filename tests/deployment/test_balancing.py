"""What the headless Service is for: one facade, several cores behind one name."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator

import openai
import pytest

from tests.deployment.name_server import name_server
from tests.support import gateway
from tests.support.gateway import Part

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is this machine on Linux alone")


@contextlib.contextmanager
def _cores_behind_a_facade() -> Iterator[tuple[list[Part], openai.OpenAI]]:
    with gateway.core("127.0.0.1:0") as first:
        port = first.address.rpartition(":")[2]
        with (
            gateway.core(f"127.0.0.2:{port}") as second,
            name_server("127.0.0.1", "127.0.0.2") as names,
            gateway.facade(f"dns://{names.server}/core.test:{port}") as facade,
            openai.OpenAI(base_url=f"http://{facade.address}/v1", api_key="none", max_retries=0) as sdk,
        ):
            yield [first, second], sdk


def _call(sdk: openai.OpenAI) -> None:
    sdk.chat.completions.create(model="dummy/echo-1", messages=[{"role": "user", "content": "hello"}])


def _calls(core: Part) -> int:
    """Count the calls in a core's log."""
    return sum("portico.calls" in line for line in core.process.lines)


def _wait_for_all(cores: list[Part], count: int) -> None:
    end = time.monotonic() + 10
    while sum(map(_calls, cores)) < count:
        assert time.monotonic() < end, "calls are missing from the cores' logs"


def test_calls_are_spread_over_all_cores_of_the_name() -> None:
    with _cores_behind_a_facade() as (cores, sdk):
        for _ in range(40):
            _call(sdk)
        _wait_for_all(cores, 40)
        assert min(map(_calls, cores)) >= 10


@pytest.mark.parametrize("leaving", [0, 1])
def test_a_core_that_drains_costs_no_call(leaving: int) -> None:
    """As in a rollout, and although the name has its address still."""
    with _cores_behind_a_facade() as (cores, sdk):
        for _ in range(10):
            _call(sdk)
        cores[leaving].process.popen.send_signal(signal.SIGTERM)
        for _ in range(40):
            _call(sdk)
        assert cores[leaving].process.popen.wait(10) == 0
        for _ in range(10):
            _call(sdk)
