"""Values as a statement writes them (see `outrider_collector.statement`)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from outrider.core.intervals import Interval
from outrider.core.units import Instant, format_instant
from outrider.core.verdict import cut_percent

Plain = dict[str, Any]


def share(value: Fraction | None) -> Plain | None:
    """A share with everything that is needed to check it."""
    if value is None:
        return None
    return {"numerator": value.numerator, "denominator": value.denominator, "percent": cut_percent(value)}


def span(of: Interval) -> Plain:
    """From when until when."""
    return {"start": format_instant(of.start), "end": format_instant(of.end)}


def instant_or_none(instant: Instant | None) -> str | None:
    return None if instant is None else format_instant(instant)
