"""``portico reload``: a running core reads its configuration again."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from portico_facade.cli.common import UsageError, add_target

if TYPE_CHECKING:
    from portico.v1.admin_pb2 import Changes, ReloadResponse

#: Seconds; the core asks new backends for their models before it goes over to them.
_PATIENCE = 60.0


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "reload",
        help="have a running gateway read its configuration again",
        description="Have a running core, and all workers of its `portico serve`, go over to what the "
        "configuration file says now; print what changed. A file with mistakes changes nothing: the exit "
        "status is 1 and the mistakes are told. The gateway wants one of the `admin_keys` of its "
        "configuration for it.",
    )
    add_target(parser)
    parser.add_argument(
        "--admin-key",
        metavar="KEY",
        help="one of the gateway's `admin_keys` (default: PORTICO_ADMIN_KEY of the environment)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import grpc

    from portico.remote import error_of, options_for
    from portico.v1.admin_pb2 import ReloadRequest
    from portico.v1.admin_pb2_grpc import AdminServiceStub

    key = options.admin_key or os.environ.get("PORTICO_ADMIN_KEY")
    if not key:
        raise UsageError("portico reload needs a key. Give --admin-key, or set PORTICO_ADMIN_KEY.")
    metadata = (("authorization", f"Bearer {key}"),)
    with grpc.insecure_channel(options.grpc, options_for(options.grpc)) as channel:
        try:
            told = AdminServiceStub(channel).Reload(ReloadRequest(), timeout=_PATIENCE, metadata=metadata)
        except grpc.RpcError as error:
            print(f"portico: {error_of(error)} ({options.grpc})", file=sys.stderr)
            return 1
    print("\n".join(lines(told)))
    return 0


def lines(told: "ReloadResponse") -> list[str]:
    """Return what a reload changed, in words: ``backends: + new ~ changed - gone``."""
    rows = [
        *(_row(name, changes) for name, changes in (("backends", told.backends), ("models", told.models))),
        *(f"{name}: changed" for name in told.sections),
    ]
    found = [row for row in rows if row]
    said = ["The configuration is reloaded.", *(found or ["Nothing in it changed."])]
    return said + [f"{name}: changed, counts from the next start" for name in told.restart]


def _row(name: str, changes: "Changes") -> str:
    signs = (("+", changes.added), ("~", changes.changed), ("-", changes.removed))
    named = [f"{sign} {each}" for sign, names in signs for each in names]
    return f"{name}: {', '.join(named)}" if named else ""
