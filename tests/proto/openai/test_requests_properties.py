"""What holds for every request, whatever is in it."""

import json
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from portico.errors import ErrorClass, GatewayError
from portico.v1.completions_pb2 import TextInput
from portico.v1.tools_pb2 import ToolChoice
from tests.proto.openai.endpoints import Endpoint, for_each_endpoint
from tests.proto.openai.meaning import bare, meaning
from tests.proto.openai.strategies import Place, anything, places

thorough = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


@for_each_endpoint
@thorough
@given(data=st.data())
def test_a_request_comes_out_as_it_went_in(endpoint: Endpoint, data: st.DataObject) -> None:
    """JSON -> message -> JSON means the same, with members unknown at every depth, and nulls."""
    request = data.draw(endpoint.requests)
    params, stream = endpoint.parse(json.dumps(request).encode())
    assert not stream
    assert meaning(endpoint.render(params, request["model"], False)) == bare(request)


@for_each_endpoint
@thorough
@given(data=st.data())
def test_a_message_comes_back_as_it_went_out(endpoint: Endpoint, data: st.DataObject) -> None:
    """What is rendered reads as the same message, and survives the wire between."""
    request = data.draw(endpoint.requests)
    params, _ = endpoint.parse(json.dumps(request, ensure_ascii=False).encode())
    sent = endpoint.params.FromString(params.SerializeToString())
    again, stream = endpoint.parse(endpoint.render(sent, request["model"], True))
    assert stream is endpoint.streams
    if stream:
        params.stream_options.include_usage = True
    assert again == params


@for_each_endpoint
@thorough
@given(data=st.data())
def test_a_known_member_of_a_wrong_type_is_refused_by_name(endpoint: Endpoint, data: st.DataObject) -> None:
    """400, and the path of the member that is wrong."""
    request = data.draw(endpoint.requests)
    place = data.draw(st.sampled_from(list(places(request, endpoint.params.DESCRIPTOR))))
    wrong = wrong_values(place)
    assume(wrong)
    place.holder[place.member] = data.draw(st.sampled_from(wrong))
    with pytest.raises(GatewayError) as caught:
        endpoint.parse(json.dumps(request).encode())
    assert caught.value.http_status == 400
    assert caught.value.param is not None
    assert caught.value.param.startswith(place.path)
    assert f"'{caught.value.param}'" in caught.value.message


_members = st.sampled_from(["model", "messages", "stream", "n", "stop", "prompt", "input"])


@for_each_endpoint
@thorough
@given(value=anything | st.dictionaries(_members, anything))
def test_any_json_is_read_or_refused(endpoint: Endpoint, value: Any) -> None:
    """Never another exception than the caller's 400."""
    read_or_refused(endpoint, json.dumps(value).encode())


@for_each_endpoint
@thorough
@given(data=st.data())
def test_any_damage_is_read_or_refused(endpoint: Endpoint, data: st.DataObject) -> None:
    """A request with a stretch of bytes replaced is read, or refused as the caller's mistake."""
    body = json.dumps(data.draw(endpoint.requests), ensure_ascii=False).encode()
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 4)))
    read_or_refused(endpoint, body[:start] + data.draw(st.binary(max_size=4)) + body[end:])


def read_or_refused(endpoint: Endpoint, body: bytes) -> None:
    refused: GatewayError | None = None
    try:
        params, _ = endpoint.parse(body)
    except GatewayError as error:
        refused = error
    if refused is None:
        assert isinstance(json.loads(endpoint.render(params, "m", False)), dict)
    else:
        assert (refused.http_status, refused.error_class) == (400, ErrorClass.CALLER)


#: One value of each kind, none of which is right for all.
SAMPLES: dict[str, Any] = {
    "text": "x",
    "flag": True,
    "whole": 7,
    "broken": 1.5,
    "list": [[]],
    "object": {"a": []},
}
FITTING = {
    FieldDescriptor.TYPE_STRING: {"text"},
    FieldDescriptor.TYPE_BOOL: {"flag"},
    FieldDescriptor.TYPE_INT64: {"whole"},
    FieldDescriptor.TYPE_DOUBLE: {"whole", "broken"},
}


def wrong_values(place: Place) -> list[Any]:
    """Return values that fit no field of a member."""
    fitting = set[str]().union(*map(fitting_samples, place.fields))
    return [value for kind, value in SAMPLES.items() if kind not in fitting]


def fitting_samples(field: FieldDescriptor) -> set[str]:
    if field.name.endswith("_json"):
        return set(SAMPLES)
    if field.message_type is ToolChoice.DESCRIPTOR:
        return {"text", "object"}
    if field.message_type is TextInput.DESCRIPTOR:
        return {"text", "object", "list"}
    if field.is_repeated:
        return {"text"} if field.name == "stop" else set()
    if field.message_type is not None:
        return {"object", "text"} if field.name == "image_url" else {"object"}
    return FITTING.get(field.type, set())
