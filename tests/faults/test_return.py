"""Fifty agents that come back after six hours, each with all its results of that time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from faults.ground import COLLECTOR_PORT, HUB, Sum, Trial, records, result, stored
from outrider.clock import SystemClock
from outrider.core.units import HOUR, SECOND
from outrider.core.wire import BatchAnswer
from outrider.shipper import Shipper
from outrider.spool import Outbox, Recalled

Entered = Callable[[str, Sum, str], None]
AGENTS, CHECKS = 50, 3
RESULTS = CHECKS * 6 * 60
AWAY_S, PATIENCE_S = 20, 240


class Timed(Shipper):
    """Notes when each batch was answered."""

    answered_at: list[float]

    async def _post(self, session: aiohttp.ClientSession, sent: Recalled, *, is_new: bool = True):  # type: ignore[no-untyped-def]
        answer = await super()._post(session, sent, is_new=is_new)
        if isinstance(answer, BatchAnswer) and sent.entries:
            self.answered_at.append(time.monotonic())
        return answer


async def filled(path: Path, name: str) -> Outbox:
    outbox = Outbox(path, agent=name, clock=SystemClock())
    outbox.count("scheduled", RESULTS)
    began = time.time_ns() // 1000 - 6 * HOUR
    bodies = [result(number, at=began + number * 6 * HOUR // RESULTS) for number in range(RESULTS)]
    assert None not in await asyncio.gather(*(outbox.append(body) for body in bodies))
    return outbox


async def returned(trial: Trial) -> tuple[list[float], float]:
    """When batches were answered, in seconds since the first one, and how long it took until nothing waited."""
    answered: list[float] = []
    outboxes = [await filled(trial.folder / f"agent-{number}.db", f"agent-{number}") for number in range(AGENTS)]
    shippers = [
        Timed(each, url=f"http://{HUB}:{COLLECTOR_PORT}", region="us-east", clock=SystemClock(), interval=SECOND)
        for each in outboxes
    ]
    for shipper in shippers:
        shipper.answered_at = answered
    running = [asyncio.create_task(each.run()) for each in shippers]
    await asyncio.sleep(AWAY_S)  # long enough for everybody to have been refused a few times
    await asyncio.to_thread(trial.start_collector)
    end = time.monotonic() + PATIENCE_S
    while any(each.counts()["waiting"] for each in outboxes):
        assert time.monotonic() < end, "the backlog is not drained"
        await asyncio.sleep(0.1)
    took = time.monotonic() - min(answered)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for each in outboxes:
        each.close()
    return [at - min(answered) for at in answered], took


def test_fifty_agents_that_return_after_six_hours_do_not_come_all_at_once(trial: Trial, entered: Entered) -> None:
    answered, took = asyncio.run(returned(trial))
    peak = peak_megabytes(trial.processes["collector"].pid)
    assert trial.stop("collector") == 0, trial.log("collector")
    rows = stored(trial.store)
    keys = {(f"agent-{n}", seq, digest[:16]) for n in range(AGENTS)
            for seq, digest in records(trial.folder / f"agent-{n}.db")}  # fmt: skip
    has = {(agent, seq, digest) for agent, _, seq, digest in rows}
    first = sum(at < 1 for at in answered)
    came = Sum(len(keys), sum(rows.values()), len(keys - has), sum(n - 1 for n in rows.values()), len(has - keys), 0)
    seen = (
        f"{first} of {len(answered)} batches in the first second; drained in {took:.0f} s; collector's peak {peak} MB"
    )
    entered(f"F21 {AGENTS} agents back after 6 h", came, seen)
    assert len(keys) == AGENTS * RESULTS
    assert first * 3 < len(answered) * 2
    assert peak < 700


def peak_megabytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kilobytes // 1000
