"""One step of a probe over the agent's own wires, and what it means."""

from __future__ import annotations

import uuid
from typing import Any

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.outcome import Expected, Observation, Outcome, classify
from outrider.core.units import SECOND, to_datetime
from outrider.probes import Target
from outrider.probes.table import PROBES
from outrider.transport.wires import Wires


def generate(name: str) -> str:
    """What an agent draws."""
    now = to_datetime(SystemClock().now()).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"uuid": str(uuid.uuid4()), "now": now}[name]


async def observe(
    kind: str, url: str, request: dict[str, Any] | None = None, *, timeout: int = 10 * SECOND, **target: Any
) -> Observation:
    """What a probe sees at a URL; a failed exchange is its finding."""
    probe = PROBES[kind]
    probe.check(request or {})
    prepared = probe.prepare(request or {}, Target("line", url, **target), generate)
    wires = Wires(SystemClock())
    try:
        exchange = await wires.exchange(prepared.request, timeout)
    finally:
        await wires.close()
    if exchange.reply is None:
        assert exchange.failure is not None
        return Observation((exchange.failure,))
    return probe.read(prepared, exchange.reply)


def meaning(observation: Observation, **expect: str) -> Outcome:
    """What an observation means to someone who expects these facts."""
    return classify([Expected(fact, (value,)) for fact, value in expect.items()], observation, OUTCOME_TABLE)
