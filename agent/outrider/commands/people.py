"""`outrider people`: who may look at a collector and who may change something; their tokens; the audit log."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from outrider.collector_client import CollectorError
from outrider.commands import PASS
from outrider.commands.register_acts import add_out, done, hand_over, refused, register_options, show_json
from outrider.redact import printable

_LONGEST_LINE = 1000


def add(parser: argparse.ArgumentParser) -> None:
    common = register_options()
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    new = acts.add_parser("add", parents=[common], help="somebody new; the password is asked for, or read from a pipe")
    new.add_argument("name", metavar="NAME")
    new.add_argument("--role", required=True, choices=("viewer", "operator"), help="look, or also change")
    new.add_argument("--no-password", action="store_true", help="no page, API tokens only: for programs")
    for name, text in (
        ("password", "another password; ends their sessions"),
        ("disable", "let them in no more; ends sessions and tokens"),
        ("enable", "let them in again"),
    ):
        acts.add_parser(name, parents=[common], help=text).add_argument("name", metavar="NAME")
    token = acts.add_parser("token", parents=[common], help="an API token, for commands and programs")
    token.add_argument("name", metavar="NAME")
    token.add_argument("--role", choices=("viewer", "operator"), help="less than the person's own")
    token.add_argument("--ttl", default="90d", metavar="DURATION", help="default: %(default)s")
    add_out(token)
    revoke = acts.add_parser("revoke-token", parents=[common], help="end an API token")
    revoke.add_argument("key", metavar="KEY", help="`list` shows them")
    acts.add_parser("list", parents=[common], help="everybody, with roles and tokens")
    acts.add_parser("log", parents=[common], help="who did what, when, from where; the latest 1000")


def run(arguments: argparse.Namespace) -> int:
    try:
        match arguments.act:
            case "token":
                body = {"name": arguments.name, "role": arguments.role, "ttl": arguments.ttl}
                answer = done(arguments, "api token", body)
                words = f"for {answer['name']}, key {answer['key']}, until {answer['expires_at']}"
                hand_over(arguments, answer, words)
            case "list" | "log":
                _show(arguments, done(arguments, "people" if arguments.act == "list" else "audit"))
            case _:
                print(_changed(arguments))
    except CollectorError as error:
        return refused("people", error)
    return PASS


def _changed(arguments: argparse.Namespace) -> str:
    match arguments.act:
        case "add":
            password = None if arguments.no_password else _password()
            done(arguments, "add", {"name": arguments.name, "role": arguments.role, "password": password})
            return f"{arguments.name} is {arguments.role}"
        case "password":
            done(arguments, "password", {"name": arguments.name, "password": _password()})
            return f"{arguments.name} has another password"
        case "revoke-token":
            done(arguments, "revoke token", {"key": arguments.key})
            return f"the token with key {arguments.key} has ended"
    done(arguments, arguments.act, {"name": arguments.name})
    return f"{arguments.name} is let in {'no more' if arguments.act == 'disable' else 'again'}"


def _password() -> str:
    """Asked for twice on a terminal, else one line of standard input. Raises CollectorError."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline(_LONGEST_LINE + 1)
        if not line or len(line) > _LONGEST_LINE:
            raise CollectorError("standard input has no password: one line", refused=True)
        return line.rstrip("\r\n")
    try:
        first = getpass.getpass("password (12 characters or more): ")
        if getpass.getpass("again: ") != first:
            raise CollectorError("the two are not the same", refused=True)
    except EOFError:
        raise CollectorError("no password was given", refused=True) from None
    return first


def _show(arguments: argparse.Namespace, answer: dict[str, Any]) -> None:
    if arguments.json:
        show_json(answer)
    elif arguments.act == "log":
        for each in answer["deeds"]:
            line = f"{each['at']}  {each['who']} from {each['address']}: {each['act']} {each['about']}"
            print(printable(line.rstrip(), 500))
    else:
        for each in answer["people"]:
            end = f"disabled {each['disabled_at']}" if each["disabled_at"] else "good"
            door = "page and tokens" if each["has_password"] else "tokens alone"
            print(f"{each['name']:24} {each['role']:9} {door:16} {end}  tokens: {', '.join(each['tokens']) or 'none'}")
