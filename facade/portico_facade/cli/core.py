"""``portico core``: the gRPC routing core alone."""

import argparse
import os
from functools import partial

from portico_facade.cli.common import UsageError, add_config, checked_address, config_path
from portico_facade.cli.environment import make_up_key
from portico_facade.cli.running import announce, run


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "core",
        help="run the gRPC routing core",
        description="Run the routing core: portico.v1.GatewayService, grpc.health.v1 and reflection. "
        "SIGTERM and SIGINT drain it: health turns NOT_SERVING, running calls finish, and it exits with 0. "
        "When the configuration file changes, on SIGHUP or by `portico reload`, it goes over to what "
        "the file says then; running calls keep what they began with, and a file with mistakes changes "
        "nothing.",
    )
    add_config(parser)
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS",
        help="HOST:PORT or unix:/PATH, several times if need be (default: the configuration's `grpc`, "
        "else 0.0.0.0:50051)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from portico_core.config import ConfigError, load
    from portico_core.reload import Reloads
    from portico_core.server import serve

    make_up_key(tell=True)
    path = config_path(options)
    again = partial(load, path, os.environ)
    try:
        config = again()
    except ConfigError as error:
        raise UsageError(str(error)) from error
    listen = [checked_address("--listen", each) for each in options.listen or ()] or [config.grpc.listen]
    reloads = Reloads(path, again)
    return run(serve(config, listen=listen, ready=announce("core"), reloads=reloads))
