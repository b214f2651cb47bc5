"""Where the cores of a target are."""

import socket

import pytest

from portico.link.places import Name, listed, name_in


@pytest.mark.parametrize(
    ("target", "places"),
    [
        ("localhost:50051", {"localhost:50051"}),
        ("unix:/run/core.sock", {"unix:/run/core.sock"}),
        ("ipv4:10.0.0.1:1", {"ipv4:10.0.0.1:1"}),
        ("ipv4:10.0.0.1:1,10.0.0.2:2", {"ipv4:10.0.0.1:1", "ipv4:10.0.0.2:2"}),
        ("ipv6:[::1]:1,[::2]:2", {"ipv6:[::1]:1", "ipv6:[::2]:2"}),
        ("dns:///core:1", set()),
        ("dns://10.0.0.9/core:1", set()),
    ],
)
def test_addresses_are_listed_one_by_one(target: str, places: set[str]) -> None:
    """A bare HOST:PORT is one core: `localhost` has an address of either family."""
    assert listed(target) == places


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("dns:///core.internal:50051", Name("core.internal", "50051")),
        ("dns:core:1", Name("core", "1")),
        ("dns:///[::1]:1", Name("::1", "1")),
        ("dns:///core", None),
        ("dns://10.0.0.9/core:1", None),
        ("core:1", None),
        ("ipv4:10.0.0.1:1", None),
        ("unix:/dns:1", None),
    ],
)
def test_names_are_looked_up_where_the_system_can(target: str, name: Name | None) -> None:
    """Not those that another server is to be asked for, nor one without a port."""
    assert name_in(target) == name


async def test_a_name_has_addresses() -> None:
    """As targets that gRPC dials, of either family."""
    assert "ipv4:127.0.0.1:7" in await Name("localhost", "7").places()
    assert await Name("127.0.0.2", "7").places() == {"ipv4:127.0.0.2:7"}
    assert await Name("::1", "7").places() == {"ipv6:[::1]:7"}
    with pytest.raises(socket.gaierror):
        await Name("no.such.name.invalid", "7").places()
