"""Passwords: argon2id as RFC 9106 recommends it where memory is short (64 MiB, 3 passes), and no rule but length."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from outrider_collector.access import AccessError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 12
LONGEST = 512
_FEWEST_CHARACTERS = 4


class Passwords:
    """Blocks, by design. The library is loaded at the first use."""

    def __init__(self, memory_kib: int = 65536) -> None:
        self._memory_kib = memory_kib
        self._made: PasswordHasher | None = None
        self._nobodys = ""

    def hashed(self, password: str) -> str:
        """What is kept of a password."""
        return self._hasher().hash(password)

    def is_right(self, kept: str | None, password: str) -> bool:
        """Whether this is the password. For nobody's (None) it does the same work, and says no."""
        from argon2.exceptions import InvalidHashError, VerificationError

        hasher = self._hasher()
        if not self._nobodys:
            self._nobodys = hasher.hash(secrets.token_urlsafe())
        try:
            return hasher.verify(kept or self._nobodys, password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False

    def _hasher(self) -> PasswordHasher:
        if self._made is None:
            from argon2 import PasswordHasher

            self._made = PasswordHasher(memory_cost=self._memory_kib)
        return self._made


def refuse_weak(name: str, password: str) -> None:
    """Raises AccessError for what is guessed first."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccessError(f"has {SHORTEST} to {LONGEST} characters", "password")
    if len(set(password)) < _FEWEST_CHARACTERS or password.casefold() == name.casefold():
        raise AccessError("is guessed at once; take another", "password")
