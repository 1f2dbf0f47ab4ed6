"""The tables of records and of the outcome table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table

from outrider.core.wire import RunRecord
from outrider.terminal import Plain, console, outcome, seconds


def show_records(records: Sequence[RunRecord]) -> None:
    """The table of `outrider once`."""
    table = Table("check", "outcome", "whose", "time", "step", "code", "place", "detail", box=None, pad_edge=False)
    for record in records:
        detail = escape(record.detail)
        if record.cleanup == "unconfirmed":
            detail = f"[bold red]cleanup not confirmed[/] {detail}"
        table.add_row(
            escape(record.check),
            outcome(record.outcome),
            "" if record.fault == "none" else record.fault,
            seconds(record.latency),
            escape(record.step),
            escape(record.code),
            escape(record.place),
            detail,
        )
    console().print(table)


def show_outcomes(rows: Iterable[Plain]) -> None:
    """The table of `outrider outcomes`."""
    table = Table("place", "code", "outcome", "whose", "network", "end to end", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            escape(row["place"]),
            escape(row["code"]),
            outcome(row["outcome"]),
            "" if row["fault"] == "none" else row["fault"],
            row["network"],
            row["end_to_end"],
        )
    console().print(table)
