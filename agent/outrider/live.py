"""The live table: state, p90, availability, spool and coverage for each check and region.

On a terminal it redraws itself; elsewhere it prints a line for each check.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from outrider.core.units import SECOND, parse_instant
from outrider.terminal import outcome, percent, seconds

Plain = Mapping[str, Any]
_STALE_INTERVALS = 3
_EVENTS_SHOWN = 8


class LiveTable:
    """Use as a context; call `show` as often as there is something new."""

    def __init__(self, *, is_live: bool) -> None:
        self._console = Console(stderr=not is_live, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False) if is_live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, current: Plain | None, events: Sequence[str]) -> None:
        if self._live is not None:
            happened = Text("\n".join(events[-_EVENTS_SHOWN:]), style="dim")
            table = Text("waiting for the collector") if current is None else current_table(current)
            self._live.update(Group(table, happened), refresh=True)
        elif current is not None:
            for line in current_lines(current):
                print(line, file=sys.stderr)


def current_table(current: Plain) -> Table:
    """The current state as a table."""
    table = Table(
        "check", "region", "state", "p90", "availability", "coverage", "samples", "spool", title=current["now"],
        title_justify="left", title_style="dim",
    )  # fmt: skip
    spools = {agent["region"]: agent["counts"].get("waiting", 0) for agent in current["agents"]}
    for check in current["checks"]:
        for region in check["regions"]:
            table.add_row(
                escape(check["check"]),
                escape(region["region"]),
                _state(region, current["now"]),
                seconds(region["p90_us"], region["timed"]),
                percent(region["availability"]),
                percent(region["coverage"]),
                str(region["samples"]),
                str(spools.get(region["region"], "")),
            )
        table.add_section()
    return table


def _last_outcome(region: Plain, now: str) -> str:
    """The last run's outcome; "no data" where it is too old to speak for now."""
    last = region["last"]
    patience = _STALE_INTERVALS * region["interval_us"] + SECOND
    if last is None or parse_instant(now) - parse_instant(last["at"]) > patience:
        return "no data"
    return str(last["outcome"])


def _state(region: Plain, now: str) -> str:
    name = _last_outcome(region, now)
    return "[dim]no data[/]" if name == "no data" else outcome(name)


def current_lines(current: Plain) -> list[str]:
    """The current state as plain lines, one a check."""
    return [
        f"  {check['check']:20} "
        + "   ".join(
            f"{region['region']}: {_last_outcome(region, current['now'])}, "
            f"p90 {seconds(region['p90_us'], region['timed'])}, {percent(region['availability'])} up"
            for region in check["regions"]
        )
        for check in current["checks"]
    ]
