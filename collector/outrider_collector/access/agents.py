"""Agents' side of the register: enrolment tokens and credentials.

Rules
-----
1. An enrolment token is good once, and until its end. What it is exchanged for is told once, to whoever brought it.
2. A new credential replaces the others of its agent when it is first used, not before: an agent that was cut off in
   the middle goes on with the one it has.
3. At most one credential of an agent waits for its first use: a newer one takes its place.
4. Revoking an agent ends its credentials and its unused enrolment tokens together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from outrider.core.units import DAY, MINUTE, SECOND, Duration, Instant
from outrider_collector.access import AccessError, Agent, By, UnknownError
from outrider_collector.access.database import AccessDatabase
from outrider_collector.access.tokens import Kind, fingerprint, new_key, new_token

LONGEST_NAME = 200
SHORTEST_TTL: Duration = SECOND
LONGEST_TTL: Duration = 30 * DAY
NOTED_EVERY: Duration = MINUTE
"""When a credential was last used is known to this: a write at each request would cost more than it tells."""

_GOOD = "revoked_at IS NULL AND (expires IS NULL OR expires > ?)"


@dataclass(frozen=True, slots=True)
class Issued:
    """A new credential; the only time that its secret is told."""

    agent: Agent
    credential: str


@dataclass(frozen=True, slots=True)
class Held:
    """A credential as the register knows it."""

    agent: str
    region: str
    key: str
    created: Instant
    last_used: Instant | None
    revoked_at: Instant | None


class AgentRegister:
    """Raises AccessError for what cannot be done, StoreFailedError where the file fails."""

    def __init__(self, database: AccessDatabase) -> None:
        self._database = database

    def issue_token(self, agent: str, region: str, ttl: Duration, by: By) -> tuple[str, Instant]:
        """A one-use enrolment token, and when it ends."""
        for field, name in (("agent", agent), ("region", region)):
            if len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
                raise AccessError(f"has at most {LONGEST_NAME} printable characters", field)
        if not agent:
            raise AccessError("name the agent, as its file does", "agent")
        if not SHORTEST_TTL <= ttl <= LONGEST_TTL:
            raise AccessError(f"a token lives from a second to {LONGEST_TTL // DAY} days", "ttl")
        token, now = new_token(Kind.ENROLMENT), self._database.now()
        with self._database.writing():
            self._database.ask(
                "INSERT INTO enrolments (hash, agent, region, issued_by, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
                fingerprint(token), agent, region, by.who, now, now + ttl,
            )  # fmt: skip
            self._database.note(by, "enrolment token issued", agent)
        return token, now + ttl

    def enrolled_by(self, token: str) -> str | None:
        """Which agent a token is for, if it could be exchanged now."""
        with self._database.reading():
            found = self._enrolment(token)
        return str(found[0][0]) if found else None

    def enrol(self, token: str, address: str) -> Issued | None:
        """Exchange a token for a credential; None where it was used, is late, or was never issued (rule 1)."""
        with self._database.writing():
            found = self._enrolment(token)
            if not found:
                return None
            ((agent, region),) = found
            self._database.ask(
                "UPDATE enrolments SET used_at = ?, used_from = ? WHERE hash = ?",
                self._database.now(), address, fingerprint(token),
            )  # fmt: skip
            return self._issue(agent, region, By(f"agent {agent}", address), "enrolled")

    def rotate(self, agent: Agent, address: str) -> Issued:
        """Another credential for the same agent (rule 2)."""
        with self._database.writing():
            return self._issue(agent.name, agent.region, By(f"agent {agent.name}", address), "credential rotated")

    def revoke(self, agent: str, by: By) -> int:
        """How many credentials and tokens ended (rule 4). Raises UnknownError for an agent that never had any."""
        now = self._database.now()
        with self._database.writing():
            if not self._database.ask(
                "SELECT 1 FROM credentials WHERE agent = ?1 UNION SELECT 1 FROM enrolments WHERE agent = ?1", agent
            ):
                raise UnknownError(f"there is no agent {agent!r}; `outrider enroll list` shows them", "agent")
            ended = self._database.ask(
                "UPDATE credentials SET revoked_at = ? WHERE agent = ? AND revoked_at IS NULL RETURNING key", now, agent
            )
            ended += self._database.ask(
                "UPDATE enrolments SET expires = ? WHERE agent = ? AND used_at IS NULL AND expires > ? RETURNING agent",
                now, agent, now,
            )  # fmt: skip
            self._database.note(by, "agent revoked", agent)
        return len(ended)

    def known(self, credential: str) -> Agent | None:
        """Who holds a credential, if it is good now. Its first use ends the others of its agent (rule 2)."""
        now = self._database.now()
        with self._database.reading():
            found = self._credential(credential, now)
        if not found:
            return None
        agent, region, key, first_used, last_used = found[0]
        if first_used is None or now - last_used >= NOTED_EVERY:
            with self._database.writing():
                if not self._credential(credential, now):
                    return None
                self._use(agent, key, now, is_first=first_used is None)
        return Agent(agent, region, key)

    def all(self) -> list[Held]:
        """Every credential, by agent, the newest first."""
        with self._database.reading():
            rows = self._database.ask(
                "SELECT agent, region, key, created, last_used, revoked_at FROM credentials "
                "ORDER BY agent, created DESC, key"
            )
        return [Held(*row) for row in rows]

    def _enrolment(self, token: str) -> list[Any]:
        return self._database.ask(
            "SELECT agent, region FROM enrolments WHERE hash = ? AND used_at IS NULL AND expires > ?",
            fingerprint(token), self._database.now(),
        )  # fmt: skip

    def _credential(self, credential: str, now: Instant) -> list[Any]:
        return self._database.ask(
            f"SELECT agent, region, key, first_used, last_used FROM credentials WHERE hash = ? AND {_GOOD}",
            fingerprint(credential), now,
        )  # fmt: skip

    def _issue(self, agent: str, region: str, by: By, act: str) -> Issued:
        credential, key, now = new_token(Kind.AGENT), new_key(), self._database.now()
        self._database.ask(
            "UPDATE credentials SET revoked_at = ? WHERE agent = ? AND revoked_at IS NULL AND first_used IS NULL",
            now, agent,
        )  # fmt: skip
        self._database.ask(
            "INSERT INTO credentials (key, hash, agent, region, created) VALUES (?, ?, ?, ?, ?)",
            key, fingerprint(credential), agent, region, now,
        )  # fmt: skip
        self._database.note(by, act, f"key {key}")
        return Issued(Agent(agent, region, key), credential)

    def _use(self, agent: str, key: str, now: Instant, *, is_first: bool) -> None:
        self._database.ask(
            "UPDATE credentials SET first_used = coalesce(first_used, ?), last_used = ? WHERE key = ?", now, now, key
        )
        if is_first:
            self._database.ask(
                "UPDATE credentials SET revoked_at = ? WHERE agent = ? AND key <> ? AND revoked_at IS NULL",
                now, agent, key,
            )  # fmt: skip
