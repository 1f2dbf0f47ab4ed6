"""Acts on a collector's access register, for `enroll` and `people`: over HTTP with an operator's token, or in its file.

The file is for the first operator, and for whoever lost every other way in; the audit log says which user it was.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from outrider.clock import SystemClock
from outrider.collector_access import AccessFileError, write_token
from outrider.collector_client import CollectorError, ask
from outrider.commands import BAD_CONFIG, FAILED
from outrider.commands.collector_options import add_collector, endpoint
from outrider.commands.processes import run_on_loop


def register_options() -> argparse.ArgumentParser:
    """The options that say which register."""
    parser = argparse.ArgumentParser(add_help=False)
    add_collector(parser)
    parser.add_argument(
        "--store", type=Path, metavar="FILE", help="the collector's store, on its machine and as its user; asks nobody"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    return parser


def add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the token there, for its user alone (0600)")


def done(arguments: argparse.Namespace, act: str, body: Mapping[str, Any] | None = None) -> Any:
    """Do an act of `outrider_collector.access.acts.ACTS`; its answer. Raises CollectorError."""
    from outrider_collector.access.acts import ACTS

    row, body = ACTS[act], {key: value for key, value in (body or {}).items() if value is not None}
    if arguments.store is not None:
        return _beside(arguments.store, act, body)
    return run_on_loop(
        ask(endpoint(arguments), row.path, method=row.method, body=body if row.method == "POST" else None)
    )


def _beside(store: Path, act: str, body: Mapping[str, Any]) -> Any:
    from outrider_collector.access import AccessError, By
    from outrider_collector.access.acts import ACTS, Registers, access_path, perform
    from outrider_collector.store import StoreFailedError

    path = access_path(store)
    _refuse_other_user(path)
    try:
        registers = Registers(path, SystemClock())
        try:
            return perform(registers, ACTS[act], msgspec.json.encode(body), By(f"user {_user()}", "this machine"))
        finally:
            registers.close()
    except AccessError as error:
        raise CollectorError(f"{error.field}: {error}" if error.field else str(error), refused=True) from None
    except StoreFailedError as error:
        raise CollectorError(str(error), refused=False) from None


def _refuse_other_user(path: Path) -> None:
    """A file that another user made the collector could not write. Raises CollectorError."""
    try:
        owner = (path if path.exists() else path.parent).stat().st_uid
    except OSError as error:
        raise CollectorError(f"{path.parent}: {error.strerror}", refused=True) from None
    if owner != os.geteuid():
        raise CollectorError(f"{path} is for user {owner}; run this as that user, as the collector does", refused=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # containers run as users without a name
        return str(os.geteuid())


def refused(command: str, error: CollectorError) -> int:
    """Say so; the exit code."""
    print(f"outrider {command}: {error}", file=sys.stderr)
    return BAD_CONFIG if error.refused else FAILED


def hand_over(arguments: argparse.Namespace, answer: dict[str, Any], words: str) -> None:
    """A token, to its file or to standard output alone; the words about it go to standard error. Raises
    CollectorError."""
    if arguments.out is not None:
        try:
            write_token(arguments.out, answer["token"])
        except AccessFileError as error:
            raise CollectorError(f"{error}; the token is lost, ask for another", refused=True) from None
        answer = {key: value for key, value in answer.items() if key != "token"}
    print(words, file=sys.stderr)
    if arguments.json:
        show_json(answer)
    elif "token" in answer:
        print(answer["token"])


def show_json(answer: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(answer, order="deterministic"), indent=1).decode())
