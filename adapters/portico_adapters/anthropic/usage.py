"""Anthropic's counts of tokens as OpenAI's. Pure."""

from typing import Final

from msgspec import Raw, Struct
from msgspec.json import encode

from portico.v1.usage_pb2 import CompletionTokensDetails, PromptTokensDetails, Usage
from portico_adapters._reading import Count
from portico_adapters.anthropic.answers import given

_TIERS: Final = {"standard": "default"}


class OutputDetails(Struct):
    thinking_tokens: Count | None = None


class Counted(Struct):
    """Usage as it stands in an answer, and in the first and the last event of a stream."""

    #: Without what was read from the cache or written to it.
    input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    #: Thinking included.
    output_tokens: Count | None = None
    output_tokens_details: OutputDetails | None = None
    #: How much of it was written for five minutes and for an hour, which differ in price.
    cache_creation: Raw = Raw(b"")
    #: How often tools were used that the API runs itself: they are billed apart.
    server_tool_use: Raw = Raw(b"")
    #: Where it was computed, how fast, and what each step of the API's own loop took.
    inference_geo: Raw = Raw(b"")
    speed: Raw = Raw(b"")
    iterations: Raw = Raw(b"")
    service_tier: str | None = None

    def update(self, later: "Counted") -> None:
        """Take what a later event says: its counts are totals, not additions."""
        for name in self.__struct_fields__:
            value = getattr(later, name)
            if value is not None and value != Raw(b""):
                setattr(self, name, value)

    @property
    def tier(self) -> str | None:
        """The service tier in OpenAI's words."""
        return _TIERS.get(self.service_tier, self.service_tier) if self.service_tier else None

    def usage(self) -> Usage | None:
        """Return the usage; None where the backend counted nothing."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        cached, written = self.cache_read_input_tokens, self.cache_creation_input_tokens
        prompt = (self.input_tokens or 0) + (cached or 0) + (written or 0)
        completion = self.output_tokens or 0
        usage = Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
        if cached is not None or written is not None:
            details = PromptTokensDetails(cached_tokens=cached, cache_write_tokens=written)
            usage.prompt_tokens_details.CopyFrom(details)
        thought = self.output_tokens_details.thinking_tokens if self.output_tokens_details else None
        if thought is not None:
            usage.completion_tokens_details.CopyFrom(CompletionTokensDetails(reasoning_tokens=thought))
        extra = {
            "server_tool_use": self.server_tool_use,
            "inference_geo": self.inference_geo,
            "speed": self.speed,
            "iterations": self.iterations,
        }
        if written:
            extra["cache_creation"] = self.cache_creation
        if told := {name: value for name, value in extra.items() if given(value)}:
            usage.extra_json = encode(told).decode()
        return usage
