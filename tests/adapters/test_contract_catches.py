"""The contract is worth its name: an adapter with a fault fails the test that is about it."""

import asyncio
import copy
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from portico.adapter import Adapter, Limits, UpstreamCall
from portico.errors import GatewayError, upstream_failed
from portico.testing import upstream_contract
from portico.v1.gateway_pb2 import ChatResponse, StreamResponse
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from tests.adapters.test_openai_contract import TestOpenAI as Contract


class CountsNothing(OpenAIAdapter):
    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        async for message in super().stream(call):
            for chunk in message.chunks:
                chunk.ClearField("usage")
            yield message


class DropsTheFirstDelta(OpenAIAdapter):
    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        first = True
        async for message in super().stream(call):
            if first:
                del message.chunks[1]
            first = False
            yield message


class SendsChunksOneByOne(OpenAIAdapter):
    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        async for message in super().stream(call):
            for chunk in message.chunks:
                yield StreamResponse(header=message.header, chunks=[chunk])


class WaitsForTheEnd(OpenAIAdapter):
    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        for message in [message async for message in super().stream(call)]:
            yield message


class GivesNoSignOfLife(OpenAIAdapter):
    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        async for message in super().stream(replace(call, alive=lambda: None)):
            yield message


class WorksOnAfterACancel(OpenAIAdapter):
    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        return await asyncio.shield(super().chat(call))


class TakesACutForAnEnd(OpenAIAdapter):
    async def stream(self, call: UpstreamCall, /) -> AsyncGenerator[StreamResponse, None]:
        try:
            async for message in super().stream(call):
                yield message
        except GatewayError as error:
            if "broke off" not in error.message:
                raise


class TellsTheAddress(OpenAIAdapter):
    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        try:
            return await super().chat(call)
        except GatewayError as error:
            raise upstream_failed(error.detail) from error


class ForgetsWhenToComeBack(OpenAIAdapter):
    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        try:
            return await super().chat(call)
        except GatewayError as error:
            error.retry_after = None
            raise


class ChangesTheCall(OpenAIAdapter):
    async def chat(self, call: UpstreamCall, /) -> ChatResponse:
        call.params.model = call.model
        return await super().chat(call)


FAULTS: dict[type[OpenAIAdapter], str] = {
    CountsNothing: "test_usage_arrives",
    DropsTheFirstDelta: "test_a_stream_amounts_to_the_unstreamed_answer",
    SendsChunksOneByOne: "test_what_one_read_brings_travels_together",
    WaitsForTheEnd: "test_nothing_waits_for_company",
    GivesNoSignOfLife: "test_nothing_waits_for_company",
    WorksOnAfterACancel: "test_cancelling_closes_the_connection_within_a_second",
    TakesACutForAnEnd: "test_a_backend_that_breaks_off_has_failed",
    TellsTheAddress: "test_a_refused_connection_is_the_backends_failure",
    ForgetsWhenToComeBack: "test_an_errors_status_decides_its_class",
    ChangesTheCall: "test_the_call_stays_as_it_is",
}


@pytest.mark.parametrize(("faulty", "test"), FAULTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_adapter_fails(
    faulty: type[OpenAIAdapter], test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the test that is about its fault; the sound adapter passes all of them."""

    class Suite(Contract):
        # Calls of its own, since one of the faults is to change them.
        exchanges = copy.deepcopy(Contract.exchanges[:1])

        def make_adapter(self, url: str) -> Adapter:
            return faulty("faulty", OpenAISettings(f"{url}/v1"), Limits())

    monkeypatch.setattr(upstream_contract, "PATIENCE", 0.2)
    with pytest.raises((AssertionError, TimeoutError)):
        getattr(Suite(), test)()
