"""The table in: what a backend's HTTP status means, and what of its words the caller hears."""

import pytest

from portico import errors
from portico.errors import ErrorClass, GatewayError, from_upstream
from portico_core.resilience.symptoms import Symptom, symptom

# The backend's status -> class, status for the caller, type and code where the backend names none.
TABLE = {
    400: (ErrorClass.CALLER, 400, "invalid_request_error", None),
    401: (ErrorClass.CREDENTIAL, 502, "server_error", "upstream_credentials"),
    402: (ErrorClass.CAPACITY, 429, "insufficient_quota", "insufficient_quota"),
    403: (ErrorClass.CREDENTIAL, 502, "server_error", "upstream_credentials"),
    404: (ErrorClass.CALLER, 404, "invalid_request_error", "model_not_found"),
    405: (ErrorClass.UPSTREAM, 502, "server_error", "upstream_error"),
    408: (ErrorClass.UPSTREAM, 504, "timeout_error", "upstream_timeout"),
    409: (ErrorClass.CALLER, 409, "invalid_request_error", "conflict"),
    413: (ErrorClass.CALLER, 413, "invalid_request_error", "request_too_large"),
    415: (ErrorClass.CALLER, 415, "invalid_request_error", None),
    418: (ErrorClass.CALLER, 400, "invalid_request_error", None),
    422: (ErrorClass.CALLER, 422, "invalid_request_error", None),
    429: (ErrorClass.CAPACITY, 429, "rate_limit_error", "rate_limit_exceeded"),
    500: (ErrorClass.UPSTREAM, 502, "server_error", "upstream_error"),
    501: (ErrorClass.CALLER, 501, "invalid_request_error", "not_supported"),
    502: (ErrorClass.UPSTREAM, 502, "server_error", "upstream_error"),
    503: (ErrorClass.CAPACITY, 503, "server_error", "overloaded"),
    504: (ErrorClass.UPSTREAM, 504, "timeout_error", "upstream_timeout"),
    520: (ErrorClass.UPSTREAM, 502, "server_error", "upstream_error"),
    529: (ErrorClass.CAPACITY, 529, "server_error", "overloaded"),
}
WORDS = "sk-secret at http://10.0.0.1 said no"


@pytest.mark.parametrize(("status", "meant"), TABLE.items())
def test_a_status_decides_the_class(status: int, meant: tuple[ErrorClass, int, str, str | None]) -> None:
    """And the status, type and code that the caller gets."""
    error = from_upstream(status, WORDS)
    assert (error.error_class, error.http_status, error.type, error.code) == meant
    assert error.upstream_status == status


@pytest.mark.parametrize("status", TABLE)
def test_only_the_callers_mistakes_keep_the_backends_words(status: int) -> None:
    """Others may name our keys, hosts and stack: those words go to the log."""
    error = from_upstream(status, WORDS, type="their_type", code="their_code", param="p")
    if error.error_class is ErrorClass.CALLER:
        assert (error.message, error.type, error.code, error.param) == (
            WORDS,
            "their_type",
            "their_code",
            "p",
        )
        assert error.detail == ""
    else:
        assert WORDS not in error.message
        assert error.message
        assert (error.type, error.code, error.param) == (*TABLE[status][2:], None)
        assert error.detail == WORDS


@pytest.mark.parametrize(("status", "code"), [(401, "invalid_api_key"), (403, None)])
def test_a_callers_own_key_is_the_callers_business(status: int, code: str | None) -> None:
    """A key that was passed through stays 401 or 403, with the backend's words."""
    error = from_upstream(status, "Bad key", callers_key=True)
    assert (error.error_class, error.http_status, error.code) == (ErrorClass.CREDENTIAL, status, code)
    assert (error.message, error.detail) == ("Bad key", "")


def test_a_callers_own_quota_is_the_callers_business() -> None:
    """But what fails in the backend's stack is not."""
    assert from_upstream(429, "Slow down", callers_key=True).message == "Slow down"
    assert "Traceback" not in from_upstream(500, "Traceback", callers_key=True).message


@pytest.mark.parametrize("said", [{"type": "insufficient_quota"}, {"code": "insufficient_quota"}])
def test_a_used_up_quota_is_told_from_a_rate_limit(said: dict[str, str]) -> None:
    """SDKs stop trying when they read the code."""
    error = from_upstream(429, WORDS, **said)  # type: ignore[arg-type]
    assert (error.http_status, error.type, error.code) == (429, "insufficient_quota", "insufficient_quota")


NAMED = {
    400: errors.invalid_request("m", "p", "c"),
    404: errors.unknown_model("gpt"),
    413: errors.too_large("request", 1000),
    500: errors.internal("boom"),
    502: errors.upstream_failed("m", "boom"),
    503: errors.unavailable("m"),
    504: errors.upstream_silent("m", "boom"),
}


@pytest.mark.parametrize(("status", "error"), NAMED.items())
def test_the_named_errors_hide_what_is_for_the_log(status: int, error: GatewayError) -> None:
    """Their status is what their name says, and their detail is not in their message."""
    assert error.http_status == status
    assert str(error) == error.message
    assert "boom" not in error.message


def test_a_deadline_is_not_tried_again() -> None:
    """There is no time left for it."""
    assert errors.deadline_exceeded().http_status == 504
    assert symptom(errors.deadline_exceeded()) is Symptom.MISTAKE


def test_a_size_names_its_limit() -> None:
    """In bytes, with separators."""
    assert "(20,000,000 bytes)" in errors.too_large("request", 20_000_000).message
    assert "bytes" not in errors.too_large("request").message
