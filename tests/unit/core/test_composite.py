"""Several checks as one service, slice by slice, worked out by hand; and a clause's own periods."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.composite import Member, combine, covering
from outrider.core.guarantee import Composite, Guarantee, Measure, ParameterError
from outrider.core.intervals import NOTHING, Interval, Intervals
from outrider.core.margin import availability_margin
from outrider.core.period import Calendar, PeriodKind, parse_period
from outrider.core.sli import Availability
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, parse_instant
from outrider.core.verdict import Verdict, judge_together

NEW_YORK = ZoneInfo("America/New_York")
START = parse_instant("2026-06-01T00:00:00Z")
ALL, ANY = Composite.ALL, Composite.ANY
UP = Guarantee("A1", "up", Measure.AVAILABILITY, F(9, 10))


def member(states: str) -> Member:
    """A check by its states, one letter a minute: u up, d down, n unknown, x excused."""

    def spans(letter: str) -> Intervals:
        return Intervals(
            Interval(START + at * MINUTE, START + (at + 1) * MINUTE) for at, each in enumerate(states) if each == letter
        )

    counts = {letter: states.count(letter) for letter in "udnx"}
    measured = Availability(
        counts["u"], counts["d"], counts["n"], counts["x"], 2 * counts["u"], 2 * counts["d"], 1,
        {"east": counts["u"] + counts["d"]}, spans("d"), spans("n"), {(2, 2): counts["u"]},
    )  # fmt: skip
    return Member(measured, spans("x"))


def together(composite: Composite, *states: str) -> Availability:
    span = Interval(START, START + len(states[0]) * MINUTE)
    return combine([member(each) for each in states], span, MINUTE, composite)


def shown(made: Availability, length: int) -> str:
    """The composite's states as letters."""
    letters = []
    for at in range(START, START + length * MINUTE, MINUTE):
        letters.append("d" if at in made.outages else "n" if at in made.unknowns else "?")
    return "".join(letters)


# Every pair of states of two checks, and what the service is.
PAIRS: list[tuple[str, str, str, str]] = [
    # one, other, all, any
    ("u", "u", "up", "up"),
    ("u", "n", "unknown", "up"),
    ("u", "d", "down", "up"),
    ("u", "x", "up", "up"),
    ("n", "n", "unknown", "unknown"),
    ("n", "d", "down", "unknown"),
    ("n", "x", "unknown", "unknown"),
    ("d", "d", "down", "down"),
    ("d", "x", "down", "down"),
    ("x", "x", "excused", "excused"),
]


@pytest.mark.parametrize(("one", "other", "all_of", "any_of"), PAIRS)
def test_a_slice_of_two_checks_is_what_the_rule_says_in_either_order(
    one: str, other: str, all_of: str, any_of: str
) -> None:
    for composite, expected in ((ALL, all_of), (ANY, any_of)):
        for pair in ((one, other), (other, one)):
            made = together(composite, *pair)
            counts = {"up": made.up, "down": made.down, "unknown": made.unknown, "excused": made.excused}
            assert counts == {**dict.fromkeys(counts, 0), expected: 1}


# Three checks over ten minutes; figure U / (U + D), low U / (U + D + N), high (U + N) / (U + D + N).
TABLE: list[tuple[str, Composite, tuple[str, ...], tuple[F | None, F | None, F | None], Verdict]] = [
    ("all up", ALL, ("uuuuuuuuuu",) * 3, (F(1), F(1), F(1)), Verdict.MET),
    ("each is down in a minute of its own", ALL, ("duuuuuuuuu", "uduuuuuuuu", "uuduuuuuuu"),
     (F(7, 10), F(7, 10), F(7, 10)), Verdict.MISSED),
    ("the same, and any is enough", ANY, ("duuuuuuuuu", "uduuuuuuuu", "uuduuuuuuu"), (F(1), F(1), F(1)), Verdict.MET),
    ("all are down together", ANY, ("duuuuuuuuu", "dduuuuuuuu", "dduuuuuuuu"), (F(9, 10),) * 3, Verdict.MET),
    ("together in two minutes", ANY, ("dduuuuuuuu", "dduuuuuuuu", "dduuuuuuuu"), (F(8, 10),) * 3, Verdict.MISSED),
    ("one is not known for two", ALL, ("nnuuuuuuuu", "uuuuuuuuuu", "uuuuuuuuuu"), (F(1), F(8, 10), F(1)),
     Verdict.INCONCLUSIVE),
    ("down outvotes unknown", ALL, ("nnuuuuuuuu", "dduuuuuuuu", "uuuuuuuuuu"), (F(8, 10),) * 3, Verdict.MISSED),
    ("unknown might have been up", ANY, ("nnuuuuuuuu", "dduuuuuuuu", "dduuuuuuuu"), (F(1), F(8, 10), F(1)),
     Verdict.INCONCLUSIVE),
    ("the one that was down is excused", ALL, ("xxuuuuuuuu", "uuuuuuuuuu", "uuuuuuuuuu"), (F(1),) * 3, Verdict.MET),
    ("all are excused in two minutes", ALL, ("xxduuuuuuu", "xxuuuuuuuu", "xxuuuuuuuu"), (F(7, 8),) * 3, Verdict.MISSED),
    ("the one that was up is excused", ANY, ("xuuuuuuuuu", "dduuuuuuuu", "dduuuuuuuu"), (F(9, 10),) * 3, Verdict.MET),
    ("a single check is itself", ANY, ("dnuuuuuuux",), (F(7, 8), F(7, 9), F(8, 9)), Verdict.MISSED),
]  # fmt: skip


@pytest.mark.parametrize(("composite", "states", "figures", "verdict"), [row[1:] for row in TABLE],
                         ids=[row[0] for row in TABLE])  # fmt: skip
def test_checks_that_are_one_service_are_counted_by_hand(
    composite: Composite,
    states: tuple[str, ...],
    figures: tuple[F | None, F | None, F | None],
    verdict: Verdict,
) -> None:
    made = together(composite, *states)
    assert (made.figure, made.low, made.high) == figures
    assert judge_together(made, UP, {}).verdict is verdict
    assert made.samples == sum(2 * (each.count("u") + each.count("d")) for each in states)


def test_outages_of_the_service_are_the_spans_in_which_it_was_down() -> None:
    assert shown(together(ALL, "dduuun", "uuduuu"), 6) == "ddd??n"
    assert shown(together(ANY, "dduuun", "uddunn"), 6) == "?d???n"


def test_all_excused_and_nothing_seen_are_no_data_with_their_reasons() -> None:
    assert judge_together(together(ALL, "xx", "xx"), UP, {}).reason == "all excused"
    assert judge_together(together(ALL, "nn", "nx"), UP, {}).reason == "no samples"


def test_all_is_covered_as_its_thinnest_check_is_and_any_as_its_best_one() -> None:
    coverage = {"card": (5, 10), "eligibility": (9, 10), "portal": (0, 0)}
    assert covering(coverage, ALL) == {"card": (5, 10)}
    assert covering(coverage, ANY) == {"eligibility": (9, 10)}
    assert covering({"portal": (0, 0)}, ALL) == {}
    floored = replace(UP, coverage_floor=F(6, 10))
    made = together(ALL, "uuuuuuuuuu", "uuuuuuuuuu")
    thin = judge_together(made, floored, {"card": F(5, 10)})
    assert (thin.verdict, thin.reason) == (Verdict.INCONCLUSIVE, "coverage is 50%, below the agreed 60%")
    said = availability_margin(made, floored, thin, covering(coverage, ALL)).text
    lacks = "card has data in 5 of 10 slices and lacks 1"
    assert said == f"coverage decides: {lacks}; by its share it is met with 1 slice (1m) to spare"
    assert judge_together(made, floored, {"eligibility": F(9, 10)}).verdict is Verdict.MET


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet="udnx", min_size=12, max_size=12), min_size=1, max_size=4), st.randoms())
def test_order_means_nothing_and_any_is_never_worse_than_all(states: list[str], chance: object) -> None:
    every, some = together(ALL, *states), together(ANY, *states)
    assert together(ALL, *reversed(states)) == every
    assert together(ANY, *reversed(states)) == some
    assert every.measured + every.excused == some.measured + some.excused == 12
    assert every.excused == some.excused, "what is excused does not hang on how they are put together"
    assert every.up <= some.up
    assert every.down >= some.down
    # By the rule, slice by slice, written once more in the plainest way.
    for at, row in enumerate(zip(*states, strict=True)):
        left = set(row) - {"x"}
        instant = START + at * MINUTE
        assert (instant in every.outages) == ("d" in left)
        assert (instant in some.outages) == (left == {"d"})
        assert (instant in every.unknowns) == ("n" in left and "d" not in left)
        assert (instant in some.unknowns) == ("n" in left and "u" not in left)


# --- a clause's own periods -------------------------------------------------------------------------------------------

WEEK = replace(UP, period=PeriodKind.WEEK, zone=NEW_YORK)
FAR = parse_instant("2030-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("month", "labels"),
    [
        # June 2026 begins on a Monday: the week from Sunday 31 May ends in June, that from 28 June in July.
        ("2026-06", ["2026-W23", "2026-W24", "2026-W25", "2026-W26"]),
        ("2026-07", ["2026-W27", "2026-W28", "2026-W29", "2026-W30"]),
        # August ends on a Monday: its last week ends on Saturday the 29th.
        ("2026-08", ["2026-W31", "2026-W32", "2026-W33", "2026-W34", "2026-W35"]),
        # October ends on a Saturday: that week is October's. In November the clocks go back, and the week stays one.
        ("2026-10", ["2026-W40", "2026-W41", "2026-W42", "2026-W43", "2026-W44"]),
        ("2026-11", ["2026-W45", "2026-W46", "2026-W47", "2026-W48"]),
        # ISO numbers: the week of Sunday 27 December is number 53, and ends in January.
        ("2027-01", ["2026-W53", "2027-W01", "2027-W02", "2027-W03", "2027-W04"]),
        # February 2026 begins on a Sunday and has exactly four weeks.
        ("2026-02", ["2026-W06", "2026-W07", "2026-W08", "2026-W09"]),
    ],
)
def test_a_week_belongs_to_the_month_in_which_it_ends(month: str, labels: list[str]) -> None:
    period = parse_period(month, NEW_YORK)
    own = WEEK.own_periods(period, FAR)
    assert [each.label for each in own] == labels
    for each in own:
        assert each.span == parse_period(each.label, NEW_YORK), "it is whole, and can be asked for by its name"
        assert period.start < each.span.end <= period.end


def test_each_week_of_some_years_is_in_one_month_and_no_other() -> None:
    named = [
        own.label
        for year, month in product(range(2026, 2030), range(1, 13))
        for own in WEEK.own_periods(parse_period(f"{year}-{month:02}", NEW_YORK), FAR)
    ]
    assert len(named) == len(set(named)) == 208 + 1, "from W01 of 2026 (it began on 28 December 2025) to W52 of 2029"


@pytest.mark.parametrize("text", ["2026-03", "2026-W01", "2026-W53", "2027-W01", "2026-11-01"])
def test_a_periods_label_is_how_it_is_asked_for(text: str) -> None:
    kind = PeriodKind.MONTH if len(text) == 7 else PeriodKind.WEEK if "W" in text else PeriodKind.DAY
    assert Calendar(kind, NEW_YORK).label(parse_period(text, NEW_YORK)) == text


def test_a_week_that_has_not_begun_is_left_out_and_one_that_runs_is_there() -> None:
    period = parse_period("2026-06", NEW_YORK)
    wednesday = parse_instant("2026-06-10T12:00:00-04:00")
    assert [each.label for each in WEEK.own_periods(period, wednesday)] == ["2026-W23", "2026-W24"]
    sunday = parse_period("2026-W24", NEW_YORK).start
    assert [each.label for each in WEEK.own_periods(period, sunday)] == ["2026-W23"], "nothing of it can be judged yet"


def test_a_statement_of_the_clauses_own_period_or_of_a_shorter_one_lists_none() -> None:
    assert WEEK.own_periods(parse_period("2026-W24", NEW_YORK), FAR) == ()
    assert WEEK.own_periods(parse_period("2026-06-13", NEW_YORK), FAR) == (), "though the week ends with that day"
    monthly = replace(WEEK, period=PeriodKind.MONTH)
    assert monthly.own_periods(parse_period("2026-06", NEW_YORK), FAR) == ()
    assert monthly.own_periods(parse_period("2026-W27", NEW_YORK), FAR) == ()
    month = parse_period("2026-06", NEW_YORK)
    assert WEEK.own_periods(Interval(month.start + HOUR, month.end), FAR) == (), "a span that is not of whole days"
    assert WEEK.own_periods(Interval(month.start, month.end - HOUR), FAR) == ()
    quarter = Interval(parse_period("2026-04", NEW_YORK).start, parse_period("2026-06", NEW_YORK).end)
    assert [each.label for each in monthly.own_periods(quarter, FAR)] == ["2026-04", "2026-05", "2026-06"]


def test_a_rolling_clause_is_judged_up_to_the_end_of_the_period_or_as_far_as_that_has_come() -> None:
    rolling = replace(UP, period=PeriodKind.ROLLING, rolling=30 * DAY, zone=NEW_YORK)
    march = parse_period("2026-03", NEW_YORK)
    (own,) = rolling.own_periods(march, FAR)
    assert (own.label, own.span.end, own.span.length) == ("rolling 30d", march.end, 720 * HOUR)
    (own,) = rolling.own_periods(march, march.start + HOUR)
    assert own.span == Interval(march.start + HOUR - 30 * DAY, march.start + HOUR)
    assert rolling.own_periods(march, march.start) == ()
    assert (rolling.period_name, WEEK.period_name) == ("rolling 30d", "week")


@pytest.mark.parametrize(
    ("changes", "parameter", "message"),
    [
        ({"period": PeriodKind.ROLLING}, "period", "has a length"),
        ({"rolling": DAY}, "period", "no other has one"),
        ({"period": PeriodKind.ROLLING, "rolling": 36 * HOUR}, "period", "whole days"),
        ({"period": PeriodKind.ROLLING, "rolling": 367 * DAY}, "period", "1d to 366d"),
        ({"period": PeriodKind.ROLLING, "rolling": 0}, "period", "1d to 366d"),
        ({"period": PeriodKind.ROLLING, "rolling": DAY, "cap": HOUR}, "cap", "a rolling one has no beginning"),
        ({"cap": 0}, "cap", "windows_excuse"),
        ({"regions": ("east", "east")}, "regions", "listed twice"),
        ({"checks": ()}, "checks", "covers no check"),
        ({"measure": Measure.RESPONSE_TIME, "limit": SECOND, "composite": ALL}, "composite", "pools"),
        ({"quorum": F(1)}, "quorum", "between 0 and 1"),
        ({"coverage_floor": F(11, 10)}, "coverage_floor", "above 100"),
        ({"target": F(1), "strict": True}, "target", "cannot be reached"),
        ({"limit": SECOND}, "limit", "belongs to a response_time"),
        ({"notice": -1}, "notice", "negative"),
        ({"slice": 7 * SECOND}, "slice", "15 minutes"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(changes: dict[str, object], parameter: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as raised:
        replace(UP, **changes)  # type: ignore[arg-type]
    assert raised.value.parameter == parameter
    assert str(raised.value).startswith("A1: ")


def test_a_region_that_is_not_listed_is_not_heard() -> None:
    assert UP.hears("anywhere")
    listed = replace(UP, regions=("east",))
    assert (listed.hears("east"), listed.hears("west")) == (True, False)
    assert Intervals() == NOTHING
