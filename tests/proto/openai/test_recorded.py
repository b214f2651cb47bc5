"""Every recorded exchange in OpenAI's dialect goes through the dialect, both ways, and stays equal."""

import json
from collections.abc import Iterator
from typing import Any

from portico.errors import ErrorClass
from portico.openai.chunks import ChunkParser, ChunkRenderer, TextChunkParser, TextChunkRenderer
from portico.openai.errors import error_in, parse_error
from portico.openai.responses import (
    parse_completion,
    parse_embeddings,
    parse_text,
    render_completion,
    render_embeddings,
    render_text,
)
from portico.v1.gateway_pb2 import StreamCompleteResponse, StreamResponse
from portico.v1.headers_pb2 import Header
from tests.proto.openai.endpoints import CHAT, EMBEDDINGS, TEXT, endpoint_of
from tests.proto.openai.meaning import (
    CHUNK,
    answered,
    answered_text,
    bare,
    embedded,
    meaning,
    streamed,
)
from tests.proto.openai.meaning import TEXT as TEXT_CHUNK
from tests.support.corpus import Case, parametrize


@parametrize(lambda case: endpoint_of(case.path) is not None and case.request is not None)
def test_a_request_comes_out_as_it_went_in(case: Case) -> None:
    """With every vendor's members in it. Classic Azure has the model in the path: it is put in."""
    endpoint = endpoint_of(case.path)
    assert endpoint is not None
    request = {"model": "in-the-path"} | case.request
    params, stream = endpoint.parse(json.dumps(request).encode())
    wanted = bare(request)
    assert stream is bool(wanted.pop("stream", False))
    told = meaning(endpoint.render(params, request["model"], stream))
    assert told.pop("stream", False) is stream
    if stream:
        wanted["stream_options"] = wanted.get("stream_options", {}) | {"include_usage": True}
    assert told == wanted


@parametrize(lambda case: endpoint_of(case.path) is CHAT and case.status == 200 and case.stream is None)
def test_an_answer_comes_out_as_it_went_in(case: Case) -> None:
    """With what OpenAI always writes added."""
    assert error_in(case.body) is None
    told = meaning(render_completion(parse_completion(case.body)))
    assert told == answered(json.loads(case.body))


@parametrize(lambda case: endpoint_of(case.path) is TEXT and case.status == 200 and case.stream is None)
def test_a_text_comes_out_as_it_went_in(case: Case) -> None:
    """With what OpenAI always writes added."""
    assert error_in(case.body) is None
    assert meaning(render_text(parse_text(case.body))) == answered_text(json.loads(case.body))


@parametrize(lambda case: endpoint_of(case.path) is EMBEDDINGS and case.status == 200)
def test_embeddings_come_out_as_they_went_in(case: Case) -> None:
    """Numbers as numbers, base64 as base64, and what is neither as it is."""
    assert error_in(case.body) is None
    asked = (case.request or {}).get("encoding_format") or ""
    embeddings = parse_embeddings(case.body, encoding_format=asked)
    assert meaning(render_embeddings(embeddings, encoding_format=asked)) == embedded(json.loads(case.body))


@parametrize(lambda case: endpoint_of(case.path) is CHAT and case.status == 200 and case.stream == "sse")
def test_a_stream_comes_out_as_it_went_in(case: Case) -> None:
    """Chunk by chunk; usage moves to a chunk of its own, and only where it is asked for."""
    _compare_streams(case, CHUNK, ChunkParser, ChunkRenderer, StreamResponse)


@parametrize(lambda case: endpoint_of(case.path) is TEXT and case.status == 200 and case.stream == "sse")
def test_a_streamed_text_comes_out_as_it_went_in(case: Case) -> None:
    """By the same rules."""
    _compare_streams(case, TEXT_CHUNK, TextChunkParser, TextChunkRenderer, StreamCompleteResponse)


def _compare_streams(case: Case, kind: str, parsing: Any, rendering: Any, message: Any) -> None:
    events = events_of(case.body)
    for include_usage in (True, False):
        renderer = rendering(include_usage=include_usage)
        told = renderer.render(message())
        parser, response = parsing(), message()
        for event in events:
            assert error_in(event) is None
            if not parser.parse(event, response):
                told += renderer.render(response)
                response = message()
                assert parser.parse(event, response)
        told += renderer.render(response) + renderer.finish()
        *told_events, done = events_of(told, done=True)
        assert done == b"[DONE]"
        chunks: list[dict[str, Any]] = [json.loads(event) for event in events]
        wanted = streamed(chunks, include_usage=include_usage, kind=kind)
        assert [meaning(event) for event in told_events] == wanted


@parametrize(lambda case: endpoint_of(case.path) is not None and case.status >= 400)
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
    501: ErrorClass.CALLER,
}


def events_of(body: bytes, *, done: bool = False) -> list[bytes]:
    """Return the data of a recorded stream's events; recordings have one line of data in each."""
    lines = (line.strip() for line in body.splitlines())
    data = [line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:")]
    return [each for each in data if done or each != b"[DONE]"]
