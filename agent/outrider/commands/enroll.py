"""`outrider enroll`: an agent's credential, and the operator's side of it.

Without an act it is the agent's machine that asks: a one-use token goes to the collector, the credential that comes
back goes into its file, readable by its user alone. A running agent takes it without a restart.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outrider.collector_access import (
    AccessFileError,
    AccessFiles,
    CollectorAccess,
    checked_token,
    read_token,
    write_token,
)
from outrider.collector_client import CollectorError, Endpoint, ask
from outrider.commands import BAD_CONFIG, FAILED, PASS, complain
from outrider.commands.processes import run_on_loop
from outrider.commands.register_acts import add_out, done, hand_over, refused, register_options, show_json
from outrider.config import AgentConfig, load_agent
from outrider.redact import printable
from outrider.strict_yaml import ConfigError

VARIABLE = "OUTRIDER_ENROLL_TOKEN"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the agent's YAML file, to enrol that agent")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help=f"the token; - is standard input; or {VARIABLE}"
    )
    parser.add_argument("--rotate", action="store_true", help="a new credential for the one that the agent has")
    parser.add_argument("--unless-enrolled", action="store_true", help="do nothing where there is a credential")
    acts = parser.add_subparsers(dest="act", metavar="ACT")
    common = register_options()
    token = acts.add_parser("token", parents=[common], help="issue a one-use token for an agent")
    token.add_argument("--agent", required=True, metavar="NAME", help="as its file names it")
    token.add_argument("--region", help="hold the agent to this region; any without")
    token.add_argument("--ttl", default="1h", metavar="DURATION", help="default: %(default)s")
    add_out(token)
    acts.add_parser("list", parents=[common], help="every agent's credentials, and when each was used")
    revoke = acts.add_parser("revoke", parents=[common], help="let an agent in no more")
    revoke.add_argument("agent", metavar="NAME")


def run(arguments: argparse.Namespace) -> int:
    try:
        match arguments.act:
            case None:
                return _enrol(arguments)
            case "token":
                body = {"agent": arguments.agent, "region": arguments.region, "ttl": arguments.ttl}
                answer = done(arguments, "enrolment token", body)
                hand_over(arguments, answer, f"for agent {answer['agent']}, once, until {answer['expires_at']}")
            case "revoke":
                answer = done(arguments, "revoke agent", {"agent": arguments.agent})
                print(f"agent {answer['agent']} is let in no more ({answer['ended']} ended)")
            case "list":
                _show(done(arguments, "agents"), as_json=arguments.json)
    except CollectorError as error:
        return refused("enroll", error)
    return PASS


def _show(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    for each in answer["credentials"]:
        end = f"revoked {each['revoked_at']}" if each["revoked_at"] else "good"
        used = f"last used {each['last_used_at']}" if each["last_used_at"] else "never used"
        where = printable(each["region"]) or "any region"
        print(f"{printable(each['agent']):24} {where:16} key {each['key']}  {each['created_at']}  {used}  {end}")
    if not answer["credentials"]:
        print("no agent is enrolled yet")


# --- the agent's side ------------------------------------------------------------------------------------------------


def _enrol(arguments: argparse.Namespace) -> int:
    if arguments.config is None:
        print("outrider enroll: --config FILE for this machine's agent, or token, list, revoke", file=sys.stderr)
        return BAD_CONFIG
    try:
        config = load_agent(arguments.config)
    except ConfigError as error:
        complain(error)
        return BAD_CONFIG
    path = config.collector_files.token
    assert path is not None
    if arguments.unless_enrolled and path.exists():
        print(f"agent {config.name} has its credential in {path}")
        return PASS
    answer = _asked(config, path, arguments)
    if answer["agent"] != config.name:
        # It is of no use here, and its agent will want another token.
        told = (
            f"the token is agent {answer['agent']}'s, and {arguments.config} is agent {config.name}'s; nothing is kept"
        )
        print(f"outrider enroll: {printable(told)}", file=sys.stderr)
        return FAILED
    try:
        write_token(path, checked_token(answer["credential"]))
    except AccessFileError as error:
        raise CollectorError(f"{error}; the token is used up, ask for another", refused=True) from None
    print(f"agent {config.name} is enrolled (key {printable(answer['key'])}); its credential is in {path}")
    return PASS


def _asked(config: AgentConfig, path: Path, arguments: argparse.Namespace) -> Any:
    files = config.collector_files
    try:
        token = read_token(path) if arguments.rotate else _given_token(arguments)
    except AccessFileError as error:
        raise CollectorError(str(error), refused=True) from None
    access = CollectorAccess(AccessFiles(None, files.ca, files.certificate, files.key), token)
    way = "/v1/enroll/rotate" if arguments.rotate else "/v1/enroll"
    # The body says whose credential is wanted: a token of another agent is refused before it is used up.
    return run_on_loop(ask(Endpoint(config.collector_url, access), way, method="POST", body={"agent": config.name}))


def _given_token(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> str:
    """The enrolment token. Raises AccessFileError and CollectorError."""
    if arguments.token_file is not None and str(arguments.token_file) != "-":
        return read_token(arguments.token_file)
    text = sys.stdin.readline(1000) if arguments.token_file is not None else environ.get(VARIABLE, "")
    if not text:
        raise CollectorError(f"give the token: --token-file FILE, - for standard input, or {VARIABLE}", refused=True)
    try:
        return checked_token(text)
    except ValueError as error:
        raise CollectorError(str(error), refused=True) from None
