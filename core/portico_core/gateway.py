"""The domain's gateway: what the gRPC service is a skin over, and what a program may embed."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Collection, Coroutine, Sequence
from typing import Any, Final

import portico
from portico.errors import unavailable
from portico.gateway import CallContext
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
from portico.v1.status_pb2 import GatewayState
from portico_core import dispatch, operations, stages
from portico_core.backends import Backend
from portico_core.call import Call
from portico_core.config import Config
from portico_core.keys import Keys
from portico_core.metrics import Metrics
from portico_core.model_health import ModelHealth
from portico_core.model_labels import ModelLabels
from portico_core.operations import R, S, Streaming, Unary
from portico_core.settling import Asking, Settling
from portico_core.setup import Setup
from portico_core.state_store import OwnState, StateStore

_log: Final = logging.getLogger("portico.gateway")


class RoutingGateway:
    """A ``portico.gateway.Gateway`` over the backends of a configuration."""

    def __init__(self, config: Config, store: StateStore | None = None) -> None:
        """``store``: what it shares with other processes. None: nothing."""
        self._store: Final = store or OwnState()
        self._setup = Setup(config, self._refuse_when_draining, self._store)
        self.metrics = Metrics(self._labels(), self._setup.backends.values())
        #: How the models are.
        self.health: Final = ModelHealth(self._setup)
        # Of earlier configurations, until their last calls are over.
        self._closing: set[asyncio.Task[None]] = set()
        self._started = time.monotonic()
        self._draining = False
        self._asking = Asking()

    @property
    def config(self) -> Config:
        """What it serves by now."""
        return self._setup.config

    @property
    def admin_keys(self) -> Keys:
        """The keys of its operators. Without any, nobody is one."""
        return self._setup.admin_keys

    def status(self) -> GetStatusResponse:
        """Return how this process is."""
        state = GatewayState.GATEWAY_STATE_SERVING
        if self._draining:
            state = GatewayState.GATEWAY_STATE_DRAINING
        return GetStatusResponse(
            state=state,
            version=portico.__version__,
            uptime_seconds=time.monotonic() - self._started,
            models=self._setup.models.names(),
            backends=[backend.status() for backend in self._setup.backends.values()],
        )

    async def start(self) -> None:
        """Begin to ask the backends for their models, without waiting for them."""
        self._setup.catalog.renew()

    async def reload(self, config: Config) -> None:
        """Serve by another configuration from now on; running calls end by the one that they began with.

        Backends whose settings are the same go on with their connections and records. Raises ConfigError
        where an adapter refuses to be made; nothing has changed then.
        """
        old = self._setup
        new = Setup(config, self._refuse_when_draining, self._store, old)
        # The old one serves while the new one asks for lists, so that no name is unknown for a moment.
        await new.catalog.complete()
        self._setup = new
        new.settle()
        self.metrics.follow(self._labels(), new.backends.values())
        self.health.follow(new)
        closing = _close(old, tuple(self._closing), but=tuple(new.backends.values()))
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def drain(self) -> None:
        """Take no new calls; running ones go on."""
        self._draining = True

    async def idle(self) -> None:
        """Wait until no call is running."""
        await asyncio.gather(self._setup.idle(), *self._closing)

    async def aclose(self) -> None:
        """Take no new calls, wait for the running ones, and close what was opened."""
        self.drain()
        await asyncio.gather(*self._closing)
        await self._setup.aclose()

    def chat(self, request: ChatRequest, context: CallContext, /) -> Coroutine[Any, Any, ChatResponse]:
        call = Call("Chat", context, request.headers, request.params)
        setup = self._setup
        return self._answer(call, setup, setup.chat_stages, operations.CHAT)

    def stream(self, request: StreamRequest, context: CallContext, /) -> AsyncGenerator[StreamResponse, None]:
        call = Call("Stream", context, request.headers, request.params, request.events, request.restart)
        setup = self._setup
        return self._stream(call, setup, setup.chat_stages, operations.STREAM)

    def complete(
        self, request: CompleteRequest, context: CallContext, /
    ) -> Coroutine[Any, Any, CompleteResponse]:
        call = Call("Complete", context, request.headers, request.params)
        setup = self._setup
        return self._answer(call, setup, setup.text_stages, setup.complete)

    def stream_complete(
        self, request: StreamCompleteRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamCompleteResponse, None]:
        call = Call(
            "StreamComplete", context, request.headers, request.params, request.events, request.restart
        )
        setup = self._setup
        return self._stream(call, setup, setup.text_stages, setup.stream_complete)

    def embed(self, request: EmbedRequest, context: CallContext, /) -> Coroutine[Any, Any, EmbedResponse]:
        call = Call("Embed", context, request.headers, request.params)
        setup = self._setup
        return self._answer(call, setup, setup.embed_stages, operations.EMBED)

    async def list_models(self, request: ListModelsRequest, context: CallContext, /) -> ListModelsResponse:
        call = Call("ListModels", context, request.headers)
        setup = self._setup
        with Settling(call, setup, self.metrics):
            await stages.pass_all(call, setup.question_stages)
            return ListModelsResponse(models=await setup.models.all(context.remaining(), call.headers))

    async def get_model(self, request: GetModelRequest, context: CallContext, /) -> GetModelResponse:
        call = Call("GetModel", context, request.headers)
        setup = self._setup
        with Settling(call, setup, self.metrics):
            await stages.pass_all(call, setup.question_stages)
            return GetModelResponse(model=await setup.models.one(request.id, context.remaining()))

    async def get_status(self, _request: GetStatusRequest, context: CallContext, /) -> GetStatusResponse:
        call = Call("GetStatus", context)
        setup = self._setup
        with Settling(call, setup, self.metrics):
            # No stages: probes have no key, and a gateway that drains must say so.
            return self.status()

    def _answer(
        self, call: Call, setup: Setup, through: Sequence[stages.Stage], operation: Unary[R]
    ) -> Coroutine[Any, Any, R]:
        settling = Settling(call, setup, self.metrics, self._asking)
        return dispatch.answer(call, settling, through, setup.backends, operation)

    def _stream(
        self, call: Call, setup: Setup, through: Sequence[stages.Stage], operation: Streaming[S]
    ) -> AsyncGenerator[S, None]:
        settling = Settling(call, setup, self.metrics, self._asking)
        return dispatch.stream(call, settling, through, setup.backends, operation)

    def _labels(self) -> ModelLabels:
        return ModelLabels(self._setup.config.routes, self._setup.catalog)

    def _refuse_when_draining(self, _call: Call) -> None:
        if self._draining:
            raise unavailable("The gateway is shutting down. Try again.", "gateway_draining")


async def _close(old: Setup, earlier: Collection[asyncio.Task[None]], but: Collection[Backend]) -> None:
    """Close what an old setup opened. Calls of ``earlier`` ones may use the same backends: they end first."""
    if earlier:
        await asyncio.wait(earlier)
    await old.aclose(but)
