"""Calls as the core makes them of what callers of OpenAI's API send, and the streams that these read."""

import json
from typing import Any

from portico.adapter import UpstreamCall
from portico.openai.requests import parse_chat
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.message_pb2 import ChatMessage


def greeting(model: str) -> UpstreamCall:
    """Return a small call of a model of the backend's, for which the caller asked as gpt-4."""
    params = ChatCompletionParams(model="gpt-4", messages=[ChatMessage(role="user", content="Hello?")])
    return UpstreamCall(params, model, request_id="req_1")


def chat_of(model: str, /, request_id: str = "", backend: str = "", **members: Any) -> UpstreamCall:
    """Return the call for a request with these members, and one message where they have none."""
    request = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hi"}], **members}
    params, _ = parse_chat(json.dumps(request).encode())
    return UpstreamCall(params, model, request_id=request_id, backend=backend)


def events_in(stream: bytes) -> list[Any]:
    """Return what the events of a stream say, and ``[DONE]`` as bytes."""
    data = [event.removeprefix(b"data: ") for event in stream.split(b"\n\n") if event]
    return [each if each == b"[DONE]" else json.loads(each) for each in data]
