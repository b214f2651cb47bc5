"""OpenAI's own SDKs for Node and Go, with only the base URL changed; skipped where Node or Go is absent."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portico.testing.upstream import Upstream
from portico.testing.wire import HANG, answer, streamed
from tests.end_to_end.clients.programs import PROGRAMS, Program
from tests.support.engine import Engine
from tests.support.gateway import Gateway, serve

ENGINE = "backends: {{engine: {{dialect: openai, url: {url}}}}}\nmodels: {{gpt-4: engine/tiny-chat}}\n"
SCRIPTED = "backends: {{up: {{dialect: openai, url: '{url}/v1', models: [m]}}}}\n"

#: The class that the Node SDK raises for a status. Go's SDK has one class, which holds the status.
NODE_CLASSES = {
    400: "BadRequestError",
    404: "NotFoundError",
    429: "RateLimitError",
    502: "InternalServerError",
    503: "InternalServerError",
}


@pytest.fixture(scope="module", params=list(PROGRAMS))
def client(request: pytest.FixtureRequest) -> Program:
    return PROGRAMS[request.param]()


@pytest.fixture(scope="module")
def engine_gateway(running_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose ``gpt-4`` is a real engine's model."""
    file = tmp_path_factory.mktemp("config") / "portico.yaml"
    file.write_text(ENGINE.format(url=running_engine.url), encoding="utf-8")
    with serve(file) as started:
        yield started


def _event(delta: dict[str, Any]) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: %b\n\n" % json.dumps(chunk).encode()


BEGUN = [_event({"role": "assistant", "content": "one"}), _event({"content": "two"})]


def _check(client: Program, failure: Any, status: int) -> None:
    assert failure["status"] == status
    assert failure["class"] == (NODE_CLASSES[status] if client.name == "node" else "Error")
    assert failure["request_id"]


def test_it_lists_and_finds_models(client: Program, default_gateway: Gateway) -> None:
    told = client.play("models", default_gateway.url, "dummy/echo-1")
    assert told == {"ids": ["dummy/echo-1", "dummy/story-1"], "owner": "dummy"}


def test_it_chats(client: Program, default_gateway: Gateway) -> None:
    told = client.play("chat", default_gateway.url, "dummy/echo-1")
    assert told["content"] == "print the list"
    assert told["finish_reason"] == "stop"
    assert told["model"] == told["served"] == "dummy/echo-1"
    assert told["total_tokens"] > 0
    assert told["request_id"]


def test_it_streams_from_the_engine(client: Program, engine_gateway: Gateway) -> None:
    """Role, many pieces, a finish reason and the usage that it asked for."""
    told = client.play("stream", engine_gateway.url, "gpt-4")
    assert told["role"] == "assistant"
    # The tiny model says little now and then.
    assert told["pieces"]
    assert told["finish_reason"] in {"stop", "length"}
    assert told["total_tokens"] > len(told["pieces"])


def test_it_calls_tools_of_the_engine(client: Program, engine_gateway: Gateway) -> None:
    """Whole, in pieces, and with the tool's result sent back."""
    told = client.play("tools", engine_gateway.url, "gpt-4")
    for call in told["whole"], told["streamed"]:
        assert call["name"] == "get_weather"
        assert json.loads(call["arguments"])["city"] in {"Rome", "Oslo"}
    assert told["after"]


def test_it_completes_texts(client: Program, default_gateway: Gateway) -> None:
    told = client.play("complete", default_gateway.url, "dummy/echo-1")
    assert told["text"] == told["streamed"] == "print the list"
    assert told["total_tokens"] > 0


def test_it_embeds(client: Program, default_gateway: Gateway) -> None:
    """One vector of numbers per text, whichever encoding the SDK asks for."""
    told = client.play("embed", default_gateway.url, "dummy/echo-1")
    one, two = told["vectors"]
    assert len(one) == len(two) > 1
    assert one != two
    assert all(isinstance(number, float | int) for number in one)
    assert told["total_tokens"] > 0


def test_an_unknown_model_is_not_found(client: Program, default_gateway: Gateway) -> None:
    failure = client.play("error", default_gateway.url, "nobody/knows")
    _check(client, failure, 404)
    assert failure["code"] == "model_not_found"


def test_what_the_backend_cannot_do_is_a_bad_request(client: Program, default_gateway: Gateway) -> None:
    failure = client.play("refused", default_gateway.url, "dummy/echo-1")
    _check(client, failure, 400)
    assert failure["param"] == "tools"


def test_a_missing_member_is_named(client: Program, default_gateway: Gateway) -> None:
    failure = client.play("invalid", default_gateway.url, "dummy/echo-1")
    _check(client, failure, 400)
    assert failure["param"] == "messages[0].role"


@pytest.mark.parametrize(("upstream_status", "status"), [(429, 429), (500, 502), (503, 503)])
async def test_failures_of_a_backend_have_their_class(
    client: Program, gateways: Callable[[str], Gateway], upstream_status: int, status: int
) -> None:
    error = {"error": {"message": "no", "type": "t", "param": None, "code": None}}
    async with Upstream(answer(json.dumps(error).encode(), upstream_status)) as upstream:
        url = gateways(SCRIPTED.format(url=upstream.url)).url
        _check(client, (await client.play_beside("error", url, "up/m"))[-1], status)


async def test_a_broken_stream_is_an_error_after_its_pieces(
    client: Program, gateways: Callable[[str], Gateway]
) -> None:
    """The backend ends without a finish reason: what came before is read, then the SDK raises."""
    async with Upstream(streamed(BEGUN)) as upstream:
        url = gateways(SCRIPTED.format(url=upstream.url)).url
        *pieces, failure = await client.play_beside("broken", url, "up/m")
    assert pieces == ["one", "two"]
    assert failure["class"] == {"node": "APIError", "go": "StreamError"}[client.name]
    assert "broke off" in failure["message"]


async def test_leaving_in_mid_stream_closes_the_backends_connection(
    client: Program, gateways: Callable[[str], Gateway]
) -> None:
    """It is the SDK's abort that does it: the program lives on until the backend has seen it."""
    async with Upstream([*streamed(BEGUN, end=False), HANG]) as upstream:
        url = gateways(SCRIPTED.format(url=upstream.url)).url
        async with client.until_first_word("abort", url, "up/m") as word:
            assert word == "aborted"
            await upstream.closed(upstream.requests[-1].connection)


def test_the_lock_files_name_no_registry() -> None:
    """They hold versions and hashes; where packages come from is the machine's own matter."""
    lock = json.loads((Path(__file__).parent / "node/package-lock.json").read_text())
    installed = [package for name, package in lock["packages"].items() if name]
    assert all(package["integrity"].startswith("sha512-") for package in installed)
    assert not any("resolved" in package for package in installed)


def test_the_go_sources_are_formatted() -> None:
    PROGRAMS["go"]()
    files = [str(file) for file in (Path(__file__).parent / "go").glob("*.go")]
    formatted = subprocess.run(("gofmt", "-l", *files), check=True, capture_output=True, text=True)
    assert len(files) == 2
    assert formatted.stdout == ""
