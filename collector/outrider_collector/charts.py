"""The p90 line of one check as SVG, drawn on the server.

Rules
-----
1. A bin without samples is a gap: the line stops before it and starts again after it. Only bins that lie no farther
   apart than `reach` are joined.
2. A bin whose p90 is infinite (more than one sample in ten failed) is no point of the line: the line stops there too,
   and a mark stands at the top edge, beside the word that says what it is.
3. The scale is logarithmic and always has the limit on it, so that a limit of seconds and a p90 of milliseconds can
   be read off one picture.
4. Across, everything is placed in shares of the width, and only the line itself is stretched: text keeps its size on
   a phone.
5. Texts are made printable, and the tree is written out by ElementTree, so that no name can become markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring
from zoneinfo import ZoneInfo

from markupsafe import Markup

from outrider.core.intervals import Interval
from outrider.core.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Duration, Instant, format_duration, to_datetime
from outrider.redact import printable

HEIGHT = 186
WORDS_AT, MARKS_AT = 11, 24
"""Where shaded time is named, and where the marks of an infinite p90 stand: above the plot, clear of the line."""
TOP, BOTTOM = 36, 160
"""The plot, in pixels from the upper edge."""

_ACROSS = 1000
_MOST_TICKS = 6
_STEPS = (
    *(count * unit for unit in (SECOND, MINUTE) for count in (1, 2, 5, 10, 15, 30)),
    *(count * HOUR for count in (1, 2, 3, 6, 12)),
    *(count * DAY for count in (1, 2, 7, 14)),
)

Segment: TypeAlias = Sequence["Point"]


@dataclass(frozen=True, slots=True)
class Point:
    """One bin. `p90` in microseconds; None with samples is infinity, without samples nothing is known."""

    at: Instant
    p90: Duration | None
    samples: int

    @property
    def is_infinite(self) -> bool:
        return self.p90 is None and self.samples > 0


@dataclass(frozen=True, slots=True)
class Shade:
    """Time that is shaded, with what it is."""

    span: Interval
    label: str


@dataclass(frozen=True, slots=True)
class LatencyChart:
    """What is drawn. `number` tells the charts of one page apart; `width` is that of a bin, `reach` is rule 1's."""

    name: str
    number: int
    zone: ZoneInfo
    width: Duration
    points: tuple[Point, ...]
    reach: Duration
    limit: Duration | None = None
    shades: tuple[Shade, ...] = ()

    def __post_init__(self) -> None:
        if not self.points or self.width <= 0:
            raise ValueError("a chart needs bins, and bins a width")

    @property
    def span(self) -> Interval:
        return Interval(self.points[0].at, self.points[-1].at + self.width)


def latency_chart(chart: LatencyChart) -> Markup:
    """The picture, ready to stand in a page. Raises nothing."""
    finite = [point.p90 for point in chart.points if point.p90 is not None]
    scale = Scale.over(finite, chart.limit)
    root = Element(
        "svg",
        {"class": "plot", "width": "100%", "height": str(HEIGHT), "role": "img"}
        | {"aria-labelledby": f"chart-{chart.number}-title chart-{chart.number}-words"},
    )
    SubElement(root, "title", {"id": f"chart-{chart.number}-title"}).text = _shown(f"p90 of {chart.name}")
    SubElement(root, "desc", {"id": f"chart-{chart.number}-words"}).text = _shown(in_words(chart))
    _draw_shades(root, chart)
    _draw_axes(root, chart, scale)
    if chart.limit is not None:
        _draw_limit(root, chart.limit, scale)
    _draw_line(root, chart, scale)
    _draw_marks(root, chart)
    _draw_bins(root, chart)
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704 - ElementTree has escaped what is in it


def segments(points: Sequence[Point], reach: Duration) -> list[list[Point]]:
    """The unbroken parts of the line (rules 1 and 2), in order of time; a part may be a single point."""
    parts: list[list[Point]] = []
    is_open = False
    for point in points:
        if point.p90 is None:
            is_open = is_open and not point.is_infinite
        elif is_open and point.at - parts[-1][-1].at <= reach:
            parts[-1].append(point)
        else:
            parts.append([point])
            is_open = True
    return parts


def latency(duration: Duration) -> str:
    """A processing time for people, never shorter than it was: "412 ms", "1.24 s"."""
    milliseconds = -(-duration // MILLISECOND)
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".") + " s"


def in_words(chart: LatencyChart) -> str:
    """What the picture shows, for people who do not see it."""
    known = [(point.p90, point.at) for point in chart.points if point.p90 is not None]
    clock = _clock(chart)
    said = [f"{clock(chart.span.start)} to {clock(chart.span.end)}, {chart.zone.key}."]
    if known:
        highest = max(known)
        said.append(f"Highest p90 {latency(highest[0])} at {clock(highest[1])}.")
        said.append(f"Last p90 {latency(known[-1][0])} at {clock(known[-1][1])}.")
    infinite = sum(point.is_infinite for point in chart.points)
    empty = sum(not point.samples for point in chart.points)
    length = format_duration(chart.width)
    if infinite:
        said.append(f"In {infinite} of {len(chart.points)} bins of {length} more than one run in ten failed.")
    if empty:
        said.append(f"{empty} of {len(chart.points)} bins of {length} have no data.")
    if chart.limit is not None:
        said.append(f"The limit is {latency(chart.limit)}.")
    said += [f"Shaded: {shade.label}." for shade in chart.shades]
    return " ".join(said)


# --- scales ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic scale between two round figures, microseconds."""

    low: Duration
    high: Duration

    @classmethod
    def over(cls, values: Sequence[Duration], limit: Duration | None) -> Scale:
        """The scale from the round figure below everything to the one above everything, the limit among it."""
        everything = [*values, limit] if limit is not None else [*values]
        wanted = [max(value, MILLISECOND) for value in everything] or [SECOND]
        lowest = min(wanted) if values else min(wanted) // 100
        return cls(_round_below(lowest), _round_above(max(wanted)))

    def share(self, value: Duration) -> float:
        """How far up the scale a value lies, from 0 to 1."""
        return log(min(max(value, self.low), self.high) / self.low) / log(self.high / self.low)

    def y(self, value: Duration) -> float:
        return round(BOTTOM - self.share(value) * (BOTTOM - TOP), 1)

    @property
    def ticks(self) -> list[Duration]:
        """Round figures on the scale; only powers of ten where all of them would be too many."""
        figures = [figure for figure in _round_figures() if self.low <= figure <= self.high]
        if len(figures) <= _MOST_TICKS:
            return figures
        return [figure for figure in figures if str(figure).strip("0") == "1"]


def _round_figures() -> list[Duration]:
    return [digit * 10**power for power in range(3, 17) for digit in (1, 2, 5)]


def _round_below(value: Duration) -> Duration:
    return max((figure for figure in _round_figures() if figure < value), default=_round_figures()[0])


def _round_above(value: Duration) -> Duration:
    return min((figure for figure in _round_figures() if figure > value), default=_round_figures()[-1])


def time_ticks(span: Interval, zone: ZoneInfo) -> list[tuple[Instant, str]]:
    """At most seven round times of day in a zone, and what to write there: "15:30", at midnight "24 Nov"."""
    step = next((step for step in _STEPS if span.length <= step * 7), _STEPS[-1])
    grain = min(step, 15 * MINUTE)  # every offset in use is a multiple of it, so clock changes lie on the grid
    ticks = []
    for instant in range(-(-span.start // grain) * grain, span.end, grain):
        local = to_datetime(instant).astimezone(zone)
        offset = local.utcoffset()
        if offset is not None and (instant + int(offset.total_seconds()) * SECOND) % step == 0:
            is_midnight = local.hour == local.minute == local.second == 0
            time_of_day = f"{local:%H:%M:%S}" if step < MINUTE else f"{local:%H:%M}"
            ticks.append((instant, f"{local:%d %b}".lstrip("0") if is_midnight else time_of_day))
    return ticks


# --- drawing ---------------------------------------------------------------------------------------------------------


def _draw_shades(root: Element, chart: LatencyChart) -> None:
    if not chart.shades:
        return
    hatch = f"hatch-{chart.number}"
    pattern = SubElement(
        SubElement(root, "defs"), "pattern",
        {"id": hatch, "width": "7", "height": "7", "patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)"},
    )  # fmt: skip
    SubElement(pattern, "line", {"class": "hatch", "x1": "0", "y1": "0", "x2": "0", "y2": "7"})
    for shade in chart.shades:
        start, end = max(shade.span.start, chart.span.start), min(shade.span.end, chart.span.end)
        if start >= end:
            continue
        place = {"x": _share(start, chart), "width": _percent((end - start) / chart.span.length)}
        place |= {"y": "0", "height": str(BOTTOM)}
        SubElement(root, "rect", {"class": "shade", **place})
        SubElement(root, "rect", {"class": "shade-lines", "fill": f"url(#{hatch})", **place})
        if (end - start) / chart.span.length > 0.15:
            middle = _share((start + end) // 2, chart)
            _write(root, "shade-word", middle, WORDS_AT, "maintenance", "middle")


def _draw_axes(root: Element, chart: LatencyChart, scale: Scale) -> None:
    for figure in scale.ticks:
        y = scale.y(figure)
        SubElement(root, "line", {"class": "grid", "x1": "0", "x2": "100%", "y1": str(y), "y2": str(y)})
        _write(root, "tick", "-8", y + 4, latency(figure), "end")
    if any(point.is_infinite for point in chart.points):
        _write(root, "tick", "-8", MARKS_AT + 4, "∞", "end")
    SubElement(root, "line", {"class": "axis", "x1": "0", "x2": "100%", "y1": str(BOTTOM), "y2": str(BOTTOM)})
    for instant, label in time_ticks(chart.span, chart.zone):
        share = (instant - chart.span.start) / chart.span.length
        x = _percent(share)
        SubElement(root, "line", {"class": "axis", "x1": x, "x2": x, "y1": str(BOTTOM), "y2": str(BOTTOM + 5)})
        if 0.03 < share < 0.97:
            _write(root, "tick", x, BOTTOM + 19, label, "middle")


def _draw_limit(root: Element, limit: Duration, scale: Scale) -> None:
    y = scale.y(limit)
    SubElement(root, "line", {"class": "limit", "x1": "0", "x2": "100%", "y1": str(y), "y2": str(y)})
    _write(root, "limit-word", "100%", y - 5, f"limit {latency(limit)}", "end")


def _draw_line(root: Element, chart: LatencyChart, scale: Scale) -> None:
    """The line in a coordinate system of its own, which alone is stretched; lone points as dots beside it."""
    parts = segments(chart.points, chart.reach)
    drawn = " ".join(_path(part, chart, scale) for part in parts if len(part) > 1)
    stretched = SubElement(
        root, "svg",
        {"x": "0", "y": "0", "width": "100%", "height": str(HEIGHT), "viewBox": f"0 0 {_ACROSS} {HEIGHT}",
         "preserveAspectRatio": "none"},
    )  # fmt: skip
    SubElement(stretched, "path", {"class": "line", "vector-effect": "non-scaling-stroke", "d": drawn})
    dots = [(part[0], "2") for part in parts if len(part) == 1]
    if parts:
        dots.append((parts[-1][-1], "3.5"))
    for point, radius in dots:
        if point.p90 is not None:
            place = {"cx": _share(_middle(point, chart), chart), "cy": str(scale.y(point.p90)), "r": radius}
            SubElement(root, "circle", {"class": "dot", **place})


def _path(part: Segment, chart: LatencyChart, scale: Scale) -> str:
    places = [
        f"{(_middle(point, chart) - chart.span.start) * _ACROSS / chart.span.length:.1f},{scale.y(point.p90)}"
        for point in part
        if point.p90 is not None
    ]
    return "M" + " L".join(places)


def _draw_marks(root: Element, chart: LatencyChart) -> None:
    """Rule 2. The word stands where no mark can be: after the last or before the first, if there is room."""
    marks = [point for point in chart.points if point.is_infinite]
    for point in marks:
        _write(root, "infinite", _share(_middle(point, chart), chart), MARKS_AT + 4, "▲", "middle")
    if not marks:
        return
    after, before = marks[-1].at + 2 * chart.width, marks[0].at - chart.width
    if after - chart.span.start < 0.6 * chart.span.length:
        _write(root, "infinite-word", _share(after, chart), MARKS_AT + 4, "over 1 in 10 failed", "start")
    elif before - chart.span.start > 0.4 * chart.span.length:
        _write(root, "infinite-word", _share(before, chart), MARKS_AT + 4, "over 1 in 10 failed", "end")


def _draw_bins(root: Element, chart: LatencyChart) -> None:
    """What a pointer resting on a bin is told."""
    clock = _clock(chart)
    for point in chart.points:
        place = {"x": _share(point.at, chart), "width": _percent(chart.width / chart.span.length)}
        rect = SubElement(root, "rect", {"class": "bin", "y": "0", "height": str(BOTTOM), **place})
        span = Interval(point.at, point.at + chart.width)
        shaded = [s.label for s in chart.shades if s.span.start < span.end and s.span.end > span.start]
        words = "; ".join([f"{clock(span.start)} to {clock(span.end)}: {point_in_words(point)}", *shaded])
        SubElement(rect, "title").text = _shown(words)


def point_in_words(point: Point) -> str:
    """One bin: "p90 412 ms, 18 samples"."""
    if not point.samples:
        return "no data"
    counted = f"{point.samples} sample" + "s" * (point.samples != 1)
    if point.p90 is None:
        return f"p90 infinite, more than one in ten of {counted} failed"
    return f"p90 {latency(point.p90)}, {counted}"


def _write(root: Element, name: str, x: str, y: float, text: str, anchor: str) -> None:
    SubElement(root, "text", {"class": name, "x": x, "y": str(y), "text-anchor": anchor}).text = _shown(text)


def _middle(point: Point, chart: LatencyChart) -> Instant:
    return point.at + chart.width // 2


def _share(instant: Instant, chart: LatencyChart) -> str:
    return _percent((instant - chart.span.start) / chart.span.length)


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"


def _shown(text: str) -> str:
    return printable(text, 1000)


def _clock(chart: LatencyChart) -> Callable[[Instant], str]:
    """Times of day in the agreement's zone; with the day where the picture is of more than one."""
    with_day = chart.span.length > 20 * HOUR
    form = ("%d %b " if with_day else "") + ("%H:%M:%S" if chart.width % MINUTE else "%H:%M")
    return lambda instant: to_datetime(instant).astimezone(chart.zone).strftime(form)
