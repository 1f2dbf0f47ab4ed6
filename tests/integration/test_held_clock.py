"""A collector whose machine's clock goes ahead by itself: nothing is stamped by it, and nothing is lost."""

from __future__ import annotations

import logging
from pathlib import Path

import aiohttp
import pytest
from collector_support import G1, NOON, SETTLE, UTC, SettableClock, batch, packed, run

from outrider.commands.processes import serving
from outrider.core.guarantee import Agreement
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Duration, Instant
from outrider_collector.config import CollectorConfig
from outrider_collector.held_clock import FARTHEST_AHEAD, ClockAheadError, HeldClock
from outrider_collector.intake import Intake
from outrider_collector.main import opened
from outrider_collector.store import StoreFailedError
from outrider_collector.store.duckdb_store import DuckdbStore


def moved(clock: SettableClock, wall: Duration, passed: Duration) -> SettableClock:
    clock.at, clock.elapsed = clock.at + wall, clock.elapsed + passed
    return clock


@pytest.mark.parametrize(
    ("wall", "passed", "is_held", "steps"),
    [
        (9 * DAY, 9 * DAY, False, 0),
        (9 * DAY + SECOND, 9 * DAY, False, 0),
        (2 * SECOND, 0, False, 1),
        (FARTHEST_AHEAD, 0, False, 1),
        (FARTHEST_AHEAD + 1, 0, True, 1),
        (365 * DAY, HOUR, True, 1),
        (-365 * DAY, HOUR, False, 1),
    ],
)
def test_only_a_wall_clock_that_gains_more_than_the_limit_is_held(
    wall: Duration, passed: Duration, is_held: bool, steps: int
) -> None:
    machine = SettableClock()
    held = HeldClock(machine)
    moved(machine, wall, passed)
    if is_held:
        with pytest.raises(ClockAheadError):
            held.now()
    else:
        assert held.now() == NOON + wall
    assert (held.ahead, held.steps) == (wall - passed if is_held else 0, steps)


def test_it_is_told_once_and_goes_on_where_the_clock_is_right_again(caplog: pytest.LogCaptureFixture) -> None:
    machine = SettableClock()
    held = HeldClock(machine)
    moved(machine, DAY, 0)
    with caplog.at_level(logging.WARNING, logger="outrider.clock"):
        for _ in range(3):
            with pytest.raises(
                ClockAheadError, match=r"went ahead by 1d .*to 2026-06-16T12:00:00Z.*start the collector"
            ):
                held.now()
        moved(machine, MINUTE - DAY, MINUTE)
        assert held.now() == NOON + MINUTE
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert held.ahead == 0


def test_steps_are_measured_from_the_reading_before_so_that_small_ones_add_up_to_nothing() -> None:
    machine = SettableClock()
    held = HeldClock(machine)
    for _ in range(5):
        moved(machine, 9 * MINUTE, MINUTE)
        held.now()
    assert held.steps == 5


async def test_a_collector_whose_clock_jumped_takes_in_states_and_stamps_nothing_until_it_is_right(
    tmp_path: Path,
) -> None:
    machine = SettableClock()
    config = CollectorConfig(("127.0.0.1", 0), tmp_path / "s.duckdb", Agreement("A", (G1,), UTC), SETTLE, HOUR)
    window = {"start": "2026-07-01T00:00:00Z", "end": "2026-07-01T01:00:00Z", "author": "ops", "reason": "r"}
    async with opened(config, machine) as app, serving(app, "127.0.0.1", 0) as url, aiohttp.ClientSession() as session:

        async def ask(method: str, path: str, **more: object) -> tuple[int, str]:
            async with session.request(method, url + path, **more) as response:  # type: ignore[arg-type]
                return response.status, await response.text()

        def send(seq: int) -> object:
            return packed(batch(run(NOON - MINUTE), first=seq))

        zipped = {"Content-Encoding": "gzip"}
        assert (await ask("POST", "/v1/results", data=send(1), headers=zipped))[0] == 200
        moved(machine, 365 * DAY, MINUTE)
        refused = [
            await ask("POST", "/v1/results", data=send(2), headers=zipped),
            await ask("GET", "/v1/statements?last=10m"),
            await ask("POST", "/v1/windows", json=window),
            await ask("GET", "/-/ready"),
        ]
        for http, text in refused:
            assert http == 503, text
            assert "went ahead by" in text
        assert (await ask("GET", "/-/healthy"))[0] == 200, "a supervisor would start it anew"
        assert "outrider_collector_clock_ahead_seconds 3.15" in (await ask("GET", "/metrics"))[1]
        moved(machine, -365 * DAY, MINUTE)
        assert (await ask("GET", "/-/ready"))[0] == 200
        assert (await ask("POST", "/v1/results", data=send(2), headers=zipped))[0] == 200
        assert (await ask("POST", "/v1/windows", json=window))[0] == 201
        assert "outrider_collector_clock_ahead_seconds 0" in (await ask("GET", "/metrics"))[1]
    store = DuckdbStore(tmp_path / "s.duckdb")
    try:
        assert store.extents() == {("east-1", "e1"): [(1, 2)]}
        assert store.last_recorded() < NOON + HOUR
    finally:
        store.close()


async def test_a_collector_that_is_started_anew_takes_the_clock_as_it_finds_it(tmp_path: Path) -> None:
    machine = SettableClock()
    config = CollectorConfig(("127.0.0.1", 0), tmp_path / "s.duckdb", Agreement("A", (G1,), UTC), SETTLE, HOUR)
    async with opened(config, machine):
        pass
    moved(machine, DAY, MINUTE)
    async with (
        opened(config, machine) as app,
        serving(app, "127.0.0.1", 0) as url,
        aiohttp.request("GET", f"{url}/-/ready") as response,
    ):
        assert response.status == 200


class JumpingClock(SettableClock):
    """Goes a year ahead after so many readings."""

    def __init__(self, readings: int) -> None:
        super().__init__()
        self.readings = readings

    def now(self) -> Instant:
        self.readings -= 1
        return self.at + 365 * DAY if self.readings < 0 else self.at


@pytest.mark.parametrize("readings", [1, 2, 3])
async def test_a_clock_that_jumps_while_a_batch_is_taken_in_refuses_it_and_is_no_trouble_of_the_store(
    tmp_path: Path, readings: int
) -> None:
    machine = JumpingClock(readings)
    store = DuckdbStore(tmp_path / "s.duckdb")
    intake = Intake(store, HeldClock(machine))
    try:
        with pytest.raises(StoreFailedError, match="went ahead by"):
            await intake.submit(batch(run(NOON - MINUTE)))
        assert (intake.trouble, store.extents()) == ("", {})
        machine.readings = 10
        assert (await intake.submit(batch(run(NOON - MINUTE)))).stored == 1
    finally:
        intake.close()
        store.close()
