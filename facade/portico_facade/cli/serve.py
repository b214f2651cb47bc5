"""``portico serve``: facade and core on this machine, as two processes over a Unix socket."""

import argparse
import asyncio

import portico
from portico_facade.cli import check
from portico_facade.cli.common import add_config, checked_address, config_path
from portico_facade.cli.environment import make_up_key
from portico_facade.cli.run_folder import run_folder
from portico_facade.cli.supervisor import Child, supervise
from portico_facade.listen import reachable


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve",
        help="run facade and core on this machine",
        description="Run the whole gateway on this machine: a core and a facade, as two processes that speak "
        "over a Unix socket. Either is started again when it dies. SIGTERM and SIGINT drain both, "
        "the facade first.",
    )
    add_config(parser)
    parser.add_argument(
        "--listen", metavar="ADDRESS", help="HOST:PORT of the facade, over the configuration's `http`"
    )
    parser.add_argument(
        "--grpc", metavar="ADDRESS", help="HOST:PORT of the core, over the configuration's `grpc`"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    make_up_key(tell=True)
    _, config = check.load(config_path(options))
    file = ["--config", str(options.config)] if options.config else []
    listen = ["--listen", checked_address("--listen", options.listen)] if options.listen else []
    grpc = checked_address("--grpc", options.grpc) if options.grpc else config.grpc.listen
    with run_folder() as (folder, lock):
        socket = f"unix:{folder / 'core.sock'}"
        core = Child("core", ["core", *file, "--listen", socket, "--listen", grpc], lock)
        facade = Child("facade", ["facade", *file, *listen, "--core", socket], lock)
        return asyncio.run(supervise(core, facade, ready=_banner))


def _banner(http: str, grpc: str) -> None:
    public = [address for address in grpc.split(", ") if not address.startswith("unix:")]
    api = f"http://{reachable(http)}/v1"
    print(f"Portico {portico.__version__} is ready.")
    print(f"  OpenAI API  {api}")
    print(f"  gRPC        {', '.join(map(reachable, public))}")
    print(f"  models      curl {api}/models", flush=True)
