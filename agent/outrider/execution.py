"""One run of a check: drive its scenario over the wire, take the time, undo what has to be undone.

The runner, `outrider once` and the load engine's asyncio side share it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from outrider.clock import Clock
from outrider.core.clock_estimate import Reading
from outrider.core.outcome import Finding, Observation, Outcome, OutcomeClass, OutcomeTable
from outrider.core.timetable import Timetable
from outrider.core.units import SECOND, Duration, Instant
from outrider.core.wire import Phases, RunRecord, StepRecord
from outrider.generators import Generators, Numbers, in_zone, secrets_from
from outrider.hygiene import refuse_request
from outrider.probes import Prepared, Target
from outrider.probes.table import PROBES
from outrider.redact import printable
from outrider.scenario import Call, CleanupState, Scenario, ScenarioRun
from outrider.transport import Exchange, Reply, Transport

__all__ = [
    "CLEANUP_DELAYS",
    "Check",
    "Execution",
    "Generators",
    "Lag",
    "NoLag",
    "Numbers",
    "Surroundings",
    "in_zone",
    "secrets_from",
]

CLEANUP_DELAYS: tuple[Duration, ...] = tuple(seconds * SECOND for seconds in (0, 2, 5, 15, 30))
"""How long to wait before each attempt at cleaning up; after the last one it stays unconfirmed."""

LARGEST_CLOCK_STEP: Duration = SECOND

UNVERIFIED = "the certificate was not verified (verify_tls: false)"
"""Stands in the detail of every run that spoke to whoever answered: who reads the results has to know."""
_UNREAD = Reading()


@dataclass(frozen=True, slots=True)
class Check:
    """Scenario x target x interval in this agent's region, as configured."""

    name: str
    scenario: Scenario
    target: Target
    timetable: Timetable
    timeout: Duration

    @property
    def interval(self) -> Duration:
        return self.timetable.interval


class Lag(Protocol):
    """How far the event loop fell behind."""

    def finding_since(self, began: Duration) -> Finding | None:
        """What the loop's lateness says about a run that began at this monotonic reading."""


class References(Protocol):
    """What this agent reaches besides its targets (`outrider.references`)."""

    async def finding(self, outcome: Outcome, began: Duration) -> Finding | None:
        """Why a run that began at this monotonic reading and ended so says nothing about the service, if so."""


class NoReferences:
    """For where nothing else is asked."""

    async def finding(self, outcome: Outcome, began: Duration) -> Finding | None:
        return None


class NoLag:
    """For where nobody watches the loop."""

    def finding_since(self, began: Duration) -> Finding | None:
        return None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run needs besides its check. `describe` makes a detail fit to leave the process (redaction)."""

    region: str
    transport: Transport
    clock: Clock
    generate: Callable[[str], str]
    table: OutcomeTable
    lag: Lag = field(default_factory=NoLag)
    references: References = field(default_factory=NoReferences)
    describe: Callable[[str], str] = lambda text: text


class Execution:
    """One run. Call `measure`, then `consult_references`, then `clean_up`, then `record`."""

    def __init__(self, check: Check, surroundings: Surroundings) -> None:
        self.check = check
        self._around = surroundings
        self._generate = in_zone(surroundings.generate, check.target.zone)
        self._run = ScenarioRun(check.scenario, self._generate, surroundings.table)
        self._prepared: dict[str, Prepared[Any]] = {}
        self._steps: list[StepRecord] = []
        self._void: Finding | None = None
        self._began: Duration = 0
        self.started_at: Instant = 0
        self.latency: Duration = 0

    @property
    def outcome(self) -> Outcome:
        """The run's outcome; the agent's own trouble goes before what the target seemed to do."""
        if self._void is not None:
            return Outcome(OutcomeClass.AGENT_FAULT, self._void.code, self._void.place, self._void.detail)
        return self._run.outcome

    @property
    def cleanup(self) -> CleanupState:
        return self._run.cleanup

    async def measure(self) -> None:
        """Send the steps, one after the other, within the check's timeout. Raises only CancelledError."""
        clock = self._around.clock
        began = self._began = clock.monotonic()
        self.started_at = clock.now()
        while not self._run.is_measured_over:
            call = self._run.next()
            if call is None or not call.is_measured:
                break  # its request could not be made
            left = self.check.timeout - (clock.monotonic() - began)
            step_began = clock.monotonic()
            exchange, outcome = await self._exchange(call, left)
            now = clock.monotonic()
            self.latency = now - began
            self._steps.append(
                StepRecord(
                    call.step.name,
                    outcome.outcome,
                    printable(outcome.code),  # both may be words of the target
                    printable(outcome.place),
                    now - step_began,
                    exchange.phases if exchange else Phases(),
                    exchange.http_status if exchange else 0,
                )
            )
        self._void = self._around.lag.finding_since(began) or self._clock_step(began)

    async def consult_references(self) -> None:
        """After a run that failed: was it this agent's own line? Raises only CancelledError."""
        if self._void is None and not self._run.outcome.is_ok:
            self._void = await self._around.references.finding(self._run.outcome, self._began)

    def _clock_step(self, began: Duration) -> Finding | None:
        step = (self._around.clock.now() - self.started_at) - (self._around.clock.monotonic() - began)
        if abs(step) <= LARGEST_CLOCK_STEP:
            return None
        return Finding("clock-stepped", "agent/clock", f"the wall clock moved {step / SECOND:+.1f} s during the run")

    async def clean_up(
        self, delays: tuple[Duration, ...] = CLEANUP_DELAYS, hurry: asyncio.Event | None = None
    ) -> CleanupState:
        """Undo what may have happened, trying again after each delay; once `hurry` is set, one last time at once.

        Raises only CancelledError.
        """
        hurry = hurry or asyncio.Event()
        for delay in delays:
            if self._run.cleanup is not CleanupState.UNCONFIRMED:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), delay / SECOND)
            was_hurried = hurry.is_set()
            # Without the wait, what was not there a moment ago may still be under way.
            self._run.try_again(is_apart=not was_hurried)
            while (call := self._run.next()) is not None:
                await self._exchange(call, self.check.timeout)
            if was_hurried:
                break
        return self._run.cleanup

    async def _exchange(self, call: Call, timeout: Duration) -> tuple[Exchange[Reply] | None, Outcome]:
        probe = PROBES[call.kind]
        try:
            prepared = self._prepared.get(call.step.name)
            if prepared is None:
                refuse_request(call, self.check.scenario.money)
                prepared = probe.prepare(call.request, self.check.target, self._generate)
                self._prepared[call.step.name] = prepared
        except ValueError as error:
            return None, self._run.feed(Observation.failed("cannot-prepare", "agent/request", str(error)))
        if timeout <= 0:
            return None, self._run.feed(Observation.failed("timeout", "net/connect", "no time was left for this step"))
        exchange = await self._around.transport.exchange(prepared.request, timeout)
        if exchange.reply is None:
            observation = Observation((exchange.failure or Finding("failed", "net/connect"),))
        else:
            observation = probe.read(prepared, exchange.reply)
        return exchange, self._run.feed(observation)

    def _detail(self, text: str) -> str:
        shown = self._around.describe(text)
        if self.check.target.verify_tls or not any(step.phases.tls for step in self._steps):
            return shown
        return f"{shown}; {UNVERIFIED}" if shown else UNVERIFIED

    def record(
        self,
        *,
        purpose: str,
        scheduled_at: Instant,
        reading: Reading = _UNREAD,
        is_over: bool = True,
    ) -> RunRecord:
        """What the run leaves behind; before it `is_over`, a cleanup that is not confirmed is pending. `reading` is of
        the clocks as it began."""
        outcome = self.outcome
        phases = Phases()
        for step in self._steps:
            phases = phases + step.phases
        return RunRecord(
            check=self.check.name,
            scenario=self.check.scenario.name,
            region=self._around.region,
            purpose=purpose,
            scheduled_at=scheduled_at,
            started_at=self.started_at,
            interval=self.check.interval,
            latency=self.latency,
            outcome=outcome.outcome,
            fault=outcome.fault,
            code=printable(outcome.code),
            place=printable(outcome.place),
            step=self._run.deciding_step,
            detail=self._detail(outcome.detail),
            status=self._steps[-1].status if self._steps else 0,
            cleanup=self.cleanup if is_over or self.cleanup is not CleanupState.UNCONFIRMED else CleanupState.PENDING,
            clock_offset=None if reading.offset is None else reading.offset.offset,
            clock_error=None if reading.offset is None else reading.offset.error,
            boot=reading.boot,
            boottime=reading.boottime,
            phases=phases,
            steps=tuple(self._steps) if len(self._steps) > 1 else (),
        )
