"""What no backend is asked: the gateway refuses it with 400 and names the parameter."""

from typing import Any

import openai
import pytest

from portico.testing.upstream import Upstream
from tests.end_to_end.backends import asked, chat, curl, gateway, openai_backend
from tests.support.gateway import Gateway

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}


def _parts(part: Any) -> Any:
    return {"messages": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"tools": [TOOL]}, "tools"),
        ({"tool_choice": "required", "tools": [TOOL]}, "tools"),
        ({"response_format": SCHEMA}, "response_format"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "ash", "format": "wav"}}, "modalities"),
        (_parts(IMAGE), "messages[0].content[0]"),
        (_parts(AUDIO), "messages[0].content[0]"),
    ],
    ids=["tools", "tool_choice", "schema", "audio", "image", "input_audio"],
)
def test_what_a_backend_cannot_do_is_refused_by_name(
    default_gateway: Gateway, wanted: Any, param: str, stream: bool
) -> None:
    asked: Any = {**chat("dummy/echo-1", stream=stream), **wanted}
    with default_gateway.sdk() as sdk, pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(**asked)
    assert refused.value.type == "invalid_request_error"
    assert refused.value.param is not None
    assert refused.value.param.startswith(param)
    assert "dummy" in refused.value.message


async def test_a_request_of_a_wrong_type_is_refused_before_anything_is_sent(tmp_path: Any) -> None:
    """Ranges are left to the backend, which knows them."""
    wrong: list[tuple[Any, str]] = [
        ({"messages": "hello"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        (_parts({"text": "hi"}), "messages[0].content[0].type"),
        (_parts({"type": "text"}), "messages[0].content[0].text"),
        ({"temperature": "warm"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"model": None}, "model"),
    ]
    async with Upstream(openai_backend("hi", "m")) as upstream:
        env = {"OPENAI_BASE_URL": f"{upstream.url}/v1"}
        async with gateway(tmp_path, env) as running, curl(running) as client:
            for change, param in wrong:
                refused = await client.post("/v1/chat/completions", json={**chat("m"), **change})
                error = refused.json()["error"]
                assert (refused.status_code, error["type"]) == (400, "invalid_request_error"), param
                assert error["param"] == param
            assert asked(upstream) == []
            hot = await client.post("/v1/chat/completions", json=chat("m", temperature=99))
            assert hot.status_code == 200
            assert asked(upstream)[0].json()["temperature"] == 99
