"""Probing from the machine that asks, for `outrider window verify --probe-locally`.

Rules
-----
1. The runs have purpose `verify` and stay here: they are never sent to a collector, so they are in no account and in
   no comparison.
2. They begin when the window is over, by the collector's clock, and end with the command. A check's next run begins
   when `interval` has passed since the last one began, and never before that one is over and has cleaned up.
3. What holds for an agent holds here: its configuration, its targets, its purse and its kill switch. Whoever is
   interrupted ends the runs under way, and cleans up.
4. One place cannot tell its own path from the service. So local runs that are bad keep a window open; they never fail
   it, and good ones clear nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import Any

from outrider.clock import MachineClock
from outrider.commands.once import AT_ONCE, CLEANUP_DELAYS, surroundings_of
from outrider.config import AgentConfig
from outrider.core.outcome import STANDINGS, OutcomeClass, Standing
from outrider.core.units import SECOND, Duration, Instant, format_instant, parse_instant
from outrider.core.verification import RUNNING
from outrider.core.wire import RunRecord
from outrider.execution import Check, Execution, Surroundings
from outrider.purse import Purse
from outrider.redact import printable
from outrider.runner import LoopLag
from outrider.scenario import CleanupState
from outrider.transport.wires import Wires

SHORTEST: Duration = SECOND
DEFAULT_INTERVAL = "5s"
MOST_KEPT = 3000

Report = Mapping[str, Any]


class NothingToProbeError(Exception):
    """No check of the configuration is in the window's scope."""


class LocalProbing:
    """Runs the checks that are in a window's scope. `rounds` is how often at most; None until `stop`."""

    def __init__(
        self,
        checks: Sequence[Check],
        surroundings: Surroundings,
        purse: Purse,
        interval: Duration,
        rounds: int | None = None,
    ) -> None:
        self._checks, self._around, self._purse, self._interval = checks, surroundings, purse, interval
        self._rounds = rounds
        self._kept: dict[str, deque[tuple[Instant, Standing]]] = {
            check.name: deque(maxlen=MOST_KEPT) for check in checks
        }
        self._unconfirmed: list[str] = []
        self._told: set[tuple[str, str]] = set()
        self._offset: Duration = 0
        self._is_over, self._stopping = asyncio.Event(), asyncio.Event()
        self._turns = asyncio.Semaphore(AT_ONCE)

    def look(self, report: Report, asked_at: Instant) -> None:
        """Learn from a report when the window is over, and what the collector's clock shows (rule 2)."""
        window, as_of = report["window"], parse_instant(report["as_of"])
        self._offset = as_of - asked_at
        if window["act"] != "cancel" and as_of >= parse_instant(window["end"]):
            self._is_over.set()
        else:
            self._is_over.clear()

    @property
    def has_begun(self) -> bool:
        """Whether the window was over when it was last looked at."""
        return self._is_over.is_set()

    def stop(self) -> None:
        """Begin no more runs."""
        self._stopping.set()
        self._is_over.set()

    async def run(self) -> None:
        """Probe until `stop`, or until every check had its rounds; returns when all is cleaned up."""
        async with asyncio.TaskGroup() as group:
            for check in self._checks:
                group.create_task(self._serve(check), name=f"local {check.name}")

    async def _serve(self, check: Check) -> None:
        done = 0
        while self._rounds is None or done < self._rounds:
            await self._is_over.wait()
            if self._stopping.is_set():
                return
            began = self._around.clock.monotonic()
            async with self._turns:
                await self._run(check)
            done += 1
            left = self._interval - (self._around.clock.monotonic() - began)
            if done != self._rounds:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), max(0, left) / SECOND)

    async def _run(self, check: Check) -> None:
        if self._stopping.is_set():
            return
        withheld = await asyncio.to_thread(self._purse.withhold, check.scenario)
        if withheld is not None:
            self._tell(check, f"does not run: {withheld.words}")
            return
        execution = Execution(check, self._around)
        scheduled_at = self._around.clock.now()
        await execution.measure()
        self._keep(execution.record(purpose="verify", scheduled_at=scheduled_at, is_over=False))
        await execution.clean_up(CLEANUP_DELAYS, hurry=self._stopping)
        if execution.cleanup is CleanupState.UNCONFIRMED:
            self._unconfirmed.append(check.name)
            self._tell(check, "cleanup is not confirmed")

    def _tell(self, check: Check, words: str) -> None:
        """Once, however often it happens."""
        if (check.name, words) not in self._told:
            self._told.add((check.name, words))
            print(printable(f"check {check.name} from here: {words}", 500), file=sys.stderr, flush=True)

    def _keep(self, record: RunRecord) -> None:
        standing = STANDINGS[OutcomeClass(record.outcome)]
        self._kept[record.check].append((record.started_at + self._offset, standing))

    def added_to(self, report: Report) -> dict[str, Any]:
        """The report with what came from here in a part of its own (rule 4)."""
        end = parse_instant(report["window"]["end"])
        checks = [_summary(name, [each for each in kept if each[0] >= end]) for name, kept in self._kept.items()]
        local = {
            "purpose": "verify",
            "region": self._around.region,
            "interval_us": self._interval,
            "checks": checks,
            "unconfirmed_cleanups": 0,
        }
        pending = [
            f"{each['check']} from here: {each['good_running']} good runs running of {RUNNING}"
            for each in checks
            if not each["is_back"]
        ]
        is_over = self._is_over.is_set() and report["window"]["act"] != "cancel"
        return _judged({**report, "local": local, "pending": [*(pending if is_over else []), *report["pending"]]})

    def with_cleanups(self, report: Report) -> dict[str, Any]:
        """The last report, once all is over: what may have been left behind is told."""
        left = [f"{name} from here: cleanup is not confirmed" for name in dict.fromkeys(self._unconfirmed)]
        local = {**report["local"], "unconfirmed_cleanups": len(self._unconfirmed)}
        return _judged({**report, "local": local, "missing": [*report["missing"], *left]})


def _judged(report: dict[str, Any]) -> dict[str, Any]:
    is_open = report["verdict"] == "all clear" and (report["pending"] or report["missing"])
    return {**report, "verdict": "inconclusive"} if is_open else report


def _summary(name: str, kept: Sequence[tuple[Instant, Standing]]) -> dict[str, Any]:
    judged = [(at, standing) for at, standing in kept if standing in (Standing.GOOD, Standing.BAD)]
    bad = [number for number, (_, standing) in enumerate(judged) if standing is Standing.BAD]
    since = judged[bad[-1] + 1 :] if bad else judged
    return {
        "check": name,
        "runs": len(judged),
        "bad_runs": len(bad),
        "void_runs": len(kept) - len(judged),
        "good_running": min(len(since), RUNNING),
        "is_back": len(since) >= RUNNING,
        "first_good": format_instant(since[0][0]) if since else None,
        "last_bad": format_instant(judged[bad[-1]][0]) if bad else None,
    }


def in_scope(checks: Iterable[Check], scope: Sequence[str], source: object) -> list[Check]:
    """Those that a window covers. Raises NothingToProbeError."""
    found = [check for check in checks if any(fnmatchcase(check.name, pattern) for pattern in scope)]
    if not found:
        raise NothingToProbeError(f"{source}: none of its checks is in the window's scope, {', '.join(scope)}")
    return found


@asynccontextmanager
async def probing(
    config: AgentConfig, checks: Sequence[Check], interval: Duration, clock: MachineClock, rounds: int | None = None
) -> AsyncIterator[tuple[LocalProbing, asyncio.Task[None]]]:
    """Local probing, and its task; however this is left, the runs under way are ended and cleaned up."""
    transport, lag = Wires(clock, config.policy), LoopLag(clock)
    around = surroundings_of(config, transport, clock, lag)
    local = LocalProbing(checks, around, config.purse(clock), interval, rounds)
    watching, task = asyncio.create_task(lag.watch()), asyncio.create_task(local.run())
    try:
        yield local, task
    finally:
        local.stop()
        watching.cancel()
        try:
            await task
        finally:
            await transport.close()
