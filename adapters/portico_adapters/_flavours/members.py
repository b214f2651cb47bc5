"""Members that the contract carries as JSON. Pure."""

from typing import Any, Final

from msgspec import Raw
from msgspec.json import Decoder, encode

_MEMBERS: Final = Decoder(dict[str, Raw])


def members_of(extra_json: str) -> dict[str, Raw]:
    """Return the members of ``extra_json``; none of what cannot be read, which stays as it is."""
    try:
        return _MEMBERS.decode(extra_json or "{}")
    except (ValueError, RecursionError):
        # A surrogate without its other half, or a depth that nobody means.
        return {}


def put(message: Any, name: str, value: object) -> None:
    """Set a member of ``extra_json``; None takes it out. What cannot be read stays as it is."""
    try:
        extra: dict[str, object] = dict(_MEMBERS.decode(message.extra_json or "{}"))
    except (ValueError, RecursionError):
        return
    extra.pop(name, None)
    if value is not None:
        extra[name] = value
    message.extra_json = encode(extra).decode() if extra else ""
