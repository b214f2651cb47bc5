"""What is sent to each provider, literally."""

import json
from typing import Any

import pytest

from portico.adapter import EmbeddingCall, Upstream, UpstreamCall
from portico.errors import GatewayError
from portico.openai.requests import parse_chat, parse_embed, render_chat, render_embed
from portico_adapters._flavours import FLAVOURS, PLAIN, flavour_of
from portico_adapters._flavours.conversation import tool_id
from portico_adapters._flavours.request import params_for

USER = {"role": "user", "content": "Hi"}


def call_for(*, drop: bool = False, **members: Any) -> UpstreamCall:
    request = {"model": "gpt-4", "messages": [USER], **members}
    return Upstream(parse_chat(json.dumps(request).encode())[0], "m", backend="acme", drop_unsupported=drop)


def sent_to(provider: str, call: UpstreamCall) -> dict[str, Any]:
    """Return the body, less the model."""
    params = params_for(flavour_of(provider, ""), call)
    body: dict[str, Any] = json.loads(render_chat(params, model="m", stream=False))
    del body["model"]
    return body


def called(call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "now", "arguments": "{}"}}


HISTORY = [
    USER,
    {"role": "assistant", "content": "Oslo.", "reasoning_content": "Norway."},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "reasoning": "A clock.", "tool_calls": [called("call_1")]},
    {"role": "tool", "tool_call_id": "call_1", "content": "12"},
]
NINE = tool_id("call_1", 9)


def signed(text: str, *thoughts: tuple[str, str | None]) -> dict[str, Any]:
    """Return what a caller sends back of Mistral's thoughts."""
    details = [
        {"type": "reasoning.text", "text": text, "format": "mistral-v1"}
        | ({"signature": signature} if signature else {})
        for text, signature in thoughts
    ]
    return {"role": "assistant", "reasoning_content": text, "content": "So.", "reasoning_details": details}


def thought(*thoughts: tuple[str, str | None]) -> dict[str, Any]:
    """Return the message as Mistral wants it."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
        | ({"signature": signature} if signature else {})
        for text, signature in thoughts
    ]
    return {"role": "assistant", "content": [*parts, {"type": "text", "text": "So."}]}


# Provider, what the caller asks for, and what is sent.
SENT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "mistral",
        {"seed": 7, "max_completion_tokens": 5, "store": False, "tool_choice": "required"},
        {"messages": [USER], "random_seed": 7, "max_tokens": 5, "tool_choice": "any"},
    ),
    (
        "mistral",
        {"seed": 7, "safe_prompt": True},
        {"messages": [USER], "random_seed": 7, "safe_prompt": True},
    ),
    (
        "mistral",
        {"messages": [{"role": "developer", "content": "Be brief."}, USER]},
        {"messages": [{"role": "system", "content": "Be brief."}, USER]},
    ),
    (
        "mistral",
        {"messages": HISTORY},
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "Norway."}]},
                        {"type": "text", "text": "Oslo."},
                    ],
                },
                HISTORY[2],
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "A clock."}]}],
                    "tool_calls": [called(NINE)],
                },
                {"role": "tool", "tool_call_id": NINE, "content": "12"},
            ]
        },
    ),
    (
        "mistral",
        {"messages": [USER, {"role": "assistant", "content": "On"}]},
        {"messages": [USER, {"role": "assistant", "content": "On", "prefix": True}]},
    ),
    (
        "mistral",
        {"messages": [USER, {"role": "assistant", "content": "On", "prefix": False}]},
        {"messages": [USER, {"role": "assistant", "content": "On", "prefix": False}]},
    ),
    (
        "mistral",
        {"messages": [USER, signed("One. Two.", ("One. ", "s1"), ("Two.", None)), USER]},
        {"messages": [USER, thought(("One. ", "s1"), ("Two.", None)), USER]},
    ),
    (
        # In a stream the signature comes after the pieces.
        "mistral",
        {"messages": [USER, signed("One. Two.", ("", "s1")), USER]},
        {"messages": [USER, thought(("One. Two.", "s1")), USER]},
    ),
    (
        # Or with the last of them.
        "mistral",
        {"messages": [USER, signed("One. Two.", ("Two.", "s1")), USER]},
        {"messages": [USER, thought(("One. Two.", "s1")), USER]},
    ),
    (
        "mistral",
        {"messages": [USER, signed("Another.", ("One. ", "s1"), ("Two.", "s2")), USER]},
        {"messages": [USER, thought(("Another.", None)), USER]},
    ),
    (
        "groq",
        {"messages": HISTORY, "n": 1, "logprobs": False, "user": "u"},
        {
            "messages": [
                USER,
                {"role": "assistant", "content": "Oslo.", "reasoning": "Norway."},
                *HISTORY[2:],
            ],
            "user": "u",
        },
    ),
    (
        "deepseek",
        {"messages": HISTORY},
        {
            "messages": [
                USER,
                {"role": "assistant", "content": "Oslo."},
                HISTORY[2],
                {"role": "assistant", "reasoning_content": "A clock.", "tool_calls": [called("call_1")]},
                HISTORY[4],
            ]
        },
    ),
    (
        "llamacpp",
        {
            "tools": [
                {"type": "function", "function": {"name": "now"}},
                {"type": "function", "function": {"name": "here"}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "here"}},
        },
        {
            "messages": [USER],
            "tools": [{"type": "function", "function": {"name": "here"}}],
            "tool_choice": "required",
        },
    ),
    (
        "cerebras",
        {"max_completion_tokens": 5, "store": False},
        {"messages": [USER], "max_completion_tokens": 5},
    ),
    (
        "moonshot",
        {"messages": [{"role": "developer", "content": "Be brief."}], "max_completion_tokens": 5},
        {"messages": [{"role": "system", "content": "Be brief."}], "max_completion_tokens": 5},
    ),
    ("openai", {"messages": HISTORY, "seed": 1}, {"messages": HISTORY, "seed": 1}),
]


@pytest.mark.parametrize(("provider", "asked", "wanted"), SENT)
def test_a_provider_is_asked_in_its_own_words(
    provider: str, asked: dict[str, Any], wanted: dict[str, Any]
) -> None:
    """And the caller's parameters stay as they are, for other attempts."""
    call = call_for(**asked)
    before = call.params.SerializeToString(deterministic=True)
    assert sent_to(provider, call) == wanted
    assert call.params.SerializeToString(deterministic=True) == before
    assert not call.dropped


# Provider and a parameter that it cannot honour.
REFUSED = [
    ("groq", {"n": 2}),
    ("groq", {"logit_bias": {"1": 2}}),
    ("groq", {"logprobs": True}),
    ("mistral", {"logit_bias": {"1": 2}}),
    ("mistral", {"web_search_options": {}}),
    ("mistral", {"modalities": ["text", "audio"]}),
    ("cerebras", {"functions": [{"name": "now"}]}),
    ("deepseek", {"n": 3}),
    ("perplexity", {"logit_bias": {"1": 2}}),
    ("ollama", {"tool_choice": "required"}),
    ("ollama", {"logprobs": True}),
    *((provider, {"store": True}) for provider in ("mistral", "groq", "cerebras")),
    *((provider, {"moderation": {"model": "m"}}) for provider in ("mistral", "groq", "cerebras")),
    ("deepseek", {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}}),
]


@pytest.mark.parametrize(("provider", "asked"), REFUSED)
def test_what_a_provider_cannot_do_is_refused_or_dropped(provider: str, asked: dict[str, Any]) -> None:
    """By name, and naming the backend."""
    [name] = asked
    with pytest.raises(GatewayError) as refused:
        sent_to(provider, call_for(**asked))
    assert (refused.value.http_status, refused.value.param) == (400, name)
    assert "acme" in refused.value.message
    dropping = call_for(drop=True, **asked)
    assert sent_to(provider, dropping) == {"messages": [USER]}
    assert dropping.dropped == [name]


# Provider and what it has no place for: advice, which changes nothing in an answer.
UNSENT = [
    ("mistral", {"user": "u"}, "user"),
    ("mistral", {"safety_identifier": "u"}, "safety_identifier"),
    ("groq", {"metadata": {"a": "b"}}, "metadata"),
    ("groq", {"prompt_cache_key": "k"}, "prompt_cache_key"),
    ("cerebras", {"metadata": {"a": "b"}}, "metadata"),
    ("groq", {"messages": [{**USER, "name": "Ann"}]}, "messages[].name"),
]


@pytest.mark.parametrize(("provider", "asked", "name"), UNSENT)
def test_advice_is_left_out_and_named(provider: str, asked: dict[str, Any], name: str) -> None:
    """Nobody has to allow that: applications send it by habit. The caller's own stays as it was."""
    call = call_for(**asked)
    before = call.params.SerializeToString(deterministic=True)
    assert sent_to(provider, call) == {"messages": [USER]}
    assert call.dropped == [name]
    assert call.params.SerializeToString(deterministic=True) == before


def test_a_function_keeps_its_name() -> None:
    """It says whose result it is, not who speaks."""
    result = {"role": "tool", "tool_call_id": "call_1", "name": "now", "content": "12"}
    call = call_for(messages=[USER, result])
    assert sent_to("groq", call) == {"messages": [USER, result]}
    assert not call.dropped


def test_deepseek_takes_json_without_a_schema() -> None:
    """That it knows."""
    asked: dict[str, Any] = {"response_format": {"type": "json_object"}}
    assert sent_to("deepseek", call_for(**asked)) == {"messages": [USER], **asked}


def test_what_asks_for_nothing_is_not_refused() -> None:
    """Nor sent."""
    asked: dict[str, Any] = {"modalities": ["text"], "verbosity": "medium"}
    assert sent_to("mistral", call_for(**asked)) == {"messages": [USER]}


def test_mistral_gets_no_stream_options() -> None:
    """Its streams tell their usage unasked."""
    row = flavour_of("mistral", "")
    assert not row.takes_stream_options
    body = render_chat(call_for().params, model="m", stream=True, stream_options=row.takes_stream_options)
    assert json.loads(body)["stream"] is True
    assert "stream_options" not in json.loads(body)


def test_dimensions_of_embeddings_have_mistrals_name() -> None:
    """Their parameters are shaped by the same row."""
    call = EmbeddingCall(parse_embed(b'{"model":"e","input":"a","dimensions":8}'), "m")
    body = json.loads(render_embed(params_for(flavour_of("mistral", ""), call), model="m"))
    assert body == {"model": "m", "input": "a", "output_dimension": 8}


@pytest.mark.parametrize("told", ["", "call_1", "toolu_01ABC", "abcdefgh_", "ä" * 9, "x" * 500])
def test_an_id_of_another_provider_is_mapped_to_letters_and_digits(told: str) -> None:
    """The same each time, and others to others."""
    mapped = tool_id(told, 9)
    assert len(mapped) == 9
    assert mapped.isascii()
    assert mapped.isalnum()
    assert mapped == tool_id(told, 9) != tool_id(told + "x", 9)


def test_an_id_of_the_providers_own_stays() -> None:
    """It is what the provider knows."""
    assert tool_id("D681PevKs", 9) == "D681PevKs"


# URL -> the name of the row that its host tells; None: no row changes anything.
HOSTS = {
    "https://api.mistral.ai/v1": "mistral",
    "https://eu.api.mistral.ai:443/v1": "mistral",
    "https://api.groq.com/openai/v1": "groq",
    "https://dashscope.aliyuncs.com/compatible-mode/v1": "alibaba",
    "https://us-south.ml.cloud.ibm.com/ml/gateway/v1": "watsonx",
    "https://api.openai.com/v1": None,
    "https://notmistral.ai/v1": None,
    "http://localhost:8080/v1": None,
    "https://proxy.example/mistral.ai/v1": None,
}


@pytest.mark.parametrize(("url", "name"), HOSTS.items())
def test_the_host_tells_the_provider(url: str, name: str | None) -> None:
    """All hosts below one of a row's, and no other that only looks like it."""
    assert flavour_of(None, url) is (FLAVOURS[name] if name else PLAIN)


def test_a_name_counts_more_than_the_host() -> None:
    """A proxy may stand before any provider."""
    assert flavour_of("groq", "https://api.mistral.ai/v1") is FLAVOURS["groq"]
