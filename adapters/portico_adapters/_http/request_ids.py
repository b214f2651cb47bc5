"""By which header a backend names a request of its own accord: what its support asks for. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

#: In the order of preference: what the vendor's own pages ask for, then what proxies in front add.
_NAMES: Final = (
    b"request-id",  # Anthropic
    b"x-amzn-requestid",  # Bedrock
    b"apim-request-id",  # Azure
    b"x-request-id",  # OpenAI and most servers of its dialect
    b"mistral-correlation-id",
    b"x-generation-id",  # OpenRouter
    b"x-ds-trace-id",  # DeepSeek
    b"x-debug-trace-id",  # Cohere
    b"x-global-transaction-id",  # watsonx
    b"inference-id",  # Cerebras
    b"cf-ray",
)
_RANKS: Final[Mapping[bytes, int]] = {name: rank for rank, name in enumerate(_NAMES)}

#: Longer than any that is known; the receipt has little room.
_LONGEST: Final = 64


def backends_id(headers: Iterable[tuple[bytes, bytes]], ours: str) -> str:
    """Return the backend's name for a request; empty where it tells none but ``ours``, as some repeat it.

    ``headers`` have their names in lower case.
    """
    best, found = len(_NAMES), ""
    for name, value in headers:
        rank = _RANKS.get(name, best)
        if rank < best:
            told = value[:_LONGEST].decode("latin-1")
            if told and told.isprintable() and told != ours[:_LONGEST]:
                best, found = rank, told
    return found
