"""What a statement says for itself: enough to be made again by the other party, and nothing that misleads."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from collector_support import G1, G3, NOON, SETTLE, UTC, keep, run

from outrider.core.guarantee import Agreement, Guarantee, KnownExpiry, Measure
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.period import PeriodKind, parse_period
from outrider.core.units import DAY, HOUR, MINUTE, SECOND
from outrider.core.wire import RunRecord
from outrider.terminal import seconds
from outrider_collector.accounting import Accountant
from outrider_collector.statement import make_statement
from outrider_collector.store.duckdb_store import DuckdbStore

TEN_MINUTES = Interval(NOON, NOON + 10 * MINUTE)
REGIONS = ("east", "west")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    made = DuckdbStore(tmp_path / "results.duckdb")
    yield made
    made.close()


def statement(
    store: DuckdbStore,
    *windows: Announcement,
    guarantees: tuple[Guarantee, ...] = (G1, G3),
    period: Interval = TEN_MINUTES,
    as_of: int = NOON + DAY,
    known_expiries: tuple[KnownExpiry, ...] = (),
) -> dict[str, Any]:
    accountant = Accountant(store, Agreement("A", guarantees, UTC), SETTLE, known_expiries)
    return make_statement(accountant, accountant.basis(period, as_of, windows), "")


def everywhere(outcome: str = "ok", period: Interval = TEN_MINUTES, **changes: Any) -> list[RunRecord]:
    return [
        run(minute + 10 * SECOND, region=region, outcome=outcome, **changes)
        for minute in range(period.start, period.end, MINUTE)
        for region in REGIONS
    ]


def test_refusal_everywhere_is_no_outage_while_the_expiry_was_known(store: DuckdbStore) -> None:
    keep(store, everywhere("probe_fault"), NOON)
    (missed, _) = statement(store)["guarantees"]
    assert (missed["verdict"], missed["checks"][0]["adjusted"]["down"]) == ("missed", 10)
    known = KnownExpiry(("elig*",), TEN_MINUTES)
    told = statement(store, known_expiries=(known,))
    assert (told["guarantees"][0]["verdict"], told["guarantees"][0]["reason"]) == ("no data", "no samples")
    assert told["known_expiries"] == [
        {"checks": ["elig*"], "start": "2026-06-15T12:00:00Z", "end": "2026-06-15T12:10:00Z"}
    ], "a statement names what it was told"
    other = KnownExpiry(("card-*",), TEN_MINUTES)
    assert statement(store, known_expiries=(other,))["guarantees"][0]["verdict"] == "missed"


def test_refusal_everywhere_is_seen_by_checks_that_run_more_rarely_than_the_slice(store: DuckdbStore) -> None:
    rarely = [
        run(NOON + offset, region=region, outcome="probe_fault", interval=5 * MINUTE)
        for region, offset in (("east", 10 * SECOND), ("west", 70 * SECOND))
    ]
    keep(store, rarely, NOON)
    adjusted = statement(store)["guarantees"][0]["checks"][0]["adjusted"]
    # West speaks from minute 1, east until minute 4: four minutes in which both are refused.
    assert (adjusted["down"], adjusted["unknown"]) == (4, 6)


def test_without_a_sample_there_is_no_percentage(store: DuckdbStore) -> None:
    keep(store, everywhere(period=Interval(NOON - HOUR, NOON - 50 * MINUTE)), NOON)
    (available, fast) = statement(store)["guarantees"]
    (part,) = available["checks"]
    assert part["verdict"] == "no data"
    assert [part["adjusted"][key] for key in ("figure", "low", "high")] == [None] * 3
    assert (fast["adjusted"]["share"], fast["reason"]) == (None, "no samples")


def test_all_excused_is_told_from_no_samples(store: DuckdbStore) -> None:
    keep(store, everywhere(), NOON)
    window = Announcement("w", 1, Act.ANNOUNCE, TEN_MINUTES.start, TEN_MINUTES.end, NOON - 100 * HOUR)
    assert {each["reason"] for each in statement(store, window)["guarantees"]} == {"all excused"}


def test_what_is_too_young_to_be_judged_says_so(store: DuckdbStore) -> None:
    keep(store, everywhere(), NOON)
    young = statement(store, as_of=NOON + SECOND)["guarantees"][0]
    assert (young["verdict"], young["reason"], young["measured"]) == (
        "no data", "nothing is old enough to be judged", None)  # fmt: skip


def test_a_check_that_the_clause_names_belongs_to_it_though_nobody_heard_of_it(store: DuckdbStore) -> None:
    keep(store, everywhere(), NOON)
    named = Guarantee(
        "G1", "named", Measure.AVAILABILITY, Fraction(9, 10), checks=("eligibility", "card"), coverage_floor=Fraction(1)
    )
    (told,) = statement(store, guarantees=(named,))["guarantees"]
    assert [(part["check"], part["verdict"]) for part in told["checks"]] == [
        ("card", "no data"),
        ("eligibility", "met"),
    ]
    assert told["verdict"] == "no data", "silence is not met"


def test_an_outage_names_only_what_failed(store: DuckdbStore) -> None:
    keep(store, everywhere("service_down"), NOON)
    keep(store, [run(NOON + n, region="north", outcome="business_unexpected") for n in range(3)], NOON)
    keep(store, [run(NOON + n, region="south", outcome="agent_fault") for n in range(3)], NOON)
    (outage,) = statement(store)["guarantees"][0]["checks"][0]["adjusted"]["outages"]
    assert outage["regions"] == ["east", "west"]
    assert outage["samples"] == 20
    assert [cause["outcome"] for cause in outage["causes"]] == ["service_down"]


def test_a_window_over_the_edge_of_a_period_excuses_in_each_only_its_part(store: DuckdbStore) -> None:
    keep(store, everywhere(), NOON)
    window = Announcement("w", 1, Act.ANNOUNCE, NOON + 8 * MINUTE, NOON + 28 * MINUTE, NOON - 100 * HOUR)
    (told,) = statement(store, window)["windows"]
    assert [(each["excused_us"], each["why_not"]) for each in told["excuses"]] == [(2 * MINUTE, None)] * 2


def test_a_statement_holds_every_parameter_that_it_was_judged_by(store: DuckdbStore) -> None:
    keep(store, everywhere(), NOON)
    told = statement(store)
    wanted = {
        "target", "view", "notice_us", "slice_us", "coverage_floor", "scope", "quorum", "cap_us", "windows_excuse",
        "void_inflight", "counts", "clause_period", "is_clause_period", "measured",
    }  # fmt: skip
    assert all(wanted <= guarantee.keys() for guarantee in told["guarantees"])
    assert {"settle_us", "in_force_from", "timezone", "timezone_data", "ledger", "as_of"} <= told.keys()
    assert told["guarantees"][0]["counts"]["throttled"] == "bad"


def test_a_period_that_is_not_the_clauses_own_is_marked(store: DuckdbStore) -> None:
    keep(store, everywhere(), NOON)
    zone = ZoneInfo("America/New_York")
    monthly = Guarantee("M", "m", Measure.AVAILABILITY, Fraction(9, 10), period=PeriodKind.MONTH, zone=zone)
    weekly = Guarantee("W", "w", Measure.AVAILABILITY, Fraction(9, 10), period=PeriodKind.WEEK, zone=zone)
    month = statement(store, guarantees=(monthly, weekly), period=parse_period("2026-06", zone))
    assert [each["is_clause_period"] for each in month["guarantees"]] == [True, True]
    assert [len(each["periods"]) for each in month["guarantees"]] == [0, 3], "as of the 16th, three weeks have begun"
    week = statement(store, guarantees=(monthly, weekly), period=parse_period("2026-W25", zone))
    assert [each["is_clause_period"] for each in week["guarantees"]] == [False, True]


def test_a_slice_that_could_straddle_the_edge_of_a_period_is_refused() -> None:
    with pytest.raises(ValueError, match="must divide 15 minutes"):
        Guarantee("g", "g", Measure.AVAILABILITY, Fraction(9, 10), slice=HOUR)


@pytest.mark.parametrize(
    ("duration", "samples", "text"),
    [
        (10_000_400, 1, "10.001 s"),
        (10_000_000, 1, "10.000 s"),
        (1, 1, "0.001 s"),
        (0, 1, "0.000 s"),
        (None, 5, "∞"),
        (None, 0, "–"),
    ],
)
def test_durations_are_rounded_up_and_nothing_is_not_infinite(duration: int | None, samples: int, text: str) -> None:
    assert seconds(duration, samples) == text
