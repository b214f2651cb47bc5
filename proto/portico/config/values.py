"""Texts of the configuration as values: durations, sizes, URLs, addresses and the plain types."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from portico.config.node import Node
from portico.secret import Secret

#: Seconds, written with a unit: ``5s``, ``500ms``, ``1m30s``.
Duration: TypeAlias = Annotated[float, "duration"]
#: Bytes, written as a number or with a unit: ``20MB``, ``64KiB``.
Size: TypeAlias = Annotated[int, "size"]
#: Tokens, written as a number or in thousands or millions: ``8192``, ``128k``, ``1m``.
Tokens: TypeAlias = Annotated[int, "tokens"]
#: An http or https URL.
Url: TypeAlias = Annotated[str, "url"]
#: Where a server listens: HOST:PORT, :PORT for all of the machine's addresses, or unix:/PATH.
Address: TypeAlias = Annotated[str, "address"]

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_DURATION_PART.pattern})+", re.ASCII)

_BYTES: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([kmg]?i?b|)", re.ASCII | re.IGNORECASE)

_COUNTS: Final = {"": 1, "k": 1_000, "m": 1_000_000}
_TOKENS: Final = re.compile(r"(\d{1,12})([km]?)", re.ASCII)


def _duration(text: str) -> Duration | None:
    if not _DURATION.fullmatch(text):
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    return seconds if seconds > 0 else None


def _size(text: str) -> Size | None:
    match = _SIZE.fullmatch(text)
    if match is None or match[2].lower() not in _BYTES:
        return None
    return int(float(match[1]) * _BYTES[match[2].lower()])


def _tokens(text: str) -> Tokens | None:
    match = _TOKENS.fullmatch(text)
    return int(match[1]) * _COUNTS[match[2]] or None if match else None


def _url(text: str) -> Url | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    # A key in the URL would end up in logs; what follows ? or # would end up before the paths added here.
    extra = "@" in parts.netloc or "?" in text or "#" in text or re.search(r"\s", text)
    return text if parts.hostname and port != 0 and not extra and parts.scheme in {"http", "https"} else None


def address(text: str) -> Address | None:
    """Return the address that ``text`` means. None: it means none."""
    if text.startswith("unix:"):
        return text if len(text) > len("unix:") else None
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > 65535 or (":" in host and not bracketed):
        return None
    return f"{host or '[::]'}:{port}" if ":" in text else None


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# For each type: what to expect, in words, and how to read it. None: the text is none of it.
_READERS: Final[Mapping[object, tuple[str, Callable[[str], object]]]] = {
    str: ("a text", str),
    Secret: ("a text", Secret),
    int: ("a whole number", _integer),
    float: ("a number", _number),
    bool: ("true or false", {"true": True, "false": False}.get),
    Duration: ("a duration such as 5s, 500ms or 1m30s", _duration),
    Size: ("a size such as 20MB or 512KiB", _size),
    Tokens: ("a number of tokens such as 8192 or 128k", _tokens),
    Url: ("a URL such as http://localhost:8080/v1", _url),
    Address: ("an address such as 0.0.0.0:50051, :50051 or unix:/run/portico.sock", address),
}


def is_scalar(kind: object) -> bool:
    """Tell whether ``scalar`` reads this type."""
    return kind in _READERS


def scalar(node: Node, kind: object) -> object:
    """Read a value of one of the types above; raise ConfigError that says what was expected."""
    expected, reader = _READERS[kind]
    if node.absent or node.is_mapping or node.is_list:
        raise node.error(f"expected {expected}, found {node.found}")
    result = reader(node.text())
    if result is None:
        if kind is Url and re.search("[@?#]", node.found):
            # Not told as it stands: what there is too much of may be a password.
            raise node.error("is more than scheme, host, port and path", "A key belongs into `api_key`.")
        raise node.error(f"expected {expected}, found {node.found}")
    return result
