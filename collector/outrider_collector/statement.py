"""The statement of a period as plain values, ready for JSON: every guarantee with its verdict and what it rests on.

Shares are given as numerator, denominator and a percentage that is cut, never rounded. Durations are microseconds
under keys that end in `_us`; instants are RFC 3339 in UTC. Made again from the same facts it comes out the same.

A clause that is judged over periods of its own lists them, each whole, under `periods`; its other figures are those of
the period that decides. `decided_by` is the check that decides, where there are several.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from importlib.metadata import version
from math import ceil
from typing import Any

import numpy as np

from outrider.core.guarantee import Guarantee, Measure, View
from outrider.core.intervals import Interval, Intervals
from outrider.core.maintenance import Act, Announcement, excused, excused_by, histories
from outrider.core.margin import Margin, availability_margin, margin_of_parts, response_margin
from outrider.core.outcome import OutcomeClass, Standing
from outrider.core.sli import OUTCOME_ORDER, Availability, ResponseTime
from outrider.core.uncertainty import samples_to_prove, wilson
from outrider.core.units import Duration, Instant, format_instant
from outrider.core.verdict import Verdict, cut_percent, worst
from outrider_collector.accounting import Accountant, Basis
from outrider_collector.accounts import Account, Part, Pooled, coverage_of
from outrider_collector.history import add_bands, add_days
from outrider_collector.store import Excluded, Selection, Store
from outrider_collector.uncertain import add_uncertain

SCHEMA_VERSION = 2
MOST_OUTAGES, MOST_IN_PERIODS = 100, 500
"""Outages that are listed of a check, and of it in all the clause's own periods: each is looked up in the store."""

_CAUSES_SHOWN = 5

Plain = dict[str, Any]


def make_statement(accountant: Accountant, store: Store, basis: Basis, label: str) -> Plain:
    """The whole statement. Reads only."""
    accounts, plain = make_accounts(accountant, store, basis, label)
    for account, guarantee in zip(accounts, plain["guarantees"], strict=True):
        add = add_days if account.guarantee.measure is Measure.AVAILABILITY else add_bands
        add(guarantee, account, accountant, basis)
        add_uncertain(guarantee, account, accountant, basis, _view)
    return plain


def make_accounts(accountant: Accountant, store: Store, basis: Basis, label: str) -> tuple[list[Account], Plain]:
    """The statement without what is shown day by day, and the accounts that it was made from. Reads only."""
    accounts = [accountant.account(guarantee, basis) for guarantee in accountant.agreement.guarantees]
    spans = Intervals((basis.period, *(span for account in accounts for span in account.spans)))
    touching = [each for each in histories(basis.announcements).values() if _touches(each[-1], spans)]
    within_caps = [_within_cap(account, basis, touching) for account in accounts]
    overall = worst(account.judgement for account in accounts)
    return accounts, {
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
        "revision": None,
        "replaces": None,
        "verdict": overall.verdict.value,
        "guarantees": [
            _guarantee(account, [accountant.in_view(account, view, basis) for view in View], store, basis)
            for account in accounts
        ],
        "windows": [_window(history, accounts, within_caps) for history in touching],
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
    periods = [_own_period(each, account, store, basis) for each in account.periods]
    parts = next((each for each in periods if each["decides"]), None) or _parts(account, store, basis, MOST_OUTAGES)
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
        "regions": list(guarantee.regions) or None,
        "composite": guarantee.composite.value,
        "void_inflight": guarantee.void_inflight,
        "counts": {outcome.value: guarantee.standing(outcome).value for outcome in OUTCOME_ORDER},
        "clause_period": guarantee.period_name,
        "is_clause_period": bool(periods) or _is_own(guarantee, account.period),
        "measured": _span(account.measured) if account.measured else None,
        "verdict": account.judgement.verdict.value,
        "reason": account.judgement.reason,
        "margin": _plain_margin(_margin(account)),
        "decided_by": _decided_by(account),
        "checks": [dict(each) for each in parts["checks"]],
        "together": parts["together"],
        "views": [{**_view(each), "decides": each.guarantee.view is guarantee.view} for each in views],
        "periods": periods,
    }
    if account.pooled is not None and guarantee.limit is not None:
        plain |= {"limit_us": guarantee.limit, **_readings(account.pooled)}
        plain["remark"] = _too_small(account.pooled.adjusted, guarantee)
    return plain


def _is_own(guarantee: Guarantee, period: Interval) -> bool:
    """Whether the clause is about periods like this one; one that rolls is judged over none but its own."""
    return guarantee.rolling is not None or period == guarantee.calendar.containing(period.start)


def _own_period(own: Account, account: Account, store: Store, basis: Basis) -> Plain:
    """One of the clause's own periods, with all that its verdict rests on."""
    adjusted, raw = _headline(own)
    most = min(MOST_OUTAGES, MOST_IN_PERIODS // len(account.periods))
    return {
        "label": own.label,
        **_span(own.period),
        "measured": _span(own.measured) if own.measured else None,
        "decides": own.period == account.period,
        "verdict": own.judgement.verdict.value,
        "reason": own.judgement.reason,
        "margin": _plain_margin(_margin_of_one(own)),
        "decided_by": _decided_by(own),
        "adjusted": share(adjusted),
        "raw": share(raw),
        **_parts(own, store, basis, most),
        "readings": None if own.pooled is None else _readings(own.pooled),
    }


def _decided_by(account: Account) -> str | None:
    """The check that decides, where there are several and each is judged."""
    decisive = account.decisive
    if account.pooled is not None or decisive is None or decisive is account.together or len(account.parts) < 2:
        return None
    return decisive.check


def _headline(account: Account) -> tuple[Fraction | None, Fraction | None]:
    """Adjusted and raw of what decides; nothing where there is no sample (R4)."""
    if account.pooled is not None:
        return account.pooled.adjusted.share, account.pooled.raw.share
    part = account.decisive
    if part is None or part.judgement.verdict is Verdict.NO_DATA:
        return None, None
    return part.adjusted.figure, part.raw.figure


def _view(account: Account) -> Plain:
    """The clause as one view has it; the figures are those of what decides."""
    adjusted, raw = _headline(account)
    return {
        "view": account.guarantee.view.value,
        "verdict": account.judgement.verdict.value,
        "reason": account.judgement.reason,
        "partner_failed": sum(part.partner_failed for each in account.periods or (account,) for part in each.parts),
        "adjusted": share(adjusted),
        "raw": share(raw),
    }


def _margin(account: Account) -> Margin:
    """What would have changed the verdict of a guarantee."""
    periods = [(each.label, each.judgement, _margin_of_one(each)) for each in account.periods]
    return margin_of_parts(periods, "period") if periods else _margin_of_one(account)


def _margin_of_one(account: Account) -> Margin:
    """The same of one period."""
    guarantee = account.guarantee
    coverage = coverage_of(guarantee, account.parts)
    if account.pooled is not None:
        return response_margin(account.pooled.adjusted, guarantee, account.judgement, coverage)
    if account.together is not None:
        return availability_margin(account.together.adjusted, guarantee, account.judgement, coverage)
    if not account.parts:
        return Margin("slices", None, f"nothing to judge: {account.judgement.reason}")
    parts = [
        (part.check, part.judgement, availability_margin(part.adjusted, guarantee, part.judgement))
        for part in account.parts
    ]
    return margin_of_parts(parts)


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


def _readings(pooled: Pooled) -> Plain:
    plain = {"adjusted": _response(pooled.adjusted), "raw": _response(pooled.raw)}
    if pooled.p90_interval is not None:
        plain["adjusted"]["p90_us_interval"] = list(pooled.p90_interval)
    return plain


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


def _parts(account: Account, store: Store, basis: Basis, most: int) -> Plain:
    """Each check, and the checks as one service where they are, with so many outages of each at most."""
    return {
        "checks": [_part(part, account, store, basis, most) for part in account.parts],
        "together": _part(account.together, account, store, basis, most) if account.together else None,
    }


def _part(part: Part, account: Account, store: Store, basis: Basis, most: int) -> Plain:
    adjusted = _availability(part.adjusted)
    if part.judgement.verdict is Verdict.NO_DATA:
        adjusted |= {"figure": None, "low": None, "high": None}  # without a sample there is no percentage (R4)
    members = account.parts if part is account.together else (part,)
    adjusted["outages"] = [
        _outage(members, span, account.guarantee, store, basis) for span in part.adjusted.outages.members[:most]
    ]
    coverage = coverage_of(account.guarantee, members) if part is account.together else None
    return {
        "check": part.check or f"{account.guarantee.composite} of {len(members)} checks",
        "verdict": part.judgement.verdict.value,
        "reason": part.judgement.reason,
        "margin": _plain_margin(availability_margin(part.adjusted, account.guarantee, part.judgement, coverage)),
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


def _outage(parts: Sequence[Part], span: Interval, guarantee: Guarantee, store: Store, basis: Basis) -> Plain:
    """One outage of these checks, with its regions, causes and count of failed samples, refused ones among them."""
    excluded = tuple(Excluded(part.check, each) for part in parts for each in part.excused)
    checks = tuple(part.check for part in parts)
    found = store.failures(Selection(checks, span, basis.ledger, excluded, guarantee.regions), 1000)
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


def _touches(latest: Announcement, spans: Intervals) -> bool:
    return bool(spans.within(Interval(latest.start, latest.end)))


def _within_cap(account: Account, basis: Basis, touching: list[tuple[Announcement, ...]]) -> dict[str, Intervals]:
    """What the agreed cap leaves excused in the time of these windows, by check; nothing where there is no cap."""
    guarantee = account.guarantee
    if guarantee.cap is None or not touching:
        return {}
    span = Interval(min(each[-1].start for each in touching), max(each[-1].end for each in touching))
    cap = guarantee.excuse_cap
    return {
        check: excused(basis.announcements, guarantee.notice, span, check, cap, guarantee.emergency_notice)
        for check in _checks(account)
    }


def _checks(account: Account) -> list[str]:
    """Every check that is in scope in any of the clause's periods."""
    return sorted({part.check for each in account.periods or (account,) for part in each.parts})


def _window(
    history: tuple[Announcement, ...],
    accounts: list[Account],
    within_caps: list[dict[str, Intervals]],
) -> Plain:
    latest = history[-1]
    return {
        **announcement(latest),
        "versions": [announcement(each) for each in history],
        "excuses": [_excuse(history, *pair) for pair in zip(accounts, within_caps, strict=True)],
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


def _excuse(history: tuple[Announcement, ...], account: Account, within_cap: dict[str, Intervals]) -> Plain:
    """What a window takes out of the period under a guarantee, or out of the clause's own, over all its checks."""
    guarantee = account.guarantee
    taken = Intervals()
    for check in _checks(account) if guarantee.windows_excuse else ():
        own = excused_by(history, guarantee.notice, check, guarantee.emergency_notice)
        taken |= own & within_cap[check] if check in within_cap else own
    here = taken & account.spans
    is_elsewhere = bool(account.periods) and bool(taken) and not here
    elsewhere = "its time is in none of the periods that this clause is judged over here"
    return {
        "guarantee": guarantee.id,
        "excused_us": here.length,
        "why_not": elsewhere if is_elsewhere else why_not(history, guarantee, taken.length),
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
