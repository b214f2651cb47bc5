"""JSON that is carried rather than read: objects by their members, values as they were written. Pure."""

from typing import Final

from msgspec import Raw
from msgspec.json import Decoder

from portico.errors import invalid_request

_VALUE: Final = Decoder(Raw)
_MEMBERS: Final[Decoder[dict[str, Raw] | None]] = Decoder(dict[str, Raw] | None)


def members(text: str | bytes, where: str) -> dict[str, Raw]:
    """Split a JSON object into its members. Empty text and null have none; raise 400 for the rest."""
    if not text:
        return {}
    try:
        return _MEMBERS.decode(text) or {}
    except (ValueError, RecursionError):
        raise invalid_request(f"{where} must be a JSON object.", where) from None


def fragment(text: str, where: str) -> Raw:
    """Return JSON text to be put into a body verbatim; raise 400 where it is no JSON."""
    try:
        return _VALUE.decode(text)
    except (ValueError, RecursionError):
        raise invalid_request(f"{where} is not JSON.", where) from None
