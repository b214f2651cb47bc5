"""``portico explain``: why a request would go where."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from portico_facade.cli.common import UsageError, add_config, config_path, table
from portico_facade.cli.environment import make_up_key

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from portico.errors import GatewayError
    from portico.v1.headers_pb2 import Header
    from portico_core.candidates import Pool
    from portico_core.config import Config
    from portico_core.policy import Policy
    from portico_core.pools.explain import Explanation, Row

_HEADS = ("TURN", "SHARE", "CANDIDATE", "ANSWERS AS", "WHY")

_MANUAL = """\
Say what a model's name stands for, and which of its candidates a request would be sent to, in which
order and why. The configuration is all that is read: no server needs to run, and none is asked.

REQUEST is the body of a request to /v1/chat/completions, /v1/completions or /v1/embeddings, - for
standard input. Without one the request is one of texts alone. Its own `model` does not count.

  TURN        when a candidate is tried: those of turn 2 after all of turn 1 have failed, and - never.
              Of one turn each gets its share, and the others are tried behind it
  SHARE       its part of the calls of that turn, by the weights. With `balance: least` the slow and
              the busy get less than that
  ANSWERS AS  the `model` of the answer: another one than was asked for where a `fallback` serves
  WHY         what decides about it, or why it is left out: what it does not take (`features`), or a
              tag of x-portico-route that it does not have

A candidate that fails is left for the next one only with what another one may mend; docs/resilience.md
tells what that is. A backend that must be asked for its models is told as such.
"""

_EXAMPLES = """\
examples:
  portico explain gpt-4o
  portico explain gpt-4o request.json
  portico explain gpt-4o request.json --header 'x-portico-route: eu' --header 'x-session-id: 17'
  echo '{"messages": [{"role": "user", "content": "hi"}], "tools": []}' | portico explain gpt-4o -

exit status: 0 when somebody would be asked, 1 when the caller would be refused (the words are printed),
2 for wrong usage or configuration
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explain",
        help="say why a request would go where",
        description=_MANUAL,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="the name that a caller would ask for")
    parser.add_argument("request", metavar="REQUEST", nargs="?", help="a file of JSON, or -")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header of the request; may be given several times",
    )
    add_config(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from portico.config import ConfigError
    from portico.errors import GatewayError
    from portico_core import config as core_config
    from portico_core.pools.explain import explain

    make_up_key(tell=False)
    headers = [_header(text) for text in options.header]
    try:
        config = core_config.load(config_path(options), os.environ)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    try:
        params = _params(options.model, options.request)
        pools, listing = _pools(config, options.model)
        told = explain(pools, options.model, params, headers)
    except GatewayError as error:
        return _refuse(error)
    print(f"{options.model}: {pools[0].rule}")
    if listing:
        print(
            f"a backend that lists the name goes before that: {', '.join(listing)} are asked for their lists"
        )
    print(_policy(pools[0].policy))
    print(_request(told))
    print(f"\n{table(_HEADS, [_row(options.model, row) for row in told.rows])}")
    return 0 if told.refusal is None else _refuse(told.refusal)


def _pools(config: "Config", model: str) -> "tuple[Sequence[Pool], Sequence[str]]":
    """Return what a name stands for, and the backends whose own lists go before that."""
    from portico.errors import GatewayError, unknown_model
    from portico_core.routing import first_to_list

    routes = config.routes
    if not routes.allows(model):
        raise unknown_model(model)
    pool = routes.configured(model)
    if pool is not None:
        return (pool, *routes.after(pool)), ()
    bare = [backend for backend in config.backends if routes.bare(backend.name)]
    listing = [backend.name for backend in bare if backend.models is None]
    try:
        pool = routes.resolve(model, first_to_list((each.name, each.models or ()) for each in bare))
    except GatewayError:
        if listing:
            print(f"{model}: no name of the configuration; these backends may list it: {', '.join(listing)}")
        raise
    return (pool, *routes.after(pool)), listing


def _params(model: str, request: str | None) -> "Message":
    """Return what a request asks for, by the endpoint that its members are those of."""
    from portico.openai import requests
    from portico.v1.chat_pb2 import ChatCompletionParams

    if request is None:
        return ChatCompletionParams(model=model)
    try:
        text = sys.stdin.read() if request == "-" else Path(request).read_text(encoding="utf-8")
        body = json.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"{request}: {error}") from error
    if not isinstance(body, dict):
        raise UsageError(f"{request}: expected a JSON object")
    data = json.dumps({**body, "model": model}).encode()
    if "input" in body:
        return requests.parse_embed(data)
    return requests.parse_complete(data)[0] if "prompt" in body else requests.parse_chat(data)[0]


def _header(text: str) -> "Header":
    from portico.v1.headers_pb2 import Header

    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"--header {text!r}: write 'NAME: VALUE'")
    return Header(name=name.strip().lower(), value=value.strip().encode())


def _policy(policy: "Policy") -> str:
    """Say how the model chooses among its candidates."""
    affinity = policy.affinity
    if affinity is not None and not isinstance(affinity, str):
        affinity = f"the header {affinity.header}"
    said = [f"balance {policy.balance}"]
    said += [] if affinity is None else [f"affinity by {affinity}"]
    return ", ".join(said + ([] if policy.fallback is None else [f"fallback {policy.fallback}"]))


def _request(told: "Explanation") -> str:
    """Say what decides about the request."""
    needed = ", ".join(f"{feature} ({member})" for feature, member in told.needs.items())
    tags = f", at candidates with the tags {', '.join(sorted(told.tags))}" if told.tags else ""
    return f"the request needs {needed or 'nothing beside texts'}{tags}"


def _row(model: str, row: "Row") -> tuple[str, ...]:
    left_out = row.turn is None
    return (
        "-" if left_out else str(row.turn),
        "-" if left_out else f"{row.share:.0%}",
        str(row.candidate),
        row.candidate.public or model,
        row.why,
    )


def _refuse(error: "GatewayError") -> int:
    print(f"portico: the caller would be refused with {error.http_status}: {error}", file=sys.stderr)
    return 1
