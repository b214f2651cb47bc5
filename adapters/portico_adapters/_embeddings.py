"""Embeddings at backends that take texts, and nothing else, and answer with lists of numbers. Pure."""

from collections.abc import Iterable, Sequence

from portico.adapter import EmbeddingCall
from portico.errors import invalid_request, unsupported, upstream_failed
from portico.v1.embeddings_pb2 import DoubleVector, Embedding, EmbeddingList
from portico.v1.usage_pb2 import Usage


def texts_of(call: EmbeddingCall) -> list[str]:
    """Return what is to be embedded; raise 400 for tokens, and for nothing."""
    given = call.params.input
    form = given.WhichOneof("value")
    if form not in ("text", "texts"):
        raise unsupported("input other than text", "input", call.backend)
    texts = [given.text] if form == "text" else list(given.texts.values)
    if not texts or texts == [""]:
        raise invalid_request("input must not be empty.", "input")
    return texts


def listed(vectors: Sequence[Sequence[float]], tokens: int | None, call: EmbeddingCall) -> EmbeddingList:
    """Return vectors as OpenAI does; raise where there is not one for each text.

    ``tokens``: of all texts. None: the backend counted none.
    """
    if len(vectors) != len(texts_of(call)):
        raise upstream_failed("The backend did not embed every text.")
    return EmbeddingList(
        object="list",
        model=call.model,
        data=[
            Embedding(object="embedding", index=index, doubles=DoubleVector(values=vector))
            for index, vector in enumerate(vectors)
        ],
        usage=None if tokens is None else Usage(prompt_tokens=tokens, total_tokens=tokens),
    )


def check_dimensions(vectors: Iterable[Sequence[float]], call: EmbeddingCall) -> None:
    """Raise 400 for vectors of another length than was asked for.

    Servers and models that cannot shorten a vector may send it whole, without a word.
    """
    params = call.params
    for vector in vectors:
        if params.HasField("dimensions") and len(vector) != params.dimensions:
            raise invalid_request(f"The model's vectors have {len(vector)} dimensions.", "dimensions")
