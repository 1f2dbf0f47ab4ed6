"""The algebra of instant sets, held against plain Python sets of whole numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.intervals import NOTHING, Interval, Intervals

LAST = 60

INTERVALS = st.builds(lambda start, length: Interval(start, start + length), st.integers(0, LAST - 10),
                      st.integers(1, 10))  # fmt: skip
SETS = st.lists(INTERVALS, max_size=8).map(Intervals)


def instants(members: Intervals) -> set[int]:
    """The naive model: every instant by itself."""
    return {instant for interval in members for instant in range(interval.start, interval.end)}


def of(*edges: tuple[int, int]) -> Intervals:
    return Intervals(Interval(start, end) for start, end in edges)


@pytest.mark.parametrize(("start", "end"), [(5, 5), (5, 4)])
def test_an_interval_is_never_empty(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        Interval(start, end)


def test_the_start_belongs_to_an_interval_and_the_end_does_not() -> None:
    interval = Interval(10, 20)
    assert [instant for instant in (9, 10, 19, 20) if instant in interval] == [10, 19]
    assert [instant for instant in (9, 10, 19, 20) if instant in Intervals([interval])] == [10, 19]


@pytest.mark.parametrize(
    ("given_members", "merged"),
    [
        ([(0, 5), (5, 9)], [(0, 9)]),
        ([(5, 9), (0, 5)], [(0, 9)]),
        ([(0, 9), (2, 3)], [(0, 9)]),
        ([(0, 5), (3, 9)], [(0, 9)]),
        ([(0, 5), (6, 9)], [(0, 5), (6, 9)]),
        ([(0, 5), (0, 5)], [(0, 5)]),
        ([], []),
    ],
)
def test_what_overlaps_or_touches_is_merged(
    given_members: list[tuple[int, int]], merged: list[tuple[int, int]]
) -> None:
    assert [(one.start, one.end) for one in of(*given_members)] == merged


def test_the_order_of_the_members_makes_no_difference_to_equality_or_hash() -> None:
    assert of((0, 5), (8, 9)) == of((8, 9), (0, 2), (2, 5))
    assert hash(of((0, 5), (8, 9))) == hash(of((8, 9), (0, 2), (2, 5)))
    assert of((0, 5)) != of((0, 6))
    assert of((0, 5)) != (Interval(0, 5),)


def test_the_empty_set_is_false_and_holds_nothing() -> None:
    assert not NOTHING
    assert len(NOTHING) == NOTHING.length == 0
    assert 0 not in NOTHING
    assert not NOTHING.covers(Interval(0, 1))
    assert repr(of((0, 5))) == "Intervals([Interval(start=0, end=5)])"


@given(SETS)
@settings(max_examples=200, deadline=None)
def test_members_are_sorted_and_have_gaps_between_them(members: Intervals) -> None:
    edges = [edge for interval in members for edge in (interval.start, interval.end)]
    assert edges == sorted(set(edges))


@given(SETS, SETS)
@settings(max_examples=200, deadline=None)
def test_union_intersection_and_difference_are_those_of_sets(one: Intervals, other: Intervals) -> None:
    assert instants(one | other) == instants(one) | instants(other)
    assert instants(one & other) == instants(one) & instants(other)
    assert instants(one - other) == instants(one) - instants(other)
    assert one & other == other & one
    assert one | other == other | one


@given(SETS)
@settings(max_examples=100, deadline=None)
def test_membership_and_length_are_those_of_sets(members: Intervals) -> None:
    assert {instant for instant in range(-2, LAST + 2) if instant in members} == instants(members)
    assert members.length == len(instants(members))


@given(SETS, INTERVALS)
@settings(max_examples=200, deadline=None)
def test_covers_means_every_instant(members: Intervals, interval: Interval) -> None:
    wanted = set(range(interval.start, interval.end))
    assert members.covers(interval) == (wanted <= instants(members))
    assert instants(members.within(interval)) == wanted & instants(members)


@given(SETS, st.integers(-3, LAST))
@settings(max_examples=200, deadline=None)
def test_a_budget_is_used_up_in_order_of_time(members: Intervals, budget: int) -> None:
    earliest = sorted(instants(members))[: max(budget, 0)]
    assert sorted(instants(members.first(budget))) == earliest
