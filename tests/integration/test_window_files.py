"""`outrider window import FILE.yaml` over a real collector: all or nothing, and again without a change."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from collector_support import NOON, Collector, SettableClock, collecting

from outrider.core.units import DAY, HOUR

UPGRADE = "  - {name: upgrade, start: 2026-06-20T02:00:00Z, duration: 2h, reason: database, author: ops}\n"
PATCH = "  - {name: patch, start: 2026-06-21T02:00:00Z, duration: 1h}\n"


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path) as made:
        yield made


async def command(collector: Collector, *argv: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "outrider", "window", *argv, "--collector", collector.url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    assert b"Traceback" not in err
    return process.returncode, out.decode(), err.decode()


async def take(collector: Collector, *windows: str) -> list[tuple[str, str, str]]:
    """What an import records: act, start and end."""
    body = ("windows:\n" + "".join(windows)).encode() if windows else b"windows: []\n"
    params = {"calendar": "windows.yaml", "format": "yaml"}
    answer = await collector.ask("POST", "/v1/windows/import", params=params, data=body)
    assert answer.http == 200, answer.raw
    return [(each["act"], each["start"][5:13], each["end"][5:13]) for each in answer.json["recorded"]]


async def test_a_file_is_recorded_once_and_said_beforehand(collector: Collector, tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_text("windows:\n" + UPGRADE + PATCH)
    code, out, err = await command(collector, "import", str(path), "--dry-run")
    assert (code, err, "2 would be recorded, 0 unchanged, 0 left alone" in out) == (0, "", True), out
    assert collector.rooms.register.announcements() == ()
    code, out, _ = await command(collector, "import", str(path))
    assert (code, "2 recorded, 0 unchanged" in out) == (0, True), out
    assert [each.author for each in collector.rooms.register.announcements()][:1] == ["ops"]
    code, out, _ = await command(collector, "import", str(path), "--json")
    assert (code, json.loads(out)["recorded"], json.loads(out)["unchanged"]) == (0, [], 2)


async def test_a_changed_entry_is_an_act_and_a_removed_one_is_none(collector: Collector) -> None:
    first = [("announce", "06-20T02", "06-20T04"), ("announce", "06-21T02", "06-21T03")]
    assert await take(collector, UPGRADE, PATCH) == first
    steps = [
        (UPGRADE.replace("06-20T02", "06-20T05"), [("move", "06-20T05", "06-20T07")]),
        (UPGRADE.replace("06-20T02", "06-20T05").replace("2h", "3h"), [("extend", "06-20T05", "06-20T08")]),
        (UPGRADE.replace("06-20T02", "06-20T05").replace("2h", "1h"), [("shorten", "06-20T05", "06-20T06")]),
        ("", []),
        (UPGRADE.replace("author: ops", "cancelled: true"), [("cancel", "06-20T05", "06-20T06")]),
        (UPGRADE, [("announce", "06-20T02", "06-20T04")]),
    ]
    for changed, expected in steps:
        assert await take(collector, *filter(None, [changed, PATCH])) == expected
    assert await take(collector) == [], "what is no longer in the file is not taken back"


async def test_an_occurrence_that_its_entry_gives_no_more_is_cancelled_and_no_other(collector: Collector) -> None:
    weekly = "  - {name: weekly, start: 2026-06-20T02:00Z, duration: 1h, recurrence: FREQ=WEEKLY;COUNT=3}\n"
    assert len(await take(collector, weekly, PATCH)) == 4
    assert await take(collector, weekly.replace("COUNT=3}", "COUNT=3, exdates: [2026-06-27T02:00Z]}")) == [
        ("cancel", "06-27T02", "06-27T03")
    ]
    assert await take(collector, weekly.replace("02:00Z", "04:00Z")) == [
        ("announce", "06-20T04", "06-20T05"), ("announce", "06-27T04", "06-27T05"),
        ("announce", "07-04T04", "07-04T05"),
        ("cancel", "06-20T02", "06-20T03"), ("cancel", "07-04T02", "07-04T03"),
    ]  # fmt: skip
    over = weekly.replace("COUNT=3", "UNTIL=20260601T000000Z").replace("2026-06-20T02:00Z", "2024-05-01T02:00Z")
    assert [act for act, *_ in await take(collector, over)] == ["cancel"] * 3, "a rule that is over gives none"


async def test_what_an_operator_did_stands_until_the_file_says_something_new(collector: Collector) -> None:
    await take(collector, UPGRADE)
    (made,) = collector.rooms.register.announcements()
    await collector.ask("POST", f"/v1/windows/{made.window}/cancel", json={})
    assert await take(collector, UPGRADE) == []
    assert await take(collector, UPGRADE.replace("06-20T02", "06-22T02")) == [("announce", "06-22T02", "06-22T04")]


async def test_what_is_over_is_left_alone(collector: Collector) -> None:
    await take(collector, UPGRADE)
    collector.clock.at = NOON + 10 * DAY
    assert await take(collector, UPGRADE.replace("2h", "3h"), PATCH) == []


async def test_one_mistake_and_nothing_of_the_file_is_recorded_and_each_is_told_by_its_place(
    collector: Collector, tmp_path: Path
) -> None:
    path = tmp_path / "windows.yml"
    path.write_text("timezone: America/New_York\nwindows:\n" + UPGRADE +
                    "  - {name: a, start: 2026-11-01T01:30, duration: 1h}\n"
                    "  - {name: b, start: 2026-06-22T02:00, duration: -1h}\n")  # fmt: skip
    code, out, err = await command(collector, "import", str(path))
    assert (code, out) == (104, "")
    assert f"{path}:5:" in err, "what does not fit the form is told first, alone"
    path.write_text(path.read_text().replace("-1h", "500d"))
    code, out, err = await command(collector, "import", str(path))
    lines = err.removeprefix("outrider window: ").splitlines()
    assert (code, len(lines)) == (104, 2)
    assert lines[0].startswith(f"{path}:4:22: start: 2026-11-01T01:30:00 occurs twice in America/New_York")
    assert "2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00" in lines[0]
    assert lines[1].startswith(f"{path}:5:")
    assert "at most 400 days" in lines[1]
    assert collector.rooms.register.announcements() == ()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (PATCH.replace("1h", "1h, scope: [nowhere]"), ":3:5: scope: 'nowhere' is no known check"),
        (PATCH.replace("2026-06-21T02:00:00Z", "6600-01-01T00:00:00Z"), ":3:5: a window starts after 1970"),
    ],
)
async def test_what_only_the_collector_knows_is_told_by_its_place_too(
    collector: Collector, tmp_path: Path, entry: str, words: str
) -> None:
    path = tmp_path / "windows.yaml"
    path.write_text("windows:\n" + UPGRADE + entry)
    code, _, err = await command(collector, "import", str(path))
    assert (code, f"{path}{words}" in err) == (104, True), err
    assert collector.rooms.register.announcements() == ()


async def test_an_export_is_a_file_that_its_own_collector_knows_again_and_another_takes(
    collector: Collector, tmp_path: Path
) -> None:
    await take(collector, UPGRADE, PATCH.replace("1h", "1h, emergency: true"))
    path = tmp_path / "out.yaml"
    code, _, err = await command(collector, "export", "--yaml", str(path))
    assert (code, err) == (0, "")
    code, out, _ = await command(collector, "import", str(path))
    assert (code, "0 recorded, 0 unchanged, 2 left alone" in out) == (0, True), out
    async with collecting(tmp_path / "other", clock=SettableClock(NOON - HOUR)) as other:
        code, out, _ = await command(other, "import", str(path))
        assert (code, "2 recorded" in out) == (0, True), out
        made = {(each.reason, each.emergency) for each in other.rooms.register.announcements()}
        assert made == {("database", False), ("", True)}


async def test_a_form_that_there_is_not_is_refused(collector: Collector, tmp_path: Path) -> None:
    params = {"calendar": "c", "format": "toml"}
    answer = await collector.ask("POST", "/v1/windows/import", params=params, data=b"")
    assert (answer.http, answer.json["field"]) == (422, "format")
    code, _, err = await command(collector, "export", "--yaml", "--json")
    assert (code, "one form at a time" in err) == (104, True)
