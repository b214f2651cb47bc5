"""The gateway's own keys: whether what a caller shows is one of them.

Keys are looked up as digests under a random key of this process. So a look-up takes the same time
whatever a guess has in common with a key.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from typing import Final

from portico.errors import AUTHENTICATION, ErrorClass, GatewayError
from portico.gateway import CallContext
from portico.v1.headers_pb2 import Header
from portico_core.call import ANONYMOUS, Principal
from portico_core.config import Key

_HOW: Final = (
    "Send it as `Authorization: Bearer KEY`, "
    "or as `x-portico-key: KEY` where Authorization is for the backend."
)
_BEARER: Final = "bearer"

#: The header that holds a key of this gateway, and nothing else.
KEY_HEADER: Final = "x-portico-key"
# Beside it, those in which such a key would be taken for one of the backend's.
_KEYED: Final = frozenset({KEY_HEADER, "authorization", "x-api-key", "api-key"})


class Keys:
    """The keys of a configuration. Without any, everybody may call."""

    def __init__(self, keys: Iterable[Key], others: Iterable[Key] = ()) -> None:
        """``others``: keys of this gateway that open something else, and that backends are not to see."""
        self._pepper = secrets.token_bytes(32)
        self._principals = {self._digest(key.secret.reveal()): Principal(key.name) for key in keys}
        self._ours = {*self._principals, *(self._digest(key.secret.reveal()) for key in others)}

    def __bool__(self) -> bool:
        return bool(self._principals)

    def authenticate(self, context: CallContext) -> Principal:
        """Return who calls; raise 401 where the caller shows no key, or a wrong one."""
        if not self._principals:
            return ANONYMOUS
        shown = context.key or _bearer(context.authorization or "")
        if not shown:
            raise _refused(f"This gateway needs a key. {_HOW}")
        principal = self._principals.get(self._digest(shown))
        if principal is None:
            raise _refused(f"The key is not one of this gateway's. {_HOW}")
        return principal

    def for_backends(self, headers: Sequence[Header]) -> Sequence[Header]:
        """Return the caller's headers less any key of this gateway: backends are not to see it."""
        return [
            header for header in headers if header.name.lower() not in _KEYED or not self._is_ours(header)
        ]

    def _is_ours(self, header: Header) -> bool:
        """Tell whether one of ``_KEYED`` holds a key of this gateway."""
        if header.name.lower() == KEY_HEADER:
            return True
        if not self._ours:
            return False
        shown = _bearer(header.value.decode("latin-1"))
        return self._digest(shown) in self._ours

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode(errors="surrogatepass"), key=self._pepper, digest_size=32).digest()


def _bearer(authorization: str) -> str:
    """Return the token of an Authorization header; one without a scheme is the token itself."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == _BEARER else authorization.strip()


def _refused(message: str) -> GatewayError:
    return GatewayError(ErrorClass.CREDENTIAL, 401, message, AUTHENTICATION, "invalid_api_key")
