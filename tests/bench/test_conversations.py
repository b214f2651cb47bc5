"""What each further message of a conversation costs stays below a limit that is counted, not timed."""

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from portico.openai.requests import parse_chat, render_chat
from portico_core.validate import check_chat

# Calls of Python and C functions for each message. A tenth above what was counted.
READ: Final = 2.2
CHECKED: Final = 0.55
WRITTEN: Final = 6.6


def test_no_message_of_a_conversation_costs_more_than_it_did() -> None:
    """Agents send hundreds: a loop over them, or a call more for each, is felt."""
    assert _for_each(parse_chat, _body) <= READ
    assert _for_each(check_chat, _params) <= CHECKED
    assert _for_each(lambda params: render_chat(params, model="m", stream=False), _params) <= WRITTEN


def _body(messages: int) -> bytes:
    said = [{"role": ("user", "assistant")[number % 2], "content": "Hello!"} for number in range(messages)]
    return json.dumps({"model": "m", "messages": said}).encode()


def _params(messages: int) -> Any:
    return parse_chat(_body(messages))[0]


def _for_each(use: Callable[[Any], object], made: Callable[[int], Any]) -> float:
    few, many = made(100), made(300)
    # What is made once, at the first use.
    use(few)
    return (_calls(use, many) - _calls(use, few)) / 200


def _calls(use: Callable[[Any], object], given: Any) -> int:
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        use(given)
    finally:
        sys.setprofile(None)
    return calls
