"""Recurrence rules: starts across clock changes, what is refused, and that nothing runs away."""

# ruff: noqa: DTZ001 - wall times are naive

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.units import HOUR, format_instant, parse_instant
from outrider_collector.recurrence import MOST_OCCURRENCES, RecurrenceError, occurrences, read_rule, starts

NEW_YORK = ZoneInfo("America/New_York")
NOW = parse_instant("2026-01-15T00:00:00Z")


def of(rule: str, first: datetime, zone: ZoneInfo = NEW_YORK) -> list[str]:
    return [format_instant(each) for each in starts(read_rule(rule), first, zone, NOW)]


@pytest.mark.parametrize(
    ("rule", "first", "expected"),
    [
        ("FREQ=WEEKLY;COUNT=3", datetime(2026, 3, 1, 4),
         ["2026-03-01T09:00:00Z", "2026-03-08T08:00:00Z", "2026-03-15T08:00:00Z"]),
        ("RRULE:freq=weekly;byday=su;count=2", datetime(2026, 10, 25, 4),
         ["2026-10-25T08:00:00Z", "2026-11-01T09:00:00Z"]),
        ("FREQ=MONTHLY;BYDAY=-1SU;COUNT=2", datetime(2026, 1, 25, 4), ["2026-01-25T09:00:00Z", "2026-02-22T09:00:00Z"]),
        ("FREQ=DAILY;UNTIL=20260203T090000Z", datetime(2026, 2, 2, 4),
         ["2026-02-02T09:00:00Z", "2026-02-03T09:00:00Z"]),
        ("FREQ=DAILY;UNTIL=20260203T085959Z", datetime(2026, 2, 2, 4), ["2026-02-02T09:00:00Z"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=2", datetime(2026, 1, 31, 4),
         ["2026-01-31T09:00:00Z", "2026-03-31T08:00:00Z"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", datetime(2024, 2, 29, 4), []),
    ],
)  # fmt: skip
def test_starts_keep_the_wall_time_and_are_instants_of_their_own(
    rule: str, first: datetime, expected: list[str]
) -> None:
    assert of(rule, first) == expected


@pytest.mark.parametrize(
    ("rule", "first", "words"),
    [
        ("FREQ=WEEKLY;COUNT=9", datetime(2026, 3, 1, 2, 30), "the occurrence of 2026-03-08: .* does not exist"),
        ("FREQ=WEEKLY;COUNT=9", datetime(2026, 10, 25, 1, 30), "the occurrence of 2026-11-01: .* occurs twice"),
        ("FREQ=WEEKLY;BYDAY=MO", datetime(2026, 3, 1, 4), "is no occurrence of the rule; that would be 2026-03-02"),
        ("FREQ=HOURLY", datetime(2026, 3, 1), "FREQ is one of"),
        ("FREQ=SECONDLY", datetime(2026, 3, 1), "FREQ is one of"),
        ("BYDAY=MO", datetime(2026, 3, 1), "FREQ is one of"),
        ("FREQ=DAILY;BYHOUR=1,2", datetime(2026, 3, 1), "'BYHOUR=1,2' is not a part"),
        ("FREQ=DAILY;FREQ=DAILY", datetime(2026, 3, 1), "FREQ is there twice"),
        ("FREQ=DAILY;COUNT=0", datetime(2026, 3, 1), "COUNT is a whole number"),
        ("FREQ=DAILY;INTERVAL=0", datetime(2026, 3, 1), "INTERVAL is a whole number"),
        ("FREQ=DAILY;UNTIL=20260401T000000", datetime(2026, 3, 1), "UNTIL is a time in UTC"),
        ("FREQ=DAILY;UNTIL=20261399T000000Z", datetime(2026, 3, 1), "is no time"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20260401T000000Z", datetime(2026, 3, 1), "UNTIL or COUNT, not both"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", datetime(2026, 3, 1), "never happens"),
        ("FREQ=MONTHLY;BYMONTHDAY=1;BYSETPOS=2", datetime(2026, 3, 1), "never happens"),
        ("FREQ=YEARLY;BYDAY=60MO", datetime(2026, 3, 1), "BYDAY cannot be '60MO'"),
        ("FREQ=DAILY;BYDAY=XX", datetime(2026, 3, 1), "BYDAY cannot be 'XX'"),
        ("FREQ=DAILY;BYDAY=MO,", datetime(2026, 3, 1), "BYDAY cannot be ''"),
        ("FREQ=WEEKLY;BYDAY=1SU", datetime(2026, 3, 1), "BYDAY=1SU counts weekdays"),
        ("FREQ=DAILY;BYMONTHDAY=0", datetime(2026, 3, 1), "BYMONTHDAY cannot be '0'"),
        ("FREQ=DAILY;BYMONTH=13", datetime(2026, 3, 1), "BYMONTH cannot be '13'"),
        ("FREQ=YEARLY;BYWEEKNO=54", datetime(2026, 3, 1), "BYWEEKNO cannot be '54'"),
        ("FREQ=YEARLY;BYYEARDAY=367", datetime(2026, 3, 1), "BYYEARDAY cannot be '367'"),
        ("FREQ=WEEKLY;WKST=XX", datetime(2026, 3, 1), "WKST cannot be 'XX'"),
        # A second rule behind a line break would have made the collector count the seconds since 1970.
        ("FREQ=DAILY;BYDAY=MO\nRRULE:FREQ=SECONDLY", datetime(1970, 1, 5), "is not a part of a rule|cannot be"),
        ("FREQ=DAILY;WKST=MO\nRDATE:20260405T000000", datetime(2026, 3, 1), "cannot be"),
        ("FREQ=DAILY\nRRULE:FREQ=SECONDLY", datetime(2026, 3, 1), "FREQ is one of"),
        ("", datetime(2026, 3, 1), "is not a part of a rule"),
        ("FREQ=DAILY", datetime(1969, 3, 1), "from 1970"),
        ("FREQ=DAILY;X=" + "9" * 500, datetime(2026, 3, 1), "at most 500 characters"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_the_reason(rule: str, first: datetime, words: str) -> None:
    with pytest.raises(RecurrenceError, match=words):
        of(rule, first)


def test_a_rule_without_an_end_is_followed_for_a_year() -> None:
    found = of("FREQ=DAILY", datetime(2026, 1, 20, 4))
    assert len(found) == 361
    assert found[-1] == "2027-01-15T09:00:00Z"
    assert len(found) < MOST_OCCURRENCES


def test_a_date_to_leave_out_has_to_be_one_of_the_rule() -> None:
    first = parse_instant("2026-03-01T09:00:00Z")
    gone = parse_instant("2026-03-08T08:00:00Z")
    found = occurrences("FREQ=WEEKLY;COUNT=2", first, NEW_YORK, NOW, frozenset([gone]))
    assert found == [first]
    with pytest.raises(RecurrenceError, match="2026-03-08T09:00:00Z is no occurrence"):
        occurrences("FREQ=WEEKLY;COUNT=2", first, NEW_YORK, NOW, frozenset([gone + HOUR]))


PARTS = st.sampled_from(
    ["FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY", "COUNT=3", "INTERVAL=7", "BYDAY=TU", "BYDAY=5FR",
     "BYDAY=-9MO", "BYMONTH=2", "BYMONTH=13", "BYMONTHDAY=30", "BYMONTHDAY=-40", "BYSETPOS=9", "BYWEEKNO=54",
     "BYYEARDAY=366", "WKST=SU", "WKST=", "UNTIL=20260301T000000Z"]
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.lists(PARTS, max_size=5).map(";".join), st.text(max_size=40)))
def test_any_rule_gives_starts_in_order_or_is_refused(rule: str) -> None:
    try:
        found = list(starts(read_rule(rule), datetime(2026, 1, 6, 4), NEW_YORK, NOW))
    except RecurrenceError:
        return
    assert found == sorted(set(found))
    assert len(found) <= MOST_OCCURRENCES
