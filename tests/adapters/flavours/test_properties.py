"""What holds for every provider of OpenAI's dialect, whatever is asked and answered."""

import itertools
import json
from contextlib import suppress
from random import Random
from typing import Any

from hypothesis import strategies as st

from portico.adapter import CompletionCall, EmbeddingCall, UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.chunks import ChunkParser, ChunkRenderer, TextChunkParser
from portico.openai.requests import (
    parse_chat,
    parse_complete,
    parse_embed,
    render_chat,
    render_complete,
    render_embed,
)
from portico.openai.responses import parse_completion, parse_text
from portico.testing.assemble import assemble
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico_adapters._chunk_stream import ChunkStream
from portico_adapters._flavours import FLAVOURS
from portico_adapters._flavours.answers import ChunkSettler, settle_completion, settle_text
from portico_adapters._flavours.prefix import Continued
from portico_adapters._flavours.request import params_for
from portico_adapters._whole_answer import chat_chunks, text_chunks
from tests.proto.openai.strategies import JSON, anything, embedding_requests, requests, text_requests
from tests.support.fuzz import cuts, damaged, fuzz, reads, shuffled
from tests.support.openai_sdk_stream import of_chunks
from tests.support.openai_sdk_stream import whole as as_the_sdk_reads

# ---- requests

flavours = st.sampled_from(sorted(FLAVOURS))
roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])


def sent(flavour: str, kind: Any, request: Any, parse: Any, render: Any, drop: bool) -> Any:
    """Return the body that a provider is sent; the error where it cannot honour what is asked."""
    parsed = parse(json.dumps(request).encode())
    params = parsed[0] if isinstance(parsed, tuple) else parsed
    before = params.SerializeToString(deterministic=True)
    try:
        shaped = params_for(FLAVOURS[flavour], kind(params, "m", drop_unsupported=drop))
    except GatewayError as error:
        return error
    finally:
        # Another attempt may go elsewhere.
        assert params.SerializeToString(deterministic=True) == before
    return json.loads(render(shaped))


@fuzz(flavours, requests, roles, st.booleans())
def test_a_chat_is_shaped_or_refused_by_name(flavour: str, request: Any, role: str, drop: bool) -> None:
    """No message is lost, nothing that the row refuses is sent; where it may be dropped, only that is."""
    for message in request["messages"]:
        message["role"] = role
    row = FLAVOURS[flavour]
    asks = row.takes_stream_options
    body = sent(
        flavour,
        UpstreamCall,
        request,
        parse_chat,
        lambda params: render_chat(params, model="m", stream=True, stream_options=asks),
        drop,
    )
    if isinstance(body, GatewayError):
        assert (body.error_class, body.http_status) == (ErrorClass.CALLER, 400)
        assert body.param
        assert not drop or body.param not in row.refused
        return
    assert (body["model"], body["stream"], "stream_options" in body) == ("m", True, asks)
    assert [message["role"] for message in body["messages"]] == [row.roles.get(role, role)] * len(
        request["messages"]
    )
    assert not body.keys() & {*row.refused, *row.unsent, *row.renamed}.difference(row.renamed.values())


@fuzz(flavours, text_requests, embedding_requests, st.booleans())
def test_texts_and_embeddings_are_shaped_or_refused_by_name(
    flavour: str, text: Any, embedding: Any, drop: bool
) -> None:
    """By the same row."""
    for body in (
        sent(
            flavour,
            CompletionCall,
            text,
            parse_complete,
            lambda params: render_complete(params, model="m", stream=False),
            drop,
        ),
        sent(
            flavour,
            EmbeddingCall,
            embedding,
            parse_embed,
            lambda params: render_embed(params, model="m"),
            drop,
        ),
    ):
        assert body.param if isinstance(body, GatewayError) else body["model"] == "m"


# ---- answers

texts = st.text(max_size=6)
unknown: JSON = st.dictionaries(st.sampled_from(["p", "x_new", "timings", ""]), anything, max_size=1)
finishes = st.sampled_from(["stop", "length", "eos", "model_length", "tool_calls"])


def as_text(pieces: list[str]) -> list[Any]:
    return list(pieces)


def as_parts(pieces: list[str]) -> list[Any]:
    """Mistral's way."""
    return [[{"type": "text", "text": piece}] for piece in pieces]


@st.composite
def told(draw: st.DrawFn) -> tuple[Any, list[Any]]:
    """Draw an answer: whole, and the chunks that say the same, with members that nobody knows."""
    thoughts, said = draw(st.lists(texts, max_size=2)), draw(st.lists(texts, min_size=1, max_size=3))
    calls = draw(st.lists(st.tuples(texts, st.lists(texts, max_size=3)), max_size=2))
    # Mistral's way too: without a type, and in a stream without an index.
    left_out = draw(st.sampled_from([(), ("type", "index")]))
    write = draw(st.sampled_from([as_text, as_parts]))
    finish = draw(finishes)
    usage = {"prompt_tokens": draw(st.integers(0, 99)), "completion_tokens": 1, "total_tokens": 1}
    order: Random = draw(st.randoms(use_true_random=False))

    def call(at: int, name: str, arguments: str) -> dict[str, Any]:
        told = {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
        return {member: value for member, value in told.items() if member not in left_out}

    def numbered(at: int, **piece: Any) -> dict[str, Any]:
        return {"tool_calls": [piece if left_out else {"index": at, **piece}]}

    message = {
        "role": "assistant",
        "content": write(["".join(said)])[0],
        "reasoning_content": "".join(thoughts),
        "tool_calls": [call(at, name, "".join(pieces)) for at, (name, pieces) in enumerate(calls)],
    }
    head = {"id": "a", "created": 1, "model": "m"}
    whole: Any = {
        **head,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }
    deltas: list[Any] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": thought} for thought in thoughts]
    deltas += [{"content": piece} for piece in write(said)]
    for at, (name, pieces) in enumerate(calls):
        deltas.append(numbered(at, **call(at, name, "")))
        deltas += [numbered(at, function={"arguments": piece}) for piece in pieces]
    chunks: list[Any] = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    chunks.append({**head, "choices": [], "usage": usage})
    return shuffled({**whole, **draw(unknown)}, order), [
        shuffled({**each, **draw(unknown)}, order) for each in chunks
    ]


def wire_of(chunks: list[Any], between: list[bytes]) -> bytes:
    """Return a stream, with comments and the like between its events."""
    lines = [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks]
    for place, line in enumerate(between):
        lines.insert(place * 3 % (len(lines) + 1), line)
    return b"".join([*lines, b"data: [DONE]\n\n"])


def outcome(wire: bytes, places: list[int]) -> Any:
    """Return the chunks and the error's class, if any, of a stream that arrives cut at these places."""
    stream = ChunkStream(StreamResponse, ChunkParser(ChunkSettler("r").settle), 1 << 20, chat_chunks)
    messages: list[StreamResponse] = []
    error = None
    try:
        for read in reads(wire, places):
            messages.extend(stream.feed(read))
            if stream.done:
                break
        else:
            messages.extend(stream.close())
    except GatewayError as failed:
        error = failed.error_class, failed.http_status, failed.code
    for message in messages:
        # What callers are sent of it.
        ChunkRenderer(include_usage=True).render(message)
    return [chunk for message in messages for chunk in message.chunks], error, messages


comments = st.lists(
    st.sampled_from([b": PROCESSING\n\n", b"\n\n", b"event: x\n\n", b"retry: 5\n", b":\n", b"id: 4\n"]),
    max_size=3,
)


@fuzz(told(), comments, st.data())
def test_a_stream_says_what_the_whole_answer_says(
    both: tuple[Any, list[Any]], between: list[bytes], data: st.DataObject
) -> None:
    """Wherever reads end, whatever is new, in whatever order; also where it came whole after all."""
    whole, chunks = both
    expected = settle_completion(parse_completion(json.dumps(whole).encode()), "r")
    wire = wire_of(chunks, between)
    # A body where a stream was asked for.
    body = json.dumps(whole).encode()
    for streamed in (wire, body):
        found_chunks, error, messages = outcome(streamed, cuts(data, streamed))
        assert error is None
        found = assemble(messages)
        (one,), (other,) = expected.choices, found.choices
        assert one.message.content == other.message.content
        assert one.message.reasoning_content == other.message.reasoning_content
        assert one.finish_reason == other.finish_reason
        assert found.usage == expected.usage
        assert [(call.id, call.function) for call in one.message.tool_calls] == [
            (call.id, call.function) for call in other.message.tool_calls
        ]
        assert of_chunks(found_chunks) == as_the_sdk_reads(expected)


@fuzz(told(), st.data())
def test_a_damaged_stream_is_the_same_however_it_is_cut(
    both: tuple[Any, list[Any]], data: st.DataObject
) -> None:
    """Cut off, with bytes changed: never a crash. Whether it is whole the core judges."""
    spoilt = damaged(data, wire_of(both[1], []))
    chunks, error, _ = outcome(spoilt, [])
    assert outcome(spoilt, cuts(data, spoilt))[:2] == (chunks, error)


@fuzz(texts.filter(bool), st.booleans(), st.lists(texts, max_size=4), st.data())
def test_a_beginning_is_never_told_twice(
    begun: str, repeats: bool, more: list[str], data: st.DataObject
) -> None:
    """However the provider cuts what it repeats; and where it does not repeat it, nothing is lost."""
    said = (begun if repeats else "") + "".join(more)
    places = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=5)))
    pieces = [said[start:end] for start, end in itertools.pairwise([0, *places, len(said)])]
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    stream = ChunkStream(StreamResponse, ChunkParser(ChunkSettler("r").settle), 1 << 20, chat_chunks)
    messages = list(Continued(stream, begun).feed(wire_of(chunks, [])))
    found = "".join(chunk.choices[0].delta.content for message in messages for chunk in message.chunks)
    assert found == said.removeprefix(begun)


names = st.sampled_from(
    [
        *("choices", "delta", "message", "content", "usage", "error", "index", "finish_reason", "tool_calls"),
        *("x_groq", "type", "text", "thinking", "function", "arguments", "role", "code", "logprobs"),
    ]
)
any_events: JSON = st.recursive(
    anything,
    lambda inner: st.dictionaries(names, inner | st.lists(inner, max_size=2), max_size=3),
    max_leaves=8,
)


@fuzz(st.lists(any_events | st.builds(lambda c: {"choices": [c]}, any_events), max_size=4))
def test_events_of_any_json_are_chunks_or_errors(events: list[Any]) -> None:
    """A server of another kind does not crash the gateway."""
    chunks, error, _ = outcome(wire_of(events, []), [])
    assert error or len(chunks) == len(events)


@fuzz(st.binary(max_size=60) | any_events.map(lambda value: json.dumps(value).encode()))
def test_bodies_of_any_kind_are_read_or_errors(body: bytes) -> None:
    """Whole answers, texts, and streams of both; with what follows made of them."""
    with suppress(ValueError, GatewayError):
        settle_completion(parse_completion(body), "r")
    with suppress(ValueError, GatewayError):
        settle_text(parse_text(body))
    outcome(body, [])
    texts_of = ChunkStream(StreamCompleteResponse, TextChunkParser(settle_text), 1 << 20, text_chunks)
    with suppress(GatewayError):
        list(texts_of.feed(b"data: %b\n\n" % body))
        list(texts_of.close())
