"""The switch's book: card authorizations, and what became of them. No I/O; the time is an argument.

Rules
-----
1. An authorization is one by trace number, transmission time and terminal: the same message again is answered as
   before, and nothing is done twice.
2. A reversal gives back an authorization, once; the same reversal again is confirmed again.
3. A reversal of what was never seen finds nothing. Should the authorization come after it, it is declined: whoever was
   told that there is nothing to reverse can rely on it.
4. Of a card the first six and last four digits are kept.
5. The book is bounded; the oldest authorization that is not open is dropped first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from outrider.core.units import format_instant, from_datetime
from outrider_sandbox.cards import Card


@dataclass(frozen=True, slots=True)
class Key:
    """What makes a message one of its kind. `time` is the transmission time (1987) or the local time (1993)."""

    stan: str
    time: str
    terminal: str


class State(StrEnum):
    """Where an authorization stands."""

    OPEN = "open"
    REVERSED = "reversed"
    DECLINED = "declined"


class Found(StrEnum):
    """What a reversal came upon."""

    REVERSED = "reversed"
    NOTHING = "nothing"
    OTHER_AMOUNT = "other_amount"


@dataclass(frozen=True, slots=True)
class Authorization:
    """One authorization. `amount` is in minor units, `currency` an ISO 4217 number; `answer` holds the fields that the
    switch added, so that a repeat gets the same."""

    key: Key
    card: Card | None
    amount: int
    currency: str
    state: State
    created: datetime
    answer: Mapping[int, str] = field(default_factory=dict)

    def view(self) -> dict[str, object]:
        """As JSON; of the card the first six and last four digits only."""
        return {
            "stan": self.key.stan,
            "time": self.key.time,
            "terminal": self.key.terminal,
            "state": self.state.value,
            "amount": self.amount,
            "currency": self.currency,
            "card": None if self.card is None else {"first6": self.card.first6, "last4": self.card.last4},
            "created": format_instant(from_datetime(self.created)),
        }


class Authorizations:
    """All of them, and the reversals that found nothing; `keep` bounds each."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._by_key: OrderedDict[Key, Authorization] = OrderedDict()
        self._reversed_unseen: OrderedDict[Key, None] = OrderedDict()

    def get(self, key: Key) -> Authorization | None:
        return self._by_key.get(key)

    def was_reversed_unseen(self, key: Key) -> bool:
        """Whether a reversal came before the authorization (rule 3)."""
        return key in self._reversed_unseen

    def enter(self, authorization: Authorization) -> None:
        self._by_key[authorization.key] = authorization
        if len(self._by_key) > self._keep:
            closed = (key for key, each in self._by_key.items() if each.state is not State.OPEN)
            del self._by_key[next(closed, next(iter(self._by_key)))]

    def reverse(self, key: Key, amount: int) -> Found:
        authorization = self._by_key.get(key)
        if authorization is None:
            self._reversed_unseen[key] = None
            if len(self._reversed_unseen) > self._keep:
                self._reversed_unseen.popitem(last=False)
            return Found.NOTHING
        if authorization.state is State.DECLINED:
            return Found.NOTHING
        if amount != authorization.amount:
            return Found.OTHER_AMOUNT
        self._by_key[key] = replace(authorization, state=State.REVERSED)
        return Found.REVERSED

    def listed(self, *, only_open: bool) -> Iterator[Authorization]:
        """The oldest first."""
        return (each for each in self._by_key.values() if each.state is State.OPEN or not only_open)
