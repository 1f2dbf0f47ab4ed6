"""Secrets that we make: their kinds, their making, and what is kept of them."""

from __future__ import annotations

import hashlib
import secrets
from enum import StrEnum

_BYTES = 32
LONGEST = 200


class Kind(StrEnum):
    """The beginning of a secret, which says what it is for: to people, and to whatever searches files for secrets."""

    ENROLMENT = "ore"
    AGENT = "ora"
    PERSON = "orp"
    SESSION = "ors"


def new_token(kind: Kind) -> str:
    """256 bits from the system's generator, in letters that a header and a cookie carry."""
    return f"{kind}_{secrets.token_urlsafe(_BYTES)}"


def new_key() -> str:
    """The name of a secret, which is none."""
    return secrets.token_hex(4)


def kind_of(token: str) -> Kind | None:
    """What a secret claims to be."""
    if len(token) > LONGEST or not token.isascii():
        return None
    beginning = token.partition("_")[0]
    return next((kind for kind in Kind if kind == beginning), None)


def fingerprint(token: str) -> bytes:
    """What is kept of a secret. It is looked up by this: how long that takes says nothing about the secret."""
    return hashlib.sha256(token.encode()).digest()


def form_token(session: str) -> str:
    """What a form of this session has to bring back (CSRF); it does not tell the session's own token."""
    return hashlib.sha256(f"form:{session}".encode()).hexdigest()
