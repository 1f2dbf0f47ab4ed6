"""Emergency maintenance, worked out by hand: it excuses nothing, unless the agreement has a notice for it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from outrider.core.guarantee import Guarantee, Measure
from outrider.core.intervals import Interval, Intervals
from outrider.core.maintenance import Act, Announcement, excused
from outrider.core.units import DAY, HOUR, SECOND, Duration, parse_instant
from outrider.core.window_acts import cancelled, extended

DAY0 = parse_instant("2026-06-10T00:00:00Z")
PERIOD = Interval(DAY0, DAY0 + DAY)
NOTICE = 72 * HOUR


def at(hour: float) -> int:
    return DAY0 + round(hour * HOUR)


def hours(start: float, end: float) -> Interval:
    return Interval(at(start), at(end))


def emergency(recorded: Duration, start: float = 2, end: float = 4) -> Announcement:
    return Announcement("w", 1, Act.ANNOUNCE, at(start), at(end), recorded, emergency=True)


LONG_BEFORE, AT_THE_START = at(-100), at(2)
EXTENDED = [first := emergency(at(1)), replace(first, version=2, act=Act.EXTEND, end=at(6), recorded_at=at(3))]
PLANNED = replace(emergency(LONG_BEFORE, 3, 5), window="p", emergency=False)

CASES: list[tuple[str, list[Announcement], Duration | None, list[Interval]]] = [
    ("announced in good time, and excuses nothing all the same", [emergency(LONG_BEFORE)], None, []),
    ("announced an hour before", [emergency(at(1))], None, []),
    ("no notice asked for, recorded at the very start", [emergency(AT_THE_START)], 0, [hours(2, 4)]),
    ("no notice asked for, recorded a second after the start", [emergency(AT_THE_START + SECOND)], 0, []),
    ("no notice asked for, recorded in the middle", [emergency(at(3))], 0, []),
    ("an hour asked for, and given", [emergency(at(1))], HOUR, [hours(2, 4)]),
    ("an hour asked for, and a second less given", [emergency(at(1) + SECOND)], HOUR, []),
    ("extended while it runs: only what every version in force contained", EXTENDED, 0, [hours(2, 4)]),
    ("cancelled", [first, replace(first, version=2, act=Act.CANCEL, recorded_at=at(1.5))], 0, []),
    ("completed early", [first, replace(first, version=2, act=Act.COMPLETE, end=at(3), recorded_at=at(3))], 0,
     [hours(2, 3)]),
    ("beside a planned one that excuses", [emergency(at(1)), PLANNED], None, [hours(3, 5)]),
    ("overlapping a planned one, and both excuse", [emergency(at(1)), PLANNED], 0, [hours(2, 5)]),
    ("a planned one is not asked for less because emergencies are",
     [replace(PLANNED, recorded_at=at(1))], 0, []),
]  # fmt: skip


@pytest.mark.parametrize(("windows", "notice", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_what_an_emergency_excuses(
    windows: list[Announcement], notice: Duration | None, expected: list[Interval]
) -> None:
    assert excused(windows, NOTICE, PERIOD, "any", emergency_notice=notice) == Intervals(expected)


def test_a_window_stays_an_emergency_through_all_that_is_done_to_it() -> None:
    window = emergency(at(1))
    later = extended(window, at(8), at(1.5))
    assert (later.emergency, cancelled(later, at(1.75)).emergency) == (True, True)


@pytest.mark.parametrize(
    ("changes", "mark", "required"),
    [
        ({}, False, 72 * HOUR),
        ({}, True, None),
        ({"emergency_notice": 0}, True, 0),
        ({"emergency_notice": HOUR}, False, 72 * HOUR),
        ({"emergency_notice": 0, "windows_excuse": False}, True, None),
        ({"windows_excuse": False}, False, None),
    ],
)
def test_the_notice_that_a_guarantee_asks_for(changes: dict[str, int], mark: bool, required: Duration | None) -> None:
    guarantee = Guarantee("G1", "up", Measure.AVAILABILITY, Fraction(9, 10), **changes)  # type: ignore[arg-type]
    assert guarantee.notice_for(replace(emergency(0), emergency=mark)) == required


@pytest.mark.parametrize("notice", [-1, 72 * HOUR + 1])
def test_emergencies_are_not_asked_for_more_notice_than_what_is_planned(notice: Duration) -> None:
    with pytest.raises(ValueError, match="emergency_notice is at least 0s, and at most"):
        Guarantee("G1", "up", Measure.AVAILABILITY, Fraction(9, 10), emergency_notice=notice)
