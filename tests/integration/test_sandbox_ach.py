"""ACH debits at the sandbox's gateway: pending, voided, settled, returned, declined and refused."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sandbox_support import Reply, Sandbox, running

from outrider.codecs.check_digits import is_routing_number
from outrider_sandbox.answers import Refusal
from outrider_sandbox.gateway.banks import REASONS, ROUTING_NUMBERS, Account
from outrider_sandbox.gateway.debits import DebitOrder, Debits

ACCOUNT = {"routing_number": "110000000", "account_number": "000123456789", "type": "checking", "holder": "ZWYX QUILL"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


def debit_order(account: dict[str, object] | None = None, **changes: Any) -> dict[str, object]:
    order = {"amount": 2500, "currency": "USD", "reference": "check-1", "account": {**ACCOUNT, **(account or {})}}
    return {**order, **changes}


async def debit(sandbox: Sandbox, account: dict[str, object] | None = None, **changes: Any) -> Reply:
    key = changes.pop("key", None)
    return await sandbox.post("/v1/ach/debits", debit_order(account, **changes), key=key)


async def test_a_debit_is_pending_and_shows_of_its_account_what_it_may(sandbox: Sandbox) -> None:
    made = await debit(sandbox, metadata={"synthetic": "true"})
    assert made.http == 201
    assert made.json["account"] == {"routing_number": "110000000", "last4": "6789", "type": "checking"}
    wanted = {"kind": "debit", "status": "pending", "amount": 2500, "currency": "USD", "reference": "check-1",
              "metadata": {"synthetic": "true"}, "operations": []}  # fmt: skip
    assert {key: made.json[key] for key in wanted} == wanted
    assert made.json["settles"] > made.json["created"]
    assert (await sandbox.get(f"/v1/ach/debits/{made.json['id']}")).json == made.json


async def test_a_pending_debit_can_be_voided_once(sandbox: Sandbox) -> None:
    path = f"/v1/ach/debits/{(await debit(sandbox)).json['id']}/void"
    voided = await sandbox.post(path, {"reference": "void-1"}, key="v")
    assert (voided.http, voided.json["status"]) == (200, "voided")
    assert [(done["kind"], done["reference"]) for done in voided.json["operations"]] == [("void", "void-1")]
    again = await sandbox.post(path, {"reference": "void-1"}, key="v")
    assert (again.http, again.raw, again.headers["Idempotency-Replayed"]) == (200, voided.raw, "true")
    other = await sandbox.post(path)
    assert (other.http, other.json["error"]["code"]) == (409, "already_voided")


async def test_the_same_key_replays_a_debit_and_another_request_under_it_is_refused(sandbox: Sandbox) -> None:
    first, again = await debit(sandbox, key="once"), await debit(sandbox, key="once")
    assert (again.http, again.raw, again.headers["Idempotency-Replayed"]) == (201, first.raw, "true")
    for reply in (await debit(sandbox, key="once", amount=2600), await sandbox.sale(key="once")):
        assert (reply.http, reply.json["error"]["code"]) == (400, "idempotency_key_reused")
    assert (await sandbox.get("/v1/ach/debits")).json["total"] == 1


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        ("000123456789", "settled", None),
        ("000222222227", "returned", "R01"),
        ("000111111113", "returned", "R02"),
        ("000111111116", "returned", "R03"),
        ("000333333335", "returned", "R10"),
    ],
)
async def test_what_becomes_of_a_debit_is_told_by_its_account(number: str, status: str, code: str | None) -> None:
    async with running(settlement_s=0.0) as sandbox:
        made = await debit(sandbox, {"account_number": number})
        assert (made.http, made.json["status"]) == (201, "pending")
        shown = (await sandbox.get(f"/v1/ach/debits/{made.json['id']}")).json
        assert (shown["status"], shown.get("return_code")) == (status, code)
        assert shown.get("return_reason") == (REASONS[code] if code else None)
        void = await sandbox.post(f"/v1/ach/debits/{made.json['id']}/void")
        assert (void.http, void.json["error"]["code"]) == (409, "already_settled")


async def test_every_routing_number_that_the_sandbox_knows_could_be_one() -> None:
    assert all(map(is_routing_number, ROUTING_NUMBERS))


def test_a_debit_settles_when_its_time_has_come_and_not_before() -> None:
    clock = [datetime(2026, 6, 1, tzinfo=UTC)]
    debits = Debits(lambda: clock[0], prefix="x", settlement=timedelta(hours=1), keep=10)
    order = DebitOrder(100, "USD", "r", Account("110000000", "6789", "checking", ""), {})
    first = debits.open(order, "")
    clock[0] += timedelta(minutes=30)
    second = debits.open(order, "")
    clock[0] += timedelta(minutes=30) - timedelta(microseconds=1)
    assert [one.state for one in debits.find(reference="r", state=None, open_only=True)] == ["pending", "pending"]
    clock[0] += timedelta(microseconds=1)
    assert [one.id for one in debits.find(reference=None, state="settled", open_only=False)] == [first.id]
    assert debits.void(second.id, "").state == "voided"
    with pytest.raises(Refusal, match="settled"):
        debits.void(first.id, "")
    clock[0] += timedelta(days=9)
    assert debits.get(second.id).state == "voided"


async def test_debits_are_found_by_reference_status_and_whether_they_are_open(sandbox: Sandbox) -> None:
    first, second = (await debit(sandbox, reference="a")).json["id"], (await debit(sandbox, reference="b")).json["id"]
    await sandbox.post(f"/v1/ach/debits/{first}/void", {"reference": "undo-a"})
    for query, found in (("open=true", [second]), ("reference=undo-a", [first]), ("status=voided", [first]),
                         ("reference=nobody", []), ("limit=1", [first])):  # fmt: skip
        reply = await sandbox.get(f"/v1/ach/debits?{query}")
        assert [one["id"] for one in reply.json["debits"]] == found, query
    assert (await sandbox.get("/v1/ach/debits?status=captured")).http == 400
    assert (await sandbox.get("/v1/payments")).json["total"] == 0


async def test_a_debit_is_declined_by_its_amount_and_stays_declined(sandbox: Sandbox) -> None:
    reply = await debit(sandbox, amount=105, reference="no")
    assert (reply.http, reply.json["error"]["code"], reply.json["error"]["decline_code"]) == (
        402, "debit_declined", "do_not_honor",
    )  # fmt: skip
    kept = (await sandbox.get("/v1/ach/debits?reference=no")).json["debits"][0]
    assert (kept["status"], kept["decline_code"]) == ("declined", "do_not_honor")
    void = await sandbox.post(f"/v1/ach/debits/{kept['id']}/void")
    assert (void.http, void.json["error"]["code"]) == (409, "not_voidable")


@pytest.mark.parametrize("account", [{"account_number": "99887766"}, {"routing_number": "021000021"}])
async def test_an_account_that_is_not_published_for_tests_is_declined_and_forgotten(
    sandbox: Sandbox, account: dict[str, object]
) -> None:
    reply = await debit(sandbox, account, reference="unknown")
    assert (reply.http, reply.json["error"]["code"]) == (402, "invalid_account")
    assert b"99887766" not in reply.raw
    assert (await sandbox.get("/v1/ach/debits?reference=unknown")).json["total"] == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": "2500"}, "amount"),
        ({"currency": "EUR"}, "currency"),
        ({"currency": None}, "currency"),
        ({"reference": ""}, "reference"),
        ({"reference": "r-000123456789"}, "reference"),
        ({"reference": "r-000-222222-227"}, "reference"),
        ({"reference": "r-99887766", "account": {**ACCOUNT, "account_number": "99887766"}}, "reference"),
        ({"metadata": {"account": "000123456789"}}, "reference"),
        ({"metadata": {"card": "4242 4242 4242 4242"}}, "metadata"),
        ({"account": None}, "account"),
        ({"account": "000123456789"}, "account"),
        ({"account": {**ACCOUNT, "routing_number": "110000001"}}, "account.routing_number"),
        ({"account": {**ACCOUNT, "routing_number": "11000000"}}, "account.routing_number"),
        ({"account": {**ACCOUNT, "routing_number": 110000000}}, "account.routing_number"),
        ({"account": {**ACCOUNT, "routing_number": "000000000"}}, "account.routing_number"),
        ({"account": {**ACCOUNT, "account_number": "123"}}, "account.account_number"),
        ({"account": {**ACCOUNT, "account_number": "1" * 18}}, "account.account_number"),
        ({"account": {**ACCOUNT, "account_number": "0001 2345"}}, "account.account_number"),
        ({"account": {**ACCOUNT, "type": "loan"}}, "account.type"),
        ({"account": {**ACCOUNT, "holder": ""}}, "account.holder"),
        ({"account": {**ACCOUNT, "iban": "x"}}, "account.*"),
        ({"card": {}}, "*"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_made(sandbox: Sandbox, change: dict[str, Any], field: str) -> None:
    reply = await sandbox.post("/v1/ach/debits", {**debit_order(), **change})
    assert (reply.http, reply.json["error"]["code"], reply.json["error"]["field"]) == (400, "invalid_request", field)
    assert b"000123456789" not in reply.raw
    assert (await sandbox.get("/v1/ach/debits")).json["total"] == 0


async def test_a_debit_that_is_not_there_is_404(sandbox: Sandbox) -> None:
    assert (await sandbox.get("/v1/ach/debits/ach_nobody")).http == 404
    assert (await sandbox.post("/v1/ach/debits/ach_nobody/void")).json["error"]["code"] == "no_such_debit"


async def test_the_oldest_closed_debit_makes_room_before_a_pending_one() -> None:
    async with running(keep=2) as sandbox:
        held = (await debit(sandbox)).json["id"]
        gone = (await debit(sandbox)).json["id"]
        await sandbox.post(f"/v1/ach/debits/{gone}/void")
        last = (await debit(sandbox)).json["id"]
        assert [one["id"] for one in (await sandbox.get("/v1/ach/debits")).json["debits"]] == [held, last]


async def test_no_account_number_or_holder_is_kept_shown_or_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    replies = [
        await debit(sandbox),
        await debit(sandbox, amount=105),
        await debit(sandbox, {"account_number": "7" * 9}),
    ]
    replies += [await debit(sandbox, key="k000123456789")]
    assert replies[-1].json["error"]["code"] == "idempotency_key_invalid"
    replies += [await sandbox.get(path) for path in ("/", "/counts", "/v1/ach/debits")]
    for shown in (*(reply.raw.decode() for reply in replies), caplog.text):
        assert not any(secret in shown for secret in ("000123456789", "7" * 9, "ZWYX", "QUILL"))
