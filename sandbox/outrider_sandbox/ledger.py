"""The gateway's book: payments and what may be done with them. No I/O; the time is an argument.

Rules
-----
1. An authorization can be captured once, for its amount or less; what is not captured is released.
2. A void undoes an authorization, or a capture of which nothing was refunded, until it is settled. A second
   void is a conflict.
3. A refund takes back what was captured, in one or more parts, never more than is left.
4. A declined payment stays in the book, so that an inquiry finds it, and nothing can be done with it.
5. The book holds a bounded number of payments. The oldest that is not an open authorization is dropped first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from outrider.core.units import format_instant, from_datetime
from outrider_sandbox.answers import Refusal
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
    """What a client asks to be authorized or sold. `amount` is in minor units."""

    kind: str
    amount: int
    currency: str
    reference: str
    card: Card
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that was done to a payment after it was made."""

    kind: str
    amount: int
    reference: str
    at: datetime


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
            "card": {"first6": order.card.first6, "last4": order.card.last4},
            "created": _text(self.created),
            "operations": [
                {"kind": done.kind, "amount": done.amount, "reference": done.reference, "created": _text(done.at)}
                for done in self.operations
            ],
            "metadata": dict(order.metadata),
            **({"decline_code": self.decline} if self.decline else {}),
        }


class Ledger:
    """All payments. `prefix` must differ from start to start, so that no identifier ever comes back."""

    def __init__(self, now: Callable[[], datetime], *, prefix: str, settlement: timedelta, keep: int) -> None:
        self._now = now
        self._prefix = prefix
        self._settlement = settlement
        self._keep = keep
        self._made = 0
        self._payments: OrderedDict[str, Payment] = OrderedDict()
        self._open: dict[str, None] = {}
        self._by_reference: dict[str, dict[str, None]] = {}

    def open(self, order: Order, decline: str) -> Payment:
        """Enter an authorization or a sale, or its decline."""
        self._made += 1
        now, sold = self._now(), order.kind == "sale" and not decline
        state = State.DECLINED if decline else State.CAPTURED if sold else State.AUTHORIZED
        payment = Payment(f"pay_{self._prefix}{self._made:08d}", order, state, now, decline=decline)
        if sold:
            payment = replace(payment, captured_at=now, captured=order.amount)
        self._enter(payment)
        self._drop_oldest()
        return payment

    def get(self, identifier: str) -> Payment:
        """Raises Refusal (404) when there is no such payment."""
        payment = self._payments.get(identifier)
        if payment is None:
            raise Refusal(404, "no_such_payment", "there is no payment of this id")
        return payment

    def find(self, *, reference: str | None, state: State | None, open_only: bool) -> list[Payment]:
        """The payments that meet all conditions, oldest first."""
        found: Iterable[str] = self._payments if reference is None else self._by_reference.get(reference, {})
        if open_only:
            found = self._open if reference is None else (name for name in found if name in self._open)
        payments = (self._payments[name] for name in found)
        return [payment for payment in payments if state in (None, payment.state)]

    def capture(self, identifier: str, amount: int | None, reference: str) -> Payment:
        payment = self.get(identifier)
        if payment.state is not State.AUTHORIZED:
            raise _conflict("not_capturable", f"a payment that is {payment.state} cannot be captured")
        taken = payment.order.amount if amount is None else amount
        if taken > payment.order.amount:
            raise Refusal(400, "amount_too_large", f"{taken} is more than the {payment.order.amount} authorized")
        now = self._now()
        done = Operation("capture", taken, reference, now)
        return self._enter(replace(payment.after(done, State.CAPTURED), captured=taken, captured_at=now))

    def void(self, identifier: str, reference: str) -> Payment:
        payment = self.get(identifier)
        if payment.state is State.VOIDED:
            raise _conflict("already_voided", "the payment is voided already")
        if payment.state not in (State.AUTHORIZED, State.CAPTURED):
            raise _conflict("not_voidable", f"a payment that is {payment.state} cannot be voided")
        now = self._now()
        if payment.captured_at is not None and now - payment.captured_at >= self._settlement:
            raise _conflict("already_settled", "the payment is settled; refund it instead")
        done = Operation("void", payment.captured or payment.order.amount, reference, now)
        return self._enter(payment.after(done, State.VOIDED))

    def refund(self, identifier: str, amount: int | None, reference: str) -> Payment:
        payment = self.get(identifier)
        if payment.state not in (State.CAPTURED, State.PARTIALLY_REFUNDED, State.REFUNDED):
            raise _conflict("not_refundable", f"a payment that is {payment.state} cannot be refunded")
        left = payment.captured - payment.refunded
        back = left if amount is None else amount
        if not 0 < back <= left:
            raise Refusal(400, "amount_too_large", f"no more than {left} is left to refund")
        refunded = payment.refunded + back
        state = State.REFUNDED if refunded == payment.captured else State.PARTIALLY_REFUNDED
        done = Operation("refund", back, reference, self._now())
        return self._enter(replace(payment.after(done, state), refunded=refunded))

    def _enter(self, payment: Payment) -> Payment:
        self._payments[payment.id] = payment
        if payment.is_open:
            self._open[payment.id] = None
        else:
            self._open.pop(payment.id, None)
        for reference in payment.references:
            self._by_reference.setdefault(reference, {})[payment.id] = None
        return payment

    def _drop_oldest(self) -> None:
        while len(self._payments) > self._keep:
            oldest = next((name for name in self._payments if name not in self._open), next(iter(self._payments)))
            payment = self._payments.pop(oldest)
            self._open.pop(oldest, None)
            for reference in payment.references:
                self._by_reference[reference].pop(oldest)
                if not self._by_reference[reference]:
                    del self._by_reference[reference]


def _conflict(code: str, message: str) -> Refusal:
    return Refusal(409, code, message)


def _text(moment: datetime) -> str:
    return format_instant(from_datetime(moment))
