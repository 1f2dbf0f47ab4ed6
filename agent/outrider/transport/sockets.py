"""Names to addresses, and addresses to connected sockets, each in its own phase. All that is not HTTP begins here.

The sockets are made by the gate, which holds each address against the policy.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any, TypeAlias

from outrider.transport.gate import Gate, RefusedError
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


async def connect(host: str, port: int, stopwatch: Stopwatch, gate: Gate) -> socket.socket:
    """A TCP connection to the first address that takes one. Raises OSError (that of the last address;
    RefusedError where none may be gone to), ValueError."""
    gate.check()
    addresses = await resolve(host, port, socket.SOCK_STREAM, stopwatch)
    failure: OSError = OSError("the name has no address")
    for family, address in addresses:
        try:
            connected = gate.socket(family, socket.SOCK_STREAM, address)
        except RefusedError as refused:
            failure = refused
            continue
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().sock_connect(connected, address)
        except OSError as error:
            connected.close()
            failure = error
        except BaseException:
            connected.close()
            raise
        else:
            gate.reached = True
            return connected
    raise failure
