"""Cohere's limits as OpenAI's headers. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from portico.v1.headers_pb2 import Header

#: Beginnings of the headers that are read.
READ: Final = ("x-ratelimit-", "retry-after", "x-trial-endpoint-call-")

# Calls in a minute. Those in a month have no name at OpenAI.
_NAMES: Final[Mapping[str, str]] = {
    "x-trial-endpoint-call-limit": "x-ratelimit-limit-requests",
    "x-trial-endpoint-call-remaining": "x-ratelimit-remaining-requests",
}


def for_callers(headers: Sequence[Header]) -> list[Header]:
    """Return those that concern the caller, under the names that OpenAI's clients know."""
    return [
        Header(name=_NAMES.get(header.name, header.name), value=header.value)
        for header in headers
        if header.name.startswith(READ)
    ]
