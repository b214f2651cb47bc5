"""Recorded exchanges with real providers (corpus/README of the shared data)."""

import base64
import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.shared import SHARED


@dataclass(frozen=True)
class Case:
    """One recorded exchange."""

    name: str
    provider: str
    #: The request's path, such as /v1/chat/completions.
    path: str
    #: The request's body. None: only the answer was recorded.
    request: Any
    status: int
    headers: dict[str, str]
    #: "sse", "ndjson", "aws-eventstream", or None for an unstreamed answer.
    stream: str | None
    #: The answer's body.
    body: bytes

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.name}"


@functools.cache
def cases() -> tuple[Case, ...]:
    """Return every open recorded exchange, sorted; none where the shared data is absent."""
    return tuple(_load(file) for file in sorted(SHARED.glob("corpus/*/open/*.json")))


def _load(file: Any) -> Case:
    data = json.loads(file.read_text(encoding="utf-8"))
    request, response = data.get("request") or {}, data["response"]
    body = (
        base64.b64decode(response["body_b64"])
        if "body_b64" in response
        else (response.get("body_text") or "").encode()
    )
    return Case(
        name=data["case"],
        provider=data["provider"],
        path=request.get("path") or data.get("request_path_hint") or "",
        request=request.get("json"),
        status=response["status"],
        headers=response.get("headers") or {},
        stream=response.get("stream"),
        body=body,
    )


def parametrize(wanted: Callable[[Case], bool]) -> pytest.MarkDecorator:
    """Run a test once per recorded exchange that ``wanted`` picks, as argument ``case``.

    Without the shared data the test is skipped, visibly; in CI that stops the run.
    """
    chosen = [case for case in cases() if wanted(case)]
    if not chosen and os.environ.get("CI"):
        raise RuntimeError(
            f"no recorded exchange below {SHARED}; PORTICO_SHARED names the folder of the shared data"
        )
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.id)
