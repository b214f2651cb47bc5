"""``portico serve``: the whole gateway on this machine, as facade and core or as workers that are both."""

import argparse
import asyncio
import os

import portico
from portico_facade.cli import check, workers
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
        "over a Unix socket; or with --workers as many processes as it says, each facade and core in one, "
        "that share the ports. A process that dies is started again. SIGTERM and SIGINT drain all, a facade "
        "before its core. When the configuration file changes, on SIGHUP or by `portico reload`, the core "
        "goes over to what it says then.",
    )
    add_config(parser)
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        help="HOST:PORT or unix:/PATH of the facade, over the configuration's `http`",
    )
    parser.add_argument(
        "--grpc",
        metavar="ADDRESS",
        help="HOST:PORT or unix:/PATH of the core, over the configuration's `grpc`",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        help="run N processes, each a whole gateway: the fastest way on one machine, best with one for each "
        "CPU (default: WORKERS of the environment, else a core and a facade)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    make_up_key(tell=True)
    settings, config = check.load(config_path(options))
    http = checked_address("--listen", options.listen) if options.listen else settings.listen
    grpc = checked_address("--grpc", options.grpc) if options.grpc else config.grpc.listen
    file = ["--config", str(options.config)] if options.config else []
    wanted = workers.wanted(options.workers, os.environ)
    with run_folder() as (folder, lock):
        if wanted:
            return asyncio.run(workers.run(folder, lock, wanted, file, (http, grpc, config.admin), _banner))
        socket = f"unix:{folder / 'core.sock'}"
        core = Child("core", ["core", *file, "--listen", socket, "--listen", grpc], lock, reloads=True)
        facade = Child("facade", ["facade", *file, "--listen", http, "--core", socket], lock)
        tiers = ((core,), (facade,))
        return asyncio.run(supervise(tiers, lambda told: _banner(told[facade], _public(told[core], socket))))


def _public(addresses: str, private: str) -> str:
    """Return the core's addresses without the one that is between core and facade."""
    return ", ".join(each for each in addresses.split(", ") if each != private)


def _banner(http: str, grpc: str) -> None:
    if http.startswith("unix:"):
        api, curl = http, f"curl --unix-socket {http.removeprefix('unix:')} http://localhost/v1/models"
    else:
        api = f"http://{reachable(http)}/v1"
        curl = f"curl {api}/models"
    print(f"Portico {portico.__version__} is ready.")
    print(f"  OpenAI API  {api}")
    print(f"  gRPC        {', '.join(map(reachable, grpc.split(', ')))}")
    print(f"  models      {curl}", flush=True)
