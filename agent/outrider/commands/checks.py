"""`outrider checks`: sign check sets on the operator's machine, publish them, and see which agent took which.

The private key stays where it is. Beside it lies the version that was signed last: no version is signed for two
texts, and a collector has no say in it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from outrider.check_sets import SetRefusedError, extended, read_offline
from outrider.codecs.check_sets import HIGHEST_VERSION, CheckSetError, SignedSet, decode, encode, is_signed, sign
from outrider.codecs.ed25519_keys import KeyFileError, key_hex, private_key, public_pem
from outrider.collector_client import CollectorError, ask, ask_for_text, send_text
from outrider.commands import BAD_CONFIG, FAILED, PASS, complain
from outrider.commands.collector_options import add_collector, endpoint
from outrider.commands.processes import run_on_loop
from outrider.config import AgentConfig, load_agent
from outrider.redact import printable
from outrider.strict_yaml import ConfigError

DEFAULT_KEY = Path("check-sets.key")
_PATH = "/v1/check-sets"


def add(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")

    def act(name: str, text: str, *, key: bool = False, collector: bool = False) -> argparse.ArgumentParser:
        made = acts.add_parser(name, help=text, description=text)
        if key:
            made.add_argument(
                "--key", type=Path, default=DEFAULT_KEY, metavar="FILE", help="the private key (default: %(default)s)"
            )
        if collector:
            add_collector(made)
        return made

    act("keygen", "make a key to sign check sets with; prints its public half", key=True)
    act("key", "print the public half of the key, for the agents' check_sets.public_key_file", key=True)
    publish = act("publish", "check a set, sign it here, hand it to the collector", key=True, collector=True)
    publish.add_argument("file", type=Path, metavar="FILE", help="the check set (YAML)")
    publish.add_argument("--version", type=int, metavar="N", help="instead of the one after the last that was signed")
    publish.add_argument(
        "--against", type=Path, action="append", default=[], metavar="AGENT.yaml",
        help="an agent's file: publish nothing that it would refuse; may be given several times",
    )  # fmt: skip
    publish.add_argument("--dry-run", action="store_true", help="check everything, sign and publish nothing")
    for name, text in (
        ("list", "the sets that the collector has"),
        ("status", "which agent took which set, or why not"),
    ):
        act(name, text, collector=True).add_argument("--json", action="store_true", help="as JSON")
    show = act("show", "print the text of a set", collector=True)
    show.add_argument("version", type=int, metavar="VERSION")


def run(arguments: argparse.Namespace) -> int:
    acts: Mapping[str, Callable[[argparse.Namespace], int]] = {
        "keygen": _keygen,
        "key": _key,
        "publish": _publish,
        "list": _list,
        "show": _show,
        "status": _status,
    }
    try:
        return acts[arguments.act](arguments)
    except (ConfigError, KeyFileError, CheckSetError) as error:
        complain(error)
        return BAD_CONFIG
    except CollectorError as error:
        print(f"outrider checks: {error}", file=sys.stderr)
        return BAD_CONFIG if error.refused else FAILED


def _keygen(arguments: argparse.Namespace) -> int:
    if arguments.key.exists():
        raise KeyFileError(f"{arguments.key} is there already; `outrider checks key` prints its public half")
    print(public_pem(private_key(arguments.key)).decode(), end="")
    return PASS


def _key(arguments: argparse.Namespace) -> int:
    print(public_pem(_private(arguments.key)).decode(), end="")
    return PASS


def _private(path: Path) -> Any:
    if not path.exists():
        raise KeyFileError(f"there is no key {path}; `outrider checks keygen` makes one")
    return private_key(path)


# --- publishing ------------------------------------------------------------------------------------------------------


def _publish(arguments: argparse.Namespace) -> int:
    agents = [load_agent(path) for path in arguments.against]
    folders = [folder for agent in agents if agent.granted is not None for folder in agent.granted.scenario_dirs]
    loaded = read_offline(arguments.file, folders)
    key = _private(arguments.key)
    counter = arguments.key.with_name(f"{arguments.key.name}.version")
    version = _next_version(counter) if arguments.version is None else arguments.version
    if not 1 <= version <= HIGHEST_VERSION:
        raise CheckSetError(f"{version} is no version of a check set: 1 to {HIGHEST_VERSION}")
    signed = sign(version, loaded.located.text, key_hex(key.public_key()), key.sign)
    if refused := _refusals(agents, signed, arguments.file):
        for each in refused:
            complain(each)
        return BAD_CONFIG
    if arguments.dry_run:
        print(f"{arguments.file} is right; it would be version {version}")
        return PASS
    _note_version(counter, version)
    made = run_on_loop(send_text(endpoint(arguments), _PATH, encode(signed)))
    print(f"published as version {made['version']}, for {_audience(made)}")
    return PASS


def _refusals(agents: list[AgentConfig], signed: SignedSet, file: Path) -> list[str]:
    found = []
    for agent in agents:
        try:
            extended(agent, signed)
        except SetRefusedError as error:
            if error.reason != "audience":
                words = str(error).replace(f"check set {signed.version}:", f"{file}:", 1)
                found.append(f"{words} [agent {agent.name}: {error.reason}]")
    return found


def _next_version(counter: Path) -> int:
    try:
        return int(counter.read_text(encoding="ascii")) + 1
    except FileNotFoundError:
        return 1
    except (OSError, ValueError) as error:
        raise CheckSetError(f"{counter} does not say which version was signed last: {error}; say --version") from None


def _note_version(counter: Path, version: int) -> None:
    """Before anything leaves this machine. A lower one, which was asked for, lowers nothing here."""
    draft = counter.with_name(f"{counter.name}.new")
    try:
        last = _next_version(counter) - 1 if counter.exists() else 0
    except CheckSetError:
        last = 0
    try:
        with draft.open("w", encoding="ascii") as file:
            file.write(f"{max(last, version)}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(counter)
    except OSError as error:
        raise CheckSetError(f"{counter} cannot be written: {error.strerror}") from None


# --- looking ---------------------------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    answer = run_on_loop(ask(endpoint(arguments), _PATH))
    if arguments.json:
        return _json(answer)
    for each in answer["check_sets"]:
        print(f"{each['version']:>6}  {each['published_at']}  key {each['key'][:16]}...  for {_audience(each)}")
    if not answer["check_sets"]:
        print("no check set was published; `outrider checks publish FILE` does")
    return PASS


def _show(arguments: argparse.Namespace) -> int:
    signed = decode(run_on_loop(ask_for_text(endpoint(arguments), f"{_PATH}/{arguments.version}")))
    if signed.version != arguments.version or not is_signed(signed):
        print(f"outrider checks: the collector's version {arguments.version} is not as it was signed", file=sys.stderr)
        return FAILED
    lines = (printable(line) for line in signed.text.splitlines())
    print(f"# version {signed.version}, signed by {signed.key}", *lines, sep="\n")
    return PASS


def _status(arguments: argparse.Namespace) -> int:
    answer = run_on_loop(ask(endpoint(arguments), "/v1/status")).get("check_sets", {"agents": [], "newest": 0})
    if arguments.json:
        return _json(answer)
    for each in answer["agents"]:
        print(_line_of(each))
    if not answer["agents"]:
        print("no agent has spoken of check sets; those that take some have check_sets in their file")
    return FAILED if any(each["reason"] for each in answer["agents"]) else PASS


def _line_of(each: Mapping[str, Any]) -> str:
    has = f"version {each['version']}" if each["version"] else "none"
    line = f"{each['agent']:<16} {each['region']:<12} {has} of {each['offered']}, told {each['told_at']}"
    if not each["reason"]:
        return printable(line)
    which = f"version {each['refused']}" if each["refused"] else "what it was sent"
    return printable(f"{line}; refused {which} ({each['reason']}): {each['detail']}")


def _audience(each: Mapping[str, Any]) -> str:
    return printable(f"agents {', '.join(each['agents'])} in regions {', '.join(each['regions'])}")


def _json(answer: Any) -> int:
    print(msgspec.json.format(msgspec.json.encode(answer, order="deterministic"), indent=1).decode())
    return PASS
