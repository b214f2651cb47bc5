"""boto3, AWS's official SDK, as judge of Bedrock."""

import functools
import json
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.eventstream import ParserError
from botocore.exceptions import ClientError, EventStreamError

from tests.recorded.kinds import MODEL, Kind
from tests.recorded.outcome import Choice, Outcome, Usage, broken, failed, parsed
from tests.support.corpus import Case

_ASKED: Final[dict[str, Any]] = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": "x"}]}]}

#: What Bedrock ran itself nobody else is to run.
_SERVER: Final = "server_tool_use"

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
# The SDK's names of errors, which in streams begin in lower case -> the status that means the same.
_STATUS: Final = {
    "throttlingexception": 429,
    "modelnotreadyexception": 503,
    "serviceunavailableexception": 503,
    "internalserverexception": 500,
    "modelerrorexception": 500,
    "modelstreamerrorexception": 500,
    "modeltimeoutexception": 408,
    "resourcenotfoundexception": 404,
    "accessdeniedexception": 403,
    "expiredtokenexception": 403,
    "validationexception": 400,
}


def judge(url: str, case: Case, kind: Kind) -> Outcome:
    """Return what the SDK makes of a case."""
    with closing(_client(url)) as client:
        try:
            return _CALLS[kind](client, case)
        except (ClientError, EventStreamError) as error:
            return _failed(error.response)
        except ParserError:
            return broken()


@functools.cache
def _session() -> Any:
    return boto3.Session("key", "secret", region_name="us-east-1")


def _client(url: str) -> Any:
    # Nothing of the machine's own: no proxy, no key of the environment.
    config = Config(retries={"max_attempts": 0}, proxies={}, signature_version="v4")
    return _session().client("bedrock-runtime", endpoint_url=url, config=config)


def _chat(client: Any, case: Case) -> Outcome:
    if case.stream:
        return _assembled(client.converse_stream(**_ASKED)["stream"])
    answer = client.converse(**_ASKED)
    blocks = answer["output"]["message"]["content"]
    return _outcome(blocks, answer["stopReason"], answer.get("usage"))


def _assembled(events: Iterable[Any]) -> Outcome:
    blocks: dict[int, dict[str, Any]] = {}
    reason = usage = None
    for event in events:
        ((name, told),) = event.items()
        if name == "contentBlockStart":
            start = told["start"].get("toolUse")
            blocks[told["contentBlockIndex"]] = {"toolUse": {**start, "input": ""}} if start else {}
        elif name == "contentBlockDelta":
            _add(blocks.setdefault(told["contentBlockIndex"], {}), told["delta"])
        reason = told.get("stopReason", reason)
        usage = told.get("usage", usage)
    if reason is None:
        return broken()
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = parsed(block["toolUse"]["input"] or "{}")
    return _outcome([blocks[at] for at in sorted(blocks)], reason, usage)


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    elif "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    elif "reasoningContent" in delta:
        thought = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
        thought["text"] += delta["reasoningContent"].get("text", "")


def _outcome(blocks: list[dict[str, Any]], reason: str, usage: Any) -> Outcome:
    if reason not in _FINISH:
        return broken()
    thoughts = [
        block["reasoningContent"].get("reasoningText", {}) for block in blocks if "reasoningContent" in block
    ]
    calls = [
        block["toolUse"] for block in blocks if block.get("toolUse", {"type": _SERVER}).get("type") != _SERVER
    ]
    choice = Choice(
        text="".join(map(_text, blocks)),
        reasoning="".join(thought.get("text", "") for thought in thoughts),
        tool_calls=tuple((call["name"], call["input"]) for call in calls),
        finish_reason=_FINISH[reason],
    )
    return Outcome((choice,), _usage(usage))


def _text(block: dict[str, Any]) -> str:
    cited = block.get("citationsContent", {}).get("content", ())
    return str(block.get("text", "")) + "".join(piece["text"] for piece in cited)


def _usage(usage: Any) -> Usage | None:
    if usage is None:
        return None
    cached = usage.get("cacheReadInputTokens", 0)
    prompt = usage["inputTokens"] + cached + usage.get("cacheWriteInputTokens", 0)
    return Usage(prompt, usage["outputTokens"], cached)


def _failed(response: Any) -> Outcome:
    error = response["Error"]
    message = error.get("Message", "")
    status = _STATUS.get(
        error["Code"].lower(), response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    )
    if "model identifier is invalid" in message:
        return failed(404, "model_not_found")
    return failed(status, "context_length_exceeded" if "Input Tokens Exceeded" in message else None)


def _embed(client: Any, case: Case) -> Outcome:
    answer = client.invoke_model(modelId=MODEL, body=b"{}")
    # The SDK leaves the body to its users: each model has its own.
    told = json.loads(answer["body"].read())
    found = told.get("embeddings", [told.get("embedding")])
    vectors = found["float"] if isinstance(found, dict) else found
    bare = [vector["embedding"] if isinstance(vector, dict) else vector for vector in vectors]
    count = int(answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-input-token-count"])
    return Outcome(usage=Usage(count), vectors=tuple(map(tuple, bare)))


_CALLS: Final = {Kind.CHAT: _chat, Kind.EMBEDDINGS: _embed}
