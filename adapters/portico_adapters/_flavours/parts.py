"""Content that comes as a list of parts (Mistral's): text, reasoning and what the text refers to. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

_Part: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What a list of parts says. None: nothing of the kind."""

    text: str | None
    thought: str | None
    #: Parts of the type "reference", {"type", "reference_ids"}, as they came.
    references: list[_Part]


def said_in(parts: object) -> Said | None:
    """Return what a list of parts says; None where it is none, or has parts of other types."""
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return None
    by_type: dict[str, list[_Part]] = {}
    for part in parts:
        by_type.setdefault(str(part.get("type")), []).append(part)
    texts, thoughts = by_type.pop("text", []), by_type.pop("thinking", [])
    references = by_type.pop("reference", [])
    if by_type:
        return None
    thought = _joined(piece for part in thoughts for piece in _pieces(part.get("thinking")))
    return Said(_joined(texts), thought, references)


def _pieces(thinking: object) -> Iterable[_Part]:
    if isinstance(thinking, str):
        return [{"text": thinking}]
    return [piece for piece in thinking if isinstance(piece, dict)] if isinstance(thinking, list) else ()


def _joined(parts: Iterable[_Part]) -> str | None:
    texts = [text for part in parts if isinstance(text := part.get("text"), str)]
    return "".join(texts) if texts else None
