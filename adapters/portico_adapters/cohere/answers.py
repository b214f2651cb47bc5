"""What whole answers and streams share: ends, ids, citations, log probabilities. Pure."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from portico.adapter import UpstreamCall
from portico.errors import GatewayError, upstream_failed, upstream_silent
from portico.v1.chat_pb2 import ChoiceLogprobs, TokenLogprob
from portico.v1.message_pb2 import Annotation, UrlCitation
from portico_adapters._reading import read

_FINISH: Final[Mapping[str, str]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}

# Of these OpenAI's word says all.
_PLAIN: Final = ("COMPLETE", "MAX_TOKENS", "TOOL_CALL")


class Logprob(Struct):
    """A piece of text and how likely each of its tokens was."""

    text: str | None = None
    logprobs: list[float] | None = None


class _Source(Struct):
    document: dict[str, Any] | None = None
    tool_output: dict[str, Any] | None = None


class _Citation(Struct):
    start: int | None = None
    end: int | None = None
    sources: list[_Source] | None = None
    type: str | None = None


_CITATION: Final = Decoder(_Citation)


def failure(reason: str | None, message: str = "") -> GatewayError | None:
    """Return the error that an answer ends with. None: it does not."""
    if reason == "TIMEOUT":
        return upstream_silent("The backend did not answer in time.", message)
    if reason in ("ERROR", "USER_CANCEL"):
        return upstream_failed("The backend failed to serve this request.", message or reason)
    return None


def finish_reason(reason: str | None, *, called: bool, legacy: bool) -> str:
    """Return OpenAI's word. ``legacy``: the caller knows function_call and not tool_calls."""
    word = _FINISH.get(reason or "", "stop")
    if called and word == "stop":
        word = "tool_calls"
    return "function_call" if legacy and word == "tool_calls" else word


def native_reason(reason: str | None) -> str:
    """Return what OpenAI's word does not say, as extra_json of the choice."""
    return encode({"native_finish_reason": reason}).decode() if reason and reason not in _PLAIN else ""


def is_legacy(call: UpstreamCall) -> bool:
    """Whether the caller asked with functions, which tools replaced."""
    return bool(call.params.functions) and not call.params.tools


def arguments_of(told: str | None) -> str:
    """Return a call's arguments: tools that take nothing are called with nothing, or null."""
    return "{}" if told is None or told.strip() in ("", "null") else told


def new_id(prefix: str, call: UpstreamCall, number: int = 0) -> str:
    """Return an id for what the backend gave none; it follows from what it names."""
    return prefix + sha256(f"{call.request_id} {number}".encode()).hexdigest()[:24]


def annotation_of(citation: Raw) -> Annotation | None:
    """Return a citation as OpenAI's where its source has an address and it is of the text. None: else."""
    told = read(citation, _CITATION)
    if told.type not in (None, "TEXT_CONTENT"):
        return None
    for source in told.sources or ():
        found = source.document or source.tool_output or {}
        url = found.get("url")
        if isinstance(url, str) and url.startswith(("https://", "http://")):
            title = found.get("title")
            place = UrlCitation(url=url, title=title if isinstance(title, str) else "")
            place.start_index, place.end_index = _place(told.start), _place(told.end)
            return Annotation(type="url_citation", url_citation=place)
    return None


def _place(index: int | None) -> int:
    return min(max(index or 0, 0), 2**53)


def logprobs_of(items: Sequence[Logprob] | None) -> ChoiceLogprobs | None:
    """Return log probabilities. Of a piece of several tokens the text is told for all: so is the sum."""
    found = [
        TokenLogprob(token=item.text or "", logprob=sum(item.logprobs))
        for item in items or ()
        if item.logprobs
    ]
    return ChoiceLogprobs(content=found) if found else None
