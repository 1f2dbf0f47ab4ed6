"""One record as the intake takes it: read, put in time by the collector's clock, and held to what a run can be.

Rules
-----
1. A run whose agent knew too little of our clock is given the instant that the agent's later estimate says, which came
   with the batch; one that would lie in the future is uncertain by as much, at the least.
2. No number is kept that no run can have, or no column can hold.
"""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

from outrider.codecs.records import BatchError, decode_record
from outrider.core.clock_estimate import LARGEST_ERROR, Estimate
from outrider.core.outcome import OutcomeClass
from outrider.core.units import DAY, Instant
from outrider.core.wire import Entry, Phases, RunRecord

LAST_INSTANT = 2**57  # in the year 6537
_MOST_STEPS = 128
_LONGEST = 2**53
_LONGEST_RUN = DAY
"""Latencies are added up in 64 bits: so long ones cannot overflow the sums of a hundred million runs."""
_LARGEST_STATUS = 2**31 - 1
_phases = attrgetter(*Phases.__slots__)


class UnreadableError(Exception):
    """One record cannot be read (422)."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(f"record {seq}: {reason}")
        self.seq = seq


def read_record(entry: Entry, estimate: Estimate | None, now: Instant) -> RunRecord:
    """A run's record, in time as well as is known. Raises UnreadableError."""
    try:
        record = timed(decode_record(entry.body), estimate, now)
        OutcomeClass(record.outcome)
        for step in record.steps:
            OutcomeClass(step.outcome)
    except (BatchError, ValueError) as error:
        raise UnreadableError(entry.seq, str(error)) from None
    if wrong := _out_of_range(record):
        raise UnreadableError(entry.seq, f"{wrong} is out of range")
    return record


def timed(record: RunRecord, estimate: Estimate | None, now: Instant) -> RunRecord:
    """The record with the best that is known of its instant by our clock (rule 1)."""
    offset, error = record.clock_offset, record.clock_error
    is_uncertain = offset is None or error is None or error > LARGEST_ERROR
    if is_uncertain and estimate is not None and record.boot and estimate.boot == record.boot:
        later = estimate.offset(record.started_at, record.boottime)
        if error is None or later.error < error:
            offset, error = later.offset, later.error
    if offset is None or error is None:
        return record
    return replace(record, clock_offset=offset, clock_error=max(error, record.started_at + offset - now))


def _out_of_range(record: RunRecord) -> str:
    """What in a record no run can have and no column can hold; "" where all is well."""
    instants = (record.scheduled_at, record.started_at, record.started_at + (record.clock_offset or 0))
    durations = [record.interval, record.latency, record.clock_error or 0, *_phases(record.phases)]
    statuses = [record.status]
    for step in record.steps:
        durations += step.latency, *_phases(step.phases)
        statuses.append(step.status)
    if min(instants) < 1 or max(instants) > LAST_INSTANT:
        return "an instant"
    if min(durations) < 0 or max(durations) > _LONGEST:
        return "a duration"
    if record.latency > _LONGEST_RUN:
        return "a latency of more than a day"
    if min(statuses) < 0 or max(statuses) > _LARGEST_STATUS:
        return "a status"
    return "the number of steps" if len(record.steps) > _MOST_STEPS else ""
