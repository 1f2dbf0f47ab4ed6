"""The windows of a statement: every version of each, and what it excuses under each guarantee, or why it does not."""

from __future__ import annotations

from outrider.core.guarantee import Guarantee
from outrider.core.intervals import Interval, Intervals
from outrider.core.maintenance import Act, Announcement, excused, excused_by, histories
from outrider.core.units import Duration, Instant, format_instant
from outrider_collector.accounting import Basis
from outrider_collector.accounts import Account
from outrider_collector.statement.values import Plain


def windows_of(accounts: list[Account], basis: Basis) -> list[Plain]:
    """The windows that touch what is judged."""
    spans = Intervals((basis.period, *(span for account in accounts for span in account.spans)))
    touching = [each for each in histories(basis.announcements).values() if _touches(each[-1], spans)]
    within_caps = [_within_cap(account, basis, touching) for account in accounts]
    return [_window(history, accounts, within_caps) for history in touching]


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
