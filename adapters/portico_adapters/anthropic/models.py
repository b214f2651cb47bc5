"""The pages of GET /v1/models as OpenAI's models. Pure."""

from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from portico.v1.models_pb2 import Model
from portico_adapters._reading import read

#: As many as the API gives at once.
_PAGE: Final = 1000

# What OpenAI has no place for.
_CARRIED: Final = ("display_name", "max_input_tokens", "max_tokens", "capabilities", "lifecycle")


class _Listed(Struct):
    id: str
    #: RFC 3339; the epoch where nobody knows.
    created_at: str | None = None
    retires_at: str | None = None
    lifecycle: str | None = None
    display_name: str | None = None
    max_input_tokens: Raw = Raw(b"")
    max_tokens: Raw = Raw(b"")
    capabilities: Raw = Raw(b"")


class _Page(Struct):
    data: list[_Listed]
    has_more: bool | None = None
    last_id: str | None = None


_NOTHING: Final = Raw(b"")
_PAGES: Final = Decoder(_Page)


def page_path(after: str | None) -> str:
    """Return the path of the page that follows the model ``after``; of the first one for None."""
    return "/v1/models?" + urlencode({"limit": _PAGE} | ({"after_id": after} if after else {}))


def models_of(body: bytes) -> tuple[list[Model], str | None]:
    """Read a page: the models that can be called, and the last one's id where more follow."""
    page = read(body, _PAGES)
    models = [_model(each) for each in page.data if each.lifecycle != "retired"]
    return models, (page.last_id if page.has_more else None) or None


def _model(listed: _Listed) -> Model:
    told = {name: getattr(listed, name) for name in _CARRIED}
    carried = {name: value for name, value in told.items() if value is not None and value != _NOTHING}
    return Model(
        id=listed.id,
        object="model",
        created=_unix_seconds(listed.created_at),
        owned_by="anthropic",
        shutdown_date=listed.retires_at[:10] if listed.retires_at else None,
        extra_json=encode(carried).decode() if carried else "",
    )


def _unix_seconds(moment: str | None) -> int | None:
    try:
        seconds = datetime.fromisoformat(moment or "").timestamp()
    except (ValueError, OverflowError):
        return None
    return int(seconds) if seconds > 0 else None
