"""The pages of GET models as OpenAI's models. Pure."""

from typing import Final
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.json import Decoder, encode

from portico.v1.models_pb2 import Model
from portico_adapters._reading import Count
from portico_adapters.gemini.answers import carried, read

#: As many as the API gives at once.
_PAGE: Final = 1000

# What a model must be able to do to be called through this adapter.
_CALLED: Final = frozenset({"generateContent", "embedContent", "batchEmbedContents"})


class _Listed(Struct, rename="camel"):
    #: "models/gemini-…".
    name: str
    display_name: str | None = None
    input_token_limit: Count | None = None
    output_token_limit: Count | None = None
    thinking: object = None
    #: None: the list does not tell.
    supported_generation_methods: list[str] | None = None


class _Page(Struct, rename="camel"):
    models: list[_Listed] | None = None
    next_page_token: str | None = None


_PAGES: Final = Decoder(_Page)


def page_query(token: str | None) -> str:
    """Return the query of the page that ``token`` names; of the first one for None."""
    return "?" + urlencode({"pageSize": _PAGE} | ({"pageToken": token} if token else {}))


def models_of(body: bytes, *, callers_key: bool) -> tuple[list[Model], str | None]:
    """Read a page: the models that can be called, and the token of the next page if there is one."""
    page = read(body, _PAGES, callers_key=callers_key)
    models = [
        _model(each)
        for each in page.models or ()
        if each.supported_generation_methods is None or _CALLED & set(each.supported_generation_methods)
    ]
    return models, page.next_page_token or None


def _model(listed: _Listed) -> Model:
    extra = {
        "display_name": listed.display_name,
        "max_input_tokens": listed.input_token_limit,
        "max_tokens": listed.output_token_limit,
    }
    told = carried(extra)
    return Model(
        id=listed.name.removeprefix("models/"),
        object="model",
        owned_by="google",
        extra_json=encode(told).decode() if told else "",
        supports=["reasoning"] if listed.thinking is True else (),
    )
