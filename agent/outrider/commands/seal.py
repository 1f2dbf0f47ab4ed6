"""`outrider seal`: have a running collector seal the days that are due, or ask it for its seals or its public key."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from outrider.collector_client import CollectorError, ask
from outrider.commands import BAD_CONFIG, FAILED, PASS
from outrider.commands.collector_options import add_collector, endpoint
from outrider.commands.processes import run_on_loop


def add(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="every seal so far; seals nothing")
    what.add_argument("--today", action="store_true", help="seal days that are not over too, marked as partial")
    what.add_argument("--public-key", action="store_true", help="the public key in PEM, for the other party")
    add_collector(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    path = "/v1/evidence/key" if arguments.public_key else "/v1/evidence" if arguments.list else "/v1/evidence/seal"
    method = "GET" if arguments.public_key or arguments.list else "POST"
    try:
        query = {"today": "true"} if arguments.today else {}
        answer = run_on_loop(ask(endpoint(arguments), path, method=method, query=query))
    except CollectorError as error:
        print(f"outrider seal: {error}", file=sys.stderr)
        return BAD_CONFIG if error.refused else FAILED
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(answer, order="deterministic"), indent=1).decode())
    elif arguments.public_key:
        print(answer["public_key"], end="")
    else:
        _show(answer)
    return FAILED if answer.get("trouble") else PASS


def _show(answer: dict[str, Any]) -> None:
    for seal in answer["seals"]:
        words = seal["gap"] or f"{seal['records']['count']} records"
        addendum = f" (addendum, r{seal['revision']})" if seal["revision"] > 1 else ""
        partial = " (partial: the day was not over)" if seal.get("partial") else ""
        print(f"{seal['number']:>6}  {seal['day']}{addendum}{partial}: {words}, seal {seal['hash']}")
    if not answer["seals"]:
        print("no seal: no day is due, and nothing came in for those that are sealed")
    if answer.get("trouble"):
        print(f"outrider seal: {answer['trouble']}", file=sys.stderr)
