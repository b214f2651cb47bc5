"""Text completions and embeddings of the dummy backend."""

import dataclasses
import math
from typing import Any

import pytest

from portico.adapter import Completes, Embeds, Limits, Upstream
from portico.errors import GatewayError
from portico.openai.requests import parse_complete, parse_embed
from portico.v1.usage_pb2 import Usage
from portico_adapters.dummy import DummyAdapter, DummySettings


def adapter() -> DummyAdapter:
    return DummyAdapter("dummy", DummySettings(), Limits())


def asked(body: str, model: str = "echo-1") -> Upstream[Any]:
    params, _ = parse_complete(f'{{"model":"m",{body}}}'.encode())
    return Upstream(params, model=model)


def embedded(body: str, model: str = "echo-1") -> Upstream[Any]:
    return Upstream(parse_embed(f'{{"model":"m",{body}}}'.encode()), model=model)


def _product(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


CASES = {
    "repeats the prompt": ('"prompt":"one two"', [("one two", "stop")], (2, 2)),
    "answers each prompt n times": (
        '"prompt":["a","b c"],"n":2',
        [("a", "stop"), ("a", "stop"), ("b c", "stop"), ("b c", "stop")],
        (3, 6),
    ),
    "puts the prompt in front": ('"prompt":"a b","echo":true', [("a ba b", "stop")], (2, 2)),
    "ends at the limit": ('"prompt":"a b c","max_tokens":2', [("a b", "length")], (3, 2)),
    "ends at a stop": ('"prompt":"a b c","stop":"c"', [("a b ", "stop")], (3, 3)),
    "repeats nothing": ('"prompt":""', [("", "stop")], (0, 0)),
}


@pytest.mark.parametrize(("body", "answers", "used"), CASES.values(), ids=CASES)
async def test_a_text_is_answered(body: str, answers: list[tuple[str, str]], used: tuple[int, int]) -> None:
    """Whole, and streamed to the same text, ends and usage."""
    call = asked(body)
    completion = (await adapter().complete(call)).completion
    assert [(choice.text, choice.finish_reason) for choice in completion.choices] == answers
    prompt, generated = used
    usage = Usage(prompt_tokens=prompt, completion_tokens=generated, total_tokens=prompt + generated)
    assert completion.usage == usage
    chunks = [chunk async for message in adapter().stream_complete(call) for chunk in message.chunks]
    pieces = [choice for chunk in chunks for choice in chunk.choices]
    for index, (text, reason) in enumerate(answers):
        own = [piece for piece in pieces if piece.index == index]
        assert "".join(piece.text for piece in own) == text
        assert [piece.finish_reason for piece in own if piece.finish_reason] == [reason]
    assert chunks[-1].usage == usage


async def test_a_story_continues_any_prompt() -> None:
    """The seed chooses it."""
    first, second = [
        (await adapter().complete(asked(f'"prompt":"Go on","seed":{seed}', "story-1"))).completion
        for seed in (0, 1)
    ]
    assert first.choices[0].text != second.choices[0].text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ('"prompt":[1,2]', "prompt"),
        ('"prompt":{"a":1}', "prompt"),
        ('"prompt":"a","suffix":"b"', "suffix"),
        ('"prompt":"a","logprobs":1', "logprobs"),
        ('"prompt":"a","best_of":2', "best_of"),
        ('"prompt":"a","n":0', "n"),
    ],
)
async def test_what_it_cannot_do_is_refused_by_name(body: str, param: str) -> None:
    """400."""
    with pytest.raises(GatewayError) as refused:
        await adapter().complete(asked(body))
    assert (refused.value.http_status, refused.value.param) == (400, param)


async def test_a_suffix_is_left_out_where_the_model_says_so() -> None:
    """And is named."""
    lenient = dataclasses.replace(asked('"prompt":"a","suffix":"b"'), drop_unsupported=True)
    assert (await adapter().complete(lenient)).completion.choices[0].text == "a"
    assert lenient.dropped == ["suffix"]


async def test_embeddings_are_the_same_every_time_and_near_for_common_words() -> None:
    """Of length 1, one per text; these numbers hold on every machine."""
    answer = await adapter().embed(embedded('"input":["the red boat","the red ship","","quiet"]'))
    vectors = [list(each.doubles.values) for each in answer.embeddings.data]
    assert [len(vector) for vector in vectors] == [64] * 4
    assert [each.index for each in answer.embeddings.data] == [0, 1, 2, 3]
    assert all(math.isclose(math.hypot(*vector), 1) for vector in vectors)
    assert _product(vectors[0], vectors[1]) > _product(vectors[0], vectors[3])
    assert answer.embeddings.usage == Usage(prompt_tokens=7, total_tokens=7)
    again = await adapter().embed(embedded('"input":"the red boat"', "story-1"))
    assert list(again.embeddings.data[0].doubles.values) == vectors[0]


async def test_dimensions_are_kept() -> None:
    """Within bounds."""
    answer = await adapter().embed(embedded('"input":"a","dimensions":3'))
    assert len(answer.embeddings.data[0].doubles.values) == 3
    for body, param in {
        '"input":"a","dimensions":0': "dimensions",
        '"input":"a","encoding_format":"zip"': "encoding_format",
        '"input":[1]': "input",
    }.items():
        with pytest.raises(GatewayError) as refused:
            await adapter().embed(embedded(body))
        assert (refused.value.http_status, refused.value.param) == (400, param)


def test_it_has_both_protocols() -> None:
    """So the core never serves its texts by chat."""
    assert isinstance(adapter(), Completes)
    assert isinstance(adapter(), Embeds)
