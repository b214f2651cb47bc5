"""Calls of tools with all that OpenAI's API has of them, which some providers leave out (Mistral). Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from portico.v1.chunk_pb2 import Delta
from portico.v1.message_pb2 import ChatMessage
from portico.v1.tools_pb2 import FunctionCall, ToolCallDelta
from portico_adapters._flavours.members import members_of, put

# Mistral's SDK writes the second where it knows none.
_NO_TYPE: Final = ("", "null")


def settle_calls(message: ChatMessage, named: str) -> None:
    """Complete the calls of a whole message. ``named``: what ids are made of where there are none."""
    for number, call in enumerate(message.tool_calls):
        _settle(call, f"{named} {number}")
    for function in _functions(message):
        if not function.HasField("arguments"):
            function.arguments = "{}"


@dataclass(slots=True)
class _Choice:
    """What is known of the calls of one choice."""

    #: By what the provider tells a call by, its index or its id: the call's number.
    numbers: dict[object, int] = field(default_factory=dict)
    #: Id and name that each call began with, by its number.
    begun: list[tuple[str, str]] = field(default_factory=list)
    #: What the provider tells the last call by.
    last: object = None
    #: Numbers of the calls that have said nothing of their arguments.
    bare: set[int] = field(default_factory=set)


class StreamedCalls:
    """Completes the calls of one stream."""

    def __init__(self, named: str) -> None:
        self._named = named
        self._choices: defaultdict[int, _Choice] = defaultdict(_Choice)

    def settle(self, index: int, delta: Delta, *, ends: bool) -> None:
        """Complete the pieces of calls in a delta of the choice ``index``. ``ends``: it is the last."""
        if not delta.tool_calls and not (ends and index in self._choices):
            return
        choice = self._choices[index]
        for piece in delta.tool_calls:
            self._number(choice, piece, index)
        if ends:
            for number in sorted(choice.bare):
                delta.tool_calls.append(ToolCallDelta(index=number, function=FunctionCall(arguments="{}")))
            choice.bare.clear()

    def _number(self, choice: _Choice, piece: ToolCallDelta, index: int) -> None:
        # A piece that names neither an index nor an id begins a call where it names a function.
        first = object() if piece.function.name else choice.last
        key: object = piece.index if piece.HasField("index") else piece.id or first
        number = choice.numbers.get(key)
        if number is None or _begins_another(piece, *choice.begun[number]):
            number = choice.numbers[key] = len(choice.begun)
            choice.begun.append((piece.id, piece.function.name))
            _settle(piece, f"{self._named} {index} {number}")
            if piece.HasField("function") and not piece.function.HasField("arguments"):
                choice.bare.add(number)
                piece.function.arguments = ""
        else:
            # SDKs append the strings of deltas.
            piece.ClearField("id")
            if piece.function.name and piece.function.name == choice.begun[number][1]:
                piece.function.ClearField("name")
            _as_text(piece.function)
            if piece.function.HasField("arguments"):
                choice.bare.discard(number)
        choice.last = key
        piece.index = number


def _begins_another(piece: ToolCallDelta, told_id: str, name: str) -> bool:
    """Whether a piece begins a call though its index is an earlier one's.

    Gemini's endpoint of OpenAI's dialect gives all parallel calls the index 0. An id alone tells nothing:
    old releases of vLLM make another for each piece.
    """
    return bool(piece.id and told_id and piece.id != told_id and piece.function.name and name)


def _settle(call: Any, named: str) -> None:
    if call.type in _NO_TYPE:
        call.type = "custom" if call.HasField("custom") else "function"
    if not call.id:
        call.id = "call_" + sha256(named.encode()).hexdigest()[:24]
    if call.HasField("function"):
        _as_text(call.function)


def _as_text(function: FunctionCall) -> None:
    """Write arguments that came as an object as its text."""
    told = members_of(function.extra_json).get("arguments") if '"arguments"' in function.extra_json else None
    if told is not None:
        function.arguments = bytes(told).decode()
        put(function, "arguments", None)


def _functions(message: ChatMessage) -> Iterable[FunctionCall]:
    return [call.function for call in message.tool_calls if call.HasField("function")]
