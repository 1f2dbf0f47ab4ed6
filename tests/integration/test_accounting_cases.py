"""Accounts worked out by hand, from stored runs to exact fractions: one row a case.

The world: an hour, 12:00 to 13:00 UTC, one check, once a minute from three regions, every run ten seconds into its
minute. From 12:20 to 12:30 all of them fail: 50 of 60 slices are up. Minutes below count from 12:00.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction as F
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from collector_support import NOON, SETTLE, UTC, keep, run

from outrider.core.guarantee import Agreement, Guarantee, Measure, View
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.period import PeriodKind, parse_period
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Instant
from outrider.core.wire import RunRecord
from outrider_collector.accounting import Accountant
from outrider_collector.store.duckdb_store import DuckdbStore

THE_HOUR = Interval(NOON, NOON + HOUR)
NEW_YORK = ZoneInfo("America/New_York")
NOTICE = 72 * HOUR
AVAILABLE = Guarantee("G1", "Available", Measure.AVAILABILITY, F(999, 1000), strict=True, notice=NOTICE)
FAST = Guarantee("G3", "Fast", Measure.RESPONSE_TIME, F(9, 10), limit=10 * SECOND, notice=NOTICE)
OUTAGE = range(20, 30)
ALL = range(60)
WHERE = ("east", "north", "west")


def runs(
    down: Iterable[int] = OUTAGE, minutes: Iterable[int] = ALL, where: Sequence[str] = WHERE, **changes: Any
) -> list[RunRecord]:
    """Runs of these minutes and regions; those of `down` fail."""
    failed = set(down)
    return [
        run(NOON + n * MINUTE + 10 * SECOND, region=region,
            **{"outcome": "service_down" if n in failed else "ok", **changes})
        for n in minutes for region in where
    ]  # fmt: skip


def says(
    act: Act, start: float, end: float, hours_before: float = 100, by: int = 0, version: int = 1, name: str = "w",
    scope: tuple[str, ...] = ("*",),
) -> Announcement:  # fmt: skip
    """A version of a window in minutes, recorded so many hours before 12:00, and `by` microseconds later than that."""
    at = NOON - round(hours_before * HOUR) + by
    return Announcement(name, version, act, NOON + round(start * MINUTE), NOON + round(end * MINUTE), at, scope)


def announced(start: float, end: float, hours_before: float = 100, **more: Any) -> Announcement:
    return says(Act.ANNOUNCE, start, end, hours_before, **more)


def then(act: Act, start: float, end: float, hours_before: float, version: int = 2, **more: Any) -> Announcement:
    return says(act, start, end, hours_before, version=version, **more)


ON_THE_OUTAGE = announced(20, 30)
EXACTLY = NOTICE / HOUR - 20 / 60  # hours before noon, for a window that starts at 12:20


class Case(NamedTuple):
    """Expected: the figure with its bounds (one number where all are the same), the raw one, and the verdict."""

    name: str
    runs: list[RunRecord]
    windows: list[Announcement]
    adjusted: tuple[F | None, F | None, F | None] | F
    raw: F | None
    verdict: str
    settings: dict[str, Any] = {}  # noqa: RUF012 - never written to


NO_FIGURE = (None, None, None)
CASES = [
    # --- notice ---
    Case("no window", runs(), [], F(50, 60), F(50, 60), "missed"),
    Case("announced in good time", runs(), [ON_THE_OUTAGE], F(50, 50), F(50, 60), "met"),
    Case("at exactly the notice", runs(), [announced(20, 30, EXACTLY)], F(1), F(50, 60), "met"),
    Case("a microsecond late", runs(), [announced(20, 30, EXACTLY, by=1)], F(50, 60), F(50, 60), "missed"),
    Case("late by one second", runs(), [announced(20, 30, EXACTLY, by=SECOND)], F(50, 60), F(50, 60), "missed"),
    Case("announced afterwards", runs(), [announced(20, 30, -1)], F(50, 60), F(50, 60), "missed"),
    Case("no notice is asked for", runs(), [announced(20, 30, -20 / 60)], F(1), F(50, 60), "met", {"notice": 0}),
    Case("windows excuse nothing", runs(), [ON_THE_OUTAGE], F(50, 60), F(50, 60), "missed", {"windows_excuse": False}),
    # --- what became of it ---
    Case("the outage outlasts it", runs(), [announced(20, 25)], F(50, 55), F(50, 60), "missed"),
    Case("longer than the outage", runs(), [announced(15, 35)], F(40, 40), F(50, 60), "met"),
    Case("beside the outage", runs(), [announced(30, 40)], F(40, 50), F(50, 60), "missed"),
    Case("moved in good time", runs(), [announced(40, 50), then(Act.MOVE, 20, 30, 90)], F(1), F(50, 60), "met"),
    Case("moved late: what both contain", runs(), [announced(15, 25), then(Act.MOVE, 20, 30, 1)],
         F(50, 55), F(50, 60), "missed"),
    Case("moved late to elsewhere", runs(), [announced(40, 50), then(Act.MOVE, 20, 30, 1)],
         F(50, 60), F(50, 60), "missed"),
    Case("extended in good time", runs(), [announced(20, 25), then(Act.EXTEND, 20, 30, 90)], F(1), F(50, 60), "met"),
    Case("extended while it runs", runs(), [announced(20, 25), then(Act.EXTEND, 20, 30, -24 / 60)],
         F(50, 55), F(50, 60), "missed"),
    Case("shortened, however late", runs(), [announced(20, 30), then(Act.SHORTEN, 20, 22, -21 / 60)],
         F(50, 58), F(50, 60), "missed"),
    Case("completed early, and the outage went on", runs(), [ON_THE_OUTAGE, then(Act.COMPLETE, 20, 26, -26 / 60)],
         F(50, 54), F(50, 60), "missed"),
    Case("completed early, as the service was", runs(range(20, 26)),
         [ON_THE_OUTAGE, then(Act.COMPLETE, 20, 26, -26 / 60)], F(54, 54), F(54, 60), "met"),
    Case("cancelled", runs(), [ON_THE_OUTAGE, then(Act.CANCEL, 20, 30, 1)], F(50, 60), F(50, 60), "missed"),
    Case("cancelled while it runs", runs(), [ON_THE_OUTAGE, then(Act.CANCEL, 20, 30, -25 / 60)],
         F(50, 60), F(50, 60), "missed"),
    Case("cancelled and announced again in time", runs(),
         [ON_THE_OUTAGE, then(Act.CANCEL, 20, 30, 95), announced(20, 30, 80, name="x")], F(1), F(50, 60), "met"),
    Case("cancelled and announced again too late", runs(),
         [ON_THE_OUTAGE, then(Act.CANCEL, 20, 30, 95), announced(20, 30, 71, name="x")],
         F(50, 60), F(50, 60), "missed"),
    # --- several, caps, scopes ---
    Case("two that overlap", runs(), [announced(20, 26), announced(24, 30, name="x")], F(1), F(50, 60), "met"),
    Case("two that touch", runs(), [announced(20, 25), announced(25, 30, name="x")], F(1), F(50, 60), "met"),
    Case("two that touch within a slice", runs(), [announced(20, 24.5), announced(24.5, 30, name="x")],
         F(1), F(50, 60), "met"),
    Case("a cap", runs(), [ON_THE_OUTAGE], F(50, 56), F(50, 60), "missed", {"cap": 4 * MINUTE}),
    Case("a cap is used up in order of time", runs(), [announced(0, 5), announced(20, 30, name="x")],
         F(45, 52), F(50, 60), "missed", {"cap": 8 * MINUTE}),
    Case("overlap is paid for once", runs(), [announced(20, 28), announced(22, 30, name="x")],
         F(1), F(50, 60), "met", {"cap": 10 * MINUTE}),
    Case("another check's", runs(), [announced(20, 30, scope=("card",))], F(50, 60), F(50, 60), "missed"),
    Case("this check's by pattern", runs(), [announced(20, 30, scope=("eli*",))], F(1), F(50, 60), "met"),
    # --- edges ---
    Case("a slice in part: its one sample outside judges it", runs(), [announced(20, 29 + 5 / 60)],
         F(50, 51), F(50, 60), "missed"),
    Case("a slice in part: its one sample inside is left out", runs(), [announced(20, 29.5)],
         (F(1), F(50, 51), F(51, 51)), F(50, 60), "inconclusive"),
    Case("sent before it opens, answered inside", [*runs((), [n for n in ALL if n != 19]),
         *runs([19], [19], latency=50 * SECOND)], [announced(20, 30)], F(49, 50), F(59, 60), "missed"),
    Case("the same, void where that was agreed", [*runs((), [n for n in ALL if n != 19]),
         *runs([19], [19], latency=50 * SECOND)], [announced(20, 30)],
         (F(1), F(49, 50), F(50, 50)), F(59, 60), "inconclusive", {"void_inflight": True}),
    # --- who was looking ---
    Case("one region: down cannot be told", runs(where=["east"]), [],
         (F(1), F(50, 60), F(60, 60)), F(1), "inconclusive"),
    Case("one region, all up", runs((), where=["east"]), [], F(1), F(1), "met"),
    Case("a silent region takes no part", [*runs(where=["east", "west"]), *runs((), [0], ["north"])], [],
         F(50, 60), F(50, 60), "missed"),
    Case("a silent region, and a floor under coverage", [*runs((), where=["east", "west"]), *runs((), [0], ["north"])],
         [], F(1), F(1), "inconclusive", {"coverage_floor": F(1, 2)}),
    Case("one region of three fails", [*runs((), where=["east", "west"]), *runs(where=["north"])], [],
         F(1), F(1), "met"),
    Case("two of three fail", [*runs(where=["east", "west"]), *runs((), where=["north"])], [],
         F(50, 60), F(50, 60), "missed"),
    Case("silence for ten minutes", runs((), [n for n in ALL if n not in OUTAGE]), [],
         (F(1), F(50, 60), F(60, 60)), F(1), "inconclusive"),
    Case("silence everywhere", runs((), [-60]), [], NO_FIGURE, None, "no data"),
    Case("all of it excused", runs(), [announced(0, 60)], NO_FIGURE, F(50, 60), "no data"),
    Case("void samples are silence", [*runs((), [n for n in ALL if n not in OUTAGE]),
         *runs((), OUTAGE, outcome="agent_fault")], [], (F(1), F(50, 60), F(60, 60)), F(1), "inconclusive"),
    Case("an untrusted clock is silence", [*runs((), [n for n in ALL if n not in OUTAGE]),
         *runs((), OUTAGE, clock_offset=0, clock_error=SECOND + 1)], [],
         (F(1), F(50, 60), F(60, 60)), F(1), "inconclusive"),
    Case("an error bar of just a second is trusted", runs(clock_offset=0, clock_error=SECOND), [],
         F(50, 60), F(50, 60), "missed"),
    Case("refused everywhere", [*runs((), [n for n in ALL if n not in OUTAGE]),
         *runs((), OUTAGE, outcome="probe_fault")], [], F(50, 60), F(50, 60), "missed"),
    Case("a partner's failure, network", runs(outcome="partner_down"), [], F(1), F(1), "met"),
    Case("a partner's failure, end to end", runs(outcome="partner_down"), [], F(0), F(0), "missed",
         {"view": View.END_TO_END}),
    Case("load samples are ignored", [*runs(), *runs(ALL, purpose="load"), *runs(ALL, purpose="verify")], [],
         F(50, 60), F(50, 60), "missed"),
    Case("what became of a cleanup is ignored", [*runs(()), *runs(ALL, purpose="cleanup")], [], F(1), F(1), "met"),
    # --- targets ---
    Case("exactly the target, which must be exceeded", runs(), [], F(5, 6), F(5, 6), "missed", {"target": F(5, 6)}),
    Case("exactly the target, which must be reached", runs(), [], F(5, 6), F(5, 6), "met",
         {"target": F(5, 6), "strict": False}),
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    made = DuckdbStore(tmp_path / "results.duckdb")
    yield made
    made.close()


def accountant(store: DuckdbStore, guarantee: Guarantee) -> Accountant:
    return Accountant(store, Agreement("A", (guarantee,), UTC), SETTLE)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_an_availability_is_the_fraction_worked_out_by_hand(store: DuckdbStore, case: Case) -> None:
    keep(store, case.runs, NOON)
    guarantee = replace(AVAILABLE, **case.settings)
    made = accountant(store, guarantee)
    account = made.account(guarantee, made.basis(THE_HOUR, NOON + DAY, case.windows))
    (part,) = account.parts
    wanted = case.adjusted if isinstance(case.adjusted, tuple) else (case.adjusted,) * 3
    figures = (part.adjusted.figure, part.adjusted.low, part.adjusted.high)
    assert account.judgement.verdict.value == case.verdict
    if case.verdict != "no data":
        assert figures == wanted
    assert part.raw.figure == case.raw


def timed(fast: int, slow: int = 0, bad: int = 0, at: Instant = NOON, **changes: Any) -> list[RunRecord]:
    """So many runs on the limit to the microsecond, a microsecond beyond it, and failed, a millisecond apart."""
    kinds: list[dict[str, Any]] = [{"latency": 10 * SECOND}] * fast + [{"latency": 10 * SECOND + 1}] * slow
    kinds += [{"latency": SECOND, "outcome": "service_down"}] * bad
    return [run(at + n * 1000, **{**kind, **changes}) for n, kind in enumerate(kinds)]


TIMED: list[tuple[str, list[RunRecord], list[Announcement], F | None, F | None, int | None, str]] = [
    ("on the limit is within it", timed(10), [], F(1), F(1), 10 * SECOND, "met"),
    ("a microsecond beyond is not", timed(0, 10), [], F(0), F(0), 10 * SECOND + 1, "missed"),
    ("exactly nine tenths", timed(9, 1), [], F(9, 10), F(9, 10), 10 * SECOND, "met"),
    ("one less", timed(89, 11), [], F(89, 100), F(89, 100), 10 * SECOND + 1, "missed"),
    ("a failure is a slow one", timed(9, 0, 1), [], F(9, 10), F(9, 10), 10 * SECOND, "met"),
    ("failures inside p90 make it infinite", timed(8, 0, 2), [], F(8, 10), F(8, 10), None, "missed"),
    ("failures and slow ones together", timed(17, 2, 1), [], F(17, 20), F(17, 20), 10 * SECOND + 1, "missed"),
    ("nineteen: nine tenths of it is no whole number", timed(18, 1), [], F(18, 19), F(18, 19), 10 * SECOND, "met"),
    ("nineteen, and one too few", timed(17, 2), [], F(17, 19), F(17, 19), 10 * SECOND + 1, "missed"),
    ("load is ignored", timed(9, 1) + timed(0, 50, 50, purpose="load"), [], F(9, 10), F(9, 10), 10 * SECOND, "met"),
    ("a partner's failures are left out", timed(9, 1) + timed(30, outcome="partner_down"), [], F(9, 10), F(9, 10),
     10 * SECOND, "met"),
    ("void ones are left out", timed(9, 1) + timed(0, 30, outcome="agent_fault"), [], F(9, 10), F(9, 10), 10 * SECOND,
     "met"),
    ("inside a window they are left out, by their own instant", timed(9, 1) + timed(0, 10, at=NOON + MINUTE),
     [announced(1, 2)], F(9, 10), F(9, 20), 10 * SECOND, "met"),
    ("in the instant a window ends they count again", timed(9, 1) + timed(0, 1, at=NOON + 2 * MINUTE),
     [announced(1, 2)], F(9, 11), F(9, 11), 10 * SECOND + 1, "missed"),
    ("nobody looked", [], [], None, None, None, "no data"),
    ("only void ones", timed(5, outcome="agent_fault"), [], None, None, None, "no data"),
]  # fmt: skip


@pytest.mark.parametrize(("runs", "windows", "share", "raw", "p90", "verdict"), [case[1:] for case in TIMED],
                         ids=[case[0] for case in TIMED])  # fmt: skip
def test_a_response_time_is_the_fraction_worked_out_by_hand(
    store: DuckdbStore, runs: list[RunRecord], windows: list[Announcement], share: F | None, raw: F | None,
    p90: int | None, verdict: str,
) -> None:  # fmt: skip
    keep(store, runs or [run(purpose="load")], NOON)
    made = accountant(store, FAST)
    account = made.account(FAST, made.basis(THE_HOUR, NOON + DAY, windows))
    assert account.pooled is not None
    found = account.pooled.adjusted
    assert (found.share, account.pooled.raw.share, found.p90) == (share, raw, p90)
    assert account.judgement.verdict.value == verdict


# A month in New York: hourly runs that speak for their hour. (month, its hours, hours of the outage from its first
# instant and to its last, the window's hours from its first instant) -> the figure.
MONTHS: list[tuple[str, int, int, int, Callable[[Instant], Interval] | None, F]] = [
    ("2026-06", 720, 1, 0, None, F(719, 720)),
    ("2026-06", 720, 0, 1, None, F(719, 720)),
    ("2026-03", 743, 1, 1, None, F(741, 743)),
    ("2026-11", 721, 1, 1, None, F(719, 721)),
    ("2026-03", 743, 2, 1, lambda start: Interval(start - HOUR, start + 2 * HOUR), F(740, 741)),
    ("2026-11", 721, 2, 1, lambda start: Interval(start - HOUR, start + HOUR), F(718, 720)),
]


@pytest.mark.parametrize(("month", "hours", "first", "last", "window", "figure"), MONTHS)
def test_a_months_edges_are_midnights_in_new_york(
    store: DuckdbStore, month: str, hours: int, first: int, last: int,
    window: Callable[[Instant], Interval] | None, figure: F,
) -> None:  # fmt: skip
    period = parse_period(month, NEW_YORK)
    assert period.length == hours * HOUR
    # A day more on either side, all of it down: none of it may come in.
    keep(
        store,
        [
            run(at, region=region, interval=HOUR, outcome="ok" if start <= at < end else "service_down")
            for start, end in [(period.start + first * HOUR, period.end - last * HOUR)]
            for at in range(period.start - DAY, period.end + DAY, HOUR) for region in WHERE
        ],
        period.end + DAY,
    )  # fmt: skip
    guarantee = replace(AVAILABLE, zone=NEW_YORK, period=PeriodKind.MONTH)
    windows = []
    if window is not None:
        span = window(period.start)
        windows = [Announcement("w", 1, Act.ANNOUNCE, span.start, span.end, span.start - NOTICE)]
    made = accountant(store, guarantee)
    account = made.account(guarantee, made.basis(period, period.end + 9 * DAY, windows))
    sli = account.parts[0].adjusted
    assert (sli.figure, sli.unknown) == (figure, 0)
    assert account.judgement.verdict.value == "missed"
