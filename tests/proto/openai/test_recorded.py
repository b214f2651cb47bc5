"""Every recorded exchange in OpenAI's chat dialect goes through the dialect, both ways, and stays equal."""

import json
from collections.abc import Iterator
from typing import Any

from portico.errors import ErrorClass
from portico.openai.chunks import ChunkParser, ChunkRenderer
from portico.openai.errors import error_in, parse_error
from portico.openai.requests import parse_chat, render_chat
from portico.openai.responses import parse_completion, render_completion
from portico.v1.gateway_pb2 import StreamResponse
from portico.v1.headers_pb2 import Header
from tests.proto.openai.meaning import answered, bare, meaning, streamed
from tests.support.corpus import Case, parametrize


def _is_chat(case: Case) -> bool:
    return case.path.split("?")[0].endswith("/chat/completions")


@parametrize(lambda case: _is_chat(case) and case.request is not None)
def test_a_request_comes_out_as_it_went_in(case: Case) -> None:
    """With every vendor's members in it. Classic Azure has the model in the path: it is put in."""
    request = {"model": "in-the-path"} | case.request
    params, stream = parse_chat(json.dumps(request).encode())
    wanted = bare(request)
    assert stream is bool(wanted.pop("stream", False))
    told = meaning(render_chat(params, model=request["model"], stream=stream))
    assert told.pop("stream", False) is stream
    if stream:
        wanted["stream_options"] = wanted.get("stream_options", {}) | {"include_usage": True}
    assert told == wanted


@parametrize(lambda case: _is_chat(case) and case.status == 200 and case.stream is None)
def test_an_answer_comes_out_as_it_went_in(case: Case) -> None:
    """With what OpenAI always writes added."""
    assert error_in(case.body) is None
    told = meaning(render_completion(parse_completion(case.body)))
    assert told == answered(json.loads(case.body))


@parametrize(lambda case: _is_chat(case) and case.status == 200 and case.stream == "sse")
def test_a_stream_comes_out_as_it_went_in(case: Case) -> None:
    """Chunk by chunk; usage moves to a chunk of its own, and only where it is asked for."""
    events = events_of(case.body)
    for include_usage in (True, False):
        renderer = ChunkRenderer(include_usage=include_usage)
        told = renderer.render(StreamResponse())
        parser, response = ChunkParser(), StreamResponse()
        for event in events:
            assert error_in(event) is None
            if not parser.parse(event, response):
                told += renderer.render(response)
                response = StreamResponse()
                assert parser.parse(event, response)
        told += renderer.render(response) + renderer.finish()
        *told_events, done = events_of(told, done=True)
        assert done == b"[DONE]"
        chunks: list[dict[str, Any]] = [json.loads(event) for event in events]
        assert [meaning(event) for event in told_events] == streamed(chunks, include_usage=include_usage)


@parametrize(lambda case: _is_chat(case) and case.status >= 400)
def test_an_error_has_its_class(case: Case) -> None:
    """By its status; where it is the caller's mistake the backend's words arrive, else they do not."""
    headers = [Header(name=name.lower(), value=value.encode()) for name, value in case.headers.items()]
    error = parse_error(case.status, case.body, headers)
    assert error.error_class is CLASSES[case.status]
    assert error.upstream_status == case.status
    theirs = error.message in set(texts_in(json.loads(case.body)))
    assert theirs is (error.error_class is ErrorClass.CALLER)


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)


CLASSES = {
    400: ErrorClass.CALLER,
    401: ErrorClass.CREDENTIAL,
    404: ErrorClass.CALLER,
    429: ErrorClass.CAPACITY,
    500: ErrorClass.UPSTREAM,
}


def events_of(body: bytes, *, done: bool = False) -> list[bytes]:
    """Return the data of a recorded stream's events; recordings have one line of data in each."""
    lines = (line.strip() for line in body.splitlines())
    data = [line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:")]
    return [each for each in data if done or each != b"[DONE]"]
