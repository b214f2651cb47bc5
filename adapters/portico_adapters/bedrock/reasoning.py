"""Thinking blocks in ``reasoning_details``, out and back again. Pure."""

import base64
from collections.abc import Sequence
from typing import Final

from msgspec import Raw

from portico.adapter import UpstreamCall
from portico.v1.message_pb2 import ChatMessage
from portico_adapters._reasoning_details import Detail, details_of, note_lost
from portico_adapters.bedrock.parts import Block

#: Marks the details that are ours to send back.
FORMAT: Final = "bedrock-converse"


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
    details = details_of(raw, FORMAT, where, joined_base64)
    blocks = [block for detail in details if (block := _block(detail)) is not None]
    note_lost(message, blocks, call)
    return blocks


def joined_base64(pieces: Sequence[str]) -> str:
    """Join texts of base64, each of which may be padded. Raise ValueError where one is none."""
    if len(pieces) == 1:
        return pieces[0]
    return base64.b64encode(b"".join(base64.b64decode(piece) for piece in pieces)).decode()


def _block(detail: Detail) -> Block | None:
    if detail.type == "reasoning.encrypted" and detail.data:
        return {"reasoningContent": {"redactedContent": detail.data}}
    if detail.type == "reasoning.text" and detail.signature:
        text = {"text": detail.text or "", "signature": detail.signature}
        return {"reasoningContent": {"reasoningText": text}}
    return None
