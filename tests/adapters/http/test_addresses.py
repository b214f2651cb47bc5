"""Only addresses of the open internet are public."""

import pytest

from portico_adapters._http.addresses import is_public

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001:82a::200e"]
NOT_PUBLIC = [
    *("127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "0.1.2.3"),
    *(
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "fc00::1",
        "fd12::1",
        "fec0::1",
    ),
    *("169.254.1.1", "fe80::1", "fe80::1%eth0", "2606:2800:220:1::1%1"),
    *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    *("224.0.0.1", "239.1.1.1", "ff02::1", "ff0e::1", "255.255.255.255", "240.0.0.1"),
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2001::1"),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1"),
    *("127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "example.com", "", "1.2.3.4.5"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public_on_the_ports_of_the_web(address: str) -> None:
    assert [port for port in (22, 80, 443, 6379, 8080) if is_public(address, port)] == [80, 443]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_leads_elsewhere_is_not(address: str) -> None:
    """The machine itself, its networks, metadata, disguises, and whatever is no plain address."""
    assert not is_public(address, 443)
