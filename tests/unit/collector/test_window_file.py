"""YAML files of windows: what each entry says, and every mistake with its place."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.commands.window_yaml import windows_yaml
from outrider.core.units import HOUR, format_instant, parse_instant
from outrider_collector.calendars.reading import Said
from outrider_collector.window_file import MOST_MISTAKES, WindowFileError, WindowText

NEW_YORK = ZoneInfo("America/New_York")
NOW = parse_instant("2026-10-01T00:00:00Z")


def said(text: str, zone: ZoneInfo | None = None, scope: tuple[str, ...] = ("*",)) -> tuple[Said, ...]:
    return WindowText(text.encode(), zone, scope).reading(NOW).said


def mistakes(text: str) -> list[str]:
    with pytest.raises(WindowFileError) as caught:
        said(text)
    return str(caught.value).splitlines()


FULL = """\
timezone: America/New_York
windows:
  - name: database upgrade
    start: 2026-12-06T02:00
    duration: 2h
    scope: [eligibility, "card-*"]
    reason: PostgreSQL 18
    author: ops
  - name: disk
    start: 2026-12-07T02:00:00Z
    end: 2026-12-07T00:00:00-05:00
    emergency: true
  - {name: off, start: 2026-12-08T02:00, timezone: UTC, duration: 1h, cancelled: true}
"""


def test_a_file_says_what_is_written_in_it() -> None:
    upgrade, disk, off = said(FULL, scope=("portal",))
    assert (format_instant(upgrade.start), upgrade.end - upgrade.start) == ("2026-12-06T07:00:00Z", 2 * HOUR)
    assert (upgrade.scope, upgrade.reason, upgrade.author) == (("eligibility", "card-*"), "PostgreSQL 18", "ops")
    assert (disk.emergency, disk.end - disk.start, disk.scope) == (True, 3 * HOUR, ("portal",))
    assert (format_instant(off.start), off.is_off, upgrade.is_off) == ("2026-12-08T02:00:00Z", True, False)


def test_what_recurs_keeps_its_wall_time_and_its_length_and_leaves_out_what_is_told() -> None:
    text = """\
windows:
  - name: weekly
    start: 2026-10-25T02:30
    timezone: America/New_York
    end: 2026-10-25T03:30
    recurrence: FREQ=WEEKLY;COUNT=4
    exdates: [2026-11-08T02:30]
"""
    assert [(each.recurrence, each.end - each.start) for each in said(text)] == [
        ("2026-10-25T06:30:00Z", HOUR), ("2026-11-01T07:30:00Z", HOUR), ("2026-11-15T07:30:00Z", HOUR)
    ]  # fmt: skip


WRONG: list[tuple[str, str, str]] = [
    ("not a list", "windows: 7", "1:10: "),
    ("no windows", "timezone: UTC", "1:1: "),
    ("an unknown key", "windows:\n  - {name: a, start: 2026-12-06T02:00Z, duration: 1h, resaon: x}", "2:55: "),
    ("a duplicate key", "windows: []\nwindows: []", "2:1: "),
    ("no zone", "windows:\n  - {name: a, start: 2026-12-06T02:00, duration: 1h}", "2:22: start: '2026-12-06T02:00' n"),
    ("an unknown zone", "timezone: Mars\nwindows: []", "1:11: timezone: "),
    ("no length", "windows:\n  - {name: a, start: 2026-12-06T02:00Z}", "2:5: a window has an end or a duration, "),
    ("two lengths", "windows:\n  - name: a\n    start: 2026-12-06T02:00Z\n    duration: 1h\n    end: 2026-12-06T04:00Z",
     "2:5: a window has an end or a duration, one of them"),
    ("an end before the start", "windows:\n  - name: a\n    start: 2026-12-06T02:00Z\n    end: 2026-12-06T01:00Z",
     "4:10: end: a window must end after it starts, 2026-12-06T02:00:00Z"),
    ("a length of nothing", "windows:\n  - {name: a, start: 2026-12-06T02:00Z, duration: 0s}", "duration: a window "),
    ("too long", "windows:\n  - {name: a, start: 2026-12-06T02:00Z, duration: 401d}", "a window is at most 400 days"),
    ("before 1970", "windows:\n  - {name: a, start: 1969-12-06T02:00Z, duration: 1d}", "starts after 1970"),
    ("a name twice", "windows:\n  - {name: a, start: 2026-12-06T02:00Z, duration: 1h}\n"
     "  - {name: a, start: 2026-12-07T02:00Z, duration: 1h}", "3:12: name: 'a' is there twice, first on line 2"),
    ("no name", "windows:\n  - {name: '', start: 2026-12-06T02:00Z, duration: 1h}", "2:12: name: "),
    ("an empty scope", "windows:\n  - {name: a, start: 2026-12-06T02:00Z, duration: 1h, scope: []}", "covers nothing"),
    ("nothing to leave out", "windows:\n  - {name: a, start: 2026-12-06T02:00Z, duration: 1h, exdates: [x]}",
     "exdates: there is nothing to leave out"),
    ("too often", "windows:\n  - {name: a, start: 2026-12-06T02:00Z, duration: 1h, recurrence: FREQ=SECONDLY}",
     "recurrence: FREQ is one of DAILY"),
    ("not an occurrence", "windows:\n  - name: a\n    start: 2026-12-06T02:00Z\n    duration: 1h\n"
     "    recurrence: FREQ=DAILY;COUNT=9\n    exdates: [2026-12-07T02:00Z, 2026-12-07T03:00Z]",
     "6:34: exdates: 2026-12-07T03:00Z is no occurrence"),
    ("an occurrence that does not exist", "timezone: America/New_York\nwindows:\n  - name: a\n"
     "    start: 2026-12-06T02:30\n    duration: 1h\n    recurrence: FREQ=WEEKLY",
     "6:17: recurrence: the occurrence of 2027-03-14: 2027-03-14T02:30:00 does not exist in America/New_York"),
    ("what the collector could read for somebody else", "windows:\n  - {name: a, start: '${file:/etc/passwd}', "
     "duration: 1h}", "'${file:/etc/passwd}' is not a time"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_mistake_is_told_with_its_place(text: str, words: str) -> None:
    (told,) = mistakes(text)
    assert words in told
    assert all(part.isdecimal() for part in told.split(":", 2)[:2]), told


def test_every_mistake_is_told_with_both_readings_of_a_wall_time() -> None:
    text = """\
timezone: America/New_York
windows:
  - {name: gap, start: 2027-03-14T02:30, duration: 1h}
  - {name: good, start: 2026-12-01T02:30, duration: 1h}
  - {name: twice, start: 2026-11-01T01:30, duration: 1h}
"""
    gap, twice = mistakes(text)
    assert gap.startswith("3:24: start: 2027-03-14T02:30:00 does not exist in America/New_York")
    assert "write 2027-03-14T02:30:00-05:00, when they show 03:30:00" in gap
    assert twice.startswith("5:26: start: 2026-11-01T01:30:00 occurs twice in America/New_York")
    assert "2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00" in twice


def test_mistakes_are_told_up_to_a_bound() -> None:
    text = "windows:\n" + "".join(f"  - {{name: w{n}, start: soon, duration: 1h}}\n" for n in range(1000))
    told = mistakes(text)
    assert (len(told), told[-1]) == (MOST_MISTAKES + 1, "and more mistakes")


def test_more_windows_than_the_bound_are_refused() -> None:
    text = "windows:\n" + "".join(
        f"  - {{name: w{n}, start: 2026-12-06T02:00Z, duration: 1h, recurrence: FREQ=DAILY}}\n" for n in range(60)
    )
    assert mistakes(text) == ["18:5: a file makes at most 5000 windows"]


def test_what_is_not_utf_8_is_told_with_its_place() -> None:
    with pytest.raises(WindowFileError, match=r"^2:4: the file is not UTF-8 text$"):
        WindowText("windows:\n é ".encode() + b"\xff", None, ("*",))


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
    | st.text("windows:[]{}-, namestrduio0123T", max_size=200)
)
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        said(text)
    except WindowFileError as error:
        places = [(each.line, each.column) for each in error.mistakes]
    else:
        return
    assert places
    assert all(line >= 1 and column >= 1 for line, column in places)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "reason": st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
                "author": st.sampled_from(["", "ops", 'a "b" \\ c', "x: y # z"]),
                "scope": st.lists(st.sampled_from(["*", "card-*", "a[b]", "é"]), min_size=1, max_size=3),
                "emergency": st.booleans(),
                "act": st.sampled_from(["announce", "cancel", "complete"]),
            }
        ),
        max_size=4,
    )
)
@settings(max_examples=200, deadline=None)
def test_what_is_exported_reads_back_as_what_it_was(windows: list[dict[str, object]]) -> None:
    times = {"start": "2026-12-06T02:00:00Z", "end": "2026-12-06T04:00:00Z"}
    listed = [{**each, **times, "window": f"w-{number}"} for number, each in enumerate(windows)]
    found = said(windows_yaml(listed).decode())
    assert [(each.uid, each.reason, each.author, list(each.scope), each.emergency, each.is_off) for each in found] == [
        (each["window"], each["reason"], each["author"], each["scope"], each["emergency"], each["act"] == "cancel")
        for each in listed
    ]
