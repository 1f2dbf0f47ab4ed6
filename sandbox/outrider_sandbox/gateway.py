"""A card gateway: JSON over REST, amounts in minor units.

| Request | Answer |
|---|---|
| POST /v1/authorizations, POST /v1/sales {amount, currency, reference, card, metadata?} | 201, 402 when declined |
| POST /v1/payments/{id}/capture {amount?, reference?} | 200, 409 when it stands otherwise |
| POST /v1/payments/{id}/void {reference?} | 200, 409 |
| POST /v1/payments/{id}/refund {amount?, reference?} | 200, 400 above what is left, 409 |
| GET /v1/payments/{id} | 200, 404 |
| GET /v1/payments?reference=&status=&open=true&limit= | 200 {"payments": [...], "total": n}, oldest first |

Every POST needs `Idempotency-Key`. `reference` in an inquiry is that of the payment or of anything done to it.
`open=true` lists authorizations that were neither captured nor voided: after a test there should be none.
Declines come from the card (`outrider_sandbox.cards`) or from the last two digits of the amount (by default 05,
`do_not_honor`). A wrong field is 400 and uses nothing up; a body that is no JSON object is too.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import web

from outrider_sandbox.answers import Answer, Refusal, json_answer, read_json
from outrider_sandbox.cards import DECLINE_MESSAGES, Card, look_up
from outrider_sandbox.idempotency import IdempotencyKeys, read_key
from outrider_sandbox.ledger import Ledger, Order, Payment, State
from outrider_sandbox.line import Call, Line, Room
from outrider_sandbox.orders import Wish, read_change, read_wish
from outrider_sandbox.settings import Settings

COMPONENT = "gateway"
_INQUIRY = ("reference", "status", "open", "limit")
_MOST_LISTED = 1000


class Gateway:
    """The gateway's rooms. `nonce` makes the identifiers of this start unlike those of any other."""

    def __init__(self, settings: Settings, now: Callable[[], datetime], nonce: bytes) -> None:
        self._api_key = settings.api_key.encode()
        self._endings = dict(settings.decline_endings)
        self._now = now
        self._keys = IdempotencyKeys(nonce, settings.keep)
        self._ledger = Ledger(
            now,
            prefix=hmac.digest(nonce, b"identifiers", "sha256").hex()[:8],
            settlement=timedelta(seconds=settings.settlement_s),
            keep=settings.keep,
        )

    def add_to(self, router: web.UrlDispatcher, line: Line) -> None:
        def post(path: str, kind: str, room: Room) -> None:
            router.add_post(path, line.attach(COMPONENT, kind, self._guarded(room)))

        post("/v1/authorizations", "authorization", self._maker("authorization"))
        post("/v1/sales", "sale", self._maker("sale"))
        post("/v1/payments/{id}/capture", "capture", self._capture)
        post("/v1/payments/{id}/void", "void", self._void)
        post("/v1/payments/{id}/refund", "refund", self._refund)
        router.add_get("/v1/payments", line.attach(COMPONENT, "inquiry", self._guarded(self._inquire)))
        router.add_get("/v1/payments/{id}", line.attach(COMPONENT, "lookup", self._guarded(self._show)))

    def _guarded(self, room: Room) -> Room:
        def guarded(call: Call) -> Answer:
            given = call.request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if self._api_key and not hmac.compare_digest(given, b"Bearer " + self._api_key):
                raise Refusal(401, "unauthorized", "the Authorization header needs Bearer and the API key")
            return room(call)

        return guarded

    def _maker(self, kind: str) -> Room:
        def make(call: Call) -> Answer:
            body = read_json(call.body)
            wish = read_wish(body)
            if wish.card.number in call.request.headers.get("Idempotency-Key", ""):
                raise Refusal(400, "idempotency_key_invalid", "Idempotency-Key holds the card number")
            return self._once(call, body, lambda: self._make(kind, wish))

        return make

    def _make(self, kind: str, wish: Wish) -> Answer:
        given = wish.card
        card = look_up(given.number, given.exp_month, given.exp_year, self._now().date())
        if card is None:
            return _declined("invalid_number", wish.reference)
        decline = self._decline(card, wish.amount)
        order = Order(kind, wish.amount, wish.currency, wish.reference, card, wish.metadata)
        payment = self._ledger.open(order, decline)
        return _declined(decline, wish.reference, id=payment.id) if decline else json_answer(201, payment.view())

    def _decline(self, card: Card, amount: int) -> str:
        return card.decline or self._endings.get(f"{amount % 100:02d}", "")

    def _capture(self, call: Call) -> Answer:
        return self._change(call, self._ledger.capture)

    def _refund(self, call: Call) -> Answer:
        return self._change(call, self._ledger.refund)

    def _change(self, call: Call, change: Callable[[str, int | None, str], Payment]) -> Answer:
        body = read_json(call.body or b"{}")
        amount, reference = read_change(body, with_amount=True)
        name = call.request.match_info["id"]
        return self._once(call, body, lambda: json_answer(200, change(name, amount, reference).view()))

    def _void(self, call: Call) -> Answer:
        body = read_json(call.body or b"{}")
        _, reference = read_change(body, with_amount=False)
        name = call.request.match_info["id"]
        return self._once(call, body, lambda: json_answer(200, self._ledger.void(name, reference).view()))

    def _once(self, call: Call, body: dict[str, object], decide: Callable[[], Answer]) -> Answer:
        key = read_key(call.request.headers.get("Idempotency-Key"))
        return self._keys.once(key, f"{call.request.method} {call.request.path}", body, decide)

    def _show(self, call: Call) -> Answer:
        return json_answer(200, self._ledger.get(call.request.match_info["id"]).view())

    def _inquire(self, call: Call) -> Answer:
        query = call.request.query
        for key in query:
            if key not in _INQUIRY or len(query.getall(key)) > 1:
                raise _bad_query("*", f"each once, of {', '.join(_INQUIRY)}")
        if query.get("open", "true") != "true":
            raise _bad_query("open", "can only be true")
        found = self._ledger.find(
            reference=query.get("reference"), state=_state(query.get("status")), open_only="open" in query
        )
        listed = found[: _limit(query.get("limit", "100"))]
        return json_answer(200, {"payments": [payment.view() for payment in listed], "total": len(found)})


def _declined(decline: str, reference: str, **more: str) -> Answer:
    message = DECLINE_MESSAGES.get(decline, "The card's issuer declined the payment.")
    error = {"code": "card_declined", "decline_code": decline, "message": message}
    if decline == "invalid_number":
        error["code"] = decline
    return json_answer(402, {"error": error, "reference": reference, **more})


def _state(text: str | None) -> State | None:
    try:
        return None if text is None else State(text)
    except ValueError:
        raise _bad_query("status", f"is one of {', '.join(State)}") from None


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= _MOST_LISTED):
        raise _bad_query("limit", f"is a whole number from 1 to {_MOST_LISTED}")
    return int(text)


def _bad_query(place: str, message: str) -> Refusal:
    return Refusal(400, "invalid_request", f"{place}: {message}", field=place)
