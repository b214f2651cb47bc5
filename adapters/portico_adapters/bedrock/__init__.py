"""AWS Bedrock's own API: Converse and ConverseStream, embeddings, and its lists of models.

Signatures and the framing of streams are botocore's; the requests go over the adapters' own client. botocore
is loaded with the first call. The translation is pure and stands beside this file.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

from portico.adapter import EmbeddingCall, Limits, UpstreamCall
from portico.v1.gateway_pb2 import ChatResponse, EmbedResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model
from portico_adapters._fetching import Fetching
from portico_adapters._translation import Translation
from portico_adapters._upstream import UpstreamClient
from portico_adapters.bedrock.chat_answer import completion_of
from portico_adapters.bedrock.chat_request import chat_body
from portico_adapters.bedrock.chat_stream import ChatStream
from portico_adapters.bedrock.embeddings import COUNT_HEADER, embed_bodies, embeddings_of
from portico_adapters.bedrock.errors import error_of
from portico_adapters.bedrock.models import MODELS_PATH, models_of, profiles_of, profiles_path
from portico_adapters.bedrock.settings import BedrockSettings

if TYPE_CHECKING:
    from portico_adapters.bedrock.frames import Frames
    from portico_adapters.bedrock.signing import Signer

_STREAM: Final = {"accept": "application/vnd.amazon.eventstream"}
_JSON: Final = {"content-type": "application/json"}


class BedrockAdapter:
    """Speaks POST /model/{id}/converse, /converse-stream and /invoke (for embeddings alone).

    Models are listed by GET /foundation-models and /inference-profiles.

    AWS sees the gateway's signature or API key, or the caller's key where the settings say so.
    """

    Settings: ClassVar[type[BedrockSettings]] = BedrockSettings

    def __init__(self, _name: str, settings: BedrockSettings, limits: Limits) -> None:
        headers = {"authorization": f"Bearer {settings.api_key.reveal()}"} if settings.api_key else {}
        client = partial(
            UpstreamClient,
            settings=settings,
            limits=limits,
            error_of=partial(error_of, callers_key=settings.callers_key),
            headers=headers,
            for_callers=("x-ratelimit-", "retry-after", COUNT_HEADER),
        )
        self._runtime = client(settings.runtime_url)
        same = settings.control_url == settings.runtime_url
        self._control = self._runtime if same else client(settings.control_url)
        self._fetching = Fetching.by(settings)
        self._settings = settings
        self._limits = limits
        self._signer: Signer | None = None
        self._frames: type[Frames] | None = None
        self.lists_by_caller = settings.lists_by_caller

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        call = await self._fetching.inlined(call)
        body, path = chat_body(call), _path(call.model, "converse")
        proof = await self._proof("POST", self._settings.runtime_url + path, body)
        answer, headers = await self._runtime.answer(path, call, body, proof)
        return ChatResponse(completion=completion_of(answer, call), headers=headers)

    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        call = await self._fetching.inlined(call)
        body, path = chat_body(call), _path(call.model, "converse-stream")
        proof = await self._proof("POST", self._settings.runtime_url + path, body)
        events = ChatStream(call, callers_key=self._settings.callers_key)
        if self._frames is None:
            self._frames = await asyncio.to_thread(_frames)
        translation = Translation(StreamResponse, self._frames(self._limits.answer_bytes), events)
        messages = self._runtime.stream(path, call, body, translation, {**_STREAM, **proof})
        async with aclosing(messages):
            async for message in messages:
                yield message

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        path, answers = _path(call.model, "invoke"), []
        for body in embed_bodies(call):
            proof = await self._proof("POST", self._settings.runtime_url + path, body)
            answers.append(await self._runtime.answer(path, call, body, proof))
        headers = [header for header in answers[-1][1] if header.name != COUNT_HEADER]
        return EmbedResponse(embeddings=embeddings_of(answers, call), headers=headers)

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        found = models_of(await self._get(MODELS_PATH, headers))
        token, more = None, True
        while more:
            profiles, token = profiles_of(await self._get(profiles_path(token), headers))
            found += profiles
            more = token is not None
        return found

    async def aclose(self) -> None:
        await self._runtime.aclose()
        await self._control.aclose()

    async def _get(self, path: str, headers: Sequence[Header]) -> bytes:
        proof = await self._proof("GET", self._settings.control_url + path, b"")
        return await self._control.get(path, headers, proof)

    async def _proof(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers that prove who sends a request; none where a key does."""
        if not self._settings.signs:
            return {}
        if self._signer is None:
            self._signer = await asyncio.to_thread(_signer, self._settings)
        headers = _JSON if body else {}
        if self._signer.ready:
            return self._signer.sign(method, url, body, headers)
        return await asyncio.to_thread(self._signer.sign, method, url, body, headers)


def _path(model: str, operation: str) -> str:
    # A model may be an ARN: its colons and slashes are percent-encoded, and signed so.
    return f"/model/{quote(model, safe='')}/{operation}"


# botocore takes a tenth of a second and 20 MB to load: only where a backend of this dialect is called, and
# not while others wait.


def _signer(settings: BedrockSettings) -> "Signer":
    from portico_adapters.bedrock.signing import Signer  # noqa: PLC0415

    return Signer(settings)


def _frames() -> "type[Frames]":
    from portico_adapters.bedrock.frames import Frames  # noqa: PLC0415

    return Frames
