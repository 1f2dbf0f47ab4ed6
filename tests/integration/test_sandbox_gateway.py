"""The card gateway over real sockets: what it makes, declines, replays, undoes and refuses."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sandbox_support import GOOD_CARD, Sandbox, card, order, running

AS_JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


async def test_a_sale_is_captured_and_shows_no_more_of_the_card_than_it_may(sandbox: Sandbox) -> None:
    reply = await sandbox.sale(reference="sale-1", metadata={"run": "7"})
    assert reply.http == 201
    assert GOOD_CARD.encode() not in reply.raw
    made = reply.json
    assert made["created"].endswith("Z")
    assert {key: made[key] for key in ("kind", "status", "amount", "currency", "reference", "card", "metadata")} == {
        "kind": "sale",
        "status": "captured",
        "amount": 2500,
        "currency": "USD",
        "reference": "sale-1",
        "card": {"first6": "424242", "last4": "4242"},
        "metadata": {"run": "7"},
    }
    assert (await sandbox.get(f"/v1/payments/{made['id']}")).json == made


async def test_an_authorization_stays_open_until_it_is_captured_or_voided(sandbox: Sandbox) -> None:
    first, second = await sandbox.authorize(reference="a"), await sandbox.authorize(reference="b")
    listed = (await sandbox.get("/v1/payments?open=true")).json
    assert ([payment["id"] for payment in listed["payments"]], listed["total"]) == ([first, second], 2)
    captured = await sandbox.post(f"/v1/payments/{first}/capture", {"amount": 1000, "reference": "c"})
    assert (captured.http, captured.json["status"], captured.json["amount_captured"]) == (200, "captured", 1000)
    voided = await sandbox.post(f"/v1/payments/{second}/void")
    assert (voided.http, voided.json["status"]) == (200, "voided")
    assert (await sandbox.get("/v1/payments?open=true")).json == {"payments": [], "total": 0}


@pytest.mark.parametrize(
    ("number", "decline"),
    [
        ("4000000000000002", "generic_decline"),
        ("4000000000009995", "insufficient_funds"),
        ("4000000000000069", "expired_card"),
        ("4000000000000127", "incorrect_cvc"),
    ],
)
async def test_a_declining_test_card_is_declined_with_its_code(sandbox: Sandbox, number: str, decline: str) -> None:
    reply = await sandbox.sale(card=card(number), reference="declined")
    assert reply.http == 402
    assert reply.json["reference"] == "declined"
    assert (reply.json["error"]["code"], reply.json["error"]["decline_code"]) == ("card_declined", decline)
    assert reply.json["error"]["message"]
    found = (await sandbox.get("/v1/payments?reference=declined")).json["payments"]
    assert [(payment["status"], payment["decline_code"]) for payment in found] == [("declined", decline)]


async def test_an_amount_that_ends_in_05_is_not_honoured_and_others_are(sandbox: Sandbox) -> None:
    assert (await sandbox.sale(amount=1205)).json["error"]["decline_code"] == "do_not_honor"
    assert (await sandbox.sale(amount=5)).json["error"]["decline_code"] == "do_not_honor"
    assert (await sandbox.sale(amount=1250)).http == 201


async def test_the_declining_amounts_can_be_configured() -> None:
    async with running(decline_endings=(("91", "issuer_unavailable"),)) as sandbox:
        assert (await sandbox.sale(amount=1205)).http == 201
        assert (await sandbox.sale(amount=1291)).json["error"]["decline_code"] == "issuer_unavailable"


async def test_a_card_past_its_expiry_is_declined(sandbox: Sandbox) -> None:
    assert (await sandbox.sale(card=card(exp_year=2019))).json["error"]["decline_code"] == "expired_card"


async def test_a_number_that_is_not_a_published_test_number_is_declined_and_forgotten(sandbox: Sandbox) -> None:
    reply = await sandbox.sale(card=card("4000000000000010"), reference="unpublished")
    assert (reply.http, reply.json["error"]["code"]) == (402, "invalid_number")
    assert b"4000000000000010" not in reply.raw
    assert (await sandbox.get("/v1/payments?reference=unpublished")).json["total"] == 0


async def test_the_same_key_and_body_replay_the_same_answer_and_do_nothing_twice(sandbox: Sandbox) -> None:
    first = await sandbox.sale(key="once")
    again = await sandbox.sale(key="once")
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.http, again.raw) == (first.http, first.raw)
    assert (await sandbox.get("/v1/payments?reference=ref-1")).json["total"] == 1


async def test_a_decline_is_replayed_too(sandbox: Sandbox) -> None:
    first = await sandbox.sale(key="no", card=card("4000000000000002"))
    again = await sandbox.sale(key="no", card=card("4000000000000002"))
    assert (again.http, again.raw, again.headers["Idempotency-Replayed"]) == (402, first.raw, "true")


async def test_the_same_key_with_another_body_or_path_is_refused(sandbox: Sandbox) -> None:
    await sandbox.sale(key="taken")
    for reply in (await sandbox.sale(key="taken", amount=2600), await sandbox.sale(key="taken", kind="authorizations")):
        assert (reply.http, reply.json["error"]["code"]) == (400, "idempotency_key_reused")
    assert (await sandbox.get("/v1/payments")).json["total"] == 1


async def test_a_refused_request_does_not_use_its_key_up(sandbox: Sandbox) -> None:
    assert (await sandbox.sale(key="spared", amount=-1)).http == 400
    assert (await sandbox.sale(key="spared")).http == 201


async def test_twenty_requests_at_once_with_one_key_make_one_payment() -> None:
    async with running(latency_median_ms=5.0) as sandbox:
        replies = await asyncio.gather(*(sandbox.sale(key="race") for _ in range(20)))
        assert {reply.http for reply in replies} == {201}
        assert len({reply.json["id"] for reply in replies}) == 1
        assert sum("Idempotency-Replayed" not in reply.headers for reply in replies) == 1


async def test_a_post_without_an_idempotency_key_is_refused(sandbox: Sandbox) -> None:
    reply = await sandbox.ask("POST", "/v1/sales", json=order())
    assert (reply.http, reply.json["error"]["code"]) == (400, "idempotency_key_missing")


async def test_refunds_stop_at_what_was_captured(sandbox: Sandbox) -> None:
    path = f"/v1/payments/{(await sandbox.sale()).json['id']}/refund"
    part = await sandbox.post(path, {"amount": 1000})
    assert (part.http, part.json["status"], part.json["amount_refunded"]) == (200, "partially_refunded", 1000)
    above = await sandbox.post(path, {"amount": 1501})
    assert (above.http, above.json["error"]["code"]) == (400, "amount_too_large")
    assert "1500" in above.json["error"]["message"]
    rest = await sandbox.post(path)
    assert (rest.json["status"], rest.json["amount_refunded"]) == ("refunded", 2500)
    for body in ({}, {"amount": 1}):
        assert (await sandbox.post(path, body)).http == 400


async def test_a_refund_is_measured_by_the_capture_not_by_the_authorization(sandbox: Sandbox) -> None:
    payment = await sandbox.authorize()
    await sandbox.post(f"/v1/payments/{payment}/capture", {"amount": 700})
    assert (await sandbox.post(f"/v1/payments/{payment}/refund", {"amount": 701})).http == 400
    assert (await sandbox.post(f"/v1/payments/{payment}/refund", {"amount": 700})).json["status"] == "refunded"


async def test_a_capture_stops_at_what_was_authorized(sandbox: Sandbox) -> None:
    payment = await sandbox.authorize()
    above = await sandbox.post(f"/v1/payments/{payment}/capture", {"amount": 2501})
    assert (above.http, above.json["error"]["code"]) == (400, "amount_too_large")
    assert (await sandbox.get(f"/v1/payments/{payment}")).json["status"] == "authorized"


async def test_a_second_void_is_a_conflict_unless_it_repeats_the_first(sandbox: Sandbox) -> None:
    path = f"/v1/payments/{await sandbox.authorize()}/void"
    first = await sandbox.post(path, {"reference": "v"}, key="void-1")
    again = await sandbox.post(path, {"reference": "v"}, key="void-1")
    other = await sandbox.post(path, {"reference": "v"}, key="void-2")
    assert (first.http, first.json["status"]) == (200, "voided")
    assert (again.http, again.raw, again.headers["Idempotency-Replayed"]) == (200, first.raw, "true")
    assert (other.http, other.json["error"]["code"]) == (409, "already_voided")


async def test_a_sale_can_be_voided_until_it_is_settled(sandbox: Sandbox) -> None:
    payment = (await sandbox.sale()).json["id"]
    assert (await sandbox.post(f"/v1/payments/{payment}/void")).json["status"] == "voided"
    async with running(settlement_s=0.0) as settled:
        payment = (await settled.sale()).json["id"]
        refused = await settled.post(f"/v1/payments/{payment}/void")
        assert (refused.http, refused.json["error"]["code"]) == (409, "already_settled")
        held = await settled.authorize()
        assert (await settled.post(f"/v1/payments/{held}/void")).json["status"] == "voided"


@pytest.mark.parametrize(
    ("steps", "last", "code"),
    [
        (("void",), "capture", "not_capturable"),
        (("void",), "refund", "not_refundable"),
        (("capture",), "capture", "not_capturable"),
        (("capture", "refund"), "void", "not_voidable"),
        ((), "refund", "not_refundable"),
    ],
)
async def test_what_a_payment_no_longer_allows_is_a_conflict(
    sandbox: Sandbox, steps: tuple[str, ...], last: str, code: str
) -> None:
    payment = await sandbox.authorize()
    for step in steps:
        assert (await sandbox.post(f"/v1/payments/{payment}/{step}")).http == 200
    before = (await sandbox.get(f"/v1/payments/{payment}")).json
    refused = await sandbox.post(f"/v1/payments/{payment}/{last}")
    assert (refused.http, refused.json["error"]["code"]) == (409, code)
    assert (await sandbox.get(f"/v1/payments/{payment}")).json == before


async def test_nothing_can_be_done_with_a_declined_payment(sandbox: Sandbox) -> None:
    declined = (await sandbox.sale(card=card("4000000000000002"))).json["id"]
    for change in ("capture", "void", "refund"):
        assert (await sandbox.post(f"/v1/payments/{declined}/{change}")).http == 409


async def test_an_inquiry_finds_a_payment_by_any_reference_that_was_used_with_it(sandbox: Sandbox) -> None:
    payment = await sandbox.authorize(reference="order-9")
    await sandbox.authorize(reference="order-10")
    await sandbox.post(f"/v1/payments/{payment}/void", {"reference": "undo-9"})
    for reference in ("order-9", "undo-9"):
        found = (await sandbox.get("/v1/payments", params={"reference": reference})).json
        assert [(one["id"], one["status"]) for one in found["payments"]] == [(payment, "voided")]
    assert (await sandbox.get("/v1/payments?reference=nobody")).json == {"payments": [], "total": 0}


async def test_an_inquiry_can_ask_for_a_status_and_is_limited(sandbox: Sandbox) -> None:
    for n in range(3):
        await sandbox.sale(reference=f"r{n}")
    await sandbox.authorize()
    found = (await sandbox.get("/v1/payments?status=captured&limit=2")).json
    assert ([one["reference"] for one in found["payments"]], found["total"]) == (["r0", "r1"], 3)


@pytest.mark.parametrize(
    "query", ["open=false", "status=lost", "limit=0", "limit=1001", "limit=x", "ref=1", "open=true&open=true"]
)
async def test_an_inquiry_that_asks_for_nonsense_is_refused(sandbox: Sandbox, query: str) -> None:
    reply = await sandbox.get(f"/v1/payments?{query}")
    assert (reply.http, reply.json["error"]["code"]) == (400, "invalid_request")


async def test_what_is_not_there_is_404_and_a_wrong_method_405_both_as_json(sandbox: Sandbox) -> None:
    for path in ("/v1/payments/pay_nobody", "/v1/nothing"):
        reply = await sandbox.get(path)
        assert (reply.http, "error" in reply.json) == (404, True)
    assert (await sandbox.post("/v1/payments/pay_nobody/void")).http == 404
    wrong = await sandbox.ask("DELETE", "/v1/sales")
    assert (wrong.http, wrong.json["error"]["code"], wrong.headers["Allow"]) == (405, "method_not_allowed", "POST")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 25.0}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": "2500"}, "amount"),
        ({"amount": 100_000_000}, "amount"),
        ({"currency": "usd"}, "currency"),
        ({"currency": None}, "currency"),
        ({"reference": ""}, "reference"),
        ({"reference": "two words"}, "reference"),
        ({"reference": "x" * 65}, "reference"),
        ({"reference": f"r-{GOOD_CARD}"}, "reference"),
        ({"reference": "r-4111-1111-1111-1111"}, "reference"),
        ({"metadata": {"pan": GOOD_CARD}}, "metadata"),
        ({"reference": "x-4000000000000010", "card": card("4000000000000010")}, "reference"),
        ({"metadata": {"run": 7}}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"card": GOOD_CARD}, "card"),
        ({"card": {**card(), "number": 4242424242424242}}, "card.number"),
        ({"card": {**card(), "number": "4242 4242 4242 4242"}}, "card.number"),
        ({"card": {**card(), "exp_month": 13}}, "card.exp_month"),
        ({"card": {**card(), "exp_year": 95}}, "card.exp_year"),
        ({"card": {**card(), "cvc": "12"}}, "card.cvc"),
        ({"card": {**card(), "pin": "1234"}}, "card.*"),
        ({"tip": 1}, "*"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_made(sandbox: Sandbox, change: dict[str, Any], field: str) -> None:
    reply = await sandbox.post("/v1/sales", order(**change))
    assert (reply.http, reply.json["error"]["code"], reply.json["error"]["field"]) == (400, "invalid_request", field)
    assert GOOD_CARD.encode() not in reply.raw
    assert (await sandbox.get("/v1/payments")).json["total"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"amount": NaN}',
        b'{"amount": 1, "amount": 2}',
        b'{"amount": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"reference": "\\ud800"}',
    ],
)
async def test_a_body_that_is_no_strict_json_object_is_400_never_500(sandbox: Sandbox, body: bytes) -> None:
    reply = await sandbox.ask("POST", "/v1/sales", data=body, headers={"Idempotency-Key": "k", **AS_JSON})
    assert (reply.http, reply.json["error"]["code"] in ("invalid_json", "invalid_request")) == (400, True)


async def test_a_body_that_is_not_encoded_as_it_says_is_400(sandbox: Sandbox) -> None:
    body = b"POST /v1/sales HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    writer.write(body)
    assert await reader.readline() == b"HTTP/1.1 400 Bad Request\r\n"
    writer.close()
    assert (await sandbox.get("/counts")).json["components"]["gateway"]["sale"]["http"] == {"400": 1}


async def test_a_body_above_one_mebibyte_is_refused(sandbox: Sandbox) -> None:
    body = io.BytesIO(b" " * (1 << 20) + b"{}")
    reply = await sandbox.ask("POST", "/v1/sales", data=body, headers={"Idempotency-Key": "k", **AS_JSON})
    assert (reply.http, "error" in reply.json) == (413, True)
    assert (await sandbox.get("/counts")).json["components"]["gateway"]["sale"]["http"] == {"413": 1}


async def test_the_api_key_is_asked_for_when_there_is_one() -> None:
    async with running(api_key="sandbox-key") as sandbox:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "sandbox-key"}):
            reply = await sandbox.post("/v1/sales", order(), headers=headers)
            assert (reply.http, reply.json["error"]["code"]) == (401, "unauthorized")
        assert (await sandbox.get("/v1/payments")).http == 401
        good = {"Authorization": "Bearer sandbox-key"}
        assert (await sandbox.post("/v1/sales", order(), headers=good)).http == 201
        assert (await sandbox.get("/v1/payments", headers=good)).json["total"] == 1


async def test_a_full_card_number_is_neither_logged_nor_shown_anywhere(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await sandbox.sale()
    await sandbox.sale(card=card("4000000000000002"))
    await sandbox.ask("POST", "/v1/sales", data=f'{{"card": {GOOD_CARD}', headers={"Idempotency-Key": "k", **AS_JSON})
    shown = b"".join([(await sandbox.get(path)).raw for path in ("/", "/counts", "/faults", "/v1/payments")])
    for number in (GOOD_CARD, "4000000000000002"):
        assert number.encode() not in shown
        assert number not in caplog.text


async def test_the_oldest_closed_payment_makes_room_before_an_open_one() -> None:
    async with running(keep=2) as sandbox:
        held = await sandbox.authorize(reference="held")
        first = (await sandbox.sale(reference="first")).json["id"]
        second = (await sandbox.sale(reference="second")).json["id"]
        kept = [one["id"] for one in (await sandbox.get("/v1/payments")).json["payments"]]
        assert kept == [held, second]
        assert (await sandbox.get(f"/v1/payments/{first}")).http == 404
        assert (await sandbox.get("/v1/payments?reference=first")).json["total"] == 0


async def test_no_identifier_can_look_like_a_card_number() -> None:
    """Eight digits of a nonce before eight of a running number did, one start in four hundred."""
    for _ in range(20):
        async with running() as sandbox:
            digits = re.findall(r"\d+", await sandbox.authorize())
            assert max(map(len, digits)) < 13
