"""Which addresses are the open internet's: callers must not reach into the gateway's own network. Pure."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_PORTS: Final = (80, 443)

# What Python calls global, or does in some of its versions, though it leads elsewhere (IANA's registries
# of special-purpose addresses).
_ELSEWHERE: Final = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments; Oracle's metadata
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("168.63.129.16/32"),  # Azure's own service on every machine
    IPv6Network("64:ff9b::/96"),  # NAT64: an IPv4 address in disguise
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2001::/23"),  # Teredo and other assignments
    IPv6Network("2002::/16"),  # 6to4: an IPv4 address in disguise
    IPv6Network("::/8"),  # IPv4-mapped and -compatible ones
)


def is_public(host: str, port: int) -> bool:
    """Whether a connection to ``host``, an address, goes to an ordinary server on the open internet."""
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        # A name, or one of the short forms such as 127.1 that only the system understands.
        return False
    special = (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or address.is_link_local
        or (isinstance(address, IPv6Address) and (address.is_site_local or address.scope_id is not None))
        or any(address in network for network in _ELSEWHERE if network.version == address.version)
    )
    return port in _PORTS and not special
