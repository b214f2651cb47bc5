"""What messages name by URLs stands in the request that a backend without URLs gets."""

import json
from typing import Any

import pytest

from portico.adapter import Adapter, Limits, UpstreamCall
from portico.config import Url
from portico.errors import ErrorClass, GatewayError
from portico.openai.requests import parse_chat
from portico.secret import Secret
from portico.testing.contract import messages_of
from portico.testing.upstream import Upstream
from portico.testing.wire import answer
from portico_adapters._fetching import Fetching
from portico_adapters._http.fetch import Fetcher
from portico_adapters.bedrock import BedrockAdapter
from portico_adapters.bedrock.chat_request import chat_body as bedrock_body
from portico_adapters.bedrock.settings import BedrockSettings
from portico_adapters.ollama import OllamaAdapter
from portico_adapters.ollama.chat_request import chat_body as ollama_body
from portico_adapters.ollama.settings import OllamaSettings

IMAGE = answer(b"png", content_type="image/png")
PDF = answer(b"pdf", content_type="application/pdf")
INLINE = "data:image/png;base64,cG5n"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(url: str) -> dict[str, Any]:
    return {"type": "file", "file": {"filename": "a.pdf", "file_data": url}}


def asking(*parts: dict[str, Any]) -> UpstreamCall:
    messages = [{"role": "system", "content": "See."}, {"role": "user", "content": list(parts)}]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    return UpstreamCall(parse_chat(body)[0], "m", backend="b")


def unguarded() -> Fetching:
    """Return what may connect to this machine."""
    return Fetching(Fetcher("portico/test", lambda *_: True))


async def refused(fetching: Fetching, call: UpstreamCall) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await fetching.inlined(call)
    assert (caught.value.error_class, caught.value.http_status) == (ErrorClass.CALLER, 400)
    return caught.value


async def test_images_and_files_come_in_their_places() -> None:
    """What is inline stays; the request that other attempts share is not changed."""
    fetching = unguarded()
    async with Upstream(lambda request: PDF if request.path == "/a.pdf" else IMAGE) as server:
        call = asking(image(f"{server.url}/a"), image(INLINE), file(f"{server.url}/a.pdf"))
        before = call.params.SerializeToString()
        found = await fetching.inlined(call)
    assert call.params.SerializeToString() == before
    assert found.dropped is call.dropped
    first, second, third = found.params.messages[1].content_parts
    assert first.image_url.url == second.image_url.url == INLINE
    assert third.file.file_data == "data:application/pdf;base64,cGRm"
    blocks = json.loads(bedrock_body(found))["messages"][0]["content"]
    assert blocks[0] == {"image": {"format": "png", "source": {"bytes": "cG5n"}}}
    assert blocks[2]["document"]["source"] == {"bytes": "cGRm"}


async def test_ollama_gets_them_as_its_images() -> None:
    fetching = unguarded()
    async with Upstream(IMAGE) as server:
        found = await fetching.inlined(asking(image(f"{server.url}/a")))
    body = json.loads(ollama_body(found, OllamaSettings(url=Url("http://x")), stream=False))
    assert body["messages"][1]["images"] == ["cG5n"]


async def test_an_error_names_its_place() -> None:
    """And says why, though not what the server sent."""
    fetching = unguarded()
    async with Upstream(answer(b"secret page", 403)) as server:
        error = await refused(fetching, asking(image(INLINE), image(server.url)))
    assert (error.param, error.code) == ("messages[1].content[1].image_url.url", "invalid_image_url")
    assert error.message == "The image at this URL cannot be fetched: its server answers with status 403."


async def test_an_image_is_not_taken_for_a_file() -> None:
    fetching = unguarded()
    async with Upstream(IMAGE) as server:
        error = await refused(fetching, asking(file(server.url)))
    assert error.param == "messages[1].content[0].file.file_data"
    assert "application/pdf" in error.message


async def test_there_may_be_sixteen() -> None:
    """The place of the next one is named, and none is fetched."""
    fetching = unguarded()
    async with Upstream(IMAGE) as server:
        error = await refused(fetching, asking(*[image(server.url)] * 17))
        assert server.connections == 0
    assert error.param == "messages[1].content[16].image_url.url"


def ollama(url: str, *, fetch_urls: bool) -> Adapter:
    return OllamaAdapter("b", OllamaSettings(url=Url(url), fetch_urls=fetch_urls), Limits())


def bedrock(url: str, *, fetch_urls: bool) -> Adapter:
    settings = BedrockSettings(region="us-east-1", url=Url(url), api_key=Secret("k"), fetch_urls=fetch_urls)
    return BedrockAdapter("b", settings, Limits())


@pytest.mark.parametrize("make", [ollama, bedrock])
@pytest.mark.parametrize(
    ("fetch_urls", "why"),
    [(False, "does not support images other than"), (True, "not one of the open internet")],
)
async def test_an_adapter_fetches_where_it_is_told_to_and_never_from_its_own_network(
    make: Any, fetch_urls: bool, why: str
) -> None:
    """Whole and streamed: neither the server that is named nor the backend hears of it."""
    async with Upstream(IMAGE) as server:
        adapter = make(server.url, fetch_urls=fetch_urls)
        call = asking(image(f"{server.url}/a.png"))
        for way in (adapter.chat(call), messages_of(adapter, call)):
            with pytest.raises(GatewayError, match=why) as caught:
                await way
            assert caught.value.param == "messages[1].content[0].image_url.url"
        await adapter.aclose()
        assert server.connections == 0


async def test_bedrock_does_not_take_a_url_for_the_bytes_of_a_file() -> None:
    adapter = bedrock("http://127.0.0.1:1", fetch_urls=False)
    with pytest.raises(GatewayError, match="files other than base64"):
        await adapter.chat(asking(file("https://example.com/a.pdf")))
    await adapter.aclose()
