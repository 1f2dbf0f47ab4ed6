"""The gateway's rooms for ACH debits (electronic checks): amounts in minor units, US dollars.

| Request | Answer |
|---|---|
| POST /v1/ach/debits {amount, currency, reference, account, metadata?} | 201 pending, 402 when declined |
| POST /v1/ach/debits/{id}/void {reference?} | 200, 409 once it is settled |
| GET /v1/ach/debits/{id} | 200, 404 |
| GET /v1/ach/debits?reference=&status=&open=true&limit= | 200 {"debits": [...], "total": n}, oldest first |

`account` is {routing_number, account_number, type, holder}; `type` is checking or savings. The accounts are those of
`banks`, and what becomes of a debit is told by its account. Declines come from the last two digits of
the amount, as for cards. `open=true` lists what is pending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from outrider.codecs.check_digits import is_routing_number
from outrider_sandbox.answers import Answer, json_answer
from outrider_sandbox.gateway import banks
from outrider_sandbox.gateway.banks import AccountGiven
from outrider_sandbox.gateway.debits import DebitOrder, Debits, DebitState
from outrider_sandbox.gateway.declines import declined
from outrider_sandbox.gateway.fields import keep_out, only, read_amount, read_metadata, read_reference, text, wrong
from outrider_sandbox.gateway.inquiries import inquire
from outrider_sandbox.gateway.orders import read_change
from outrider_sandbox.gateway.till import Till
from outrider_sandbox.line import Call
from outrider_sandbox.settings import Settings

_ACCOUNT = ("routing_number", "account_number", "type", "holder")


@dataclass(frozen=True, slots=True)
class DebitWish:
    """A wish for a debit, as it came in."""

    amount: int
    currency: str
    reference: str
    account: AccountGiven
    metadata: Mapping[str, str]


def read_debit_wish(body: Mapping[str, object]) -> DebitWish:
    """Read {"amount", "currency", "reference", "account", "metadata"?}. Raises Refusal (400)."""
    only(body, ("amount", "currency", "reference", "account", "metadata"))
    currency = text("currency", body.get("currency"), "USD", "USD, the only currency of ACH")
    account, reference, metadata = _account(body.get("account")), read_reference(body), read_metadata(body)
    kept = (reference, *metadata, *metadata.values())
    keep_out(account.account_number, kept)
    if any(map(banks.holds_a_number, kept)):
        raise wrong("reference", "or metadata holds an account number, which must not be kept")
    return DebitWish(read_amount(body), currency, reference, account, metadata)


def _account(account: object) -> AccountGiven:
    if not isinstance(account, Mapping):
        raise wrong("account", f"needs an object with {', '.join(_ACCOUNT)}")
    only(account, _ACCOUNT, "account.")
    routing = text("account.routing_number", account.get("routing_number"), "[0-9]{9}", "nine digits")
    if not is_routing_number(routing):
        raise wrong("account.routing_number", "its check digit does not hold; it belongs to no bank")
    number = text("account.account_number", account.get("account_number"), "[0-9]{4,17}", "4 to 17 digits")
    text("account.holder", account.get("holder"), "(?s).{1,100}", "a name of 1 to 100 characters")
    kind = text("account.type", account.get("type"), "|".join(banks.TYPES), f"one of {', '.join(banks.TYPES)}")
    return AccountGiven(routing, number, kind)


class AchDesk:
    """The rooms for debits."""

    def __init__(self, settings: Settings, now: Callable[[], datetime], till: Till, prefix: str) -> None:
        self._endings = dict(settings.decline_endings)
        self._till = till
        settlement = timedelta(seconds=settings.settlement_s)
        self._debits = Debits(now, prefix=prefix, settlement=settlement, keep=settings.keep)

    def debit(self, call: Call) -> Answer:
        fields = self._till.fields(call)
        wish = read_debit_wish(fields)
        return self._till.once(call, fields, lambda: self._debit(call, wish), secret=wish.account.account_number)

    def _debit(self, call: Call, wish: DebitWish) -> Answer:
        account = banks.look_up(wish.account)
        if account is None:
            return declined("debit_declined", "invalid_account", wish.reference)
        fault = call.drawn.take("decline")
        decline = fault.fault.text("code") if fault else self._endings.get(f"{wish.amount % 100:02d}", "")
        debit = self._debits.open(
            DebitOrder(wish.amount, wish.currency, wish.reference, account, wish.metadata), decline
        )
        if decline:
            return declined("debit_declined", decline, wish.reference, id=debit.id)
        return json_answer(201, debit.view())

    def void(self, call: Call) -> Answer:
        fields = self._till.fields(call)
        _, reference = read_change(fields, with_amount=False)
        name = call.request.match_info["id"]
        return self._till.once(call, fields, lambda: json_answer(200, self._debits.void(name, reference).view()))

    def show(self, call: Call) -> Answer:
        return json_answer(200, self._debits.get(call.request.match_info["id"]).view())

    def inquire(self, call: Call) -> Answer:
        return inquire(call.request, "debits", DebitState, self._debits.find)
