"""Parameters as a provider wants them, by its row. Pure: what is shared is copied before it changes."""

from typing import Any, TypeVar

from google.protobuf.message import Message
from msgspec.json import encode

from portico.adapter import Upstream
from portico.v1.chat_pb2 import ChatCompletionParams
from portico_adapters._advice import NAMES, forget_who, leave_out, says_who
from portico_adapters._flavours.conversation import retell
from portico_adapters._flavours.prefix import ask_to_continue
from portico_adapters._flavours.row import PLAIN, Flavour
from portico_adapters._json import members

P = TypeVar("P", bound=Message)


def params_for(flavour: Flavour, call: Upstream[P]) -> P:
    """Return the parameters to be sent; those of the call where nothing changes.

    Raises 400 for a parameter that the provider cannot honour, unless it may be dropped.
    """
    if flavour is PLAIN:
        return call.params
    params = type(call.params)()
    params.CopyFrom(call.params)
    _leave_out(flavour, call, params)
    _rename(flavour, params)
    if isinstance(params, ChatCompletionParams):
        _choose(flavour, params)
        ask_to_continue(flavour, params)
        retell(flavour, params)
    return params


def _leave_out(flavour: Flavour, call: Upstream[P], params: P) -> None:
    for field, value in call.params.ListFields():
        idle = flavour.refused.get(field.name)
        if idle is not None:
            # A value that asks for nothing goes without a word.
            if value not in idle:
                name = field.name.removesuffix("_json")
                call.unsupported(name, name)
            params.ClearField(field.name)
        elif field.name in flavour.unsent:
            leave_out(call, field.name)
            params.ClearField(field.name)
    if isinstance(params, ChatCompletionParams):
        _leave_out_of_chats(flavour, call, params)


def _leave_out_of_chats(flavour: Flavour, call: Upstream[P], params: ChatCompletionParams) -> None:
    if not flavour.takes_schemas and params.response_format.type == "json_schema":
        call.unsupported("a response_format with a schema", "response_format")
        params.ClearField("response_format")
    if not flavour.takes_names and says_who(params):
        leave_out(call, NAMES)
        forget_who(params)


def _rename(flavour: Flavour, params: Any) -> None:
    for field, value in params.ListFields():
        name = flavour.renamed.get(field.name)
        if name is None:
            continue
        params.ClearField(field.name)
        if name in params.DESCRIPTOR.fields_by_name:
            setattr(params, name, value)
        else:
            extra = members(params.extra_json, "extra_json")
            params.extra_json = encode({name: value, **extra}).decode()


def _choose(flavour: Flavour, params: ChatCompletionParams) -> None:
    choice = params.tool_choice
    if choice.mode in flavour.tool_choices:
        choice.mode = flavour.tool_choices[choice.mode]
    if flavour.names_no_function and choice.HasField("function_name"):
        named = [tool for tool in params.tools if tool.function.name == choice.function_name]
        if named:
            del params.tools[:]
            params.tools.extend(named)
            choice.mode = "required"
