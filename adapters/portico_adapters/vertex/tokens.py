"""Tokens of a service account, which google-auth signs here: Google is not asked for them.

Self-signed JWTs with a scope are taken by Google's APIs in place of access tokens (google.aip.dev/auth/4111).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from portico.errors import SERVER, ErrorClass, GatewayError

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
#: A token that ends sooner is not used: the call takes its time, and clocks differ.
_MARGIN: Final = timedelta(minutes=5)


class ServiceAccount:
    """Makes tokens of the key in the JSON file ``path``, which is read at the first call."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._credentials: Any = None

    def headers(self) -> dict[str, str]:
        """Return the header with a token that is good for some minutes; raise where none can be made."""
        try:
            if self._credentials is None:
                self._credentials = _load(self._path)
            if self._ends_soon():
                self._credentials.refresh(None)
        except Exception as problem:
            # Whatever the file is: google-auth and the libraries below it each have errors of their own.
            detail = f"service_account {self._path}: {type(problem).__name__}"
            message = "The gateway has no credentials for the backend."
            raise GatewayError(
                ErrorClass.CREDENTIAL, 502, message, SERVER, "upstream_credentials", detail=detail
            ) from problem
        return {"authorization": f"Bearer {self._credentials.token}"}

    def _ends_soon(self) -> bool:
        expiry = self._credentials.expiry
        # google-auth tells UTC without saying so.
        return expiry is None or expiry.replace(tzinfo=UTC) < datetime.now(UTC) + _MARGIN


def _load(path: str) -> Any:
    # Loaded here: whoever has no service account need not have the library.
    from google.oauth2 import service_account  # noqa: PLC0415

    key = str(Path(path).expanduser())
    credentials: Any = service_account.Credentials
    credentials = credentials.from_service_account_file(key, scopes=_SCOPES)
    return credentials.with_always_use_jwt_access(True)
