"""AWS's error answers: kind, message, and what they mean to the caller."""

import json

import pytest

from portico.errors import ErrorClass
from portico.v1.headers_pb2 import Header
from portico_adapters.bedrock.errors import error_of

CALLER, CREDENTIAL = ErrorClass.CALLER, ErrorClass.CREDENTIAL
CAPACITY, UPSTREAM = ErrorClass.CAPACITY, ErrorClass.UPSTREAM
KIND = "http://internal.amazon.com/coral/com.amazon.bedrock/"


@pytest.mark.parametrize(
    ("status", "kind", "message", "error_class", "http_status", "code"),
    [
        (400, "ValidationException", "Bad.", CALLER, 400, None),
        (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
            CALLER,
            404,
            "model_not_found",
        ),
        (404, "ResourceNotFoundException", "No such model.", CALLER, 404, "model_not_found"),
        *(
            (400, "ValidationException", message, CALLER, 400, "context_length_exceeded")
            for message in (
                (
                    "The model returned the following errors: Input Tokens Exceeded: Number of input tokens"
                    " exceeds maximum length. Please update the input to try again."
                ),
                "Input is too long for requested model.",
                "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum",
                "This model's maximum context length is 8192 tokens.",
                "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000",
            )
        ),
        (
            400,
            "ValidationException",
            "Output blocked by content filtering policy",
            CALLER,
            400,
            "content_filter",
        ),
        (
            400,
            "ValidationException",
            "Access to Anthropic models is not allowed from unsupported countries, regions, or territories.",
            CREDENTIAL,
            502,
            "upstream_credentials",
        ),
        (
            429,
            "ThrottlingException",
            "Too many tokens per day, please wait before trying again.",
            CAPACITY,
            429,
            "insufficient_quota",
        ),
        (403, "AccessDeniedException", "No.", CREDENTIAL, 502, "upstream_credentials"),
        (403, "ExpiredTokenException", "Expired.", CREDENTIAL, 502, "upstream_credentials"),
        (403, "InvalidSignatureException", "Wrong.", CREDENTIAL, 502, "upstream_credentials"),
        (400, "IncompleteSignatureException", "Wrong.", CREDENTIAL, 502, "upstream_credentials"),
        (408, "ModelTimeoutException", "Slow.", UPSTREAM, 504, "upstream_timeout"),
        (424, "ModelErrorException", "Oh no.", UPSTREAM, 502, "upstream_error"),
        (424, "", "Oh no.", UPSTREAM, 502, "upstream_error"),
        (429, "ThrottlingException", "Wait.", CAPACITY, 429, "rate_limit_exceeded"),
        (429, "ModelNotReadyException", "Wait.", CAPACITY, 503, "overloaded"),
        (400, "ServiceQuotaExceededException", "Wait.", CAPACITY, 429, "rate_limit_exceeded"),
        (500, "InternalServerException", "Oh no.", UPSTREAM, 502, "upstream_error"),
        (503, "ServiceUnavailableException", "Full.", CAPACITY, 503, "overloaded"),
        (418, "", "Tea.", CALLER, 418, None),
    ],
)
@pytest.mark.parametrize("told_in", ["header", "body"])
def test_the_kind_decides(
    told_in: str,
    status: int,
    kind: str,
    message: str,
    error_class: ErrorClass,
    http_status: int,
    code: str | None,
) -> None:
    """It stands in a header, before a colon, or in the body, after a hash sign."""
    headers = [Header(name="x-amzn-errortype", value=f"{kind}:{KIND}".encode())]
    body = {"message": message}
    if told_in == "body":
        headers, body = [], {"Message": message, "__type": f"com.amazon.coral.service#{kind}"}
    error = error_of(status, json.dumps(body).encode(), headers, callers_key=False)
    assert (error.error_class, error.code, error.upstream_status) == (error_class, code, status)
    assert error.http_status == (400 if http_status == 418 else http_status)
    assert message == (error.message if error_class is CALLER else error.detail)


def test_the_callers_own_key_is_the_callers_affair() -> None:
    """It reads AWS's words."""
    error = error_of(403, b'{"message": "The security token is expired"}', (), callers_key=True)
    assert (error.http_status, error.message) == (403, "The security token is expired")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": 3}', b"\xff\xfe"])
def test_any_body_will_do(body: bytes) -> None:
    """Proxies on the way have their own."""
    assert error_of(503, body, (), callers_key=False).error_class is CAPACITY
