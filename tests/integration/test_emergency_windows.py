"""Emergency windows end to end: announced, listed, in the statement and its forms, verified, sealed; older files."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from collector_support import G1, NOON, Collector, SettableClock, collecting, keep, run
from test_window_verification import good, told

from outrider.core.maintenance import Act, Announcement
from outrider.core.units import DAY, HOUR, MINUTE, format_instant
from outrider_collector.config import load_agreement
from outrider_collector.evidence import canonical, sealing
from outrider_collector.forms.html_form import to_html
from outrider_collector.forms.reading import read_statement
from outrider_collector.windows import NewWindow, WindowRegister

END = NOON + HOUR
LATER = NOON + 6 * HOUR
EXCUSED = replace(G1, id="G2", emergency_notice=0)


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path, guarantees=(G1, EXCUSED)) as made:
        made.clock.at = NOON - 5 * MINUTE
        yield made


async def announced(collector: Collector, **changes: Any) -> Any:
    window = {"start": format_instant(NOON), "duration": "1h", "reason": "disk full", "emergency": True}
    answer = await collector.announce(**{**window, **changes})
    assert answer.http == 201, answer.raw
    return answer.json


async def test_it_is_shown_and_excuses_only_where_the_agreement_says_so(collector: Collector) -> None:
    made = await announced(collector)
    assert made["emergency"] is True
    assert made["excuses"] == [
        {"guarantee": "G1", "excused_us": 0, "why_not": "emergency maintenance excuses nothing under this guarantee"},
        {"guarantee": "G2", "excused_us": HOUR, "why_not": None},
    ]
    assert made["late"] == [], "it is not late: nothing was asked for"
    later = await collector.ask("POST", f"/v1/windows/{made['window']}/extend", json={"by": "30m"})
    assert [each.get("emergency") for each in later.json["versions"]] == [True, True]


async def test_the_command_announces_an_emergency_and_shows_it(collector: Collector) -> None:
    async def window(*argv: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "outrider", "window", *argv, "--collector", collector.url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, err) == (0, b"")
        return " ".join(out.decode().split())

    times = ("--start", format_instant(NOON), "--duration", "1h")
    made = json.loads(await window("announce", *times, "--emergency", "--json"))
    assert made["emergency"] is True
    for argv in (("list",), ("history", made["window"])):
        assert "announce (emergency)" in await window(*argv)


async def test_a_planned_window_does_not_speak_of_emergencies(collector: Collector) -> None:
    made = await announced(collector, emergency=False)
    assert "emergency" not in made
    assert [each["excused_us"] for each in made["excuses"]] == [0, 0], "five minutes are no notice for what is planned"


async def test_the_statement_excuses_by_guarantee_and_its_forms_name_the_emergency(collector: Collector) -> None:
    await announced(collector)
    down = [run(NOON + n * MINUTE, region=region, outcome="service_down", fault="service")
            for n in range(60) for region in ("east", "west")]  # fmt: skip
    up = [run(END + n * MINUTE, region=region) for n in range(60) for region in ("east", "west")]
    keep(collector.rooms.store, [*down, *up], END + 2 * HOUR)
    collector.clock.at = END + 2 * HOUR
    query = {"from": format_instant(NOON), "to": format_instant(END + HOUR)}
    answer = await collector.get("/v1/statements", **query)
    assert answer.http == 200, answer.raw
    plain = answer.json
    strict, lenient = ({**each["checks"][0]["adjusted"]} for each in plain["guarantees"])
    assert (strict["down"], strict["excused"]) == (60, 0)
    assert (lenient["down"], lenient["excused"]) == (0, 60)
    assert ["emergency_notice_us" in each for each in plain["guarantees"]] == [False, True]
    html = to_html(read_statement(plain)).decode()
    assert "announce (emergency)" in html
    assert "(0s in an emergency)" in html


@pytest.mark.parametrize(("emergency", "verdict"), [(True, "all clear"), (False, "failed")])
async def test_verification_asks_an_emergency_for_no_notice_that_no_guarantee_names(
    tmp_path: Path, emergency: bool, verdict: str
) -> None:
    async with collecting(tmp_path) as collector:
        collector.clock.at = NOON - MINUTE
        made = await announced(collector, emergency=emergency, scope=["eligibility"], allow_unknown_checks=True)
        keep(collector.rooms.store, good(), LATER)
        collector.clock.at = LATER
        report = (await collector.get(f"/v1/windows/{made['window']}/verification")).json
    assert report["verdict"] == verdict
    notices = report["before"]["notices"]
    assert {each["is_met"] for each in notices} == ({None} if emergency else {False})
    if emergency:
        assert {(each["required_us"], each["margin_us"]) for each in notices} == {(None, None)}


async def test_where_a_guarantee_names_a_notice_for_emergencies_verification_asks_for_it(tmp_path: Path) -> None:
    async with collecting(tmp_path, guarantees=(EXCUSED,)) as collector:
        collector.clock.at = NOON + MINUTE
        made = await announced(collector, scope=["eligibility"], allow_unknown_checks=True)
        keep(collector.rooms.store, good(), LATER)
        collector.clock.at = LATER
        report = (await collector.get(f"/v1/windows/{made['window']}/verification")).json
    assert "G2: announced 1m too late for a notice of 0s" in report["failures"]


async def test_an_emergency_hides_nothing_from_the_verification_of_another_window(collector: Collector) -> None:
    collector.clock.at = NOON - 3 * HOUR
    late = [run(END + n * MINUTE, region=region, outcome="service_down", fault="service")
            for n in range(4) for region in ("east", "west")]  # fmt: skip
    window = await told(collector, [*good(), *late])
    before = (await collector.get(f"/v1/windows/{window}/verification")).json
    await announced(collector, start=format_instant(END), duration="10m")
    after = (await collector.get(f"/v1/windows/{window}/verification")).json
    assert before["failures"] == after["failures"] != []


async def test_calendars_carry_the_mark_both_ways(collector: Collector, tmp_path: Path) -> None:
    await announced(collector)
    text = (await collector.get("/v1/windows.ics")).raw
    assert b"CATEGORIES:EMERGENCY\r\n" in text

    async def take(other: Collector, raw: bytes) -> Any:
        params = {"calendar": "c"}
        return (await other.ask("POST", "/v1/windows/import", params=params, data=BytesIO(raw))).json

    async with collecting(tmp_path / "other", clock=SettableClock(NOON - HOUR)) as other:
        (made,) = (await take(other, text))["recorded"]
        assert made["emergency"] is True
        assert (await take(other, text))["unchanged"] == 1
        planned = text.replace(b"CATEGORIES:EMERGENCY\r\n", b"CATEGORIES:Storage\\, disks,NETWORK\r\n")
        acts = (await take(other, planned))["recorded"]
        assert [(each["act"], each.get("emergency", False)) for each in acts] == [("cancel", True), ("announce", False)]


OLD_SCHEMA = """
CREATE TABLE announcements (
    "window" TEXT NOT NULL, version INTEGER NOT NULL, act TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL UNIQUE, scope TEXT NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL,
    PRIMARY KEY ("window", version));
CREATE TRIGGER announcements_stand BEFORE UPDATE ON announcements
    BEGIN SELECT RAISE(ABORT, 'announcements are never changed'); END;
CREATE TABLE entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, calendar TEXT NOT NULL, uid TEXT NOT NULL, recurrence TEXT NOT NULL,
    sequence INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, is_off INTEGER NOT NULL,
    scope TEXT NOT NULL, reason TEXT NOT NULL, "window" TEXT NOT NULL);
"""
OLD = Announcement("w-1", 1, Act.ANNOUNCE, NOON, END, NOON - DAY, ("*",), "ä", "ops")


def test_a_register_from_before_there_was_a_mark_opens_keeps_its_rows_and_takes_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "windows.sqlite"
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(OLD_SCHEMA)
        values = ("w-1", 1, "announce", NOON, END, NOON - DAY, '["*"]', "ä", "ops")
        old.execute("INSERT INTO announcements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    for is_first in (True, False):
        register = WindowRegister(path, SettableClock(NOON - HOUR))
        if is_first:
            assert register.announcements() == (OLD,)
            register.announce_all([NewWindow(NOON, END, emergency=True)])
        assert [each.emergency for each in register.announcements()] == [False, True]
        register.close()
    with closing(sqlite3.connect(path)) as old, pytest.raises(sqlite3.IntegrityError, match="never replaced"):
        old.execute(
            'INSERT OR REPLACE INTO announcements (rowid, "window", version, act, start, "end", recorded_at, scope, '
            "reason, author) SELECT rowid, 'w-2', 1, act, start, \"end\", recorded_at + ?, scope, reason, author "
            "FROM announcements WHERE \"window\" = 'w-1'",
            (2 * DAY,),
        )


def test_what_is_sealed_of_a_planned_window_is_the_line_that_it_always_was() -> None:
    line = (
        f'{{"act":"announce","author":"ops","end":{END},"reason":"ä","recorded_at":{NOON - DAY},"scope":["*"],'
        f'"start":{NOON},"version":1,"window":"w-1"}}'
    )
    assert canonical(sealing._plain(OLD)).decode() == line
    marked = json.loads(canonical(sealing._plain(replace(OLD, emergency=True))))
    assert marked == {**json.loads(line), "emergency": True}


AGREEMENT = """
name: Network services
timezone: UTC
guarantees:
  - {id: G1, title: Available, measure: availability, target: "99.9%", emergency_notice: NOTICE}
"""


@pytest.mark.parametrize(("text", "notice"), [("0s", 0), ("2h", 2 * HOUR)])
def test_an_agreement_may_name_a_notice_for_emergencies(tmp_path: Path, text: str, notice: int) -> None:
    path = tmp_path / "agreement.yaml"
    path.write_text(AGREEMENT.replace("NOTICE", text))
    assert load_agreement(path).guarantees[0].emergency_notice == notice
