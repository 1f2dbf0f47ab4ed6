"""The probes: one kind of exchange each, in one visible table.

A probe is two pure functions around an exchange, so that asyncio agents and gevent load users share it:
`prepare` turns a step's rendered request into what goes over the wire, `read` turns what came back into an
Observation. Neither raises for what a target did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from outrider.core.outcome import Observation
from outrider.transport import HttpReply, HttpRequest, Request
from outrider.zones import UTC

if TYPE_CHECKING:  # defaults of type variables come with Python 3.13; the checker knows them already
    from typing_extensions import TypeVar

    Q = TypeVar("Q", bound=Request, default=HttpRequest)
    R_contra = TypeVar("R_contra", contravariant=True, default=HttpReply)
else:
    from typing import TypeVar

    Q = TypeVar("Q")
    R_contra = TypeVar("R_contra", contravariant=True)

Generate = Callable[[str], str]
"""Draws a value by a generator's name: "uuid", "trace", "control_number", "now", "today"."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a check's requests go: a base URL, headers for every HTTP request, how far TLS is trusted, and the zone
    whose date `today` is.

    The URL says how to get there, the probe what is spoken: "https://..." for HTTP, "tcp://host:port", "tls://..." and
    "udp://..." for all else.
    """

    name: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: str | None = None
    verify_tls: bool = True
    zone: ZoneInfo = UTC


@dataclass(frozen=True, slots=True)
class Prepared(Generic[Q]):
    """A request ready to go, and what its answer has to be held against (trace, PayloadID). `shown` is the request for
    people, without what must not be seen, where its bytes as text would not do (ISO 8583)."""

    request: Q
    sent: Mapping[str, str] = field(default_factory=dict)
    shown: str = ""


class Probe(Protocol[Q, R_contra]):
    """One kind of exchange: requests of kind Q, replies of kind R_contra."""

    @property
    def schemes(self) -> Mapping[str, int]:
        """The schemes of the targets that the probe can go to, each with its default port (0: there is none)."""

    def check(self, request: Mapping[str, Any]) -> None:
        """Raise ValueError (msgspec.ValidationError for a shape) if a step's request can never be sent."""

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared[Q]:
        """Make the bytes. Raises ValueError for what only a rendered request shows (a separator in a name)."""

    def read(self, prepared: Prepared[Q], reply: R_contra) -> Observation:
        """Say what came back. Raises nothing."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a conversation goes."""

    scheme: str
    host: str
    port: int


def endpoint(target: Target, schemes: Mapping[str, int]) -> Endpoint:
    """The host and port of a target. Raises ValueError where the URL has no port and its scheme no default."""
    parts = urlsplit(target.url)
    port = parts.port or schemes.get(parts.scheme, 0)
    if not parts.hostname or not port:
        raise ValueError(f"target {target.name}: its address needs a host and a port, like {parts.scheme}://host:1234")
    return Endpoint(parts.scheme, parts.hostname, port)


HTTP_SCHEMES: Mapping[str, int] = {"http": 80, "https": 443}


def join(target: Target, path: str) -> str:
    """The absolute URL of a path at a target."""
    return target.url.rstrip("/") + "/" + path.lstrip("/")


def merge(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Each header once: a later one takes the place of an earlier one of the same name, in any case."""
    return tuple({name.lower(): (name, value) for name, value in headers}.values())
