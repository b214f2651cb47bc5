"""What a request needs of a model beside texts. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from google.protobuf.message import Message

from portico.v1.chat_pb2 import ChatCompletionParams

# Types of response_format that ask for JSON.
_STRUCTURED: Final = frozenset({"json_object", "json_schema"})


def _part(field: str) -> Callable[[ChatCompletionParams], str]:
    """Return what finds the message with a part of some kind."""

    def find(params: ChatCompletionParams) -> str:
        for index, message in enumerate(params.messages):
            if any(part.HasField(field) for part in message.content_parts):  # type: ignore[arg-type]
                return f"messages[{index}].content"
        return ""

    return find


def _audio(params: ChatCompletionParams) -> str:
    if params.HasField("audio"):
        return "audio"
    return "modalities" if "audio" in params.modalities else _part("input_audio")(params)


def _tools(params: ChatCompletionParams) -> str:
    return "tools" if params.tools else "functions" if params.functions else ""


def _structured(params: ChatCompletionParams) -> str:
    return "response_format" if params.response_format.type in _STRUCTURED else ""


def _reasoning(params: ChatCompletionParams) -> str:
    return "reasoning_effort" if params.reasoning_effort not in ("", "none") else ""


# Feature -> where a request asks for it, "" where it does not.
_FINDERS: Final[Mapping[str, Callable[[ChatCompletionParams], str]]] = {
    "images": _part("image_url"),
    "audio": _audio,
    "files": _part("file"),
    "tools": _tools,
    "structured": _structured,
    "reasoning": _reasoning,
}

#: What candidates may say that they take.
FEATURES: Final = tuple(_FINDERS)


def needs(params: Message) -> Mapping[str, str]:
    """Return the features that a request needs, each with the member that asks for it."""
    return dict(_found(params)) if isinstance(params, ChatCompletionParams) else {}


def _found(params: ChatCompletionParams) -> Iterator[Any]:
    for feature, find in _FINDERS.items():
        where = find(params)
        if where:
            yield feature, where
