"""Where the cores of a target are: each address that it lists, or that its name has."""

import asyncio
import re
import socket
from dataclasses import dataclass
from typing import Final

# A port is asked for, as gRPC would dial one that nobody chose.
_NAME: Final = re.compile(r"dns:(?:///)?(?P<host>[^/]+):(?P<port>\d+)", re.ASCII)
_LISTED: Final = ("ipv4:", "ipv6:")


@dataclass(frozen=True)
class Name:
    """A name that may have several addresses, and others later."""

    host: str
    port: str

    async def places(self) -> frozenset[str]:
        """Return a gRPC target for each address. Raise OSError where there is none."""
        found = await asyncio.get_running_loop().getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return frozenset(_target(family, where) for family, _, _, _, where in found)


def name_in(target: str) -> Name | None:
    """Return the name of a target that has one to look up, such as ``dns:///core.internal:50051``. Pure.

    None for HOST:PORT, which stands for one core, and for ``dns://SERVER/NAME:PORT``: the system, which is
    asked here, would ask another server.
    """
    found = _NAME.fullmatch(target)
    return Name(found["host"].strip("[]"), found["port"]) if found else None


def listed(target: str) -> frozenset[str]:
    """Return a gRPC target for each address of one that has no name to look up. Pure.

    That is ``ipv4:10.0.0.1:50051,10.0.0.2:50051`` or one address alone. Empty: gRPC alone can tell.
    """
    for scheme in _LISTED:
        if target.startswith(scheme):
            return frozenset(scheme + each for each in target.removeprefix(scheme).split(","))
    return frozenset() if target.startswith("dns:") else frozenset((target,))


def _target(family: int, where: "tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]") -> str:
    host, port = where[:2]
    return f"ipv6:[{host!s}]:{port!s}" if family == socket.AF_INET6 else f"ipv4:{host!s}:{port!s}"
