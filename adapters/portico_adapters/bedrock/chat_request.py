"""Chat requests of OpenAI's API as the body of POST /model/{id}/converse. Pure."""

import re
from collections.abc import Container, Mapping
from typing import Final

from msgspec import Raw
from msgspec.json import encode

from portico.adapter import UpstreamCall
from portico.v1.chat_pb2 import ChatCompletionParams
from portico_adapters._advice import leave_out, leave_out_advice
from portico_adapters._json import fragment, members
from portico_adapters.bedrock.effort import Effort, effort_of
from portico_adapters.bedrock.messages import Conversation
from portico_adapters.bedrock.own_members import OF_THE_MODEL, placed
from portico_adapters.bedrock.tools import tool_config

# A member that Converse cannot honour -> its values that ask for nothing. Advice (user, prompt_cache_…) is
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
    "web_search_options": (),
    "moderation_json": (),
}

# Of two that mean the same the later one counts.
_INFERENCE: Final = (
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("max_tokens", "maxTokens"),
    ("max_completion_tokens", "maxTokens"),
)
_TIERS: Final = ("default", "flex", "priority", "reserved")

# botocore's model of the service: RequestMetadata.
_KEY: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_VALUE: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
_MOST_LABELS: Final = 16


def chat_body(call: UpstreamCall) -> bytes:
    """Return the body; raise 400, naming the member, for what Converse cannot do.

    The caller's own members of Converse (``extra_json``) go in as they are, and count more than those made
    from OpenAI's; objects that hold members of both are put together.
    """
    params = call.params
    _refuse(call)
    leave_out_advice(call, heeded=("metadata",))
    conversation = Conversation(call)
    effort = effort_of(call, conversation.turns)
    tools = tool_config(call, conversation.called)
    forced = (tools or {}).get("toolChoice", {}).keys() & {"any", "tool"}
    if tools and forced and effort.unforced:
        call.unsupported("a tool_choice that forces a call beside reasoning", "tool_choice")
        del tools["toolChoice"]
    wishes: dict[str, dict[str, object] | None] = {
        "inferenceConfig": _inference(params, effort),
        "toolConfig": tools,
        "outputConfig": {**_format(call), **effort.output},
        OF_THE_MODEL: dict(effort.fields),
        "serviceTier": _tier(call),
        "requestMetadata": _labels(call),
    }
    made = {name: value for name, value in wishes.items() if value}
    extra: dict[str, object] = {}
    for name, raw in placed(params.extra_json, call.model).items():
        extra[name] = _both(made[name], raw, name) if name in made else raw
    fixed: dict[str, object] = {"messages": conversation.turns}
    if conversation.system:
        fixed["system"] = conversation.system
    return encode({**fixed, **made, **extra, **fixed})


def _both(made: Mapping[str, object], raw: Raw, name: str) -> object:
    return {**made, **members(bytes(raw), name)}


def _refuse(call: UpstreamCall) -> None:
    for field, value in call.params.ListFields():
        idle = _REFUSED.get(field.name)
        if idle is not None and value not in idle:
            name = field.name.removesuffix("_json")
            call.unsupported(name, name)


def _inference(params: ChatCompletionParams, effort: Effort) -> dict[str, object]:
    given = {field.name: value for field, value in params.ListFields()}
    told = {theirs: given[ours] for ours, theirs in _INFERENCE if ours in given.keys() - set(effort.without)}
    if effort.max_tokens is not None:
        told["maxTokens"] = effort.max_tokens
    if params.stop:
        told["stopSequences"] = list(params.stop)
    return told


def _format(call: UpstreamCall) -> dict[str, object]:
    form = call.params.response_format
    if not call.params.HasField("response_format") or form.type == "text":
        return {}
    for name in members(form.extra_json, "response_format"):
        call.unsupported(f"{name} in response_format", f"response_format.{name}")
    schema = form.json_schema
    if form.type != "json_schema" or not schema.HasField("schema_json"):
        # To ask for JSON in words is no promise.
        call.unsupported(f"{form.type or 'no type'} as response_format without a schema", "response_format")
        return {}
    fragment(schema.schema_json, "response_format.json_schema.schema")
    # The schema is a text in the JSON.
    definition = {"schema": schema.schema_json, "name": schema.name, "description": schema.description}
    told = {name: value for name, value in definition.items() if value}
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": told}}}


def _tier(call: UpstreamCall) -> dict[str, object]:
    tier = call.params.service_tier
    if tier in _TIERS:
        return {"type": tier}
    if tier not in ("", "auto"):
        call.unsupported(f"{tier} as service_tier", "service_tier")
    return {}


def _labels(call: UpstreamCall) -> dict[str, object]:
    """Return what AWS takes of the caller's labels: they stand in its logs and change no answer."""
    fitting = [
        (key, value)
        for key, value in sorted(call.params.metadata.items())
        if _KEY.fullmatch(key) and _VALUE.fullmatch(value)
    ]
    labels: dict[str, object] = dict(fitting[:_MOST_LABELS])
    if len(labels) < len(call.params.metadata):
        leave_out(call, "metadata")
    return labels
