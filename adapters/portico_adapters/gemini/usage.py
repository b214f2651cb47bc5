"""Gemini's counts of tokens as OpenAI's. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.json import encode

from portico.v1.usage_pb2 import CompletionTokensDetails, PromptTokensDetails, Usage
from portico_adapters._reading import Count

# By name, and by number as Vertex writes it when it is asked for integers.
_MODALITIES: Final[dict[str | int, str]] = {
    "TEXT": "text",
    "IMAGE": "image",
    "VIDEO": "video",
    "AUDIO": "audio",
    "DOCUMENT": "document",
    1: "text",
    2: "image",
    3: "video",
    4: "audio",
    5: "document",
}

_TIERS: Final = {"standard": "default"}


class _Part(Struct, rename="camel"):
    modality: str | int | None = None
    token_count: Count | None = None


class Counted(Struct, rename="camel"):
    """``usageMetadata``. In a stream each one is a total so far: the last one counts."""

    #: Cached ones included.
    prompt_token_count: Count | None = None
    #: What tools that Google runs itself put into the prompt; not part of the above.
    tool_use_prompt_token_count: Count | None = None
    #: Without thoughts.
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    total_token_count: Count | None = None
    prompt_tokens_details: list[_Part] | None = None
    candidates_tokens_details: list[_Part] | None = None
    service_tier: str | None = None

    @property
    def tier(self) -> str | None:
        """The service tier in OpenAI's words."""
        tier = (self.service_tier or "").lower()
        return _TIERS.get(tier, tier) or None

    def usage(self) -> Usage | None:
        """Return the usage; None where the backend counted nothing."""
        if self.prompt_token_count is None and self.candidates_token_count is None:
            return None
        prompt = (self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0)
        completion = (self.candidates_token_count or 0) + (self.thoughts_token_count or 0)
        total = self.total_token_count or prompt + completion
        usage = Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=total)
        parts, cached = _by_modality(self.prompt_tokens_details), self.cached_content_token_count
        if parts or cached is not None:
            asked = PromptTokensDetails(
                cached_tokens=cached,
                text_tokens=parts.get("text"),
                image_tokens=parts.get("image"),
                audio_tokens=parts.get("audio"),
                extra_json=_others(parts, "video", "document"),
            )
            usage.prompt_tokens_details.CopyFrom(asked)
        parts, thought = _by_modality(self.candidates_tokens_details), self.thoughts_token_count
        if parts or thought is not None:
            made = CompletionTokensDetails(
                reasoning_tokens=thought,
                text_tokens=parts.get("text"),
                audio_tokens=parts.get("audio"),
                extra_json=_others(parts, "image", "video", "document"),
            )
            usage.completion_tokens_details.CopyFrom(made)
        if self.tool_use_prompt_token_count:
            usage.extra_json = encode({"tool_use_prompt_tokens": self.tool_use_prompt_token_count}).decode()
        return usage


def _others(parts: Mapping[str, int], *names: str) -> str:
    """Return the counts that OpenAI has no member for."""
    told = {f"{name}_tokens": parts[name] for name in names if name in parts}
    return encode(told).decode() if told else ""


def _by_modality(parts: Sequence[_Part] | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts or ():
        name = _MODALITIES.get(part.modality or 0)
        if name and part.token_count is not None:
            found[name] = part.token_count
    return found
