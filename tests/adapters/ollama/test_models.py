"""The models of /api/tags, and what /api/show tells of them."""

import json
from typing import Any

import pytest

from portico.errors import ErrorClass, GatewayError
from portico.v1.models_pb2 import Model
from portico_adapters.ollama.models import Shown, Tag, model_of, shown_in, tags_of


def test_each_model_has_its_name_and_the_time_it_was_pulled() -> None:
    """To the second, from nanoseconds in a zone; no time where there is none."""
    body = b"""{"models": [
        {"name": "deepseek-r1:latest", "model": "deepseek-r1:latest", "size": 4683075271,
         "modified_at": "2025-05-10T08:06:48.639712648-07:00", "details": {"family": "qwen2"}},
        {"name": "me/tiny:1b", "modified_at": null}]}"""
    assert [model_of(tag, None, None) for tag in tags_of(body)] == [
        Model(id="deepseek-r1:latest", object="model", created=1746889608, owned_by="ollama"),
        Model(id="me/tiny:1b", object="model", owned_by="ollama"),
    ]


@pytest.mark.parametrize("body", [b'{"models":null}', b'{"models":[]}', b"{}"])
def test_a_server_without_models_lists_none(body: bytes) -> None:
    """Go writes an empty list as null."""
    assert [model_of(tag, None, None) for tag in tags_of(body)] == []


@pytest.mark.parametrize("body", [b"", b"Ollama is running", b'{"models":[{}]}', b'{"models":[{"name":1}]}'])
def test_what_is_no_list_is_the_backends_failure(body: bytes) -> None:
    """Such as another server's page."""
    with pytest.raises(GatewayError) as caught:
        tags_of(body)
    assert caught.value.error_class is ErrorClass.UPSTREAM


LLAMA = {"general.architecture": "llama", "llama.context_length": 131072, "llama.block_count": 16}
WORDS = ["completion", "tools", "vision", "thinking", "insert"]
OURS = ["images", "tools", "structured", "reasoning"]

# What is shown, num_ctx of the configuration, what the model supports, and the tokens that fit.
SHOWN: list[tuple[dict[str, Any], int | None, list[str], int]] = [
    ({"capabilities": WORDS, "model_info": LLAMA}, None, OURS, 131072),
    ({"capabilities": ["embedding"], "model_info": LLAMA}, None, [], 131072),
    ({"model_info": LLAMA}, 8192, [], 8192),
    (
        {"model_info": LLAMA, "parameters": 'stop "<|end|>"\nnum_ctx                        4096'},
        None,
        [],
        4096,
    ),
    ({"model_info": LLAMA, "parameters": "num_ctx 4096"}, 8192, [], 8192),
    ({"model_info": LLAMA}, 1 << 20, [], 131072),
    ({"model_info": {"general.architecture": "bert", "llama.context_length": 5}}, None, [], 0),
    ({"model_info": {"general.architecture": "llama", "llama.context_length": "many"}}, None, [], 0),
    ({"capabilities": None, "model_info": None, "license": "MIT"}, None, [], 0),
]


@pytest.mark.parametrize(("shown", "num_ctx", "supports", "context"), SHOWN)
def test_a_model_tells_what_it_can_do(
    shown: dict[str, Any], num_ctx: int | None, supports: list[str], context: int
) -> None:
    """In our words; of two limits on its context the lower one counts."""
    model = model_of(Tag("tiny"), shown_in(json.dumps(shown).encode()), num_ctx)
    assert (list(model.supports), model.context_length) == (supports, context)


def test_what_nobody_knows_is_not_told() -> None:
    """Of a model that the server shows nothing of."""
    assert not model_of(Tag("tiny"), Shown(), None).HasField("context_length")
