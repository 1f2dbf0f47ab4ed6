"""The cards that the gateway knows: published test numbers, and what each of them is there for.

Rules
-----
1. Only these numbers are accepted. A number that is not here is declined with `invalid_number` and forgotten.
2. A full number never leaves this module: what is kept and shown is the first six and the last four digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

APPROVED = ""

# Published by card networks and gateways for tests; no account stands behind any of them.
_PURPOSE: Mapping[str, str] = {
    "4111111111111111": APPROVED,
    "4242424242424242": APPROVED,
    "5555555555554444": APPROVED,
    "5105105105105100": APPROVED,
    "378282246310005": APPROVED,
    "6011111111111117": APPROVED,
    "4000000000000002": "generic_decline",
    "4000000000009995": "insufficient_funds",
    "4000000000000069": "expired_card",
    "4000000000000127": "incorrect_cvc",
}


@dataclass(frozen=True, slots=True)
class Card:
    """What may be kept of a card, and the decline that the card itself leads to ("" for none)."""

    first6: str
    last4: str
    decline: str

    def view(self) -> dict[str, object]:
        """As JSON: all that is ever shown of a card."""
        return {"first6": self.first6, "last4": self.last4}


def look_up(number: str, exp_month: int, exp_year: int, today: date) -> Card | None:
    """The card of this number, or None when it is not a published test number. A past expiry declines."""
    purpose = _PURPOSE.get(number)
    if purpose is None:
        return None
    if not purpose and (exp_year, exp_month) < (today.year, today.month):
        purpose = "expired_card"
    return Card(number[:6], number[-4:], purpose)


def holds_a_number(text: str) -> bool:
    """Whether a text that would be kept holds one of the card numbers, spaced or not."""
    digits = text.replace(" ", "").replace("-", "")
    return any(number in digits for number in _PURPOSE)
