"""What unstreamed calls return: the message of the contract, and what came beside it."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from portico.gateway import CallContext
from portico.v1.chat_pb2 import ChatCompletion
from portico.v1.completions_pb2 import TextCompletion
from portico.v1.embeddings_pb2 import Embedding, EmbeddingList
from portico.v1.gateway_pb2 import ChatResponse, CompleteResponse, EmbedResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage
from portico.v1.receipt_pb2 import Receipt, Served


@dataclass(frozen=True, slots=True)
class Answer:
    """What came beside an answer."""

    #: The backend that served it, and its name for the model.
    served: Served
    #: The backend's headers that concern the caller, such as its rate limits; lower case names.
    headers: Mapping[str, bytes]
    #: Finds the call in the gateway's log.
    request_id: str
    #: Attempts, usage and times. None: the gateway sent none.
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class ChatAnswer(Answer):
    """A chat completion."""

    completion: ChatCompletion

    @property
    def message(self) -> ChatMessage:
        """The first choice's message; it can go into the next request as it is."""
        return self.completion.choices[0].message

    @property
    def text(self) -> str:
        """The first choice's text; empty where it has none, as when it calls tools."""
        parts = self.message.content_parts
        return self.message.content or "".join(part.text for part in parts)


@dataclass(frozen=True, slots=True)
class TextAnswer(Answer):
    """A text completion."""

    completion: TextCompletion

    @property
    def text(self) -> str:
        """The first choice's text."""
        return self.completion.choices[0].text


@dataclass(frozen=True, slots=True)
class EmbedAnswer(Answer):
    """Embeddings."""

    embeddings: EmbeddingList

    @property
    def vectors(self) -> list[Sequence[float]]:
        """One vector per text, in the order of the texts, whichever form they came in.

        Raises ValueError for a vendor's form (``Embedding.other_json``).
        """
        return [_vector(each) for each in sorted(self.embeddings.data, key=lambda each: each.index)]


def beside(
    response: ChatResponse | StreamResponse | CompleteResponse | EmbedResponse, context: CallContext
) -> tuple[Served, Mapping[str, bytes], str, Receipt | None]:
    """Return the fields of ``Answer`` for a call that has ended."""
    return response.served, by_name(response.headers), context.request_id, context.receipt


def by_name(headers: Iterable[Header]) -> Mapping[str, bytes]:
    """Return headers as a mapping; of several with one name the last counts."""
    return {header.name: header.value for header in headers}


def _vector(embedding: Embedding) -> Sequence[float]:
    match embedding.WhichOneof("embedding"):
        case "doubles":
            return list(embedding.doubles.values)
        case "float32_le":
            return struct.unpack(f"<{len(embedding.float32_le) // 4}f", embedding.float32_le)
        case _:
            raise ValueError(f"embedding {embedding.index} is in its vendor's form: read other_json")
