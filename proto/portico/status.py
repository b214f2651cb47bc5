"""GatewayError <-> google.rpc.Status: how an error crosses a gRPC connection.

The exact error rides in the status details (``ErrorDetail``, beside google.rpc's ErrorInfo, RetryInfo
and QuotaFailure for callers in other languages). Without them the gRPC code alone decides.
"""

from typing import Final, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from portico.errors import (
    AUTHENTICATION,
    INVALID_REQUEST,
    PERMISSION,
    QUOTA,
    RATE_LIMIT,
    SERVER,
    TIMEOUT,
    ErrorClass,
    GatewayError,
    too_large,
    unavailable,
)
from portico.v1.errors_pb2 import ErrorDetail

#: Domain of google.rpc.ErrorInfo.
DOMAIN: Final = "portico"

# gRPC refuses metadata above 8 KiB at random, details included: stay far below. All in bytes.
_MAX_STATUS: Final = 2048
_MAX_MESSAGE: Final = 600
_MAX_WORD: Final = 64

Code = grpc.StatusCode
M = TypeVar("M", bound=Message)

_CODES: Final = {code.value[0]: code for code in Code}

# The table out: HTTP status -> gRPC code. The exact status rides in the detail.
_TO_GRPC: Final[dict[int, grpc.StatusCode]] = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    402: Code.FAILED_PRECONDITION,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    409: Code.ABORTED,
    413: Code.OUT_OF_RANGE,
    415: Code.INVALID_ARGUMENT,
    422: Code.INVALID_ARGUMENT,
    424: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    431: Code.OUT_OF_RANGE,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
    529: Code.UNAVAILABLE,
}

# The way back for a status without a detail of ours: another server, a proxy, or the gRPC library.
_FROM_GRPC: Final[dict[grpc.StatusCode, tuple[int, ErrorClass, str, str | None]]] = {
    Code.INVALID_ARGUMENT: (400, ErrorClass.CALLER, INVALID_REQUEST, None),
    Code.OUT_OF_RANGE: (400, ErrorClass.CALLER, INVALID_REQUEST, None),
    Code.FAILED_PRECONDITION: (400, ErrorClass.CALLER, INVALID_REQUEST, None),
    Code.UNAUTHENTICATED: (401, ErrorClass.CREDENTIAL, AUTHENTICATION, "invalid_api_key"),
    Code.PERMISSION_DENIED: (403, ErrorClass.CREDENTIAL, PERMISSION, None),
    Code.NOT_FOUND: (404, ErrorClass.CALLER, INVALID_REQUEST, None),
    Code.ABORTED: (409, ErrorClass.CALLER, INVALID_REQUEST, None),
    Code.ALREADY_EXISTS: (409, ErrorClass.CALLER, INVALID_REQUEST, None),
    Code.RESOURCE_EXHAUSTED: (429, ErrorClass.CAPACITY, RATE_LIMIT, "rate_limit_exceeded"),
    Code.CANCELLED: (503, ErrorClass.GATEWAY, SERVER, "gateway_unavailable"),
    Code.INTERNAL: (500, ErrorClass.GATEWAY, SERVER, "internal_error"),
    Code.UNKNOWN: (500, ErrorClass.GATEWAY, SERVER, "internal_error"),
    Code.DATA_LOSS: (500, ErrorClass.GATEWAY, SERVER, "internal_error"),
    Code.UNIMPLEMENTED: (501, ErrorClass.CALLER, INVALID_REQUEST, "not_supported"),
    Code.UNAVAILABLE: (503, ErrorClass.GATEWAY, SERVER, "gateway_unavailable"),
    Code.DEADLINE_EXCEEDED: (504, ErrorClass.CALLER, TIMEOUT, "deadline_exceeded"),
}


def grpc_code(error: GatewayError) -> grpc.StatusCode:
    """Return the gRPC code for an error; INTERNAL for a status that the table does not know."""
    code = _TO_GRPC.get(error.http_status)
    if code is None:
        return Code.INVALID_ARGUMENT if 400 <= error.http_status < 500 else Code.INTERNAL
    return code


def to_status(error: GatewayError) -> status_pb2.Status:
    """Pack an error into at most 2 KiB: what does not fit is cut, and headers are left out."""
    message = _cut(error.message, _MAX_MESSAGE)
    detail = ErrorDetail(
        http_status=error.http_status,
        error_class=error.error_class.value,
        message=message,
        type=_cut(error.type, _MAX_WORD),
        param=None if error.param is None else _cut(error.param, 2 * _MAX_WORD),
        code=None if error.code is None else _cut(error.code, _MAX_WORD),
        headers=error.headers,
    )
    reason = _cut((error.code or error.type).upper(), _MAX_WORD)
    details: list[Message] = [detail, error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)]
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(max(0.0, min(error.retry_after, 1e9)) * 1e9))
        details.append(retry)
    if error.code == QUOTA:
        details.append(error_details_pb2.QuotaFailure())
    status = _packed(grpc_code(error), message, details)
    if status.ByteSize() > _MAX_STATUS:
        detail.ClearField("headers")
        status = _packed(grpc_code(error), message, details)
    return status


def _packed(code: grpc.StatusCode, message: str, details: list[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=message)
    for each in details:
        status.details.add().Pack(each)
    return status


def _cut(text: str, most: int) -> str:
    """Cut a text to ``most`` bytes of UTF-8."""
    data = text.encode(errors="replace")
    return data.decode() if len(data) <= most else data[: most - 3].decode(errors="ignore") + "…"


def from_status(code: grpc.StatusCode, message: str, status: status_pb2.Status | None) -> GatewayError:
    """Unpack an error from a call's gRPC code, message and (where it has them) details."""
    found = {each.TypeName(): each for each in status.details} if status is not None else {}
    detail = _unpack(found, ErrorDetail())
    if detail is None:
        return _from_code(code, message, found)
    retry = _unpack(found, error_details_pb2.RetryInfo())
    return GatewayError(
        _class_of(detail, code),
        detail.http_status,
        detail.message,
        detail.type,
        detail.code if detail.HasField("code") else None,
        detail.param if detail.HasField("param") else None,
        None if retry is None else retry.retry_delay.ToNanoseconds() / 1e9,
        list(detail.headers),
    )


def _class_of(detail: ErrorDetail, code: grpc.StatusCode) -> ErrorClass:
    """Return the class that is told; the code's own for one that a newer peer knows and we do not."""
    try:
        return ErrorClass(detail.error_class)
    except ValueError:
        return _FROM_GRPC.get(code, _FROM_GRPC[Code.UNKNOWN])[1]


def unpack(status: bytes) -> GatewayError:
    """Unpack an error from a serialised google.rpc.Status."""
    try:
        found = status_pb2.Status.FromString(status)
    except DecodeError as error:
        return _internal(500, SERVER, "internal_error", f"a status that cannot be read: {error}")
    return from_status(_CODES.get(found.code, Code.UNKNOWN), found.message, found)


def _from_code(code: grpc.StatusCode, message: str, found: dict[str, AnyMessage]) -> GatewayError:
    if code is Code.RESOURCE_EXHAUSTED and not found:
        return _library_limit(message)
    http_status, error_class, kind, error_code = _FROM_GRPC.get(code, _FROM_GRPC[Code.UNKNOWN])
    retry = _unpack(found, error_details_pb2.RetryInfo())
    if _unpack(found, error_details_pb2.QuotaFailure()) is not None:
        kind, error_code = QUOTA, QUOTA
    if error_class is ErrorClass.GATEWAY:
        # The words may be the gRPC library's, with addresses in them: they are for the log.
        return (
            core_unavailable(message)
            if http_status == 503
            else _internal(http_status, kind, error_code, message)
        )
    seconds = None if retry is None else retry.retry_delay.ToNanoseconds() / 1e9
    return GatewayError(error_class, http_status, message, kind, error_code, retry_after=seconds)


def core_unavailable(detail: str) -> GatewayError:
    """503: the routing core does not answer or broke off."""
    return unavailable("The gateway's routing core cannot be reached. Try again shortly.", detail=detail)


def _internal(http_status: int, kind: str, code: str | None, detail: str) -> GatewayError:
    message = "The gateway failed to serve this request. Its log holds the reason under the request id."
    return GatewayError(ErrorClass.GATEWAY, http_status, message, kind, code, detail=detail)


def _library_limit(message: str) -> GatewayError:
    """RESOURCE_EXHAUSTED made by the gRPC library itself: a size, never a rate."""
    if "metadata" in message.lower():
        words = "The request's headers are larger than this gateway takes."
        return GatewayError(
            ErrorClass.CALLER, 431, words, INVALID_REQUEST, "headers_too_large", detail=message
        )
    if "message larger than max" in message.lower() or "message is too large" in message.lower():
        return too_large("request or its answer", detail=message)
    return unavailable("The gateway is overloaded. Try again shortly.", "overloaded", detail=message)


def _unpack(found: dict[str, AnyMessage], into: M) -> M | None:
    packed = found.get(into.DESCRIPTOR.full_name)
    if packed is None:
        return None
    try:
        packed.Unpack(into)
    except DecodeError:
        return None
    return into
