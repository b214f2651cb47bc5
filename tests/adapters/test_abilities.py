"""What vendors write of their models is read into the contract's fields, and stays as they wrote it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.openai.models import parse_models, render_model
from portico.v1.models_pb2 import Model
from portico_adapters._abilities import with_abilities

VENDORS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "vllm": ({"max_model_len": 4096, "root": "/m"}, {"context_length": 4096}),
    "groq": (
        {"context_window": 131072, "max_completion_tokens": 8192, "active": True},
        {"context_length": 131072, "max_output_tokens": 8192},
    ),
    "mistral": (
        {
            "max_context_length": 32768,
            "capabilities": {"completion_chat": True, "function_calling": True, "vision": False},
        },
        {"context_length": 32768, "supports": ["tools"]},
    ),
    "openrouter": (
        {
            "context_length": 200000,
            "architecture": {"input_modalities": ["file", "text", "image"], "modality": "text->text"},
            "top_provider": {"max_completion_tokens": 64000},
            "supported_parameters": ["tools", "structured_outputs", "response_format", "stop", "reasoning"],
        },
        {
            "context_length": 200000,
            "max_output_tokens": 64000,
            "supports": ["images", "files", "tools", "structured", "reasoning"],
        },
    ),
    "anthropic": (
        {
            "max_input_tokens": 200000,
            "max_tokens": 64000,
            "capabilities": {
                "image_input": {"supported": True},
                "pdf_input": {"supported": True},
                "structured_outputs": {"supported": False},
                "thinking": {"supported": True, "types": {}},
            },
        },
        {"context_length": 200000, "max_output_tokens": 64000, "supports": ["images", "files", "reasoning"]},
    ),
    "cohere": (
        {"context_length": 128000.5, "features": ["json_mode", "vision", "safety_modes", "tools"]},
        {"context_length": 128000, "supports": ["images", "tools", "structured"]},
    ),
    "llama.cpp": (
        {"meta": {"n_ctx": 2048, "n_ctx_train": 4096}, "architecture": {"input_modalities": ["text"]}},
        {"context_length": 2048},
    ),
    "nobody": ({}, {}),
    "nonsense": (
        {"max_model_len": -1, "context_window": True, "capabilities": "all", "features": [3], "meta": [1]},
        {},
    ),
}


def entry(members: dict[str, Any]) -> Any:
    """Return what a caller reads of a model that a backend lists with these members."""
    (model,) = parse_models(json.dumps({"data": [{"id": "m", "object": "model", **members}]}).encode())
    return json.loads(render_model(with_abilities(model)), object_pairs_hook=once)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object none of whose members stands there twice."""
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_caller_reads_them_in_one_form(vendor: str) -> None:
    """Beside the vendor's own members, each of which stands there once."""
    members, expected = VENDORS[vendor]
    found = entry(members)
    told = {
        name: found[name] for name in ("context_length", "max_output_tokens", "supports") if name in found
    }
    assert told == expected
    assert {**members, **expected}.items() <= found.items()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["tools", "vision", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["supported", "n_ctx", "input_modalities", "vision"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
NAMES = sorted(
    {name for members, _ in VENDORS.values() for name in members} | {"supports", "max_output_tokens"}
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_list_can_be_read(members: dict[str, Any]) -> None:
    assert entry(members)["id"] == "m"


def test_what_the_backend_put_into_the_fields_counts() -> None:
    """A member of the same name gives way."""
    model = Model(context_length=1, extra_json='{"context_length":"x","max_model_len":2,"y": 1.50}')
    assert with_abilities(model) == Model(context_length=1, extra_json='{"max_model_len":2,"y":1.50}')


def test_a_time_in_parts_of_seconds_is_a_whole_second() -> None:
    """SDKs want no others."""
    (model,) = parse_models(b'{"data":[{"id":"m","created":1700000000.5}]}')
    told = with_abilities(model)
    assert (told.created, told.extra_json) == (1700000000, "")
