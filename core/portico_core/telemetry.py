"""What the core tells of a call: the receipt, and one line in the log. Never the content of messages."""

import logging
import re
from typing import Final

import msgspec

from portico.v1.receipt_pb2 import Outcome, Receipt
from portico_core.call import Call
from portico_core.usage import SOURCES, account

_log: Final = logging.getLogger("portico.calls")

# A receipt travels in trailing metadata, of which gRPC refuses more than 8 KiB at random; beside it
# stand an error's details of up to 2 KiB.
_MAX_RECEIPT_BYTES: Final = 1536
_MOST_ATTEMPTS: Final = 8
_LONGEST_REASON: Final = 120
_LONGEST_NAME: Final = 128

#: Of a value in the log. Callers make up the names of models.
_LONGEST_VALUE: Final = 2048

_BARE: Final = re.compile(r"[\w./:@+*-]+", re.ASCII)


def receipt(call: Call, outcome: Outcome.ValueType) -> Receipt:
    """Return the receipt of a call that has ended, cut to what trailing metadata carries."""
    if call.spent:
        account(call)
    made = Receipt(
        request_id=call.context.request_id[:_LONGEST_NAME],
        requested_model=call.model[:_LONGEST_NAME],
        served=call.served,
        attempts=call.attempts[-_MOST_ATTEMPTS:],
        usage=call.usage,
        outcome=outcome,
        first_content_ms=call.first_content_ms,
        duration_ms=call.duration_ms,
    )
    for attempt in made.attempts:
        if len(attempt.reason) > _LONGEST_REASON:
            attempt.reason = attempt.reason[:_LONGEST_REASON]
    if made.ByteSize() > _MAX_RECEIPT_BYTES:
        usage = made.usage
        for each in (usage, usage.prompt_tokens_details, usage.completion_tokens_details):
            if each.extra_json:
                each.ClearField("extra_json")
        while made.ByteSize() > _MAX_RECEIPT_BYTES and made.attempts:
            del made.attempts[0]
    return made


def log(call: Call, made: Receipt) -> None:
    """Write the line of a call. Calls that ask no model are told at DEBUG: probes make many of them."""
    if not _log.isEnabledFor(logging.INFO):
        return
    level = logging.INFO if call.params.ListFields() else logging.DEBUG
    if not _log.isEnabledFor(level):
        return
    error, usage = call.error, made.usage
    _log.log(
        level,
        "call %s",
        line(
            request_id=made.request_id,
            rpc=call.rpc,
            principal=call.principal.name,
            model=made.requested_model,
            backend=made.served.backend,
            served=made.served.model,
            passed=",".join(f"{candidate}:{why}" for candidate, why in call.passed),
            attempts=len(call.attempts),
            upstream_request_id=call.attempts[-1].upstream_request_id if call.attempts else None,
            outcome=Outcome.Name(made.outcome).removeprefix("OUTCOME_").lower(),
            status=error.http_status if error is not None else None,
            code=error.code if error is not None else None,
            # An attempt's line tells the detail; this is for what fails outside of one.
            detail=error.detail if error is not None and not call.attempts else None,
            first_content_ms=round(made.first_content_ms, 1) if made.HasField("first_content_ms") else None,
            duration_ms=round(made.duration_ms, 1),
            prompt_tokens=usage.prompt_tokens if usage.HasField("prompt_tokens") else None,
            completion_tokens=usage.completion_tokens if usage.HasField("completion_tokens") else None,
            usage=SOURCES.get(usage.source) if usage.source else None,
        ),
    )


def line(**values: object) -> str:
    """Return ``name=value`` pairs; what is empty is left out, what is not one word is a JSON string."""
    return " ".join([f"{name}={_word(each)}" for name, each in values.items() if each not in (None, "")])


def _word(value: object) -> str:
    if type(value) is int or type(value) is float:
        return str(value)
    text = str(value)[:_LONGEST_VALUE]
    return text if _BARE.fullmatch(text) else msgspec.json.encode(text).decode()
