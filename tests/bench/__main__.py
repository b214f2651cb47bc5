"""Measures the gateway against the bare upstream, nginx and peers; prints tables (scripts/bench)."""

import argparse
import platform
import resource
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench import counts
from tests.bench.plot import PANELS, PICTURE, svg
from tests.bench.report import PAGE, markdown, rewritten
from tests.bench.runs import Bench, Results
from tests.bench.tables import HELD, TABLES, How
from tests.bench.targets import CPUS, layouts, upstream, workers


def main() -> None:
    """Measure and print."""
    options = _options()
    # As Ctrl-C does: what was started ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if options.count:
        print(counts.table(counts.measured()))
        return
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    # A process of the gateway holds two sockets a stream: the client's, and the backend's or the link's.
    most = min(1_000 if options.quick else HELD[-1], files // 2)
    if most < HELD[-1] and not options.quick:
        print(f"`ulimit -Hn` is {files:,}: no more than {most:,} streams will be held open", file=sys.stderr)
    rounds = 1 if options.quick else options.rounds
    today = time.strftime("%Y-%m-%d", time.gmtime())
    python = platform.python_version()
    conditions = f"Medians of {rounds}, {today}, {CPUS} CPUs, Python {python}."
    done: dict[str, Results] = {}
    sections: list[tuple[str, str]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portico-bench-")))
        backend = stack.enter_context(upstream(options.mock))
        print(f"the upstream listens on {backend.address}", file=sys.stderr)
        everything = layouts(backend, folder, options.peer, options.baseline)
        for table in TABLES:
            if options.only and table.name not in options.only:
                continue
            measured = everything
            if table.how is How.WORKERS:
                # Doubled each time: all of them run at once.
                numbers = sorted({CPUS, *(1 << bit for bit in range(CPUS.bit_length()))})
                measured = [workers(backend, folder, number) for number in numbers]
            seconds = 1.0 if options.quick else 3.0
            bench = Bench(measured, backend.roots, rounds=rounds, seconds=seconds, most=most)
            done[table.name] = bench.results(table)
            sections.append((table.name, markdown(table, done[table.name], conditions)))
            print(sections[-1][1], flush=True)
    if options.write:
        if {panel.table for panel in PANELS} <= done.keys():
            PICTURE.write_text(svg(done), encoding="utf-8")
            sections.append(("picture", f"![{', '.join(panel.title for panel in PANELS)}]({PICTURE.name})\n"))
        PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), sections), encoding="utf-8")


def _options() -> argparse.Namespace:
    names = [table.name for table in TABLES]
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="interleaved rounds, whose medians are told (default: 3)")
    add("--quick", action="store_true", help="one short round, to see that all works: no figures to publish")
    add(
        "--only",
        action="append",
        choices=names,
        metavar="TABLE",
        help=f"one of {', '.join(names)}; several times",
    )
    add(
        "--peer",
        action="append",
        default=[],
        type=_peer,
        metavar="NAME=URL",
        help="another gateway's /v1, with #MODEL where its name for the model is not bench; its CPU and "
        "memory are those of who listens on its port",
    )
    add(
        "--mock",
        type=int,
        default=0,
        metavar="PORT",
        help="port of the upstream, for peers to be set up with",
    )
    add("--baseline", metavar="COMMIT", help="measure the gateway of another commit too")
    add(
        "--write",
        action="store_true",
        help="put them into docs/performance.md, and a picture there if requests, streams and paced were run",
    )
    add(
        "--count",
        action="store_true",
        help="count calls, writes and messages instead, as tests/bench does in CI",
    )
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("the figures of a --quick run are not for the page")
    return options


def _peer(text: str) -> str:
    name, _, url = text.partition("=")
    if not name or not url.startswith("http://"):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=http://HOST:PORT/v1")
    return text


if __name__ == "__main__":
    main()
