"""What the requests of all endpoints share: refusals, sampling options, and the body's assembly."""

from collections.abc import Container, Mapping
from typing import Any, Final

from google.protobuf.message import Message
from msgspec import Raw
from msgspec.json import encode

from portico.adapter import Upstream
from portico_adapters._json import members
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

_NULL: Final = Raw(b"null")


def refuse(call: Upstream[Any], table: Refused) -> None:
    """Refuse, or drop where that is allowed, a member that asks for what Ollama cannot do."""
    params: Message = call.params
    for field, value in params.ListFields():
        idle = table.get(field.name)
        if idle is not None and value not in idle:
            name = field.name.removesuffix("_json")
            call.unsupported(name, name)


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
