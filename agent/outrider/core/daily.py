"""Days and bins of a period: what one of them came to, taken by itself.

Rules
-----
1. A day is judged as a period is (R4): by the target of its clause, with every unknown slice taken once as up and once
   as down. Excused slices count on neither side.
2. Silence is never up: a day without a GOOD or BAD sample is NO_DATA, and one whose unknown slices would be enough to
   fall short of the target is INCONCLUSIVE.
3. A day that is excused wholly, or lies wholly before the agreement, is neither good nor bad.
4. Of several checks, a day of the clause is as its worst check's.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from outrider.core.guarantee import Guarantee
from outrider.core.measuring import BUCKET, Latencies
from outrider.core.sli import Availability
from outrider.core.units import Duration
from outrider.core.verdict import satisfies

if TYPE_CHECKING:
    from fractions import Fraction


class DayState(StrEnum):
    """The state of a day, the worst first."""

    MISSED = "missed"
    PARTLY_DOWN = "partly down"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no data"
    UP = "up"
    EXCUSED = "excused"
    NOT_IN_FORCE = "not in force"


def judge_day(sli: Availability, guarantee: Guarantee) -> DayState:
    """The state of a day that lies, at least in part, in the agreement (rules 1 to 3)."""
    if not sli.measured:
        return DayState.EXCUSED if sli.excused else DayState.NO_DATA
    if not sli.samples and not sli.down:
        return DayState.NO_DATA
    assert sli.low is not None
    assert sli.high is not None
    if not satisfies(sli.high, guarantee):
        return DayState.MISSED
    if sli.down:
        return DayState.PARTLY_DOWN
    return DayState.UP if satisfies(sli.low, guarantee) else DayState.INCONCLUSIVE


def worst_day(states: Iterable[DayState]) -> DayState:
    """Rule 4. No check at all is NO_DATA."""
    order = list(DayState)
    return min(states, key=order.index, default=DayState.NO_DATA)


def rank_edge(good: Latencies, failed: int, share: Fraction) -> Duration | None:
    """The nearest-rank percentile of a bin, failures as infinity: the upper edge of the bucket that it lies in, so at
    most one bucket above the exact figure and never below it. None where it is infinite, or there is no sample."""
    import numpy as np

    answered = int(good.count.sum())
    n = answered + failed
    rank = -(-share.numerator * n // share.denominator)
    if not 0 < rank <= answered:
        return None
    return int(good.bucket[int(np.searchsorted(np.cumsum(good.count), rank, side="left"))]) * BUCKET
