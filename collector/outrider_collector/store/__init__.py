"""Where results are kept: a small Protocol, so that one machine and many can be served by different engines.

Rules
-----
1. Append only. A fact is written once; every figure is derived from it and can be derived again.
2. Identity is (agent, epoch, seq). The store is told only what is new; `extents` and `digests` tell what it has.
3. Each append is one durable transaction and gets the next position in the ledger, with the instant of its record.
   "As of" an instant means: up to the last position recorded by then.
4. Engines count. What the counts mean is decided in `outrider.core` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from outrider.core.intervals import Interval
from outrider.core.units import SECOND, Duration, Instant
from outrider.core.wire import RunRecord

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record that the store does not have yet. `digest` is the first 64 bits of the wire's."""

    agent: str
    epoch: str
    seq: int
    digest: int
    record: RunRecord


@dataclass(frozen=True, slots=True)
class Excluded:
    """Time that is left out for one check: [start, end), disjoint from the check's others."""

    check: str
    span: Interval


@dataclass(frozen=True, slots=True)
class Moved:
    """A run, by its identity, that is to be counted as if it had been sent at `to`, and not at `at`. The two are within
    FARTHEST of each other."""

    agent: str
    epoch: str
    seq: int
    check: str
    at: Instant
    to: Instant


FARTHEST: Duration = SECOND + 1
"""A run that is less certain than a second is void, and nobody asks where else it may have been."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs a question is about: purpose `probe`, sent within `span`, recorded up to `ledger`.

    `checks` are names, and so are `regions`; without any, runs of every region are. `excluded` marks runs as left out;
    they are counted apart, not dropped. `moved` are runs that are counted elsewhere in time.
    """

    checks: tuple[str, ...]
    span: Interval
    ledger: int
    excluded: tuple[Excluded, ...] = ()
    regions: tuple[str, ...] = ()
    moved: tuple[Moved, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """That a region ran a check: the last instant within what was asked, and the longest interval it ran at."""

    check: str
    region: str
    last: Instant
    interval: Duration


class StoreFailedError(Exception):
    """The store could not keep or read; the message says why. Nothing of the append was kept."""


class Counts(Protocol):
    """What accounts are made from. Safe to ask from several threads while one appends."""

    def position(self, as_of: Instant) -> int:
        """The last ledger position recorded at or before an instant; 0 if there is none."""

    def seen(self, span: Interval, ledger: int) -> list[Seen]:
        """Which regions ran which checks within a span."""

    def touched(self, span: Interval, ledger: int, width: Duration) -> Columns:
        """The last ledger position, up to `ledger`, that has a run of a check in a time bin of `width`, runs within the
        span alone: check (text); bin, position."""

    def slice_counts(self, selection: Selection, length: Duration) -> Columns:
        """Counts per check, region, slice, outcome and whether left out.

        Columns: check, region (text), check_id, region_id (numbers for the same); slice, outcome, left_out, n, last_at,
        speaks_until (whole numbers).
        """

    def latency_counts(self, selection: Selection) -> Columns:
        """Counts per check, outcome, whether left out, and bucket of a millisecond.

        Columns: check, check_id; outcome, left_out, bucket, n, total (microseconds); ordered by bucket.
        """

    def latencies(self, selection: Selection, bucket: int, outcomes: Sequence[int]) -> NDArray[np.int64]:
        """Every latency in one bucket of these outcomes that is not left out, in any order."""

    def straddlers(self, selection: Selection, edges: Sequence[Excluded]) -> Columns:
        """Runs not left out that were under way when one of the spans in `edges` began.

        Columns: check, region (text), check_id, region_id (numbers for the same); ts, outcome, latency.
        """

    def failures(self, selections: Sequence[Selection], most: int) -> list[Columns]:
        """Runs not ok and not left out, of each selection for itself, per check, region, outcome, code, place and step:
        n, first_at, last_at; most frequent first, and `most` rows of each at most. All have the same runs moved."""

    def near(self, selection: Selection, edges: Mapping[str, Sequence[Instant]]) -> Columns:
        """Runs that may have been sent on the other side of one of their check's edges, as far as their error bars go;
        one that is void for its clock is not among them. A run at an edge is after it.

        Columns: check, agent, epoch (text); seq, ts, outcome, edge; a row for each edge, the nearest of a run first.
        """


class Store(Counts, Protocol):
    """Safe to read from several threads while one appends."""

    def append(self, records: Sequence[NewRecord], recorded_at: Instant) -> int:
        """Keep the records in one durable transaction; the ledger position they got. Raises StoreFailedError."""

    def extents(self) -> dict[tuple[str, str], list[tuple[int, int]]]:
        """For each (agent, epoch) the ranges of seq that are kept, first and last, in order and not touching."""

    def held(self, ledger: int) -> dict[tuple[str, str], tuple[int, int]]:
        """For each (agent, epoch) how many records were kept at positions up to `ledger`, and the highest seq."""

    def digests(self, agent: str, epoch: str, first: int, last: int) -> dict[int, int]:
        """seq -> digest of the kept records in a range."""

    def recorded(self, agent: str, epoch: str, first: int, last: int) -> dict[int, Instant]:
        """seq -> stamp of the kept records in a range."""

    def last_recorded(self) -> Instant:
        """The latest stamp of the ledger; 0 if nothing was recorded."""

    def first_recorded(self) -> Instant | None:
        """The earliest stamp of the ledger; None if nothing was recorded."""

    def days(self, ledger: int) -> dict[int, int]:
        """UTC days (since 1970) that have runs of any purpose -> the last position up to `ledger` with one of them."""

    def recorded_between(self, span: Interval, after: int, ledger: int) -> int:
        """How many runs sent within a span were recorded at positions above `after` up to `ledger`."""

    def export(self, path: Path, span: Interval, after: int, ledger: int) -> None:
        """Write the runs of any purpose sent within a span, at positions above `after` up to `ledger`, to a Parquet
        file, by agent, epoch and seq. Raises StoreFailedError."""

    def latest(self, span: Interval, ledger: int) -> Columns:
        """The last run of each check and region within a span: check, region, ts, outcome, code, place, detail,
        latency, cleanup."""

    def latency_line(self, check: str, span: Interval, ledger: int, width: Duration) -> Columns:
        """Counts per region, time bin of `width`, outcome and bucket of a millisecond: region, bin, outcome, bucket, n;
        ordered by bin and bucket."""

    def runs(self, selection: Selection, most: int, *, is_latest: bool) -> Columns:
        """The first runs of each check and region that are not left out, or the latest, `most` at most: check, region
        (text); ts, outcome, latency; ordered by check, region and instant."""

    def close(self) -> None:
        """Let go of the file."""
