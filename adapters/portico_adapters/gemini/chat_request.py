"""Chat requests of OpenAI's API as the body of Gemini's generateContent. Pure."""

from collections.abc import Container, Mapping
from typing import Final

from msgspec import Raw
from msgspec.json import encode

from portico.adapter import UpstreamCall
from portico.v1.chat_pb2 import ChatCompletionParams
from portico_adapters._advice import leave_out_advice
from portico_adapters._json import fragment, members
from portico_adapters.gemini.messages import conversation_of
from portico_adapters.gemini.thinking import budgeted, thinking_of
from portico_adapters.gemini.tools import choice_of, tools_of

# A member that Gemini has no equal of -> its values that ask for nothing. Advice (user, metadata,
# prompt_cache_…) is not in the table: it is left out and named.
_REFUSED: Final[Mapping[str, Container[object]]] = {
    "logit_bias": (),
    "store": (False,),
    "verbosity": ("medium",),
    "prediction": (),
    "moderation_json": (),
}

# Of two that mean the same the later one counts.
_SAMPLING: Final = (
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("max_tokens", "maxOutputTokens"),
    ("max_completion_tokens", "maxOutputTokens"),
    ("n", "candidateCount"),
    ("logprobs", "responseLogprobs"),
    ("top_logprobs", "logprobs"),
)

_TIERS: Final = ("flex", "priority")


def chat_body(call: UpstreamCall) -> bytes:
    """Return the body; raise 400, naming the member, for what Gemini cannot do."""
    params = call.params
    for found, value in params.ListFields():
        idle = _REFUSED.get(found.name)
        if idle is not None and value not in idle:
            name = found.name.removesuffix("_json")
            call.unsupported(name, name)
    leave_out_advice(call)
    said = conversation_of(params.messages, call.backend, dummy=not budgeted(call.model))
    fixed: dict[str, object] = {"contents": said.contents}
    if said.system:
        fixed["systemInstruction"] = {"parts": said.system}
    wishes = _wishes(call)
    extra = members(params.extra_json, "extra_json")
    config = {**_config(call), **_told(extra, "generationConfig", "generation_config")}
    choice = {"functionCallingConfig": chosen} if (chosen := choice_of(call)) else {}
    tool_config = {**choice, **_told(extra, "toolConfig", "tool_config")}
    merged = {"generationConfig": config, "toolConfig": tool_config}
    return encode({**wishes, **extra, **{name: value for name, value in merged.items() if value}, **fixed})


def _told(extra: dict[str, Raw], *names: str) -> dict[str, Raw]:
    """Take an object of the caller's own out of the rest: its members count more than ours."""
    told: dict[str, Raw] = {}
    for name in names:
        told |= members(bytes(extra.pop(name, b"null")), name)
    return told


def _wishes(call: UpstreamCall) -> dict[str, object]:
    wishes: dict[str, object] = {}
    if tools := tools_of(call):
        wishes["tools"] = tools
    tier = call.params.service_tier
    if tier in _TIERS:
        wishes["serviceTier"] = tier
    elif tier not in ("", "auto", "default"):
        call.unsupported(f"{tier} as service_tier", "service_tier")
    return wishes


def _config(call: UpstreamCall) -> dict[str, object]:
    params = call.params
    given = {field.name: value for field, value in params.ListFields()}
    config: dict[str, object] = {theirs: given[name] for name, theirs in _SAMPLING if name in given}
    if not config.get("logprobs", True):
        # No alternatives: the API counts them from 1.
        del config["logprobs"]
    if params.stop:
        config["stopSequences"] = list(params.stop)
    if thinking := thinking_of(call):
        config["thinkingConfig"] = thinking
    return {**config, **_format(call), **_modalities(params, call)}


def _format(call: UpstreamCall) -> dict[str, object]:
    form = call.params.response_format
    if not call.params.HasField("response_format") or form.type == "text":
        return {}
    if form.type not in ("json_object", "json_schema"):
        call.unsupported(f"{form.type} as response_format", "response_format.type")
        return {}
    made: dict[str, object] = {"responseMimeType": "application/json"}
    if form.json_schema.HasField("schema_json"):
        where = "response_format.json_schema.schema"
        made["responseJsonSchema"] = fragment(form.json_schema.schema_json, where)
    return made


def _modalities(params: ChatCompletionParams, call: UpstreamCall) -> dict[str, object]:
    made: dict[str, object] = {}
    if list(params.modalities) not in ([], ["text"]):
        made["responseModalities"] = [modality.upper() for modality in params.modalities]
    if params.HasField("audio"):
        if params.audio.format not in ("", "pcm16"):
            call.unsupported(f"{params.audio.format} as audio.format", "audio.format")
        if params.audio.HasField("custom_voice"):
            call.unsupported("voices of the caller's own", "audio.voice")
        elif params.audio.voice:
            voice = {"prebuiltVoiceConfig": {"voiceName": params.audio.voice}}
            made["speechConfig"] = {"voiceConfig": voice}
    return made
