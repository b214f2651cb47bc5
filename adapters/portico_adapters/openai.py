"""Backends that speak OpenAI's chat dialect: OpenAI itself and every compatible server."""

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeVar

import portico
from portico.adapter import Limits, UpstreamCall
from portico.config import Url
from portico.errors import GatewayError, upstream_failed
from portico.openai.chunks import ChunkParser
from portico.openai.errors import error_in, parse_error
from portico.openai.models import parse_models
from portico.openai.requests import render_chat
from portico.openai.responses import parse_completion
from portico.secret import Secret
from portico.v1.gateway_pb2 import ChatResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._http import Answer, HttpClient
from portico_adapters._passing import PassingSettings
from portico_adapters._sse import SseParser

T = TypeVar("T")

# The backend's headers that concern the caller, by their beginnings.
_FOR_CALLERS: Final = ("x-ratelimit-", "retry-after")

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# How much is kept of what should be a stream and is not: enough for the JSON text of an error.
_HEAD_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class OpenAISettings(PassingSettings):
    """The members of a backend of this dialect."""

    #: Base of the API, such as https://api.openai.com/v1.
    url: Url
    #: Sent as a bearer token. None: the server wants none.
    api_key: Secret | None = None
    #: Further headers of every request, such as openai-organization.
    headers: Mapping[str, Secret] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check_passing(has_key=bool(self.api_key), own=self.headers)
        # What is often wrong is a line break at the end of a key that was read from a file.
        if self.api_key and not _sendable(self.api_key.reveal()):
            raise ValueError("api_key: must be printable ASCII without line breaks")
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _sendable(value.reveal()):
                raise ValueError(f"headers: {name} is no header, or its value is not printable ASCII")


class OpenAIAdapter:
    """Speaks POST /chat/completions and GET /models.

    The backend sees the gateway's key and ``x-request-id``; of the caller's headers those alone that the
    settings name, and the caller's key in place of the gateway's where they say so.
    """

    Settings: ClassVar[type[OpenAISettings]] = OpenAISettings

    def __init__(self, _name: str, settings: OpenAISettings, limits: Limits) -> None:
        headers = {"user-agent": f"portico/{portico.__version__}"}
        if settings.api_key:
            headers |= self._key_header(settings.api_key.reveal())
        headers |= {name.lower(): value.reveal() for name, value in settings.headers.items()}
        self._http = HttpClient(settings.url, headers, limits)
        self._limits = limits
        self._settings = settings
        self.lists_by_caller = settings.lists_by_caller

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        async with await self._complete(call, stream=False) as answer:
            body = await answer.read()
            error = error_in(body)
            if error is not None:
                raise error
            return ChatResponse(
                completion=_read(parse_completion, body), headers=answer.picked(*_FOR_CALLERS)
            )

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        async with await self._complete(call, stream=True) as answer:
            translator = _Translator(self._limits.answer_bytes)
            headers = answer.picked(*_FOR_CALLERS)
            async for data in answer:
                for message in translator.feed(data):
                    if headers:
                        message.headers.extend(headers)
                        headers = []
                    yield message
                if translator.done:
                    await answer.finish()
                    return
            for message in translator.close():
                yield message

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        accept = {"accept": "application/json", **self._settings.passed(headers)}
        async with await self._send("GET", "/models", accept) as answer:
            return _read(parse_models, await answer.read())

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _complete(self, call: UpstreamCall, *, stream: bool) -> Answer:
        headers = {
            "accept": "text/event-stream" if stream else "application/json",
            "content-type": "application/json",
            **self._settings.passed(call.headers),
        }
        if _sendable(call.request_id):
            headers["x-request-id"] = call.request_id
        body = render_chat(call.params, model=call.model, stream=stream)
        path = self._path("/chat/completions", call.model)
        return await self._send("POST", path, headers, body, call.alive)

    @staticmethod
    def _key_header(key: str) -> Mapping[str, str]:
        """Return the header that the gateway's key is sent in."""
        return {"authorization": f"Bearer {key}"}

    def _path(self, endpoint: str, _model: str) -> str:
        """Return where an endpoint is found, from the base URL on."""
        return endpoint

    async def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        alive: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Return an answer of success; raise for any other."""
        answer = await self._http.send(method, path, headers, body, alive=alive)
        if 200 <= answer.status < 300:
            return answer
        async with answer:
            if answer.status < 400:
                raise upstream_failed(
                    "The backend redirects, which the gateway does not follow.", f"status {answer.status}"
                )
            raise parse_error(
                answer.status,
                await answer.read_error(),
                answer.headers,
                callers_key=self._settings.callers_key,
            )


class _Translator:
    """Turns what each read of a stream brings into messages, one where the header stays the same."""

    def __init__(self, max_event_bytes: int) -> None:
        self._events = SseParser(max_event_bytes)
        self._chunks = ChunkParser()
        #: The start of the body, as long as no event has come of it.
        self._head: bytes | None = b""
        #: ``[DONE]`` has come: nothing that follows counts.
        self.done = False

    def feed(self, data: bytes) -> Iterator[StreamResponse]:
        """Yield the messages of one read. Raise GatewayError where it holds an error or no chunk."""
        try:
            events = self._events.feed(data)
        except ValueError as error:
            raise upstream_failed(
                "The backend sent a larger event than this gateway takes.", str(error)
            ) from error
        if self._head is not None:
            self._head = None if events else (self._head + data)[:_HEAD_BYTES]
        return self._messages(events)

    def close(self) -> Iterator[StreamResponse]:
        """Yield what the end of the body leaves. Raise GatewayError where it never was a stream."""
        events = self._events.close()
        if self._head is not None and not events:
            detail = f"{len(self._head)} bytes or more without an event"
            raise error_in(self._head) or upstream_failed("The backend did not answer with a stream.", detail)
        return self._messages(events)

    def _messages(self, events: list[bytes]) -> Iterator[StreamResponse]:
        message = StreamResponse()
        for event in events:
            if event.startswith(b"[DONE]"):
                self.done = True
                break
            try:
                fits = self._append(event, message)
            except GatewayError:
                if message.chunks:
                    yield message
                raise
            if not fits:
                yield message
                message = StreamResponse()
                self._append(event, message)
        if message.chunks:
            yield message

    def _append(self, event: bytes, message: StreamResponse) -> bool:
        """Append an event's chunk. False: it has another header than the message."""
        if not event:
            return True
        # Nearly no event has an error: the look for the word saves the call.
        if b'"error"' in event and (error := error_in(event)) is not None:
            raise error
        try:
            return self._chunks.parse(event, message)
        except ValueError as reason:
            # The event itself holds somebody's messages, which the log must not.
            raise upstream_failed("The backend sent an event that is no chunk.", str(reason)) from reason


def _sendable(value: str) -> bool:
    """Whether a text may stand in a header."""
    return value.isascii() and value.isprintable()


def _read(parse: Callable[[bytes], T], body: bytes) -> T:
    try:
        return parse(body)
    except ValueError as reason:
        detail = f"{len(body)} bytes: {reason}"
        raise upstream_failed("The backend's answer is not what was asked for.", detail) from reason
