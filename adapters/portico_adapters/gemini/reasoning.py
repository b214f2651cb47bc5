"""Thoughts and their signatures on the way to clients and back, as ``reasoning_details``. Pure.

A signature must go back on the part that it came on. A thought's stands in its ``reasoning.text``. That of
another part travels as ``reasoning.encrypted``; ``start`` and ``end`` say which characters of the message's
content it came on, which may be none. Signatures of tool calls travel in the calls themselves.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico_adapters._json import members

FORMAT: Final = "google-gemini-v1"

#: What Google's documentation ("Thought signatures") says to send for calls that another model made.
DUMMY_SIGNATURE: Final = "skip_thought_signature_validator"


class Detail(Struct, omit_defaults=True):
    """One entry of ``reasoning_details``."""

    type: str = ""
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = None
    index: int | None = None
    start: int | None = None
    end: int | None = None


class _Google(Struct):
    thought_signature: str | None = None


class _Extra(Struct):
    google: _Google | None = None


_DETAILS: Final = Decoder(list[Detail])
_EXTRA: Final = Decoder(_Extra)


def details_in(extra_json: str, where: str) -> list[Detail]:
    """Return Gemini's own entries of a message of the history, the pieces of each joined."""
    told = members(extra_json, where).get("reasoning_details")
    if told is None:
        return []
    joined: dict[object, Detail] = {}
    for number, detail in enumerate(_read(told)):
        if detail.format != FORMAT:
            continue
        key = (detail.type, f"without {number}" if detail.index is None else detail.index)
        first = joined.setdefault(key, detail)
        if first is not detail:
            first.text = (first.text or "") + (detail.text or "") or None
            first.signature = detail.signature or first.signature
    return list(joined.values())


def thought_parts(details: Sequence[Detail]) -> list[dict[str, object]]:
    """Return the parts of the thoughts themselves."""
    return [
        {"text": detail.text or "", "thought": True, **signed(detail.signature)}
        for detail in details
        if detail.type == "reasoning.text"
    ]


def text_parts(text: str, details: Sequence[Detail]) -> list[dict[str, object]]:
    """Return a text as the parts that it came in, as far as signatures tell them apart."""
    parts: list[dict[str, object]] = []
    at = 0
    for detail in details:
        if detail.type != "reasoning.encrypted" or not detail.data:
            continue
        start, end = detail.start, detail.end
        if start is None or end is None or not at <= start <= end <= len(text):
            # The text is not the one that was signed.
            start = end = at
        if at < start:
            parts.append({"text": text[at:start]})
        parts.append({"text": text[start:end], **signed(detail.data)})
        at = end
    return [*parts, {"text": text[at:]}] if at < len(text) else parts


def call_signature(extra_json: str, where: str) -> str | None:
    """Return the signature that a tool call of the history carries."""
    told = members(extra_json, where).get("extra_content")
    if told is None:
        return None
    try:
        extra = _EXTRA.decode(told)
    except (ValueError, RecursionError):
        return None
    return extra.google.thought_signature if extra.google else None


def signed(signature: str | None) -> dict[str, object]:
    """Return the member that holds a signature."""
    return {"thoughtSignature": signature} if signature else {}


def _read(told: Raw) -> list[Detail]:
    try:
        return _DETAILS.decode(told)
    except (ValueError, RecursionError):
        # Of another shape than ours: somebody else's.
        return []
