"""The statement of a period as plain values, ready for JSON: every guarantee with its verdict and what it rests on.

Shares are given as numerator, denominator and a percentage that is cut, never rounded. Durations are microseconds
under keys that end in `_us`; instants are RFC 3339 in UTC. Made again from the same facts it comes out the same.
"""

from __future__ import annotations

from fractions import Fraction
from importlib.metadata import version
from math import ceil
from typing import Any

import numpy as np

from outrider.core.guarantee import Guarantee, View
from outrider.core.intervals import Interval, Intervals
from outrider.core.maintenance import Act, Announcement, excused, excused_by, histories
from outrider.core.margin import Margin, availability_margin, lowest_coverage, margin_of_checks, response_margin
from outrider.core.outcome import OutcomeClass, Standing
from outrider.core.sli import OUTCOME_ORDER, Availability, ResponseTime
from outrider.core.uncertainty import samples_to_prove, wilson
from outrider.core.units import Duration, Instant, format_instant
from outrider.core.verdict import Verdict, cut_percent, worst
from outrider_collector.accounting import Account, Accountant, Basis, Part
from outrider_collector.store import Excluded, Selection, Store

SCHEMA_VERSION = 1
MOST_OUTAGES = 100
_CAUSES_SHOWN = 5

Plain = dict[str, Any]


def make_statement(accountant: Accountant, store: Store, basis: Basis, label: str) -> Plain:
    """The whole statement. Reads only."""
    accounts = [accountant.account(guarantee, basis) for guarantee in accountant.agreement.guarantees]
    touching = [each for each in histories(basis.announcements).values() if _touches(each[-1], basis.period)]
    within_caps = [_within_cap(account, basis, touching) for account in accounts]
    overall = worst(account.judgement for account in accounts)
    return {
        "schema": SCHEMA_VERSION,
        "agreement": accountant.agreement.name,
        "timezone": accountant.agreement.zone.key,
        "timezone_data": version("tzdata"),
        "in_force_from": _instant_or_none(accountant.agreement.in_force_from),
        "settle_us": accountant.settle,
        "known_expiries": [{"checks": list(each.checks), **_span(each.span)} for each in accountant.known_expiries],
        "period": {"label": label, **_span(basis.period)},
        "as_of": format_instant(basis.as_of),
        "ledger": basis.ledger,
        "verdict": overall.verdict.value,
        "guarantees": [
            _guarantee(account, [accountant.in_view(account, view, basis) for view in View], store, basis)
            for account in accounts
        ],
        "windows": [_window(history, accounts, within_caps, basis.period) for history in touching],
    }


def _instant_or_none(instant: Instant | None) -> str | None:
    return None if instant is None else format_instant(instant)


def share(value: Fraction | None) -> Plain | None:
    """A share with everything that is needed to check it."""
    if value is None:
        return None
    return {"numerator": value.numerator, "denominator": value.denominator, "percent": cut_percent(value)}


def _span(span: Interval) -> Plain:
    return {"start": format_instant(span.start), "end": format_instant(span.end)}


def _guarantee(account: Account, views: list[Account], store: Store, basis: Basis) -> Plain:
    guarantee = account.guarantee
    plain: Plain = {
        "id": guarantee.id,
        "title": guarantee.title,
        "measure": guarantee.measure.value,
        "evidence": "observed",
        "target": {**(share(guarantee.target) or {}), "strict": guarantee.strict},
        "view": guarantee.view.value,
        "notice_us": guarantee.notice,
        **({} if guarantee.emergency_notice is None else {"emergency_notice_us": guarantee.emergency_notice}),
        "slice_us": guarantee.slice,
        "coverage_floor": share(guarantee.coverage_floor),
        "scope": list(guarantee.checks),
        "quorum": share(guarantee.quorum),
        "cap_us": guarantee.cap,
        "windows_excuse": guarantee.windows_excuse,
        "void_inflight": guarantee.void_inflight,
        "counts": {outcome.value: guarantee.standing(outcome).value for outcome in OUTCOME_ORDER},
        "clause_period": guarantee.period.value,
        "is_clause_period": basis.period == guarantee.calendar.containing(basis.period.start),
        "measured": _span(account.measured) if account.measured else None,
        "verdict": account.judgement.verdict.value,
        "reason": account.judgement.reason,
        "margin": _plain_margin(_margin(account)),
        "checks": [_part(part, account, store, basis) for part in account.parts],
        "views": [{**_view(each), "decides": each.guarantee.view is guarantee.view} for each in views],
    }
    if account.pooled is not None and guarantee.limit is not None:
        pooled = account.pooled
        plain["limit_us"] = guarantee.limit
        plain["adjusted"] = _response(pooled.adjusted)
        plain["raw"] = _response(pooled.raw)
        if pooled.p90_interval is not None:
            low, high = pooled.p90_interval
            plain["adjusted"]["p90_us_interval"] = [low, high]
        plain["remark"] = _too_small(pooled.adjusted, guarantee)
    return plain


def _view(account: Account) -> Plain:
    """The clause as one view has it. A guarantee over several checks shows the part with the lowest `low`."""
    plain: Plain = {
        "view": account.guarantee.view.value,
        "verdict": account.judgement.verdict.value,
        "reason": account.judgement.reason,
        "partner_failed": sum(part.partner_failed for part in account.parts),
    }
    if account.pooled is not None:
        return {**plain, "adjusted": share(account.pooled.adjusted.share), "raw": share(account.pooled.raw.share)}
    judged = [part for part in account.parts if part.judgement.verdict is not Verdict.NO_DATA]
    lowest = min(judged, key=lambda part: part.adjusted.low or Fraction(0), default=None)
    return {
        **plain,
        "adjusted": None if lowest is None else share(lowest.adjusted.figure),
        "raw": None if lowest is None else share(lowest.raw.figure),
    }


def _margin(account: Account) -> Margin:
    """What would have changed the verdict of a guarantee."""
    guarantee = account.guarantee
    if account.pooled is not None:
        coverage = {part.check: lowest_coverage(part.adjusted) for part in account.parts}
        known = {check: pair for check, pair in coverage.items() if pair is not None}
        return response_margin(account.pooled.adjusted, guarantee, account.judgement, known)
    if not account.parts:
        return Margin("slices", None, f"nothing to judge: {account.judgement.reason}")
    parts = [
        (part.check, part.judgement, availability_margin(part.adjusted, guarantee, part.judgement))
        for part in account.parts
    ]
    return margin_of_checks(parts)


def _plain_margin(margin: Margin) -> Plain:
    return {"unit": margin.unit, "by": margin.by, "text": margin.text}


def _too_small(response: ResponseTime, guarantee: Guarantee) -> str | None:
    if not response.samples or guarantee.target >= 1:
        return None
    needed = samples_to_prove(guarantee.target)
    if response.samples >= needed:
        return None
    return (
        f"{response.samples} samples are too few to prove {cut_percent(guarantee.target)} with 95 % confidence, "
        f"even if every one of them was good; that takes {needed}."
    )


def _response(response: ResponseTime) -> Plain:
    bounds = wilson(response.within, response.samples) if response.samples else None
    fastest = response.fastest_mean
    answered = response.answered_mean
    return {
        "share": share(response.share),
        "share_interval": [share(bound) for bound in bounds] if bounds else None,
        "within": response.within,
        "samples": response.samples,
        "failed": response.bad,
        "partner_failed": response.partner,
        "void": response.void,
        "p90_us": response.p90,
        "fastest_mean_us": None if fastest is None else ceil(fastest),
        "answered_mean_us": None if answered is None else ceil(answered),
        "answered_share": share(response.answered_share),
    }


def _part(part: Part, account: Account, store: Store, basis: Basis) -> Plain:
    adjusted = _availability(part.adjusted)
    if part.judgement.verdict is Verdict.NO_DATA:
        adjusted |= {"figure": None, "low": None, "high": None}  # without a sample there is no percentage (R4)
    adjusted["outages"] = [
        _outage(part, span, account.guarantee, store, basis) for span in part.adjusted.outages.members[:MOST_OUTAGES]
    ]
    return {
        "check": part.check,
        "verdict": part.judgement.verdict.value,
        "reason": part.judgement.reason,
        "margin": _plain_margin(availability_margin(part.adjusted, account.guarantee, part.judgement)),
        "excused": [_span(each) for each in part.excused],
        "excused_us": part.excused.length,
        "adjusted": adjusted,
        "raw": _availability(part.raw),
        "coverage": [
            {"region": region, "slices": slices, "of": part.adjusted.measured,
             "percent": cut_percent(Fraction(slices, part.adjusted.measured)) if part.adjusted.measured else None}
            for region, slices in sorted(part.adjusted.coverage.items())
        ],
    }  # fmt: skip


def _availability(sli: Availability) -> Plain:
    return {
        "figure": share(sli.figure),
        "low": share(sli.low),
        "high": share(sli.high),
        "up": sli.up,
        "down": sli.down,
        "unknown": sli.unknown,
        "excused": sli.excused,
        "samples": sli.samples,
        "good": sli.good_samples,
        "bad": sli.bad_samples,
        "void": sli.void_samples,
        "good_share": share(sli.good_share),
        "five_minute_mean": share(sli.five_minute_mean),
        "outages": [_span(each) for each in sli.outages.members[:MOST_OUTAGES]],
        "outages_in_all": len(sli.outages),
        "unknown_us": sli.unknowns.length,
    }


def _outage(part: Part, span: Interval, guarantee: Guarantee, store: Store, basis: Basis) -> Plain:
    """One outage with its regions, causes and count of failed samples, refused ones among them."""
    excluded = tuple(Excluded(part.check, each) for each in part.excused)
    found = store.failures(Selection((part.check,), span, basis.ledger, excluded), 1000)
    failed = [
        number
        for number, outcome in enumerate(OUTCOME_ORDER)
        if guarantee.standing(outcome) is Standing.BAD or outcome is OutcomeClass.PROBE_FAULT
    ]
    is_failure = np.isin(found["outcome"], failed)
    rows = {name: column[is_failure] for name, column in found.items()}
    names = ("region", "outcome", "code", "place", "step", "n")
    causes: dict[tuple[int, str, str], int] = {}
    for _, outcome, code, place, _, n in zip(*(rows[name].tolist() for name in names), strict=True):
        causes[outcome, code, place] = causes.get((outcome, code, place), 0) + n
    ranked = sorted(causes.items(), key=lambda item: (-item[1], item[0]))
    return {
        **_span(span),
        "length_us": span.length,
        "regions": sorted(set(rows["region"].tolist())),
        "samples": int(rows["n"].sum()),
        "causes": [
            {"outcome": OUTCOME_ORDER[outcome].value, "code": code, "place": place, "samples": n}
            for (outcome, code, place), n in ranked[:_CAUSES_SHOWN]
        ],
    }


def _touches(latest: Announcement, period: Interval) -> bool:
    return latest.start < period.end and latest.end > period.start


def _within_cap(account: Account, basis: Basis, touching: list[tuple[Announcement, ...]]) -> dict[str, Intervals]:
    """What the agreed cap leaves excused in the time of these windows, by check; nothing where there is no cap."""
    guarantee = account.guarantee
    if guarantee.cap is None or not touching:
        return {}
    span = Interval(min(each[-1].start for each in touching), max(each[-1].end for each in touching))
    cap = guarantee.excuse_cap
    return {
        part.check: excused(basis.announcements, guarantee.notice, span, part.check, cap, guarantee.emergency_notice)
        for part in account.parts
    }


def _window(
    history: tuple[Announcement, ...],
    accounts: list[Account],
    within_caps: list[dict[str, Intervals]],
    period: Interval,
) -> Plain:
    latest = history[-1]
    return {
        **announcement(latest),
        "versions": [announcement(each) for each in history],
        "excuses": [_excuse(history, *pair, period) for pair in zip(accounts, within_caps, strict=True)],
    }


def announcement(made: Announcement) -> Plain:
    """One version of a window. What is not an emergency does not say so: older statements stay the bytes they were."""
    return {
        "window": made.window,
        "version": made.version,
        "act": made.act.value,
        **({"emergency": True} if made.emergency else {}),
        "start": format_instant(made.start),
        "end": format_instant(made.end),
        "recorded_at": format_instant(made.recorded_at),
        "notice_us": made.start - made.recorded_at,
        "scope": list(made.scope),
        "reason": made.reason,
        "author": made.author,
    }


def _excuse(
    history: tuple[Announcement, ...], account: Account, within_cap: dict[str, Intervals], period: Interval
) -> Plain:
    """What a window takes out of a period under a guarantee, over all its checks."""
    guarantee = account.guarantee
    taken = Intervals()
    for part in account.parts if guarantee.windows_excuse else ():
        own = excused_by(history, guarantee.notice, part.check, guarantee.emergency_notice)
        taken |= own & within_cap[part.check] if part.check in within_cap else own
    return {
        "guarantee": guarantee.id,
        "excused_us": taken.within(period).length,
        "why_not": why_not(history, guarantee, taken.length),
    }


def why_not(history: tuple[Announcement, ...], guarantee: Guarantee, excused_us: Duration) -> str | None:
    """Why a window excuses nothing, or less than it says; None where it excuses all of it."""
    latest = history[-1]
    if latest.act is Act.CANCEL:
        return "cancelled"
    if not guarantee.windows_excuse:
        return "scheduled downtime counts under this guarantee"
    notice = guarantee.notice_for(latest)
    if notice is None:
        return "emergency maintenance excuses nothing under this guarantee"
    if excused_us >= latest.end - latest.start:
        return None
    deadline: Instant = latest.start - notice
    if history[0].recorded_at > deadline:
        return f"announced too late: it had to be recorded by {format_instant(deadline)}"
    limits = "" if guarantee.cap is None else ", as far as the agreed cap goes"
    if excused_us:
        return f"only the part that every version in force contained is excused{limits}"
    return f"no check in scope, or no version in force at the notice contained it{limits}"
