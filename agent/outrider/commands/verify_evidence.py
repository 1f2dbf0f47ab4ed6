"""`outrider verify-evidence`: check a folder of sealed days, offline. Exit 0 if all is as it was sealed, else 1."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from outrider.commands import BAD_CONFIG, FAILED, PASS, complain
from outrider.redact import printable

if TYPE_CHECKING:
    from outrider_collector.evidence.checking import Findings


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder that the collector seals into, or a copy")
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="the collector's public key, as you were sent it; DIR/key.pub without"
    )
    parser.add_argument("--head", metavar="HASH", default="", help="a seal that you were told of, which must be there")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    from outrider_collector.evidence import PUBLIC_KEY
    from outrider_collector.evidence.checking import check_folder, findings_plain
    from outrider_collector.evidence.keys import KeyFileError, key_hex, public_key

    if arguments.head and not re.fullmatch("[0-9a-f]{64}", arguments.head):
        complain("outrider verify-evidence: --head is a SHA-256 in hex, as `outrider seal` prints it")
        return BAD_CONFIG
    try:
        folder_is_there = arguments.folder.is_dir()
        if not folder_is_there:
            raise NotADirectoryError(0, "there is no such folder")
        key = public_key(arguments.key or arguments.folder / PUBLIC_KEY)
        findings = check_folder(arguments.folder, key, arguments.head)
    except KeyFileError as error:
        complain(f"outrider verify-evidence: {error}" + ("" if arguments.key else "; give --key FILE"))
        return BAD_CONFIG
    except OSError as error:
        complain(f"outrider verify-evidence: {arguments.folder}: {error.strerror}")
        return BAD_CONFIG
    if arguments.key is None:
        findings.notes.append(
            "checked with the key that lies in the folder itself: whoever changed the folder could have changed it "
            "too; give --key with the one you were sent"
        )
    if arguments.json:
        plain = {"key": key_hex(key), **findings_plain(findings)}
        print(msgspec.json.format(msgspec.json.encode(plain, order="deterministic"), indent=1).decode())
    else:
        _show(findings)
    return PASS if findings.is_ok else FAILED


def _show(findings: Findings) -> None:
    for failure in findings.failures:
        print(printable(f"FAILED  {failure.seal}{': ' if failure.seal else ''}{failure.message}"))
    named = len(findings.failures)
    if (counted := findings.counts.total()) > named:
        print(f"        and {counted - named} more")
    for gap in findings.gaps:
        print(printable(f"gap     {gap}"))
    for day in findings.partial:
        print(printable(f"partial {day}"))
    for note in findings.notes:
        print(printable(f"note    {note}"))
    days = f"{findings.first_day} to {findings.last_day}" if findings.first_day else "no day"
    verdict = "ok" if findings.is_ok else "FAILED"
    print(
        f"{verdict}: {findings.seals} seals, {days}, {findings.records} records, newest seal {findings.head or 'none'}"
    )
