"""Bodies of the gateway's POSTs: a form says the same as JSON, is refused for the same, and replays the same."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_support import GOOD_CARD, Reply, Sandbox, card, order, running

from outrider_sandbox.answers import Refusal
from outrider_sandbox.gateway.bodies import FORM, read_form

DEBIT = {
    "amount": 2500, "currency": "USD", "reference": "check-1",
    "account": {"routing_number": "110000000", "account_number": "000123456789", "type": "savings", "holder": "Q T"},
}  # fmt: skip


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


def pairs(value: Any, key: str = "") -> list[tuple[str, str]]:
    """A JSON object as the pairs of a form."""
    if not isinstance(value, dict):
        return [(key, str(value))]
    return [pair for name, each in value.items() for pair in pairs(each, f"{key}[{name}]" if key else name)]


async def post_form(sandbox: Sandbox, path: str, body: Any, key: str = "form", kind: str = FORM) -> Reply:
    encoded = body if isinstance(body, bytes) else urlencode(pairs(body)).encode()
    return await sandbox.ask("POST", path, data=encoded, headers={"Idempotency-Key": key, "Content-Type": kind})


FULL = order(avs={"line": "1 Main & 2nd", "postal_code": "30301"}, metadata={"synthetic": "true", "amount": "7"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/sales", FULL),
        ("/v1/authorizations", FULL),
        ("/v1/tokens", {"card": card()}),
        ("/v1/ach/debits", {**DEBIT, "metadata": {"synthetic": "true"}}),
    ],
)
async def test_a_form_makes_what_json_makes_and_is_the_same_request(sandbox: Sandbox, path: str, body: Any) -> None:
    made = await post_form(sandbox, path, body)
    assert made.http == 201, made.raw
    by_json = await sandbox.post(path, body, key="form")
    assert (by_json.http, by_json.raw, by_json.headers["Idempotency-Replayed"]) == (201, made.raw, "true")
    again = await post_form(sandbox, path, body, kind=f"{FORM}; charset=UTF-8")
    assert (again.raw, again.headers["Idempotency-Replayed"]) == (made.raw, "true")


@pytest.mark.parametrize("change", ["capture", "void", "refund"])
async def test_a_payment_is_changed_by_form_as_by_json(sandbox: Sandbox, change: str) -> None:
    made = await sandbox.authorize() if change != "refund" else (await sandbox.sale()).json["id"]
    path = f"/v1/payments/{made}/{change}"
    body = {"reference": "r-2"} | ({} if change == "void" else {"amount": 700})
    done = await post_form(sandbox, path, body)
    assert (done.http, done.json["operations"][0]["kind"], done.json["operations"][0]["reference"]) == (
        200, change, "r-2",
    )  # fmt: skip
    assert (await sandbox.post(path, body, key="form")).headers["Idempotency-Replayed"] == "true"


async def test_a_debit_is_voided_by_form(sandbox: Sandbox) -> None:
    made = (await sandbox.post("/v1/ach/debits", DEBIT)).json["id"]
    assert (await post_form(sandbox, f"/v1/ach/debits/{made}/void", {"reference": "v"})).json["status"] == "voided"


async def test_a_change_without_a_body_needs_no_content_type(sandbox: Sandbox) -> None:
    path = f"/v1/payments/{await sandbox.authorize()}/void"
    async with sandbox.session.post(
        sandbox.url + path, headers={"Idempotency-Key": "bare"}, skip_auto_headers=["Content-Type"]
    ) as response:
        assert (response.status, (await response.json())["status"]) == (200, "voided")


async def test_another_field_by_form_is_another_request_under_the_same_key(sandbox: Sandbox) -> None:
    await sandbox.sale(key="form")
    refused = await post_form(sandbox, "/v1/sales", order(amount=2600))
    assert (refused.http, refused.json["error"]["code"]) == (400, "idempotency_key_reused")


WRONG = [
    ({"amount": -1}, "amount"), ({"amount": "1e2"}, "amount"), ({"amount": ""}, "amount"),
    ({"amount": "1.00"}, "amount"), ({"amount": " 1"}, "amount"),
    ({"amount": "\u0661\u0662"}, "amount"), ({"amount": {"value": 1}}, "amount"),
    ({"currency": "usd"}, "currency"), ({"reference": "two words"}, "reference"),
    ({"reference": f"r-{GOOD_CARD}"}, "reference"), ({"metadata": {"pan": GOOD_CARD}}, "metadata"),
    ({"metadata": "x"}, "metadata"), ({"card": GOOD_CARD}, "card"), ({"card": {**card(), "cvc": "12"}}, "card.cvc"),
    ({"card": {**card(), "exp_month": 13}}, "card.exp_month"), ({"card": {**card(), "pin": "1"}}, "card.*"),
    ({"card": {**card(), "number": "4242 4242 4242 4242"}}, "card.number"), ({"tip": 1}, "*"), ({"token": "x"}, "card"),
    ({"avs": "x"}, "avs"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "field"), WRONG)
async def test_a_form_is_refused_for_what_json_is_refused_for(
    sandbox: Sandbox, change: dict[str, Any], field: str
) -> None:
    by_form = await post_form(sandbox, "/v1/sales", order(**change))
    by_json = await sandbox.post("/v1/sales", order(**change))
    assert (by_form.http, by_form.json["error"]["code"], by_form.json["error"]["field"]) == (
        400, "invalid_request", field,
    )  # fmt: skip
    assert by_form.raw == by_json.raw
    assert GOOD_CARD.encode() not in by_form.raw
    assert (await sandbox.get("/v1/payments")).json["total"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"amount=1&amount=2", b"card=1&card[number]=2", b"card[number]=1&card=2", b"card[number][a]=1&card[number]=2",
        b"card[number", b"card]=1", b"[card]=1", b"card[]=1", b"card[a]b=1", b"card[a][b][c][d]=1", b"=1", b"amount",
        b"&", b"amount=1&&x=2", b"amount=%ff", b"amount=\xff", b"&".join(b"a%d=1" % n for n in range(101)),
        b"card[[number]]=1", b"\x00",
    ],
)  # fmt: skip
async def test_what_is_no_form_is_400_and_not_repeated(sandbox: Sandbox, body: bytes) -> None:
    reply = await post_form(sandbox, "/v1/sales", body + b"&x=" + GOOD_CARD.encode())
    assert (reply.http, reply.json["error"]["code"]) == (400, "invalid_form")
    assert GOOD_CARD.encode() not in reply.raw


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/octet-stream", "application/xml", "multipart/form-data; boundary=x", "", "nonsense",
     "application/json; charset=latin-1", f"{FORM}; charset=utf-16"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/sales", "/v1/tokens", "/v1/ach/debits", "/v1/payments/pay_x/void"])
async def test_a_body_of_another_type_is_415_and_uses_nothing_up(sandbox: Sandbox, path: str, kind: str) -> None:
    reply = await post_form(sandbox, path, json.dumps(order()).encode(), kind=kind)
    assert (reply.http, reply.json["error"]["code"]) == (415, "unsupported_media_type")
    assert (await sandbox.sale(key="form")).http == 201


async def test_a_form_that_says_it_is_json_is_not_read_as_a_form(sandbox: Sandbox) -> None:
    reply = await post_form(sandbox, "/v1/sales", order(), kind="application/json")
    assert (reply.http, reply.json["error"]["code"]) == (400, "invalid_json")
    reply = await post_form(sandbox, "/v1/sales", json.dumps(order()).encode())
    assert (reply.http, reply.json["error"]["code"]) == (400, "invalid_form")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text("ab[]=&%41+", max_size=60).map(str.encode))
def test_any_bytes_are_a_form_or_are_refused(body: bytes) -> None:
    try:
        fields = read_form(body)
    except Refusal as error:
        refusal = error
    else:
        assert all(isinstance(value, str | int | dict) for value in fields.values())
        return
    assert (refusal.http, refusal.code) == (400, "invalid_form")


_NAMES = st.text("abcd_", min_size=1, max_size=2)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_INNER = st.dictionaries(_NAMES, _TEXTS, min_size=1, max_size=2)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_NAMES, _TEXTS | st.dictionaries(_NAMES, _TEXTS | _INNER, min_size=1, max_size=3), max_size=3))
def test_an_object_of_texts_comes_back_from_its_form(value: dict[str, Any]) -> None:
    encoded = urlencode(pairs(value)).encode()
    assert (read_form(encoded) if encoded else {}) == value
