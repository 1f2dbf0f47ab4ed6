"""`outrider demo`: the main job on this machine, with a live table, and at the end the statement and the seal."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outrider.clock import SystemClock
from outrider.commands import BAD_CONFIG, FAILED, PASS
from outrider.commands.processes import run_on_loop, stop_on_signals
from outrider.commands.report import show, write_forms
from outrider.core.units import Duration, format_duration, parse_duration
from outrider.demo import EVIDENCE, SHORTEST, Demo, DemoError
from outrider.live import LiveTable

if TYPE_CHECKING:
    from outrider_collector.evidence.checking import Findings

PUBLIC_KEY = "collector.pub"
_REFRESH_S = 0.5
_LINES_S = 10.0


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--for", dest="length", default="90s", metavar="DURATION", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="only the statement, as JSON, on standard output")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR",
        help="keep there: store, spools, logs, the statement as HTML and PDF, the sealed evidence",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    try:
        length = parse_duration(arguments.length)
        if length < SHORTEST:
            raise ValueError(f"the script needs {format_duration(SHORTEST)} at least, not {arguments.length}")
    except ValueError as error:
        print(f"outrider demo: {error}", file=sys.stderr)
        return BAD_CONFIG
    if arguments.keep is not None and (arguments.keep / "store.duckdb").exists():
        print(f"outrider demo: {arguments.keep} holds an earlier demo; name another folder", file=sys.stderr)
        return BAD_CONFIG
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="outrider-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        statement = run_on_loop(_play(folder, length, quiet=arguments.json))
        write_forms(statement, {form: str(folder / f"statement.{form}") for form in ("html", "pdf")})
        findings = _checked(folder)
    except (DemoError, OSError) as error:
        print(f"outrider demo: {error}", file=sys.stderr)
        return FAILED
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    show(statement, as_json=arguments.json)
    _tell(arguments.keep, findings)
    return PASS if findings is None or findings.is_ok else FAILED


def _checked(folder: Path) -> Findings | None:
    """What the other party would find in the sealed records, with the key that they were sent; None where nothing was
    sealed, since the demo was ended before anything came in."""
    if not (folder / EVIDENCE).exists():
        return None
    from outrider_collector.evidence.checking import check_folder
    from outrider_collector.evidence.keys import public_key

    return check_folder(folder / EVIDENCE, public_key(folder / PUBLIC_KEY))


def _tell(kept: Path | None, findings: Findings | None) -> None:
    """One line on the evidence, and where everything is."""
    if findings is None:
        print("\nevidence: no record came in, so nothing was sealed", file=sys.stderr)
    else:
        verdict = "ok" if findings.is_ok else f"FAILED: {findings.failures[0].message}"
        early = ", sealed before the day was over" if findings.partial else ""
        seal = f"seal {findings.head[:16]}..."
        print(f"\nevidence: {verdict}, {findings.records} records{early}, {seal}", file=sys.stderr)
    if kept is None:
        print("nothing was kept; --keep DIR keeps the statement as HTML and PDF, and the evidence", file=sys.stderr)
        return
    print(f"statement: {kept / 'statement.html'}, {kept / 'statement.pdf'}", file=sys.stderr)
    if findings is not None:
        print(f"check it:  outrider verify-evidence {kept / EVIDENCE} --key {kept / PUBLIC_KEY}", file=sys.stderr)


async def _play(folder: Path, length: Duration, *, quiet: bool) -> dict[str, Any]:
    stop = asyncio.Event()
    is_live = sys.stdout.isatty() and not quiet
    demo = Demo(folder, length, SystemClock(), tell=lambda text: None if is_live else print(text, file=sys.stderr))
    print(f"starting a network, a collector and three agents; logs in {folder}", file=sys.stderr)
    async with demo.running():
        stop_on_signals(stop.set)
        print(f"page: {demo.collector_url}/   network: {demo.network_url}/   Ctrl-C ends it early", file=sys.stderr)
        watching = asyncio.create_task(_watch(demo, is_live=is_live, quiet=quiet))
        try:
            await demo.play(stop)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        print("draining the agents, then the statement", file=sys.stderr)
        statement = await demo.statement()
        (folder / PUBLIC_KEY).write_text(await demo.seal(), encoding="ascii")
        return statement


async def _watch(demo: Demo, *, is_live: bool, quiet: bool) -> None:
    table = LiveTable(is_live=is_live)
    with table:
        while True:
            current = await demo.current()
            if not quiet:
                table.show(current, demo.events)
            await asyncio.sleep(_REFRESH_S if is_live else _LINES_S)
