"""What a model thought, so that it can go back as it came. Pure.

Cohere tells thoughts in two places: blocks of content, and the plan that stands beside tool calls. OpenAI's
API has neither; both are ``reasoning_content``, and ``reasoning_details`` says which was which.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

#: Formats of ``reasoning_details``.
THINKING: Final = "cohere-v2"
PLAN: Final = "cohere-tool-plan-v2"

DETAILS: Final = "reasoning_details"


class _Detail(Struct):
    text: str | None = None
    format: str | None = None
    index: int | None = None


_DETAILS: Final = Decoder(list[_Detail])


@dataclass(frozen=True, slots=True)
class Thoughts:
    """What an assistant's message of the history thought, by Cohere's places."""

    blocks: Sequence[str]
    plan: str


def detail(text: str, kind: str, index: int) -> Mapping[str, object]:
    """Return an entry of ``reasoning_details``."""
    return {"type": "reasoning.text", "text": text, "format": kind, "index": index}


def details_json(entries: Iterable[Mapping[str, object]]) -> Raw:
    """Return ``reasoning_details`` as JSON."""
    return Raw(encode(list(entries)))


class StreamedThoughts:
    """Collects the thoughts of a stream, to be told once: SDKs append every text of entries in pieces."""

    def __init__(self) -> None:
        #: By the format and the backend's index, as they came.
        self._pieces: dict[tuple[str, int], list[str]] = {}

    def add(self, kind: str, index: int, text: str) -> None:
        """Take a piece."""
        self._pieces.setdefault((kind, index), []).append(text)

    def entries(self) -> Sequence[Mapping[str, object]]:
        """Return the entries, as a whole answer has them: the plan stands last."""
        told = sorted(self._pieces.items(), key=lambda item: (item[0][0] == PLAN, item[0]))
        return [detail("".join(pieces), kind, at) for at, ((kind, _), pieces) in enumerate(told)]


def thoughts_in(details: Raw | None, text: str, *, called: bool) -> Thoughts:
    """Return the thoughts of a message. ``text``: its ``reasoning_content``. ``called``: it calls tools.

    Deltas of one index are joined. Other makers' entries are passed over. A caller who kept the text alone
    gives it back as the plan of the calls; without calls the API needs no thoughts.
    """
    blocks: dict[tuple[str, int], list[str]] = {}
    for entry in _read(details):
        if entry.format in (THINKING, PLAN):
            blocks.setdefault((entry.format, entry.index or 0), []).append(entry.text or "")
    joined = {key: "".join(pieces) for key, pieces in blocks.items()}
    thinking = [joined[key] for key in sorted(joined) if key[0] == THINKING]
    plan = "".join(joined[key] for key in sorted(joined) if key[0] == PLAN)
    if not joined and called:
        plan = text
    return Thoughts([block for block in thinking if block], plan if called else "")


def _read(details: Raw | None) -> Sequence[_Detail]:
    if details is None:
        return ()
    try:
        return _DETAILS.decode(details)
    except (ValueError, RecursionError):
        # Not ours.
        return ()
