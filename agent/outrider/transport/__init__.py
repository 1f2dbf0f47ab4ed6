"""The wire behind a small Protocol: one HTTP exchange, timed by phase, that never raises for a target's doing.

A failed exchange comes back as a core Finding whose place says how far it came ("net/resolve", "net/connect",
"net/tls", "net/send", "net/wait", "net/receive") or that the peer broke the protocol ("net/protocol"). What the
agent's own machine failed at is "agent/...".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from outrider.core.outcome import Finding
from outrider.core.units import Duration
from outrider.core.wire import Phases

RESPONSE_CAP = 1 << 20
"""The most bytes of a body that are read (1 MiB). A longer answer is a finding, not a risk."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it goes out; `url` is absolute. Headers and body are left out of the repr: they may hold what
    must not be logged. Raises ValueError for a header that HTTP cannot carry (RFC 9110, 5.1 and 5.5), without its
    value."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    ca_file: str | None = None
    verify_tls: bool = True

    def __post_init__(self) -> None:
        for name, value in self.headers:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a header")
            if _UNSENDABLE.search(value):
                raise ValueError(f"header {name} holds a line end or another character that no header can")


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A complete answer: status, headers in order, and the whole body."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str:
        """The first header of that name, in any case; "" if there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), "")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What became of a request. Exactly one of reply and failure is there; durations in microseconds, monotonic."""

    reply: HttpReply | None
    failure: Finding | None
    phases: Phases
    latency: Duration


class Transport(Protocol):
    """Exchanges requests for replies."""

    async def exchange(self, request: HttpRequest, timeout: Duration) -> Exchange:
        """Send and wait for the whole answer, for `timeout` microseconds in all. Raises only CancelledError."""
        ...

    async def close(self) -> None:
        """Let go of sockets."""
        ...
