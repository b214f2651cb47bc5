"""What becomes of a stream, wherever its reads end."""

from collections.abc import Iterable
from typing import Any

from portico.errors import GatewayError
from portico.testing.assemble import assemble
from portico.v1.gateway_pb2 import StreamResponse
from portico_adapters._translation import Translation
from tests.support.fuzz import reads


def outcome_of(translation: Translation[Any, StreamResponse], wire: bytes, places: Iterable[int]) -> Any:
    """Return the chunks and the answer, or the class of the error, of a stream cut at these places."""
    messages: list[StreamResponse] = []
    try:
        for read in reads(wire, places):
            messages.extend(translation.feed(read))
        messages.extend(translation.close())
    except GatewayError as error:
        return _chunks_of(messages), error.error_class
    return _chunks_of(messages), assemble(messages)


def _chunks_of(messages: list[StreamResponse]) -> list[Any]:
    return [chunk for message in messages for chunk in message.chunks]
