"""Issued statements: what was handed to the other party, so that it can be told from whatever is made later.

Rules
-----
1. A statement is issued for a month, a week or a day that is over and settled, as revision 1, 2, ... of that period.
2. A revision is recorded whole or not at all, and is never changed and never removed. It keeps all that the statement
   was made from: instant, ledger position, terms (agreement, settling time, known expiries), versions of software and
   time-zone data; and the statement itself.
3. A new revision is due when the statement that is made now says something else than the newest one. Who issues again
   before that gets the newest one. What came in since and changed nothing is recorded as a confirmation.
4. Made again, a revision is the same bytes as when it was issued. Where it is not, that is said, with what may be why.
5. An agreement that comes into force after a period does not govern it: such a period is issued again under the terms
   that it was issued under.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from outrider.core.units import Instant, format_instant


@dataclass(frozen=True, slots=True)
class Revision:
    """One issued statement, without its text. `sha256` is over its canonical JSON (RFC 8785), `terms` canonical JSON
    too; `why` says why it had to replace the one before it, and is empty for the first."""

    period: str
    number: int
    start: Instant
    end: Instant
    as_of: Instant
    ledger: int
    verdict: str
    sha256: str
    terms: str
    terms_sha256: str
    software: str
    timezone_data: str
    author: str
    issued_at: Instant
    why: tuple[str, ...] = ()

    @property
    def sealed(self) -> dict[str, Any]:
        """Every field by name, as it goes into the evidence; instants in microseconds."""
        return {name: getattr(self, name) for name in self.__slots__} | {"why": list(self.why)}

    @property
    def plain(self) -> dict[str, Any]:
        """For JSON and for people: instants as RFC 3339, and the hash of the terms without their text."""
        instants = {name: format_instant(getattr(self, name)) for name in ("start", "end", "as_of", "issued_at")}
        return {name: value for name, value in self.sealed.items() if name != "terms"} | instants


@dataclass(frozen=True, slots=True)
class Confirmation:
    """That a revision still said the same as of a later instant, under terms with this hash."""

    as_of: Instant
    ledger: int
    terms_sha256: str
