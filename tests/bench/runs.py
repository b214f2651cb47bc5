"""Runs the tables: in each round all targets have a turn, so that a drift of the machine meets all."""

import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import uvloop

from tests.bench.answers import Ask
from tests.bench.holding import held, slow
from tests.bench.meters import rss_bytes
from tests.bench.spec import Spec
from tests.bench.tables import HELD, How, Load, Table
from tests.bench.targets import DIRECT, Layout, Target

Figures: TypeAlias = dict[str, float]
#: By load (one without a name where there is none), then by target. A string is why there are none.
Results: TypeAlias = dict[str, dict[str, "Figures | str"]]

#: What fails one target, while the others are measured on.
FAILURES: Final = (RuntimeError, OSError, subprocess.SubprocessError, AssertionError)
#: Seconds for what a load takes besides what it is told to.
_PATIENCE: Final = 120
_ADDED: Final = {"added p50": "p50", "added first token": "first token"}


class Bench:
    """Targets that run, and how thoroughly they are measured."""

    def __init__(
        self, layouts: Iterable[Layout], upstream: tuple[int, ...], *, rounds: int, seconds: float, most: int
    ) -> None:
        self._layouts = list(layouts)
        self._upstream = upstream
        self._rounds = rounds
        self._seconds = seconds
        self._held = [each for each in HELD if each <= most]

    def results(self, table: Table) -> Results:
        """Measure a table."""
        if table.how in (How.LOADS, How.WORKERS, How.DIRECT):
            with ExitStack() as stack:
                targets, failed = self._started(stack, direct=table.how is How.DIRECT)
                return {load.name: self._rounds_of(load, targets, failed) for load in table.loads}
        measure = {How.MEMORY: self._memory, How.SLOW: self._slow, How.COLD: self._cold}[table.how]
        layouts = [each for each in self._layouts if each.name != DIRECT]
        # A peer runs already.
        if table.how is How.COLD:
            layouts = [each for each in layouts if each.ours]
        rounds = 1 if table.how is How.MEMORY else self._rounds
        return {"": self._medians([each.name for each in layouts], rounds, _each(layouts, measure))}

    def _started(self, stack: ExitStack, *, direct: bool) -> tuple[dict[str, Target], dict[str, str]]:
        """Start and warm what is measured, or the bare upstream alone; return those that fail, and why."""
        targets: dict[str, Target] = {}
        failed: dict[str, str] = {}
        for each in self._layouts:
            if direct and each.name != DIRECT:
                continue
            try:
                targets[each.name] = stack.enter_context(each.start())
                self._warm(targets[each.name])
            except FAILURES as error:
                failed[each.name] = _told(each.name, error)
        return targets, failed

    def _rounds_of(
        self, load: Load, targets: Mapping[str, Target], failed: Mapping[str, str]
    ) -> dict[str, Figures | str]:
        names = [each.name for each in self._layouts if each.name in {*targets, *failed}]
        return self._medians(names, self._rounds, lambda name: self._load(load, targets[name]), failed)

    def _medians(
        self,
        names: list[str],
        rounds: int,
        measure: Callable[[str], Figures],
        before: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Figures | str]:
        """Measure each name once a round; return the medians, and of some what was added in a round.

        ``before``: who has failed already, and why.
        """
        runs: dict[str, list[Figures]] = {name: [] for name in names}
        failed = dict(before)
        for _ in range(rounds):
            for name in names:
                if name in failed:
                    continue
                try:
                    figures = measure(name)
                except FAILURES as error:
                    failed[name] = _told(name, error)
                    continue
                if name != DIRECT and runs.get(DIRECT):
                    bare = runs[DIRECT][-1]
                    figures |= {key: figures[of] - bare[of] for key, of in _ADDED.items() if of in figures}
                runs[name].append(figures)
        return {
            name: failed.get(name) or {key: statistics.median(run[key] for run in each) for key in each[-1]}
            for name, each in runs.items()
        }

    def _load(self, load: Load, target: Target) -> Figures:
        spec = Spec(
            target.url, model=target.model, pids=target.pids, upstream_pids=self._upstream, **load.spec
        )
        if not spec.requests:
            spec = replace(spec, seconds=self._seconds)
        return generate(spec)

    def _warm(self, target: Target) -> None:
        """Have everything loaded that is on first use, and connections open."""
        generate(Spec(target.url, 4, target.model, requests=200))
        generate(Spec(target.url, 4, target.model, stream=True, requests=20))

    def _memory(self, target: Target) -> Figures:
        figures: Figures = {"start": rss_bytes(target.pids)}
        self._warm(target)
        before = rss_bytes(target.pids)

        def seen(count: int) -> None:
            figures[str(count)] = (rss_bytes(target.pids) - before) / count

        uvloop.run(held(target.url, target.model, self._held, seen))
        return figures

    def _slow(self, target: Target) -> Figures:
        self._warm(target)
        return uvloop.run(slow(target.url, target.model, target.pids))

    def _cold(self, target: Target) -> Figures:
        """Ask once: the clock runs since before the start."""
        connection = http.client.HTTPConnection(urlsplit(target.url).netloc, timeout=_PATIENCE)
        request = Spec(target.url, 1, target.model, ask=Ask())
        connection.request(
            "POST",
            f"{urlsplit(target.url).path}/chat/completions",
            request.request().partition(b"\r\n\r\n")[2],
            {"content-type": "application/json"},
        )
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"answered {answer.status}")
        return {"RSS bytes": rss_bytes(target.pids)}


def _told(name: str, error: Exception) -> str:
    """Say at once why a target has failed, and return it."""
    # A command is long, and says nothing of why.
    why = "it took too long" if isinstance(error, subprocess.TimeoutExpired) else str(error)
    why = why or type(error).__name__
    print(f"{name}: {why}", file=sys.stderr)
    return why


def _each(layouts: list[Layout], measure: Callable[[Target], Figures]) -> Callable[[str], Figures]:
    """Return what starts a layout by its name, measures it, and tells how long that took."""
    by_name = {each.name: each for each in layouts}

    def measured(name: str) -> Figures:
        began = time.monotonic()
        with by_name[name].start() as target:
            figures = measure(target)
            return {"cold": time.monotonic() - began} | figures

    return measured


def generate(spec: Spec, *, patience: float = _PATIENCE) -> Figures:
    """Run the load generator as a process of its own, for ``patience`` longer than its pace takes.

    Raises RuntimeError for an answer that failed, and TimeoutExpired.
    """
    wanted = spec.seconds + spec.ramp + spec.ask.tokens * spec.ask.pace / 1000
    command = [sys.executable, "-m", "tests.bench.load", str(spec)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=4 * wanted + patience)
    report: Any = json.loads(done.stdout)
    if "error" in report:
        raise RuntimeError(report["error"])
    return dict(report)
