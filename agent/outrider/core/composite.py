"""Several checks as one service, slice by slice, where an agreement says so.

Rules
-----
1. `all`: the service is DOWN where any check is DOWN, else UNKNOWN where any is UNKNOWN, else UP.
2. `any`: it is UP where any check is UP, else UNKNOWN where any is UNKNOWN, else DOWN.
3. A check whose slice is excused is left out of that slice; where all of them are, the slice is excused.
4. Samples are added up. Five-minute intervals are not: which of two checks' intervals are the same is not kept.
5. The coverage that the floor is held against: `all` is covered as its thinnest check is, `any` as its best one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from outrider.core.guarantee import Composite
from outrider.core.intervals import Interval, Intervals
from outrider.core.measuring import marked, spans_of, whole_slices
from outrider.core.sli import Availability
from outrider.core.units import Duration


@dataclass(frozen=True, slots=True)
class Member:
    """One check: how it was measured, and the time that was excused then."""

    measured: Availability
    excused: Intervals


def combine(members: Sequence[Member], span: Interval, length: Duration, composite: Composite) -> Availability:
    """One availability of checks, at least one, that were measured over the same span in slices of this length."""
    import numpy as np

    wanted = whole_slices(span, length)
    first, rows = wanted.start, len(wanted)
    excused = np.ones(rows, dtype=np.bool_)
    seen = {state: np.zeros(rows, dtype=np.bool_) for state in ("up", "down", "unknown")}
    for member in members:
        is_excused = marked(member.excused, first, rows, length, wholly=True)
        down = marked(member.measured.outages, first, rows, length, wholly=True)
        unknown = marked(member.measured.unknowns, first, rows, length, wholly=True)
        seen["down"] |= down
        seen["unknown"] |= unknown
        seen["up"] |= ~(down | unknown | is_excused)
        excused &= is_excused
    order = ("down", "unknown", "up") if composite is Composite.ALL else ("up", "unknown", "down")
    left, found = ~excused, {}
    for state in order:
        found[state] = seen[state] & left
        left = left & ~seen[state]
    each = [member.measured for member in members]
    return Availability(
        up=int(found["up"].sum()),
        down=int(found["down"].sum()),
        unknown=int(found["unknown"].sum()),
        excused=int(excused.sum()),
        good_samples=sum(one.good_samples for one in each),
        bad_samples=sum(one.bad_samples for one in each),
        void_samples=sum(one.void_samples for one in each),
        coverage={},
        outages=spans_of(found["down"], first, length),
        unknowns=spans_of(found["unknown"], first, length),
        five_minutes={},
    )


def covering(coverage: Mapping[str, tuple[int, int]], composite: Composite) -> dict[str, tuple[int, int]]:
    """The check whose coverage counts (rule 5), of check -> (slices with data in its thinnest region, measured)."""
    known = {check: Fraction(*pair) for check, pair in coverage.items() if pair[1]}
    if not known:
        return {}
    choose = max if composite is Composite.ANY else min
    check = choose(sorted(known), key=lambda name: known[name])
    return {check: coverage[check]}
