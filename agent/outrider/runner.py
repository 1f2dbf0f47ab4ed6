"""The loop: timetable -> scenario -> probe -> spool, one per check.

A run never overlaps its predecessor, and what it has to undo afterwards never delays the next slot. The runner
decides nothing about what an answer means, and waits for nobody but its own spool. The checks may be others from one
moment to the next: those that stay the same do not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from outrider.clock import MachineClock
from outrider.codecs.records import encode_record
from outrider.core.clock_estimate import Reading
from outrider.core.outcome import Finding
from outrider.core.timetable import Slot
from outrider.core.units import MILLISECOND, SECOND, Duration, Instant
from outrider.core.wire import RunRecord
from outrider.execution import Check, Execution, Surroundings
from outrider.hygiene import asked_for
from outrider.purse import Purse, Withheld
from outrider.scenario import CleanupState
from outrider.spool import Outbox

LAG_LIMIT: Duration = 250 * MILLISECOND
_LAG_BEAT: Duration = 50 * MILLISECOND
_LONGEST_SLEEP: Duration = 10 * SECOND


class LoopLag:
    """Watches how late the event loop wakes up, and whether the machine slept; a run measured by a late loop, or on a
    machine that was asleep meanwhile, is void, not slow.

    Run `watch` as a task. Readings are monotonic microseconds.
    """

    def __init__(self, clock: MachineClock, limit: Duration = LAG_LIMIT) -> None:
        self._clock = clock
        self._limit = limit
        self._late_at: Instant = -1
        self._due: Duration | None = None
        self._slept_at: Instant = -1
        self._asleep = self._time_asleep()
        self.worst: Duration = 0

    async def watch(self) -> None:
        while True:
            self._due = self._clock.monotonic() + _LAG_BEAT
            await asyncio.sleep(_LAG_BEAT / SECOND)
            self._note(self._clock.monotonic())

    def _time_asleep(self) -> Duration:
        """Since boot: the boot clock goes on then, the monotonic one does not."""
        return self._clock.boottime() - self._clock.monotonic()

    def _note(self, now: Duration) -> None:
        if (asleep := self._time_asleep()) - self._asleep > self._limit:
            self._slept_at = now
        self._asleep = max(asleep, self._asleep)
        if self._due is not None and now - self._due > self._limit:
            self._late_at, self.worst = now, max(self.worst, now - self._due)

    def finding_since(self, began: Duration) -> Finding | None:
        # The beat may be as late as the run that asks, and not have had its turn yet.
        self._note(self._clock.monotonic())
        if self._slept_at >= began:
            return Finding("suspended", "agent/clock", "the machine was suspended during the run")
        if self._late_at < began:
            return None
        return Finding("loop-lag", "agent/loop", f"the agent itself was late by more than {self._limit // 1000} ms")


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the checks, by name, when others took their place."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{kind}: {', '.join(getattr(self, kind))}" for kind in self.__slots__ if getattr(self, kind)]
        return "; ".join(parts) or "the same checks"


@dataclass(frozen=True, slots=True)
class _Served:
    """A check whose timetable is being served. `leave` ends that after the run it is in."""

    check: Check
    leave: asyncio.Event
    task: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class Ended:
    """What observers (metrics, the demo's table) are told when a run is recorded."""

    record: RunRecord
    lateness: Duration


class Runner:
    """Runs every check until `stop`, then lets what is under way end.

    `read` reads this machine's clocks, and says how far they are from the collector's.
    """

    def __init__(
        self,
        checks: Iterable[Check],
        surroundings: Surroundings,
        outbox: Outbox,
        *,
        read: Callable[[], Reading],
        observe: Callable[[Ended], None] = lambda _: None,
        missed: Callable[[str, int], None] = lambda _check, _slots: None,
        purse: Purse | None = None,
        withheld: Callable[[str, Withheld], None] = lambda _check, _withheld: None,
    ) -> None:
        self.checks = tuple(checks)
        self._around = surroundings
        self._outbox = outbox
        self._read = read
        self._observe = observe
        self._missed = missed
        self._purse = purse
        self._withheld = withheld
        self._stopping = asyncio.Event()
        self._served: dict[str, _Served] = {}
        self._group: asyncio.TaskGroup | None = None
        self._afterwards: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve the timetables until `stop`; returns when the last run and its cleanup are recorded."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for check in () if self._stopping.is_set() else self.checks:  # `stop` may come before this begins
                self._begin(group, check)
            await self._stopping.wait()
        if self._afterwards:
            await asyncio.gather(*self._afterwards)

    def stop(self) -> None:
        """Begin no more runs."""
        self._stopping.set()
        for each in self._served.values():
            each.leave.set()

    def serve(self, checks: Iterable[Check], surroundings: Surroundings, purse: Purse | None = None) -> Change:
        """Serve these from now on. A check that is as before keeps its timetable and the run it is in; one that was
        changed or removed ends the run it is in, and a changed one begins with the next slot after that."""
        before = {check.name: check for check in self.checks}
        after = {check.name: check for check in checks}
        change = Change(
            tuple(name for name in after if name not in before),
            tuple(name for name in before if name not in after),
            tuple(name for name, check in after.items() if name in before and before[name] != check),
        )
        self.checks, self._around, self._purse = tuple(after.values()), surroundings, purse
        if self._group is not None and not self._stopping.is_set():
            for name in (*change.removed, *change.changed):
                self._served[name].leave.set()
            for name in (*change.added, *change.changed):
                self._begin(self._group, after[name])
        return change

    def _begin(self, group: asyncio.TaskGroup, check: Check) -> None:
        """Behind whoever served a check of this name before, for no two runs of it overlap."""
        predecessor = self._served.get(check.name)
        leave = asyncio.Event()
        waited_for = None if predecessor is None else predecessor.task
        task = group.create_task(self._serve(check, leave, waited_for), name=f"check {check.name}")
        self._served[check.name] = _Served(check, leave, task)

    async def _serve(self, check: Check, leave: asyncio.Event, predecessor: asyncio.Task[None] | None) -> None:
        if predecessor is not None:
            await asyncio.wait((predecessor,))
        last: Instant | None = None
        while not leave.is_set():
            slot = check.timetable.next_slot(self._around.clock.now(), last)
            self._skip(check, slot.missed)
            last = slot.at - check.interval  # what was missed is told
            await self._wait_until(slot.at, check.interval, leave)
            if leave.is_set():
                return
            if self._around.clock.now() < slot.at:
                continue  # the clock was set back: ask for the slot anew
            last = slot.at
            if check.timetable.is_too_late(slot, self._around.clock.now()):
                self._skip(check, 1)
                continue
            if self._purse is not None and asked_for(check.scenario) is not None:
                withheld = await asyncio.to_thread(self._purse.withhold, check.scenario)
                if withheld is not None:
                    self._skip(check, 1)
                    self._withheld(check.name, withheld)
                    continue
            self._outbox.count("scheduled")
            await self._run(check, slot)

    def _skip(self, check: Check, slots: int) -> None:
        if slots:
            self._outbox.count("scheduled", slots)
            self._outbox.count("skipped", slots)
            self._missed(check.name, slots)

    async def _wait_until(self, instant: Instant, interval: Duration, leave: asyncio.Event) -> None:
        """Sleep by the wall clock, looking again every few seconds since it may be set.

        Comes back early when leaving, and when the clock was set back by more than an interval.
        """
        longest = max(0, instant - self._around.clock.now()) + interval
        while 0 < (left := instant - self._around.clock.now()) <= longest and not leave.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(leave.wait(), min(left, _LONGEST_SLEEP) / SECOND)

    async def _run(self, check: Check, slot: Slot) -> None:
        execution = Execution(check, self._around)
        reading = self._read()
        await execution.measure()
        lateness = execution.started_at - slot.at

        def record(purpose: str) -> RunRecord:
            is_over = purpose != "probe"
            return execution.record(purpose=purpose, scheduled_at=slot.at, reading=reading, is_over=is_over)

        async def keep(kept: RunRecord) -> None:
            await self._outbox.append(encode_record(kept))
            self._observe(Ended(kept, lateness))

        async def finish() -> None:
            await execution.consult_references()
            # A failure is recorded as promptly as a success: cleaning up may take longer than the accounts wait.
            keeping = asyncio.create_task(keep(record("probe")))
            if execution.cleanup is CleanupState.UNCONFIRMED:
                await execution.clean_up(hurry=self._stopping)
                self._outbox.count("scheduled")
                await keep(record("cleanup"))
            await keeping

        task = asyncio.create_task(finish(), name=f"afterwards {check.name}")
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)
