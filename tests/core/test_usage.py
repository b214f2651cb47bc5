"""What a call cost where its backend does not tell: who counts, what is counted, and how it is marked."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import pytest

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion, ChatCompletionParams
from portico.v1.completions_pb2 import (
    TextChoice,
    TextCompletion,
    TextCompletionParams,
    TextInput,
    TextList,
    TokenList,
    TokenLists,
)
from portico.v1.embeddings_pb2 import Embedding, EmbeddingList, EmbeddingParams
from portico.v1.gateway_pb2 import (
    ChatResponse,
    CompleteRequest,
    CompleteResponse,
    EmbedRequest,
    EmbedResponse,
    StreamCompleteRequest,
    StreamCompleteResponse,
    StreamResponse,
)
from portico.v1.message_pb2 import ChatMessage, ContentPart, ImageUrl
from portico.v1.tools_pb2 import FunctionCall, FunctionDefinition, Tool, ToolCall, ToolCallDelta
from portico.v1.usage_pb2 import Usage, UsageSource
from portico_core import usage
from portico_core.usage import BEFORE_ANSWER, PER_MESSAGE
from tests.core.cases import BROKEN, SILENT
from tests.support.core import (
    BINDINGS,
    FOREVER,
    USAGE,
    Binding,
    Upstream,
    answer,
    ask,
    ask_stream,
    chunk,
    config,
    direct,
    finish,
    params,
    role,
    text,
)

ESTIMATED = UsageSource.USAGE_SOURCE_ESTIMATED
COUNTED = UsageSource.USAGE_SOURCE_COUNTED

both_ways = pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS)

#: A stream's end without usage.
END = StreamResponse(chunks=[chunk(finish_reason="stop")])


def estimate(prompt: int, completion: int) -> Usage:
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        source=ESTIMATED,
    )


def of_chat(texts: int, messages: int = 1) -> int:
    """Return the tokens of a chat with so many in its texts."""
    return texts + messages * PER_MESSAGE + BEFORE_ANSWER


#: What ``params()`` asks: one message of two bytes.
ASKED = of_chat(1)


def silent(*choices: ChatChoice) -> ChatResponse:
    """Return an answer without usage."""
    return ChatResponse(completion=ChatCompletion(choices=choices))


def said(index: int = 0, **members: Any) -> ChatChoice:
    message = ChatMessage(role="assistant", **members)
    return ChatChoice(index=index, message=message, finish_reason="stop")


CALL = FunctionCall(name="find", arguments='{"a":"b"}')


@pytest.mark.parametrize(
    ("choices", "tokens"),
    [
        ([said(content="")], 0),
        ([said(content="a")], 1),
        ([said(content="abcd")], 1),
        ([said(content="abcde")], 2),
        ([said(content="日本")], 2),
        ([said(content="abcd"), said(1, content="abcdefgh")], 3),
        ([said(content="abcd", reasoning_content="abcdefgh")], 3),
        ([said(refusal="abcd")], 1),
        ([said(content_parts=[ContentPart(type="text", text="abcd")])], 1),
        ([said(tool_calls=[ToolCall(id="a long id", type="function", function=CALL)])], 4),
    ],
)
def test_an_answer_without_usage_gets_an_estimate_of_all_its_texts(
    choices: Sequence[ChatChoice], tokens: int
) -> None:
    """A token for every four bytes, over all choices, with what was thought and the calls of tools."""
    completion = ChatCompletion(choices=choices)
    assert usage.settled(completion, params()) == estimate(ASKED, tokens)
    assert completion.usage.source == ESTIMATED


@pytest.mark.parametrize("told", [USAGE, Usage(prompt_tokens=0), Usage(total_tokens=1, source=ESTIMATED)])
def test_a_backends_usage_is_never_altered(told: Usage) -> None:
    """Not where it is zero or has one number only, nor where another gateway estimated it."""
    assert usage.settled(ChatCompletion(choices=[said(content="abcd")], usage=told), params()) == told


def test_a_usage_that_says_nothing_is_none() -> None:
    """What else stands in it stays."""
    empty = Usage(extra_json='{"x":1}')
    settled = usage.settled(ChatCompletion(choices=[said(content="abcd")], usage=empty), params())
    assert (settled.prompt_tokens, settled.completion_tokens, settled.extra_json) == (ASKED, 1, '{"x":1}')


def test_a_prompt_is_what_the_model_reads() -> None:
    """Messages and tools; not who asks, nor the bytes of a picture."""
    picture = ContentPart(type="image_url", image_url=ImageUrl(url="data:image/png;base64," + "x" * 4000))
    asked = ChatCompletionParams(
        messages=[
            ChatMessage(role="system", content="abcd"),
            ChatMessage(role="user", content_parts=[ContentPart(type="text", text="abcd"), picture]),
            ChatMessage(role="assistant", tool_calls=[ToolCall(id="1", function=CALL)]),
            ChatMessage(role="tool", tool_call_id="1", content="abc"),
        ],
        tools=[Tool(type="function", function=FunctionDefinition(name="find", parameters_json='{"a": 1}'))],
        metadata={"name": "x" * 400},
        user="x" * 400,
    )
    assert usage.estimated(asked, 0) == estimate(of_chat(9, messages=4), 0)


@pytest.mark.parametrize(
    ("form", "tokens", "source"),
    [
        (TextInput(text="abcde"), 2, ESTIMATED),
        (TextInput(texts=TextList(values=["abcde", "abc"])), 3, ESTIMATED),
        (TextInput(tokens=TokenList(values=[5, 6, 7])), 3, COUNTED),
        (
            TextInput(token_lists=TokenLists(lists=[TokenList(values=[5]), TokenList(values=[6, 7])])),
            3,
            COUNTED,
        ),
        (TextInput(other_json='{"image": "x"}'), 0, ESTIMATED),
    ],
)
def test_tokens_that_the_caller_sent_are_counted(
    form: TextInput, tokens: int, source: UsageSource.ValueType
) -> None:
    """Exactly; texts are estimated one by one. Of an answer only texts are known."""
    wanted = Usage(prompt_tokens=tokens, total_tokens=tokens, source=source)
    assert usage.settled(EmbeddingList(data=[Embedding()]), EmbeddingParams(input=form)) == wanted
    assert usage.estimated(TextCompletionParams(prompt=form), 8) == estimate(tokens, 2)


def test_a_prompt_that_is_repeated_is_not_counted_twice() -> None:
    """With `echo` each answer has its prompt in front."""
    asked = TextCompletionParams(prompt=TextInput(text="abcd"), echo=True, n=2, suffix="abcd")
    choices = [TextChoice(index=0, text="abcdabcd"), TextChoice(index=1, text="abcdabcdabcd")]
    assert usage.settled(TextCompletion(choices=choices), asked) == estimate(2, 3)
    assert usage.estimated(asked, 3) == estimate(2, 0)


@both_ways
async def test_a_whole_answer_and_its_receipt_have_the_estimate(binding: Binding) -> None:
    """Over chat, text completions and embeddings."""
    text_answer = TextCompletion(choices=[TextChoice(text="abcd", finish_reason="stop")])
    upstream = Upstream(
        [
            [silent(said(content="abcd"))],
            [CompleteResponse(completion=text_answer)],
            [EmbedResponse(embeddings=EmbeddingList(data=[Embedding(other_json="[1]")]))],
        ]
    )
    prompt = TextInput(text="abcdefgh")
    chat, complete, embed = (CallContext(name) for name in ("chat", "complete", "embed"))
    async with binding(config({"a": upstream}, versatile=["a"])) as gateway:
        chatted = await gateway.chat(ask(), chat)
        completed = await gateway.complete(
            CompleteRequest(params=TextCompletionParams(model="m", prompt=prompt)), complete
        )
        embedded = await gateway.embed(EmbedRequest(params=EmbeddingParams(model="m", input=prompt)), embed)
    assert chat.receipt
    assert complete.receipt
    assert embed.receipt
    assert chatted.completion.usage == chat.receipt.usage == estimate(ASKED, 1)
    assert completed.completion.usage == complete.receipt.usage == estimate(2, 1)
    of_embedding = Usage(prompt_tokens=2, total_tokens=2, source=ESTIMATED)
    assert embedded.embeddings.usage == embed.receipt.usage == of_embedding


@both_ways
async def test_a_stream_without_usage_ends_with_the_estimate(binding: Binding) -> None:
    """In a message of its own, after the last of the backend's, and in the receipt."""
    script = [role(), text("ab", "cde"), text("日本"), END]
    context = CallContext("")
    async with binding(config({"a": Upstream([script])})) as gateway:
        responses = [each async for each in gateway.stream(ask_stream(), context)]
    assert [each.HasField("usage") for response in responses for each in response.chunks].count(True) == 1
    assert responses[-1].chunks[-1].usage == estimate(ASKED, 3)
    assert context.receipt is not None
    assert context.receipt.usage == estimate(ASKED, 3)


@both_ways
async def test_a_streamed_text_without_usage_ends_with_the_estimate(binding: Binding) -> None:
    """As a chat does."""
    pieces = [("abcd", None), ("efgh", None), ("", "stop")]
    script = [
        StreamCompleteResponse(chunks=[TextCompletion(choices=[TextChoice(text=each, finish_reason=end)])])
        for each, end in pieces
    ]
    asked = TextCompletionParams(model="m", prompt=TextInput(text="abcd"))
    context = CallContext("")
    async with binding(config({"a": Upstream([script])}, versatile=["a"])) as gateway:
        request = StreamCompleteRequest(params=asked)
        responses = [each async for each in gateway.stream_complete(request, context)]
    assert responses[-1].chunks[-1].usage == estimate(1, 2)
    assert context.receipt is not None
    assert context.receipt.usage == estimate(1, 2)


@pytest.mark.parametrize(
    ("script", "tokens"),
    [
        ([text("abcd"), StreamResponse(chunks=[chunk(1, content="efgh", finish_reason="stop")]), END], 2),
        ([StreamResponse(chunks=[chunk(reasoning_content="abcd")]), text("efgh"), END], 2),
        (
            [
                StreamResponse(chunks=[chunk(tool_calls=[ToolCallDelta(index=0, function=CALL)])]),
                StreamResponse(
                    chunks=[
                        chunk(tool_calls=[ToolCallDelta(index=0, function=FunctionCall(arguments="xyz"))])
                    ]
                ),
                END,
            ],
            4,
        ),
    ],
)
async def test_a_stream_counts_each_choice_thoughts_and_tool_calls(
    script: Sequence[StreamResponse], tokens: int
) -> None:
    """Whatever is delivered is text that a model wrote."""
    context = CallContext("")
    async with direct(config({"a": Upstream([script])})) as gateway:
        assert [each async for each in gateway.stream(ask_stream(), context)]
    assert context.receipt is not None
    assert context.receipt.usage == estimate(ASKED, tokens)


@both_ways
async def test_a_stream_with_usage_is_passed_on_as_it_is(binding: Binding) -> None:
    """Nothing is added, even where the usage comes before the end."""
    running = StreamResponse(chunks=[chunk(content="abcd")])
    running.chunks[0].usage.CopyFrom(USAGE)
    for script in ([text("abcd"), finish()], [running, END]):
        context = CallContext("")
        async with binding(config({"a": Upstream([script])})) as gateway:
            responses = [each async for each in gateway.stream(ask_stream(), context)]
        told = [each.usage for response in responses for each in response.chunks if each.HasField("usage")]
        assert told == [USAGE]
        assert context.receipt is not None
        assert context.receipt.usage == USAGE


async def test_a_stream_that_breaks_off_cost_what_was_delivered() -> None:
    """What an earlier candidate sent before its first content is not in it."""
    context = CallContext("")
    scripts = {"a": Upstream([[role(), BROKEN]]), "b": Upstream([[text("abcd"), text("efgh"), BROKEN]])}
    async with direct(config(scripts)) as gateway:
        with pytest.raises(GatewayError):
            assert [each async for each in gateway.stream(ask_stream(), context)]
    assert context.receipt is not None
    assert context.receipt.usage == estimate(ASKED, 2)


async def test_a_stream_whose_caller_leaves_cost_what_was_delivered() -> None:
    """Though it never comes to its usage."""
    context = CallContext("")
    backends = config({"a": Upstream([[text("abcd"), text("efgh"), FOREVER]])})
    async with direct(backends) as gateway, aclosing(gateway.stream(ask_stream(), context)) as stream:
        assert [await anext(stream), await anext(stream)]
    assert context.receipt is not None
    assert context.receipt.usage == estimate(ASKED, 2)


async def test_what_delivers_nothing_has_no_usage() -> None:
    """Neither a failure before the first content nor a caller who leaves before it."""
    failed, left = CallContext(""), CallContext("")
    upstream = Upstream([[role(), SILENT], [role(), FOREVER]])
    async with direct(config({"a": upstream})) as gateway:
        with pytest.raises(GatewayError):
            assert [each async for each in gateway.stream(ask_stream(), failed)]
        call = asyncio.ensure_future(anext(gateway.stream(ask_stream(), left)))
        await upstream.called(2)
        call.cancel()
        await asyncio.wait([call])
    for context in (failed, left):
        assert context.receipt is not None
        assert not context.receipt.HasField("usage")


async def test_the_log_and_the_metrics_say_who_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A backend's own count is not remarked upon in the log."""
    caplog.set_level(logging.INFO, "portico.calls")
    upstream = Upstream([[silent(said(content="abcd"))], [answer()]])
    async with direct(config({"a": upstream})) as gateway:
        await gateway.chat(ask(), CallContext(""))
        await gateway.chat(ask(), CallContext(""))
        labels = {"model": "m", "backend": "a", "type": "output"}
        for source, tokens in (("estimated", 1), ("backend", USAGE.completion_tokens)):
            sample = {**labels, "source": source}
            assert gateway.metrics.registry.get_sample_value("portico_tokens_total", sample) == tokens
    assert ["usage=estimated" in each.message for each in caplog.records] == [True, False]
