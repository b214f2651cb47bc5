"""Chat requests of OpenAI's API as the body of POST /v1/messages. Pure."""

from collections.abc import Container, Mapping
from typing import Final

from msgspec import Raw
from msgspec.json import encode

from portico.adapter import UpstreamCall
from portico.errors import invalid_request
from portico_adapters._advice import leave_out_advice
from portico_adapters._json import fragment, members
from portico_adapters.anthropic.abilities import abilities_of
from portico_adapters.anthropic.messages import conversation_of
from portico_adapters.anthropic.parts import joined
from portico_adapters.anthropic.reasoning import sampling_for, thinking_for
from portico_adapters.anthropic.settings import AnthropicSettings
from portico_adapters.anthropic.tools import tools_of, unforced

# A member that the API cannot honour -> its values that ask for nothing. Advice (metadata, prompt_cache_…) is
# not in the table: it is left out and named.
_REFUSED: Final[Mapping[str, Container[object]]] = {
    "n": (1,),
    "seed": (),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": (),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "store": (False,),
    "verbosity": ("medium",),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "moderation_json": (),
}

#: OpenAI's service tiers -> the API's.
_TIERS: Final[Mapping[str, str]] = {
    "auto": "auto",
    "default": "standard_only",
    "standard_only": "standard_only",
}


def chat_body(call: UpstreamCall, settings: AnthropicSettings, *, stream: bool) -> bytes:
    """Return the body; raise 400, naming the member, for what the API cannot do.

    The caller's own members of the API (``extra_json``) go in as they are, and count more than those made
    from OpenAI's; ``output_config`` is put together from both.
    """
    _refuse(call)
    leave_out_advice(call, heeded=("user", "safety_identifier"))
    abilities = abilities_of(call.model)
    system, turns = conversation_of(call)
    max_tokens = _max_tokens(call) or settings.max_tokens or abilities.max_tokens
    wishes: dict[str, object] = {"max_tokens": max_tokens}
    if system:
        wishes["system"] = joined(system)
    thinking = thinking_for(call, abilities, max_tokens, turns)
    thinks = thinking.get("thinking", {}).get("type") in ("enabled", "adaptive")
    wishes |= thinking
    wishes |= sampling_for(call, takes_any=settings.samples and abilities.samples, thinks=thinks)
    tools = tools_of(call)
    wishes |= unforced(tools, call) if thinks else tools
    if call.params.stop:
        wishes["stop_sequences"] = list(call.params.stop)
    ours = dict(thinking.get("output_config", {}))
    if form := _format(call):
        ours["format"] = form
    if ours:
        wishes["output_config"] = ours
    wishes |= _about_the_caller(call)
    extra: dict[str, object] = dict(members(call.params.extra_json, "extra_json"))
    if ours and isinstance(raw := extra.get("output_config"), Raw):
        extra["output_config"] = {**ours, **members(bytes(raw), "output_config")}
    fixed: dict[str, object] = {"model": call.model, "messages": turns}
    if stream:
        fixed["stream"] = True
    else:
        extra.pop("stream", None)
    return encode({**fixed, **wishes, **extra, **fixed})


def _refuse(call: UpstreamCall) -> None:
    for field, value in call.params.ListFields():
        idle = _REFUSED.get(field.name)
        if idle is not None and value not in idle:
            name = field.name.removesuffix("_json")
            call.unsupported(name, name)


def _max_tokens(call: UpstreamCall) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        if call.params.HasField(name):
            value: int = getattr(call.params, name)
            if value < 1:
                raise invalid_request(f"{name} must be at least 1.", name)
            return value
    return None


def _format(call: UpstreamCall) -> dict[str, object] | None:
    """Return ``output_config.format``; None where any text will do."""
    form = call.params.response_format
    if not call.params.HasField("response_format") or form.type == "text":
        return None
    for name in members(form.extra_json, "response_format"):
        call.unsupported(f"{name} in response_format", f"response_format.{name}")
    if form.type == "json_schema" and form.json_schema.HasField("schema_json"):
        where = "response_format.json_schema.schema"
        return {"type": "json_schema", "schema": fragment(form.json_schema.schema_json, where)}
    # There is no JSON without a schema: the API has no such mode, and to ask for it in words is no promise.
    call.unsupported(f"{form.type or 'no type'} as response_format without a schema", "response_format")
    return None


def _about_the_caller(call: UpstreamCall) -> dict[str, object]:
    params = call.params
    told: dict[str, object] = {}
    if user := params.safety_identifier or params.user:
        told["metadata"] = {"user_id": user}
    if params.HasField("service_tier"):
        if params.service_tier in _TIERS:
            told["service_tier"] = _TIERS[params.service_tier]
        else:
            call.unsupported(f"{params.service_tier} as service_tier", "service_tier")
    return told
