"""How far the estimate of usage is from what real backends told, over the recorded traffic."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

import pytest

from portico.openai.chunks import ChunkParser
from portico.openai.responses import parse_completion
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.usage_pb2 import Usage
from portico_core import text_size, usage
from tests.proto.openai.endpoints import CHAT, endpoint_of
from tests.support.corpus import Case, cases, parametrize
from tests.support.shared import shared


@dataclass(frozen=True)
class Told:
    """What a backend told of an exchange without tools, and what is estimated."""

    told: Usage
    estimated: Usage


def delivered(case: Case) -> tuple[int, Usage]:
    """Return the bytes of an answer's texts, and its usage."""
    if case.stream is None:
        completion = parse_completion(case.body)
        return sum(map(text_size.of, completion.choices)), completion.usage
    size, found, parser = 0, Usage(), ChunkParser()
    for line in case.body.splitlines():
        if line.startswith(b"data: {"):
            response = StreamResponse()
            parser.parse(line.removeprefix(b"data: "), response)
            for chunk in response.chunks:
                size += sum(map(text_size.of, chunk.choices))
                found = chunk.usage if chunk.HasField("usage") else found
    return size, found


def exchanges() -> list[Told]:
    """Return the chats of text alone: no tools, no hidden thoughts, no media."""
    shared("corpus")
    found = []
    for case in cases():
        if endpoint_of(case.path) is not CHAT or case.status != 200 or case.request is None:
            continue
        if any(
            word in json.dumps(case.request) for word in ('"tools"', '"functions"', "_url", "input_audio")
        ):
            continue
        params, _ = CHAT.parse(json.dumps({"model": "in-the-path"} | case.request).encode())
        size, told = delivered(case)
        if usage.tells(told) and not told.completion_tokens_details.reasoning_tokens:
            found.append(Told(told, usage.estimated(params, size)))
    return found


def errors(pairs: Iterable[tuple[int, int]]) -> list[float]:
    return [abs(estimated - told) / told for told, estimated in pairs]


@pytest.mark.parametrize(
    ("member", "least", "most"), [("prompt_tokens", 1, 0.25), ("completion_tokens", 10, 0.25)]
)
def test_the_estimate_is_near_what_backends_count(member: Any, least: int, most: float) -> None:
    """The bounds that docs/decisions/0009 states, for prompts and for answers of some length."""
    pairs = [(getattr(each.told, member), getattr(each.estimated, member)) for each in exchanges()]
    pairs = [pair for pair in pairs if pair[0] >= least]
    found = errors(pairs)
    assert len(found) >= 30
    assert median(found) <= most
    assert sum(error <= 0.5 for error in found) >= 0.75 * len(found)
    assert 0.8 <= sum(estimated for _, estimated in pairs) / sum(told for told, _ in pairs) <= 1.25


@parametrize(
    lambda case: (
        endpoint_of(case.path) is CHAT
        and case.status == 200
        and case.stream is None
        and b'"completion_tokens"' in case.body
    )
)
def test_what_a_backend_told_stays_as_it_is(case: Case) -> None:
    """Every member of it, vendors' own among them."""
    completion = parse_completion(case.body)
    before = completion.SerializeToString(deterministic=True)
    usage.settled(completion, ChatCompletionParams())
    assert completion.SerializeToString(deterministic=True) == before
