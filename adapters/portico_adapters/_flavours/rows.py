"""The providers, by name.

Facts: the official SDKs of Mistral, Groq and Cerebras, Groq's page "OpenAI compatibility", DeepSeek's
reference (its formats are text and json_object) and the recorded exchanges of all (docs/providers.md); the
other rows are what the providers' references were known to say in November 2026.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from portico.v1.tools_pb2 import ToolChoice
from portico_adapters._flavours.row import PLAIN, Flavour, Thoughts

_ONE_LIMIT: Final = {"max_completion_tokens": "max_tokens"}
# Chat templates and older APIs know the role by its older name alone.
_NO_DEVELOPER: Final = {"developer": "system"}

_ONE_ANSWER: Final = {"n": (1,)}
_NO_AUDIO: Final = {"audio": (), "modalities": (["text"],)}
_NO_FUNCTIONS: Final = {"functions": (), "function_call": ()}
# To keep an answer is what a caller may count on; that it is not kept is no wish of anybody's.
_NO_STORE: Final = {"store": (False,)}
_NO_MODERATION: Final = {"moderation_json": ()}

FLAVOURS: Final[Mapping[str, Flavour]] = {
    "openai": Flavour(url="https://api.openai.com/v1", hosts=("api.openai.com",)),
    # "OpenAI compatible - Chat" of Model Studio's documentation; it writes max_tokens.
    "alibaba": Flavour(
        url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        hosts=("aliyuncs.com",),
        renamed=_ONE_LIMIT,
        roles=_NO_DEVELOPER,
    ),
    "cerebras": Flavour(
        url="https://api.cerebras.ai/v1",
        hosts=("cerebras.ai",),
        refused={
            **_NO_AUDIO,
            **_NO_FUNCTIONS,
            **_NO_STORE,
            **_NO_MODERATION,
            "verbosity": ("medium",),
            "web_search_options": (),
        },
        unsent=("metadata", "prompt_cache_options", "prompt_cache_retention", "safety_identifier"),
        thoughts=Thoughts.REASONING,
    ),
    "deepseek": Flavour(
        url="https://api.deepseek.com",
        hosts=("deepseek.com",),
        renamed=_ONE_LIMIT,
        refused={**_ONE_ANSWER, "logit_bias": ()},
        roles=_NO_DEVELOPER,
        takes_schemas=False,
        thoughts=Thoughts.WITH_TOOLS,
    ),
    # docs.fireworks.ai, "Create Chat Completion": max_tokens.
    "fireworks": Flavour(
        url="https://api.fireworks.ai/inference/v1",
        hosts=("fireworks.ai",),
        renamed=_ONE_LIMIT,
        roles=_NO_DEVELOPER,
    ),
    "groq": Flavour(
        url="https://api.groq.com/openai/v1",
        hosts=("groq.com",),
        refused={
            **_NO_AUDIO,
            **_ONE_ANSWER,
            **_NO_STORE,
            **_NO_MODERATION,
            "logit_bias": (),
            "logprobs": (False,),
            "top_logprobs": (0,),
            "prediction": (),
            "verbosity": ("medium",),
            "web_search_options": (),
        },
        unsent=(
            "metadata",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "safety_identifier",
        ),
        takes_names=False,
        thoughts=Thoughts.REASONING,
    ),
    "huggingface": Flavour(
        url="https://router.huggingface.co/v1",
        hosts=("huggingface.co", "huggingface.cloud"),
        renamed=_ONE_LIMIT,
        roles=_NO_DEVELOPER,
    ),
    "llamacpp": Flavour(url="http://localhost:8080/v1", roles=_NO_DEVELOPER, names_no_function=True),
    "mistral": Flavour(
        url="https://api.mistral.ai/v1",
        hosts=("mistral.ai",),
        renamed={**_ONE_LIMIT, "seed": "random_seed", "dimensions": "output_dimension"},
        refused={
            **_NO_AUDIO,
            **_NO_FUNCTIONS,
            **_NO_STORE,
            **_NO_MODERATION,
            "logit_bias": (),
            "verbosity": ("medium",),
            "web_search_options": (),
        },
        unsent=(
            "prompt_cache_options",
            "prompt_cache_retention",
            "safety_identifier",
            "user",
        ),
        roles=_NO_DEVELOPER,
        tool_choices={"required": "any"},
        tool_id_length=9,
        thoughts=Thoughts.PARTS,
        takes_stream_options=False,
        continues_prefix=True,
    ),
    # platform.kimi.ai, "Create Chat Completion": max_tokens is deprecated for max_completion_tokens,
    # and roles are system, user and assistant.
    "moonshot": Flavour(
        url="https://api.moonshot.ai/v1",
        hosts=("moonshot.ai", "moonshot.cn"),
        roles=_NO_DEVELOPER,
    ),
    # Its page "OpenAI compatibility": what it does not list it passes over in silence.
    "ollama": Flavour(
        url="http://localhost:11434/v1",
        renamed=_ONE_LIMIT,
        refused={
            **_NO_AUDIO,
            **_NO_FUNCTIONS,
            **_NO_STORE,
            **_NO_MODERATION,
            **_ONE_ANSWER,
            "logit_bias": (),
            "logprobs": (False,),
            "top_logprobs": (0,),
            "prediction": (),
            "tool_choice": (ToolChoice(mode="auto"),),
            "verbosity": ("medium",),
            "web_search_options": (),
        },
        unsent=(
            "metadata",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "safety_identifier",
            "user",
        ),
        roles=_NO_DEVELOPER,
    ),
    "openrouter": Flavour(url="https://openrouter.ai/api/v1", hosts=("openrouter.ai",)),
    # docs.perplexity.ai, "Chat Completions": max_tokens; it has neither n nor logit_bias.
    "perplexity": Flavour(
        url="https://api.perplexity.ai",
        hosts=("perplexity.ai",),
        renamed=_ONE_LIMIT,
        refused={**_ONE_ANSWER, "logit_bias": ()},
        roles=_NO_DEVELOPER,
    ),
    "together": Flavour(
        url="https://api.together.xyz/v1",
        hosts=("together.xyz", "together.ai"),
        renamed=_ONE_LIMIT,
        roles=_NO_DEVELOPER,
    ),
    "vllm": Flavour(url="http://localhost:8000/v1", roles=_NO_DEVELOPER),
    "watsonx": Flavour(hosts=("ml.cloud.ibm.com",), renamed=_ONE_LIMIT, roles=_NO_DEVELOPER),
    "xai": Flavour(url="https://api.x.ai/v1", hosts=("x.ai",)),
}


def flavour_of(name: str | None, url: str) -> Flavour:
    """Return the row of a provider by its name, or else by the host of ``url``.

    It is ``PLAIN`` where no row is the provider's, and where its row changes nothing.
    """
    row = FLAVOURS[name] if name else _by_host(urlsplit(url).hostname or "")
    return PLAIN if replace(row, url="", hosts=()) == PLAIN else row


def _by_host(host: str) -> Flavour:
    rows = (row for row in FLAVOURS.values() for of in row.hosts if host == of or host.endswith(f".{of}"))
    return next(rows, PLAIN)
