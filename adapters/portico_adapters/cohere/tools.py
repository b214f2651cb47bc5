"""Tools, and whether they must be called, as Cohere's API has them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from portico.adapter import UpstreamCall
from portico.errors import invalid_request, unsupported
from portico.v1.tools_pb2 import FunctionDefinition, Tool, ToolChoice
from portico_adapters._allowed_tools import allowed_tools
from portico_adapters._json import fragment, members

# OpenAI's modes -> Cohere's. None: what it does anyway.
_MODES: Final[Mapping[str, str | None]] = {"auto": None, "none": "NONE", "required": "REQUIRED"}


def tools_of(call: UpstreamCall) -> dict[str, object]:
    """Return the members ``tools``, ``tool_choice`` and ``strict_tools``; raise 400 for other tools."""
    params = call.params
    functions = [_function_of(tool, f"tools[{at}]", call.backend) for at, tool in enumerate(params.tools)]
    choice, given = params.tool_choice, params.HasField("tool_choice")
    if params.functions and not params.tools:
        functions, choice = list(params.functions), params.function_call
        given = params.HasField("function_call")
    if functions and params.HasField("parallel_tool_calls") and not params.parallel_tool_calls:
        call.unsupported("parallel_tool_calls being false", "parallel_tool_calls")
    word, names = _choice(choice, call) if given else (None, None)
    # One tool cannot be chosen: to offer it alone, and make the model call one, comes to the same.
    kept = [each for each in functions if names is None or each.name in names]
    if names and len(kept) < len(set(names)):
        raise invalid_request("tool_choice names a tool that is not in tools.", "tool_choice")
    if not kept:
        return {}
    tools = [{"type": "function", "function": _function(each, at)} for at, each in enumerate(kept)]
    wishes: dict[str, object] = {"tools": tools}
    if word:
        wishes["tool_choice"] = word
    return wishes | _strict(kept, call)


def _function_of(tool: Tool, where: str, backend: str) -> FunctionDefinition:
    if not tool.HasField("function"):
        raise unsupported(f"tools of the type {tool.type}", f"{where}.type", backend)
    return tool.function


def _function(function: FunctionDefinition, at: int) -> dict[str, object]:
    place = f"tools[{at}].function"
    made: dict[str, object] = {"name": function.name}
    if function.HasField("description"):
        made["description"] = function.description
    # OpenAI's functions may say nothing of what they take; Cohere wants a schema.
    schema = function.parameters_json or '{"type":"object","properties":{}}'
    made["parameters"] = fragment(schema, f"{place}.parameters")
    return {**made, **members(function.extra_json, place)}


def _strict(functions: Sequence[FunctionDefinition], call: UpstreamCall) -> dict[str, object]:
    """Return ``strict_tools``, which holds for all tools or none."""
    strict = [function.strict for function in functions]
    if any(strict) and not all(strict):
        call.unsupported("strict for some of the tools alone", "tools")
        return {}
    return {"strict_tools": True} if any(strict) else {}


def _choice(choice: ToolChoice, call: UpstreamCall) -> tuple[str | None, Sequence[str] | None]:
    """Return Cohere's word, and the names of the tools that may be called. None: any."""
    form = choice.WhichOneof("choice")
    if form == "function_name":
        return "REQUIRED", [choice.function_name]
    if form == "mode" and choice.mode in _MODES:
        return _MODES[choice.mode], None
    if form == "allowed_tools" and choice.allowed_tools.mode in _MODES:
        return _MODES[choice.allowed_tools.mode], [each.named for each in allowed_tools(choice)]
    call.unsupported(f"{choice.mode or 'a choice of this form'} as tool_choice", "tool_choice")
    return None, None
