"""The tools that ``tool_choice`` allows (``allowed_tools``), which it names as OpenAI does. Pure."""

from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from portico.errors import invalid_request
from portico.v1.tools_pb2 import ToolChoice

#: Where they stand in a request.
PLACE: Final = "tool_choice.allowed_tools.tools"


class _Function(Struct):
    name: str = ""


class AllowedTool(Struct):
    """One of them. OpenAI's Responses API has the name of a function in its place."""

    type: str = "function"
    function: _Function | None = None
    name: str = ""

    @property
    def named(self) -> str:
        """What the tool is called."""
        return self.function.name if self.function else self.name


_DECODER: Final = Decoder(list[AllowedTool])


def allowed_tools(choice: ToolChoice) -> list[AllowedTool]:
    """Return them; raise 400 where they are no list of tools."""
    try:
        return _DECODER.decode(choice.allowed_tools.tools_json or "[]")
    except (ValueError, RecursionError):
        raise invalid_request(f"{PLACE} must be a list of tools.", PLACE) from None
