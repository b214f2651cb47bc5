"""The workers of ``portico serve``, and the command that each of them runs."""

import argparse
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from portico_facade.cli.backlog import Backlog
from portico_facade.cli.common import UsageError, add_config, config_path
from portico_facade.cli.cpus import cpus
from portico_facade.cli.keeper import Keeper
from portico_facade.cli.running import announce
from portico_facade.cli.running import run as run_server
from portico_facade.cli.supervisor import supervise
from portico_facade.listen import listening, reserved

#: More are a slip of the finger.
_MOST: Final = 256


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command of one worker to the parser. It is the supervisor's, so the list leaves it out."""
    parser = commands.add_parser("worker", description="Run one worker of `portico serve`.")
    add_config(parser)
    for name in ("--listen", "--grpc", "--folder", "--accept"):
        parser.add_argument(name, required=True)
    parser.set_defaults(run=_work)


def _work(options: argparse.Namespace) -> int:
    from portico_facade.whole import Where
    from portico_facade.worker import work

    accepting = tuple(socket.socket(fileno=int(each)) for each in options.accept.split(","))
    where = Where(options.listen, options.grpc, None, accepting, shared=True)
    return run_server(work(config_path(options), where, Path(options.folder), ready=announce("worker")))


def wanted(option: str | None, environ: Mapping[str, str], grpc: str) -> int:
    """Return how many workers are asked for; 0: none, but facade and core apart.

    ``grpc``: the address of gRPC, whose library can share a port and not a Unix socket. Raises UsageError for
    what is no number, and for workers at such a socket.
    """
    name, text = ("--workers", option) if option is not None else ("WORKERS", environ.get("WORKERS", ""))
    alone = grpc.startswith("unix:")
    if not text.strip():
        return 0 if alone else min(cpus(), _MOST)
    if not text.strip().isdecimal() or int(text) > _MOST:
        raise UsageError(
            f"{name}={text} is no number of workers. Write 1 to {_MOST}, or 0: facade and core apart."
        )
    if int(text) and alone:
        raise UsageError(f"workers cannot share {grpc}. Give gRPC HOST:PORT, or leave {name} out.")
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
    http, grpc, metrics = addresses
    with _backlogs(http, count) as (backlogs, http_bound), _reserved(grpc) as grpc_bound:
        listen = ["--listen", http_bound, "--grpc", grpc_bound, "--folder", str(folder)]
        keepers = [
            Keeper(f"worker {number}", ["worker", *file, *listen], lock, reloads=True, backlog=backlog)
            for number, backlog in enumerate(backlogs)
        ]
        async with contextlib.AsyncExitStack() as stack:
            with _told():
                await stack.enter_async_context(telling_all(folder, metrics))
            return await supervise((keepers,), lambda _: banner(http_bound, grpc_bound))


@contextlib.asynccontextmanager
async def telling_all(folder: Path, metrics: str | None) -> AsyncIterator[None]:
    """Tell what the workers tell of themselves as one, while the block runs; on an admin port, too."""
    from portico_core.admin import admin
    from portico_core.shared_state import sharing
    from portico_core.state_store import OwnState
    from portico_facade import gathering
    from portico_facade.telling import telling

    facade, core = (gathering.Gathering(folder, name) for name in (gathering.FACADE, gathering.CORE))
    texts: dict[str, Callable[[], Awaitable[bytes]]] = {
        gathering.FACADE: gathering.text_of(facade),
        gathering.CORE: gathering.text_of(core),
        gathering.STATUS: partial(gathering.status_of_all, folder),
    }
    async with (
        admin(core, metrics),
        sharing(gathering.state_of_all(folder), OwnState()),
        telling(gathering.of_all(folder), texts),
    ):
        yield


@contextlib.contextmanager
def _backlogs(address: str, count: int) -> Iterator[tuple[list[Backlog], str]]:
    """Yield what each worker is to accept from, and the address, with the port that was taken.

    Each has a share of a port's connections; at a Unix socket all accept from the same backlog.
    """
    if address.startswith("unix:"):
        shared = Backlog(address, alone=False)
        with contextlib.closing(shared):
            with _told():
                shared.open()
            yield [shared] * count, address
        return
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(_reserved(address))
        backlogs = [stack.enter_context(contextlib.closing(Backlog(bound, alone=True))) for _ in range(count)]
        yield backlogs, bound


@contextlib.contextmanager
def _reserved(address: str) -> Iterator[str]:
    """Yield an address whose port is this gateway's as long as the block runs.

    Raises UsageError where somebody else has it: workers share their port with whoever shares his.
    """
    with _told(), listening(address) as (_, bound):
        pass
    with contextlib.ExitStack() as stack:
        with _told():
            stack.enter_context(reserved(bound))
        yield bound


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Make an address that cannot be listened on a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(error.strerror or str(error)) from error
