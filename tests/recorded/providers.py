"""Every provider of the corpus: who translates it, who judges, what is served of it and what differs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar
from urllib.parse import unquote

from portico.adapter import Adapter, EmbeddingCall, Limits
from portico.config import Url
from portico.secret import Secret
from portico.v1.gateway_pb2 import EmbedResponse
from portico_adapters._flavours import FLAVOURS
from portico_adapters.anthropic import AnthropicAdapter
from portico_adapters.anthropic.settings import AnthropicSettings
from portico_adapters.azure import AzureAdapter, AzureSettings
from portico_adapters.bedrock import BedrockAdapter
from portico_adapters.bedrock.settings import BedrockSettings
from portico_adapters.cohere import CohereAdapter
from portico_adapters.cohere.settings import CohereSettings
from portico_adapters.gemini import GeminiAdapter
from portico_adapters.gemini.settings import GeminiSettings
from portico_adapters.ollama import OllamaAdapter
from portico_adapters.ollama.settings import OllamaSettings
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from portico_adapters.vertex import VertexAdapter
from portico_adapters.vertex.settings import VertexSettings
from tests.recorded import (
    anthropic_sdk,
    azure_sdk,
    bedrock_sdk,
    cohere_sdk,
    gemini_sdk,
    mistral_sdk,
    ollama_sdk,
    openai_sdk,
)
from tests.recorded.kinds import Kind
from tests.recorded.outcome import Outcome
from tests.support.corpus import Case

V = TypeVar("V")

#: Makes the adapter that calls the replay server. ``url`` chooses the case: ``http://127.0.0.1:1/@CASE``.
AdapterFactory = Callable[[str, Case], Adapter]
#: Has the official SDK call the same ``url``, streamed where the case is, and says what it made of it.
Judge = Callable[[str, Case, Kind], Outcome]


@dataclass(frozen=True)
class Provider:
    """One folder of the corpus. Each of its cases is either served or not served."""

    #: A regular expression that finds the path of a request -> what kind of call it is.
    served: Mapping[str, Kind] = field(default_factory=dict)
    #: The same -> why no adapter reads such cases. Looked at after ``served``.
    not_served: Mapping[str, str] = field(default_factory=dict)
    #: Both are there where anything is served.
    adapter: AdapterFactory | None = None
    judge: Judge | None = None
    #: The judge, as the generated page names it.
    judged_by: str = ""
    #: Case -> why adapter and judge read it differently. A test holds that they still do.
    differs: Mapping[str, str] = field(default_factory=dict)

    def kind_of(self, case: Case) -> Kind | None:
        """Return the kind of a case; None: it is not served."""
        return _first(self.served, case.path)

    def why_not(self, case: Case) -> str | None:
        """Return why a case is not served; None: nobody said so."""
        return _first(self.not_served, case.path)


def _first(table: Mapping[str, V], path: str) -> V | None:
    return next((value for pattern, value in table.items() if re.search(pattern, path)), None)


_OPENAI_KINDS: Final = {
    r"/chat/completions$": Kind.CHAT,
    r"(?<!chat)/completions$": Kind.TEXT,
    r"/v1/embeddings$": Kind.EMBEDDINGS,
    r"/v1/models$": Kind.MODELS,
}
_RESPONSES: Final = "the Responses API"
_OPENAI_OTHERS: Final = {
    r"/responses(/|$)": _RESPONSES,
    r"/batches(/|$)": "batches",
    r"/(files|fine_tuning)(/|$)": "files and fine-tuning",
    r"/moderations$": "moderations",
    r"/v1/models/": "single models: Portico answers from its own list",
    r"/v1/messages(/|$)": "Anthropic's dialect on a server of OpenAI's",
    r"/v1/nonexistent$": "an address that no client calls",
}


def _openai_adapter(url: str, case: Case) -> Adapter:
    """With the row of the case's provider, where there is one."""
    flavour = case.provider if case.provider in FLAVOURS else None
    return OpenAIAdapter("recorded", OpenAISettings(f"{url}/v1", flavour=flavour), Limits())


def _openai(judge: Judge = openai_sdk.judge, by: str = "openai") -> Provider:
    """Return the row of a server that speaks OpenAI's dialect; of some, with an SDK of its own."""
    return Provider(_OPENAI_KINDS, _OPENAI_OTHERS, _openai_adapter, judge, by)


_OLLAMA: Final = Provider(
    {
        r"^/api/chat$": Kind.CHAT,
        r"^/api/generate$": Kind.TEXT,
        r"^/api/embed$": Kind.EMBEDDINGS,
        r"^/api/tags$": Kind.MODELS,
    },
    {
        r"^/api/embeddings$": "the embeddings of older servers, which /api/embed replaced",
        r"^/api/(create|ps|pull|push|show)$": "care of the server's models",
    },
    lambda url, _: OllamaAdapter("recorded", OllamaSettings(url=url), Limits()),
    ollama_sdk.judge,
    "ollama",
)


def _azure_adapter(url: str, case: Case) -> Adapter:
    version = None if "/v1/" in case.path else azure_sdk.VERSION
    return AzureAdapter("recorded", AzureSettings(url, Secret("k"), api_version=version), Limits())


_AZURE: Final = Provider(
    {**_OPENAI_KINDS, r"/embeddings$": Kind.EMBEDDINGS},
    {r"/responses$": _RESPONSES},
    _azure_adapter,
    azure_sdk.judge,
    "openai (AzureOpenAI)",
)


_ANTHROPIC_CHAT: Final = {r"^/v1/messages$": Kind.CHAT}
_ANTHROPIC_OTHERS: Final = {
    r"^/v1/messages/batches(/|$)": "batches",
    r"^/v1/messages/count_tokens$": "counts of a prompt's tokens",
    r"^/v1/complete$": "the API before messages, which the SDK no longer knows",
}


def _anthropic_adapter(url: str, _: Case) -> Adapter:
    return AnthropicAdapter("recorded", AnthropicSettings(url=url, api_key=Secret("k")), Limits())


_ANTHROPIC: Final = Provider(
    {**_ANTHROPIC_CHAT, r"^/v1/models$": Kind.MODELS},
    _ANTHROPIC_OTHERS,
    _anthropic_adapter,
    anthropic_sdk.judge,
    "anthropic",
)


def _is_message(case: Case) -> bool:
    return case.path == "/v1/messages"


def _and_messages(row: Provider) -> Provider:
    """Return the row of a server of OpenAI's dialect that speaks Anthropic's too."""
    return replace(
        row,
        served={**row.served, **_ANTHROPIC_CHAT},
        not_served={
            **{path: why for path, why in row.not_served.items() if "messages" not in path},
            **_ANTHROPIC_OTHERS,
        },
        adapter=lambda url, case: (_anthropic_adapter if _is_message(case) else _openai_adapter)(url, case),
        judge=lambda url, case, kind: (anthropic_sdk if _is_message(case) else openai_sdk).judge(
            url, case, kind
        ),
        judged_by=f"{row.judged_by}, {_ANTHROPIC.judged_by}",
    )


_COHERE: Final = Provider(
    {r"^/v2/chat$": Kind.CHAT, r"^/v2/embed$": Kind.EMBEDDINGS, r"^/v1/models$": Kind.MODELS},
    {r"^/v1/chat$": "the older API, which /v2/chat replaced", r"^/v1/rerank$": "reranking"},
    lambda url, _: CohereAdapter("recorded", CohereSettings(url=Url(url)), Limits()),
    cohere_sdk.judge,
    "cohere",
)


def _bedrock_settings(url: str) -> BedrockSettings:
    keys = Secret("key"), Secret("secret")
    return BedrockSettings(region="us-east-1", url=Url(url), access_key_id=keys[0], secret_access_key=keys[1])


def _bedrock_adapter(url: str, _: Case) -> Adapter:
    return BedrockAdapter("recorded", _bedrock_settings(url), Limits())


_BEDROCK: Final = Provider(
    {r"/converse(-stream)?$": Kind.CHAT}, {}, _bedrock_adapter, bedrock_sdk.judge, "boto3"
)


class _Embedding(BedrockAdapter):
    """Calls the model of a case: its name tells the adapter how it is asked."""

    model: str

    async def embed(self, call: EmbeddingCall, /) -> EmbedResponse:
        return await super().embed(replace(call, model=self.model))


def _embedding_adapter(url: str, case: Case) -> Adapter:
    adapter = _Embedding("recorded", _bedrock_settings(url), Limits())
    adapter.model = unquote(case.path.split("/")[2])
    return adapter


_BEDROCK_INVOKE: Final = Provider(
    {r"embed[^/]*/invoke$": Kind.EMBEDDINGS},
    {
        r"^(?!.*embed).*/invoke(-with-response-stream)?$": (
            "models' own APIs, in place of which Converse is called"
        ),
        "/count-tokens$": "counts of a prompt's tokens",
    },
    _embedding_adapter,
    bedrock_sdk.judge,
    "boto3",
)


_INTERACTIONS: Final = "interactions, which keep their state at Google"
_GOOGLE_CHAT: Final = {r":(streamG|g)enerateContent$": Kind.CHAT}
_GOOGLE_OTHERS: Final = {
    ":countTokens$": "counts of a prompt's tokens",
    "/cachedContents/": "care of cached prompts",
    "/interactions$": _INTERACTIONS,
}


def _gemini_adapter(url: str, _: Case) -> Adapter:
    return GeminiAdapter("recorded", GeminiSettings(url=Url(url), api_key=Secret("k")), Limits())


def _vertex_adapter(url: str, _: Case) -> Adapter:
    settings = VertexSettings(
        url=Url(url),
        project=gemini_sdk.PROJECT,
        location=gemini_sdk.LOCATION,
        access_token=Secret("t"),
    )
    return VertexAdapter("recorded", settings, Limits())


_GEMINI: Final = Provider(
    # Of one case only the answer was recorded.
    {**_GOOGLE_CHAT, "^$": Kind.CHAT, ":batchEmbedContents$": Kind.EMBEDDINGS, "/models$": Kind.MODELS},
    _GOOGLE_OTHERS,
    _gemini_adapter,
    gemini_sdk.judge,
    "google-genai",
)
_VERTEX: Final = Provider(
    {**_GOOGLE_CHAT, ":predict$": Kind.EMBEDDINGS, "/models$": Kind.MODELS},
    _GOOGLE_OTHERS,
    _vertex_adapter,
    gemini_sdk.judge_vertex,
    "google-genai",
)


#: Folder of the corpus -> its row.
PROVIDERS: Final[Mapping[str, Provider]] = {
    "alibaba": _openai(),
    "anthropic": _ANTHROPIC,
    "azure": _AZURE,
    "bedrock-converse": _BEDROCK,
    "bedrock-invoke": _BEDROCK_INVOKE,
    "bedrock-mantle": _openai(),
    "cerebras": _openai(
        judge=partial(openai_sdk.judge, connect=openai_sdk.connect_cerebras), by="cerebras-cloud-sdk"
    ),
    "cohere": _COHERE,
    "deepseek": _openai(),
    "gemini": _GEMINI,
    "gemini-interactions": Provider(not_served={"^/v1beta/interactions": _INTERACTIONS}),
    "groq": _openai(judge=partial(openai_sdk.judge, connect=openai_sdk.connect_groq), by="groq"),
    "huggingface": Provider(not_served={"/api/models/": "the hub's own API"}),
    "llamacpp": _and_messages(_openai()),
    "mistral": _openai(mistral_sdk.judge, "mistralai"),
    "moonshot": _openai(),
    "ollama": _OLLAMA,
    "ollama-openai-compat": _openai(),
    "openai-batches": _openai(),
    "openai-chat": _openai(),
    "openai-completions": _openai(),
    "openai-embeddings": _openai(),
    "openai-finetune-files": _openai(),
    "openai-models": _openai(),
    "openai-moderations": _openai(),
    "openai-responses": _openai(),
    "openai-responses-compat": _openai(),
    "openrouter": _openai(),
    "perplexity": _openai(),
    "together": _openai(),
    "vertex": _VERTEX,
    "vllm": _openai(),
    "watsonx": Provider(not_served={"^/ml/": "watsonx.ai's own API"}),
    "xai": _openai(),
    "xai-responses": _openai(),
}
