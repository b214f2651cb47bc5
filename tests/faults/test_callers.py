"""Callers who leave or read slowly, and a candidate that comes and goes."""

import asyncio
import sys
from time import monotonic

import pytest

from tests.faults.cases import DOORS, LEFT, Case, forms
from tests.faults.doors import Door, Saw, asking, through
from tests.faults.expected import Kind
from tests.faults.stand import Stand, until

# Seconds from a caller's leaving until the backend knows; the second more is for a busy machine.
_SOON = 1.0 + 1.0

# Calls that a candidate gets that comes and goes, and the most repeats of theirs: a floor of ten and a
# fifth of the calls.
_CALLS = 20
_MOST_REPEATS = 10 + _CALLS / 5

# Bytes that an upstream may send to a caller who does not read, at most: what all buffers between hold.
_BUFFERS = 32 * 1024 * 1024


@pytest.mark.parametrize("when", LEFT)
async def test_a_caller_who_leaves_takes_the_call_along(
    when: str, running: Stand, ways: dict[str, Door]
) -> None:
    """The backend's connection is closed within a second, no attempt follows, and nothing is left."""

    async def leave(case: Case) -> float:
        saw = Saw()
        async with asking(ways[case.door], case.name, streamed=case.streamed, saw=saw):
            await until(lambda: bool(running.calls(case.name)), lambda: f"{case.name} has not come")
            if when == "in-a-pause":
                await until(lambda: bool(running.calls(case.name)[0].ended), lambda: "no pause has begun")
            elif when == "in-mid-stream" and case.streamed:
                await until(lambda: bool(saw.text), lambda: f"{case.name} has not begun: {saw}")
        return monotonic()

    cases = forms(LEFT[when], tag=f".{when}")
    left = await asyncio.gather(*(leave(case) for case in cases))
    took = await running.quiet()
    assert monotonic() - max(left) < _SOON, f"{took:.2f} s until nothing was under way"
    for case, at in zip(cases, left, strict=True):
        [call] = running.calls(case.name)
        if when == "in-a-pause":
            assert call.end == "answered"
        else:
            assert call.end.startswith("gateway")
            assert call.ended - at < _SOON, case.name


@pytest.mark.parametrize("door", DOORS)
async def test_a_slow_reader_holds_the_backend_back(door: str, running: Stand, ways: dict[str, Door]) -> None:
    """The backend waits with it, nothing is buffered without end, and that is no silence of the backend's."""
    [case] = [case for case in forms("endless_body", tag=".slow") if case.streamed and case.door == door]
    before, now = -1, 0

    def stands_still() -> bool:
        nonlocal before, now
        calls = running.calls(case.name)
        before, now = now, calls[0].sent if calls else 0
        return 0 < before == now

    saw = Saw()
    saw.reads.clear()
    async with asking(ways[door], case.name, streamed=True, saw=saw):
        for _ in range(3):
            await until(stands_still, lambda: f"the backend goes on: {now} bytes")
        assert now < _BUFFERS
        # Longer than the backend's silence may last.
        began = monotonic()
        await until(lambda: monotonic() - began > 1.5, lambda: "")
        assert not running.calls(case.name)[0].ended
        saw.enough = sys.maxsize
        saw.reads.set()
        await until(lambda: running.calls(case.name)[0].sent > now, lambda: "the backend does not go on")
    assert saw.text
    assert not saw.failed
    await running.quiet()
    [call] = running.calls(case.name)
    assert call.end.startswith("gateway")


@pytest.mark.parametrize("second", [False, True], ids=["alone", "second"])
async def test_a_candidate_that_comes_and_goes(second: bool, running: Stand, ways: dict[str, Door]) -> None:
    """With a second one every call is answered, alone answered or told an error; few are repeated."""

    async def calls(case: Case) -> list[Saw]:
        return [await through(ways[case.door], case.name, streamed=case.streamed) for _ in range(_CALLS)]

    cases = forms("flapping", second=second)
    for case, saw in zip(cases, await asyncio.gather(*(calls(case) for case in cases)), strict=True):
        ends = [each.kind for each in saw]
        assert ends.count(Kind.ANSWER) == _CALLS if second else set(ends) == {Kind.ANSWER, Kind.ERROR}
        assert len(running.calls(case.name)) <= _CALLS + _MOST_REPEATS
        assert all(each.status == 502 for each in saw if each.kind is Kind.ERROR)
    await running.quiet()
