"""The adapter's protocol: what a backend dialect implements, in one file.

An adapter is a class that an entry point of the group ``portico.adapters`` names; the entry point's
name is the ``dialect`` of a backend's configuration. Of a backend's members in the configuration the
core takes ``dialect``, ``models`` and ``timeouts``; the others make the adapter's own ``Settings``.
``portico.testing`` holds the suite that every adapter must pass.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from portico.errors import unsupported
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletionParams
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.gateway_pb2 import (
    ChatResponse,
    CompleteResponse,
    EmbedResponse,
    StreamCompleteResponse,
    StreamResponse,
)
from portico.v1.headers_pb2 import Header
from portico.v1.models_pb2 import Model

P = TypeVar("P")


def _nothing(*_: object) -> None:
    pass


# Not frozen: one is made for each attempt, and a frozen dataclass takes four times as long for that.
@dataclass(slots=True)
class Upstream(Generic[P]):
    """One attempt at one backend. An adapter reads it, and changes none of its members."""

    #: Shared with other attempts: an adapter does not change it.
    params: P
    #: The backend's own name for the model; ``params.model`` is the caller's.
    model: str
    #: The caller's HTTP headers.
    headers: Sequence[Header] = ()
    request_id: str = ""
    #: To be called whenever bytes arrive from the backend, whatever they are: the core ends an
    #: attempt whose backend is silent for too long.
    alive: Callable[[], None] = _nothing
    #: To be called with the backend's own name for the request, such as the value of its x-request-id,
    #: where it tells one, with an error too: the log and the receipt have it.
    answered: Callable[[str], None] = _nothing
    #: ``time.monotonic()`` at which the caller stops waiting: for backends that can be told. The core
    #: itself ends the attempt then. None: the caller does not say.
    deadline: float | None = None
    #: The backend's name in the configuration, for messages to the caller.
    backend: str = ""
    #: A parameter that the backend cannot honour is left out instead of refused: the model's
    #: configuration says so.
    drop_unsupported: bool = False
    #: The names of those that were left out. The core tells the caller.
    dropped: list[str] = field(default_factory=list)
    #: The caller's W3C trace context, to be sent on as it is. None: it sent none.
    traceparent: str | None = None

    def unsupported(self, what: str, param: str) -> None:
        """Note that ``param`` is left out, as the backend does not support ``what``, where that is allowed.

        Else raise 400. For parameters alone: a message or a tool that cannot be sent is always refused
        (``portico.errors.unsupported``), as the answer would be one to another question.
        """
        if not self.drop_unsupported:
            raise unsupported(what, param, self.backend)
        if param not in self.dropped:
            self.dropped.append(param)


UpstreamCall: TypeAlias = Upstream[ChatCompletionParams]
CompletionCall: TypeAlias = Upstream[TextCompletionParams]
EmbeddingCall: TypeAlias = Upstream[EmbeddingParams]


@runtime_checkable
class Adapter(Protocol):
    """Chat, streamed and not. All methods raise ``GatewayError`` for what a backend does wrong.

    Cancelling ``chat``, or closing the generator of ``stream``, closes the upstream connection at
    once, whether or not the backend has answered. The core owns all time limits but that of the
    connect; adapters neither retry nor fall back.
    """

    #: A frozen dataclass: the members of a backend's configuration that are this adapter's. Fields
    #: may be str, int, float, bool, Secret, None, lists and dicts of them, and the types of
    #: ``portico.config`` (``Url``, ``Duration``, ``Size``). Further checks stand in ``__post_init__`` and
    #: raise ``ValueError("member: what is wrong")``; the core adds file and line.
    Settings: ClassVar[type[Any]]

    def __init__(self, name: str, settings: Any, limits: "Limits") -> None:
        """Open nothing yet: ``portico check`` makes adapters too. ``name``: the backend's."""
        ...

    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        """Return the whole answer (``completion`` and ``headers``; the core fills in ``served``)."""
        ...

    def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        """Yield what each read brought: a header first, then chunks as the backend sent them.

        End when the backend does; the core judges whether the answer is whole.
        """
        ...

    async def list_models(self, headers: Sequence[Header], /) -> Sequence[Model]:
        """Return the backend's models.

        ``headers``: those of the caller who asks, where the list depends on that (``ListsByCaller``);
        else none, as the list is kept for all.
        """
        ...

    async def aclose(self) -> None:
        """Close the idle connections; no call is running."""
        ...


@runtime_checkable
class Completes(Protocol):
    """What an adapter has besides where its backend serves text completions."""

    async def complete(self, call: CompletionCall, /) -> CompleteResponse:
        """Return the whole answer, as ``Adapter.chat`` does."""
        ...

    def stream_complete(self, call: CompletionCall, /) -> AsyncGenerator[StreamCompleteResponse, None]:
        """Yield what each read brought, as ``Adapter.stream`` does."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """What an adapter has besides where its backend serves embeddings."""

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        """Return the embeddings, as ``Adapter.chat`` does its answer."""
        ...


@runtime_checkable
class Continues(Protocol):
    """What an adapter has besides where its backend can go on with an answer that was begun elsewhere."""

    def continued(
        self, params: ChatCompletionParams, model: str, text: str, /
    ) -> ChatCompletionParams | None:
        """Return a copy of ``params`` that asks ``model`` for what follows ``text``, and not for that again.

        ``text``: what the assistant has said, never empty. None: this model cannot, or not after this text.
        """
        ...


@runtime_checkable
class ListsByCaller(Protocol):
    """What an adapter has besides where its backend may list other models to other callers."""

    #: True: ``list_models`` is asked with each caller's headers, and no list is kept.
    lists_by_caller: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one backend's use of this machine."""

    #: Seconds for a TCP or TLS connect.
    connect_seconds: float = 5.0
    #: Connections open at once: a stream holds one for minutes, and a machine has tens of thousands.
    connections: int = 16_384
    #: Bytes of one unstreamed answer, and of one event of a stream.
    answer_bytes: int = 64 * 1024 * 1024
