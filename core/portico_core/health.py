"""grpc.health.v1: how the server is, and how each model is, by the name ``model/NAME``."""

# ruff: noqa: N802 - names and arguments are the contract's

from contextlib import aclosing
from typing import Any, Final, TypeAlias

import grpc
from grpc import aio
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from portico_core.model_health import ModelHealth

#: Stands before the names of models.
MODEL: Final = "model/"

Context: TypeAlias = "aio.ServicerContext[Any, Any]"


class HealthServicer(health.aio.HealthServicer):
    """The library's, which knows the names that it was told, and models beside them."""

    def __init__(self, models: ModelHealth) -> None:
        super().__init__()
        self._models = models
        self._leaving = False

    async def enter_graceful_shutdown(self) -> None:
        """Tell from now on that nothing is served."""
        self._leaving = True
        self._models.changed()
        await super().enter_graceful_shutdown()

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        if not request.service.startswith(MODEL):
            return await super().Check(request, context)
        well = await self._models.of(request.service.removeprefix(MODEL))
        if well is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return self._response(well)

    async def Watch(self, request: HealthCheckRequest, context: Context) -> None:
        if not request.service.startswith(MODEL):
            await super().Watch(request, context)
            return
        told: HealthCheckResponse | None = None
        async with aclosing(self._models.watch(request.service.removeprefix(MODEL))) as states:
            async for well in states:
                response = self._response(well)
                if response != told:
                    await context.write(response)
                told = response

    def _response(self, well: bool | None) -> HealthCheckResponse:
        if well is None:
            return HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
        serving = well and not self._leaving
        return HealthCheckResponse(
            status=HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        )
