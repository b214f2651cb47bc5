"""The chunks of a stream: what becomes of them, literally."""

import json
import os
from typing import Any

import pytest

from portico.openai.chunks import ChunkParser, ChunkRenderer, TextChunkParser, TextChunkRenderer
from portico.v1.chat_pb2 import ChoiceLogprobs, TokenLogprob
from portico.v1.chunk_pb2 import ChatChunk, ChunkChoice, ChunkHeader, Delta
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico.v1.message_pb2 import Annotation, UrlCitation
from portico.v1.tools_pb2 import FunctionCall, ToolCallDelta
from portico.v1.usage_pb2 import Usage
from tests.bench.meters import rss_bytes

HEAD = '{"id":"c","object":"chat.completion.chunk","created":1700000000,"model":"m"'
HEADER = ChunkHeader(id="c", object="chat.completion.chunk", created=1700000000, model="m")
USAGE = '"usage":{"prompt_tokens":1,"completion_tokens":2}'


def text(content: str | None, index: int = 0, **choice: Any) -> ChatChunk:
    """Return a chunk with a piece of text."""
    return ChatChunk(choices=[ChunkChoice(index=index, delta=Delta(content=content), **choice)])


GOLDEN = {
    "role": (
        '"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}]',
        ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(role="assistant", content=""))]),
    ),
    "text": ('"choices":[{"index":1,"delta":{"content":"Hé"},"logprobs":null}],"usage":null', text("Hé", 1)),
    "padding": (
        '"choices":[{"index":0,"delta":{"content":"Hi"}}],"obfuscation":"xy"',
        ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="Hi"))], obfuscation="xy"),
    ),
    "thinking": (
        '"choices":[{"index":0,"delta":{"reasoning_content":"Hm","reasoning":"Hm"}}]',
        ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(reasoning_content="Hm", reasoning="Hm"))]),
    ),
    "end": (
        '"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]',
        ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(), finish_reason="stop")]),
    ),
    "tool call": (
        """"choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": 1, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}]}}]""",
        ChatChunk(
            choices=[
                ChunkChoice(
                    index=0,
                    delta=Delta(
                        tool_calls=[
                            ToolCallDelta(
                                index=1,
                                id="t",
                                type="function",
                                function=FunctionCall(name="f", arguments=""),
                            )
                        ]
                    ),
                )
            ]
        ),
    ),
    "log probabilities": (
        '"choices":[{"index":0,"delta":{"content":"H"},"logprobs":{"content":[{"token":"H","logprob":-1}]}}]',
        text("H", logprobs=ChoiceLogprobs(content=[TokenLogprob(token="H", logprob=-1)])),
    ),
    "usage": ('"choices":[],' + USAGE, ChatChunk(usage=Usage(prompt_tokens=1, completion_tokens=2))),
    "unknown members": (
        '"choices":[{"index":0,"delta":{"content":"H","token_id":5},"stop_reason":null}],"p":"ab"',
        ChatChunk(
            choices=[
                ChunkChoice(
                    index=0,
                    delta=Delta(content="H", extra_json='{"token_id":5}'),
                    extra_json='{"stop_reason":null}',
                )
            ],
            extra_json='{"p":"ab"}',
        ),
    ),
    "half an escaped surrogate pair": (
        '"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]',
        ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(extra_json='{"content":"\\ud83d"}'))]),
    ),
    "numbers that do not fit": (
        '"choices":[{"index":9223372036854775808,"delta":{"content":"H"}}]',
        ChatChunk(
            choices=[
                ChunkChoice(delta=Delta(content="H"), extra_json='{"index":9223372036854775808}'),
            ]
        ),
    ),
}


@pytest.mark.parametrize(("members", "chunk"), GOLDEN.values(), ids=GOLDEN)
def test_an_event_becomes_this_chunk(members: str, chunk: ChatChunk) -> None:
    """Literally, from bytes and from a view of them."""
    data = f"{HEAD},{members}}}".encode()
    for given in (data, memoryview(b"data: " + data)[6:]):
        into = StreamResponse()
        assert ChunkParser().parse(given, into)
        assert into == StreamResponse(header=HEADER, chunks=[chunk])


def test_the_header_comes_once() -> None:
    """And again when a value changes, in a message of its own."""
    parser, into = ChunkParser(), StreamResponse()
    first = HEAD + ',"choices":[{"index":0,"delta":{"content":"a"}}]}'
    changed = first.replace('"m"', '"n"').replace('"a"', '"b"')
    assert parser.parse(first.encode(), into)
    assert parser.parse(first.encode(), into)
    assert not parser.parse(changed.encode(), into)
    assert into == StreamResponse(header=HEADER, chunks=[text("a"), text("a")])

    into = StreamResponse()
    assert parser.parse(changed.encode(), into)
    assert into == StreamResponse(
        header=ChunkHeader(id="c", object="chat.completion.chunk", created=1700000000, model="n"),
        chunks=[text("b")],
    )

    into = StreamResponse()
    assert parser.parse(changed.encode(), into)
    assert into == StreamResponse(chunks=[text("b")])


def test_an_odd_chunk_can_change_the_header_too() -> None:
    """What the fast way refuses goes the same way."""
    parser, into = ChunkParser(), StreamResponse()
    odd = '{"id":7,"x":1,"choices":[]}'
    assert parser.parse(b'{"choices":[{"index":0,"delta":{}}]}', into)
    assert into.HasField("header")
    assert parser.parse(odd.encode(), into)
    assert not parser.parse(odd.replace('"x"', '"model":"m","x"').encode(), into)
    assert [chunk.extra_json for chunk in into.chunks] == ["", '{"id":7,"x":1}']


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"[DONE]", b'{"x":' * 100_000, b'{"x":"\xff"}'])
def test_what_is_no_json_object_is_a_value_error(data: bytes) -> None:
    """And nothing is appended."""
    into = StreamResponse()
    with pytest.raises(ValueError, match=r"JSON|truncated|object|utf-8"):
        ChunkParser().parse(data, into)
    assert into == StreamResponse()


def rendered(*chunks: ChatChunk, include_usage: bool = False, header: ChunkHeader = HEADER) -> list[str]:
    """Return the events of a whole stream, each without its frame."""
    renderer = ChunkRenderer(include_usage=include_usage)
    told = renderer.render(StreamResponse(header=header))
    for chunk in chunks:
        told += renderer.render(StreamResponse(chunks=[chunk]))
    told += renderer.finish()
    *events, end = told.decode().split("\n\n")
    assert end == ""
    assert all(event.startswith("data: ") for event in events)
    return [event.removeprefix("data: ") for event in events]


def event(choices: str, more: str = "") -> str:
    return f'{HEAD},"choices":[{choices}]{more}}}'


NULLS = '"logprobs":null,"finish_reason":null'


def test_chunks_are_written_as_openai_writes_them() -> None:
    """Role first, nulls, usage null on each chunk but the last, and the end."""
    chunks = [
        ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(role="assistant", content=""))]),
        text('H"'),
        text("i", logprobs=ChoiceLogprobs(content=[TokenLogprob(token="i", logprob=-0.5)])),
        ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(), finish_reason="stop")]),
        ChatChunk(usage=Usage(total_tokens=3)),
    ]
    assert rendered(*chunks, include_usage=True) == [
        event('{"index":0,"delta":{"content":"","role":"assistant"},' + NULLS + "}", ',"usage":null'),
        event('{"index":0,"delta":{"content":"H\\""},' + NULLS + "}", ',"usage":null'),
        event(
            '{"index":0,"delta":{"content":"i"},"logprobs":{"content":[{"token":"i","logprob":-0.5,'
            '"bytes":null,"top_logprobs":[]}],"refusal":null},'
            '"finish_reason":null}',
            ',"usage":null',
        ),
        event('{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}', ',"usage":null'),
        event("", ',"usage":{"total_tokens":3}'),
        "[DONE]",
    ]


def test_usage_is_told_only_to_who_asks() -> None:
    """Neither beside a choice nor alone."""
    chunks = [
        ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="a"))], usage=Usage(total_tokens=3)),
        ChatChunk(usage=Usage(total_tokens=3)),
    ]
    assert rendered(*chunks) == [
        event('{"index":0,"delta":{"content":"a","role":"assistant"},' + NULLS + "}"),
        "[DONE]",
    ]


def test_usage_beside_a_choice_becomes_the_last_chunk() -> None:
    """Of several the last counts."""
    chunks = [
        ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="a"))], usage=Usage(total_tokens=count))
        for count in (1, 2)
    ]
    assert rendered(*chunks, include_usage=True)[1:] == [
        event('{"index":0,"delta":{"content":"a"},' + NULLS + "}", ',"usage":null'),
        event("", ',"usage":{"total_tokens":2}'),
        "[DONE]",
    ]


KINDS = [
    (StreamResponse, ChunkParser, ChunkRenderer),
    (StreamCompleteResponse, TextChunkParser, TextChunkRenderer),
]


@pytest.mark.parametrize("usage", ['"none"', "5", "[]", "true", "null"])
@pytest.mark.parametrize("ends", [(True, b',"usage":null}\n\n'), (False, b"}\n\n")])
@pytest.mark.parametrize("kind", KINDS, ids=["chat", "text"])
def test_a_usage_that_is_none_is_not_told(kind: Any, usage: str, ends: tuple[bool, bytes]) -> None:
    """Not even to who asks: an event has one usage, and other members of the vendor's stay."""
    message, parser, renderer = kind[0](), kind[1](), kind[2](include_usage=ends[0])
    data = f'{{"choices":[{{"index":0}}],"usage":{usage},"usages":1e400}}'
    parser.parse(data.encode(), message)
    event = renderer.render(message)
    assert event.endswith(b',"usages":1e400' + ends[1])
    assert event.count(b'"usage"') == ends[0]
    assert renderer.finish() == b"data: [DONE]\n\n"


def test_each_choice_gets_its_role_once() -> None:
    """Put in where the backend sends none, left out where it repeats it, told again where it changes."""
    roles = [None, None, "assistant", "tool"]
    chunks = [ChatChunk(choices=[ChunkChoice(index=1, delta=Delta(role=role))]) for role in roles]
    assert rendered(text("a"), *chunks, text("b")) == [
        event('{"index":0,"delta":{"content":"a","role":"assistant"},' + NULLS + "}"),
        event('{"index":1,"delta":{"role":"assistant"},' + NULLS + "}"),
        event('{"index":1,"delta":{},' + NULLS + "}"),
        event('{"index":1,"delta":{},' + NULLS + "}"),
        event('{"index":1,"delta":{"role":"tool"},' + NULLS + "}"),
        event('{"index":0,"delta":{"content":"b"},' + NULLS + "}"),
        "[DONE]",
    ]


def test_padding_is_kept() -> None:
    """On the fast way and on the other."""
    padded = text("a")
    padded.obfuscation = "xy"
    assert [line.count('"obfuscation":"xy"') for line in rendered(padded, padded, text("a"))] == [1, 1, 0, 0]


def test_a_header_that_changes_holds_from_there() -> None:
    """With members that come and go; the object is always OpenAI's."""
    renderer = ChunkRenderer(include_usage=False)
    assert renderer.render(StreamResponse(chunks=[text("a")])).startswith(
        b'data: {"id":null,"object":"chat.completion.chunk","created":null,"model":null,"choices":['
    )
    header = ChunkHeader(
        id="2", object="x", created=5, model="m", service_tier="flex", system_fingerprint="f"
    )
    assert renderer.render(StreamResponse(header=header, chunks=[text("a")])).startswith(
        b'data: {"id":"2","object":"chat.completion.chunk","created":5,"model":"m",'
        b'"system_fingerprint":"f","service_tier":"flex","choices":['
    )


def test_line_breaks_in_carried_json_do_not_break_the_event() -> None:
    """They can only stand between tokens, where a blank does as well."""
    assert rendered(ChatChunk(extra_json='{"x":\r\n\n{"y":"\\n"}}'))[0] == event("", ',"x":   {"y":"\\n"}')


def test_rendering_changes_nothing() -> None:
    """One message can be told to several callers."""
    response = StreamResponse(
        header=HEADER,
        chunks=[
            ChatChunk(choices=[ChunkChoice(index=0, delta=Delta(content="a"))], usage=Usage(total_tokens=3)),
            ChatChunk(usage=Usage(total_tokens=3)),
        ],
    )
    before = response.SerializeToString(deterministic=True)
    for include_usage in (True, False):
        renderer = ChunkRenderer(include_usage=include_usage)
        renderer.render(response)
        renderer.finish()
    assert response.SerializeToString(deterministic=True) == before


def test_what_is_of_another_type_than_its_field_stands_once_in_an_event() -> None:
    """As the backend wrote it; only ``object`` is ours whatever it wrote."""
    into = StreamResponse()
    assert ChunkParser().parse(b'{"id":7,"model":["m"],"created":"now","object":5,"choices":[]}', into)
    event = ChunkRenderer(include_usage=False).render(into)
    text = event.removeprefix(b"data: ").strip()
    found = json.loads(text, object_pairs_hook=list)
    assert sorted(name for name, _ in found) == ["choices", "created", "id", "model", "object"]
    assert dict(found) == {
        "id": 7,
        "model": ["m"],
        "created": "now",
        "object": "chat.completion.chunk",
        "choices": [],
    }


@pytest.mark.parametrize("white", ["\n", "\r\n", "\r"])
def test_carried_json_may_have_line_breaks_between_its_tokens(white: str) -> None:
    """An event is one line of data all the same."""
    chunk = ChatChunk(choices=[ChunkChoice(delta=Delta(content="a"))], extra_json=f'{{{white}"x":{white}1}}')
    event = ChunkRenderer(include_usage=False).render(StreamResponse(chunks=[chunk]))
    assert event.endswith(b"\n\n")
    assert b"\n" not in event[:-2]
    assert b"\r" not in event
    assert json.loads(event.removeprefix(b"data: "))["x"] == 1


def test_lists_that_go_on_are_numbered() -> None:
    """The SDK's stream() raises at a second list without; those that end where they begin need none."""
    chunks = []
    for number in (1, 2):
        note = Annotation(type="url_citation", url_citation=UrlCitation(url=f"https://{number}.example"))
        delta = Delta(annotations=[note], extra_json='{"images":[{"type":"image_url"}],"a":["b"]}')
        chunks.append(ChatChunk(choices=[ChunkChoice(index=0, delta=delta)]))
    told = [json.loads(each) for each in rendered(*chunks)[:-1]]
    first, second = (each["choices"][0]["delta"] for each in told)
    assert "index" not in first["annotations"][0] | first["images"][0]
    assert second["annotations"][0]["index"] == second["images"][0]["index"] == 1
    assert second["a"] == ["b"]


def test_a_provider_s_own_class_of_service_stands_beside_openai_s() -> None:
    """SDKs know OpenAI's names alone."""
    told = json.loads(rendered(ChatChunk(), header=ChunkHeader(id="c", service_tier="on_demand"))[0])
    assert (told["service_tier"], told["native_service_tier"]) == ("default", "on_demand")


def test_the_texts_of_a_long_stream_do_not_stay_in_memory() -> None:
    """protobuf gives back what was set in a message only with the message itself."""
    renderer = ChunkRenderer(include_usage=False)
    delta = Delta(content="x" * 20_000)
    response = StreamResponse(chunks=[ChatChunk(choices=[ChunkChoice(delta=delta)])])
    renderer.render(response)
    before = rss_bytes([os.getpid()])
    for _ in range(2_000):
        renderer.render(response)
    assert rss_bytes([os.getpid()]) - before < 10_000_000
