"""Asking a collector for the verification of a window, once or until nothing is open any more."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from rich.console import Console
from rich.status import Status

from outrider.clock import Clock
from outrider.collector_client import CollectorError, ask
from outrider.commands.local_probing import LocalProbing
from outrider.core.units import SECOND, Duration
from outrider.redact import printable

ASKED = ("as_of", "ratio", "baseline_runs")
"""What the collector is asked with."""

_POLL: Duration = 5 * SECOND


async def asked(arguments: argparse.Namespace, local: LocalProbing | None, clock: Clock) -> Any:
    """One report, with what was seen from here. Raises CollectorError."""
    path = f"/v1/windows/{quote(arguments.window, safe='')}/verification"
    given = {name: getattr(arguments, name) for name in ASKED}
    query = {name: value for name, value in given.items() if value is not None}
    asked_at = clock.now()
    report = await ask(arguments.collector, path, query=query)
    if local is None:
        return report
    local.look(report, asked_at)
    return local.added_to(report)


async def followed(
    arguments: argparse.Namespace,
    limit: Duration,
    progress: Progress,
    clock: Clock,
    poll: Duration = _POLL,
    local: LocalProbing | None = None,
) -> Any:
    """Ask until nothing is pending or the limit is reached; the last report. A collector that goes away while it is
    followed may come back; one that refuses, or was never there, is an error."""
    until = clock.monotonic() + limit
    report = await asked(arguments, local, clock)
    while report["pending"] and (left := until - clock.monotonic()) > 0:
        progress.show(report["pending"], _seen_from_here(report))
        await asyncio.sleep(min(poll, left) / SECOND)
        try:
            report = await asked(arguments, local, clock)
        except CollectorError as error:
            if error.refused or clock.monotonic() >= until:
                raise
            progress.show([str(error)])
    return report


def _seen_from_here(report: Any) -> str:
    checks = report.get("local", {}).get("checks", ())
    if not any(each["runs"] for each in checks):
        return ""
    return f"; probed locally: {sum(each['is_back'] for each in checks)} of {len(checks)} checks good again"


class Progress:
    """What is still open, on standard error: one line that changes on a terminal, a line for each change elsewhere."""

    def __init__(self, *, is_live: bool) -> None:
        self._status = Status("", console=Console(stderr=True, highlight=False)) if is_live else None
        self._said = ""

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, pending: list[str], more_about: str = "") -> None:
        more = f" and {len(pending) - 1} more" if len(pending) > 1 else ""
        said = f"waiting: {printable(pending[0], 200)}{more}{more_about}"
        if self._status is not None:
            from rich.markup import escape

            self._status.update(escape(said))
        elif said != self._said:
            print(said, file=sys.stderr, flush=True)
        self._said = said


def cancel_once_on_signals() -> None:
    """SIGINT and SIGTERM end this command by cancelling it, once: what it then cleans up is not cut short by another
    one."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def cancel() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        print("interrupted: ending the runs under way, and cleaning up", file=sys.stderr, flush=True)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, cancel)
