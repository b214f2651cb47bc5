"""Text completions by a backend that only chats: the prompt as a user's message, the answer as text. Pure.

That is honest for one prompt of text that the model answers. What a chat cannot do (repeat the prompt,
fill in before a suffix, choose the best of several, tokens, their probabilities) is refused by name.
"""

from typing import Final

from portico.errors import GatewayError, invalid_request
from portico.v1.chat_pb2 import ChatCompletion, ChatCompletionParams
from portico.v1.completions_pb2 import TextChoice, TextCompletion, TextCompletionParams
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico.v1.message_pb2 import ChatMessage
from portico_core.validate import check_chat

#: What both kinds of request have under one name, with one meaning.
SHARED: Final = (
    *("model", "max_tokens", "temperature", "top_p", "stop", "stop_is_text", "n", "stream_options"),
    *("extra_json", "frequency_penalty", "presence_penalty", "logit_bias", "seed", "user"),
)
#: What a chat cannot do, and the values that do not ask for it.
REFUSED: Final[dict[str, tuple[object, ...]]] = {
    "echo": (False,),
    "suffix": ("",),
    "best_of": (1,),
    "logprobs": (),
}


def asked(params: TextCompletionParams) -> ChatCompletionParams:
    """Return the chat that asks for the same. Raises GatewayError (400) where there is none."""
    given = {field.name: value for field, value in params.ListFields()}
    for name, idle in REFUSED.items():
        if name in given and given[name] not in idle:
            raise _refused(f"`{name}`", name)
    shared = {name: given[name] for name in SHARED if name in given}
    chat = ChatCompletionParams(messages=[ChatMessage(role="user", content=_prompt(params))], **shared)
    # What has no field here may have one there: it is not to slip past validation.
    check_chat(chat)
    return chat


def _prompt(params: TextCompletionParams) -> str:
    form = params.prompt.WhichOneof("value")
    if form == "text":
        return params.prompt.text
    if form != "texts":
        raise _refused("a prompt that is not text", "prompt")
    if len(params.prompt.texts.values) != 1:
        raise _refused("several prompts in one request", "prompt")
    return params.prompt.texts.values[0]


def _refused(what: str, param: str) -> GatewayError:
    message = (
        f"The backend of this model has no completions endpoint, and its chat does not support {what}."
        " Ask POST /v1/chat/completions, or another model."
    )
    return invalid_request(message, param, "unsupported_parameter")


def answered(completion: ChatCompletion) -> TextCompletion:
    """Return a chat's answer as a text completion."""
    text = TextCompletion(
        choices=[
            TextChoice(
                index=choice.index,
                text=_text(choice.message),
                finish_reason=choice.finish_reason if choice.HasField("finish_reason") else None,
            )
            for choice in completion.choices
        ],
        usage=completion.usage if completion.HasField("usage") else None,
    )
    for name in ("id", "created", "model", "system_fingerprint"):
        if completion.HasField(name):
            setattr(text, name, getattr(completion, name))
    return text


def _text(message: ChatMessage) -> str:
    """Return what a model wrote: a refusal is that too."""
    return message.content or "".join(part.text for part in message.content_parts) or message.refusal


def streamed(response: StreamResponse) -> StreamCompleteResponse:
    """Return a message of a chat's stream as one of a text completion's."""
    text = StreamCompleteResponse(headers=response.headers)
    if response.HasField("header"):
        text.header.CopyFrom(response.header)
        text.header.ClearField("object")
    for chunk in response.chunks:
        # A choice without text keeps its place: it has begun, and must come to an end.
        choices = [
            TextChoice(
                index=choice.index,
                text=choice.delta.content or choice.delta.refusal,
                finish_reason=choice.finish_reason if choice.HasField("finish_reason") else None,
            )
            for choice in chunk.choices
        ]
        text.chunks.add(choices=choices, usage=chunk.usage if chunk.HasField("usage") else None)
    return text
