"""Tools, and whether they must be called, as Anthropic's API has them. Pure."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, convert
from msgspec.json import decode

from portico.adapter import UpstreamCall
from portico.errors import invalid_request, unsupported
from portico.v1.chat_pb2 import WebSearchOptions
from portico.v1.tools_pb2 import FunctionDefinition, Tool, ToolChoice
from portico_adapters._allowed_tools import allowed_tools
from portico_adapters._json import members
from portico_adapters.anthropic.parts import Block

#: The search that the API runs itself; the oldest version, which every model and host knows.
_WEB_SEARCH: Final[Block] = {"type": "web_search_20250305", "name": "web_search"}

# OpenAI's words, and the API's own.
_MODES: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "required": "any", "any": "any"}


#: No two calls in one turn.
_ALONE: Final = "disable_parallel_tool_use"


class _Location(Struct):
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class _Where(Struct):
    approximate: _Location | None = None


def tools_of(call: UpstreamCall) -> dict[str, object]:
    """Return the members ``tools`` and ``tool_choice``; raise 400 for tools that the API cannot have."""
    params = call.params
    tools = [_tool(tool, f"tools[{index}]", call.backend) for index, tool in enumerate(params.tools)]
    tools += [_function(each, f"functions[{index}]") for index, each in enumerate(params.functions)]
    if params.HasField("web_search_options"):
        tools.append(_web_search(params.web_search_options, call))
    legacy = bool(params.functions) and not params.tools
    asked = params.function_call if legacy else params.tool_choice
    given = params.HasField("function_call" if legacy else "tool_choice")
    choice: Block = _choice(asked, call) if given else {"type": "auto"}
    if asked.WhichOneof("choice") == "allowed_tools":
        names = [each.named for each in allowed_tools(asked)]
        tools = [tool for tool in tools if tool.get("name") in names]
    alone = legacy or (params.HasField("parallel_tool_calls") and not params.parallel_tool_calls)
    if alone and choice.get("type") != "none":
        choice[_ALONE] = True
    # Without tools the API refuses any choice, and "auto" is what it does anyway.
    idle = choice == {"type": "auto"} or (not tools and choice.get("type") in ("auto", "none"))
    return {**({"tools": tools} if tools else {}), **({} if idle else {"tool_choice": choice})}


def unforced(tools: Mapping[str, object], call: UpstreamCall) -> dict[str, object]:
    """Return the members for a model that thinks: it cannot be made to call a tool."""
    choice = tools.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") not in ("any", "tool"):
        return dict(tools)
    call.unsupported("tool_choice that makes the model call a tool beside reasoning", "tool_choice")
    kept = {name: value for name, value in tools.items() if name != "tool_choice"}
    if _ALONE in choice:
        kept["tool_choice"] = {"type": "auto", _ALONE: choice[_ALONE]}
    return kept


def _tool(tool: Tool, where: str, backend: str) -> Block:
    if tool.HasField("function"):
        return _function(tool.function, f"{where}.function") | members(tool.extra_json, where)
    if tool.HasField("custom") or not tool.extra_json:
        raise unsupported(f"tools of the type {tool.type}", f"{where}.type", backend)
    # The API's own tools, such as web_search_20250305, as the caller writes them; some have no name.
    told = members(tool.extra_json, where)
    named = {"name": decode(told["name"])} if "name" in told else {}
    return {"type": tool.type, **told, **named}


def _function(function: FunctionDefinition, where: str) -> Block:
    schema = members(function.parameters_json, f"{where}.parameters")
    tool: Block = {"name": function.name}
    if function.HasField("description"):
        tool["description"] = function.description
    # OpenAI's functions may say nothing of what they take; the API wants an object.
    tool["input_schema"] = {"type": "object", **({} if schema else {"properties": {}}), **schema}
    if function.strict:
        tool["strict"] = True
    return tool | members(function.extra_json, where)


def _web_search(options: WebSearchOptions, call: UpstreamCall) -> Block:
    size = options.search_context_size
    if size not in ("", "medium"):
        call.unsupported(f"{size} as search_context_size", "web_search_options.search_context_size")
    tool = dict(_WEB_SEARCH)
    if options.user_location_json:
        place = "web_search_options.user_location"
        try:
            where = convert(decode(options.user_location_json), _Where).approximate or _Location()
        except (ValueError, RecursionError):
            raise invalid_request(f"{place} cannot be read.", place) from None
        told = {name: value for name in _Location.__struct_fields__ if (value := getattr(where, name))}
        tool["user_location"] = {"type": "approximate", **told}
    return tool | members(options.extra_json, "web_search_options")


def _choice(choice: ToolChoice, call: UpstreamCall) -> Block:
    form = choice.WhichOneof("choice")
    if form == "function_name":
        return {"type": "tool", "name": choice.function_name}
    if form == "other_json":
        # In the API's own words.
        return {**members(choice.other_json, "tool_choice"), **_type_of(choice.other_json)}
    mode = choice.allowed_tools.mode if form == "allowed_tools" else choice.mode
    if form not in ("mode", "allowed_tools") or mode not in _MODES:
        call.unsupported(f"{mode or 'a custom tool'} as tool_choice", "tool_choice")
        return {"type": "auto"}
    return {"type": _MODES[mode]}


def _type_of(text: str) -> dict[str, object]:
    value = members(text, "tool_choice").get("type")
    return {"type": decode(value)} if value is not None else {}
