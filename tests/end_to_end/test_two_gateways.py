"""A gateway behind a gateway, as processes: HTTP in front, gRPC between, the dummy behind."""

import contextlib
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.gateway import Gateway, Part, core, serve

HELLO: Any = [{"role": "user", "content": "tell me"}]

NEAR = """
backends:
  far: {{dialect: portico, target: "{target}"}}
  near: {{dialect: dummy}}
models:
  story: [far/dummy/story-1, near/story-1]
  only-far: far/dummy/echo-1
"""
FAR = "backends: {{dummy: {{dialect: dummy, pace: {pace}}}}}\n"


@contextlib.contextmanager
def two_gateways(folder: Path, pace: float = 0.0) -> Iterator[tuple[Gateway, Part]]:
    """Run a core over the dummy, and a gateway that has it as a backend."""
    far, near = folder / "far.yaml", folder / "near.yaml"
    far.write_text(FAR.format(pace=pace), encoding="utf-8")
    target = f"unix:{folder}/far.sock"
    near.write_text(NEAR.format(target=target), encoding="utf-8")
    with core(target, far) as behind, serve(near) as front:
        yield front, behind


def test_chat_models_and_errors_come_through_two_gateways(tmp_path: Path) -> None:
    """The stream says what the whole answer says; usage, models and the far gateway's refusals arrive."""
    with two_gateways(tmp_path) as (front, _):
        sdk = front.sdk()
        asked: Any = {"model": "story", "messages": HELLO, "seed": 1}
        raw = sdk.chat.completions.with_raw_response.create(**asked)
        assert raw.headers["x-portico-model"] == "far/dummy/story-1"
        whole = raw.parse()
        assert whole.model == "story"
        chunks = list(
            sdk.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        )
        pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
        assert "".join(pieces) == whole.choices[0].message.content
        assert chunks[-1].usage == whole.usage
        assert whole.usage is not None

        names = {model.id for model in sdk.models.list()}
        assert {"story", "only-far", "far/dummy/echo-1", "far/dummy/story-1"} <= names
        direct = sdk.chat.completions.create(model="far/dummy/echo-1", messages=HELLO)
        assert direct.choices[0].message.content == "tell me"

        with pytest.raises(openai.NotFoundError) as unknown:
            sdk.chat.completions.create(model="far/dummy/none", messages=HELLO)
        assert unknown.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError) as refused:
            sdk.chat.completions.create(**{**asked, "logprobs": True})
        assert refused.value.param == "logprobs"


def test_text_completions_come_through_two_gateways(tmp_path: Path) -> None:
    """Served over chat by the far one, as the dummy has nothing else."""
    with two_gateways(tmp_path) as (front, _):
        answer = front.sdk().completions.create(model="only-far", prompt="tell me")
        assert answer.choices[0].text == "tell me"


def test_the_next_candidate_takes_over_from_a_dead_gateway(tmp_path: Path) -> None:
    """The caller sees an answer; a model without another candidate is an error at once."""
    with two_gateways(tmp_path) as (front, behind):
        sdk = front.sdk()
        assert sdk.chat.completions.create(model="only-far", messages=HELLO)
        behind.process.stop(signal.SIGKILL)
        raw = sdk.chat.completions.with_raw_response.create(model="story", messages=HELLO)
        assert raw.headers["x-portico-model"] == "near/story-1"
        assert raw.headers["x-portico-attempts"] == "3"  # a reset is tried once more where it happened
        streamed = list(sdk.chat.completions.create(model="story", messages=HELLO, stream=True))
        assert streamed[-1].choices[0].finish_reason == "stop"
        with pytest.raises(openai.InternalServerError) as dead:
            sdk.chat.completions.create(model="only-far", messages=HELLO)
        assert dead.value.status_code == 502


def test_a_gateway_that_is_killed_in_mid_stream_ends_the_stream_with_an_error(tmp_path: Path) -> None:
    """After the first content nobody takes over."""
    with two_gateways(tmp_path, pace=0.05) as (front, behind):
        stream = front.sdk().chat.completions.create(model="story", messages=HELLO, stream=True)
        assert len(list(itertools.islice(stream, 3))) == 3
        behind.process.popen.send_signal(signal.SIGKILL)
        with pytest.raises(openai.APIError, match="cannot be reached or broke off"):
            list(stream)


def test_a_client_that_leaves_stops_the_backend_of_the_far_gateway(tmp_path: Path) -> None:
    """Its log tells of the cancelled call."""
    with two_gateways(tmp_path, pace=0.05) as (front, behind):
        with front.sdk().chat.completions.create(model="story", messages=HELLO, stream=True) as stream:
            next(stream)
        behind.process.wait_for("outcome=cancelled", timeout=2)


def test_one_variable_leads_to_another_gateway(tmp_path: Path) -> None:
    """GATEWAY_URL with grpc:// makes the whole configuration."""
    far, near = tmp_path / "far", tmp_path / "near"
    for folder in (far, near):
        folder.mkdir()
    with (
        serve(cwd=far) as behind,
        serve(env={"GATEWAY_URL": f"grpc://{behind.grpc}/"}, cwd=near) as front,
    ):
        answer = front.sdk().chat.completions.create(model="dummy/echo-1", messages=HELLO)
        assert answer.choices[0].message.content == "tell me"
