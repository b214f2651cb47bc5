"""The head of a request, taken apart once. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

#: What HTTP knows (RFC 9110 and 5789), whether or not anything here takes it.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})

#: Scheme and authority of a target, which may have no path.
_ABSOLUTE: Final = re.compile(r"https?://[^/]+", re.IGNORECASE)

_HOST: Final = re.compile(r"[^\s,/?#@]*")


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for, and the connection that it asked on."""

    method: str
    #: Percent-encoded as it came, without the query.
    path: str
    #: ``HTTP/1.1`` or ``HTTP/1.0``.
    version: str
    #: Names in lower case; several values of a name in one, parted by commas.
    headers: Mapping[str, str]
    #: Each value by itself.
    pairs: Iterable[tuple[str, str]]
    connection: HTTP1Connection

    @property
    def keeps_alive(self) -> bool:
        """Whether the client lets its connection serve another request (RFC 9112, 6.1 and 9.3)."""
        wish = self.headers.get("connection", "").lower()
        if self.version == "HTTP/1.0":
            return wish == "keep-alive" and "transfer-encoding" not in self.headers
        # One of several options, perhaps. To close is always allowed.
        return "close" not in wish


def request_of(start: RequestStartLine, headers: HTTPHeaders, connection: HTTP1Connection) -> Request:
    """Return the request that Tornado has read. Raises HTTPInputError for a host that is missing or none."""
    pairs = [(name.lower(), value) for name, value in headers.get_all()]
    by_name: dict[str, str] = {}
    for name, value in pairs:
        by_name[name] = f"{by_name[name]},{value}" if name in by_name else value
    host = by_name.get("host", "" if start.version == "HTTP/1.0" else None)
    if host is None or not _HOST.fullmatch(host):
        raise HTTPInputError("a request names one host")
    path = start.path.partition("?")[0]
    if not path.startswith("/"):
        path = _path_of(path)
    return Request(start.method, path, start.version, by_name, pairs, connection)


def _path_of(target: str) -> str:
    """Return the path of a target in absolute form, as clients send it to proxies (RFC 9112, 3.2.2)."""
    found = _ABSOLUTE.match(target)
    return target[found.end() :] or "/" if found else target
