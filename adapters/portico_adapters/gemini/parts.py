"""Parts of a message's content as Gemini's: text, and files inline or by their addresses. Pure."""

import mimetypes
import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from portico.errors import invalid_request, unsupported
from portico.v1.message_pb2 import ContentPart, FilePart
from portico_adapters._json import members
from portico_adapters._media import inline

_ADDRESS: Final = re.compile(r"(https?|gs)://")
_AUDIO: Final = {"mp3": "audio/mp3", "wav": "audio/wav", "pcm16": "audio/pcm"}


class _Url(Struct):
    url: str = ""


_VIDEO: Final = Decoder(_Url)


def parts_of(parts: Sequence[ContentPart], where: str, backend: str) -> list[dict[str, object]]:
    """Return a message's parts; raise 400 for one that Gemini cannot take."""
    return [_part(part, f"{where}[{index}]", backend) for index, part in enumerate(parts)]


def _part(part: ContentPart, where: str, backend: str) -> dict[str, object]:
    extra = members(part.extra_json, f"{where}.extra_json")
    match part.type:
        case "text" | "refusal":
            return {"text": part.text or part.refusal, **extra}
        case "image_url":
            return {**_media(part.image_url.url, f"{where}.image_url.url"), **extra}
        case "video_url" if "video_url" in extra:
            try:
                url = _VIDEO.decode(extra.pop("video_url")).url
            except ValueError:
                raise invalid_request("video_url must have a url.", f"{where}.video_url") from None
            return {**_media(url, f"{where}.video_url.url"), **extra}
        case "input_audio":
            audio = part.input_audio
            kind = _AUDIO.get(audio.format, f"audio/{audio.format or 'wav'}")
            return {"inlineData": {"mimeType": kind, "data": audio.data}, **extra}
        case "file":
            return {**_file(part.file, f"{where}.file", backend), **extra}
    raise unsupported(f"{part.type or 'untyped'} parts of content", where, backend)


def _media(url: str, where: str) -> dict[str, object]:
    if media := inline(url):
        kind = media.media_type or "image/jpeg"
        return {"inlineData": {"mimeType": kind, "data": media.data}}
    if not _ADDRESS.match(url):
        raise invalid_request("Expected a base64 data: URL, or one of https or gs.", where)
    return _by_address(url, None)


def _file(file: FilePart, where: str, backend: str) -> dict[str, object]:
    kind = mimetypes.guess_type(file.filename)[0]
    if file.file_data:
        media = inline(file.file_data)
        data = media.data if media else file.file_data
        kind = (media.media_type if media else "") or kind or "application/pdf"
        return {"inlineData": {"mimeType": kind, "data": data}}
    if not _ADDRESS.match(file.file_id):
        raise unsupported("files by ids that are not addresses", f"{where}.file_id", backend)
    return _by_address(file.file_id, kind)


def _by_address(url: str, kind: str | None) -> dict[str, object]:
    # Vertex wants to know the type; of addresses without one the API itself is to judge.
    kind = kind or mimetypes.guess_type(url.partition("?")[0])[0]
    return {"fileData": {**({"mimeType": kind} if kind else {}), "fileUri": url}}
