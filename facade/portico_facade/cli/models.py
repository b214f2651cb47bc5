"""``portico models``: what a running gateway serves."""

import argparse
from typing import TYPE_CHECKING

from portico_facade.cli.common import add_core, ask_core, table

if TYPE_CHECKING:
    from portico.client import Client


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "models",
        help="list the models of a running gateway",
        description="Ask a running core, over gRPC, for the models that route, and print them as a "
        "table: the names of its configuration first, then what its backends list. `portico check` "
        "shows the candidates behind each name.",
    )
    add_core(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    return ask_core(options, _print)


def _print(client: "Client") -> int:
    print(table(("MODEL", "OWNER"), [(model.id, model.owned_by) for model in client.models()]))
    return 0
