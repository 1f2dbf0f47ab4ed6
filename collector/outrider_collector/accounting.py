"""From stored runs to measured and judged guarantees. Figures are derived here each time, by the pure rules of core.

An account is a function of (agreement, period, as-of instant): runs and announcements recorded later do not exist
for it. A clause whose own periods are shorter than the period, or that rolls, has an account of each of them, and the
worst stands. What is younger than `settle` at the as-of instant is not judged yet, since its results may be under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import TypeAlias

import numpy as np

from outrider.core.guarantee import Agreement, Guarantee, KnownExpiry, Measure, View
from outrider.core.intervals import NOTHING, Interval, Intervals
from outrider.core.maintenance import Announcement, excused
from outrider.core.measuring import fastest, measure_response
from outrider.core.outcome import OutcomeClass, Standing
from outrider.core.sli import OUTCOME_NUMBER, Availability, ResponseTime
from outrider.core.uncertainty import quantile_ranks
from outrider.core.units import DAY, HOUR, Duration, Instant
from outrider.core.verdict import Judgement, Verdict, judge_availability, judge_response, worst
from outrider_collector.accounts import Account, Part, Pooled, as_one, rank
from outrider_collector.moved import MovedStore, MovedSummaries
from outrider_collector.store import FARTHEST, Columns, Counts, Excluded, Moved, Seen, Selection
from outrider_collector.summaries import Presence, Summaries, Timing, Timings, Wanted, numbers, presences, select
from outrider_collector.time_units import Margin

MEMORY: Duration = 7 * DAY
"""A check or region that was heard of within this long before a period belongs to it: silence must show."""

P90 = Fraction(9, 10)
_VOID = OUTCOME_NUMBER[OutcomeClass.AGENT_FAULT]
_Daily: TypeAlias = dict[str, list[Availability]]


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
        store: Counts,
        agreement: Agreement,
        settle: Duration,
        known_expiries: tuple[KnownExpiry, ...] = (),
        summaries: Summaries | None = None,
    ) -> None:
        self.known_expiries = known_expiries
        self._store = store
        self.summaries = summaries or Summaries(store)
        self.settle = settle
        self.agreement = agreement

    def only(self, guarantees: tuple[Guarantee, ...]) -> Accountant:
        """An accountant for these guarantees alone, with the same store, summaries and known expiries."""
        agreement = replace(self.agreement, guarantees=guarantees)
        return Accountant(self._store, agreement, self.settle, self.known_expiries, self.summaries)

    def under(self, agreement: Agreement, settle: Duration, known_expiries: tuple[KnownExpiry, ...]) -> Accountant:
        """An accountant under other terms, with the same store and summaries."""
        return Accountant(self._store, agreement, settle, known_expiries, self.summaries)

    def if_moved(self, moved: Sequence[Moved]) -> Accountant:
        """An accountant for which these runs were sent at other instants than they were."""
        store = MovedStore(self._store, moved)
        summaries = MovedSummaries(self.summaries, store, moved)
        return Accountant(store, self.agreement, self.settle, self.known_expiries, summaries)

    def near(self, guarantee: Guarantee, basis: Basis, edges: Mapping[str, Sequence[Instant]]) -> Columns:
        """The runs that may have been sent on the other side of an edge (`Store.near`), each check's edges in order."""
        known = [each for instants in edges.values() for each in instants]
        span = Interval(min(known) - FARTHEST, max(known) + FARTHEST)
        return self.summaries.near(Selection(tuple(edges), span, basis.ledger, (), guarantee.regions), edges)

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
        until = (basis.as_of - self.settle) // guarantee.slice * guarantee.slice
        over = [
            replace(self._over(guarantee, replace(basis, period=own.span)), label=own.label)
            for own in guarantee.own_periods(basis.period, until)
        ]
        periods = tuple(each for each in over if each.measured is not None)
        if not periods:
            return self._over(guarantee, basis)
        decides = min(periods, key=lambda each: rank(each.judgement, each.low))
        reason = f"{decides.label}: {decides.judgement.reason}"
        return replace(decides, judgement=replace(decides.judgement, reason=reason), periods=periods)

    def _over(self, guarantee: Guarantee, basis: Basis) -> Account:
        """The same over the basis's period, whatever the clause's own is."""
        measured = self.settled(basis.period, basis.as_of, guarantee.slice)
        if measured is None:
            nothing = Judgement(Verdict.NO_DATA, "nothing is old enough to be judged")
            return Account(guarantee, basis.period, None, (), None, nothing)
        seen = [
            each
            for each in self.summaries.seen(Interval(measured.start - MEMORY, measured.end), basis.ledger)
            if guarantee.covers(each.check) and guarantee.hears(each.region)
        ]
        checks = tuple(sorted({each.check for each in seen} | guarantee.named_checks))
        taken_out = {check: self.excused(guarantee, basis, measured, check) for check in checks}
        parts = tuple(self._parts(guarantee, basis, measured, seen, taken_out))
        if guarantee.measure is Measure.AVAILABILITY:
            together = as_one(guarantee, measured, parts)
            made = Account(guarantee, basis.period, measured, parts, None, worst(()), together)
            return made if made.decisive is None else replace(made, judgement=made.decisive.judgement)
        pooled = self._pool(guarantee, basis, measured, taken_out)
        coverage = {part.check: part.adjusted.lowest_coverage for part in parts}
        known = {check: share for check, share in coverage.items() if share is not None}
        all_excused = bool(parts) and not any(part.adjusted.measured for part in parts)
        judgement = judge_response(pooled.adjusted, guarantee, known, all_excused=all_excused)
        return Account(guarantee, basis.period, measured, parts, pooled, judgement)

    def in_view(self, account: Account, view: View, basis: Basis) -> Account:
        """The same account in another view. The figures are made again only where a partner failed a run: without one
        the views are the same. Runs from before the period are not in its counts, so where they may speak, too."""
        if view is account.guarantee.view:
            return account
        guarantee = replace(account.guarantee, view=view)
        if any(part.partner_failed or part.speaks_on for each in account.periods or (account,) for part in each.parts):
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
        wanted = Wanted(guarantee, measured, basis.ledger, taken_out, self._expired(taken_out))
        # Where a unit of time depends on its neighbours, the whole span is counted at once.
        apart = _apart(guarantee, taken_out, seen)
        found = self.summaries.availability(wanted.only(taken_out.keys() - apart))
        if apart:
            span = Interval(measured.start - _lead(guarantee, apart, seen), measured.end)
            found |= self._at_once(wanted.only(apart), basis, span)
        parts = []
        for check, excluded in taken_out.items():
            regions = set(guarantee.regions) or {each.region for each in seen if each.check == check}
            adjusted, raw = (_with_regions(each, regions) for each in (found[check].adjusted, found[check].raw))
            judgement = judge_availability(adjusted, guarantee)
            speaks_on = any(each.check == check and each.interval > guarantee.slice for each in seen)
            parts.append(Part(check, adjusted, raw, excluded, judgement, found[check].partner_failed, speaks_on))
        return parts

    def by_day(self, guarantee: Guarantee, basis: Basis, checks: Sequence[str], days: Sequence[Interval]) -> _Daily:
        """Each check's availability on each of these days, which follow one another, excused time left out."""
        span = Interval(days[0].start, days[-1].end)
        seen = [each for each in self.summaries.seen(span, basis.ledger) if each.check in checks]
        taken_out = {check: self.excused(guarantee, basis, span, check) for check in checks}
        wanted = Wanted(guarantee, span, basis.ledger, taken_out, self._expired(checks))
        apart = _apart(guarantee, checks, seen)
        found = self.summaries.by_day(wanted.only(set(checks) - apart), days)
        if apart:
            lead = _lead(guarantee, apart, seen)
            margin = Margin(lead, HOUR if guarantee.void_inflight else 0, span.end)
            wider = Interval(span.start - lead, span.end)
            around = {check: self.excused(guarantee, basis, wider, check) for check in apart}

            def count(_: Wanted, day: Interval, here: Mapping[str, Intervals]) -> Mapping[str, Presence]:
                return self._at_once(replace(wanted, span=day, taken_out=here), basis, margin.around(day))

            found |= self.summaries.by_day(replace(wanted, taken_out=around), days, count, margin)
        return {check: [each.adjusted for each in found[check]] for check in checks}

    def _expired(self, checks: Iterable[str]) -> dict[str, Intervals]:
        return {check: Intervals(each.span for each in self.known_expiries if each.covers(check)) for check in checks}

    def _at_once(self, wanted: Wanted, basis: Basis, span: Interval) -> dict[str, Presence]:
        """The availability of checks whose units of time depend on each other: `span` reaches as far before what is
        wanted as a state may carry into it, though not across the edge of a window there."""
        guarantee = wanted.guarantee
        wider = {check: self.excused(guarantee, basis, span, check) for check in wanted.taken_out}
        selection = select(wider, span, basis.ledger, guarantee.regions)
        rows = adjusted_rows = self._store.slice_counts(selection, guarantee.slice)
        if guarantee.void_inflight:
            adjusted_rows = _with_straddlers_void(rows, self._straddlers(selection, guarantee, basis), guarantee.slice)
        return presences(replace(wanted, taken_out=wider), rows, adjusted_rows)

    def _straddlers(self, selection: Selection, guarantee: Guarantee, basis: Basis) -> Columns:
        """BAD runs that were under way when a window opened (R8, where agreed), be it after the last of the span."""
        beyond = Interval(selection.span.start, selection.span.end + DAY)  # no run lasts longer
        spans = {check: self.excused(guarantee, basis, beyond, check) for check in selection.checks}
        edges = [Excluded(check, each) for check in spans for each in spans[check]]
        rows = self._store.straddlers(selection, edges)
        is_bad = np.isin(rows["outcome"], numbers(guarantee, Standing.BAD))
        return {name: column[is_bad] for name, column in rows.items()}

    # --- response time -------------------------------------------------------------------------------------------

    def response_by_bin(
        self, guarantee: Guarantee, basis: Basis, checks: Sequence[str], bins: Sequence[Interval]
    ) -> list[Timings]:
        """The processing times of these checks in each of these bins, which follow one another."""
        span = Interval(bins[0].start, bins[-1].end)
        taken_out = {check: self.excused(guarantee, basis, span, check) for check in checks}
        found = self.summaries.response_by_bin(Wanted(guarantee, span, basis.ledger, taken_out, {}), bins)
        if not guarantee.void_inflight:
            return found
        kept = select(taken_out, span, basis.ledger, guarantee.regions)
        inflight = self._straddlers(kept, guarantee, basis)["ts"]
        at = np.searchsorted(np.array([each.start for each in bins]), inflight, side="right") - 1
        for number, void in zip(*np.unique(at, return_counts=True), strict=True):
            found[number] = replace(found[number], adjusted=found[number].adjusted.with_void(int(void)))
        return found

    def _pool(self, guarantee: Guarantee, basis: Basis, measured: Interval, taken_out: dict[str, Intervals]) -> Pooled:
        timings = self.summaries.response(Wanted(guarantee, measured, basis.ledger, taken_out, {}))
        kept = select(taken_out, measured, basis.ledger, guarantee.regions)
        everything = select(dict.fromkeys(taken_out, NOTHING), measured, basis.ledger, guarantee.regions)
        inflight = len(self._straddlers(kept, guarantee, basis)["ts"]) if guarantee.void_inflight else 0
        adjusted, interval = self._response(guarantee, kept, timings.adjusted.with_void(inflight))
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


def _apart(guarantee: Guarantee, checks: Iterable[str], seen: Iterable[Seen]) -> set[str]:
    """The checks whose units of time depend on their neighbours."""
    return set(checks) if guarantee.void_inflight else {each.check for each in seen if each.interval > guarantee.slice}


def _lead(guarantee: Guarantee, checks: set[str], seen: Iterable[Seen]) -> Duration:
    """How long a state may carry on."""
    intervals = [each.interval for each in seen if each.check in checks and each.interval > guarantee.slice]
    return min(max(intervals, default=0), MEMORY)


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
