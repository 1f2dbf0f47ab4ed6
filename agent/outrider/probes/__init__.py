"""The probes: one kind of exchange each, in one visible table.

A probe is two pure functions around an exchange, so that asyncio agents and gevent load users share it:
`prepare` turns a step's rendered request into what goes over the wire, `read` turns what came back into an
Observation. Neither raises for what a target did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from outrider.core.outcome import Observation
from outrider.transport import HttpReply, HttpRequest
from outrider.zones import UTC

Generate = Callable[[str], str]
"""Draws a value by a generator's name: "uuid", "trace", "control_number", "now", "today"."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a check's requests go: a base URL, headers for every request, how far TLS is trusted, and the zone whose
    date `today` is."""

    name: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: str | None = None
    verify_tls: bool = True
    zone: ZoneInfo = UTC


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to go, and what its answer has to be held against (trace, PayloadID)."""

    request: HttpRequest
    sent: Mapping[str, str] = field(default_factory=dict)


class Probe(Protocol):
    """One kind of exchange."""

    def check(self, request: Mapping[str, Any]) -> None:
        """Raise ValueError (msgspec.ValidationError for a shape) if a step's request can never be sent."""

    def prepare(self, request: Mapping[str, Any], target: Target, generate: Generate) -> Prepared:
        """Make the bytes. Raises ValueError for what only a rendered request shows (a separator in a name)."""

    def read(self, prepared: Prepared, reply: HttpReply) -> Observation:
        """Say what came back. Raises nothing."""


def join(target: Target, path: str) -> str:
    """The absolute URL of a path at a target."""
    return target.url.rstrip("/") + "/" + path.lstrip("/")


def merge(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Each header once: a later one takes the place of an earlier one of the same name, in any case."""
    return tuple({name.lower(): (name, value) for name, value in headers}.values())
