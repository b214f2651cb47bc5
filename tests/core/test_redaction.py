"""A backend that repeats the gateway's key does not get it told."""

import dataclasses
import json

import pytest

from portico.errors import GatewayError
from portico.secret import Secret
from portico.testing.upstream import Upstream
from portico.testing.wire import Step, answer, streamed
from portico_core.redaction import secrets_in
from tests.core.over_http import ASKING, event, over
from tests.support.core import BINDINGS

KEY = "sk-very-secret-123"
ERROR = {"error": {"message": f"your key {KEY} will not do", "type": "invalid_request_error", "code": KEY}}
BODY = json.dumps(ERROR).encode()

SCRIPTS: dict[str, tuple[str, list[Step]]] = {
    "the caller's mistake": ("unstreamed", answer(BODY, 400)),
    "a refused key": ("unstreamed", answer(BODY, 401)),
    "a failure": ("unstreamed", answer(BODY, 500)),
    "an error in a 200": ("unstreamed", answer(BODY)),
    "an error event": ("streamed", streamed([event(ERROR)])),
}


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("kind", SCRIPTS)
async def test_a_key_that_a_backend_repeats_reaches_neither_caller_nor_log(
    binding: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    asking, script = SCRIPTS[kind]
    caplog.set_level("DEBUG", "portico")
    async with Upstream(script) as upstream:
        config = over([upstream.url])
        backend = config.backends[0]
        keyed = dataclasses.replace(backend.settings, api_key=Secret(KEY))
        config = dataclasses.replace(config, backends=(dataclasses.replace(backend, settings=keyed),))
        async with BINDINGS[binding](config) as gateway:
            with pytest.raises(GatewayError) as raised:
                await ASKING[asking](gateway)
        assert KEY in str(upstream.requests[0])
    error = raised.value
    assert KEY not in f"{error.message} {error.detail} {error.code} {error.param}"
    assert KEY not in caplog.text
    assert "attempt failed" in caplog.text


def test_secrets_are_found_at_any_depth_and_short_ones_left_alone() -> None:
    @dataclasses.dataclass
    class Settings:
        key: Secret
        headers: dict[str, Secret]
        more: list[Secret]
        none: Secret | None = None

    settings = Settings(
        Secret("longest-of-all"), {"x": Secret("in-a-header")}, [Secret("listed"), Secret("abc")]
    )
    assert secrets_in(settings) == ("longest-of-all", "in-a-header", "listed")
