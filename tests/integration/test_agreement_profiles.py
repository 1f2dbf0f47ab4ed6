"""Agreements as they ship, and what their clauses come to: weeks within a month, rolling days, regions, one service."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from collector_support import G1, G3, NOON, SETTLE, UTC, keep, run

from outrider.core.guarantee import Agreement, Composite, Guarantee, Measure
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.period import PeriodKind, parse_period
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Instant, parse_instant
from outrider.terminal.statement import show_statement
from outrider_collector.accounting import Accountant
from outrider_collector.agreements.files import load_agreement
from outrider_collector.config import load_collector
from outrider_collector.forms.csv_form import to_csv
from outrider_collector.forms.html_form import to_html
from outrider_collector.forms.pdf_form import to_pdf
from outrider_collector.forms.reading import read_statement
from outrider_collector.statement import make_statement
from outrider_collector.store.duckdb_store import DuckdbStore

CONFIG = Path(__file__).resolve().parents[2] / "config"
CORE = load_agreement(CONFIG / "guarantees" / "caqh-core.yaml")
JUNE = parse_period("2026-06", CORE.zone)
JULY = parse_period("2026-07", CORE.zone)
AUGUST = parse_instant("2026-08-20T00:00:00Z")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    made = DuckdbStore(tmp_path / "results.duckdb")
    yield made
    made.close()


def local(text: str) -> Instant:
    """A wall time in June or July in New York."""
    return parse_instant(f"2026-{text}:00-04:00")


def hourly(store: DuckdbStore, span: Interval, bad: Iterable[Interval] = ()) -> None:
    """A run in each hour from two regions; it speaks for its hour."""
    failed = tuple(bad)
    keep(
        store,
        [
            run(at, region=region, interval=HOUR, latency=1500 * 1000,
                outcome="service_down" if any(at in each for each in failed) else "ok")
            for at in range(span.start, span.end, HOUR)
            for region in ("east", "west")
        ],
        AUGUST - DAY,
    )  # fmt: skip


def statement(
    store: DuckdbStore, agreement: Agreement, period: Interval, *windows: Announcement, as_of: Instant = AUGUST
) -> dict[str, Any]:
    accountant = Accountant(store, agreement, SETTLE)
    plain = make_statement(accountant, accountant.basis(period, as_of, windows), "")
    plain = dict(json.loads(msgspec.json.encode(plain, order="deterministic")))
    assert json.loads(msgspec.json.encode(read_statement(plain))) == plain, "it is what the schema says"
    return plain


# --- the files -------------------------------------------------------------------------------------------------------


def test_both_shipped_agreements_load_and_say_what_was_promised() -> None:
    network = load_agreement(CONFIG / "guarantees" / "network-services.yaml")
    assert [(each.id, each.target, each.strict, each.limit, each.period_name) for each in network.guarantees] == [
        ("G1", Fraction(999, 1000), True, None, "month"),
        ("G3", Fraction(9, 10), False, 10 * SECOND, "month"),
    ]
    assert [(each.id, each.target, each.strict, each.limit, each.period_name) for each in CORE.guarantees] == [
        ("CORE-1", Fraction(9, 10), False, 20 * SECOND, "month"),
        ("CORE-2", Fraction(9, 10), False, None, "week"),
    ]
    assert not any(each.windows_excuse for each in CORE.guarantees)


@pytest.mark.parametrize("name", ["network-services", "caqh-core"])
def test_a_collectors_file_may_name_either(tmp_path: Path, name: str) -> None:
    text = (CONFIG / "collector.yaml").read_text(encoding="utf-8")
    path = tmp_path / "collector.yaml"
    agreement = CONFIG / "guarantees" / f"{name}.yaml"
    path.write_text(text.replace("guarantees/network-services.yaml", str(agreement), 1), encoding="utf-8")
    environ = {"OUTRIDER_COLLECTOR_LISTEN": "127.0.0.1:0", "OUTRIDER_STORE": "results.duckdb"}
    assert load_collector(path, environ).agreement == load_agreement(agreement)


# --- weeks within a month --------------------------------------------------------------------------------------------

TEN_HOURS = Interval(local("05-31T08:00"), local("05-31T18:00"))
EIGHTEEN_HOURS = Interval(local("06-10T00:00"), local("06-10T18:00"))
TWENTY_HOURS = Interval(local("06-29T00:00"), local("06-29T20:00"))


def eventful(store: DuckdbStore, as_of: Instant = AUGUST, period: Interval = JUNE) -> dict[str, Any]:
    """Ten hours down on Sunday 31 May, eighteen inside a window on 10 June, twenty on 29 June."""
    first, last = parse_period("2026-W23", CORE.zone), parse_period("2026-W27", CORE.zone)
    hourly(store, Interval(first.start, last.end), (TEN_HOURS, EIGHTEEN_HOURS, TWENTY_HOURS))
    window = Announcement(
        "w-1", 1, Act.ANNOUNCE, EIGHTEEN_HOURS.start, EIGHTEEN_HOURS.end, EIGHTEEN_HOURS.start - 20 * DAY
    )
    return statement(store, CORE, period, window, as_of=as_of)


def test_a_month_under_the_core_profile_judges_each_of_its_weeks_and_the_worst_stands(store: DuckdbStore) -> None:
    told = eventful(store)
    answered, available = told["guarantees"]
    assert (told["verdict"], answered["verdict"], available["verdict"]) == ("missed", "met", "missed")
    # June has 720 hours and two regions; 38 of the hours were down.
    assert (answered["adjusted"]["within"], answered["adjusted"]["samples"]) == (1364, 1440)
    assert (answered["periods"], answered["is_clause_period"]) == ([], True)
    weeks = [
        (each["label"], each["start"], each["verdict"], each["adjusted"]["percent"], each["decides"])
        for each in available["periods"]
    ]
    assert weeks == [
        # 10080 minutes a week; ten hours down are 600 of them: 9480/10080. The week began in May.
        ("2026-W23", "2026-05-31T04:00:00Z", "met", "94.04761%", False),
        # Eighteen hours are 1080: 9000/10080, and the window excuses nothing.
        ("2026-W24", "2026-06-07T04:00:00Z", "missed", "89.28571%", True),
        ("2026-W25", "2026-06-14T04:00:00Z", "met", "100%", False),
        ("2026-W26", "2026-06-21T04:00:00Z", "met", "100%", False),
    ]
    assert available["reason"] == "2026-W24: 1080 of 10080 slices down"
    assert available["measured"] == {"start": "2026-06-07T04:00:00Z", "end": "2026-06-14T04:00:00Z"}
    assert available["is_clause_period"] is True
    # 90 % of 10080 are 9072: 72 slices fewer down.
    assert available["margin"]["by"] == 72
    assert available["margin"]["text"].startswith("2026-W24: missed by 72 slices (1h12m)")
    assert [view["adjusted"]["percent"] for view in available["views"]] == ["89.28571%"] * 2
    outages = [
        (each["label"], outage["start"], outage["length_us"] // HOUR, outage["regions"])
        for each in available["periods"]
        for check in each["checks"]
        for outage in check["adjusted"]["outages"]
    ]
    assert outages == [
        ("2026-W23", "2026-05-31T12:00:00Z", 10, ["east", "west"]),
        ("2026-W24", "2026-06-10T04:00:00Z", 18, ["east", "west"]),
    ]
    (window,) = told["windows"]
    assert [(each["excused_us"], each["why_not"]) for each in window["excuses"]] == [
        (0, "scheduled downtime counts under this guarantee")
    ] * 2


def test_the_last_week_of_june_is_in_the_statement_of_july(store: DuckdbStore) -> None:
    told = eventful(store, period=JULY)
    _, available = told["guarantees"]
    first = available["periods"][0]
    assert (first["label"], first["verdict"], first["adjusted"]["percent"]) == ("2026-W27", "missed", "88.09523%")
    assert available["periods"][1]["verdict"] == "no data", "of that week there is no run"
    assert available["reason"].startswith("2026-W27: ")


def test_a_week_that_still_runs_is_judged_as_far_as_it_has_come(store: DuckdbStore) -> None:
    as_of = local("06-10T06:00")
    first = parse_period("2026-W23", CORE.zone)
    runs = [
        run(at, region=region, interval=HOUR, outcome="service_down" if at in EIGHTEEN_HOURS else "ok")
        for at in range(first.start, as_of, HOUR)
        for region in ("east", "west")
    ]
    keep(store, runs, as_of)
    _, available = statement(store, CORE, JUNE, as_of=as_of + MINUTE)["guarantees"]
    assert [each["label"] for each in available["periods"]] == ["2026-W23", "2026-W24"]
    running = available["periods"][1]
    assert running["measured"] == {"start": "2026-06-07T04:00:00Z", "end": "2026-06-10T10:00:00Z"}
    # Six of 78 hours so far.
    assert (running["verdict"], running["adjusted"]["numerator"], running["adjusted"]["denominator"]) == ("met", 12, 13)


def without_days(guarantee: dict[str, Any]) -> list[dict[str, Any]]:
    """Its checks; the bars beside them are about more days than the week."""
    return [{key: value for key, value in check.items() if key != "days"} for check in guarantee["checks"]]


def test_a_statement_of_the_week_alone_says_the_same_of_it(store: DuckdbStore) -> None:
    _, in_month = eventful(store)["guarantees"]
    accountant = Accountant(store, CORE, SETTLE)
    basis = accountant.basis(parse_period("2026-W24", CORE.zone), AUGUST, ())
    _, alone = json.loads(msgspec.json.encode(make_statement(accountant, basis, "")))["guarantees"]
    assert alone["periods"] == []
    week = in_month["periods"][1]
    assert (alone["verdict"], alone["margin"]) == (week["verdict"], week["margin"])
    assert without_days(alone) == week["checks"]
    assert without_days(in_month) == week["checks"], "the guarantee's figures are those of the week that decides"


def test_every_form_shows_the_weeks_and_names_the_one_that_decides(
    store: DuckdbStore, capsys: pytest.CaptureFixture[str]
) -> None:
    told = eventful(store)
    show_statement(told)
    shown = capsys.readouterr().out
    assert "89.28571 % (2026-W24)" in shown
    for week in ("2026-W23", "2026-W24 (decides)", "2026-W25", "2026-W26"):
        assert week in shown
    assert "judged from" not in shown, "a week of the month is judged whole"
    assert shown.count("outage eligibility") == 2
    read = read_statement(told)
    page = to_html(read).decode()
    assert "89.28571 % (2026-W24)" in page
    assert "The clause&#39;s own periods" in page
    assert all(f"2026-W{number}" in page for number in (23, 24, 25, 26))
    assert b"2026-W24 \\(decides\\)" in to_pdf(read)
    rows = list(csv.DictReader(StringIO(to_csv(read).decode(), newline="")))
    verdicts = {row["number"]: row["value"] for row in rows if (row["part"], row["field"]) == (
        "guarantees.periods", "verdict")}  # fmt: skip
    assert verdicts == {"2.1": "met", "2.2": "missed", "2.3": "met", "2.4": "met"}


def test_a_window_in_a_week_of_another_statement_says_so(store: DuckdbStore) -> None:
    weekly = replace(G1, period=PeriodKind.WEEK, zone=CORE.zone)
    hourly(store, Interval(JUNE.start - DAY, JULY.start + DAY))
    windows = [
        Announcement(name, 1, Act.ANNOUNCE, start, start + HOUR, start - DAY)
        for name, start in (
            ("may", local("05-31T01:00")),
            ("june", local("06-29T01:00")),
            ("april", local("04-29T01:00")),
        )
    ]
    told = statement(store, Agreement("A", (weekly,), CORE.zone), JUNE, *windows)
    assert {each["window"]: (each["excuses"][0]["excused_us"], each["excuses"][0]["why_not"])
            for each in told["windows"]} == {
        "may": (HOUR, None),  # it is in the week that ended in June
        "june": (0, "its time is in none of the periods that this clause is judged over here"),
    }  # fmt: skip


# --- rolling ---------------------------------------------------------------------------------------------------------


def test_a_rolling_clause_is_judged_over_its_last_days_up_to_the_end_of_the_period(store: DuckdbStore) -> None:
    hourly(store, Interval(JUNE.start, JULY.start), [Interval(local("06-22T00:00"), local("06-25T00:00"))])
    weekly = Guarantee("R1", "r", Measure.AVAILABILITY, Fraction(9, 10), period=PeriodKind.ROLLING, rolling=7 * DAY)
    timed = replace(weekly, id="R2", measure=Measure.RESPONSE_TIME, limit=SECOND)
    agreement = Agreement("A", (weekly, timed), UTC)
    (early, slow), (late, _) = (
        statement(store, agreement, parse_period(day, CORE.zone))["guarantees"] for day in ("2026-06-24", "2026-06-30")
    )
    assert (early["clause_period"], early["is_clause_period"]) == ("rolling 7d", True)
    (own,) = early["periods"]
    assert (own["label"], own["start"], own["end"]) == ("rolling 7d", "2026-06-18T04:00:00Z", "2026-06-25T04:00:00Z")
    assert (early["verdict"], early["views"][0]["adjusted"]["percent"]) == ("missed", "57.14285%")
    # From the 24th to the 30th: one day of seven.
    assert late["views"][0]["adjusted"]["percent"] == "85.71428%"
    # All runs take 1.5 s, and 72 of the 168 hours failed.
    assert (slow["verdict"], slow["adjusted"]["samples"], slow["adjusted"]["failed"]) == ("missed", 336, 144)
    assert slow["periods"][0]["readings"]["adjusted"] == slow["adjusted"]


# --- regions ---------------------------------------------------------------------------------------------------------

HALF_HOUR = Interval(NOON, NOON + 30 * MINUTE)


def every_minute(store: DuckdbStore, check: str = "eligibility", bad: Iterable[int] = (), **changes: Any) -> None:
    """A run a minute from east and west; failed in the minutes of `bad`."""
    regions = changes.pop("regions", ("east", "west"))
    failed = {NOON // MINUTE + minute for minute in bad}
    runs = [
        run(
            at + SECOND,
            check=check,
            region=region,
            outcome="service_down" if at // MINUTE in failed else "ok",
            **changes,
        )
        for at in range(HALF_HOUR.start, HALF_HOUR.end, MINUTE)
        for region in regions
    ]
    keep(store, runs, NOON + HOUR)


def judged(store: DuckdbStore, guarantee: Guarantee, *windows: Announcement) -> dict[str, Any]:
    told = statement(store, Agreement("A", (guarantee,), UTC), HALF_HOUR, *windows, as_of=NOON + DAY)
    return dict(told["guarantees"][0])


def test_a_region_that_must_speak_and_is_silent_is_named_and_others_do_not_count(
    store: DuckdbStore, capsys: pytest.CaptureFixture[str]
) -> None:
    every_minute(store)
    every_minute(store, bad=range(30), regions=("lab", "desk", "shed"))
    assert judged(store, G1)["verdict"] == "missed", "whoever is heard of counts, and three of five are down"
    listed = replace(G1, regions=("east", "north", "west"), coverage_floor=Fraction(1, 2))
    told = judged(store, listed)
    (check,) = told["checks"]
    assert [(each["region"], each["slices"]) for each in check["coverage"]] == [
        ("east", 30),
        ("north", 0),
        ("west", 30),
    ]
    assert (told["verdict"], told["reason"]) == ("inconclusive", "coverage is 0%, below the agreed 50%")
    assert "north has data in 0 of 30 slices" in told["margin"]["text"]
    assert (check["adjusted"]["samples"], check["adjusted"]["bad"]) == (60, 0)
    assert told["regions"] == ["east", "north", "west"]
    whole = statement(store, Agreement("A", (listed,), UTC), HALF_HOUR, as_of=NOON + DAY)
    show_statement(whole)
    assert "no run from north" in capsys.readouterr().out
    assert "silent: north" in to_html(read_statement(whole)).decode()
    assert judged(store, replace(listed, regions=("east", "west")))["verdict"] == "met"


def test_response_times_of_a_region_that_is_not_listed_are_not_pooled(store: DuckdbStore) -> None:
    every_minute(store)
    every_minute(store, regions=("lab",), latency=11 * SECOND)
    assert judged(store, G3)["adjusted"]["samples"] == 90
    told = judged(store, replace(G3, regions=("east", "west")))
    assert (told["verdict"], told["adjusted"]["samples"], told["raw"]["samples"]) == ("met", 60, 60)
    assert told["adjusted"]["p90_us_interval"] == [400_000, 400_000]


def test_an_outage_names_only_regions_that_count(store: DuckdbStore) -> None:
    every_minute(store, bad=[3])
    every_minute(store, bad=[3], regions=("lab",))
    (outage,) = judged(store, replace(G1, regions=("east", "west")))["checks"][0]["adjusted"]["outages"]
    assert (outage["regions"], outage["samples"]) == (["east", "west"], 2)


# --- several checks --------------------------------------------------------------------------------------------------


def test_checks_that_are_one_service_are_judged_as_one(store: DuckdbStore, capsys: pytest.CaptureFixture[str]) -> None:
    every_minute(store, "card", bad=[1, 2])
    every_minute(store, "card-backup", bad=[2, 3])
    window = Announcement("w", 1, Act.ANNOUNCE, NOON + 3 * MINUTE, NOON + 4 * MINUTE, NOON - DAY, ("card-backup",))
    target = replace(G1, target=Fraction(29, 30), strict=False)
    worst, every, some = (judged(store, replace(target, composite=each), window) for each in Composite)
    assert (worst["together"], worst["decided_by"]) == (None, "card"), "28/30 is below 28/29"
    together = every["together"]
    assert (together["check"], together["adjusted"]["up"], together["adjusted"]["down"]) == ("all of 2 checks", 28, 2)
    assert (every["verdict"], every["reason"]) == ("missed", "2 of 30 slices down")
    assert together["raw"]["down"] == 3
    (outage,) = together["adjusted"]["outages"]
    assert (outage["length_us"], outage["samples"]) == (2 * MINUTE, 6)
    assert every["margin"]["by"] == 1
    together = some["together"]
    assert (together["check"], together["adjusted"]["down"], some["verdict"]) == ("any of 2 checks", 1, "met")
    assert [each["verdict"] for each in some["checks"]] == ["missed", "missed"]
    assert some["views"][0]["adjusted"]["percent"] == "96.66666%"
    whole = statement(
        store, Agreement("A", (replace(target, composite=Composite.ANY),), UTC), HALF_HOUR, window, as_of=NOON + DAY
    )
    show_statement(whole)
    shown = capsys.readouterr().out
    assert "any of 2 checks" in shown
    assert "any of 2 checks" in to_html(read_statement(whole)).decode()


def test_a_clause_that_is_missed_by_one_check_shows_that_ones_figure_and_names_it(
    store: DuckdbStore, capsys: pytest.CaptureFixture[str]
) -> None:
    every_minute(store, "card", bad=[1])
    # The portal's one region was down for ten minutes: unknown, and its lower bound is below the card's.
    every_minute(store, "portal", bad=range(10), regions=("east",))
    told = judged(store, G1)
    assert (told["verdict"], told["decided_by"]) == ("missed", "card")
    assert told["reason"] == "1 of 30 slices down"
    lows = {each["check"]: each["adjusted"]["low"]["percent"] for each in told["checks"]}
    assert lows == {"card": "96.66666%", "portal": "66.66666%"}
    assert told["views"][0]["adjusted"]["percent"] == "96.66666%"
    whole = statement(store, Agreement("A", (G1,), UTC), HALF_HOUR, as_of=NOON + DAY)
    show_statement(whole)
    assert "96.66666 % (card)" in capsys.readouterr().out
    assert "96.66666 % (card)" in to_html(read_statement(whole)).decode()
    assert b"96.66666 % \\(card\\)" in to_pdf(read_statement(whole))
