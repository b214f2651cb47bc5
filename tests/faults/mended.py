"""What a model's ``broken`` and ``hedge`` make of faults: the table, by which ``mended_calls`` judges."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.faults.expected import Kind
from tests.faults.scripts import TEXT

_HEDGE: Final = "hedge: 100ms"

#: What the backends of the table send before they break off.
_BEGUN: Final = "one"
_CALLED: Final = '{"a":'

BY_FIRST: Final = "first"
BY_SECOND: Final = "second"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. ``first`` and ``second`` are faults; "": there is no second candidate."""

    policy: str
    does: str
    first: str
    second: str
    comes: str
    kind: Kind = Kind.ANSWER
    code: str | None = None
    text: str = TEXT
    #: Calls of each candidate.
    calls: tuple[int, int] = (1, 1)
    #: Whom the answer names first.
    by: str = BY_SECOND
    #: Whose call the gateway leaves before it is over.
    left: str = ""

    @property
    def hedges(self) -> bool:
        return self.policy == _HEDGE


def _cut(policy: str, does: str, first: str, second: str, calls: tuple[int, int], text: str = _BEGUN) -> Row:
    comes = "cut, error event `upstream_error`"
    return Row(policy, does, first, second, comes, Kind.CUT, "upstream_error", text, calls, BY_FIRST)


_HOLD, _VERIFY, _PREFILL = "broken: hold", "broken: verify", "broken: prefill"
_RESETS = "resets after content, the second is well"
_STALLS = "sends content, then nothing; the second is well"
_IN_A_CALL = "resets within the arguments of a tool call, the second is well"
_SECOND = "answered by the second alone"
_JOINED = "one answer, begun by the first and gone on with by the second"

ROWS: Final = (
    Row(
        _HOLD,
        "resets after content, alone",
        "cut_after_content",
        "",
        "502 `upstream_error`, no content",
        Kind.ERROR,
        "upstream_error",
        "",
        (2, 0),
    ),
    Row(_HOLD, _RESETS, "cut_after_content", "healthy", _SECOND, calls=(2, 1)),
    Row(_HOLD, _STALLS, "stall_after_content", "healthy", _SECOND),
    Row(_HOLD, _IN_A_CALL, "cut_inside_a_tool_call", "healthy", _SECOND, calls=(2, 1)),
    Row(
        _HOLD,
        "ends without a finish_reason, the second is well",
        "no_finish",
        "healthy",
        _SECOND,
        calls=(2, 1),
    ),
    Row(_VERIFY, _RESETS, "cut_after_content", "healthy", _JOINED, calls=(2, 1), by=BY_FIRST),
    Row(_VERIFY, _STALLS, "stall_after_content", "healthy", _JOINED, by=BY_FIRST),
    _cut(
        _VERIFY,
        "resets after content, the second says something else",
        "cut_after_content",
        "another",
        (2, 1),
    ),
    _cut(_VERIFY, _IN_A_CALL, "cut_inside_a_tool_call", "healthy", (1, 0), _CALLED),
    Row(
        _PREFILL,
        "resets after content, the second goes on with it",
        "cut_after_content",
        "goes_on",
        _JOINED,
        by=BY_FIRST,
    ),
    _cut(_PREFILL, "resets after content, nobody can go on with it", "cut_after_content", "healthy", (1, 0)),
    _cut(_PREFILL, _IN_A_CALL, "cut_inside_a_tool_call", "goes_on", (1, 0), _CALLED),
    Row(
        _HEDGE,
        "sends its headers, then nothing; the second is well",
        "headers_then_silence",
        "healthy",
        f"{_SECOND}, the first is left",
        left=BY_FIRST,
    ),
    Row(
        _HEDGE,
        "is slow, and so is the second",
        "slow_drip",
        "headers_then_silence",
        "answered by the first, the second is left",
        by=BY_FIRST,
        left=BY_SECOND,
    ),
)


def rows() -> Iterator[str]:
    """Yield the rows of the page."""
    for row in ROWS:
        first, second = row.calls
        calls = f"{first} + {second}" if row.second else str(first)
        yield f"| `{row.policy}` | {row.does} | {row.comes} | {calls} |"
