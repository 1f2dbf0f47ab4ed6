"""Estimates of the collector's clock: what one exchange says, how it ages, and which of two to believe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.core.clock_estimate import Estimate, Offset, better
from outrider.core.units import DAY, HOUR, MILLISECOND, SECOND

AHEAD = 5 * SECOND
A_DAY = st.integers(0, DAY)


def estimate(error: int = 100, at: int = 0, shift: int = AHEAD, boot: str = "one") -> Estimate:
    return Estimate(shift, error, at, boot)


@given(sent_at=A_DAY, there=st.integers(0, SECOND), back=st.integers(0, SECOND), work=st.integers(0, SECOND))
def test_the_collectors_clock_lies_within_the_error_bar_however_the_way_is_divided(
    sent_at: int, there: int, back: int, work: int
) -> None:
    received_at = sent_at + there + AHEAD
    found = Estimate.of_exchange(
        boot="one",
        sent_at=sent_at,
        round_trip=there + work + back,
        received_at=received_at,
        answered_at=received_at + work,
    )
    assert abs(found.shift - AHEAD) <= found.error + 1  # halves of microseconds are cut
    assert found.error <= (there + back + 1) // 2


@pytest.mark.parametrize(
    ("passed", "error"),
    [
        (0, 100),
        (1, 101),
        (SECOND, 115),
        (-SECOND, 115),
        (HOUR, 100 + 54 * MILLISECOND),
        (DAY, 100 + 1296 * MILLISECOND),
    ],
)
def test_an_error_bar_grows_by_15_millionths_of_the_time_since_and_of_the_time_before(passed: int, error: int) -> None:
    assert estimate().error_at(passed) == error


def test_the_offset_follows_a_wall_clock_that_is_set_and_the_error_bar_does_not_grow_by_it() -> None:
    one = estimate()
    assert one.offset(wall=1000, boottime=0) == Offset(AHEAD - 1000, 100)
    assert one.offset(wall=1000 + HOUR, boottime=0) == Offset(AHEAD - 1000 - HOUR, 100)


@pytest.mark.parametrize(
    ("known", "new", "which"),
    [
        (None, estimate(900), "new"),
        (estimate(100), estimate(900, at=SECOND), "known"),
        (estimate(900), estimate(100, at=SECOND), "new"),
        (estimate(100), estimate(115, at=SECOND), "new"),  # as good as the old one has become
        (estimate(100), estimate(116, at=SECOND), "known"),
        (estimate(100), estimate(900, at=SECOND, shift=AHEAD + 1015), "known"),  # the bars meet in one point
        (estimate(100), estimate(900, at=SECOND, shift=AHEAD + 1016), "new"),  # a clock was set
        (estimate(100), estimate(900, at=SECOND, shift=AHEAD - 1016), "new"),
        (estimate(100), estimate(900, at=SECOND, boot="two"), "new"),
    ],
)
def test_the_narrower_error_bar_is_believed_unless_the_two_contradict_each_other(
    known: Estimate | None, new: Estimate, which: str
) -> None:
    assert better(known, new) == (new if which == "new" else known)
