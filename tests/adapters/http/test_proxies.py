"""Proxies that the environment names are used, unless it excepts the backend."""

from urllib.parse import urlsplit

import pytest

from portico.adapter import Limits
from portico.errors import GatewayError
from portico.testing.upstream import Upstream
from portico.testing.wire import answer
from portico_adapters._http import HttpClient
from portico_adapters._http.proxies import proxy_for
from tests.adapters.http.tools import client, post

OK = answer(b"ok")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
async def test_a_plain_backend_is_reached_through_the_proxy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the whole URL in the request line, and the proxy's user and password in a header."""
    async with Upstream(OK) as proxy:
        monkeypatch.setenv(name, proxy.url.replace("http://", "http://us%65r:pass@"))
        async with client("http://backend.invalid/v1") as http:
            assert await post(http) == b"ok"
        request = proxy.requests[0]
        assert (request.path, request.headers["host"]) == ("http://backend.invalid/v1/x", "backend.invalid")
        assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


async def test_a_backend_with_tls_is_reached_through_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONNECT, with the credentials; a proxy that refuses it is named as the culprit."""
    async with Upstream(answer(b"", 403)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "user:pass@"))
        async with client("https://backend.invalid/v1") as http:
            with pytest.raises(GatewayError, match="proxy in front of the backend"):
                await post(http)
        request = proxy.requests[0]
        assert (request.method, request.path) == ("CONNECT", "backend.invalid:443")
        assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


async def test_a_backend_that_no_proxy_names_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY counts."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with Upstream(OK) as upstream, client(upstream.url) as http:
        assert await post(http) == b"ok"


@pytest.mark.parametrize(
    ("url", "excepted", "direct"),
    [
        ("http://[2001:db8::1]:8000", "2001:db8::1", True),
        ("http://[2001:db8::1]:8000", "[2001:db8::1]", True),
        ("http://[2001:db8::1]:8000", "db8::1", False),
        ("http://me:pass@a.example", "a.example", True),
        ("http://a.example:8000", "a.example:8000", True),
        ("http://a.example:8000", "a.example:80", False),
        ("http://a.example", ".example, other", True),
        ("http://a.example", "b.example", False),
        ("http://a.example", "*", True),
    ],
)
def test_no_proxy_names_hosts(url: str, excepted: str, direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their ports or without; addresses in brackets or without; whatever credentials a URL holds."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert (proxy_for(urlsplit(url)) is None) == direct


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTP_PROXY"])
def test_a_proxy_of_another_kind_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than passed by; with the variable that names it."""
    monkeypatch.setenv(name, "socks5://proxy.invalid")
    with pytest.raises(ValueError, match=f"^{name} names a socks5 proxy"):
        HttpClient("http://backend.invalid", {}, Limits())
