"""The models of GET /api/tags as OpenAI's. Pure."""

from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from portico.v1.models_pb2 import Model
from portico_adapters.ollama.answers import read, unix_seconds


class _Tag(Struct):
    name: str
    #: RFC 3339: when it was pulled or made.
    modified_at: str | None = None


class _Tags(Struct):
    models: list[_Tag] | None = None


_TAGS: Final = Decoder(_Tags)


def models_of(body: bytes) -> list[Model]:
    """Read the list of models that the server holds."""
    return [
        Model(id=tag.name, object="model", created=unix_seconds(tag.modified_at), owned_by="ollama")
        for tag in read(body, _TAGS).models or ()
    ]
