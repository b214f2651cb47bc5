"""The shape of Gemini's answers, whole ones and the events of a stream, and how to read them. Pure."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, TypeVar

from msgspec import Raw, Struct
from msgspec.json import Decoder, format

from portico_adapters import _reading
from portico_adapters._reading import Count
from portico_adapters.gemini.errors import error_in
from portico_adapters.gemini.partial_call import PartialArg
from portico_adapters.gemini.usage import Counted

S = TypeVar("S", bound=Struct)

# Raw has no place in a union with None: what is absent is empty.
_ABSENT: Final = Raw()
#: What says nothing: in a stream most events have such members.
_EMPTY: Final = (b"", b"null", b"{}", b"[]")

#: Members of a part that OpenAI's shape has no place for, with their names in the API.
DIALECT: Final[Mapping[str, str]] = {
    "executable_code": "executableCode",
    "code_execution_result": "codeExecutionResult",
    "file_data": "fileData",
    # Tools that Google runs, where the caller asks to see them.
    "tool_call": "toolCall",
    "tool_response": "toolResponse",
    # Neither image nor speech, such as a video.
    "inline_data": "inlineData",
}

#: An enum: its name, or its number where Vertex was asked for integers.
Enum = str | int | None


class FunctionCall(Struct, rename="camel"):
    name: str = ""
    #: An object, kept as text: so no number in it changes.
    args: Raw = Raw(b"{}")
    id: str | None = None
    partial_args: list[PartialArg] | None = None
    #: More of this call is to come.
    will_continue: bool | None = None


class Blob(Struct, rename="camel"):
    mime_type: str = ""
    #: base64.
    data: str = ""


_BLOB: Final = Decoder(Blob)


class Part(Struct, rename="camel"):
    """One of: text, a thought, a call, a file; or what is carried as it is."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    #: A ``Blob``, kept as it is.
    inline_data: Raw = _ABSENT
    executable_code: Raw = _ABSENT
    code_execution_result: Raw = _ABSENT
    file_data: Raw = _ABSENT
    tool_call: Raw = _ABSENT
    tool_response: Raw = _ABSENT

    def media(self) -> Blob | None:
        """Return the image or the speech that it is; raise 502 where that cannot be read."""
        if bytes(self.inline_data) in _EMPTY:
            return None
        try:
            blob = _BLOB.decode(self.inline_data)
        except (ValueError, RecursionError) as problem:
            raise _reading.unreadable(str(problem)) from problem
        return blob if blob.mime_type.startswith(("image/", "audio/")) else None


class Content(Struct):
    #: Absent where all tokens were spent on thinking.
    parts: list[Part] | None = None


class TokenLogprob(Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class TopTokens(Struct):
    candidates: list[TokenLogprob] | None = None


class Logprobs(Struct, rename="camel"):
    chosen_candidates: list[TokenLogprob] | None = None
    top_candidates: list[TopTokens] | None = None


class Candidate(Struct, rename="camel"):
    index: Count | None = None
    content: Content | None = None
    finish_reason: Enum = None
    finish_message: str | None = None
    safety_ratings: Raw = _ABSENT
    citation_metadata: Raw = _ABSENT
    grounding_metadata: Raw = _ABSENT
    url_context_metadata: Raw = _ABSENT
    logprobs_result: Logprobs | None = None


class PromptFeedback(Struct, rename="camel"):
    block_reason: Enum = None
    block_reason_message: str | None = None
    safety_ratings: Raw = _ABSENT


class Answer(Struct, rename="camel"):
    """``GenerateContentResponse``: a whole answer, or what an event of a stream adds to it."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: Counted | None = None
    model_version: str | None = None
    response_id: str | None = None
    #: RFC 3339; Vertex alone tells it.
    create_time: str | None = None

    @property
    def blocked(self) -> PromptFeedback | None:
        """Why there are no candidates. None: the prompt was not blocked."""
        feedback = self.prompt_feedback
        return feedback if feedback and feedback.block_reason and not self.candidates else None

    def created(self) -> int:
        """Return the Unix seconds at which this was made; now where the backend does not say."""
        try:
            seconds = datetime.fromisoformat(self.create_time or "").timestamp()
        except (ValueError, OverflowError):
            seconds = 0.0
        return int(seconds) if seconds > 0 else int(time.time())


ANSWER: Final = Decoder(Answer)


def read(data: bytes, decoder: Decoder[S], *, callers_key: bool) -> S:
    """Read a whole answer or an event of a stream; raise the error that it tells or that it is."""
    error = error_in(data, callers_key=callers_key)
    if error is not None:
        raise error
    return _reading.read(data, decoder)


def new_id(prefix: str, *named: object) -> str:
    """Return an id in the style of OpenAI's where Gemini has none.

    It follows from what it names, so that the translation stays a function of its input.
    """
    return prefix + sha256(" ".join(map(str, named)).encode(errors="replace")).hexdigest()[:24]


def raws(values: Mapping[str, Raw]) -> dict[str, Raw]:
    """Return those of ``values`` that say anything, in one line each: whole answers have many."""
    return {
        name: Raw(format(bytes(value), indent=-1))
        for name, value in values.items()
        if bytes(value) not in _EMPTY
    }


def carried(values: Mapping[str, object]) -> dict[str, object]:
    """Return what of ``values`` was told."""
    return {name: value for name, value in values.items() if value is not None}


def dialect_parts(part: Part, blob: Blob | None) -> Sequence[dict[str, Raw]]:
    """Return what of a part has no place in OpenAI's shape, as Gemini wrote it. ``blob``: what has one."""
    values = {name: getattr(part, member) for member, name in DIALECT.items()}
    if blob is not None:
        del values["inlineData"]
    told = raws(values)
    return [{name: value} for name, value in told.items()]
