"""A wall clock that is set while the agent runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.ground import REGIONS, Sum, Trial, ask

Entered = Callable[[str, Sum, str], None]
REGION = REGIONS[0]
LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (Debian: apt-get install libfaketime)")
@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_wall_clock_that_is_set_changes_neither_durations_nor_the_instants_of_runs(
    trial: Trial, entered: Entered, step: int
) -> None:
    setting = trial.folder / "faketime"
    setting.write_text("+0\n")
    trial.start_sandbox(latency_ms=20)
    trial.start_collector()
    began = time.time()
    trial.start_agent(
        REGION,
        LD_PRELOAD=str(LIBRARY),
        FAKETIME_TIMESTAMP_FILE=str(setting),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    trial.until_delivered(15, [REGION])
    setting.write_text(f"{step:+d}\n")
    trial.until_delivered(30, [REGION])
    setting.write_text("+0\n")
    trial.until_delivered(15, [REGION])
    came = trial.close([REGION])
    ended = time.time()
    counted = "outcome <> 7 AND clock_error <= 1000000"
    low, high, slowest = ask(trial.store, f"SELECT min(ts), max(ts), max(latency) FROM runs WHERE {counted}")[0]
    stepped = ask(trial.store, f"SELECT count(*) FROM runs WHERE {counted} AND abs(clock_offset) > 1800000000")[0][0]
    void = ask(trial.store, f"SELECT count(*) FROM runs WHERE NOT ({counted})")[0][0]
    entered(f"F16 wall clock {step:+d} s, live", came,
            f"{stepped} runs by the wrong clock, at the right instants; {void} void")  # fmt: skip
    assert began - 1 <= low / 1e6 <= high / 1e6 <= ended + 1
    assert stepped >= 10
    assert slowest < 900_000
