"""Images and speech that Gemini made, on the way to clients and back. Pure.

An image is an entry of the message's ``images``. Its signature and its place stand in the entry's own
``extra_content.google``: ``start`` is how many characters of the content came before it.
"""

from base64 import b64decode, b64encode
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from portico_adapters._json import members
from portico_adapters._media import inline
from portico_adapters.gemini.answers import Blob, Part
from portico_adapters.gemini.reasoning import Carried, signed


class _Google(Struct):
    thought_signature: str | None = None
    start: int | None = None
    thought: bool | None = None


class _Extra(Struct):
    google: _Google | None = None


class _Url(Struct):
    url: str = ""


class _Image(Struct):
    image_url: _Url | None = None
    extra_content: _Extra | None = None


_IMAGES: Final = Decoder(list[_Image])


def is_image(blob: Blob | None) -> bool:
    """Whether it is no speech, and there at all."""
    return blob is not None and not blob.mime_type.startswith("audio/")


def image_of(blob: Blob, part: Part, index: int, start: int) -> dict[str, object]:
    """Return an image as an entry of ``images``. ``index``: its number, by which OpenAI's SDK knows it."""
    google: dict[str, object] = {"start": start}
    if part.thought_signature:
        google["thought_signature"] = part.thought_signature
    if part.thought:
        # A sketch on the way to the last one.
        google["thought"] = True
    return {
        "type": "image_url",
        "image_url": {"url": f"data:{blob.mime_type};base64,{blob.data}"},
        "index": index,
        "extra_content": {"google": google},
    }


def images_in(extra_json: str, where: str, end: int) -> list[Carried]:
    """Return the images of a message of the history as parts: those that stand in the message itself.

    ``end``: how long the content is; other models' images stand behind it.
    """
    told = members(extra_json, where).get("images")
    try:
        images = _IMAGES.decode(told) if told is not None else []
    except (ValueError, RecursionError):
        # Of another shape than ours: somebody else's.
        return []
    found = []
    for image in images:
        media = inline(image.image_url.url) if image.image_url else None
        if media is None:
            continue
        google = (image.extra_content.google if image.extra_content else None) or _Google()
        part: dict[str, object] = {"inlineData": {"mimeType": media.media_type, "data": media.data}}
        if google.thought:
            part["thought"] = True
        start = end if google.start is None else google.start
        found.append(Carried(start, {**part, **signed(google.thought_signature)}))
    return found


def joined(first: Blob | None, second: Blob) -> Blob:
    """Return speech that came in two pieces as one."""
    if first is None:
        return second
    try:
        data = b64encode(b64decode(first.data) + b64decode(second.data)).decode()
    except ValueError:
        # Whoever plays it will find out.
        data = first.data + second.data
    return Blob(first.mime_type, data)
