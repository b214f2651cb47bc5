"""Calls of one backend over HTTP, as every dialect makes them: what differs is handed in."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from portico.adapter import Limits, Upstream
from portico.errors import GatewayError, upstream_failed
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico_adapters._http import Answer, HttpClient
from portico_adapters._passing import PassingSettings, beside

R = TypeVar("R", StreamResponse, StreamCompleteResponse)
R_co = TypeVar("R_co", StreamResponse, StreamCompleteResponse, covariant=True)

#: Status, body (its first 64 KiB) and all headers of an answer of 400 or above -> the error that it is.
ErrorOf = Callable[[int, bytes, Sequence[Header]], GatewayError]

_NOTHING: Final[Mapping[str, str]] = {}
_JSON: Final[Mapping[str, str]] = {"content-type": "application/json"}


class StreamTranslator(Protocol[R_co]):
    """Turns the bytes of one streamed answer into messages. Pure."""

    @property
    def done(self) -> bool:
        """The answer is whole: nothing that follows counts."""
        ...

    def feed(self, data: bytes, /) -> Iterable[R_co]:
        """Yield the messages of one read; raise GatewayError where it tells an error or cannot be read."""
        ...

    def close(self) -> Iterable[R_co]:
        """Yield what the end of the body leaves; raise GatewayError where it never was a stream."""
        ...


class UpstreamClient:
    """Sends an adapter's requests and reads their answers.

    The backend sees ``headers``, ``x-request-id``, ``traceparent``, and of the caller's headers those
    alone that the settings name. ``for_callers``: beginnings of the backend's headers that concern the
    caller.
    """

    def __init__(
        self,
        url: str,
        settings: PassingSettings,
        limits: Limits,
        error_of: ErrorOf,
        *,
        headers: Mapping[str, str] = _NOTHING,
        for_callers: Sequence[str] = ("x-ratelimit-", "retry-after"),
    ) -> None:
        own = {"user-agent": settings.agent, **headers}
        self._http = HttpClient(url, own, limits)
        self._settings = settings
        # Few backends get any of the caller's headers.
        self._passes = settings.lists_by_caller
        self._error_of = error_of
        self._for_callers = _encoded(for_callers)

    async def answer(
        self, path: str, call: Upstream[Any], body: bytes, headers: Mapping[str, str] = _NOTHING
    ) -> tuple[bytes, Sequence[Header]]:
        """Return the body of an unstreamed answer, and the headers that concern the caller."""
        sent = self._headers(call, {"accept": "application/json", **headers})
        with await self._http.send("POST", path, sent, body, call.alive, call.answered) as answer:
            if not answer.ok:
                raise await self._refusal(answer)
            return await answer.read(), answer.picked(self._for_callers)

    async def stream(
        self,
        path: str,
        call: Upstream[Any],
        body: bytes,
        translator: StreamTranslator[R],
        headers: Mapping[str, str] = _NOTHING,
    ) -> AsyncGenerator[R, None]:
        """Yield what each read of a streamed answer brings, until it is whole or the backend ends it."""
        sent = self._headers(call, headers)
        with await self._http.send("POST", path, sent, body, call.alive, call.answered) as answer:
            if not answer.ok:
                raise await self._refusal(answer)
            picked = answer.picked(self._for_callers)
            while data := await answer.next():
                for message in translator.feed(data):
                    if picked:
                        message.headers.extend(picked)
                        picked = []
                    yield message
                    # More than a KiB: not kept while the stream waits.
                    del message
                if translator.done:
                    await answer.finish()
                    return
            for message in translator.close():
                message.headers.extend(picked)
                picked = []
                yield message

    async def get(
        self, path: str, callers: Sequence[Header] = (), headers: Mapping[str, str] = _NOTHING
    ) -> bytes:
        """Return the body of a GET. ``callers``: the headers of the caller who asks, if there is one."""
        body, _ = await self.fetch(path, callers, headers)
        return body

    async def fetch(
        self,
        path: str,
        callers: Sequence[Header] = (),
        headers: Mapping[str, str] = _NOTHING,
        picked: Sequence[str] = (),
    ) -> tuple[bytes, Sequence[Header]]:
        """Return the body of a GET, and those headers of the answer that begin like one of ``picked``."""
        sent = {"accept": "application/json", **self._settings.passed(callers), **headers}
        with await self._http.send("GET", path, sent) as answer:
            if not answer.ok:
                raise await self._refusal(answer)
            return await answer.read(), answer.picked(_encoded(picked))

    async def ask(self, path: str, callers: Sequence[Header], body: bytes) -> bytes:
        """Return the body of the answer to a POST that belongs to no call, such as about a model."""
        sent = {**_JSON, "accept": "application/json", **self._settings.passed(callers)}
        with await self._http.send("POST", path, sent, body) as answer:
            if not answer.ok:
                raise await self._refusal(answer)
            return await answer.read()

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._http.aclose()

    def _headers(self, call: Upstream[Any], headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers of a call's request; ``headers`` go before those of the caller."""
        passed = self._settings.passed(call.headers) if self._passes else _NOTHING
        return {**_JSON, **passed, **headers, **beside(call)}

    async def _refusal(self, answer: Answer) -> GatewayError:
        """Return the error that an answer is which is none of success."""
        if answer.status < 400:
            detail = f"status {answer.status}"
            return upstream_failed("The backend redirects, which the gateway does not follow.", detail)
        return self._error_of(answer.status, await answer.read_error(), answer.headers)


def _encoded(beginnings: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(each.encode() for each in beginnings)
