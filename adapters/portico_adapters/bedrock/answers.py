"""What whole and streamed answers of Converse have in common. Pure."""

import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from msgspec import Raw, Struct, json
from msgspec.json import encode

from portico.adapter import UpstreamCall
from portico.errors import upstream_failed
from portico.v1.usage_pb2 import PromptTokensDetails, Usage
from portico_adapters._reading import Count

#: A member that is carried and not there.
NULL: Final = Raw(b"null")


_FINISH: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
# What OpenAI's word says too.
_SAID: Final = ("end_turn", "max_tokens", "tool_use", "content_filtered")
# Answers that the model did not bring to an end that anybody could use.
_MALFORMED: Final = ("malformed_model_output", "malformed_tool_use")


class Tier(Struct):
    type: str | None = None


class Counted(Struct):
    """Usage, in which the prompt is split into disjoint parts."""

    inputTokens: Count | None = None  # noqa: N815 - as AWS writes it
    outputTokens: Count | None = None  # noqa: N815
    totalTokens: Count | None = None  # noqa: N815
    cacheReadInputTokens: Count | None = None  # noqa: N815
    cacheWriteInputTokens: Count | None = None  # noqa: N815
    #: How much was written for five minutes and for an hour, which differ in price.
    cacheDetails: Raw = NULL  # noqa: N815

    def usage(self) -> Usage:
        """Return OpenAI's counts, whose prompt includes what was cached."""
        read, written = self.cacheReadInputTokens, self.cacheWriteInputTokens
        prompt = (self.inputTokens or 0) + (read or 0) + (written or 0)
        completion = self.outputTokens or 0
        usage = Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=self.totalTokens or prompt + completion,
        )
        if read is not None or written is not None:
            details = PromptTokensDetails(cached_tokens=read, cache_write_tokens=written)
            usage.prompt_tokens_details.CopyFrom(details)
        return usage


class Ended(Struct):
    """How an answer ended, and what comes with that."""

    stopReason: str | None = None  # noqa: N815
    usage: Counted | None = None
    trace: Raw = NULL
    additionalModelResponseFields: Raw = NULL  # noqa: N815
    serviceTier: Tier | None = None  # noqa: N815
    performanceConfig: Raw = NULL  # noqa: N815

    def extra_json(self, **others: object) -> str:
        """Return what OpenAI's shape has no place for, such as what guardrails found, with ``others``."""
        names = ("trace", "additionalModelResponseFields", "performanceConfig")
        return told({name: getattr(self, name) for name in names} | others)

    def tier(self) -> str | None:
        """Return the class that served the answer, in AWS's word."""
        return self.serviceTier.type if self.serviceTier else None


def finish_of(reason: str | None, *, called: bool, legacy: bool) -> tuple[str, str]:
    """Return OpenAI's reason and the choice's further members; raise for an end that is a failure."""
    if reason in _MALFORMED:
        raise upstream_failed("The model's answer is malformed.", f"stopReason: {reason}")
    finish = _FINISH.get(reason or "", "stop")
    if called and finish == "stop":
        finish = "tool_calls"
    if legacy and finish == "tool_calls":
        finish = "function_call"
    return finish, told({"native_finish_reason": reason if reason not in _SAID else None})


def told(members: Mapping[str, object]) -> str:
    """Return those members that say something as a JSON object; none as no text."""
    kept = {name: value for name, value in members.items() if value and value != NULL}
    # Carried texts may hold line breaks, which end an event of a stream.
    return json.format(encode(kept), indent=-1).decode() if kept else ""


def new_id(call: UpstreamCall, first: bytes) -> str:
    """Return an id in the style of OpenAI's: AWS gives answers none in their bodies.

    It follows from what it names, so that the translation stays a function of its input.
    """
    return "chatcmpl-" + sha256(f"{call.request_id} ".encode() + first).hexdigest()[:24]


def now() -> int:
    """Return the Unix seconds: AWS does not say when an answer was made."""
    return int(time.time())


def legacy(call: UpstreamCall) -> bool:
    """Whether the caller uses the deprecated functions, and so expects a function_call."""
    return bool(call.params.functions) and not call.params.tools
