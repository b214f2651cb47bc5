"""Chat requests of OpenAI's API as the body of Cohere's POST /v2/chat. Pure."""

from collections.abc import Container, Mapping
from typing import Final

from msgspec.json import encode

from portico.adapter import UpstreamCall
from portico.v1.chat_pb2 import ResponseFormat
from portico_adapters._advice import leave_out_advice
from portico_adapters._json import fragment, members
from portico_adapters.cohere.messages import messages_of
from portico_adapters.cohere.tools import tools_of

# A member that the API cannot honour -> its values that ask for nothing. Advice (user, metadata,
# prompt_cache_…) is not here: it is left out and named.
_REFUSED: Final[Mapping[str, Container[object]]] = {
    "n": (1,),
    "logit_bias": (),
    "top_logprobs": (0,),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "moderation_json": (),
}

# Member of OpenAI's API -> Cohere's. Of two that mean the same the later one counts.
_RENAMED: Final = (
    ("temperature", "temperature"),
    ("top_p", "p"),
    ("seed", "seed"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("max_tokens", "max_tokens"),
    ("max_completion_tokens", "max_tokens"),
    ("logprobs", "logprobs"),
)

# Effort -> tokens of thought. None: as many as the model wants.
_BUDGETS: Final[Mapping[str, int | None]] = {
    "minimal": 512,
    "low": 1_024,
    "medium": 4_096,
    "high": None,
    "xhigh": None,
    "max": None,
}


def chat_body(call: UpstreamCall, *, stream: bool) -> bytes:
    """Return the body; raise 400, naming the member, for what the API cannot do.

    The caller's own members of the API (``extra_json``) go in as they are, and count more than what was
    made from OpenAI's.
    """
    params = call.params
    _refuse(call)
    leave_out_advice(call)
    given = {field.name: value for field, value in params.ListFields()}
    wishes: dict[str, object] = {theirs: given[ours] for ours, theirs in _RENAMED if ours in given}
    if params.stop:
        wishes["stop_sequences"] = list(params.stop)
    wishes |= tools_of(call)
    if params.HasField("response_format"):
        wishes |= _format(params.response_format, call)
    if params.HasField("reasoning_effort"):
        wishes |= _thinking(params.reasoning_effort, call)
    fixed = {"model": call.model, "messages": messages_of(params.messages, call.backend), "stream": stream}
    return encode({**wishes, **members(params.extra_json, "extra_json"), **fixed})


def _refuse(call: UpstreamCall) -> None:
    for field, value in call.params.ListFields():
        idle = _REFUSED.get(field.name)
        if idle is not None and value not in idle:
            name = field.name.removesuffix("_json")
            call.unsupported(name, name)


def _format(form: ResponseFormat, call: UpstreamCall) -> dict[str, object]:
    if form.type not in ("text", "json_object", "json_schema"):
        call.unsupported(f"{form.type} as response_format", "response_format.type")
        return {}
    extra: dict[str, object] = {**members(form.extra_json, "response_format")}
    if form.type == "text":
        return {}
    if form.json_schema.HasField("schema_json"):
        place = "response_format.json_schema.schema"
        extra["json_schema"] = fragment(form.json_schema.schema_json, place)
    return {"response_format": {"type": "json_object", **extra}}


def _thinking(effort: str, call: UpstreamCall) -> dict[str, object]:
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    if effort not in _BUDGETS:
        call.unsupported(f"{effort} as reasoning_effort", "reasoning_effort")
        return {}
    budget = _BUDGETS[effort]
    return {"thinking": {"type": "enabled", **({"token_budget": budget} if budget else {})}}
