"""What a backend of this dialect may be told in the configuration."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from portico.config import Url
from portico.secret import Secret
from portico_adapters._passing import PassingSettings, sendable

_URL: Final = Url("https://api.anthropic.com")

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")

#: The first version that knows neither temperature nor top_p (the API's "Versions").
_WITHOUT_SAMPLING: Final = "2026-10-21"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicSettings(PassingSettings):
    """The members of a backend of this dialect."""

    #: What stands before /v1/messages, such as https://RESOURCE.services.ai.azure.com/anthropic.
    url: Url = _URL
    #: Sent as x-api-key.
    api_key: Secret | None = None
    #: Sent as bearer token instead: OAuth, Entra, or a gateway that wants it so.
    auth_token: Secret | None = None
    #: The API's version. Later ones than 2023-06-01 take no temperature from any model.
    version: str = "2023-06-01"
    #: Names of beta features that every request may use.
    beta: Sequence[str] = ()
    #: The limit of requests that give none, which the API wants. None: as much as the model can.
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.api_key and self.auth_token:
            raise ValueError("auth_token: is not sent beside api_key. Leave one of them out.")
        self.check_passing(has_key=bool(self.api_key or self.auth_token), own=self.headers)
        for name, secret in (("api_key", self.api_key), ("auth_token", self.auth_token)):
            # What is often wrong is a line break at the end of a key that was read from a file.
            if secret and not sendable(secret.reveal()):
                raise ValueError(f"{name}: must be printable ASCII without line breaks")
        if urlsplit(self.url).path.rstrip("/").endswith(("/v1", "/messages")):
            raise ValueError("url: expected what stands before /v1, such as https://api.anthropic.com")
        if not _DATE.fullmatch(self.version):
            raise ValueError("version: expected a date such as 2023-06-01")
        for name in self.beta:
            if not sendable(name) or "," in name:
                raise ValueError(f"beta: {name!r} is no name of a beta feature")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError("max_tokens: must be at least 1")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request, the key apart."""
        beta = {"anthropic-beta": ",".join(self.beta)} if self.beta else {}
        return {"anthropic-version": self.version, **beta}

    @property
    def key(self) -> dict[str, str]:
        """The header with the gateway's key, if there is one."""
        if self.api_key:
            return {"x-api-key": self.api_key.reveal()}
        return {"authorization": f"Bearer {self.auth_token.reveal()}"} if self.auth_token else {}

    @property
    def samples(self) -> bool:
        """Whether this version of the API knows temperature and top_p."""
        return self.version < _WITHOUT_SAMPLING
