"""`outrider window`: maintenance windows. The collector stamps each announcement; what was recorded stays."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any
from urllib.parse import quote

import msgspec

from outrider.collector_client import DEFAULT_URL, CollectorError, ask
from outrider.commands import BAD_CONFIG, FAILED, PASS
from outrider.commands.processes import run_on_loop


def add(parser: argparse.ArgumentParser) -> None:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--collector", default=DEFAULT_URL, metavar="URL", help="default: %(default)s")
    common.add_argument("--json", action="store_true", help="as JSON")
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    announce = acts.add_parser("announce", parents=[common], help="record a new window")
    announce.add_argument(
        "--start", required=True, metavar="TIME", help="with an offset, like 2026-06-01T22:00:00-04:00"
    )
    until = announce.add_mutually_exclusive_group(required=True)
    until.add_argument("--end", metavar="TIME", help="the first instant after it")
    until.add_argument("--duration", metavar="DURATION", help="like 4h or 90m")
    announce.add_argument("--scope", action="append", metavar="PATTERN", help="checks it covers; all without")
    announce.add_argument("--reason", default="")
    announce.add_argument("--author", default="")
    for name, text in (("complete", "end a window that runs, now"), ("cancel", "take a window back")):
        follow_up = acts.add_parser(name, parents=[common], help=text)
        follow_up.add_argument("window", metavar="ID")
        follow_up.add_argument("--author", default="")
    acts.add_parser("list", parents=[common], help="every window with what it excuses")


def run(arguments: argparse.Namespace) -> int:
    try:
        answer = run_on_loop(_ask(arguments))
    except CollectorError as error:
        print(f"outrider window: {error}", file=sys.stderr)
        return BAD_CONFIG if error.refused else FAILED
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(answer, order="deterministic"), indent=1).decode())
    else:
        from outrider.terminal import show_windows

        show_windows(answer["windows"] if arguments.act == "list" else [answer])
    return PASS


async def _ask(arguments: argparse.Namespace) -> Any:
    if arguments.act == "list":
        return await ask(arguments.collector, "/v1/windows")
    author = arguments.author or getpass.getuser()
    if arguments.act == "announce":
        body: dict[str, Any] = {"start": arguments.start, "reason": arguments.reason, "author": author}
        body |= {"end": arguments.end} if arguments.end else {"duration": arguments.duration}
        if arguments.scope:
            body["scope"] = arguments.scope
        return await ask(arguments.collector, "/v1/windows", method="POST", body=body)
    path = f"/v1/windows/{quote(arguments.window, safe='')}/{arguments.act}"
    return await ask(arguments.collector, path, method="POST", query={"author": author})
