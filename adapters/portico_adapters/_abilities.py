"""What a model can do, out of what its vendor writes of it in a list of models. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Raw
from msgspec.json import decode, encode

from portico.v1.models_pb2 import Model

# Members and members of members: of vLLM, Mistral, Groq, Anthropic and Gemini, llama.cpp; Cohere and
# OpenRouter write our own word.
_CONTEXT: Final = (
    ("context_length",),
    ("max_model_len",),
    ("max_context_length",),
    ("context_window",),
    ("max_input_tokens",),
    ("meta", "n_ctx"),
)
# Of Anthropic and Gemini, Groq, OpenRouter.
_OUTPUT: Final = (
    ("max_output_tokens",),
    ("max_tokens",),
    ("max_completion_tokens",),
    ("top_provider", "max_completion_tokens"),
)
# Where lists of words stand (OpenRouter and llama.cpp; OpenRouter; Cohere), and tables of words (Anthropic
# and Mistral).
_WORDS: Final = (
    ("architecture", "input_modalities"),
    ("supported_parameters",),
    ("features",),
    ("capabilities",),
)
_SUPPORTS: Final[Mapping[str, str]] = {
    "image": "images",
    "image_input": "images",
    "vision": "images",
    "audio": "audio",
    "file": "files",
    "pdf_input": "files",
    "tools": "tools",
    "function_calling": "tools",
    "response_format": "structured",
    "structured_outputs": "structured",
    "json_mode": "structured",
    "json_schema": "structured",
    "reasoning": "reasoning",
    "thinking": "reasoning",
}

# More is no number of tokens.
_MOST: Final = 1 << 40


def with_abilities(model: Model) -> Model:
    """Put into a model's fields what its other members say in a vendor's words; those stay as they are."""
    if not model.extra_json:
        return model
    try:
        extra = decode(model.extra_json)
    except (ValueError, RecursionError):
        return model
    created = extra.get("created")
    if isinstance(created, float) and abs(created) < 2**53:
        # SDKs want a whole second.
        model.created = int(created)
    context, output = _count(extra, _CONTEXT), _count(extra, _OUTPUT)
    if context and not model.HasField("context_length"):
        model.context_length = context
    if output and not model.HasField("max_output_tokens"):
        model.max_output_tokens = output
    words = {word for path in _WORDS for word in _words(_at(extra, path))}
    model.supports.extend(_sorted(words, model.supports))
    # A member that has a field now would stand there twice.
    if twice := {field.name for field, _ in model.ListFields()} & extra.keys():
        members = decode(model.extra_json, type=dict[str, Raw])
        kept = {name: value for name, value in members.items() if name not in twice}
        model.extra_json = encode(kept).decode() if kept else ""
    return model


def _sorted(words: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """Yield what words mean in our own, in the order of the table."""
    meant = {_SUPPORTS[word] for word in words if word in _SUPPORTS}.difference(known)
    yield from (each for each in dict.fromkeys(_SUPPORTS.values()) if each in meant)


def _count(extra: Mapping[str, Any], paths: Iterable[tuple[str, ...]]) -> int | None:
    """Return the first that is a number of tokens; Cohere writes them as 128000.0."""
    for path in paths:
        value = _at(extra, path)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _MOST:
            return int(value)
    return None


def _words(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (word for word in value if isinstance(word, str))
    elif isinstance(value, dict):
        for word, does in value.items():
            if does is True or (isinstance(does, dict) and does.get("supported") is True):
                yield word


def _at(value: Any, path: Iterable[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
