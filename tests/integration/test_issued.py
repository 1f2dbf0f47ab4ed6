"""Issued statements over a real collector: revisions, the same bytes when made again, and what makes one stale."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from collector_support import G1, G3, NOON, SETTLE, Answer, Collector, SettableClock, batch, collecting, lose, run

from outrider.core.guarantee import Guarantee
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Instant
from outrider_collector.evidence import canonical
from outrider_collector.forms.csv_form import to_csv
from outrider_collector.forms.html_form import to_html
from outrider_collector.forms.pdf_form import to_pdf
from outrider_collector.forms.reading import read_statement
from outrider_collector.issued.issuing import OTHERWISE
from outrider_collector.issued.register import IssuedRegister

TODAY = NOON // DAY * DAY
OVER = TODAY + DAY + SETTLE
PERIOD = "2026-06-15"
REVISIONS = f"/v1/statements/{PERIOD}/revisions"


async def issue(collector: Collector, author: str = "ops", period: str = PERIOD) -> Answer:
    return await collector.ask("POST", f"/v1/statements/{period}/revisions", json={"author": author})


async def listed(collector: Collector) -> list[Any]:
    found: list[Any] = (await collector.get("/v1/statements/revisions")).json["revisions"]
    return found


async def with_a_day(collector: Collector, at: Instant = OVER) -> None:
    """Two hours of runs from two regions, sent while the day lasted; the clock then stands at `at`."""
    collector.clock.at = NOON + 2 * HOUR
    for region in ("east", "west"):
        records = [run(NOON + n * MINUTE, region=region) for n in range(120)]
        await collector.send(batch(*records, agent=f"{region}-1"))
    collector.clock.at = at


async def send_late(collector: Collector, *, at: Instant = NOON + 200 * MINUTE, **changes: Any) -> None:
    """Three runs more than a day after they were made."""
    collector.clock.at += HOUR
    records = [run(at + n * SECOND, outcome="service_down", fault="network", **changes) for n in range(3)]
    await collector.send(batch(*records, agent="late-1", first=1 + collector.rooms.store.position(2**60) * 10))


def forms(statement: Any) -> list[bytes]:
    read = read_statement(statement)
    return [canonical(statement), to_csv(read), to_html(read), to_pdf(read)]


# --- issuing ---------------------------------------------------------------------------------------------------------


async def test_a_period_that_is_not_over_and_settled_is_refused_with_from_when(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector, OVER - 1)
        refused = await issue(collector)
        assert (refused.http, refused.error) == (
            409, f"{PERIOD} is not over and settled: it can be issued from 2026-06-16T00:01:00Z",
        )  # fmt: skip
        assert await listed(collector) == []
        collector.clock.at = OVER
        assert (await issue(collector)).http == 201


async def test_an_issued_statement_is_recorded_with_all_that_it_was_made_from(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        made = (await issue(collector)).json
        assert (made["is_new"], made["statement"]["revision"], made["statement"]["replaces"]) == (True, 1, None)
        assert read_statement(made["statement"]).revision == 1
        (found,) = await listed(collector)
        assert (found["period"], found["number"], found["author"]) == (PERIOD, 1, "ops")
        assert (found["start"], found["end"]) == ("2026-06-15T00:00:00Z", "2026-06-16T00:00:00Z")
        assert (found["stale"], found["stale_because"], found["replaced_by"], found["why"]) == (False, [], None, [])
        assert (found["as_of"], found["ledger"]) == (made["statement"]["as_of"], made["statement"]["ledger"])
        assert found["timezone_data"] == made["statement"]["timezone_data"]
        kept = collector.issued.revision(PERIOD, 1)
        assert [each["notice"] for each in json.loads(kept.terms)["agreement"]["guarantees"]] == [HOUR, HOUR]


async def test_issued_again_with_nothing_new_it_stays_the_one_there_is(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        first = (await issue(collector)).json
        collector.clock.at += 30 * DAY
        again = await issue(collector, "somebody else")
        assert (again.http, again.json["is_new"]) == (200, False)
        assert again.json["statement"] == first["statement"]
        assert again.json["issued"] == first["issued"]


@pytest.mark.parametrize(
    ("period", "body", "http", "words"),
    [
        ("2026-13", b"", 422, "is not a period"),
        ("last week", b"", 422, "write a month like"),
        ("٢٠٢٦-06", b"", 422, "digits 0 to 9"),
        ("1969-12", b"", 422, "before 1970"),
        ("9999-11", b"", 409, "can be issued from"),
        (PERIOD, b'{"author": 7}', 422, "Expected `str`"),
        (PERIOD, b'{"who": ""}', 422, "unknown field"),
        (PERIOD, json.dumps({"author": "x" * 201}).encode(), 422, "at most 200"),
        (PERIOD, b'{"author": "\\u001b[31m"}', 422, "printable"),
    ],
)
async def test_what_cannot_be_issued_is_refused_and_leaves_nothing(
    tmp_path: Path, period: str, body: bytes, http: int, words: str
) -> None:
    async with collecting(tmp_path, clock=SettableClock(OVER)) as collector:
        refused = await collector.ask("POST", f"/v1/statements/{period}/revisions", data=body)
        assert (refused.http, words in refused.error) == (http, True), refused.error
        assert await listed(collector) == []


async def test_of_many_that_issue_at_once_one_makes_the_revision(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        answers = await asyncio.gather(*(issue(collector, f"author {n}") for n in range(8)))
        assert sorted(answer.http for answer in answers) == [200] * 7 + [201]
        assert len({answer.json["issued"]["sha256"] for answer in answers}) == 1
        assert len(await listed(collector)) == 1


# --- revisions -------------------------------------------------------------------------------------------------------


async def test_late_results_give_r2_while_r1_stays_byte_for_byte_in_every_form(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        first = (await issue(collector)).json["statement"]
        await send_late(collector)
        (stale,) = await listed(collector)
        assert (stale["stale"], stale["stale_because"]) == (True, ["late results: 3"])
        second = (await issue(collector)).json
        assert (second["is_new"], second["issued"]["number"]) == (True, 2)
        assert second["issued"]["why"] == ["late results: 3"]
        assert second["statement"]["replaces"] == {
            "revision": 1, "as_of": first["as_of"], "sha256": (await listed(collector))[0]["sha256"],
        }  # fmt: skip
        samples = [each["guarantees"][0]["checks"][0]["adjusted"]["samples"] for each in (first, second["statement"])]
        assert samples == [240, 243]
        for number, issued in ((1, first), (2, second["statement"])):
            again = (await collector.get(f"{REVISIONS}/{number}")).json
            assert (again["is_same"], again["why"]) == (True, [])
            assert forms(again["statement"]) == forms(issued)
        assert [(each["stale"], each["replaced_by"]) for each in await listed(collector)] == [(False, 2), (False, None)]
        assert b"replaces r1 of 2026-06-16T00:01:00Z" in forms(second["statement"])[2]


async def test_a_collector_started_again_makes_the_same_revision_whatever_its_clock_says(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector, OVER + 3 * DAY)
        issued = (await issue(collector)).json["statement"]
    async with collecting(tmp_path, clock=SettableClock(OVER)) as collector:
        await send_late(collector)  # the clock was set back: these must not seem to have been there then
        await collector.announce(start="2026-06-15T12:10:00Z", duration="1h", reason="afterwards")
        again = (await collector.get(f"{REVISIONS}/1")).json
        assert (again["is_same"], forms(again["statement"])) == (True, forms(issued))
        assert (await listed(collector))[0]["stale_because"] == [
            "late results: 3", "announcements of windows that may bear on the period: 1",
        ]  # fmt: skip


def stricter(guarantee: Guarantee) -> Guarantee:
    return replace(guarantee, target=Fraction(9999, 10000), notice=72 * HOUR)


async def test_another_agreement_gives_r2_and_r1_is_made_again_under_its_own(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        first = (await issue(collector)).json["statement"]
    async with collecting(tmp_path, guarantees=(stricter(G1), G3), clock=SettableClock(OVER + DAY)) as collector:
        assert (await listed(collector))[0]["stale_because"] == ["the terms changed: G1 notice, G1 target"]
        second = (await issue(collector)).json
        assert second["issued"]["why"] == ["the terms changed: G1 notice, G1 target"]
        assert second["statement"]["guarantees"][0]["target"]["percent"] == "99.99%"
        again = (await collector.get(f"{REVISIONS}/1")).json
        assert (again["is_same"], forms(again["statement"])) == (True, forms(first))


async def test_an_agreement_that_comes_into_force_later_leaves_the_period_under_its_own(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        await issue(collector)
    clock = SettableClock(OVER + DAY)
    from_then = TODAY + DAY
    async with collecting(tmp_path, guarantees=(stricter(G1), G3), clock=clock, in_force_from=from_then) as collector:
        assert not (await listed(collector))[0]["stale"]
        assert not (await issue(collector)).json["is_new"]
        await send_late(collector)
        second = (await issue(collector)).json
        assert second["issued"]["why"] == ["late results: 3"]
        assert second["statement"]["guarantees"][0]["target"]["percent"] == "99.9%"


async def test_terms_of_older_software_that_mean_the_same_make_nothing_stale(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        made = (await issue(collector)).json
        kept = collector.issued.revision(PERIOD, 1)
        older = replace(kept, number=2, terms=kept.terms.replace('"cap":null,', ""))
        collector.issued.add(older, canonical(made["statement"]))
        collector.clock.at += HOUR
        assert [each["stale"] for each in await listed(collector)] == [False, False]
        unreadable = replace(kept, number=3, terms='{"settle": 1}')
        collector.issued.add(unreadable, canonical(made["statement"]))
        assert "cannot be read by this software" in (await listed(collector))[-1]["stale_because"][0]


@pytest.mark.parametrize(
    ("case", "late", "window", "reasons", "is_new"),
    [
        ("load never enters the accounts", {"purpose": "load"}, None, [], False),
        ("another day is not its business", {"at": NOON + DAY}, None, [], False),
        ("long before, where it changes nothing", {"at": NOON - 200 * DAY}, None, ["late results of the time before"],
         False),
        ("a region that it had not heard of", {"at": NOON - DAY, "region": "north"}, None,
         ["late results of the time before"], True),
        ("a window of another month", None, "2026-07-15T12:00:00Z", [], False),
        ("a window of that day", None, "2026-06-15T13:00:00Z", ["announcements of windows"], True),
        ("a window of the day before", None, "2026-06-14T13:00:00Z", ["announcements of windows"], False),
    ],
)  # fmt: skip
async def test_what_makes_a_statement_stale_and_what_a_new_revision(
    tmp_path: Path, case: str, late: dict[str, Any] | None, window: str | None, reasons: list[str], is_new: bool
) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        await issue(collector)
        if late is not None:
            await send_late(collector, **late)
        if window is not None:
            await collector.announce(start=window, duration="30m", reason=case)
        (before,) = await listed(collector)
        assert before["stale"] == bool(reasons), case
        assert [each.startswith(tuple(reasons)) for each in before["stale_because"]] == [True] * len(reasons)
        collector.clock.at += HOUR
        assert (await issue(collector)).json["is_new"] is is_new, case
        assert not (await listed(collector))[-1]["stale"], "looked at again, it is not stale"


async def test_what_changed_from_one_revision_to_another_is_told_clause_by_clause(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        await issue(collector)
        await send_late(collector, at=NOON)
        await issue(collector)
        told = (await collector.get(f"/v1/statements/{PERIOD}/changes/1/2")).json
        assert (told["results_between"], told["before"]["number"], told["after"]["number"]) == (3, 1, 2)
        found = {(each.get("clause"), each.get("check"), each["what"]): each for each in told["changes"]}
        assert not {"as_of", "ledger", "revision", "replaces"} & {each["what"] for each in told["changes"]}
        samples = found["G1", "eligibility", "adjusted.samples"]
        assert (samples["before"], samples["after"]) == (240, 243)
        assert found["G3", None, "adjusted.failed"]["after"] == 3
        assert found["G3", None, "adjusted.share"]["before"]["percent"] == "100%"
        back = (await collector.get(f"/v1/statements/{PERIOD}/changes/2/1")).json
        assert (back["results_between"], len(back["changes"])) == (3, len(told["changes"]))
        assert (await collector.get(f"/v1/statements/{PERIOD}/changes/1/1")).json["changes"] == []


@pytest.mark.parametrize(
    ("path", "http", "words"),
    [
        (f"{REVISIONS}/7", 404, "revision 7 of '2026-06-15' was not issued"),
        (f"{REVISIONS}/0", 404, "was not issued"),
        ("/v1/statements/2026-05/revisions/1", 404, "was not issued"),
        (f"/v1/statements/{PERIOD}/changes/1/2", 404, "revision 2 of"),
        (f"{REVISIONS}/1?as_issued=maybe", 422, "true or false"),
        (f"{REVISIONS}/1?colour=red", 422, "'colour' is unknown"),
        (f"{REVISIONS}/x", 404, "Not Found"),
    ],
)
async def test_a_revision_that_was_not_issued_is_not_found(tmp_path: Path, path: str, http: int, words: str) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        await issue(collector)
        refused = await collector.get(path)
        assert (refused.http, words in refused.error) == (http, True), refused.error


# --- what goes wrong -------------------------------------------------------------------------------------------------


async def test_lost_facts_are_told_loudly_and_what_was_handed_out_is_still_there(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        issued = (await issue(collector)).json["statement"]
        lose(tmp_path / "results.duckdb", NOON + 30 * MINUTE)
        again = (await collector.get(f"{REVISIONS}/1")).json
        assert (again["is_same"], again["why"]) == (
            False, [OTHERWISE],
        )  # fmt: skip
        assert again["sha256"] != again["issued"]["sha256"]
        assert (await collector.get(f"{REVISIONS}/1", as_issued="true")).json["statement"] == issued


async def test_other_versions_of_software_and_time_zones_are_named_as_what_may_be_why(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        made = (await issue(collector)).json
        kept = collector.issued.revision(PERIOD, 1)
        older = replace(kept, number=2, software="outrider 0.0.1", timezone_data="1999a")
        collector.issued.add(older, canonical(made["statement"]))
        lose(tmp_path / "results.duckdb", NOON + 30 * MINUTE)
        told = (await collector.get(f"{REVISIONS}/2")).json["why"]
        assert [each.partition(",")[0] for each in told] == [
            "software outrider 0.0.1 then", "time-zone data 1999a then",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "act",
    [
        "UPDATE revisions SET verdict = 'met'",
        "UPDATE revisions SET statement = x''",
        "DELETE FROM revisions",
        "INSERT OR REPLACE INTO revisions SELECT * FROM revisions",
        "INSERT OR REPLACE INTO revisions SELECT period, 1, start, \"end\", as_of, ledger, 'met', sha256, terms, "
        "terms_sha256, software, timezone_data, author, issued_at + 1, why, statement FROM revisions",
        'INSERT INTO revisions SELECT period, 2, start, "end", as_of, ledger, verdict, sha256, terms, '
        "terms_sha256, software, timezone_data, author, issued_at - 1, why, statement FROM revisions",
        'INSERT INTO revisions SELECT period, 3, start, "end", as_of, ledger, verdict, sha256, terms, '
        "terms_sha256, software, timezone_data, author, issued_at + 1, why, statement FROM revisions",
        "DELETE FROM confirmations",
        "UPDATE confirmations SET ledger = 99",
        "INSERT INTO confirmations SELECT period, number, as_of - 1, 99, '' FROM confirmations",
    ],
)
async def test_the_register_refuses_to_be_changed(tmp_path: Path, act: str) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        await issue(collector)
        await send_late(collector, at=NOON - 200 * DAY)
        await issue(collector)
        before = await listed(collector)
        with sqlite3.connect(tmp_path / "statements.sqlite") as database, pytest.raises(sqlite3.IntegrityError):
            database.execute(act)
        assert await listed(collector) == before


async def test_a_text_that_was_changed_in_the_file_is_not_given_out(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        await issue(collector)
        for text, words in ((b"x", "is damaged"), (b"x\x9c\x03\x00\x00\x00\x00\x01", "is not what was issued")):
            with sqlite3.connect(tmp_path / "statements.sqlite") as database:
                database.execute("DROP TRIGGER IF EXISTS revisions_stand")
                database.execute("UPDATE revisions SET statement = ?", (text,))
            refused = await collector.get(f"{REVISIONS}/1")
            assert (refused.http, words in refused.error) == (503, True), refused.error


@pytest.mark.parametrize("setting", ["PRAGMA query_only = 1", "PRAGMA max_page_count = 1"])
async def test_a_full_or_read_only_file_issues_nothing_says_so_and_goes_on_later(tmp_path: Path, setting: str) -> None:
    async with collecting(tmp_path) as collector:
        await with_a_day(collector)
        collector.issued._database.execute(setting)
        refused = await issue(collector)
        assert (refused.http, "nothing was issued" in refused.error) == (503, True), refused.error
        assert await listed(collector) == []
        for back in ("PRAGMA query_only = 0", "PRAGMA max_page_count = 1000000"):
            collector.issued._database.execute(back)
        assert (await issue(collector)).json["issued"]["number"] == 1


def test_killed_while_issuing_every_revision_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from collector_support import NOON, SettableClock
from outrider_collector.issued import Revision
from outrider_collector.issued.issuing import OTHERWISE
from outrider_collector.issued.register import IssuedRegister

register = IssuedRegister(Path({str(tmp_path)!r}) / "statements.sqlite", SettableClock())
for number in range(1, 100_000):
    made = Revision("2026-06-14", number, NOON, NOON + 1, NOON, 1, "met", "", "", "", "", "", "", 0)
    register.add(made, str(number).encode() * 9_000)
    print(number, flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    told = 0
    for line in child.stdout:
        told = int(line)
        if told == 40:
            child.send_signal(signal.SIGKILL)
            break
    told = max([told, *(int(line) for line in child.stdout.read().split())])
    child.wait()
    child.stdout.close()
    register = IssuedRegister(tmp_path / "statements.sqlite", SettableClock())
    found = register.revisions()
    assert [each.number for each in found] == list(range(1, len(found) + 1))
    assert len(found) in (told, told + 1), "each that was told of, and at most the one that was under way"
    assert all(register.text(each) == str(each.number).encode() * 9_000 for each in found)
    register.close()
