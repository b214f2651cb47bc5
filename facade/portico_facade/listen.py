"""Listening sockets for an address of the configuration."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

# Connections that may wait to be accepted; the kernel caps it (net.core.somaxconn).
_BACKLOG: Final = 1024

#: What a name's address gives where the machine has no such protocol (IPv6, usually).
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@contextlib.contextmanager
def listening(address: str, *, shared: bool = False) -> Iterator[tuple[list[socket.socket], str]]:
    """Listen on HOST:PORT or unix:/PATH; yield the sockets, and the address with the port that was taken.

    ``shared``: other processes of this user may listen on the same port, and each gets a part of the
    connections. The sockets are closed by the block's end, and a Unix socket's file is taken away. Raises
    OSError whose text names the address.
    """
    with contextlib.ExitStack() as stack:
        try:
            opened = _unix(stack, address) if address.startswith("unix:") else _tcp(stack, address, shared)
        except OSError as error:
            raise OSError(error.errno, f"cannot listen on {address}: {_reason(error)}") from error
        yield opened


@contextlib.contextmanager
def inherited(sockets: Sequence[socket.socket], address: str) -> Iterator[tuple[list[socket.socket], str]]:
    """Yield sockets that another process opened, as ``listening`` does, and close them at the block's end."""
    with contextlib.ExitStack() as stack:
        for sock in sockets:
            sock.setblocking(False)
            stack.enter_context(sock)
        yield list(sockets), address


def waiting(sock: socket.socket) -> Iterator[tuple[socket.socket, Any]]:
    """Yield the connections that wait to be accepted, each with its other end's address."""
    with contextlib.suppress(OSError):
        for _ in range(_BACKLOG):
            yield sock.accept()


@contextlib.contextmanager
def reserved(address: str) -> Iterator[None]:
    """Keep the port of HOST:PORT for those who share it, without taking connections, while the block runs."""
    host, _, port = address.rpartition(":")
    found = dict.fromkeys(
        socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    )
    with contextlib.ExitStack() as stack:
        for family, kind, _, _, where in found:
            # Who cannot be bound here, `listening` has said so of before, or left out.
            with contextlib.suppress(OSError):
                sock = stack.enter_context(socket.socket(family, kind))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                sock.bind(where)
        yield


def reachable(address: str) -> str:
    """Return an address to dial for one that is listened on over TCP."""
    host, _, port = address.rpartition(":")
    return f"localhost:{port}" if host in {"", "0.0.0.0", "[::]"} else address  # noqa: S104 - compared, not bound


def _reason(error: OSError) -> str:
    # asyncio and `socket` add the address to what the system says; that of a resolver is negative.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


def _unix(stack: contextlib.ExitStack, address: str) -> tuple[list[socket.socket], str]:
    path = Path(address.removeprefix("unix:"))
    sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    sock.setblocking(False)
    # A socket there is what a killed server left, or that of one which drains: we take its place.
    if path.is_socket():
        path.unlink()
    sock.bind(str(path))
    stack.callback(_remove, path, path.stat().st_ino)
    # Who may use it is decided by its folder and group: a proxy has a user of its own.
    path.chmod(0o660)
    sock.listen(_BACKLOG)
    return [sock], address


def _tcp(stack: contextlib.ExitStack, address: str, shared: bool) -> tuple[list[socket.socket], str]:
    host, _, port = address.rpartition(":")
    sockets = _bound(stack, host.strip("[]"), int(port), shared)
    return sockets, f"{host}:{sockets[0].getsockname()[1]}"


def _bound(stack: contextlib.ExitStack, host: str, port: int, shared: bool) -> list[socket.socket]:
    """Return one socket for each address of the host, all with the same port."""
    sockets: list[socket.socket] = []
    # A hosts file may name an address twice.
    found = dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    for number, (family, _, _, _, where) in enumerate(found, 1):
        # Of port 0 the first socket makes the port of all.
        place = (where[0], sockets[0].getsockname()[1] if sockets else port)
        # `::` means every address, those of IPv4 too.
        both = host == "::" and socket.has_dualstack_ipv6()
        try:
            sock = socket.create_server(
                place, family=family, backlog=_BACKLOG, reuse_port=shared, dualstack_ipv6=both
            )
        except OSError as error:
            if error.errno in _NOT_HERE and (sockets or number < len(found)):
                continue
            raise
        sock.setblocking(False)
        sockets.append(stack.enter_context(sock))
    return sockets


def _remove(path: Path, inode: int) -> None:
    """Take the file away, unless another server has put its own there."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_ino == inode:
            path.unlink()
