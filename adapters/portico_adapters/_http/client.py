"""The client of one backend: a bound on its connections, and signs of life."""

import asyncio
from collections.abc import Callable, Mapping

from portico.adapter import Limits
from portico.errors import SERVER, ErrorClass, GatewayError, upstream_failed
from portico_adapters._http.answer import Answer
from portico_adapters._http.connection import Connection, value_of
from portico_adapters._http.failures import failure
from portico_adapters._http.request_ids import backends_id
from portico_adapters._http.slots import Slots
from portico_adapters._http.transport import Transport


class HttpClient:
    """Keeps connections to the server of ``base_url`` and sends ``headers`` with each request."""

    def __init__(self, base_url: str, headers: Mapping[str, str], limits: Limits) -> None:
        """Open nothing yet; no loop need run. Raise ValueError where ``base_url`` is no HTTP URL."""
        self._limits = limits
        self._slots = Slots(limits.connections)
        self._transport = Transport(base_url, headers, limits.connect_seconds)

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        alive: Callable[[], None] = lambda: None,
        answered: Callable[[str], None] = lambda _: None,
    ) -> Answer:
        """Send a request and return when the answer's headers are there.

        ``alive`` is called then and at each read, ``answered`` then with the backend's own name for the
        request, if it tells one. Cancelling breaks the connection off at once.
        Whatever fails raises GatewayError; an answer with an error's status does not.
        """
        if not self._slots.take():
            await self._wait_for_slot()
        try:
            connection = await self._transport.exchange(method, path, headers, body)
        except BaseException as error:
            self._slots.leave()
            if isinstance(error, Exception):
                raise failure(error, at=self._transport.origin.authority) from error
            raise
        answer = Answer(connection, self._limits.answer_bytes, alive, self._over)
        alive()
        if name := backends_id(connection.headers, headers.get("x-request-id", "")):
            answered(name)
        encoding = value_of(connection.headers, b"content-encoding")
        if encoding and encoding.lower() != "identity":
            with answer:
                raise upstream_failed("The backend compressed its answer unasked.", f"as {encoding}")
        return answer

    async def aclose(self) -> None:
        """Close the kept connections."""
        self._transport.close()

    def _over(self, connection: Connection) -> None:
        self._transport.release(connection)
        self._slots.leave()

    async def _wait_for_slot(self) -> None:
        seconds = self._limits.connect_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._slots.wait()
        except TimeoutError:
            message = "All of the gateway's connections to the backend are in use."
            detail = f"none of {self._limits.connections} came free within {seconds:g} s"
            raise GatewayError(
                ErrorClass.CAPACITY, 503, message, SERVER, "overloaded", detail=detail
            ) from None
