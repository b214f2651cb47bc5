"""Thinking blocks in ``reasoning_details``, out and back again. Pure."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico.adapter import UpstreamCall
from portico.errors import invalid_request
from portico.v1.message_pb2 import ChatMessage
from portico_adapters.bedrock.parts import Block

#: Marks the details that are ours to send back.
FORMAT: Final = "bedrock-converse"


class _Detail(Struct):
    type: str = ""
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = None
    index: int | None = None


_DETAILS: Final = Decoder(list[_Detail] | None)


def detail_of(index: int, text: str, signature: str, redacted: str | None) -> Block:
    """Return the detail of the block at ``index`` of an answer. ``redacted``: base64."""
    if redacted is not None:
        return {"type": "reasoning.encrypted", "data": redacted, "format": FORMAT, "index": index}
    signed = {"signature": signature} if signature else {}
    return {"type": "reasoning.text", "text": text, **signed, "format": FORMAT, "index": index}


def thinking_of(message: ChatMessage, raw: Raw | None, where: str, call: UpstreamCall) -> list[Block]:
    """Return the blocks that ``reasoning_details`` of an assistant's message hold.

    Thoughts without a signature are left out: models that sign believe no others, and the rest do not
    want theirs back. What the caller did not send back at all is noted.
    """
    try:
        details = _merged(_DETAILS.decode(raw) or ()) if raw is not None else []
        blocks = [block for detail in details if (block := _block(detail)) is not None]
    except (ValueError, RecursionError, binascii.Error):
        place = f"{where}.reasoning_details"
        raise invalid_request(f"{place} must be a list as it was.", place) from None
    lost = bool(message.reasoning_content or message.reasoning) and not blocks
    if lost and "reasoning_content" not in call.dropped:
        call.dropped.append("reasoning_content")
    return blocks


def joined_base64(pieces: Sequence[str]) -> str:
    """Join texts of base64, each of which may be padded. Raise ValueError where one is none."""
    if len(pieces) == 1:
        return pieces[0]
    return base64.b64encode(b"".join(base64.b64decode(piece) for piece in pieces)).decode()


def _block(detail: _Detail) -> Block | None:
    if detail.type == "reasoning.encrypted" and detail.data:
        return {"reasoningContent": {"redactedContent": detail.data}}
    if detail.type == "reasoning.text" and detail.signature:
        text = {"text": detail.text or "", "signature": detail.signature}
        return {"reasoningContent": {"reasoningText": text}}
    return None


def _merged(details: Sequence[_Detail]) -> list[_Detail]:
    """Return our own details in order, those that came in pieces (of one index) put together."""
    pieces: dict[tuple[str, int], list[_Detail]] = {}
    for number, detail in enumerate(details):
        if detail.format == FORMAT:
            index = -1 - number if detail.index is None else detail.index
            pieces.setdefault((detail.type, index), []).append(detail)
    return [
        _Detail(
            type=each[0].type,
            text="".join(piece.text or "" for piece in each),
            signature="".join(piece.signature or "" for piece in each),
            data=joined_base64([piece.data for piece in each if piece.data]),
        )
        for each in pieces.values()
    ]
