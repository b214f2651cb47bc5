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

    def results(self, table: Table, done: Mapping[str, Results]) -> Results:
        """Measure a table. ``done``: those that were."""
        if table.how is How.DIRECT:
            told = {name: rows for results in done.values() for name, rows in results.items()}
            return {load.name: {DIRECT: told[load.name][DIRECT]} for load in table.loads if load.name in told}
        if table.how in (How.LOADS, How.WORKERS):
            with ExitStack() as stack:
                targets = {each.name: stack.enter_context(each.start()) for each in self._layouts}
                for target in targets.values():
                    self._warm(target)
                return {load.name: self._rounds_of(load, targets) for load in table.loads}
        measure = {How.MEMORY: self._memory, How.SLOW: self._slow, How.COLD: self._cold}[table.how]
        # Starts and memory are told of what is started: a peer runs already.
        layouts = [each for each in self._layouts if each.name != DIRECT]
        if table.how is How.COLD:
            layouts = [each for each in layouts if each.ours]
        rounds = 1 if table.how is How.MEMORY else self._rounds
        return {"": self._medians([each.name for each in layouts], rounds, _each(layouts, measure))}

    def _rounds_of(self, load: Load, targets: Mapping[str, Target]) -> dict[str, Figures | str]:
        return self._medians(list(targets), self._rounds, lambda name: self._load(load, targets[name]))

    def _medians(
        self, names: list[str], rounds: int, measure: Callable[[str], Figures]
    ) -> dict[str, Figures | str]:
        """Measure each name once a round; return the medians, and of some what was added in a round."""
        runs: dict[str, list[Figures]] = {name: [] for name in names}
        failed: dict[str, str] = {}
        for _ in range(rounds):
            for name in names:
                if name in failed:
                    continue
                try:
                    figures = measure(name)
                except (RuntimeError, OSError, subprocess.TimeoutExpired, AssertionError) as error:
                    failed[name] = str(error) or type(error).__name__
                    print(f"{name}: {failed[name]}", file=sys.stderr)
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
