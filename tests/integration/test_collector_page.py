"""The page at `/`, served by a real collector on a free port, from results that came in through its intake."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import re
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from outrider.codecs.records import encode_record
from outrider.core.guarantee import Agreement, Guarantee, Measure, View
from outrider.core.period import PeriodKind
from outrider.core.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Duration, Instant, parse_instant
from outrider.core.wire import Batch, Entry, RunRecord, digest
from outrider_collector.app import ROOMS, Rooms
from outrider_collector.config import CollectorConfig
from outrider_collector.main import opened
from outrider_collector.pages import Shared
from outrider_collector.windows import NewWindow

NEW_YORK = ZoneInfo("America/New_York")
NOW = parse_instant("2026-06-01T10:30:20-04:00")
INTERVAL, SETTLE = 30 * SECOND, 60 * SECOND

G1 = Guarantee(
    "G1", "Available", Measure.AVAILABILITY, Fraction(999, 1000), strict=True, notice=HOUR, zone=NEW_YORK
)  # fmt: skip
G3 = Guarantee(
    "G3", "Fast", Measure.RESPONSE_TIME, Fraction(9, 10), limit=10 * SECOND, notice=HOUR, zone=NEW_YORK
)  # fmt: skip
VOID = {"br", "img", "link", "meta", "hr", "input"}


class SettableClock:
    """Stands still until told otherwise; all its clocks move together."""

    boot = "b00t"

    def __init__(self, at: Instant) -> None:
        self.at = at

    def now(self) -> Instant:
        return self.at

    def monotonic(self) -> Duration:
        return self.at

    def boottime(self) -> Duration:
        return self.at


class Parsed(HTMLParser):
    """A page as elements: (tag, attributes, text), and the rows of each table as texts. Refuses crossed tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.regions: dict[str, list[list[str]]] = {}
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        assert not self._open, f"never closed: {[tag for tag, _, _ in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs}, list[str]())
        self.elements.append(element)
        region = self._region
        if region and tag == "tr":
            self.regions.setdefault(region, []).append([])
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        opened_tag, _, words = self._open.pop()
        assert opened_tag == tag, f"<{opened_tag}> is closed by </{tag}>"
        if tag in ("td", "th") and self._region:
            self.regions[self._region][-1].append(" ".join("".join(words).split()))

    def handle_data(self, data: str) -> None:
        for _, _, words in self._open:
            words.append(data)

    @property
    def _region(self) -> str:
        return next((each["aria-label"] for _, each, _ in self._open if each.get("role") == "region"), "")

    def rows(self, region: str) -> dict[str, list[str]]:
        """A table's rows by their first cell."""
        return {row[0]: row[1:] for row in self.regions.get(region, [])}

    def texts(self, tag: str, name: str | None = None) -> list[str]:
        return [
            " ".join("".join(words).split())
            for each, attributes, words in self.elements
            if each == tag and (name is None or name in attributes.get("class", "").split())
        ]


@dataclass
class Collector:
    """A running collector, and the verbs of these tests."""

    rooms: Rooms
    clock: SettableClock
    session: aiohttp.ClientSession
    url: str
    last: dict[str, int] = field(default_factory=dict)

    async def get(self, path: str = "/") -> tuple[aiohttp.ClientResponse, str]:
        async with self.session.get(self.url + path) as response:
            return response, await response.text()

    async def page(self) -> Parsed:
        response, text = await self.get()
        assert response.status == 200, text
        return Parsed(text)

    async def take(self, *records: RunRecord, agent: str = "", counts: Mapping[str, int] | None = None) -> None:
        """Records through the intake, one agent a region."""
        for region, group in itertools.groupby(sorted(records, key=lambda each: each.region), lambda each: each.region):
            name, bodies = agent or f"agent-{region}", [encode_record(each) for each in group]
            first = self.last.get(name, 0) + 1
            self.last[name] = first + len(bodies) - 1
            entries = tuple(
                Entry(seq, digest(name, "e1", seq, body), body) for seq, body in enumerate(bodies, start=first)
            )
            await self.rooms.intake.submit(Batch(name, region, "e1", entries, counts or {}, software="0.1.0"))


def run(
    check: str = "eligibility",
    region: str = "east",
    at: Instant = NOW - 10 * SECOND,
    outcome: str = "ok",
    latency: Duration = 400 * MILLISECOND,
    *,
    code: str = "",
    detail: str = "",
    cleanup: str = "none",
    interval: Duration = INTERVAL,
) -> RunRecord:
    return RunRecord(
        check,
        check,
        region,
        "probe",
        at,
        at,
        interval,
        latency,
        outcome,
        "none",
        code,
        detail=detail,
        cleanup=cleanup,
        clock_offset=0,
        clock_error=1000,
    )


def every(interval: Duration, since: Duration, until: Duration = 0, outcome: str = "ok") -> list[RunRecord]:
    """Runs on a grid, from `since` to `until` before NOW."""
    return [run(at=NOW - ago, outcome=outcome, interval=interval) for ago in range(since, until, -interval)]


@asynccontextmanager
async def collecting(
    folder: Path, guarantees: tuple[Guarantee, ...] = (G1, G3), recent: Duration = 60 * MINUTE
) -> AsyncIterator[Collector]:
    clock = SettableClock(NOW)
    agreement = Agreement("Network services", guarantees, NEW_YORK)
    config = CollectorConfig(("127.0.0.1", 0), folder / "results.duckdb", agreement, SETTLE, recent)
    async with opened(config, clock) as app, TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Collector(app[ROOMS], clock, session, str(server.make_url("")).rstrip("/"))


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    async with collecting(tmp_path) as made:
        yield made


ACCOUNT = "Guarantees, June 2026"
MATRIX, AGENTS, WINDOWS = "Checks by region", "Agents", "Maintenance windows"


# --- what is not there yet -------------------------------------------------------------------------------------------


async def test_an_empty_store_gives_a_page_that_says_how_to_begin(collector: Collector) -> None:
    page = await collector.page()
    assert "No results yet. Start an agent" in " ".join(page.texts("div", "empty"))
    rows = page.rows(ACCOUNT)
    assert rows["G1 Available"][:3] == ["more than 99.9%", "– no data no checks in scope", "–"]
    assert rows["G3 Fast"][0] == "at least 90% within 10 s"
    assert page.texts("svg") == []
    assert "None was announced." in " ".join(page.texts("main"))
    assert "None has reported since this collector was started." in " ".join(page.texts("main"))


async def test_in_the_first_minutes_of_a_month_nothing_is_judged_and_the_page_says_so(collector: Collector) -> None:
    collector.clock.at = parse_instant("2026-07-01T00:00:30-04:00")
    page = await collector.page()
    assert "Nothing is old enough to be judged yet." in " ".join(page.texts("caption"))
    assert page.rows("Guarantees, July 2026")["G1 Available"][1] == "– no data nothing is old enough to be judged yet"


# --- guarantees ------------------------------------------------------------------------------------------------------


async def test_percentages_are_those_of_the_statement_cut_and_not_rounded(collector: Collector) -> None:
    month = parse_instant("2026-06-01T00:00:00-04:00")
    down = month + 3 * HOUR
    outages = range(down, down + 7 * MINUTE, MINUTE)
    for region in ("east", "west"):
        await collector.take(
            *(run(region=region, at=at, outcome="service_down" if at in outages else "ok", interval=MINUTE)
              for at in range(month, NOW - 10 * SECOND, MINUTE))
        )  # fmt: skip
    _, text = await collector.get("/v1/statements?period=2026-06")
    shown = re.findall(r'"percent": "([^"]+)"', text)
    rows = (await collector.page()).rows(ACCOUNT)
    # 629 minutes are judged, 7 of them down: 622/629 is 98.887122..., and S is the same share of samples.
    target, verdict, adjusted, raw, coverage = rows["G1 Available"]
    assert (target, verdict) == ("more than 99.9%", "✕ missed 7 of 629 slices down")
    assert (adjusted, raw, coverage) == ("98.88712%", "98.88712%", "100% eligibility in east")
    assert "98.88712%" in shown
    assert rows["G3 Fast"][1:3] == ["✓ met 1244 of 1258 transactions within the limit", "98.88712%"]


async def test_of_several_checks_the_one_that_decides_is_shown_though_another_may_be_lower(
    collector: Collector,
) -> None:
    month = parse_instant("2026-06-01T00:00:00-04:00")
    for region, check in itertools.product(("east", "west"), ("eligibility", "portal", "card")):
        await collector.take(
            *(run(check, region, at, "service_down" if check == "card" and at < month + 2 * MINUTE else "ok")
              for at in range(month, NOW, MINUTE)
              # The portal was silent for an hour: nothing of it was down, but more may have been.
              if check != "portal" or not month + HOUR <= at < month + 2 * HOUR)
        )  # fmt: skip
    _, verdict, adjusted, _, coverage = (await collector.page()).rows(ACCOUNT)["G1 Available"]
    assert verdict == "✕ missed card: 2 of 629 slices down"
    assert adjusted == "99.68203% card, which decides of 3 checks"
    assert coverage == "90.46104% portal in east"


async def test_a_check_that_fell_silent_has_no_percentage_but_makes_the_verdict(collector: Collector) -> None:
    month = parse_instant("2026-06-01T00:00:00-04:00")
    for region in ("east", "west"):
        await collector.take(*(run("card", region, at) for at in range(month, NOW, MINUTE)))
        await collector.take(run("portal", region, month - DAY))
    page = await collector.page()
    _, verdict, adjusted, _, coverage = page.rows(ACCOUNT)["G1 Available"]
    assert verdict == "– no data portal: no samples"
    assert adjusted == "100% card, the lowest of 2 checks"
    assert coverage == "0% portal in east"
    assert page.rows(MATRIX)["portal"][1:] == ["– no data no run in the last 1h"] * 2


async def test_a_rolling_guarantee_is_shown_up_to_today(tmp_path: Path) -> None:
    rolling = Guarantee(
        "R1", "Up", Measure.AVAILABILITY, Fraction(9, 10), period=PeriodKind.ROLLING, rolling=7 * DAY, zone=NEW_YORK
    )
    async with collecting(tmp_path, (rolling,)) as collector:
        for region in ("east", "west"):
            await collector.take(
                *(run("card", region, at, interval=HOUR) for at in range(NOW - 8 * DAY, NOW - 2 * DAY, HOUR)),
                *(run("card", region, at, "service_down", interval=HOUR) for at in range(NOW - 2 * DAY, NOW, HOUR)),
            )
        rows = (await collector.page()).rows("Guarantees, the last days, up to 1 June 2026")
        target, verdict, adjusted, *_ = rows["R1 Up"]
        assert (target, verdict.split(":")[0]) == ("at least 90%", "✕ missed rolling 7d")
        assert adjusted.startswith("71.4")
        collector.clock.at = parse_instant("2026-06-02T00:00:30-04:00")
        assert "R1 Up" in (await collector.page()).rows("Guarantees, the last days, up to 1 June 2026")


async def test_guarantees_of_different_calendars_stand_under_their_own_periods(tmp_path: Path) -> None:
    weekly = Guarantee("C1", "Up", Measure.AVAILABILITY, Fraction(9, 10), period=PeriodKind.WEEK, zone=NEW_YORK)
    async with collecting(tmp_path, (G1, weekly)) as collector:
        page = await collector.page()
        assert list(page.rows(ACCOUNT)) == ["Guarantee", "G1 Available"]
        assert list(page.rows("Guarantees, the week from Sunday 31 May 2026")) == ["Guarantee", "C1 Up"]
        _, text = await collector.get()
        for query in re.findall(r'href="(/v1/statements[^"]+)"', text):
            response, _ = await collector.get(query.replace("&amp;", "&"))
            assert response.status == 200


async def test_the_head_says_what_time_it_is_in_the_agreements_zone_and_in_utc(collector: Collector) -> None:
    page = await collector.page()
    assert page.texts("h1") == ["Network services"]
    assert page.texts("p", "now") == ["2026-06-01 10:30:20 -04:00 America/New_York 2026-06-01 14:30:20 UTC"]


# --- matrix ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (run(), "● good p90 400 ms · 100% up"),
        (run(outcome="service_down", code="503", detail="Bad day"), "▲ bad service_down 503 Bad day p90 ∞ · 0% up"),
        (run(outcome="malformed", code="TA1"), "▲ bad malformed TA1 p90 ∞ · 0% up"),
        (run(outcome="business_unexpected", code="75"), "● good business_unexpected 75 p90 400 ms · 100% up"),
        # A partner's failure is no processing time of the network's: it has no p90, not an infinite one.
        (run(outcome="partner_down", code="42"), "◆ partner failed partner_down 42 p90 – · 100% up"),
        (run(outcome="agent_fault", code="clock"), "○ void agent_fault clock"),
        (run(cleanup="unconfirmed"), "● good cleanup unconfirmed p90 400 ms · 100% up"),
    ],
)
async def test_the_last_run_is_shown_as_it_counts(collector: Collector, record: RunRecord, shown: str) -> None:
    await collector.take(replace(record, started_at=NOW - 100 * SECOND))
    page = await collector.page()
    samples = 0 if record.outcome == "agent_fault" else 1
    counted = f"{samples} sample" + "s" * (samples != 1)
    assert page.rows(MATRIX)["eligibility"][1] == f"{shown} {counted} · sent 100 s ago"


async def test_a_run_that_is_not_settled_shows_its_state_and_time_but_is_in_no_share_yet(collector: Collector) -> None:
    await collector.take(run(outcome="service_down", code="503"))
    page = await collector.page()
    assert page.rows(MATRIX)["eligibility"][1] == "▲ bad service_down 503 p90 ∞ · – up 0 samples · sent 10 s ago"


async def test_slices_without_data_are_told_beside_the_share_that_was_up(collector: Collector) -> None:
    await collector.take(*(run(at=NOW - k * MINUTE, interval=MINUTE) for k in (10, 9, 8, 7, 2)))
    page = await collector.page()
    # Nine slices are settled since it was first heard of, 10:20 to 10:28; four of them have no sample.
    shown = "p90 400 ms · 100% up data in 55.55555% of slices 5 samples · sent 2 min ago"
    assert page.rows(MATRIX)["eligibility"][1].endswith(shown)


async def test_end_to_end_a_partners_failure_is_bad(tmp_path: Path) -> None:
    strict = Guarantee("G1", "Up", Measure.AVAILABILITY, Fraction(9, 10), view=View.END_TO_END, zone=NEW_YORK)
    async with collecting(tmp_path, (strict,)) as collector:
        await collector.take(run(outcome="partner_down", code="42"))
        assert (await collector.page()).rows(MATRIX)["eligibility"][1].startswith("▲ bad partner_down 42 p90 ∞")


async def test_the_view_that_does_not_decide_is_told_where_a_partner_failed(collector: Collector) -> None:
    for region in ("east", "west"):
        await collector.take(
            *(run(region=region, at=NOW - k * MINUTE, outcome="partner_down" if k == 5 else "ok", interval=MINUTE)
              for k in range(2, 12))
        )  # fmt: skip
    rows = (await collector.page()).rows(ACCOUNT)
    assert rows["G3 Fast"][2].startswith("100% ")
    assert rows["G3 Fast"][2].endswith(" end to end: met, 90%; 2 runs failed at a partner")


@pytest.mark.parametrize(("late", "word"), [(0, "● good"), (1, "– no data")])
async def test_a_last_run_older_than_three_intervals_and_its_way_here_is_no_data(
    collector: Collector, late: Duration, word: str
) -> None:
    await collector.take(run(at=NOW - 3 * INTERVAL - SETTLE - late))
    assert (await collector.page()).rows(MATRIX)["eligibility"][1].startswith(word)


async def test_a_region_that_does_not_run_a_check_is_told_from_one_that_is_silent(collector: Collector) -> None:
    await collector.take(run("card", "east"), run("portal", "west"), run("portal", "east", NOW - 20 * MINUTE))
    page = await collector.page()
    rows = page.rows(MATRIX)
    assert rows["Check"] == ["All regions", "east", "west"]
    assert rows["card"][2] == "not run here"
    assert rows["portal"][1].startswith("– no data p90 400 ms · 100% up data in 5")
    assert rows["portal"][1].endswith("% of slices 1 sample · sent 20 min ago")


async def test_the_whole_check_has_a_p90_with_failures_as_infinity(collector: Collector) -> None:
    good = [run(region=region, at=NOW - k * MINUTE) for region in ("east", "west") for k in range(1, 10)]
    await collector.take(*good, run(outcome="service_down", code="503"))
    assert (await collector.page()).rows(MATRIX)["eligibility"][0] == "p90 400 ms limit 10 s"
    await collector.take(*(run(at=NOW - 90 * SECOND - k, outcome="service_down", code="503") for k in range(2)))
    collector.clock.at += SECOND
    assert (await collector.page()).rows(MATRIX)["eligibility"][0] == "p90 ∞ limit 10 s"


async def test_the_summary_counts_by_symbol_and_word(collector: Collector) -> None:
    await collector.take(run("card"), run("portal"), run("eligibility", outcome="throttled", code="429"))
    summary = (await collector.page()).texts("div", "summary")
    assert summary == ["Guarantees – 2 no data Checks by region ▲ 1 bad ● 2 good"]


# --- charts ----------------------------------------------------------------------------------------------------------


async def test_a_chart_has_the_gaps_of_the_results_and_the_numbers_behind_it(collector: Collector) -> None:
    runs = every(INTERVAL, 50 * MINUTE, 30 * MINUTE) + every(INTERVAL, 20 * MINUTE)
    failed = every(INTERVAL, 30 * MINUTE, 28 * MINUTE, "service_down")
    await collector.take(*runs, *failed)
    page = await collector.page()
    (line,) = [attributes for tag, attributes, _ in page.elements if attributes.get("class") == "line"]
    assert line["d"].count("M") == 2
    assert len(page.texts("text", "infinite")) in (2, 3)  # two minutes of failures lie in two or three bins
    (table,) = [rows for region, rows in page.regions.items() if region == "p90 of eligibility in numbers"]
    assert table[0] == ["From", "p90", "Samples"]
    assert len(table) == 61
    assert table[1] == ["2026-06-01 10:30 -04:00", "no data", "0"]
    assert ["2026-06-01 10:00 -04:00", "∞", "2"] in table
    assert ["2026-06-01 10:15 -04:00", "400 ms", "2"] in table
    assert sum(int(row[2]) for row in table[1:]) == len(runs) + len(failed)


async def test_a_check_slower_than_the_bins_has_an_unbroken_line(collector: Collector) -> None:
    slow = 5 * MINUTE
    await collector.take(*every(slow, 50 * MINUTE))
    page = await collector.page()
    (line,) = [attributes for _, attributes, _ in page.elements if attributes.get("class") == "line"]
    assert (line["d"].count("M"), line["d"].count("L")) == (1, 9)


async def test_maintenance_is_shaded_for_checks_in_scope_unless_it_was_cancelled(collector: Collector) -> None:
    await collector.take(*every(INTERVAL, 30 * MINUTE), *(run("card", at=NOW - k * MINUTE) for k in range(1, 30)))
    register = collector.rooms.register
    register.announce(NOW - 20 * MINUTE, NOW - 10 * MINUTE, scope=("elig*",))
    cancelled = register.announce(NOW - 8 * MINUTE, NOW + 5 * MINUTE)
    register.cancel(cancelled.window)
    page = await collector.page()
    assert len([each for _, each, _ in page.elements if each.get("class") == "shade"]) == 1
    described = {words.partition(" Shaded: ")[2] for words in page.texts("desc")}
    assert "" in described
    assert any(words.endswith("(over).") for words in described)


# --- windows ---------------------------------------------------------------------------------------------------------


async def test_windows_say_their_state_and_what_they_excuse(collector: Collector) -> None:
    register, clock = collector.rooms.register, collector.clock
    clock.at = NOW - 5 * HOUR
    done = register.announce(NOW - 2 * HOUR, NOW - HOUR, reason="Database upgrade")
    running = register.announce(NOW - 10 * MINUTE, NOW + 10 * MINUTE, scope=("elig*", "card"))
    coming = register.announce(NOW + DAY, NOW + DAY + HOUR)
    dropped = register.announce(NOW + HOUR, NOW + 2 * HOUR)
    clock.at = NOW - 90 * MINUTE
    register.complete(done.window)
    register.cancel(dropped.window)
    clock.at = NOW - 45 * MINUTE
    late = register.announce(NOW - 40 * MINUTE, NOW - 30 * MINUTE)
    clock.at = NOW
    await collector.take(*every(INTERVAL, 50 * MINUTE))
    page = await collector.page()
    rows = page.rows(WINDOWS)
    shown = {identity.split()[0]: cells for identity, cells in rows.items()}
    assert list(shown) == ["Window", *(w.window for w in (running, coming, dropped, late, done))]
    assert shown[running.window][0] == "◐ running"
    assert shown[running.window][1] == (
        "2026-06-01 10:20:20 -04:00 to 2026-06-01 10:40:20 -04:00 announced 2026-06-01 05:30:20 -04:00"
    )
    assert shown[running.window][2:] == ["elig*, card", "G1: 20m excused G3: 20m excused"]
    assert shown[coming.window][0] == "○ announced"
    assert shown[coming.window][2] == "every check"
    assert shown[dropped.window][0] == "✕ cancelled"
    assert shown[dropped.window][3] == "G1: nothing excused (cancelled) G3: nothing excused (cancelled)"
    assert shown[late.window][0] == "● over"
    assert (
        "G1: nothing excused (announced too late: it had to be recorded by 2026-06-01T12:50:20Z)"
        in (shown[late.window][3])
    )
    assert shown[done.window][0] == "✓ completed early"
    assert f"{done.window} Database upgrade" in rows
    assert "G1: 30m excused" in shown[done.window][3]
    # The accounts leave them out: the completed one, and what is judged already of the running one.
    assert "38m40s of maintenance excused" in page.rows(ACCOUNT)["G1 Available"][2]


async def test_a_window_that_is_an_emergency_says_so(collector: Collector) -> None:
    (made,) = collector.rooms.register.announce_all([NewWindow(NOW, NOW + HOUR, reason="disk full", emergency=True)])
    ((name, cells),) = list((await collector.page()).rows(WINDOWS).items())[1:]
    assert made.window in name
    assert "emergency: disk full" in " ".join([name, *cells])
    assert "emergency maintenance excuses nothing under this guarantee" in " ".join(cells)


async def test_a_window_of_another_month_says_nothing_about_this_months_accounts(collector: Collector) -> None:
    collector.rooms.register.announce(NOW - 3 * DAY, NOW - 3 * DAY + HOUR)
    ((_, cells),) = list((await collector.page()).rows(WINDOWS).items())[1:]
    assert cells[-1] == "–"


async def test_only_the_latest_of_many_past_windows_are_listed(collector: Collector) -> None:
    for number in range(13):
        collector.rooms.register.announce(
            NOW - (number + 1) * DAY, NOW - (number + 1) * DAY + HOUR, reason=f"n{number}"
        )
    page = await collector.page()
    assert [name.split()[1] for name in list(page.rows(WINDOWS))[1:]] == [f"n{number}" for number in range(10)]
    assert "3 older ones: all windows as JSON" in " ".join(page.texts("p"))


# --- agents ----------------------------------------------------------------------------------------------------------


async def test_agents_show_their_own_counts_and_when_they_were_heard_of(collector: Collector) -> None:
    counts = {
        "scheduled": 12_400, "delivered": 12_345, "waiting": 7, "skipped": 3, "recorded": 12_397,
        "dropped_quota": 20, "dropped_corrupt": 2, "dropped_unwritable": 1, "dead_lettered": 4,
    }  # fmt: skip
    record = run()
    await collector.take(record, counts=counts)
    collector.last.clear()
    await collector.take(record, counts=counts)  # the same seq and bytes once more
    await collector.take(run(region="west"), agent="quiet")
    collector.clock.at += 119 * SECOND
    rows = (await collector.page()).rows(AGENTS)
    assert rows["agent-east"] == [
        "east", "● heard 119 s ago", "7", "12,345", "3", "23 and 4 set aside as unreadable", "1",
    ]  # fmt: skip
    assert rows["quiet"] == ["west", "● heard 119 s ago", "–", "–", "–", "–", "0"]
    collector.clock.at += 2 * SECOND
    assert (await collector.page()).rows(AGENTS)["quiet"][1] == "– silent 2 min ago"


# --- safety ----------------------------------------------------------------------------------------------------------

HOSTILE = '<script>alert("1")</script>\x1b[2J\u202e{{ 7 * 7 }}\' onx=\'"'


async def test_hostile_text_from_agents_and_authors_stays_text(collector: Collector) -> None:
    bad = run(HOSTILE, HOSTILE[:60], outcome="service_down", code=HOSTILE, detail=HOSTILE)
    await collector.take(bad, agent=HOSTILE)
    collector.rooms.register.announce(NOW - MINUTE, NOW + MINUTE, scope=("*", HOSTILE), reason=HOSTILE)
    response, text = await collector.get()
    assert response.status == 200
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    page = Parsed(text)
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert shown in page.rows(MATRIX)
    assert shown in page.rows(AGENTS)
    assert f"service_down {shown}" in page.texts("code")
    assert f"p90 of {shown}" in page.texts("title")
    assert any(name.endswith(shown) for name in page.rows(WINDOWS))
    known = {"class", "style", "title", "id", "role", "href", "aria-label", "data-label", "scope", "tabindex"}
    html_only = [
        (tag, attributes) for tag, attributes, _ in page.elements if tag in ("td", "th", "div", "span", "code")
    ]
    assert all(attributes.keys() <= known | {"aria-hidden"} for _, attributes in html_only)


async def test_the_page_may_run_nothing_and_load_nothing(collector: Collector) -> None:
    await collector.take(run())
    response, text = await collector.get()
    page = Parsed(text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest_of_style = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    directives = dict(
        directive.strip().split(" ", 1) for directive in response.headers["Content-Security-Policy"].split(";")
    )
    assert directives == {
        "default-src": "'none'", "style-src": f"'sha256-{digest_of_style}'", "img-src": "data:",
        "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
    }  # fmt: skip
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not {tag for tag, _, _ in page.elements} & {"script", "iframe", "object", "img", "form"}
    for _, attributes, _ in page.elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "/").startswith(("/", "data:image/svg+xml,"))
        assert "src" not in attributes


async def test_every_table_cell_belongs_to_a_header(collector: Collector) -> None:
    await collector.take(run())
    collector.rooms.register.announce(NOW, NOW + HOUR)
    page = await collector.page()
    heads = [attributes for tag, attributes, _ in page.elements if tag == "th"]
    assert heads
    assert {attributes.get("scope") for attributes in heads} == {"row", "col"}
    for region, rows in page.regions.items():
        assert len({len(row) for row in rows}) == 1, region
    pictures = [attributes for tag, attributes, _ in page.elements if tag == "svg" and attributes.get("role") == "img"]
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [set(each["aria-labelledby"].split()) <= set(ids) for each in pictures] == [True]


async def test_the_page_reads_itself_anew_unless_it_is_held_still(collector: Collector) -> None:
    def refreshes(page: Parsed) -> list[str]:
        return [each["content"] for _, each, _ in page.elements if each.get("http-equiv") == "refresh"]

    assert refreshes(await collector.page()) == ["5"]
    _, still = await collector.get("/?refresh=off")
    assert refreshes(Parsed(still)) == []
    assert 'href="/"' in still


# --- freshness and trouble -------------------------------------------------------------------------------------------


async def test_the_accounts_are_made_anew_after_ten_seconds_and_not_before(collector: Collector) -> None:
    async def adjusted() -> str:
        return (await collector.page()).rows(ACCOUNT)["G3 Fast"][2]

    assert await adjusted() == "–"
    await collector.take(*every(INTERVAL, 10 * MINUTE, 5 * MINUTE))
    collector.clock.at += 10 * SECOND - 1
    assert await adjusted() == "–"
    collector.clock.at += 1
    assert (await adjusted()).startswith("100%")


async def test_those_who_ask_together_share_one_computation() -> None:
    made = itertools.count(1)
    clock = SettableClock(0)
    shared = Shared(lambda: next(made), clock, 10 * SECOND)
    assert await asyncio.gather(*(shared.get() for _ in range(20))) == [1] * 20
    clock.at = 10 * SECOND - 1
    assert await shared.get() == 1
    clock.at = 10 * SECOND
    assert await asyncio.gather(*(shared.get() for _ in range(20))) == [2] * 20


async def test_a_computation_that_failed_is_not_kept() -> None:
    answers = iter([ValueError("the disk is gone"), None])

    def make() -> int:
        if trouble := next(answers):
            raise trouble
        return 7

    shared = Shared(make, SettableClock(0), 10 * SECOND)
    with pytest.raises(ValueError, match="disk is gone"):
        await shared.get()
    assert await shared.get() == 7


async def test_one_who_hangs_up_does_not_spoil_it_for_the_others() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def make() -> int:
        begun.set()
        assert go_on.wait(20)
        return 7

    shared = Shared(make, SettableClock(0), 10 * SECOND)
    first, second = asyncio.create_task(shared.get()), asyncio.create_task(shared.get())
    assert await asyncio.to_thread(begun.wait, 20)
    first.cancel()
    go_on.set()
    assert await second == 7
    assert first.cancelled()


async def test_a_store_that_does_not_answer_gives_a_page_that_tries_again(collector: Collector) -> None:
    collector.rooms.store.close()
    response, text = await collector.get()
    assert response.status == 503
    assert response.headers["Retry-After"] == "5"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    page = Parsed(text)
    assert page.texts("h1") == ["The store does not answer"]
    assert "the store could not answer" in " ".join(page.texts("p", "alarm"))
    assert [each["content"] for _, each, _ in page.elements if each.get("http-equiv") == "refresh"] == ["5"]


async def test_a_store_that_cannot_write_is_shown_as_an_alarm(collector: Collector) -> None:
    collector.rooms.intake.trouble = "the disk <full>"
    assert (await collector.page()).texts("p", "alarm") == [
        "▲ Results cannot be stored: the disk <full>. Agents keep them until that is over."
    ]
