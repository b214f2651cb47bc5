"""Fetching from a server on this machine, which only a test may allow."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from portico.testing.upstream import Upstream, refusing
from portico.testing.wire import CLOSE, Script, answer, head, streamed
from portico_adapters._http import Budget, Fetcher, UnfetchableError
from portico_adapters._http.addresses import is_public
from portico_adapters._http.fetch import Fetched

PNG = b"\x89PNG\r\n"
IMAGE = answer(PNG, content_type="Image/PNG; x=y")


@asynccontextmanager
async def fetcher(may_connect: Callable[[str, int], bool] = lambda *_: True) -> AsyncIterator[Fetcher]:
    made = Fetcher("portico/test", may_connect)
    try:
        yield made
    finally:
        await made.aclose()


async def fetch(made: Fetcher, url: str, budget: Budget | None = None) -> Fetched:
    return await made.fetch(url, ["image/"], budget or Budget(100, 100))


async def test_an_image_arrives_with_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server learns who asks and for what; a proxy of the environment is not asked."""
    with refusing() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        async with Upstream(IMAGE) as server, fetcher() as made:
            assert await fetch(made, f"{server.url}/a%3Ab.png?x=1") == Fetched("image/png", PNG)
    (request,) = server.requests
    assert request.path == "/a%3Ab.png?x=1"
    assert set(request.headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}


async def test_each_redirect_is_followed_and_checked_like_a_url_of_its_own() -> None:
    """One that leads to a forbidden address ends there."""
    async with Upstream(IMAGE) as inner:
        redirect = answer(b"", 302, [("location", f"{inner.url}/secret.png")])
        async with Upstream(redirect) as outer:
            async with fetcher() as made:
                assert (await fetch(made, outer.url)).data == PNG
            async with fetcher(lambda _, port: port == int(outer.url.rpartition(":")[2])) as made:
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
    async with fetcher(is_public) as made:
        with pytest.raises(UnfetchableError, match=r"open internet|not a valid URL"):
            await fetch(made, url)


async def test_the_address_that_is_checked_is_the_one_that_is_connected_to() -> None:
    """Of a name, what it resolved to for this connection."""
    checked: list[tuple[str, int]] = []

    def note(host: str, port: int) -> bool:
        checked.append((host, port))
        return host == "127.0.0.1"

    async with Upstream(IMAGE) as server, fetcher(note) as made:
        port = int(server.url.rpartition(":")[2])
        await fetch(made, f"http://127.0.0.1:{port}/")
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
    async with fetcher(lambda *_: pytest.fail("connected")) as made:
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
    async with Upstream(*[script] * 4) as server, fetcher() as made:
        with pytest.raises(UnfetchableError, match=why):
            await fetch(made, server.url)


async def test_all_files_of_a_request_share_a_bound() -> None:
    async with Upstream(IMAGE, IMAGE) as server, fetcher() as made:
        budget = Budget(100, len(PNG) + 1)
        await fetch(made, server.url, budget)
        with pytest.raises(UnfetchableError, match="together"):
            await fetch(made, server.url, budget)


async def test_a_server_that_is_not_there() -> None:
    with refusing() as url:
        async with fetcher() as made:
            with pytest.raises(UnfetchableError, match="cannot be reached"):
                await fetch(made, url)
