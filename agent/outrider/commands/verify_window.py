"""`outrider window verify`: whether a window went as announced, and the service is what it was before.

Exit codes: 0 all clear, 1 failed (or nobody answered), 2 inconclusive, 104 what cannot be meant. With `--wait` the
collector is asked again until nothing is open any more, or the time limit is reached.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from rich.console import Console
from rich.status import Status

from outrider.clock import Clock, SystemClock
from outrider.collector_client import CollectorError, ask
from outrider.commands import FAILED, INCONCLUSIVE, PASS
from outrider.core.units import DAY, SECOND, Duration, parse_duration
from outrider.redact import printable

EXIT_CODES = {"all clear": PASS, "failed": FAILED, "inconclusive": INCONCLUSIVE}
DEFAULT_LIMIT = "30m"
_LONGEST: Duration = 30 * DAY
_POLL: Duration = 5 * SECOND


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("window", metavar="ID")
    parser.add_argument("--wait", action="store_true", help="follow the window until nothing is open any more")
    parser.add_argument("--limit", type=_limit, metavar="DURATION", help=f"of --wait; default: {DEFAULT_LIMIT}")
    parser.add_argument("--as-of", metavar="TIME", help="as it could be judged at an instant, with an offset")
    parser.add_argument("--ratio", metavar="TIMES", help="how many times slower is slower; default: 1.2")
    parser.add_argument("--baseline-runs", metavar="N", help="runs that it takes on each side; default: 200")


def _limit(text: str) -> Duration:
    try:
        limit = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 < limit <= _LONGEST:
        raise argparse.ArgumentTypeError("a limit is longer than nothing, and at most 30d")
    return limit


def mistake(arguments: argparse.Namespace) -> str | None:
    """What cannot be meant, if anything."""
    if arguments.limit is not None and not arguments.wait:
        return "--limit: a limit belongs to --wait"
    if arguments.as_of is not None and arguments.wait:
        return "--as-of: what is past is not waited for; leave out --wait or --as-of"
    return None


async def verification(arguments: argparse.Namespace) -> Any:
    """The report; with --wait the last one. Raises CollectorError."""
    if (wrong := mistake(arguments)) is not None:
        raise CollectorError(wrong, refused=True)
    if not arguments.wait:
        return await _asked(arguments)
    limit = parse_duration(DEFAULT_LIMIT) if arguments.limit is None else arguments.limit
    with Progress(is_live=sys.stderr.isatty()) as progress:
        return await followed(arguments, limit, progress, SystemClock())


async def _asked(arguments: argparse.Namespace) -> Any:
    path = f"/v1/windows/{quote(arguments.window, safe='')}/verification"
    given = {name: getattr(arguments, name) for name in ("as_of", "ratio", "baseline_runs")}
    query = {name: value for name, value in given.items() if value is not None}
    return await ask(arguments.collector, path, query=query)


async def followed(
    arguments: argparse.Namespace, limit: Duration, progress: Progress, clock: Clock, poll: Duration = _POLL
) -> Any:
    """Ask until nothing is pending or the limit is reached; the last report. A collector that goes away while it is
    followed may come back; one that refuses, or was never there, is an error."""
    until = clock.monotonic() + limit
    report = await _asked(arguments)
    while report["pending"] and (left := until - clock.monotonic()) > 0:
        progress.show(report["pending"])
        await asyncio.sleep(min(poll, left) / SECOND)
        try:
            report = await _asked(arguments)
        except CollectorError as error:
            if error.refused or clock.monotonic() >= until:
                raise
            progress.show([str(error)])
    return report


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

    def show(self, pending: list[str]) -> None:
        more = f" and {len(pending) - 1} more" if len(pending) > 1 else ""
        said = f"waiting: {printable(pending[0], 200)}{more}"
        if self._status is not None:
            from rich.markup import escape

            self._status.update(escape(said))
        elif said != self._said:
            print(said, file=sys.stderr, flush=True)
        self._said = said
