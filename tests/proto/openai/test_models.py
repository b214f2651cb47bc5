"""Model lists: what is read of a backend's, and what is written of ours."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.openai.models import parse_models, render_model, render_models
from portico.v1.models_pb2 import Model
from tests.proto.openai.meaning import bare, meaning
from tests.proto.openai.strategies import objects
from tests.support.corpus import Case, parametrize

LIST = """{"object": "list", "data": [
    {"id": "a", "object": "model", "created": 5, "owned_by": "x", "permission": [{"id": 1}]},
    {"id": "b", "max_model_len": 4096, "created": "today"}]}"""
MODELS = [
    Model(id="a", object="model", created=5, owned_by="x", extra_json='{"permission":[{"id": 1}]}'),
    Model(id="b", extra_json='{"max_model_len":4096,"created":"today"}'),
]


def test_a_list_becomes_these_models() -> None:
    """OpenAI's list, and the bare array of some others."""
    assert parse_models(LIST.encode()) == MODELS
    assert parse_models(json.dumps(json.loads(LIST)["data"]).encode())[1].id == "b"


def test_models_are_written_as_openai_writes_them() -> None:
    """One alone, and in a list."""
    one = '{"id":"m","object":"model","created":5,"owned_by":"x"}'
    model = Model(id="m", created=5, owned_by="x")
    assert render_model(model).decode() == one
    assert render_models([model, model]).decode() == f'{{"object":"list","data":[{one},{one}]}}'
    assert render_models([]) == b'{"object":"list","data":[]}'


@given(st.lists(objects(Model.DESCRIPTOR, True), max_size=3))
def test_any_list_comes_out_as_it_went_in(models: list[dict[str, Any]]) -> None:
    """Right or odd; the object is a constant, as in OpenAI's lists."""
    told = json.loads(render_models(parse_models(json.dumps({"data": models}).encode())))
    for model in models:
        if model.get("object") is None or isinstance(model["object"], str):
            model["object"] = "model"
    assert bare(told["data"]) == bare(models)


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"data":{}}', b'{"data":["a"]}', b"[" * 100_000])
def test_what_is_no_list_is_a_value_error(body: bytes) -> None:
    """An upstream that answers so is broken."""
    with pytest.raises(ValueError, match=r"JSON|data|truncated|object|array"):
        parse_models(body)


@parametrize(lambda case: case.path.endswith("/models") and case.status == 200)
def test_a_recorded_list_comes_out_as_it_went_in(case: Case) -> None:
    """Each entry of it."""
    told = meaning(render_models(parse_models(case.body)))
    assert told["data"] == bare(json.loads(case.body)["data"])
