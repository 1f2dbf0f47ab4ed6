"""The collector's clock as an agent remembers it, through restarts of the agent and of its machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from outrider.clock import SystemClock
from outrider.collector_clock import CollectorClock
from outrider.core.clock_estimate import Offset, Reading
from outrider.core.units import HOUR, MINUTE, SECOND
from outrider.core.wire import BatchAnswer

AHEAD = 7 * SECOND


@dataclass
class Machine:
    """A machine whose clocks stand where they are put."""

    wall: int = 100 * HOUR
    up: int = HOUR
    boot: str = "one"

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> int:
        return self.up

    def boottime(self) -> int:
        return self.up


def exchange(clock: CollectorClock, machine: Machine) -> None:
    at = machine.wall + AHEAD
    answer = BatchAnswer(high_water=0, stored=0, duplicates=0, received_at=at, answered_at=at, recorded_at=at)
    clock.learn(answer, machine.boottime(), round_trip=0)


def test_before_the_first_exchange_there_is_no_offset() -> None:
    assert CollectorClock(Machine()).read() == Reading("one", HOUR, None)


async def test_a_restart_goes_on_with_what_was_learned_before_and_its_age(tmp_path: Path) -> None:
    machine = Machine()
    before = CollectorClock(machine, tmp_path / "clock")
    exchange(before, machine)
    await before.keep()
    machine.wall, machine.up = machine.wall + HOUR, machine.up + HOUR
    after = CollectorClock(machine, tmp_path / "clock")
    assert after.read().offset == before.read().offset == Offset(AHEAD, 54_000)


async def test_what_was_learned_is_worth_nothing_after_the_machine_has_started_anew(tmp_path: Path) -> None:
    machine = Machine()
    clock = CollectorClock(machine, tmp_path / "clock")
    exchange(clock, machine)
    await clock.keep()
    machine.boot = "two"
    assert CollectorClock(machine, tmp_path / "clock").read().offset is None


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"shift": "x", "error": 1, "at": 1, "boot": "one"}',
        b'{"shift": 1, "error": -1, "at": 1, "boot": "one"}',
        b'{"shift": 1, "error": 1, "at": 7200000000, "boot": "one"}',  # from later than now
    ],
)
def test_a_file_that_says_nothing_sound_is_passed_over(tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "clock").write_bytes(kept)
    assert CollectorClock(Machine(), tmp_path / "clock").estimate is None


async def test_a_place_that_cannot_be_written_or_read_costs_nothing_but_the_memory(tmp_path: Path) -> None:
    machine = Machine()
    (tmp_path / "clock").mkdir()
    clock = CollectorClock(machine, tmp_path / "clock")
    exchange(clock, machine)
    await clock.keep()
    assert clock.read().offset == Offset(AHEAD, 0)


async def test_it_is_written_once_a_minute_at_most(tmp_path: Path) -> None:
    machine = Machine()
    clock = CollectorClock(machine, tmp_path / "clock")
    exchange(clock, machine)
    for passed, is_written in ((0, True), (MINUTE - 1, False), (1, True)):
        (tmp_path / "clock").unlink(missing_ok=True)
        machine.up += passed
        await clock.keep()
        assert (tmp_path / "clock").exists() is is_written


def test_the_machines_boot_clock_goes_at_least_as_far_as_the_monotonic_one_and_two_readers_share_a_boot() -> None:
    one, other = SystemClock(), SystemClock()
    assert one.monotonic() <= one.boottime() + SECOND
    assert one.boot
    if Path("/proc/sys/kernel/random/boot_id").exists():
        assert one.boot == other.boot
