"""What an error body tells, whatever its shape."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from msgspec.json import decode

# Where the words may be, in the order of looking: at OpenAI and most others; at FastAPI; in the flat
# shape of older vLLM and of AWS; in a list; in an entry of FastAPI's list.
_NESTS: Final = ("error", "detail", "message", "Message", "errors", "msg")

_MOST_WORDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """What a backend says of a failure. Empty, None or 0: it does not say."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    #: HTTP status that stands in the body.
    status: int = 0
    #: The beginning of a body without words for the caller: for the log.
    raw: str = ""


def told_by(body: bytes) -> Told:
    """Read the body of an answer with an error's status."""
    text = body[: 4 * _MOST_WORDS].decode(errors="replace").strip()[:_MOST_WORDS]
    try:
        told = _read(decode(body))
    except (ValueError, RecursionError):
        # A page is for a browser, and its words are often a proxy's.
        told = Told() if text.startswith("<") else Told(text)
    return told if told.message else replace(told, raw=text)


def told_in(data: bytes) -> Told | None:
    """Read the error in an answer of status 200, or in an event of its stream; None: it has none."""
    # Inside a JSON string the quotes would be escaped: without these bytes there is no error.
    if b'"error"' not in data:
        return None
    try:
        value = decode(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if value.get("error") or value.get("object") == "error":
        return _read(value)
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("error"):
            return _read(choice["error"])
        # Mistral and watsonx say no more than this.
        if isinstance(choice, dict) and choice.get("finish_reason") == "error":
            return Told("The backend could not go on with its answer.")
    return None


def _read(value: object) -> Told:
    if isinstance(value, str):
        return Told(value[:_MOST_WORDS])
    if isinstance(value, list):
        return _read(value[0]) if value else Told()
    if not isinstance(value, dict):
        return Told()
    inner = next((_read(value[name]) for name in _NESTS if value.get(name)), Told())
    status, code = _status_or_code(value.get("code"))
    # The inner object knows best; xAI has its code and vLLM its type beside the words.
    return Told(
        inner.message,
        inner.type or (None if "loc" in value else _text(value.get("type"))),
        inner.code or code,
        inner.param or _text(value.get("param")) or _place(value),
        inner.status or status,
    )


def _status_or_code(value: object) -> tuple[int, str | None]:
    """Tell an HTTP status, which many servers put there, from a code."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if text.isascii() and text.isdigit() and len(text) == 3:
        return int(text), None
    return 0, text or None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _place(value: Mapping[str, Any]) -> str | None:
    """Return FastAPI's ``loc``, ["body", "messages", 0, "role"], as OpenAI's ``messages[0].role``."""
    steps = value.get("loc")
    if not isinstance(steps, list):
        return None
    steps = steps[1:] if steps[:1] == ["body"] else steps
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return path.removeprefix(".") or None
