"""Every recorded exchange in OpenAI's dialect, through the whole gateway, read by the official SDK.

The SDK reads each answer twice: from the replay server itself, and through facade, core and adapter.
Both must tell the same, however the bytes arrive at the gateway.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from portico.errors import from_upstream
from tests.proto.openai.endpoints import CHAT, EMBEDDINGS, endpoint_of
from tests.support.corpus import Case, cases, parametrize
from tests.support.gateway import Gateway, serve
from tests.support.meaning import streamed, whole
from tests.support.replay import replay

#: Where the gateway says in OpenAI's terms what the provider said in its own, and the SDK passes on unread.
#: Whether it says it rightly is judged by the providers' own SDKs (tests/recorded).
MENDED = {
    "usage that stands in x_groq comes where OpenAI has it": (
        "groq-llama3-8b-8192-streamed-chat-e0e4b9",
        "test-chat-streaming-with-events-with-content-67966a",
        "testtokencounts-test-groq-276d04",
    ),
    "thinking in lists of content is reasoning_content, and the text a string": (
        "chat-mistral-hybrid-reasoning-streams-thinking-separately-fr-d309a0",
        "mistral-reasoning-stream-f39ff5",
        "mistral-v1-chat-completions-post-20aaaaf3-f22fca",
        "mistral-v1-chat-completions-post-ccfa08da-63686b",
        "test-reasoning-wire-contract-mistral-small-thinking-high-fc9ce0",
    ),
    "cached tokens come in prompt_tokens_details": ("moonshotai-reasoning-0d491d",),
    "the finish reason eos is stop": (
        "test-async-chat-c349b0",
        "test-chat-stream-312f5f",
        "test-chat-with-tool-call-84fad3",
        "test-together-chat-legacy-174e54",
        "test-trace-config-hide-inputs-124b2c",
    ),
    "a tier that OpenAI does not have is default, and stands in native_service_tier": (
        "groq-text-2f2a4c",
        "groq-tool-call-b642d8",
        "test-reasoning-wire-contract-groq-gpt-oss-thinking-false-noo-cf7214",
        "test-reasoning-wire-contract-groq-gpt-oss-thinking-merges-us-17432c",
        "test-reasoning-wire-contract-groq-gpt-oss-thinking-minimal-f-dd44dc",
        "test-reasoning-wire-contract-groq-qwen3-enable-level-sends-n-2522da",
    ),
    "calls of tools have a type, and in streams an index": (
        "mistral-tool-call-e9c3a1",
        "mistral-tool-call-stream-f859c6",
    ),
    "a call whose arguments never came has those of no argument": ("test-tools-streaming-variant-d-d1c0d5",),
    "the end that stands in finish_details is the finish reason": ("chat-completion-image-input-52cabe",),
    "later entries of a list without an index get one, or stream() of the SDK raises": (
        "test-openrouter-streaming-reasoning-cebea9",
    ),
}
TRANSLATED = frozenset(name for cases in MENDED.values() for name in cases)

#: For all SDKs: to make one takes longer than an exchange.
HTTP = openai.DefaultHttpxClient()

CHUNKINGS = {"whole": "all", "pieces": "64", "bytes": "byte"}


def _is_ours(case: Case) -> bool:
    return "?" not in case.path and endpoint_of(case.path) is not None


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """One replay server per chunking."""
    providers = sorted({case.provider for case in cases() if _is_ours(case)})
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(replay(*providers, chunk=chunk)) for name, chunk in CHUNKINGS.items()
        }


@pytest.fixture(scope="module")
def gateway(
    servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory, layout: Mapping[str, str]
) -> Iterator[Gateway]:
    """One gateway with a backend per case and chunking, in each layout."""
    backends = (
        f"  {_backend(case, chunking)}: {{dialect: openai, url: '{url}/@{case.name}/v1', models: [m]}}"
        for chunking, url in servers.items()
        for case in cases()
        if _is_ours(case)
    )
    file = tmp_path_factory.mktemp("config") / "portico.yaml"
    file.write_text("backends:\n" + "\n".join(backends), encoding="utf-8")
    with serve(file, env={"LOG_LEVEL": "warning", **layout}) as started:
        yield started


@parametrize(_is_ours)
def test_the_sdk_reads_the_same_through_the_gateway(
    case: Case, servers: dict[str, str], gateway: Gateway
) -> None:
    """Text, tool calls, vectors, finish reasons, usage and error class; whole, in pieces and byte by byte."""
    direct = _outcome(f"{servers['whole']}/@{case.name}/v1", "m", case)
    wanted = _expected(case, direct)
    if case.name in TRANSLATED:
        assert "status" not in wanted
        translated = _outcome(gateway.url, f"{_backend(case, 'whole')}/m", case)
        assert translated != wanted, "it is no longer another: strike it from the list"
        wanted = translated
    for chunking in CHUNKINGS:
        model = f"{_backend(case, chunking)}/m"
        assert _less_made_usage(_outcome(gateway.url, model, case), wanted) == wanted, chunking


def _less_made_usage(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Leave out a usage that the gateway made, and marked as such, where the provider told none."""
    made = not wanted.get("usage") and (found.get("usage") or {}).get("source") in {"counted", "estimated"}
    if not made:
        return found
    return {
        **{name: value for name, value in found.items() if name != "usage"},
        **{name: value for name, value in wanted.items() if name == "usage"},
    }


def _backend(case: Case, chunking: str) -> str:
    return f"{chunking}-{cases().index(case)}"


def _expected(case: Case, direct: Any) -> Any:
    """What the gateway owes the caller: the provider's answer, or its error by the table in."""
    if case.status < 400:
        return direct
    return {"status": from_upstream(case.status, "").http_status}


def _outcome(base_url: str, model: str, case: Case) -> Any:
    """Ask once and return what the SDK makes of the answer, in comparable form."""
    endpoint = endpoint_of(case.path)
    sdk = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=30, http_client=HTTP)
    try:
        if endpoint is EMBEDDINGS:
            # As it was recorded: the SDK's own default is base64, whatever the backend then sends.
            recorded: Any = {"encoding_format": (case.request or {}).get("encoding_format") or "float"}
            return whole(sdk.embeddings.create(model=model, input="x", **recorded))
        create: Any = sdk.chat.completions.create if endpoint is CHAT else sdk.completions.create
        messages = {"messages": [{"role": "user", "content": "x"}]}
        asked: Any = {"model": model, **(messages if endpoint is CHAT else {"prompt": "x"})}
        if not case.stream:
            return whole(create(**asked))
        return streamed(list(create(**asked, stream=True, stream_options={"include_usage": True})))
    except openai.APIStatusError as error:
        return {"status": error.status_code}
