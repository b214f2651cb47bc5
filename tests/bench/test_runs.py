"""In each round all targets have a turn, and what is told is their medians."""

from collections.abc import Iterator

from tests.bench.runs import Bench, Figures
from tests.bench.targets import DIRECT


def figures(p50s: Iterator[float]) -> Figures:
    return {"p50": next(p50s)}


def test_what_is_added_is_added_to_the_bare_upstream_of_the_same_round() -> None:
    """The bare upstream adds nothing to itself; who fails once is told of with its reason."""
    times = {DIRECT: iter([1.0, 5.0, 2.0]), "ours": iter([4.0, 9.0, 4.0])}
    turns: list[str] = []

    def measure(name: str) -> Figures:
        turns.append(name)
        if name == "broken":
            raise OSError("refused")
        return figures(times[name])

    bench = Bench([], (), rounds=3, seconds=1, most=1)
    told = bench._medians([DIRECT, "ours", "broken"], 3, measure)
    assert told == {DIRECT: {"p50": 2.0}, "ours": {"p50": 4.0, "added p50": 3.0}, "broken": "refused"}
    assert turns == [DIRECT, "ours", "broken", DIRECT, "ours", DIRECT, "ours"]
