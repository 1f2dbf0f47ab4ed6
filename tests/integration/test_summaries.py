"""Summaries against the whole span counted at once: the same to the last sample, whatever the runs and the windows."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from collector_support import G1, G3, NOON, SETTLE, UTC, keep, run

from outrider.core.composite import Member, combine
from outrider.core.guarantee import Agreement, Composite, View
from outrider.core.intervals import Interval, Intervals
from outrider.core.maintenance import Act, Announcement
from outrider.core.outcome import OutcomeClass, Standing
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Instant, parse_instant
from outrider.core.wire import RunRecord
from outrider_collector.accounting import Accountant
from outrider_collector.statement.outages import outages_of
from outrider_collector.store import Columns, Selection, StoreFailedError
from outrider_collector.store.duckdb_store import DuckdbStore
from outrider_collector.summaries import Summaries, Wanted, presences, select
from outrider_collector.time_units import cut

SPAN = Interval(NOON - 27 * HOUR + 7 * MINUTE, NOON + 26 * HOUR + 13 * MINUTE)
REGIONS = ("east", "north", "west")
CHECKS = ("card", "eligibility")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    made = DuckdbStore(tmp_path / "results.duckdb")
    yield made
    made.close()


def some_runs(chance: random.Random, span: Interval = SPAN, n: int = 1500) -> list[RunRecord]:
    """Runs at any time within the span, now and then in bursts that are bad everywhere."""
    runs = []
    for _ in range(n):
        at = chance.randrange(span.start, span.end)
        is_storm = at // (20 * MINUTE) % 7 == 0
        outcome = chance.choice(list(OutcomeClass)) if chance.random() < (0.9 if is_storm else 0.1) else "ok"
        runs.append(
            run(
                at,
                check=chance.choice(CHECKS),
                region=chance.choice(REGIONS),
                outcome=str(outcome),
                latency=chance.randrange(1, 12 * SECOND),
            )
        )
    return runs


def some_windows(chance: random.Random) -> dict[str, Intervals]:
    def window() -> Interval:
        start = chance.randrange(SPAN.start - HOUR, SPAN.end)
        return Interval(start, start + chance.choice([1, 17 * SECOND, MINUTE, HOUR, 30 * HOUR]))

    return {check: Intervals(window() for _ in range(chance.randrange(5))).within(SPAN) for check in CHECKS}


@pytest.mark.parametrize("seed", range(8))
def test_the_sum_of_the_units_is_the_span_counted_at_once(store: DuckdbStore, seed: int) -> None:
    chance = random.Random(seed)
    keep(store, some_runs(chance), NOON)
    regions = chance.choice([(), ("east",), ("north", "west", "silent")])
    guarantee = replace(G1, view=chance.choice(list(View)), regions=regions)
    expired = {"card": Intervals((Interval(NOON, NOON + 90 * MINUTE),))}
    wanted = Wanted(guarantee, SPAN, 1, some_windows(chance), expired)
    rows = store.slice_counts(select(wanted.taken_out, SPAN, 1, regions), guarantee.slice)
    summaries = Summaries(store)
    expected = presences(wanted, rows, rows)
    assert summaries.availability(wanted) == expected
    made = summaries.made
    assert summaries.availability(wanted) == expected
    assert summaries.made == made, "the second time nothing is counted"


@pytest.mark.parametrize("composite", [Composite.ALL, Composite.ANY])
@pytest.mark.parametrize("seed", range(4))
def test_checks_that_are_one_service_come_out_of_summaries_as_counted_at_once(
    store: DuckdbStore, seed: int, composite: Composite
) -> None:
    chance = random.Random(seed)
    keep(store, some_runs(chance), NOON)
    guarantee = replace(G1, composite=composite, regions=chance.choice([(), ("east", "north")]))
    spans = some_windows(chance)
    windows = [
        Announcement(f"w{n}", 1, Act.ANNOUNCE, each.start, each.end, each.start - 2 * HOUR, (check,))
        for check in CHECKS
        for n, each in enumerate(spans[check])
    ]
    made = Accountant(store, Agreement("A", (guarantee,), UTC), SETTLE, summaries=Summaries(store, most=5))
    basis = made.basis(SPAN, NOON + 3 * DAY, windows)
    found = [made.account(guarantee, basis) for _ in range(2)]
    assert found[0] == found[1], "whether it was counted before or is counted now"
    taken_out = {check: made.excused(guarantee, basis, SPAN, check) for check in CHECKS}
    rows = store.slice_counts(select(taken_out, SPAN, 1, guarantee.regions), guarantee.slice)
    at_once = presences(Wanted(guarantee, SPAN, 1, taken_out, {}), rows, rows)
    members = [Member(at_once[check].adjusted, taken_out[check]) for check in CHECKS]
    assert found[0].together is not None
    assert found[0].together.adjusted == combine(members, SPAN, guarantee.slice, composite)
    raw = [Member(at_once[check].raw, Intervals()) for check in CHECKS]
    assert found[0].together.raw == combine(raw, SPAN, guarantee.slice, composite)


def test_a_clause_that_listens_to_other_regions_has_summaries_of_its_own(store: DuckdbStore) -> None:
    keep(store, [run(NOON, region="east"), run(NOON, region="west", outcome="malformed")], NOON)
    summaries = Summaries(store)
    for regions, samples, bad in (((), 2, 1), (("east",), 1, 0), (("west",), 1, 1), (("nowhere",), 0, 0)):
        wanted = Wanted(replace(G1, regions=regions), SPAN, 1, {"eligibility": Intervals()}, {})
        found = summaries.availability(wanted)["eligibility"].adjusted
        assert (found.samples, found.bad_samples) == (samples, bad)
        times = summaries.response(replace(wanted, guarantee=replace(G3, regions=regions))).adjusted
        assert (int(times.good.count.sum()), times.others[Standing.BAD]) == (samples - bad, bad)


def test_units_are_days_hours_and_rests_that_leave_nothing_out() -> None:
    units = list(cut(SPAN, UTC))
    assert [units[0].start, units[-1].end] == [SPAN.start, SPAN.end]
    assert all(left.end == right.start for left, right in pairwise(units))
    lengths = [unit.length for unit in units]
    assert lengths.count(DAY) == 1
    assert (lengths[0], lengths[-1]) == (53 * MINUTE, 13 * MINUTE)
    assert list(cut(Interval(NOON + MINUTE, NOON + 2 * MINUTE), UTC)) == [Interval(NOON + MINUTE, NOON + 2 * MINUTE)]


def accountant(store: DuckdbStore, summaries: Summaries) -> Accountant:
    return Accountant(store, Agreement("A", (G1, G3), UTC), SETTLE, summaries=summaries)


def account(store: DuckdbStore, summaries: Summaries, as_of: Instant, *windows: Announcement) -> tuple[object, int]:
    """The figures of both guarantees, and how many summaries were counted for them."""
    before = summaries.made
    made = accountant(store, summaries)
    basis = made.basis(SPAN, as_of, windows)
    figures = [made.account(guarantee, basis) for guarantee in (G1, G3)]
    return figures, summaries.made - before


def test_late_results_and_late_windows_count_again_only_what_they_touch(store: DuckdbStore) -> None:
    chance = random.Random(1)
    keep(store, some_runs(chance), NOON + 2 * DAY)
    summaries = Summaries(store)
    units = len(list(cut(SPAN, UTC)))
    first, counted = account(store, summaries, NOON + 3 * DAY)
    assert counted == 2 * units + 2 * units, "of two checks: presences, which both guarantees share, and timings"
    keep(store, [run(NOON + HOUR, check="card", region="east", outcome="malformed")], NOON + 4 * DAY)
    second, counted = account(store, summaries, NOON + 5 * DAY)
    assert counted == 2, "one presence and one timing of one check"
    assert second != first
    assert account(store, summaries, NOON + 3 * DAY) == (first, 0), "as of the day before, it is as it was"
    late = Announcement("w", 1, Act.ANNOUNCE, NOON, NOON + 5 * MINUTE, NOON - 2 * HOUR, ("eligibility",))
    _, counted = account(store, summaries, NOON + 5 * DAY, late)
    assert counted == 2
    assert account(store, Summaries(store), NOON + 3 * DAY)[0] == first, "and made from nothing it is the same"


class Counted(DuckdbStore):
    """Counts the outages that are looked up."""

    looked_up = 0

    def failures(self, selections: Sequence[Selection], most: int) -> list[Columns]:
        self.looked_up += len(selections)
        return super().failures(selections, most)


def test_outages_are_looked_up_once_and_again_only_where_results_came_late(tmp_path: Path) -> None:
    store = Counted(tmp_path / "results.duckdb")
    down = [
        run(NOON + n * 3 * HOUR, check=check, region=region, outcome="service_down", code="503")
        for n in range(-5, 6)
        for check in CHECKS
        for region in REGIONS
    ]
    keep(store, [*some_runs(random.Random(1)), *down], NOON + 2 * DAY)
    summaries = Summaries(store)

    def outages(kept: Summaries, as_of: Instant) -> list[dict[str, list[dict[str, object]]]]:
        made = accountant(store, kept)
        basis = made.basis(SPAN, as_of, ())
        return [outages_of(made.account(each, basis), kept, basis.ledger, 100) for each in (G1, G3)]

    first = outages(summaries, NOON + 3 * DAY)
    times = store.looked_up
    assert times == sum(len(each) for each in first[0].values()) > 4, "both guarantees share them"
    assert outages(summaries, NOON + 3 * DAY) == first
    assert store.looked_up == times
    (outage, *_) = first[0]["card"]
    at = parse_instant(str(outage["start"]))
    keep(store, [run(at, check="card", region="east", outcome="malformed", code="late")], NOON + 4 * DAY)
    second = outages(summaries, NOON + 5 * DAY)
    assert 0 < store.looked_up - times < times, "those of one check in the hours that the late run touches"
    assert "late" in {cause["code"] for cause in second[0]["card"][0]["causes"]}  # type: ignore[attr-defined]
    assert outages(Summaries(store), NOON + 5 * DAY) == second, "and made from nothing it is the same"
    assert outages(summaries, NOON + 3 * DAY) == outages(Summaries(store), NOON + 3 * DAY) == first
    store.close()


def test_forgetting_summaries_changes_no_figure(store: DuckdbStore) -> None:
    keep(store, some_runs(random.Random(2)), NOON)
    forgetful, mindful = Summaries(store, most=3), Summaries(store)
    for _ in range(2):
        assert account(store, forgetful, NOON + 2 * DAY)[0] == account(store, mindful, NOON + 2 * DAY)[0]


def test_a_collector_that_stops_counts_no_further(store: DuckdbStore) -> None:
    keep(store, some_runs(random.Random(3)), NOON)
    summaries = Summaries(store)
    figures, _ = account(store, summaries, NOON + 2 * DAY)
    summaries.stop()
    assert account(store, summaries, NOON + 2 * DAY) == (figures, 0), "what was counted is still there"
    keep(store, [run(NOON)], NOON + 3 * DAY)
    with pytest.raises(StoreFailedError, match="the collector is stopping"):
        account(store, summaries, NOON + 4 * DAY)
