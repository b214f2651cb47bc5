"""What a backend of this dialect may be told in the configuration."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from portico.config import Url
from portico.secret import Secret
from portico.v1.headers_pb2 import Header
from portico_adapters._passing import PassingSettings, sendable

_VERSION: Final = re.compile(r"v\d+(alpha|beta)?\d*")
_URL: Final = Url("https://generativelanguage.googleapis.com")
_KEY_HEADER: Final = "x-goog-api-key"
_BEARER: Final = re.compile(r"bearer\s+(\S+)", re.IGNORECASE)
# What OpenAI's and other vendors' clients send, and this API does not know.
_ELSEWHERE: Final = ("x-api-key", "api-key", "openai-organization", "openai-project")
# How tokens of Google's OAuth begin; API keys do otherwise.
_OAUTH: Final = ("ya29.", "eyJ")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiSettings(PassingSettings):
    """The members of a backend of this dialect."""

    #: What stands before /v1beta.
    url: Url = _URL
    #: Sent as x-goog-api-key.
    api_key: Secret | None = None
    #: The API's version: JSON Schemas and thinking are served by v1beta alone.
    version: str = "v1beta"

    def __post_init__(self) -> None:
        self.check_passing(has_key=bool(self.api_key), own=(_KEY_HEADER,) if self.api_key else ())
        # What is often wrong is a line break at the end of a key that was read from a file.
        if self.api_key and not sendable(self.api_key.reveal()):
            raise ValueError("api_key: must be printable ASCII without line breaks")
        check_root(self.url, _URL)
        check_version(self.version)

    @property
    def key(self) -> dict[str, str]:
        """The header with the gateway's key, if there is one."""
        return {_KEY_HEADER: self.api_key.reveal()} if self.api_key else {}

    def passed(self, headers: Sequence[Header]) -> dict[str, str]:
        """Return those of the caller's headers that go on, its key where this API looks for one.

        Clients of OpenAI send it as bearer token, which here must be OAuth's.
        """
        passed = PassingSettings.passed(self, headers)
        if not self.callers_key:
            return passed
        named = (header.value.decode(errors="replace") for header in headers if header.name == _KEY_HEADER)
        key = next(named, "") or passed.get("x-api-key", "") or passed.get("api-key", "")
        bearer = _BEARER.fullmatch(passed.get("authorization", ""))
        if bearer and not bearer[1].startswith(_OAUTH):
            key = key or bearer[1]
            del passed["authorization"]
        for name in _ELSEWHERE:
            passed.pop(name, None)
        return passed | ({_KEY_HEADER: key} if sendable(key) else {})


def check_root(url: str, such_as: str) -> None:
    """Raise ValueError for an address that has more than what stands before the version."""
    if any(_VERSION.fullmatch(piece) or piece == "models" for piece in urlsplit(url).path.split("/")):
        raise ValueError(f"url: expected what stands before the version, such as {such_as}")


def check_version(version: str) -> None:
    """Raise ValueError for what is no version of the API."""
    if not _VERSION.fullmatch(version):
        raise ValueError("version: expected one such as v1beta")
