"""What a backend of this dialect may be told in the configuration."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from portico.config import Url
from portico.secret import Secret
from portico_adapters._fetching import FetchingSettings
from portico_adapters._passing import sendable

# What Go's time.ParseDuration reads, or a number of seconds.
_DURATION: Final = re.compile(r"-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")
_SECONDS: Final = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaSettings(FetchingSettings):
    """The members of a backend of this dialect."""

    #: The server's root, such as http://localhost:11434.
    url: Url
    #: Sent as bearer token. None: the server wants no key; ollama.com and proxies do.
    api_key: Secret | None = None
    #: How long a model stays loaded after a request: a duration such as 5m, or seconds; 0 unloads it
    #: at once and -1 keeps it. None: the server's own choice.
    keep_alive: str | None = None
    #: Tokens of context that models are loaded with. None: the server's own choice, which may be small
    #: enough that it cuts long prompts without a word.
    num_ctx: int | None = None

    def __post_init__(self) -> None:
        self.check_passing(has_key=bool(self.api_key))
        # What is often wrong is a line break at the end of a key that was read from a file.
        if self.api_key and not sendable(self.api_key.reveal()):
            raise ValueError("api_key: must be printable ASCII without line breaks")
        path = urlsplit(self.url).path.rstrip("/")
        if path.endswith(("/v1", "/api")):
            raise ValueError("url: expected the server's root, such as http://localhost:11434")
        kept = self.keep_alive
        if kept is not None and not (_DURATION.fullmatch(kept) or _SECONDS.fullmatch(kept)):
            raise ValueError("keep_alive: expected a duration such as 5m, or seconds such as 0 or -1")
        if self.num_ctx is not None and self.num_ctx < 1:
            raise ValueError("num_ctx: must be at least 1")

    @property
    def keep_alive_json(self) -> str | float | None:
        """``keep_alive`` as the API takes it: a number is seconds, a text needs a unit."""
        if self.keep_alive is not None and _SECONDS.fullmatch(self.keep_alive):
            return float(self.keep_alive)
        return self.keep_alive
