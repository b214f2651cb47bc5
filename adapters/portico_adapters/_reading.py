"""How answers in JSON are read, whoever sent them. Pure."""

from typing import Annotated, TypeVar

from msgspec import Meta, Raw
from msgspec.json import Decoder

from portico.errors import GatewayError, upstream_failed

T = TypeVar("T")

#: More than any count of tokens is, and few enough to add up.
Count = Annotated[int, Meta(ge=0, le=2**53)]


def read(data: bytes | Raw, decoder: Decoder[T]) -> T:
    """Read an answer, or a part of one, of a known shape; raise the error that another shape is."""
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError) as problem:
        raise unreadable(str(problem)) from problem


def unreadable(problem: str) -> GatewayError:
    """502: the backend sent what nobody can read. ``problem``: for the log."""
    return upstream_failed("The backend's answer cannot be read.", problem)
