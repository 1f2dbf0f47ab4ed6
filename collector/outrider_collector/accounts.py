"""What an account holds: a guarantee in a period, its checks, and the one of them that decides.

Rules
-----
1. Of several checks, or of several periods of the clause's own, the one with the worst verdict decides; of equals the
   one with the lowest figure. Its figures are the guarantee's, and it is named wherever they are shown.
2. Checks that are one service (`outrider.core.composite`) decide as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from outrider.core.composite import Member, combine, covering
from outrider.core.guarantee import Composite, Guarantee
from outrider.core.intervals import NOTHING, Interval, Intervals
from outrider.core.margin import lowest_coverage
from outrider.core.sli import Availability, ResponseTime
from outrider.core.units import Duration
from outrider.core.verdict import Judgement, Verdict, judge_together


@dataclass(frozen=True, slots=True)
class Part:
    """One check under one guarantee, or several that are one service (then without a name): adjusted figures, raw ones,
    what was excused, and the judgement; `partner_failed` counts the runs, excused ones too, that a partner failed,
    whatever the view. `speaks_on`: a state may have been carried into the period by runs from before it."""

    check: str
    adjusted: Availability
    raw: Availability
    excused: Intervals
    judgement: Judgement
    partner_failed: int = 0
    speaks_on: bool = False


@dataclass(frozen=True, slots=True)
class Pooled:
    """Response times under one guarantee; `p90_interval` is a 95 % interval, None as an end is infinity."""

    adjusted: ResponseTime
    raw: ResponseTime
    p90_interval: tuple[Duration | None, Duration | None] | None


@dataclass(frozen=True, slots=True)
class Account:
    """One guarantee in one period. `pooled` is there for response times only, `together` where several checks are one
    service. `periods` are the accounts of the clause's own periods, each with its `label`, where it was judged over
    those; the rest is then that of the one that decides."""

    guarantee: Guarantee
    period: Interval
    measured: Interval | None
    parts: tuple[Part, ...]
    pooled: Pooled | None
    judgement: Judgement
    together: Part | None = None
    label: str = ""
    periods: tuple[Account, ...] = ()

    @property
    def spans(self) -> Intervals:
        """What the clause is judged over."""
        return Intervals(each.period for each in self.periods or (self,))

    @property
    def low(self) -> Fraction | None:
        """The figure that ranks it among others: S, or the lower bound of what decides."""
        if self.pooled is not None:
            return self.pooled.adjusted.share
        return None if self.decisive is None else self.decisive.adjusted.low

    @property
    def decisive(self) -> Part | None:
        """The part whose verdict stands: the worst one, of equals the one with the lowest `low`."""
        return self.together or min(self.parts, key=lambda part: rank(part.judgement, part.adjusted.low), default=None)


def rank(judgement: Judgement, low: Fraction | None) -> tuple[int, Fraction]:
    """The worst first, and of equals the lowest."""
    return list(Verdict).index(judgement.verdict), Fraction(1) if low is None else low


def as_one(guarantee: Guarantee, measured: Interval, parts: Sequence[Part]) -> Part | None:
    """The checks as one service, where the agreement says so and there are any."""
    if guarantee.composite is Composite.WORST or not parts:
        return None

    def combined(members: Iterable[Member]) -> Availability:
        return combine(tuple(members), measured, guarantee.slice, guarantee.composite)

    adjusted = combined(Member(part.adjusted, part.excused) for part in parts)
    raw = combined(Member(part.raw, NOTHING) for part in parts)
    held = {check: Fraction(*pair) for check, pair in coverage_of(guarantee, parts).items()}
    taken_out = parts[0].excused
    for part in parts[1:]:
        taken_out &= part.excused
    judgement = judge_together(adjusted, guarantee, held)
    return Part("", adjusted, raw, taken_out, judgement, sum(part.partner_failed for part in parts))


def coverage_of(guarantee: Guarantee, parts: Sequence[Part]) -> dict[str, tuple[int, int]]:
    """What the coverage floor is held against: check -> (slices with data in its thinnest region, slices measured)."""
    found = {part.check: lowest_coverage(part.adjusted) for part in parts}
    known = {check: pair for check, pair in found.items() if pair is not None}
    return known if guarantee.composite is Composite.WORST else covering(known, guarantee.composite)
