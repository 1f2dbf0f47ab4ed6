"""A payment gateway: JSON over REST, amounts in minor units. POSTs take JSON or the same fields as a urlencoded form
(`bodies`). ACH debits are in `ach`; cards are here:

| Request | Answer |
|---|---|
| POST /v1/authorizations {amount, currency, reference, card or token, avs?, metadata?} | 201, 402 when declined |
| POST /v1/sales, with the same fields | 201, 402 |
| POST /v1/payments/{id}/capture {amount?, reference?} | 200, 409 when it stands otherwise |
| POST /v1/payments/{id}/void {reference?} | 200, 409 |
| POST /v1/payments/{id}/refund {amount?, reference?} | 200, 400 above what is left, 409 |
| GET /v1/payments/{id} | 200, 404 |
| GET /v1/payments?reference=&status=&open=true&limit= | 200 {"payments": [...], "total": n}, oldest first |
| POST /v1/tokens {card} | 201, 402 for a card that is not known |
| GET /v1/tokens/{id} | 200, 404 |

Every POST needs `Idempotency-Key`. `reference` in an inquiry is that of the payment or of anything done to it.
`open=true` lists authorizations that were neither captured nor voided: after a test there should be none.
Declines come from the card (`outrider_sandbox.cards`), from the last two digits of the amount (by default 05,
`do_not_honor`), or from a mismatch that the settings decline. `avs` is {line, postal_code}; the results of it and of
the card's `cvc` stand in every answer (`avs_cvv`). A wrong field is 400 and uses nothing up; so
is a body that is neither a JSON object nor a form, where it says that it is one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import web

from outrider_sandbox.answers import Answer, json_answer
from outrider_sandbox.board import Drawn
from outrider_sandbox.cards import Card, look_up
from outrider_sandbox.gateway.ach import AchDesk
from outrider_sandbox.gateway.avs_cvv import avs_result, cvv_result
from outrider_sandbox.gateway.declines import declined
from outrider_sandbox.gateway.inquiries import inquire
from outrider_sandbox.gateway.ledger import Ledger
from outrider_sandbox.gateway.orders import CardGiven, Wish, read_change, read_token_wish, read_wish
from outrider_sandbox.gateway.payments import Order, Payment, State
from outrider_sandbox.gateway.till import Till
from outrider_sandbox.gateway.tokens import Tokens
from outrider_sandbox.line import Call, Line, Room
from outrider_sandbox.settings import Settings

COMPONENT = "gateway"
_AS_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def prefix_of(nonce: bytes) -> str:
    """What the identifiers of one start begin with. Letters alone: with the digits of a count behind it, a token would
    now and then look like a card number, and whoever guards against those would not send it."""
    return hmac.digest(nonce, b"identifiers", "sha256").hex()[:8].translate(_AS_LETTERS)


class Gateway:
    """The gateway's rooms. `nonce` makes the identifiers of this start unlike those of any other."""

    def __init__(self, settings: Settings, now: Callable[[], datetime], nonce: bytes) -> None:
        prefix = prefix_of(nonce)
        settlement = timedelta(seconds=settings.settlement_s)
        self._settings = settings
        self._endings = dict(settings.decline_endings)
        self._now = now
        self._till = Till(settings, nonce)
        self._ledger = Ledger(now, prefix=prefix, settlement=settlement, keep=settings.keep)
        self._tokens = Tokens(now, prefix=prefix, keep=settings.keep)
        self._ach = AchDesk(settings, now, self._till, prefix)

    def add_to(self, router: web.UrlDispatcher, line: Line) -> None:
        def post(path: str, kind: str, room: Room) -> None:
            router.add_post(path, line.attach(COMPONENT, kind, self._till.guarded(room)))

        def get(path: str, kind: str, room: Room) -> None:
            router.add_get(path, line.attach(COMPONENT, kind, self._till.guarded(room)))

        post("/v1/authorizations", "authorization", self._maker("authorization"))
        post("/v1/sales", "sale", self._maker("sale"))
        post("/v1/tokens", "token", self._make_token)
        post("/v1/payments/{id}/capture", "capture", self._capture)
        post("/v1/payments/{id}/void", "void", self._void)
        post("/v1/payments/{id}/refund", "refund", self._refund)
        post("/v1/ach/debits", "debit", self._ach.debit)
        post("/v1/ach/debits/{id}/void", "debit_void", self._ach.void)
        get("/v1/payments", "inquiry", self._inquire)
        get("/v1/payments/{id}", "lookup", self._show)
        get("/v1/tokens/{id}", "token_lookup", self._show_token)
        get("/v1/ach/debits", "debit_inquiry", self._ach.inquire)
        get("/v1/ach/debits/{id}", "debit_lookup", self._ach.show)

    def _maker(self, kind: str) -> Room:
        def make(call: Call) -> Answer:
            fields = self._till.fields(call)
            wish = read_wish(fields)
            number = wish.source.number if isinstance(wish.source, CardGiven) else None
            return self._till.once(call, fields, lambda: self._make(kind, wish, call.drawn), secret=number)

        return make

    def _make(self, kind: str, wish: Wish, drawn: Drawn) -> Answer:
        card, cvv = self._card(wish.source)
        if card is None:
            return declined("card_declined", "invalid_number", wish.reference)
        order = Order(
            kind, wish.amount, wish.currency, wish.reference, card, avs_result(wish.address), cvv, wish.metadata
        )
        fault = drawn.take("decline")
        return self._enter(order, fault.fault.text("code") if fault else self._decline(order))

    def _enter(self, order: Order, decline: str) -> Answer:
        payment = self._ledger.open(order, decline)
        if not decline:
            return json_answer(201, payment.view())
        results = {"avs_result": order.avs, "cvv_result": order.cvv}
        return declined("card_declined", decline, order.reference, id=payment.id, **results)

    def _decline(self, order: Order) -> str:
        by_itself = order.card.decline or self._endings.get(f"{order.amount % 100:02d}", "")
        if not by_itself and order.cvv in self._settings.declined_cvv:
            return "incorrect_cvc"
        if not by_itself and order.avs in self._settings.declined_avs:
            return "incorrect_address"
        return by_itself

    def _card(self, source: CardGiven | str) -> tuple[Card | None, str]:
        """The card, and the result of its security code; the token that stands for one is used up."""
        if isinstance(source, CardGiven):
            return self._look_up(source), cvv_result(source.cvc)
        token = self._tokens.use(source)
        return token.card, token.cvv

    def _look_up(self, given: CardGiven) -> Card | None:
        return look_up(given.number, given.exp_month, given.exp_year, self._now().date())

    def _make_token(self, call: Call) -> Answer:
        fields = self._till.fields(call)
        given = read_token_wish(fields)

        def decide() -> Answer:
            card = self._look_up(given)
            if card is None:
                return declined("card_declined", "invalid_number", "")
            return json_answer(201, self._tokens.make(card, cvv_result(given.cvc)).view())

        return self._till.once(call, fields, decide, secret=given.number)

    def _show_token(self, call: Call) -> Answer:
        return json_answer(200, self._tokens.get(call.request.match_info["id"]).view())

    def _capture(self, call: Call) -> Answer:
        return self._change(call, self._ledger.capture)

    def _refund(self, call: Call) -> Answer:
        return self._change(call, self._ledger.refund)

    def _change(self, call: Call, change: Callable[[str, int | None, str], Payment]) -> Answer:
        fields = self._till.fields(call)
        amount, reference = read_change(fields, with_amount=True)
        name = call.request.match_info["id"]
        return self._till.once(call, fields, lambda: json_answer(200, change(name, amount, reference).view()))

    def _void(self, call: Call) -> Answer:
        fields = self._till.fields(call)
        _, reference = read_change(fields, with_amount=False)
        name = call.request.match_info["id"]
        return self._till.once(call, fields, lambda: json_answer(200, self._ledger.void(name, reference).view()))

    def _show(self, call: Call) -> Answer:
        return json_answer(200, self._ledger.get(call.request.match_info["id"]).view())

    def _inquire(self, call: Call) -> Answer:
        return inquire(call.request, "payments", State, self._ledger.find)
