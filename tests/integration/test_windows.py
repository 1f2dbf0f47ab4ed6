"""Maintenance windows over HTTP: every act, times and scopes that cannot be meant, recurrences, calendars."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from collector_support import G1, NOON, Answer, Collector, SettableClock, batch, collecting, run
from polling_support import until, until_true

from outrider.collector_access import CollectorAccess
from outrider.collector_client import Endpoint
from outrider.commands.processes import serving
from outrider.commands.window import _signed
from outrider.core.guarantee import Agreement
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, format_instant
from outrider.strict_yaml import ConfigError
from outrider_collector.calendars.schedule import Followed, look
from outrider_collector.config import CalendarSetting, CollectorConfig, load_collector
from outrider_collector.main import opened

WINDOW = {"start": "2026-06-16T02:00:00-04:00", "duration": "2h", "reason": "database", "author": "ops"}


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path) as made:
        yield made


async def act(collector: Collector, window: str, name: str, **body: Any) -> Answer:
    return await collector.ask("POST", f"/v1/windows/{window}/{name}", json=body)


async def announced(collector: Collector, **changes: Any) -> str:
    answer = await collector.announce(**{**WINDOW, **changes})
    assert answer.http == 201, answer.raw
    return str(answer.json["window"])


def is_refused(answer: Answer, http: int, field: str | None, words: str) -> None:
    assert (answer.http, answer.json["field"]) == (http, field), answer.raw
    assert words in answer.error
    assert field is None or answer.error.startswith(f"{field}: ")


# --- acts ------------------------------------------------------------------------------------------------------------


async def test_a_window_is_moved_extended_shortened_and_completed_and_its_history_stays(collector: Collector) -> None:
    window = await announced(collector)
    moved = await act(collector, window, "move", start="2026-06-16T12:00:00Z", author="anna", reason="later")
    assert (moved.http, moved.json["end"]) == (200, "2026-06-16T14:00:00Z"), "the length stays"
    assert (await act(collector, window, "extend", by="30m")).json["end"] == "2026-06-16T14:30:00Z"
    shorter = await act(collector, window, "shorten", end="2026-06-16T10:00", timezone="America/New_York")
    assert shorter.json["end"] == "2026-06-16T14:00:00Z"
    collector.clock.at += DAY + HOUR
    assert (await act(collector, window, "complete", author="ben")).http == 200
    history = (await collector.get(f"/v1/windows/{window}")).json
    assert [each["act"] for each in history["versions"]] == ["announce", "move", "extend", "shorten", "complete"]
    assert [each["author"] for each in history["versions"]] == ["ops", "anna", "", "", "ben"]
    assert {each["reason"] for each in history["versions"][1:]} == {"later"}, "it stays until another one is given"
    stamps = [each["recorded_at"] for each in history["versions"]]
    assert len(set(stamps)) == 5
    assert (await collector.get("/v1/windows")).json["windows"] == [history]


REFUSED: list[tuple[str, dict[str, Any], int, str | None, str]] = [
    ("move", {}, 422, "start", "say its new start"),
    ("move", {"start": "2026-06-17T02:00"}, 422, "start", "names no offset"),
    ("move", {"start": "2026-06-15T11:00:00Z"}, 409, "start", "is past"),
    ("move", {"start": "2026-06-17T02:00:00Z", "end": "2026-06-17T01:00:00Z"}, 409, "end", "end after it starts"),
    ("move", {"start": "2026-06-17T02:00:00Z", "duration": "2h", "end": "2026-06-17T04:00:00Z"}, 422, "end", "one of"),
    ("move", {"start": "2026-06-17T02:00:00Z", "duration": "401d"}, 409, "end", "at most 400 days"),
    ("extend", {}, 422, "end", "an end or by how much"),
    ("extend", {"by": "1h", "end": "2026-06-17T02:00:00Z"}, 422, "end", "an end or by how much"),
    ("extend", {"by": "soon"}, 422, "by", "is not a duration"),
    ("extend", {"by": "0s"}, 409, "end", "name a later end"),
    ("extend", {"start": "2026-06-17T02:00:00Z"}, 422, "start", "extend does not take this"),
    ("shorten", {"by": "2h"}, 409, "end", "cancel it instead"),
    ("shorten", {"by": "1h", "timezone": "Nowhere"}, 422, "timezone", "is not an IANA time zone"),
    ("complete", {"end": "2026-06-17T02:00:00Z"}, 422, "end", "complete does not take this"),
    ("complete", {}, 409, None, "cancel it instead"),
    ("cancel", {"whatever": 1}, 422, None, "unknown field `whatever`"),
]


@pytest.mark.parametrize(("name", "body", "http", "field", "words"), REFUSED)
async def test_a_wrong_act_changes_nothing_and_names_its_field(
    collector: Collector, name: str, body: dict[str, Any], http: int, field: str | None, words: str
) -> None:
    window = await announced(collector)
    is_refused(await act(collector, window, name, **body), http, field, words)
    assert len(collector.rooms.register.announcements()) == 1


async def test_a_window_that_is_over_can_be_moved_nowhere_and_excuses_what_it_did(collector: Collector) -> None:
    window = await announced(collector)
    collector.clock.at += 2 * DAY
    for name, body in (("move", {"start": "2026-06-20T02:00:00Z"}), ("extend", {"by": "1h"}), ("cancel", {})):
        answer = await act(collector, window, name, **body)
        assert answer.http == 409
        assert "what is over changes no more" in answer.error
    assert (await collector.get(f"/v1/windows/{window}")).json["excuses"][0]["excused_us"] == 2 * HOUR


async def test_an_unknown_window_has_no_history(collector: Collector) -> None:
    assert (await collector.get("/v1/windows/w-none")).http == 404
    assert (await act(collector, "w-none", "move", start="2026-06-17T02:00:00Z")).http == 404


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
async def test_no_method_takes_history_out(collector: Collector, method: str) -> None:
    window = await announced(collector)
    for path in ("/v1/windows", f"/v1/windows/{window}", f"/v1/windows/{window}/announce", "/v1/windows.ics"):
        assert (await collector.ask(method, path)).http in (404, 405)
    for name in ("delete", "remove", "announce"):
        assert (await collector.ask("POST", f"/v1/windows/{window}/{name}")).http == 404
    assert len(collector.rooms.register.announcements()) == 1


async def test_one_announced_too_late_is_recorded_and_says_from_when_it_would_have_excused(
    collector: Collector,
) -> None:
    made = (await collector.announce(start="2026-06-15T12:30:00Z", duration="1h")).json
    assert made["excuses"][0]["excused_us"] == 0
    assert made["late"][0] == {
        "guarantee": "G1",
        "excuses": "nothing",
        "recorded_by": "2026-06-15T11:30:00Z",
        "excusable_from": "2026-06-15T13:00:00Z",
    }
    in_time = await announced(collector)
    assert (await collector.get(f"/v1/windows/{in_time}")).json["late"] == []
    collector.clock.at += 19 * HOUR
    extended = (await act(collector, in_time, "extend", by="1h")).json
    assert [each["excuses"] for each in extended["late"]] == ["part", "part"]


# --- times and scopes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"start": "2027-03-14T02:30", "timezone": "America/New_York"}, "start",
         "2027-03-14T02:30:00-05:00, when they show 03:30:00, or 2027-03-14T02:30:00-04:00"),
        ({"start": "2026-11-01T01:30", "timezone": "America/New_York"}, "start",
         "write 2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00"),
        ({"timezone": "Mars/Olympus"}, "timezone", "write it like America/New_York"),
        ({"timezone": ""}, "timezone", "is not an IANA time zone"),
        ({"duration": None, "end": "2026-06-16T05:59:59Z"}, "end", "end after it starts"),
        ({"scope": ["eligibilty"]}, "scope", "'eligibilty' is no known check and matches none; known: eligibility"),
        ({"scope": ["elig*", "card-*"]}, "scope", "'card-*' is no known check"),
        ({"scope": []}, "scope", "covers nothing"),
        ({"exdates": ["2026-06-16T02:00:00Z"]}, "exdates", "without a recurrence"),
        ({"recurrence": "FREQ=HOURLY"}, "recurrence", "FREQ is one of"),
        ({"recurrence": "FREQ=DAILY;COUNT=2", "exdates": ["2026-06-16T02:00:00Z"]}, "recurrence", "no occurrence"),
        ({"start": "2026-10-25T01:30", "timezone": "America/New_York", "recurrence": "FREQ=WEEKLY"}, "recurrence",
         "the occurrence of 2026-11-01"),
        ({"start": "2020-01-01T00:00:00Z", "recurrence": "FREQ=DAILY;COUNT=2"}, "recurrence", "is over"),
    ],
)  # fmt: skip
async def test_a_window_that_cannot_be_meant_is_refused_with_its_field_and_readings(
    collector: Collector, changes: dict[str, Any], field: str, words: str
) -> None:
    await collector.send(batch(run(NOON - HOUR)))
    is_refused(await collector.announce(**{**WINDOW, **changes}), 422, field, words)
    assert collector.rooms.register.announcements() == ()


async def test_a_scope_may_name_what_was_heard_of_what_is_agreed_and_with_a_flag_what_is_still_to_come(
    tmp_path: Path,
) -> None:
    async with collecting(tmp_path, guarantees=(replace(G1, checks=("portal",)),)) as collector:
        await collector.send(batch(run(NOON - HOUR)))
        assert (await collector.announce(**WINDOW, scope=["eligibility", "port?l"])).http == 201
        assert (await collector.announce(**WINDOW, scope=["new"])).http == 422
        assert (await collector.announce(**WINDOW, scope=["new"], allow_unknown_checks=True)).http == 201


async def test_each_occurrence_is_a_window_of_its_own_with_its_own_notice(collector: Collector) -> None:
    made = await collector.announce(
        start="2026-06-15T08:30", duration="1h", timezone="America/New_York", recurrence="FREQ=WEEKLY;COUNT=4",
        exdates=["2026-06-22T08:30"],
    )  # fmt: skip
    windows = made.json["windows"]
    assert [each["start"][:10] for each in windows] == ["2026-06-15", "2026-06-29", "2026-07-06"]
    assert len({each["window"] for each in windows}) == 3
    assert [each["excuses"][0]["excused_us"] for each in windows] == [0, HOUR, HOUR], "the first one is too late"


# --- calendars -------------------------------------------------------------------------------------------------------


def event(uid: str, start: str, *more: str, hours: int = 1) -> str:
    lines = ["BEGIN:VEVENT", f"UID:{uid}", f"DTSTART:{start}", f"DURATION:PT{hours}H", *more, "END:VEVENT"]
    return "\r\n".join(lines) + "\r\n"


def calendar(*events: str) -> str:
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{''.join(events)}END:VCALENDAR\r\n"


async def take(collector: Collector, text: str | bytes, **query: str) -> Answer:
    raw = text if isinstance(text, bytes) else text.encode()
    return await collector.ask("POST", "/v1/windows/import", params={"calendar": "c", **query}, data=BytesIO(raw))


async def acts(collector: Collector, text: str, **query: str) -> list[tuple[str, str]]:
    answer = await take(collector, text, **query)
    assert answer.http == 200, answer.raw
    return [(each["act"], each["start"][5:13]) for each in answer.json["recorded"]]


TWO = (event("a", "20260620T020000Z", "SUMMARY:one"), event("b", "20260621T020000Z"))


async def test_a_calendar_read_again_changes_nothing_and_a_change_is_a_version(collector: Collector) -> None:
    assert await acts(collector, calendar(*TWO)) == [("announce", "06-20T02"), ("announce", "06-21T02")]
    for _ in range(2):
        again = (await take(collector, calendar(*TWO))).json
        assert (again["recorded"], again["unchanged"]) == ([], 2)
    steps: list[tuple[str, list[tuple[str, str]]]] = [
        (event("a", "20260620T050000Z", "SUMMARY:one", "SEQUENCE:1"), [("move", "06-20T05")]),
        (event("a", "20260620T050000Z", "SUMMARY:one", "SEQUENCE:1", hours=3), [("extend", "06-20T05")]),
        (event("a", "20260620T050000Z", "SUMMARY:one", "SEQUENCE:2", hours=2), [("shorten", "06-20T05")]),
        (event("a", "20260620T050000Z", "SUMMARY:two", "SEQUENCE:2", hours=2), [("move", "06-20T05")]),
        (event("a", "20260620T020000Z", "SUMMARY:one"), []),
        (event("a", "20260620T050000Z", "SUMMARY:two", "STATUS:CANCELLED", "SEQUENCE:3", hours=2),
         [("cancel", "06-20T05")]),
        (event("a", "20260620T050000Z", "SUMMARY:two", "SEQUENCE:4", hours=2), [("announce", "06-20T05")]),
    ]  # fmt: skip
    for changed, expected in steps:
        assert await acts(collector, calendar(changed, TWO[1])) == expected
    windows = (await collector.get("/v1/windows")).json["windows"]
    assert len(windows) == 3, "what comes back after a cancellation is a window of its own"


async def test_an_event_that_is_gone_cancels_its_window_and_nobody_elses(collector: Collector) -> None:
    by_hand = await announced(collector)
    await acts(collector, calendar(*TWO))
    await acts(collector, calendar(event("z", "20260622T020000Z")), calendar="other")
    assert await acts(collector, calendar(TWO[1])) == [("cancel", "06-20T02")]
    assert await acts(collector, calendar(TWO[1])) == []
    message = calendar(event("n", "20260701T020000Z")).replace("VERSION:2.0", "VERSION:2.0\r\nMETHOD:REQUEST")
    assert await acts(collector, message) == [("announce", "07-01T02")], "a message is about its own events only"
    assert (await collector.get(f"/v1/windows/{by_hand}")).json["act"] == "announce"
    assert await acts(collector, calendar(*TWO)) == [("announce", "06-20T02"), ("cancel", "07-01T02")]


@pytest.mark.parametrize("said", [(), ("DTSTART:20260620T020000Z", "DURATION:PT1H")])
async def test_a_message_that_takes_a_series_back_cancels_every_window_of_it(
    collector: Collector, said: tuple[str, ...]
) -> None:
    """Of a CANCEL, RFC 5546 wants the UID alone (3.2.5): without RECURRENCE-ID it means all of the event."""
    series = calendar(event("s", "20260620T020000Z", "RRULE:FREQ=DAILY;COUNT=3", "SEQUENCE:1"), TWO[1])
    assert len(await acts(collector, series)) == 4

    def message(sequence: int) -> str:
        lines = ("BEGIN:VEVENT", "UID:s", f"SEQUENCE:{sequence}", *said, "END:VEVENT")
        return calendar("\r\n".join(lines) + "\r\n").replace("VERSION:2.0", "VERSION:2.0\r\nMETHOD:CANCEL")

    assert await acts(collector, message(0)) == [], "older than what is known"
    assert await acts(collector, message(2)) == [("cancel", f"06-{day}T02") for day in (20, 21, 22)]
    assert await acts(collector, message(2)) == []
    assert await acts(collector, series) == [], "an older message that comes later brings nothing back"


@pytest.mark.parametrize(
    ("first", "then", "excused"), [("card-*", "portal", 0), ("card-*", "card-a", HOUR), ("*", "card-*", HOUR)]
)
async def test_a_scope_that_a_calendar_changed_late_is_said_to_excuse_what_it_held_all_along(
    collector: Collector, first: str, then: str, excused: int
) -> None:
    unknown = {"allow_unknown_checks": "true"}
    await acts(collector, calendar(event("a", "20260620T020000Z", f"X-OUTRIDER-SCOPE:{first}")), **unknown)
    collector.clock.at += 4 * DAY + 13 * HOUR + 30 * MINUTE
    await acts(collector, calendar(event("a", "20260620T020000Z", f"X-OUTRIDER-SCOPE:{then}")), **unknown)
    (window,) = (await collector.get("/v1/windows")).json["windows"]
    assert (window["scope"], window["excuses"][0]["excused_us"]) == ([then], excused)
    assert bool(window["late"]) == (excused == 0)


async def test_a_container_without_a_user_signs_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    stranger = Endpoint("http://127.0.0.1:8080", CollectorAccess())
    assert _signed(Namespace(author="", collector=stranger)) == {"author": f"user {os.getuid()}"}
    assert _signed(Namespace(author="anna", collector=stranger)) == {"author": "anna"}
    assert _signed(Namespace(author="", collector=Endpoint(stranger.url, CollectorAccess(token="orp_x")))) == {}


async def test_what_was_changed_by_hand_stands_until_the_calendar_says_something_new(collector: Collector) -> None:
    window = (await take(collector, calendar(TWO[0]))).json["recorded"][0]["window"]
    await act(collector, window, "extend", by="2h")
    assert await acts(collector, calendar(TWO[0])) == []
    assert await acts(collector, calendar(event("a", "20260620T020000Z", hours=2))) == [
        ("shorten", "06-20T02"), ("move", "06-20T02")
    ]  # fmt: skip


async def test_what_is_over_is_left_alone_and_a_window_that_runs_keeps_its_start(collector: Collector) -> None:
    past = event("p", "20260610T020000Z")
    now = event("r", "20260615T130000Z", hours=4)
    assert await acts(collector, calendar(past, now)) == [("announce", "06-15T13")]
    collector.clock.at = NOON + 2 * HOUR
    assert await acts(collector, calendar(past, event("r", "20260615T120000Z", hours=6))) == [("extend", "06-15T13")]
    assert await acts(collector, calendar(past, event("r", "20260620T120000Z"))) == [
        ("cancel", "06-15T13"), ("announce", "06-20T12")
    ]  # fmt: skip
    collector.clock.at += 10 * DAY
    assert await acts(collector, calendar(past, event("r", "20260620T120000Z", hours=900))) == []
    assert await acts(collector, calendar(past)) == [], "it was over when it went"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (calendar(TWO[0], event("x", "20260631T020000Z")), "line 11: DTSTART"),
        (calendar(*TWO)[: -len("END:VCALENDAR\r\n")], "breaks off"),
        (
            calendar(TWO[0], event("x", "20260622T020000Z", "X-OUTRIDER-SCOPE:nowhere")),
            "line 9: scope: 'nowhere' is no known check",
        ),
        (b"BEGIN:VCALENDAR\r\nSUMMARY:\xff\xfe", "line 2: the calendar is not UTF-8, at byte 25"),
        (
            calendar(event("l", "20260622T020000Z", "SUMMARY:" + "x" * 4001)),
            "line 3: the reason has at most 4000 characters",
        ),
        ("<html>", "line 1"),
    ],
)
async def test_one_mistake_and_nothing_of_a_calendar_is_recorded(
    collector: Collector, text: str | bytes, words: str
) -> None:
    await acts(collector, calendar(TWO[1]))
    answer = await take(collector, text)
    assert answer.http == 422
    assert words in answer.error
    assert len(collector.rooms.register.announcements()) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [({"calendar": ""}, "calendar"), ({"calendar": "a\nb"}, "calendar"), ({"timezone": "X"}, "timezone"),
     ({"dry_run": "yes"}, "dry_run"), ({"what": "1"}, "what")],
)  # fmt: skip
async def test_an_import_asked_for_wrongly_is_refused_by_its_field(
    collector: Collector, query: dict[str, str], field: str
) -> None:
    is_refused(await take(collector, calendar(*TWO), **query), 422, field, "")


async def test_a_dry_run_says_what_would_be_recorded_and_records_nothing(collector: Collector) -> None:
    assert len(await acts(collector, calendar(*TWO), dry_run="true")) == 2
    assert collector.rooms.register.announcements() == ()
    assert len(await acts(collector, calendar(*TWO))) == 2


async def test_an_export_is_a_calendar_with_every_window_that_its_own_collector_knows_again(
    collector: Collector, tmp_path: Path
) -> None:
    window = await announced(collector)
    await act(collector, await announced(collector, reason="gone"), "cancel")
    answer = await collector.get("/v1/windows.ics")
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    text = answer.raw.decode()
    assert f"UID:{window}@outrider\r\n" in text
    assert text.count("STATUS:CONFIRMED") == text.count("STATUS:CANCELLED") == text.count("SEQUENCE:1") == 1
    assert (await collector.get("/v1/windows.ics")).raw == answer.raw
    assert await acts(collector, text) == []
    async with collecting(tmp_path / "other") as other:
        assert await acts(other, text) == [("announce", "06-16T06")]


def test_what_a_calendar_said_cannot_be_taken_out_either(tmp_path: Path) -> None:
    async def fill() -> None:
        async with collecting(tmp_path) as collector:
            await acts(collector, calendar(*TWO))

    asyncio.run(fill())
    over = 'SELECT number, calendar, uid, recurrence, sequence, start + 1, "end" + 1, is_off, scope, reason, "window"'
    for change in (
        "DELETE FROM entries",
        "UPDATE entries SET start = 1",
        f"INSERT OR REPLACE INTO entries {over}, emergency FROM entries",
        f"REPLACE INTO entries {over}, emergency FROM entries WHERE number = 1",
    ):
        with (
            closing(sqlite3.connect(tmp_path / "windows.sqlite")) as database,
            pytest.raises(sqlite3.IntegrityError, match="never"),
        ):
            database.execute(change)


# --- calendars on a schedule -----------------------------------------------------------------------------------------


def setting(source: str) -> CalendarSetting:
    return CalendarSetting("provider", source, 15 * MINUTE, None, ("*",), False)


async def test_a_followed_calendar_that_fails_changes_nothing_and_says_why(
    collector: Collector, tmp_path: Path
) -> None:
    file = tmp_path / "p.ics"
    followed = Followed(setting(str(file)))
    await look(collector.rooms, followed)
    assert "cannot be read" in followed.trouble
    file.write_text(calendar(*TWO))
    await look(collector.rooms, followed)
    assert (followed.trouble, len(collector.rooms.register.announcements())) == ("", 2)
    file.write_text(calendar(*TWO)[: -len("END:VCALENDAR\r\n")])
    await look(collector.rooms, followed)
    assert "breaks off" in followed.trouble
    file.unlink()
    await look(collector.rooms, followed)
    assert len(collector.rooms.register.announcements()) == 2, "a file that is gone is not an empty calendar"
    assert followed.plain()["read_at"] == "2026-06-15T12:00:00Z"


async def test_an_address_that_cannot_be_read_is_told_without_its_secret(collector: Collector) -> None:
    followed = Followed(setting("https://[secret/calendar"))
    await look(collector.rooms, followed)
    assert followed.trouble == "an address that cannot be read cannot be had: InvalidUrlClientError"
    assert "secret" not in str(followed.plain())


async def test_a_register_that_is_busy_holds_nobody_else_up(collector: Collector, tmp_path: Path) -> None:
    """A change waits for SQLite's lock, and whoever looks windows up waits for the change; the collector serves on."""
    with closing(sqlite3.connect(tmp_path / "windows.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        change = asyncio.create_task(collector.announce(**WINDOW))
        await until_true("the change waits", collector.rooms.register._lock.locked)
        asked = [
            asyncio.create_task(collector.get(path)) for path in ("/v1/windows", "/v1/windows.ics", "/v1/windows/w")
        ]
        for _ in range(5):
            assert (await collector.get("/v1/nothing")).http == 404
        other.execute("ROLLBACK")
    assert (await change).http == 201, "it was not held up until its patience ended"
    assert [(await each).http for each in asked] == [200, 200, 404]


async def test_a_register_that_stays_busy_refuses_and_records_nothing(collector: Collector, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "windows.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await collector.announce(**WINDOW)
        assert (answer.http, "locked" in answer.error) == (503, True)
    assert collector.rooms.register.announcements() == ()
    assert (await collector.announce(**WINDOW)).http == 201


async def test_a_calendar_at_an_address_is_bounded_and_its_secret_is_not_told(collector: Collector) -> None:
    replies = [web.Response(text=calendar(*TWO)), web.Response(status=404), web.Response(body=b"x" * (5 << 20))]

    async def answer(_: web.Request) -> web.Response:
        return replies.pop(0)

    app = web.Application()
    app.router.add_get("/secret-token.ics", answer)
    async with serving(app, "127.0.0.1", 0) as url:
        followed = Followed(setting(f"{url}/secret-token.ics"))
        for words, known in (("", 2), ("answers 404", 2), ("is larger than", 2)):
            await look(collector.rooms, followed)
            assert words in followed.trouble
            assert len(collector.rooms.register.announcements()) == known
            assert "secret" not in str(followed.plain())
    await look(collector.rooms, followed)
    assert "cannot be had" in followed.trouble
    assert "secret" not in followed.trouble


async def test_a_collector_follows_the_calendars_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "p.ics").write_text(calendar(*TWO))
    (tmp_path / "agreement.yaml").write_text(
        "name: A\ntimezone: UTC\nguarantees:\n  - {id: G1, title: Up, measure: availability, target: 99.9%}\n"
    )
    file = tmp_path / "collector.yaml"
    file.write_text(
        "store: s.duckdb\nagreement: agreement.yaml\ncalendars:\n  - {name: provider, source: p.ics, interval: 1s}\n"
    )
    config = load_collector(file)
    assert config.calendars == (replace(setting(str(tmp_path / "p.ics")), interval=SECOND),)
    assert isinstance(config, CollectorConfig)
    assert isinstance(config.agreement, Agreement)
    async with opened(config, SettableClock()) as app, serving(app, "127.0.0.1", 0) as url:
        import aiohttp

        async with aiohttp.ClientSession() as session:

            async def listed() -> Any:
                async with session.get(f"{url}/v1/windows") as response:
                    return (await response.json())["windows"]

            await until("the calendar was taken in", listed)
            assert [each["author"] for each in await listed()] == ["calendar provider"] * 2
            async with session.get(f"{url}/v1/calendars") as response:
                (state,) = (await response.json())["calendars"]
    assert (state["calendar"], state["looked_at"], state["trouble"]) == ("provider", format_instant(NOON), "")


@pytest.mark.parametrize(
    ("calendars", "words"),
    [
        ("{name: a, source: x, interval: 10ms}", "every second at most"),
        ("{name: a, source: x, timezone: Mars}", "is not an IANA time zone"),
        ("{name: '', source: x}", "a name of its own"),
        ("{name: a, source: x, scope: []}", "an empty scope covers nothing"),
    ],
)
def test_a_calendar_that_cannot_be_followed_is_refused_at_the_start(tmp_path: Path, calendars: str, words: str) -> None:
    (tmp_path / "agreement.yaml").write_text(
        "name: A\ntimezone: UTC\nguarantees:\n  - {id: G1, title: Up, measure: availability, target: 99.9%}\n"
    )
    file = tmp_path / "collector.yaml"
    file.write_text(f"store: s.duckdb\nagreement: agreement.yaml\ncalendars:\n  - {calendars}\n")
    with pytest.raises(ConfigError, match=words) as refused:
        load_collector(file)
    assert refused.value.line == 4
