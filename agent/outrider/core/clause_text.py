"""What a clause means, in one plain sentence: every parameter that changes a verdict is in it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from outrider.core.guarantee import Composite, Guarantee, Measure, View
from outrider.core.outcome import STANDINGS
from outrider.core.period import PeriodKind
from outrider.core.units import DAY, Duration, format_duration
from outrider.core.verdict import cut_percent

_CALENDARS = {
    PeriodKind.MONTH: "in each calendar month",
    PeriodKind.WEEK: "in each calendar week, Sunday to Saturday,",
    PeriodKind.DAY: "on each calendar day",
}


def in_words(clause: Guarantee) -> str:
    """One sentence, without the clause's id."""
    return "; ".join([_promise(clause), *_conditions(clause)]) + "."


def _promise(clause: Guarantee) -> str:
    share = f"{'more than' if clause.strict else 'at least'} {_percent(clause.target)}"
    if clause.measure is Measure.RESPONSE_TIME:
        limit = format_duration(clause.limit or 0)
        return f"{_period(clause)}, {share} of the runs of {_listed(clause.checks)} succeed within {limit}"
    who = {
        Composite.WORST: f"each of {_listed(clause.checks)} is up",
        Composite.ALL: f"{_listed(clause.checks)} are all up together",
        Composite.ANY: f"at least one of {_listed(clause.checks)} is up",
    }[clause.composite]
    return f"{_period(clause)}, {who} in {share} of the slices of {format_duration(clause.slice)}"


def _conditions(clause: Guarantee) -> Iterator[str]:
    if clause.measure is Measure.AVAILABILITY:
        yield f"a check is down where more than {_percent(clause.quorum)} of the regions with data are"
    if clause.regions:
        yield f"the regions {', '.join(clause.regions)} must speak, and no other counts"
    yield _maintenance(clause)
    is_held = clause.view is View.END_TO_END
    yield f"a partner's failure is {'held against the network' if is_held else 'left to the partner'}"
    differing = [f"{each} is {how}" for each, how in clause.standings.items() if how is not STANDINGS[each]]
    if differing:
        yield f"other than usual, {', '.join(differing)}"
    if clause.coverage_floor:
        floor = _percent(clause.coverage_floor)
        yield f"where a region has data in less than {floor} of the slices, met becomes inconclusive"


def _maintenance(clause: Guarantee) -> str:
    if not clause.windows_excuse:
        return "maintenance counts, announced or not"
    limit = "" if clause.cap is None else f", up to {_length(clause.cap)} in a {clause.period}"
    inflight = ", and a bad run that was under way when it began is void" if clause.void_inflight else ""
    when = f"{_length(clause.notice)} before" if clause.notice else "before it begins"
    return f"maintenance that was announced {when} is left out{_emergency(clause)}{limit}{inflight}"


def _emergency(clause: Guarantee) -> str:
    if clause.emergency_notice is None:
        return ""
    return (
        f" (in an emergency, {_length(clause.emergency_notice)} before)"
        if clause.emergency_notice
        else (" (in an emergency, before it begins)")
    )


def _period(clause: Guarantee) -> str:
    if clause.rolling is not None:
        return f"over the last {clause.rolling // DAY} days"
    return f"{_CALENDARS[clause.period]} of {clause.zone.key}"


def _listed(checks: tuple[str, ...]) -> str:
    return "the checks" if checks == ("*",) else f"the checks {', '.join(checks)}"


def _length(duration: Duration) -> str:
    """Days as hours, which is how notice is agreed: "72h"."""
    hours, rest = divmod(duration, 3_600_000_000)
    return f"{hours}h" if not rest and hours else format_duration(duration)


def _percent(share: Fraction) -> str:
    return cut_percent(share, 12).replace("%", " %")
