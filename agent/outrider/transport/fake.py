"""A transport without a network, for unit tests of what drives one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from outrider.core.outcome import Finding
from outrider.core.units import Duration
from outrider.core.wire import Phases
from outrider.transport import Exchange, Reply, Request

Answer = Reply | Finding


class FakeTransport:
    """Answers each request with what `respond` says and keeps the requests in `sent`.

    Each exchange takes `latency` microseconds, which are only reported: no time passes.
    """

    def __init__(self, respond: Callable[[Any], Answer], latency: Duration = 1000) -> None:
        self.respond = respond
        self.latency = latency
        self.sent: list[Any] = []

    async def exchange(self, request: Request, timeout: Duration) -> Exchange[Reply]:
        self.sent.append(request)
        answer = self.respond(request)
        phases = Phases(wait=self.latency)
        if isinstance(answer, Finding):
            return Exchange(None, answer, phases, min(self.latency, timeout))
        return Exchange(answer, None, phases, self.latency)

    async def close(self) -> None:
        """Nothing to let go of."""
