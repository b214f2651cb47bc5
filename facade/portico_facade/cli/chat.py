"""``portico chat``: talk to a running gateway, streamed to the terminal."""

import argparse
import sys
from typing import TYPE_CHECKING

from portico_facade.cli.common import UsageError, add_core, api_key, ask_core

if TYPE_CHECKING:
    from portico.client import Client


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "chat",
        help="send a message to a running gateway and stream the answer",
        description="Send one message through a running gateway and print the answer as it arrives: over "
        "gRPC to the core, or with --http over HTTP to a facade, or to any other server that speaks OpenAI's "
        "API. The exit status is 1 when the call fails, also in the midst of the answer.",
    )
    parser.add_argument("message", help="what to say; - reads it from standard input")
    parser.add_argument("--model", help="default: the first model that the gateway lists")
    parser.add_argument("--system", metavar="TEXT", help="a system message in front")
    parser.add_argument(
        "--http", metavar="URL", help="the facade, such as http://localhost:8000, instead of the core"
    )
    add_core(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.message == "-":
        options.message = sys.stdin.read()
    if options.http:
        return _over_http(options)
    return ask_core(options, lambda client: _over_grpc(client, options), timeout=None)


def _over_grpc(client: "Client", options: argparse.Namespace) -> int:
    from portico.client import system, user

    model = options.model or _first([model.id for model in client.models(timeout=10)])
    before = [system(options.system)] if options.system else []
    with client.stream(model, [*before, user(options.message)]) as chunks:
        for chunk in chunks:
            for choice in chunk.choices:
                print(choice.delta.content or choice.delta.refusal, end="", flush=True)
    print()
    return 0


def _over_http(options: argparse.Namespace) -> int:
    from portico_facade.cli.http_client import HttpClient, HttpError

    before = [{"role": "system", "content": options.system}] if options.system else []
    try:
        client = HttpClient(options.http, api_key(options))
        model = options.model or _first(client.models())
        for text in client.chat(model, [*before, {"role": "user", "content": options.message}]):
            print(text, end="", flush=True)
    except HttpError as error:
        print(f"portico: {error}", file=sys.stderr)
        return 1
    print()
    return 0


def _first(models: list[str]) -> str:
    if not models:
        raise UsageError("the gateway lists no model; name one with --model")
    return models[0]
