"""Requests: the bodies of OpenAI's POST endpoints <-> the parameters of the RPCs."""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

from google.protobuf.message import Message
from msgspec import Raw, ValidationError

from portico.errors import GatewayError, invalid_request
from portico.openai._json import kind, members, spliced
from portico.openai._shapes import Shape, Shapes
from portico.openai._values import MismatchError, boolean, missing
from portico.v1.chat_pb2 import ChatCompletionParams, StreamOptions
from portico.v1.completions_pb2 import TextCompletionParams
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.gateway_pb2 import (
    ChatRequest,
    CompleteRequest,
    EmbedRequest,
    StreamCompleteRequest,
    StreamRequest,
)

W = TypeVar("W", bound=Message)
S = TypeVar("S", bound=Message)

_TRUE: Final = Raw(b"true")

_SHAPES: Final = Shapes(lenient=False)
_STREAM_OPTIONS: Final = _SHAPES[StreamOptions.DESCRIPTOR]


def read_chat(body: bytes) -> ChatRequest | StreamRequest:
    """Read the body of POST /v1/chat/completions into a request without headers.

    Which of the two says the body's ``stream``. Raises GatewayError (400) for what is no JSON object, for
    a known member of a wrong type, and where the model, the messages or a message's role is missing;
    ``param`` names the member as OpenAI does (``messages[0].role``).
    """
    return _CHAT.read(body)


def read_complete(body: bytes) -> CompleteRequest | StreamCompleteRequest:
    """Read the body of POST /v1/completions, as ``read_chat`` does; it must have a model and a prompt."""
    return _COMPLETE.read(body)


def read_embed(body: bytes) -> EmbedRequest:
    """Read the body of POST /v1/embeddings, as ``read_chat`` does; it must have a model and an input."""
    return _EMBED.read(body)


def parse_chat(body: bytes) -> tuple[ChatCompletionParams, bool]:
    """Read a body as ``read_chat`` does; return its parameters, and ``stream``, which is none of them."""
    request = read_chat(body)
    return request.params, isinstance(request, StreamRequest)


def parse_complete(body: bytes) -> tuple[TextCompletionParams, bool]:
    """Read a body as ``read_complete`` does; return its parameters, and ``stream``."""
    request = read_complete(body)
    return request.params, isinstance(request, StreamCompleteRequest)


def parse_embed(body: bytes) -> EmbeddingParams:
    """Read a body as ``read_embed`` does; return its parameters."""
    return read_embed(body).params


def render_chat(
    params: ChatCompletionParams, *, model: str, stream: bool, stream_options: bool = True
) -> bytes:
    """Write the body for an upstream of OpenAI's dialect, which knows the model as ``model``.

    A stream is asked for its usage in any case: the gateway counts it, whoever wants to see it. An upstream
    that does not know ``stream_options`` gets none.
    Raises GatewayError (400) where a text that is carried as JSON is none: a caller of gRPC can send
    one, and could write members of any name with it.
    """
    options = _streaming(params.stream_options) if stream_options else None
    return _CHAT.render(params, model, stream=stream, options=options)


def render_complete(params: TextCompletionParams, *, model: str, stream: bool) -> bytes:
    """Write the body of a text completion, as ``render_chat`` does that of a chat."""
    return _COMPLETE.render(params, model, stream=stream, options=_streaming(params.stream_options))


def render_embed(params: EmbeddingParams, *, model: str) -> bytes:
    """Write the body for embeddings, as ``render_chat`` does that of a chat."""
    return _EMBED.render(params, model)


class _Body(Generic[W, S]):
    """How the body of one endpoint is read and written.

    ``whole`` and ``streamed``: its requests; the same where it has no streams.
    """

    def __init__(
        self, whole: type[W], streamed: type[S], shape: Shape, require: Callable[[Any], None]
    ) -> None:
        self._whole = whole
        self._streamed = streamed
        self._shape = shape
        self._require = require

    def read(self, body: bytes) -> W | S:
        try:
            found = _members(body)
            stream = found.pop("stream", None) if self._streamed is not self._whole else None
            request: Any = self._streamed() if stream == _TRUE else self._whole()
            # Filled where it stays: a request that is made of its parameters copies them.
            params = request.params
            self._shape.read(found, params)
            _require_member(params, "model")
            self._require(params)
            _require_boolean(stream, "stream")
            return cast("W | S", request)
        except MismatchError as mismatch:
            raise _refused(mismatch) from None
        except RecursionError:
            raise _unreadable("It is nested too deep.") from None
        except UnicodeError:
            raise _unreadable("It is not valid UTF-8.") from None
        except ValueError as error:
            raise _unreadable(f"{error}.") from None

    def render(
        self, params: Message, model: str, *, stream: bool = False, options: StreamOptions | None = None
    ) -> bytes:
        """``options``: those of a stream. None: it is sent without."""
        try:
            written, extra = self._shape.parts(params)
            written["model"] = model
            if stream:
                written["stream"] = True
                if options is None:
                    written.pop("stream_options", None)
                else:
                    written["stream_options"] = _STREAM_OPTIONS.write(options)
            return spliced(written, extra)
        except MismatchError as mismatch:
            raise _refused(mismatch) from None
        except RecursionError:
            raise _unreadable("It is nested too deep.") from None


def _streaming(asked: StreamOptions) -> StreamOptions:
    options = StreamOptions()
    options.CopyFrom(asked)
    options.include_usage = True
    return options


def _members(body: bytes) -> dict[str, Raw]:
    try:
        # RFC 8259 lets a reader pass over a byte order mark, and some clients send one.
        return members(body.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError:
        found = kind(Raw(body.strip()))
        message = f"Invalid body: expected a JSON object, but got {found} instead."
        raise invalid_request(message, code="invalid_type") from None


def _require_boolean(flag: Raw | None, member: str) -> None:
    try:
        if flag is not None:
            boolean(flag)
    except MismatchError as mismatch:
        raise mismatch.under(member) from None


def _require_member(params: Any, member: str) -> None:
    if not params.HasField(member):
        raise missing().under(member)


def _require_messages(params: ChatCompletionParams) -> None:
    if not params.messages:
        raise missing().under("messages")
    # Costs half of asking each whether it has one, which is left to those that may lack it.
    roles = [message.role for message in params.messages]
    if all(roles):
        return
    for index, message in enumerate(params.messages):
        if not message.HasField("role"):
            raise missing().under(f"messages[{index}].role")


def _refused(mismatch: MismatchError) -> GatewayError:
    return invalid_request(str(mismatch), mismatch.path, mismatch.code)


def _unreadable(why: str) -> GatewayError:
    return invalid_request(f"We could not parse the JSON body of your request. {why}", code="invalid_json")


_CHAT: Final = _Body(ChatRequest, StreamRequest, _SHAPES[ChatCompletionParams.DESCRIPTOR], _require_messages)
_COMPLETE: Final = _Body(
    CompleteRequest,
    StreamCompleteRequest,
    _SHAPES[TextCompletionParams.DESCRIPTOR],
    lambda params: _require_member(params, "prompt"),
)
_EMBED: Final = _Body(
    EmbedRequest,
    EmbedRequest,
    _SHAPES[EmbeddingParams.DESCRIPTOR],
    lambda params: _require_member(params, "input"),
)
