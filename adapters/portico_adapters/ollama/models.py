"""The models of GET /api/tags, with what POST /api/show tells of each, as OpenAI's. Pure.

Source: docs/api.md of github.com/ollama/ollama, "List Local Models" and "Show Model Information".
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder, encode

from portico.v1.models_pb2 import Model
from portico_adapters.ollama.answers import read, unix_seconds


class Tag(Struct, frozen=True):
    """A model that the server holds."""

    name: str
    #: RFC 3339: when it was pulled or made.
    modified_at: str | None = None
    #: Of its manifest: the same name with another one is another model.
    digest: str | None = None


class _Tags(Struct):
    models: list[Tag] | None = None


class Shown(Struct):
    """What the server tells of one model."""

    #: completion, tools, vision, thinking, embedding, insert; older servers tell none.
    capabilities: list[str] | None = None
    #: Its GGUF metadata: "general.architecture", "llama.context_length" and more.
    model_info: dict[str, Any] | None = None
    #: Of its Modelfile: lines such as "num_ctx 4096".
    parameters: str | None = None


_TAGS: Final = Decoder(_Tags)
_SHOWN: Final = Decoder(Shown)

# The server's word -> ours. Whatever completes is held to a schema by the server itself.
_SUPPORTS: Final[Mapping[str, str]] = {
    "vision": "images",
    "tools": "tools",
    "completion": "structured",
    "thinking": "reasoning",
}
_NUM_CTX: Final = re.compile(r"^num_ctx\s+(\d{1,12})\s*$", re.MULTILINE)

# More is no number of tokens.
_MOST: Final = 1 << 40


def tags_of(body: bytes) -> list[Tag]:
    """Read the list of models that the server holds."""
    return read(body, _TAGS).models or []


def show_body(name: str) -> bytes:
    """Return the request that asks of one model."""
    return encode({"model": name})


def shown_in(body: bytes) -> Shown:
    """Read what the server tells of one model."""
    return read(body, _SHOWN)


def model_of(tag: Tag, shown: Shown | None, num_ctx: int | None) -> Model:
    """Return a model. ``shown``: None where the server does not tell. ``num_ctx``: what it is loaded with."""
    model = Model(id=tag.name, object="model", created=unix_seconds(tag.modified_at), owned_by="ollama")
    if shown is not None:
        words = shown.capabilities or ()
        model.supports.extend(ours for word, ours in _SUPPORTS.items() if word in words)
        if context := _context(shown, num_ctx):
            model.context_length = context
    return model


def _context(shown: Shown, num_ctx: int | None) -> int | None:
    """Return the tokens that fit: the model's own limit, or fewer where it is loaded with fewer."""
    info = shown.model_info or {}
    own = info.get(f"{info.get('general.architecture')}.context_length")
    told = _NUM_CTX.search(shown.parameters or "")
    loaded = num_ctx or (int(told[1]) if told else None)
    known = [count for count in (own, loaded) if type(count) is int and 0 < count < _MOST]
    return min(known, default=None)
