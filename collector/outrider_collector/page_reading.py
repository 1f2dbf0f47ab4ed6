"""Makes the page's values: read off the statements of the running periods and the current state.

Rules
-----
1. Percentages come from the statement and are printed as they are; nothing is computed from a printed figure.
2. Where an availability guarantee has several checks, the one with the worst verdict is shown, of equals the one with
   the lowest `low`, and the verdict is the guarantee's. Checks that are one service are shown as one. A check without a
   verdict has no percentage, and is shown only where none has one.
3. The last run of a check in a region is no news once it is older than three intervals and the time that results may
   be under way (`settle`): no data.
4. A check that fell silent before the lookback began keeps its place, with no data: silence must show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from zoneinfo import ZoneInfo

from outrider.core.guarantee import Agreement, Guarantee
from outrider.core.intervals import Interval
from outrider.core.outcome import OutcomeClass
from outrider.core.period import PeriodKind
from outrider.core.units import MINUTE, Duration, Instant, format_duration, parse_instant, to_datetime
from outrider.core.verdict import Verdict
from outrider_collector.charts import LatencyChart, Point, Shade, latency, latency_chart
from outrider_collector.page_values import (
    HEARD,
    NO_DATA,
    SILENT,
    STATES,
    VERDICTS,
    WINDOWS,
    Account,
    Agent,
    Cell,
    Clause,
    Figure,
    Mark,
    Page,
    Row,
    Window,
)
from outrider_collector.statement.values import Plain

MOST_PAST_WINDOWS = 10
_INTERVALS_UNTIL_SILENT = 3
_INFINITE = "∞"


def make_page(
    state: Plain,
    statements: Sequence[tuple[PeriodKind, Plain]],
    agreement: Agreement,
    settle: Duration,
    trouble: str = "",
) -> Page:
    """The page from the current state and the statement of each calendar's running period.

    `settle` as in the collector's file; `trouble` is why the store cannot write, if it cannot. Raises nothing.
    """
    now = parse_instant(state["now"])
    span = Interval(parse_instant(state["lookback"]["start"]), parse_instant(state["lookback"]["end"]))
    zone = agreement.zone
    known = _checks_and_regions(state, statements)
    regions = tuple(sorted({region for _, region in known}))
    states = {each["check"]: each for each in state["checks"]}
    windows = [_window(each, statements) for each in state["windows"]]
    kept = _current_first(windows, now)
    news = _News(agreement.guarantees[0], settle, now)
    return Page(
        agreement=agreement.name,
        zone=zone.key,
        now=now,
        lookback=format_duration(span.length),
        accounts=tuple(_account(kind, statement, zone) for kind, statement in statements),
        regions=regions,
        rows=tuple(
            _row(check, states.get(check), [each if (check, each) in known else None for each in regions], news)
            for check in sorted({check for check, _ in known})
        ),
        figures=tuple(_figure(number, each, state, zone) for number, each in enumerate(state["checks"])),
        windows=tuple(kept),
        windows_left_out=len(windows) - len(kept),
        agents=tuple(_agent(each, state, now, span.length) for each in state["agents"]),
        trouble=trouble,
    )


@dataclass(frozen=True, slots=True)
class _News:
    """Rule 3: how long a last run says how things stand, and what it says."""

    reference: Guarantee
    settle: Duration
    now: Instant

    def is_old(self, at: Instant, interval: Duration) -> bool:
        return self.now - at > _INTERVALS_UNTIL_SILENT * (interval or self.reference.slice) + self.settle

    def mark(self, outcome: OutcomeClass) -> Mark:
        return STATES[self.reference.standing(outcome)]


def _checks_and_regions(state: Plain, statements: Sequence[tuple[PeriodKind, Plain]]) -> set[tuple[str, str]]:
    """Rule 4."""
    known = {(each["check"], region["region"]) for each in state["checks"] for region in each["regions"]}
    for _, statement in statements:
        for guarantee in statement["guarantees"]:
            known |= {(part["check"], each["region"]) for part in guarantee["checks"] for each in part["coverage"]}
    return known


# --- guarantees ------------------------------------------------------------------------------------------------------


def _account(kind: PeriodKind, statement: Plain, zone: ZoneInfo) -> Account:
    start, end = statement["period"]["start"], statement["period"]["end"]
    measured = [
        Interval(parse_instant(each["measured"]["start"]), parse_instant(each["measured"]["end"]))
        for each in statement["guarantees"]
        if each["measured"]
    ]
    return Account(
        label=_period(kind, parse_instant(start), zone),
        begins_late=min((each.start for each in measured), default=0) > parse_instant(start),
        measured=min(measured, key=lambda each: each.end, default=None),
        clauses=tuple(_clause(each) for each in statement["guarantees"]),
        query=f"from={start}&to={end}",
    )


def _period(kind: PeriodKind, start: Instant, zone: ZoneInfo) -> str:
    first = to_datetime(start).astimezone(zone)
    if kind is PeriodKind.MONTH:
        return f"{first:%B %Y}"
    day = f"{first.day} {first:%B %Y}"
    if kind is PeriodKind.ROLLING:
        return f"the last days, up to {day}"
    return f"the week from {first:%A} {day}" if kind is PeriodKind.WEEK else day


def _clause(plain: Plain) -> Clause:
    parts: list[Plain] = plain["checks"]
    thinnest, coverage = _lowest_coverage(parts)
    is_pooled = "limit_us" in plain
    part = None if is_pooled else plain["together"] or _lowest(parts)
    adjusted, raw = _figures(plain, part)
    target = f"{'more than' if plain['target']['strict'] else 'at least'} {plain['target']['percent']}"
    longest = max((each["excused_us"] for each in ([part] if part else parts)), default=0)
    return Clause(
        id=plain["id"],
        title=plain["title"],
        target=target + (f" within {latency(plain['limit_us'])}" if is_pooled else ""),
        mark=VERDICTS[plain["verdict"]],
        reason=_reason(plain),
        figure=adjusted,
        bounds=_bounds(part),
        raw=raw,
        check=_which(plain, part, len(parts)),
        excused=("" if part else "up to ") + format_duration(longest) if longest else None,
        coverage=coverage,
        thinnest=thinnest,
        remark=plain.get("remark"),
        other_view=_other_view(plain["views"]),
    )


_VIEWS = {"network": "in the network view", "end_to_end": "end to end"}


def _other_view(views: Sequence[Plain]) -> str | None:
    """What the view that does not decide says, where a partner's failures part the two."""
    (other,) = (view for view in views if not view["decides"])
    if not other["partner_failed"]:
        return None
    figure = _percent(other["adjusted"]) or "no figure"
    return f"{_VIEWS[other['view']]}: {other['verdict']}, {figure}; {other['partner_failed']} runs failed at a partner"


def _which(plain: Plain, part: Plain | None, checks: int) -> str | None:
    """Whose figure it is, where there are several checks."""
    if part is None or checks < 2:
        return None
    if plain["together"]:
        return str(part["check"])
    which = "which decides" if part["check"] == plain["decided_by"] else "the lowest"
    return f"{part['check']}, {which} of {checks} checks"


def _lowest(parts: Sequence[Plain]) -> Plain | None:
    """Rule 2."""
    judged = [part for part in parts if part["verdict"] != "no data" and part["adjusted"]["low"]]
    return min(judged, key=_rank, default=parts[0] if parts else None)


def _rank(part: Plain) -> tuple[int, Fraction]:
    return list(Verdict).index(Verdict(part["verdict"])), _fraction(part["adjusted"]["low"])


def _fraction(share: Plain) -> Fraction:
    return Fraction(share["numerator"], share["denominator"])


def _figures(plain: Plain, part: Plain | None) -> tuple[str | None, str | None]:
    """Adjusted and raw. Of a part that could not be judged the raw figure stands, if it rests on any sample."""
    if part is None:
        return _percent(plain.get("adjusted", {}).get("share")), _percent(plain.get("raw", {}).get("share"))
    adjusted = part["adjusted"]["figure"] if part["verdict"] != "no data" else None
    raw = part["raw"]["figure"] if part["raw"]["samples"] or part["raw"]["down"] else None
    return _percent(adjusted), _percent(raw)


def _percent(share: Plain | None) -> str | None:
    return None if share is None else str(share["percent"])


def _bounds(part: Plain | None) -> str | None:
    if part is None or part["verdict"] == "no data" or not part["adjusted"]["unknown"]:
        return None
    low, high = _percent(part["adjusted"]["low"]), _percent(part["adjusted"]["high"])
    return f"{low} to {high} with what is unknown"


def _reason(plain: Plain) -> str:
    if plain["measured"] is None:
        return "nothing is old enough to be judged yet"
    return f"{plain['decided_by']}: {plain['reason']}" if plain["decided_by"] else str(plain["reason"])


def _lowest_coverage(parts: Sequence[Plain]) -> tuple[str | None, str | None]:
    """Where it is thinnest, and how thin."""
    shares = [(part["check"], each) for part in parts for each in part["coverage"] if each["of"]]
    if not shares:
        return None, None
    check, lowest = min(shares, key=lambda pair: Fraction(pair[1]["slices"], pair[1]["of"]))
    return f"{check} in {lowest['region']}", str(lowest["percent"])


# --- checks ----------------------------------------------------------------------------------------------------------


def _row(check: str, state: Plain | None, regions: Sequence[str | None], news: _News) -> Row:
    here = {each["region"]: each for each in state["regions"]} if state else {}
    return Row(
        check=check,
        p90=_p90(state["p90_us"], state["timed"]) if state else None,
        limit=_limit(state) if state else None,
        cells=tuple(None if region is None else _cell(region, here.get(region), news) for region in regions),
    )


def _limit(state: Plain) -> str | None:
    return None if state["limit_us"] is None else latency(state["limit_us"])


def _p90(p90: Duration | None, samples: int) -> str | None:
    if p90 is None:
        return _INFINITE if samples else None
    return latency(p90)


def _cell(region: str, here: Plain | None, news: _News) -> Cell:
    if here is None:
        return Cell(region, NO_DATA, None, "", "", None, None, None, 0)
    last = here["last"]
    outcome = OutcomeClass(last["outcome"]) if last else None
    coverage = here["coverage"]
    figures = (
        _p90(here["p90_us"], here["timed"]),
        _percent(here["availability"]),
        _percent(coverage) if coverage is not None and _fraction(coverage) < 1 else None,
        here["samples"],
    )
    at = parse_instant(last["at"]) if last else None
    if at is None or outcome is None or news.is_old(at, here["interval_us"]):
        return Cell(region, NO_DATA, at, "", "", *figures)
    words = "" if outcome is OutcomeClass.OK else f"{outcome.value} {last['code']}".rstrip()
    detail = last["detail"] if words else ""
    if last["cleanup"] == "unconfirmed":
        detail = f"{detail}; cleanup unconfirmed".removeprefix("; ")
    return Cell(region, news.mark(outcome), at, words, detail, *figures)


def _figure(number: int, check: Plain, state: Plain, zone: ZoneInfo) -> Figure:
    points = tuple(Point(parse_instant(each["at"]), each["p90_us"], each["samples"]) for each in check["line"])
    width: Duration = state["bin_us"]
    interval = min((each["interval_us"] for each in check["regions"] if each["interval_us"]), default=0)
    shades = [
        Shade(
            Interval(parse_instant(each["start"]), parse_instant(each["end"])),
            f"maintenance {each['window']} ({_window_mark(each).word})",
        )
        for each in state["windows"]
        if each["state"] != "cancelled" and any(fnmatchcase(check["check"], pattern) for pattern in each["scope"])
    ]
    span = Interval(points[0].at, points[-1].at + width)
    chart = LatencyChart(
        name=check["check"],
        number=number,
        zone=zone,
        width=width,
        points=points,
        reach=width if interval <= width else width + interval,
        limit=check["limit_us"],
        shades=tuple(each for each in shades if each.span.start < span.end and each.span.end > span.start),
    )
    return Figure(
        check=check["check"],
        p90=_p90(check["p90_us"], sum(point.samples for point in points)),
        limit=_limit(check),
        svg=latency_chart(chart),
        numbers=tuple((point.at, _p90(point.p90, point.samples), point.samples) for point in points),
    )


# --- windows and agents ----------------------------------------------------------------------------------------------


def _window(plain: Plain, statements: Sequence[tuple[PeriodKind, Plain]]) -> Window:
    excuses = [
        _excuse(excuse)
        for _, statement in statements
        for each in statement["windows"]
        if each["window"] == plain["window"]
        for excuse in each["excuses"]
    ]
    return Window(
        id=plain["window"],
        mark=_window_mark(plain),
        start=parse_instant(plain["start"]),
        end=parse_instant(plain["end"]),
        scope=", ".join("every check" if pattern == "*" else pattern for pattern in plain["scope"]),
        reason=("emergency: " if plain.get("emergency") else "") + plain["reason"],
        announced_at=parse_instant(plain["announced_at"]),
        excuses=tuple(excuses),
    )


def _window_mark(plain: Plain) -> Mark:
    return WINDOWS["completed" if plain["act"] == "complete" else plain["state"]]


def _excuse(plain: Plain) -> str:
    taken = f"{format_duration(plain['excused_us'])} excused" if plain["excused_us"] else "nothing excused"
    return f"{plain['guarantee']}: {taken}" + (f" ({plain['why_not']})" if plain["why_not"] else "")


def _current_first(windows: Sequence[Window], now: Instant) -> list[Window]:
    """Those that run or will, the next one first; then the latest of those that are past or cancelled."""
    ahead = [each for each in windows if each.end > now and each.mark is not WINDOWS["cancelled"]]
    past = sorted((each for each in windows if each not in ahead), key=lambda each: (-each.end, each.id))
    return sorted(ahead, key=lambda each: (each.start, each.id)) + past[:MOST_PAST_WINDOWS]


def _agent(plain: Plain, state: Plain, now: Instant, lookback: Duration) -> Agent:
    counts: Mapping[str, int] = plain["counts"]
    dropped = [value for term, value in counts.items() if term.startswith("dropped")]
    intervals = [
        each["interval_us"] for check in state["checks"] for each in check["regions"]
        if each["region"] == plain["region"]
    ]  # fmt: skip
    patience = max(_INTERVALS_UNTIL_SILENT * min(intervals, default=lookback), 2 * MINUTE)
    last_seen = parse_instant(plain["last_seen"])
    return Agent(
        name=plain["agent"],
        region=plain["region"],
        mark=HEARD if now - last_seen <= patience else SILENT,
        last_seen=last_seen,
        waiting=counts.get("waiting"),
        delivered=counts.get("delivered"),
        skipped=counts.get("skipped"),
        dropped=sum(dropped) if dropped or counts else None,
        set_aside=counts.get("dead_lettered", 0),
        duplicates=plain["duplicates"],
    )
