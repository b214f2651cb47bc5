"""LiteLLM as a client: python client.py BASE_URL ENGINE_MODEL. Prints one JSON object."""

import json
import sys
from typing import Any

import litellm  # type: ignore[import-not-found]

url, model = sys.argv[1:]
asked: dict[str, Any] = {
    "api_base": url,
    "api_key": "none",
    "messages": [{"role": "user", "content": "print the list"}],
}
engine = {**asked, "model": f"openai/{model}", "temperature": 0}
tools = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"enum": ["Rome", "Oslo"]}},
                "required": ["city"],
            },
        },
    }
]


def failure(**changes: Any) -> Any:
    try:
        litellm.completion(**{**asked, **changes})
    except Exception as error:
        return {"class": type(error).__name__, "status": getattr(error, "status_code", None)}
    return "no failure"


whole = litellm.completion(**engine, max_tokens=24)
chunks = list(
    litellm.completion(**engine, max_tokens=24, stream=True, stream_options={"include_usage": True})
)
called = litellm.completion(**engine, max_tokens=400, tools=tools).choices[0].message.tool_calls
print(
    json.dumps(
        {
            "content": whole.choices[0].message.content,
            "finish_reason": whole.choices[0].finish_reason,
            "total_tokens": whole.usage.total_tokens,
            "streamed": [
                choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content
            ],
            "streamed_tokens": [
                chunk.usage.total_tokens for chunk in chunks if getattr(chunk, "usage", None)
            ],
            "called": [[call.function.name, call.function.arguments] for call in called],
            "unknown": failure(model="openai/nobody/knows"),
            "refused": failure(model="openai/dummy/echo-1", tools=tools),
        }
    )
)
