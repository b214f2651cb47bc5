"""How an error crosses a gRPC connection."""

import dataclasses

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from portico.errors import ErrorClass, GatewayError, from_upstream, internal
from portico.status import from_status, grpc_code, to_status
from portico.v1.errors_pb2 import ErrorDetail
from portico.v1.headers_pb2 import Header

Code = grpc.StatusCode
CODES = {code.value[0]: code for code in Code}

# The gRPC code of each HTTP status that an error of ours can have.
TABLE = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    402: Code.FAILED_PRECONDITION,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    408: Code.INVALID_ARGUMENT,
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
    520: Code.INTERNAL,
    529: Code.UNAVAILABLE,
}


def crossed(error: GatewayError) -> GatewayError:
    """Return what arrives of an error at the other end."""
    status = status_pb2.Status.FromString(to_status(error).SerializeToString())
    return from_status(CODES[status.code], status.message, status)


def visible(error: GatewayError) -> dict[str, object]:
    """Return what the caller sees of an error; the rest is for the log of the core."""
    values = {field.name: getattr(error, field.name) for field in dataclasses.fields(error)}
    del values["detail"], values["upstream_status"]
    return values | {"headers": list(error.headers)}


@pytest.mark.parametrize("error_class", ErrorClass)
@pytest.mark.parametrize(("http_status", "code"), TABLE.items())
def test_nothing_is_lost_between_http_and_http(
    http_status: int, code: grpc.StatusCode, error_class: ErrorClass
) -> None:
    """Every status, class, type, code, parameter, wait and header arrives."""
    error = GatewayError(
        error_class,
        http_status,
        "The message, in Grüßen.",
        "a_type",
        "a_code",
        "messages[0].role",
        1.25,
        [Header(name="x-ratelimit-remaining-requests", value=b"\xff0")],
        detail="for the log",
    )
    assert grpc_code(error) is code
    assert visible(crossed(error)) == visible(error)
    assert b"for the log" not in to_status(error).SerializeToString()


def test_what_is_not_there_arrives_as_not_there() -> None:
    """None stays None, and a wait of zero seconds stays zero."""
    error = GatewayError(ErrorClass.CALLER, 400, "m", "t")
    assert visible(crossed(error)) == visible(error)
    error.retry_after = 0.0
    assert crossed(error).retry_after == 0.0


texts = st.text(max_size=3000) | st.text(alphabet="ß😀", max_size=3000)


@settings(deadline=None)
@given(
    message=texts,
    kind=texts,
    code=st.none() | texts,
    param=st.none() | texts,
    wait=st.none() | st.floats(),
    values=st.lists(st.binary(max_size=400), max_size=12),
)
def test_a_status_never_exceeds_2_kib(
    message: str, kind: str, code: str | None, param: str | None, wait: float | None, values: list[bytes]
) -> None:
    """Whatever the backend says: gRPC refuses more at random. The HTTP status always arrives."""
    headers = [Header(name="x-ratelimit-a", value=value) for value in values]
    error = GatewayError(ErrorClass.CAPACITY, 429, message, kind, code, param, wait, headers)
    assert to_status(error).ByteSize() <= 2048
    arrived = crossed(error)
    assert (arrived.http_status, arrived.error_class) == (429, ErrorClass.CAPACITY)
    assert list(arrived.headers) in ([], headers)
    assert message.encode().startswith(arrived.message.removesuffix("…").encode())


@pytest.mark.parametrize("error_class", [0, 99])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (from_upstream(400, ""), ErrorClass.CALLER),
        (from_upstream(429, ""), ErrorClass.CAPACITY),
        (from_upstream(401, "", callers_key=True), ErrorClass.CREDENTIAL),
        (internal(""), ErrorClass.GATEWAY),
    ],
)
def test_a_class_that_only_a_newer_peer_knows_is_the_codes(
    error: GatewayError, expected: ErrorClass, error_class: int
) -> None:
    """All else arrives as it was told; so too where no class is told."""
    status = to_status(error)
    detail = ErrorDetail()
    status.details[0].Unpack(detail)
    # What is read from the wire keeps a number that has no name here.
    newer = ErrorDetail.FromString(detail.SerializeToString() + bytes([2 << 3, error_class]))
    status.details[0].Pack(newer)
    arrived = from_status(CODES[status.code], status.message, status)
    assert newer.error_class == error_class
    assert (arrived.error_class, arrived.http_status) == (expected, error.http_status)
    assert (arrived.type, arrived.code, arrived.message) == (error.type, error.code, error.message)


def test_callers_in_other_languages_read_the_standard_details() -> None:
    """ErrorInfo with reason and domain, RetryInfo, and QuotaFailure for a used-up quota."""
    status = to_status(from_upstream(429, "", code="insufficient_quota", retry_after=34.0))
    found = {each.TypeName().rpartition(".")[2]: each for each in status.details}
    assert list(found) == ["ErrorDetail", "ErrorInfo", "RetryInfo", "QuotaFailure"]
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    found["ErrorInfo"].Unpack(info)
    found["RetryInfo"].Unpack(retry)
    assert (info.reason, info.domain) == ("INSUFFICIENT_QUOTA", "portico")
    assert retry.retry_delay.seconds == 34
    assert "QuotaFailure" not in str(to_status(from_upstream(429, "")))


# What a code means without a detail of ours: another server, a proxy or the library made it.
WITHOUT_DETAIL = {
    Code.INVALID_ARGUMENT: 400,
    Code.OUT_OF_RANGE: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ABORTED: 409,
    Code.ALREADY_EXISTS: 409,
    Code.CANCELLED: 503,
    Code.INTERNAL: 500,
    Code.UNKNOWN: 500,
    Code.DATA_LOSS: 500,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}


@pytest.mark.parametrize(("code", "http_status"), WITHOUT_DETAIL.items())
@pytest.mark.parametrize("status", [None, status_pb2.Status()], ids=["bare", "empty"])
def test_the_code_alone_decides_without_a_detail(
    code: grpc.StatusCode, http_status: int, status: status_pb2.Status | None
) -> None:
    """And what may be the library's words, with addresses in them, is for the log."""
    error = from_status(code, "connect to 10.0.0.1 failed", status)
    assert error.http_status == http_status
    if http_status in {500, 503}:
        assert error.error_class is ErrorClass.GATEWAY
        assert "10.0.0.1" not in error.message
        assert "10.0.0.1" in error.detail
    else:
        assert error.message == "connect to 10.0.0.1 failed"


LIBRARY = {
    "Received message larger than max (5242880 vs. 4194304)": 413,
    "CLIENT: Sent message larger than max (5242880 vs. 4194304)": 413,
    "received metadata size exceeds hard limit (size: 20000)": 431,
    "received initial metadata size exceeds limit": 431,
    "Bandwidth exhausted or memory limit exceeded": 503,
    "Too many pings": 503,
}


@pytest.mark.parametrize(("message", "http_status"), LIBRARY.items())
def test_a_limit_of_the_library_is_never_a_rate_limit(message: str, http_status: int) -> None:
    """413, 431 or 503, and never 429: waiting would not help."""
    error = from_status(Code.RESOURCE_EXHAUSTED, message, None)
    assert error.http_status == http_status
    assert error.detail == message
    assert message not in error.message


def test_another_servers_rate_limit_is_one() -> None:
    """RESOURCE_EXHAUSTED with standard details is no library's."""
    details = [AnyMessage(), AnyMessage()]
    details[0].Pack(error_details_pb2.RetryInfo())
    details[1].Pack(error_details_pb2.QuotaFailure())
    status = status_pb2.Status(code=8, details=details)
    error = from_status(Code.RESOURCE_EXHAUSTED, "Quota", status)
    assert (error.http_status, error.code, error.retry_after) == (429, "insufficient_quota", 0.0)


def test_a_detail_that_cannot_be_read_counts_as_none() -> None:
    """The code still decides."""
    broken = AnyMessage(type_url="type.googleapis.com/" + ErrorDetail.DESCRIPTOR.full_name, value=b"\xff")
    error = from_status(Code.NOT_FOUND, "gone", status_pb2.Status(code=5, details=[broken]))
    assert (error.http_status, error.message) == (404, "gone")
