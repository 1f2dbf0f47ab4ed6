"""Service level indicators as values: what was measured, in whole counts. Nothing is rounded or judged here.

How they are counted: `outrider.core.measuring`. How they are judged: `outrider.core.verdict`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from outrider.core.intervals import Intervals
from outrider.core.outcome import OutcomeClass
from outrider.core.units import Duration, Instant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]

OUTCOME_ORDER: tuple[OutcomeClass, ...] = tuple(OutcomeClass)
"""A class's position here is its number in stores and arrays; a new class is added at the end."""

OUTCOME_NUMBER: Mapping[OutcomeClass, int] = {outcome: number for number, outcome in enumerate(OUTCOME_ORDER)}


class Cell(NamedTuple):
    """How often one region saw one outcome in one slice.

    slice: number of the slice since the epoch (instant // slice length). last_at: the latest of these runs.
    speaks_until: scheduled_at + interval of that run where the interval is longer than the slice, else 0.
    """

    slice: int
    region: str
    outcome: OutcomeClass
    samples: int = 1
    last_at: Instant = 0
    speaks_until: Instant = 0


@dataclass(frozen=True, slots=True)
class SliceCounts:
    """Cells of one check as parallel arrays; `region` indexes `regions`, `outcome` indexes OUTCOME_ORDER."""

    regions: tuple[str, ...]
    slice: Ints
    region: Ints
    outcome: Ints
    count: Ints
    last_at: Ints
    speaks_until: Ints

    @classmethod
    def of(cls, cells: Sequence[Cell], regions: Sequence[str] = ()) -> SliceCounts:
        """From cells in any order; `regions` names those that should be there though no cell is."""
        import numpy as np

        names = tuple(sorted({cell.region for cell in cells} | set(regions)))
        table = np.array(
            [
                (c.slice, names.index(c.region), OUTCOME_NUMBER[c.outcome], c.samples, c.last_at, c.speaks_until)
                for c in cells
            ],
            dtype=np.int64,
        ).reshape(len(cells), 6)
        return cls(names, *table.T)


@dataclass(frozen=True, slots=True)
class Availability:
    """One check in one period: counts of its slices, and of its samples.

    coverage: region -> non-excused slices in which it has data. five_minutes: (GOOD, all) -> how many intervals of
    five minutes had just that many samples.
    """

    up: int
    down: int
    unknown: int
    excused: int
    good_samples: int
    bad_samples: int
    void_samples: int
    coverage: Mapping[str, int]
    outages: Intervals
    unknowns: Intervals
    five_minutes: Mapping[tuple[int, int], int]

    @classmethod
    def total(cls, parts: Sequence[Availability]) -> Availability:
        """Of spans that follow one another, each of whole slices and cut at no five-minute interval: their sum."""
        coverage: Counter[str] = Counter()
        five_minutes: Counter[tuple[int, int]] = Counter()
        for part in parts:
            coverage.update(part.coverage)
            five_minutes.update(part.five_minutes)
        return cls(
            up=sum(part.up for part in parts),
            down=sum(part.down for part in parts),
            unknown=sum(part.unknown for part in parts),
            excused=sum(part.excused for part in parts),
            good_samples=sum(part.good_samples for part in parts),
            bad_samples=sum(part.bad_samples for part in parts),
            void_samples=sum(part.void_samples for part in parts),
            coverage=dict(coverage),
            outages=Intervals(each for part in parts for each in part.outages),
            unknowns=Intervals(each for part in parts for each in part.unknowns),
            five_minutes=five_minutes,
        )

    @property
    def measured(self) -> int:
        """Slices that are not excused: U + D + N."""
        return self.up + self.down + self.unknown

    @property
    def samples(self) -> int:
        return self.good_samples + self.bad_samples

    @property
    def figure(self) -> Fraction | None:
        """A = U / (U + D); None where neither was seen."""
        return Fraction(self.up, self.up + self.down) if self.up + self.down else None

    @property
    def low(self) -> Fraction | None:
        """What A would be if every unknown slice was down: U / (U + D + N)."""
        return Fraction(self.up, self.measured) if self.measured else None

    @property
    def high(self) -> Fraction | None:
        """What A would be if every unknown slice was up: (U + N) / (U + D + N)."""
        return Fraction(self.up + self.unknown, self.measured) if self.measured else None

    @property
    def good_share(self) -> Fraction | None:
        """Good samples / all samples: the figure that most products print."""
        return Fraction(self.good_samples, self.samples) if self.samples else None

    @property
    def five_minute_mean(self) -> Fraction | None:
        """The mean of the GOOD shares of the five-minute intervals that have samples."""
        intervals = sum(self.five_minutes.values())
        shares = (Fraction(good, total) * times for (good, total), times in self.five_minutes.items())
        return sum(shares, Fraction(0)) / intervals if intervals else None

    @property
    def lowest_coverage(self) -> Fraction | None:
        """The coverage of the region with the least of it; none at all where no region ever looked."""
        if not self.measured:
            return None
        return Fraction(min(self.coverage.values(), default=0), self.measured)


@dataclass(frozen=True, slots=True)
class ResponseTime:
    """The processing times of one period, pooled over checks and regions. Durations in microseconds.

    within: GOOD and no slower than the limit. partner: left out of S because a partner failed (network view).
    p90: nearest rank, failures as infinity; None is infinity. fastest_mean: the mean of the fastest
    floor(0.9 n), None where a failure is among them; both as (numerator, denominator).
    """

    within: int
    good: int
    bad: int
    partner: int
    void: int
    p90: Duration | None
    fastest_total: tuple[Duration, int] | None
    answered_total: Duration

    @property
    def samples(self) -> int:
        return self.good + self.bad

    @property
    def share(self) -> Fraction | None:
        """S, the contractual figure: GOOD within the limit / (GOOD + BAD)."""
        return Fraction(self.within, self.samples) if self.samples else None

    @property
    def answered_share(self) -> Fraction | None:
        """S over answered transactions only, which makes an outage look fast; printed beside S, never judged."""
        return Fraction(self.within, self.good) if self.good else None

    @property
    def answered_mean(self) -> Fraction | None:
        """Mean of all answered transactions, microseconds."""
        return Fraction(self.answered_total, self.good) if self.good else None

    @property
    def fastest_mean(self) -> Fraction | None:
        """Mean of the fastest floor(0.9 n), microseconds; None where a failure is among them, or nothing is."""
        if self.fastest_total is None or not self.fastest_total[1]:
            return None
        return Fraction(*self.fastest_total)
