"""Each fault of a backend, through every door, streamed and not, alone and with a healthy second one."""

import pytest

from tests.faults.cases import Case, by_the_table
from tests.faults.doors import Door
from tests.faults.expected import FAULTS
from tests.faults.judge import complaints, observe
from tests.faults.stand import Stand


def groups() -> list[object]:
    """Return the cases of each test: those of one fault go side by side."""
    found: list[object] = []
    for fault, row in FAULTS.items():
        cases = [case for case in by_the_table() if case.fault == fault]
        light = [case for case in cases if not row.heavy or (case.door == "grpc" and not case.second)]
        found.append(pytest.param(light, id=fault))
        # One after the other: side by side they would wait for one another.
        found += [
            pytest.param([case], id=case.name, marks=pytest.mark.nightly)
            for case in cases
            if case not in light
        ]
    return found


@pytest.mark.parametrize("cases", groups())
async def test_what_comes_of_a_fault(cases: list[Case], running: Stand, ways: dict[str, Door]) -> None:
    """The caller sees what the table says, the upstream is called as often, and nothing is left."""
    observed = await observe(running, ways, cases)
    assert not [words for each in observed for words in complaints(each)]
    await running.quiet()
