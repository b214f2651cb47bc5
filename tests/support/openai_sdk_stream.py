"""What the official SDK's ``client.chat.completions.stream()`` puts together of a stream."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from portico.openai.chunks import ChunkRenderer
from portico.openai.responses import render_completion
from portico.v1.chat_pb2 import ChatCompletion as Completion
from portico.v1.chunk_pb2 import ChatChunk, ChunkHeader
from portico.v1.gateway_pb2 import StreamResponse
from portico_core.operations import Identity

_IDENTITY = "chatcmpl-"
_HEADER = ChunkHeader(id="c", created=1, model="m")
# What the SDK adds of its own, and what tells its entries of lists apart.
_ADDED = ("parsed", "parsed_arguments", "index")


def events_of(messages: Iterable[StreamResponse]) -> list[Any]:
    """Return the events that callers are sent, the last of usage among them."""
    renderer, identity = ChunkRenderer(include_usage=True), Identity(_IDENTITY)
    text = b""
    for message in messages:
        if message.HasField("header"):
            # As the core does for backends that give no id or time.
            identity.fill(message.header)
        text += renderer.render(message)
    text += renderer.finish()
    return list(_data(text))


def of_chunks(chunks: Iterable[ChatChunk]) -> list[Any]:
    """Return what the helper makes of a stream with these chunks."""
    return put_together(events_of([StreamResponse(header=_HEADER, chunks=chunks)]))


def put_together(events: Iterable[Any]) -> list[Any]:
    """Return the choices of a stream as the SDK's helper has them, less what means nothing."""
    state = ChatCompletionStreamState()
    for event in events:
        state.handle_chunk(ChatCompletionChunk.model_validate(event, strict=True))
    return [_told(choice.to_dict(warnings=False)) for choice in state.current_completion_snapshot.choices]


def whole(completion: Completion) -> list[Any]:
    """Return the choices of an unstreamed answer in the same form; the SDK's strict models accept it."""
    Identity(_IDENTITY).fill(completion)
    body = json.loads(render_completion(completion))
    ChatCompletion.model_validate(body, strict=True)
    return [_told(choice) for choice in body["choices"]]


def _told(choice: Any) -> Any:
    """Leave out vendors' members of the choice, which the helper loses behind its first chunk."""
    return {name: _bare(choice.get(name)) for name in ("message", "finish_reason", "logprobs")}


def _bare(value: Any) -> Any:
    """Drop nulls, empty lists and texts: they mean the same as absent."""
    if isinstance(value, dict):
        kept = {name: _bare(each) for name, each in value.items() if name not in _ADDED}
        return {name: each for name, each in kept.items() if each not in (None, [], "", {})}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def _data(text: bytes) -> Iterator[Any]:
    for line in text.splitlines():
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            yield json.loads(line[6:])
