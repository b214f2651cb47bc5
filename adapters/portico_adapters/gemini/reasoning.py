"""Thoughts and their signatures on the way to clients and back, as ``reasoning_details``. Pure.

A signature must go back on the part that it came on. A thought's stands in its ``reasoning.text``. That of
another part travels as ``reasoning.encrypted``; ``start`` and ``end`` say which characters of the message's
content it came on, which may be none. Signatures of tool calls travel in the calls themselves, those of code
that was run in the parts that are carried as they are, ``extra_content.google.parts``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico_adapters import _reasoning_details
from portico_adapters._json import members
from portico_adapters.gemini.answers import DIALECT

FORMAT: Final = "google-gemini-v1"

#: What Google's documentation ("Thought signatures") says to send for calls that another model made.
DUMMY_SIGNATURE: Final = "skip_thought_signature_validator"


class Detail(_reasoning_details.Detail, omit_defaults=True):
    """One entry of ``reasoning_details``, and the characters of the content that it came on."""

    start: int | None = None
    end: int | None = None


class _Google(Struct):
    thought_signature: str | None = None
    parts: Raw = Raw(b"[]")


class _Extra(Struct):
    google: _Google | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """A part such as code that was run, and how much of the message's content came before it."""

    start: int | None
    part: dict[str, object]


_PARTS: Final = Decoder(list[dict[str, Raw]])
_CARRIED: Final = frozenset((*DIALECT.values(), "thoughtSignature"))
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


def text_parts(text: str, details: Sequence[Detail], carried: Sequence[Carried]) -> list[dict[str, object]]:
    """Return a text as the parts that it came in, as far as signatures and carried parts tell them apart."""
    marks: list[tuple[int | None, int | None, dict[str, object] | None, str | None]] = [
        (detail.start, detail.end, None, detail.data)
        for detail in details
        if detail.type == "reasoning.encrypted" and detail.data
    ]
    marks += [(each.start, each.start, each.part, None) for each in carried]
    # What has no text of its own stands before the text that begins where it is.
    marks.sort(key=lambda mark: (mark[0] or 0, mark[1] or 0))
    parts: list[dict[str, object]] = []
    at = 0
    for told_start, told_end, part, signature in marks:
        # Where the text is not the one that was signed, nothing of it is.
        start, end = at if told_start is None else told_start, at if told_end is None else told_end
        if not at <= start <= end <= len(text):
            start = end = at
        if at < start:
            parts.append({"text": text[at:start]})
        parts.append({"text": text[start:end], **signed(signature)} if part is None else part)
        at = end
    return [*parts, {"text": text[at:]}] if at < len(text) else parts


def call_signature(extra_json: str, where: str) -> str | None:
    """Return the signature that a tool call of the history carries."""
    google = _google(extra_json, where)
    return google.thought_signature if google else None


def carried_in(extra_json: str, where: str) -> list[Carried]:
    """Return the parts of a message of the history that OpenAI's shape has no place for."""
    google = _google(extra_json, where)
    try:
        told = _PARTS.decode(google.parts) if google else []
    except (ValueError, RecursionError):
        return []
    found = []
    for each in told:
        part: dict[str, object] = {name: value for name, value in each.items() if name in _CARRIED}
        # A signature alone is no part.
        if part.keys() - {"thoughtSignature"}:
            found.append(Carried(_place(each.get("start")), part))
    return found


def _google(extra_json: str, where: str) -> _Google | None:
    told = members(extra_json, where).get("extra_content")
    try:
        return _EXTRA.decode(told).google if told is not None else None
    except (ValueError, RecursionError):
        return None


def _place(told: Raw | None) -> int | None:
    return int(bytes(told)) if told is not None and bytes(told).isdigit() and len(bytes(told)) < 16 else None


def signed(signature: str | None) -> dict[str, object]:
    """Return the member that holds a signature."""
    return {"thoughtSignature": signature} if signature else {}


def _read(told: Raw) -> list[Detail]:
    try:
        return _DETAILS.decode(told)
    except (ValueError, RecursionError):
        # Of another shape than ours: somebody else's.
        return []
