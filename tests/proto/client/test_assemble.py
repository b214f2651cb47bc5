"""The whole answer out of the chunks of its stream."""

import pytest
from google.protobuf import text_format

from portico.client.assemble import assemble
from portico.v1.chat_pb2 import ChatChoice, ChatCompletion
from portico.v1.gateway_pb2 import StreamResponse

# What holds: (pieces of one choice, one a line; what they make).
CASES = {
    "texts are joined": (
        """
        delta {role: "assistant" content: "on"}
        delta {content: "ce"}
        delta {} finish_reason: "stop"
        """,
        'message {role: "assistant" content: "once"} finish_reason: "stop"',
    ),
    "an empty text is a text": (
        'delta {content: ""}',
        'message {role: "assistant" content: ""}',
    ),
    "thinking and refusals are joined": (
        """
        delta {reasoning_content: "h" reasoning: "a" refusal: "n"}
        delta {reasoning_content: "m" reasoning: "h" refusal: "o"}
        """,
        'message {role: "assistant" reasoning_content: "hm" reasoning: "ah" refusal: "no"}',
    ),
    "arguments are joined, each tool call's apart": (
        """
        delta {tool_calls {index: 0 id: "a" type: "function" function {name: "f" arguments: ""}}}
        delta {tool_calls {index: 0 function {arguments: "[1"}} tool_calls {index: 1 id: "b" custom {}}}
        delta {tool_calls {index: 0 function {arguments: "]"}}} finish_reason: "tool_calls"
        """,
        """
        message {
          role: "assistant"
          tool_calls {id: "a" type: "function" function {name: "f" arguments: "[1]"}}
          tool_calls {id: "b" custom {}}
        }
        finish_reason: "tool_calls"
        """,
    ),
    "a name that is repeated, or empty later, counts once": (
        """
        delta {role: "assistant" tool_calls {id: "a" type: "function" function {name: "f" arguments: "{"}}}
        delta {role: "" tool_calls {id: "" type: "" function {name: "" arguments: "}"}}}
        delta {role: "assistant" tool_calls {id: "a" function {name: "f" arguments: ""}}}
        """,
        """
        message {
          role: "assistant"
          tool_calls {id: "a" type: "function" function {name: "f" arguments: "{}"}}
        }
        """,
    ),
    "objects of a vendor's are put together, with what they hold": (
        """
        delta {extra_json: "{\\"g\\":{\\"parts\\":[{\\"a\\":1}],\\"n\\":1},\\"e\\":{}}"}
        delta {extra_json: "{\\"g\\":{\\"parts\\":[{\\"b\\":2}],\\"n\\":2,\\"m\\":3},\\"e\\":{}}"}
        """,
        """
        message {
          role: "assistant"
          extra_json: "{\\"g\\":{\\"parts\\":[{\\"a\\":1},{\\"b\\":2}],\\"n\\":2,\\"m\\":3},\\"e\\":{}}"
        }
        """,
    ),
    "a vendor's members of a tool call stay": (
        """
        delta {tool_calls {id: "a" extra_json: "{\\"signature\\":1}"}}
        delta {tool_calls {}}
        """,
        'message {role: "assistant" tool_calls {id: "a" extra_json: "{\\"signature\\":1}"}}',
    ),
    "a vendor's texts and lists are joined, of its other members the last one counts": (
        """
        delta {extra_json: "{ \\"think\\" : \\"\\\\u00e4 \\", \\"list\\":[ {\\"a\\":1e400} ],\\"n\\":1} "}
        delta {extra_json: "{\\"think\\":\\"b\\",\\"list\\":[],\\"n\\":-0.0}"} extra_json: "{\\"m\\":\\"x\\"}"
        delta {extra_json: "{\\"list\\":[2]}"} extra_json: "{\\"m\\":\\"y\\"}"
        delta {extra_json: "{}"}
        delta {extra_json: "no JSON"}
        delta {extra_json: "[1]"}
        """,
        """
        message {
          role: "assistant"
          extra_json: "{\\"think\\":\\"\u00e4 b\\",\\"list\\":[{\\"a\\":1e400},2],\\"n\\":-0.0}"
        }
        extra_json: "{\\"m\\":\\"y\\"}"
        """,
    ),
    "a late null takes nothing away, and what comes after one counts": (
        """
        delta {extra_json: "{\\"t\\":\\"a\\",\\"n\\":1,\\"m\\":null,\\"z\\":null}"} extra_json: "{\\"x\\":1}"
        delta {extra_json: "{\\"t\\":null,\\"n\\":null,\\"m\\":[2]}"} extra_json: "{\\"x\\":null}"
        """,
        """
        message {role: "assistant" extra_json: "{\\"t\\":\\"a\\",\\"n\\":1,\\"m\\":[2],\\"z\\":null}"}
        extra_json: "{\\"x\\":1}"
        """,
    ),
    "custom tools are joined": (
        """
        delta {tool_calls {custom {name: "c" input: "1"}}}
        delta {tool_calls {custom {input: "2"}}}
        """,
        'message {role: "assistant" tool_calls {custom {name: "c" input: "12"}}}',
    ),
    "the old function call is joined": (
        """
        delta {function_call {name: "f" arguments: "{"}}
        delta {function_call {arguments: "}"}}
        """,
        'message {role: "assistant" function_call {name: "f" arguments: "{}"}}',
    ),
    "speech is joined": (
        """
        delta {audio {id: "x" data: "AA" transcript: "a"}}
        delta {audio {data: "BB" transcript: "b" expires_at: 7}}
        """,
        'message {role: "assistant" audio {id: "x" data: "AABB" transcript: "ab" expires_at: 7}}',
    ),
    "annotations follow one another": (
        """
        delta {annotations {type: "one"}}
        delta {annotations {type: "two"}}
        """,
        'message {role: "assistant" annotations {type: "one"} annotations {type: "two"}}',
    ),
    "log probabilities follow one another": (
        """
        delta {} logprobs {content {token: "a"}}
        delta {} logprobs {content {token: "b"}}
        """,
        'message {role: "assistant"} logprobs {content {token: "a"} content {token: "b"}}',
    ),
}


@pytest.mark.parametrize(("pieces", "expected"), CASES.values(), ids=CASES.keys())
def test_a_choice(pieces: str, expected: str) -> None:
    """Each case is named after what holds."""
    stream = StreamResponse()
    for piece in pieces.strip().splitlines():
        text_format.Parse(piece, stream.chunks.add().choices.add(index=0))
    assert list(assemble(stream).choices) == [text_format.Parse(expected, ChatChoice(index=0))]


def test_choices_stand_in_their_order() -> None:
    """Whichever was heard of first."""
    stream = StreamResponse()
    for index, text in ((1, "b"), (0, "a"), (1, "B")):
        stream.chunks.add().choices.add(index=index).delta.content = text
    whole = assemble(stream)
    assert [(choice.index, choice.message.content) for choice in whole.choices] == [(0, "a"), (1, "bB")]


def test_the_header_and_the_last_usage_are_the_answers() -> None:
    """Running usage counts up; a header may come again."""
    stream = StreamResponse()
    parts = """
        header {id: "1" created: 5 model: "m"} chunks {usage {total_tokens: 1 prompt_tokens: 1}}
        header {id: "1" system_fingerprint: "fp" service_tier: "flex"} chunks {usage {total_tokens: 3}}
        chunks {extra_json: "{\\"c\\":1}"}
        chunks {moderation_json: "{}" extra_json: "{\\"c\\":99999999999999999999}"}
    """
    for part in parts.strip().splitlines():
        stream.MergeFrom(text_format.Parse(part, StreamResponse()))
    expected = """
        id: "1" created: 5 model: "m" system_fingerprint: "fp" service_tier: "flex" moderation_json: "{}"
        object: "chat.completion" usage {total_tokens: 3}
        extra_json: "{\\"c\\":99999999999999999999}"
    """
    assert assemble(stream) == text_format.Parse(expected, ChatCompletion())


def test_an_empty_stream_makes_an_empty_answer() -> None:
    assert assemble(StreamResponse()) == ChatCompletion(object="chat.completion")
