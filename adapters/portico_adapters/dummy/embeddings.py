"""Embeddings of the dummy backend. Pure.

A vector counts the words of a text: the hash of each chooses a component and a sign, and the whole has
length 1. So equal texts have equal vectors and texts with common words are near one another, today and
tomorrow, on every machine. They know nothing of meaning.
"""

import math
from hashlib import sha256
from typing import Final

from portico.adapter import EmbeddingCall
from portico.errors import invalid_request, unknown_model
from portico.v1.embeddings_pb2 import DoubleVector, Embedding, EmbeddingList
from portico.v1.usage_pb2 import Usage
from portico_adapters.dummy.texts import texts_of
from portico_adapters.dummy.words import ECHO, STORY, tokens

_DIMENSIONS: Final = 64
_MOST: Final = 4096
#: What a caller may ask for; whoever renders the answer obeys it.
_ENCODINGS: Final = ("", "float", "base64")


def embeddings(call: EmbeddingCall) -> EmbeddingList:
    """Return one vector per text; raise GatewayError for what cannot be embedded."""
    params = call.params
    if call.model not in (ECHO, STORY):
        raise unknown_model(params.model or call.model)
    dimensions = params.dimensions if params.HasField("dimensions") else _DIMENSIONS
    if not 1 <= dimensions <= _MOST:
        raise invalid_request(f"dimensions is {dimensions}; it must be between 1 and {_MOST}.", "dimensions")
    if params.encoding_format not in _ENCODINGS:
        raise invalid_request(
            f"encoding_format is {params.encoding_format}; it must be float or base64.", "encoding_format"
        )
    texts = texts_of(params.input, "input")
    count = sum(len(tokens(text)) for text in texts)
    return EmbeddingList(
        object="list",
        model=call.model,
        data=[
            Embedding(object="embedding", index=index, doubles=DoubleVector(values=_vector(text, dimensions)))
            for index, text in enumerate(texts)
        ],
        usage=Usage(prompt_tokens=count, total_tokens=count),
    )


def _vector(text: str, dimensions: int) -> list[float]:
    values = [0.0] * dimensions
    for word in text.lower().split() or [""]:
        digest = sha256(word.encode()).digest()
        values[int.from_bytes(digest[:8]) % dimensions] += 1 if digest[8] % 2 else -1
    length = math.hypot(*values)
    # Words may cancel one another out; no text has no direction.
    return [value / length for value in values] if length else [1.0, *values[1:]]
