"""Tools and the choice among them as Gemini's. Pure."""

from collections.abc import Sequence
from typing import Final

from portico.adapter import UpstreamCall
from portico.errors import unsupported
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.tools_pb2 import FunctionDefinition, Tool, ToolChoice
from portico_adapters._allowed_tools import PLACE, allowed_tools
from portico_adapters._json import fragment, members

_MODES: Final = {"none": "NONE", "auto": "AUTO", "required": "ANY", "any": "ANY"}


def legacy(params: ChatCompletionParams) -> bool:
    """Whether the caller knows ``function_call`` and no tool calls."""
    return bool(params.functions) and not params.tools


def tools_of(call: UpstreamCall) -> list[dict[str, object]]:
    """Return ``tools``; raise 400 for one that Gemini does not have."""
    declared, others = list[dict[str, object]](), list[dict[str, object]]()
    for index, tool in enumerate(call.params.tools):
        where = f"tools[{index}]"
        if tool.HasField("function"):
            declared.append(_declaration(tool.function, f"{where}.function"))
        else:
            others.append(_own(tool, where, call.backend))
    for index, function in enumerate(call.params.functions):
        declared.append(_declaration(function, f"functions[{index}]"))
    others += _search(call)
    if declared:
        others.insert(0, {"functionDeclarations": declared})
    return others


def choice_of(call: UpstreamCall) -> dict[str, object]:
    """Return ``functionCallingConfig``; empty where the model is free to choose."""
    params = call.params
    if not params.tools and not params.functions:
        return {}
    if params.HasField("parallel_tool_calls") and not params.parallel_tool_calls:
        call.unsupported("parallel_tool_calls being false", "parallel_tool_calls")
    name = "tool_choice" if params.HasField("tool_choice") else "function_call"
    choice = _choice(getattr(params, name), name, call)
    strict = any(tool.function.strict for tool in params.tools)
    # VALIDATED is AUTO with calls that keep to their schemas.
    return {"mode": "VALIDATED"} if strict and choice in ({}, {"mode": "AUTO"}) else choice


def _choice(choice: ToolChoice, name: str, call: UpstreamCall) -> dict[str, object]:
    match choice.WhichOneof("choice"):
        case None:
            return {}
        case "mode" if choice.mode in _MODES:
            return {"mode": _MODES[choice.mode]}
        case "function_name":
            return {"mode": "ANY", "allowedFunctionNames": [choice.function_name]}
        case "allowed_tools":
            mode = "ANY" if choice.allowed_tools.mode == "required" else "VALIDATED"
            return {"mode": mode, "allowedFunctionNames": _names(choice, call.backend)}
    call.unsupported(f"this {name}", name)
    return {}


def _names(choice: ToolChoice, backend: str) -> list[str]:
    allowed = allowed_tools(choice)
    for tool in allowed:
        if tool.type != "function":
            raise unsupported(f"tools of the type {tool.type}", PLACE, backend)
    return [tool.named for tool in allowed]


def _declaration(function: FunctionDefinition, where: str) -> dict[str, object]:
    made: dict[str, object] = {"name": function.name}
    if function.HasField("description"):
        made["description"] = function.description
    if function.HasField("parameters_json"):
        # Not `parameters`, which takes a part of OpenAPI's schemas only.
        made["parametersJsonSchema"] = fragment(function.parameters_json, f"{where}.parameters")
    return {**made, **members(function.extra_json, f"{where}.extra_json")}


def _own(tool: Tool, where: str, backend: str) -> dict[str, object]:
    """Return a tool of Gemini's own, such as {"googleSearch": {}}."""
    own = members(tool.extra_json, f"{where}.extra_json")
    if tool.type or not own:
        raise unsupported(f"tools of the type {tool.type}", f"{where}.type", backend)
    return dict(own)


def _search(call: UpstreamCall) -> Sequence[dict[str, object]]:
    if not call.params.HasField("web_search_options"):
        return ()
    options = call.params.web_search_options
    if options.search_context_size not in ("", "medium"):
        call.unsupported("search_context_size", "web_search_options.search_context_size")
    if options.HasField("user_location_json"):
        call.unsupported("user_location", "web_search_options.user_location")
    return ({"googleSearch": {}},)
