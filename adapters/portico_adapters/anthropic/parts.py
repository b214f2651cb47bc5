"""Parts of a message's content as Anthropic's blocks. Pure."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from portico.errors import unsupported
from portico.v1.message_pb2 import ChatMessage, ContentPart, FilePart
from portico_adapters._json import members
from portico_adapters._media import Media, inline

#: A block: JSON values, and carried ones as they were written.
Block = dict[str, Any]

# The API's own blocks that callers may write among OpenAI's parts.
_NATIVE: Final = re.compile(
    r"image|document|search_result|container_upload|tool_reference|tool_use|tool_result|(redacted_)?thinking"
    r"|(server|mcp)_tool_use|\w+_tool_result|compaction"
)
_ONLY_TEXT: Final = ("text", "refusal")
_PDF: Final = "application/pdf"
# Of files that come without a type, and of the name that such a file has.
_BEGINS_AS_PDF: Final = "JVBERi0"
_TEXT_NAMES: Final = (".txt", ".md", ".csv", ".json", ".xml", ".html", ".yaml", ".yml", ".log")
_TEXT_TYPES: Final = ("application/json", "application/xml", "application/yaml")


def blocks_of(message: ChatMessage, where: str, backend: str) -> list[Block]:
    """Return a message's content; raise 400 for a part that the API cannot take.

    Texts without a word are left out: the API refuses them.
    """
    only = message.role in ("assistant", "system", "developer")
    blocks = [
        _block(part, f"{where}.content[{index}]", backend, only=only)
        for index, part in enumerate(message.content_parts)
    ]
    if message.content:
        blocks.append({"type": "text", "text": message.content})
    if message.refusal:
        # What the assistant said instead of content.
        blocks.append({"type": "text", "text": message.refusal})
    return [block for block in blocks if block["type"] != "text" or block["text"].strip()]


def _block(part: ContentPart, where: str, backend: str, *, only: bool) -> Block:
    extra: Mapping[str, object] = members(part.extra_json, where)
    if part.type and part.type not in _KINDS and _NATIVE.fullmatch(part.type):
        return {"type": part.type, **extra}
    if part.type not in _KINDS or (only and part.type not in _ONLY_TEXT):
        raise unsupported(f"{part.type or 'untyped'} parts of content here", where, backend)
    block = _KINDS[part.type](part, where, backend)
    if part.HasField("prompt_cache_breakpoint"):
        block["cache_control"] = _cache_control(part.prompt_cache_breakpoint.ttl)
    return {**block, **extra}


def _cache_control(ttl: str) -> Block:
    # An hour is the longest that there is.
    return {"type": "ephemeral", **({"ttl": ttl if ttl == "5m" else "1h"} if ttl else {})}


def _text(part: ContentPart, _where: str, _backend: str) -> Block:
    return {"type": "text", "text": part.text or part.refusal}


def _image(part: ContentPart, where: str, backend: str) -> Block:
    url = part.image_url.url
    extra = members(part.image_url.extra_json, f"{where}.image_url")
    media = inline(url)
    if media is None and _is_remote(url):
        return {"type": "image", "source": {"type": "url", "url": url}, **extra}
    if media is None or not media.media_type:
        raise unsupported("images other than http and base64 data: URLs", f"{where}.image_url.url", backend)
    return {"type": "image", "source": _base64(media), **extra}


def _file(part: ContentPart, where: str, backend: str) -> Block:
    file = part.file
    title = {"title": file.filename} if file.filename else {}
    source = _source(file, f"{where}.file", backend)
    kind = "image" if source.get("media_type", "").startswith("image/") else "document"
    extra = members(file.extra_json, f"{where}.file")
    return {"type": kind, "source": source, **(title if kind == "document" else {}), **extra}


def _source(file: FilePart, where: str, backend: str) -> Block:
    if file.file_id:
        return {"type": "file", "file_id": file.file_id}
    if _is_remote(file.file_data):
        return {"type": "url", "url": file.file_data}
    media = inline(file.file_data) or Media("", file.file_data)
    kind = media.media_type or _guessed(file)
    if kind == _PDF or kind.startswith("image/"):
        return _base64(Media(kind, media.data))
    if kind.startswith("text/") or kind in _TEXT_TYPES:
        return {"type": "text", "media_type": "text/plain", "data": _decoded(media.data, where, backend)}
    raise unsupported(f"files of the type {kind or 'that nobody tells'}", f"{where}.file_data", backend)


def _guessed(file: FilePart) -> str:
    name = file.filename.lower()
    if name.endswith(".pdf") or file.file_data.startswith(_BEGINS_AS_PDF):
        return _PDF
    return "text/plain" if name.endswith(_TEXT_NAMES) else ""


def _decoded(data: str, where: str, backend: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        what = "text files that are not base64 of UTF-8"
        raise unsupported(what, f"{where}.file_data", backend) from None


def _base64(media: Media) -> Block:
    return {"type": "base64", "media_type": media.media_type, "data": media.data}


def _is_remote(url: str) -> bool:
    return url.lower().startswith(("https://", "http://"))


_KINDS: Final = {"text": _text, "refusal": _text, "image_url": _image, "file": _file}


def joined(blocks: Sequence[Block]) -> str | list[Block]:
    """Return blocks in the shorter form where they are one plain text."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and isinstance(blocks[0]["text"], str):
        return blocks[0]["text"]
    return list(blocks)
