"""Three distinct backends by the prefix of the model's name, for an application that is not changed.

The backends are llama.cpp's server, a server that gives what an Ollama was recorded to give, and the dummy.
"""

import array
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.corpus import Case, cases
from tests.support.engine import MODEL, Engine
from tests.support.gateway import Gateway
from tests.support.replay import replay
from tests.support.shared import shared

#: An application as there are many: the official SDK, set up by its own variables and by the model's name.
APPLICATION = """
import json, sys
from openai import OpenAI

model, question, how = sys.argv[1:]
create = OpenAI(max_retries=0).chat.completions.create
messages = [{"role": "user", "content": question}]
asked = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 24}
if how == "whole":
    answer = create(**asked)
    pieces, finish = [answer.choices[0].message.content], answer.choices[0].finish_reason
else:
    pieces, finish = [], None
    for answer in create(**asked, stream=True, stream_options={"include_usage": True}):
        for choice in answer.choices:
            pieces.append(choice.delta.content or "")
            finish = choice.finish_reason or finish
print(json.dumps([answer.model, "".join(pieces), finish, answer.usage.completion_tokens, len(pieces)]))
"""

CONFIG = """
backends:
  engine: {{dialect: openai, url: '{engine}'}}
  ollama: {{dialect: ollama, url: '{ollama}'}}
  dummy: {{dialect: dummy}}
"""

#: The recorded exchanges that stand for the Ollama's models.
EMBEDDED = "api-md-ad593c"
WHOLE = "test-ollama-operation-duration-includes-model-attribute-7f3159"
STREAMED = "test-ollama-async-streaming-chat-with-events-with-content-adf67a"


@pytest.fixture(scope="module")
def ollama() -> Iterator[str]:
    with replay("ollama") as url:
        yield url


def run(base_url: str, *arguments: str) -> Any:
    """Run the application; return model, text, finish reason, tokens, and the number of pieces."""
    env = {**os.environ, "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "none", "no_proxy": "*"}
    done = subprocess.run(
        (sys.executable, "-c", APPLICATION, *arguments),
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def recorded(name: str) -> Case:
    """Return a recorded exchange."""
    shared("corpus", "ollama", "open", f"{name}.json")
    (case,) = (each for each in cases() if each.name == name)
    return case


def test_each_prefix_has_its_backend_and_the_application_sees_no_difference(
    running_engine: Engine, ollama: str, gateways: Callable[[str], Gateway]
) -> None:
    gateway = gateways(CONFIG.format(engine=running_engine.url, ollama=ollama))

    # The engine, asked by the same program with and without the gateway between them.
    for how in "whole", "stream":
        alone = run(running_engine.url, MODEL, "print the list", how)
        through = run(gateway.url, f"engine/{MODEL}", "print the list", how)
        assert through[0] == f"engine/{MODEL}"
        assert through[1:4] == alone[1:4]
        assert alone[1]
    assert through[4] > 5

    # An Ollama's own API, whose answers are translated.
    case = recorded(WHOLE)
    answer = json.loads(case.body)
    model, text, finish, tokens, _ = run(
        gateway.url, f"ollama/{answer['model']}", case.request["messages"][0]["content"], "whole"
    )
    assert (model, text) == (f"ollama/{answer['model']}", answer["message"]["content"])
    assert (finish, tokens) == (answer["done_reason"], answer["eval_count"])
    case = recorded(STREAMED)
    lines = [json.loads(line) for line in case.body.splitlines() if line]
    model, text, finish, tokens, pieces = run(
        gateway.url, f"ollama/{lines[0]['model']}", case.request["messages"][0]["content"], "stream"
    )
    assert (model, text) == (
        f"ollama/{lines[0]['model']}",
        "".join(line["message"]["content"] for line in lines),
    )
    assert (finish, tokens) == ("stop", lines[-1]["eval_count"])
    assert pieces >= sum(1 for line in lines if line["message"]["content"])

    # The dummy, which repeats what it is told.
    for how in "whole", "stream":
        model, text, finish, *_ = run(gateway.url, "dummy/echo-1", "hello three backends", how)
        assert (model, text, finish) == ("dummy/echo-1", "hello three backends", "stop")

    # Each question went where its prefix says, and the list has the models of all three.
    with gateway.sdk() as sdk:
        answers = sdk.chat.completions.with_raw_response
        for name, backend in ((f"engine/{MODEL}", "engine"), ("dummy/echo-1", "dummy")):
            served = answers.create(model=name, messages=[{"role": "user", "content": "hi"}], max_tokens=2)
            assert served.headers["x-portico-model"].partition("/")[0] == backend
        listed = {model.id.partition("/")[0] for model in sdk.models.list()}
        assert listed == {"engine", "ollama", "dummy"}


def test_an_ollamas_embeddings_come_as_numbers_and_as_base64(
    ollama: str, gateways: Callable[[str], Gateway]
) -> None:
    case = recorded(EMBEDDED)
    wanted = json.loads(case.body)["embeddings"]
    gateway = gateways(f"backends: {{ollama: {{dialect: ollama, url: '{ollama}'}}}}\n")
    formats: list[Any] = [{}, {"encoding_format": "base64"}, {"encoding_format": "float"}]
    with gateway.sdk() as sdk:
        for chosen in formats:
            found = sdk.embeddings.create(model="ollama/all-minilm", input=case.request["input"], **chosen)
            vectors = [_vector(each.embedding) for each in found.data]
            assert vectors == [pytest.approx(each, rel=1e-6) for each in wanted], chosen
            assert found.usage.prompt_tokens > 0


def _vector(embedding: Any) -> Any:
    """Return the numbers, whichever way they came: the SDK decodes only base64 that it asked for itself."""
    if isinstance(embedding, str):
        return array.array("f", base64.b64decode(embedding)).tolist()
    return embedding
