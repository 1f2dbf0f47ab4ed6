"""A bar a day, as geometry: what HTML and PDF both draw. Nothing here knows of pixels or millimetres.

Rules
-----
1. A state is a shape; its colour only repeats it. A grey copy, and eyes that see no red, read the same picture.
2. A day is a cell of width 1 and height 1, y downward. Whoever draws a row puts its cells side by side.
3. What a row comes to stands beside it in words, so the picture is never the only place where something is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from msgspec import UNSET

from outrider_collector.forms.reading import ClauseDay, Day, Guarantee, Statement


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle within a cell; filled, or its outline alone."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    is_filled: bool = True


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line within a cell."""

    x1: float
    y1: float
    x2: float
    y2: float
    tone: str


Shape: TypeAlias = Box | Stroke

_LEFT, _WIDE = 0.12, 0.76
_RIGHT = _LEFT + _WIDE

GLYPHS: Mapping[str, tuple[Shape, ...]] = {
    "up": (Box(_LEFT, 0, _WIDE, 1, "good"),),
    "partly down": (Box(_LEFT, 0, _WIDE, 0.5, "good"), Box(_LEFT, 0.62, _WIDE, 0.38, "bad")),
    "missed": (
        Box(_LEFT, 0, _WIDE, 1, "bad"),
        Stroke(_LEFT, 0.3, _RIGHT, 0.7, "paper"),
        Stroke(_LEFT, 0.7, _RIGHT, 0.3, "paper"),
    ),
    "inconclusive": (Box(_LEFT, 0.03, _WIDE, 0.94, "unsure", is_filled=False), Box(_LEFT, 0.5, _WIDE, 0.47, "unsure")),
    "no data": (Box(_LEFT, 0.42, _WIDE, 0.16, "quiet"),),
    "excused": (
        Box(_LEFT, 0.03, _WIDE, 0.94, "quiet", is_filled=False),
        *(Stroke(_LEFT, y, _RIGHT, y, "quiet") for y in (0.22, 0.41, 0.6, 0.79)),
    ),
    "not in force": (Box(0.35, 0.88, 0.3, 0.12, "quiet"),),
}
"""The shape of each state."""

MEANINGS: Mapping[str, str] = {
    "up": "up: no slice down",
    "partly down": "partly down, but within the target",
    "missed": "missed: the day by itself falls short of the target",
    "inconclusive": "inconclusive: too many slices unknown",
    "no data": "no data",
    "excused": "excused wholly",
    "not in force": "not in force",
}
_TOGETHER = {"worst": "the worst of", "all": "all of", "any": "any of"}
_ORDER = ("missed", "partly down", "inconclusive", "no data", "excused", "not in force", "up")


@dataclass(frozen=True, slots=True)
class Cell:
    """One day: its state, and in words what is behind it."""

    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    cells: tuple[Cell, ...]

    @property
    def counted(self) -> str:
        """How many days were what: "1 missed, 89 up"."""
        found = Counter(cell.state for cell in self.cells)
        return ", ".join(f"{found[state]} {state}" for state in _ORDER if found[state])


@dataclass(frozen=True, slots=True)
class Bars:
    """Rows over the same days. `period` is the first day that belongs to the statement's period, which ends with the
    last; `months` are the days on which a month begins, each with its name."""

    title: str
    first: str
    last: str
    zone: str
    rows: tuple[Row, ...]
    period: int
    months: tuple[tuple[int, str], ...]

    @property
    def width(self) -> int:
        return len(self.rows[0].cells)

    @property
    def states(self) -> list[str]:
        """The states that are in the picture, for its legend."""
        found = {cell.state for row in self.rows for cell in row.cells}
        return [state for state in GLYPHS if state in found]


def bars_of(it: Guarantee, statement: Statement) -> Bars | None:
    """The picture of a clause with its checks; None where the statement has no days of it."""
    if it.days is UNSET or not it.days:
        return None
    rows = [
        Row(check.check, tuple(Cell(day.state, _day_in_words(day)) for day in check.days))
        for check in it.checks
        if check.days is not UNSET
    ]
    if len(rows) > 1:
        clause = tuple(Cell(day.state, _clause_in_words(day)) for day in it.days)
        rows.insert(0, Row(f"{it.id}: {_TOGETHER[it.composite]} {len(rows)} checks", clause))
    dates = [day.day for day in it.days]
    return Bars(
        title=f"The last {len(dates)} days",
        first=dates[0],
        last=dates[-1],
        zone=statement.timezone,
        rows=tuple(rows),
        period=next((number for number, day in enumerate(it.days) if day.in_period), len(dates)),
        months=tuple(_months(dates)),
    )


def _months(dates: Sequence[str]) -> Iterable[tuple[int, str]]:
    for number, day in enumerate(dates):
        if day.endswith("-01"):
            yield number, f"{date.fromisoformat(day):%b %Y}"


def _day_in_words(day: Day) -> str:
    if day.state == "not in force":
        return f"{day.day}: not in force"
    counts = f"{day.up} up, {day.down} down, {day.unknown} unknown, {day.excused} excused"
    return f"{day.day}: {day.state}; slices: {counts}"


def _clause_in_words(day: ClauseDay) -> str:
    return f"{day.day}: {day.state}" + (f" ({', '.join(day.checks)})" if day.checks else "")


def in_words(row: Row, bars: Bars) -> str:
    """A row for people who do not see it."""
    return f"{row.label}, {bars.first} to {bars.last}, days in {bars.zone}: {row.counted}."
