"""Slots on an absolute grid: rules 1 to 4 of the timetable, as examples worked out by hand and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.timetable import DEFAULT_SLICE, Slot, Timetable
from outrider.core.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, parse_instant

NOON = parse_instant("2026-06-01T12:00:00Z")
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
SPANS = st.integers(-2 * DAY, 2 * DAY)


@st.composite
def timetables(draw: st.DrawFn) -> Timetable:
    """Any interval and slice that share a grid with room for the lateness limit, default or given."""
    grain = draw(st.integers(2 * MILLISECOND + 1, 10 * MINUTE))
    interval, length = grain * draw(st.integers(1, 12)), grain * draw(st.integers(1, 12))
    lateness = draw(st.none() | st.integers(1, (grain - 1) // 2))
    return Timetable(draw(NAMES), draw(NAMES), interval, length, lateness)


HALF_MINUTES = Timetable("us-east", "eligibility", 30 * SECOND)
SERVED = HALF_MINUTES.next_slot(NOON).at


# --- rule 1: an absolute grid ------------------------------------------------------------------------------------


@given(timetables(), SPANS, SPANS)
@settings(max_examples=200, deadline=None)
def test_the_grid_does_not_depend_on_when_the_agent_started(timetable: Timetable, one: int, other: int) -> None:
    slots = timetable.next_slot(NOON + one).at, timetable.next_slot(NOON + other).at
    assert (slots[0] - slots[1]) % timetable.interval == 0
    assert slots[0] % timetable.interval == timetable.phase


@given(timetables(), SPANS)
@settings(max_examples=200, deadline=None)
def test_the_first_slot_is_the_nearest_one_that_has_not_passed(timetable: Timetable, offset: int) -> None:
    now = NOON + offset
    slot = timetable.next_slot(now)
    assert slot.missed == 0
    assert 0 <= slot.at - now < timetable.interval


def test_a_slot_is_still_to_be_had_at_its_very_instant() -> None:
    assert HALF_MINUTES.next_slot(SERVED) == Slot(SERVED)
    assert HALF_MINUTES.next_slot(SERVED + 1) == Slot(SERVED + 30 * SECOND)


def test_a_phase_stays_what_it_was_in_earlier_versions() -> None:
    # Two agents of one check in one region, of different versions, must not drift apart.
    assert Timetable("us-east", "eligibility", 30 * SECOND).phase == 24_593_420
    assert Timetable("us-west", "eligibility", 30 * SECOND).phase == 28_110_893
    assert Timetable("us-east", "eligibility", 5 * MINUTE).phase == 205_436_042


# --- rule 2: away from slice edges -------------------------------------------------------------------------------


@given(timetables(), SPANS)
@settings(max_examples=200, deadline=None)
def test_a_slot_and_its_latest_start_lie_in_one_slice_with_the_lateness_limit_to_spare(
    timetable: Timetable, offset: int
) -> None:
    slot, lateness = timetable.next_slot(NOON + offset).at, timetable.allowed_lateness
    assert lateness > 0
    numbers = {instant // timetable.slice for instant in (slot - lateness, slot, slot + lateness)}
    assert len(numbers) == 1


@given(timetables())
@settings(max_examples=200, deadline=None)
def test_a_phase_is_within_one_interval(timetable: Timetable) -> None:
    assert 0 <= timetable.phase < timetable.interval


def test_regions_spread_out_over_the_interval_without_talking_to_each_other() -> None:
    phases = [Timetable(f"region-{number}", "eligibility", 30 * SECOND).phase for number in range(300)]
    assert len(set(phases)) == len(phases)
    seconds_used = {phase // SECOND for phase in phases}
    assert seconds_used == set(range(1, 29))  # 1 s stays free at either edge


def test_a_check_with_an_interval_of_many_slices_uses_all_of_them() -> None:
    minutes = {Timetable(f"region-{number}", "claim", 10 * MINUTE).phase // MINUTE for number in range(300)}
    assert minutes == set(range(10))


@pytest.mark.parametrize(
    ("interval", "slice_length", "lateness"),
    [
        (30 * SECOND, MINUTE, SECOND),
        (MINUTE, MINUTE, SECOND),
        (HOUR, MINUTE, SECOND),
        (90 * SECOND, MINUTE, SECOND),  # edges every 30 s
        (SECOND, 2 * SECOND, 250 * MILLISECOND),
        (2500, 5000, MILLISECOND),  # never less than a millisecond
    ],
)
def test_the_usual_lateness_limit_is_a_quarter_of_the_grid_and_at_most_a_second(
    interval: int, slice_length: int, lateness: int
) -> None:
    assert Timetable("us-east", "eligibility", interval, slice_length).allowed_lateness == lateness


@pytest.mark.parametrize(
    ("interval", "slice_length", "lateness", "message"),
    [
        (0, MINUTE, None, "interval and slice must be longer than nothing"),
        (-SECOND, MINUTE, None, "interval and slice must be longer than nothing"),
        (SECOND, 0, None, "interval and slice must be longer than nothing"),
        (30 * SECOND, MINUTE, 0, "a lateness limit of 0 us leaves no room"),
        (30 * SECOND, MINUTE, -1, "a lateness limit of -1 us leaves no room"),
        (30 * SECOND, MINUTE, 15 * SECOND, "a lateness limit of 15000000 us leaves no room"),
        (2000, MINUTE, None, "have edges every 2000 us; choose an interval that divides the slice"),
        # Nearly a minute, but the two drift past each other: sooner or later a slot falls on every edge.
        (59_999_999, MINUTE, None, "have edges every 1 us; choose an interval that divides the slice"),
    ],
)
def test_an_interval_that_leaves_no_room_between_edges_is_refused(
    interval: int, slice_length: int, lateness: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Timetable("us-east", "eligibility", interval, slice_length, lateness)


def test_the_largest_lateness_limit_is_just_below_half_of_the_grid() -> None:
    timetable = Timetable("us-east", "eligibility", 30 * SECOND, DEFAULT_SLICE, 15 * SECOND - 1)
    assert timetable.phase in (15 * SECOND - 1, 15 * SECOND)


# --- rule 3: no slot twice, none made up -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "number", "missed"),
    [
        (-30 * SECOND, 1, 0),  # the clock was set back a little: the next slot, and not an old one again
        (0, 1, 0),
        (1, 1, 0),
        (30 * SECOND, 1, 0),  # at the very instant of the next slot
        (30 * SECOND + 1, 2, 1),  # a microsecond past it
        (60 * SECOND, 2, 1),
        (60 * SECOND + 1, 3, 2),
        (HOUR, 120, 119),
    ],
)
def test_slots_that_passed_during_a_run_are_counted_and_not_made_up(late: int, number: int, missed: int) -> None:
    assert HALF_MINUTES.next_slot(SERVED + late, SERVED) == Slot(SERVED + number * 30 * SECOND, missed)


def test_a_clock_set_back_far_does_not_silence_a_check_until_the_old_time_comes_again() -> None:
    hour_ago = SERVED - HOUR
    assert HALF_MINUTES.next_slot(hour_ago, SERVED) == Slot(hour_ago, 0)


@given(timetables(), st.lists(st.integers(0, 40), min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_slot_is_served_twice_while_the_clock_goes_on(timetable: Timetable, jumps: list[int]) -> None:
    now, last, total = NOON, timetable.next_slot(NOON).at, 0
    first = last
    for jump in jumps:
        now = (
            max(now, last) + jump * timetable.interval // 4
        )  # a run begins at its slot, and the next is asked for later
        slot = timetable.next_slot(now, last)
        assert slot.at > last
        assert slot.at >= now
        total += 1 + slot.missed
        last = slot.at
    assert last == first + total * timetable.interval  # served and missed together are the whole grid


@given(timetables(), st.integers(-3 * HOUR, 3 * HOUR))
@settings(max_examples=200, deadline=None)
def test_missed_is_the_number_of_grid_points_between(timetable: Timetable, late: int) -> None:
    served = timetable.next_slot(NOON).at
    now = served + late % (50 * timetable.interval)
    slot = timetable.next_slot(now, served)
    between = range(served + timetable.interval, slot.at, timetable.interval)
    assert slot.missed == len(between)
    assert all(point < now for point in between)


# --- rule 4: too late --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "is_too_late"),
    [(-HOUR, False), (0, False), (SECOND, False), (SECOND + 1, True), (30 * SECOND, True)],
)
def test_a_run_may_start_up_to_its_lateness_limit_and_no_later(late: int, is_too_late: bool) -> None:
    assert HALF_MINUTES.is_too_late(Slot(SERVED), SERVED + late) is is_too_late
