"""A backend that breaks off after its first content: what the caller gets, by each way, over all bindings."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from portico.errors import GatewayError, upstream_failed
from portico.gateway import CallContext
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextChoice, TextCompletion, TextCompletionParams, TextInput
from portico.v1.events_pb2 import AttemptEvent, AttemptEventKind
from portico.v1.gateway_pb2 import (
    StreamCompleteRequest,
    StreamCompleteResponse,
    StreamRequest,
    StreamResponse,
)
from portico.v1.message_pb2 import ChatMessage
from portico.v1.receipt_pb2 import Outcome, Receipt
from portico_core import mends
from portico_core.policy import HOLD, PREFILL, VERIFY, Policy
from portico_core.routing import Routes
from tests.core.cases import BUSY
from tests.support.core import (
    BINDINGS,
    Binding,
    ScriptedAdapter,
    Upstream,
    chunk,
    config,
    contents,
    finish,
    params,
    role,
    text,
)

BROKEN = upstream_failed("The backend broke off.")

A_CUT = (role(), text("one "), text("two"), BROKEN)
SAME = (role(), text("one tw"), text("o three"), finish())
OTHER = (role(), text("one zwei drei"), finish())


class ContinuingAdapter(ScriptedAdapter):
    """One that continues a text, unless it ends in a blank."""

    def continued(
        self, params: ChatCompletionParams, _model: str, text: str, /
    ) -> ChatCompletionParams | None:
        if text.endswith(" "):
            return None
        asked = ChatCompletionParams()
        asked.CopyFrom(params)
        asked.messages.append(ChatMessage(role="assistant", content=text))
        return asked


@dataclass
class Result:
    """What came of a call."""

    responses: Sequence[StreamResponse]
    error: GatewayError | None
    receipt: Receipt
    upstreams: Mapping[str, Upstream]

    @property
    def text(self) -> str:
        return contents(self.responses)

    @property
    def events(self) -> Sequence[AttemptEvent]:
        return [event for response in self.responses for event in response.events]

    @property
    def told(self) -> list[tuple[str, int, str]]:
        return [
            (AttemptEventKind.Name(event.kind)[19:], event.attempt, event.candidate.backend)
            for event in self.events
        ]

    @property
    def tried(self) -> list[tuple[str, str]]:
        return [(each.candidate.backend, each.reason) for each in self.receipt.attempts]


async def stream(
    binding: Binding,
    scripts: Mapping[str, Sequence[Any]],
    policy: Policy | None = None,
    request: StreamRequest | None = None,
    adapter: type[ScriptedAdapter] = ScriptedAdapter,
) -> Result:
    """Make a call; ``scripts``: one for each attempt at each backend."""
    upstreams = {name: Upstream(each) for name, each in scripts.items()}
    settings = config(upstreams)
    routes = [replace(route, policy=policy or Policy()) for route in settings.routes.routes]
    settings = replace(
        settings,
        routes=Routes(routes, settings.routes.backends),
        backends=tuple(replace(each, adapter=adapter) for each in settings.backends),
    )
    context, responses, error = CallContext("req_1"), list[StreamResponse](), None
    async with binding(settings) as gateway:
        request = request or StreamRequest(params=params())
        try:
            async with contextlib.aclosing(gateway.stream(request, context)) as stream:
                async for response in stream:
                    responses.append(response)
        except GatewayError as raised:
            error = raised
        for upstream in upstreams.values():
            await upstream.released()
    assert context.receipt is not None
    return Result(responses, error, context.receipt, upstreams)


pytestmark = pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS)


def piece(words: str, finish_reason: str | None = None) -> StreamCompleteResponse:
    choice = TextChoice(index=0, text=words, finish_reason=finish_reason)
    return StreamCompleteResponse(chunks=[TextCompletion(choices=[choice])])


@pytest.mark.parametrize(
    ("broken", "restart", "heard"),
    [("hold", False, "three"), ("error", True, "one three"), ("verify", False, "one !")],
)
async def test_text_completions_are_held_or_started_over_and_not_mended_else(
    binding: Binding, broken: str, restart: bool, heard: str
) -> None:
    upstream = Upstream([(piece("one "), BROKEN), (piece("three", "stop"),)])
    settings = config({"a": upstream}, versatile=["a"])
    routes = [replace(route, policy=Policy(broken=broken)) for route in settings.routes.routes]
    settings = replace(settings, routes=Routes(routes, settings.routes.backends))
    asked = TextCompletionParams(model="m", prompt=TextInput(text="hi"))
    request, said, kinds = StreamCompleteRequest(params=asked, restart=restart), "", []
    async with binding(settings) as gateway:
        try:
            async for response in gateway.stream_complete(request, CallContext("r")):
                said += "".join(choice.text for each in response.chunks for choice in each.choices)
                kinds += [(event.kind, event.discarded[0].text) for event in response.events]
        except GatewayError:
            said += "!"
    assert said == heard
    assert kinds == ([(AttemptEventKind.ATTEMPT_EVENT_KIND_RESTARTED, "one ")] if restart else [])


async def test_without_a_word_a_stream_that_breaks_off_is_an_error(binding: Binding) -> None:
    result = await stream(binding, {"a": [A_CUT], "b": [SAME]})
    assert result.error is not None
    assert (result.text, result.error.code) == ("one two", BROKEN.code)
    assert not result.events
    assert not result.upstreams["b"].calls


async def test_who_asks_hears_of_the_attempts(binding: Binding) -> None:
    request = StreamRequest(params=params(), events=True)
    result = await stream(binding, {"a": [[BUSY]], "b": [SAME]}, request=request)
    assert result.text == "one two three"
    assert result.told == [
        ("STARTED", 1, "a"),
        ("FAILED", 1, "a"),
        ("STARTED", 2, "b"),
        ("COMMITTED", 2, "b"),
    ]
    assert (result.events[1].upstream_status, result.events[1].reason) == (429, BUSY.message)
    # Before the chunks that the event is about.
    assert [bool(response.chunks) for response in result.responses][:3] == [False, False, False]
    assert result.responses[3].served.backend == "b"


async def test_who_asks_hears_why_a_stream_broke_off(binding: Binding) -> None:
    request = StreamRequest(params=params(), events=True)
    result = await stream(binding, {"a": [A_CUT]}, request=request)
    assert result.error is not None
    assert [kind for kind, _, _ in result.told] == ["STARTED", "COMMITTED", "FAILED"]
    assert not any(event.discarded for event in result.events)


async def test_who_asks_for_it_gets_an_answer_that_starts_over(binding: Binding) -> None:
    request = StreamRequest(params=params(), restart=True)
    result = await stream(binding, {"a": [A_CUT, [BUSY]], "b": [OTHER]}, request=request)
    assert result.error is None
    assert result.told == [("RESTARTED", 3, "b")]
    (event,) = result.events
    assert [(each.index, each.text) for each in event.discarded] == [(0, "one two")]
    again = next(number for number, each in enumerate(result.responses) if each.events)
    assert contents(result.responses[again:]) == "one zwei drei"
    assert result.responses[again].header.model == "m"
    assert result.responses[again].served.backend == "b"
    assert result.receipt.served.backend == "b"


async def test_an_answer_that_cannot_start_over_is_an_error_without_a_restart(binding: Binding) -> None:
    request = StreamRequest(params=params(), restart=True)
    result = await stream(binding, {"a": [A_CUT, [BROKEN]], "b": [[BROKEN]]}, request=request)
    assert result.error is not None
    assert (result.text, result.told) == ("one two", [])
    assert result.receipt.served.backend == "a"


async def test_what_is_held_fails_over_unseen(binding: Binding) -> None:
    result = await stream(binding, {"a": [A_CUT, A_CUT], "b": [OTHER]}, Policy(broken=HOLD))
    assert (result.text, result.error) == ("one zwei drei", None)
    assert [backend for backend, _ in result.tried] == ["a", "a", "b"]
    assert {each.served.backend for each in result.responses if each.HasField("served")} == {"b"}


async def test_what_is_held_and_never_whole_is_an_error_alone(binding: Binding) -> None:
    result = await stream(binding, {"a": [A_CUT]}, Policy(broken=HOLD))
    assert result.error is not None
    assert not result.responses
    assert not result.receipt.HasField("served")
    assert not result.receipt.HasField("usage")


async def test_what_is_too_large_to_hold_goes_out_and_is_then_as_any_other(
    binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mends, "_MOST_HELD", 10)
    result = await stream(binding, {"a": [A_CUT], "b": [SAME]}, Policy(broken=HOLD))
    assert result.error is not None
    assert result.text == "one two"


async def test_an_answer_that_repeats_the_first_goes_on_in_its_place(binding: Binding) -> None:
    result = await stream(binding, {"a": [A_CUT, [BUSY]], "b": [SAME]}, Policy(broken=VERIFY))
    assert (result.text, result.error) == ("one two three", None)
    assert result.receipt.outcome == Outcome.OUTCOME_OK
    assert len({each.header.id for each in result.responses if each.HasField("header")}) == 1
    assert [each.served.backend for each in result.responses if each.HasField("served")] == ["a", "b"]
    roles = [
        choice.delta.role
        for each in result.responses
        for one in each.chunks
        for choice in one.choices
        if choice.delta.role
    ]
    assert roles == ["assistant"]


async def test_another_answer_is_never_spliced_on(binding: Binding) -> None:
    result = await stream(binding, {"a": [A_CUT, OTHER], "b": [SAME]}, Policy(broken=VERIFY))
    assert result.error is not None
    assert (result.text, result.error.code) == ("one two", BROKEN.code)
    assert result.tried == [("a", BROKEN.message), ("a", "diverged")]
    assert result.receipt.served.backend == "a"
    assert not result.upstreams["b"].calls


THOUGHTS = (role(), text("one"), StreamResponse(chunks=[chunk(reasoning_content="hm")]), BROKEN)
ONE_MORE_CHOICE = (role(), text("one"), StreamResponse(chunks=[chunk(1, content="x")]), BROKEN)


@pytest.mark.parametrize("mode", [VERIFY, PREFILL])
@pytest.mark.parametrize("script", [THOUGHTS, ONE_MORE_CHOICE])
async def test_what_is_not_text_alone_is_not_mended(binding: Binding, mode: str, script: Any) -> None:
    policy = Policy(broken=mode)
    result = await stream(binding, {"a": [script], "b": [SAME]}, policy, adapter=ContinuingAdapter)
    assert result.error is not None
    assert [backend for backend, _ in result.tried] == ["a"]


@pytest.mark.parametrize("more", [{"n": 2}, {"logprobs": True}])
@pytest.mark.parametrize("mode", [VERIFY, PREFILL])
async def test_where_text_is_not_all_nothing_is_mended(
    binding: Binding, mode: str, more: dict[str, Any]
) -> None:
    request = StreamRequest(params=params(**more))
    result = await stream(
        binding, {"a": [A_CUT], "b": [SAME]}, Policy(broken=mode), request, ContinuingAdapter
    )
    assert result.error is not None
    assert [backend for backend, _ in result.tried] == ["a"]


async def test_a_text_is_continued_by_who_can(binding: Binding) -> None:
    rest = (role(), text(", three"), finish())
    request = StreamRequest(params=params(max_tokens=10))
    result = await stream(
        binding, {"a": [A_CUT, [BUSY]], "b": [rest]}, Policy(broken=PREFILL), request, ContinuingAdapter
    )
    assert (result.text, result.error) == ("one two, three", None)
    (call,) = result.upstreams["b"].calls
    assert [each.content for each in call.params.messages] == ["hi", "one two"]
    assert call.params.max_tokens == 9


async def test_a_text_that_nobody_continues_ends_in_the_error(binding: Binding) -> None:
    result = await stream(binding, {"a": [A_CUT], "b": [SAME]}, Policy(broken=PREFILL))
    assert result.error is not None
    assert (result.text, result.error.code) == ("one two", BROKEN.code)
    assert [backend for backend, _ in result.tried] == ["a"]


async def test_who_thinks_anew_does_not_continue_a_text(binding: Binding) -> None:
    anew = (role(), StreamResponse(chunks=[chunk(reasoning_content="hm")]), text("one"), finish())
    scripts: dict[str, Any] = {"a": [A_CUT, anew], "b": [SAME]}
    result = await stream(binding, scripts, Policy(broken=PREFILL), adapter=ContinuingAdapter)
    assert result.error is not None
    assert result.text == "one two"
