"""The dummy backend is an adapter like any other."""

from portico.adapter import Adapter, CompletionCall, EmbeddingCall, Limits, UpstreamCall
from portico.testing.contract import AdapterContract, Exchange
from portico.testing.optional_contract import CompletesContract, EmbedsContract
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.completions_pb2 import TextCompletionParams, TextInput, TextList
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico.v1.message_pb2 import ChatMessage
from portico_adapters.dummy import DummyAdapter


def _call(model: str, *, n: int | None = None, max_tokens: int | None = None) -> UpstreamCall:
    messages = [ChatMessage(role="user", content="How do rivers meet?")]
    return UpstreamCall(ChatCompletionParams(messages=messages, n=n, max_tokens=max_tokens), model)


class TestDummy(AdapterContract, CompletesContract, EmbedsContract):
    """Both models; several answers; an answer cut short."""

    exchanges = (
        Exchange(_call("echo-1")),
        Exchange(_call("story-1")),
        Exchange(_call("story-1", n=3)),
        Exchange(_call("story-1", max_tokens=5)),
    )

    texts = (
        Exchange(CompletionCall(TextCompletionParams(prompt=TextInput(text="a b")), "echo-1")),
        Exchange(CompletionCall(TextCompletionParams(prompt=TextInput(text="a"), n=2), "story-1")),
    )
    embeddings = (
        Exchange(EmbeddingCall(EmbeddingParams(input=TextInput(text="a")), "echo-1")),
        Exchange(
            EmbeddingCall(EmbeddingParams(input=TextInput(texts=TextList(values=["a", "b"]))), "echo-1")
        ),
    )

    def make_adapter(self, url: str) -> Adapter:
        return DummyAdapter("dummy", DummyAdapter.Settings(), Limits())
