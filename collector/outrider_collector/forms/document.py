"""A statement laid out for people: headings, facts, lines and tables, the same for HTML and PDF.

A verdict is a `Mark`, a sign and a word; each form draws it in its own way. All times are in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from msgspec import UNSET

from outrider.core.units import SECOND, format_duration
from outrider_collector.forms.band import band_of
from outrider_collector.forms.bars import bars_of
from outrider_collector.forms.paper import Cell, Document, Mark, Section, Table
from outrider_collector.forms.reading import (
    Check,
    Coverage,
    Guarantee,
    InView,
    OwnPeriod,
    Response,
    Share,
    Span,
    Statement,
    Version,
    Window,
)

__all__ = ["INFINITE", "NOTHING", "Cell", "Document", "Mark", "Section", "Table", "lay_out", "percent", "seconds"]

NOTHING, INFINITE = "–", "∞"
MOST_DAYS = 60
REGIONS_ACROSS = 5
_COMPOSITES = {"all": "one service, up where all of them are", "any": "one service, up where any of them is"}
_VIEWS = {"network": "network view", "end_to_end": "end to end"}


def lay_out(statement: Statement) -> Document:
    """Everything in a statement that people compare or dispute; the JSON has the rest."""
    period = statement.period
    span = f"{period.start} to {period.end}"
    return Document(
        title=f"Statement: {statement.agreement}",
        subtitle=f"{period.label}, {span}" if period.label else span,
        mark=Mark(statement.verdict),
        summary=_summary(statement),
        facts=tuple(_facts(statement)),
        sections=(
            _overview(statement),
            *(_guarantee(it, statement) for it in statement.guarantees),
            _maintenance(statement),
            *_delivery(statement),
        ),
        notes=(
            "Adjusted leaves out maintenance that was announced in time; raw leaves out nothing.",
            "Of several checks or periods, the first table shows the one that decides, and names it.",
            "Percentages are cut, never rounded. Times are rounded up to the millisecond.",
            "Intervals are 95 %, two-sided; they are printed and decide nothing. All times are in UTC.",
        ),
    )


def _summary(statement: Statement) -> str:
    """The verdicts in a sentence: "G1 was missed; G3 was met."."""
    said = []
    for verdict in ("missed", "inconclusive", "met"):
        ids = [it.id for it in statement.guarantees if it.verdict == verdict]
        if ids:
            said.append(f"{_listed(ids)} {'was' if len(ids) == 1 else 'were'} {verdict}")
    if ids := [it.id for it in statement.guarantees if it.verdict == "no data"]:
        said.append(f"for {_listed(ids)} there is no data")
    return "; ".join(said) + "."


def _listed(ids: Sequence[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{', '.join(ids[:-1])} and {ids[-1]}"


def _facts(statement: Statement) -> Iterator[tuple[str, str]]:
    if statement.revision is not None:
        yield "Issued as", _revision(statement)
    yield "As of", statement.as_of
    yield "Recorded up to", f"entry {statement.ledger} of the ledger"
    yield "Periods cut in", f"{statement.timezone} (time-zone data {statement.timezone_data})"
    if statement.in_force_from is not None:
        yield "Agreement in force from", statement.in_force_from
    yield "Results are waited for", format_duration(statement.settle_us)
    for each in statement.known_expiries:
        yield "Known expiry of a credential", f"{', '.join(each.checks)}: {_span(each)}"


def _revision(statement: Statement) -> str:
    if statement.replaces is None:
        return f"revision r{statement.revision}"
    it = statement.replaces
    return f"revision r{statement.revision}, replaces r{it.revision} of {it.as_of} (SHA-256 {it.sha256})"


def _overview(statement: Statement) -> Section:
    rows = []
    for it in statement.guarantees:
        adjusted, raw = next(((view.adjusted, view.raw) for view in it.views if view.decides), (None, None))
        named = _decides(it)
        figure = f"{percent(adjusted)} ({named})" if named else percent(adjusted)
        rows.append((it.id, it.title, _target(it), Mark(it.verdict), figure, percent(raw), it.margin.text))
    columns = ("", "Guarantee", "Target", "Verdict", "Adjusted", "Raw", "What would have changed the verdict")
    return Section("Guarantees", None, (), (), (Table("", columns, tuple(rows), (3, 8, 5, 7, 5, 5, 18)),))


def _guarantee(it: Guarantee, statement: Statement) -> Section:
    found = [_periods(it.periods), _readings(it) if it.adjusted is not UNSET else None, _checks(it)]
    judged = it.periods or (it,)
    found += [_outages(part for each in judged for part in _parts(each)), _days(it.checks)]
    tables = [table for table in (*found, *_coverage(it.checks), _views(it.views), _uncertain(it)) if table]
    notes = [it.remark] if it.remark not in (UNSET, None) else []
    return Section(
        title=f"{it.id} {it.title}",
        mark=Mark(it.verdict),
        lead=(f"{it.reason}.", f"What would have changed it: {it.margin.text}.", *_other_reading(it)),
        facts=tuple(_parameters(it)),
        tables=tuple(tables),
        notes=tuple(str(each) for each in notes),
        figures=tuple(each for each in (bars_of(it, statement), band_of(it, statement)) if each),
    )


def _parameters(it: Guarantee) -> Iterator[tuple[str, str]]:
    yield "Target", _target(it) + (f" within {format_duration(it.limit_us)}" if it.limit_us is not UNSET else "")
    yield "Evidence", it.evidence
    yield "Judged", "not at all: nothing is old enough" if it.measured is None else _span(it.measured)
    if it.periods:
        yield "Periods", f"{it.clause_period}, each judged by itself; the figures below are those of {_period(it)}"
    if not it.is_clause_period:
        yield "Period", f"not the clause's own, which is the {it.clause_period}"
    yield "Scope", ", ".join(it.scope)
    if it.regions is not None:
        spoke = {each.region for check in it.checks for each in check.coverage if each.slices}
        silent = [region for region in it.regions if it.checks and region not in spoke]
        yield "Regions that must speak", ", ".join(it.regions) + (f"; silent: {', '.join(silent)}" if silent else "")
    if it.composite != "worst":
        yield "Checks together", _COMPOSITES[it.composite]
    yield "View that decides", _VIEWS[it.view]
    yield "Slice", format_duration(it.slice_us)
    yield "Quorum", f"down if more than {percent(it.quorum)} of the regions with data are down"
    yield "Coverage floor", percent(it.coverage_floor)
    if not it.windows_excuse:
        yield "Maintenance", "excuses nothing"
        return
    capped = "" if it.cap_us is None else f", {format_duration(it.cap_us)} at most in a {it.clause_period}"
    inflight = "; a bad run under way when a window opens is void" if it.void_inflight else ""
    emergency = (
        "" if it.emergency_notice_us is UNSET else f" ({format_duration(it.emergency_notice_us)} in an emergency)"
    )
    yield "Maintenance", f"excused if announced {format_duration(it.notice_us)} before{emergency}{capped}{inflight}"


def _decides(it: Guarantee) -> str:
    """The check and the period that decide, where there are several."""
    return ", ".join(filter(None, [it.decided_by, _period(it)]))


def _period(it: Guarantee) -> str:
    return next((each.label for each in it.periods if each.decides), "")


def _parts(it: Guarantee | OwnPeriod) -> tuple[Check, ...]:
    """The checks as one service, where they are, then each."""
    return it.checks if it.together is None else (it.together, *it.checks)


def _periods(periods: Iterable[OwnPeriod]) -> Table | None:
    rows = tuple(
        (
            it.label + (" (decides)" if it.decides else ""),
            _span(it),
            Mark(it.verdict),
            percent(it.adjusted) + (f" ({it.decided_by})" if it.decided_by else ""),
            percent(it.raw),
            it.reason,
        )
        for it in periods
    )
    columns = ("Period", "From, to", "Verdict", "Adjusted", "Raw", "Reason")
    return Table("The clause's own periods", columns, rows, (6, 9, 6, 7, 5, 12)) if rows else None


def _target(it: Guarantee) -> str:
    return ("more than " if it.target.strict else "at least ") + percent(it.target)


def _readings(it: Guarantee) -> Table:
    """The readings of a response-time clause beside each other."""
    assert isinstance(it.adjusted, Response)
    assert isinstance(it.raw, Response)
    assert isinstance(it.limit_us, int)
    limit = format_duration(it.limit_us)
    rows = [
        (f"Share within {limit}, failures counted as slow (decides)", *_both(it, lambda r: percent(r.share))),
        ("its 95 % interval (Wilson)", *_both(it, _share_interval)),
        ("transactions within / all", *_both(it, lambda r: f"{r.within} / {r.samples}")),
        ("p90, nearest rank, failures infinite", *_both(it, lambda r: seconds(r.p90_us, r.samples))),
        ("its 95 % interval (order statistics)", _p90_interval(it.adjusted), NOTHING),
        (
            "Mean of the fastest nine tenths, failures infinite",
            *_both(it, lambda r: seconds(r.fastest_mean_us, 9 * r.samples // 10)),
        ),
        (
            "Mean of all answered",
            *_both(it, lambda r: NOTHING if r.answered_mean_us is None else seconds(r.answered_mean_us)),
        ),
        (f"Share within {limit} of answered ones only", *_both(it, lambda r: percent(r.answered_share))),
        ("failed", *_both(it, lambda r: str(r.failed))),
        ("left out, as a partner failed", *_both(it, lambda r: str(r.partner_failed))),
        ("void", *_both(it, lambda r: str(r.void))),
    ]
    return Table(f"The readings of “{it.title}”", ("Reading", "Adjusted", "Raw"), tuple(rows), (6, 3, 3))


def _both(it: Guarantee, read: Callable[[Response], str]) -> tuple[str, str]:
    assert isinstance(it.adjusted, Response)
    assert isinstance(it.raw, Response)
    return read(it.adjusted), read(it.raw)


def _share_interval(response: Response) -> str:
    if response.share_interval is None:
        return NOTHING
    low, high = response.share_interval
    return f"{percent(low)} to {percent(high)}"


def _p90_interval(response: Response) -> str:
    if response.p90_us_interval is UNSET:
        return "too few samples"
    low, high = response.p90_us_interval
    return f"{seconds(low)} to {seconds(high)}"


def _checks(it: Guarantee) -> Table | None:
    """Availability check by check; for response times the checks are pooled, and only their coverage is shown."""
    if it.measure != "availability" or not it.checks:
        return None
    rows = [
        (
            check.check,
            Mark(check.verdict),
            percent(check.adjusted.figure),
            f"{percent(check.adjusted.low)} to {percent(check.adjusted.high)}",
            percent(check.raw.figure),
            " / ".join(str(getattr(check.adjusted, name)) for name in ("up", "down", "unknown", "excused")),
            f"{percent(check.adjusted.good_share)} ({check.adjusted.good} of {check.adjusted.samples})",
            percent(check.adjusted.five_minute_mean),
        )
        for check in _parts(it)
    ]
    columns = (
        "Check", "Verdict", "Adjusted", "At least, at most", "Raw", "Slices up / down / unknown / excused",
        "Good samples", "5-minute mean",
    )  # fmt: skip
    return Table("Checks", columns, tuple(rows), (8, 7, 5, 8, 5, 8, 8, 6))


def _outages(checks: Iterable[Check]) -> Table | None:
    rows: list[tuple[Cell, ...]] = []
    for check in checks:
        for it in check.adjusted.outages:
            causes = "; ".join(f"{c.outcome} ({c.code} at {c.place}), {c.samples} samples" for c in it.causes)
            rows.append((
                check.check, it.start, it.end, format_duration(it.length_us), ", ".join(it.regions) or NOTHING,
                causes or "no run was ok", str(it.samples),
            ))  # fmt: skip
        if (more := check.adjusted.outages_in_all - len(check.adjusted.outages)) > 0:
            rows.append((check.check, f"and {more} more", *[""] * 5))
    columns = ("Check", "From", "To", "Length", "Regions", "Cause", "Failed samples")
    return Table("Outages", columns, tuple(rows), (6, 8, 8, 4, 6, 12, 4)) if rows else None


def _days(checks: Iterable[Check]) -> Table | None:
    """The days that were not up, with their exact numbers; neighbours that are the same in one row."""
    rows: list[tuple[Cell, ...]] = []
    for check in checks:
        days = check.days if check.days is not UNSET else ()
        for _, group in groupby(days, key=lambda day: (day.state, day.up, day.down, day.unknown, day.excused)):
            same = list(group)
            first, last = same[0], same[-1]
            if first.state not in ("up", "not in force"):
                counts = (str(getattr(first, name)) for name in ("up", "down", "unknown", "excused"))
                until = "" if first is last else f" to {last.day}, each"
                rows.append((check.check, first.day + until, first.state, *counts))
    if len(rows) > MOST_DAYS:
        rows = [*rows[:MOST_DAYS], ("", f"and {len(rows) - MOST_DAYS} more in JSON and CSV", *[""] * 5)]
    columns = ("Check", "Day", "State", "Slices up", "Down", "Unknown", "Excused")
    return Table("Days that were not up", columns, tuple(rows), (8, 10, 6, 4, 4, 4, 4)) if rows else None


def _coverage(checks: Iterable[Check]) -> Iterator[Table]:
    """A row for each check, a column for each region; regions that do not fit go into a table of their own."""
    found = {check.check: {it.region: it for it in check.coverage} for check in checks}
    regions = sorted({region for of in found.values() for region in of})
    for number in range(0, len(regions), REGIONS_ACROSS):
        some = regions[number : number + REGIONS_ACROSS]
        rows = tuple((check, *(_covered(of.get(region)) for region in some)) for check, of in found.items())
        yield Table("Coverage: slices with data", ("Check", *some), rows, (6, *[5] * len(some)))


def _covered(it: Coverage | None) -> str:
    return NOTHING if it is None else f"{it.slices} of {it.of} ({_spaced(it.percent)})"


def _other_reading(it: Guarantee) -> tuple[str, ...]:
    return () if it.uncertain is UNSET else (f"{it.uncertain.text}.",)


def _uncertain(it: Guarantee) -> Table | None:
    """The edges that runs may be on either side of."""
    if it.uncertain is UNSET:
        return None
    rows: list[tuple[Cell, ...]] = []
    for check in it.uncertain.checks:
        rows += [(check.check, each.edge, each.at, str(each.runs)) for each in check.edges]
        if (more := check.edges_in_all - len(check.edges)) > 0:
            rows.append((check.check, f"and {more} more edges", "", ""))
    return Table(
        "Runs that may be on either side of an edge", ("Check", "Edge", "At", "Runs"), tuple(rows), (8, 6, 8, 3)
    )


def _views(views: Iterable[InView]) -> Table:
    rows = tuple(
        (
            _VIEWS[it.view] + (" (decides)" if it.decides else ""),
            Mark(it.verdict),
            percent(it.adjusted),
            percent(it.raw),
            str(it.partner_failed),
            it.reason,
        )
        for it in views
    )
    columns = ("View", "Verdict", "Adjusted", "Raw", "Failed at a partner", "Reason")
    return Table("Both views", columns, rows, (7, 6, 5, 5, 5, 12))


def _maintenance(statement: Statement) -> Section:
    if not statement.windows:
        return Section("Maintenance windows", None, ("None touches this period.",), (), ())
    announced = tuple(
        (
            it.window, _act(it), _span(it), _notice(it.versions[0]), ", ".join(it.scope),
            "; ".join(_excuses(it)) or NOTHING, it.reason or NOTHING,
        )
        for it in statement.windows
    )  # fmt: skip
    columns = ("Window", "Last act", "From, to", "Notice given", "Scope", "Time excused", "Reason")
    history = tuple(
        (
            each.window, f"{each.version} {_act(each)}", _span(each), each.recorded_at, _notice(each),
            each.author or NOTHING, each.reason or NOTHING,
        )
        for it in statement.windows
        for each in it.versions
    )  # fmt: skip
    acts = ("Window", "Version", "From, to", "Recorded", "Before its start", "Author", "Reason")
    tables = (
        Table("Windows", columns, announced, (6, 5, 9, 5, 6, 12, 9)),
        Table("What was announced, and when", acts, history, (6, 6, 9, 8, 6, 7, 9)),
    )
    return Section("Maintenance windows", None, (), (), tables)


def _delivery(statement: Statement) -> Iterator[Section]:
    """Where the promised runs went, by agent; nothing in statements from before it was kept."""
    if statement.delivery is UNSET:
        return
    rows = tuple(
        (
            f"{it.agent} ({it.region})", it.epoch[:8], str(it.promised), str(it.carried_over), str(it.delivered),
            str(it.waiting), f"{it.skipped} / {it.lost_in_flight}", f"{it.dropped} / {it.dead_lettered}",
            f"{it.gaps} / {it.declared_lost}",
        )
        for it in statement.delivery
    )  # fmt: skip
    columns = (
        "Agent", "Epoch", "Promised", "Carried over", "Delivered", "Waiting", "Skipped / lost in flight",
        "Dropped / set aside", "Gaps open / declared",
    )  # fmt: skip
    lead = () if rows else ("No agent's counts are known for a full minute of this period.",)
    tables = (
        (
            Table(
                "Where the promised runs went, in full minutes of the period",
                columns,
                rows,
                (7, 5, 5, 5, 5, 5, 6, 6, 6),
            ),
        )
        if rows
        else ()
    )
    yield Section("Delivery", None, lead, (), tables)


def _excuses(window: Window) -> Iterator[str]:
    for it in window.excuses:
        text = f"{it.guarantee}: {format_duration(it.excused_us)}"
        yield text if it.why_not is None else f"{text} ({it.why_not})"


def _act(version: Version) -> str:
    return f"{version.act} (emergency)" if version.emergency is True else version.act


def _notice(version: Version) -> str:
    whole = abs(version.notice_us) // SECOND * SECOND
    return f"{format_duration(whole)} after it" if version.notice_us < 0 else format_duration(whole)


def _span(span: Span) -> str:
    return f"{span.start} to {span.end}"


def percent(share: Share | None) -> str:
    """A share as the statement cut it."""
    return _spaced(None if share is None else share.percent)


def _spaced(text: str | None) -> str:
    return NOTHING if text is None else text.replace("%", " %")


def seconds(duration: int | None, samples: int = 1) -> str:
    """Microseconds as seconds, rounded up to the millisecond; infinity for None, unless there was no sample."""
    if duration is None:
        return INFINITE if samples else NOTHING
    whole, rest = divmod(-(-duration // 1000), 1000)
    return f"{whole}.{rest:03d} s"
