"""Who may do what at the collector.

Rules
-----
1. Every route has one row in `routes.TABLE`; one without a row lets nobody in.
2. Secrets of ours have 256 random bits and are kept as SHA-256: there is nothing to guess, so nothing to stretch.
   Passwords are kept by argon2id, and an unknown name takes the same work as a wrong password.
3. An agent speaks for itself and for nobody else; a person may do what the smaller of two roles says, the person's and
   the token's.
4. Whatever is taken back counts from the next request on: nothing is remembered beside the register.
5. What was done by whom stays: the audit log only grows. What strangers try in vain is counted, not kept.
6. A browser changes something only from a page of ours, with that session's token.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from outrider.core.units import Instant


class Wants(StrEnum):
    """Whom a route is for."""

    ANYONE = "anyone"
    ENROLMENT = "enrolment token"
    AGENT = "agent"
    VIEWER = "viewer"
    OPERATOR = "operator"


class Role(StrEnum):
    """What a person may do: look, or also announce, seal and let others in."""

    VIEWER = "viewer"
    OPERATOR = "operator"

    def meets(self, wants: Wants) -> bool:
        return wants is Wants.VIEWER or (wants is Wants.OPERATOR and self is Role.OPERATOR)

    def at_most(self, other: Role) -> Role:
        return self if other is Role.OPERATOR else other


@dataclass(frozen=True, slots=True)
class Agent:
    """Who holds a credential. Without a region it may speak for any."""

    name: str
    region: str
    key: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who holds an API token or a session; `session` is its token, for a page's forms."""

    name: str
    role: Role
    session: str = ""


@dataclass(frozen=True, slots=True)
class By:
    """Who did something, and from which address."""

    who: str
    address: str


@dataclass(frozen=True, slots=True)
class Deed:
    """A line of the audit log."""

    number: int
    at: Instant
    who: str
    address: str
    act: str
    about: str


class AccessError(ValueError):
    """What cannot be done; the message says why, `field` what of it. Nothing was changed."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class UnknownError(AccessError):
    """There is nobody and nothing of that name."""
