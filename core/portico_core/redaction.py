"""Keeps a backend's keys out of what is told of it: some servers repeat a refused key in their error."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from portico.errors import GatewayError
from portico.secret import Secret

# A shorter text is hardly a key, and would be cut out of ordinary words.
_SHORTEST = 6


def secrets_in(settings: object) -> tuple[str, ...]:
    """Return the texts of all secrets in an adapter's settings, longest first."""
    return tuple(sorted({text for text in _texts(settings) if len(text) >= _SHORTEST}, key=len, reverse=True))


def redact(error: GatewayError, secrets: Iterable[str]) -> None:
    """Replace secrets in every text of an error by ``***``."""
    for secret in secrets:
        error.message = error.message.replace(secret, "***")
        error.detail = error.detail.replace(secret, "***")
        error.type = error.type.replace(secret, "***")
        error.code = error.code and error.code.replace(secret, "***")
        error.param = error.param and error.param.replace(secret, "***")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _texts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for each in value:
            yield from _texts(each)
