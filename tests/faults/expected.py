"""What is to come of each fault: the table that the tests judge by, and docs/resilience.md shows."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

#: Seconds of the gateway's configuration in these tests.
CONNECT: Final = 0.8
SILENCE: Final = 0.8
TOTAL: Final = 4.0


class Kind(Enum):
    """How an answer may end, as its caller sees it."""

    ANSWER = "the whole answer"
    ERROR = "an error, and no content"
    CUT = "content, then an error"
    ENDLESS = "content until the caller leaves"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the caller sees, and what the upstream does."""

    kind: Kind
    status: int = 200
    code: str | None = None
    #: Attempts at the first candidate.
    tries: int = 1
    #: Seconds between them: at least and at most.
    pauses: tuple[tuple[float, float], ...] = ()
    #: Seconds that the call takes at the least.
    least: float = 0.0
    #: Whether a second candidate is asked after the last of them.
    elsewhere: bool = False
    #: Times that a whole answer says that it is finished.
    finishes: int = 1

    def with_second(self) -> "Expected":
        """Return what is expected of a call that has a second candidate, a healthy one."""
        if not self.elsewhere:
            return self
        return Expected(Kind.ANSWER, 200, None, self.tries, self.pauses, self.least, elsewhere=True)


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table. None: the fault is none of a stream, or of an unstreamed answer."""

    does: str
    whole: Expected | None
    streamed: Expected | None
    #: Takes a gigabyte through the loopback: by night but for one call of each form.
    heavy: bool = False


_AT_ONCE: Final = ((0.05, 0.1),)
_BUSY: Final = ((0.25, 0.5), (0.5, 1.0))

_ANSWER: Final = Expected(Kind.ANSWER)
_AGAIN: Final = Expected(Kind.ANSWER, tries=2, pauses=_AT_ONCE)


def _both(does: str, expected: Expected, *, heavy: bool = False) -> Fault:
    return Fault(does, expected, expected, heavy)


def _fails(status: int, code: str, *, tries: int = 1, least: float = 0.0) -> Expected:
    """Before any content: the second candidate is asked."""
    pauses = {1: (), 2: _AT_ONCE, 3: _BUSY}[tries]
    return Expected(Kind.ERROR, status, code, tries, pauses, least, elsewhere=True)


def _breaks(status: int, code: str, least: float = 0.0) -> Expected:
    """After content: nobody else is asked."""
    return Expected(Kind.CUT, status, code, least=least)


_FAILED: Final = _fails(502, "upstream_error", tries=2)
_TOO_LARGE: Final = _fails(502, "upstream_answer_too_large")
_SILENT: Final = _fails(504, "upstream_timeout", least=SILENCE)
_BROKEN: Final = _breaks(502, "upstream_error")

FAULTS: Final[dict[str, Fault]] = {
    "healthy": _both("nothing", _ANSWER),
    "refused": _both("refuses the connection", _fails(502, "upstream_unreachable")),
    "blackhole": _both("never accepts the connection", _fails(504, "upstream_timeout", least=CONNECT)),
    "reset_before_headers": _both("resets the connection before its headers", _FAILED),
    "headers_then_silence": _both("sends its headers, then nothing", _SILENT),
    "begins_then_silence": _both("sends a role (unstreamed: half of its answer), then nothing", _SILENT),
    "slow_drip": _both("sends an answer in small pieces, each within the limit of silence", _ANSWER),
    "endless_drip": Fault(
        "sends a blank (streamed: a comment) now and then, without end",
        Expected(Kind.ERROR, 504, "upstream_timeout", least=TOTAL),
        _fails(504, "upstream_timeout", least=TOTAL),
    ),
    "cut_before_content": _both("resets after a role (unstreamed: in the middle)", _FAILED),
    "cut_after_content": Fault("resets after content", None, _BROKEN),
    "closed_after_content": Fault("closes after content", None, _BROKEN),
    "cut_inside_a_tool_call": Fault("resets within the arguments of a tool call", None, _BROKEN),
    "stall_after_content": Fault(
        "sends content, then nothing", None, _breaks(504, "upstream_timeout", SILENCE)
    ),
    "malformed": _both("sends what is no JSON", _FAILED),
    "malformed_after_content": Fault("sends an event that is no JSON after content", None, _BROKEN),
    "wrong_content_type": _both("sends a page of HTML with 200", _FAILED),
    "error_body": _both("sends an error with 200", _FAILED),
    "error_event": Fault("sends an error event before content", None, _FAILED),
    "error_event_after_content": Fault("sends an error event after content", None, _BROKEN),
    "429_short": _both(
        "429 once, with `Retry-After: 1`", Expected(Kind.ANSWER, tries=2, pauses=((1.0, 1.1),), least=1.0)
    ),
    "429_long": _both("429 with `Retry-After: 60`", _fails(429, "rate_limit_exceeded")),
    "429_bare": _both("429 without Retry-After, for ever", _fails(429, "rate_limit_exceeded", tries=3)),
    "500_once": _both("500 once", _AGAIN),
    "503": _both("503 for ever", _fails(503, "overloaded", tries=3)),
    "529": _both("529 for ever", _fails(529, "overloaded", tries=3)),
    "401": _both("401 on the gateway's key", _fails(502, "upstream_credentials")),
    "400": _both("400, the caller's mistake", Expected(Kind.ERROR, 400, None)),
    "endless_body": Fault("sends content without end", _TOO_LARGE, Expected(Kind.ENDLESS), heavy=True),
    "huge_line": _both("sends a header of a megabyte", _FAILED),
    "huge_event": Fault("sends an event without end", None, _TOO_LARGE, heavy=True),
    "no_finish": Fault("ends without a finish_reason", _ANSWER, _BROKEN),
    "no_done": Fault("ends without `[DONE]`", None, _ANSWER),
    "no_done_and_open": Fault("neither sends `[DONE]` nor ends after its finish_reason", None, _ANSWER),
    "duplicate_finish": Fault("sends its finish_reason twice", None, Expected(Kind.ANSWER, finishes=2)),
    "two_finishes": Fault("sends a finish_reason, then another one", None, _ANSWER),
    "content_after_finish": Fault(
        "sends a finish_reason with every piece of its text",
        None,
        Expected(Kind.ANSWER, least=3.0, finishes=5),
    ),
    "ignores_cancel": Fault(
        "sends content, then nothing, and never closes", None, _breaks(504, "upstream_timeout", SILENCE)
    ),
}
