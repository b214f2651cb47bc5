"""The domain's gateway: what the gRPC service is a skin over, and what a program may embed."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

import portico
from portico.errors import GatewayError, deadline_exceeded, internal, unavailable
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
from portico.v1.receipt_pb2 import Outcome
from portico.v1.status_pb2 import GatewayState
from portico_core import backends, dispatch, operations, stages, telemetry
from portico_core.call import Call
from portico_core.catalog import Catalog
from portico_core.config import Config
from portico_core.keys import Keys
from portico_core.metrics import Metrics, ModelLabels
from portico_core.models import Models
from portico_core.operations import R, S, Streaming, Unary
from portico_core.routing import Candidate
from portico_core.standing import Standing
from portico_core.text_endpoint import TextEndpoints
from portico_core.validate import check_chat, check_complete, check_embed

_log: Final = logging.getLogger("portico.gateway")


class RoutingGateway:
    """A ``portico.gateway.Gateway`` over the backends of a configuration."""

    def __init__(self, config: Config) -> None:
        self._backends = backends.build(config.backends)
        self._catalog = Catalog(self._backends.values(), config.routes.bare)
        self._models = Models(config.routes, self._catalog)
        self.metrics = Metrics(ModelLabels(config.routes, self._catalog), self._backends.values())
        keys = Keys(config.keys)
        self._question_stages = (self._refuse_when_draining, *stages.for_questions(keys))
        self._chat_stages, self._text_stages, self._embed_stages = (
            (self._refuse_when_draining, *stages.for_calls(keys, self._models, self._standing, check))
            for check in (check_chat, check_complete, check_embed)
        )
        endpoints = TextEndpoints()
        self._complete = operations.complete(endpoints)
        self._stream_complete = operations.stream_complete(endpoints)
        self._started = time.monotonic()
        self._draining = False
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Begin to ask the backends for their models, without waiting for them."""
        self._catalog.renew()

    def drain(self) -> None:
        """Take no new calls; running ones go on."""
        self._draining = True

    async def idle(self) -> None:
        """Wait until no call is running."""
        await self._idle.wait()

    async def aclose(self) -> None:
        """Take no new calls, wait for the running ones, and close what was opened."""
        self.drain()
        await self.idle()
        async with contextlib.AsyncExitStack() as closing:
            for backend in self._backends.values():
                closing.push_async_callback(backend.adapter.aclose)
            closing.push_async_callback(self._catalog.aclose)

    async def chat(self, request: ChatRequest, context: CallContext, /) -> ChatResponse:
        call = Call("Chat", context, request.headers, request.params)
        return await self._answer(call, self._chat_stages, operations.CHAT)

    def stream(self, request: StreamRequest, context: CallContext, /) -> AsyncGenerator[StreamResponse, None]:
        call = Call("Stream", context, request.headers, request.params)
        return self._stream(call, self._chat_stages, operations.STREAM)

    async def complete(self, request: CompleteRequest, context: CallContext, /) -> CompleteResponse:
        call = Call("Complete", context, request.headers, request.params)
        return await self._answer(call, self._text_stages, self._complete)

    def stream_complete(
        self, request: StreamCompleteRequest, context: CallContext, /
    ) -> AsyncGenerator[StreamCompleteResponse, None]:
        call = Call("StreamComplete", context, request.headers, request.params)
        return self._stream(call, self._text_stages, self._stream_complete)

    async def embed(self, request: EmbedRequest, context: CallContext, /) -> EmbedResponse:
        call = Call("Embed", context, request.headers, request.params)
        return await self._answer(call, self._embed_stages, operations.EMBED)

    async def list_models(self, request: ListModelsRequest, context: CallContext, /) -> ListModelsResponse:
        call = Call("ListModels", context, request.headers)
        with self._settled(call):
            await _pass(call, self._question_stages)
            return ListModelsResponse(models=await self._models.all(context.remaining(), call.headers))

    async def get_model(self, request: GetModelRequest, context: CallContext, /) -> GetModelResponse:
        call = Call("GetModel", context, request.headers)
        with self._settled(call):
            await _pass(call, self._question_stages)
            return GetModelResponse(model=await self._models.one(request.id, context.remaining()))

    async def get_status(self, _request: GetStatusRequest, context: CallContext, /) -> GetStatusResponse:
        call = Call("GetStatus", context)
        with self._settled(call):
            # No stages: probes have no key, and a gateway that drains must say so.
            state = GatewayState.GATEWAY_STATE_SERVING
            if self._draining:
                state = GatewayState.GATEWAY_STATE_DRAINING
            return GetStatusResponse(
                state=state,
                version=portico.__version__,
                uptime_seconds=time.monotonic() - self._started,
                models=self._models.names(),
                backends=[backend.status() for backend in self._backends.values()],
            )

    async def _answer(self, call: Call, through: Sequence[stages.Stage], operation: Unary[R]) -> R:
        with self._settled(call):
            await _pass(call, through)
            return await dispatch.answer(call, self._backends, operation)

    async def _stream(
        self, call: Call, through: Sequence[stages.Stage], operation: Streaming[S]
    ) -> AsyncGenerator[S, None]:
        with self._settled(call):
            await _pass(call, through)
            async with contextlib.aclosing(dispatch.stream(call, self._backends, operation)) as responses:
                async for response in responses:
                    yield response

    def _standing(self, candidate: Candidate) -> Standing:
        return self._backends[candidate.backend].standings.of(candidate.model)

    async def _refuse_when_draining(self, _call: Call) -> None:
        if self._draining:
            raise unavailable("The gateway is shutting down. Try again.", "gateway_draining")

    @contextlib.contextmanager
    def _settled(self, call: Call) -> Iterator[None]:
        """See a call to its end, whichever it is: only GatewayErrors leave, and the receipt is made."""
        context = call.context
        context.request_id = context.request_id or f"req_{secrets.token_hex(16)}"
        outcome = Outcome.OUTCOME_OK
        self._running += 1
        self._idle.clear()
        self.metrics.began(call)
        try:
            yield
        except GatewayError as error:
            outcome, call.error = Outcome.OUTCOME_ERROR, error
            raise
        except (asyncio.CancelledError, GeneratorExit):
            outcome = Outcome.OUTCOME_CANCELLED
            if context.remaining() == 0:
                # gRPC cancels the handler at the deadline, which may come before our own watch does.
                outcome, call.error = Outcome.OUTCOME_ERROR, deadline_exceeded()
            raise
        except Exception as error:
            _log.exception("call failed %s", telemetry.line(request_id=context.request_id, rpc=call.rpc))
            outcome, call.error = Outcome.OUTCOME_ERROR, internal(repr(error))
            raise call.error from error
        finally:
            context.receipt = telemetry.receipt(call, outcome)
            telemetry.log(call, context.receipt)
            self.metrics.ended(call, outcome)
            self._running -= 1
            if not self._running:
                self._idle.set()


async def _pass(call: Call, through: Sequence[stages.Stage]) -> None:
    for stage in through:
        await stage(call)
