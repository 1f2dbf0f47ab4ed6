"""Calendars as people's programs write them: what each event says of its windows, and what is refused by its line."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.maintenance import Act, Announcement
from outrider.core.units import HOUR, format_instant, parse_instant
from outrider_collector.calendars.lines import CalendarError, decode_calendar
from outrider_collector.calendars.reading import MOST_EVENTS, Said, read_calendar
from outrider_collector.calendars.writing import calendar_of

NEW_YORK = ZoneInfo("America/New_York")
NOW = parse_instant("2026-01-15T00:00:00Z")


def calendar(*events: str, head: str = "") -> str:
    body = "".join(f"BEGIN:VEVENT\n{event.strip()}\nEND:VEVENT\n" for event in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{head}{body}END:VCALENDAR\n"


def said(*events: str, head: str = "", zone: ZoneInfo | None = None) -> tuple[Said, ...]:
    return read_calendar(calendar(*events, head=head), zone, ("*",), NOW).said


def spans(*events: str, head: str = "", zone: ZoneInfo | None = None) -> list[tuple[str, str]]:
    return [(format_instant(each.start), format_instant(each.end)) for each in said(*events, head=head, zone=zone)]


TIMES: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("in UTC", "DTSTART:20260601T020000Z\nDTEND:20260601T040000Z", [("2026-06-01T02:00:00Z", "2026-06-01T04:00:00Z")]),
    ("in a zone", "DTSTART;TZID=America/New_York:20260601T020000\nDURATION:PT2H",
     [("2026-06-01T06:00:00Z", "2026-06-01T08:00:00Z")]),
    ("in a zone by its name in Windows", "DTSTART;TZID=Eastern Standard Time:20260601T020000\nDURATION:PT2H",
     [("2026-06-01T06:00:00Z", "2026-06-01T08:00:00Z")]),
    ("in a zone with a prefix", 'DTSTART;TZID="/example.org/1/America/New_York":20260601T020000\nDURATION:PT2H',
     [("2026-06-01T06:00:00Z", "2026-06-01T08:00:00Z")]),
    # 22:00 on the 7th, four hours, across the spring change: 03:00 on the wall, and four hours all the same.
    ("hours are exact", "DTSTART;TZID=America/New_York:20260307T220000\nDURATION:PT4H",
     [("2026-03-08T03:00:00Z", "2026-03-08T07:00:00Z")]),
    ("twenty-four hours are exact", "DTSTART;TZID=America/New_York:20260307T220000\nDURATION:PT24H",
     [("2026-03-08T03:00:00Z", "2026-03-09T03:00:00Z")]),
    ("a day is nominal", "DTSTART;TZID=America/New_York:20260307T220000\nDURATION:P1D",
     [("2026-03-08T03:00:00Z", "2026-03-09T02:00:00Z")]),
    ("days first, then hours", "DTSTART;TZID=America/New_York:20260307T220000\nDURATION:P1DT2H",
     [("2026-03-08T03:00:00Z", "2026-03-09T04:00:00Z")]),
    ("a day without an end", "DTSTART;VALUE=DATE;TZID=America/New_York:20260308",
     [("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z")]),
    ("an end in another zone",
     "DTSTART;TZID=America/New_York:20260601T020000\nDTEND;TZID=Europe/Berlin:20260601T100000",
     [("2026-06-01T06:00:00Z", "2026-06-01T08:00:00Z")]),
    ("a rule over the spring change, with DTEND: as long each time",
     "DTSTART;TZID=America/New_York:20260228T220000\nDTEND;TZID=America/New_York:20260301T020000\n"
     "RRULE:FREQ=WEEKLY;COUNT=2",
     [("2026-03-01T03:00:00Z", "2026-03-01T07:00:00Z"), ("2026-03-08T03:00:00Z", "2026-03-08T07:00:00Z")]),
    ("dates added and taken out",
     "DTSTART:20260601T020000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20260602T020000Z\n"
     "RDATE:20260610T020000Z",
     [("2026-06-01T02:00:00Z", "2026-06-01T03:00:00Z"), ("2026-06-03T02:00:00Z", "2026-06-03T03:00:00Z"),
      ("2026-06-10T02:00:00Z", "2026-06-10T03:00:00Z")]),
    ("days with a rule until a day", "DTSTART;VALUE=DATE;TZID=UTC:20260601\nRRULE:FREQ=DAILY;UNTIL=20260602",
     [("2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z"), ("2026-06-02T00:00:00Z", "2026-06-03T00:00:00Z")]),
]  # fmt: skip


@pytest.mark.parametrize(("event", "expected"), [each[1:] for each in TIMES], ids=[each[0] for each in TIMES])
def test_times_are_read_as_rfc_5545_means_them(event: str, expected: list[tuple[str, str]]) -> None:
    assert spans(f"UID:a\n{event}") == expected


@pytest.mark.parametrize(
    "zone", ["Asia/Kathmandu", "UTC", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
)
def test_a_rule_for_days_ends_with_its_last_day_in_every_zone(zone: str) -> None:
    found = spans("UID:a\nDTSTART;VALUE=DATE:20260601\nRRULE:FREQ=DAILY;UNTIL=20260603", zone=ZoneInfo(zone))
    assert len(found) == 3


def test_a_day_whose_midnight_the_clocks_skip_is_a_day_of_a_rule_too() -> None:
    found = spans("UID:a\nDTSTART;VALUE=DATE:20260423\nRRULE:FREQ=DAILY;COUNT=3", zone=ZoneInfo("Africa/Cairo"))
    assert found == [
        ("2026-04-22T22:00:00Z", "2026-04-23T22:00:00Z"),
        ("2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"),
        ("2026-04-24T21:00:00Z", "2026-04-25T21:00:00Z"),
    ]


@pytest.mark.parametrize("fold", [b"\r\n ", b"\n\t"])
def test_a_line_folded_within_a_character_is_read(fold: bytes) -> None:
    """Programs that count bytes do so, and RFC 5545 (3.1) asks readers to cope."""
    whole = "Wartung für 数据库 🔧".encode()
    for at in range(1, len(whole)):
        raw = calendar(GOOD + "\nSUMMARY:X").encode().replace(b"X", whole[:at] + fold + whole[at:])
        assert read_calendar(decode_calendar(raw), None, ("*",), NOW).said[0].reason == whole.decode()


def test_text_that_is_not_utf_8_is_told_with_its_line() -> None:
    raw = calendar(GOOD + "\nSUMMARY:X").encode().replace(b"X", b"caf\xe9")
    for broken in (raw, raw.replace(b"\n", b"\r\n"), raw.replace(b"\n", b"\r")):
        with pytest.raises(CalendarError, match="line 7: the calendar is not UTF-8, at byte"):
            decode_calendar(broken)


def test_a_message_can_take_back_all_of_an_event_without_saying_when_it_was() -> None:
    read = read_calendar(calendar("UID:a\nSEQUENCE:2", head="METHOD:CANCEL\n"), None, ("*",), NOW)
    assert (read.said, read.taken_back, read.is_whole) == ((), (("a", 2),), False)


def test_a_floating_time_belongs_to_the_zone_that_was_given_or_the_calendars_own() -> None:
    event = "UID:a\nDTSTART:20260601T020000\nDURATION:PT2H"
    expected = [("2026-06-01T06:00:00Z", "2026-06-01T08:00:00Z")]
    assert spans(event, zone=NEW_YORK) == spans(event, head="X-WR-TIMEZONE:America/New_York\n") == expected


def test_text_is_unfolded_and_unescaped_and_alarms_and_other_components_are_passed_over() -> None:
    (one,) = said(
        "UID:a\nSUMMARY:Data\n base\\, and\\; more\nSEQUENCE:3\nDTSTART:20260601T020000Z\nDURATION:PT2H\n"
        "X-OUTRIDER-SCOPE:card-*\nX-OUTRIDER-SCOPE:portal\n"
        "BEGIN:VALARM\nDURATION:PT15M\nSUMMARY:other\nEND:VALARM",
        head="BEGIN:VTIMEZONE\nTZID:X\nEND:VTIMEZONE\n",
    )
    assert (one.reason, one.sequence, one.scope, one.line) == ("Database, and; more", 3, ("card-*", "portal"), 6)


def test_one_occurrence_can_be_moved_or_taken_back() -> None:
    series = "UID:a\nDTSTART:20260601T020000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nSEQUENCE:9"
    found = said(
        series,
        "UID:a\nRECURRENCE-ID:20260602T020000Z\nDTSTART:20260602T050000Z\nDURATION:PT1H",
        "UID:a\nRECURRENCE-ID:20260603T020000Z\nDTSTART:20260603T020000Z\nDURATION:PT1H\nSTATUS:CANCELLED",
    )
    assert [(each.recurrence[8:13], format_instant(each.start)[8:13], each.is_off) for each in found] == [
        ("01T02", "01T02", False), ("02T02", "02T05", False), ("03T02", "03T02", True)
    ]  # fmt: skip


def test_what_is_tentative_announces_nothing() -> None:
    assert said("UID:a\nDTSTART:20260601T020000Z\nDURATION:PT1H\nSTATUS:TENTATIVE") == ()


GOOD = "UID:a\nDTSTART:20260601T020000Z\nDURATION:PT1H"
MISTAKES: list[tuple[str, int, str]] = [
    ("", 1, "breaks off"),
    ("hello", 1, "is no property"),
    ("<html>\n", 1, "is no property"),
    ("VERSION:2.0\n", 1, "begins with BEGIN:VCALENDAR"),
    ("BEGIN:VEVENT\nEND:VEVENT\n", 1, "begins with BEGIN:VCALENDAR"),
    ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\n", 3, "breaks off: END:VEVENT"),
    ("BEGIN:VCALENDAR\nEND:VEVENT\n", 2, "ends what did not begin"),
    (calendar() + "BEGIN:VCALENDAR\n", 4, "something follows"),
    (calendar("DTSTART:20260601T020000Z"), 3, "has no UID"),
    (calendar("UID:a"), 3, "has no DTSTART"),
    (calendar("UID:a\nDTSTART:20260601T020000Z"), 3, "no DTEND and no DURATION"),
    (calendar("UID:a\nDTSTART:20260601T020000\nDURATION:PT1H"), 5, "names no zone"),
    (calendar("UID:a\nDTSTART;TZID=Nowhere:20260601T020000\nDURATION:PT1H"), 5, "'Nowhere' is not an IANA time zone"),
    (calendar("UID:a\nDTSTART;TZID=America/New_York:20260308T023000\nDURATION:PT1H"), 5, "does not exist"),
    (calendar("UID:a\nDTSTART;TZID=America/New_York:20261101T013000\nDURATION:PT1H"), 5, "occurs twice"),
    (calendar("UID:a\nDTSTART;TZID=America/New_York:20260307T023000\nDURATION:P1D"), 6, "the end: .* does not exist"),
    (calendar("UID:a\nDTSTART;TZID=America/New_York:20260301T023000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY"), 7,
     "the occurrence of 2026-03-08"),
    (calendar("UID:a\nDTSTART:20260601T020000Z\nDTEND:20260601T010000Z"), 5, "does not end after it starts"),
    (calendar("UID:a\nDTSTART:20260601T020000Z\nDTEND:20260601T020000Z"), 5, "does not end after it starts"),
    (calendar("UID:a\nDTSTART:20260601T020000Z\nDTEND:20290601T020000Z"), 5, "at most 400 days"),
    (calendar("UID:a\nDTSTART:19600601T020000Z\nDURATION:PT1H"), 5, "after 1970"),
    (calendar("UID:a\nDTSTART:20260631T020000Z\nDURATION:PT1H"), 5, "is not a time"),
    (calendar("UID:a\nDTSTART:20260601\nDTEND:20260602"), 5, "say so with VALUE=DATE"),
    (calendar("UID:a\nDTSTART;VALUE=DATE;TZID=UTC:20260601\nDTEND:20260602T020000Z"), 6, "is a day where"),
    (calendar("UID:a\nDTSTART:20260601T020000Z\nDURATION:-PT1H"), 6, "is not a duration"),
    (calendar("UID:a\nDTSTART:20260601T020000Z\nDURATION:P"), 6, "is not a duration"),
    (calendar("UID:a\nDTSTART:20260601T020000Z\nDURATION:P1DT"), 6, "is not a duration"),
    (calendar("UID:a\nDTSTART:20260601T020000Z\nDTEND:20260601T030000Z\nDURATION:PT1H"), 7, "not both"),
    (calendar(GOOD + "\nDTSTART:20260601T030000Z"), 7, "is there twice; the first one is on line 5"),
    (calendar(GOOD, GOOD), 8, "'a' is there twice, first on line 3"),
    (calendar(GOOD + "\nSTATUS:CANCELED"), 7, "'CANCELED' is none of TENTATIVE, CONFIRMED, CANCELLED"),
    (calendar(GOOD + "\nBEGIN:VEVENT\nUID:b\nEND:VEVENT"), 7, "an event within an event"),
    (calendar(GOOD + "\nSEQUENCE:x"), 7, "is not a whole number"),
    (calendar(GOOD + "\nRRULE:FREQ=HOURLY"), 7, "FREQ is one of"),
    (calendar(GOOD + "\nEXRULE:FREQ=DAILY"), 7, "leave occurrences out with EXDATE"),
    (calendar(GOOD + "\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20260602"), 8, "EXDATE: .* names no zone"),
    (calendar(GOOD + "\nRDATE;VALUE=PERIOD:20260602T020000Z/PT1H"), 7, "is not a time"),
    (calendar(GOOD + "\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260601T020000Z"), 7, "RANGE is not read"),
    (calendar(GOOD + "\nRRULE:FREQ=DAILY;COUNT=2", GOOD + "\nRECURRENCE-ID:20260601T030000Z"), 13,
     "2026-06-01T03:00:00Z is no occurrence"),
    (calendar(GOOD + '\nSUMMARY;X="a:b'), 7, "cannot be read"),
    (calendar(GOOD + "\nSUMMARY:" + "x" * 10_001), 7, "more than 10000 characters"),
    ("BEGIN:VCALENDAR\n" * 9, 9, "nested deeper than 8"),
    (calendar(*(f"UID:{n}\nDTSTART:20260120T020000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY" for n in range(14))), 81,
     f"at most {MOST_EVENTS} windows"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES)
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(CalendarError, match=words) as refused:
        read_calendar(text, None, ("*",), NOW)
    assert refused.value.line == line


VOCABULARY = st.sampled_from(
    ["BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "UID:a", "UID:b", "DTSTART:20260601T020000Z",
     "DTSTART;TZID=America/New_York:20260308T023000", "DTSTART;VALUE=DATE:20260601", "DTEND:20260601T040000Z",
     "DURATION:PT2H", "DURATION:P1W", "RRULE:FREQ=WEEKLY;COUNT=3", "RRULE:FREQ=MONTHLY;BYDAY=2TU", "SEQUENCE:1",
     "EXDATE:20260601T020000Z", "RDATE:20260602T020000Z,20260603T020000Z", "RECURRENCE-ID:20260601T020000Z",
     "STATUS:CANCELLED", "SUMMARY:a\\", " folded", ";", "X-WR-TIMEZONE:Europe/Berlin", "METHOD:CANCEL"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.text(max_size=200), st.lists(st.one_of(VOCABULARY, st.text(max_size=20)), max_size=25).map("\n".join))
)
def test_any_text_is_read_or_refused_with_a_line_that_it_has(text: str) -> None:
    for wrapped in (text, f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{text}\nEND:VEVENT\nEND:VCALENDAR\n"):
        try:
            found = read_calendar(wrapped, NEW_YORK, ("*",), NOW).said
        except CalendarError as error:
            found, line = (), error.line
        else:
            line = 1
        assert 1 <= line <= wrapped.count("\n") + wrapped.count("\r") + 1
        assert all(0 <= each.start < each.end for each in found)


def test_what_is_written_is_read_back() -> None:
    start = NOW + 100 * HOUR
    first = Announcement("w-1", 1, Act.ANNOUNCE, start, start + HOUR, NOW, ("a,b", "c\\n;*"), "up;grade, \n\x00 now")
    off = Announcement("w-1", 2, Act.CANCEL, start, start + HOUR, NOW + HOUR, ("*",), "")
    (one,) = read_calendar(calendar_of([first]).decode(), None, ("*",), NOW).said
    assert (one.uid, one.sequence, one.start, one.end) == ("w-1@outrider", 0, start, start + HOUR)
    assert (one.scope, one.reason, one.is_off) == (("a,b", "c\\n;*"), "up;grade, now", False)
    (two,) = read_calendar(calendar_of([first, off]).decode(), None, ("*",), NOW).said
    assert (two.uid, two.sequence, two.is_off) == ("w-1@outrider", 1, True)
    assert calendar_of([first, off]) == calendar_of([first, off])
