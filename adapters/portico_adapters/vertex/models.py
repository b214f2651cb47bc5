"""The pages of GET publishers/google/models as OpenAI's models. Pure."""

from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from portico.v1.models_pb2 import Model
from portico_adapters.gemini.answers import read


class _Listed(Struct):
    #: "publishers/google/models/gemini-…".
    name: str


class _Page(Struct, rename="camel"):
    publisher_models: list[_Listed] | None = None
    next_page_token: str | None = None


_PAGES: Final = Decoder(_Page)


def models_of(body: bytes, *, callers_key: bool) -> tuple[list[Model], str | None]:
    """Read a page: its models, and the token of the next page if there is one."""
    page = read(body, _PAGES, callers_key=callers_key)
    ids = [listed.name.rpartition("/")[2] for listed in page.publisher_models or ()]
    models = [Model(id=name, object="model", owned_by="google") for name in ids]
    return models, page.next_page_token or None
