"""Parts of OpenAI's content as Converse's blocks, each a union of one member. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Raw, Struct
from msgspec.json import Decoder

from portico.errors import invalid_request, unsupported
from portico.v1.message_pb2 import ContentPart, FilePart, ImageUrl
from portico_adapters._json import members
from portico_adapters._media import inline
from portico_adapters.bedrock.names import DocumentNames

Block: TypeAlias = dict[str, Any]

# Blocks that the caller may write as Converse has them, for what OpenAI's API has no part.
_NATIVE: Final = frozenset(
    {
        *("text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent"),
        *("cachePoint", "reasoningContent", "citationsContent", "searchResult"),
    }
)
_IMAGES: Final[Mapping[str, str]] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENTS: Final[Mapping[str, str]] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
# By the ending of a name, where no media type tells.
_ENDINGS: Final[Mapping[str, str]] = {
    **{name: name for name in (*_IMAGES.values(), *_DOCUMENTS.values())},
    "jpg": "jpeg",
    "htm": "html",
    "markdown": "md",
}
_ENDING: Final = re.compile(r"\.([A-Za-z]+)$")
_S3: Final = "s3://"
_TTLS: Final = ("5m", "1h")


class _CacheControl(Struct):
    ttl: str | None = None


_CACHE_CONTROL: Final = Decoder(_CacheControl | None)


def blocks_of(parts: Sequence[ContentPart], where: str, backend: str, names: DocumentNames) -> list[Block]:
    """Return the blocks of a content; raise 400 for a part that Converse has no block for."""
    blocks: list[Block] = []
    for index, part in enumerate(parts):
        place = f"{where}[{index}]"
        extra = members(part.extra_json, place)
        cache = cache_point(extra, place, part)
        blocks += _blocks(part, extra, place, backend, names)
        blocks += cache
    return blocks


def text_blocks(text: str) -> list[Block]:
    """Return the block of a text; Converse refuses one of an empty text."""
    return [{"text": text}] if text else []


def cache_point(extra: dict[str, Raw], where: str, part: ContentPart | None = None) -> list[Block]:
    """Take ``cache_control`` out of ``extra``; return the block that marks the end of a prefix to cache."""
    raw = extra.pop("cache_control", None)
    try:
        told = None if raw is None else _CACHE_CONTROL.decode(raw)
    except (ValueError, RecursionError):
        raise invalid_request("cache_control cannot be read.", f"{where}.cache_control") from None
    marked = part is not None and part.HasField("prompt_cache_breakpoint")
    if told is None and not marked:
        return []
    ttl = told.ttl if told else part.prompt_cache_breakpoint.ttl if part else None
    return [{"cachePoint": {"type": "default", **({"ttl": ttl} if ttl in _TTLS else {})}}]


def _blocks(
    part: ContentPart, extra: dict[str, Raw], where: str, backend: str, names: DocumentNames
) -> list[Block]:
    if part.type in ("text", "refusal") and not extra.keys() & _NATIVE:
        return text_blocks(part.text or part.refusal)
    if part.type == "image_url":
        return [{"image": _image(part.image_url, f"{where}.image_url.url", backend) | extra}]
    if part.type == "input_audio":
        audio = part.input_audio
        return [{"audio": {"format": audio.format, "source": {"bytes": audio.data}, **extra}}]
    if part.type == "file":
        return [{"document": _document(part.file, f"{where}.file", backend, names) | extra}]
    if found := {name: value for name, value in extra.items() if name in _NATIVE}:
        return [dict(found)]
    raise unsupported(f"{part.type or 'untyped'} parts of content", where, backend)


def _image(image: ImageUrl, where: str, backend: str) -> Block:
    media = inline(image.url)
    if media is not None and media.media_type in _IMAGES:
        return {"format": _IMAGES[media.media_type], "source": {"bytes": media.data}}
    if media is None and image.url.startswith(_S3):
        return {"format": _by_name(image.url, where), "source": {"s3Location": {"uri": image.url}}}
    what = f"images of the type {media.media_type}" if media else "images other than base64 data: or s3: URLs"
    raise unsupported(what, where, backend)


def _document(file: FilePart, where: str, backend: str, names: DocumentNames) -> Block:
    if not file.file_data:
        raise unsupported("files by their id", f"{where}.file_id", backend)
    name = names.take(file.filename)
    if file.file_data.startswith(_S3):
        source = {"s3Location": {"uri": file.file_data}}
        return {"format": _by_name(file.file_data, f"{where}.file_data"), "name": name, "source": source}
    if file.file_data.startswith(("https:", "http:")):
        raise unsupported("files other than base64, data: or s3: URLs", f"{where}.file_data", backend)
    media = inline(file.file_data)
    if media is None:
        format_, data = _by_name(file.filename, f"{where}.filename"), file.file_data
    else:
        known = _DOCUMENTS.get(media.media_type)
        format_, data = known or _by_name(file.filename, f"{where}.file_data"), media.data
    return {"format": format_, "name": name, "source": {"bytes": data}}


def _by_name(name: str, where: str) -> str:
    ending = _ENDING.search(name)
    found = _ENDINGS.get(ending[1].lower()) if ending else None
    if found is None:
        raise invalid_request("The type of this file cannot be told: its name has no known ending.", where)
    return found
