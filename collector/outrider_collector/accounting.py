"""From stored runs to measured and judged guarantees. Figures are derived here each time, by the pure rules of core.

An account is a function of (agreement, period, as-of instant): runs and announcements recorded later do not exist
for it. What is younger than `settle` at the as-of instant is not judged yet, since its results may be under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np

from outrider.core.guarantee import Agreement, Guarantee, KnownExpiry, Measure, View
from outrider.core.intervals import NOTHING, Interval, Intervals
from outrider.core.maintenance import Announcement, excused
from outrider.core.measuring import fastest, measure_response
from outrider.core.outcome import OutcomeClass, Standing
from outrider.core.sli import OUTCOME_NUMBER, Availability, ResponseTime
from outrider.core.uncertainty import quantile_ranks
from outrider.core.units import DAY, Duration, Instant
from outrider.core.verdict import Judgement, Verdict, judge_availability, judge_response, worst
from outrider_collector.store import Columns, Excluded, Seen, Selection, Store
from outrider_collector.summaries import Presence, Summaries, Timing, Wanted, numbers, presences, select

MEMORY: Duration = 7 * DAY
"""A check or region that was heard of within this long before a period belongs to it: silence must show."""

P90 = Fraction(9, 10)
_VOID = OUTCOME_NUMBER[OutcomeClass.AGENT_FAULT]


@dataclass(frozen=True, slots=True)
class Part:
    """One check under one guarantee: adjusted figures, raw ones, what was excused, and the judgement; `partner_failed`
    counts the runs, excused ones too, that a partner failed, whatever the view."""

    check: str
    adjusted: Availability
    raw: Availability
    excused: Intervals
    judgement: Judgement
    partner_failed: int = 0


@dataclass(frozen=True, slots=True)
class Pooled:
    """Response times under one guarantee; `p90_interval` is a 95 % interval, None as an end is infinity."""

    adjusted: ResponseTime
    raw: ResponseTime
    p90_interval: tuple[Duration | None, Duration | None] | None


@dataclass(frozen=True, slots=True)
class Account:
    """One guarantee in one period. `pooled` is there for response times only."""

    guarantee: Guarantee
    measured: Interval | None
    parts: tuple[Part, ...]
    pooled: Pooled | None
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Basis:
    """What an account is made from."""

    period: Interval
    as_of: Instant
    ledger: int
    announcements: tuple[Announcement, ...]


class Accountant:
    """Makes accounts from a store. Reads only. Accountants of one store share its summaries."""

    def __init__(
        self,
        store: Store,
        agreement: Agreement,
        settle: Duration,
        known_expiries: tuple[KnownExpiry, ...] = (),
        summaries: Summaries | None = None,
    ) -> None:
        self.known_expiries = known_expiries
        self._store = store
        self._summaries = summaries or Summaries(store)
        self.settle = settle
        self.agreement = agreement

    def only(self, guarantees: tuple[Guarantee, ...]) -> Accountant:
        """An accountant for these guarantees alone, with the same store, summaries and known expiries."""
        agreement = replace(self.agreement, guarantees=guarantees)
        return Accountant(self._store, agreement, self.settle, self.known_expiries, self._summaries)

    def basis(self, period: Interval, as_of: Instant, announcements: Sequence[Announcement]) -> Basis:
        known = tuple(each for each in announcements if each.recorded_at <= as_of)
        return Basis(period, as_of, self._store.position(as_of), known)

    def settled(self, period: Interval, as_of: Instant, length: Duration) -> Interval | None:
        """The part of the period whose whole slices are old enough to be judged; None if there is none yet."""
        start = max(period.start, -(-(self.agreement.in_force_from or 0) // length) * length)
        end = min(period.end, (as_of - self.settle) // length * length)
        return Interval(start, end) if end > start else None

    def account(self, guarantee: Guarantee, basis: Basis) -> Account:
        """Measure and judge one guarantee."""
        measured = self.settled(basis.period, basis.as_of, guarantee.slice)
        if measured is None:
            return Account(guarantee, None, (), None, Judgement(Verdict.NO_DATA, "nothing is old enough to be judged"))
        seen = [
            each
            for each in self._store.seen(Interval(measured.start - MEMORY, measured.end), basis.ledger)
            if guarantee.covers(each.check)
        ]
        checks = tuple(sorted({each.check for each in seen} | guarantee.named_checks))
        taken_out = {check: self.excused(guarantee, basis, measured, check) for check in checks}
        parts = tuple(self._parts(guarantee, basis, measured, seen, taken_out))
        if guarantee.measure is Measure.AVAILABILITY:
            # Of several with the worst verdict, the part that is worst off says why.
            lowest_first = sorted(parts, key=lambda part: 1 if part.adjusted.low is None else part.adjusted.low)
            return Account(guarantee, measured, parts, None, worst(part.judgement for part in lowest_first))
        pooled = self._pool(guarantee, basis, measured, taken_out)
        coverage = {part.check: part.adjusted.lowest_coverage for part in parts}
        known = {check: share for check, share in coverage.items() if share is not None}
        all_excused = bool(parts) and not any(part.adjusted.measured for part in parts)
        judgement = judge_response(pooled.adjusted, guarantee, known, all_excused=all_excused)
        return Account(guarantee, measured, parts, pooled, judgement)

    def in_view(self, account: Account, view: View, basis: Basis) -> Account:
        """The same account in another view. The figures are made again only where a partner failed a run: without one
        the views are the same."""
        if view is account.guarantee.view:
            return account
        guarantee = replace(account.guarantee, view=view)
        if any(part.partner_failed for part in account.parts):
            return self.account(guarantee, basis)
        return replace(account, guarantee=guarantee)

    @staticmethod
    def excused(guarantee: Guarantee, basis: Basis, span: Interval, check: str) -> Intervals:
        """The time that is taken out for a check under a guarantee."""
        if not guarantee.windows_excuse:
            return NOTHING
        return excused(
            basis.announcements, guarantee.notice, span, check, guarantee.excuse_cap, guarantee.emergency_notice
        )

    # --- availability --------------------------------------------------------------------------------------------

    def _parts(
        self,
        guarantee: Guarantee,
        basis: Basis,
        measured: Interval,
        seen: Sequence[Seen],
        taken_out: dict[str, Intervals],
    ) -> list[Part]:
        expired = {
            check: Intervals(each.span for each in self.known_expiries if each.covers(check)) for check in taken_out
        }
        wanted = Wanted(guarantee, measured, basis.ledger, taken_out, expired)
        # Where a unit of time depends on its neighbours, the whole span is counted at once.
        apart = set(taken_out) if guarantee.void_inflight else {e.check for e in seen if e.interval > guarantee.slice}
        alone = {check: spans for check, spans in taken_out.items() if check not in apart}
        found = self._summaries.availability(replace(wanted, taken_out=alone))
        if apart:
            together = {check: spans for check, spans in taken_out.items() if check in apart}
            found |= self._at_once(replace(wanted, taken_out=together), basis, seen)
        parts = []
        for check, excluded in taken_out.items():
            regions = {each.region for each in seen if each.check == check}
            adjusted, raw = (_with_regions(each, regions) for each in (found[check].adjusted, found[check].raw))
            judgement = judge_availability(adjusted, guarantee)
            parts.append(Part(check, adjusted, raw, excluded, judgement, found[check].partner_failed))
        return parts

    def _at_once(self, wanted: Wanted, basis: Basis, seen: Sequence[Seen]) -> dict[str, Presence]:
        """The availability of checks whose units of time depend on each other."""
        guarantee = wanted.guarantee
        # A state may carry into the period from before it, but not across the edge of a window there.
        intervals = [each.interval for each in seen if each.check in wanted.taken_out]
        lead = max((each for each in intervals if each > guarantee.slice), default=0)
        span = Interval(wanted.span.start - min(lead, MEMORY), wanted.span.end)
        wider = {check: self.excused(guarantee, basis, span, check) for check in wanted.taken_out}
        selection = select(wider, span, basis.ledger)
        rows = adjusted_rows = self._store.slice_counts(selection, guarantee.slice)
        if guarantee.void_inflight:
            adjusted_rows = _with_straddlers_void(rows, self._straddlers(selection, wider, guarantee), guarantee.slice)
        return presences(replace(wanted, taken_out=wider), rows, adjusted_rows)

    def _straddlers(self, selection: Selection, taken_out: dict[str, Intervals], guarantee: Guarantee) -> Columns:
        """BAD runs that were under way when a window opened (R8, where agreed)."""
        edges = [Excluded(check, each) for check, spans in taken_out.items() for each in spans]
        rows = self._store.straddlers(selection, edges)
        is_bad = np.isin(rows["outcome"], numbers(guarantee, Standing.BAD))
        return {name: column[is_bad] for name, column in rows.items()}

    # --- response time -------------------------------------------------------------------------------------------

    def _pool(self, guarantee: Guarantee, basis: Basis, measured: Interval, taken_out: dict[str, Intervals]) -> Pooled:
        timings = self._summaries.response(Wanted(guarantee, measured, basis.ledger, taken_out, {}))
        kept = select(taken_out, measured, basis.ledger)
        everything = select(dict.fromkeys(taken_out, NOTHING), measured, basis.ledger)
        adjusted_others = dict(timings.adjusted.others)
        if guarantee.void_inflight:
            inflight = len(self._straddlers(kept, taken_out, guarantee)["ts"])
            adjusted_others[Standing.BAD] -= inflight
            adjusted_others[Standing.VOID] += inflight
        adjusted, interval = self._response(guarantee, kept, Timing(timings.adjusted.good, adjusted_others))
        raw, _ = self._response(guarantee, everything, timings.raw)
        return Pooled(adjusted, raw, interval)

    def _response(
        self, guarantee: Guarantee, selection: Selection, timing: Timing
    ) -> tuple[ResponseTime, tuple[Duration | None, Duration | None] | None]:
        assert guarantee.limit is not None
        good_numbers = numbers(guarantee, Standing.GOOD)

        @cache
        def in_bucket(bucket: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
            return self._store.latencies(selection, bucket, good_numbers)

        good = timing.good
        response = measure_response(good, timing.others, guarantee.limit, in_bucket)
        ranks = quantile_ranks(response.samples, P90) if response.samples else None
        if ranks is None:
            return response, None
        low, high = (fastest(good, rank, in_bucket)[0] if rank <= response.good else None for rank in ranks)
        return response, (low, high)


def _with_regions(made: Availability, regions: set[str]) -> Availability:
    """With a coverage of none for regions that had no data at all."""
    return replace(made, coverage={**dict.fromkeys(sorted(regions), 0), **made.coverage})


def _with_straddlers_void(rows: Columns, straddlers: Columns, length: Duration) -> Columns:
    """The same counts with each straddler taken from its own cell and put down as void."""
    extra: dict[str, list[object]] = {name: [] for name in rows}
    who = ("check", "check_id", "region", "region_id")
    for *names, ts, outcome in zip(*(straddlers[name].tolist() for name in (*who, "ts", "outcome")), strict=True):
        for number, n in ((outcome, -1), (_VOID, 1)):
            cell = {**dict(zip(who, names, strict=True)), "slice": ts // length, "outcome": number, "n": n}
            for name, values in extra.items():
                values.append(cell.get(name, 0))
    return {name: np.concatenate([column, np.array(extra[name], dtype=column.dtype)]) for name, column in rows.items()}
