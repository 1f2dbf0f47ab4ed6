"""What would have changed a verdict: how far the counts are from where it turns, exactly, and in a plain sentence.

Rules
-----
1. The distance is a whole number of slices (availability) or transactions (response time), found with exact fractions
   from the least number of good ones that satisfies the target.
2. Met: how many more could have been lost. Missed: how many fewer would have had to be lost, with every unknown slice
   taken as up. Inconclusive: how many of the unknown slices decide, or how much data the coverage floor lacks.
3. Changes are counted within what was measured: nothing is excused that was not, and nothing measured that was not.
4. Of several checks, or periods, those decide whose verdict stands; where all are met, the one that came closest to a
   miss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

from outrider.core.guarantee import Guarantee
from outrider.core.sli import Availability, ResponseTime
from outrider.core.units import Duration, format_duration
from outrider.core.verdict import Judgement, Verdict, worst

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Margin:
    """`by`: to spare where met, lacking where missed, deciding where inconclusive; None where nothing was measured.
    `unit`: "slices" or "transactions"."""

    unit: str
    by: int | None
    text: str


def least_good(n: int, guarantee: Guarantee) -> int:
    """The least number of good ones among n with which the target is satisfied; at most n. For n >= 1."""
    wanted = guarantee.target * n
    return floor(wanted) + 1 if guarantee.strict else ceil(wanted)


def availability_margin(
    sli: Availability, guarantee: Guarantee, judgement: Judgement, coverage: Mapping[str, tuple[int, int]] | None = None
) -> Margin:
    """Of one check that was judged so, or of several as one service: then `coverage` is theirs, as (slices with data,
    slices measured) by check."""
    if judgement.verdict is Verdict.NO_DATA:
        return _nothing("slices", judgement)
    least, length = least_good(sli.measured, guarantee), guarantee.slice
    thin = coverage
    if thin is None:
        thin = {region: (slices, sli.measured) for region, slices in sli.coverage.items()}
    match judgement.verdict:
        case Verdict.MISSED:
            lacking = least - sli.up - sli.unknown
            even = f", with all {sli.unknown} unknown ones up" if sli.unknown else ""
            text = (
                f"missed by {_slices(lacking, length)}: with {lacking} fewer down of the {sli.down} that were{even}, "
                f"it would have been met{_unless_thin(thin, guarantee)}"
            )
            return Margin("slices", lacking, text)
        case Verdict.INCONCLUSIVE if sli.up < least:
            needed = least - sli.up
            too_many = sli.unknown - needed + 1
            text = (
                f"{_counted(sli.unknown, 'unknown slice')} {'decides' if sli.unknown == 1 else 'decide'}: met if at "
                f"least {needed} of them {_were(needed)} up{_unless_thin(thin, guarantee)}, missed if {too_many} or "
                f"more {_were(too_many)} down"
            )
            return Margin("slices", needed, text)
    to_spare = f"met with {_slices(sli.up - least, length)} to spare"
    if judgement.verdict is Verdict.INCONCLUSIVE:
        return _coverage(thin, guarantee, to_spare)
    text = f"{to_spare} of {sli.measured}: with one more down than that, it would not have been met"
    return Margin("slices", sli.up - least, text)


def response_margin(
    sli: ResponseTime, guarantee: Guarantee, judgement: Judgement, coverage: Mapping[str, tuple[int, int]]
) -> Margin:
    """Of pooled processing times. `coverage`: check -> (slices with data in its thinnest region, slices measured)."""
    if judgement.verdict is Verdict.NO_DATA or not sli.samples:
        return _nothing("transactions", judgement)
    least = least_good(sli.samples, guarantee)
    spare = sli.within - least
    if judgement.verdict is Verdict.MISSED:
        text = (
            f"missed by {_counted(-spare, 'transaction')}: with {-spare} more within the limit of the "
            f"{sli.samples - sli.within} that were not, it would have been met{_unless_thin(coverage, guarantee)}"
        )
        return Margin("transactions", -spare, text)
    to_spare = f"met with {_counted(spare, 'transaction')} to spare"
    if judgement.verdict is Verdict.INCONCLUSIVE:
        return _coverage(coverage, guarantee, to_spare)
    text = f"{to_spare} of {sli.samples}: with one more failed or slow than that, it would not have been met"
    return Margin("transactions", spare, text)


def margin_of_parts(parts: Sequence[tuple[str, Judgement, Margin]], noun: str = "check") -> Margin:
    """Of a guarantee that is judged check by check, or period by period (rule 4). `parts`, at least one: its name, its
    judgement, its margin."""
    standing = worst(judgement for _, judgement, _ in parts)
    deciding = [(check, margin) for check, judgement, margin in parts if judgement.verdict is standing.verdict]
    if len(parts) == 1:
        return deciding[0][1]
    if standing.verdict is Verdict.MET:
        check, closest = min(deciding, key=lambda each: (each[1].by or 0, each[0]))
        return Margin(closest.unit, closest.by, f"the closest of {len(parts)} {noun}s is {check}: {closest.text}")
    named = [f"{check}: {margin.text}" for check, margin in deciding[:_MOST_NAMED]]
    if len(deciding) > _MOST_NAMED:
        named.append(f"and {len(deciding) - _MOST_NAMED} more {noun}s")
    every = "" if len(deciding) == 1 else f"{len(deciding)} {noun}s would all have had to change: "
    amounts = [margin.by for _, margin in deciding]
    total = None if None in amounts else sum(each or 0 for each in amounts)
    return Margin(deciding[0][1].unit, total, every + "; ".join(named) + _after(parts, standing))


def _after(parts: Sequence[tuple[str, Judgement, Margin]], standing: Judgement) -> str:
    """What would stand once those that decide had changed to met, where that is not met yet."""
    others = {check: judgement for check, judgement, _ in parts if judgement.verdict is not standing.verdict}
    following = worst(others.values()).verdict if others else Verdict.MET
    if following is Verdict.MET:
        return ""
    names = [check for check, judgement in others.items() if judgement.verdict is following]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"; the guarantee would then be {following}, by {', '.join(names[:_MOST_NAMED])}{more}"


def lowest_coverage(sli: Availability) -> tuple[int, int] | None:
    """(slices with data in the thinnest region, slices measured); None where nothing was measured."""
    if sli.lowest_coverage is None:
        return None
    return min(sli.coverage.values(), default=0), sli.measured


def _coverage(found: Mapping[str, tuple[int, int]], guarantee: Guarantee, by_share: str) -> Margin:
    """Where only the floor stands between the counts and met. `found`: name -> (slices with data, slices measured)."""
    lacks = _lacks(found, guarantee)
    named = [
        f"{name} has data in {found[name][0]} of {found[name][1]} slices and lacks {lacks[name]}" for name in lacks
    ]
    if len(named) > _MOST_NAMED:
        named = [*named[:_MOST_NAMED], f"and {len(named) - _MOST_NAMED} more"]
    return Margin("slices", sum(lacks.values()), f"coverage decides: {'; '.join(named)}; by its share it is {by_share}")


def _lacks(found: Mapping[str, tuple[int, int]], guarantee: Guarantee) -> dict[str, int]:
    """How many slices with data each lacks to the coverage floor; only those that lack some."""
    least = {name: ceil(guarantee.coverage_floor * measured) for name, (_, measured) in sorted(found.items())}
    return {name: wanted - found[name][0] for name, wanted in least.items() if wanted > found[name][0]}


def _unless_thin(found: Mapping[str, tuple[int, int]], guarantee: Guarantee) -> str:
    lacks = _lacks(found, guarantee)
    return f" (or inconclusive, as coverage is below its floor for {', '.join(lacks)})" if lacks else ""


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _nothing(unit: str, judgement: Judgement) -> Margin:
    return Margin(unit, None, f"nothing to judge: {judgement.reason}")


def _slices(n: int, length: Duration) -> str:
    return f"{_counted(n, 'slice')} ({format_duration(n * length)})"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
