"""``portico status``: how a running gateway and its backends are doing."""

import argparse
from datetime import timedelta
from typing import TYPE_CHECKING

from portico_facade.cli.common import add_core, ask_core, table

if TYPE_CHECKING:
    from portico.client import Client
    from portico.v1.status_pb2 import BackendStatus

_HEADS = (
    *("BACKEND", "DIALECT", "STATUS", "BREAKER", "LATENCY", "IN FLIGHT", "QUEUED", "ATTEMPTS", "FAILURES"),
    "LAST ERROR",
)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "status",
        help="show how the backends of a running gateway are doing",
        description="Ask a running core, over gRPC, how it and its backends are doing. A backend is `ok`, "
        "`failing` (its last attempt failed) or `unused`; its latency is the time to the answer, or to "
        "the first content of a stream, smoothed over the recent calls. Calls pass by the models whose "
        "breaker is `open`; a few go to one that is `half-open` or `returning`. The exit status is 1 when "
        "the core does not answer or drains, so that scripts can wait for it.",
    )
    add_core(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    return ask_core(options, _print)


def _print(client: "Client") -> int:
    from portico.v1.status_pb2 import GatewayState

    status = client.status()
    serving = status.state == GatewayState.GATEWAY_STATE_SERVING
    uptime = timedelta(seconds=round(status.uptime_seconds))
    state = "serving" if serving else "draining"
    print(f"Portico {status.version} is {state}, up {uptime}, {len(status.models)} models\n")
    print(table(_HEADS, [_row(backend) for backend in status.backends]))
    return 0 if serving else 1


def _row(backend: "BackendStatus") -> tuple[str, ...]:
    return (
        backend.name,
        backend.dialect,
        "failing" if backend.last_error else "ok" if backend.attempts else "unused",
        _breaker(backend),
        f"{backend.latency_ms:.1f} ms" if backend.HasField("latency_ms") else "-",
        str(backend.in_flight),
        str(backend.queued),
        str(backend.attempts),
        str(backend.failures),
        backend.last_error or "-",
    )


def _breaker(backend: "BackendStatus") -> str:
    """Return the state of a backend's models, those that ail by name: ``open (gpt-4o 12 s)``."""
    from portico_facade.breakers import breaker_in_words

    models = ", ".join(
        f"{each.model} {each.seconds_left:.0f} s" if each.HasField("seconds_left") else each.model
        for each in backend.ailing
    )
    state = breaker_in_words(backend.breaker) or "-"
    return f"{state} ({models})" if models else state
