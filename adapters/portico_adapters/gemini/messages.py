"""Messages of OpenAI's API as Gemini's: contents of user and model, and the system's apart. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from portico.errors import GatewayError, invalid_request, unsupported
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import FunctionCall, ToolCall
from portico_adapters._json import members
from portico_adapters.gemini.media import images_in
from portico_adapters.gemini.parts import parts_of
from portico_adapters.gemini.reasoning import (
    DUMMY_SIGNATURE,
    call_signature,
    carried_in,
    details_in,
    signed,
    text_parts,
    thought_parts,
)

Parts = list[dict[str, object]]

_SYSTEM: Final = ("system", "developer")
_RESULT: Final = ("tool", "function")
#: How the gateway's own ids begin: those that Gemini gave go back to it.
_OURS: Final = "call_"


@dataclass(slots=True)
class Conversation:
    """What a request says."""

    contents: list[dict[str, object]] = field(default_factory=list)
    #: Parts of ``systemInstruction``.
    system: Parts = field(default_factory=list)


def conversation_of(messages: Sequence[ChatMessage], backend: str, *, dummy: bool) -> Conversation:
    """Return a conversation; raise 400 where Gemini cannot take part of it.

    Turns of one kind that follow one another become one: Gemini wants the results of parallel calls in
    one turn, in the order of the calls. ``dummy``: calls without a signature get the documented one.
    """
    made = Conversation()
    turns = _Turns(made.contents)
    # What the calls so far called, by their ids: Gemini pairs results with calls by name and order.
    called: dict[str, str] = {}
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.role in _SYSTEM:
            made.system += _content(message, where, backend)
        elif message.role == "user":
            turns.add("user", _content(message, where, backend))
        elif message.role == "assistant":
            called |= {call.id: call.function.name for call in message.tool_calls}
            turns.called([call.id for call in message.tool_calls])
            turns.add("model", _said(message, where, backend, dummy))
        elif message.role in _RESULT:
            turns.result(_result(message, where, backend, called), message.tool_call_id)
        else:
            raise unsupported(f"messages with the role {message.role}", f"{where}.role", backend)
    turns.close()
    return made


class _Turns:
    """Puts turns together."""

    def __init__(self, contents: list[dict[str, object]]) -> None:
        self._contents = contents
        self._role = ""
        self._parts: Parts = []
        #: Ids of the calls that the results now belong to.
        self._calls: list[str] = []
        self._results: list[tuple[int, dict[str, object]]] = []

    def add(self, role: str, parts: Parts) -> None:
        if not parts:
            # It says nothing, and so parts no turns.
            return
        if role != self._role:
            self.close()
            self._role, self._parts = role, []
            self._contents.append({"role": role, "parts": self._parts})
        self._parts += parts

    def called(self, ids: list[str]) -> None:
        """Note the calls of a turn of the model."""
        if self._role != "model":
            self._calls = []
        self._calls += ids

    def result(self, part: dict[str, object], call_id: str) -> None:
        """Add a result to those of the same turn."""
        self._role = ""
        place = self._calls.index(call_id) if call_id in self._calls else len(self._calls)
        self._results.append((place, part))

    def close(self) -> None:
        """End the turn that is open."""
        self._role = ""
        if self._results:
            in_order = sorted(self._results, key=lambda result: result[0])
            self._contents.append({"role": "user", "parts": [part for _, part in in_order]})
            self._results = []


def _content(message: ChatMessage, where: str, backend: str) -> Parts:
    if message.content_parts:
        return parts_of(message.content_parts, f"{where}.content", backend)
    # The API refuses a text that is empty.
    return [{"text": message.content}] if message.content else []


def _said(message: ChatMessage, where: str, backend: str, dummy: bool) -> Parts:
    """Return a turn of the model."""
    if message.HasField("audio"):
        raise unsupported("audio by its id", f"{where}.audio", backend)
    details = details_in(message.extra_json, f"{where}.extra_json")
    # Where two stand at one place, a picture is what code drew.
    carried = carried_in(message.extra_json, f"{where}.extra_json")
    carried += images_in(message.extra_json, f"{where}.extra_json", len(message.content))
    parts = thought_parts(details)
    if message.content_parts:
        parts += _content(message, where, backend)
        parts += text_parts("", details, carried)
    else:
        # A refusal is what the assistant said instead of content.
        parts += text_parts(message.content or message.refusal, details, carried)
    calls = [
        _call(call, f"{where}.tool_calls[{index}]", backend) for index, call in enumerate(message.tool_calls)
    ]
    if message.HasField("function_call"):
        calls.append(_function_call(message.function_call, f"{where}.function_call"))
    if dummy and calls and not any("thoughtSignature" in call for call in calls):
        calls[0] |= signed(DUMMY_SIGNATURE)
    return parts + calls


def _call(call: ToolCall, where: str, backend: str) -> dict[str, object]:
    if call.HasField("custom") or not call.HasField("function"):
        raise unsupported(f"tool calls of the type {call.type}", f"{where}.type", backend)
    part = _function_call(call.function, f"{where}.function", call.id)
    return {**part, **signed(call_signature(call.extra_json, f"{where}.extra_json"))}


def _function_call(function: FunctionCall, where: str, call_id: str = "") -> dict[str, object]:
    # No text at all is how some models call a tool that takes nothing.
    args = members(function.arguments.strip(), f"{where}.arguments")
    return {"functionCall": {**_known(call_id), "name": function.name, "args": args}}


def _result(message: ChatMessage, where: str, backend: str, called: Mapping[str, str]) -> dict[str, object]:
    name = message.name or called.get(message.tool_call_id)
    if not name:
        raise invalid_request("No call has this id.", f"{where}.tool_call_id")
    text, files = message.content, list[dict[str, object]]()
    if message.content_parts:
        parts = parts_of(message.content_parts, f"{where}.content", backend)
        text = "\n".join(str(part["text"]) for part in parts if "text" in part)
        files = [part for part in parts if "text" not in part]
    response: dict[str, object] = {"name": name, "response": _object(text)}
    if files:
        response["parts"] = files
    return {"functionResponse": {**_known(message.tool_call_id), **response}}


def _object(text: str) -> Mapping[str, object]:
    """Return the object that a result must be: the one that it is, or one that holds its text."""
    try:
        if text.lstrip().startswith("{"):
            return members(text, "content")
    except GatewayError:
        # It only begins like an object.
        pass
    return {"output": text}


def _known(call_id: str) -> dict[str, str]:
    return {"id": call_id} if call_id and not call_id.startswith(_OURS) else {}
