"""Cohere's counts as OpenAI's. Pure."""

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder, encode

from portico.v1.usage_pb2 import PromptTokensDetails, Usage

# Numbers of the API, whole ones too, may be written with a point. More than any count is.
Count = Annotated[float, Meta(ge=0, le=2**53)]

_NULL: Final = Raw(b"null")


class Tokens(Struct):
    """What went in and came out."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None


_TOKENS: Final = Decoder(Tokens | None)


class Counts(Struct):
    """``usage`` of an answer."""

    tokens: Tokens | None = None
    #: Of ``tokens.input_tokens``, those that came out of the cache.
    cached_tokens: Count | None = None
    #: What is paid for, which is less: carried for the caller.
    billed_units: Raw = _NULL


def usage_of(told: Counts | None) -> Usage | None:
    """Return the usage; None where the backend counted nothing."""
    if told is None:
        return None
    # Some answers tell what is paid for alone: counts of tokens too, and nearer than any guess.
    tokens = told.tokens or _billed(told.billed_units)
    if tokens is None:
        return None
    prompt, completion = int(tokens.input_tokens or 0), int(tokens.output_tokens or 0)
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
    if told.cached_tokens is not None:
        usage.prompt_tokens_details.CopyFrom(PromptTokensDetails(cached_tokens=int(told.cached_tokens)))
    if bytes(told.billed_units) != b"null":
        usage.extra_json = encode({"billed_units": told.billed_units}).decode()
    return usage


def _billed(units: Raw) -> Tokens | None:
    try:
        billed = _TOKENS.decode(units)
    except (ValueError, RecursionError):
        return None
    return billed if billed and (billed.input_tokens or billed.output_tokens) else None
