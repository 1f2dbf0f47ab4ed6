"""What may be done to a window, what is refused, and what rule R5 makes of each act; wall times and their readings."""

# ruff: noqa: DTZ001 - wall times are naive

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.intervals import Interval, Intervals
from outrider.core.maintenance import Act, Announcement, excused
from outrider.core.units import DAY, HOUR, SECOND, format_instant, parse_instant
from outrider.core.wall_time import WallTimeError, instant_of, on_wall, read_time
from outrider.core.window_acts import ActError, cancelled, completed, extended, is_open, moved, reworded, shortened

NEW_YORK = ZoneInfo("America/New_York")
DAY0 = parse_instant("2026-06-10T00:00:00Z")
NOTICE = 72 * HOUR


def h(hours: float) -> int:
    return DAY0 + round(hours * HOUR)


ANNOUNCED = Announcement("w", 1, Act.ANNOUNCE, h(10), h(12), h(-100), ("*",), "upgrade", "ops")

Make = Callable[[Announcement, int], Announcement]


def move(start: float, end: float) -> Make:
    return lambda latest, at: moved(latest, h(start), h(end), at)


def extend(end: float) -> Make:
    return lambda latest, at: extended(latest, h(end), at)


def shorten(end: float) -> Make:
    return lambda latest, at: shortened(latest, h(end), at)


# Each act with the hour it is recorded at; then what is excused.
HISTORIES: list[tuple[str, list[tuple[float, Make]], list[tuple[float, float]]]] = [
    ("moved in good time", [(-90, move(20, 22))], [(20, 22)]),
    ("moved late, to elsewhere", [(5, move(20, 22))], []),
    ("moved late by an hour: the overlap stays", [(5, move(11, 13))], [(11, 12)]),
    ("moved late and back again", [(5, move(11, 13)), (6, move(10, 12))], [(11, 12)]),
    ("extended in good time", [(-63, extend(13))], [(10, 13)]),
    ("extended at exactly the notice", [(-62, extend(13))], [(10, 13)]),
    ("extended a second late", [(-62 + 1 / 3600, extend(13))], [(10, 12)]),
    ("extended while it runs", [(11, extend(14))], [(10, 12)]),
    ("shortened while it runs", [(10.5, shorten(11))], [(10, 11)]),
    ("shortened, then extended again late", [(5, shorten(11)), (6, extend(12))], [(10, 11)]),
    ("completed", [(11, completed)], [(10, 11)]),
    ("cancelled", [(5, cancelled)], []),
    ("cancelled in the middle", [(11, cancelled)], []),
    ("extended late, then completed in the part that was announced", [(11, extend(14)), (11.5, completed)],
     [(10, 11.5)]),
    ("extended late, then completed in the part that was not", [(11, extend(14)), (13, completed)], [(10, 12)]),
]  # fmt: skip


@pytest.mark.parametrize(("acts", "expected"), [each[1:] for each in HISTORIES], ids=[each[0] for each in HISTORIES])
def test_each_act_excuses_what_rule_r5_says(
    acts: list[tuple[float, Make]], expected: list[tuple[float, float]]
) -> None:
    history = [ANNOUNCED]
    for at, make in acts:
        history.append(make(history[-1], h(at)))
    assert [each.version for each in history] == list(range(1, len(history) + 1))
    assert [each.recorded_at for each in history[1:]] == [h(at) for at, _ in acts]
    found = excused(history, NOTICE, Interval(DAY0, DAY0 + DAY), "any")
    assert found == Intervals([Interval(h(start), h(end)) for start, end in expected])


def test_announced_again_after_a_cancellation_it_is_another_window_with_its_own_notice() -> None:
    history = [ANNOUNCED, cancelled(ANNOUNCED, h(-80))]
    for recorded, expected in ((-62, [Interval(h(10), h(12))]), (-61, [])):
        again = Announcement("x", 1, Act.ANNOUNCE, h(10), h(12), h(recorded))
        assert excused([*history, again], NOTICE, Interval(DAY0, DAY0 + DAY), "any") == Intervals(expected)


REFUSED: list[tuple[str, float, Make, str, str]] = [
    ("a window that ended does not move", 12, move(20, 22), "ended", ""),
    ("nor is it extended", 13, extend(14), "ended", ""),
    ("nor shortened", 13, shorten(11), "ended", ""),
    ("nor completed", 12, completed, "ended", ""),
    ("nor cancelled", 12, cancelled, "ended", ""),
    ("a window that runs keeps its start", 10, move(11, 13), "its start stands", "start"),
    ("a move to where it is", 5, move(10, 12), "is there already", "start"),
    ("a move to the past", 5, move(4, 12), "is past", "start"),
    ("a move to this very instant", 5, move(5, 12), "is past", "start"),
    ("a move that ends before it starts", 5, move(14, 13), "end after it starts", "end"),
    ("an extension to an earlier end", 5, extend(11), "name a later end", "end"),
    ("an extension to the same end", 5, extend(12), "name a later end", "end"),
    ("a shortening to a later end", 5, shorten(13), "name an earlier end", "end"),
    ("a shortening to the same end", 5, shorten(12), "name an earlier end", "end"),
    ("a shortening to nothing", 5, shorten(10), "cancel it instead", "end"),
    ("a shortening to the past", 11.5, shorten(11), "complete the window", "end"),
    ("a completion before it began", 5, completed, "cancel it instead", ""),
    ("a completion in the instant it begins", 10, completed, "cancel it instead", ""),
    ("the same words again", 5, lambda latest, at: reworded(latest, ("*",), "upgrade", at), "says so already", "scope"),
]


@pytest.mark.parametrize(
    ("at", "make", "words", "field"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED]
)
def test_what_cannot_be_meant_is_refused_with_its_field(at: float, make: Make, words: str, field: str) -> None:
    with pytest.raises(ActError, match=words) as refused:
        make(ANNOUNCED, h(at))
    assert refused.value.field == field


@pytest.mark.parametrize("make", [move(20, 22), extend(14), shorten(11.5), completed, cancelled])
@pytest.mark.parametrize("last", [completed, cancelled])
def test_a_window_that_was_completed_or_cancelled_changes_no_more(make: Make, last: Make) -> None:
    over = last(ANNOUNCED, h(11))
    assert not is_open(over, h(11.2))
    with pytest.raises(ActError, match="changes no more; announce a new one"):
        make(over, h(11.2))


ACTS = st.sampled_from(["move", "extend", "shorten", "complete", "cancel"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ACTS, st.integers(-200, 60), st.integers(0, 60), st.integers(1, 12)), max_size=8))
def test_nothing_is_excused_that_was_not_announced_at_the_notice_whatever_is_done(
    wanted: list[tuple[str, int, int, int]],
) -> None:
    history = [ANNOUNCED]
    for act, at, start, length in sorted(wanted, key=lambda each: each[1]):
        make: dict[str, Make] = {"move": move(start, start + length), "extend": extend(start),
                                 "shorten": shorten(start), "complete": completed, "cancel": cancelled}  # fmt: skip
        try:
            history.append(make[act](history[-1], max(h(at), history[-1].recorded_at + SECOND)))
        except ActError:
            continue
    deadline = history[-1].start - NOTICE
    known = [each for each in history if each.recorded_at <= deadline]
    found = excused(history, NOTICE, Interval(DAY0 - 30 * DAY, DAY0 + 30 * DAY), "any")
    own = Intervals(filter(None, [known[-1].interval_for("any")])) if known else Intervals()
    assert found & own == found


# --- wall times ------------------------------------------------------------------------------------------------------


def test_a_time_with_an_offset_is_what_it_says_whatever_zone_is_named_beside_it() -> None:
    for zone in (None, NEW_YORK):
        assert format_instant(read_time("2026-03-08T02:30:00-05:00", zone)) == "2026-03-08T07:30:00Z"
    assert format_instant(read_time("2026-06-08T02:30", NEW_YORK)) == "2026-06-08T06:30:00Z"


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("2026-03-08T02:30:00", NEW_YORK,
         ["does not exist", "2026-03-08T02:30:00-05:00, when they show 03:30:00",
          "2026-03-08T02:30:00-04:00, when they show 01:30:00"]),
        ("2026-11-01T01:30:00", NEW_YORK,
         ["occurs twice", "2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00"]),
        ("2026-11-01T01:30:00", None, ["names no offset", "or say the time zone"]),
        ("2026-11-01", NEW_YORK, ["is a day, not a time"]),
        ("soon", NEW_YORK, ["is not a time"]),
        ("0001-01-01T00:00:00+14:00", NEW_YORK, ["before the year 1"]),
        ("9999-12-31T23:00:00", NEW_YORK, ["after the year 9999"]),
    ],
)  # fmt: skip
def test_a_time_that_is_none_is_refused_with_what_it_could_have_been(
    text: str, zone: ZoneInfo | None, words: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"\d|soon") as refused:
        read_time(text, zone)
    for each in words:
        assert each in str(refused.value)


@settings(max_examples=200, deadline=None)
@given(st.datetimes(datetime(1975, 1, 1), datetime(2035, 1, 1)))
def test_a_wall_time_that_is_accepted_is_shown_by_the_clocks_at_that_instant_and_at_no_other(wall: datetime) -> None:
    try:
        instant = instant_of(wall, NEW_YORK)
    except WallTimeError:
        return
    assert on_wall(instant, NEW_YORK) == wall
    assert wall not in (on_wall(instant - HOUR, NEW_YORK), on_wall(instant + HOUR, NEW_YORK))
