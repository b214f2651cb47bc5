"""Every member of OpenAI's chat, text, embedding and model types has a typed field in the contract.

The types are those of the installed ``openai`` package: when a new release adds a member, this test
names it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from openai.types import (
    Completion,
    CompletionUsage,
    CreateEmbeddingResponse,
    EmbeddingCreateParams,
)
from openai.types import Model as OpenAIModel
from openai.types import chat as openai_chat
from openai.types import (
    completion_create_params as text_create_params,
)
from openai.types.chat import completion_create_params
from pydantic import BaseModel
from typing_extensions import is_typeddict

from portico.v1 import (
    chat_pb2,
    chunk_pb2,
    completions_pb2,
    embeddings_pb2,
    models_pb2,
    tools_pb2,
    usage_pb2,
)

# A field that holds another form of a member: content as text or as parts, a voice by name or by id.
FORMS = {"content_parts": "content", "custom_voice": "voice"}

# `stream` is said by the RPC.
NO_FIELD = {"stream"}

# The objects of tool_choice are one oneof; test_requests.py reads each of them into its field.
LEAVES = {tools_pb2.ToolChoice.DESCRIPTOR}

Fields = dict[str, list[FieldDescriptor]]

PAIRS = [
    (completion_create_params.CompletionCreateParamsNonStreaming, [chat_pb2.ChatCompletionParams]),
    (completion_create_params.CompletionCreateParamsStreaming, [chat_pb2.ChatCompletionParams]),
    (openai_chat.ChatCompletion, [chat_pb2.ChatCompletion]),
    (openai_chat.ChatCompletionChunk, [chunk_pb2.ChatChunk, chunk_pb2.ChunkHeader]),
    (OpenAIModel, [models_pb2.Model]),
    (CompletionUsage, [usage_pb2.Usage]),
    (text_create_params.CompletionCreateParamsNonStreaming, [completions_pb2.TextCompletionParams]),
    (text_create_params.CompletionCreateParamsStreaming, [completions_pb2.TextCompletionParams]),
    (Completion, [completions_pb2.TextCompletion]),
    (EmbeddingCreateParams, [embeddings_pb2.EmbeddingParams]),
    (CreateEmbeddingResponse, [embeddings_pb2.EmbeddingList]),
]


@pytest.mark.parametrize(("theirs", "ours"), PAIRS, ids=lambda value: getattr(value, "__name__", ""))
def test_each_member_has_a_typed_field(theirs: Any, ours: list[Any]) -> None:
    """No member of the type, at any depth, lacks a field."""
    walk = Walk()
    walk.compare(theirs, fields(message.DESCRIPTOR for message in ours), theirs.__name__)
    assert walk.missing == []
    assert walk.seen > 3


class Walk:
    """Walks OpenAI's types and our messages side by side."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.seen = 0
        self._done: set[tuple[Any, frozenset[str]]] = set()

    def compare(self, theirs: Any, ours: Fields, path: str) -> None:
        key = (theirs, frozenset(field.full_name for each in ours.values() for field in each))
        if key in self._done:
            return
        self._done.add(key)
        for member, annotation in members(theirs):
            if member in NO_FIELD:
                continue
            self.seen += 1
            if member not in ours:
                self.missing.append(f"{path}.{member}")
                continue
            for inner in objects_in(annotation):
                self._descend(inner, ours[member], f"{path}.{member}")

    def _descend(self, theirs: Any, ours: list[FieldDescriptor], path: str) -> None:
        """An object is in order when a message takes it, or a field carries it verbatim."""
        if any(field.name.endswith("_json") for field in ours):
            return
        messages = [field.message_type for field in ours if field.message_type is not None]
        if not messages:
            self.missing.append(f"{path} as {theirs.__name__}")
        elif not LEAVES.intersection(messages):
            self.compare(theirs, fields(messages), path)


def fields(descriptors: Iterable[Descriptor]) -> Fields:
    """Return the fields of messages by the JSON members that they stand for."""
    found: Fields = {}
    for descriptor in descriptors:
        for field in descriptor.fields:
            oneof = field.containing_oneof
            if oneof is not None and len(oneof.fields) > 1:
                found.setdefault(oneof.name, []).append(field)
                continue
            member = FORMS.get(field.name) or field.name.removesuffix("_json")
            found.setdefault(member, []).append(field)
    return found


def members(theirs: Any) -> Iterator[tuple[str, Any]]:
    """Return the members of a TypedDict or a model, with their types."""
    if is_typeddict(theirs):
        yield from get_type_hints(theirs, include_extras=True).items()
    else:
        for name, info in theirs.model_fields.items():
            yield info.alias or name, info.annotation


def objects_in(annotation: Any) -> Iterator[Any]:
    """Return the object types inside a type, however deep in unions and lists."""
    if is_typeddict(annotation) or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        yield annotation
    elif get_origin(annotation) is not dict:
        for inner in get_args(annotation):
            yield from objects_in(inner)


def test_a_member_without_a_field_is_named() -> None:
    """The walk finds what is missing, at the top and inside objects."""
    walk = Walk()
    ours = fields([usage_pb2.Usage.DESCRIPTOR])
    del ours["total_tokens"]
    ours["prompt_tokens_details"] = ours["completion_tokens_details"]
    walk.compare(CompletionUsage, ours, "usage")
    assert "usage.total_tokens" in walk.missing
    assert "usage.prompt_tokens_details.cached_tokens" in walk.missing
