"""What the page prints, as values: marks, rows and figures with their texts, ready for the template.

A state is a symbol and a word; colour only repeats it. How the values are made: `page_reading`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from outrider.core.intervals import Interval
from outrider.core.outcome import Standing
from outrider.core.units import Instant


@dataclass(frozen=True, slots=True)
class Mark:
    """A state: its symbol, its word, and the tone it is coloured in (good, bad, unsure, quiet)."""

    symbol: str
    word: str
    tone: str


VERDICTS: Mapping[str, Mark] = {
    "met": Mark("✓", "met", "good"),
    "missed": Mark("✕", "missed", "bad"),
    "inconclusive": Mark("?", "inconclusive", "unsure"),
    "no data": Mark("–", "no data", "quiet"),
}
STATES: Mapping[Standing, Mark] = {
    Standing.GOOD: Mark("●", "good", "good"),
    Standing.BAD: Mark("▲", "bad", "bad"),
    Standing.PARTNER: Mark("◆", "partner failed", "unsure"),
    Standing.VOID: Mark("○", "void", "quiet"),
}
NO_DATA = Mark("–", "no data", "quiet")
WINDOWS: Mapping[str, Mark] = {
    "running": Mark("◐", "running", "unsure"),
    "announced": Mark("○", "announced", "quiet"),
    "over": Mark("●", "over", "quiet"),
    "completed": Mark("✓", "completed early", "quiet"),
    "cancelled": Mark("✕", "cancelled", "quiet"),
}
HEARD, SILENT = Mark("●", "heard", "good"), Mark("–", "silent", "bad")


@dataclass(frozen=True, slots=True)
class Clause:
    """A guarantee as a row. Texts that are None are not known, and printed as a dash."""

    id: str
    title: str
    target: str
    mark: Mark
    reason: str
    figure: str | None
    bounds: str | None
    raw: str | None
    check: str | None
    excused: str | None
    coverage: str | None
    thinnest: str | None
    remark: str | None
    other_view: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """The guarantees of one period so far. `begins_late` where the agreement came into force within the period;
    `query` asks the API for the same."""

    label: str
    begins_late: bool
    measured: Interval | None
    clauses: tuple[Clause, ...]
    query: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A check in a region. `words` are the class and code of a last run that was not ok; `coverage` is there only where
    it is not whole."""

    region: str
    mark: Mark
    at: Instant | None
    words: str
    detail: str
    p90: str | None
    availability: str | None
    coverage: str | None
    samples: int


@dataclass(frozen=True, slots=True)
class Row:
    """A check with its cells, one for each region of the page; None where it is not run."""

    check: str
    p90: str | None
    limit: str | None
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A check's chart, and the numbers behind it: (bin, p90, samples)."""

    check: str
    p90: str | None
    limit: str | None
    svg: Markup
    numbers: tuple[tuple[Instant, str | None, int], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance window, and what it excuses under each guarantee, where that is known."""

    id: str
    mark: Mark
    start: Instant
    end: Instant
    scope: str
    reason: str
    announced_at: Instant
    excuses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent with its own counts; None where it did not say."""

    name: str
    region: str
    mark: Mark
    last_seen: Instant
    waiting: int | None
    delivered: int | None
    skipped: int | None
    dropped: int | None
    set_aside: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on the page."""

    agreement: str
    zone: str
    now: Instant
    lookback: str
    accounts: tuple[Account, ...]
    regions: tuple[str, ...]
    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]
    windows: tuple[Window, ...]
    windows_left_out: int
    agents: tuple[Agent, ...]
    trouble: str

    @property
    def cells(self) -> list[Cell]:
        return [cell for row in self.rows for cell in row.cells if cell is not None]

    @property
    def clauses(self) -> list[Clause]:
        return [clause for account in self.accounts for clause in account.clauses]

    def counted(self, marks: Iterable[Mark]) -> list[tuple[Mark, int]]:
        """How many have each mark, the worst first."""
        order = {"bad": 0, "unsure": 1, "quiet": 2, "good": 3}
        found: dict[Mark, int] = {}
        for mark in marks:
            found[mark] = found.get(mark, 0) + 1
        return sorted(found.items(), key=lambda item: (order[item[0].tone], item[0].word))
