"""``portico facade``: the HTTP facade alone."""

import argparse
import os
import signal

from portico_facade.cli.common import UsageError, add_config, checked_address, config_path
from portico_facade.cli.running import announce, run


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "facade",
        help="run the HTTP facade in front of a core elsewhere",
        description="Run the HTTP facade: OpenAI's REST and SSE in front, a routing core behind. It holds no "
        "keys and no state; of the configuration it reads the section `http` alone. SIGTERM and SIGINT drain "
        "it: it listens no more (a new probe is refused, and /readyz is 503 on open connections), running "
        "answers finish, and it exits with 0. SIGHUP changes nothing.",
    )
    add_config(parser)
    parser.add_argument(
        "--core",
        metavar="TARGET",
        help="the core: HOST:PORT, unix:/PATH, or dns:///NAME:PORT to balance over all of a name's addresses "
        "(default: `http.core` of the configuration, else localhost:50051)",
    )
    parser.add_argument(
        "--listen", metavar="ADDRESS", help="HOST:PORT or unix:/PATH, over the configuration's `http`"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from portico_facade.config import ConfigError, load
    from portico_facade.server import serve

    # Who has a whole gateway read its configuration again may signal all of its processes.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        settings = load(config_path(options), os.environ)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    target = options.core or settings.core
    if ":" not in target:
        raise UsageError(f"--core {target!r} is no target. Write HOST:PORT, dns:///NAME:PORT or unix:/PATH.")
    listen = checked_address("--listen", options.listen) if options.listen else None
    return run(serve(settings, target, listen=listen, ready=announce("facade")))
