"""Annotations of other types than OpenAI's, on the way to callers and back. Pure.

OpenRouter gives what it read out of a document as an annotation of the type "file", which it takes back
instead of reading the document again. SDKs expect citations alone: such entries travel beside them.
"""

from typing import Any, Final

from msgspec import Raw
from msgspec.json import Decoder

from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.message_pb2 import Annotation
from portico_adapters._flavours.members import members_of, put

_BESIDE: Final = "native_annotations"
_QUOTED: Final = f'"{_BESIDE}"'
_ENTRIES: Final = Decoder(list[dict[str, Raw]])
_TEXT: Final = Decoder(str)


def set_apart(message: Any) -> None:
    """Put the annotations of a message or delta that are no citations beside those that are."""
    if not message.annotations:
        return
    others = [each for each in message.annotations if not each.HasField("url_citation")]
    if not others:
        return
    cited = [each for each in message.annotations if each.HasField("url_citation")]
    put(message, _BESIDE, [{"type": each.type, **members_of(each.extra_json)} for each in others])
    del message.annotations[:]
    message.annotations.extend(cited)


def joined(params: ChatCompletionParams) -> ChatCompletionParams:
    """Return the parameters with such annotations of the history at their place again."""
    for message in params.messages:
        if _QUOTED in message.extra_json:
            return _joined(params)
    return params


def _joined(params: ChatCompletionParams) -> ChatCompletionParams:
    own = ChatCompletionParams()
    own.CopyFrom(params)
    for message in own.messages:
        entries = _entries(members_of(message.extra_json).get(_BESIDE))
        put(message, _BESIDE, None)
        message.annotations.extend(entries)
    return own


def _entries(told: Raw | None) -> list[Annotation]:
    try:
        found = [] if told is None else _ENTRIES.decode(told)
        return [_annotation(each) for each in found]
    except (ValueError, RecursionError):
        return []


def _annotation(told: dict[str, Raw]) -> Annotation:
    annotation = Annotation(type=_TEXT.decode(told.pop("type", Raw(b'""'))))
    for name, value in told.items():
        put(annotation, name, value)
    return annotation
