"""`outrider report` for issued statements: issue one, list them, make one again, compare two."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from outrider.collector_client import ask
from outrider.commands import FAILED, PASS
from outrider.commands.processes import run_on_loop

Plain = dict[str, Any]


def add(parser: argparse.ArgumentParser, which: Any) -> None:
    """Add the options; `which` is the group that says what is asked for."""
    which.add_argument("--revisions", action="store_true", help="every issued statement, and which are stale")
    issued = parser.add_mutually_exclusive_group()
    issued.add_argument("--issue", action="store_true", help="issue the statement of --period as its next revision")
    issued.add_argument("--revision", type=int, metavar="N", help="make revision N of --period again, as it was issued")
    issued.add_argument("--compare", type=int, nargs=2, metavar=("N", "M"), help="what changed from N to M of --period")
    parser.add_argument("--author", metavar="NAME", help="with --issue: who issues it")
    parser.add_argument("--as-issued", action="store_true", help="with --revision: what was handed out, not made again")


def wrong(arguments: argparse.Namespace) -> str:
    """What of the options does not go together; "" where all does."""
    about_period = arguments.issue or arguments.revision is not None or arguments.compare is not None
    if about_period and not arguments.period:
        return "--issue, --revision and --compare are about a --period"
    if about_period and arguments.as_of:
        return "an issued statement has its own instant: --as-of does not go with it"
    numbers = [*(arguments.compare or ()), *([] if arguments.revision is None else [arguments.revision])]
    if any(number < 1 for number in numbers):
        return "revisions are numbered from 1"
    if arguments.author is not None and not arguments.issue:
        return "--author goes with --issue"
    return "--as-issued goes with --revision" if arguments.as_issued and arguments.revision is None else ""


def listed(arguments: argparse.Namespace) -> int:
    """`--revisions` and `--compare`, which end in no statement. Raises CollectorError."""
    from outrider.issued_terminal import show_changes, show_revisions

    path = "/v1/statements/revisions"
    if arguments.compare:
        path = f"{_path(arguments)}/changes/{arguments.compare[0]}/{arguments.compare[1]}"
    answer = run_on_loop(ask(arguments.collector, path))
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(answer, order="deterministic"), indent=1).decode())
    elif arguments.compare:
        show_changes(answer)
    else:
        show_revisions(answer["revisions"])
    return PASS


def issued(arguments: argparse.Namespace) -> Plain:
    """`--issue` and `--revision`: the collector's answer, a statement in it. Raises CollectorError."""
    path = f"{_path(arguments)}/revisions"
    if arguments.issue:
        body = {"author": arguments.author or ""}
        answer: Plain = run_on_loop(ask(arguments.collector, path, method="POST", body=body))
    else:
        query = {"as_issued": "true"} if arguments.as_issued else {}
        answer = run_on_loop(ask(arguments.collector, f"{path}/{arguments.revision}", query=query))
    return answer


def tell(answer: Plain, *, quiet: bool, exit_code: Callable[[Plain], int]) -> int:
    """What there is to say beside the statement; the exit code. A statement that is not what it was fails loudly."""
    revision = answer["issued"]
    if not answer.get("is_same", True):
        name = f"{revision['period']} r{revision['number']}"
        print(
            f"outrider report: {name} made again is NOT what was issued: its SHA-256 is {answer['sha256']}, and was "
            f"{revision['sha256']}: {'; '.join(answer['why'])}. --as-issued gives what was handed out.",
            file=sys.stderr,
        )
        return FAILED
    if "is_new" in answer and not quiet:
        from outrider.issued_terminal import show_issued

        show_issued(revision, is_new=answer["is_new"])
    return exit_code(answer["statement"])


def _path(arguments: argparse.Namespace) -> str:
    return f"/v1/statements/{quote(arguments.period, safe='')}"
