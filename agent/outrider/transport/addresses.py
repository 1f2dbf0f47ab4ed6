"""What kind of address an IP address is, whatever it is written like and whatever it is wrapped in.

Rules
-----
1. An IPv6 address that carries an IPv4 address (mapped, compatible, translated, NAT64, 6to4) is judged as the IPv4
   address: that is where its packets end.
2. `nowhere` is no address of a service: unspecified (which a system takes for itself), multicast, broadcast.
3. `metadata` is where a cloud tells its machines their keys, whatever range the address lies in.
4. What is neither public nor any of the rest is `special`: documentation, benchmarks, reserved ranges, Teredo.

Sources: IANA's registries of special-purpose addresses (RFC 6890); RFC 4291, 2.5.5 (mapped, compatible), RFC 2765, 2.1
(translated), RFC 6052 (NAT64), RFC 3056 (6to4); the clouds' own manuals for metadata.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from enum import StrEnum
from typing import TypeAlias

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Kind(StrEnum):
    """Who is behind an address."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    SPECIAL = "special"
    METADATA = "metadata"
    NOWHERE = "nowhere"


_RANGES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.METADATA, (
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23",  # AWS, and those like it
        "fd20:ce::254",  # Google
        "168.63.129.16",  # Azure
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "169.254.42.42", "fd00:42::42",  # Scaleway
    )),
    (Kind.NOWHERE, ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255", "::", "ff00::/8")),
    (Kind.LOOPBACK, ("127.0.0.0/8", "::1")),
    (Kind.LINK_LOCAL, ("169.254.0.0/16", "fe80::/10")),
    (Kind.PRIVATE, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10")),
    (Kind.SPECIAL, (
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20",
    )),
    (Kind.PUBLIC, ("0.0.0.0/0", "2000::/3")),
    (Kind.SPECIAL, ("::/0",)),
)  # fmt: skip
"""Tried from the top."""

_KINDS: tuple[tuple[Network, Kind], ...] = tuple(
    (ipaddress.ip_network(text), kind) for kind, texts in _RANGES for text in texts
)
_CARRIERS = tuple(
    (ipaddress.IPv6Network(text), shift)
    for text, shift in (
        ("::ffff:0:0/96", 0),
        ("::ffff:0:0:0/96", 0),
        ("64:ff9b::/96", 0),
        ("::/96", 0),
        ("2002::/16", 80),
    )
)
"""Ranges of IPv6 addresses that carry an IPv4 address, and how many bits stand after it."""

_PART = r"(?:0[xX][0-9a-fA-F]*|[0-9]+)"
_NUMERIC = re.compile(rf"{_PART}(?:\.{_PART}){{0,3}}")


def literal(host: str) -> IpAddress | None:
    """The address that a host is, in any spelling that a system reads as one (127.1, 0x7f000001, 2130706433,
    0177.0.0.1, with a zone); None for a name."""
    text = host.strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    if not _NUMERIC.fullmatch(text):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


def inner(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 address carries, or else the address itself."""
    if isinstance(address, ipaddress.IPv4Address) or address in _BARE:
        return address
    for network, shift in _CARRIERS:
        if address in network:
            return ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF)
    return address


_BARE = (ipaddress.IPv6Address("::"), ipaddress.IPv6Address("::1"))
"""Both look like IPv4-compatible addresses, and are not."""


def kind_of(address: IpAddress) -> Kind:
    """The kind of an address; of what it carries, where it carries one."""
    found = inner(address)
    return next(kind for network, kind in _KINDS if network.version == found.version and found in network)
