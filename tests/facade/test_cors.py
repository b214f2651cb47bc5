"""Web pages: which may call, and what they may read."""

import pytest

from tests.facade.clients import Facade
from tests.facade.conftest import Start
from tests.facade.messages import ask

CHAT = "/v1/chat/completions"
PAGE = "https://chat.example.com"


async def test_any_page_may_call_by_default(portico: Facade) -> None:
    """Answers, errors and streams; all headers may be read."""
    for method, path, body in [
        ("POST", CHAT, ask()),
        ("POST", CHAT, ask(stream=True)),
        ("POST", CHAT, {}),
        ("GET", "/v1/models", None),
        ("GET", "/nowhere", None),
    ]:
        answer = await portico.ask(method, path, body, origin=PAGE)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


async def test_callers_that_are_no_page_get_no_such_header(portico: Facade) -> None:
    """SDKs send no Origin."""
    answer = await portico.ask("POST", CHAT, ask())
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", [CHAT, "/nowhere"])
async def test_a_preflight_is_answered_for_the_headers_that_the_page_will_send(
    portico: Facade, path: str
) -> None:
    """By name: a wild card would leave Authorization out. A page may read a 404, too."""
    answer = await portico.ask(
        "OPTIONS",
        path,
        origin=PAGE,
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type,x-stainless-lang",
    )
    assert answer.status == 204
    assert answer.body == b""
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-lang"
    assert answer.headers["access-control-max-age"] == "7200"
    assert "OPTIONS" in answer.headers["access-control-allow-methods"]


async def test_only_listed_pages_may_call_when_there_is_a_list(start: Start) -> None:
    """And caches are told that answers differ by page."""
    async with start(cors=[PAGE + "/"]) as portico:
        listed = await portico.ask("POST", CHAT, ask(), origin=PAGE)
        assert listed.headers["access-control-allow-origin"] == PAGE
        assert listed.headers["vary"] == "Origin"
        other = await portico.ask("OPTIONS", CHAT, origin="https://evil.example.com")
        assert other.status == 204
        assert not [name for name in other.headers if name.startswith("access-control")]
        assert other.headers["vary"] == "Origin"


async def test_no_page_may_call_when_it_is_off(start: Start) -> None:
    """OPTIONS still tells the methods."""
    async with start(cors="off") as portico:
        answer = await portico.ask("OPTIONS", CHAT, origin=PAGE)
        assert answer.headers["allow"] == "POST, OPTIONS"
        assert not [name for name in answer.headers if name.startswith("access-control")]
