"""R1 to R9 of the accounts, worked out by hand. Each case says what was announced or seen, and what must come out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction as F
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from outrider.core.guarantee import Agreement, Guarantee, Measure, View
from outrider.core.intervals import NOTHING, Interval, Intervals
from outrider.core.maintenance import Act, Announcement, Cap, excused
from outrider.core.measuring import Latencies, Rules, measure, measure_response, whole_slices
from outrider.core.outcome import OutcomeClass, Standing
from outrider.core.period import Calendar, PeriodKind, midnight, parse_period
from outrider.core.sli import Availability, Cell, SliceCounts
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, from_datetime, parse_instant
from outrider.core.verdict import (
    Judgement,
    Verdict,
    cut_percent,
    judge_availability,
    judge_response,
    worst,
)

NEW_YORK = ZoneInfo("America/New_York")
OK, DOWN, REFUSED = OutcomeClass.OK, OutcomeClass.SERVICE_DOWN, OutcomeClass.PROBE_FAULT
PARTNER, AGENT = OutcomeClass.PARTNER_DOWN, OutcomeClass.AGENT_FAULT

G1 = Guarantee("G1", "available", Measure.AVAILABILITY, F(999, 1000), strict=True)
G3 = Guarantee("G3", "fast", Measure.RESPONSE_TIME, F(9, 10), limit=10 * SECOND)


def at(text: str) -> int:
    return parse_instant(text)


def span(start: str, end: str) -> Interval:
    return Interval(at(start), at(end))


# --- R1: periods are calendar periods of the agreement's zone, in UTC instants -----------------------------------


@pytest.mark.parametrize(
    ("text", "zone", "start", "end", "hours"),
    [
        ("2026-03", NEW_YORK, "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z", 743),
        ("2026-11", NEW_YORK, "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z", 721),
        ("2026-06", NEW_YORK, "2026-06-01T04:00:00Z", "2026-07-01T04:00:00Z", 720),
        ("2026-12", NEW_YORK, "2026-12-01T05:00:00Z", "2027-01-01T05:00:00Z", 744),
        ("2026-03", ZoneInfo("UTC"), "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", 744),
        ("2026-03-08", NEW_YORK, "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z", 23),
        ("2026-11-01", NEW_YORK, "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", 25),
        # ISO week 11 of 2026 begins Monday 9 March; the CORE week is Sunday 8 to Saturday 14 and loses an hour.
        ("2026-W11", NEW_YORK, "2026-03-08T05:00:00Z", "2026-03-15T04:00:00Z", 167),
    ],
)
def test_a_period_has_the_hours_of_its_zone(text: str, zone: ZoneInfo, start: str, end: str, hours: int) -> None:
    period = parse_period(text, zone)
    assert period == span(start, end)
    assert period.length == hours * HOUR


def test_the_last_microsecond_of_a_month_belongs_to_it_and_the_next_one_does_not() -> None:
    months = Calendar(PeriodKind.MONTH, NEW_YORK)
    november = parse_period("2026-11", NEW_YORK)
    assert months.containing(november.end - 1) == november
    assert months.containing(november.end) == parse_period("2026-12", NEW_YORK)


def test_midnight_that_the_clocks_skip_is_the_instant_they_jump_to() -> None:
    # Chile springs forward at midnight: 2026-09-06 begins at 01:00, which is 04:00 UTC.
    assert midnight(date(2026, 9, 6), ZoneInfo("America/Santiago")) == at("2026-09-06T04:00:00Z")


def test_a_period_that_is_none_says_how_to_write_one() -> None:
    with pytest.raises(ValueError, match="write a month like 2026-06"):
        parse_period("June", NEW_YORK)
    with pytest.raises(ValueError, match="month must be in"):
        parse_period("2026-13", NEW_YORK)
    for beyond in ("9999-12", "9999-12-31", "9999-W52", "0001-W01"):
        with pytest.raises(ValueError, match="is not a period: date value out of range"):
            parse_period(beyond, NEW_YORK)


# --- R5 and R7: what is excused ----------------------------------------------------------------------------------

DAY0 = at("2026-06-10T00:00:00Z")
PERIOD = Interval(DAY0, DAY0 + DAY)
NOTICE = 72 * HOUR


def hours(start: float, end: float) -> Interval:
    return Interval(DAY0 + int(start * HOUR), DAY0 + int(end * HOUR))


def version(
    number: int, act: Act, start: float, end: float, recorded: float, scope: tuple[str, ...] = ("*",), window: str = "w"
) -> Announcement:
    """Times in hours from the beginning of the day."""
    times = hours(start, end)
    return Announcement(window, number, act, times.start, times.end, DAY0 + round(recorded * HOUR), scope)


ANNOUNCED = version(1, Act.ANNOUNCE, 2, 4, recorded=-100)
ONE_SECOND = 1 / 3600
R5_CASES: list[tuple[str, list[Announcement], list[Interval]]] = [
    ("announced in good time", [ANNOUNCED], [hours(2, 4)]),
    ("recorded at exactly the notice", [version(1, Act.ANNOUNCE, 2, 4, 2 - 72)], [hours(2, 4)]),
    ("recorded one second late", [version(1, Act.ANNOUNCE, 2, 4, 2 - 72 + ONE_SECOND)], []),
    ("recorded afterwards", [version(1, Act.ANNOUNCE, 2, 4, 5)], []),
    ("extended too late", [ANNOUNCED, version(2, Act.EXTEND, 2, 6, 3.5)], [hours(2, 4)]),
    ("extended in good time", [ANNOUNCED, version(2, Act.EXTEND, 2, 6, -71)], [hours(2, 6)]),
    ("extended after its end", [ANNOUNCED, version(2, Act.EXTEND, 2, 6, 5)], [hours(2, 4)]),
    ("shortened at the last moment", [ANNOUNCED, version(2, Act.SHORTEN, 2, 3, 1)], [hours(2, 3)]),
    ("shortened, then stretched back late", [ANNOUNCED, version(2, Act.SHORTEN, 2, 3, -50),
     version(3, Act.EXTEND, 2, 4, -40)], [hours(2, 3)]),
    ("moved late to an hour later: the overlap stays", [ANNOUNCED, version(2, Act.MOVE, 3, 5, 1)], [hours(3, 4)]),
    ("moved late to somewhere else", [ANNOUNCED, version(2, Act.MOVE, 10, 12, 1)], []),
    ("moved in good time", [ANNOUNCED, version(2, Act.MOVE, 10, 12, 10 - 72)], [hours(10, 12)]),
    ("moved to earlier than its notice allows", [version(1, Act.ANNOUNCE, 20, 22, -55),
     version(2, Act.MOVE, 2, 4, -50)], []),
    ("moved to earlier, the first version was old enough but does not contain it",
     [version(1, Act.ANNOUNCE, 20, 22, -100), version(2, Act.MOVE, 2, 4, -60)], []),
    ("cancelled", [ANNOUNCED, version(2, Act.CANCEL, 2, 4, 1)], []),
    ("cancelled in the middle", [ANNOUNCED, version(2, Act.CANCEL, 2, 4, 3)], []),
    ("cancelled and announced again too late", [ANNOUNCED, version(2, Act.CANCEL, 2, 4, -60),
     version(3, Act.ANNOUNCE, 2, 4, -50)], []),
    ("cancelled and announced again in good time", [ANNOUNCED, version(2, Act.CANCEL, 2, 4, -90),
     version(3, Act.ANNOUNCE, 2, 4, -80)], [hours(2, 4)]),
    ("completed early", [ANNOUNCED, version(2, Act.COMPLETE, 2, 3, 3)], [hours(2, 3)]),
    ("completed early, then stretched: the end stands", [ANNOUNCED, version(2, Act.COMPLETE, 2, 3, 3),
     version(3, Act.EXTEND, 2, 4, 3.5)], [hours(2, 3)]),
    ("replaced in the instant it was recorded: never in force", [version(1, Act.ANNOUNCE, 8, 9, -100),
     version(2, Act.ANNOUNCE, 2, 4, -100)], [hours(2, 4)]),
    ("another check's window", [version(1, Act.ANNOUNCE, 2, 4, -100, scope=("card-*",))], []),
    ("scope widened too late", [version(1, Act.ANNOUNCE, 2, 4, -100, scope=("card-*",)),
     version(2, Act.MOVE, 2, 4, -10)], []),
    ("scope by pattern", [version(1, Act.ANNOUNCE, 2, 4, -100, scope=("elig*", "card"))], [hours(2, 4)]),
    ("two that overlap", [ANNOUNCED, version(1, Act.ANNOUNCE, 3, 5, -100, window="x")], [hours(2, 5)]),
    ("two that touch", [ANNOUNCED, version(1, Act.ANNOUNCE, 4, 5, -100, window="x")], [hours(2, 5)]),
    ("two apart", [ANNOUNCED, version(1, Act.ANNOUNCE, 5, 6, -100, window="x")], [hours(2, 4), hours(5, 6)]),
    ("cut at the period's edges", [version(1, Act.ANNOUNCE, -2, 1, -100),
     version(1, Act.ANNOUNCE, 23, 30, -100, window="x")], [hours(0, 1), hours(23, 24)]),
]  # fmt: skip


@pytest.mark.parametrize(("announcements", "expected"), [case[1:] for case in R5_CASES], ids=[c[0] for c in R5_CASES])
def test_excused_time_follows_every_version_in_force(
    announcements: list[Announcement], expected: list[Interval]
) -> None:
    assert excused(announcements, NOTICE, PERIOD, "eligibility") == Intervals(expected)
    assert excused(announcements[::-1], NOTICE, PERIOD, "eligibility") == Intervals(expected), "order of arrival"


def test_a_window_over_the_spring_change_is_as_long_as_its_instants() -> None:
    # 01:30 to 03:30 on the wall clock of New York, 8 March 2026: one hour, since 02:00 to 03:00 does not exist.
    window = Announcement("w", 1, Act.ANNOUNCE, at("2026-03-08T06:30:00Z"), at("2026-03-08T07:30:00Z"), 0)
    assert excused([window], NOTICE, parse_period("2026-03-08", NEW_YORK), "any").length == HOUR


def test_a_window_over_the_autumn_change_is_as_long_as_its_instants() -> None:
    # 00:30 EDT to 02:30 EST on 1 November 2026: three hours, since 01:00 to 02:00 happens twice.
    window = Announcement("w", 1, Act.ANNOUNCE, at("2026-11-01T00:30:00-04:00"), at("2026-11-01T02:30:00-05:00"), 0)
    assert excused([window], NOTICE, parse_period("2026-11-01", NEW_YORK), "any").length == 3 * HOUR


def test_a_monthly_cap_is_used_up_in_order_of_time_and_begins_anew_each_month() -> None:
    june, july = parse_period("2026-06", NEW_YORK), parse_period("2026-07", NEW_YORK)
    windows = [
        Announcement(name, 1, Act.ANNOUNCE, start, start + 3 * HOUR, 0)
        for name, start in (("late", june.end - 2 * HOUR), ("early", june.start + DAY))
    ]
    cap = Cap(4 * HOUR, Calendar(PeriodKind.MONTH, NEW_YORK).overlapping)
    first_day = june.start + DAY
    assert excused(windows, NOTICE, june, "any", cap) == Intervals(
        [Interval(first_day, first_day + 3 * HOUR), Interval(june.end - 2 * HOUR, june.end - HOUR)]
    )
    assert excused(windows, NOTICE, july, "any", cap) == Intervals([Interval(july.start, july.start + HOUR)])
    last_day = Interval(june.end - DAY, june.end)
    assert excused(windows, NOTICE, last_day, "any", cap).length == HOUR, "a part of the month has no cap of its own"


def test_a_version_recorded_after_the_as_of_instant_does_not_exist_yet() -> None:
    history = [ANNOUNCED, version(2, Act.CANCEL, 2, 4, 10)]
    as_of = DAY0 + 9 * HOUR
    known = [each for each in history if each.recorded_at <= as_of]
    assert excused(known, NOTICE, PERIOD, "any") == Intervals([hours(2, 4)])
    assert excused(history, NOTICE, PERIOD, "any") == NOTHING


# --- R2, R3, R4, R6: slices, quorum, figures ---------------------------------------------------------------------

MIN0 = DAY0 // MINUTE
TEN_MINUTES = Interval(DAY0, DAY0 + 10 * MINUTE)


def rules(guarantee: Guarantee = G1, known_expiry: Intervals = NOTHING) -> Rules:
    return Rules(guarantee.slice, guarantee.standing, guarantee.quorum, known_expiry)


def seen(minute: int, region: str, outcome: OutcomeClass, times: int = 1, speaks_for: int = 0) -> Cell:
    """`times` samples half a minute into the minute; `speaks_for` minutes, where that is longer than a slice."""
    moment = DAY0 + minute * MINUTE + 30 * SECOND
    return Cell(MIN0 + minute, region, outcome, times, moment, moment + speaks_for * MINUTE if speaks_for else 0)


def account(cells: Sequence[Cell], taken_out: Sequence[Interval] = (), **settings: object) -> Availability:
    return measure(SliceCounts.of(cells), Intervals(taken_out), TEN_MINUTES, rules(**settings))  # type: ignore[arg-type]


def everywhere(minute: int, *outcomes: OutcomeClass) -> list[Cell]:
    return [seen(minute, region, outcome) for region, outcome in zip("abc", outcomes, strict=False)]


ONE_SLICE_CASES: list[tuple[str, list[Cell], str]] = [
    ("nobody looked", [], "unknown"),
    ("three of three up", everywhere(0, OK, OK, OK), "up"),
    ("one of three down", everywhere(0, DOWN, OK, OK), "up"),
    ("two of three down", everywhere(0, DOWN, DOWN, OK), "down"),
    ("one of two down is not more than half", everywhere(0, DOWN, OK), "up"),
    ("two of two down", everywhere(0, DOWN, DOWN), "down"),
    ("two of four down is not more than half", [*everywhere(0, DOWN, DOWN, OK), seen(0, "d", OK)], "up"),
    ("a single witness that is up", everywhere(0, OK), "up"),
    ("a single witness that is down cannot tell its path from the service", everywhere(0, DOWN), "unknown"),
    ("half of a region's samples good is not down", [seen(0, "a", OK), seen(0, "a", DOWN), *everywhere(0, OK, OK)[1:]],
     "up"),
    ("less than half good is down, in both regions", [seen(0, r, o, n) for r in "ab" for o, n in ((OK, 2), (DOWN, 3))],
     "down"),
    ("void samples are no samples: one witness is left", [seen(0, "a", DOWN), seen(0, "b", AGENT)], "unknown"),
    ("a partner's failure is not the network's", everywhere(0, PARTNER, PARTNER, PARTNER), "up"),
    ("refused everywhere", everywhere(0, REFUSED, REFUSED, REFUSED), "down"),
    ("refused in the only region with data", everywhere(0, REFUSED), "unknown"),
    ("refused in two, good in the third", everywhere(0, REFUSED, REFUSED, OK), "up"),
    ("refused in two, down in the third: nobody was served", everywhere(0, REFUSED, REFUSED, DOWN), "down"),
    ("refused in one, down in another: one witness", everywhere(0, REFUSED, DOWN), "unknown"),
    ("refused in two and mostly so in a third that was served once",
     [*everywhere(0, REFUSED, REFUSED), seen(0, "c", REFUSED), seen(0, "c", OK), seen(0, "c", DOWN, 2)], "down"),
    ("refused in two, and in a third that was served as often as not",
     [*everywhere(0, REFUSED, REFUSED), seen(0, "c", OK), seen(0, "c", DOWN)], "up"),
    ("refused and good in one region, refused in the other", [seen(0, "a", OK), *everywhere(0, REFUSED, REFUSED)],
     "up"),
    ("unexpected business answers are answers", everywhere(0, OutcomeClass.BUSINESS_UNEXPECTED, OK, OK), "up"),
    ("malformed and throttled answers are bad", everywhere(0, OutcomeClass.MALFORMED, OutcomeClass.THROTTLED, OK),
     "down"),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "state"), [c[1:] for c in ONE_SLICE_CASES], ids=[c[0] for c in ONE_SLICE_CASES])
def test_a_slice_is_judged_by_the_quorum_of_regions_with_data(cells: list[Cell], state: str) -> None:
    sli = measure(SliceCounts.of(cells), NOTHING, Interval(DAY0, DAY0 + MINUTE), rules())
    assert {"up": sli.up, "down": sli.down, "unknown": sli.unknown}[state] == 1
    assert sli.measured == 1


def test_end_to_end_a_partners_failure_is_bad() -> None:
    both = Guarantee("e", "end to end", Measure.AVAILABILITY, F(9, 10), view=View.END_TO_END)
    assert account(everywhere(0, PARTNER, PARTNER, OK), guarantee=both).down == 1


def test_a_refusal_everywhere_is_excused_where_the_expiry_was_known() -> None:
    expiry = Intervals([Interval(DAY0 + 30 * SECOND, DAY0 + 40 * SECOND)])
    cells = everywhere(0, REFUSED, REFUSED) + everywhere(1, REFUSED, REFUSED)
    sli = account(cells, known_expiry=expiry)
    assert (sli.down, sli.unknown) == (1, 9)


def test_another_quorum_may_be_agreed() -> None:
    strict = Guarantee("q", "any region", Measure.AVAILABILITY, F(9, 10), quorum=F(1, 4))
    assert account(everywhere(0, DOWN, OK, OK), guarantee=strict).down == 1


def test_the_figure_and_its_bounds_are_exact_fractions() -> None:
    cells = [cell for minute in range(7) for cell in everywhere(minute, OK, OK, OK)] + everywhere(7, DOWN, DOWN, DOWN)
    sli = account(cells)
    assert (sli.up, sli.down, sli.unknown) == (7, 1, 2)
    assert (sli.figure, sli.low, sli.high) == (F(7, 8), F(7, 10), F(9, 10))
    assert sli.outages == Intervals([Interval(DAY0 + 7 * MINUTE, DAY0 + 8 * MINUTE)])
    assert sli.unknowns == Intervals([Interval(DAY0 + 8 * MINUTE, DAY0 + 10 * MINUTE)])


def test_excused_slices_leave_numerator_and_denominator() -> None:
    cells = [cell for minute in range(8) for cell in everywhere(minute, OK, OK)]
    cells += [cell for minute in (8, 9) for cell in everywhere(minute, DOWN, DOWN)]
    window = Interval(DAY0 + 7 * MINUTE, DAY0 + 9 * MINUTE)
    raw, adjusted = account(cells), account(cells, [window])
    assert (raw.figure, adjusted.figure) == (F(8, 10), F(7, 8))
    assert (adjusted.excused, adjusted.measured) == (2, 8)
    assert (adjusted.good_samples, adjusted.bad_samples) == (14, 2)


def test_a_slice_that_a_window_covers_in_part_is_judged_by_the_samples_outside() -> None:
    # The window [0:30, 2:00) takes the second half of minute 0; what is left of that minute was down.
    window = Interval(DAY0 + 30 * SECOND, DAY0 + 2 * MINUTE)
    sli = account([Cell(MIN0, region, DOWN) for region in "ab"], [window])
    assert (sli.down, sli.excused, sli.unknown) == (1, 1, 8)


@pytest.mark.parametrize(
    ("speaks_for", "taken_out", "up", "why"),
    [
        (0, [], 1, "an interval within the slice speaks for its own slice only"),
        (4, [], 4, "until the slice of the next slot, and no further"),
        (20, [], 10, "and not beyond the period"),
        (20, [Interval(DAY0 + 5 * MINUTE, DAY0 + 6 * MINUTE)], 5, "never across the edge of an excused interval"),
        (20, [Interval(DAY0 + 5 * MINUTE + 1, DAY0 + 5 * MINUTE + 2)], 5, "nor across one inside a slice"),
        (20, [Interval(DAY0 + 6 * MINUTE, DAY0 + 20 * MINUTE)], 6, "an edge at the end of a slice is not crossed"),
    ],
)
def test_a_long_interval_carries_its_state(speaks_for: int, taken_out: list[Interval], up: int, why: str) -> None:
    sli = account([seen(0, "a", OK, speaks_for=speaks_for)], taken_out)
    assert sli.up == up, why
    assert sli.coverage == {"a": up}


def test_a_state_carries_into_the_period_from_before_it() -> None:
    sli = account([seen(-2, "a", OK, speaks_for=5), seen(-2, "b", OK, speaks_for=5)])
    assert (sli.up, sli.unknown) == (3, 7)
    assert sli.good_samples == 0, "the samples themselves belong to the period before"


def test_a_down_state_carries_too_and_a_newer_sample_ends_it() -> None:
    cells = [seen(0, r, DOWN, speaks_for=5) for r in "ab"] + [seen(3, r, OK, speaks_for=5) for r in "ab"]
    sli = account(cells)
    assert (sli.down, sli.up, sli.unknown) == (3, 5, 2)


def test_coverage_is_per_region_and_leaves_excused_slices_out() -> None:
    cells = [seen(minute, "a", OK) for minute in range(10)] + [seen(minute, "b", OK) for minute in range(5)]
    sli = account(cells, [Interval(DAY0, DAY0 + 2 * MINUTE)])
    assert sli.coverage == {"a": 8, "b": 3}
    assert sli.lowest_coverage == F(3, 8)


def test_the_two_figures_that_others_print_stand_beside_it() -> None:
    cells = [seen(0, "a", OK, 3), seen(1, "a", DOWN, 1), seen(6, "a", OK, 1), seen(6, "b", DOWN, 1)]
    sli = account(cells)
    assert sli.good_share == F(4, 6)
    assert sli.five_minute_mean == (F(3, 4) + F(1, 2)) / 2


def test_only_whole_slices_of_the_period_are_measured() -> None:
    assert whole_slices(Interval(DAY0 + 1, DAY0 + 3 * MINUTE + 1), MINUTE) == range(MIN0 + 1, MIN0 + 3)


def availability(up: int = 0, down: int = 0, unknown: int = 0, excused_: int = 0, samples: int | None = None,
                 coverage: int | None = None) -> Availability:  # fmt: skip
    return Availability(up, down, unknown, excused_, samples if samples is not None else up, down, 0,
                        {} if coverage is None else {"a": coverage}, NOTHING, NOTHING, {})  # fmt: skip


@pytest.mark.parametrize(
    ("sli", "verdict", "reason"),
    [
        (availability(up=1000), Verdict.MET, "1000 of 1000"),
        (availability(up=999, down=1), Verdict.MISSED, "1 of 1000"),  # greater than 99.9 % is strict
        (availability(up=9991, down=9), Verdict.MET, "9991 of 10000"),
        (availability(up=9990, unknown=10), Verdict.INCONCLUSIVE, "unknown"),
        (availability(up=9990, down=10), Verdict.MISSED, ""),
        (availability(up=9991, unknown=9), Verdict.MET, ""),
        (availability(up=9980, down=11, unknown=9), Verdict.MISSED, ""),
        (availability(unknown=10), Verdict.NO_DATA, "no samples"),
        (availability(excused_=10), Verdict.NO_DATA, "all excused"),
        (availability(), Verdict.NO_DATA, "no samples"),
    ],
)
def test_availability_is_judged_with_the_unknown_slices_on_either_side(
    sli: Availability, verdict: Verdict, reason: str
) -> None:
    judgement = judge_availability(sli, G1)
    assert judgement.verdict is verdict
    assert reason in judgement.reason


def test_below_the_coverage_floor_met_becomes_inconclusive_and_missed_stays() -> None:
    floor = Guarantee("f", "floor", Measure.AVAILABILITY, F(9, 10), coverage_floor=F(1, 2))
    assert judge_availability(availability(up=100, coverage=50), floor).verdict is Verdict.MET
    assert judge_availability(availability(up=100, coverage=49), floor).verdict is Verdict.INCONCLUSIVE
    assert judge_availability(availability(down=100, coverage=1), floor).verdict is Verdict.MISSED


def test_the_worst_verdict_of_several_checks_stands() -> None:
    order = [Verdict.MISSED, Verdict.INCONCLUSIVE, Verdict.NO_DATA, Verdict.MET]
    for position, verdict in enumerate(order):
        parts = [Judgement(each, "") for each in reversed(order[position:])]
        assert worst(parts).verdict is verdict
    assert worst([]).verdict is Verdict.NO_DATA


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (F(99899999, 10**8), "99.89999%"),
        (F(999, 1000), "99.9%"),
        (F(1), "100%"),
        (F(0), "0%"),
        (F(2, 3), "66.66666%"),
        (1 - F(1, 10**12), "99.99999%"),
    ],
)
def test_percentages_are_cut_and_never_rounded(share: F, text: str) -> None:
    assert cut_percent(share) == text


# --- G3: response time -------------------------------------------------------------------------------------------


def response(latencies: list[int], bad: int = 0, partner: int = 0, limit: int = 10 * SECOND):  # type: ignore[no-untyped-def]
    buckets = np.array([-(-latency // 1000) for latency in latencies], dtype=np.int64)
    values = np.array(latencies, dtype=np.int64)
    numbers = np.unique(buckets)
    counts = np.array([(buckets == number).sum() for number in numbers], dtype=np.int64)
    totals = np.array([values[buckets == number].sum() for number in numbers], dtype=np.int64)
    others = {Standing.BAD: bad, Standing.PARTNER: partner}
    return measure_response(Latencies(numbers, counts, totals), others, limit, lambda b: values[buckets == b])


def test_ten_seconds_exactly_is_within_the_limit_and_a_microsecond_more_is_not() -> None:
    sli = response([10 * SECOND] * 9 + [10 * SECOND + 1])
    assert (sli.within, sli.share, sli.p90) == (9, F(9, 10), 10 * SECOND)
    assert judge_response(sli, G3, {}).verdict is Verdict.MET
    assert judge_response(response([10 * SECOND] * 8 + [10 * SECOND + 1] * 2), G3, {}).verdict is Verdict.MISSED


def test_a_failed_transaction_is_a_slow_one() -> None:
    sli = response([SECOND] * 89, bad=11)
    assert (sli.share, sli.p90, sli.answered_share) == (F(89, 100), None, F(1))
    assert judge_response(sli, G3, {}).verdict is Verdict.MISSED


def test_p90_is_the_nearest_rank_and_not_interpolated() -> None:
    # n = 11, rank ceil(9.9) = 10: the tenth of 1..11 ms. Interpolation would say 10.0 ms for n = 11 as well, so n = 5
    # tells them apart: rank ceil(4.5) = 5 -> 5 ms, where numpy's default says 4.6 ms.
    assert response([n * 1000 for n in range(1, 12)]).p90 == 10_000
    assert response([n * 1000 for n in range(1, 6)]).p90 == 5_000


def test_p90_is_exact_within_its_bucket() -> None:
    assert response([1_201, 1_205, 1_202, 1_204, 1_203]).p90 == 1_205
    assert response([1_000 + n for n in range(10, 0, -1)]).p90 == 1_009


def test_the_mean_of_the_fastest_nine_tenths_is_infinite_where_a_failure_is_among_them() -> None:
    assert response([1_000] * 9 + [5_000_000]).fastest_mean == 1_000
    assert response([1_000] * 9, bad=1).fastest_mean == 1_000
    assert response([1_000] * 8, bad=2).fastest_mean is None
    assert response([1_000] * 8, bad=2).answered_mean == 1_000


def test_a_partners_failures_are_left_out_of_the_share_and_counted_beside_it() -> None:
    sli = response([SECOND] * 9, bad=1, partner=40)
    assert (sli.share, sli.partner) == (F(9, 10), 40)


def test_nothing_measured_is_no_data_and_has_no_percentage() -> None:
    sli = response([])
    assert (sli.share, sli.p90, sli.fastest_mean) == (None, None, None)
    assert judge_response(sli, G3, {}).verdict is Verdict.NO_DATA


def test_low_coverage_makes_a_met_response_time_inconclusive() -> None:
    floor = Guarantee("G3", "fast", Measure.RESPONSE_TIME, F(9, 10), limit=SECOND, coverage_floor=F(1, 2))
    sli = response([1000])
    assert judge_response(sli, floor, {"a": F(1, 2)}).verdict is Verdict.MET
    assert judge_response(sli, floor, {"a": F(1), "b": F(49, 100)}).verdict is Verdict.INCONCLUSIVE


def test_the_limit_must_be_an_edge_of_the_buckets() -> None:
    with pytest.raises(ValueError, match="whole number of milliseconds"):
        response([1], limit=10_500)


# --- guarantees --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": F(0)}, "cannot be reached"),
        ({"target": F(1), "strict": True}, "cannot be reached"),
        ({"limit": SECOND}, "limit belongs to a response_time"),
        ({"quorum": F(1)}, "not between 0 and 1"),
        ({"coverage_floor": F(2)}, "must not be negative"),
        ({"standings": {AGENT: Standing.BAD}}, "agent's own fault"),
    ],
)
def test_a_guarantee_that_contradicts_itself_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Guarantee(**{"id": "g", "title": "", "measure": Measure.AVAILABILITY, "target": F(1, 2)} | settings)  # type: ignore[arg-type]


def test_two_guarantees_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="ids of their own"):
        Agreement("a", (G1, G1), NEW_YORK)


def test_an_instant_needs_an_offset() -> None:
    with pytest.raises(ValueError, match="names no offset"):
        parse_instant("2026-06-01T00:00:00")
    with pytest.raises(ValueError, match="no instant"):
        from_datetime(__import__("datetime").datetime(2026, 6, 1))
