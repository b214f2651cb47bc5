"""Chat answers: Gemini's JSON in, OpenAI's out, whole and event by event."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from portico.adapter import UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.chunks import ChunkRenderer
from portico.openai.responses import render_completion
from portico.testing.assemble import assemble
from portico.testing.wire import pieces
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._translation import Translation
from portico_adapters.gemini.chat_answer import completion_of
from portico_adapters.gemini.chat_stream import ChatStream
from portico_adapters.gemini.framing import StreamFraming
from tests.adapters.calls import events_in
from tests.adapters.gemini.fixtures import ANSWERS, CALL, WIRE, chat_call, read

WHOLE = sorted(file.name.partition(".")[0] for file in WIRE.glob("answers/*.openai.json"))


def translated(wire: bytes, size: int | None = None, call: UpstreamCall = CALL) -> Iterator[StreamResponse]:
    """Yield the messages of a stream that arrives in pieces of ``size`` bytes."""
    events = ChatStream(call, callers_key=False)
    translation = Translation(StreamResponse, StreamFraming(1 << 20), events)
    for piece in pieces(wire, size):
        yield from translation.feed(piece)
    yield from translation.close()
    assert translation.done


def event(*parts: dict[str, Any], **candidate: Any) -> bytes:
    """Return an event of one candidate."""
    told = {"candidates": [{"content": {"role": "model", "parts": parts}, **candidate}]}
    return b"data: %b\r\n\r\n" % json.dumps(told).encode()


STOP = event(finishReason="STOP")


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_becomes_openais(name: str) -> None:
    """Text, thoughts, tool calls, citations, files, log probabilities, finish reason, usage."""
    rendered = render_completion(completion_of(read(f"{name}.json"), CALL, callers_key=False))
    assert json.loads(rendered) == json.loads(read(f"{name}.openai.json"))


@pytest.mark.parametrize("size", [None, 64, 1])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_becomes_openais(name: str, size: int | None) -> None:
    """Event by event, in pieces of any size and any framing."""
    renderer = ChunkRenderer(include_usage=True)
    rendered = b"".join(map(renderer.render, translated(read(f"{name}.txt"), size))) + renderer.finish()
    assert events_in(rendered) == events_in(read(f"{name}.sse"))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("RECITATION", "content_filter"),
        ("IMAGE_A_NEW_ONE", "content_filter"),
        ("OTHER", "stop"),
        ("A_NEW_ONE", "stop"),
        (2, "length"),
        (8, "content_filter"),
        (99, "stop"),
    ],
)
def test_finish_reasons_are_openais(told: str | int, reason: str) -> None:
    """Gemini's own word goes along where it says more."""
    (choice,) = assemble(translated(event({"text": "x"}, finishReason=told))).choices
    assert choice.finish_reason == reason


@pytest.mark.parametrize("told", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", 9])
def test_a_model_that_failed_is_an_error(told: str | int) -> None:
    """Another attempt may succeed; an empty answer would be taken for one."""
    wire = event({"text": "x"}) + event(finishReason=told)
    messages = translated(wire)
    assert next(messages).chunks
    with pytest.raises(GatewayError) as raised:
        next(messages)
    assert raised.value.error_class is ErrorClass.UPSTREAM


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b" \r\n",
        event({"text": "x"}),
        b'data: {"usageMetadata":{"promptTokenCount":1}}\n\n',
        b"data: {\n\n",
        b"data: []\n\n",
        b"data: 4\n\n",
        b'[{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}',
        b'[{"candidates":[{"finishReason":"STOP"}]},{"candi',
        b'data: {"candidates":[{"content":{"parts":[{"text":4}]}}]}\n\n',
        b"<html>",
    ],
)
def test_a_stream_that_is_not_whole_is_an_error(wire: bytes) -> None:
    """Never a clean end."""
    with pytest.raises(GatewayError) as raised:
        list(translated(wire))
    assert raised.value.error_class is ErrorClass.UPSTREAM


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"candidates":[]}', b'{"candidates":[{"index":0}]}', b'{"candidates":4}'],
)
def test_an_answer_that_cannot_be_read_is_an_error(body: bytes) -> None:
    """Of the backend."""
    with pytest.raises(GatewayError) as raised:
        completion_of(body, CALL, callers_key=False)
    assert raised.value.error_class is ErrorClass.UPSTREAM


ERROR = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}


@pytest.mark.parametrize(
    "wire",
    [
        event({"text": "Hel"}) + b"data: %b\n\n" % json.dumps({"error": ERROR}).encode(),
        b'[{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}]},%b]'
        % json.dumps({"error": ERROR}).encode(),
    ],
)
def test_an_error_in_mid_stream_is_told_after_what_came(wire: bytes) -> None:
    """Its status tells what it is."""
    messages = translated(wire)
    assert assemble([next(messages)]).choices[0].message.content == "Hel"
    with pytest.raises(GatewayError) as raised:
        next(messages)
    assert (raised.value.http_status, raised.value.code) == (503, "overloaded")


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("listed", [False, True])
def test_a_bare_error_instead_of_a_stream_is_told(listed: bool, size: int | None) -> None:
    """Also inside a whole answer, also in a list."""
    body = json.dumps([{"error": ERROR}] if listed else {"error": ERROR}, indent=1).encode()
    for attempt in (
        lambda: list(translated(body, size)),
        lambda: completion_of(body, CALL, callers_key=False),
    ):
        with pytest.raises(GatewayError) as raised:
            attempt()
        assert raised.value.code == "overloaded"


def test_text_that_speaks_of_errors_is_text() -> None:
    """The word alone makes no error."""
    wire = event({"text": '{"error": {"code": 4}}'}) + STOP
    assert assemble(translated(wire)).choices[0].message.content == '{"error": {"code": 4}}'


def test_json_of_a_stream_may_have_braces_in_strings() -> None:
    """And quotes, and backslashes, wherever a read ends."""
    text = '}{"]["\\ \\" "\\\\'
    told = {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}
    wire = json.dumps([told, {}, {"a": [[{}]]}]).encode()
    for size in (None, 1, 2, 3, 7):
        assert assemble(translated(wire, size)).choices[0].message.content == text


@pytest.mark.parametrize("streamed", [False, True])
def test_callers_of_functions_get_a_function_call(streamed: bool) -> None:
    """One: there is room for no more."""
    call = chat_call(functions=[{"name": "weather"}])
    if streamed:
        completion = assemble(translated(read("tools.txt"), call=call))
    else:
        completion = completion_of(read("tools.json"), call, callers_key=False)
    (choice,) = completion.choices
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call.name == "weather"
    assert not choice.message.tool_calls


def test_speech_is_audio() -> None:
    """As OpenAI's answers have it; what was said is not told."""
    part = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AAA="}}
    body = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}
    (choice,) = completion_of(json.dumps(body).encode(), CALL, callers_key=False).choices
    assert (choice.message.audio.data, choice.message.audio.transcript) == ("AAA=", "")
    (choice,) = assemble(translated(event(part, finishReason="STOP"))).choices
    assert choice.message.audio.data == "AAA="


def test_citations_are_annotations() -> None:
    """By either name; one without an address is left out."""
    cited = [{"startIndex": 1, "endIndex": 3, "uri": "https://a.example", "title": "A"}, {"license": "mit"}]
    for name in ("citationSources", "citations"):
        wire = event({"text": "abc"}, finishReason="STOP", citationMetadata={name: cited})
        (choice,) = assemble(translated(wire)).choices
        (annotation,) = choice.message.annotations
        told = annotation.url_citation
        assert (told.start_index, told.end_index, told.url) == (1, 3, "https://a.example")


def test_two_calls_of_a_stream_have_ids_of_their_own() -> None:
    """Which are the same each time that the answer is translated."""
    call = {"functionCall": {"name": "f", "args": {}}}
    wire = event(call) + event(call) + STOP

    def ids() -> list[str]:
        return [each.id for each in assemble(translated(wire)).choices[0].message.tool_calls]

    assert len(set(ids())) == 2
    assert ids() == ids()


def test_a_long_stream_costs_no_square() -> None:
    """A hundred thousand pieces, each with an empty grounding."""
    wire = event({"text": "word "}, groundingMetadata={}) * 20_000 + STOP
    completion = assemble(list(translated(wire, 1 << 16)))
    assert completion.choices[0].message.content == "word " * 20_000


def test_speech_in_several_parts_is_one() -> None:
    """As bytes: each part is padded on its own."""
    parts = [{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": data}} for data in ("AQ==", "AgM=")]
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    message = completion_of(json.dumps(body).encode(), CALL, callers_key=False).choices[0].message
    assert message.audio.data == "AQID"


def test_streamed_speech_has_its_id_once() -> None:
    """SDKs append the strings of deltas."""
    part = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAA"}}
    chunks = [
        chunk for each in translated(event(part) + event(part, finishReason="STOP")) for chunk in each.chunks
    ]
    told = [
        choice.delta.audio for chunk in chunks for choice in chunk.choices if choice.delta.HasField("audio")
    ]
    assert [bool(audio.id) for audio in told] == [True, False]
    assert "".join(audio.data for audio in told) == "AAAAAAAA"


def test_books_that_are_cited_stay_on_the_choice() -> None:
    """They have no address, so no annotation can name them."""
    cited = {"citations": [{"uri": "https://a.example", "endIndex": 1}, {"title": "A book", "endIndex": 1}]}
    body = {
        "candidates": [
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "citationMetadata": cited}
        ]
    }
    choice = completion_of(json.dumps(body).encode(), CALL, callers_key=False).choices[0]
    assert [each.url_citation.url for each in choice.message.annotations] == ["https://a.example"]
    assert json.loads(choice.extra_json) == {"citation_metadata": cited}


def test_tokens_of_every_kind_are_counted() -> None:
    """Kinds that OpenAI has no member for too."""
    details = [
        {"modality": name, "tokenCount": count}
        for count, name in enumerate(("TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT"), 1)
    ]
    usage = {"promptTokenCount": 15, "candidatesTokenCount": 15, "promptTokensDetails": details}
    body = {
        "candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}],
        "usageMetadata": {**usage, "candidatesTokensDetails": details},
    }
    rendered = render_completion(completion_of(json.dumps(body).encode(), CALL, callers_key=False))
    kinds = {"text_tokens": 1, "image_tokens": 2, "video_tokens": 3, "audio_tokens": 4, "document_tokens": 5}
    told = json.loads(rendered)["usage"]
    assert told["prompt_tokens_details"] == told["completion_tokens_details"] == kinds
