"""The receipt stays small, and the line of a call tells all but the content."""

import logging

import pytest

from portico.errors import upstream_failed
from portico.gateway import CallContext
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.receipt_pb2 import Attempt, Outcome, Receipt, Served
from portico.v1.usage_pb2 import Usage
from portico_core.call import Call
from portico_core.telemetry import line, log, receipt
from tests.support.core import params


def call(model: str = "m") -> Call:
    return Call("Chat", CallContext("req_1"), (), params(model))


def attempt(reason: str, backend: str = "a") -> Attempt:
    return Attempt(candidate=Served(backend=backend, model="x"), reason=reason)


def test_a_receipt_has_the_last_eight_attempts() -> None:
    """Older ones are left out."""
    made = call()
    made.attempts = [attempt(f"{number}") for number in range(10)]
    assert [each.reason for each in receipt(made, Outcome.OUTCOME_OK).attempts] == list("23456789")


def test_a_receipt_fits_into_trailing_metadata() -> None:
    """Whatever callers and backends put into it."""
    made = call("m" * 10_000)
    made.context.request_id = "r" * 10_000
    made.attempts = [attempt("ü" * 5000, "backend" * 30) for _ in range(8)]
    made.usage = Usage(total_tokens=7, extra_json='"' + "x" * 5000 + '"')
    made.served = Served(backend="a", model="x")
    bounded = receipt(made, Outcome.OUTCOME_ERROR)
    assert bounded.ByteSize() <= 1536
    assert bounded.usage == Usage(total_tokens=7)
    assert bounded.served == made.served
    assert bounded.attempts


def test_a_receipt_keeps_what_is_small() -> None:
    """Nothing is cut without need."""
    made = call()
    made.usage = Usage(total_tokens=7, extra_json='{"cost":1}')
    made.attempts = [attempt("broken")]
    made.duration_ms = 7.5
    kept = receipt(made, Outcome.OUTCOME_OK)
    assert kept.usage == made.usage
    assert kept.attempts == made.attempts
    assert kept.duration_ms == 7.5


def test_the_line_of_a_call_is_one_line_without_content(caplog: pytest.LogCaptureFixture) -> None:
    """What a caller writes cannot start a line of its own, and the messages are not there."""
    made = call('gpt" outcome=ok\nrequest_id=forged')
    assert isinstance(made.params, ChatCompletionParams)
    made.params.messages[0].content = "my secret"
    made.error = upstream_failed("The backend broke off.", detail="connect: refused")
    with caplog.at_level(logging.INFO, "portico.calls"):
        log(made, receipt(made, Outcome.OUTCOME_ERROR))
    (record,) = caplog.records
    told = record.getMessage()
    assert told.startswith(
        'call request_id=req_1 rpc=Chat principal=anonymous model="gpt\\" outcome=ok\\nrequest_id=forged" '
        'attempts=0 outcome=error status=502 code=upstream_error detail="connect: refused" duration_ms='
    )
    assert "\n" not in told
    assert "my secret" not in told


def test_calls_that_ask_no_model_are_told_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """Probes do not fill the log."""
    with caplog.at_level(logging.DEBUG, "portico.calls"):
        log(Call("GetStatus", CallContext("req_1")), Receipt(outcome=Outcome.OUTCOME_OK))
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"a": 1, "b": None, "c": "", "d": 0, "e": 0.5}, "a=1 d=0 e=0.5"),
        ({"model": "local/qwen2.5:32b"}, "model=local/qwen2.5:32b"),
        ({"x": "two words", "y": "é", "z": "a=b"}, 'x="two words" y="é" z="a=b"'),
    ],
)
def test_values_are_words_or_json_strings(values: dict[str, object], told: str) -> None:
    """What is empty is left out."""
    assert line(**values) == told


def test_a_value_of_a_line_is_cut() -> None:
    """A caller may make up a model's name as long as a body may be."""
    assert len(line(model="a" * 1_000_000)) < 3000
