"""The official SDK in front of a facade: only base_url changed, and the right exception classes."""

import asyncio

import openai
import pytest

from portico.errors import (
    QUOTA,
    RATE_LIMIT,
    ErrorClass,
    GatewayError,
    invalid_request,
    unavailable,
    unknown_model,
    upstream_failed,
    upstream_silent,
)
from portico.testing.gateway import Ended, FakeGateway
from portico.v1.models_pb2 import Model
from tests.facade.clients import Facade
from tests.facade.conftest import Start
from tests.facade.messages import first, last, tokens


def sync_client(portico: Facade, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{portico.url}/v1", api_key="key", max_retries=retries, timeout=10)


def async_client(portico: Facade, retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{portico.url}/v1", api_key="key", max_retries=retries, timeout=10)


async def test_a_whole_answer(portico: Facade, gateway: FakeGateway) -> None:
    """The request id is the one of the header, as with OpenAI."""
    async with async_client(portico) as client:
        answer = await client.chat.completions.create(
            model="gpt-4",
            messages=[{"role": "user", "content": "hello"}],
            extra_headers={"x-request-id": "r-1"},
        )
    assert answer.choices[0].message.content == "hi"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 3
    assert answer._request_id == "r-1"
    assert (await gateway.received()).context.authorization == "Bearer key"


async def test_a_stream_with_usage(portico: Facade) -> None:
    """Deltas in order, the usage in a last chunk without choices."""
    async with async_client(portico) as client:
        stream = await client.chat.completions.create(
            model="gpt-4",
            messages=[{"role": "user", "content": "hello"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 3


async def test_the_synchronous_client(portico: Facade) -> None:
    """In a thread of its own: whole, streamed, with the `.stream()` helper, and the models."""
    portico.gateway.models = [Model(id="a/b", created=1, owned_by="a")]

    def talk() -> None:
        with sync_client(portico) as client:
            asked = {"model": "gpt-4", "messages": [{"role": "user", "content": "hello"}]}
            assert client.chat.completions.create(**asked).choices[0].message.content == "hi"  # type: ignore[call-overload]
            with client.chat.completions.stream(**asked) as stream:  # type: ignore[arg-type]
                assert [event.delta for event in stream if event.type == "content.delta"] == ["Hel", "lo"]
                assert stream.get_final_completion().choices[0].message.content == "Hello"
            assert [model.id for model in client.models.list()] == ["a/b"]
            assert client.models.retrieve("a/b").owned_by == "a"

    await asyncio.to_thread(talk)


ERRORS = [
    (invalid_request("No.", "temperature"), openai.BadRequestError),
    (GatewayError(ErrorClass.CREDENTIAL, 401, "Who?", "authentication_error"), openai.AuthenticationError),
    (GatewayError(ErrorClass.CREDENTIAL, 403, "No.", "permission_error"), openai.PermissionDeniedError),
    (unknown_model("gpt-4"), openai.NotFoundError),
    (GatewayError(ErrorClass.CALLER, 409, "No.", "invalid_request_error"), openai.ConflictError),
    (GatewayError(ErrorClass.CALLER, 422, "No.", "invalid_request_error"), openai.UnprocessableEntityError),
    (GatewayError(ErrorClass.CAPACITY, 429, "Slow.", RATE_LIMIT), openai.RateLimitError),
    (upstream_failed("Broken."), openai.InternalServerError),
    (unavailable("Away."), openai.InternalServerError),
    (upstream_silent("Silent."), openai.InternalServerError),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("error", "expected"), ERRORS, ids=lambda value: getattr(value, "__name__", ""))
async def test_an_error_is_the_exception_that_openai_would_raise(
    portico: Facade,
    gateway: FakeGateway,
    error: GatewayError,
    expected: type[openai.APIStatusError],
    stream: bool,
) -> None:
    """With message, code, param and request id."""
    gateway.on_chat, gateway.on_stream = [error], [error]
    async with async_client(portico) as client:
        with pytest.raises(expected) as caught:
            await client.chat.completions.create(
                model="gpt-4", messages=[{"role": "user", "content": "hello"}], stream=stream
            )
    assert caught.value.status_code == error.http_status
    assert error.message in caught.value.message
    assert caught.value.code == error.code
    assert caught.value.param == error.param
    assert caught.value.request_id is not None


async def test_a_body_over_the_limit_is_an_api_status_error(start: Start) -> None:
    """The SDK sends all of it before it reads, and still gets the 413."""
    async with start(body_limit=1000) as portico, async_client(portico) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(
                model="gpt-4", messages=[{"role": "user", "content": "x" * 30_000_000}]
            )
        assert caught.value.status_code == 413


async def test_the_sdk_retries_what_may_pass_and_not_a_quota(portico: Facade, gateway: FakeGateway) -> None:
    """Twice by default; never where no wait helps."""
    asked = {"model": "gpt-4", "messages": [{"role": "user", "content": "hello"}]}
    gateway.on_chat = [
        GatewayError(ErrorClass.CAPACITY, 429, "Slow.", RATE_LIMIT, "rate_limit_exceeded", retry_after=0.01)
    ]
    async with async_client(portico, retries=2) as client:
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(**asked)  # type: ignore[call-overload]
        assert len(gateway.calls) == 3
        gateway.on_chat = [GatewayError(ErrorClass.CAPACITY, 429, "Used up.", QUOTA, QUOTA)]
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(**asked)  # type: ignore[call-overload]
        assert len(gateway.calls) == 4


async def test_an_error_event_in_a_stream_is_an_exception(portico: Facade, gateway: FakeGateway) -> None:
    """After the tokens that came before it."""
    gateway.on_stream = [first("Hel"), tokens("lo"), upstream_failed("The backend broke off.")]
    got = []
    async with async_client(portico) as client:
        stream = await client.chat.completions.create(
            model="gpt-4", messages=[{"role": "user", "content": "hello"}], stream=True
        )

        async def read() -> None:
            async for chunk in stream:
                got.append(chunk.choices[0].delta.content)  # noqa: PERF401 - a comprehension would lose them

        with pytest.raises(openai.APIError, match="The backend broke off"):
            await read()
    assert got == ["Hel", "lo"]


async def test_pings_are_invisible(start: Start, gateway: FakeGateway) -> None:
    """Comments are no events."""
    go_on = asyncio.Event()
    gateway.on_stream = [first("Hel"), go_on, tokens("lo"), last()]
    async with start(ping=0.01) as portico, async_client(portico) as client:
        stream = await client.chat.completions.create(
            model="gpt-4", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        asyncio.get_running_loop().call_later(0.1, go_on.set)
        contents = [chunk.choices[0].delta.content async for chunk in stream]
    assert contents == ["Hel", "lo", None]


async def test_closing_a_stream_ends_the_call(portico: Facade, gateway: FakeGateway) -> None:
    """Within a second, while the gateway is silent."""
    gateway.on_stream = [first("Hel"), asyncio.Event()]
    async with async_client(portico) as client:
        stream = await client.chat.completions.create(
            model="gpt-4", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        await anext(aiter(stream))
        await stream.close()
        async with asyncio.timeout(1):
            assert (await gateway.ended()).ended is Ended.CANCELLED
