"""The gateway's protocol: what the core implements and every front end calls.

The core's domain object, the gRPC servicer's client side (``portico.remote``) and tests' fakes all
have this shape, so that a front end cannot tell whether the core is in its process.
"""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from portico.v1.gateway_pb2 import (
    ChatRequest,
    ChatResponse,
    CompleteRequest,
    CompleteResponse,
    EmbedRequest,
    EmbedResponse,
    GetModelRequest,
    GetModelResponse,
    GetStatusRequest,
    GetStatusResponse,
    ListModelsRequest,
    ListModelsResponse,
    StreamCompleteRequest,
    StreamCompleteResponse,
    StreamRequest,
    StreamResponse,
)
from portico.v1.receipt_pb2 import Receipt


@dataclass(slots=True)
class CallContext:
    """What travels beside a request: as gRPC metadata, where the core is elsewhere."""

    request_id: str
    #: Value of the caller's ``authorization`` header: its key for the gateway.
    authorization: str | None = None
    traceparent: str | None = None
    #: ``time.monotonic()`` at which the caller stops waiting. None: it does not say.
    deadline: float | None = None
    #: Value of ``x-portico-key``, which goes before ``authorization`` as the key for the gateway.
    key: str | None = None
    #: What became of the call. The gateway fills it in when the call has ended.
    receipt: Receipt | None = field(default=None, init=False)

    def remaining(self) -> float | None:
        """Seconds until the deadline, never below 0. None: there is none."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


class Gateway(Protocol):
    """Every method raises ``GatewayError`` and nothing else, and stops its work when cancelled."""

    async def chat(self, request: ChatRequest, context: CallContext, /) -> ChatResponse:
        """Answer an unstreamed chat completion."""
        ...

    def stream(self, request: StreamRequest, context: CallContext, /) -> AsyncGenerator[StreamResponse, None]:
        """Answer a streamed chat completion.

        A clean end means that the answer is whole. Close the generator to stop early.
        """
        ...

    async def complete(self, request: CompleteRequest, context: CallContext, /) -> CompleteResponse:
        """Answer an unstreamed text completion."""
        ...

    def stream_complete(
        self, request: StreamCompleteRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamCompleteResponse, None]:
        """Answer a streamed text completion, as ``stream`` does."""
        ...

    async def embed(self, request: EmbedRequest, context: CallContext, /) -> EmbedResponse:
        """Embed texts."""
        ...

    async def list_models(self, request: ListModelsRequest, context: CallContext, /) -> ListModelsResponse:
        """List the models that route."""
        ...

    async def get_model(self, request: GetModelRequest, context: CallContext, /) -> GetModelResponse:
        """Return one model that routes; 404 for any other name."""
        ...

    async def get_status(self, request: GetStatusRequest, context: CallContext, /) -> GetStatusResponse:
        """Tell how the gateway and its backends are doing."""
        ...
