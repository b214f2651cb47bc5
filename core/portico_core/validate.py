"""The checks that a request passes before anything is sent: what every backend would refuse.

Ranges and combinations are left to the backends: they differ, and grow.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from math import isfinite
from typing import Any, Final

from google.protobuf.message import Message

from portico.errors import INVALID_REQUEST, ErrorClass, GatewayError, invalid_request
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletionParams, TextInput
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.headers_pb2 import Header
from portico.v1.message_pb2 import ChatMessage
from portico_core import unknown_members
from portico_core.bare_contract import may_have_extra

#: Bytes of the names and values of all headers (gateway.proto, ChatRequest.headers).
_MAX_HEADER_BYTES: Final = 32 * 1024

# What the choice of the RPC stands for.
_STREAM: Final = "stream"
_STREAMED: Final = (ChatCompletionParams.DESCRIPTOR, TextCompletionParams.DESCRIPTOR)
# The forms of TextInput that are lists, and where their members stand.
_LISTS: Final[Mapping[str, str]] = {"texts": "values", "tokens": "values", "token_lists": "lists"}


def check_headers(headers: Iterable[Header]) -> None:
    """Raise 431 where the caller's headers are larger than the contract allows."""
    if sum(len(header.name) + len(header.value) for header in headers) > _MAX_HEADER_BYTES:
        raise GatewayError(
            ErrorClass.CALLER,
            431,
            f"The request's headers are larger than this gateway takes ({_MAX_HEADER_BYTES:,} bytes).",
            INVALID_REQUEST,
            "headers_too_large",
        )


def check_chat(params: ChatCompletionParams) -> None:
    """Raise 400 where the request lacks what it must have, or hides what has a field."""
    _check_model(params.model)
    if not params.messages:
        raise invalid_request("You must provide at least one message.", "messages")
    # One pass finds what needs more than a glance: conversations are long, and parts few. Their numbers: to
    # keep a message itself takes half a KiB.
    suspects = []
    for index, message in enumerate(params.messages):
        role = message.role
        if not role:
            raise invalid_request(f"messages[{index}] has no role.", f"messages[{index}].role")
        if message.content_parts or (role == "user" and not message.HasField("content")):
            suspects.append(index)
    _check_numbers(params)
    _check_all_extra(params)
    for index in suspects:
        _check_content(params.messages[index], f"messages[{index}].content")


def check_complete(params: TextCompletionParams) -> None:
    """Raise 400 where the request lacks what it must have, or hides what has a field."""
    _check_model(params.model)
    _check_input(params.prompt, "prompt")
    _check_numbers(params)
    _check_all_extra(params)


def check_embed(params: EmbeddingParams) -> None:
    """Raise 400 where the request lacks what it must have, or hides what has a field."""
    _check_model(params.model)
    _check_input(params.input, "input")
    _check_all_extra(params)


def _check_content(message: ChatMessage, path: str) -> None:
    """Refuse a message in which the backend would miss what is said."""
    for index, part in enumerate(message.content_parts):
        if not part.type:
            raise _missing(f"{path}[{index}].type")
        if part.type == "text" and not part.HasField("text"):
            raise _missing(f"{path}[{index}].text")
    # An assistant may have called tools instead, and vendors' roles have rules of their own.
    if message.role == "user" and not message.content_parts and not message.HasField("content"):
        raise _missing(path)


def _missing(path: str) -> GatewayError:
    """Say so in OpenAI's words."""
    return invalid_request(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")


def _check_model(model: str) -> None:
    if not model:
        raise invalid_request("You must provide a model parameter.", "model")


def _check_input(given: TextInput, name: str) -> None:
    form = given.WhichOneof("value")
    if form is None:
        raise invalid_request(f"You must provide {name}.", name)
    members = _LISTS.get(form)
    if members is not None and not getattr(getattr(given, form), members):
        raise invalid_request(f"{name} must not be an empty list.", name)


def _check_numbers(params: Message) -> None:
    """Refuse what JSON cannot say: only a caller of gRPC can send it."""
    for field, value in params.ListFields():
        numbers = value.values() if field.name == "logit_bias" else (value,)
        if not all(isfinite(number) for number in numbers if isinstance(number, float)):
            raise invalid_request(f"{field.name} must be a finite number.", field.name)


def _check_all_extra(params: Message) -> None:
    """Refuse, at every depth, extra_json that is no JSON object or names what has a field (rule 4)."""
    if not may_have_extra(params):
        return
    for holder, path in unknown_members.holders(params):
        try:
            names = unknown_members.names(holder)
        except ValueError:
            raise invalid_request(
                "extra_json must be the text of a JSON object.", f"{path}extra_json"
            ) from None
        hidden = _typed(holder.DESCRIPTOR).intersection(names)
        if hidden:
            name = path + min(hidden)
            raise invalid_request(f"{name} has a field of its own and cannot stand in extra_json.", name)


@cache
def _typed(descriptor: Any) -> frozenset[str]:
    """Return the JSON names of a message's fields."""
    names = {unknown_members.json_name(field) for field in descriptor.fields if field.name != "extra_json"}
    return frozenset(names | {_STREAM} if descriptor in _STREAMED else names)
