"""Thoughts on the way back to the model that had them: ``reasoning_details`` as answers told them. Pure."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico.adapter import UpstreamCall
from portico.errors import invalid_request
from portico.v1.message_pb2 import ChatMessage


class Detail(Struct):
    """One of them. Any may come in pieces, which have its index."""

    type: str = ""
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = None
    index: int | None = None


_DETAILS: Final = Decoder(list[Detail] | None)


def details_of(
    raw: Raw | None, form: str, where: str, joined: Callable[[Sequence[str]], str] = "".join
) -> list[Detail]:
    """Return those of a format, in order and each in one piece; raise 400 where they are no list of details.

    ``where``: the message that they stand in; ``joined``: puts pieces of ``data`` together, and raises
    ValueError where they are not what they should be.
    """
    pieces: dict[tuple[str, int], list[Detail]] = {}
    try:
        for number, detail in enumerate(_DETAILS.decode(raw) or () if raw is not None else ()):
            if detail.format == form:
                index = -1 - number if detail.index is None else detail.index
                pieces.setdefault((detail.type, index), []).append(detail)
        return [_whole(each, joined) for each in pieces.values()]
    except (ValueError, RecursionError):
        place = f"{where}.reasoning_details"
        raise invalid_request(f"{place} must be a list as it was.", place) from None


def note_lost(message: ChatMessage, kept: Sequence[object], call: UpstreamCall) -> None:
    """Note it where a message has thoughts and none of them is ``kept``."""
    lost = bool(message.reasoning_content or message.reasoning) and not kept
    if lost and "reasoning_content" not in call.dropped:
        call.dropped.append("reasoning_content")


def _whole(pieces: Sequence[Detail], joined: Callable[[Sequence[str]], str]) -> Detail:
    return Detail(
        type=pieces[0].type,
        text="".join(piece.text or "" for piece in pieces),
        signature="".join(piece.signature or "" for piece in pieces),
        data=joined([piece.data for piece in pieces if piece.data]),
    )
