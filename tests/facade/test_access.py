"""The access log."""

import asyncio
import json
import logging
import re
import socket
import struct

import pytest

from portico.errors import invalid_request
from portico.gateway import CallContext
from portico.testing.gateway import FakeGateway
from portico.v1.gateway_pb2 import ListModelsRequest, ListModelsResponse
from portico_facade.access import line
from tests.facade.clients import PATIENCE, Facade, facade
from tests.facade.messages import ask, first

CHAT = "/v1/chat/completions"


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "portico.access"]


async def test_one_line_per_request_tells_what_it_was(
    portico: Facade, caplog: pytest.LogCaptureFixture
) -> None:
    """Method, path without its query, status, milliseconds, id, model, stream and bytes."""
    answer = await portico.ask("POST", f"{CHAT}?key=secret", ask(), x_request_id="r 1")
    [logged] = lines(caplog)
    assert re.sub(r"ms=\d+\.\d ", "ms=_ ", logged) == (
        f'method=POST path={CHAT} status=200 ms=_ request_id="r 1" model=gpt-4 stream=false'
        f" bytes={len(answer.body)}"
    )


async def test_a_stream_is_logged_at_its_end_with_all_its_bytes(
    portico: Facade, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes of events, without HTTP's own."""
    answer = await portico.ask("POST", CHAT, ask(stream=True))
    [logged] = lines(caplog)
    assert f"stream=true bytes={len(answer.body)}" in logged


async def test_an_error_is_logged_with_its_code(portico: Facade, caplog: pytest.LogCaptureFixture) -> None:
    """The one that the caller read."""
    await portico.ask("GET", "/nowhere")
    [logged] = lines(caplog)
    assert "status=404" in logged
    assert logged.endswith("error=unknown_url")


async def test_a_client_that_left_is_logged_as_499(
    portico: Facade, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """No status was sent; it says who ended the call."""
    gateway.on_chat = [asyncio.Event()]
    async with portico.connect() as client:
        client.send("POST", CHAT, ask())
        await gateway.received()
    await portico.app.facade.idle()
    [logged] = lines(caplog)
    assert "status=499" in logged


async def test_a_client_that_left_in_mid_stream_is_logged_with_what_it_got(
    portico: Facade, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Once."""
    gateway.on_stream = [first("one"), asyncio.Event()]
    async with portico.connect() as client:
        client.send("POST", CHAT, ask(stream=True))
        await client.head()
        got = await client.chunk()
    await portico.app.facade.idle()
    [logged] = lines(caplog)
    assert "status=499" in logged
    assert f"bytes={len(got)}" in logged


async def test_what_is_no_http_is_logged_too(portico: Facade, caplog: pytest.LogCaptureFixture) -> None:
    """With the id that the client read."""
    async with portico.connect() as client:
        client.writer.write(b"HELO\r\n\r\n")
        answer = await client.answer()
    [logged] = lines(caplog)
    assert logged == f"status=400 request_id={answer.headers['x-request-id']} error=malformed"


async def test_what_follows_the_last_request_of_a_connection_is_none(
    portico: Facade, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests sent ahead of an answer that closes the connection are not taken, and not logged."""
    async with portico.connect() as client:
        client.send("GET", "/v1/models", connection="close")
        client.send("GET", "/v1/models")
        assert (await client.answer()).status == 200
        assert await client.closed()
    while portico.server._connections:  # noqa: ASYNC110 - the loop's next turns
        await asyncio.sleep(0)
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("sent", [b'{"model"', b""])
async def test_a_client_that_left_while_it_sent_is_logged(
    portico: Facade, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """As 499, like one that left later."""
    async with portico.connect() as client:
        client.send("POST", CHAT, sent, content_length="1000")
        await portico.ask("GET", "/livez")
        assert portico.app.facade.running
    await portico.app.facade.idle()
    [logged] = lines(caplog)
    assert logged.startswith(f"method=POST path={CHAT} status=499")


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"transfer_encoding": "chunked"}, b"zz\r\n"),
        ({"transfer_encoding": "chunked", "content_encoding": "br"}, b"zz\r\n"),
        ({"content_length": "-1", "content_encoding": "br"}, b""),
    ],
)
async def test_a_body_that_is_no_http_is_logged_once(
    portico: Facade, caplog: pytest.LogCaptureFixture, headers: dict[str, str], sent: bytes
) -> None:
    """With what the client was told, whatever else was wrong."""
    answer = await portico.ask("POST", CHAT, sent, **headers)
    assert answer.error["code"] == "malformed"
    await portico.app.facade.idle()
    [logged] = lines(caplog)
    assert logged.startswith("status=400 ")


async def test_a_client_that_reset_before_its_error_is_logged_and_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The write is what tells of it."""
    gateway = Resetting()
    async with facade(gateway) as portico:
        gateway.client = socket.create_connection(("127.0.0.1", portico.port))
        gateway.client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")
        await gateway.received()
        async with asyncio.timeout(PATIENCE):
            await portico.app.facade.idle()
    [logged] = lines(caplog)
    assert "status=499" in logged


class Resetting(FakeGateway):
    """Refuses, after its client has broken the connection."""

    client: socket.socket

    async def list_models(self, request: ListModelsRequest, context: CallContext, /) -> ListModelsResponse:
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
        with self._recorded("list_models", request, context):
            raise invalid_request("No.")


def test_what_a_caller_made_up_cannot_forge_a_line() -> None:
    """Quoted as JSON, and cut."""
    made_up = 'gpt"\nmethod=GET status=200 \u202e'
    logged = line({"model": made_up, "path": "/" + "a" * 999, "stream": True, "ms": 1.26, "error": None})
    assert "\n" not in logged
    assert logged.startswith(f"model={json.dumps(made_up)} path=/aaa")
    assert len(logged) < 400
    assert logged.endswith(" stream=true ms=1.3")
