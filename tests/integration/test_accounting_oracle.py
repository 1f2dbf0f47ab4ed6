"""The product against the oracle, by random small worlds through the real store, and the properties that parties to an
agreement would rely on."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import accounting_oracle as oracle
import msgspec
import pytest
from accounting_oracle import Recorded, World
from collector_support import SettableClock, entries
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.codecs.records import encode_record
from outrider.core.guarantee import Agreement, Guarantee, KnownExpiry, Measure, View
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.period import PeriodKind
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Duration, Instant, parse_instant
from outrider.core.wire import Batch, Entry, RunRecord
from outrider_collector.accounting import Accountant
from outrider_collector.accounts import Account
from outrider_collector.intake import Intake
from outrider_collector.statement import make_statement
from outrider_collector.store import NewRecord
from outrider_collector.store.duckdb_store import DuckdbStore
from outrider_collector.uncertain import add_uncertain

NEW_YORK = ZoneInfo("America/New_York")
BASES = tuple(
    parse_instant(text)
    for text in (
        "2026-06-15T12:00:00Z",
        "2026-06-16T00:00:00Z",  # the edge of a day of UTC
        "2026-07-01T04:00:00Z",  # of a month in New York
        "2026-03-08T07:00:00Z",  # clocks go forward there
        "2026-11-01T06:00:00Z",  # and back
        "2026-12-01T05:00:00Z",  # the month after that
    )
)


def day_or_month(kind: PeriodKind, instant: Instant) -> tuple[Instant, Instant]:
    """The calendar period of New York that an instant belongs to, found by looking at each day."""
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(NEW_YORK).date()
    first = local.replace(day=1) if kind is PeriodKind.MONTH else local
    after = first + timedelta(days=1)
    while kind is PeriodKind.MONTH and after.month == first.month:
        after += timedelta(days=1)
    return _midnight(first), _midnight(after)


def _midnight(day: date) -> Instant:
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * SECOND


@contextmanager
def kept(world: World) -> Iterator[DuckdbStore]:
    """A store with the world's runs, recorded as they were."""
    with tempfile.TemporaryDirectory() as folder:
        store = DuckdbStore(Path(folder) / "results.duckdb")
        try:
            by_stamp = itertools.groupby(sorted(world.runs, key=lambda each: each.recorded_at), lambda e: e.recorded_at)
            seq = itertools.count(1)
            for stamp, members in by_stamp:
                store.append([NewRecord("a", "e", n, n, each.run) for each, n in zip(members, seq)], stamp)  # noqa: B905
            yield store
        finally:
            store.close()


def accountant(store: DuckdbStore, world: World) -> Accountant:
    expiries = tuple(KnownExpiry((pattern,), Interval(start, end)) for pattern, start, end in world.expiries)
    return Accountant(store, Agreement("A", (world.guarantee,), NEW_YORK), world.settle, expiries)


def account(store: DuckdbStore, world: World) -> Account:
    made = accountant(store, world)
    basis = made.basis(Interval(world.start, world.end), world.as_of, world.announcements)
    return made.account(world.guarantee, basis)


# --- random worlds ---------------------------------------------------------------------------------------------------

OUTCOMES = ("ok", "ok", "ok", "service_down", "service_down", "malformed", "probe_fault", "partner_down", "agent_fault",
            "business_unexpected")  # fmt: skip
ACTS = (Act.MOVE, Act.EXTEND, Act.SHORTEN, Act.COMPLETE, Act.CANCEL)


@st.composite
def some_runs(draw: st.DrawFn, start: Instant, length: Duration, long: Duration | None) -> list[Recorded]:
    slices = st.integers(-6 if long else 0, 12)
    instants = st.one_of(
        st.builds(lambda n, s: start + n * length + s, slices, st.sampled_from([0, 1, 10 * SECOND, length - 1])),
        st.integers(start - 2 * length, start + 12 * length),
    )
    made = []
    for at in draw(st.lists(instants, max_size=28)):
        interval = draw(st.sampled_from([long, long, MINUTE])) if long else draw(st.sampled_from([1, length]))
        offset = draw(st.sampled_from([None, 0, 0, 0, 3 * SECOND, -2 * SECOND]))
        made.append(
            Recorded(
                RunRecord(
                    check=draw(st.sampled_from(["card", "card", "elig"])),
                    scenario="s",
                    region=draw(st.sampled_from(["north", "east", "west", "south"])),
                    purpose=draw(st.sampled_from(["probe"] * 8 + ["load", "verify", "cleanup", "once"])),
                    scheduled_at=at - (offset or 0) - draw(st.sampled_from([0, 0, 1, SECOND])),
                    started_at=at - (offset or 0),
                    interval=interval,
                    latency=draw(st.sampled_from([1, 999, 1000, 1001, 9 * SECOND, 10 * SECOND, 10 * SECOND + 1])),
                    outcome=draw(st.sampled_from(OUTCOMES)),
                    fault="none",
                    clock_offset=offset,
                    clock_error=draw(st.sampled_from([1, 1, SECOND, SECOND + 1])) if offset is not None else None,
                ),
                start + draw(st.sampled_from([1, 1, 2])) * HOUR,
            )
        )
    return made


@st.composite
def some_announcements(draw: st.DrawFn, start: Instant, length: Duration, notice: Duration) -> list[Announcement]:
    edge = st.one_of(
        st.integers(-4, 14).map(lambda n: start + n * length), st.integers(start - 3 * length, start + 13 * length)
    )
    made = []
    for window in range(draw(st.integers(0, 3))):
        stamp = 0
        for version in range(1, draw(st.integers(1, 3)) + 1):
            opens, closes = sorted((draw(edge), draw(edge)))
            closes += closes == opens
            own = st.sampled_from([opens - notice + by for by in (-length, -1, 0, 1, length)])
            during = st.integers(start, start + 12 * length)
            stamp = max(stamp, draw(st.one_of(own, own, during, st.just(start - 90 * DAY))))
            act = Act.ANNOUNCE if version == 1 else draw(st.sampled_from(ACTS))
            scope = draw(st.sampled_from([("*",), ("*",), ("card",), ("e*",), ("nothing",)]))
            made.append(Announcement(f"w{window}", version, act, opens, closes, stamp, scope))
            stamp += draw(st.sampled_from([0, 1, MINUTE]))
    return made


@st.composite
def worlds(draw: st.DrawFn) -> World:
    length = draw(st.sampled_from([MINUTE, MINUTE, 15 * SECOND, 5 * MINUTE, 15 * MINUTE]))
    start = draw(st.sampled_from(BASES)) + draw(st.sampled_from([0, -2, -5, 3])) * length
    kind = draw(st.sampled_from([PeriodKind.MONTH, PeriodKind.DAY]))
    is_timed = draw(st.booleans())
    guarantee = Guarantee(
        "G", "G", Measure.RESPONSE_TIME if is_timed else Measure.AVAILABILITY,
        draw(st.sampled_from([Fraction(1, 2), Fraction(9, 10), Fraction(999, 1000)])),
        strict=draw(st.booleans()),
        limit=10 * SECOND if is_timed else None,
        checks=draw(st.sampled_from([("*",), ("card",), ("card", "portal")])),
        slice=length,
        quorum=draw(st.sampled_from([Fraction(1, 2), Fraction(1, 2), Fraction(1, 4), Fraction(2, 3)])),
        notice=draw(st.sampled_from([0, HOUR, 72 * HOUR])),
        windows_excuse=draw(st.sampled_from([True, True, True, False])),
        cap=draw(st.sampled_from([None, None, 3 * length, 3 * length + 7 * SECOND])),
        void_inflight=draw(st.sampled_from([False, False, True])),
        view=draw(st.sampled_from(list(View))),
        coverage_floor=draw(st.sampled_from([Fraction(0), Fraction(1, 4), Fraction(1, 2)])),
        period=kind,
        zone=NEW_YORK,
    )  # fmt: skip
    long = draw(st.sampled_from([None, None, 3 * length, 4 * length + SECOND]))
    return World(
        guarantee,
        start,
        start + draw(st.integers(1, 12)) * length + draw(st.sampled_from([0, 0, 5 * SECOND])),
        start + draw(st.sampled_from([4 * length, HOUR, HOUR - 1, 2 * HOUR, 9 * HOUR])),
        MINUTE,
        draw(some_runs(start, length, long)),
        draw(some_announcements(start, length, guarantee.notice)),
        draw(st.lists(st.tuples(st.sampled_from(["*", "card"]), st.just(start + 2 * length + 3), st.just(
            start + 3 * length)), max_size=1)),
        lambda instant: day_or_month(kind, instant),
    )  # fmt: skip


def compare(world: World, made: Account) -> None:
    """Every figure of an account with the oracle's."""
    if oracle.measured(world) is None:
        assert (made.measured, made.judgement.verdict.value) == (None, "no data")
        return
    assert [part.check for part in made.parts] == sorted(oracle.in_scope(world))
    verdicts = []
    for part in made.parts:
        for sli, raw in ((part.adjusted, False), (part.raw, True)):
            expected = oracle.availability(world, part.check, raw=raw)
            counts = (expected.up, expected.down, expected.unknown, expected.excused)
            assert (sli.up, sli.down, sli.unknown, sli.excused) == counts, (part.check, raw)
            samples = (expected.good, expected.bad, expected.void)
            assert (sli.good_samples, sli.bad_samples, sli.void_samples) == samples, (part.check, raw)
            assert dict(sli.coverage) == expected.coverage
            length = world.guarantee.slice
            down = oracle.merged((n * length, (n + 1) * length) for n in expected.down_slices)
            assert [(each.start, each.end) for each in sli.outages] == down
            shares = sorted(Fraction(*pair) for pair, times in sli.five_minutes.items() for _ in range(times))
            assert shares == expected.shares
        verdicts.append(oracle.verdict(oracle.availability(world, part.check, raw=False), world.guarantee))
        assert part.judgement.verdict.value == verdicts[-1]
    if made.pooled is None:
        assert made.judgement.verdict.value == oracle.worst(verdicts)
        return
    for pooled, raw in ((made.pooled.adjusted, False), (made.pooled.raw, True)):
        timed = oracle.response(world, raw=raw)
        found = (pooled.within, pooled.good, pooled.bad, pooled.partner, pooled.void)
        assert found == (timed.within, len(timed.latencies), timed.bad, timed.partner, timed.void)
        assert (pooled.share, pooled.p90, pooled.fastest_mean) == (timed.share, timed.p90, timed.fastest_mean)
        assert pooled.answered_total == sum(timed.latencies)


@settings(max_examples=120, deadline=None)
@given(worlds())
def test_the_accounts_of_any_small_world_are_those_of_the_rules_read_aloud(world: World) -> None:
    with kept(world) as store:
        made = account(store, world)
        compare(world, made)


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_the_other_reading_of_runs_near_an_edge_is_the_account_of_a_world_where_they_are_across_it(
    world: World,
) -> None:
    with kept(world) as store:
        made = accountant(store, world)
        basis = made.basis(Interval(world.start, world.end), world.as_of, world.announcements)
        of = made.account(world.guarantee, basis)
        plain: dict[str, Any] = {}
        others: list[Account] = []

        def read(each: Account) -> dict[str, Any]:
            others.append(each)
            return {"verdict": each.judgement.verdict.value, "reason": "", "adjusted": None}

        add_uncertain(plain, of, made, basis, read)
        near = oracle.uncertain(world) if of.measured is not None else []
        assert plain.get("uncertain", {"runs": 0})["runs"] == len(near)
        if near:
            compare(oracle.on_the_other_side(world), others[0])
            assert made.account(world.guarantee, basis) == of, "one reading never takes the other's counts"


# --- what the parties rely on ----------------------------------------------------------------------------------------


def statement(store: DuckdbStore, world: World, using: Accountant | None = None) -> dict[str, Any]:
    made = using or accountant(store, world)
    basis = made.basis(Interval(world.start, world.end), world.as_of, world.announcements)
    return make_statement(made, basis, "")


def as_bytes(plain: dict[str, Any]) -> bytes:
    return msgspec.json.encode(plain, order="deterministic")


@settings(max_examples=25, deadline=None)
@given(worlds(), st.randoms(use_true_random=False), st.integers(1, 9))
def test_neither_order_of_arrival_nor_duplicates_change_a_statement(world: World, chance: Random, size: int) -> None:
    """Runs come in by the intake in batches of some size, in another order, some of them twice."""
    bodies = [encode_record(each.run) for each in world.runs]
    whole = entries(bodies)
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    mixed = [*parts, *(part for part in parts if chance.random() < 0.3)]
    chance.shuffle(mixed)
    made = []
    for each in ([whole], mixed):
        with tempfile.TemporaryDirectory() as folder, closing(DuckdbStore(Path(folder) / "a.duckdb")) as store:
            taken_in(store, each, world.start + HOUR)
            made.append({**statement(store, replace(world, as_of=world.start + 2 * HOUR)), "ledger": 0})
    assert as_bytes(made[0]) == as_bytes(made[1])


def taken_in(store: DuckdbStore, parts: Sequence[tuple[Entry, ...]], at: Instant) -> None:
    intake = Intake(store, SettableClock(at))

    async def send() -> None:
        for part in parts:
            await intake.submit(Batch("east-1", "east", "e1", part))

    try:
        asyncio.run(send())
    finally:
        intake.close()


def figures(made: Account) -> list[tuple[str, Fraction | None]]:
    """Every figure that a party could want to be higher; `slowness` is turned round."""
    found = []
    for part in made.parts:
        for name, sli in ((f"{part.check} adjusted", part.adjusted), (f"{part.check} raw", part.raw)):
            found += [(f"{name} A", sli.figure), (f"{name} low", sli.low), (f"{name} high", sli.high)]
            found += [(f"{name} good", sli.good_share), (f"{name} five", sli.five_minute_mean)]
    if made.pooled is not None:
        for name, timed in (("adjusted", made.pooled.adjusted), ("raw", made.pooled.raw)):
            found += [(f"{name} S", timed.share), (f"{name} -p90", turned(timed.p90, timed.samples))]
            found += [(f"{name} -fastest", turned(timed.fastest_mean, 9 * timed.samples // 10))]
    return found


def turned(duration: Fraction | int | None, samples: int) -> Fraction | None:
    """A duration as something to be high; None is infinity where there are samples."""
    if not samples:
        return None
    return -Fraction(10**18) if duration is None else -Fraction(duration)


RANKS = ("missed", "inconclusive", "met")


@settings(max_examples=80, deadline=None)
@given(worlds(), st.data())
def test_one_more_bad_sample_never_raises_a_figure(world: World, data: st.DataObject) -> None:
    """For checks that run at least once a slice. Of verdicts it holds where no coverage floor is agreed: any sample
    raises coverage, a bad one too."""
    every = [Recorded(replace(each.run, interval=1), each.recorded_at) for each in world.runs]
    plain = replace(world.guarantee, coverage_floor=Fraction(0))
    world = replace(world, runs=every, guarantee=plain, as_of=world.start + 9 * HOUR)
    at = data.draw(st.integers(world.start, world.end - 1))
    one_more = RunRecord(
        check=data.draw(st.sampled_from(["card", "elig"])), scenario="s", purpose="probe", scheduled_at=at,
        region=data.draw(st.sampled_from(["north", "east", "west", "new"])), started_at=at, interval=1, fault="service",
        latency=data.draw(st.sampled_from([1, 11 * SECOND])), outcome=data.draw(st.sampled_from(["service_down",
        "malformed"])), clock_offset=0, clock_error=1,
    )  # fmt: skip
    with kept(world) as store:
        before = account(store, world)
        store.append([NewRecord("b", "e", 1, 1, one_more)], world.start + 3 * HOUR)
        after = account(store, world)
    now = dict(figures(after))
    for name, was in figures(before):
        if was is not None:
            found = now[name]
            assert found is not None
            assert found <= was, name
    if before.judgement.verdict.value in RANKS and len(before.parts) == len(after.parts):
        assert after.judgement.verdict.value in RANKS[: RANKS.index(before.judgement.verdict.value) + 1]


@settings(max_examples=60, deadline=None)
@given(worlds(), st.sampled_from(OUTCOMES), st.integers(1, 20 * SECOND))
def test_whatever_happened_in_excused_time_leaves_both_sides(world: World, outcome: str, latency: Duration) -> None:
    """Runs sent in excused time get another outcome and another latency: no adjusted figure changes by it."""

    def changed(each: Recorded) -> Recorded:
        if not oracle.inside(oracle.excused(world, each.run.check), each.sent_at):
            return each
        return Recorded(replace(each.run, outcome=outcome, latency=latency), each.recorded_at)

    made = []
    for runs in (world.runs, [changed(each) for each in world.runs]):
        with kept(replace(world, runs=runs)) as store:
            account_of = account(store, world)
        pooled = account_of.pooled
        made.append(
            (account_of.judgement, [(p.check, p.adjusted, p.judgement) for p in account_of.parts],
             pooled and (pooled.adjusted, pooled.p90_interval))
        )  # fmt: skip
    assert made[0] == made[1]


@settings(max_examples=25, deadline=None)
@given(worlds(), worlds())
def test_a_statement_as_of_an_instant_is_made_again_byte_for_byte_whatever_comes_later(
    world: World, later: World
) -> None:
    """After late runs, later announcements and a restart, with warm summaries and cold ones, and twice at once."""
    as_of = world.start + 9 * HOUR
    world = replace(world, as_of=as_of)
    late = replace(
        world,
        announcements=[*world.announcements, *(replace(each, window=f"late {each.window}", recorded_at=as_of + 1)
                                               for each in later.announcements)],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.duckdb"
        with closing(DuckdbStore(path)) as store:
            store.append([NewRecord("a", "e", n, n, each.run) for n, each in enumerate(world.runs)], as_of)
            using = accountant(store, world)
            first = as_bytes(statement(store, world, using))
            store.append([NewRecord("b", "e", n, n, each.run) for n, each in enumerate(later.runs)], as_of + 1)
            statement(store, replace(late, as_of=as_of + DAY), using)
            assert as_bytes(statement(store, late, using)) == first
            with ThreadPoolExecutor(2) as pool:
                both = [pool.submit(statement, store, late, using) for _ in range(2)]
                assert {as_bytes(each.result(60)) for each in both} == {first}
        with closing(DuckdbStore(path)) as store:
            assert as_bytes(statement(store, late)) == first


@pytest.mark.parametrize("third", ["service_down", "malformed", "probe_fault"])
def test_a_bad_sample_beside_refusals_does_not_hide_them(third: str) -> None:
    """What the property above once found: two regions refused are an outage, with a third that fails as well."""
    start = BASES[0]

    def one(region: str, outcome: str) -> Recorded:
        return Recorded(
            RunRecord(
                "card", "s", region, "probe", start, start, MINUTE, 1, outcome, "agent", clock_offset=0, clock_error=1
            ),
            start,
        )

    guarantee = Guarantee("G", "G", Measure.AVAILABILITY, Fraction(9, 10))
    two = [one("east", "probe_fault"), one("west", "probe_fault")]
    for runs in (two, [*two, one("north", third)]):
        world = World(guarantee, start, start + MINUTE, start + HOUR, MINUTE, runs, (), (), lambda at: (0, 1))
        with kept(world) as store:
            sli = account(store, world).parts[0].adjusted
            assert (sli.up, sli.down, sli.unknown) == (0, 1, 0)
