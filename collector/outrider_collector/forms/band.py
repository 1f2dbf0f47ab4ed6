"""The band of a response-time clause, as geometry: what HTML and PDF both draw. Shares of the width from the left, and
of the height from the bottom; nothing here knows of pixels or millimetres.

Rules
-----
1. Each bin is a column from its p50 to its p99, with a bar at its p90. Bins are never joined: what was not measured is
   a gap, and no line leads over it.
2. An infinite percentile is off the scale: the column is open at the top edge, and a mark stands there where it is the
   p90 that is infinite.
3. The scale is logarithmic and always has the limit on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from msgspec import UNSET

from outrider.core.intervals import Interval
from outrider.core.units import parse_instant, to_datetime
from outrider_collector.charts import Scale, latency, time_ticks
from outrider_collector.forms.reading import Bands, Bin, Guarantee, Statement

_PRECISION = 4  # decimals: finer differences between platforms must not show in the bytes


@dataclass(frozen=True, slots=True)
class Column:
    """A bin with samples. `low` is its p50 (1 where that is infinite), `high` its p99, `p90` None where infinite."""

    left: float
    right: float
    low: float
    high: float
    p90: float | None
    words: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Bins without samples, one after another."""

    left: float
    right: float
    is_excused: bool
    words: str


@dataclass(frozen=True, slots=True)
class Band:
    """`above` and `below` are labelled heights, `across` labelled places."""

    title: str
    words: str
    columns: tuple[Column, ...]
    gaps: tuple[Gap, ...]
    limit: float
    limit_label: str
    above: tuple[tuple[float, str], ...]
    across: tuple[tuple[float, str], ...]
    note: str

    @property
    def is_off_scale(self) -> bool:
        return any(column.p90 is None for column in self.columns)


def band_of(it: Guarantee, statement: Statement) -> Band | None:
    """The picture of a clause; None where the statement has no bands of it."""
    if it.bands is UNSET or not it.bands.bins or not isinstance(it.limit_us, int):
        return None
    zone = ZoneInfo(statement.timezone)
    bins = it.bands.bins
    finite = [value for each in bins for value in (each.p50_us, each.p90_us, each.p99_us) if value is not None]
    scale = Scale.over(finite, it.limit_us)
    span = Interval(parse_instant(bins[0].start), parse_instant(bins[-1].end))
    unit = {"day": "day", "hour": "hour", "5 min": "5 minutes", "1 min": "minute"}[it.bands.bin]
    return Band(
        title=f"Processing times, each {unit}",
        words=_in_words(it.bands, it.limit_us, unit),
        columns=tuple(_column(each, span, scale, zone, it.bands.bin) for each in bins if each.samples),
        gaps=tuple(_gaps(bins, span, zone, it.bands.bin)),
        limit=_height(it.limit_us, scale),
        limit_label=f"limit {latency(it.limit_us)}",
        above=tuple((_height(tick, scale), latency(tick)) for tick in scale.ticks),
        across=tuple((_share(instant, span), label) for instant, label in time_ticks(span, zone)),
        note=(
            f"Nearest rank, failures counted as infinite; each rounded up to {latency(it.bands.precision_us)}. "
            f"Days and times of day in {statement.timezone}."
        ),
    )


def _column(it: Bin, span: Interval, scale: Scale, zone: ZoneInfo, width: str) -> Column:
    left, right = (_share(parse_instant(edge), span) for edge in (it.start, it.end))
    low, high = (1.0 if value is None else _height(value, scale) for value in (it.p50_us, it.p99_us))
    p90 = None if it.p90_us is None else _height(it.p90_us, scale)
    figures = ", ".join(f"{name} {_figure(value)}" for name, value in _percentiles(it))
    words = f"{_when(it, zone, width)}: {figures}; {it.samples} transactions, {it.failed} failed"
    return Column(left, right, low, high, p90, words)


def _percentiles(it: Bin) -> tuple[tuple[str, int | None], ...]:
    return ("p50", it.p50_us), ("p90", it.p90_us), ("p99", it.p99_us)


def _figure(value: int | None) -> str:
    return "off the scale" if value is None else latency(value)


def _gaps(bins: Sequence[Bin], span: Interval, zone: ZoneInfo, width: str) -> list[Gap]:
    found: list[Gap] = []
    for it in bins:
        if it.samples:
            continue
        left, right = (_share(parse_instant(edge), span) for edge in (it.start, it.end))
        is_excused = it.excused > 0
        words = f"{_when(it, zone, width)}: {'excused' if is_excused else 'no data'}"
        found.append(Gap(left, right, is_excused, words))
    return found


def _in_words(bands: Bands, limit: int, unit: str) -> str:
    known = [each for each in bands.bins if each.samples]
    finite = [each.p90_us for each in known if each.p90_us is not None]
    said = [f"{len(bands.bins)} bins of one {unit}." if unit != "5 minutes" else f"{len(bands.bins)} bins of {unit}."]
    if finite:
        said.append(f"p90 between {latency(min(finite))} and {latency(max(finite))}.")
    over = sum(value > limit for value in finite)
    infinite = len(known) - len(finite)
    said.append(f"The limit is {latency(limit)}; p90 is above it in {over + infinite} bins.")
    if infinite:
        said.append(f"In {infinite} of these it is off the scale, as more than one transaction in ten failed.")
    if len(bands.bins) > len(known):
        said.append(f"{len(bands.bins) - len(known)} bins have no transactions to count.")
    return " ".join(said)


def _when(it: Bin, zone: ZoneInfo, width: str) -> str:
    start = to_datetime(parse_instant(it.start)).astimezone(zone)
    return f"{start:%Y-%m-%d}" if width == "day" else f"{start:%Y-%m-%d %H:%M}"


def _height(value: int, scale: Scale) -> float:
    return round(scale.share(value), _PRECISION)


def _share(instant: int, span: Interval) -> float:
    return round((instant - span.start) / span.length, _PRECISION)
