"""The bank accounts that the gateway knows: published test numbers, and how a debit of each ends.

Rules
-----
1. Only these numbers are accepted. Another one is declined with `invalid_account` and forgotten.
2. A full account number never leaves this module: what is kept and shown is the routing number, which is public, the
   last four digits and the type. The holder's name is not kept at all.

Sources: Stripe, docs.stripe.com/testing (account numbers by what becomes of the debit); Nacha Operating Rules, appendix
four (return reason codes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ROUTING_NUMBERS = frozenset(("110000000",))
TYPES = ("checking", "savings")

_SETTLES = ""
_RETURNS: Mapping[str, str] = {
    "000123456789": _SETTLES,
    "000222222227": "R01",
    "000111111113": "R02",
    "000111111116": "R03",
    "000333333335": "R10",
}
REASONS: Mapping[str, str] = {
    "R01": "insufficient funds",
    "R02": "account closed",
    "R03": "no account, or unable to locate it",
    "R10": "the customer says that the debit was not authorized",
}


@dataclass(frozen=True, slots=True)
class AccountGiven:
    """An account as the client gave it. It lives only as long as the request, and its repr hides the number."""

    routing_number: str
    account_number: str = field(repr=False)
    type: str


@dataclass(frozen=True, slots=True)
class Account:
    """What may be kept of an account, and the return that a debit of it ends with ("" where it settles)."""

    routing_number: str
    last4: str
    type: str
    returns: str

    def view(self) -> dict[str, object]:
        """As JSON: all that is ever shown of an account."""
        return {"routing_number": self.routing_number, "last4": self.last4, "type": self.type}


def look_up(given: AccountGiven) -> Account | None:
    """The account of these numbers, or None when they are not published for tests."""
    returns = _RETURNS.get(given.account_number)
    if returns is None or given.routing_number not in ROUTING_NUMBERS:
        return None
    return Account(given.routing_number, given.account_number[-4:], given.type, returns)


def holds_a_number(text: str) -> bool:
    """Whether a text that would be kept holds one of the account numbers, spaced or not."""
    digits = text.replace(" ", "").replace("-", "")
    return any(number in digits for number in _RETURNS)
