"""The caller's key as Anthropic wants it. Pure."""

from collections.abc import Sequence
from typing import Final

from portico.v1.headers_pb2 import Header

_BEARER: Final = b"bearer "

#: How API keys begin; tokens of OAuth, which stay bearer tokens, begin otherwise.
_API_KEY: Final = b"sk-ant-api"


def as_api_key(headers: Sequence[Header]) -> Sequence[Header]:
    """Move an API key from ``authorization``, where clients of OpenAI's API have it, to ``x-api-key``."""
    for header in headers:
        value = header.value
        if header.name.lower() == "authorization" and value[: len(_BEARER)].lower() == _BEARER:
            key = value[len(_BEARER) :].strip()
            if key.startswith(_API_KEY):
                others = [each for each in headers if each.name.lower() not in ("authorization", "x-api-key")]
                return [*others, Header(name="x-api-key", value=key)]
    return headers
