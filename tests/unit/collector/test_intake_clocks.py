"""The instant that a run gets at the collector: by its agent's estimate, a later one, or none."""

from __future__ import annotations

import pytest

from outrider.core.clock_estimate import LARGEST_ERROR, Estimate
from outrider.core.units import HOUR, SECOND, Instant
from outrider.core.wire import RunRecord
from outrider_collector.record_reading import timed

NOW: Instant = 1_781_524_800_000_000
UP = 10 * HOUR


def record(offset: int | None, error: int | None, boot: str = "one", started_at: Instant = NOW - HOUR) -> RunRecord:
    return RunRecord(
        check="eligibility",
        scenario="eligibility",
        region="east",
        purpose="probe",
        scheduled_at=started_at,
        started_at=started_at,
        interval=60 * SECOND,
        latency=1,
        outcome="ok",
        fault="none",
        clock_offset=offset,
        clock_error=error,
        boot=boot,
        boottime=UP - HOUR,
    )


LATER = Estimate(NOW - UP + 5 * SECOND, 200, UP, "one")  # the agent's wall clock is five seconds behind
DRIFT_OF_AN_HOUR = 54_000


@pytest.mark.parametrize(
    ("run", "estimate", "offset", "error"),
    [
        # what the agent knew well enough stands, whatever came later
        (record(7, 900), LATER, 7, 900),
        (record(7, LARGEST_ERROR), LATER, 7, LARGEST_ERROR),
        # what it did not know is filled in, if it is of the same boot
        (record(None, None), LATER, 5 * SECOND, 200 + DRIFT_OF_AN_HOUR),
        (record(7, LARGEST_ERROR + 1), LATER, 5 * SECOND, 200 + DRIFT_OF_AN_HOUR),
        (record(None, None, boot="two"), LATER, None, None),
        (record(None, None, boot=""), Estimate(0, 0, 0, ""), None, None),
        (record(None, None), None, None, None),
        # the later one is taken only where it is better
        (record(7, 2 * SECOND), Estimate(0, 3 * SECOND, UP, "one"), 7, 2 * SECOND),
        # nothing is sent later than it is received: as far as it would be, so far is its clock off
        (record(0, 10, started_at=NOW), None, 0, 10),
        (record(0, 10, started_at=NOW + 11), None, 0, 11),
        (record(0, 10, started_at=NOW + HOUR), None, 0, HOUR),
        (record(HOUR, 10, started_at=NOW), None, HOUR, HOUR),
    ],
)
def test_a_runs_instant_is_the_best_that_is_known_of_it(
    run: RunRecord, estimate: Estimate | None, offset: int | None, error: int | None
) -> None:
    found = timed(run, estimate, NOW)
    assert (found.clock_offset, found.clock_error) == (offset, error)
    assert found.started_at == run.started_at
