"""Text completions over /api/generate: both directions, and what is refused by name."""

import json
from typing import Any

import pytest

from portico.adapter import CompletionCall
from portico.errors import ErrorClass, GatewayError
from portico.testing.wire import pieces
from portico.v1.completions_pb2 import (
    OptionalDouble,
    TextChoice,
    TextCompletion,
    TextCompletionParams,
    TextInput,
    TextList,
    TextLogprobs,
    TokenList,
    TokenLists,
    TokenValue,
    TopLogprobs,
)
from portico.v1.gateway_pb2 import StreamCompleteResponse
from portico.v1.usage_pb2 import Usage
from portico_adapters._ndjson import NdjsonParser
from portico_adapters._translation import Translation
from portico_adapters.ollama.text import TextStream, text_body, text_of
from tests.adapters.ollama.fixtures import MODEL, settings_for

PROMPT = TextInput(text="Once upon")


def call_for(prompt: TextInput = PROMPT, **members: Any) -> CompletionCall:
    return CompletionCall(
        TextCompletionParams(model="gpt-4", prompt=prompt, **members), MODEL, request_id="r"
    )


def sent(call: CompletionCall, *, stream: bool = False) -> Any:
    return json.loads(text_body(call, settings_for(keep_alive="5m", num_ctx=4096), stream=stream))


def test_a_prompt_is_continued_as_it_is() -> None:
    """Neither made a message of, nor thought about."""
    assert sent(call_for(), stream=True) == {
        "model": MODEL,
        "prompt": "Once upon",
        "stream": True,
        "raw": True,
        "think": False,
        "keep_alive": "5m",
        "options": {"num_ctx": 4096},
    }


def test_a_suffix_goes_through_the_models_template() -> None:
    """Only that knows how the model fills in the middle; a raw prompt would pass it over."""
    body = sent(call_for(suffix="the end."))
    assert body["suffix"] == "the end."
    assert "raw" not in body


def test_what_is_asked_for_becomes_options() -> None:
    """And one prompt in a list is as good as a text; members that ask for nothing are not sent."""
    call = call_for(
        TextInput(texts=TextList(values=["Once upon"])),
        max_tokens=5,
        temperature=0.5,
        top_p=0.5,
        stop=["\n", "."],
        seed=7,
        presence_penalty=1,
        frequency_penalty=-1,
        logprobs=3,
        n=1,
        best_of=1,
        echo=False,
        user="u",
        extra_json='{"raw":false,"options":{"top_k":1,"seed":8},"system":"Be brief."}',
    )
    assert sent(call) == {
        "model": MODEL,
        "prompt": "Once upon",
        "stream": False,
        "raw": False,
        "think": False,
        "system": "Be brief.",
        "logprobs": True,
        "top_logprobs": 3,
        "keep_alive": "5m",
        "options": {
            "num_ctx": 4096,
            "num_predict": 5,
            "temperature": 0.5,
            "top_p": 0.5,
            "stop": ["\n", "."],
            "seed": 8,
            "presence_penalty": 1,
            "frequency_penalty": -1,
            "top_k": 1,
        },
    }


REFUSED: dict[str, tuple[CompletionCall, str]] = {
    "several answers": (call_for(n=2), "n"),
    "the best of several": (call_for(best_of=2), "best_of"),
    "an echo": (call_for(echo=True), "echo"),
    "biases": (call_for(logit_bias={"1": 1.0}), "logit_bias"),
    "tokens": (call_for(TextInput(tokens=TokenList(values=[1]))), "prompt"),
    "lists of tokens": (call_for(TextInput(token_lists=TokenLists())), "prompt"),
    "a vendor's prompt": (call_for(TextInput(other_json="{}")), "prompt"),
    "no prompt": (call_for(TextInput()), "prompt"),
    "an empty prompt": (call_for(TextInput(text="")), "prompt"),
    "several prompts": (call_for(TextInput(texts=TextList(values=["a", "b"]))), "prompt"),
    "an empty list": (call_for(TextInput(texts=TextList())), "prompt"),
}


@pytest.mark.parametrize(("call", "param"), REFUSED.values(), ids=REFUSED)
def test_what_ollama_cannot_do_is_refused_by_name(call: CompletionCall, param: str) -> None:
    """400 that names the member; an empty prompt would only load the model."""
    with pytest.raises(GatewayError) as caught:
        sent(call)
    assert (caught.value.http_status, caught.value.param) == (400, param)


END = {
    "created_at": "2025-05-10T15:06:48.9Z",
    "done": True,
    "done_reason": "length",
    "context": [1, 2],
    "prompt_eval_count": 3,
    "eval_count": 2,
}
LOGPROBS = [
    {"token": " a", "logprob": -0.5, "top_logprobs": [{"token": " a", "logprob": -0.5}]},
    {"token": " time", "logprob": -1},
]
USAGE = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def logprobs(*at: int) -> TextLogprobs:
    """Return those of LOGPROBS that begin at these characters."""
    rows = {
        0: (" a", -0.5, TopLogprobs(values=[TokenValue(token=" a", logprob=-0.5)])),
        2: (" time", -1.0, TopLogprobs(is_null=True)),
    }
    return TextLogprobs(
        tokens=[rows[place][0] for place in at],
        token_logprobs=[OptionalDouble(value=rows[place][1]) for place in at],
        top_logprobs=[rows[place][2] for place in at],
        text_offset=at,
    )


def test_an_answer_becomes_openais() -> None:
    """Text, finish reason, log probabilities, usage."""
    body = json.dumps({"response": " a time", "logprobs": LOGPROBS, **END}).encode()
    answer = text_of(body, call_for())
    assert answer.id.startswith("cmpl-")
    answer.ClearField("id")
    choice = TextChoice(index=0, text=" a time", finish_reason="length", logprobs=logprobs(0, 2))
    assert answer == TextCompletion(
        created=1746889608, model=MODEL, object="text_completion", choices=[choice], usage=USAGE
    )


@pytest.mark.parametrize("size", [None, 64, 1])
def test_a_stream_becomes_openais(size: int | None) -> None:
    """Piece by piece; the places of tokens are counted from the start of the text."""
    lines = [
        {"created_at": "2025-05-10T15:06:48Z", "response": " a", "logprobs": LOGPROBS[:1], "done": False},
        {"created_at": "2025-05-10T15:06:48Z", "response": " time", "logprobs": LOGPROBS[1:], "done": False},
        {"response": "", **END},
    ]
    wire = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    messages = translated(wire, size)
    assert [message.HasField("header") for message in messages] == [True] + [False] * (len(messages) - 1)
    header = messages[0].header
    assert (header.created, header.model, header.id[:5]) == (1746889608, MODEL, "cmpl-")
    assert [chunk for message in messages for chunk in message.chunks] == [
        TextCompletion(choices=[TextChoice(index=0, text=" a", logprobs=logprobs(0))]),
        TextCompletion(choices=[TextChoice(index=0, text=" time", logprobs=logprobs(2))]),
        TextCompletion(choices=[TextChoice(index=0, text="", finish_reason="length")], usage=USAGE),
    ]


def test_thinking_that_was_asked_for_arrives() -> None:
    """Text completions have no member for it; it comes under Ollama's own name."""
    answer = text_of(json.dumps({"response": "x", "thinking": "hm", **END}).encode(), call_for())
    assert answer.choices[0].extra_json == '{"thinking":"hm"}'


@pytest.mark.parametrize(
    "end", [b"", b'{"error":"x"}\n', b'{"done":true,"done_reason":"load"}\n', b'{"response":1}\n']
)
def test_a_broken_stream_is_the_backends_failure(end: bytes) -> None:
    """Never a clean end."""
    with pytest.raises(GatewayError) as caught:
        translated(b'{"response":"x","done":false}\n' + end)
    assert caught.value.error_class is ErrorClass.UPSTREAM


@pytest.mark.parametrize("body", [b"", b"{}", b'{"response":"x","done":false}', b'{"response":'])
def test_half_an_answer_is_the_backends_failure(body: bytes) -> None:
    """An answer that is not done is none."""
    with pytest.raises(GatewayError) as caught:
        text_of(body, call_for())
    assert caught.value.error_class is ErrorClass.UPSTREAM


def translated(wire: bytes, size: int | None = None) -> list[StreamCompleteResponse]:
    translator = Translation(StreamCompleteResponse, NdjsonParser(1 << 20), TextStream(call_for()))
    messages = [message for piece in pieces(wire, size) for message in translator.feed(piece)]
    return messages + list(translator.close())
