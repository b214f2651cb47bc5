"""OpenAI's embeddings over POST /model/{id}/invoke, where families of models have APIs of their own. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder, encode

from portico.adapter import EmbeddingCall
from portico.errors import unsupported
from portico.v1.embeddings_pb2 import EmbeddingList
from portico.v1.headers_pb2 import Header
from portico_adapters._advice import leave_out_advice
from portico_adapters._embeddings import check_dimensions, listed, texts_of
from portico_adapters._json import members
from portico_adapters._reading import Count, read

#: The header that counts what the body of some models does not.
COUNT_HEADER: Final = "x-amzn-bedrock-input-token-count"

_Vector = list[float]


class _Titan(Struct):
    embedding: _Vector
    inputTextTokenCount: Count | None = None  # noqa: N815 - as AWS writes it


class _Cohere(Struct):
    #: By the types of their numbers, or such as they are.
    embeddings: list[_Vector] | dict[str, list[_Vector]]


class _NovaVector(Struct):
    embedding: _Vector


class _Nova(Struct):
    embeddings: list[_NovaVector]


_TITAN: Final = Decoder(_Titan)
_COHERE: Final = Decoder(_Cohere)
_NOVA: Final = Decoder(_Nova)


@dataclass(frozen=True, slots=True)
class _Family:
    """How one family of models is asked, and what it answers."""

    #: Texts of one request; None: all of them.
    most: int | None
    #: Texts and dimensions -> body.
    body: Callable[[Sequence[str], int | None], Mapping[str, object]]
    #: Answer -> vectors, and the count of tokens where it has one.
    vectors: Callable[[bytes], tuple[list[_Vector], int | None]]


def _titan_body(texts: Sequence[str], dimensions: int | None) -> Mapping[str, object]:
    return {"inputText": texts[0], **({"dimensions": dimensions} if dimensions else {})}


def _titan_vectors(body: bytes) -> tuple[list[_Vector], int | None]:
    answer = read(body, _TITAN)
    return [answer.embedding], answer.inputTextTokenCount


def _cohere_body(texts: Sequence[str], dimensions: int | None) -> Mapping[str, object]:
    # One of them must be said; the caller's own counts more.
    asked = {"texts": texts, "input_type": "search_document"}
    return {**asked, **({"output_dimension": dimensions} if dimensions else {})}


def _cohere_vectors(body: bytes) -> tuple[list[_Vector], int | None]:
    found = read(body, _COHERE).embeddings
    return (found.get("float", []) if isinstance(found, dict) else found), None


def _nova_body(texts: Sequence[str], dimensions: int | None) -> Mapping[str, object]:
    text = {"truncationMode": "NONE", "value": texts[0]}
    asked = {"embeddingPurpose": "GENERIC_INDEX", "text": text}
    shortened = {"embeddingDimension": dimensions} if dimensions else {}
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {**asked, **shortened}}


def _nova_vectors(body: bytes) -> tuple[list[_Vector], int | None]:
    return [each.embedding for each in read(body, _NOVA).embeddings], None


# A part of the model's name, which is that of its profiles too.
_FAMILIES: Final[Mapping[re.Pattern[str], _Family]] = {
    re.compile(r"titan-embed-text"): _Family(1, _titan_body, _titan_vectors),
    re.compile(r"cohere\.embed"): _Family(None, _cohere_body, _cohere_vectors),
    re.compile(r"nova-[\w-]*embeddings"): _Family(1, _nova_body, _nova_vectors),
}


def embed_bodies(call: EmbeddingCall) -> list[bytes]:
    """Return the bodies of the requests that it takes; raise 400 for what the model cannot embed."""
    leave_out_advice(call)
    params, family = call.params, _family(call)
    texts = texts_of(call)
    size = family.most or len(texts)
    extra = members(params.extra_json, "extra_json")
    dimensions = params.dimensions if params.HasField("dimensions") else None
    return [
        encode({**family.body(texts[start : start + size], dimensions), **extra})
        for start in range(0, len(texts), size)
    ]


def embeddings_of(answers: Sequence[tuple[bytes, Sequence[Header]]], call: EmbeddingCall) -> EmbeddingList:
    """Read the answers; raise where they do not have a vector of the right length for each text."""
    family = _family(call)
    vectors: list[_Vector] = []
    counts: list[int | None] = []
    for body, headers in answers:
        found, count = family.vectors(body)
        vectors += found
        counts.append(_counted(headers) if count is None else count)
    tokens = None if None in counts else sum(count or 0 for count in counts)
    made = listed(vectors, tokens, call)
    check_dimensions(vectors, call)
    return made


def _family(call: EmbeddingCall) -> _Family:
    for pattern, family in _FAMILIES.items():
        if pattern.search(call.model):
            return family
    raise unsupported("embeddings", "model", call.backend)


def _counted(headers: Sequence[Header]) -> int | None:
    told = [each.value for each in headers if each.name == COUNT_HEADER]
    return int(told[0]) if told and told[0].isdigit() and len(told[0]) < 16 else None
