"""Runs that may have been sent on the other side of an edge: both readings, worked out by hand.

The world of `test_accounting_cases`: an hour from 12:00 UTC, one check, once a minute from three regions, ten seconds
into each minute. What is said here of error bars is theirs alone that a case names: every other one is zero.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction as F
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from collector_support import NOON, SETTLE, UTC, keep, run

from outrider.core.guarantee import Agreement, Guarantee, Measure, View
from outrider.core.intervals import Interval
from outrider.core.maintenance import Act, Announcement
from outrider.core.period import PeriodKind
from outrider.core.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Instant, format_instant, parse_instant
from outrider.core.wire import RunRecord
from outrider.terminal.statement import show_statement
from outrider_collector.accounting import Accountant
from outrider_collector.forms.csv_form import to_csv
from outrider_collector.forms.html_form import to_html
from outrider_collector.forms.pdf_form import to_pdf
from outrider_collector.forms.reading import read_statement
from outrider_collector.statement import make_statement
from outrider_collector.store.duckdb_store import DuckdbStore
from outrider_collector.uncertain import MOST_EDGES

THE_HOUR = Interval(NOON, NOON + HOUR)
END = THE_HOUR.end
NOTICE = 72 * HOUR
MS = MILLISECOND
AVAILABLE = Guarantee("G1", "Available", Measure.AVAILABILITY, F(999, 1000), strict=True, notice=NOTICE)
FAST = Guarantee("G3", "Fast", Measure.RESPONSE_TIME, F(9, 10), limit=10 * SECOND, notice=NOTICE)
WHERE = ("east", "north", "west")


def sure(minutes: Sequence[int] = range(60), where: Sequence[str] = WHERE, **changes: Any) -> list[RunRecord]:
    return [
        run(NOON + n * MINUTE + 10 * SECOND, region=region, **{"clock_error": 0, **changes})
        for n in minutes
        for region in where
    ]


def near(edge: Instant, by: int, error: int, where: Sequence[str] = WHERE, **changes: Any) -> list[RunRecord]:
    """A run `by` microseconds after an edge, in each region, known to `error`; a bad one."""
    return [
        run(edge + by, region=region, clock_error=error, **{"outcome": "service_down", **changes}) for region in where
    ]


def window(start: float, end: float, name: str = "w") -> Announcement:
    opens, closes = (NOON + round(each * MINUTE) for each in (start, end))
    return Announcement(name, 1, Act.ANNOUNCE, opens, closes, NOON - 100 * HOUR, ("*",))


AT_20, AT_30 = NOON + 20 * MINUTE, NOON + 30 * MINUTE
EXCEPT_19 = [n for n in range(60) if n != 19]
EXCEPT_30 = [n for n in range(60) if n != 30]


class Case(NamedTuple):
    """Expected: the figure that stands and its verdict, the other one, and what is said of the edge; None."""

    name: str
    guarantee: Guarantee
    runs: list[RunRecord]
    windows: list[Announcement]
    stands: tuple[F, str]
    other: tuple[F, str] | None = None
    edge: tuple[str, Instant, int] | None = None


CASES = [
    # Three bad runs at 12:20, where a window begins. 50 slices are judged.
    Case("just before a window", AVAILABLE, sure(EXCEPT_19) + near(AT_20, -MS, 2 * MS), [window(20, 30)],
         (F(49, 50), "missed"), (F(1), "inconclusive"), ("maintenance begins", AT_20, 3)),
    Case("just before, and sure of it", AVAILABLE, sure(EXCEPT_19) + near(AT_20, -MS, MS - 1), [window(20, 30)],
         (F(49, 50), "missed")),
    Case("the bar just reaches the edge, which is after it", AVAILABLE, sure(EXCEPT_19) + near(AT_20, -MS, MS),
         [window(20, 30)], (F(49, 50), "missed"), (F(1), "inconclusive"), ("maintenance begins", AT_20, 3)),
    Case("just after its begin", AVAILABLE, sure(EXCEPT_19) + near(AT_20, 0, 1), [window(20, 30)],
         (F(1), "inconclusive"), (F(49, 50), "missed"), ("maintenance begins", AT_20, 3)),
    Case("at its begin, known to the microsecond", AVAILABLE, sure() + near(AT_20, 0, 0), [window(20, 30)],
         (F(1), "met")),
    Case("just after, and the bar just does not pass it", AVAILABLE, sure() + near(AT_20, MS, MS), [window(20, 30)],
         (F(1), "met")),
    Case("just before its end", AVAILABLE, sure(EXCEPT_30) + near(AT_30, -MS, MS), [window(20, 30)],
         (F(1), "inconclusive"), (F(49, 50), "missed"), ("maintenance ends", AT_30, 3)),
    Case("just after its end", AVAILABLE, sure(EXCEPT_30) + near(AT_30, MS, 2 * MS), [window(20, 30)],
         (F(49, 50), "missed"), (F(1), "inconclusive"), ("maintenance ends", AT_30, 3)),
    Case("one region of three, and no verdict changes", AVAILABLE, sure() + near(AT_20, -MS, 2 * MS, ["east"]),
         [window(20, 30)], (F(1), "met"), (F(1), "met"), ("maintenance begins", AT_20, 1)),
    Case("two windows that touch have no edge between them", AVAILABLE, sure() + near(AT_20, -MS, 2 * MS),
         [window(10, 20), window(20, 30, "x")], (F(1), "met")),
    Case("a window that came too late has no edges", AVAILABLE, sure(EXCEPT_19) + near(AT_20, -MS, 2 * MS),
         [replace(window(20, 30), recorded_at=NOON)], (F(59, 60), "missed")),
    Case("a second is the widest", AVAILABLE, sure(EXCEPT_19) + near(AT_20, -SECOND, SECOND), [window(20, 30)],
         (F(49, 50), "missed"), (F(1), "inconclusive"), ("maintenance begins", AT_20, 3)),
    Case("what is void for its clock is on neither side", AVAILABLE, sure() + near(AT_20, -MS, SECOND + 1),
         [window(20, 30)], (F(1), "met")),
    Case("what is void otherwise, too", AVAILABLE, sure() + near(AT_20, -MS, MS, outcome="agent_fault"),
         [window(20, 30)], (F(1), "met")),
    Case("load is no sample", AVAILABLE, sure() + near(AT_20, -MS, MS, purpose="load"), [window(20, 30)],
         (F(1), "met")),
    Case("a window shorter than the bar: the nearest edge", AVAILABLE,
         sure(EXCEPT_19) + near(AT_20, -MS, SECOND), [window(20, 20 + 1 / 600)],
         (F(59, 60), "missed"), (F(1), "inconclusive"), ("maintenance begins", AT_20, 3)),
    # The hour's own edges.
    Case("just before the period", AVAILABLE, sure() + near(NOON, -MS, 2 * MS) * 2, [],
         (F(1), "met"), (F(59, 60), "missed"), ("the period begins", NOON, 6)),
    Case("just in the period", AVAILABLE, sure() + near(NOON, MS, 2 * MS) * 2, [],
         (F(59, 60), "missed"), (F(1), "met"), ("the period begins", NOON, 6)),
    Case("just before its end", AVAILABLE, sure() + near(END, -1, 1) * 2, [],
         (F(59, 60), "missed"), (F(1), "met"), ("the period ends", END, 6)),
    Case("just after its end", AVAILABLE, sure() + near(END, 0, 1) * 2, [],
         (F(1), "met"), (F(59, 60), "missed"), ("the period ends", END, 6)),
    Case("excused time reaches past the period's begin", AVAILABLE, sure() + near(NOON, MS, 2 * MS) * 2,
         [window(-5, 5)], (F(1), "met")),
    Case("it begins with the period", AVAILABLE, sure() + near(NOON, -MS, 2 * MS) * 2, [window(0, 5)], (F(1), "met")),
    # Carried states and runs in flight, which are counted at once.
    Case("a run that speaks for five minutes", AVAILABLE,
         sure(range(0, 60, 5), interval=5 * MINUTE) + near(AT_20, -MS, 2 * MS, interval=5 * MINUTE), [window(20, 30)],
         (F(49, 50), "missed"), (F(1), "met"), ("maintenance begins", AT_20, 3)),
    Case("in flight when a window opens, or sent in it", replace(AVAILABLE, void_inflight=True),
         sure() + near(AT_20, MS, 2 * MS) * 2, [window(20, 30)], (F(1), "met"), (F(1), "met"),
         ("maintenance begins", AT_20, 6)),
    # Response times: 9 of 10 within the limit.
    Case("a slow one just before a window", FAST,
         sure(range(9), ["east"]) + near(AT_20, -MS, 2 * MS, ["east"] * 2), [window(20, 30)],
         (F(9, 11), "missed"), (F(1), "met"), ("maintenance begins", AT_20, 2)),
    Case("a fast one just in a window", FAST,
         sure(range(8), ["east"]) + sure([10], ["east"], outcome="service_down")
         + near(AT_20, MS, 2 * MS, ["east"], outcome="ok"), [window(20, 30)],
         (F(8, 9), "missed"), (F(9, 10), "met"), ("maintenance begins", AT_20, 1)),
    Case("just after the period's end", FAST, sure(range(9), ["east"]) + near(END, 0, 1, ["east"]), [],
         (F(1), "met"), (F(9, 10), "met"), ("the period ends", END, 1)),
    Case("a partner's failure is in no share", FAST,
         sure(range(9), ["east"]) + near(AT_20, -MS, 2 * MS, outcome="partner_down"), [window(20, 30)],
         (F(1), "met")),
    Case("end to end it is", replace(FAST, view=View.END_TO_END),
         sure(range(9), ["east"]) + near(AT_20, -MS, 2 * MS, ["east"] * 2, outcome="partner_down"), [window(20, 30)],
         (F(9, 11), "missed"), (F(1), "met"), ("maintenance begins", AT_20, 2)),
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckdbStore]:
    made = DuckdbStore(tmp_path / "results.duckdb")
    yield made
    made.close()


def accountant_of(store: DuckdbStore, *guarantees: Guarantee) -> Accountant:
    return Accountant(store, Agreement("A", guarantees, UTC), SETTLE)


def statement(
    store: DuckdbStore, using: Accountant, windows: Sequence[Announcement] = (), period: Interval = THE_HOUR,
    as_of: Instant = NOON + DAY,
) -> dict[str, Any]:  # fmt: skip
    plain = make_statement(using, using.basis(period, as_of, windows), "")
    return dict(json.loads(msgspec.json.encode(plain, order="deterministic")))


def fraction(share: Any) -> F:
    return F(share["numerator"], share["denominator"])


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_both_readings_are_the_fractions_worked_out_by_hand(store: DuckdbStore, case: Case) -> None:
    keep(store, case.runs, NOON)
    (made,) = statement(store, accountant_of(store, case.guarantee), case.windows)["guarantees"]
    (view,) = (each for each in made["views"] if each["decides"])
    assert (fraction(view["adjusted"]), made["verdict"]) == case.stands
    found = made.get("uncertain")
    assert (found is None) == (case.other is None), found
    if found is None:
        return
    assert case.edge is not None
    assert (fraction(found["adjusted"]), found["verdict"]) == case.other
    assert found["differs"] == (found["verdict"] != made["verdict"])
    (check,) = found["checks"]
    (edge,) = check["edges"]
    kind, instant, count = case.edge
    assert edge == {"at": format_instant(instant), "edge": kind, "runs": count}
    assert (check["runs"], check["edges_in_all"], found["runs"]) == (count, 1, count)
    assert ("stands" in found["text"]) == found["differs"]


DIFFERS = CASES[0]
SAME = CASES[8]


def test_every_form_says_both_readings_and_names_the_one_that_stands(
    store: DuckdbStore, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(store, DIFFERS.runs, NOON)
    plain = statement(store, accountant_of(store, AVAILABLE), DIFFERS.windows)
    said = (
        "3 runs were sent so near an edge of the period or of maintenance that the error bar of the instant reaches "
        "across it. On the other side the verdict would be inconclusive (100%), not missed (98%). Missed stands: the "
        "estimated instant decides, which is the middle of what is possible, and was fixed before anybody knew whom it "
        "favours"
    )
    assert plain["guarantees"][0]["uncertain"]["text"] == said
    read = read_statement(plain)
    html = to_html(read).decode()
    assert said in html
    assert "maintenance begins" in html
    assert to_pdf(read).startswith(b"%PDF")
    rows = list(csv.DictReader(StringIO(to_csv(read).decode(), newline="")))
    facts = {(row["part"], row["field"]): row for row in rows if row["part"].startswith("guarantees.uncertain")}
    assert facts["guarantees.uncertain", "verdict"]["value"] == "inconclusive"
    assert facts["guarantees.uncertain", "adjusted"]["numerator"] == "1"
    assert facts["guarantees.uncertain.checks.edges", "at"]["value"] == "2026-06-15T12:20:00Z"
    show_statement(plain)
    assert said in " ".join(capsys.readouterr().out.split())


def test_where_both_readings_have_one_verdict_a_line_says_so(store: DuckdbStore) -> None:
    keep(store, SAME.runs, NOON)
    (made,) = statement(store, accountant_of(store, AVAILABLE), SAME.windows)["guarantees"]
    assert made["uncertain"]["differs"] is False
    assert made["uncertain"]["text"].endswith("the verdict would be met, too, and so would be the figure")


def test_a_clause_of_weeks_is_judged_again_over_all_of_them(store: DuckdbStore) -> None:
    """Two bad runs just before a Saturday's midnight: 9 of 11 in that week, or 20 of 22 in the next."""
    june = Interval(parse_instant("2026-06-01T00:00:00Z"), parse_instant("2026-07-01T00:00:00Z"))
    sunday = parse_instant("2026-06-14T00:00:00Z")
    fast = {sunday - 13 * DAY: 20, sunday - 6 * DAY: 9, sunday + DAY: 20, sunday + 8 * DAY: 20}
    keep(store, [run(at + n * MINUTE, clock_error=0) for at, many in fast.items() for n in range(many)], NOON)
    keep(store, near(sunday, -MS, 2 * MS, ["east"] * 2), NOON)
    weekly = replace(FAST, period=PeriodKind.WEEK)
    (made,) = statement(store, accountant_of(store, weekly), (), june, june.end + DAY)["guarantees"]
    assert (made["verdict"], [each["adjusted"]["percent"] for each in made["periods"]]) == (
        "missed", ["100%", "81.81818%", "100%", "100%"]
    )  # fmt: skip
    found = made["uncertain"]
    (check,) = found["checks"]
    assert (check["runs"], [each["at"] for each in check["edges"]]) == (2, ["2026-06-14T00:00:00Z"])
    assert (found["verdict"], fraction(found["adjusted"]), found["differs"]) == ("met", F(20, 22), True)


def test_a_statement_with_both_readings_is_made_again_byte_for_byte_and_counts_nothing_twice(
    store: DuckdbStore,
) -> None:
    keep(store, DIFFERS.runs, NOON)
    using = accountant_of(store, AVAILABLE, FAST)
    first = statement(store, using, DIFFERS.windows)
    made = using.summaries.made
    assert statement(store, using, DIFFERS.windows) == first
    assert using.summaries.made == made
    keep(store, near(AT_30, MS, 2 * MS), NOON + 2 * DAY)
    assert statement(store, using, DIFFERS.windows) == first, "what was recorded later does not exist for it"
    assert statement(store, accountant_of(store, AVAILABLE, FAST), DIFFERS.windows) == first
    later = statement(store, using, DIFFERS.windows, as_of=NOON + 3 * DAY)["guarantees"][0]["uncertain"]
    assert later["runs"] == 6


def test_the_end_of_what_can_be_judged_of_a_running_period_is_no_edge(store: DuckdbStore) -> None:
    half = NOON + 30 * MINUTE
    keep(store, sure(range(30)) + near(half, -MS, 2 * MS), NOON)
    using = accountant_of(store, AVAILABLE)
    assert "uncertain" not in statement(store, using, as_of=half + SETTLE)["guarantees"][0]


def test_the_first_edges_are_listed_and_all_are_counted(store: DuckdbStore) -> None:
    windows = [window(n * 2, n * 2 + 1, f"w{n}") for n in range(1, 25)]
    keep(store, sure() + [each for one in windows for each in near(one.start, -MS, MS, ["east"])], NOON)
    (made,) = statement(store, accountant_of(store, AVAILABLE), windows)["guarantees"]
    (check,) = made["uncertain"]["checks"]
    assert (check["runs"], len(check["edges"]), check["edges_in_all"]) == (24, MOST_EDGES, 24)
