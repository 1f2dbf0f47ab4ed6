"""What people see on a terminal, in rich's markup: how verdicts, outcomes, times and shares are written. Programs read
`--json`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from outrider.core.outcome import STANDINGS, OutcomeClass, Standing

Plain = Mapping[str, Any]

VERDICT_STYLES = {"met": "green", "missed": "bold red", "inconclusive": "yellow", "no data": "dim"}
_STANDING_STYLES = {Standing.GOOD: "green", Standing.BAD: "red", Standing.PARTNER: "yellow", Standing.VOID: "dim"}
_INFINITE = "∞"
NOTHING = "–"


def console() -> Console:
    """Standard output; wide enough for the tables where it is no terminal. NO_COLOR is honoured."""
    return Console(width=None if sys.stdout.isatty() else 150, highlight=False)


def verdict(text: str) -> str:
    """A verdict in its colour."""
    return f"[{VERDICT_STYLES.get(text, '')}]{text}[/]"


def outcome(text: str) -> str:
    """An outcome class in the colour of its standing."""
    return f"[{_STANDING_STYLES[STANDINGS[OutcomeClass(text)]]}]{text}[/]"


def seconds(duration: int | None, samples: int = 1) -> str:
    """Microseconds as seconds, rounded up to the millisecond; infinity for None, unless there was no sample."""
    if duration is None:
        return _INFINITE if samples else NOTHING
    return f"{-(-duration // 1000) / 1000:.3f} s"


def percent(share: Plain | None) -> str:
    """A share of a statement as it was cut."""
    return NOTHING if share is None else str(share["percent"]).replace("%", " %")
