"""The dummy backend honours what a text can honour, and refuses the rest by name."""

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from portico.adapter import Limits, UpstreamCall
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_chat
from portico.testing.contract import messages_of
from portico.testing.watch import Signs
from portico.v1.chat_pb2 import ChatChoice
from portico_adapters.dummy import DummyAdapter, DummySettings


def call(model: str = "echo-1", text: Any = "One, two; three!", **members: Any) -> UpstreamCall:
    body = {"model": f"dummy/{model}", "messages": [{"role": "user", "content": text}]} | members
    return UpstreamCall(parse_chat(json.dumps(body).encode())[0], model)


def dummy(pace: float = 0.0) -> DummyAdapter:
    return DummyAdapter("dummy", DummySettings(pace=pace), Limits())


async def choices(model: str = "echo-1", **members: Any) -> list[ChatChoice]:
    return list((await dummy().chat(call(model, **members))).completion.choices)


async def said(model: str = "echo-1", **members: Any) -> tuple[str, str]:
    (choice,) = await choices(model, **members)
    return choice.message.content, choice.finish_reason


async def test_echo_repeats_the_last_text_of_the_user() -> None:
    """Not what came before, nor what others said behind it; text in parts counts as text."""
    assert await said() == ("One, two; three!", "stop")
    messages = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": [{"type": "text", "text": "last"}]},
        {"role": "assistant", "content": "mine"},
    ]
    assert await said(messages=messages) == ("last", "stop")
    assert await said(messages=[{"role": "system", "content": "only"}]) == ("", "stop")


async def test_a_story_is_the_same_for_the_same_seed() -> None:
    """And another for another."""
    stories = [await said("story-1", seed=seed) for seed in (1, 1, 2)]
    assert stories[0] == stories[1] != stories[2]
    assert await said("story-1") == await said("story-1")


async def test_stop_ends_the_answer_before_it() -> None:
    """A text or a list of them, the one that comes first."""
    assert await said(stop="two") == ("One, ", "stop")
    assert await said(stop=["three", ";", "nowhere"]) == ("One, two", "stop")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_cuts_the_answer_short(name: str) -> None:
    """A word, with the space before it, and a run of punctuation are a token each."""
    for limit, expected in ((3, ("One, two", "length")), (6, ("One, two; three!", "stop"))):
        members: dict[str, Any] = {name: limit}
        assert await said(**members) == expected


async def test_several_answers_are_numbered() -> None:
    """Different stories, where there are stories."""
    answers = await choices("story-1", n=2)
    assert [choice.index for choice in answers] == [0, 1]
    assert answers[0].message.content != answers[1].message.content


async def test_usage_counts_tokens_of_both_sides() -> None:
    """All messages of the prompt, all answers."""
    usage = (await dummy().chat(call(n=2, max_tokens=4))).completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (6, 8, 14)


async def test_the_answer_has_openais_shape() -> None:
    """Id, object, created, role; a stream has one id for all of its chunks."""
    completion = (await dummy().chat(call())).completion
    assert completion.id.startswith("chatcmpl-")
    assert (completion.object, completion.model) == ("chat.completion", "echo-1")
    assert completion.created > 1_700_000_000
    assert completion.choices[0].message.role == "assistant"
    first, *others = await messages_of(dummy(), call())
    assert first.header.id.startswith("chatcmpl-")
    assert first.chunks[0].choices[0].delta.role == "assistant"
    assert not any(message.HasField("header") for message in others)


async def test_a_stream_comes_word_by_word() -> None:
    """Then its finish, then its usage."""
    chunks = [chunk for message in await messages_of(dummy(), call()) for chunk in message.chunks]
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert texts == ["", "One", ",", " two", ";", " three", "!", ""]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 6


REFUSED: dict[str, dict[str, Any]] = {
    "tools": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    "tool_choice": {"tool_choice": "auto"},
    "functions": {"functions": [{"name": "f"}]},
    "function_call": {"function_call": "auto"},
    "response_format": {"response_format": {"type": "json_object"}},
    "modalities": {"modalities": ["text", "audio"]},
    "audio": {"audio": {"voice": "a", "format": "wav"}},
    "logprobs": {"logprobs": True},
    "n": {"n": 0},
    "max_tokens": {"max_tokens": 0},
    "messages[0].content[1]": {
        "text": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    },
}


@pytest.mark.parametrize(("param", "members"), REFUSED.items(), ids=REFUSED)
async def test_what_it_cannot_do_is_refused_by_name(param: str, members: dict[str, Any]) -> None:
    """400, unstreamed and streamed."""
    for attempt in (dummy().chat(call(**members)), messages_of(dummy(), call(**members))):
        with pytest.raises(GatewayError) as caught:
            await attempt
        error = caught.value
        assert (error.error_class, error.http_status, error.param) == (ErrorClass.CALLER, 400, param)


@pytest.mark.parametrize("param", ["tools", "response_format", "logprobs"])
async def test_what_it_cannot_do_is_left_out_where_the_model_says_so(param: str) -> None:
    """And is named, so that the caller is told."""
    lenient = dataclasses.replace(call(**REFUSED[param]), drop_unsupported=True)
    answer = await dummy().chat(lenient)
    assert answer.completion.choices[0].message.content == "One, two; three!"
    assert lenient.dropped == [param]


async def test_an_image_is_refused_even_so() -> None:
    """The answer would be one to another question."""
    lenient = dataclasses.replace(call(**REFUSED["messages[0].content[1]"]), drop_unsupported=True)
    with pytest.raises(GatewayError):
        await dummy().chat(lenient)


async def test_a_wish_for_plain_text_is_no_wish() -> None:
    """What says the default is taken."""
    members: dict[str, Any] = {"response_format": {"type": "text"}, "modalities": ["text"], "logprobs": False}
    assert await said(**members) == ("One, two; three!", "stop")


async def test_another_model_is_unknown() -> None:
    """404, under the name that was asked for."""
    with pytest.raises(GatewayError) as caught:
        await dummy().chat(call("echo-2"))
    assert (caught.value.http_status, caught.value.code) == (404, "model_not_found")
    assert "dummy/echo-2" in str(caught.value)


async def test_a_pace_is_kept_and_a_waiting_call_can_be_cancelled() -> None:
    """Streamed words come one by one, and each is a sign of life; nothing runs on after a cancel."""
    alive = Signs()
    paced = UpstreamCall(call().params, "echo-1", alive=alive)
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert len(await messages_of(dummy(0.005), paced)) > 6
    assert loop.time() - started > 6 * 0.005
    assert alive.count > 6
    waiting = asyncio.ensure_future(dummy(3600).chat(call()))
    await asyncio.wait([waiting], timeout=0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_pace_is_not_negative() -> None:
    """The member is named."""
    with pytest.raises(ValueError, match=r"^pace: "):
        DummySettings(pace=-1)
