"""Days and bands of a statement: counted by its own rules, in the agreement's zone, and adding up to its figures."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from collector_support import G1, G3, NOON, SETTLE, UTC, keep, run

from outrider.core.guarantee import Agreement, Composite, Guarantee, Measure
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.period import PeriodKind, parse_period
from outrider.core.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Instant, parse_instant
from outrider_collector.accounting import Accountant
from outrider_collector.forms.reading import read_statement
from outrider_collector.statement import make_accounts, make_statement
from outrider_collector.statement.days import DAYS_SHOWN, last_days
from outrider_collector.store.duckdb_store import DuckdbStore
from outrider_collector.summaries import Summaries
from outrider_collector.time_units import cut, cut_from_midnight

NEW_YORK = ZoneInfo("America/New_York")
KOLKATA = ZoneInfo("Asia/Kolkata")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
REGIONS = ("east", "west")
COUNTS = ("up", "down", "unknown", "excused")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    made = DuckdbStore(tmp_path / "results.duckdb")
    yield made
    made.close()


def statement(
    store: DuckdbStore,
    period: Interval,
    *windows: Announcement,
    guarantees: tuple[Guarantee, ...] = (G1, G3),
    zone: ZoneInfo = UTC,
    as_of: Instant | None = None,
    force: Instant | None = None,
    summaries: Summaries | None = None,
) -> dict[str, Any]:
    zoned = tuple(replace(each, zone=zone) for each in guarantees)
    accountant = Accountant(store, Agreement("A", zoned, zone, force), SETTLE, (), summaries)
    at = period.end + DAY if as_of is None else as_of
    made = make_statement(accountant, accountant.basis(period, at, windows), "")
    read_statement(msgspec.json.decode(msgspec.json.encode(made)))
    return made


def hourly(start: Instant, end: Instant, *, outcome: str = "ok", step: int = HOUR, **changes: Any) -> list[Any]:
    return [
        run(at + 5 * SECOND, region=region, outcome=outcome, **changes)
        for at in range(start, end, step)
        for region in REGIONS
    ]


def window(start: Instant, end: Instant, name: str = "w") -> Announcement:
    return Announcement(name, 1, Act.ANNOUNCE, start, end, start - 10 * DAY)


def of_day(made: dict[str, Any], day: str, check: int = 0) -> dict[str, Any]:
    (found,) = [each for each in made["guarantees"][0]["checks"][check]["days"] if each["day"] == day]
    return dict(found)


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "period", "lengths"),
    [
        (NEW_YORK, "2026-03", {23: 1, 24: 30}),
        (NEW_YORK, "2026-11", {25: 1, 24: 29}),
        (KOLKATA, "2026-03", {24: 31}),
        (LORD_HOWE, "2026-04", {24.5: 1, 24: 29}),
        (UTC, "2026-02", {24: 28}),
    ],
)
def test_a_month_is_cut_into_the_days_of_its_zone(zone: ZoneInfo, period: str, lengths: dict[float, int]) -> None:
    span = parse_period(period, zone)
    units = list(cut(span, zone))
    found = [unit.length / HOUR for unit in units]
    assert {length: found.count(length) for length in set(found)} == lengths
    assert [units[0].start, units[-1].end] == [span.start, span.end]
    assert all(left.end == right.start for left, right in pairwise(units))


def test_bins_of_an_hour_begin_at_the_midnight_of_a_zone_that_is_half_an_hour_off() -> None:
    day = parse_period("2026-06-15", KOLKATA)
    bins = list(cut_from_midnight(Interval(day.start + 10 * MINUTE, day.end), HOUR, KOLKATA))
    assert (bins[0].length, bins[1].start, len(bins)) == (50 * MINUTE, day.start + HOUR, 24)
    assert bins[1].start % HOUR == 30 * MINUTE


@pytest.mark.parametrize("zone", [UTC, NEW_YORK, KOLKATA])
def test_ninety_days_end_with_what_is_judged(zone: ZoneInfo) -> None:
    end = parse_period("2026-06", zone).end
    days = last_days(end, zone)
    assert (len(days), days[-1].end) == (DAYS_SHOWN, end)
    assert all(left.end == right.start for left, right in pairwise(days))
    cut_short = last_days(end - 3 * HOUR, zone)
    assert (cut_short[0].start, cut_short[-1]) == (days[0].start, Interval(days[-1].start, end - 3 * HOUR))


# --- days -------------------------------------------------------------------------------------------------------------


def some_runs(chance: random.Random, span: Interval, **changes: Any) -> list[Any]:
    def one(at: Instant) -> Any:
        is_storm = at // HOUR % 9 == 0
        outcome = "service_down" if chance.random() < (0.8 if is_storm else 0.02) else "ok"
        return run(
            at, region=chance.choice(REGIONS), outcome=outcome, latency=chance.randrange(1, 12 * SECOND), **changes
        )

    return [one(chance.randrange(span.start, span.end)) for _ in range(1200)]


@pytest.mark.parametrize("zone", [UTC, NEW_YORK, KOLKATA, LORD_HOWE])
@pytest.mark.parametrize(
    "kind", [{}, {"interval": 5 * MINUTE}, {"void_inflight": True}], ids=["each slice", "carried", "in flight"]
)
def test_the_days_of_the_period_add_up_to_its_figures(store: DuckdbStore, zone: ZoneInfo, kind: dict[str, Any]) -> None:
    chance = random.Random(str((zone.key, sorted(kind))))
    period = Interval(parse_period("2026-03-06", zone).start, parse_period("2026-03-10", zone).end)
    around = Interval(period.start - 3 * DAY, period.end)
    interval = kind.get("interval", MINUTE)
    keep(store, some_runs(chance, around, interval=interval), period.start)
    keep(store, some_runs(chance, around, check="card"), period.start)
    starts = [chance.randrange(around.start, around.end) for _ in range(12)]
    midnight = parse_period("2026-03-08", zone).start
    windows = [window(at, at + chance.choice([SECOND, HOUR, 5 * HOUR]), f"w{at}") for at in [*starts, midnight]]
    straddler = run(midnight - 5 * SECOND, outcome="service_down", latency=9 * SECOND, interval=interval)
    keep(store, [straddler], period.start)
    guarantees = (replace(G1, void_inflight=kind.get("void_inflight", False)),)
    summaries = Summaries(store)
    made = statement(store, period, *windows, guarantees=guarantees, zone=zone, summaries=summaries)
    (guarantee,) = made["guarantees"]
    inside = [number for number, day in enumerate(guarantee["days"]) if day["in_period"]]
    assert len(inside) == 5
    for check in guarantee["checks"]:
        for name in COUNTS:
            assert sum(check["days"][number][name] for number in inside) == check["adjusted"][name], name
    counted = summaries.made
    assert statement(store, period, *windows, guarantees=guarantees, zone=zone, summaries=summaries) == made
    assert summaries.made == counted, "the second time nothing is counted"


def test_each_state_is_told_from_the_others(store: DuckdbStore) -> None:
    june = parse_period("2026-06", UTC)

    def start(number: int) -> Instant:
        return june.start + (number - 1) * DAY

    up = hourly(start(1), june.end, step=MINUTE * 10, interval=10 * MINUTE)
    is_silent = Interval(start(5), start(6))
    is_down = Interval(start(10), start(10) + 10 * MINUTE)
    kept = [each for each in up if each.started_at not in is_silent and each.started_at not in is_down]
    keep(store, kept + hourly(is_down.start, is_down.end, outcome="service_down", interval=10 * MINUTE), june.end)
    one = replace(G1, target=Fraction(9, 10))
    made = statement(store, june, window(start(20), start(21)), guarantees=(one,), force=start(-1))
    states = {day["day"]: day["state"] for day in made["guarantees"][0]["checks"][0]["days"]}
    assert [states[f"2026-06-{day:02}"] for day in (1, 5, 10, 20, 30)] == [
        "up", "no data", "partly down", "excused", "up",
    ]  # fmt: skip
    assert (states["2026-05-29"], states["2026-05-30"]) == ("not in force", "no data")
    assert of_day(made, "2026-06-20")["excused"] == 1440
    assert [of_day(made, "2026-06-10")[name] for name in COUNTS] == [1430, 10, 0, 0]
    strict = statement(store, june, guarantees=(G1,), force=start(-1))
    assert of_day(strict, "2026-06-10")["state"] == "missed"


def test_a_day_on_which_the_clocks_change_has_as_many_slices_as_it_has_minutes(store: DuckdbStore) -> None:
    march = parse_period("2026-03", NEW_YORK)
    keep(store, hourly(march.start, march.end, interval=HOUR), march.end)
    made = statement(store, march, guarantees=(G1,), zone=NEW_YORK)
    assert [sum(of_day(made, day)[name] for name in COUNTS) for day in ("2026-03-07", "2026-03-08")] == [1440, 1380]


def test_a_clause_is_as_its_worst_check_and_names_it(store: DuckdbStore) -> None:
    day = parse_period("2026-06-15", UTC)
    for check, outcome in (("card", "service_down"), ("eligibility", "ok"), ("fhir", "service_down")):
        keep(store, hourly(day.start, day.end, check=check, outcome=outcome, step=10 * MINUTE), NOON)
    made = statement(store, day, guarantees=(G1,))["guarantees"][0]
    assert made["days"][-1] == {
        "day": "2026-06-15", "state": "missed", "checks": ["card", "fhir"], "in_period": True
    }  # fmt: skip
    assert [each["in_period"] for each in made["days"]] == [False] * 89 + [True]


@pytest.mark.parametrize(("composite", "state"), [(Composite.ANY, "up"), (Composite.ALL, "missed")])
def test_a_clause_whose_checks_are_one_service_has_days_of_that_service(
    store: DuckdbStore, composite: Composite, state: str
) -> None:
    day = parse_period("2026-06-15", UTC)
    for check, start, end in (("card", 2, 4), ("eligibility", 8, 10)):
        down = Interval(day.start + start * HOUR, day.start + end * HOUR)
        spans = [(day.start, down.start, "ok"), (down.start, down.end, "service_down"), (down.end, day.end, "ok")]
        for begin, until, outcome in spans:
            keep(store, hourly(begin, until, check=check, outcome=outcome, step=MINUTE), NOON)
    made = statement(store, day, guarantees=(replace(G1, composite=composite),))["guarantees"][0]
    assert [check["days"][-1]["state"] for check in made["checks"]] == ["missed", "missed"]
    assert made["days"][-1]["state"] == state


def test_a_weekly_clause_shows_the_days_of_the_whole_statement(store: DuckdbStore) -> None:
    june = parse_period("2026-06", UTC)
    keep(store, hourly(june.start - 2 * DAY, june.end, step=10 * MINUTE), june.end)
    weekly = (replace(G1, period=PeriodKind.WEEK), replace(G3, period=PeriodKind.WEEK))
    made = statement(store, june, guarantees=weekly)
    (one, two) = made["guarantees"]
    assert len(one["periods"]) > 1
    assert (one["days"][-1]["day"], sum(day["in_period"] for day in one["days"])) == ("2026-06-30", 30)
    assert len(two["bands"]["bins"]) == 30


def test_a_period_that_still_runs_shows_the_days_up_to_now(store: DuckdbStore) -> None:
    june = parse_period("2026-06", UTC)
    keep(store, hourly(june.start, NOON, step=MINUTE), NOON)
    made = statement(store, june, guarantees=(G1,), as_of=NOON)["guarantees"][0]
    last = made["checks"][0]["days"][-1]
    assert (last["day"], len(made["days"])) == ("2026-06-15", 90)
    assert last["up"] == 12 * 60 - SETTLE // MINUTE, "what may still be under way is not judged"


def test_a_late_result_changes_its_own_day_alone_and_the_earlier_statement_stays(store: DuckdbStore) -> None:
    day = parse_period("2026-06-15", UTC)
    keep(store, hourly(day.start - 5 * DAY, day.end, step=10 * MINUTE), day.end)
    summaries = Summaries(store)
    first = statement(store, day, guarantees=(G1,), summaries=summaries)
    late = hourly(day.start - 3 * DAY, day.start - 3 * DAY + HOUR, outcome="service_down", step=MINUTE)
    keep(store, late, day.end + 2 * DAY, agent="late-1")
    counted = summaries.made
    second = statement(store, day, guarantees=(G1,), summaries=summaries, as_of=day.end + 3 * DAY)
    assert summaries.made == counted + 1, "one day of one check"
    days = [made["guarantees"][0]["checks"][0]["days"] for made in (first, second)]
    assert [old["day"] for old, new in zip(*days, strict=True) if old != new] == ["2026-06-12"]
    assert statement(store, day, guarantees=(G1,), summaries=summaries) == first


def test_the_page_does_without_days(store: DuckdbStore) -> None:
    keep(store, hourly(NOON - HOUR, NOON, step=MINUTE), NOON)
    accountant = Accountant(store, Agreement("A", (G1, G3), UTC), SETTLE)
    basis = accountant.basis(Interval(NOON - HOUR, NOON), NOON + HOUR, ())
    (one, two) = make_accounts(accountant, basis, "")[1]["guarantees"]
    assert "days" not in one
    assert "bands" not in two


# --- bands ------------------------------------------------------------------------------------------------------------


def bands(made: dict[str, Any]) -> dict[str, Any]:
    (found,) = [each["bands"] for each in made["guarantees"] if each["measure"] == Measure.RESPONSE_TIME.value]
    return dict(found)


def test_a_bin_holds_the_nearest_rank_with_failures_as_infinity(store: DuckdbStore) -> None:
    day = parse_period("2026-06-15", UTC)
    times = [(n * 100 + 50) * MILLISECOND - 300 for n in range(1, 11)]

    def ten(start: Instant, failed: int) -> list[Any]:
        good = [run(start + n * MINUTE, latency=each) for n, each in enumerate(times[: 10 - failed])]
        return good + [run(start + (30 + n) * MINUTE, outcome="service_down") for n in range(failed)]

    keep(store, ten(day.start, 0) + ten(day.start + HOUR, 1) + ten(day.start + 2 * HOUR, 2), NOON)
    made = bands(statement(store, day, window(day.start + HOUR, day.start + 2 * HOUR)))
    assert (made["bin"], made["precision_us"], made["rounding"], len(made["bins"])) == ("hour", 1000, "up", 24)
    names = ("samples", "failed", "within", "excused", "p50_us", "p90_us", "p99_us")
    found = [tuple(each[name] for name in names) for each in made["bins"][:4]]
    assert found == [
        (10, 0, 10, 0, 550_000, 950_000, 1_050_000),
        (0, 0, 0, 10, None, None, None),
        (10, 2, 8, 0, 550_000, None, None),
        (0, 0, 0, 0, None, None, None),
    ]
    open_to_all = bands(statement(store, day))["bins"][1]
    assert [open_to_all[name] for name in ("p90_us", "p99_us")] == [950_000, None]


@pytest.mark.parametrize(
    ("length", "name", "bins"),
    [(30 * MINUTE, "1 min", 30), (3 * HOUR, "5 min", 36), (3 * DAY, "hour", 72), (4 * DAY, "day", 4)],
)
def test_bins_are_as_long_as_the_period_allows(store: DuckdbStore, length: int, name: str, bins: int) -> None:
    start = parse_instant("2026-06-15T00:00:00Z")
    keep(store, hourly(start, start + length, step=10 * MINUTE, latency=SECOND), start)
    made = bands(statement(store, Interval(start, start + length)))
    assert (made["bin"], len(made["bins"])) == (name, bins)
    assert sum(each["samples"] for each in made["bins"]) == len(hourly(start, start + length, step=10 * MINUTE))


@pytest.mark.parametrize("zone", [NEW_YORK, KOLKATA, LORD_HOWE])
def test_the_bins_add_up_to_the_figures_of_the_clause(store: DuckdbStore, zone: ZoneInfo) -> None:
    chance = random.Random(zone.key)
    period = Interval(parse_period("2026-03-05", zone).start, parse_period("2026-03-10", zone).end)
    keep(store, some_runs(chance, period), period.start)
    windows = [window(at, at + 7 * HOUR, f"w{at}") for at in (period.start + HOUR, period.start + 50 * HOUR)]
    for void_inflight in (False, True):
        clause = replace(G3, void_inflight=void_inflight)
        made = statement(store, period, *windows, guarantees=(clause,), zone=zone)
        adjusted, found = made["guarantees"][0]["adjusted"], bands(made)["bins"]
        assert len(found) == 6
        for name in ("samples", "failed", "within"):
            assert sum(each[name] for each in found) == adjusted[name], name
