"""What an event of a stream, or a whole answer, adds to one of the answers, in OpenAI's terms. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import to_builtins
from msgspec.json import encode

from portico.v1.chat_pb2 import ChoiceLogprobs
from portico.v1.message_pb2 import Annotation
from portico.v1.tools_pb2 import FunctionCall
from portico_adapters.gemini.answers import Blob
from portico_adapters.gemini.reasoning import Detail


@dataclass(slots=True)
class Call:
    """A call that the model made."""

    index: int
    id: str
    function: FunctionCall
    extra_json: str


@dataclass(slots=True)
class Piece:
    """What one event brought, or the whole answer."""

    text: str = ""
    thoughts: str = ""
    calls: list[Call] = field(default_factory=list)
    details: list[Detail] = field(default_factory=list)
    images: list[dict[str, object]] = field(default_factory=list)
    audio: Blob | None = None
    dialect: list[dict[str, object]] = field(default_factory=list)
    logprobs: ChoiceLogprobs | None = None
    #: With the rest only where the answer is whole.
    finish_reason: str = ""
    annotations: Sequence[Annotation] = ()
    choice_extra: str = ""

    @property
    def says(self) -> bool:
        """Whether there is anything to tell."""
        return bool(
            self.text
            or self.thoughts
            or self.calls
            or self.details
            or self.images
            or self.audio
            or self.dialect
            or self.logprobs
            or self.finish_reason
        )

    @property
    def message_extra(self) -> str:
        """Members of the message that OpenAI does not have."""
        extra: dict[str, object] = {}
        if self.details:
            extra["reasoning_details"] = [to_builtins(detail) for detail in self.details]
        if self.images:
            extra["images"] = self.images
        if self.dialect:
            extra["extra_content"] = {"google": {"parts": self.dialect}}
        return encode(extra).decode() if extra else ""
