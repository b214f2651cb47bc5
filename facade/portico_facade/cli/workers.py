"""The workers of ``portico serve --workers N``, and the command that each of them runs."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from portico_facade.cli.common import UsageError, add_config, announce, config_path
from portico_facade.cli.common import run as run_server
from portico_facade.cli.supervisor import Child, supervise
from portico_facade.listen import listening, reserved

#: More are a slip of the finger.
_MOST: Final = 256


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command of one worker to the parser. It is the supervisor's, so the list leaves it out."""
    parser = commands.add_parser("worker", description="Run one worker of `portico serve --workers`.")
    add_config(parser)
    for name in ("--listen", "--grpc", "--folder"):
        parser.add_argument(name, required=True)
    parser.add_argument("--number", required=True, type=int)
    parser.set_defaults(run=_work)


def _work(options: argparse.Namespace) -> int:
    from portico_facade.whole import Where
    from portico_facade.worker import work

    where = Where(options.listen, options.grpc, None, shared=True)
    serving = work(
        config_path(options), where, Path(options.folder), options.number, ready=announce("worker")
    )
    return run_server(serving)


def wanted(option: str | None, environ: Mapping[str, str]) -> int:
    """Return how many workers are asked for; 0: none. Raise UsageError for what is no number."""
    name, text = ("--workers", option) if option is not None else ("WORKERS", environ.get("WORKERS", ""))
    if not text.strip():
        return 0
    if not text.strip().isdecimal() or not 1 <= int(text) <= _MOST:
        raise UsageError(f"{name}={text} is no number of workers. Write one from 1 to {_MOST}.")
    return int(text)


async def run(
    folder: Path,
    lock: int,
    count: int,
    file: Sequence[str],
    addresses: tuple[str, str, str | None],
    banner: Callable[[str, str], None],
) -> int:
    """Run workers until SIGTERM or SIGINT; return the exit status.

    ``addresses``: of HTTP, gRPC and the metrics of the core, which is told here for all workers.
    """
    from portico_core.admin import admin
    from portico_facade import worker
    from portico_facade.telling import telling

    http, grpc, metrics = addresses
    facade, core = (worker.Gathering(folder, count, name) for name in (worker.FACADE, worker.CORE))
    texts = {worker.FACADE: worker.text_of(facade), worker.CORE: worker.text_of(core)}
    async with admin(core, metrics), telling(worker.of_all(folder), texts):
        with _reserved(http) as http_port, _reserved(grpc) as grpc_port:
            listen = ["--listen", http_port, "--grpc", grpc_port, "--folder", str(folder)]
            children = [
                Child(
                    f"worker {number}",
                    ["worker", *file, *listen, "--number", str(number)],
                    lock,
                    reloads=True,
                )
                for number in range(count)
            ]
            return await supervise((children,), lambda _: banner(http_port, grpc_port))


@contextlib.contextmanager
def _reserved(address: str) -> Iterator[str]:
    """Yield an address whose port is this gateway's as long as the block runs.

    Raises UsageError where somebody else has it: workers share their port with whoever shares his.
    """
    if address.startswith("unix:"):
        raise UsageError(f"workers cannot share {address}. Give HOST:PORT, or leave --workers out.")
    try:
        with listening(address) as (_, bound):
            pass
        with reserved(bound):
            yield bound
    except OSError as error:
        raise UsageError(str(error)) from error
