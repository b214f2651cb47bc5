"""The adapter for OpenAI's dialect keeps the contract, with answers of every kind."""

import json
from pathlib import Path

from portico.adapter import Adapter, CompletionCall, EmbeddingCall, Limits
from portico.testing.contract import Exchange
from portico.testing.optional_contract import CompletesContract, EmbedsContract
from portico.testing.upstream_contract import UpstreamContract
from portico.v1.completions_pb2 import TextCompletionParams, TextInput
from portico.v1.embeddings_pb2 import EmbeddingParams
from portico_adapters.openai import OpenAIAdapter, OpenAISettings
from tests.adapters.openai_tools import CALL, WIRE

# Plain text first, as the contract wants it.
_ANSWERS = sorted(WIRE.glob("*.json"), key=lambda file: (file.stem != "text", file))


def _exchange(answer: Path) -> Exchange:
    *events, last = answer.with_suffix(".txt").read_bytes().split(b"\n\n")
    stream = [event + b"\n\n" for event in events]
    return Exchange(CALL, answer.stem, answer.read_bytes(), [*stream, last] if last else stream)


_USAGE = b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'
_HEAD = b'{"id":"c","object":"text_completion","created":1,"model":"m","choices":['
_TEXT = _HEAD + b'{"index":0,"text":" upon a","finish_reason":"length","logprobs":null}],' + _USAGE + b"}"
_PIECES = (
    b"data: " + _HEAD + b'{"index":0,"text":" upon"}]}\n\n',
    b"data: " + _HEAD + b'{"index":0,"text":" a","finish_reason":"length"}]}\n\n',
    b"data: " + _HEAD + b"]," + _USAGE + b"}\n\n",
    b"data: [DONE]\n\n",
)
_VECTORS = b"""{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":%b}],
    "usage":{"prompt_tokens":1,"total_tokens":1}}"""


def _embedding(encoding_format: str, vector: bytes) -> Exchange:
    params = EmbeddingParams(input=TextInput(text="Once"), encoding_format=encoding_format)
    return Exchange(EmbeddingCall(params, "m"), encoding_format, _VECTORS % vector)


class TestOpenAI(UpstreamContract, CompletesContract, EmbedsContract):
    """With every pair of answers below wire/."""

    exchanges = tuple(
        map(_exchange, sorted(WIRE.glob("*.json"), key=lambda each: (each.stem != "text", each)))
    )
    models = b'{"object":"list","data":[{"id":"gpt-4o-mini","object":"model","created":1}]}'

    texts = (
        Exchange(
            CompletionCall(TextCompletionParams(prompt=TextInput(text="Once")), "m"), "text", _TEXT, _PIECES
        ),
    )
    embeddings = (_embedding("float", b"[0.5,-1]"), _embedding("base64", b'"AAAAPwAAgL8="'))

    def make_adapter(self, url: str) -> Adapter:
        return OpenAIAdapter("openai", OpenAISettings(f"{url}/v1"), Limits())

    def error_body(self, status: int, message: str) -> bytes:
        return json.dumps({"error": {"message": message, "type": None, "param": None, "code": None}}).encode()
