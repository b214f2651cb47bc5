"""Images and files in data: URLs (RFC 2397), as dialects want them that keep type and bytes apart. Pure."""

import re
from dataclasses import dataclass
from typing import Final

_DATA: Final = re.compile(
    r"data:(?P<type>[\w!#$&^.+-]+/[\w!#$&^.+-]+)?(;[\w=.+-]+)*;base64,", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Media:
    """A file that stands in a request itself."""

    #: In lower case, such as "image/png"; empty where the URL names none.
    media_type: str
    #: base64, as sent.
    data: str


def inline(url: str) -> Media | None:
    """Return what a base64 data: URL holds. None: it is some other URL."""
    prefix = _DATA.match(url)
    if prefix is None:
        return None
    return Media((prefix["type"] or "").lower(), url[prefix.end() :])
