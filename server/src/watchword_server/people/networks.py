"""Where somebody is, as far as an address tells."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network


def network(address: str) -> str:
    """What one caller has all of: one address of IPv4, the 2^64 beside one of IPv6. A text that is neither stays."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address
