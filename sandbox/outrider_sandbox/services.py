"""The services of the network that are not HTTP, by name: each listens on an address of its own.

A service is a `StreamService` (TCP, TLS) or a `DatagramService` (UDP) around a room: a function from a message and the
faults that it drew to an answer. Latency, counts and faults are the same as on the line of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from outrider_sandbox.line import Line
from outrider_sandbox.settings import Settings


@dataclass(frozen=True, slots=True)
class Site:
    """What every service stands on: how the sandbox was started, its line, its wall clock, the nonce of its start."""

    settings: Settings
    line: Line
    now: Callable[[], datetime]
    nonce: bytes = field(repr=False)


class Service(Protocol):
    """Something that listens."""

    async def start(self, host: str, port: int) -> str:
        """Bind (port 0: a free one), serve, and give the address as a URL. Raises OSError."""

    async def close(self) -> None:
        """Stop listening, and cut off whoever is connected."""


SERVICES: Mapping[str, Callable[[Site], Service]] = {}
"""Each service by the name of its component (`outrider_sandbox.faults`)."""
