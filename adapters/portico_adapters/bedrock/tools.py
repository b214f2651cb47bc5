"""Tools, and whether they must be called, as Converse's ``toolConfig``. Pure."""

from collections.abc import Iterable
from typing import Final

from msgspec import Raw

from portico.adapter import UpstreamCall
from portico.errors import unsupported
from portico.v1.tools_pb2 import FunctionDefinition, Tool, ToolChoice
from portico_adapters._allowed_tools import allowed_tools
from portico_adapters._json import members
from portico_adapters.bedrock.parts import Block, cache_point

# Tools that the caller may write as Converse has them.
_NATIVE: Final = ("toolSpec", "systemTool", "cachePoint")


def tool_config(call: UpstreamCall, called: Iterable[str]) -> Block | None:
    """Return ``toolConfig``; None: the model is to call nothing. ``called``: the tools in the history."""
    params = call.params
    tools = [
        each
        for index, tool in enumerate(params.tools)
        for each in _tool(tool, f"tools[{index}]", call.backend)
    ]
    tools += [_function(each, f"functions[{index}]") for index, each in enumerate(params.functions)]
    legacy = bool(params.functions) and not params.tools
    asked = params.function_call if legacy else params.tool_choice
    given = params.HasField("function_call" if legacy else "tool_choice")
    if tools and params.HasField("parallel_tool_calls") and not params.parallel_tool_calls:
        call.unsupported("parallel_tool_calls being false", "parallel_tool_calls")
    called = tuple(called)
    if given and asked.mode == "none":
        if called and tools:
            # Tools must be there while the history has calls, and there is no choice that forbids them.
            call.unsupported("tool_choice none with tool calls in the messages", "tool_choice")
        tools = tools if called else []
        given = False
    if asked.WhichOneof("choice") == "allowed_tools":
        names = [each.named for each in allowed_tools(asked)]
        tools = [tool for tool in tools if "toolSpec" not in tool or tool["toolSpec"]["name"] in names]
    if not tools:
        # Converse refuses a history with calls where it is told of no tools.
        tools = [_function(FunctionDefinition(name=name), "tools") for name in called]
    if not tools:
        return None
    choice = _choice(asked, call) if given else {}
    return {"tools": tools, **({"toolChoice": choice} if choice else {})}


def _tool(tool: Tool, where: str, backend: str) -> list[Block]:
    extra = members(tool.extra_json, where)
    cache = cache_point(extra, where)
    if tool.HasField("function"):
        return [_function(tool.function, f"{where}.function"), *cache]
    if found := {name: value for name, value in extra.items() if name in _NATIVE}:
        # The name is read where tools are narrowed down.
        return [{name: members(bytes(value), where) for name, value in found.items()}, *cache]
    raise unsupported(f"tools of the type {tool.type}", f"{where}.type", backend)


def _function(function: FunctionDefinition, where: str) -> Block:
    schema: dict[str, Raw | object] = {**members(function.parameters_json, f"{where}.parameters")}
    # OpenAI's functions may say nothing of what they take; models want an object.
    whole = {"type": "object", **({} if schema else {"properties": {}}), **schema}
    spec: Block = {"name": function.name, "inputSchema": {"json": whole}}
    if function.description:
        spec["description"] = function.description
    if function.strict:
        spec["strict"] = True
    return {"toolSpec": spec | members(function.extra_json, where)}


def _choice(choice: ToolChoice, call: UpstreamCall) -> Block:
    form = choice.WhichOneof("choice")
    if form == "function_name":
        return {"tool": {"name": choice.function_name}}
    if form == "other_json":
        # In Converse's own words.
        return dict(members(choice.other_json, "tool_choice"))
    mode = choice.allowed_tools.mode if form == "allowed_tools" else choice.mode
    if mode in ("required", "any"):
        return {"any": {}}
    if mode != "auto" and (form != "allowed_tools" or mode):
        call.unsupported(f"{mode or 'a custom tool'} as tool_choice", "tool_choice")
    return {}
