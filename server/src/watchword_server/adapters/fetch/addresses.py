"""Which addresses may be spoken to for somebody else (IANA special-purpose address registries, RFC 6890)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK: Final[tuple[Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

# fmt: off
NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(map(ip_network, (
    "0.0.0.0/8",          # this network; Linux connects 0.0.0.0 to itself
    "10.0.0.0/8",         # private
    "100.64.0.0/10",      # behind a carrier's NAT; a cloud's metadata too
    "127.0.0.0/8",        # loopback
    "168.63.129.16/32",   # a cloud's host agent, public in nothing but its number
    "169.254.0.0/16",     # link-local; most clouds' metadata
    "172.16.0.0/12",      # private
    "192.0.0.0/24",       # protocol assignments
    "192.0.2.0/24",       # documentation
    "192.88.99.0/24",     # relays of 6to4
    "192.168.0.0/16",     # private
    "198.18.0.0/15",      # benchmarks
    "198.51.100.0/24",    # documentation
    "203.0.113.0/24",     # documentation
    "224.0.0.0/4",        # multicast
    "240.0.0.0/4",        # reserved; broadcast
    # Within 2000::/3:
    "2001::/23",          # protocol assignments, among them Teredo, which carries an IPv4 address
    "2001:db8::/32",      # documentation
    "2002::/16",          # 6to4, which carries an IPv4 address
    "3fff::/20",          # documentation
)))
GLOBAL_UNICAST: Final = ip_network("2000::/3")
"""All of IPv6 that is given out. Outside are loopback, private, link-local, multicast, and what carries an IPv4
address: ::ffff:0:0/96, ::/96, 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64)."""
# fmt: on


def address(text: str) -> Address:
    """An address as a resolver gives it; its zone, if any, stays. Raises ValueError."""
    return ip_address(text)


def within(one: Address, networks: Sequence[Network]) -> bool:
    """Whether it lies in one of these, in the same version of IP: an IPv4 address in IPv6 clothes does not."""
    return any(one in network for network in networks)


def is_public(one: Address) -> bool:
    """Whether it is of the internet at large, where nobody trusts a caller for coming from inside."""
    return (one.version == 4 or one in GLOBAL_UNICAST) and not within(one, NOT_PUBLIC)
