"""The models of /api/tags."""

import pytest

from portico.errors import ErrorClass, GatewayError
from portico.v1.models_pb2 import Model
from portico_adapters.ollama.models import models_of


def test_each_model_has_its_name_and_the_time_it_was_pulled() -> None:
    """To the second, from nanoseconds in a zone; no time where there is none."""
    body = b"""{"models": [
        {"name": "deepseek-r1:latest", "model": "deepseek-r1:latest", "size": 4683075271,
         "modified_at": "2025-05-10T08:06:48.639712648-07:00", "details": {"family": "qwen2"}},
        {"name": "me/tiny:1b", "modified_at": null}]}"""
    assert models_of(body) == [
        Model(id="deepseek-r1:latest", object="model", created=1746889608, owned_by="ollama"),
        Model(id="me/tiny:1b", object="model", owned_by="ollama"),
    ]


@pytest.mark.parametrize("body", [b'{"models":null}', b'{"models":[]}', b"{}"])
def test_a_server_without_models_lists_none(body: bytes) -> None:
    """Go writes an empty list as null."""
    assert models_of(body) == []


@pytest.mark.parametrize("body", [b"", b"Ollama is running", b'{"models":[{}]}', b'{"models":[{"name":1}]}'])
def test_what_is_no_list_is_the_backends_failure(body: bytes) -> None:
    """Such as another server's page."""
    with pytest.raises(GatewayError) as caught:
        models_of(body)
    assert caught.value.error_class is ErrorClass.UPSTREAM
