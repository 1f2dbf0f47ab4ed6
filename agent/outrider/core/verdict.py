"""Verdicts: what the counts say about a guarantee. Exact fractions; never a bare bool.

Rules (R4, G3)
--------------
1. Without a GOOD or BAD sample the verdict is *no data*, with its reason, and there is no percentage; a state carried
   in from before is no sample. Only refusals of everyone, which are void, are judged all the same.
2. Availability: met if even `low` (all unknown slices down) satisfies the target, missed if even `high` does not,
   inconclusive between.
3. Response time: met if S satisfies the target, else missed.
4. Below the coverage floor, met becomes inconclusive. Missed stays: the bad samples were seen.
5. Of several parts the worst verdict stands: missed, inconclusive, no data, met.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from outrider.core.guarantee import Guarantee
from outrider.core.sli import Availability, ResponseTime


class Verdict(StrEnum):
    """In order from worst to best."""

    MISSED = "missed"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no data"
    MET = "met"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and why."""

    verdict: Verdict
    reason: str


def satisfies(share: Fraction, guarantee: Guarantee) -> bool:
    """Whether a share reaches the target, or exceeds it where the clause says "greater than"."""
    return share > guarantee.target if guarantee.strict else share >= guarantee.target


def worst(judgements: Iterable[Judgement]) -> Judgement:
    """The judgement that stands for several (rule 5); the first of equals. No parts at all is no data."""
    order = list(Verdict)
    return min(
        judgements, key=lambda each: order.index(each.verdict), default=Judgement(Verdict.NO_DATA, "no checks in scope")
    )


def judge_availability(sli: Availability, guarantee: Guarantee) -> Judgement:
    """Judge one check."""
    return _judge(sli, guarantee, sli.lowest_coverage)


def judge_together(sli: Availability, guarantee: Guarantee, coverage: Mapping[str, Fraction]) -> Judgement:
    """Judge several checks that are one service (`outrider.core.composite`). `coverage` is what the floor is held
    against, by check."""
    return _judge(sli, guarantee, min(coverage.values(), default=None))


def _judge(sli: Availability, guarantee: Guarantee, coverage: Fraction | None) -> Judgement:
    refused = sli.down and sli.void_samples  # a service that refused everyone is down without a sample that counts
    if not sli.samples and not refused:
        return Judgement(Verdict.NO_DATA, "all excused" if sli.excused and not sli.measured else "no samples")
    assert sli.low is not None
    assert sli.high is not None
    if satisfies(sli.low, guarantee):
        return _with_floor(guarantee, coverage, f"{sli.up} of {sli.measured} slices up")
    if not satisfies(sli.high, guarantee):
        return Judgement(Verdict.MISSED, f"{sli.down} of {sli.measured} slices down")
    return Judgement(
        Verdict.INCONCLUSIVE, f"{sli.unknown} of {sli.measured} slices unknown; they decide between met and missed"
    )


def judge_response(
    sli: ResponseTime, guarantee: Guarantee, coverage: Mapping[str, Fraction], *, all_excused: bool = False
) -> Judgement:
    """Judge pooled processing times. `coverage` is each part's, by its name, for the floor."""
    if sli.share is None:
        return Judgement(Verdict.NO_DATA, "all excused" if all_excused else "no samples")
    if satisfies(sli.share, guarantee):
        lowest = min(coverage.values(), default=None)
        return _with_floor(guarantee, lowest, f"{sli.within} of {sli.samples} transactions within the limit")
    return Judgement(
        Verdict.MISSED, f"{sli.samples - sli.within} of {sli.samples} transactions failed or were slower than the limit"
    )


def _with_floor(guarantee: Guarantee, coverage: Fraction | None, reason: str) -> Judgement:
    if coverage is not None and coverage < guarantee.coverage_floor:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"coverage is {cut_percent(coverage)}, below the agreed {cut_percent(guarantee.coverage_floor)}",
        )
    return Judgement(Verdict.MET, reason)


def cut_percent(share: Fraction, decimals: int = 5) -> str:
    """A share as a percentage, cut and never rounded: 99.899999 % is not shown as 99.9 %. "99.9%", "100%"."""
    scaled = share * 100 * 10**decimals
    whole, rest = divmod(int(scaled), 10**decimals)
    text = f"{whole}.{rest:0{decimals}d}".rstrip("0").rstrip(".")
    return f"{text}%"
