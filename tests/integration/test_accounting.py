"""From stored runs to judged guarantees: the whole way, with numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from collector_support import G1, G3, NOON, SETTLE, UTC, keep, run

from outrider.core.guarantee import Agreement, Guarantee, View
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.period import parse_period
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Duration, Instant, parse_instant
from outrider.core.verdict import Verdict
from outrider.core.wire import RunRecord
from outrider_collector.accounting import Accountant
from outrider_collector.accounts import Account
from outrider_collector.statement import make_statement
from outrider_collector.store.duckdb_store import DuckdbStore

NEW_YORK = ZoneInfo("America/New_York")
HALF_HOUR = Interval(NOON - 10 * MINUTE, NOON + 20 * MINUTE)
LATE = NOON + DAY
REGIONS = ("east", "west")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    made = DuckdbStore(tmp_path / "results.duckdb")
    yield made
    made.close()


def every_minute(period: Interval = HALF_HOUR, bad: Iterable[Instant] = (), **changes: Any) -> list[RunRecord]:
    """A run ten seconds into each minute and region; in the minutes of `bad` it fails in both."""
    failed = set(bad)
    return [
        run(
            minute + 10 * SECOND,
            region=region,
            **{"outcome": "service_down" if minute in failed else "ok", **changes},
        )
        for minute in range(period.start, period.end, MINUTE)
        for region in REGIONS
    ]


def window(
    start: Instant, end: Instant, name: str = "w1", notice: Duration = 2 * HOUR, scope: tuple[str, ...] = ("*",)
) -> Announcement:
    return Announcement(name, 1, Act.ANNOUNCE, start, end, start - notice, scope)


def account(
    store: DuckdbStore,
    guarantee: Guarantee = G1,
    *windows: Announcement,
    period: Interval = HALF_HOUR,
    as_of: Instant = LATE,
    in_force_from: Instant | None = None,
) -> Account:
    accountant = Accountant(store, Agreement("A", (guarantee,), guarantee.zone, in_force_from), SETTLE)
    return accountant.account(guarantee, accountant.basis(period, as_of, windows))


def statement(
    store: DuckdbStore,
    *windows: Announcement,
    guarantees: Sequence[Guarantee] = (G1, G3),
    period: Interval = HALF_HOUR,
    as_of: Instant = LATE,
) -> dict[str, Any]:
    accountant = Accountant(store, Agreement("A", tuple(guarantees), UTC), SETTLE)
    return make_statement(accountant, accountant.basis(period, as_of, windows), "the half hour")


def slices(made: Account, check: str = "eligibility", *, raw: bool = False) -> tuple[int, int, int, int]:
    """Up, down, unknown, excused."""
    (part,) = (each for each in made.parts if each.check == check)
    sli = part.raw if raw else part.adjusted
    return sli.up, sli.down, sli.unknown, sli.excused


def verdict(made: Account) -> tuple[str, str]:
    return made.judgement.verdict.value, made.judgement.reason


# --- availability ----------------------------------------------------------------------------------------------------


def test_every_slice_up_is_met_and_one_of_thirty_down_is_missed(store: DuckdbStore) -> None:
    keep(store, every_minute(), NOON)
    assert slices(account(store)) == (30, 0, 0, 0)
    assert verdict(account(store)) == ("met", "30 of 30 slices up")
    keep(
        store,
        [run(NOON + n * SECOND, region=region, outcome="malformed") for region in REGIONS for n in (20, 30)],
        NOON,
    )
    assert slices(account(store)) == (29, 1, 0, 0), "in that minute one of three samples is good in each region"
    assert verdict(account(store)) == ("missed", "1 of 30 slices down")


def test_of_several_missed_checks_the_one_that_is_worst_off_says_why(store: DuckdbStore) -> None:
    keep(store, every_minute(bad=[NOON], check="card"), NOON)
    keep(store, every_minute(bad=[NOON, NOON + MINUTE]), NOON)
    assert verdict(account(store)) == ("missed", "2 of 30 slices down")


def test_windows_leave_the_adjusted_figure_and_stay_in_the_raw_one(store: DuckdbStore) -> None:
    down = range(NOON, NOON + 5 * MINUTE, MINUTE)
    keep(store, every_minute(bad=down), NOON)
    made = account(store, G1, window(NOON, NOON + 10 * MINUTE))
    assert slices(made) == (20, 0, 0, 10)
    assert slices(made, raw=True) == (25, 5, 0, 0)
    (part,) = made.parts
    assert (part.adjusted.figure, part.raw.figure) == (Fraction(1), Fraction(25, 30))
    assert (part.adjusted.samples, part.raw.samples, part.raw.bad_samples) == (40, 60, 10)
    assert verdict(made) == ("met", "20 of 20 slices up")
    too_late = account(store, G1, window(NOON, NOON + 10 * MINUTE, notice=HOUR - 1))
    assert slices(too_late) == slices(too_late, raw=True) == (25, 5, 0, 0)
    just_in_time = account(store, G1, window(NOON, NOON + 10 * MINUTE, notice=HOUR))
    assert slices(just_in_time) == (20, 0, 0, 10)


def test_a_window_that_covers_a_slice_in_part_leaves_its_other_samples_to_judge_it(store: DuckdbStore) -> None:
    keep(store, every_minute(), NOON)
    # 12:00 has a bad sample inside the window, 12:02 two in each region: one inside, one outside.
    keep(store, [run(NOON + 45 * SECOND, region=region, outcome="service_down") for region in REGIONS], NOON)
    keep(
        store,
        [run(NOON + 2 * MINUTE + at * SECOND, region=region, outcome="service_down")
         for region in REGIONS for at in (20, 40, 50)],
        NOON,
    )  # fmt: skip
    made = account(store, G1, window(NOON + 30 * SECOND, NOON + 2 * MINUTE + 30 * SECOND))
    # 12:00 is up: its outside sample is good. 12:01 is excused. 12:02: of 40 s and 50 s both are bad: down.
    assert slices(made) == (28, 1, 0, 1)
    assert made.parts[0].adjusted.outages.members == (Interval(NOON + 2 * MINUTE, NOON + 3 * MINUTE),)
    # Raw, 12:00 has one good of two, which is not less than half; 12:02 one of four.
    assert slices(made, raw=True) == (29, 1, 0, 0)


def test_a_window_covers_only_the_checks_in_its_scope(store: DuckdbStore) -> None:
    for check in ("eligibility", "card-sale", "card-void"):
        keep(store, every_minute(bad=[NOON], check=check), NOON)
    made = account(store, G1, window(NOON, NOON + MINUTE, scope=("card-*",)))
    assert slices(made, "card-sale") == slices(made, "card-void") == (29, 0, 0, 1)
    assert slices(made, "eligibility") == (29, 1, 0, 0)
    assert made.judgement.verdict is Verdict.MISSED, "the worst check stands for all"
    only_cards = account(store, replace(G1, checks=("card-*",)), window(NOON, NOON + MINUTE, scope=("card-*",)))
    assert [part.check for part in only_cards.parts] == ["card-sale", "card-void"]
    assert verdict(only_cards) == ("met", "29 of 29 slices up")


@pytest.mark.parametrize("purpose", ["load", "verify", "once"])
def test_runs_of_another_purpose_never_enter_the_accounts(store: DuckdbStore, purpose: str) -> None:
    keep(store, every_minute(), NOON)
    before = statement(store)
    keep(store, every_minute(bad=range(HALF_HOUR.start, HALF_HOUR.end, MINUTE), purpose=purpose, check="other"), NOON)
    keep(store, every_minute(bad=range(HALF_HOUR.start, HALF_HOUR.end, MINUTE), purpose=purpose), NOON)
    assert {**statement(store), "ledger": 1} == {**before, "ledger": 1}


def test_a_run_sent_before_a_window_counts_and_one_sent_inside_does_not_however_long_they_take(
    store: DuckdbStore,
) -> None:
    keep(store, [each for each in every_minute() if each.started_at // MINUTE != (NOON - MINUTE) // MINUTE], NOON)
    straddling = {"outcome": "service_down", "latency": 5 * SECOND}
    keep(store, [run(NOON - SECOND, region=region, **straddling) for region in REGIONS], NOON)
    keep(store, [run(NOON + 10 * MINUTE - SECOND, region=region, **straddling) for region in REGIONS], NOON)
    made = account(store, G1, window(NOON, NOON + 10 * MINUTE))
    assert slices(made) == (19, 1, 0, 10)
    assert made.parts[0].adjusted.outages.members == (Interval(NOON - MINUTE, NOON),)
    pooled = account(store, G3, window(NOON, NOON + 10 * MINUTE)).pooled
    assert pooled is not None
    assert (pooled.adjusted.samples, pooled.adjusted.bad) == (40, 2)


def test_where_it_is_agreed_a_bad_run_in_flight_when_a_window_opens_is_void_and_a_good_one_stays(
    store: DuckdbStore,
) -> None:
    keep(store, [each for each in every_minute() if each.started_at // MINUTE != (NOON - MINUTE) // MINUTE], NOON)
    keep(store, [run(NOON - SECOND, region="east", outcome="service_down", latency=5 * SECOND),
                 run(NOON - SECOND, region="west", latency=5 * SECOND),
                 run(NOON - 9 * SECOND, region="west", outcome="service_down", latency=5 * SECOND)], NOON)  # fmt: skip
    opening = window(NOON, NOON + 10 * MINUTE)
    assert slices(account(store, G1, opening)) == (20, 0, 0, 10), "east is down, west is not: no majority"
    made = account(store, replace(G1, void_inflight=True), opening)
    # East has no sample left; west has one good and one bad that ended before: not less than half, so up.
    assert slices(made) == (20, 0, 0, 10)
    adjusted, raw = made.parts[0].adjusted, made.parts[0].raw
    assert (adjusted.void_samples, adjusted.bad_samples, adjusted.samples) == (1, 1, 40)
    assert adjusted.coverage == {"east": 19, "west": 20}
    assert (raw.void_samples, raw.bad_samples, raw.samples) == (0, 2, 61), "without windows nothing is in flight"
    pooled = account(store, replace(G3, void_inflight=True), opening).pooled
    assert pooled is not None
    assert (pooled.adjusted.void, pooled.adjusted.bad, pooled.adjusted.samples) == (1, 1, 40)
    assert (pooled.raw.void, pooled.raw.bad, pooled.raw.samples) == (0, 2, 61)


# --- silence ---------------------------------------------------------------------------------------------------------


def test_a_region_that_falls_silent_lowers_coverage_and_the_floor_makes_met_inconclusive(store: DuckdbStore) -> None:
    runs = every_minute()
    keep(store, [each for each in runs if each.region == "east" or each.started_at < NOON + 5 * MINUTE], NOON)
    made = account(store)
    assert (slices(made), verdict(made)) == ((30, 0, 0, 0), ("met", "30 of 30 slices up"))
    assert made.parts[0].adjusted.coverage == {"east": 30, "west": 15}
    floored = replace(G1, coverage_floor=Fraction(9, 10))
    assert verdict(account(store, floored)) == ("inconclusive", "coverage is 50%, below the agreed 90%")
    assert verdict(account(store, replace(floored, coverage_floor=Fraction(1, 2))))[0] == "met"
    fast = account(store, replace(G3, coverage_floor=Fraction(9, 10)))
    assert verdict(fast) == ("inconclusive", "coverage is 50%, below the agreed 90%")


def test_a_region_that_was_there_last_week_and_not_at_all_in_the_period_shows_with_no_coverage(
    store: DuckdbStore,
) -> None:
    keep(store, every_minute(), NOON)
    keep(store, [run(HALF_HOUR.start - 6 * DAY, region="north"), run(HALF_HOUR.start - 8 * DAY, region="south")], NOON)
    made = account(store, replace(G1, coverage_floor=Fraction(1, 100)))
    assert made.parts[0].adjusted.coverage == {"east": 30, "north": 0, "west": 30}
    assert verdict(made) == ("inconclusive", "coverage is 0%, below the agreed 1%")


def test_silence_everywhere_is_no_data_and_has_no_percentage(store: DuckdbStore) -> None:
    keep(store, [run(HALF_HOUR.start - HOUR, region=region) for region in REGIONS], NOON)
    made = account(store)
    assert (slices(made), verdict(made)) == ((0, 0, 30, 0), ("no data", "no samples"))
    shown = statement(store)
    assert [each["verdict"] for each in shown["guarantees"]] == ["no data", "no data"]
    assert shown["guarantees"][0]["checks"][0]["adjusted"]["figure"] is None
    assert shown["guarantees"][1]["adjusted"]["share"] is None
    assert verdict(account(store, G3)) == ("no data", "no samples")


def test_all_of_it_excused_is_no_data_for_that_reason(store: DuckdbStore) -> None:
    keep(store, every_minute(), NOON)
    made = account(store, G1, window(HALF_HOUR.start, HALF_HOUR.end))
    assert (slices(made), verdict(made)) == ((0, 0, 0, 30), ("no data", "all excused"))


def test_an_empty_store_and_a_period_still_to_come_are_no_data(store: DuckdbStore) -> None:
    assert verdict(account(store)) == ("no data", "no checks in scope")
    keep(store, every_minute(), NOON)
    made = account(store, period=Interval(LATE, LATE + DAY))
    assert (made.measured, made.parts, made.judgement.verdict) == (None, (), Verdict.NO_DATA)


def test_what_is_younger_than_the_settling_time_is_not_judged_yet(store: DuckdbStore) -> None:
    keep(store, every_minute(), NOON - 5 * MINUTE)
    made = account(store, as_of=NOON + 59 * SECOND)
    assert made.measured == Interval(HALF_HOUR.start, NOON - MINUTE)
    assert slices(made) == (9, 0, 0, 0)
    assert slices(account(store, as_of=NOON + 60 * SECOND)) == (10, 0, 0, 0)


def test_what_lies_before_the_agreement_began_is_not_measured(store: DuckdbStore) -> None:
    keep(store, every_minute(bad=[NOON - 3 * MINUTE]), NOON)
    made = account(store, in_force_from=NOON - 2 * MINUTE - 30 * SECOND)
    assert made.measured == Interval(NOON - 2 * MINUTE, HALF_HOUR.end)
    assert slices(made) == (22, 0, 0, 0)


def test_void_samples_are_no_samples(store: DuckdbStore) -> None:
    keep(store, every_minute(outcome="agent_fault"), NOON)
    keep(store, every_minute(clock_error=2 * SECOND, bad=[NOON]), NOON)
    made = account(store)
    assert (slices(made), verdict(made)) == ((0, 0, 30, 0), ("no data", "no samples"))
    assert made.parts[0].adjusted.void_samples == 120


# --- whose fault -----------------------------------------------------------------------------------------------------


def test_a_partners_failure_is_held_against_the_network_only_end_to_end(store: DuckdbStore) -> None:
    runs = every_minute()
    at = {NOON // MINUTE, NOON // MINUTE + 1}
    keep(
        store,
        [replace(each, outcome="partner_down") if each.started_at // MINUTE in at else each for each in runs],
        NOON,
    )
    network, end_to_end = account(store), account(store, replace(G1, view=View.END_TO_END))
    assert (slices(network), verdict(network)[0]) == ((30, 0, 0, 0), "met")
    assert (slices(end_to_end), verdict(end_to_end)[0]) == ((28, 2, 0, 0), "missed")
    fast, slow = account(store, G3).pooled, account(store, replace(G3, view=View.END_TO_END)).pooled
    assert fast is not None
    assert slow is not None
    assert (fast.adjusted.within, fast.adjusted.samples, fast.adjusted.partner) == (56, 56, 4)
    assert (slow.adjusted.within, slow.adjusted.samples, slow.adjusted.partner) == (56, 60, 0)


def test_the_statement_publishes_both_views_and_the_agreed_one_decides(store: DuckdbStore) -> None:
    at = {minute // MINUTE for minute in (NOON, NOON + MINUTE)}
    keep(
        store,
        [replace(each, outcome="partner_down") if each.started_at // MINUTE in at else each for each in every_minute()],
        NOON,
    )
    views = {made["id"]: made["views"] for made in statement(store)["guarantees"]}
    assert [(view["view"], view["decides"], view["verdict"], view["partner_failed"]) for view in views["G1"]] == [
        ("network", True, "met", 4),
        ("end_to_end", False, "missed", 4),
    ]
    assert [view["adjusted"]["percent"] for view in views["G1"]] == ["100%", "93.33333%"]
    assert [view["adjusted"] for view in views["G3"]] == [
        {"numerator": 1, "denominator": 1, "percent": "100%"},
        {"numerator": 14, "denominator": 15, "percent": "93.33333%"},
    ]


def test_without_a_partners_failure_both_views_are_the_same_and_are_made_once(store: DuckdbStore) -> None:
    keep(store, every_minute(bad=[NOON]), NOON)
    for guarantee in statement(store, guarantees=(replace(G1, view=View.END_TO_END), G3))["guarantees"]:
        network, end_to_end = guarantee["views"]
        assert network["decides"] is (guarantee["id"] == "G3")
        same = ("verdict", "reason", "adjusted", "raw", "partner_failed")
        assert [network[key] for key in same] == [end_to_end[key] for key in same]
    accountant = Accountant(store, Agreement("A", (G1,), UTC), SETTLE)
    basis = accountant.basis(HALF_HOUR, LATE, ())
    made = accountant.account(G1, basis)
    assert accountant.in_view(made, View.END_TO_END, basis).parts is made.parts


def test_a_refusal_of_everyones_credential_is_down_and_of_one_region_is_void(store: DuckdbStore) -> None:
    runs = every_minute()
    at = NOON // MINUTE
    keep(
        store,
        [replace(each, outcome="probe_fault")
         if each.started_at // MINUTE == at or (each.started_at // MINUTE == at + 1 and each.region == "east") else each
         for each in runs],
        NOON,
    )  # fmt: skip
    made = account(store)
    assert slices(made) == (29, 1, 0, 0)
    assert (made.parts[0].adjusted.void_samples, made.parts[0].adjusted.samples) == (3, 57)


# --- processing times ------------------------------------------------------------------------------------------------


def timed(*latencies: Duration, bad: int = 0) -> list[RunRecord]:
    good = [run(NOON + n, latency=latency) for n, latency in enumerate(latencies)]
    return good + [run(NOON + 100 + n, outcome="service_down", latency=3) for n in range(bad)]


@pytest.mark.parametrize(
    ("runs", "p90", "within", "samples", "told"),
    [
        # Ten samples: the ninth smallest decides.
        (timed(*(n * 100_000 + n for n in range(1, 10)), bad=1), 900_009, 9, 10, "met"),
        (timed(*(n * 100_000 + n for n in range(1, 9)), bad=2), None, 8, 10, "missed"),
        # All of them in one bucket of a millisecond: the exact one is found.
        (timed(*range(400_009, 399_999, -1)), 400_008, 10, 10, "met"),
        # Eleven: ceil(9.9) is the tenth.
        (timed(*(SECOND + n for n in range(11))), SECOND + 9, 11, 11, "met"),
        # On the limit, and one microsecond beyond it.
        (timed(*[10 * SECOND] * 9, bad=1), 10 * SECOND, 9, 10, "met"),
        (timed(*[1] * 8, 10 * SECOND + 1, bad=1), 10 * SECOND + 1, 8, 10, "missed"),
        (timed(7), 7, 1, 1, "met"),
        (timed(bad=1), None, 0, 1, "missed"),
    ],
)
def test_p90_is_the_exact_nearest_rank_with_failures_as_infinity(
    store: DuckdbStore, runs: list[RunRecord], p90: Duration | None, within: int, samples: int, told: str
) -> None:
    keep(store, runs, NOON)
    made = account(store, G3)
    assert made.pooled is not None
    found = made.pooled.adjusted
    assert (found.p90, found.within, found.samples, made.judgement.verdict.value) == (p90, within, samples, told)
    assert (found.p90 is not None and found.p90 <= 10 * SECOND) == (told == "met"), "share and percentile agree"


def test_response_times_are_left_out_by_their_own_instant_and_pooled_over_checks(store: DuckdbStore) -> None:
    keep(store, [run(NOON + n * SECOND, latency=11 * SECOND) for n in range(29, 32)], NOON)
    keep(store, [run(NOON + n * SECOND, latency=n, check="portal") for n in range(1, 10)], NOON)
    made = account(store, G3, window(NOON + 30 * SECOND, NOON + 31 * SECOND))
    assert made.pooled is not None
    assert (made.pooled.adjusted.within, made.pooled.adjusted.samples) == (9, 11)
    assert (made.pooled.raw.within, made.pooled.raw.samples) == (9, 12)
    assert made.pooled.adjusted.answered_total == 45 + 22 * SECOND
    assert [part.check for part in made.parts] == ["eligibility", "portal"]


def test_a_named_check_that_nobody_ever_ran_is_below_any_coverage_floor(store: DuckdbStore) -> None:
    keep(store, every_minute(), NOON)
    both = replace(G3, checks=("eligibility", "card"), coverage_floor=Fraction(9, 10))
    assert verdict(account(store, both)) == ("inconclusive", "coverage is 0%, below the agreed 90%")
    (shown,) = statement(store, guarantees=(both,))["guarantees"]
    assert (shown["margin"]["by"], shown["margin"]["unit"]) == (27, "slices")
    assert "card has data in 0 of 30 slices and lacks 27" in shown["margin"]["text"]
    assert verdict(account(store, replace(both, coverage_floor=Fraction(0))))[0] == "met"


@pytest.mark.parametrize("guarantee", [G1, G3], ids=["availability", "response time"])
def test_a_run_in_flight_when_a_window_opens_with_the_next_period_is_void_where_agreed(
    store: DuckdbStore, guarantee: Guarantee
) -> None:
    end = HALF_HOUR.end
    keep(store, [each for each in every_minute() if each.started_at < end - MINUTE], NOON)
    keep(store, [run(end - SECOND, region=region, outcome="service_down", latency=5 * SECOND) for region in REGIONS],
         NOON)  # fmt: skip
    opens_next = window(end, end + HOUR)
    agreed = replace(guarantee, void_inflight=True)
    assert account(store, agreed, opens_next).parts[0].adjusted.void_samples == 2
    assert slices(account(store, agreed, opens_next)) == (29, 0, 1, 0)
    assert slices(account(store, guarantee, opens_next)) == (29, 1, 0, 0)
    just_after = window(end + 4 * SECOND + 1, end + HOUR)
    assert account(store, agreed, just_after).parts[0].adjusted.bad_samples == 2, "it was over by then"
    made = account(store, agreed, opens_next).pooled
    if made is not None:
        assert (made.adjusted.bad, made.adjusted.void, made.raw.bad) == (0, 2, 2)


def test_a_partners_failure_that_carries_into_the_period_tells_the_views_apart(store: DuckdbStore) -> None:
    keep(store, seldom(FROM_NOON.start - 5 * MINUTE, "partner_down") + seldom(FROM_NOON.start + 5 * MINUTE), NOON)
    (shown,) = statement(store, guarantees=(G1,), period=FROM_NOON)["guarantees"]
    assert [view["adjusted"]["percent"] for view in shown["views"]] == ["100%", "66.66666%"]


# --- long intervals --------------------------------------------------------------------------------------------------

FROM_NOON = Interval(NOON, NOON + 20 * MINUTE)


def seldom(at: Instant, outcome: str = "ok") -> list[RunRecord]:
    """A run of every ten minutes, in both regions."""
    return [run(at + 7, region=region, scheduled_at=at, interval=10 * MINUTE, outcome=outcome) for region in REGIONS]


def test_a_run_of_a_long_interval_speaks_until_its_next_slot_also_from_before_the_period(store: DuckdbStore) -> None:
    keep(store, seldom(NOON - 5 * MINUTE) + seldom(NOON + 5 * MINUTE, "service_down"), NOON)
    made = account(store, period=FROM_NOON)
    # 11:55 speaks for 12:00 to 12:04, 12:05 for 12:05 to 12:14; then nobody does.
    assert slices(made) == (5, 10, 5, 0)
    assert made.parts[0].adjusted.outages.members == (Interval(NOON + 5 * MINUTE, NOON + 15 * MINUTE),)
    assert made.parts[0].adjusted.coverage == {"east": 15, "west": 15}
    assert made.parts[0].adjusted.samples == 2, "samples from before the period carry, and are not of it"


@pytest.mark.parametrize("outcome", ["ok", "service_down", "probe_fault"])
def test_a_state_from_before_the_period_is_no_sample_of_it_be_it_up_or_down(store: DuckdbStore, outcome: str) -> None:
    keep(store, seldom(NOON - 5 * MINUTE, outcome), NOON)
    made = account(store, period=Interval(NOON, NOON + 4 * MINUTE))
    assert verdict(made) == ("no data", "no samples")
    assert slices(made)[:2] == ((4, 0) if outcome == "ok" else (0, 4))


@pytest.mark.parametrize(
    "before",
    [
        window(NOON - 20 * MINUTE, NOON - 4 * MINUTE),  # the run itself was inside
        window(NOON - 4 * MINUTE, NOON - 2 * MINUTE),  # between the run and the period
        window(NOON - 2 * MINUTE, NOON),  # up to the very start
    ],
    ids=["around the run", "after the run", "up to the period"],
)
def test_no_state_carries_out_of_a_window_before_the_period(store: DuckdbStore, before: Announcement) -> None:
    keep(store, seldom(NOON - 5 * MINUTE) + seldom(NOON + 5 * MINUTE), NOON)
    made = account(store, G1, before, period=FROM_NOON)
    assert slices(made) == (10, 0, 10, 0)
    assert made.parts[0].excused.length == 0, "nothing of the period itself is excused"
    assert slices(made, raw=True) == (15, 0, 5, 0)


def test_a_window_inside_the_period_ends_a_carried_state(store: DuckdbStore) -> None:
    keep(store, seldom(NOON) + seldom(NOON + 10 * MINUTE), NOON)
    made = account(store, G1, window(NOON + 3 * MINUTE, NOON + 5 * MINUTE), period=FROM_NOON)
    # Up 12:00 to 12:02, excused 12:03 and 12:04, unknown until 12:09, up from 12:10.
    assert slices(made) == (13, 0, 5, 2)


def test_an_absurd_interval_reads_no_further_back_than_the_memory_and_mistakes_no_region(store: DuckdbStore) -> None:
    keep(
        store, [run(NOON - DAY, region="west", interval=30 * DAY), run(NOON - DAY, region="east", interval=2**52)], NOON
    )
    keep(store, [run(NOON - 8 * DAY, region="south", interval=30 * DAY, outcome="service_down")], NOON)
    made = account(store, period=FROM_NOON)
    assert made.parts[0].adjusted.coverage == {"east": 20, "west": 20}
    assert slices(made) == (20, 0, 0, 0)


# --- calendars -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("month", "hours", "opens", "closes"),
    [
        ("2026-03", 743, "2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00"),
        ("2026-11", 721, "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00"),
    ],
)
def test_a_month_with_a_clock_change_and_a_window_across_it_has_its_true_hours(
    store: DuckdbStore, month: str, hours: int, opens: str, closes: str
) -> None:
    period = parse_period(month, NEW_YORK)
    assert period.length == hours * HOUR
    keep(
        store,
        [run(at + 5 * SECOND, region=region, scheduled_at=at, interval=HOUR)
         for at in range(period.start, period.end, HOUR) for region in REGIONS],
        period.start,
    )  # fmt: skip
    across = window(parse_instant(opens), parse_instant(closes), notice=4 * DAY)
    made = account(store, replace(G1, notice=72 * HOUR, zone=NEW_YORK), across, period=period, as_of=period.end + DAY)
    # One exact hour is excused. Of the run before it half an hour counts, the run inside is left out, and until
    # the next one, half an hour after it, nothing is known.
    assert slices(made) == (hours * 60 - 60 - 30, 0, 30, 60)
    assert slices(made, raw=True) == (hours * 60, 0, 0, 0)
    assert verdict(made)[0] == "met"


# --- as of -----------------------------------------------------------------------------------------------------------


def as_bytes(plain: dict[str, Any]) -> bytes:
    return msgspec.json.encode(plain, order="deterministic")


def test_late_results_and_late_announcements_change_later_statements_and_no_earlier_one(store: DuckdbStore) -> None:
    keep(store, every_minute(), NOON + HOUR)
    first_at, second_at, third_at = (NOON + HOUR + n * MINUTE for n in (1, 2, 3))
    first = as_bytes(statement(store, as_of=first_at))
    keep(store, [run(NOON + 20 * SECOND, region=region, outcome="service_down") for region in REGIONS] * 2, second_at)
    done = Announcement("w1", 1, Act.ANNOUNCE, NOON, NOON + MINUTE, third_at)
    second = as_bytes(statement(store, done, as_of=second_at))
    assert as_bytes(statement(store, done, as_of=first_at)) == first
    assert as_bytes(statement(store, as_of=second_at - 1)) == first.replace(b"13:01:00Z", b"13:01:59.999999Z")
    assert as_bytes(statement(store, done, as_of=second_at)) == second != first
    made = [msgspec.json.decode(each)["guarantees"][0] for each in (first, second)]
    assert [each["verdict"] for each in made] == ["met", "missed"]
    third = statement(store, done, as_of=third_at)
    assert [len(each["windows"]) for each in (msgspec.json.decode(second), third)] == [0, 1]
    assert third["windows"][0]["excuses"][0] == {
        "guarantee": "G1",
        "excused_us": 0,
        "why_not": "announced too late: it had to be recorded by 2026-06-15T11:00:00Z",
    }


# --- the statement ---------------------------------------------------------------------------------------------------


def test_the_statement_says_all_that_is_needed_to_check_it(store: DuckdbStore) -> None:
    runs = every_minute()
    at = {NOON // MINUTE, NOON // MINUTE + 1}
    failed: dict[str, Any] = {"outcome": "service_down", "code": "42", "place": "aaa/2000A"}
    keep(store, [replace(each, **failed) if each.started_at // MINUTE in at else each for each in runs], NOON)
    shown = statement(store, window(NOON + 10 * MINUTE, NOON + 12 * MINUTE))
    assert (shown["verdict"], shown["ledger"], shown["as_of"]) == ("missed", 1, "2026-06-16T12:00:00Z")
    assert shown["period"] == {
        "label": "the half hour", "start": "2026-06-15T11:50:00Z", "end": "2026-06-15T12:20:00Z"
    }  # fmt: skip
    g1, g3 = shown["guarantees"]
    assert g1["target"] == {"numerator": 999, "denominator": 1000, "percent": "99.9%", "strict": True}
    (check,) = g1["checks"]
    assert check["adjusted"]["figure"] == {"numerator": 13, "denominator": 14, "percent": "92.85714%"}
    assert check["excused"] == [{"start": "2026-06-15T12:10:00Z", "end": "2026-06-15T12:12:00Z"}]
    assert check["adjusted"]["outages"] == [
        {
            "start": "2026-06-15T12:00:00Z",
            "end": "2026-06-15T12:02:00Z",
            "length_us": 2 * MINUTE,
            "regions": ["east", "west"],
            "samples": 4,
            "causes": [{"outcome": "service_down", "code": "42", "place": "aaa/2000A", "samples": 4}],
        }
    ]
    assert [each["percent"] for each in check["coverage"]] == ["100%", "100%"]
    assert (g3["adjusted"]["within"], g3["adjusted"]["samples"], g3["raw"]["samples"]) == (52, 56, 60)
    assert g3["adjusted"]["share"] == {"numerator": 13, "denominator": 14, "percent": "92.85714%"}
    (excused,) = shown["windows"]
    assert excused["notice_us"] == 2 * HOUR
    assert excused["excuses"][0] == {"guarantee": "G1", "excused_us": 2 * MINUTE, "why_not": None}


def test_the_statement_gives_each_window_only_what_the_agreed_cap_left_of_it(store: DuckdbStore) -> None:
    keep(store, every_minute(), NOON)
    windows = [window(NOON + n * 5 * MINUTE, NOON + (n * 5 + 4) * MINUTE, f"w{n}") for n in range(3)]
    shown = statement(store, *windows, guarantees=(replace(G1, cap=6 * MINUTE),))
    assert shown["guarantees"][0]["checks"][0]["excused_us"] == 6 * MINUTE
    assert [(each["window"], each["excuses"][0]["excused_us"]) for each in shown["windows"]] == [
        ("w0", 4 * MINUTE), ("w1", 2 * MINUTE), ("w2", 0)
    ]  # fmt: skip
    told = [each["excuses"][0]["why_not"] for each in shown["windows"]]
    assert told[0] is None
    assert all("as far as the agreed cap goes" in each for each in told[1:])


def test_an_outage_longer_than_a_list_of_outages_is_counted_in_full(store: DuckdbStore) -> None:
    long = Interval(NOON, NOON + 300 * MINUTE)
    keep(store, every_minute(long, bad=range(long.start, long.end, 2 * MINUTE)), NOON)
    adjusted = statement(store, period=long)["guarantees"][0]["checks"][0]["adjusted"]
    assert (len(adjusted["outages"]), adjusted["outages_in_all"], adjusted["down"]) == (100, 150, 150)
