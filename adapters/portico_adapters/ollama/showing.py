"""Asks the server what each of its models can do, and remembers it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from portico.errors import GatewayError
from portico.v1.headers_pb2 import Header
from portico_adapters._upstream import UpstreamClient
from portico_adapters.ollama.models import Shown, Tag, show_body, shown_in

#: How many models are asked about at once.
_TOGETHER: Final = 4
#: Seconds for all of them. Who is not known by then stands in the list without it, until it is asked again.
_PATIENCE: Final = 3.0

_Key = tuple[str, str | None, str | None]


class Showing:
    """What is known of the models of the last list."""

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client
        self._known: Mapping[_Key, Shown] = {}

    async def of(self, tags: Sequence[Tag], headers: Sequence[Header]) -> Sequence[Shown | None]:
        """Return what is told of each model. None: the server could not tell, which spoils nothing else."""
        known = {key: self._known[key] for tag in tags if (key := _key(tag)) in self._known}
        room = asyncio.Semaphore(_TOGETHER)

        async def ask(tag: Tag) -> None:
            with suppress(GatewayError):
                async with room:
                    body = await self._client.ask("/api/show", headers, show_body(tag.name))
                known[_key(tag)] = shown_in(body)

        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
                for tag in tags:
                    if _key(tag) not in known:
                        group.create_task(ask(tag))
        self._known = known
        return [known.get(_key(tag)) for tag in tags]


def _key(tag: Tag) -> _Key:
    return tag.name, tag.digest, tag.modified_at
