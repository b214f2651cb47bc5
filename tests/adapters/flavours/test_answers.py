"""What callers read of answers in each provider's own spelling, unstreamed and streamed."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.adapter import Limits
from portico.config import Url
from portico.errors import ErrorClass, GatewayError
from portico.openai.chunks import ChunkParser, ChunkRenderer
from portico.openai.responses import parse_completion
from portico.testing.assemble import assemble
from portico.testing.contract import messages_of
from portico.testing.upstream import Upstream
from portico.testing.wire import answer, streamed
from portico.v1.chat_pb2 import ChatChoice, ChatCompletionParams
from portico.v1.chunk_pb2 import ChunkChoice, Delta
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.message_pb2 import ChatMessage
from portico_adapters._flavours.annotations import joined
from portico_adapters._flavours.answers import ChunkSettler, settle_completion
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from tests.adapters.flavours.fixtures import ANSWERS, read
from tests.adapters.openai_tools import CALL, backend


@dataclass(frozen=True)
class Said:
    """What callers look for in an answer."""

    text: str = ""
    thought: str = ""
    finish: str = "stop"
    native: str | None = None
    #: Tokens of the prompt and of the answer, and cached ones; None: the backend does not say.
    usage: tuple[int, int, int | None] = (0, 0, None)
    #: Id, name and arguments.
    call: tuple[str, str, str] | None = None
    #: Members of the message that OpenAI does not have.
    more: tuple[str, ...] = ()


EXPECTED = {
    "deepseek": Said("One two", "Hm.", "length", "insufficient_system_resource", (14, 6, 8)),
    "groq": Said("Hi there", "Greet.", usage=(18, 9, None)),
    "llamacpp": Said(
        finish="tool_calls", usage=(9, 3, None), call=("XXb8p1GAyWoTE6IyqZmmGKSYQVgGDrTQ", "now", "{}")
    ),
    "mistral_references": Said(
        "Oslo is cold", "", "length", "model_length", (50, 10, None), more=("references",)
    ),
    "mistral_thinking": Said("It is 4.", "Two and two. Four.", usage=(12, 28, 5)),
    "mistral_tool_call": Said(
        finish="tool_calls", usage=(90, 20, None), call=("D681PevKs", "weather", '{"city": "Oslo"}')
    ),
    "moonshot": Said("Three.", "Count.", usage=(20, 30, 10)),
    "openrouter": Said("Yes.", "Think on.", "stop", "eos_token", (7, 5, 2), more=("reasoning_details",)),
    "perplexity": Said("Up and up", usage=(8, 4, None)),
    "together": Said("Hello you", "", "stop", "eos", (5, 2, 0)),
}


def test_each_pair_of_files_is_expected() -> None:
    """And no other."""
    assert list(EXPECTED) == ANSWERS


@pytest.mark.parametrize("name", ANSWERS)
async def test_callers_read_openais_words(name: str) -> None:
    """Wherever the provider says them; a stream amounts to the same."""
    async with backend(answer(read(f"{name}.json")), streamed(read(f"{name}.txt"))) as (adapter, _):
        whole = (await adapter.chat(CALL)).completion
        joined = assemble(await messages_of(adapter, CALL))
    for completion in (whole, joined):
        [choice] = completion.choices
        message, usage = choice.message, completion.usage
        details = usage.prompt_tokens_details
        calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls]
        assert EXPECTED[name] == Said(
            message.content,
            message.reasoning_content or message.reasoning,
            choice.finish_reason,
            json.loads(choice.extra_json or "{}").get("native_finish_reason"),
            (
                usage.prompt_tokens,
                usage.completion_tokens,
                details.cached_tokens if details.HasField("cached_tokens") else None,
            ),
            calls[0] if calls else None,
            tuple(json.loads(message.extra_json or "{}")),
        )


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_callers_of_a_stream_get_is_openais(name: str) -> None:
    """Content is text or null, nothing is said twice, and usage comes once, at the end."""
    renderer = ChunkRenderer(include_usage=True)
    async with backend(streamed(read(f"{name}.txt"))) as (adapter, _):
        events = b"".join([renderer.render(each) for each in await messages_of(adapter, CALL)])
    events += renderer.finish()
    *chunks, last = [json.loads(line[6:]) for line in events.split(b"\n\n") if line not in (b"", DONE)]
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] > 0
    for chunk in chunks:
        assert chunk["usage"] is None
        for choice in chunk["choices"]:
            assert isinstance(choice["delta"].get("content"), str | None)
            assert not choice.keys() & {"message", "usage"}


DONE = b"data: [DONE]"


# An event, or an answer of status 200 -> class, status and code of the error that it is.
FAILURES = {
    "OpenRouter's code": (
        {"id": "g", "error": {"code": 402, "message": "Insufficient credits", "metadata": {}}},
        (ErrorClass.CAPACITY, 429, "insufficient_quota"),
    ),
    "OpenRouter's choice": (
        {
            "id": "g",
            "choices": [{"index": 0, "error": {"code": 502, "message": "Upstream broke"}, "message": {}}],
        },
        (ErrorClass.UPSTREAM, 502, "upstream_error"),
    ),
    "Mistral's finish": (
        {"id": "m", "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]},
        (ErrorClass.UPSTREAM, 502, "upstream_error"),
    ),
    "vLLM's flat shape": (
        {"object": "error", "message": "maximum context length is 8", "type": "BadRequestError", "code": 400},
        (ErrorClass.CALLER, 400, "context_length_exceeded"),
    ),
    "a list": (
        {"error": [{"message": "busy", "type": "engine_overloaded_error"}]},
        (ErrorClass.CAPACITY, 503, "overloaded"),
    ),
}


@pytest.mark.parametrize(("body", "wanted"), FAILURES.values(), ids=FAILURES)
async def test_an_error_inside_a_good_answer_is_an_error(
    body: dict[str, Any], wanted: tuple[ErrorClass, int, str]
) -> None:
    """Unstreamed, and as an event of a stream."""
    text = json.dumps(body).encode()
    async with backend(answer(text), streamed(b"data: " + text + b"\n\n")) as (adapter, _):
        with pytest.raises(GatewayError) as whole:
            await adapter.chat(CALL)
        with pytest.raises(GatewayError) as event:
            await messages_of(adapter, CALL)
    for error in (whole.value, event.value):
        assert (error.error_class, error.http_status, error.code) == wanted


async def test_a_whole_answer_in_place_of_a_stream_is_read_alike() -> None:
    """Its list of content too."""
    async with backend(answer(read("mistral_thinking.json"))) as (adapter, _):
        completion = assemble(await messages_of(adapter, CALL))
    message = completion.choices[0].message
    assert (message.content, message.reasoning_content) == ("It is 4.", "Two and two. Four.")


SIGNED = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "signature": "s1"},
    {"type": "text", "text": "So."},
]
DETAILS = [{"type": "reasoning.text", "text": "Hm.", "signature": "s1", "format": "mistral-v1", "index": 0}]


async def test_signatures_of_thoughts_reach_the_caller() -> None:
    """So that they can go back; thoughts without one need no details."""
    whole = {"choices": [{"index": 0, "message": {"content": SIGNED}, "finish_reason": "stop"}]}
    event = {"choices": [{"index": 0, "delta": {"content": SIGNED}, "finish_reason": "stop"}]}
    wire = b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(event).encode()
    async with backend(answer(json.dumps(whole).encode()), streamed(wire)) as (adapter, _):
        message = (await adapter.chat(CALL)).completion.choices[0].message
        delta = (await messages_of(adapter, CALL))[0].chunks[0].choices[0].delta
    for told in (message, delta):
        assert (told.reasoning_content, told.content) == ("Hm.", "So.")
        assert json.loads(told.extra_json) == {"reasoning_details": DETAILS}


def test_details_that_a_backend_tells_itself_are_passed_on_as_they_came() -> None:
    """Each piece with its format and index: callers send the pieces back as they read them."""
    piece = {"type": "reasoning.text", "text": "H", "format": "google-gemini-v1", "id": "r", "index": 3}
    told = [[piece], [{**piece, "text": "m."}], [{"type": "reasoning.encrypted", "data": "s"}], []]
    found = streamed_choices(*({"reasoning_details": each} for each in told), None)
    assert [json.loads(choice.delta.extra_json)["reasoning_details"] for choice in found] == told
    [whole] = settled_choices({"content": "a", "reasoning_details": [piece]}, "stop")
    assert json.loads(whole.message.extra_json) == {"reasoning_details": [piece]}


async def test_mistral_goes_on_with_an_answer_and_does_not_repeat_it() -> None:
    """Whole or streamed; a caller who says `prefix` gets Mistral's own way."""
    said = {"role": "assistant", "content": "One two three"}
    whole = answer(json.dumps({"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}).encode())
    chunks: list[Any] = [{"delta": {"content": "One"}}, {"delta": {"content": " two three"}}]
    chunks.append({"delta": {}, "finish_reason": "stop"})
    events = [b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, **each}]}).encode() for each in chunks]
    async with Upstream(whole, streamed([*events, b"data: [DONE]\n\n"]), whole) as upstream:
        settings = OpenAISettings(Url(f"{upstream.url}/v1"), flavour="mistral")
        adapter = OpenAIAdapter("m", settings, Limits())
        params = adapter.continued(CALL.params, "m", "One two")
        assert params is not None
        call = replace(CALL, params=params)
        assert (await adapter.chat(call)).completion.choices[0].message.content == " three"
        assert assemble(await messages_of(adapter, call)).choices[0].message.content == " three"
        params.messages[-1].extra_json = '{"prefix":true}'
        assert (await adapter.chat(call)).completion.choices[0].message.content == "One two three"
        assert adapter.continued(CALL.params, "m", "One ") is None
        await adapter.aclose()
    for request in upstream.requests:
        assert request.json()["messages"][-1] == {"role": "assistant", "content": "One two", "prefix": True}


def test_a_list_with_other_parts_is_taken_apart() -> None:
    """Pictures are where OpenRouter has them; what nobody knows stands beside the text."""
    image = {"type": "image_url", "image_url": "https://x.org"}
    content = [{"type": "text", "text": "See"}, image, {"type": "tool_file", "file_id": "f"}]
    told = settled({"role": "assistant", "content": content})
    for message in told:
        extra = json.loads(message.extra_json)
        assert message.content == "See"
        assert extra["images"] == [{"type": "image_url", "image_url": {"url": "https://x.org"}}]
        assert extra["references"] == content[2:]


def settled(message: Any, finish: str | None = "tool_calls") -> tuple[Any, Any]:
    """Return the message of an answer, and the delta of a stream that says it at once."""
    return settled_choices(message, finish)[0].message, streamed_choices(message, finish)[0].delta


def settled_choices(message: Any, finish: str | None) -> Sequence[ChatChoice]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = json.dumps({"choices": [choice]}).encode()
    return settle_completion(parse_completion(body), "r").choices


def streamed_choices(*told: Any) -> list[ChunkChoice]:
    """Return the choices of chunks, given their deltas and, last, the reason of the end."""
    *deltas, finish = told
    parser, into = ChunkParser(ChunkSettler("r").settle), StreamResponse()
    for number, delta in enumerate(deltas, 1):
        end = finish if number == len(deltas) else None
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        assert parser.parse(json.dumps({"choices": [choice]}).encode(), into)
    return [chunk.choices[0] for chunk in into.chunks]


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ({"id": "a", "function": {"name": "f", "arguments": "{}"}}, "{}"),
        ({"id": "a", "type": "null", "function": {"name": "f", "arguments": {"a": 1}}}, '{"a": 1}'),
        ({"type": "function", "function": {"name": "f", "arguments": None}}, "{}"),
    ],
)
def test_a_call_has_all_that_openai_s_have(call: Any, arguments: str) -> None:
    """A type, an id and arguments that are a text; in a stream an index too."""
    for message in settled({"content": None, "tool_calls": [call, {**call, "id": None}]}):
        first, second = message.tool_calls[:2]
        assert first.type == second.type == "function"
        assert first.id == call.get("id", first.id) != second.id != ""
        joined = {0: "", 1: ""}
        for at, piece in enumerate(message.tool_calls):
            joined[piece.index if isinstance(message, Delta) else at] += piece.function.arguments
        assert joined == {0: arguments, 1: arguments}


def test_pieces_of_calls_find_each_other_without_an_index() -> None:
    """By their ids; what has none goes on with the last. Indexes from anywhere are counted from 0."""

    def piece(arguments: str, **more: Any) -> Any:
        return {"tool_calls": [{"function": {"arguments": arguments}, **more}]}

    told = [piece("a", id="x"), piece("b"), piece("c", id="y"), piece("d", id="x"), piece("e", index=7)]
    found = [choice.delta.tool_calls[0] for choice in streamed_choices(*told, None)]
    assert [call.index for call in found] == [0, 0, 1, 0, 2]
    assert [call.id[:5] for call in found] == ["x", "", "y", "", "call_"]


def test_calls_that_share_an_index_are_told_apart_by_id_and_name() -> None:
    """And no id or name is told twice, as SDKs append them; an id alone begins nothing."""

    def piece(name: str, arguments: str, told_id: str = "") -> Any:
        function = {"name": name, "arguments": arguments}
        return {"tool_calls": [{"index": 0, "id": told_id, "function": function}]}

    told = [
        piece("f", "a", "x"),
        piece("f", "b", "x"),
        piece("", "c", "z"),
        piece("f", "d", "y"),
        piece("f", "e"),
    ]
    found = [choice.delta.tool_calls[0] for choice in streamed_choices(*told, None)]
    assert [(call.index, call.id, call.function.name, call.function.arguments) for call in found] == [
        (0, "x", "f", "a"),
        (0, "", "", "b"),
        (0, "", "", "c"),
        (1, "y", "f", "d"),
        (1, "", "", "e"),
    ]


def test_pieces_of_custom_calls_become_no_functions() -> None:
    """None of them names one."""
    told = [{"tool_calls": [{"index": 0, "id": "x", "custom": {"name": "f", "input": ""}}]}]
    told += [{"tool_calls": [{"index": 0, "custom": {"input": "a"}}]}]
    found = [choice.delta.tool_calls[0] for choice in streamed_choices(*told, None)]
    assert [call.HasField("function") for call in found] == [False, False]


@pytest.mark.parametrize(
    ("told", "found", "native"),
    [
        ("abort", "length", "abort"),
        ("MAX_TOKENS", "length", "MAX_TOKENS"),
        ("", "stop", None),
        (None, "stop", None),
        ("done", "stop", "done"),
        ("STOP", "stop", "STOP"),
    ],
)
def test_an_end_is_one_of_openai_s(told: str | None, found: str, native: str | None) -> None:
    """SDKs know no others; a whole answer is at its end whatever is said, a chunk is not."""
    (whole,), (chunk,) = settled_choices({"content": "a"}, told), streamed_choices({"content": "a"}, told)
    assert whole.finish_reason == found
    assert chunk.finish_reason == (found if told else "")
    for choice in (whole, chunk):
        assert json.loads(choice.extra_json or "{}").get("native_finish_reason") == native


def test_an_answer_has_a_message_a_whole_second_and_all_counts() -> None:
    """Where the backend has none of them."""
    body = {"choices": [{"index": 0, "finish_reason": "content_filter", "message": None}]}
    usage = {"prompt_tokens": 3, "completion_tokens": None}
    told = json.dumps({**body, "created": 1700000000.25, "usage": usage}).encode()
    completion = settle_completion(parse_completion(told), "r")
    assert completion.choices[0].message.role == "assistant"
    assert (completion.created, completion.extra_json) == (1700000000, "")
    assert (completion.usage.completion_tokens, completion.usage.total_tokens) == (0, 3)


def test_documents_that_were_read_come_back_as_openrouter_wants_them() -> None:
    """Beside the citations on their way to the caller, among them on the way back."""
    file = {"type": "file", "file": {"hash": "h", "name": "n"}}
    cited = {"type": "url_citation", "url_citation": {"url": "https://x.org"}}
    for message in settled({"content": "a", "annotations": [file, cited]}, "stop"):
        assert [each.type for each in message.annotations] == ["url_citation"]
        sent = ChatMessage(role="assistant", content="a", extra_json=message.extra_json)
        [back] = joined(ChatCompletionParams(messages=[sent])).messages
        assert [each.type for each in back.annotations] == ["file"]
        assert json.loads(back.annotations[0].extra_json) == {"file": file["file"]}
        assert back.extra_json == ""


_NAMES = st.sampled_from(
    ["type", "text", "thinking", "reference", "content", "usage", "x_groq", "message", "cached_tokens", "x"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(content=_JSON, usage=_JSON, x_groq=_JSON, message=_JSON, finish=_JSON)
def test_whatever_stands_in_these_places_is_read(
    content: Any, usage: Any, x_groq: Any, message: Any, finish: Any
) -> None:
    """What has none of the known shapes is carried."""
    choice = {"index": 0, "delta": {"content": content}, "message": message, "usage": usage}
    chunk = {"choices": [{**choice, "finish_reason": finish}], "x_groq": x_groq}
    into = StreamResponse()
    assert ChunkParser(ChunkSettler("r").settle).parse(json.dumps(chunk).encode(), into)
    ChunkRenderer(include_usage=True).render(into)
    whole = {"choices": [{"index": 0, "message": {"content": content}}], "usage": usage, "x_groq": x_groq}
    settle_completion(parse_completion(json.dumps(whole).encode()), "r")


def test_half_a_character_is_carried() -> None:
    """As servers send it that cut an emoji in two."""
    into = StreamResponse()
    content = r'[{"type":"text","text":"\ud83d"}]'
    chunk = f'{{"choices":[{{"index":0,"delta":{{"content":{content}}}}}]}}'
    assert ChunkParser(ChunkSettler("r").settle).parse(chunk.encode(), into)
    assert into.chunks[0].choices[0].delta.extra_json == f'{{"content":{content}}}'


@pytest.mark.parametrize("depth", [500, 5000])
def test_what_is_nested_deep_is_carried_or_refused(depth: int) -> None:
    """In the one way that parsers refuse things."""
    content = "[" * depth + "]" * depth
    chunk = f'{{"choices":[{{"index":0,"delta":{{"content":{content}}}}}],"x_groq":{content}}}'
    with contextlib.suppress(ValueError):
        assert ChunkParser(ChunkSettler("r").settle).parse(chunk.encode(), StreamResponse())
