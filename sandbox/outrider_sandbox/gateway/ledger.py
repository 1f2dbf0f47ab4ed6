"""The gateway's book: payments and what may be done with them. No I/O; the time is an argument.

Rules
-----
1. An authorization can be captured once, for its amount or less; what is not captured is released.
2. A void undoes an authorization, or a capture of which nothing was refunded, until it is settled. A second
   void is a conflict.
3. A refund takes back what was captured, in one or more parts, never more than is left.
4. A declined payment stays in the book, so that an inquiry finds it, and nothing can be done with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from outrider_sandbox.answers import Refusal
from outrider_sandbox.gateway.book import Book
from outrider_sandbox.gateway.payments import Operation, Order, Payment, State


class Ledger:
    """All payments by card. `prefix` must differ from start to start, so that no identifier ever comes back."""

    def __init__(self, now: Callable[[], datetime], *, prefix: str, settlement: timedelta, keep: int) -> None:
        self._now = now
        self._prefix = prefix
        self._settlement = settlement
        self._made = 0
        self._book: Book[Payment] = Book(keep)

    def open(self, order: Order, decline: str) -> Payment:
        """Enter an authorization or a sale, or its decline."""
        self._made += 1
        now, sold = self._now(), order.kind == "sale" and not decline
        state = State.DECLINED if decline else State.CAPTURED if sold else State.AUTHORIZED
        payment = Payment(f"pay_{self._prefix}{self._made:08d}", order, state, now, decline=decline)
        if sold:
            payment = replace(payment, captured_at=now, captured=order.amount)
        return self._book.enter(payment)

    def get(self, identifier: str) -> Payment:
        """Raises Refusal (404) when there is no such payment."""
        payment = self._book.get(identifier)
        if payment is None:
            raise Refusal(404, "no_such_payment", "there is no payment of this id")
        return payment

    def find(self, *, reference: str | None, state: str | None, open_only: bool) -> list[Payment]:
        """The payments that meet all conditions, oldest first."""
        found = self._book.find(reference=reference, open_only=open_only)
        return [payment for payment in found if state in (None, payment.state)]

    def capture(self, identifier: str, amount: int | None, reference: str) -> Payment:
        payment = self.get(identifier)
        if payment.state is not State.AUTHORIZED:
            raise _conflict("not_capturable", f"a payment that is {payment.state} cannot be captured")
        taken = payment.order.amount if amount is None else amount
        if taken > payment.order.amount:
            raise Refusal(400, "amount_too_large", f"{taken} is more than the {payment.order.amount} authorized")
        now = self._now()
        done = Operation("capture", taken, reference, now)
        return self._book.enter(replace(payment.after(done, State.CAPTURED), captured=taken, captured_at=now))

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
        return self._book.enter(payment.after(done, State.VOIDED))

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
        return self._book.enter(replace(payment.after(done, state), refunded=refunded))


def _conflict(code: str, message: str) -> Refusal:
    return Refusal(409, code, message)
