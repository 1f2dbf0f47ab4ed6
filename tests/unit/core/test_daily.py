"""A day by itself: its state by the target of its clause, and its percentiles as edges of buckets."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.daily import DayState, judge_day, rank_edge, worst_day
from outrider.core.guarantee import Guarantee, Measure
from outrider.core.intervals import NOTHING
from outrider.core.measuring import BUCKET, Latencies, pooled
from outrider.core.sli import Availability
from outrider.core.units import SECOND

G = Guarantee("G1", "Available", Measure.AVAILABILITY, Fraction(999, 1000), strict=True)


def day(up: int = 0, down: int = 0, unknown: int = 0, excused: int = 0, samples: int | None = None) -> Availability:
    n = up + down if samples is None else samples
    return Availability(up, down, unknown, excused, n, 0, 0, {}, NOTHING, NOTHING, {})


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ({"up": 1440}, "up"),
        ({"up": 1439, "down": 1}, "partly down"),
        ({"up": 1438, "down": 2}, "missed"),
        ({"up": 999, "down": 1}, "missed"),  # exactly 99.9 % is not more than 99.9 %
        ({"up": 1439, "unknown": 1}, "up"),
        ({"up": 1438, "unknown": 2}, "inconclusive"),
        ({"up": 1000, "down": 1, "unknown": 439}, "partly down"),
        ({"unknown": 1440, "samples": 1440}, "inconclusive"),  # one region, down: it cannot tell
        ({"unknown": 1440}, "no data"),
        ({"unknown": 1380, "excused": 60}, "no data"),
        ({"excused": 1440}, "excused"),
        ({"excused": 1439, "up": 1}, "up"),
        ({"excused": 1439, "down": 1}, "missed"),
        ({"down": 10, "samples": 0}, "missed"),  # refused everywhere
        ({}, "no data"),
    ],
)
def test_a_day_is_judged_as_a_period_is_and_silence_is_never_up(counts: dict[str, int], state: str) -> None:
    assert judge_day(day(**counts), G) == state


def test_a_target_that_is_not_strict_is_met_when_it_is_reached() -> None:
    assert judge_day(day(up=999, down=1), replace(G, strict=False)) == "partly down"


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        (("up", "missed", "no data"), "missed"),
        (("up", "no data", "inconclusive"), "inconclusive"),
        (("up", "no data"), "no data"),
        (("excused", "up"), "up"),
        (("excused", "excused"), "excused"),
        ((), "no data"),
    ],
)
def test_a_day_of_the_clause_is_as_its_worst_check(states: tuple[str, ...], worst: str) -> None:
    assert worst_day(DayState(each) for each in states) == worst


def buckets(latencies: list[int]) -> Latencies:
    if not latencies:
        return pooled([])
    array = np.array(latencies, dtype=np.int64)
    return pooled([Latencies(-(-array // BUCKET), np.ones_like(array), array)])


@settings(max_examples=200, deadline=None)
@given(
    latencies=st.lists(st.integers(1, 12 * SECOND), max_size=60),
    failed=st.integers(0, 20),
    share=st.sampled_from([Fraction(1, 2), Fraction(9, 10), Fraction(99, 100)]),
)
def test_a_percentile_of_a_bin_is_the_exact_one_or_less_than_a_bucket_above(
    latencies: list[int], failed: int, share: Fraction
) -> None:
    n = len(latencies) + failed
    rank = -(-share.numerator * n // share.denominator)
    found = rank_edge(buckets(latencies), failed, share)
    if not 0 < rank <= len(latencies):
        assert found is None, "a rank among the failures is infinite"
        return
    exact = sorted(latencies)[rank - 1]
    assert found is not None
    assert exact <= found < exact + BUCKET


def test_states_are_ordered_from_the_worst_and_all_different() -> None:
    order = [each.value for each in DayState]
    assert all(left != right for left, right in pairwise(order))
    assert (order[0], order[-1]) == ("missed", "not in force")
