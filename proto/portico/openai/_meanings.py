"""What a backend's error means in OpenAI's terms, where its status or its code says something else.

Each row is a thing that clients look for by its code, and the words, types and codes by which the servers
of the dialect say it. The first row that fits counts.
"""

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from portico.errors import INVALID_REQUEST, QUOTA
from portico.openai._error_body import Told


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing that can be wrong, and how it is told."""

    #: HTTP status, type, code and param in OpenAI's terms. None: the backend's, or the status's own.
    status: int | None
    type: str | None
    code: str | None
    param: str | None
    #: Statuses under which it is said. Inside a 200 there is none, and any row may fit.
    under: Container[int]
    #: Types and codes that mean it, in lower case.
    names: Container[str]
    words: re.Pattern[str]


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


MEANINGS: Final = (
    Meaning(
        None,
        INVALID_REQUEST,
        "context_length_exceeded",
        None,
        {400, 413, 422},
        {"exceed_context_size_error", "too_many_prompt_tokens", "context_length_exceeded"},
        _words(
            r"max(imum)? context length",  # vLLM, Mistral, DeepSeek, OpenRouter, Fireworks
            r"prompt (is )?too long",
            r"exceeds? the (available )?context (size|window)",  # llama.cpp, OpenAI
            r"maximum prompt length",  # xAI
            r"reduce (the|your) (length of the messages|message size|prompt)",  # Groq, Cerebras
            r"request too large for model",  # Groq
            r"exceeded model token limit",  # Moonshot
            r"range of input length should be",  # Alibaba
            r"`inputs`( tokens)? .*must (be <=|have less than)",  # TGI, Together
            r"number of input tokens .*cannot exceed",  # watsonx
        ),
    ),
    Meaning(
        400,
        INVALID_REQUEST,
        "content_filter",
        None,
        {400, 403, 422, 451},
        {"content_filter", "data_inspection_failed", "datainspectionfailed"},
        _words(
            r"content exists risk",  # DeepSeek
            r"data.?inspection.?failed|inappropriate content",  # Alibaba
            r"considered high risk",  # Moonshot
            r"requires moderation",  # OpenRouter
            r"violates (our )?usage guidelines",  # xAI
        ),
    ),
    Meaning(
        429,
        QUOTA,
        QUOTA,
        None,
        {400, 401, 403, 412, 429},
        {
            QUOTA,
            "insufficient_balance",
            "exceeded_current_quota_error",  # Moonshot
            "arrearage",  # Alibaba
            "allocationquota.freetieronly",
            "credit_limit",  # Together
        },
        _words(
            r"insufficient (account )?(balance|credits?|funds|quota)",
            r"exceeded your (current quota|monthly included credits)",
            r"check your plan and billing",
            r"used all available credits|reached its monthly spending limit|doesn't have any credits",  # xAI
            r"account .*\bsuspended\b",  # Fireworks, Moonshot
            r"account is in good standing",  # Alibaba
        ),
    ),
    Meaning(
        503,
        None,
        None,
        None,
        {429, 498, 500},
        {
            "engine_overloaded_error",  # Moonshot
            "service_tier_capacity_exceeded",  # Mistral
            "capacity_exceeded",  # Groq, at 498
            "overloaded_error",
        },
        _words(r"\boverloaded\b", r"(tier )?capacity exceeded"),
    ),
    Meaning(
        404,
        INVALID_REQUEST,
        "model_not_found",
        "model",
        {400, 403, 404},
        {
            "invalid_model",  # Mistral, Perplexity
            "model_not_found",
            "model_not_available",  # Together
            "model_not_supported",  # Hugging Face, watsonx
            "model_decommissioned",  # Groq
            "modelnotfound",
        },
        _words(
            r"is not a valid model id",  # OpenRouter
            r"model not exist",  # DeepSeek, Alibaba
            r"^invalid model\b",
            r"^model not found",
            r"not found the model",  # Moonshot
            r"\bmodel\b.{1,200}\bdoes not exist",
        ),
    ),
    # Some servers answer 400 to a key that they refuse (xAI).
    Meaning(
        401,
        None,
        None,
        None,
        {400},
        {"invalid_api_key"},
        _words(r"(incorrect|invalid) api key", r"api key (is )?not valid"),
    ),
)


def meaning_of(status: int, told: Told) -> Meaning | None:
    """Return what a failure means; None: what its status says. ``status`` 0: it stood in a 200."""
    names = {name.lower() for name in (told.code, told.type) if name}
    for row in MEANINGS:
        fits = status == 0 or status in row.under
        if fits and (any(name in row.names for name in names) or row.words.search(told.message)):
            return row
    return None
