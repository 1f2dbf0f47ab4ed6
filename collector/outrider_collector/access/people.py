"""People's side of the register: names with roles, API tokens for commands, sessions for the page.

Rules
-----
1. A name that was given stays: whoever is disabled can be enabled again, and nobody else gets that name.
2. Disabling somebody, or another password, ends every session; disabling ends the API tokens too, for good.
3. A session ends `IDLE` after its last use and `ABSOLUTE` after it began, whichever comes first.
4. What a token may do is decided when it is used: never more than its person may then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Duration, Instant
from outrider_collector.access import AccessError, By, Person, Role, UnknownError
from outrider_collector.access.database import AccessDatabase
from outrider_collector.access.passwords import Passwords, refuse_weak
from outrider_collector.access.tokens import Kind, fingerprint, new_key, new_token

IDLE: Duration = 30 * MINUTE
ABSOLUTE: Duration = 12 * HOUR
LONGEST_TTL: Duration = 400 * DAY
NOTED_EVERY: Duration = MINUTE
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")


@dataclass(frozen=True, slots=True)
class Known:
    """A person as the register knows them; `tokens` are the keys of API tokens that are good now."""

    name: str
    role: Role
    has_password: bool
    disabled_at: Instant | None
    tokens: tuple[str, ...]


class PeopleRegister:
    """Raises AccessError for what cannot be done, StoreFailedError where the file fails."""

    def __init__(self, database: AccessDatabase, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    # --- people --------------------------------------------------------------------------------------------------

    def add(self, name: str, role: Role, password: str | None, by: By) -> None:
        """Somebody new. Without a password they cannot sign in at the page, but have API tokens."""
        if not _NAME.fullmatch(name):
            raise AccessError("has up to 100 letters, digits, or . _ @ -, and begins with a letter or digit", "name")
        kept = self._kept(name, password)
        with self._database.writing():
            if self._database.ask("SELECT 1 FROM people WHERE lower(name) = lower(?)", name):
                raise AccessError(f"there is a {name!r} already", "name")
            self._database.ask(
                "INSERT INTO people (name, role, password, created) VALUES (?, ?, ?, ?)",
                name, role, kept, self._database.now(),
            )  # fmt: skip
            self._database.note(by, "person added", f"{name} as {role}")

    def set_password(self, name: str, password: str, by: By) -> None:
        """Another password; ends every session (rule 2)."""
        kept = self._kept(name, password)
        with self._database.writing():
            self._change(name, "password = ?", kept)
            self._database.ask("DELETE FROM sessions WHERE name = ?", name)
            self._database.note(by, "password set", name)

    def disable(self, name: str, by: By) -> None:
        """Let somebody in no more (rule 2)."""
        now = self._database.now()
        with self._database.writing():
            self._change(name, "disabled_at = coalesce(disabled_at, ?)", now)
            self._database.ask("DELETE FROM sessions WHERE name = ?", name)
            self._database.ask("UPDATE tokens SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL", now, name)
            self._database.note(by, "person disabled", name)

    def enable(self, name: str, by: By) -> None:
        """Let somebody in again, by password; tokens are made anew."""
        with self._database.writing():
            self._change(name, "disabled_at = ?", None)
            self._database.note(by, "person enabled", name)

    def all(self) -> list[Known]:
        """Everybody, by name."""
        now = self._database.now()
        with self._database.reading():
            tokens = self._database.ask(
                "SELECT name, key FROM tokens WHERE revoked_at IS NULL AND expires > ? ORDER BY created, key", now
            )
            rows = self._database.ask("SELECT name, role, password IS NOT NULL, disabled_at FROM people ORDER BY name")
        return [
            Known(name, Role(role), bool(has), disabled, tuple(key for owner, key in tokens if owner == name))
            for name, role, has, disabled in rows
        ]

    # --- API tokens ----------------------------------------------------------------------------------------------

    def issue_token(self, name: str, role: Role | None, ttl: Duration, by: By) -> tuple[str, str, Instant]:
        """An API token, its key, and when it ends. Without a role it may do what its person may."""
        if not SECOND <= ttl <= LONGEST_TTL:
            raise AccessError(f"a token lives from a second to {LONGEST_TTL // DAY} days", "ttl")
        token, key, now = new_token(Kind.PERSON), new_key(), self._database.now()
        with self._database.writing():
            found = self._database.ask("SELECT role FROM people WHERE name = ? AND disabled_at IS NULL", name)
            if not found:
                raise UnknownError(f"there is no {name!r}, or they are disabled", "name")
            given = Role(found[0][0]) if role is None else role
            if given.at_most(Role(found[0][0])) is not given:
                raise AccessError(f"{name} is {found[0][0]}; a token cannot be more", "role")
            self._database.ask(
                "INSERT INTO tokens (key, hash, name, role, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
                key, fingerprint(token), name, given, now, now + ttl,
            )  # fmt: skip
            self._database.note(by, "API token issued", f"{name}, key {key}")
        return token, key, now + ttl

    def revoke_token(self, key: str, by: By) -> None:
        """End an API token by its key."""
        now = self._database.now()
        with self._database.writing():
            if not self._database.ask(
                "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE key = ? RETURNING key", now, key
            ):
                raise UnknownError(f"there is no API token {key!r}; `outrider people list` shows them", "key")
            self._database.note(by, "API token revoked", f"key {key}")

    def by_token(self, token: str) -> Person | None:
        """Who holds an API token, if it is good now."""
        now, kept = self._database.now(), fingerprint(token)
        with self._database.reading():
            found = self._database.ask(
                "SELECT people.name, people.role, tokens.role, tokens.last_used FROM tokens JOIN people USING (name) "
                "WHERE hash = ? AND revoked_at IS NULL AND expires > ? AND disabled_at IS NULL",
                kept, now,
            )  # fmt: skip
        if not found:
            return None
        name, role, tokens_role, last_used = found[0]
        if last_used is None or now - last_used >= NOTED_EVERY:
            with self._database.writing():
                self._database.ask("UPDATE tokens SET last_used = ? WHERE hash = ?", now, kept)
        return Person(name, Role(tokens_role).at_most(Role(role)))

    # --- sessions ------------------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, address: str, former: str = "") -> str | None:
        """A new session, in place of a former one; None where name and password do not belong together. Blocks."""
        with self._database.reading():
            found = self._database.ask("SELECT name, password FROM people WHERE name = ? AND disabled_at IS NULL", name)
        kept = found[0][1] if found else None
        is_right = self._passwords.is_right(kept, password)
        by, now = By(name if found else "somebody", address), self._database.now()
        with self._database.writing():
            if not is_right:
                self._database.note(by, "sign-in refused", name if found else "unknown name")
                return None
            # It may have been changed, or the person disabled, while we checked.
            if not self._database.ask(
                "SELECT 1 FROM people WHERE name = ? AND password = ? AND disabled_at IS NULL", name, kept
            ):
                return None
            session = new_token(Kind.SESSION)
            self._database.ask(
                "DELETE FROM sessions WHERE hash = ? OR expires <= ? OR last_used <= ?",
                fingerprint(former), now, now - IDLE,
            )  # fmt: skip
            self._database.ask(
                "INSERT INTO sessions (hash, name, created, last_used, expires) VALUES (?, ?, ?, ?, ?)",
                fingerprint(session), name, now, now, now + ABSOLUTE,
            )  # fmt: skip
            self._database.note(by, "signed in", "")
        return session

    def sign_out(self, person: Person, address: str) -> None:
        """End a session."""
        with self._database.writing():
            self._database.ask("DELETE FROM sessions WHERE hash = ?", fingerprint(person.session))
            self._database.note(By(person.name, address), "signed out", "")

    def by_session(self, session: str) -> Person | None:
        """Whose session this is, if it is good now (rule 3)."""
        now, kept = self._database.now(), fingerprint(session)
        with self._database.reading():
            found = self._database.ask(
                "SELECT name, role, last_used FROM sessions JOIN people USING (name) "
                "WHERE hash = ? AND expires > ? AND last_used > ? AND disabled_at IS NULL",
                kept, now, now - IDLE,
            )  # fmt: skip
        if not found:
            return None
        name, role, last_used = found[0]
        if now - last_used >= NOTED_EVERY:
            with self._database.writing():
                self._database.ask("UPDATE sessions SET last_used = ? WHERE hash = ?", now, kept)
        return Person(name, Role(role), session)

    def has_signed_in_from(self, name: str, address: str) -> bool:
        """Whether this person ever got in from this address."""
        with self._database.reading():
            return bool(
                self._database.ask(
                    "SELECT 1 FROM deeds WHERE act = 'signed in' AND who = ? AND address = ? LIMIT 1", name, address
                )
            )

    def _kept(self, name: str, password: str | None) -> str | None:
        if password is None:
            return None
        refuse_weak(name, password)
        return self._passwords.hashed(password)

    def _change(self, name: str, assignment: str, value: object) -> None:
        if not self._database.ask(f"UPDATE people SET {assignment} WHERE name = ? RETURNING name", value, name):
            raise UnknownError(f"there is nobody called {name!r}; `outrider people list` shows them", "name")
