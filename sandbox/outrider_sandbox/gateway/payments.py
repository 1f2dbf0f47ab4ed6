"""A payment by card as a value: where it stands, what was done with it, and what is shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from outrider.core.units import format_instant, from_datetime
from outrider_sandbox.cards import Card


class State(StrEnum):
    """Where a payment stands; the "status" of the interface."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Order:
    """What a client asks to be authorized or sold. `amount` is in minor units; `avs` and `cvv` are what the issuer said
    about the address and the security code."""

    kind: str
    amount: int
    currency: str
    reference: str
    card: Card
    avs: str
    cvv: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that was done to a payment after it was made."""

    kind: str
    amount: int
    reference: str
    at: datetime

    def view(self) -> dict[str, object]:
        """As JSON."""
        return {"kind": self.kind, "amount": self.amount, "reference": self.reference, "created": instant(self.at)}


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment as the book has it now."""

    id: str
    order: Order
    state: State
    created: datetime
    captured_at: datetime | None = None
    captured: int = 0
    refunded: int = 0
    decline: str = ""
    operations: tuple[Operation, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it holds a cardholder's money without an end: authorized, neither captured nor voided."""
        return self.state is State.AUTHORIZED

    @property
    def references(self) -> tuple[str, ...]:
        """Every reference that was used with it, each once."""
        return tuple(dict.fromkeys((self.order.reference, *(done.reference for done in self.operations))))

    def after(self, done: Operation, state: State) -> Payment:
        """The payment once this has been done to it."""
        return replace(self, state=state, operations=(*self.operations, done))

    def view(self) -> dict[str, object]:
        """As JSON; of the card the first six and last four digits only."""
        order = self.order
        return {
            "id": self.id,
            "kind": order.kind,
            "status": self.state.value,
            "amount": order.amount,
            "amount_captured": self.captured,
            "amount_refunded": self.refunded,
            "currency": order.currency,
            "reference": order.reference,
            "card": order.card.view(),
            "avs_result": order.avs,
            "cvv_result": order.cvv,
            "created": instant(self.created),
            "operations": [done.view() for done in self.operations],
            "metadata": dict(order.metadata),
            **({"decline_code": self.decline} if self.decline else {}),
        }


def instant(moment: datetime) -> str:
    """A moment as the gateway writes it."""
    return format_instant(from_datetime(moment))
