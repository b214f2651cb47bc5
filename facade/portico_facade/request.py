"""The head of a request, taken apart once. Pure.

The request line is read here: llhttp knows only some methods, and forms of targets that this server refuses
as not found. What follows it is llhttp's (httptools), which decides what a field is and how the body ends,
and takes nothing that two parsers could read in two ways: bare line feeds, folded lines, spaces around
names, several lengths, a length beside an encoding. None of its leniencies is switched on.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from msgspec import Struct

from portico.errors import GatewayError, invalid_request

#: What HTTP knows (RFC 9110 and 5789), whether or not anything here takes it.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})

#: Method, target and minor version (RFC 9112, 3); a target may hold what is no ASCII, as curl sends it.
_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([0-9])\r\n")

_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]")

#: Stands for every request line: bodies are framed alike under all methods.
_ANY_LINE: Final = b"POST / HTTP/1.1\r\n"

#: Scheme and authority of a target, which may have no path.
_ABSOLUTE: Final = re.compile(r"https?://[^/]+", re.IGNORECASE)

_HOST: Final = re.compile(r"[^\s,/?#@]*")


class Request(Struct, frozen=True):
    """What a client asked for."""

    method: str
    #: Percent-encoded as it came, without the query.
    path: str
    #: ``HTTP/1.1`` or ``HTTP/1.0``; later ones of the first are answered as 1.1 (RFC 9110, 6.2).
    version: str
    #: Names in lower case; several values of a name in one, parted by commas.
    headers: Mapping[str, str]
    #: Each value by itself.
    pairs: Iterable[tuple[str, str]]
    #: Bytes of its body; None: it comes in chunks.
    length: int | None

    @property
    def keeps_alive(self) -> bool:
        """Whether the client lets its connection serve another request (RFC 9112, 6.1 and 9.3)."""
        wish = self.headers.get("connection", "").lower()
        if self.version == "HTTP/1.0":
            return wish == "keep-alive" and self.length is not None
        # One of several options, perhaps. To close is always allowed.
        return "close" not in wish

    @property
    def awaits_leave(self) -> bool:
        """Whether the client wants to be told to send its body; HTTP/1.0 knows no such interim answer."""
        return self.version == "HTTP/1.1" and self.headers.get("expect", "").lower() == "100-continue"


class _Fields:
    """Collects what llhttp finds."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        # Names are the same in most requests: those that wait share them. What follows a value llhttp leaves.
        known = sys.intern(name.decode("ascii").lower())
        self.pairs.append((known, value.decode("latin-1").rstrip(" \t")))


def read_request(head: bytes) -> Request:
    """Return the request whose head this is, from its first byte to the empty line. Raises GatewayError."""
    line = _LINE.match(head)
    if line is None:
        raise malformed()
    fields = _Fields()
    try:
        HttpRequestParser(fields).feed_data(_ANY_LINE + head[line.end() :])
    except HttpParserUpgrade:
        # To another protocol, which nobody has to take up (RFC 9110, 7.8). It is told of at the head's end.
        pass
    except HttpParserError as error:
        raise malformed() from error
    by_name = dict(fields.pairs)
    # Of most requests the dictionary is all that is kept while they are answered.
    pairs: Iterable[tuple[str, str]] = by_name.items()
    if len(by_name) < len(fields.pairs):
        pairs, by_name = fields.pairs, _joined(fields.pairs)
    method, target, minor = line.groups()
    version = "HTTP/1.0" if minor == b"0" else "HTTP/1.1"
    host = by_name.get("host", "" if version == "HTTP/1.0" else None)
    if host is None or not _HOST.fullmatch(host):
        # A request names one host.
        raise malformed()
    path = target.decode("latin-1").partition("?")[0]
    if not path.startswith("/"):
        path = _path_of(path)
    return Request(method.decode("ascii"), path, version, by_name, pairs, _length_of(by_name))


def starts_a_request(data: bytes) -> bool:
    """Whether a request can begin so: with the first character of a method."""
    return _METHOD.match(data) is not None


def malformed() -> GatewayError:
    """400: what came is no request."""
    return invalid_request("The request is not HTTP/1.1 as RFC 9112 defines it.", code="malformed")


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    by_name: dict[str, str] = {}
    for name, value in pairs:
        by_name[name] = f"{by_name[name]},{value}" if name in by_name else value
    return by_name


def _length_of(headers: Mapping[str, str]) -> int | None:
    encoding = headers.get("transfer-encoding")
    if encoding is None:
        # Which the parser has found to be a number, and one alone.
        return int(headers.get("content-length", "0"))
    if encoding.lower() != "chunked":
        raise malformed()
    return None


def _path_of(target: str) -> str:
    """Return the path of a target in absolute form, as clients send it to proxies (RFC 9112, 3.2.2)."""
    found = _ABSOLUTE.match(target)
    return target[found.end() :] or "/" if found else target
