"""What may be said of a provider that speaks OpenAI's dialect."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final


class Thoughts(Enum):
    """How the reasoning of earlier answers goes back to the provider."""

    #: As the caller sends it, for what a server makes of it.
    AS_THEY_ARE = auto()
    #: As ``reasoning``: ``reasoning_content`` is refused.
    REASONING = auto()
    #: As ``reasoning_content``, in turns with tool calls alone: older models refuse it elsewhere, newer
    #: ones want it there.
    WITH_TOOLS = auto()
    #: As parts of the content, {"type": "thinking", "thinking": [{"type": "text", "text": …}]}.
    PARTS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One provider. What is left out is as at OpenAI."""

    #: Base of its API. Empty: there is no usual one.
    url: str = ""
    #: Hosts by which it is known, and all below them.
    hosts: Sequence[str] = ()
    #: OpenAI's name of a parameter -> the provider's.
    renamed: Mapping[str, str] = field(default_factory=dict)
    #: Parameters that the provider cannot honour -> their values that ask for nothing.
    refused: Mapping[str, Container[object]] = field(default_factory=dict)
    #: Parameters that the provider has no place for and that change nothing in its answer, such as a user's
    #: name, labels, and hints for caches: applications send them by habit. They are left out, and named.
    unsent: Sequence[str] = ()
    #: Takes the names of who speaks.
    takes_names: bool = True
    #: Takes a response_format with a schema.
    takes_schemas: bool = True
    #: OpenAI's role -> the provider's.
    roles: Mapping[str, str] = field(default_factory=dict)
    #: OpenAI's tool_choice, where it is a word -> the provider's.
    tool_choices: Mapping[str, str] = field(default_factory=dict)
    #: A function that tool_choice names is not heeded: it is sent as the only tool, and one is required.
    names_no_function: bool = False
    #: How many letters and digits an id of a tool call must have. 0: any will do.
    tool_id_length: int = 0
    thoughts: Thoughts = Thoughts.AS_THEY_ARE
    #: Streams tell their usage unasked, and ``stream_options`` is refused.
    takes_stream_options: bool = True
    #: Goes on with a last message of the assistant that says ``prefix``, and repeats it.
    continues_prefix: bool = False


#: OpenAI itself, and every server of which no more is known.
PLAIN: Final = Flavour()
