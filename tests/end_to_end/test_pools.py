"""A model with several candidates, as callers of a running gateway and its operators see it."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.gateway import Gateway
from tests.support.processes import portico

HELLO: Any = [{"role": "user", "content": "hello"}]
PICTURE: Any = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}
]
CONFIG = """
backends:
  east: {dialect: dummy}
  west: {dialect: dummy}
  local: {dialect: dummy}
  gone: {dialect: openai, url: 'http://127.0.0.1:9/v1', models: []}
models:
  split:
    balance: weighted
    candidates:
      - {model: east/echo-1, weight: 3, features: [images]}
      - {model: west/echo-1, features: [], tags: [eu]}
  sticky:
    balance: least
    affinity: {header: x-session-id}
    candidates:
      - model: east/echo-1
      - model: west/echo-1
      - model: local/echo-1
  primary: {candidates: gone/x, fallback: spare}
  spare: local/echo-1
"""


def served(sdk: openai.OpenAI, model: str, messages: Any = HELLO, **headers: str) -> str:
    """Ask once; return who served."""
    answered = sdk.chat.completions.with_raw_response.create(
        model=model,
        messages=messages,
        extra_headers={name.replace("_", "-"): headers[name] for name in headers},
    )
    return answered.headers["x-portico-model"]


def test_a_pool_serves_by_weight_tag_and_session(gateways: Callable[[str], Gateway]) -> None:
    """What a request needs and chooses goes before what chance would do."""
    with gateways(CONFIG).sdk() as sdk:
        parts = Counter(served(sdk, "split") for _ in range(60))
        assert parts["east/echo-1"] > parts["west/echo-1"] > 0
        assert {served(sdk, "split", x_portico_route="eu") for _ in range(10)} == {"west/echo-1"}
        sessions = [{served(sdk, "sticky", x_session_id=str(each)) for _ in range(4)} for each in range(12)]
        assert {len(session) for session in sessions} == {1}
        assert {who for session in sessions for who in session} == {
            f"{each}/echo-1" for each in ("east", "west", "local")
        }
        with pytest.raises(openai.BadRequestError, match="has the tags that x-portico-route asks for: us"):
            served(sdk, "split", x_portico_route="us")
        with pytest.raises(openai.BadRequestError, match="takes images") as refused:
            served(sdk, "split", PICTURE, x_portico_route="eu")
        assert refused.value.param == "messages[0].content"


def test_a_fallback_is_told_in_the_answer(gateways: Callable[[str], Gateway]) -> None:
    """Its model is the one that answers, streamed or not."""
    with gateways(CONFIG).sdk() as sdk:
        assert sdk.chat.completions.create(model="primary", messages=HELLO).model == "spare"
        chunks = list(sdk.chat.completions.create(model="primary", messages=HELLO, stream=True))
        assert {chunk.model for chunk in chunks} == {"spare"}


def explain(folder: Path, *arguments: str, status: int = 0) -> str:
    (folder / "portico.yaml").write_text(CONFIG, encoding="utf-8")
    with portico("explain", *arguments, "--config", str(folder / "portico.yaml")) as process:
        assert process.popen.wait(20) == status, process.output
    assert "Traceback" not in process.output
    return process.output


def rows(said: str) -> list[list[str]]:
    return [line.split()[:4] for line in said.splitlines() if "/" in line and line[0] in "0123456789-"]


def test_explain_says_who_would_serve(tmp_path: Path) -> None:
    """For the name alone, and for a request."""
    assert rows(explain(tmp_path, "split")) == [
        ["1", "75%", "east/echo-1", "split"],
        ["1", "25%", "west/echo-1", "split"],
    ]
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"messages": PICTURE}), encoding="utf-8")
    said = explain(tmp_path, "split", str(request))
    assert rows(said) == [["1", "100%", "east/echo-1", "split"], ["-", "-", "west/echo-1", "split"]]
    assert "the request needs images (messages[0].content)" in said
    assert "takes no images" in said
    assert rows(explain(tmp_path, "primary")) == [
        ["1", "100%", "gone/x", "primary"],
        ["2", "100%", "local/echo-1", "spare"],
    ]
    assert [row[0] for row in rows(explain(tmp_path, "sticky", "--header", "X-Session-Id: 7"))] == [
        "1",
        "2",
        "3",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (
            ["split", "--header", "x-portico-route: us"],
            1,
            "refused with 400: No backend of the model `split`",
        ),
        (["nothing"], 1, "refused with 404: The model `nothing`"),
        (["nothing"], 1, "these backends may list it: east, west, local"),
        (["split", "nowhere.json"], 2, "nowhere.json"),
        (["split", "--header", "x"], 2, "write 'NAME: VALUE'"),
    ],
)
def test_explain_says_why_a_caller_would_be_refused(
    tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    assert words in explain(tmp_path, *arguments, status=status)
