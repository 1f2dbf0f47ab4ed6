"""The services of the network that are not HTTP, by name: each listens on an address of its own.

A service is a `StreamService` (TCP, TLS) or a `DatagramService` (UDP) around a room: a function from a message and the
faults that it drew to an answer. Latency, counts and faults are the same as on the line of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from outrider.codecs.extras import MissingExtraError, require
from outrider_sandbox.line import Line
from outrider_sandbox.lines.endpoint import Endpoint
from outrider_sandbox.lines.mail import mail
from outrider_sandbox.lines.nameserver import nameserver
from outrider_sandbox.lines.registrar import registrar
from outrider_sandbox.lines.secure import Certificates
from outrider_sandbox.messages import StreamService
from outrider_sandbox.settings import Settings
from outrider_sandbox.switch.authorizations import Authorizations
from outrider_sandbox.switch.rooms import COMPONENT as SWITCH
from outrider_sandbox.switch.rooms import Switch


@dataclass(frozen=True, slots=True)
class Site:
    """What every service stands on: how the sandbox was started, its line, its wall clock, the nonce of its start, and
    the switch's book, and who signs its certificates."""

    settings: Settings
    line: Line
    now: Callable[[], datetime]
    nonce: bytes = field(repr=False)
    authorizations: Authorizations
    certificates: Certificates


class Service(Protocol):
    """Something that listens."""

    async def start(self, host: str, port: int) -> str:
        """Bind (port 0: a free one), serve, and give the address as a URL. Raises OSError."""

    async def close(self) -> None:
        """Stop listening, and cut off whoever is connected."""


def _switch(site: Site) -> Service:
    settings = site.settings
    endings = dict(settings.decline_endings)
    switch = Switch(site.authorizations, settings.switch_framing, settings.switch_bitmap, endings, site.now)
    return StreamService(
        SWITCH,
        site.line,
        ends=settings.switch_framing.ends,
        open_room=lambda: switch.answer,
        kind=switch.kind,
        idle_s=settings.switch_idle_s,
    )


SERVICES: Mapping[str, Callable[[Site], Service]] = {
    SWITCH: _switch,
    "tls": lambda site: Endpoint(site.line, site.certificates),
    "nameserver": lambda site: nameserver(site.line),
    "mail": lambda site: mail(site.line, site.certificates),
    "sip": lambda site: registrar(site.line),
}
"""Each service by the name of its component (`outrider_sandbox.faults`)."""

_NEEDS = {SWITCH: "iso8583", "tls": "tls", "mail": "tls", "nameserver": "dns"}


def available() -> Mapping[str, str]:
    """Every service, and why it cannot be served here ("" where it can)."""
    return {name: _missing(name) for name in SERVICES}


def _missing(name: str) -> str:
    try:
        if name in _NEEDS:
            require(_NEEDS[name], f"the service {name}")
    except MissingExtraError as error:
        return str(error)
    return ""
