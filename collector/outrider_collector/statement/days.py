"""Day by day: what the pictures of a statement show, as plain values with exact numbers.

Rules
-----
1. `days` are the days of the agreement's time zone, 90 of them, that end with what is judged of the period: so a
   period that still runs shows the days up to now. The last may be cut short by the end of the period.
2. Every day is counted by the rules of the statement itself: the days of the period add up to its figures.
3. A day is one of `outrider.core.daily.DayState`. What was not in force is not counted. A clause's day is as its worst
   check's, or that of its checks as one service, where they are; it names the checks that were worst.
4. `bands` show the processing times of the period as they were judged, adjusted, in bins: days, or shorter ones where
   the period is short. Their percentiles are edges of the buckets that they lie in, so they may be above the exact
   figure by less than `precision_us`, and never are below it. A percentile that falls among failures is infinite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from zoneinfo import ZoneInfo

from outrider.core.composite import Member, combine
from outrider.core.daily import DayState, judge_day, rank_edge, worst_day
from outrider.core.guarantee import Composite, Guarantee
from outrider.core.intervals import Interval
from outrider.core.measuring import BUCKET
from outrider.core.period import Calendar, PeriodKind
from outrider.core.sli import Availability
from outrider.core.units import DAY, HOUR, MINUTE, Duration, Instant, format_instant, to_datetime
from outrider_collector.accounting import Accountant, Basis
from outrider_collector.accounts import Account
from outrider_collector.statement.values import Plain
from outrider_collector.summaries import Timings
from outrider_collector.time_units import cut_from_midnight, days_within

DAYS_SHOWN = 90
PERCENTILES = {"p50_us": Fraction(1, 2), "p90_us": Fraction(9, 10), "p99_us": Fraction(99, 100)}
_WIDTHS: tuple[tuple[Duration, Duration], ...] = (
    (HOUR, MINUTE),
    (6 * HOUR, 5 * MINUTE),
    (3 * DAY + HOUR, HOUR),  # three days, one of which may have 25 hours
)
"""Up to how long a period is cut into bins of which width; a longer one into days."""
_BIN_NAMES = {DAY: "day", HOUR: "hour", 5 * MINUTE: "5 min", MINUTE: "1 min"}


def last_days(end: Instant, zone: ZoneInfo) -> list[Interval]:
    """The days of a zone up to the one that an end belongs to; that one ends there."""
    days = [Interval(Calendar(PeriodKind.DAY, zone).containing(end - 1).start, end)]
    while len(days) < DAYS_SHOWN:
        days.append(Calendar(PeriodKind.DAY, zone).containing(days[-1].start - 1))
    return days[::-1]


def add_days(plain: Plain, account: Account, accountant: Accountant, basis: Basis) -> None:
    """Put `days` into a guarantee of a statement, and into each of its checks."""
    guarantee, zone = account.guarantee, accountant.agreement.zone
    judged = accountant.settled(basis.period, basis.as_of, guarantee.slice)
    if judged is None or not account.parts:
        return
    days = last_days(judged.end, zone)
    force = accountant.settled(Interval(days[0].start, days[-1].end), basis.as_of, guarantee.slice)
    if force is None:
        return
    counted = list(days_within(force, zone))
    found = accountant.by_day(guarantee, basis, [part.check for part in account.parts], counted)
    before = [_day(day, zone, DayState.NOT_IN_FORCE, None) for day in days[: len(days) - len(counted)]]
    states = {check: [judge_day(sli, guarantee) for sli in slis] for check, slis in found.items()}
    for check in plain["checks"]:
        each = zip(counted, states[check["check"]], found[check["check"]], strict=True)
        check["days"] = before + [_day(day, zone, state, sli) for day, state, sli in each]
    of_clause = [_clause_day({check: of[number] for check, of in states.items()}) for number in range(len(counted))]
    if guarantee.composite is not Composite.WORST:
        together = _together(guarantee, accountant, basis, counted, found)
        of_clause = [{**day, "state": state.value} for day, state in zip(of_clause, together, strict=True)]
    every = [_clause_day({}) for _ in before] + of_clause
    plain["days"] = [
        {**of, "day": _date(day, zone), "in_period": day.end > basis.period.start}
        for day, of in zip(days, every, strict=True)
    ]


def _together(
    guarantee: Guarantee,
    accountant: Accountant,
    basis: Basis,
    days: Sequence[Interval],
    found: Mapping[str, Sequence[Availability]],
) -> list[DayState]:
    """The states of days of a clause whose checks are one service."""
    span = Interval(days[0].start, days[-1].end)
    excused = {check: accountant.excused(guarantee, basis, span, check) for check in found}
    made = []
    for number, day in enumerate(days):
        members = [Member(slis[number], excused[check].within(day)) for check, slis in found.items()]
        made.append(judge_day(combine(members, day, guarantee.slice, guarantee.composite), guarantee))
    return made


def _day(day: Interval, zone: ZoneInfo, state: DayState, sli: Availability | None) -> Plain:
    counts = ("up", "down", "unknown", "excused")
    return {
        "day": _date(day, zone),
        "state": state.value,
        **{name: 0 if sli is None else getattr(sli, name) for name in counts},
    }


def _clause_day(states: Mapping[str, DayState]) -> Plain:
    """As its worst checks, which are named where the day is neither up nor excused; without any, not in force."""
    worst = worst_day(states.values()) if states else DayState.NOT_IN_FORCE
    named = (
        [] if worst in (DayState.UP, DayState.EXCUSED) else [name for name, state in states.items() if state is worst]
    )
    return {"state": worst.value, "checks": named}


def _date(day: Interval, zone: ZoneInfo) -> str:
    return f"{to_datetime(day.start).astimezone(zone):%Y-%m-%d}"


def add_bands(plain: Plain, account: Account, accountant: Accountant, basis: Basis) -> None:
    """Put `bands` into a response-time guarantee of a statement."""
    judged = accountant.settled(basis.period, basis.as_of, account.guarantee.slice)
    if judged is None or not account.parts:
        return
    zone = accountant.agreement.zone
    width = next((width for longest, width in _WIDTHS if basis.period.length <= longest), DAY)
    is_daily = width == DAY
    bins = list(days_within(judged, zone) if is_daily else cut_from_midnight(judged, width, zone))
    found = accountant.response_by_bin(account.guarantee, basis, [part.check for part in account.parts], bins)
    plain["bands"] = {
        "bin": _BIN_NAMES[width],
        "precision_us": BUCKET,
        "rounding": "up",
        "bins": [_bin(span, timings, account.guarantee) for span, timings in zip(bins, found, strict=True)],
    }


def _bin(span: Interval, timings: Timings, guarantee: Guarantee) -> Plain:
    samples, failed = timings.adjusted.counted
    good = timings.adjusted.good
    return {
        "start": format_instant(span.start),
        "end": format_instant(span.end),
        "samples": samples,
        "failed": failed,
        "within": int(good.count[good.bucket <= (guarantee.limit or 0) // BUCKET].sum()),
        "excused": timings.raw.counted[0] - samples,
        **{name: rank_edge(good, failed, share) for name, share in PERCENTILES.items()},
    }
