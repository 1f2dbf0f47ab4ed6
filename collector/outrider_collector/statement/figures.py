"""What was measured, as a statement writes it: availability and response times."""

from __future__ import annotations

from math import ceil

from outrider.core.sli import Availability, ResponseTime
from outrider.core.uncertainty import wilson
from outrider_collector.accounts import Pooled
from outrider_collector.statement.outages import MOST_OUTAGES
from outrider_collector.statement.values import Plain, share, span


def availability(sli: Availability) -> Plain:
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
        "outages": [span(each) for each in sli.outages.members[:MOST_OUTAGES]],
        "outages_in_all": len(sli.outages),
        "unknown_us": sli.unknowns.length,
    }


def readings(pooled: Pooled) -> Plain:
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
