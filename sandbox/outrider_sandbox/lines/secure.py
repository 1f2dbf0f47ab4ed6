"""TLS in the sandbox: the contexts of its servers, by how many days their certificate shall hold.

The authority is made when it is first needed: the library behind it comes with an extra, and takes its time to load.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from outrider_sandbox.board import Drawn

if TYPE_CHECKING:
    from outrider_sandbox.lines.certificates import Authority

NAMES = ("localhost", "127.0.0.1", "::1", "mail.outrider.test", "sip.outrider.test")
LIFE_DAYS = 90
_AGE = timedelta(days=1)
_LONGEST_AGO = timedelta(days=400)
_MOST_KEPT = 16
_FRESH = timedelta(hours=1)
"""How long a context is used again, before its days are fewer than was said."""


class Certificates:
    """The sandbox's authority and what it signs. `now` gives aware times; `host` is where the sandbox listens."""

    def __init__(self, now: Callable[[], datetime], host: str) -> None:
        self._now = now
        self._names = tuple(dict.fromkeys((*NAMES, host)))
        self._made: Authority | None = None
        self._contexts: dict[int, tuple[datetime, ssl.SSLContext]] = {}

    @property
    def authority(self) -> Authority:
        if self._made is None:
            from outrider_sandbox.lines.certificates import Authority

            self._made = Authority(self._now() - _LONGEST_AGO)
        return self._made

    @property
    def pem(self) -> bytes:
        """The authority's certificate, for whoever shall trust it."""
        return self.authority.pem

    def context(self, drawn: Drawn) -> ssl.SSLContext:
        """The context for one handshake: with the days of the fault `certificate`, where one was drawn."""
        fault = drawn.take("certificate")
        return self.lasting(fault.fault.number("days") if fault else LIFE_DAYS)

    def lasting(self, days: int) -> ssl.SSLContext:
        """A context whose certificate holds so many whole days; one of -3 days expired three days ago."""
        now = self._now()
        made, context = self._contexts.get(days, (None, None))
        if made is None or context is None or now - made > _FRESH:
            if len(self._contexts) >= _MOST_KEPT:
                self._contexts.clear()
            until = now + timedelta(days=days) + 2 * _FRESH
            context = self.authority.server(self._names, min(now, until) - _AGE, until)
            self._contexts[days] = now, context
        return context
