"""Backends that speak OpenAI's dialect: OpenAI itself and every compatible server."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Final, TypeVar

from portico.adapter import CompletionCall, EmbeddingCall, Limits, P, Upstream, UpstreamCall
from portico.config import Url
from portico.errors import GatewayError, upstream_failed
from portico.openai.chunks import ChunkParser, TextChunkParser
from portico.openai.errors import error_in, parse_error
from portico.openai.models import parse_models
from portico.openai.requests import render_chat, render_complete, render_embed
from portico.openai.responses import parse_completion, parse_embeddings, parse_text
from portico.secret import Secret
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import (
    ChatResponse,
    CompleteResponse,
    EmbedResponse,
    StreamCompleteResponse,
    StreamResponse,
)
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._abilities import with_abilities
from portico_adapters._chunk_stream import ChunkStream, R
from portico_adapters._continuing import begun
from portico_adapters._flavours import FLAVOURS, flavour_of
from portico_adapters._flavours.annotations import joined
from portico_adapters._flavours.answers import ChunkSettler, settle_completion, settle_text
from portico_adapters._flavours.prefix import Continued, beginning, cut_from
from portico_adapters._flavours.request import params_for
from portico_adapters._hops import HOPS_HEADER, one_hop_on, onward
from portico_adapters._passing import PassingSettings, sendable
from portico_adapters._upstream import StreamTranslator, UpstreamClient
from portico_adapters._whole_answer import chat_chunks, text_chunks

T = TypeVar("T")

# What says where a body ends and what it is: another value would break every request.
_FRAMING: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "transfer-encoding",
    }
)

_NO_URL: Final = Url("")

# How a server is asked to continue -> members that it wants for that.
_CONTINUES: Final[Mapping[str, Mapping[str, bool]]] = {
    "last_message": {},
    "continue_final_message": {"continue_final_message": True, "add_generation_prompt": False},
}

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class OpenAISettings(PassingSettings):
    """The members of a backend of this dialect."""

    #: Base of the API, such as https://api.openai.com/v1. Empty: the flavour's own.
    url: Url = _NO_URL
    #: Sent as a bearer token. None: the server wants none.
    api_key: Secret | None = None
    #: Further headers of every request, such as openai-organization.
    headers: Mapping[str, Secret] = field(default_factory=dict)
    #: The provider, whose ways are known by ``_flavours``. None: as the URL's host tells.
    flavour: str | None = None
    #: How the server is asked to go on with an answer that was begun, in a last message of the assistant:
    #: by that message alone (``last_message``: llama.cpp), or by ``continue_final_message`` too (vLLM,
    #: SGLang). None: as the flavour can (Mistral), or it cannot.
    continues: str | None = None

    def __post_init__(self) -> None:
        if self.continues not in (None, *_CONTINUES):
            raise ValueError(f"continues: expected {' or '.join(_CONTINUES)}, found {self.continues}")
        if self.flavour is not None and self.flavour not in FLAVOURS:
            raise ValueError(f"flavour: expected one of {', '.join(FLAVOURS)}, found {self.flavour}")
        if not self.base:
            raise ValueError("url is missing. Add `url: …` here.")
        self.check_passing(has_key=bool(self.api_key), own=self.headers)
        # What is often wrong is a line break at the end of a key that was read from a file.
        if self.api_key and not sendable(self.api_key.reveal()):
            raise ValueError("api_key: must be printable ASCII without line breaks")
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or (value.reveal() and not sendable(value.reveal())):
                raise ValueError(f"headers: {name} is no header, or its value is not printable ASCII")
            if name.lower() in _FRAMING:
                raise ValueError(f"headers: {name} is set by the gateway, for each request anew")

    @property
    def base(self) -> str:
        """Where the API is. Empty: nobody says."""
        return self.url or (FLAVOURS[self.flavour].url if self.flavour else "")


class OpenAIAdapter:
    """Speaks POST /chat/completions, /completions and /embeddings, and GET /models.

    The backend sees the gateway's key, ``x-request-id`` and ``traceparent``; of the caller's headers those
    alone that the settings name, and the caller's key in place of the gateway's where they say so.
    """

    Settings: ClassVar[type[OpenAISettings]] = OpenAISettings

    def __init__(self, _name: str, settings: OpenAISettings, limits: Limits) -> None:
        headers = dict(self._key_header(settings.api_key.reveal())) if settings.api_key else {}
        headers |= {name.lower(): value.reveal() for name, value in settings.headers.items()}
        self._client = UpstreamClient(settings.base, settings, limits, self._error_of, headers=headers)
        self._flavour = flavour_of(settings.flavour, settings.base)
        self._limits = limits
        self._settings = settings
        self.lists_by_caller = settings.lists_by_caller

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        body = render_chat(joined(params_for(self._flavour, call)), model=call.model, stream=False)
        answered, headers = await self._answer("/chat/completions", call, body)
        completion = settle_completion(_said(parse_completion, answered), call.request_id)
        if self._flavour.continues_prefix:
            cut_from(completion, beginning(self._flavour, call.params))
        return ChatResponse(completion=completion, headers=headers)

    def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        params = joined(params_for(self._flavour, call))
        asks = self._flavour.takes_stream_options
        body = render_chat(params, model=call.model, stream=True, stream_options=asks)
        parser = ChunkParser(ChunkSettler(call.request_id).settle)
        chunks = ChunkStream(StreamResponse, parser, self._limits.answer_bytes, chat_chunks)
        told = beginning(self._flavour, call.params)
        return self._stream("/chat/completions", call, body, Continued(chunks, told) if told else chunks)

    async def complete(self, call: CompletionCall, /) -> CompleteResponse:
        body = render_complete(params_for(self._flavour, call), model=call.model, stream=False)
        answered, headers = await self._answer("/completions", call, body)
        return CompleteResponse(completion=settle_text(_said(parse_text, answered)), headers=headers)

    def stream_complete(self, call: CompletionCall, /) -> AsyncGenerator[StreamCompleteResponse, None]:
        body = render_complete(params_for(self._flavour, call), model=call.model, stream=True)
        limit = self._limits.answer_bytes
        chunks = ChunkStream(StreamCompleteResponse, TextChunkParser(settle_text), limit, text_chunks)
        return self._stream("/completions", call, body, chunks)

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        body = render_embed(params_for(self._flavour, call), model=call.model)
        answered, headers = await self._answer("/embeddings", call, body)
        parse = partial(parse_embeddings, encoding_format=call.params.encoding_format)
        return EmbedResponse(embeddings=_said(parse, answered), headers=headers)

    def continued(
        self, params: ChatCompletionParams, _model: str, text: str, /
    ) -> ChatCompletionParams | None:
        how = self._settings.continues
        if how is not None:
            return begun(params, text, _CONTINUES[how])
        # A blank at its end would be repeated or not, as the provider likes.
        able = self._flavour.continues_prefix and not text[-1:].isspace()
        return begun(params, text) if able else None

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        body, hops = await self._client.fetch("/models", headers, self._hops(headers), (HOPS_HEADER,))
        models, gateways = _read(parse_models, body), bool(hops)
        return [with_abilities(model) for model in models if not gateways or one_hop_on(model)]

    async def aclose(self) -> None:
        await self._client.aclose()

    def _answer(
        self, endpoint: str, call: Upstream[P], body: bytes
    ) -> Awaitable[tuple[bytes, Sequence[Header]]]:
        """Return the body of an unstreamed answer, and the headers that concern the caller."""
        return self._client.answer(self._path(endpoint, call.model), call, body, self._hops(call.headers))

    def _stream(
        self, endpoint: str, call: Upstream[P], body: bytes, chunks: StreamTranslator[R]
    ) -> AsyncGenerator[R, None]:
        headers = {"accept": "text/event-stream", **self._hops(call.headers)}
        return self._client.stream(self._path(endpoint, call.model), call, body, chunks, headers)

    @staticmethod
    def _hops(headers: Sequence[Header]) -> Mapping[str, str]:
        """Return the header that counts gateways; raise where a request goes in a circle."""
        return {HOPS_HEADER: onward(headers)}

    @staticmethod
    def _key_header(key: str) -> Mapping[str, str]:
        """Return the header that the gateway's key is sent in."""
        return {"authorization": f"Bearer {key}"}

    def _path(self, endpoint: str, _model: str) -> str:
        """Return where an endpoint is found, from the base URL on."""
        return endpoint

    def _error_of(self, status: int, body: bytes, headers: Sequence[Header]) -> GatewayError:
        """Return the error that an answer of 400 or above is."""
        return parse_error(status, body, headers, callers_key=self._settings.callers_key)


def _said(parse: Callable[[bytes], T], body: bytes) -> T:
    """Return what an answer of success says; raise the GatewayError that it may be all the same."""
    error = error_in(body)
    if error is not None:
        raise error
    return _read(parse, body)


def _read(parse: Callable[[bytes], T], body: bytes) -> T:
    try:
        return parse(body)
    except ValueError as reason:
        detail = f"{len(body)} bytes: {reason}"
        raise upstream_failed("The backend's answer is not what was asked for.", detail) from reason
