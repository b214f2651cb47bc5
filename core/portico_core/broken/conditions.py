"""Where an answer that broke off may be mended, and how. Pure."""

from portico.adapter import Adapter, Continues
from portico.v1.chat_pb2 import ChatCompletionParams
from portico_core import text_size
from portico_core.policy import PREFILL, VERIFY
from portico_core.usage import BYTES_PER_TOKEN


def mendable(mode: str, params: ChatCompletionParams) -> bool:
    """Tell whether an answer to these parameters may be mended by ``verify`` or ``prefill`` at all.

    Of several answers, or where each token has its probability, a text alone is not all that was sent. A
    grammar begins anew with each request, so that JSON cannot be continued; and what a model makes of its
    tools in the middle of a text is not known.
    """
    if mode not in (VERIFY, PREFILL):
        return False
    if params.n > 1 or params.logprobs or params.HasField("audio"):
        return False
    if mode == VERIFY:
        return True
    tools = params.tools or params.functions
    return not tools and params.response_format.type in ("", "text")


def continued(
    adapter: Adapter, params: ChatCompletionParams, model: str, text: str
) -> ChatCompletionParams | None:
    """Return what asks for the rest of an answer that begins with ``text``. None: this cannot be asked.

    What the answer may cost is what the caller allowed, less what it has (an estimate).
    """
    if not text:
        return params
    if not isinstance(adapter, Continues):
        return None
    asked = adapter.continued(params, model, text)
    if asked is None:
        return None
    spent = text_size.of_text(text) // BYTES_PER_TOKEN
    for name in ("max_tokens", "max_completion_tokens"):
        if asked.HasField(name):
            setattr(asked, name, max(1, getattr(asked, name) - spent))
    return asked
