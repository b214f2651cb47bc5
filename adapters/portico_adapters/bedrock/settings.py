"""What a backend of this dialect may be told in the configuration."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from portico.config import Url
from portico.secret import Secret
from portico_adapters._fetching import FetchingSettings
from portico_adapters._passing import sendable

_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockSettings(FetchingSettings):
    """The members of a backend of this dialect.

    Requests are signed with the keys that stand here; without any, with those that AWS's own tools would
    find: of ``profile``, the environment, the shared files, the container or the machine.
    """

    #: Such as us-east-1.
    region: str
    #: Bedrock's runtime. None: AWS's own in the region.
    url: Url | None = None
    #: Bedrock's other API, which lists models. None: ``url`` where that is set, else AWS's own.
    models_url: Url | None = None
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    #: A profile of the shared files, such as ~/.aws/config.
    profile: str | None = None
    #: A Bedrock API key, sent as bearer token: nothing is signed.
    api_key: Secret | None = None

    def __post_init__(self) -> None:
        self.check_passing(has_key=bool(self.api_key or self.access_key_id or self.profile))
        if not _REGION.fullmatch(self.region):
            raise ValueError("region: expected a region of AWS such as us-east-1")
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("access_key_id: and secret_access_key go together")
        if self.session_token and not self.access_key_id:
            raise ValueError("session_token: needs access_key_id and secret_access_key")
        if sum(map(bool, (self.api_key, self.access_key_id, self.profile))) > 1:
            raise ValueError("api_key: takes the place of access_key_id and of profile. Leave one of them.")
        for name in ("api_key", "access_key_id", "secret_access_key", "session_token"):
            secret: Secret | None = getattr(self, name)
            # What is often wrong is a line break at the end of a key that was read from a file.
            if secret and not sendable(secret.reveal()):
                raise ValueError(f"{name}: must be printable ASCII without line breaks")
        if find_spec("botocore") is None:
            raise ValueError("dialect: bedrock needs botocore: pip install 'portico-gateway[bedrock]'")

    @property
    def signs(self) -> bool:
        """Whether requests are signed with the gateway's own credentials."""
        return not (self.api_key or self.callers_key)

    @property
    def runtime_url(self) -> str:
        """Where models are called."""
        return self.url or f"https://bedrock-runtime.{self.region}.amazonaws.com"

    @property
    def control_url(self) -> str:
        """Where models are listed."""
        return self.models_url or self.url or f"https://bedrock.{self.region}.amazonaws.com"
