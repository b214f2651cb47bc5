"""What a backend of this dialect may be told in the configuration."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from portico.config import Url
from portico.secret import Secret
from portico_adapters._passing import PassingSettings, sendable

_URL: Final = Url("https://api.cohere.com")

#: What texts are embedded for (POST /v2/embed, ``input_type``); of images Portico's callers know nothing.
_INPUT_TYPES: Final = ("search_document", "search_query", "classification", "clustering")


@dataclass(frozen=True, slots=True, kw_only=True)
class CohereSettings(PassingSettings):
    """The members of a backend of this dialect."""

    #: What stands before /v2/chat.
    url: Url = _URL
    #: Sent as bearer token.
    api_key: Secret | None = None
    #: What texts are embedded for where the request does not say: the API wants to know, and OpenAI's has
    #: no word for it.
    input_type: str = "search_document"

    def __post_init__(self) -> None:
        self.check_passing(has_key=bool(self.api_key))
        # What is often wrong is a line break at the end of a key that was read from a file.
        if self.api_key and not sendable(self.api_key.reveal()):
            raise ValueError("api_key: must be printable ASCII without line breaks")
        if urlsplit(self.url).path.rstrip("/").endswith(("/v1", "/v2")):
            raise ValueError("url: expected what stands before /v2, such as https://api.cohere.com")
        if self.input_type not in _INPUT_TYPES:
            raise ValueError(f"input_type: expected one of {', '.join(_INPUT_TYPES)}")
