"""The outages of an account: when, seen from where, and what had failed.

Rules
-----
1. An outage is a run of slices in which the service is down. Named beside it are the regions that failed in it and the
   most frequent causes, counted from the runs that are not excused; refused ones (`probe_fault`) are causes, too.
2. The first outages of each check are looked up, `MOST_OUTAGES` at most, and fewer in each of several periods.
3. All outages of an account are looked up with one question to the store (`Summaries.failures`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from outrider.core.guarantee import Guarantee
from outrider.core.intervals import Interval
from outrider.core.outcome import OutcomeClass, Standing
from outrider.core.sli import OUTCOME_ORDER
from outrider.core.units import format_instant
from outrider_collector.accounts import Account, Part
from outrider_collector.statement.values import Plain
from outrider_collector.store import Columns, Excluded, Selection
from outrider_collector.summaries import Summaries

MOST_OUTAGES, MOST_IN_PERIODS = 100, 500
"""Outages that are listed of a check, and of it in all the clause's own periods."""

_CAUSES_SHOWN = 5


def outages_of(account: Account, summaries: Summaries, ledger: int, most: int) -> dict[str, list[Plain]]:
    """The outages of each check by its name, and under no name those of the checks as one service."""
    parts = [*account.parts, *((account.together,) if account.together else ())]
    spans = [(part, span) for part in parts for span in part.adjusted.outages.members[:most]]
    found: dict[str, list[Plain]] = {part.check: [] for part in parts}
    if account.measured is not None:
        asked = [_selection(members(part, account), span, account.guarantee, ledger) for part, span in spans]
        looked_up = summaries.failures(asked, account.measured)
        for (part, span), rows in zip(spans, looked_up, strict=True):
            found[part.check].append(_outage(span, rows, account.guarantee))
    return found


def members(part: Part, account: Account) -> Sequence[Part]:
    """The checks that a part of an account stands for."""
    return account.parts if part is account.together else (part,)


def _selection(parts: Sequence[Part], span: Interval, guarantee: Guarantee, ledger: int) -> Selection:
    excluded = tuple(Excluded(part.check, each) for part in parts for each in part.excused.within(span))
    return Selection(tuple(part.check for part in parts), span, ledger, excluded, guarantee.regions)


def _outage(span: Interval, found: Columns, guarantee: Guarantee) -> Plain:
    """One outage with its regions, causes and count of failed samples, refused ones among them."""
    failed = [
        number
        for number, outcome in enumerate(OUTCOME_ORDER)
        if guarantee.standing(outcome) is Standing.BAD or outcome is OutcomeClass.PROBE_FAULT
    ]
    is_failure = np.isin(found["outcome"], failed)
    rows = {name: column[is_failure] for name, column in found.items()}
    causes: dict[tuple[int, str, str], int] = {}
    for *cause, n in zip(*(rows[name].tolist() for name in ("outcome", "code", "place", "n")), strict=True):
        outcome, code, place = cause
        causes[outcome, code, place] = causes.get((outcome, code, place), 0) + n
    ranked = sorted(causes.items(), key=lambda item: (-item[1], item[0]))
    return {
        "start": format_instant(span.start),
        "end": format_instant(span.end),
        "length_us": span.length,
        "regions": sorted(set(rows["region"].tolist())),
        "samples": int(rows["n"].sum()),
        "causes": [
            {"outcome": OUTCOME_ORDER[outcome].value, "code": code, "place": place, "samples": n}
            for (outcome, code, place), n in ranked[:_CAUSES_SHOWN]
        ],
    }
