"""Names to addresses, and addresses to connected sockets, each in its own phase. All that is not HTTP begins here."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any, TypeAlias

from outrider.transport.timing import Stopwatch

Address: TypeAlias = tuple[int, tuple[Any, ...]]
"""A socket family and an address of it."""


async def resolve(host: str, port: int, kind: socket.SocketKind, stopwatch: Stopwatch) -> list[Address]:
    """The addresses of a host, in the system's order; an IP address is its own. Raises OSError (gaierror),
    ValueError for what is no name or no port."""
    if not 0 < port < 65_536:
        raise ValueError(f"{port} is not a port: 1 to 65535")  # the system would take it modulo 65,536
    try:
        flags = socket.AI_NUMERICHOST if ipaddress.ip_address(host.partition("%")[0]) else 0
    except ValueError:
        flags = 0
        stopwatch.enter("resolve")
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=kind, flags=flags)
    stopwatch.enter("connect")
    return [(family, tuple(address)) for family, _, _, _, address in found]


async def connect(host: str, port: int, stopwatch: Stopwatch) -> socket.socket:
    """A TCP connection to the first address that takes one. Raises OSError (that of the last address), ValueError."""
    addresses = await resolve(host, port, socket.SOCK_STREAM, stopwatch)
    failure: OSError = OSError("the name has no address")
    for family, address in addresses:
        connected = socket.socket(family, socket.SOCK_STREAM)
        try:
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().sock_connect(connected, address)
        except OSError as error:
            connected.close()
            failure = error
        except BaseException:
            connected.close()
            raise
        else:
            return connected
    raise failure
