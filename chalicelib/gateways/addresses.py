"""Which network addresses a step may reach: the ones of the public internet, and what the deployment opens besides.

The address is judged, never the text of the host: a name, ``2130706433``, ``0x7f.1`` or ``017700000001`` all end up as
the address that the resolver makes of them, and the connection is then made to that very address (``wire.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

from chalicelib.gateways.errors import CallFailed

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

#: Refused parts of the IPv4 space. Ours rather than ``is_global``, whose meaning has moved between Python releases.
REFUSED_IPV4: Final[tuple[IPv4Network, ...]] = (
    IPv4Network("0.0.0.0/8"),  # "this host"; Linux takes 0.0.0.0 for loopback
    IPv4Network("10.0.0.0/8"),  # private
    IPv4Network("100.64.0.0/10"),  # carrier-grade NAT; VPCs use it too
    IPv4Network("127.0.0.0/8"),  # loopback, where Lambda's runtime API listens
    IPv4Network("169.254.0.0/16"),  # link-local: instance metadata, ECS credentials
    IPv4Network("172.16.0.0/12"),  # private
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments
    IPv4Network("192.0.2.0/24"),  # documentation
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("192.168.0.0/16"),  # private
    IPv4Network("198.18.0.0/15"),  # benchmarks
    IPv4Network("198.51.100.0/24"),  # documentation
    IPv4Network("203.0.113.0/24"),  # documentation
    IPv4Network("224.0.0.0/4"),  # multicast
    IPv4Network("240.0.0.0/4"),  # reserved, and broadcast
)

#: All of IPv6 that is routed publicly. Loopback, link-local, unique-local (fd00:ec2::254, the metadata service),
#: multicast, IPv4-mapped, IPv4-compatible and NAT64 addresses lie outside it.
PUBLIC_IPV6: Final = IPv6Network("2000::/3")

#: Refused parts of it.
REFUSED_IPV6: Final[tuple[IPv6Network, ...]] = (
    IPv6Network("2001::/23"),  # IETF protocol assignments, Teredo among them: an IPv4 address inside
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4: an IPv4 address inside
    IPv6Network("3fff::/20"),  # documentation
)


def is_public(address: Address) -> bool:
    """Return whether the address belongs to the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_IPV4)
    return address in PUBLIC_IPV6 and not any(address in network for network in REFUSED_IPV6)


def checked(host: str, addresses: Iterable[str], *, allow: Iterable[Network]) -> tuple[str, ...]:
    """Return the addresses of ``host``, each once, if every one may be reached; else raise ``address_refused``.

    One bad address refuses the host: a name that resolves to a public and a private address is an attack or a mistake.
    """
    opened = tuple(allow)
    judged = tuple(dict.fromkeys(addresses))
    for text in judged:
        address = ip_address(text)
        if not (is_public(address) or any(address in network for network in opened)):
            message = f"{host} is not a public address"
            raise CallFailed("address_refused", message, retryable=False)
    return judged
