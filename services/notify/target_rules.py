"""Which addresses a message may go to: public ones, and what the operator allows. Pure.

Without this, whoever may make a channel could have Dormice knock at the inside of its own network
(or at a cloud's metadata address, where credentials lie).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",  # carriers' own; Alibaba's metadata lies in it
        "168.63.129.16/32",  # Azure's metadata, though it looks public
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "fec0::/10",
    )
)


def find_address(host: str) -> Address | None:
    """Return the address that `host` is written as, or None if it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Say whether a message may be sent to `address`.

    An IPv6 address that carries an IPv4 one is judged by that: the packet ends up there.
    """
    address = _inner(address)
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def explain_refusal(address: Address) -> str:
    return f"the address {address} is not public; DORMICE_ALLOW_TARGETS can allow its network"


def _inner(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or _compatible(address) or address


def _compatible(address: ipaddress.IPv6Address) -> Address | None:
    """`::a.b.c.d`, long out of use, but some systems still take it for IPv4."""
    value = int(address)
    return ipaddress.IPv4Address(value) if 1 < value <= 0xFFFF_FFFF else None
