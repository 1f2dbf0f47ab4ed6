"""Where the runs went that agents promised: the statement's `delivery`, one row for each agent and epoch.

promised + carried_over = skipped + lost_in_flight + delivered + waiting + dropped + dead_lettered + under_way, in runs.
Counts are taken at the last full minute before the period's start and before its end (or the instant it is made as of).
"""

from __future__ import annotations

from outrider.core.intervals import Interval, Intervals
from outrider.core.units import MINUTE, Instant, format_instant
from outrider_collector.delivery import DeliveryLedger, Sender
from outrider_collector.statement.values import Plain
from outrider_collector.store import Store

_LEVELS = ("waiting", "under_way")
_STRIPPED = ("stripped_details", "stripped_phases")


def delivery(ledger: DeliveryLedger, store: Store, period: Interval, as_of: Instant, position: int) -> list[Plain]:
    """The rows of the epochs that were heard of within a period. Reads only; the same facts give the same rows."""
    before = {(each.agent, each.epoch): each for each in ledger.at(period.start)}
    after = [each for each in ledger.at(min(as_of, period.end)) if each.last_seen >= period.start // MINUTE * MINUTE]
    if not after:
        return []
    held, lost, restored = store.held(position), ledger.lost(as_of), ledger.restored(as_of)
    rows = []
    for each in after:
        who = each.agent, each.epoch
        declared = lost.get(who, Intervals())
        kept, highest = held.get(who, (0, 0))
        rows.append({
            **_row(each, before.get(who)),
            "gaps": max(0, highest - kept - declared.within(Interval(0, highest + 1)).length),
            "declared_lost": declared.length,
            "restored": restored.get(who, 0),
        })  # fmt: skip
    return rows


def _row(after: Sender, before: Sender | None) -> Plain:
    then = before.ways if before is not None else {}
    ways = {name: count - (0 if name in _LEVELS else then.get(name, 0)) for name, count in after.ways.items()}
    return {
        "agent": after.agent,
        "region": after.region,
        "epoch": after.epoch,
        "at": format_instant(after.last_seen),
        "promised": after.counts.get("scheduled", 0) - (before.counts.get("scheduled", 0) if before else 0),
        "carried_over": sum(then.get(name, 0) for name in _LEVELS),
        **ways,
        "stripped": sum(
            after.counts.get(name, 0) - (before.counts.get(name, 0) if before else 0) for name in _STRIPPED
        ),
    }
