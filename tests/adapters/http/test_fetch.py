"""Fetching from a server on this machine, which only a test may allow."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest

from portico.testing.upstream import Upstream, refusing
from portico.testing.wire import CLOSE, HANG, Script, answer, head, streamed
from portico_adapters._http import Budget, UnfetchableError, opening
from portico_adapters._http.addresses import is_public
from portico_adapters._http.fetch import Fetched, Fetcher
from tests.adapters.http.tools import server_tls, trusting_tls

PNG = b"\x89PNG\r\n"
IMAGE = answer(PNG, content_type="Image/PNG; x=y")


def fetcher(may_connect: Callable[[str, int], bool] = lambda *_: True) -> Fetcher:
    return Fetcher("portico/test", may_connect)


async def fetch(made: Fetcher, url: str, budget: Budget | None = None) -> Fetched:
    return await made.fetch(url, ["image/"], budget or Budget(100, 100))


async def test_an_image_arrives_with_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server learns who asks and for what; a proxy of the environment is not asked."""
    with refusing() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        async with Upstream(IMAGE) as server:
            assert await fetch(fetcher(), f"{server.url}/a%3Ab.png?x=1") == Fetched("image/png", PNG)
    (request,) = server.requests
    assert request.path == "/a%3Ab.png?x=1"
    assert set(request.headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}


async def test_each_redirect_is_followed_and_checked_like_a_url_of_its_own() -> None:
    """One that leads to a forbidden address ends there."""
    async with Upstream(IMAGE) as inner:
        redirect = answer(b"", 302, [("location", f"{inner.url}/secret.png")])
        async with Upstream(redirect) as outer:
            assert (await fetch(fetcher(), outer.url)).data == PNG
            made = fetcher(lambda _, port: port == int(outer.url.rpartition(":")[2]))
            with pytest.raises(UnfetchableError, match="open internet"):
                await fetch(made, outer.url)
        assert (outer.connections, inner.connections) == (2, 1)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1/",
            "http://localhost/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
        ),
        *(
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://0/",
            "http://[::]/",
        ),
        *("http://169.254.169.254/latest/meta-data/", "http://10.0.0.1:80/", "https://192.168.0.1/"),
        *("http://8.8.8.8:22/", "http://8.8.8.8:6379/"),
    ],
)
async def test_nothing_but_the_open_internet_is_connected_to(url: str) -> None:
    """However the address is written, and whatever a name resolves to."""
    with pytest.raises(UnfetchableError, match=r"open internet|not a valid URL"):
        await fetch(fetcher(is_public), url)


async def test_the_address_that_is_checked_is_the_one_that_is_connected_to() -> None:
    """Of a name, what it resolved to for this connection."""
    checked: list[tuple[str, int]] = []

    def note(host: str, port: int) -> bool:
        checked.append((host, port))
        return host == "127.0.0.1"

    async with Upstream(IMAGE) as server:
        port = int(server.url.rpartition(":")[2])
        await fetch(fetcher(note), f"http://127.0.0.1:{port}/")
        assert checked == [("127.0.0.1", port)]
        assert server.connections == 1


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("file:///etc/passwd", "neither an http nor an https"),
        ("ftp://example.com/", "neither an http nor an https"),
        ("http:///x", "not a valid|neither"),
        ("http://user:word@example.com/", "credentials"),
        ("http://user@example.com/", "credentials"),
        ("http://example.com:99999/", "not a valid"),
    ],
)
async def test_a_url_must_be_a_plain_one(path: str, why: str) -> None:
    """Nothing is connected to."""
    made = fetcher(lambda *_: pytest.fail("connected"))
    with pytest.raises(UnfetchableError, match=why):
        await fetch(made, path)


ANSWERS: dict[str, tuple[Script, str]] = {
    "is none": (answer(b"no", 404), "status 404"),
    "is a page": (answer(b"<html>", content_type="text/html"), "not of the type image/"),
    "is compressed": (
        answer(b"x", 200, [("content-encoding", "gzip")], content_type="image/png"),
        "compressed",
    ),
    "is large": (answer(b"x" * 101, content_type="image/png"), "larger than 100 bytes"),
    "is large and does not say so": (streamed(b"x" * 101, content_type="image/png"), "larger than 100 bytes"),
    "breaks off": ([head(content_type="image/png", length=9), b"x", CLOSE], "broke off"),
    "goes in a circle": (answer(b"", 301, [("location", "/again")]), "redirects more than 3 times"),
    "leads to a file": (answer(b"", 302, [("location", "file:///etc/passwd")]), "neither an http"),
    "hides credentials": (answer(b"", 302, [("location", "http://a:b@c/")]), "credentials"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_is_no_image_is_refused(name: str) -> None:
    script, why = ANSWERS[name]
    async with Upstream(*[script] * 4) as server:
        with pytest.raises(UnfetchableError, match=why):
            await fetch(fetcher(), server.url)
        await server.closed()


async def test_all_files_of_a_request_share_a_bound() -> None:
    async with Upstream(IMAGE, IMAGE) as server:
        made, budget = fetcher(), Budget(100, len(PNG) + 1)
        await fetch(made, server.url, budget)
        with pytest.raises(UnfetchableError, match="together"):
            await fetch(made, server.url, budget)


async def test_a_server_that_is_not_there() -> None:
    with refusing() as url, pytest.raises(UnfetchableError, match="cannot be reached"):
        await fetch(fetcher(), url)


@pytest.mark.parametrize("script", [[HANG], [head(content_type="image/png"), HANG]], ids=["head", "body"])
async def test_cancelling_closes_the_connection(script: Script) -> None:
    async with Upstream(script) as server:
        task = asyncio.create_task(fetch(fetcher(), server.url))
        await server.received()
        task.cancel()
        await server.closed()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_tls_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image comes over it, but from nobody whom no authority vouches for."""
    async with Upstream(IMAGE, tls=server_tls()) as server:
        with pytest.raises(UnfetchableError, match="cannot be reached"):
            await fetch(fetcher(), server.url)
        monkeypatch.setattr(opening, "tls", trusting_tls)
        assert (await fetch(fetcher(), server.url)).data == PNG


def test_httpx_is_loaded_where_urls_are_fetched() -> None:
    """When the adapter is made, not while calls wait; without ``fetch_urls`` never."""
    program = """
import sys
from portico.config import Url
from portico.adapter import Limits
from portico_adapters.ollama import OllamaAdapter
from portico_adapters.ollama.settings import OllamaSettings
for fetch_urls in (False, True):
    OllamaAdapter("b", OllamaSettings(url=Url("http://x"), fetch_urls=fetch_urls), Limits())
    print("httpx" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]
