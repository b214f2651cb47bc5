"""Chat requests: the body of POST /v1/chat/completions <-> ChatCompletionParams."""

from typing import Final

from msgspec import Raw, ValidationError

from portico.errors import GatewayError, invalid_request
from portico.openai._json import kind, members, spliced
from portico.openai._shapes import Shapes
from portico.openai._values import MismatchError, boolean, missing
from portico.v1.chat_pb2 import ChatCompletionParams, StreamOptions

_SHAPES: Final = Shapes(lenient=False)
_PARAMS: Final = _SHAPES[ChatCompletionParams.DESCRIPTOR]
_STREAM_OPTIONS: Final = _SHAPES[StreamOptions.DESCRIPTOR]


def parse_chat(body: bytes) -> tuple[ChatCompletionParams, bool]:
    """Read a request. The second value is ``stream``, which has no field.

    Raises GatewayError (400) for what is no JSON object, for a known member of a wrong type, and
    where the model, the messages or a message's role is missing; ``param`` names the member as
    OpenAI does (``messages[0].role``).
    """
    params = ChatCompletionParams()
    try:
        found = _members(body)
        stream = found.pop("stream", None)
        _PARAMS.read(found, params)
        _require(params)
        return params, _is_set(stream, "stream")
    except MismatchError as mismatch:
        raise _refused(mismatch) from None
    except RecursionError:
        raise _unreadable("It is nested too deep.") from None
    except UnicodeError:
        raise _unreadable("It is not valid UTF-8.") from None
    except ValueError as error:
        raise _unreadable(f"{error}.") from None


def render_chat(params: ChatCompletionParams, *, model: str, stream: bool) -> bytes:
    """Write the body for an upstream of OpenAI's dialect, which knows the model as ``model``.

    A stream is asked for its usage in any case: the gateway counts it, whoever wants to see it.
    Raises GatewayError (400) where a text that is carried as JSON is none: a caller of gRPC can send
    one, and could write members of any name with it.
    """
    try:
        written, extra = _PARAMS.parts(params)
        written["model"] = model
        if stream:
            options = StreamOptions()
            options.CopyFrom(params.stream_options)
            options.include_usage = True
            written |= {"stream": True, "stream_options": _STREAM_OPTIONS.write(options)}
        return bytes(spliced(written, extra))
    except MismatchError as mismatch:
        raise _refused(mismatch) from None
    except RecursionError:
        raise _unreadable("It is nested too deep.") from None


def _members(body: bytes) -> dict[str, Raw]:
    try:
        return members(body)
    except ValidationError:
        found = kind(Raw(body.strip()))
        message = f"Invalid body: expected a JSON object, but got {found} instead."
        raise invalid_request(message, code="invalid_type") from None


def _is_set(flag: Raw | None, member: str) -> bool:
    try:
        return flag is not None and bool(boolean(flag))
    except MismatchError as mismatch:
        raise mismatch.under(member) from None


def _require(params: ChatCompletionParams) -> None:
    if not params.HasField("model"):
        raise missing().under("model")
    if not params.messages:
        raise missing().under("messages")
    for index, message in enumerate(params.messages):
        if not message.HasField("role"):
            raise missing().under(f"messages[{index}].role")


def _refused(mismatch: MismatchError) -> GatewayError:
    return invalid_request(str(mismatch), mismatch.path, mismatch.code)


def _unreadable(why: str) -> GatewayError:
    return invalid_request(f"We could not parse the JSON body of your request. {why}", code="invalid_json")
