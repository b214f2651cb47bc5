"""What the requests of all endpoints share: refusals, sampling options, and the body's assembly."""

from collections.abc import Container, Mapping
from typing import Final

from google.protobuf.message import Message
from msgspec import Raw
from msgspec.json import Decoder, encode

from portico.errors import GatewayError, invalid_request
from portico_adapters.ollama.settings import OllamaSettings

#: A member that Ollama cannot honour -> its values that ask for nothing.
Refused = Mapping[str, Container[object]]

# Member of OpenAI's API -> Ollama's option. Of two that mean the same option the later one counts.
_OPTIONS: Final = (
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("seed", "seed"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("max_tokens", "num_predict"),
    ("max_completion_tokens", "num_predict"),
    ("stop", "stop"),
)

_VALUE: Final = Decoder(Raw)
_MEMBERS: Final[Decoder[dict[str, Raw] | None]] = Decoder(dict[str, Raw] | None)
_NULL: Final = Raw(b"null")


def refused(what: str, param: str) -> GatewayError:
    """400: ``what`` is more than Ollama can do."""
    return invalid_request(
        f"The backend of this model does not support {what}.", param, "unsupported_parameter"
    )


def refuse(params: Message, table: Refused) -> None:
    """Raise 400 for a member of ``params`` that asks for what Ollama cannot do."""
    for field, value in params.ListFields():
        idle = table.get(field.name)
        if idle is not None and value not in idle:
            name = field.name.removesuffix("_json")
            raise refused(name, name)


def sampling(params: Message) -> dict[str, object]:
    """Return Ollama's options for those of ``params``."""
    given = {field.name: value for field, value in params.ListFields()}
    options = {option: given[name] for name, option in _OPTIONS if name in given}
    if "stop" in options:
        options["stop"] = list(options["stop"])
    return options


def rendered(
    fixed: Mapping[str, object],
    wishes: Mapping[str, object],
    options: Mapping[str, object],
    settings: OllamaSettings,
    extra_json: str,
) -> bytes:
    """Write a body.

    The caller's own members of Ollama's API (``extra_json``) go in as they are. They count more than
    ``wishes`` and ``options``, which were made from OpenAI's members, and those more than the
    configuration; ``fixed`` members nobody changes.
    """
    extra = members(extra_json, "extra_json")
    told = members(bytes(extra.pop("options", _NULL)), "options")
    configured = {"num_ctx": settings.num_ctx} if settings.num_ctx else {}
    merged = {**configured, **options, **told}
    kept = {"keep_alive": settings.keep_alive_json} if settings.keep_alive else {}
    return encode({**kept, **wishes, **extra, **fixed, **({"options": merged} if merged else {})})


def members(text: str | bytes, where: str) -> dict[str, Raw]:
    """Split a JSON object into its members. Empty text and null have none; raise 400 for the rest."""
    if not text:
        return {}
    try:
        return _MEMBERS.decode(text) or {}
    except (ValueError, RecursionError):
        raise invalid_request(f"{where} must be a JSON object.", where) from None


def fragment(text: str, where: str) -> Raw:
    """Return JSON text to be put into a body verbatim; raise 400 where it is no JSON."""
    try:
        return _VALUE.decode(text)
    except (ValueError, RecursionError):
        raise invalid_request(f"{where} is not JSON.", where) from None
