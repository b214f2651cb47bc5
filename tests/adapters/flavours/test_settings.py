"""How a backend says which provider it is, and what reaches that provider."""

import pytest

from portico.adapter import Limits, UpstreamCall
from portico.config import ConfigError, fill, parse
from portico.testing.upstream import Upstream
from portico.testing.wire import answer
from portico.v1.chat_pb2 import ChatCompletionParams
from portico_adapters._flavours import FLAVOURS
from portico_adapters.azure import AzureSettings
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from tests.adapters.flavours.fixtures import read
from tests.adapters.openai_tools import CALL


@pytest.mark.parametrize("name", FLAVOURS)
def test_a_flavour_brings_its_url(name: str) -> None:
    """But where no two users have the same."""
    url = FLAVOURS[name].url
    if not url:
        with pytest.raises(ValueError, match="url is missing"):
            OpenAISettings(flavour=name)
    else:
        assert OpenAISettings(flavour=name).base == url
        OpenAIAdapter("acme", OpenAISettings(flavour=name), Limits())


MISTAKES = {
    "flavour: mistrall": "flavour: expected one of openai, alibaba",
    "api_key: k": "url is missing",
}


@pytest.mark.parametrize(("text", "wanted"), MISTAKES.items())
def test_a_mistake_is_told(text: str, wanted: str) -> None:
    """With its line."""
    with pytest.raises(ConfigError, match=wanted):
        fill(OpenAISettings, parse(text, "portico.yaml", {}))


def test_azure_has_no_usual_url() -> None:
    """Whatever is deployed there."""
    with pytest.raises(ValueError, match="url is missing"):
        AzureSettings(flavour="mistral")


async def test_the_backend_is_asked_in_its_flavour() -> None:
    """Though its host is not the provider's."""
    async with Upstream(answer(read("mistral_thinking.json"))) as upstream:
        adapter = OpenAIAdapter("acme", OpenAISettings(f"{upstream.url}/v1", flavour="mistral"), Limits())
        call = UpstreamCall(ChatCompletionParams(messages=CALL.params.messages, seed=7), "m")
        try:
            await adapter.chat(call)
        finally:
            await adapter.aclose()
        body = upstream.requests[0].json()
    assert body["random_seed"] == 7
    assert "seed" not in body
