"""The command line: arguments in, exit code out. Each command's module is imported only when it is asked for, so
that an agent never loads what the collector needs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, Protocol, cast

from outrider import __version__
from outrider.commands import BAD_CONFIG, INTERRUPTED

COMMANDS = {
    "demo": "a network, a collector and agents in three regions, on this machine",
    "agent": "probe continuously",
    "collector": "receive results, account, show",
    "sandbox": "a test network to probe, with faults on demand",
    "once": "run each check once, now",
    "validate": "check configuration and scenarios, offline",
    "checks": "check sets for agents: sign and publish one, list them, see who took which",
    "agreement": "what an agreement's clauses mean, its JSON Schema, the same as OpenSLO",
    "outcomes": "which code at which place means what, and whose fault it is",
    "enroll": "agents' credentials: get one, issue tokens, list, revoke",
    "people": "who may look and who may change: add, disable, list, tokens, the audit log",
    "report": "the statement of a period, with a verdict for each guarantee",
    "seal": "seal the days that are due as signed evidence",
    "verify-evidence": "check a folder of sealed days, offline",
    "window": "maintenance windows: announce, change, look up, verify, import and export",
}
_COLLECTOR = ("argon2", "cryptography", "dateutil", "duckdb", "fpdf", "icalendar", "jinja2", "numpy")
_EXTRAS = {**dict.fromkeys(_COLLECTOR, "collector"), "locust": "load"}


class Command(Protocol):
    """What a module in `outrider.commands` has."""

    @staticmethod
    def add(parser: argparse.ArgumentParser) -> None: ...

    @staticmethod
    def run(arguments: argparse.Namespace) -> int: ...


class Parser(argparse.ArgumentParser):
    """Wrong arguments end with 104, since 2 means inconclusive here."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(BAD_CONFIG, f"{self.prog}: {message}\n")


def _overview() -> Parser:
    parser = Parser(
        prog="outrider",
        description="Holds a payments-and-healthcare network to its written service guarantee, from outside.",
        epilog="Exit codes: 0 pass, 1 failed, 2 inconclusive, 99 guarantee missed, 104 bad configuration or "
        "arguments, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"outrider {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ""
    if name not in COMMANDS:
        overview = _overview()
        if not words:
            overview.print_help()
            return BAD_CONFIG
        overview.parse_args(words)
    command = cast(Command, import_module(f"outrider.commands.{name.replace('-', '_')}"))
    parser = Parser(prog=f"outrider {name}", description=COMMANDS[name])
    command.add(parser)
    arguments = parser.parse_args(words[1:])
    try:
        return command.run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return INTERRUPTED
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        extra = _EXTRAS.get(library)
        if extra is None:
            raise
        print(f"outrider {name} needs {library}: pip install 'outrider[{extra}]'", file=sys.stderr)
        return BAD_CONFIG
