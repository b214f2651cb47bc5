"""The backend's own name for a request is found among its headers."""

import pytest

from portico_adapters._http.request_ids import backends_id

CASES: dict[str, tuple[list[tuple[bytes, bytes]], str]] = {
    "none": ([(b"content-type", b"text/plain")], ""),
    "one of them": ([(b"x-amzn-requestid", b"8090a430")], "8090a430"),
    "the vendor's before its proxy's": ([(b"cf-ray", b"9f-FRA"), (b"request-id", b"req_1")], "req_1"),
    "the proxy's where the vendor repeats ours": ([(b"x-request-id", b"ours"), (b"cf-ray", b"9f")], "9f"),
    "an empty one is none": ([(b"request-id", b""), (b"x-request-id", b"a")], "a"),
    "what would break a line is none": ([(b"request-id", b"a\rb")], ""),
    "cut": ([(b"request-id", b"x" * 100)], "x" * 64),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_one_that_support_asks_for(case: str) -> None:
    headers, expected = CASES[case]
    assert backends_id(headers, "ours") == expected
