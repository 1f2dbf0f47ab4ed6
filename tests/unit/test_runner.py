"""The loop over the timetables, with a real spool, on an event loop whose time jumps from timer to timer.

Nothing waits in these tests: where everybody is asleep, it is the next one's time to wake up.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.records import decode_record
from outrider.core.clock_estimate import Offset, Reading
from outrider.core.outcome import Finding, OutcomeClass
from outrider.core.timetable import Timetable
from outrider.core.units import HOUR, MILLISECOND, SECOND, parse_instant
from outrider.core.wire import Phases, RunRecord
from outrider.execution import Check, Lag, NoLag, Surroundings
from outrider.probes import Target
from outrider.runner import Change, Ended, LoopLag, Runner
from outrider.scenario import Scenario
from outrider.spool import Outbox, conservation
from outrider.transport import Exchange, HttpReply, HttpRequest

START = parse_instant("2026-06-01T12:00:00Z")
LATENESS = 250 * MILLISECOND  # of a timetable with an interval of 1 s in slices of 2 s


class Jumping(selectors.SelectSelector):
    """Where nothing is ready, the time until the next timer has passed at once."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        self.elapsed += 0 if ready else timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop on that time. `block` is what a callback does that takes long."""

    def __init__(self) -> None:
        self.jumping = Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.elapsed

    def block(self, duration: int) -> None:
        self.jumping.elapsed += duration / SECOND

    async def pass_time(self, duration: int) -> None:
        """Be busy elsewhere for so long, as a network is."""
        over = self.create_future()
        self.call_later(duration / SECOND, over.set_result, None)
        await over


class LoopClock:
    """The loop's time, and a wall clock that `step` sets."""

    def __init__(self, loop: JumpingLoop) -> None:
        self._loop = loop
        self._stepped = START
        self.asleep = 0

    def now(self) -> int:
        return self._stepped + self.monotonic()

    def monotonic(self) -> int:
        return round(self._loop.time() * SECOND)

    boot = "b00t"

    def boottime(self) -> int:
        return self.monotonic() + self.asleep

    def step(self, duration: int) -> None:
        self._stepped += duration


class Wire:
    """Answers 200 to each exchange after `took(number)`; paths in `broken` are answered with 500."""

    def __init__(self, loop: JumpingLoop, took: Callable[[int], int], broken: tuple[str, ...] = ()) -> None:
        self._loop, self._took, self._broken = loop, took, broken
        self.paths: list[str] = []
        self.under_way = self.most_under_way = 0
        self.before: Callable[[], None] = lambda: None

    async def exchange(self, request: Any, timeout: int) -> Exchange[Any]:
        path = request.url.removeprefix("https://gateway.test")
        self.paths.append(path)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.before()
        took = self._took(len(self.paths))
        await self._loop.pass_time(min(took, timeout))
        self.under_way -= 1
        if took > timeout:
            return Exchange(None, Finding("timeout", "net/wait"), Phases(wait=timeout), timeout)
        return Exchange(HttpReply(500 if path in self._broken else 200), None, Phases(wait=took), took)

    async def close(self) -> None:
        """Nothing to let go of."""


def scenario(*, with_cleanup: bool = False) -> Scenario:
    undo = {"name": "undo", "undoes": "ask", "request": {"path": "/undo"}}
    made = {
        "name": "asking", "title": "Asking", "synthetic": True, "probe": "http",
        "steps": [{"name": "ask", "request": {"path": "/ask"}}], "cleanup": [undo] if with_cleanup else [],
    }  # fmt: skip
    return msgspec.convert(made, Scenario)


def check(
    name: str = "asking", *, interval: int = SECOND, timeout: int = 10 * SECOND, with_cleanup: bool = False
) -> Check:
    timetable = Timetable("us-east", name, interval, 2 * interval)
    return Check(
        name, scenario(with_cleanup=with_cleanup), Target("gateway", "https://gateway.test"), timetable, timeout
    )


class House:
    """A runner and what stands around it; `missed` and `ended` are what its hooks were told."""

    def __init__(self, loop: JumpingLoop, outbox: Outbox, clock: LoopClock) -> None:
        self.loop, self.outbox, self.clock = loop, outbox, clock
        self.missed: list[tuple[str, int]] = []
        self.ended: list[Ended] = []
        self.when_missed: Callable[[], None] = lambda: None
        self.lag: Lag = NoLag()
        self.wire = Wire(loop, lambda number: 100 * MILLISECOND)
        self.runner = Runner((), self.surroundings(), outbox, read=Reading)

    def surroundings(self) -> Surroundings:
        return Surroundings(
            region="us-east", transport=self.wire, clock=self.clock, generate=str, table=OUTCOME_TABLE, lag=self.lag
        )

    def prepare(self, *checks: Check, took: Callable[[int], int] | int = 100 * MILLISECOND, **more: Any) -> None:
        self.wire = Wire(self.loop, took if callable(took) else lambda number: took, **more)
        self.runner = Runner(
            checks,
            self.surroundings(),
            self.outbox,
            read=lambda: Reading("b00t", 77, Offset(-300, 40)),
            observe=self.ended.append,
            missed=self._note_missed,
        )

    def _note_missed(self, name: str, slots: int) -> None:
        self.missed.append((name, slots))
        self.when_missed()

    def at(self, instant: int, act: Callable[[], object]) -> None:
        """Have something happen at an instant of the clock as it runs now."""
        self.loop.call_later((instant - self.clock.now()) / SECOND, act)

    async def serve(self, duration: int) -> list[RunRecord]:
        """Run for so long, then stop; the records in the order in which they were kept."""
        self.at(self.clock.now() + duration, self.runner.stop)
        await self.runner.run()
        entries = await self.outbox.read(10_000, 1 << 30)
        return [decode_record(entry.body) for entry in entries]

    @property
    def counts(self) -> tuple[int, int, int]:
        counts = self.outbox.counts()
        return counts.get("scheduled", 0), counts.get("skipped", 0), counts.get("recorded", 0)


@pytest.fixture
def loop() -> Iterator[JumpingLoop]:
    made = JumpingLoop()
    yield made
    made.close()


@pytest.fixture
def house(loop: JumpingLoop, tmp_path: Path) -> Iterator[House]:
    with open_house(loop, tmp_path) as made:
        yield made


@contextmanager
def open_house(loop: JumpingLoop, folder: Path) -> Iterator[House]:
    clock = LoopClock(loop)
    outbox = Outbox(folder / "spool.db", agent="agent-1", clock=clock)
    try:
        yield House(loop, outbox, clock)
    finally:
        outbox.close()


def serve(house: House, duration: int) -> list[RunRecord]:
    return house.loop.run_until_complete(house.serve(duration))


def gaps(records: list[RunRecord]) -> list[int]:
    """Intervals between the slots that were served, in whole intervals of a second."""
    slots = sorted(record.scheduled_at for record in records)
    assert all((later - earlier) % SECOND == 0 for earlier, later in pairwise(slots))
    return [(later - earlier) // SECOND for earlier, later in pairwise(slots)]


FIRST_SLOT = check().timetable.next_slot(START).at


# --- slots -------------------------------------------------------------------------------------------------------


def test_every_slot_has_its_run_and_every_run_its_record(house: House) -> None:
    house.prepare(check())
    records = serve(house, 10 * SECOND)
    assert len(records) == 10
    assert [record.started_at for record in records] == [FIRST_SLOT + number * SECOND for number in range(10)]
    assert all(record.scheduled_at == record.started_at for record in records)
    assert gaps(records) == [1] * 9
    assert house.counts == (10, 0, 10)
    assert house.missed == []
    one = records[0]
    assert (one.check, one.scenario, one.region, one.purpose) == ("asking", "asking", "us-east", "probe")
    assert (one.outcome, one.latency, one.interval) == ("ok", 100 * MILLISECOND, SECOND)
    assert (one.clock_offset, one.clock_error, one.boot, one.boottime) == (-300, 40, "b00t", 77)
    assert [ended.record for ended in house.ended] == records


def test_an_agent_that_starts_again_goes_on_with_the_same_grid(house: House) -> None:
    house.prepare(check())
    serve(house, 3_300 * MILLISECOND)
    house.prepare(check())
    records = serve(house, 3_300 * MILLISECOND)
    assert {(record.scheduled_at - FIRST_SLOT) % SECOND for record in records} == {0}
    assert set(gaps(records)) == {1}


def test_a_runner_that_was_stopped_before_it_began_ends_at_once(house: House) -> None:
    house.prepare(check())
    house.runner.stop()
    house.loop.run_until_complete(asyncio.wait_for(house.runner.run(), 5))
    assert house.counts == (0, 0, 0)


def test_a_run_never_overlaps_its_predecessor(house: House) -> None:
    house.prepare(check(), took=2_300 * MILLISECOND)
    records = serve(house, 12 * SECOND)
    assert house.wire.most_under_way == 1
    assert gaps(records) == [3, 3, 3]
    assert house.missed == [("asking", 2)] * 4  # after the last run, too
    assert house.counts == (12, 8, 4)
    assert all(record.started_at == record.scheduled_at for record in records)  # none was begun late to make up


def test_a_run_that_ends_with_the_next_slot_misses_nothing(house: House) -> None:
    house.prepare(check(), took=SECOND)
    assert gaps(serve(house, 5 * SECOND)) == [1, 1, 1, 1]
    assert house.missed == []


def test_checks_do_not_wait_for_each_other(house: House) -> None:
    house.prepare(check("quick"), check("slow"))
    records = serve(house, 6 * SECOND)
    by_check = {name: [record for record in records if record.check == name] for name in ("quick", "slow")}
    assert gaps(by_check["quick"]) == gaps(by_check["slow"]) == [1] * 5
    phases = {record.check: record.scheduled_at % SECOND for record in records}
    assert phases["quick"] != phases["slow"]
    assert house.counts == (12, 0, 12)


def test_one_check_that_hangs_keeps_no_other_from_its_slots(house: House) -> None:
    hanging, quick = check("hanging", timeout=900 * MILLISECOND), check("quick")
    house.prepare(hanging, quick, took=50 * MILLISECOND)
    answer = house.wire.exchange

    async def exchange(request: HttpRequest, timeout: int) -> Exchange:
        if timeout == 900 * MILLISECOND:
            await house.loop.pass_time(timeout)
            return Exchange(None, Finding("timeout", "net/wait"), Phases(wait=timeout), timeout)
        return await answer(request, timeout)

    house.wire.exchange = exchange  # type: ignore[method-assign]
    records = serve(house, 5 * SECOND)
    outcomes = {name: [record.outcome for record in records if record.check == name] for name in ("hanging", "quick")}
    assert outcomes == {"hanging": ["service_down"] * 5, "quick": ["ok"] * 5}
    assert house.missed == []  # a timeout shorter than the interval hides nothing


# --- late --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "is_run"), [(LATENESS, True), (LATENESS + 1, False), (800 * MILLISECOND, False)])
def test_a_slot_that_is_too_late_is_skipped_and_counted(house: House, late: int, is_run: bool) -> None:
    house.prepare(check())
    third = FIRST_SLOT + 2 * SECOND
    house.at(third - 10 * MILLISECOND, lambda: house.loop.block(10 * MILLISECOND + late))
    records = serve(house, 6 * SECOND)
    assert gaps(records) == ([1] * 5 if is_run else [1, 2, 1, 1])
    assert house.missed == ([] if is_run else [("asking", 1)])
    assert house.counts == ((6, 0, 6) if is_run else (6, 1, 5))
    lateness = [ended.lateness for ended in house.ended]
    assert lateness == ([0, 0, late, 0, 0, 0] if is_run else [0] * 5)


def test_slots_over_which_the_agent_slept_are_counted(house: House) -> None:
    house.prepare(check())
    house.at(FIRST_SLOT + 1_500 * MILLISECOND, lambda: house.loop.block(4 * SECOND))
    records = serve(house, 10 * SECOND)
    assert gaps(records) == [1, 5, 1, 1, 1]
    assert sum(slots for _, slots in house.missed) == 4
    assert house.counts == (10, 4, 6)


def test_a_wall_clock_set_forward_misses_the_slots_that_it_jumps_over(house: House) -> None:
    house.prepare(check())
    house.at(FIRST_SLOT + 1_500 * MILLISECOND, lambda: house.clock.step(HOUR))
    records = serve(house, 5 * SECOND)
    assert sum(slots for _, slots in house.missed) == 3600
    assert gaps(records) == [1, 3601, 1, 1]
    assert house.counts == (3605, 3600, 5)


def test_a_wall_clock_set_back_by_less_than_an_interval_makes_no_slot_run_twice(house: House) -> None:
    house.prepare(check(interval=10 * SECOND))
    first = check(interval=10 * SECOND).timetable.next_slot(START).at
    house.at(first + 22 * SECOND, lambda: house.clock.step(-7 * SECOND))
    records = serve(house, first - START + 61 * SECOND)
    slots = [record.scheduled_at for record in records]
    assert len(set(slots)) == len(slots) == 6  # at 0, 10, 20, then 7 s of the same time again: 30, 40, 50
    assert house.missed == []


def test_a_clock_set_back_while_a_check_waits_does_not_silence_it(house: House) -> None:
    house.prepare(check())
    # Half a second after the third run the wall clock loses an hour, while the fourth slot is waited for.
    house.at(FIRST_SLOT + 2 * SECOND + 500 * MILLISECOND, lambda: house.clock.step(-HOUR))
    records = serve(house, 30 * SECOND)
    assert len(records) >= 25, "it goes on at the new time, after one look at the clock"
    assert house.counts[0] == house.counts[1] + house.counts[2]


# --- cleanup -----------------------------------------------------------------------------------------------------


def test_cleanup_does_not_delay_the_next_slot(house: House) -> None:
    house.prepare(check(with_cleanup=True), took=300 * MILLISECOND, broken=("/undo",))
    # Each run's cleanup goes on for 52 s and more.
    everything = serve(house, 120 * SECOND)
    records = [record for record in everything if record.purpose == "probe"]
    assert gaps(records) == [1] * 119
    assert house.missed == []
    assert {record.cleanup for record in records} == {"pending"}
    assert [record.cleanup for record in everything if record.purpose == "cleanup"] == ["unconfirmed"] * 120
    assert {record.latency for record in records} == {300 * MILLISECOND}
    assert house.wire.paths.count("/ask") == 120
    assert house.wire.most_under_way > 1  # cleanup of one beside the run of another


def test_a_run_is_recorded_at_once_and_its_cleanup_when_it_is_settled(house: House) -> None:
    house.prepare(check(with_cleanup=True))
    records = serve(house, 3 * SECOND)
    assert [(record.purpose, record.cleanup) for record in records] == [
        ("probe", "pending"),
        ("cleanup", "confirmed"),
    ] * 3
    assert len({record.scheduled_at for record in records}) == 3, "both speak of the same run"
    assert house.wire.paths == ["/ask", "/undo"] * 3
    assert house.counts == (6, 0, 6)


# --- stopping ----------------------------------------------------------------------------------------------------


def test_stop_lets_the_run_under_way_end_and_begins_no_other(house: House) -> None:
    house.prepare(check(), took=900 * MILLISECOND)
    stopped_at = FIRST_SLOT + 2 * SECOND + 100 * MILLISECOND
    records = serve(house, stopped_at - START)
    assert len(records) == 3
    assert records[-1].outcome == "ok"
    assert records[-1].latency == 900 * MILLISECOND
    assert house.clock.now() == FIRST_SLOT + 2_900 * MILLISECOND
    assert house.counts == (3, 0, 3)


def test_stop_between_slots_ends_at_once(house: House) -> None:
    house.prepare(check(interval=10 * SECOND))
    assert serve(house, SECOND) == []
    assert house.clock.now() == START + SECOND
    assert house.counts == (0, 0, 0)


def test_stop_hurries_a_cleanup_that_waits_and_records_how_it_stands(house: House) -> None:
    house.prepare(check(interval=100 * SECOND, with_cleanup=True), broken=("/undo",))
    first = check(interval=100 * SECOND).timetable.next_slot(START).at
    # 0.1 s for the run, 0.1 s for the first attempt; the second would be made 2 s later.
    records = serve(house, first - START + SECOND)
    assert [record.cleanup for record in records] == ["pending", "unconfirmed"]
    assert house.wire.paths == ["/ask", "/undo", "/undo"]
    assert house.clock.now() == first + 1_100 * MILLISECOND


def test_stop_in_the_very_moment_of_a_slot_begins_no_run(house: House) -> None:
    # The first run lasts two intervals to the microsecond, so the next slot is due as soon as the missed one is told.
    house.prepare(check(), took=2 * SECOND)
    house.when_missed = house.runner.stop
    records = serve(house, 30 * SECOND)
    assert len(records) == 1
    assert house.counts == (2, 1, 1)


def test_what_was_scheduled_is_found_again_in_the_ledger(house: House) -> None:
    house.prepare(check(), check("other", with_cleanup=True), took=lambda number: number * 37 * MILLISECOND)
    serve(house, 40 * SECOND)
    promised, kept = conservation(house.outbox.counts())
    assert promised == kept > 20


# --- other checks while it runs ----------------------------------------------------------------------------------


def replaced(house: House, *checks: Check, after: int, changes: list[Change] | None = None) -> None:
    """Have other checks served from then on."""

    def replace() -> None:
        change = house.runner.serve(checks, house.surroundings())
        if changes is not None:
            changes.append(change)

    house.at(house.clock.now() + after, replace)


def of(records: list[RunRecord], name: str) -> list[RunRecord]:
    return [record for record in records if record.check == name]


def test_a_check_that_stays_the_same_keeps_its_slots_and_the_run_it_is_in(house: House) -> None:
    house.prepare(check(), check("gone"), took=900 * MILLISECOND)
    changes: list[Change] = []
    for after in range(1, 6):
        replaced(house, check(), *([check("new")] if after % 2 else []), after=after * SECOND, changes=changes)
    records = of(serve(house, 8 * SECOND), "asking")
    assert len(records) == 8
    assert gaps(records) == [1] * 7
    assert ("asking", 1) not in house.missed
    assert changes[:3] == [Change(("new",), ("gone",)), Change((), ("new",)), Change(("new",))]


def test_a_check_that_is_removed_ends_its_run_and_begins_no_other(house: House) -> None:
    house.prepare(check(), check("gone"), took=900 * MILLISECOND)
    replaced(house, check(), after=2_500 * MILLISECOND)
    records = of(serve(house, 6 * SECOND), "gone")
    assert [record.outcome for record in records] == ["ok"] * len(records)
    assert 2 <= len(records) <= 3
    assert conservation(house.outbox.counts())[0] == conservation(house.outbox.counts())[1]


def test_a_check_that_is_changed_never_overlaps_its_old_self_and_goes_by_its_new_timetable(house: House) -> None:
    house.prepare(check(interval=2 * SECOND), took=1_700 * MILLISECOND)
    changes: list[Change] = []
    replaced(house, check(interval=4 * SECOND), after=5 * SECOND, changes=changes)
    records = serve(house, 20 * SECOND)
    assert changes == [Change(changed=("asking",))]
    assert house.wire.most_under_way == 1
    assert [record.interval for record in records] == sorted(record.interval for record in records)
    assert {record.interval // SECOND for record in records} == {2, 4}
    assert set(gaps([each for each in records if each.interval == 4 * SECOND])) == {4}
    assert house.missed == []


def test_a_runner_without_checks_waits_for_some(house: House) -> None:
    house.prepare()
    replaced(house, check(), after=3 * SECOND)
    assert len(serve(house, 6 * SECOND)) == 3


def test_a_runner_that_stops_begins_nothing_new(house: House) -> None:
    house.prepare(check())
    house.at(house.clock.now() + 2 * SECOND, house.runner.stop)
    replaced(house, check(), check("new"), after=2_000_001)
    assert of(serve(house, 6 * SECOND), "new") == []


# --- a late loop -------------------------------------------------------------------------------------------------


def watched(house: House, blocked: int, number: int = 2) -> list[RunRecord]:
    """Serve three slots with the lag watched; the loop is blocked during one of the runs."""

    async def run() -> list[RunRecord]:
        lag = LoopLag(house.clock)
        house.lag = lag
        house.prepare(check())
        house.wire.before = lambda: house.loop.block(blocked) if len(house.wire.paths) == number else None
        watching = asyncio.create_task(lag.watch())
        try:
            return await house.serve(3 * SECOND)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    return house.loop.run_until_complete(run())


@pytest.mark.parametrize("blocked", [301 * MILLISECOND, 700 * MILLISECOND])
def test_a_run_during_which_the_loop_was_late_is_void_and_its_neighbours_are_not(house: House, blocked: int) -> None:
    records = watched(house, blocked)
    assert [record.outcome for record in records] == ["ok", OutcomeClass.AGENT_FAULT, "ok"]
    assert (records[1].code, records[1].place) == ("loop-lag", "agent/loop")
    assert records[1].detail == "the agent itself was late by more than 250 ms"


def test_a_loop_that_is_a_little_late_voids_nothing(house: House) -> None:
    assert [record.outcome for record in watched(house, 249 * MILLISECOND)] == ["ok"] * 3


def test_the_run_that_blocked_the_loop_is_void_although_the_watch_had_no_turn_yet(loop: JumpingLoop) -> None:
    async def ask() -> tuple[Finding | None, Finding | None]:
        clock = LoopClock(loop)
        lag = LoopLag(clock)
        watching = asyncio.create_task(lag.watch())
        await loop.pass_time(10 * MILLISECOND)
        before, began = lag.finding_since(clock.monotonic()), clock.monotonic()
        loop.block(SECOND)
        after = lag.finding_since(began)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return before, after

    before, after = loop.run_until_complete(ask())
    assert before is None
    assert after is not None
    assert after.place == "agent/loop"


def test_a_run_during_which_the_machine_slept_is_void_and_its_neighbours_are_not(loop: JumpingLoop) -> None:
    async def ask() -> list[Finding | None]:
        clock = LoopClock(loop)
        lag = LoopLag(clock)
        watching = asyncio.create_task(lag.watch())
        found = []
        for slept in (0, 15 * SECOND, 0):
            await loop.pass_time(SECOND)
            began = clock.monotonic()
            await loop.pass_time(SECOND)
            clock.asleep += slept
            found.append(lag.finding_since(began))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return found

    before, during, after = loop.run_until_complete(ask())
    assert before is after is None
    assert during == Finding("suspended", "agent/clock", "the machine was suspended during the run")


def test_the_worst_lateness_is_kept(loop: JumpingLoop) -> None:
    async def watch() -> list[int]:
        clock = LoopClock(loop)
        lag = LoopLag(clock)
        watching = asyncio.create_task(lag.watch())
        worst = [lag.worst]
        for blocked in (200, 900, 400):
            await loop.pass_time(SECOND)
            loop.block(blocked * MILLISECOND)
            await loop.pass_time(SECOND)
            worst.append(lag.worst // (100 * MILLISECOND))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return worst

    assert loop.run_until_complete(watch()) == [0, 0, 8, 8]  # the block began within a beat of 50 ms
