"""Runs that may have been sent on the other side of an edge: how many, at which edges, and what if they were.

Rules
-----
1. An edge is where excused time of a check begins or ends, or where what is judged of a period begins, or ends with the
   period. Where excused time reaches past the period's edge there is none: a run counts on neither of its sides.
2. A run is uncertain where the half width of its instant's error bar takes it across an edge; at an edge is after it.
   One that is void is no sample on either side, and is not counted. Where several edges are within the bar, the nearest
   counts, of equals the earlier.
3. The estimated instant decides. The other reading has each such run just on the other side of its edge, all of them at
   once, and everything else as it is; it is judged by the same rules.
4. Nothing is said where there is no such run. Results that come in later can add some, as they can change a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outrider.core.guarantee import Guarantee, Measure
from outrider.core.intervals import Interval, Intervals
from outrider.core.outcome import Standing
from outrider.core.sli import OUTCOME_ORDER
from outrider.core.units import Instant, format_instant
from outrider_collector.accounting import Accountant, Basis
from outrider_collector.accounts import Account
from outrider_collector.store import Columns, Moved

MOST_EDGES = 20
"""Edges that are listed of a check; the rest are counted."""

Plain = dict[str, Any]
_Edges = dict[str, dict[Instant, str]]


@dataclass(frozen=True, slots=True)
class _Run:
    """A run as it may have been, and the edge that it is then on the other side of."""

    moved: Moved
    edge: Instant


def add_uncertain(
    plain: Plain, account: Account, accountant: Accountant, basis: Basis, read: Callable[[Account], Plain]
) -> None:
    """Put `uncertain` into a guarantee of a statement that has such runs. `read` gives an account's `verdict`,
    `reason` and `adjusted` figure as the statement shows them."""
    edges = _edges(account)
    if not edges:
        return
    found = accountant.near(account.guarantee, basis, {check: sorted(of) for check, of in edges.items()})
    runs = _runs(found, account.guarantee)
    if not runs:
        return
    other = read(accountant.if_moved([each.moved for each in runs]).account(account.guarantee, basis))
    stands = read(account)
    plain["uncertain"] = {
        "runs": len(runs),
        "checks": [_check(check, of, edges[check]) for check, of in _by_check(runs).items()],
        "verdict": other["verdict"],
        "reason": other["reason"],
        "adjusted": other["adjusted"],
        "differs": other["verdict"] != stands["verdict"],
        "text": _said(len(runs), stands, other),
    }


def _edges(account: Account) -> _Edges:
    """check -> edge -> what begins or ends there, in all periods that the clause was judged over (rule 1)."""
    found: _Edges = {}
    for each in account.periods or (account,):
        if each.measured is not None:
            for part in each.parts:
                ends = each.measured.end == each.period.end
                found.setdefault(part.check, {}).update(_edges_within(each.measured, part.excused, ends=ends))
    return {check: of for check, of in found.items() if of}


def _edges_within(span: Interval, excused: Intervals, *, ends: bool) -> dict[Instant, str]:
    made: dict[Instant, str] = {}
    for each in excused:
        made |= {each.start: "maintenance begins", each.end: "maintenance ends"}
    made = {at: what for at, what in made.items() if span.start < at < span.end}
    if not excused.within(Interval(span.start, span.start + 1)):
        made[span.start] = "the period begins"
    if ends and not excused.within(Interval(span.end - 1, span.end)):
        made[span.end] = "the period ends"
    return made


def _runs(found: Columns, guarantee: Guarantee) -> list[_Run]:
    """Each run that counts, once, with its nearest edge (rule 2)."""
    counted = {Standing.GOOD, Standing.BAD}
    if guarantee.measure is Measure.AVAILABILITY:
        counted.add(Standing.PARTNER)  # good there
    made: dict[tuple[str, str, int], _Run] = {}
    names = ("agent", "epoch", "seq", "check", "ts", "outcome", "edge")
    for agent, epoch, seq, check, at, outcome, edge in zip(*(found[name].tolist() for name in names), strict=True):
        if guarantee.standing(OUTCOME_ORDER[outcome]) in counted:
            to = edge if at < edge else edge - 1
            made.setdefault((agent, epoch, seq), _Run(Moved(agent, epoch, seq, check, at, to), edge))
    return sorted(made.values(), key=lambda each: (each.moved.check, each.edge, each.moved.at, each.moved.agent))


def _by_check(runs: Sequence[_Run]) -> dict[str, list[_Run]]:
    found: dict[str, list[_Run]] = {}
    for each in runs:
        found.setdefault(each.moved.check, []).append(each)
    return found


def _check(check: str, runs: Sequence[_Run], edges: Mapping[Instant, str]) -> Plain:
    counts: dict[Instant, int] = {}
    for each in runs:
        counts[each.edge] = counts.get(each.edge, 0) + 1
    listed = [{"at": format_instant(at), "edge": edges[at], "runs": n} for at, n in counts.items()]
    return {"check": check, "runs": len(runs), "edges": listed[:MOST_EDGES], "edges_in_all": len(listed)}


def _said(count: int, stands: Plain, other: Plain) -> str:
    """The two readings in a sentence or two."""
    where = (
        f"{'1 run was' if count == 1 else f'{count} runs were'} sent so near an edge of the period or of maintenance"
    )
    verdict, figure = stands["verdict"], _figure(stands)
    there, elsewhere = other["verdict"], _figure(other)
    if there != verdict:
        return (
            f"{where} that the error bar of the instant reaches across it. On the other side the verdict would be "
            f"{there} ({elsewhere}), not {verdict} ({figure}). {verdict.capitalize()} stands: the estimated instant "
            f"decides, which is the middle of what is possible, and was fixed before anybody knew whom it favours"
        )
    instead = "and so would be the figure" if figure == elsewhere else f"with {elsewhere} instead of {figure}"
    return (
        f"{where} that the error bar of the instant reaches across it. On the other side the verdict would be "
        f"{verdict}, too, {instead}"
    )


def _figure(read: Plain) -> str:
    share = read["adjusted"]
    return "no figure" if share is None else str(share["percent"])
