"""Errors: the one shape that is written, and the many that are read."""

import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import ErrorClass, GatewayError, invalid_request, unknown_model
from portico.openai.errors import error_in, parse_error, render_error, render_error_event
from portico.v1.headers_pb2 import Header
from tests.proto.openai.strategies import anything


def headers(**values: str) -> list[Header]:
    return [Header(name=name.replace("_", "-"), value=value.encode()) for name, value in values.items()]


def test_an_error_is_written_as_openai_writes_it() -> None:
    """Message, type, param and code, null where there is none."""
    assert json.loads(render_error(invalid_request("No.", "n", "bad"))) == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": "n", "code": "bad"}
    }
    assert render_error(GatewayError(ErrorClass.GATEWAY, 500, 'A "b"\n', "t")) == (
        b'{"error":{"message":"A \\"b\\"\\n","type":"t","param":null,"code":null}}'
    )


def test_an_error_event_is_one_line_of_data() -> None:
    """As it ends a stream, instead of [DONE]."""
    error = unknown_model("x\ny")
    assert render_error_event(error) == b"data: " + render_error(error) + b"\n\n"
    assert render_error_event(error).count(b"\n") == 2


# What a server says with status 400 -> the message, type, code and param that the caller gets.
SHAPES = {
    "OpenAI": (
        '{"error":{"message":"Bad n","type":"invalid_request_error","param":"n","code":"too_big"}}',
        ("Bad n", "invalid_request_error", "too_big", "n"),
    ),
    "nulls": (
        '{"error":{"message":"Bad","type":null,"param":null,"code":null}}',
        ("Bad", "invalid_request_error", None, None),
    ),
    "a text": ('{"error":"Bad"}', ("Bad", "invalid_request_error", None, None)),
    "xAI": (
        '{"code":"invalid-argument","error":"Bad"}',
        ("Bad", "invalid_request_error", "invalid-argument", None),
    ),
    "Mistral's text": ('{"detail":"Bad"}', ("Bad", "invalid_request_error", None, None)),
    "FastAPI": (
        '{"detail":[{"loc":["body","messages",0,"role"],"msg":"field required","type":"missing"}]}',
        ("field required", "invalid_request_error", None, "messages[0].role"),
    ),
    "Mistral's list": (
        '{"object":"error","message":{"detail":[{"loc":["body","n"],"msg":"Bad"}]},"type":"invalid_request"}',
        ("Bad", "invalid_request", None, "n"),
    ),
    "older vLLM": (
        '{"object":"error","message":"Bad","type":"BadRequestError","param":null,"code":400}',
        ("Bad", "BadRequestError", None, None),
    ),
    "llama.cpp": (
        '{"error":{"code":400,"message":"Bad","type":"invalid_request_error"}}',
        ("Bad", "invalid_request_error", None, None),
    ),
    "Azure": (
        '{"error":{"code":"400","message":"Bad","innererror":{"code":"X"}}}',
        ("Bad", "invalid_request_error", None, None),
    ),
    "a vendor's number": (
        '{"error":{"code":1113,"message":"Bad"}}',
        ("Bad", "invalid_request_error", "1113", None),
    ),
    "AWS": ('{"Message":"Bad"}', ("Bad", "invalid_request_error", None, None)),
    "Google's list": (
        '[{"error":{"code":400,"message":"Bad","status":"INVALID_ARGUMENT"}}]',
        ("Bad", "invalid_request_error", None, None),
    ),
    "plain text": ("Bad Request\n", ("Bad Request", "invalid_request_error", None, None)),
    "llama.cpp, too long": (
        '{"error":{"code":400,"message":"Too long","type":"exceed_context_size_error","n_ctx":8}}',
        ("Too long", "invalid_request_error", "context_length_exceeded", None),
    ),
    "Perplexity, too long": (
        '{"error":{"message":"Too long","type":"too_many_prompt_tokens","code":400}}',
        ("Too long", "invalid_request_error", "context_length_exceeded", None),
    ),
    "vLLM, too long": (
        '{"object":"error","message":"The maximum context length is 8","type":"BadRequestError","code":400}',
        ("The maximum context length is 8", "invalid_request_error", "context_length_exceeded", None),
    ),
}


@pytest.mark.parametrize(("body", "wanted"), SHAPES.values(), ids=SHAPES)
def test_every_servers_words_are_found(body: str, wanted: tuple[str, str, str | None, str | None]) -> None:
    """Wherever they stand; a code that is an HTTP status is none."""
    error = parse_error(400, body.encode(), [])
    assert (error.message, error.type, error.code, error.param) == wanted
    assert (error.error_class, error.http_status) == (ErrorClass.CALLER, 400)


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"error":{}}', b"<html>nginx</html>"])
def test_without_words_the_log_gets_the_body(body: bytes, status: int) -> None:
    """And the caller a sentence of ours."""
    error = parse_error(status, body, [])
    assert error.message.startswith("The backend ")
    assert "nginx" not in error.message
    if body:
        assert error.detail == body.decode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":"invalid-argument","error":"Incorrect API key provided. You can obtain one from x"}',
        b'{"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}',
        b'{"detail":"Invalid API Key"}',
    ],
)
def test_a_refused_key_is_no_mistake_of_the_caller(body: bytes) -> None:
    """Some servers answer 400 to it; the caller hears nothing of our key."""
    error = parse_error(400, body, [])
    assert (error.error_class, error.http_status, error.upstream_status) == (ErrorClass.CREDENTIAL, 502, 400)
    assert "key" not in error.message
    assert "key" in error.detail.lower()
    assert parse_error(400, body, [], callers_key=True).http_status == 401


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 529])
def test_other_words_than_the_callers_stay_in_the_log(status: int) -> None:
    """Whatever shape they have."""
    error = parse_error(status, b'{"error":{"message":"sk-secret","code":"sk","type":"sk","param":"sk"}}', [])
    assert "sk" not in f"{error.message} {error.type} {error.code} {error.param}"
    assert error.detail == "sk-secret"


def test_a_long_text_is_cut() -> None:
    """An answer of megabytes would go to the log, or to the caller."""
    assert len(parse_error(400, b"x" * 5_000_000, []).message) == 1000
    assert len(parse_error(400, b'{"error":"' + b"x" * 5_000_000 + b'"}', []).message) == 1000
    assert len(parse_error(500, b"<" + b"x" * 5_000_000, []).detail) == 1000


WAITS = {
    "seconds": (headers(retry_after="12"), 12.0),
    "milliseconds before seconds": (headers(retry_after_ms="1500", retry_after="2"), 1.5),
    "no time at all": (headers(retry_after_ms="0"), 0.0),
    "a date that is over": (headers(retry_after="Wed, 21 Oct 2015 07:28:00 GMT"), 0.0),
    "nothing": ([], None),
    "nonsense": (headers(retry_after="soon"), None),
    "less than nothing": (headers(retry_after="-1"), None),
    "infinity": (headers(retry_after="inf"), None),
    "no number": (headers(retry_after_ms="nan", retry_after="3"), 3.0),
    "a duration": (headers(retry_after="1m30s"), 90.0),
    "a limit of which nothing remains": (
        headers(x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="7.5s"),
        7.5,
    ),
    "the later of two": (
        headers(
            x_ratelimit_remaining_tokens="0",
            x_ratelimit_reset_tokens="120ms",
            x_ratelimit_remaining_requests="0",
            x_ratelimit_reset_requests="2m59.5s",
        ),
        179.5,
    ),
    "seconds of a day's limit": (
        headers(**{"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "33011.25"}),
        33011.25,
    ),
    "a moment that is over": (
        headers(x_ratelimit_remaining="0", x_ratelimit_reset=f"{(time.time() - 60) * 1000:.0f}"),
        0.0,
    ),
    "a number that would be a moment long ago": (headers(retry_after="1000000000"), 1e9),
    "a limit of which something remains": (
        headers(x_ratelimit_remaining_tokens="9", x_ratelimit_reset_tokens="7.5s"),
        None,
    ),
    "a reset in no words of ours": (
        headers(x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="later"),
        None,
    ),
}


@pytest.mark.parametrize(("given_headers", "seconds"), WAITS.values(), ids=WAITS)
def test_the_backend_says_when_to_come_back(given_headers: list[Header], seconds: float | None) -> None:
    """In seconds, whatever it says it in."""
    assert parse_error(429, b"", given_headers).retry_after == seconds


def test_a_date_becomes_a_wait() -> None:
    """Seconds from now."""
    date = formatdate(time.time() + 100, usegmt=True)
    wait = parse_error(503, b"", headers(retry_after=date)).retry_after
    assert wait is not None
    assert 90 < wait <= 100


@pytest.mark.parametrize("unit", [1, 1000], ids=["seconds", "milliseconds"])
def test_a_moment_becomes_a_wait(unit: int) -> None:
    """Which is told as a number of seconds or milliseconds since 1970."""
    wait = parse_error(429, b"", headers(retry_after=f"{(time.time() + 100) * unit:.0f}")).retry_after
    assert wait is not None
    assert 90 < wait <= 101


def test_rate_limits_are_kept() -> None:
    """And no other header."""
    given_headers = headers(x_ratelimit_remaining_tokens="0", server="nginx", set_cookie="a")
    kept = parse_error(429, b"", given_headers).headers
    assert [header.name for header in kept] == ["x-ratelimit-remaining-tokens"]


_LONG = (ErrorClass.CALLER, "invalid_request_error", "context_length_exceeded", None)
_FILTER = (ErrorClass.CALLER, "invalid_request_error", "content_filter", None)
_QUOTA = (ErrorClass.CAPACITY, "insufficient_quota", "insufficient_quota", None)
_MODEL = (ErrorClass.CALLER, "invalid_request_error", "model_not_found", "model")
_BUSY = (ErrorClass.CAPACITY, "server_error", "overloaded", None)
_KEY = (ErrorClass.CREDENTIAL, "server_error", "upstream_credentials", None)

# Provider and what it says: status, message, its own type or code -> class, type, code and param.
MEANINGS = [
    ("xAI", 400, "This model's maximum prompt length is 8 but the request contains 9 tokens.", None, _LONG),
    ("Groq", 413, "Request too large for model `x` on tokens per minute", "rate_limit_exceeded", _LONG),
    ("Groq", 400, "Please reduce the length of the messages or completion.", None, _LONG),
    ("Moonshot", 400, "Your request exceeded model token limit: 8192", "invalid_request_error", _LONG),
    ("Alibaba", 400, "Range of input length should be [1, 98304]", "invalid_parameter_error", _LONG),
    ("TGI", 422, "Input validation error: `inputs` must have less than 4096 tokens.", "validation", _LONG),
    ("OpenAI", 400, "Your input exceeds the context window of this model.", None, _LONG),
    ("watsonx", 400, "the number of input tokens 9 cannot exceed the total tokens limit 8", None, _LONG),
    ("llama.cpp", 400, "too large", "exceed_context_size_error", _LONG),
    ("DeepSeek", 400, "Content Exists Risk", "invalid_request_error", _FILTER),
    ("Alibaba", 400, "Input data may contain inappropriate content.", "data_inspection_failed", _FILTER),
    ("Moonshot", 400, "The request was rejected because it was considered high risk", None, _FILTER),
    ("OpenRouter", 403, "x requires moderation on OpenInference. Your input was flagged", None, _FILTER),
    ("xAI", 403, "Content violates usage guidelines.", "permission-denied", _FILTER),
    ("DeepSeek", 402, "Insufficient Balance", "unknown_error", _QUOTA),
    ("Moonshot", 429, "Your account is suspended", "exceeded_current_quota_error", _QUOTA),
    ("Perplexity", 401, "You exceeded your current quota, please check your plan", "unknown", _QUOTA),
    ("Fireworks", 412, "Account acme is suspended, possibly due to the spending limit", None, _QUOTA),
    ("xAI", 429, "Your team has either used all available credits or reached its limit", None, _QUOTA),
    ("Alibaba", 400, "Access denied.", "Arrearage", _QUOTA),
    ("Moonshot", 429, "The engine is currently overloaded", "engine_overloaded_error", _BUSY),
    ("Mistral", 429, "Service tier capacity exceeded", "service_tier_capacity_exceeded", _BUSY),
    ("Groq", 498, "Flex tier capacity exceeded", "capacity_exceeded", _BUSY),
    ("Mistral", 400, "Invalid model: x", "invalid_model", _MODEL),
    ("DeepSeek", 400, "Model Not Exist", "invalid_request_error", _MODEL),
    ("OpenRouter", 400, "x is not a valid model ID", None, _MODEL),
    ("Hugging Face", 400, "The requested model 'x' does not exist", "model_not_found", _MODEL),
    ("Moonshot", 404, "Not found the model x or Permission denied", "resource_not_found_error", _MODEL),
    ("xAI", 400, "Incorrect API key provided: xa***. You can obtain an API key from x", None, _KEY),
]


@pytest.mark.parametrize(("_provider", "status", "message", "word", "wanted"), MEANINGS)
@pytest.mark.parametrize("member", ["type", "code"])
def test_what_clients_look_for_has_openais_code(
    _provider: str,
    status: int,
    message: str,
    word: str | None,
    wanted: tuple[ErrorClass, str, str, str | None],
    member: str,
) -> None:
    """In whatever words and under whatever status a provider says it; the log keeps that status."""
    error = parse_error(status, json.dumps({"error": {"message": message, member: word}}).encode(), [])
    assert (error.error_class, error.type, error.code, error.param) == wanted
    assert error.upstream_status == status


def test_a_rate_limit_that_tells_of_billing_is_no_quota() -> None:
    """OpenAI's own words name the page for payments."""
    message = "Rate limit reached for x. Add a payment method at https://platform.openai.com/account/billing."
    error = parse_error(429, json.dumps({"error": {"message": message, "type": "requests"}}).encode(), [])
    assert error.code == "rate_limit_exceeded"


# What stands in an answer of status 200 or in an event of its stream -> class and status.
INSIDE = {
    '{"error":{"message":"m","code":502}}': (ErrorClass.UPSTREAM, 502),
    '{"error":{"message":"m","code":429,"metadata":{}}}': (ErrorClass.CAPACITY, 429),
    '{"error":{"message":"m","type":"insufficient_quota"}}': (ErrorClass.CAPACITY, 429),
    '{"error":{"message":"m","type":"invalid_request_error"}}': (ErrorClass.CALLER, 400),
    '{"error":{"message":"m","code":"rate_limit_exceeded"}}': (ErrorClass.CAPACITY, 429),
    '{"error":{"message":"m","type":"overloaded_error"}}': (ErrorClass.CAPACITY, 503),
    '{"error":{"message":"m","code":"server_error"}}': (ErrorClass.UPSTREAM, 502),
    '{"error":"m"}': (ErrorClass.UPSTREAM, 502),
    '{"object":"error","message":"m","code":400}': (ErrorClass.CALLER, 400),
    '{"id":"c","choices":[{"delta":{},"finish_reason":"error"}],"error":{"message":"m"}}': (
        ErrorClass.UPSTREAM,
        502,
    ),
    '{"choices":[{"index":0},{"error":{"message":"m","code":503}}]}': (ErrorClass.CAPACITY, 503),
    '{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}': (ErrorClass.UPSTREAM, 502),
    '{"error":{"message":"m","type":"exceed_context_size_error"}}': (ErrorClass.CALLER, 400),
}


@pytest.mark.parametrize(("data", "wanted"), INSIDE.items())
def test_an_error_inside_a_good_answer_is_found(data: str, wanted: tuple[ErrorClass, int]) -> None:
    """By its code or its type; the backend's words follow the same rule as elsewhere."""
    for given_data in (data.encode(), memoryview(data.encode())):
        error = error_in(given_data)
        assert error is not None
        assert (error.error_class, error.http_status) == wanted
        assert (error.message == "m") is (error.error_class is ErrorClass.CALLER)


@pytest.mark.parametrize(
    "data",
    [
        "[DONE]",
        '{"error":null,"choices":[]}',
        '{"error":{},"choices":[{"error":null}]}',
        '{"choices":[{"delta":{"content":"{\\"error\\":1}"}}]}',
        '{"choices":[{"message":{"error":"a vendor\'s"}}]}',
        '["error"]',
        '{"error"',
    ],
)
def test_what_only_looks_like_an_error_is_none(data: str) -> None:
    """Empty ones, and the word in the answer's text."""
    assert error_in(data.encode()) is None


@given(st.binary(max_size=30) | anything.map(lambda value: json.dumps({"error": value}).encode()))
def test_any_body_is_read(body: bytes) -> None:
    """Whatever a backend says, the error is made and can be written."""
    for status in (400, 500):
        json.loads(render_error(parse_error(status, body, [])))
    error_in(body)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "404 page not found\n",
        "404: Not Found",
        "Not Found",
        "<!doctype html><title>404 Not Found</title>",
        '{"detail":"Not Found"}',
        '{"error":{"message":"File Not Found","type":"not_found_error","code":404}}',
        '{"error":{"code":"404","message": "Resource not found"}}',
        '{"message":"Route POST:/v1/completions not found","error":"Not Found","statusCode":404}',
        '{"timestamp":1,"status":404,"error":"Not Found","path":"/v1/completions"}',
        '{"error":{"message":"Invalid URL (POST /v1/completions)","type":"invalid_request_error"}}',
        '{"error":{"message":"Unknown request URL: POST /v1/completions.","code":"unknown_url"}}',
        "Cannot POST /v1/completions",
        "The requested URL was not found on the server.",
    ],
)
def test_a_path_that_a_server_does_not_have_is_told_from_a_model(body: str) -> None:
    """Go, aiohttp, nginx, FastAPI, llama.cpp, Azure, Fastify, Spring, OpenAI, Groq, Express and Flask."""
    assert parse_error(404, body.encode(), []).code == "unknown_url"


@pytest.mark.parametrize(
    "body",
    [
        '{"error":{"message":"The model `x` does not exist.","param":null,"code":"model_not_found"}}',
        '{"error":{"message":"This is a chat model, not supported in v1/completions","param":"model"}}',
        '{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}',
        '{"error":{"message":"model \'x\' not found","type":"api_error","param":null,"code":null}}',
        '{"error":{"message":"The requested resource model/x was not found"}}',
        '{"detail":"Not Found","code":"x"}',
        '{"error":{"message":"Not Found","param":"model"}}',
    ],
)
def test_a_model_that_a_server_does_not_have_is_no_unknown_path(body: str) -> None:
    """OpenAI twice, vLLM, Ollama; and what says more than that nothing was found."""
    assert parse_error(404, body.encode(), []).code != "unknown_url"


def test_only_404_is_about_a_path() -> None:
    """Whatever the words are."""
    assert parse_error(400, b"Not Found", []).code is None
