"""``portico chat``: talk to a running core, streamed to the terminal."""

import argparse
import asyncio
import contextlib
import sys
import uuid

from grpc import aio

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.remote import RemoteGateway, channel_options
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import ListModelsRequest, StreamRequest
from portico.v1.message_pb2 import ChatMessage
from portico_facade.cli.common import UsageError


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "chat",
        help="send a message to a running core and stream the answer",
        description="Send one message through a running core, over gRPC, and print the answer as it arrives.",
    )
    parser.add_argument("message", help="what to say; - reads it from standard input")
    parser.add_argument("--model", help="default: the first model that the gateway lists")
    parser.add_argument("--system", metavar="TEXT", help="a system message in front")
    parser.add_argument(
        "--grpc", default="localhost:50051", metavar="TARGET", help="the core (default: %(default)s)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.message == "-":
        options.message = sys.stdin.read()
    return asyncio.run(_chat(options))


async def _chat(options: argparse.Namespace) -> int:
    async with aio.insecure_channel(options.grpc, channel_options()) as channel:
        gateway = RemoteGateway(channel)
        try:
            await _say(gateway, options)
        except GatewayError as error:
            where = f" ({options.grpc})" if error.http_status == 503 else ""
            print(f"portico: {error}{where}", file=sys.stderr)
            return 1
    return 0


async def _say(gateway: RemoteGateway, options: argparse.Namespace) -> None:
    context = CallContext(request_id=f"req_{uuid.uuid4().hex}")
    params = ChatCompletionParams(model=options.model or await _first_model(gateway, context))
    if options.system:
        params.messages.append(ChatMessage(role="system", content=options.system))
    params.messages.append(ChatMessage(role="user", content=options.message))
    async with contextlib.aclosing(gateway.stream(StreamRequest(params=params), context)) as stream:
        async for response in stream:
            for chunk in response.chunks:
                for choice in chunk.choices:
                    print(choice.delta.content or choice.delta.refusal, end="", flush=True)
    print()


async def _first_model(gateway: RemoteGateway, context: CallContext) -> str:
    models = (await gateway.list_models(ListModelsRequest(), context)).models
    if not models:
        raise UsageError("the gateway lists no model; name one with --model")
    return models[0].id
