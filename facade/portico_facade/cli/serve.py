"""``portico serve``: the whole gateway on this machine, as workers that are both halves or as one of each."""

import argparse
import asyncio
import os

import portico
from portico_facade.cli import check, workers
from portico_facade.cli.common import add_config, checked_address, config_path
from portico_facade.cli.environment import make_up_key
from portico_facade.cli.keeper import Keeper
from portico_facade.cli.run_folder import run_folder
from portico_facade.cli.supervisor import supervise
from portico_facade.listen import reachable


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve",
        help="run facade and core on this machine",
        description="Run the whole gateway on this machine: one worker for each CPU, each of them facade and "
        "core in one process, that share the ports; or with --workers 0 a core and a facade, as two "
        "processes that speak over a Unix socket. A process that dies is started again. SIGTERM and SIGINT "
        "drain all. When the configuration file changes, on SIGHUP or by `portico reload`, all workers "
        "go over to what it says then; on SIGUSR2 fresh workers take over, one by one.",
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
        help="run N workers; 0: a core and a facade instead (default: WORKERS of the environment, else one "
        "for each CPU that this process may use)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    make_up_key(tell=True)
    settings, config = check.load(config_path(options))
    http = checked_address("--listen", options.listen) if options.listen else settings.listen
    grpc = checked_address("--grpc", options.grpc) if options.grpc else config.grpc.listen
    file = ["--config", str(options.config)] if options.config else []
    wanted = workers.wanted(options.workers, os.environ, grpc)
    with run_folder() as (folder, lock):
        if wanted:
            return asyncio.run(workers.run(folder, lock, wanted, file, (http, grpc, config.admin), _banner))
        socket = f"unix:{folder / 'core.sock'}"
        core = Keeper("core", ["core", *file, "--listen", socket, "--listen", grpc], lock, reloads=True)
        facade = Keeper("facade", ["facade", *file, "--listen", http, "--core", socket], lock)
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
