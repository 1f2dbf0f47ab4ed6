"""What a document for people is made of, whatever form it takes: headings, facts, lines, tables and pictures.

A verdict is a `Mark`, a sign and a word; each form draws it in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from outrider_collector.forms.band import Band
from outrider_collector.forms.bars import Bars


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict, to be shown as a sign and this word."""

    verdict: str


Cell: TypeAlias = str | Mark
Figure: TypeAlias = Bars | Band


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as wide as `columns`. `widths` are relative."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        assert all(len(each) == len(self.columns) for each in (*self.rows, self.widths))


@dataclass(frozen=True, slots=True)
class Section:
    """`lead` is what the verdict rests on and what would have changed it."""

    title: str
    mark: Mark | None
    lead: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    subtitle: str
    mark: Mark
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    summary: str = ""
