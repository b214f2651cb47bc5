"""What a backend of this dialect may be told in the configuration."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from portico.config import Url
from portico.secret import Secret
from portico_adapters._passing import PassingSettings, sendable
from portico_adapters.gemini.settings import check_root, check_version

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.:-]*")
_GLOBAL: Final = "https://aiplatform.googleapis.com"
#: Locations of several regions, which have addresses of their own.
_MULTI_REGIONS: Final = ("us", "eu")


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexSettings(PassingSettings):
    """The members of a backend of this dialect."""

    #: The id of the project that pays.
    project: str
    #: A region such as europe-west4, one of several regions (us, eu), or global.
    location: str = "global"
    #: What stands before /v1. None: Google's own address of the location.
    url: Url | None = None
    #: An OAuth token, sent as bearer token. Such a token lives an hour: who configures one renews it.
    access_token: Secret | None = None
    #: The JSON file with a service account's key, of which tokens are made instead (extra ``vertex``).
    service_account: str | None = None
    #: The API's version.
    version: str = "v1"

    def __post_init__(self) -> None:
        if self.access_token and self.service_account:
            raise ValueError("service_account: is not used beside access_token. Leave one of them out.")
        if self.service_account and not _can_sign():
            raise ValueError("service_account: needs google-auth: pip install portico-gateway[vertex]")
        has_key = bool(self.access_token or self.service_account)
        self.check_passing(has_key=has_key, own=("authorization",) if has_key else ())
        if self.access_token and not sendable(self.access_token.reveal()):
            raise ValueError("access_token: must be printable ASCII without line breaks")
        for name in ("project", "location"):
            if not _NAME.fullmatch(getattr(self, name)):
                raise ValueError(f"{name}: expected lower-case letters, digits and hyphens")
        if self.url:
            check_root(self.url, _GLOBAL)
        check_version(self.version)

    @property
    def root(self) -> str:
        """The address that is called."""
        if self.url:
            return self.url
        if self.location == "global":
            return _GLOBAL
        if self.location in _MULTI_REGIONS:
            return f"https://aiplatform.{self.location}.rep.googleapis.com"
        return f"https://{self.location}-aiplatform.googleapis.com"

    @property
    def key(self) -> dict[str, str]:
        """The header with the gateway's token, if there is one."""
        return {"authorization": f"Bearer {self.access_token.reveal()}"} if self.access_token else {}


def _can_sign() -> bool:
    try:
        return find_spec("google.auth") is not None
    except ModuleNotFoundError:
        return False
