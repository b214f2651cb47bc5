"""The backends' own names for the requests of a call stand in its receipt and in the log."""

import pytest

from portico.gateway import CallContext
from portico.testing.upstream import Upstream
from portico.testing.wire import answer, streamed
from tests.core.over_http import DONE, ROLE, WHOLE, delta, over
from tests.support.core import BINDINGS, ask, ask_stream

FAILS = answer(b"{}", 401, [("x-request-id", "req_first")])
HEAD, *BODY = WHOLE


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("binding", BINDINGS)
async def test_each_attempt_has_its_own(
    binding: str, streaming: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """That of an error as well; the line of the call has the last one."""
    caplog.set_level("INFO", "portico")
    named = [("cf-ray", "9f-FRA"), ("request-id", "req_second")]
    stream = streamed([ROLE, delta(content="hi"), *DONE], 200, named)
    assert isinstance(HEAD, bytes)
    whole = [HEAD.replace(b"\r\n\r\n", b"\r\nrequest-id: req_second\r\n\r\n"), *BODY]
    async with (
        Upstream(FAILS) as first,
        Upstream(stream if streaming else whole) as second,
        BINDINGS[binding](over([first.url, second.url])) as gateway,
    ):
        context = CallContext("r")
        if streaming:
            async for _ in gateway.stream(ask_stream(), context):
                pass
        else:
            await gateway.chat(ask(), context)
    assert context.receipt is not None
    assert [each.upstream_request_id for each in context.receipt.attempts] == ["req_first", "req_second"]
    lines = {record.name: record.getMessage() for record in caplog.records}
    assert "upstream_request_id=req_first" in lines["portico.attempts"]
    assert "upstream_request_id=req_second" in lines["portico.calls"]
