"""ACH debits: what they are, and the book of them. No I/O; the time is an argument.

Rules
-----
1. A debit is pending until the settlement time is over; then it is settled, or returned with its account's code.
2. It can be voided while it is pending, once. What is settled or returned can only be answered by another payment.
3. A declined debit stays in the book, so that an inquiry finds it, and nothing can be done with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from outrider_sandbox.answers import Refusal
from outrider_sandbox.gateway.banks import REASONS, Account
from outrider_sandbox.gateway.book import Book
from outrider_sandbox.gateway.payments import Operation, instant


class DebitState(StrEnum):
    """Where a debit stands; the "status" of the interface."""

    PENDING = "pending"
    SETTLED = "settled"
    RETURNED = "returned"
    VOIDED = "voided"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class DebitOrder:
    """What a client asks to be debited. `amount` is in minor units."""

    amount: int
    currency: str
    reference: str
    account: Account
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Debit:
    """One debit as the book has it now; `settles` is when it stops being pending."""

    id: str
    order: DebitOrder
    state: DebitState
    created: datetime
    settles: datetime
    decline: str = ""
    operations: tuple[Operation, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the money is still on its way."""
        return self.state is DebitState.PENDING

    @property
    def references(self) -> tuple[str, ...]:
        """Every reference that was used with it, each once."""
        return tuple(dict.fromkeys((self.order.reference, *(done.reference for done in self.operations))))

    def view(self) -> dict[str, object]:
        """As JSON; of the account the routing number, the last four digits and the type only."""
        order, returned = self.order, self.order.account.returns
        return {
            "id": self.id,
            "kind": "debit",
            "status": self.state.value,
            "amount": order.amount,
            "currency": order.currency,
            "reference": order.reference,
            "account": order.account.view(),
            "created": instant(self.created),
            "settles": instant(self.settles),
            "operations": [done.view() for done in self.operations],
            "metadata": dict(order.metadata),
            **({"decline_code": self.decline} if self.decline else {}),
            **(
                {"return_code": returned, "return_reason": REASONS[returned]}
                if self.state is DebitState.RETURNED
                else {}
            ),
        }


class Debits:
    """All debits. `prefix` must differ from start to start, so that no identifier ever comes back."""

    def __init__(self, now: Callable[[], datetime], *, prefix: str, settlement: timedelta, keep: int) -> None:
        self._now = now
        self._prefix = prefix
        self._settlement = settlement
        self._made = 0
        self._book: Book[Debit] = Book(keep)
        self._pending: OrderedDict[str, datetime] = OrderedDict()

    def open(self, order: DebitOrder, decline: str) -> Debit:
        """Enter a debit, or its decline."""
        self._settle()
        self._made += 1
        now, state = self._now(), DebitState.DECLINED if decline else DebitState.PENDING
        name = f"ach_{self._prefix}{self._made:08d}"
        if not decline:
            self._pending[name] = now + self._settlement
        return self._book.enter(Debit(name, order, state, now, now + self._settlement, decline))

    def get(self, identifier: str) -> Debit:
        """Raises Refusal (404) when there is no such debit."""
        self._settle()
        debit = self._book.get(identifier)
        if debit is None:
            raise Refusal(404, "no_such_debit", "there is no debit of this id")
        return debit

    def find(self, *, reference: str | None, state: str | None, open_only: bool) -> list[Debit]:
        """The debits that meet all conditions, oldest first."""
        self._settle()
        found = self._book.find(reference=reference, open_only=open_only)
        return [debit for debit in found if state in (None, debit.state)]

    def void(self, identifier: str, reference: str) -> Debit:
        debit = self.get(identifier)
        if debit.state is DebitState.VOIDED:
            raise Refusal(409, "already_voided", "the debit is voided already")
        if debit.state in (DebitState.SETTLED, DebitState.RETURNED):
            raise Refusal(409, "already_settled", f"the debit is {debit.state}; it cannot be voided any more")
        if debit.state is not DebitState.PENDING:
            raise Refusal(409, "not_voidable", f"a debit that is {debit.state} cannot be voided")
        del self._pending[identifier]
        done = Operation("void", debit.order.amount, reference, self._now())
        return self._book.enter(replace(debit, state=DebitState.VOIDED, operations=(*debit.operations, done)))

    def _settle(self) -> None:
        """Let everything settle whose time has come; the oldest come first."""
        now = self._now()
        while self._pending and next(iter(self._pending.values())) <= now:
            name, _ = self._pending.popitem(last=False)
            if debit := self._book.get(name):
                state = DebitState.RETURNED if debit.order.account.returns else DebitState.SETTLED
                self._book.enter(replace(debit, state=state))
