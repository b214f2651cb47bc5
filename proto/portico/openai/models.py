"""Model lists: the answers of GET /v1/models and /v1/models/{id} <-> Model."""

from collections.abc import Iterable
from typing import Final

from msgspec import Raw, ValidationError
from msgspec.json import encode

from portico.openai._json import elements, members
from portico.openai._shapes import Shapes, Usual
from portico.v1.models_pb2 import Model

# What OpenAI writes even where there is nothing to say, in its order.
_USUAL: Final[Usual] = {Model: {"id": None, "object": "model", "created": None, "owned_by": None}}
_MODEL: Final = Shapes(lenient=True, usual=_USUAL)[Model.DESCRIPTOR]


def parse_models(body: bytes) -> list[Model]:
    """Read a backend's list: ``{"data": […]}`` as OpenAI's, or the bare array of some others.

    What does not fit its field goes to ``extra_json``. Raises ValueError for any other body.
    """
    try:
        return [_model(each) for each in _entries(body)]
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None


def render_models(models: Iterable[Model]) -> bytes:
    """Write the answer of GET /v1/models."""
    return encode({"object": "list", "data": [_MODEL.write(model) for model in models]})


def render_model(model: Model) -> bytes:
    """Write the answer of GET /v1/models/{id}."""
    return encode(_MODEL.write(model))


def _entries(body: bytes) -> list[Raw]:
    try:
        return elements(body)
    except ValidationError:
        data = members(body).get("data")
    if data is None:
        raise ValueError("the list of models has no member `data`")
    return elements(data)


def _model(entry: Raw) -> Model:
    model = Model()
    _MODEL.read(members(entry), model)
    return model
