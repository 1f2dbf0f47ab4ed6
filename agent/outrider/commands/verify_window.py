"""`outrider window verify`: whether a window went as announced, and the service is what it was before.

Exit codes: 0 all clear, 1 failed (or nobody answered), 2 inconclusive, 104 what cannot be meant. With `--wait` the
collector is asked again until nothing is open any more, or the time limit is reached. A report that was filed as JSON
is shown, and made into HTML, without a collector.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import msgspec
from rich.console import Console
from rich.status import Status

from outrider.clock import Clock, SystemClock
from outrider.collector_client import CollectorError, ask
from outrider.commands import BAD_CONFIG, FAILED, INCONCLUSIVE, INTERRUPTED, PASS, complain
from outrider.commands.local_probing import (
    DEFAULT_INTERVAL,
    SHORTEST,
    LocalProbing,
    NothingToProbeError,
    in_scope,
    probing,
)
from outrider.commands.processes import run_on_loop
from outrider.config import AgentConfig, load_agent
from outrider.core.units import DAY, SECOND, Duration, parse_duration
from outrider.core.verification import RUNNING
from outrider.redact import printable
from outrider.strict_yaml import ConfigError

EXIT_CODES = {"all clear": PASS, "failed": FAILED, "inconclusive": INCONCLUSIVE}
DEFAULT_LIMIT = "30m"
LARGEST_REPORT = 64 << 20
_LONGEST: Duration = 30 * DAY
_POLL: Duration = 5 * SECOND
_ASKED = ("as_of", "ratio", "baseline_runs")
"""What the collector is asked with."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("window", nargs="?", metavar="ID")
    parser.add_argument("--wait", action="store_true", help="follow the window until nothing is open any more")
    parser.add_argument("--limit", type=_limit, metavar="DURATION", help=f"of --wait; default: {DEFAULT_LIMIT}")
    parser.add_argument("--as-of", metavar="TIME", help="as it could be judged at an instant, with an offset")
    parser.add_argument("--ratio", metavar="TIMES", help="how many times slower is slower; default: 1.2")
    parser.add_argument("--baseline-runs", metavar="N", help="runs that it takes on each side; default: 200")
    parser.add_argument(
        "--probe-locally", type=Path, metavar="FILE", help="probe from here too, by an agent's file, into no account"
    )
    parser.add_argument(
        "--probe-interval", type=_interval, metavar="DURATION", help=f"of --probe-locally; default: {DEFAULT_INTERVAL}"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as one HTML file")
    parser.add_argument("--report", type=Path, metavar="FILE", help="one that was kept as JSON; no collector is asked")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of reports, and no report")


def _limit(text: str) -> Duration:
    limit = _duration(text)
    if not 0 < limit <= _LONGEST:
        raise argparse.ArgumentTypeError("a limit is longer than nothing, and at most 30d")
    return limit


def _interval(text: str) -> Duration:
    interval = _duration(text)
    if not SHORTEST <= interval <= DAY:
        raise argparse.ArgumentTypeError("from here it is probed every second at most, and once a day at least")
    return interval


def _duration(text: str) -> Duration:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def mistake(arguments: argparse.Namespace) -> str | None:
    """What cannot be meant, if anything."""
    sources = [arguments.window is not None, arguments.report is not None, arguments.schema]
    if sum(sources) != 1:
        return "name one window by its ID, or a --report, or ask for the --schema"
    asked = ("wait", "limit", "probe_locally", "probe_interval", *_ASKED)
    if arguments.window is None:
        for name in asked if arguments.report else (*asked, "html"):
            if getattr(arguments, name):
                return f"--{name.replace('_', '-')}: belongs to the verification of a window"
    if arguments.limit is not None and not arguments.wait:
        return "--limit: a limit belongs to --wait"
    if arguments.as_of is not None and arguments.wait:
        return "--as-of: what is past is not waited for; leave out --wait or --as-of"
    if arguments.as_of is not None and arguments.probe_locally is not None:
        return "--as-of: what is past is not probed; leave out --probe-locally or --as-of"
    if arguments.probe_interval is not None and arguments.probe_locally is None:
        return "--probe-interval: an interval belongs to --probe-locally"
    return None


def run(arguments: argparse.Namespace) -> int:
    try:
        if (wrong := mistake(arguments)) is not None:
            raise CollectorError(wrong, refused=True)
        if arguments.schema:
            from outrider_collector.forms.verification_reading import json_schema

            sys.stdout.buffer.write(json_schema())
            return PASS
        report = _filed(arguments.report) if arguments.report else run_on_loop(verification(arguments))
        if arguments.html:
            from outrider_collector.forms.verification_document import to_html
            from outrider_collector.forms.verification_reading import read_report

            arguments.html.write_bytes(to_html(read_report(report)))
    except asyncio.CancelledError:
        return INTERRUPTED
    except ConfigError as error:
        complain(error)
        return BAD_CONFIG
    except CollectorError as error:
        print(f"outrider window: {error}", file=sys.stderr)
        return BAD_CONFIG if error.refused else FAILED
    except (OSError, ValueError, NothingToProbeError) as error:
        print(f"outrider window: {error}", file=sys.stderr)
        return BAD_CONFIG
    _show(report, as_json=arguments.json)
    return EXIT_CODES[report["verdict"]]


def _show(report: Any, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report, order="deterministic"), indent=1).decode())
        return
    from outrider.verification_terminal import show_verification

    show_verification(report)


def _filed(path: Path) -> Any:
    """A report that was kept. Raises OSError, and ValueError for what is none."""
    from outrider_collector.forms.verification_reading import read_report

    with path.open("rb") as file:
        raw = file.read(LARGEST_REPORT + 1)
    if len(raw) > LARGEST_REPORT:
        raise ValueError(f"{path} is larger than any report ({LARGEST_REPORT} bytes)")
    try:
        plain = msgspec.json.decode(raw)
        read_report(plain)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None
    return plain


# --- asking ----------------------------------------------------------------------------------------------------------


async def verification(arguments: argparse.Namespace) -> Any:
    """The report; with --wait the last one. Raises CollectorError, ConfigError and NothingToProbeError."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        local = None
        if arguments.probe_locally is not None:
            config = load_agent(arguments.probe_locally)
            local = await _probing(stack, arguments, config, clock)
        if not arguments.wait:
            return await _asked(arguments, local, clock)
        limit = parse_duration(DEFAULT_LIMIT) if arguments.limit is None else arguments.limit
        progress = stack.enter_context(Progress(is_live=sys.stderr.isatty()))
        return await followed(arguments, limit, progress, clock, local=local)


async def _probing(
    stack: AsyncExitStack, arguments: argparse.Namespace, config: AgentConfig, clock: Clock
) -> LocalProbing:
    """Begin to probe from here; without --wait as often as it takes, and no more."""
    asked_at = clock.now()
    first = await _asked(arguments, None, clock)
    checks = in_scope(config.checks, first["window"]["scope"], arguments.probe_locally)
    interval = arguments.probe_interval or parse_duration(DEFAULT_INTERVAL)
    rounds = None if arguments.wait else RUNNING
    cancel_once_on_signals()
    local, task = await stack.enter_async_context(probing(config, checks, interval, clock, rounds))
    local.look(first, asked_at)
    if not arguments.wait and local.has_begun:
        await task
    return local


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


async def _asked(arguments: argparse.Namespace, local: LocalProbing | None, clock: Clock) -> Any:
    path = f"/v1/windows/{quote(arguments.window, safe='')}/verification"
    given = {name: getattr(arguments, name) for name in _ASKED}
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
    report = await _asked(arguments, local, clock)
    while report["pending"] and (left := until - clock.monotonic()) > 0:
        progress.show(report["pending"], _seen_from_here(report))
        await asyncio.sleep(min(poll, left) / SECOND)
        try:
            report = await _asked(arguments, local, clock)
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
