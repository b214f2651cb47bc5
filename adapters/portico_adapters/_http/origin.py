"""Where an HTTP server is. Pure."""

from typing import Final, NamedTuple
from urllib.parse import SplitResult

#: The usual port of each scheme.
PORTS: Final = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port of a server."""

    secure: bool
    #: A name in ASCII, or an address without brackets.
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Return ``host:port``, the port also where it is the usual one."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def named(self) -> str:
        """Return the value of the ``host`` header: the usual port is left out."""
        usual = PORTS["https" if self.secure else "http"]
        return self.authority.removesuffix(f":{usual}") if self.port == usual else self.authority


def origin_of(url: SplitResult) -> Origin:
    """Return the origin of an http or https URL; raise ValueError where it has none."""
    host = url.hostname
    if url.scheme not in PORTS or not host:
        raise ValueError("not an http or https URL")
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    return Origin(url.scheme == "https", host, url.port or PORTS[url.scheme])
