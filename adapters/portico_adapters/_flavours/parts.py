"""Content that comes as a list of parts (Mistral's): text, reasoning and what the text refers to. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

_Part: TypeAlias = Mapping[str, Any]

#: Marks the details that are Mistral's.
FORMAT: Final = "mistral-v1"


@dataclass(frozen=True, slots=True)
class Said:
    """What a list of parts says. None: nothing of the kind."""

    text: str | None
    thought: str | None
    #: As OpenRouter has them: {"type": "image_url", "image_url": {"url"}}.
    images: list[_Part]
    #: Parts of the type "reference", {"type", "reference_ids"}, and all others, as they came.
    references: list[_Part]
    #: The thoughts once more, as ``reasoning_details``, where one of them is signed: else they need none.
    details: list[_Part]


def said_in(parts: Sequence[object]) -> Said:
    """Return what a list of parts says. What is no object, and no text, says nothing."""
    by_type: dict[str, list[_Part]] = {}
    for part in parts:
        told = {"type": "text", "text": part} if isinstance(part, str) else part
        if isinstance(told, dict):
            by_type.setdefault(str(told.get("type")), []).append(told)
    texts, thoughts = by_type.pop("text", []), by_type.pop("thinking", [])
    images = [_image(part) for part in by_type.pop("image_url", [])]
    references = [part for others in by_type.values() for part in others]
    thought = _joined(piece for part in thoughts for piece in _pieces(part.get("thinking")))
    signed = any(isinstance(part.get("signature"), str) for part in thoughts)
    details = [_detail(index, part) for index, part in enumerate(thoughts)] if signed else []
    return Said(_joined(texts), thought, images, references, details)


def _image(part: _Part) -> _Part:
    told = part.get("image_url")
    return {**part, "image_url": {"url": told}} if isinstance(told, str) else part


def thinking_parts(thought: str, details: object) -> list[_Part]:
    """Return a thought as the parts that it came in. ``details``: ``reasoning_details``, if there are any.

    A signature that came with the last piece of a stream, or after it, is for all that was thought. Where the
    thought is not the one that was signed, it goes without.
    """
    ours = [part for part in details if _is_ours(part)] if isinstance(details, list) else []
    if len(ours) == 1 and thought.endswith(ours[0]["text"]):
        return [_thinking(thought, ours[0].get("signature"))]
    if ours and "".join(part["text"] for part in ours) == thought:
        return [_thinking(part["text"], part.get("signature")) for part in ours]
    return [_thinking(thought, None)] if thought else []


def _detail(index: int, part: _Part) -> _Part:
    signature = part.get("signature")
    return {
        "type": "reasoning.text",
        "text": _joined(_pieces(part.get("thinking"))) or "",
        **({"signature": signature} if isinstance(signature, str) else {}),
        "format": FORMAT,
        # OpenAI's SDK puts the entries of lists together by it.
        "index": index,
    }


def _is_ours(part: object) -> bool:
    return isinstance(part, dict) and part.get("format") == FORMAT and isinstance(part.get("text"), str)


def _thinking(text: str, signature: object) -> _Part:
    told: list[_Part] = [{"type": "text", "text": text}] if text else []
    return {"thinking": told, **({"signature": signature} if isinstance(signature, str) else {})}


def _pieces(thinking: object) -> Iterable[_Part]:
    if isinstance(thinking, str):
        return [{"text": thinking}]
    return [piece for piece in thinking if isinstance(piece, dict)] if isinstance(thinking, list) else ()


def _joined(parts: Iterable[_Part]) -> str | None:
    texts = [text for part in parts if isinstance(text := part.get("text"), str)]
    return "".join(texts) if texts else None
