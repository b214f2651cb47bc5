"""The ways in: OpenAI's official SDK, HTTP as it stands on the wire, and gRPC."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

import httpx
import openai
from grpc import aio

from portico.errors import GatewayError
from portico.gateway import CallContext
from portico.remote import RemoteGateway, options_for
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import ChatRequest, StreamRequest
from tests.faults.expected import Kind
from tests.faults.stand import Stand


def _always() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Saw:
    """What a caller said, and saw of the call."""

    says: str = "hello"
    text: str = ""
    #: Each finish_reason of the one choice; None for an unstreamed answer that has none.
    finished: list[str | None] = field(default_factory=list)
    #: The end of the stream that a whole answer has, or all of an unstreamed one.
    ended: bool = False
    #: Had enough, and left.
    left: bool = False
    failed: bool = False
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None
    #: The backend that served it.
    by: str = ""
    seconds: float = 0.0
    #: Characters after which the caller has enough.
    enough: int = 200_000
    #: While it is cleared, the caller does not read a stream.
    reads: asyncio.Event = field(default_factory=_always, repr=False)

    @property
    def kind(self) -> Kind | None:
        """How it ended. None: in a way that no answer may end."""
        if self.failed:
            return None if self.ended else Kind.CUT if self.text else Kind.ERROR
        if self.left:
            return Kind.ENDLESS
        return Kind.ANSWER if self.ended and len(set(self.finished)) == 1 else None

    async def goes_on(self) -> bool:
        """Tell whether the caller wants more, once it does or does not."""
        await self.reads.wait()
        self.left = len(self.text) > self.enough
        return not self.left

    def takes(self, delta: Any, finish: str | None) -> None:
        """Note a choice's delta, of JSON or of the SDK."""
        calls = delta.get("tool_calls") or ()
        self.text += (delta.get("content") or "") + "".join(each["function"]["arguments"] for each in calls)
        self.finished += [finish] if finish else []

    def is_whole(self) -> None:
        """Note that this was an unstreamed answer."""
        self.ended, self.finished = True, self.finished or [None]


class Door(Protocol):
    """Asks for a model's answer."""

    async def ask(self, model: str, *, streamed: bool, saw: Saw) -> None:
        """Ask, and note in ``saw`` what comes."""
        ...


async def through(door: Door, model: str, *, streamed: bool) -> Saw:
    """Make a call."""
    saw, began = Saw(), monotonic()
    await door.ask(model, streamed=streamed, saw=saw)
    saw.seconds = monotonic() - began
    return saw


@asynccontextmanager
async def asking(door: Door, model: str, *, streamed: bool, saw: Saw) -> AsyncIterator[None]:
    """Make a call while the block runs; leave it at its end."""
    task = asyncio.create_task(door.ask(model, streamed=streamed, saw=saw))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


class Sdk:
    """OpenAI's official SDK, which does not retry here."""

    def __init__(self, sdk: openai.AsyncOpenAI) -> None:
        self._sdk = sdk

    async def ask(self, model: str, *, streamed: bool, saw: Saw) -> None:
        hello: Any = [{"role": "user", "content": saw.says}]
        create = self._sdk.chat.completions.with_raw_response.create
        try:
            if not streamed:
                whole = await create(model=model, messages=hello)
                saw.by = _backend(whole.headers)
                self._note(whole.parse(), saw)
                saw.is_whole()
                return
            raw = await create(model=model, messages=hello, stream=True)
            saw.by = _backend(raw.headers)
            async with raw.parse() as chunks:
                async for chunk in chunks:
                    self._note(chunk, saw)
                    if not await saw.goes_on():
                        return
            saw.ended = True
        except openai.APIError as error:
            saw.failed, saw.code = True, error.code
            if isinstance(error, openai.APIStatusError):
                saw.status = error.status_code
                saw.retry_after = _number(error.response.headers.get("retry-after"))

    def _note(self, answer: Any, saw: Saw) -> None:
        for choice in answer.model_dump()["choices"]:
            saw.takes(choice.get("delta") or choice.get("message"), choice["finish_reason"])


class Raw:
    """HTTP without a library that knows OpenAI's API."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._http = http

    async def ask(self, model: str, *, streamed: bool, saw: Saw) -> None:
        body = {"model": model, "messages": [{"role": "user", "content": saw.says}], "stream": streamed}
        async with self._http.stream("POST", self._url, json=body) as answer:
            saw.by = _backend(answer.headers)
            if answer.status_code != 200:
                saw.failed, saw.status = True, answer.status_code
                saw.code = json.loads(await answer.aread())["error"]["code"]
                saw.retry_after = _number(answer.headers.get("retry-after"))
            elif not streamed:
                [choice] = json.loads(await answer.aread())["choices"]
                saw.takes(choice["message"], choice["finish_reason"])
                saw.is_whole()
            else:
                await self._read(answer, saw)

    async def _read(self, answer: httpx.Response, saw: Saw) -> None:
        async for line in answer.aiter_lines():
            data = line.removeprefix("data: ")
            if data == "[DONE]":
                saw.ended = True
            elif line.startswith("data: "):
                event = json.loads(data)
                if "error" in event:
                    saw.failed, saw.code = True, event["error"]["code"]
                for choice in event.get("choices", ()):
                    saw.takes(choice["delta"], choice["finish_reason"])
                if not await saw.goes_on():
                    return


class Grpc:
    """The core itself."""

    def __init__(self, channel: aio.Channel) -> None:
        self._gateway = RemoteGateway(channel)

    async def ask(self, model: str, *, streamed: bool, saw: Saw) -> None:
        params = ChatCompletionParams(model=model)
        params.messages.add(role="user", content=saw.says)
        try:
            if streamed:
                await self._stream(StreamRequest(params=params), saw)
                return
            answered = await self._gateway.chat(ChatRequest(params=params), CallContext(""))
            saw.by = answered.served.backend
            [choice] = answered.completion.choices
            saw.takes({"content": choice.message.content}, choice.finish_reason)
            saw.is_whole()
        except GatewayError as error:
            saw.failed, saw.code, saw.retry_after = True, error.code, error.retry_after
            saw.status = error.http_status

    async def _stream(self, request: StreamRequest, saw: Saw) -> None:
        responses = self._gateway.stream(request, CallContext(""))
        try:
            async for response in responses:
                saw.by = saw.by or response.served.backend
                for chunk in response.chunks:
                    for choice in chunk.choices:
                        saw.text += choice.delta.content
                        saw.text += "".join(each.function.arguments for each in choice.delta.tool_calls)
                        saw.finished += [choice.finish_reason] if choice.finish_reason else []
                if not await saw.goes_on():
                    return
            saw.ended = True
        finally:
            await responses.aclose()


@asynccontextmanager
async def doors(http: str, grpc: str) -> AsyncIterator[dict[str, Door]]:
    """Yield the ways into the gateway whose facade and core listen there, by name."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with (
        httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as client,
        openai.AsyncOpenAI(base_url=f"http://{http}/v1", api_key="none", max_retries=0) as sdk,
        aio.insecure_channel(grpc, options=options_for(grpc)) as channel,
    ):
        yield {"sdk": Sdk(sdk), "raw": Raw(f"http://{http}", client), "grpc": Grpc(channel)}


async def warm(running: Stand, model: str) -> None:
    """Make a first call through every door, so that what a gateway keeps open is open."""
    async with doors(running.facade.address, running.core.address) as ways:
        for door in ways.values():
            await door.ask(model, streamed=True, saw=Saw())
    await running.quiet()


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _backend(headers: Mapping[str, str]) -> str:
    return headers.get("x-portico-model", "").partition("/")[0]
