"""`outrider window verify`: whether a window went as announced, and the service is what it was before.

Exit codes: 0 all clear, 1 failed (or nobody answered), 2 inconclusive, 104 what cannot be meant. With `--wait` the
collector is asked again until nothing is open any more, or the time limit is reached. A report that was filed as JSON
is shown, and made into HTML, without a collector.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from outrider.clock import MachineClock, SystemClock
from outrider.collector_client import CollectorError
from outrider.commands import BAD_CONFIG, FAILED, INCONCLUSIVE, INTERRUPTED, PASS, complain
from outrider.commands.following import ASKED, Progress, asked, cancel_once_on_signals, followed
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
from outrider.core.units import DAY, Duration, parse_duration
from outrider.core.verification import RUNNING
from outrider.strict_yaml import ConfigError

EXIT_CODES = {"all clear": PASS, "failed": FAILED, "inconclusive": INCONCLUSIVE}
DEFAULT_LIMIT = "30m"
LARGEST_REPORT = 64 << 20
_LONGEST: Duration = 30 * DAY


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
    wanted = ("wait", "limit", "probe_locally", "probe_interval", *ASKED)
    if arguments.window is None:
        for name in wanted if arguments.report else (*wanted, "html"):
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
        _show(report, as_json=arguments.json)  # before the file, which may turn out not to be writable
        if arguments.html:
            _write(report, arguments.html)
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
    return EXIT_CODES[report["verdict"]]


def _show(report: Any, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report, order="deterministic"), indent=1).decode())
        return
    from outrider.verification_terminal import show_verification

    show_verification(report)


def _write(report: Any, path: Path) -> None:
    """Raises OSError, also for a folder that is not there."""
    from outrider_collector.forms.verification_document import to_html
    from outrider_collector.forms.verification_reading import read_report

    path.write_bytes(to_html(read_report(report)))


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
        if arguments.wait:
            limit = parse_duration(DEFAULT_LIMIT) if arguments.limit is None else arguments.limit
            progress = stack.enter_context(Progress(is_live=sys.stderr.isatty()))
            report = await followed(arguments, limit, progress, clock, local=local)
        else:
            report = await asked(arguments, local, clock)
    return report if local is None else local.with_cleanups(report)


async def _probing(
    stack: AsyncExitStack, arguments: argparse.Namespace, config: AgentConfig, clock: MachineClock
) -> LocalProbing:
    """Begin to probe from here; without --wait as often as it takes, and no more."""
    asked_at = clock.now()
    first = await asked(arguments, None, clock)
    checks = in_scope(config.checks, first["window"]["scope"], arguments.probe_locally)
    interval = arguments.probe_interval or parse_duration(DEFAULT_INTERVAL)
    rounds = None if arguments.wait else RUNNING
    cancel_once_on_signals()
    local, task = await stack.enter_async_context(probing(config, checks, interval, clock, rounds))
    local.look(first, asked_at)
    if not arguments.wait and local.has_begun:
        await task
    return local
