"""What an operator does to the registers, once: over HTTP, and by a command beside the file.

`ACTS` has one row for each: method, path, the body it takes, and what does it. The answers are plain values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from outrider.clock import Clock
from outrider.core.units import Instant, format_instant, parse_duration
from outrider_collector.access import AccessError, By, Role
from outrider_collector.access.agents import AgentRegister
from outrider_collector.access.database import AccessDatabase
from outrider_collector.access.passwords import Passwords
from outrider_collector.access.people import PeopleRegister

Plain = dict[str, Any]
DEEDS = 1000


class TokenWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An enrolment token. Without a region the agent may speak for any."""

    agent: str
    region: str = ""
    ttl: str = "1h"


class AgentNamed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One agent."""

    agent: str


class PersonWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody new."""

    name: str
    role: Role
    password: str | None = None


class PasswordWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password."""

    name: str
    password: str


class PersonNamed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person."""

    name: str


class ApiTokenWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API token. Without a role it may do what its person may."""

    name: str
    role: Role | None = None
    ttl: str = "90d"


class KeyNamed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One API token, by its key."""

    key: str


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No body."""


def access_path(store: Path) -> Path:
    """The register's file, beside the store."""
    return store.with_suffix(".access.sqlite")


class Registers:
    """The registers of one file. Raises StoreFailedError where it cannot be opened."""

    def __init__(self, path: Path, clock: Clock, passwords: Passwords | None = None) -> None:
        self.database = AccessDatabase(path, clock)
        self.agents = AgentRegister(self.database)
        self.people = PeopleRegister(self.database, passwords or Passwords())

    def close(self) -> None:
        self.database.close()


@dataclass(frozen=True, slots=True)
class Act:
    """One row: where it is over HTTP, what it takes, and what does it (and blocks)."""

    method: str
    path: str
    takes: type[msgspec.Struct]
    do: Callable[[Registers, Any, By], Plain]


def _issue_token(registers: Registers, wanted: TokenWanted, by: By) -> Plain:
    token, expires = registers.agents.issue_token(wanted.agent, wanted.region, _ttl(wanted.ttl), by)
    return {"agent": wanted.agent, "token": token, "expires_at": format_instant(expires)}


def _agents(registers: Registers, _: Nothing, __: By) -> Plain:
    return {
        "credentials": [
            {
                "agent": each.agent,
                "region": each.region,
                "key": each.key,
                "created_at": format_instant(each.created),
                "last_used_at": _when(each.last_used),
                "revoked_at": _when(each.revoked_at),
            }
            for each in registers.agents.all()
        ]
    }


def _revoke(registers: Registers, named: AgentNamed, by: By) -> Plain:
    return {"agent": named.agent, "ended": registers.agents.revoke(named.agent, by)}


def _people(registers: Registers, _: Nothing, __: By) -> Plain:
    return {
        "people": [
            {
                "name": each.name,
                "role": each.role,
                "has_password": each.has_password,
                "disabled_at": _when(each.disabled_at),
                "tokens": list(each.tokens),
            }
            for each in registers.people.all()
        ]
    }


def _add(registers: Registers, wanted: PersonWanted, by: By) -> Plain:
    registers.people.add(wanted.name, wanted.role, wanted.password, by)
    return {"name": wanted.name, "role": wanted.role}


def _set_password(registers: Registers, wanted: PasswordWanted, by: By) -> Plain:
    registers.people.set_password(wanted.name, wanted.password, by)
    return {"name": wanted.name}


def _disable(registers: Registers, named: PersonNamed, by: By) -> Plain:
    registers.people.disable(named.name, by)
    return {"name": named.name}


def _enable(registers: Registers, named: PersonNamed, by: By) -> Plain:
    registers.people.enable(named.name, by)
    return {"name": named.name}


def _issue_api_token(registers: Registers, wanted: ApiTokenWanted, by: By) -> Plain:
    token, key, expires = registers.people.issue_token(wanted.name, wanted.role, _ttl(wanted.ttl), by)
    return {"name": wanted.name, "key": key, "token": token, "expires_at": format_instant(expires)}


def _revoke_api_token(registers: Registers, named: KeyNamed, by: By) -> Plain:
    registers.people.revoke_token(named.key, by)
    return {"key": named.key}


def _audit(registers: Registers, _: Nothing, __: By) -> Plain:
    return {
        "deeds": [
            {"number": each.number, "at": format_instant(each.at), "who": each.who, "address": each.address,
             "act": each.act, "about": each.about}
            for each in registers.database.deeds(DEEDS)
        ]
    }  # fmt: skip


ACTS: dict[str, Act] = {
    "enrolment token": Act("POST", "/v1/enroll/tokens", TokenWanted, _issue_token),
    "agents": Act("GET", "/v1/enroll/agents", Nothing, _agents),
    "revoke agent": Act("POST", "/v1/enroll/revocations", AgentNamed, _revoke),
    "people": Act("GET", "/v1/people", Nothing, _people),
    "add": Act("POST", "/v1/people", PersonWanted, _add),
    "password": Act("POST", "/v1/people/passwords", PasswordWanted, _set_password),
    "disable": Act("POST", "/v1/people/disabled", PersonNamed, _disable),
    "enable": Act("POST", "/v1/people/enabled", PersonNamed, _enable),
    "api token": Act("POST", "/v1/people/tokens", ApiTokenWanted, _issue_api_token),
    "revoke token": Act("POST", "/v1/people/revocations", KeyNamed, _revoke_api_token),
    "audit": Act("GET", "/v1/audit", Nothing, _audit),
}


def perform(registers: Registers, act: Act, body: bytes, by: By) -> Plain:
    """Do an act with the body of a request. Blocks. Raises AccessError, UnknownError and StoreFailedError."""
    try:
        wanted = msgspec.json.decode(body or b"{}", type=act.takes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AccessError(str(error)) from None
    return act.do(registers, wanted, by)


def _ttl(text: str) -> int:
    try:
        return parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise AccessError(str(error), "ttl") from None


def _when(instant: Instant | None) -> str | None:
    return None if instant is None else format_instant(instant)
