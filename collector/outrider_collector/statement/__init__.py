"""The statement of a period as plain values, ready for JSON: every guarantee with its verdict and what it rests on.

Shares are given as numerator, denominator and a percentage that is cut, never rounded. Durations are microseconds
under keys that end in `_us`; instants are RFC 3339 in UTC. Made again from the same facts it comes out the same.

A clause that is judged over periods of its own lists them, each whole, under `periods`; its other figures are those of
the period that decides. `decided_by` is the check that decides, where there are several.
"""

from __future__ import annotations

from fractions import Fraction
from importlib.metadata import version

from outrider.core.guarantee import Guarantee, Measure, View
from outrider.core.intervals import Interval
from outrider.core.margin import Margin, availability_margin, margin_of_parts, response_margin
from outrider.core.sli import OUTCOME_ORDER, ResponseTime
from outrider.core.uncertainty import samples_to_prove
from outrider.core.units import format_instant
from outrider.core.verdict import Verdict, cut_percent, worst
from outrider_collector.accounting import Accountant, Basis
from outrider_collector.accounts import Account, Part, coverage_of
from outrider_collector.statement.days import add_bands, add_days
from outrider_collector.statement.figures import availability, readings
from outrider_collector.statement.outages import MOST_IN_PERIODS, MOST_OUTAGES, members, outages_of
from outrider_collector.statement.uncertain import add_uncertain
from outrider_collector.statement.values import Plain, instant_or_none, share, span
from outrider_collector.statement.windows import windows_of
from outrider_collector.summaries import Summaries

SCHEMA_VERSION = 2


def make_statement(accountant: Accountant, basis: Basis, label: str) -> Plain:
    """The whole statement. Reads only."""
    accounts, plain = make_accounts(accountant, basis, label)
    for account, guarantee in zip(accounts, plain["guarantees"], strict=True):
        add = add_days if account.guarantee.measure is Measure.AVAILABILITY else add_bands
        add(guarantee, account, accountant, basis)
        add_uncertain(guarantee, account, accountant, basis, _view)
    return plain


def make_accounts(accountant: Accountant, basis: Basis, label: str) -> tuple[list[Account], Plain]:
    """The statement without what is shown day by day, and the accounts that it was made from. Reads only."""
    accounts = [accountant.account(guarantee, basis) for guarantee in accountant.agreement.guarantees]
    overall = worst(account.judgement for account in accounts)
    return accounts, {
        "schema": SCHEMA_VERSION,
        "agreement": accountant.agreement.name,
        "timezone": accountant.agreement.zone.key,
        "timezone_data": version("tzdata"),
        "in_force_from": instant_or_none(accountant.agreement.in_force_from),
        "settle_us": accountant.settle,
        "known_expiries": [{"checks": list(each.checks), **span(each.span)} for each in accountant.known_expiries],
        "period": {"label": label, **span(basis.period)},
        "as_of": format_instant(basis.as_of),
        "ledger": basis.ledger,
        "revision": None,
        "replaces": None,
        "verdict": overall.verdict.value,
        "guarantees": [
            _guarantee(
                account, [accountant.in_view(account, view, basis) for view in View], accountant.summaries, basis
            )
            for account in accounts
        ],
        "windows": windows_of(accounts, basis),
    }


def _guarantee(account: Account, views: list[Account], summaries: Summaries, basis: Basis) -> Plain:
    guarantee = account.guarantee
    periods = [_own_period(each, account, summaries, basis) for each in account.periods]
    parts = next((each for each in periods if each["decides"]), None) or _parts(account, summaries, basis, MOST_OUTAGES)
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
        "measured": span(account.measured) if account.measured else None,
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
        plain |= {"limit_us": guarantee.limit, **readings(account.pooled)}
        plain["remark"] = _too_small(account.pooled.adjusted, guarantee)
    return plain


def _is_own(guarantee: Guarantee, period: Interval) -> bool:
    """Whether the clause is about periods like this one; one that rolls is judged over none but its own."""
    return guarantee.rolling is not None or period == guarantee.calendar.containing(period.start)


def _own_period(own: Account, account: Account, summaries: Summaries, basis: Basis) -> Plain:
    """One of the clause's own periods, with all that its verdict rests on."""
    adjusted, raw = _headline(own)
    most = min(MOST_OUTAGES, MOST_IN_PERIODS // len(account.periods))
    return {
        "label": own.label,
        **span(own.period),
        "measured": span(own.measured) if own.measured else None,
        "decides": own.period == account.period,
        "verdict": own.judgement.verdict.value,
        "reason": own.judgement.reason,
        "margin": _plain_margin(_margin_of_one(own)),
        "decided_by": _decided_by(own),
        "adjusted": share(adjusted),
        "raw": share(raw),
        **_parts(own, summaries, basis, most),
        "readings": None if own.pooled is None else readings(own.pooled),
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


def _parts(account: Account, summaries: Summaries, basis: Basis, most: int) -> Plain:
    """Each check, and the checks as one service where they are, with so many outages of each at most."""
    outages = outages_of(account, summaries, basis.ledger, most)
    return {
        "checks": [_part(part, account, outages[part.check]) for part in account.parts],
        "together": _part(account.together, account, outages[""]) if account.together else None,
    }


def _part(part: Part, account: Account, outages: list[Plain]) -> Plain:
    adjusted = availability(part.adjusted)
    if part.judgement.verdict is Verdict.NO_DATA:
        adjusted |= {"figure": None, "low": None, "high": None}  # without a sample there is no percentage (R4)
    adjusted["outages"] = outages
    coverage = coverage_of(account.guarantee, members(part, account)) if part is account.together else None
    return {
        "check": part.check or f"{account.guarantee.composite} of {len(members(part, account))} checks",
        "verdict": part.judgement.verdict.value,
        "reason": part.judgement.reason,
        "margin": _plain_margin(availability_margin(part.adjusted, account.guarantee, part.judgement, coverage)),
        "excused": [span(each) for each in part.excused],
        "excused_us": part.excused.length,
        "adjusted": adjusted,
        "raw": availability(part.raw),
        "coverage": [
            {"region": region, "slices": slices, "of": part.adjusted.measured,
             "percent": cut_percent(Fraction(slices, part.adjusted.measured)) if part.adjusted.measured else None}
            for region, slices in sorted(part.adjusted.coverage.items())
        ],
    }  # fmt: skip
