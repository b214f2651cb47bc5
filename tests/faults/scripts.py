"""What the upstream does by the name of a fault. Each script is given how the gateway asks it.

A script is a generator of steps (``portico.testing.wire``), so that it may go on without end.
"""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from portico.testing.wire import CLOSE, HANG, LAST_CHUNK, RESET, Pause, Step, answer, chunk, head, streamed


class Asked(NamedTuple):
    """How the gateway asks."""

    #: How often it asked for the same case before.
    before: int
    streamed: bool
    #: The caller's message.
    says: str = ""


Script = Callable[[Asked], Iterator[Step]]

#: What a whole answer says.
TEXT: Final = "one two three"

#: Seconds between two pieces of a slow drip, and how many there are.
DRIP: Final = 0.15
DRIPS: Final = 9

_SSE: Final = "text/event-stream"


def _event(delta: dict[str, Any] | None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


_ROLE: Final = _event({"role": "assistant", "content": ""})
_TEXT: Final = [_event({"content": word}) for word in ("one", " two", " three")]
_FINISH: Final = _event({}, "stop")
_DONE: Final = b"data: [DONE]\n\n"
_TOOL: Final = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
_ERROR: Final = {"error": {"message": "boom", "type": "server_error", "code": None, "param": None}}
_ERROR_EVENT: Final = b"data: " + json.dumps(_ERROR).encode() + b"\n\n"


def whole(finish: str | None = "stop", text: str = TEXT) -> bytes:
    """Return an unstreamed answer."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(body).encode()


def healthy(asked: Asked) -> Iterator[Step]:
    if asked.streamed:
        yield from streamed([_ROLE, *_TEXT, _FINISH, _DONE])
    else:
        yield from answer(whole())


def echo(asked: Asked) -> Iterator[Step]:
    """Answer, and repeat the caller's message at the end."""
    if asked.streamed:
        yield from streamed([_ROLE, *_TEXT, _event({"content": asked.says}), _FINISH, _DONE])
    else:
        yield from answer(whole(text=TEXT + asked.says))


def another(_asked: Asked) -> Iterator[Step]:
    """Answer something else."""
    yield from streamed([_ROLE, _event({"content": "uno dos tres"}), _FINISH, _DONE])


def goes_on(asked: Asked) -> Iterator[Step]:
    """Go on with the text that the last message begins."""
    yield from streamed([_ROLE, _event({"content": TEXT.removeprefix(asked.says)}), _FINISH, _DONE])


def reset_before_headers(_asked: Asked) -> Iterator[Step]:
    yield RESET


def headers_then_silence(asked: Asked) -> Iterator[Step]:
    yield head(content_type=_SSE if asked.streamed else "application/json")
    yield HANG


def begins_then_silence(asked: Asked) -> Iterator[Step]:
    yield from _begins(asked)
    yield HANG


def cut_before_content(asked: Asked) -> Iterator[Step]:
    yield from _begins(asked)
    yield RESET


def _begins(asked: Asked) -> list[Step]:
    """Return the start of an answer, in front of any content."""
    if asked.streamed:
        return streamed([_ROLE], end=False)
    return [head(length=len(whole())), whole()[:20]]


def slow_drip(asked: Asked) -> Iterator[Step]:
    body = b"".join([_ROLE, *_TEXT, _FINISH, _DONE]) if asked.streamed else whole()
    size = -(-len(body) // DRIPS)
    yield head(content_type=_SSE if asked.streamed else "application/json")
    for start in range(0, len(body), size):
        yield Pause(DRIP)
        yield chunk(body[start : start + size])
    yield LAST_CHUNK


def endless_drip(asked: Asked) -> Iterator[Step]:
    yield head(content_type=_SSE if asked.streamed else "application/json")
    while True:
        yield Pause(DRIP)
        yield chunk(b": still here\n\n" if asked.streamed else b" ")


def _then(*steps: Step) -> Script:
    """Say a word of a stream, then do this."""

    def script(_asked: Asked) -> Iterator[Step]:
        yield from streamed([_ROLE, _TEXT[0]], end=False)
        yield from steps

    return script


def drip_after_content(asked: Asked) -> Iterator[Step]:
    if asked.streamed:
        yield from streamed([_ROLE, _TEXT[0]], end=False)
        while True:
            yield Pause(DRIP)
            yield chunk(b": still here\n\n")
    yield from endless_drip(asked)


cut_after_content: Final = _then(RESET)
closed_after_content: Final = _then(CLOSE)
stall_after_content: Final = _then(HANG)
malformed_after_content: Final = _then(chunk(b"data: {not json\n\n"), LAST_CHUNK)
error_event_after_content: Final = _then(chunk(_ERROR_EVENT), LAST_CHUNK)
ends_without_finish: Final = _then(chunk(_DONE), LAST_CHUNK)


def no_finish(asked: Asked) -> Iterator[Step]:
    return ends_without_finish(asked) if asked.streamed else iter(answer(whole(finish=None)))


def cut_inside_a_tool_call(_asked: Asked) -> Iterator[Step]:
    yield from streamed([_ROLE, _event({"tool_calls": [_TOOL]})], end=False)
    yield RESET


def malformed(asked: Asked) -> Iterator[Step]:
    if asked.streamed:
        yield from streamed([b"data: {not json\n\n", _DONE])
    else:
        yield from answer(b"{not json")


def wrong_content_type(_asked: Asked) -> Iterator[Step]:
    yield from answer(b"<html><body>Welcome to nginx!</body></html>", content_type="text/html")


def error_body(_asked: Asked) -> Iterator[Step]:
    yield from answer(json.dumps(_ERROR).encode())


def error_event(_asked: Asked) -> Iterator[Step]:
    yield from streamed([_ROLE, _ERROR_EVENT, _DONE])


def no_done(_asked: Asked) -> Iterator[Step]:
    yield from streamed([_ROLE, *_TEXT, _FINISH])


def no_done_and_open(_asked: Asked) -> Iterator[Step]:
    yield from streamed([_ROLE, *_TEXT, _FINISH], end=False)
    yield HANG


def duplicate_finish(_asked: Asked) -> Iterator[Step]:
    yield from streamed([_ROLE, *_TEXT, _FINISH, _FINISH, _DONE])


def two_finishes(_asked: Asked) -> Iterator[Step]:
    yield from streamed([_ROLE, *_TEXT, _FINISH, _event({}, "length"), _DONE])


def content_after_finish(_asked: Asked) -> Iterator[Step]:
    """Take longer in all than the gateway waits for the end of a stream that is finished and silent."""
    yield from streamed([_ROLE], end=False)
    for start in range(0, len(TEXT), 3):
        yield Pause(0.6)
        yield chunk(_event({"content": TEXT[start : start + 3]}, "stop"))
    yield from (chunk(_DONE), LAST_CHUNK)


def status(code: int, *, times: int | None = None, **headers: str) -> Script:
    """Refuse with a status, so many times; None: for ever."""
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]

    def script(asked: Asked) -> Iterator[Step]:
        if times is not None and asked.before >= times:
            yield from healthy(asked)
        else:
            yield from answer(json.dumps(_ERROR).encode(), code, named)

    return script


def flapping(asked: Asked) -> Iterator[Step]:
    """Reset three of five connections."""
    return healthy(asked) if asked.before % 5 in (1, 3) else reset_before_headers(asked)


def chaos(asked: Asked) -> Iterator[Step]:
    """Do one thing or another by chance: echo half of the time."""
    named = _CHAOS_OF_STREAMS if asked.streamed else _CHAOS
    fault = random.choice(named) if random.random() < _CHAOS_SHARE else "echo"
    return SCRIPTS[fault](asked)


def endless_body(asked: Asked) -> Iterator[Step]:
    if asked.streamed:
        yield from streamed([_ROLE], end=False)
        while True:
            yield chunk(_event({"content": "word " * 200}))
    yield head()
    yield chunk(b'{"choices": [{"message": {"content": "')
    while True:
        yield chunk(b"x" * 65536)


def huge_line(_asked: Asked) -> Iterator[Step]:
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-much: " + b"x" * 1_000_000


def huge_event(_asked: Asked) -> Iterator[Step]:
    yield from streamed([_ROLE, b"data: "], end=False)
    while True:
        yield chunk(b"x" * 65536)


_CHAOS_SHARE: Final = 0.5
_CHAOS: Final = (
    *(
        "reset_before_headers",
        "headers_then_silence",
        "cut_before_content",
        "malformed",
        "wrong_content_type",
    ),
    *("error_body", "429_bare", "429_long", "500", "503", "529", "401", "400", "huge_line"),
)
_CHAOS_OF_STREAMS: Final = (
    *_CHAOS,
    *("begins_then_silence", "error_event", "cut_after_content", "closed_after_content"),
    *("stall_after_content", "malformed_after_content", "error_event_after_content", "no_finish"),
)

SCRIPTS: Final[dict[str, Script]] = {
    "healthy": healthy,
    "reset_before_headers": reset_before_headers,
    "headers_then_silence": headers_then_silence,
    "begins_then_silence": begins_then_silence,
    "slow_drip": slow_drip,
    "endless_drip": endless_drip,
    "cut_before_content": cut_before_content,
    "cut_after_content": cut_after_content,
    "closed_after_content": closed_after_content,
    "cut_inside_a_tool_call": cut_inside_a_tool_call,
    "stall_after_content": stall_after_content,
    "malformed": malformed,
    "malformed_after_content": malformed_after_content,
    "wrong_content_type": wrong_content_type,
    "error_body": error_body,
    "error_event": error_event,
    "error_event_after_content": error_event_after_content,
    "429_short": status(429, times=1, retry_after="1"),
    "429_long": status(429, retry_after="60"),
    "429_bare": status(429),
    "500_once": status(500, times=1),
    "500": status(500),
    "503": status(503),
    "529": status(529),
    "401": status(401),
    "400": status(400),
    "endless_body": endless_body,
    "huge_line": huge_line,
    "huge_event": huge_event,
    "no_finish": no_finish,
    "no_done": no_done,
    "no_done_and_open": no_done_and_open,
    "duplicate_finish": duplicate_finish,
    "two_finishes": two_finishes,
    "content_after_finish": content_after_finish,
    "flapping": flapping,
    # Deaf to the gateway's leaving as well: ``server`` sees to that.
    "ignores_cancel": stall_after_content,
    "drip_after_content": drip_after_content,
    "echo": echo,
    "another": another,
    "goes_on": goes_on,
    "chaos": chaos,
    "429_patient": status(429, retry_after="2"),
}
