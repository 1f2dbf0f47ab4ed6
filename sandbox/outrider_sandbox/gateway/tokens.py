"""Tokens: a card that was given once, under a name that is worth nothing elsewhere.

Rules
-----
1. A token is good for one payment, made or declined; a repeat of that request under its idempotency key is answered
   from memory. A request that was refused before anything was decided does not use it up.
2. It keeps what the gateway keeps of any card: the first six and last four digits, how the card answers, and the
   result of its security code. So nothing else can be got back from it.
3. It belongs to one start of the sandbox. The oldest are forgotten past `keep`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from outrider.core.units import format_instant, from_datetime
from outrider_sandbox.answers import Refusal
from outrider_sandbox.cards import Card


@dataclass(frozen=True, slots=True)
class Token:
    """A card that is kept for one payment; `cvv` is the result of its security code."""

    id: str
    card: Card
    cvv: str
    created: datetime
    used: bool = False

    def view(self) -> dict[str, object]:
        """As JSON."""
        return {
            "id": self.id,
            "card": self.card.view(),
            "used": self.used,
            "created": format_instant(from_datetime(self.created)),
        }


class Tokens:
    """All tokens of one start; `prefix` must differ from start to start."""

    def __init__(self, now: Callable[[], datetime], *, prefix: str, keep: int) -> None:
        self._now = now
        self._prefix = prefix
        self._keep = keep
        self._made = 0
        self._tokens: OrderedDict[str, Token] = OrderedDict()

    def make(self, card: Card, cvv: str) -> Token:
        self._made += 1
        token = Token(f"tok_{self._prefix}{self._made:08d}", card, cvv, self._now())
        self._tokens[token.id] = token
        if len(self._tokens) > self._keep:
            self._tokens.popitem(last=False)
        return token

    def get(self, identifier: str) -> Token:
        """Raises Refusal (404) when there is no such token."""
        if token := self._tokens.get(identifier):
            return token
        raise Refusal(404, "no_such_token", "there is no token of this id")

    def use(self, identifier: str) -> Token:
        """A token that a payment names, which is used up by that. Raises Refusal (400) when it is unknown or used."""
        token = self._tokens.get(identifier)
        if token is None:
            raise Refusal(400, "no_such_token", "token: there is no token of this id", field="token")
        if token.used:
            raise Refusal(400, "token_used", "token: it was used for another payment", field="token")
        self._tokens[identifier] = replace(token, used=True)
        return token
