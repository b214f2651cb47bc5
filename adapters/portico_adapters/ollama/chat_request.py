"""Chat requests of OpenAI's API as the body of Ollama's POST /api/chat. Pure."""

from collections.abc import Mapping
from typing import Final

from portico.adapter import UpstreamCall
from portico.errors import unsupported
from portico.v1.tools_pb2 import Tool
from portico_adapters._advice import leave_out_advice
from portico_adapters._json import fragment, members
from portico_adapters.ollama.messages import messages_of
from portico_adapters.ollama.requests import Refused, refuse, rendered, sampling
from portico_adapters.ollama.settings import OllamaSettings

# Advice (user, metadata, prompt_cache_…) is not in the table: it is left out and named.
_REFUSED: Final[Refused] = {
    "n": (1,),
    "logit_bias": (),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "moderation_json": (),
    "functions": (),
    "function_call": (),
}

_THINK: Final[Mapping[str, bool | str]] = {
    "none": False,
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
}


def chat_body(call: UpstreamCall, settings: OllamaSettings, *, stream: bool) -> bytes:
    """Return the body; raise 400, naming the member, for what Ollama cannot do."""
    params = call.params
    refuse(call, _REFUSED)
    leave_out_advice(call)
    fixed = {"model": call.model, "messages": messages_of(params.messages, call.backend), "stream": stream}
    wishes: dict[str, object] = {}
    if tools := _tools(call):
        wishes["tools"] = tools
    if params.HasField("response_format") and (form := _format(call)):
        wishes["format"] = form
    if params.HasField("reasoning_effort"):
        _think(call, wishes)
    for name in ("logprobs", "top_logprobs"):
        if params.HasField(name):
            wishes[name] = getattr(params, name)
    return rendered(fixed, wishes, sampling(params), settings, params.extra_json)


def _tools(call: UpstreamCall) -> list[dict[str, object]]:
    params, choice = call.params, call.params.tool_choice
    if params.HasField("tool_choice") and choice.mode not in ("auto", "none"):
        call.unsupported(f"{choice.mode or 'tools chosen by the caller'} as tool_choice", "tool_choice")
    if choice.mode == "none":
        return []
    tools = [_tool(tool, f"tools[{index}]", call.backend) for index, tool in enumerate(params.tools)]
    if tools and params.HasField("parallel_tool_calls") and not params.parallel_tool_calls:
        call.unsupported("parallel_tool_calls being false", "parallel_tool_calls")
    return tools


def _tool(tool: Tool, where: str, backend: str) -> dict[str, object]:
    if not tool.HasField("function"):
        raise unsupported(f"tools of the type {tool.type}", f"{where}.type", backend)
    function = tool.function
    translated: dict[str, object] = {"name": function.name}
    if function.HasField("description"):
        translated["description"] = function.description
    if function.HasField("parameters_json"):
        where_parameters = f"{where}.function.parameters"
        translated["parameters"] = fragment(function.parameters_json, where_parameters)
    if function.HasField("strict"):
        translated["strict"] = function.strict
    translated |= members(function.extra_json, f"{where}.function.extra_json")
    return {"type": "function", "function": translated, **members(tool.extra_json, f"{where}.extra_json")}


def _format(call: UpstreamCall) -> object:
    """Return the value of ``format``; None where any text will do."""
    form = call.params.response_format
    for name in members(form.extra_json, "response_format.extra_json"):
        call.unsupported(f"{name} in response_format", f"response_format.{name}")
    if form.type == "json_schema" and form.json_schema.HasField("schema_json"):
        return fragment(form.json_schema.schema_json, "response_format.json_schema.schema")
    if form.type in ("json_object", "json_schema"):
        return "json"
    if form.type != "text":
        call.unsupported(f"{form.type} as response_format", "response_format.type")
    return None


def _think(call: UpstreamCall, wishes: dict[str, object]) -> None:
    effort = call.params.reasoning_effort
    if effort in _THINK:
        wishes["think"] = _THINK[effort]
    else:
        call.unsupported(f"{effort} as reasoning_effort", "reasoning_effort")
