"""In each round all targets have a turn, and what is told is their medians."""

import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.__main__ import main
from tests.bench.meters import tree
from tests.bench.runs import Bench, Figures
from tests.bench.tables import How, Load, Table
from tests.bench.targets import DIRECT, Layout, Target, upstream
from tests.support.processes import process


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


TABLE = Table("t", "T", (), (Load("one at a time", {"connections": 1}),))


def at(name: str, url: str) -> Layout:
    """Return what runs already, or does not."""
    return Layout(name, lambda: contextlib.nullcontext(Target(url)))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://127.0.0.1:none/v1"])
def test_who_does_not_answer_fails_alone(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Even if the load generator ends with it; the others are measured on, and its row says why."""
    with upstream(0) as backend:
        targets = [at("absent", url), at(DIRECT, f"http://{backend.address}/v1")]
        told = Bench(targets, (), rounds=1, seconds=0.05, most=1).results(TABLE)["one at a time"]
    assert list(told) == ["absent", DIRECT]
    assert isinstance(told["absent"], str)
    assert f"absent: {told['absent']}" in capfd.readouterr().err
    assert not isinstance(told[DIRECT], str)
    assert told[DIRECT]["requests/s"] > 0


def test_the_bare_upstream_can_be_measured_alone() -> None:
    with upstream(0) as backend:
        targets = [at(DIRECT, f"http://{backend.address}/v1"), at("other", "http://127.0.0.1:1/v1")]
        bench = Bench(targets, backend.roots, rounds=1, seconds=0.05, most=1)
        assert list(bench.results(replace(TABLE, how=How.DIRECT))["one at a time"]) == [DIRECT]


def commands(pid: int) -> dict[int, str]:
    """Return the processes of a tree that run, and what they are."""
    found = {}
    for each in tree(pid):
        with contextlib.suppress(OSError):
            found[each] = Path(f"/proc/{each}/cmdline").read_text()
    return found


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Undo what shells do to commands in the background: these and all that they start ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_nothing_behind(how: signal.Signals) -> None:
    command = (sys.executable, "-m", "tests.bench", "--quick", "--only", "requests")
    # Sockets in it need a short name.
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        _stop(command, folder, how)
        assert not list(Path(folder).iterdir())


def _stop(command: Sequence[str], folder: str, how: signal.Signals) -> None:
    """Stop a command when all of it runs; nothing of it may be left."""
    with process(*command, env={"TMPDIR": folder}) as bench:
        end = time.monotonic() + 60
        wanted, started = ("portico_facade", "tests.bench.load"), dict[int, str]()
        while not all(each in " ".join(started.values()) for each in wanted):
            assert time.monotonic() < end, bench.output
            time.sleep(0.01)
            started = commands(bench.popen.pid)
        assert bench.stop(how, timeout=30) != 0
    # What has ended has no command, though nobody may have asked for its status yet.
    left = [each for pid in started for each in commands(pid).values() if each]
    assert not left


def test_figures_of_a_quick_run_are_not_for_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--quick", "--write"])
    with pytest.raises(SystemExit) as refused:
        main()
    assert refused.value.code == 2
