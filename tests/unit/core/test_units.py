"""Durations, sizes and instants: whole numbers in, whole numbers out, and a sentence where the text is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.units import (
    DAY,
    HOUR,
    MILLISECOND,
    MINUTE,
    SECOND,
    format_duration,
    format_instant,
    from_datetime,
    parse_duration,
    parse_instant,
    parse_size,
    to_datetime,
)

# Year 1 to year 9999: what a datetime can hold.
INSTANTS = st.integers(-62_135_596_800 * SECOND, 253_402_300_799 * SECOND + 999_999)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", 0),
        ("1us", 1),
        ("250ms", 250 * MILLISECOND),
        ("5m", 5 * MINUTE),
        ("10s", 10 * SECOND),
        ("1.5s", 1_500_000),
        ("0.000001s", 1),
        ("0.5ms", 500),
        ("1.25h", 75 * MINUTE),
        ("72h", 3 * DAY),
        ("1h30m", 90 * MINUTE),
        ("1d2h3m4s5ms6us", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5 * MILLISECOND + 6),
        ("0.1s", 100_000),  # a float would make it 99999 or 100000, as it pleases
    ],
)
def test_a_duration_is_read_to_the_microsecond(text: str, duration: int) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", " 10s", "10s ", "-10s", "1.s", ".5s", "1,5s", "10S", "1h30"])
def test_what_is_no_duration_is_refused_with_an_example_of_one(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_duration(text)
    assert str(refused.value) == f"{text!r} is not a duration; write it like 10s, 1.5s, 5m or 1h30m"


@pytest.mark.parametrize("text", ["0.5us", "1.0001ms", "1s0.5us"])
def test_a_fraction_of_a_microsecond_is_refused_and_not_rounded(text: str) -> None:
    with pytest.raises(ValueError, match="is finer than a microsecond"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0, "0s"), (90 * SECOND, "1m30s"), (3 * DAY, "3d"), (900 * MILLISECOND, "900ms"), (1, "1us"), (-SECOND, "-1s")],
)
def test_a_duration_is_written_the_short_way(duration: int, text: str) -> None:
    assert format_duration(duration) == text


@given(st.integers(0, 10**18))
@settings(max_examples=200, deadline=None)
def test_a_written_duration_is_read_back_exactly(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("1KB", 1000), ("256MB", 256 * 10**6), ("1 GB", 10**9), ("1KiB", 1024), ("3MiB", 3 << 20),
     ("1GiB", 1 << 30)],
)  # fmt: skip
def test_a_size_is_read_in_thousands_or_in_powers_of_two_as_it_says(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "256", "256mb", "256 M", "1.5GB", "-1MB", "1  GB", "1GB "])
def test_what_is_no_size_is_refused_with_an_example_of_one(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_size(text)
    assert str(refused.value) == f"{text!r} is not a size; write it like 256MB or 1GiB"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001+00:00", 1),
        ("1969-12-31T23:59:59Z", -SECOND),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2026-06-01T18:00:00-04:00", 1_780_351_200 * SECOND),
        ("2026-06-01T22:00:00Z", 1_780_351_200 * SECOND),
    ],
)
def test_an_instant_is_read_with_its_offset(text: str, instant: int) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tomorrow", "'tomorrow' is not a time; write it like 2026-06-01T22:00:00Z"),
        ("2026-06-01T22:00:00", "'2026-06-01T22:00:00' names no offset; add Z or one like -05:00"),
        ("2026-06-01", "'2026-06-01' names no offset; add Z or one like -05:00"),
        ("2026-02-29T00:00:00Z", "'2026-02-29T00:00:00Z' is not a time; write it like 2026-06-01T22:00:00Z"),
        ("0001-01-01T00:00:00+05:00",
         "'0001-01-01T00:00:00+05:00' is before the year 1 or after the year 9999 in UTC"),
        ("9999-12-31T23:00:00-05:00",
         "'9999-12-31T23:00:00-05:00' is before the year 1 or after the year 9999 in UTC"),
    ],
)  # fmt: skip
def test_what_is_no_instant_is_refused_with_what_would_have_been_right(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_instant(text)
    assert type(refused.value) is ValueError
    assert str(refused.value) == message


def test_a_datetime_without_an_offset_is_no_instant() -> None:
    with pytest.raises(ValueError, match="without an offset"):
        from_datetime(datetime(2026, 6, 1))  # noqa: DTZ001 - that is the mistake


def test_the_difference_across_a_clock_change_is_time_that_passed() -> None:
    new_york = ZoneInfo("America/New_York")
    before, after = (datetime(2026, 3, 8, hour, 30, tzinfo=new_york) for hour in (1, 3))
    assert from_datetime(after) - from_datetime(before) == HOUR


def test_the_two_readings_of_a_repeated_hour_are_an_hour_apart() -> None:
    new_york = ZoneInfo("America/New_York")
    first, second = (datetime(2026, 11, 1, 1, 30, tzinfo=new_york, fold=fold) for fold in (0, 1))
    assert from_datetime(second) - from_datetime(first) == HOUR


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_780_351_200 * SECOND, "2026-06-01T22:00:00Z"),
        (1_780_351_200 * SECOND + 500_000, "2026-06-01T22:00:00.5Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (10 * SECOND, "1970-01-01T00:00:10Z"),  # zeros before the point stay
    ],
)
def test_an_instant_is_written_in_utc_with_as_many_decimals_as_it_needs(instant: int, text: str) -> None:
    assert format_instant(instant) == text


@given(INSTANTS)
@settings(max_examples=200, deadline=None)
def test_a_written_instant_is_read_back_exactly(instant: int) -> None:
    assert parse_instant(format_instant(instant)) == instant
    assert to_datetime(instant).tzinfo is UTC


@given(st.integers(-(10**16), 10**17), st.integers(-1439, 1439))
@settings(max_examples=200, deadline=None)
def test_the_same_wall_time_further_east_is_earlier(instant: int, minutes: int) -> None:
    shifted = to_datetime(instant).replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert from_datetime(shifted) == instant - minutes * MINUTE
    assert to_datetime(from_datetime(shifted)) == shifted
