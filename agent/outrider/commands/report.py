"""`outrider report`: the statement of a period. Exit 0 if every guarantee is met, 99 if one is missed, else 2."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from outrider.collector_client import DEFAULT_URL, CollectorError, ask
from outrider.commands import BAD_CONFIG, FAILED, INCONCLUSIVE, MISSED, PASS
from outrider.commands.processes import run_on_loop


def add(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--period", metavar="PERIOD", help="a month 2026-06, a week 2026-W23, or a day 2026-06-01")
    which.add_argument("--last", metavar="DURATION", help="whole slices of the last 30m, 24h, ...")
    which.add_argument("--from", dest="start", metavar="TIME", help="from a time like 2026-06-01T00:00:00Z, with --to")
    parser.add_argument("--to", metavar="TIME", help="with --from")
    parser.add_argument("--as-of", metavar="TIME", help="as the facts stood then; now without")
    parser.add_argument("--collector", default=DEFAULT_URL, metavar="URL", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="the statement as JSON")


def run(arguments: argparse.Namespace) -> int:
    wanted = {"period": arguments.period, "last": arguments.last, "from": arguments.start, "to": arguments.to}
    query = {key: value for key, value in {**wanted, "as_of": arguments.as_of}.items() if value}
    try:
        statement = run_on_loop(ask(arguments.collector, "/v1/statements", query=query))
    except CollectorError as error:
        print(f"outrider report: {error}", file=sys.stderr)
        return BAD_CONFIG if error.refused else FAILED
    show(statement, as_json=arguments.json)
    return exit_code(statement)


def show(statement: dict[str, Any], *, as_json: bool) -> None:
    """Print a statement."""
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(statement, order="deterministic"), indent=1).decode())
    else:
        from outrider.terminal import show_statement

        show_statement(statement)


def exit_code(statement: dict[str, Any]) -> int:
    """99 where a guarantee is missed, 2 where one cannot be judged, 0 where all are met."""
    verdicts = {guarantee["verdict"] for guarantee in statement["guarantees"]}
    if "missed" in verdicts:
        return MISSED
    return PASS if verdicts == {"met"} else INCONCLUSIVE
