"""The official OpenAI SDK in front of Portico: only base_url differs from a program for OpenAI.

pip install openai
python chat.py --base-url http://localhost:8000/v1 --model dummy/story-1 "tell me a story"
"""

import argparse
import sys

import openai
from openai.types.chat import ChatCompletionMessageParam


def models(client: openai.OpenAI) -> None:
    """List what routes: the names of the configuration, then what the backends list."""
    print("models:", *(model.id for model in client.models.list()))


def answer(client: openai.OpenAI, model: str, messages: list[ChatCompletionMessageParam]) -> None:
    """Ask for a whole answer; the headers tell who served it."""
    raw = client.chat.completions.with_raw_response.create(model=model, messages=messages)
    completion = raw.parse()
    print("answer:", completion.choices[0].message.content)
    print("served by:", raw.headers["x-portico-model"])


def stream(client: openai.OpenAI, model: str, messages: list[ChatCompletionMessageParam]) -> None:
    """Print an answer as it arrives; the usage comes last, because it was asked for."""
    print("stream:", end=" ")
    chunks = client.chat.completions.create(
        model=model, messages=messages, stream=True, stream_options={"include_usage": True}
    )
    for chunk in chunks:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
        if chunk.usage:
            print(f"\nusage: {chunk.usage.prompt_tokens} + {chunk.usage.completion_tokens} tokens")


def errors(client: openai.OpenAI, messages: list[ChatCompletionMessageParam]) -> None:
    """Errors arrive as the SDK's own exceptions, with OpenAI's code and the gateway's request id."""
    try:
        client.chat.completions.create(model="no/such-model", messages=messages)
    except openai.NotFoundError as error:
        print(f"error: {error.status_code} {error.code}, request id {error.request_id}")


def main() -> int:
    """Run the four, one after the other."""
    parser = argparse.ArgumentParser(description="OpenAI's SDK in front of Portico.")
    parser.add_argument("message", nargs="?", default="tell me a story")
    parser.add_argument("--base-url", default="http://localhost:8000/v1")
    parser.add_argument("--api-key", default="none", help="checked only where the gateway has keys")
    parser.add_argument("--model", default="dummy/story-1")
    options = parser.parse_args()

    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": options.message}]
    with openai.OpenAI(base_url=options.base_url, api_key=options.api_key) as client:
        try:
            models(client)
            answer(client, options.model, messages)
            stream(client, options.model, messages)
            errors(client, messages)
        except openai.OpenAIError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
