"""What was recorded since a revision that may bear on its period: counted, so that a list of revisions costs little.

Whether any of it changes what the statement says is seen when the statement is made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from outrider.core.intervals import Interval
from outrider.core.maintenance import Announcement, histories
from outrider.core.units import DAY, Duration, Instant
from outrider_collector.evidence import fingerprint
from outrider_collector.issued import Confirmation, Revision
from outrider_collector.issued.comparing import changes
from outrider_collector.issued.terms import Terms, decode_terms, encode_terms
from outrider_collector.store import Store

LEAD: Duration = 400 * DAY
"""What came in for as long before a period may bear on it: on what belongs to it, on clauses whose own periods begin
before it, on days that are shown beside it."""

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Since:
    """What was recorded since a revision that may bear on its period. `lead`: results of the time before the period."""

    results: int = 0
    lead: int = 0
    announcements: int = 0
    terms: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.results or self.lead or self.announcements or self.terms)

    @property
    def reasons(self) -> list[str]:
        reasons = []
        if self.results:
            reasons.append(f"late results: {self.results}")
        elif self.lead:
            reasons.append(f"late results of the time before the period, which may bear on it: {self.lead}")
        if self.announcements:
            reasons.append(f"announcements of windows that may bear on the period: {self.announcements}")
        return [*reasons, *self.terms]


def facts_since(
    store: Store,
    newest: Revision,
    seen: Confirmation,
    as_of: Instant,
    terms: Terms,
    announcements: Sequence[Announcement],
) -> Since:
    """What came between when a revision was last `seen` to stand and `as_of`. Raises TermsError, StoreFailedError."""
    ledger = store.position(as_of)
    period, reach = Interval(newest.start, newest.end), _reach(newest, terms)
    results = lead = 0
    if ledger > seen.ledger:
        results = store.recorded_between(period, seen.ledger, ledger)
        lead = store.recorded_between(Interval(newest.start - LEAD, newest.start), seen.ledger, ledger)
    later = 0
    for history in histories(announcements).values():
        if any(each.start < reach.end and each.end > reach.start for each in history):
            later += sum(seen.as_of < each.recorded_at <= as_of for each in history)
    return Since(results, lead, later, _terms_reasons(newest, seen, terms))


def _reach(revision: Revision, terms: Terms) -> Interval:
    """The time whose windows bear on a period: what leads up to it, and all that a cap is used up over."""
    start, end = max(0, revision.start - LEAD), revision.end
    for guarantee in terms.agreement.guarantees:
        if guarantee.cap is not None:
            whole = list(guarantee.calendar.overlapping(Interval(start, end)))
            start, end = min(start, whole[0].start), max(end, whole[-1].end)
    return Interval(start, end)


def _terms_reasons(newest: Revision, seen: Confirmation, terms: Terms) -> tuple[str, ...]:
    """What of the terms is another than when the revision was last found to stand; parameters that its software did
    not have yet are as their defaults."""
    now = encode_terms(terms)
    then = encode_terms(decode_terms(newest.terms))
    if now == then or fingerprint(now.encode()) == seen.terms_sha256:
        return ()
    found = [f"{each.clause} {each.what}".strip() for each in changes(json.loads(then), json.loads(now))]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return (f"the terms changed: {', '.join(found[:_MOST_NAMED])}{more}",)
