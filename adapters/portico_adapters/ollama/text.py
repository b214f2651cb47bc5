"""OpenAI's text completions over Ollama's POST /api/generate, both ways. Pure."""

from collections.abc import Sequence
from typing import Final

from msgspec.json import Decoder, encode

from portico.adapter import CompletionCall
from portico.errors import invalid_request, unsupported, upstream_failed
from portico.v1.completions_pb2 import (
    OptionalDouble,
    TextChoice,
    TextCompletion,
    TextLogprobs,
    TokenValue,
    TopLogprobs,
)
from portico.v1.gateway_pb2 import StreamCompleteResponse
from portico_adapters._advice import leave_out_advice
from portico_adapters.ollama.answers import Generated, Logprob, read
from portico_adapters.ollama.requests import Refused, refuse, rendered, sampling
from portico_adapters.ollama.settings import OllamaSettings

_REFUSED: Final[Refused] = {"n": (1,), "best_of": (1,), "echo": (False,), "logit_bias": ()}


class _Text(Generated):
    response: str | None = None
    thinking: str | None = None


_TEXT: Final = Decoder(_Text)


def text_body(call: CompletionCall, settings: OllamaSettings, *, stream: bool) -> bytes:
    """Return the body; raise 400, naming the member, for what Ollama cannot do."""
    params = call.params
    refuse(call, _REFUSED)
    leave_out_advice(call)
    fixed = {"model": call.model, "prompt": _prompt(call), "stream": stream}
    # Continue the prompt itself: without `raw` it would be a user's message in the model's template,
    # and a thinking model would think about it. To fill in the middle is the template's affair.
    wishes: dict[str, object] = {"think": False}
    wishes |= {"suffix": params.suffix} if params.suffix else {"raw": True}
    if params.HasField("logprobs"):
        wishes |= {"logprobs": True, "top_logprobs": params.logprobs}
    return rendered(fixed, wishes, sampling(params), settings, params.extra_json)


def _prompt(call: CompletionCall) -> str:
    params = call.params
    form = params.prompt.WhichOneof("value")
    texts = [params.prompt.text] if form == "text" else list(params.prompt.texts.values)
    if form not in ("text", "texts"):
        raise unsupported("prompts other than text", "prompt", call.backend)
    if len(texts) > 1:
        raise unsupported("several prompts in one request", "prompt", call.backend)
    if not texts or not texts[0]:
        # Ollama would load the model and answer nothing.
        raise invalid_request("prompt must not be empty.", "prompt")
    return texts[0]


def text_of(body: bytes, call: CompletionCall) -> TextCompletion:
    """Read a whole answer."""
    answer = read(body, _TEXT)
    answer.check()
    if not answer.done:
        raise upstream_failed("The backend's answer is not whole.")
    return TextCompletion(
        id=answer.new_id("cmpl-", call.request_id),
        object="text_completion",
        created=answer.created(),
        model=call.model,
        choices=[_choice(answer, 0)],
        usage=answer.usage(),
    )


class TextStream:
    """Translates the lines of one stream."""

    def __init__(self, call: CompletionCall) -> None:
        self._call = call
        self._begun = False
        #: Characters of text so far.
        self._length = 0
        #: The last line has come.
        self.done = False

    def take(self, line: bytes, into: StreamCompleteResponse, /) -> None:
        """Append what a line brings; raise the error that it tells."""
        answer = read(line, _TEXT)
        answer.check()
        if not self._begun:
            self._begun = True
            into.header.id = answer.new_id("cmpl-", self._call.request_id)
            into.header.object = "text_completion"
            into.header.created = answer.created()
            into.header.model = self._call.model
        into.chunks.add(choices=[_choice(answer, self._length)], usage=answer.usage())
        self._length += len(answer.response or "")
        self.done = answer.done


def _choice(answer: _Text, offset: int) -> TextChoice:
    """Return a choice, or the piece of one that begins after ``offset`` characters of the text."""
    return TextChoice(
        index=0,
        text=answer.response or "",
        finish_reason=(answer.done_reason or "stop") if answer.done else None,
        logprobs=_logprobs(answer.logprobs, offset) if answer.logprobs else None,
        # Only where the caller asked for it, in Ollama's words and against our own.
        extra_json=encode({"thinking": answer.thinking}).decode() if answer.thinking else "",
    )


def _logprobs(tokens: Sequence[Logprob], offset: int) -> TextLogprobs:
    logprobs = TextLogprobs()
    for each in tokens:
        logprobs.tokens.append(each.token)
        logprobs.token_logprobs.append(OptionalDouble(value=each.logprob))
        logprobs.text_offset.append(offset)
        offset += len(each.token)
        likeliest = [TokenValue(token=top.token, logprob=top.logprob) for top in each.top_logprobs or ()]
        logprobs.top_logprobs.append(TopLogprobs(values=likeliest, is_null=not likeliest))
    return logprobs
