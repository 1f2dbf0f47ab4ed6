"""Tokens, address verification and security codes at the sandbox's gateway, over real sockets."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sandbox_support import GOOD_CARD, Reply, Sandbox, card, order, running

from outrider.redact import card_numbers
from outrider_sandbox.gateway.rooms import prefix_of


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


async def tokenise(sandbox: Sandbox, **changes: Any) -> str:
    reply = await sandbox.post("/v1/tokens", {"card": {**card(), **changes}})
    assert reply.http == 201, reply.raw
    return str(reply.json["id"])


async def pay_with(sandbox: Sandbox, token: str, **more: Any) -> Reply:
    body = {key: value for key, value in order(token=token, **more).items() if key != "card"}
    return await sandbox.post("/v1/sales", body)


async def test_a_token_gives_back_no_more_of_the_card_than_its_ends(sandbox: Sandbox) -> None:
    made = await sandbox.post("/v1/tokens", {"card": card()}, key="make")
    assert made.http == 201
    assert made.json["id"].startswith("tok_")
    assert made.json["card"] == {"first6": "424242", "last4": "4242"}
    shown = await sandbox.get(f"/v1/tokens/{made.json['id']}")
    assert shown.json == made.json
    assert set(shown.json) == {"id", "card", "used", "created"}
    again = await sandbox.post("/v1/tokens", {"card": card()}, key="make")
    assert (again.raw, again.headers["Idempotency-Replayed"]) == (made.raw, "true")


async def test_a_token_pays_as_its_card_does(sandbox: Sandbox) -> None:
    sold = await pay_with(sandbox, await tokenise(sandbox))
    assert (sold.http, sold.json["status"], sold.json["card"]) == (
        201, "captured", {"first6": "424242", "last4": "4242"},
    )  # fmt: skip
    declined = await pay_with(sandbox, await tokenise(sandbox, number="4000000000009995"))
    assert (declined.http, declined.json["error"]["decline_code"]) == (402, "insufficient_funds")
    expired = await pay_with(sandbox, await tokenise(sandbox, exp_year=2019))
    assert (expired.http, expired.json["error"]["decline_code"]) == (402, "expired_card")


async def test_a_token_keeps_the_result_of_its_security_code_and_not_the_code(sandbox: Sandbox) -> None:
    sold = await pay_with(sandbox, await tokenise(sandbox, cvc="200"))
    assert sold.json["cvv_result"] == "N"


async def test_a_token_pays_once_and_a_repeat_of_that_payment_is_replayed(sandbox: Sandbox) -> None:
    token = await tokenise(sandbox)
    body = {key: value for key, value in order(token=token).items() if key != "card"}
    first = await sandbox.post("/v1/sales", body, key="pay")
    again = await sandbox.post("/v1/sales", body, key="pay")
    assert (again.http, again.raw, again.headers["Idempotency-Replayed"]) == (201, first.raw, "true")
    second = await sandbox.post("/v1/sales", body, key="pay-more")
    assert (second.http, second.json["error"]["code"], second.json["error"]["field"]) == (400, "token_used", "token")
    assert (await sandbox.get("/v1/payments")).json["total"] == 1
    assert (await sandbox.get(f"/v1/tokens/{token}")).json["used"] is True


async def test_a_declined_payment_uses_the_token_up_and_a_refused_request_does_not(sandbox: Sandbox) -> None:
    token = await tokenise(sandbox)
    assert (await pay_with(sandbox, token, amount=-1)).http == 400
    assert (await pay_with(sandbox, token, amount=105)).http == 402
    assert (await pay_with(sandbox, token)).json["error"]["code"] == "token_used"


async def test_a_token_of_another_start_is_not_known(sandbox: Sandbox) -> None:
    token = await tokenise(sandbox)
    async with running() as other:
        await tokenise(other)
        refused = await pay_with(other, token)
        assert (refused.http, refused.json["error"]["code"]) == (400, "no_such_token")
        assert (await other.get(f"/v1/tokens/{token}")).http == 404


async def test_the_oldest_tokens_are_forgotten() -> None:
    async with running(keep=2) as sandbox:
        first, second, third = [await tokenise(sandbox) for _ in range(3)]
        assert [(await sandbox.get(f"/v1/tokens/{token}")).http for token in (first, second, third)] == [404, 200, 200]


def test_no_identifier_looks_like_a_card_number_whatever_the_start() -> None:
    prefixes = {prefix_of(number.to_bytes(32, "big")) for number in range(500)}
    assert len(prefixes) == 500
    assert all(prefix.isalpha() and len(prefix) == 8 for prefix in prefixes)
    assert not any(card_numbers(f"tok_{prefix}{count:08d}") for prefix in prefixes for count in range(20))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"token": "tok_x", "card": card()}, "card"),
        ({"token": 7}, "token"),
        ({"token": ""}, "token"),
        ({"token": {"id": "tok_x"}}, "token"),
        ({}, "card"),
    ],
)
async def test_a_payment_names_one_card(sandbox: Sandbox, change: dict[str, Any], field: str) -> None:
    body = {key: value for key, value in order().items() if key != "card"} | change
    reply = await sandbox.post("/v1/sales", body)
    assert (reply.http, reply.json["error"]["field"]) == (400, field)


async def test_a_card_number_in_the_token_field_is_no_token_and_is_not_repeated(sandbox: Sandbox) -> None:
    reply = await pay_with(sandbox, GOOD_CARD)
    assert (reply.http, reply.json["error"]["code"]) == (400, "no_such_token")
    assert GOOD_CARD.encode() not in reply.raw


async def test_no_token_is_made_of_a_card_that_is_not_known_or_under_a_key_that_holds_it(sandbox: Sandbox) -> None:
    unknown = await sandbox.post("/v1/tokens", {"card": card("4000000000000010")})
    assert (unknown.http, unknown.json["error"]["code"]) == (402, "invalid_number")
    told = await sandbox.post("/v1/tokens", {"card": card()}, key=f"k{GOOD_CARD}")
    assert (told.http, told.json["error"]["code"]) == (400, "idempotency_key_invalid")


async def test_no_security_code_or_address_is_kept_shown_or_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = {"line": "200 Zwyxstreet", "postal_code": "ZX 77 QQ"}
    replies = [await sandbox.sale(card={**card(), "cvc": "9173"}, avs=address)]
    token = await sandbox.post("/v1/tokens", {"card": {**card(), "cvc": "9173"}})
    replies += [token, await pay_with(sandbox, token.json["id"], avs=address)]
    replies += [await sandbox.get(path) for path in ("/", "/counts", "/v1/payments", f"/v1/tokens/{token.json['id']}")]
    for shown in (*(reply.raw.decode() for reply in replies), caplog.text):
        assert not any(secret in shown for secret in ("9173", "Zwyxstreet", "ZX 77 QQ", GOOD_CARD))


@pytest.mark.parametrize(
    ("address", "result"),
    [
        ({"line": "1 Main Street", "postal_code": "30301"}, "Y"),
        ({"line": "1 Main Street", "postal_code": "20000"}, "A"),
        ({"line": "200 Main Street", "postal_code": "30301"}, "Z"),
        ({"line": "200 Main Street", "postal_code": "20000-1234"}, "N"),
        ({"line": "201 Main Street", "postal_code": "30301"}, "U"),
        ({"line": "200 Main Street", "postal_code": "20001"}, "U"),
        ({"line": "1 Main Street"}, "A"),
        ({"line": "200 Main Street"}, "N"),
        ({"line": " "}, "U"),
        ({"postal_code": "30301"}, "Z"),
        ({"postal_code": "20000"}, "N"),
        ({"line": "2000 Main Street", "postal_code": "200001"}, "A"),
        ({}, "U"),
    ],
)
async def test_an_address_is_verified_by_its_house_number_and_postal_code(
    sandbox: Sandbox, address: dict[str, str], result: str
) -> None:
    for kind in ("sales", "authorizations"):
        reply = await sandbox.sale(kind=kind, avs=address)
        assert (reply.http, reply.json["avs_result"], reply.json["cvv_result"]) == (201, result, "M")


@pytest.mark.parametrize(("cvc", "result"), [("123", "M"), ("200", "N"), ("201", "P"), ("301", "U"), (None, "P")])
async def test_a_security_code_is_verified_by_its_value(sandbox: Sandbox, cvc: str | None, result: str) -> None:
    given = {key: value for key, value in {**card(), "cvc": cvc}.items() if value is not None}
    reply = await sandbox.sale(card=given)
    assert (reply.http, reply.json["cvv_result"], reply.json["avs_result"]) == (201, result, "U")


async def test_a_mismatch_declines_where_the_settings_say_so() -> None:
    async with running(declined_avs="N", declined_cvv="NP") as sandbox:
        both = await sandbox.sale(avs={"line": "200 x"}, card={**card(), "cvc": "200"})
        assert (both.http, both.json["error"]["decline_code"]) == (402, "incorrect_cvc")
        address = await sandbox.sale(avs={"line": "200 x"}, reference="mismatch")
        assert (address.http, address.json["error"]["decline_code"]) == (402, "incorrect_address")
        assert (address.json["avs_result"], address.json["cvv_result"]) == ("N", "M")
        kept = (await sandbox.get("/v1/payments?reference=mismatch")).json["payments"][0]
        assert (kept["status"], kept["decline_code"], kept["avs_result"]) == ("declined", "incorrect_address", "N")
        assert (await sandbox.sale(avs={"postal_code": "30301"})).http == 201


@pytest.mark.parametrize(
    ("avs", "field"),
    [
        ("200 Main", "avs"),
        ([], "avs"),
        ({"line": ""}, "avs.line"),
        ({"line": 200}, "avs.line"),
        ({"line": "x" * 101}, "avs.line"),
        ({"postal_code": 20000}, "avs.postal_code"),
        ({"postal_code": "2"}, "avs.postal_code"),
        ({"city": "x"}, "avs.*"),
    ],
)
async def test_an_address_that_is_none_is_named(sandbox: Sandbox, avs: object, field: str) -> None:
    reply = await sandbox.sale(avs=avs)
    assert (reply.http, reply.json["error"]["field"]) == (400, field)


@pytest.mark.parametrize(("name", "value"), [("declined_avs", "YX"), ("declined_cvv", "Y")])
async def test_a_result_that_does_not_exist_cannot_be_declined(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        async with running(**{name: value}):
            pass
