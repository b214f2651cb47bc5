"""AWS Signature Version 4, as botocore makes it. Importing this costs a tenth of a second."""

from collections.abc import Mapping
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from portico.errors import GatewayError, from_upstream
from portico_adapters.bedrock.settings import BedrockSettings

#: The name by which both of Bedrock's APIs know their signatures.
_SERVICE: Final = "bedrock"


class Signer:
    """Signs with the keys of the settings, or with those that botocore finds and renews."""

    def __init__(self, settings: BedrockSettings) -> None:
        self._region = settings.region
        self._profile = settings.profile
        self._found: Any = None
        if settings.access_key_id and settings.secret_access_key:
            token = settings.session_token.reveal() if settings.session_token else None
            keys = (settings.access_key_id.reveal(), settings.secret_access_key.reveal(), token)
            self._found = Credentials(*keys)
        #: Keys are at hand: ``sign`` reads no file and calls nobody.
        self.ready = self._found is not None

    def sign(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """Return ``headers`` and those that prove who sends the request; ``url`` as it is sent.

        May read files and call AWS where keys are to be found or renewed: run it in a thread unless
        ``ready``. Raises GatewayError where there are none.
        """
        request = AWSRequest(method, url, dict(headers), body)
        SigV4Auth(self._keys(), _SERVICE, self._region).add_auth(request)
        return dict(request.headers.items())

    def _keys(self) -> Any:
        try:
            if self._found is None:
                self._found = Session(profile=self._profile).get_credentials()
            if self._found is not None:
                return self._found.get_frozen_credentials()
        except BotoCoreError as problem:
            raise _without_keys(str(problem)) from problem
        raise _without_keys("botocore finds no credentials of AWS")


def _without_keys(detail: str) -> GatewayError:
    error = from_upstream(403, detail)
    error.upstream_status = 0
    return error
