"""Counting: from samples per slice and region to service level indicators. Whole numbers only.

Availability (R3, R4, R6)
-------------------------
1. The period is cut into UTC-aligned slices. In a slice a region is DOWN if less than half of its samples are GOOD.
2. Of n regions with data: n >= 2: the service is DOWN if more than the quorum of them is DOWN, else UP;
   n = 1: UP, or UNKNOWN when that one is DOWN (one witness cannot tell its own path from the service);
   n = 0: UNKNOWN.
3. Only where a run's interval is longer than the slice does its region's state (up, down or refused) carry over to
   later slices: until the slice of its next slot, and never across the edge of an excused interval.
4. If two regions at least see `probe_fault` and nothing good, and every other one with data is DOWN, the slice is
   DOWN: a service that refuses everyone is down, and no less so where it fails somebody in another way. Not where the
   expiry of the credential was known.
5. A slice that is wholly excused leaves numerator and denominator. Of a slice excused in part, only the samples
   outside the excused part are counted; whoever makes the counts leaves the others out.

Response time (G3)
------------------
6. S = GOOD within the limit / (GOOD + BAD). It reaches a share q exactly when the nearest-rank percentile at q, with
   failures as infinity, is within the limit. Where a partner's failures do not count (network view), they are left
   out of S and counted beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from outrider.core.intervals import NOTHING, Interval, Intervals
from outrider.core.outcome import OutcomeClass, Standing
from outrider.core.sli import OUTCOME_NUMBER, OUTCOME_ORDER, Availability, ResponseTime, SliceCounts
from outrider.core.units import MILLISECOND, MINUTE, Duration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Bools: TypeAlias = NDArray[np.bool_]

BUCKET: Duration = MILLISECOND
"""Width of a latency bucket. Bucket b holds latencies in ((b - 1) ms, b ms], so every whole millisecond is an edge."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How slices are judged. `known_expiry` is when a credential was known to have expired (rule 4)."""

    slice: Duration
    standing: Callable[[OutcomeClass], Standing]
    quorum: Fraction = Fraction(1, 2)
    known_expiry: Intervals = NOTHING


def whole_slices(span: Interval, length: Duration) -> range:
    """Numbers of the slices that lie wholly inside the span."""
    return range(-(-span.start // length), span.end // length)


def measure(counts: SliceCounts, excused: Intervals, period: Interval, rules: Rules) -> Availability:
    """Measure the availability of one check.

    `counts` holds the samples that are not left out, beginning early enough before the period that a region's state
    can carry into it. `excused` is the time taken out: empty for the raw figure.
    """
    import numpy as np

    wanted = whole_slices(period, rules.slice)
    first = min(int(np.min(counts.slice)), wanted.start) if len(counts.slice) else wanted.start
    kept = np.zeros(max(wanted.stop - first, 0), dtype=np.bool_)
    kept[wanted.start - first :] = True
    kept &= ~marked(excused, first, len(kept), rules.slice, wholly=True)
    grid = _Grid.of(counts, first, len(kept), rules)
    states = grid.states(excused, rules.slice)
    is_up, is_down = grid.quorum(states, rules)
    unknown = kept & ~is_up & ~is_down
    return Availability(
        up=int((is_up & kept).sum()),
        down=int((is_down & kept).sum()),
        unknown=int(unknown.sum()),
        excused=len(wanted) - int(kept.sum()),
        good_samples=int(grid.good[kept].sum()),
        bad_samples=int((grid.total - grid.good)[kept].sum()),
        void_samples=int(grid.void[kept].sum()),
        coverage={region: int((states.has_data[:, at] & kept).sum()) for at, region in enumerate(counts.regions)},
        outages=spans_of(is_down & kept, first, rules.slice),
        unknowns=spans_of(unknown, first, rules.slice),
        five_minutes=_five_minutes(grid.good[kept], grid.total[kept], np.flatnonzero(kept) + first, rules.slice),
    )


class _States(NamedTuple):
    """Per slice and region: it has GOOD or BAD samples; most of them BAD; it was refused and saw nothing good."""

    has_data: Bools
    is_bad: Bools
    is_refused: Bools


@dataclass(frozen=True, slots=True)
class _Grid:
    """Dense counts, one row a slice, one column a region."""

    first: int
    good: Ints
    total: Ints
    void: Ints
    refused: Ints
    last_at: Ints
    speaks_until: Ints

    @classmethod
    def of(cls, counts: SliceCounts, first: int, rows: int, rules: Rules) -> _Grid:
        import numpy as np

        shape = (rows, len(counts.regions))
        inside = counts.slice < first + rows
        place = ((counts.slice - first) * shape[1] + counts.region)[inside]
        outcome, count = counts.outcome[inside], counts.count[inside]
        standing = [rules.standing(each) for each in OUTCOME_ORDER]

        def add(wanted: Iterable[int]) -> Ints:
            dense = np.zeros(rows * shape[1], dtype=np.int64)
            chosen = np.isin(outcome, list(wanted))
            np.add.at(dense, place[chosen], count[chosen])
            return dense.reshape(shape)

        def numbers(*wanted: Standing) -> list[int]:
            return [number for number, each in enumerate(standing) if each in wanted]

        refused = OUTCOME_NUMBER[OutcomeClass.PROBE_FAULT]
        counted = np.isin(outcome, [*numbers(Standing.GOOD, Standing.PARTNER, Standing.BAD), refused])
        latest = np.zeros((2, rows * shape[1]), dtype=np.int64)
        for row, values in zip(latest, (counts.last_at[inside], counts.speaks_until[inside]), strict=True):
            np.maximum.at(row, place[counted], values[counted])
        good = add(numbers(Standing.GOOD, Standing.PARTNER))
        return cls(
            first,
            good,
            good + add(numbers(Standing.BAD)),
            add(numbers(Standing.VOID)),
            add([refused]),
            latest[0].reshape(shape),
            latest[1].reshape(shape),
        )

    def states(self, excused: Intervals, length: Duration) -> _States:
        """What each region says in each slice, by its own runs or by one that speaks for it (rules 1, 3)."""
        import numpy as np

        own = _States(self.total > 0, 2 * self.good < self.total, (self.refused > 0) & (self.good == 0))
        if not self.speaks_until.any():
            return own
        rows = np.arange(len(self.total))[:, None]
        spoke = own.has_data | own.is_refused
        last = np.maximum.accumulate(np.where(spoke, rows, -1), axis=0)
        origin = np.maximum(last, 0)
        until = np.take_along_axis(self.speaks_until, origin, axis=0) // length - self.first
        spoken_at = np.take_along_axis(self.last_at, origin, axis=0)
        edges = np.array(sorted({edge for each in excused for edge in (each.start, each.end)}), dtype=np.int64)
        slice_ends = (rows + self.first + 1) * length
        crossed = np.searchsorted(edges, slice_ends, side="left") > np.searchsorted(edges, spoken_at, side="right")
        carried = ~spoke & (last >= 0) & (rows < until) & ~crossed
        return _States(*(each | (carried & np.take_along_axis(each, origin, axis=0)) for each in own))

    def quorum(self, states: _States, rules: Rules) -> tuple[Bools, Bools]:
        """Per slice: whether the service is UP, and whether it is DOWN; neither is UNKNOWN (rules 2, 4)."""
        regions, bad = states.has_data.sum(axis=1), states.is_bad.sum(axis=1)
        outvoted = bad * rules.quorum.denominator > regions * rules.quorum.numerator
        is_down = (regions >= 2) & outvoted
        is_up = ((regions >= 2) & ~outvoted) | ((regions == 1) & (bad == 0))
        refused = states.is_refused
        failing = refused | states.is_bad
        everyone = (failing == (states.has_data | refused | (self.refused > 0))).all(axis=1) & (
            refused.sum(axis=1) >= 2
        )
        everyone &= ~marked(rules.known_expiry, self.first, len(everyone), rules.slice, wholly=False)
        return is_up & ~everyone, is_down | everyone


def marked(spans: Intervals, first: int, rows: int, length: Duration, *, wholly: bool) -> Bools:
    """The slices that lie wholly, or in any part, inside one of the spans."""
    import numpy as np

    marked = np.zeros(rows, dtype=np.bool_)
    for span in spans:
        inside = whole_slices(span, length) if wholly else range(span.start // length, -(-span.end // length))
        marked[max(inside.start - first, 0) : max(inside.stop - first, 0)] = True
    return marked


def spans_of(marked: Bools, first: int, length: Duration) -> Intervals:
    """Runs of marked slices as intervals of time."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False])).astype(np.int8))).tolist()
    return Intervals(
        Interval((first + start) * length, (first + end) * length)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    )


def _five_minutes(good: Ints, total: Ints, slices: Ints, length: Duration) -> Counter[tuple[int, int]]:
    import numpy as np

    if not len(slices) or (5 * MINUTE) % length:
        return Counter()  # slices that do not fill five minutes have no five-minute intervals
    intervals, place = np.unique(slices * length // (5 * MINUTE), return_inverse=True)
    sums = np.zeros((2, len(intervals)), dtype=np.int64)
    for row, values in zip(sums, (good, total), strict=True):
        np.add.at(row, place, values.sum(axis=1))
    return Counter(pair for pair in zip(sums[0].tolist(), sums[1].tolist(), strict=True) if pair[1])


@dataclass(frozen=True, slots=True)
class Latencies:
    """Latencies of GOOD runs in buckets of one millisecond: bucket numbers (ascending), counts, and sums (us)."""

    bucket: Ints
    count: Ints
    total: Ints


def pooled(parts: Sequence[Latencies]) -> Latencies:
    """Several as one: each bucket once."""
    import numpy as np

    def column(name: str) -> Ints:
        return np.concatenate([np.zeros(0, dtype=np.int64), *(getattr(part, name) for part in parts)])

    buckets, place = np.unique(column("bucket"), return_inverse=True)
    sums = np.zeros((2, len(buckets)), dtype=np.int64)
    for row, name in zip(sums, ("count", "total"), strict=True):
        np.add.at(row, place, column(name))
    return Latencies(buckets, sums[0], sums[1])


def measure_response(
    good: Latencies,
    others: Mapping[Standing, int],
    limit: Duration,
    in_bucket: Callable[[int], Ints],
) -> ResponseTime:
    """Measure processing times. `in_bucket(b)` gives every GOOD latency of bucket b (us), to make ranks exact.

    Raises ValueError if the limit is not a whole millisecond, since it must be an edge of the buckets.
    """
    if limit % BUCKET:
        raise ValueError(f"a limit of {limit} us is not a whole number of milliseconds")
    answered = int(good.count.sum())
    bad = others.get(Standing.BAD, 0)
    n = answered + bad
    rank = -(-9 * n // 10)  # nearest rank: ceil(0.9 n)
    return ResponseTime(
        within=int(good.count[good.bucket <= limit // BUCKET].sum()),
        good=answered,
        bad=bad,
        partner=others.get(Standing.PARTNER, 0),
        void=others.get(Standing.VOID, 0),
        p90=fastest(good, rank, in_bucket)[0] if 0 < rank <= answered else None,
        fastest_total=(fastest(good, 9 * n // 10, in_bucket)[1], 9 * n // 10) if 9 * n // 10 <= answered else None,
        answered_total=int(good.total.sum()),
    )


def fastest(good: Latencies, k: int, in_bucket: Callable[[int], Ints]) -> tuple[Duration, Duration]:
    """The k-th smallest latency, and the sum of the k smallest; exact, for k up to their number; (0, 0) for k = 0."""
    import numpy as np

    if k == 0:
        return 0, 0
    before = np.concatenate(([0], np.cumsum(good.count)))
    at = int(np.searchsorted(before, k, side="left")) - 1
    edge = np.sort(in_bucket(int(good.bucket[at])))[: k - int(before[at])]
    return int(edge[-1]), int(good.total[:at].sum()) + int(edge.sum())
