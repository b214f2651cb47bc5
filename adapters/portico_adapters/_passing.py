"""Which of the caller's headers go on to a backend, and whose key it sees. Pure."""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import portico
from portico.adapter import Upstream
from portico.v1.headers_pb2 import Header

#: The backend sees the gateway's key, or the caller's.
GATEWAY: Final = "gateway"
CALLER: Final = "caller"

#: The headers in which callers of such APIs say who they are and who pays.
_CREDENTIALS: Final = ("authorization", "x-api-key", "api-key", "openai-organization", "openai-project")

#: What describes the connection or the body, which are the gateway's own.
_OURS: Final = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
        *("expect", "host", "keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding"),
        *("upgrade", "user-agent", "traceparent", "x-portico-hops", "x-portico-key", "x-request-id"),
    }
)

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassingSettings:
    """Members of every backend that is called over HTTP."""

    #: Whose key the backend sees: the gateway's, or each caller's own.
    credentials: str = GATEWAY
    #: Names of further headers of the caller that go on to the backend.
    pass_headers: Sequence[str] = ()
    #: What the gateway calls itself. None: portico and its version.
    user_agent: str | None = None

    def check_passing(self, *, has_key: bool, own: Iterable[str] = ()) -> None:
        """Raise ValueError for what cannot be meant.

        ``has_key``: the gateway has a key of its own. ``own``: the headers that it sets itself.
        """
        if self.user_agent is not None and not sendable(self.user_agent):
            raise ValueError("user_agent: must be printable ASCII without line breaks")
        if self.credentials not in (GATEWAY, CALLER):
            raise ValueError(f"credentials: expected gateway or caller, found {self.credentials}")
        if has_key and self.credentials == CALLER:
            raise ValueError("api_key: is not sent with `credentials: caller`. Leave one of them out.")
        for name in self.pass_headers:
            if not _NAME.fullmatch(name):
                raise ValueError(f"pass_headers: {name!r} is no header")
            if name.lower() in _OURS:
                raise ValueError(f"pass_headers: {name} is the gateway's own")
            if name.lower() in _CREDENTIALS and self.credentials == GATEWAY:
                raise ValueError(f"pass_headers: {name} holds a key. Write `credentials: caller`.")

        for name in own:
            if name.lower() in self._names():
                raise ValueError(f"headers: {name} is the caller's to send")

    @property
    def agent(self) -> str:
        """What every request has as ``user-agent``."""
        return self.user_agent or f"portico/{portico.__version__}"

    @property
    def callers_key(self) -> bool:
        """Whether the key that the backend sees is the caller's."""
        return self.credentials == CALLER

    @property
    def lists_by_caller(self) -> bool:
        """Whether the backend's answers may depend on who calls."""
        return self.callers_key or bool(self.pass_headers)

    def passed(self, headers: Sequence[Header]) -> dict[str, str]:
        """Return those of the caller's headers that go on; of several of one name the last."""
        names = self._names()
        return {
            name: text
            for header in headers
            if (name := header.name.lower()) in names and (text := _text(header.value)) is not None
        }

    def _names(self) -> frozenset[str]:
        return _lower(tuple(self.pass_headers), _CREDENTIALS if self.credentials == CALLER else ())


@functools.lru_cache(maxsize=1024)
def _lower(*names: tuple[str, ...]) -> frozenset[str]:
    # For each request anew it would cost more than to look through the headers.
    return frozenset(name.lower() for each in names for name in each)


def beside(call: Upstream[Any]) -> dict[str, str]:
    """Return the headers by which a call can be followed beyond this gateway."""
    told = {}
    if sendable(call.request_id):
        told["x-request-id"] = call.request_id
    if call.traceparent is not None and sendable(call.traceparent):
        told["traceparent"] = call.traceparent
    return told


def sendable(value: str) -> bool:
    """Whether a text may stand in a header."""
    return value != "" and value.isascii() and value.isprintable()


def _text(value: bytes) -> str | None:
    """Return a header's value as it can be sent again. None: it cannot."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None
