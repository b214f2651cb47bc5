"""Listening sockets: every address of a host, with one port."""

import contextlib
import socket
from pathlib import Path

import pytest

from portico_facade.listen import listening


def dial(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=5).close()


def test_all_addresses_means_those_of_ipv4_too() -> None:
    """What `:8000` stands for."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with listening("[::]:0") as (sockets, address):
        assert address.startswith("[::]:")
        port = sockets[0].getsockname()[1]
        dial("127.0.0.1", port)
        dial("::1", port)


def test_a_name_is_bound_at_each_of_its_addresses_with_the_same_port() -> None:
    """localhost is two addresses on most machines; one that the machine lacks is left out."""
    with listening("localhost:0") as (sockets, address):
        ports = {sock.getsockname()[1] for sock in sockets}
        assert address == f"localhost:{ports.pop()}"
        assert not ports
        for sock in sockets:
            dial(*sock.getsockname()[:2])


def test_a_port_that_is_taken_is_told_and_leaves_nothing_open() -> None:
    """pytest fails on a socket that nobody closed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {address}: .*in use"), listening(address):
            pass


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A mistyped path must not cost anybody a file."""
    file = tmp_path / "letters"
    file.write_text("dear")
    with pytest.raises(OSError, match="in use"), listening(f"unix:{file}"):
        pass
    assert file.read_text() == "dear"


def test_a_name_that_does_not_resolve_is_told() -> None:
    """A typing mistake, usually."""
    with pytest.raises(OSError, match=r"cannot listen on nowhere\.invalid:0"), listening("nowhere.invalid:0"):
        pass


def test_a_socket_file_of_another_server_is_left_alone(tmp_path: Path) -> None:
    """It took the path over while we were draining."""
    path = f"unix:{tmp_path}/http.sock"
    with contextlib.ExitStack() as second:
        with listening(path):
            second.enter_context(listening(path))
        assert (tmp_path / "http.sock").exists()
    assert not (tmp_path / "http.sock").exists()
