"""`outrider agreement`: what agreement files say, their JSON Schema, and the same as OpenSLO.

All offline; exit code 104 where a file is wrong, and each mistake by file:line:column.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from outrider.commands import BAD_CONFIG, PASS, complain
from outrider.redact import printable
from outrider.resources import shipped
from outrider.strict_yaml import ConfigError

_LONGEST_LINE = 20_000


def add(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    validate = acts.add_parser("validate", help="check agreements, and say what each clause means")
    validate.add_argument("files", nargs="*", type=Path, metavar="FILE", help="the shipped agreements without")
    acts.add_parser("schema", help="print the JSON Schema of agreement files, for editors")
    export = acts.add_parser("export", help="write an agreement in another form")
    export.add_argument("--openslo", action="store_true", required=True, help="as OpenSLO v1 documents (YAML)")
    export.add_argument("file", type=Path, metavar="FILE", help="the agreement")


def run(arguments: argparse.Namespace) -> int:
    match arguments.act:
        case "schema":
            from outrider_collector.agreements.schema import agreement_schema

            sys.stdout.buffer.write(agreement_schema())
            return PASS
        case "export":
            return _export(arguments.file)
    files = arguments.files or sorted(shipped("config", "guarantees").glob("*.yaml"))
    told = [_told(path) for path in files]  # each of them, whatever is wrong with another
    return PASS if all(told) else BAD_CONFIG


def _told(path: Path) -> bool:
    """Say what a file means, or what is wrong with it."""
    from outrider.core.clause_text import in_words
    from outrider_collector.agreements.files import load_agreement

    try:
        agreement = load_agreement(path)
    except ConfigError as error:
        complain(error)
        return False
    print(f"{path}: {printable(agreement.name)}")
    for clause in agreement.guarantees:
        print(f"  {printable(f'{clause.id} {clause.title}: {in_words(clause)}', _LONGEST_LINE)}")
    return True


def _export(path: Path) -> int:
    from outrider_collector.agreements.files import load_agreement
    from outrider_collector.agreements.openslo import NotExpressibleError, to_openslo

    try:
        print(to_openslo(load_agreement(path)), end="")
    except ConfigError as error:
        complain(error)
        return BAD_CONFIG
    except NotExpressibleError as error:
        complain(f"{path}: {error}")
        return BAD_CONFIG
    return PASS
