"""Which web pages may call the facade from a browser (the Fetch standard's CORS protocol)."""

from collections.abc import Iterator, Mapping
from typing import Final

# A browser may keep a preflight's answer for so many seconds; two hours is the most that Chrome does.
_MAX_AGE: Final = "7200"


def answer_headers(origins: frozenset[str], request: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give the headers that let the page which asks, if it may, read the answer.

    ``origins``: those that may; "*" among them means all. Callers prove themselves by a key that the
    page holds, never by cookies, so that Access-Control-Allow-Credentials is not needed and the wild
    cards mean what they say.
    """
    if not origins:
        return
    everyone = "*" in origins
    if not everyone:
        # Caches must not hand the answer of one page to another.
        yield "Vary", "Origin"
    origin = request.get("origin")
    if origin is not None and (everyone or origin in origins):
        yield "Access-Control-Allow-Origin", "*" if everyone else origin
        # x-request-id, x-portico-*, retry-after and the rate limits, whose names vary by backend.
        yield "Access-Control-Expose-Headers", "*"


def preflight_headers(
    origins: frozenset[str], request: Mapping[str, str], methods: str
) -> Iterator[tuple[str, str]]:
    """Give what a browser asks before it sends a request of its page, beside ``answer_headers``."""
    origin = request.get("origin")
    if origin is None or not ("*" in origins or origin in origins):
        return
    yield "Access-Control-Allow-Methods", methods
    wanted = request.get("access-control-request-headers")
    if wanted is not None:
        # Named one by one, because the wild card leaves Authorization out.
        yield "Access-Control-Allow-Headers", wanted
    yield "Access-Control-Max-Age", _MAX_AGE
