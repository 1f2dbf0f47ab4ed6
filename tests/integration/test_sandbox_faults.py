"""Every kind of fault over real sockets, and the strictness of the board they are put up on."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from sandbox_support import Sandbox, card, order, running

from outrider_sandbox.board import MOST_FAULTS, Board
from outrider_sandbox.faults import KINDS, FaultError, parse_fault

SHORT = aiohttp.ClientTimeout(total=0.2)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


async def payments(sandbox: Sandbox) -> int:
    return int((await sandbox.get("/v1/payments")).json["total"])


async def test_a_delay_comes_on_top_of_the_latency(sandbox: Sandbox) -> None:
    await sandbox.put_fault("delay", ms=80)
    loop = asyncio.get_running_loop()
    before = loop.time()
    assert (await sandbox.get("/v1/payments")).http == 200
    assert loop.time() - before >= 0.08


@pytest.mark.parametrize(("given", "code"), [({}, 500), ({"code": 502}, 502)])
async def test_an_error_answers_with_its_code_after_the_payment_is_made(
    sandbox: Sandbox, given: dict[str, Any], code: int
) -> None:
    await sandbox.put_fault("error", **given)
    reply = await sandbox.sale()
    assert (reply.http, reply.json["error"]["code"]) == (code, "internal_error")
    await sandbox.ask("DELETE", "/faults")
    assert await payments(sandbox) == 1


@pytest.mark.parametrize("kind", ["error", "html"])
async def test_an_error_at_the_door_makes_no_payment(sandbox: Sandbox, kind: str) -> None:
    await sandbox.put_fault(kind, committed=False)
    assert b"captured" not in (await sandbox.sale()).raw
    await sandbox.ask("DELETE", "/faults")
    assert await payments(sandbox) == 0


async def test_html_comes_with_status_200_in_place_of_the_answer(sandbox: Sandbox) -> None:
    await sandbox.put_fault("html")
    reply = await sandbox.sale()
    assert (reply.http, reply.content_type) == (200, "text/html; charset=utf-8")
    assert reply.raw.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("kind", "given", "code", "header", "value"),
    [
        ("throttle", {}, 429, "Retry-After", "1"),
        ("throttle", {"retry_after_s": 30}, 429, "Retry-After", "30"),
        ("unauthorized", {}, 401, "WWW-Authenticate", 'Bearer realm="outrider-sandbox"'),
        ("maintenance", {}, 503, "Retry-After", "300"),
    ],
)
async def test_a_fault_at_the_door_refuses_before_anything_is_done(
    sandbox: Sandbox, kind: str, given: dict[str, Any], code: int, header: str, value: str
) -> None:
    await sandbox.put_fault(kind, **given)
    reply = await sandbox.sale(key="the-door")
    assert (reply.http, reply.headers[header]) == (code, value)
    assert (reply.content_type.startswith("text/html")) == (kind == "maintenance")
    await sandbox.ask("DELETE", "/faults/one")
    assert await payments(sandbox) == 0
    later = await sandbox.sale(key="the-door")
    assert (later.http, "Idempotency-Replayed" in later.headers) == (201, False)


async def test_a_hanging_answer_never_comes_but_the_payment_is_made(sandbox: Sandbox) -> None:
    await sandbox.put_fault("hang")
    with pytest.raises(TimeoutError):
        await sandbox.post("/v1/sales", order(reference="lost"), key="lost", timeout=SHORT)
    await sandbox.ask("DELETE", "/faults")
    assert (await sandbox.get("/v1/payments?reference=lost")).json["total"] == 1
    again = await sandbox.post("/v1/sales", order(reference="lost"), key="lost")
    assert (again.http, again.headers["Idempotency-Replayed"]) == (201, "true")
    tally = (await sandbox.get("/counts")).json["components"]["gateway"]["sale"]
    assert (tally["received"], tally["answered"], tally["unanswered"]) == (2, 1, 1)


async def test_a_hanging_answer_comes_when_the_fault_is_removed(sandbox: Sandbox) -> None:
    await sandbox.put_fault("hang", "portal")
    hanging = asyncio.create_task(sandbox.get("/healthz"))
    while (await sandbox.fault_hits())["one"] == 0:
        assert not hanging.done()
    assert (await sandbox.ask("DELETE", "/faults/one")).json == {"removed": 1}
    reply = await hanging
    assert (reply.http, reply.json) == (200, {"status": "up"})


async def test_a_hanging_answer_comes_when_the_fault_ends_by_itself(sandbox: Sandbox) -> None:
    await sandbox.put_fault("hang", "portal", for_s=0.05)
    assert (await sandbox.get("/healthz")).http == 200
    assert (await sandbox.get("/faults")).json == {"faults": []}


async def test_a_reset_is_a_tcp_reset_and_the_payment_is_made(sandbox: Sandbox) -> None:
    await sandbox.put_fault("reset")
    body = json.dumps(order(reference="cut")).encode()
    head = "POST /v1/sales HTTP/1.1\r\nHost: x\r\nIdempotency-Key: cut\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    try:
        writer.write(head.encode() + body)
        with pytest.raises(ConnectionResetError):
            await reader.read()
    finally:
        writer.close()
    await sandbox.ask("DELETE", "/faults")
    assert (await sandbox.get("/v1/payments?reference=cut")).json["total"] == 1


async def test_a_truncated_json_answer_is_whole_http_and_half_json(sandbox: Sandbox) -> None:
    whole = await sandbox.sale(key="t")
    await sandbox.put_fault("truncate")
    half = await sandbox.sale(key="t")
    assert half.http == 201
    assert int(half.headers["Content-Length"]) == len(half.raw) == len(whole.raw) // 2
    assert whole.raw.startswith(half.raw)


async def test_a_dripping_answer_comes_slowly_and_whole(sandbox: Sandbox) -> None:
    whole = await sandbox.sale(key="d")
    await sandbox.put_fault("drip", bytes_per_s=4000)
    loop = asyncio.get_running_loop()
    before = loop.time()
    dripped = await sandbox.sale(key="d")
    assert loop.time() - before >= (len(whole.raw) - 4000 / 20) / 4000
    assert (dripped.http, dripped.raw) == (201, whole.raw)


async def test_a_dripping_answer_sends_its_headers_at_once(sandbox: Sandbox) -> None:
    await sandbox.put_fault("drip", "portal", bytes_per_s=1)
    async with sandbox.session.get(sandbox.url + "/healthz") as response:
        assert response.status == 200
        assert await response.content.readexactly(1) == b"{"


async def test_a_head_request_drips_no_body(sandbox: Sandbox) -> None:
    await sandbox.put_fault("drip", "portal", bytes_per_s=1)
    assert (await sandbox.ask("HEAD", "/healthz")).raw == b""


async def test_a_fault_hits_its_own_component_and_a_star_hits_all_but_the_controls(sandbox: Sandbox) -> None:
    await sandbox.put_fault("error", "gateway")
    assert (await sandbox.get("/healthz")).http == 200
    assert (await sandbox.get("/v1/payments")).http == 500
    await sandbox.put_fault("error", "*", code=503)
    for path in ("/healthz", "/v1/payments"):
        assert (await sandbox.get(path)).http == 503
    assert (await sandbox.ask("POST", "/core/realtime", data=b"")).http == 503
    for path in ("/", "/faults", "/counts"):
        assert (await sandbox.get(path)).http == 200


async def test_a_list_of_faults_shows_hits_and_remaining_time(sandbox: Sandbox) -> None:
    await sandbox.put_fault("delay", "portal", name="slow", ms=1, for_s=60)
    await sandbox.put_fault("throttle", "gateway", name="full", share=1)
    for _ in range(3):
        await sandbox.get("/healthz")
    slow, full = (await sandbox.get("/faults")).json["faults"]
    assert 0 < slow.pop("remaining_s") <= 60
    assert slow == {
        "name": "slow",
        "kind": "delay",
        "component": "portal",
        "share": 1.0,
        "for_s": 60.0,
        "ms": 1,
        "hits": 3,
    }
    assert (full["remaining_s"], full["retry_after_s"], full["hits"]) == (None, 1, 0)
    counted = (await sandbox.get("/counts")).json
    assert counted["components"]["portal"]["health"]["faults"] == counted["totals"]["faults"] == {"delay": 3}


async def test_faults_are_removed_one_by_one_or_all_at_once(sandbox: Sandbox) -> None:
    for name in ("a", "b", "c"):
        await sandbox.put_fault("error", name=name)
    assert (await sandbox.ask("DELETE", "/faults/a")).json == {"removed": 1}
    assert (await sandbox.ask("DELETE", "/faults/a")).http == 404
    assert (await sandbox.ask("DELETE", "/faults")).json == {"removed": 2}
    assert (await sandbox.get("/v1/payments")).http == 200


@pytest.mark.parametrize(
    ("body", "field", "allowed"),
    [
        ({"component": "gateway"}, "kind", "delay"),
        ({"kind": "dely", "component": "gateway"}, "kind", "delay"),
        ({"kind": ["hang"], "component": "gateway"}, "kind", "hang"),
        ({"kind": "hang"}, "component", "clearinghouse"),
        ({"kind": "hang", "component": "swatch"}, "component", "portal"),
        ({"kind": "throttle", "component": "switch"}, "component", "portal"),
        ({"kind": "aaa", "component": "gateway", "code": "42", "loop": "2000A"}, "component", "clearinghouse, *"),
        ({"kind": "hang", "component": "*", "ms": 5}, "ms", "share, for_s"),
        ({"kind": "delay", "component": "*"}, "ms", "missing"),
        ({"kind": "delay", "component": "*", "ms": 0}, "ms", "from 1 to"),
        ({"kind": "delay", "component": "*", "ms": 1.5}, "ms", "whole number"),
        ({"kind": "delay", "component": "*", "ms": True}, "ms", "whole number"),
        ({"kind": "error", "component": "*", "code": 404}, "code", "from 500 to 599"),
        ({"kind": "error", "component": "*", "committed": "no"}, "committed", "true nor false"),
        ({"kind": "aaa", "component": "*", "code": "42", "loop": "2000Z"}, "loop", "2100B"),
        ({"kind": "aaa", "component": "*", "code": 42, "loop": "2000A"}, "code", "42"),
        ({"kind": "stc", "component": "*", "code": "E1", "loop": "2100A"}, "loop", "2200B"),
        ({"kind": "stc", "component": "gateway", "code": "E1", "loop": "2200B"}, "component", "clearinghouse, *"),
        ({"kind": "drip", "component": "*", "bytes_per_s": 0}, "bytes_per_s", "from 1 to"),
        ({"kind": "hang", "component": "*", "share": 1.1}, "share", "from 0 to 1"),
        ({"kind": "hang", "component": "*", "share": "1"}, "share", "a number"),
        ({"kind": "hang", "component": "*", "for_s": 0}, "for_s", "a number from 0.001"),
        ({"kind": "hang", "component": "*", "for_s": 1e9}, "for_s", "604800"),
        ({"kind": "throttle", "component": "*", "retry_after_s": -1}, "retry_after_s", "from 0"),
    ],
)
async def test_a_wrong_fault_is_refused_with_the_field_and_what_is_allowed(
    sandbox: Sandbox, body: dict[str, object], field: str, allowed: str
) -> None:
    reply = await sandbox.ask("PUT", "/faults/one", json=body)
    assert (reply.http, reply.json["error"]["code"], reply.json["error"]["field"]) == (400, "invalid_fault", field)
    assert allowed in reply.json["error"]["message"]
    assert (await sandbox.get("/faults")).json == {"faults": []}


@pytest.mark.parametrize(("name", "body"), [("one", b"{"), ("one", b"[]"), ("a b", b'{"kind":"hang","component":"*"}')])
async def test_a_fault_that_is_no_json_or_has_a_bad_name_is_refused(sandbox: Sandbox, name: str, body: bytes) -> None:
    assert (await sandbox.ask("PUT", f"/faults/{name}", data=body)).http == 400


def test_a_json_nan_cannot_become_a_share() -> None:
    with pytest.raises(FaultError, match="share"):
        parse_fault("one", {"kind": "hang", "component": "*", "share": float("nan")})


async def test_a_decline_comes_from_whoever_asks_an_issuer_and_a_replay_passes_it_over(sandbox: Sandbox) -> None:
    account = {"routing_number": "110000000", "account_number": "000123456789", "type": "checking", "holder": "Q T"}
    made = await sandbox.sale(key="before")
    token = (await sandbox.post("/v1/tokens", {"card": card()})).json["id"]
    await sandbox.put_fault("decline", code="issuer_unavailable")
    assert (await sandbox.sale(key="before")).raw == made.raw
    assert (await sandbox.post("/v1/tokens", {"card": card()})).http == 201
    assert (await sandbox.post(f"/v1/payments/{made.json['id']}/refund")).http == 200
    assert await sandbox.fault_hits() == {"one": 0}
    by_token = {key: value for key, value in order(token=token).items() if key != "card"}
    for reply in (
        await sandbox.sale(),
        await sandbox.sale(kind="authorizations"),
        await sandbox.post("/v1/sales", by_token),
        await sandbox.post("/v1/ach/debits", {**{k: v for k, v in order().items() if k != "card"}, "account": account}),
    ):
        assert (reply.http, reply.json["error"]["decline_code"]) == (402, "issuer_unavailable")
    assert await sandbox.fault_hits() == {"one": 4}


@pytest.mark.parametrize(("component", "code"), [("portal", "do_not_honor"), ("gateway", "invalid_number")])
async def test_a_decline_is_the_gateways_and_one_that_an_issuer_gives(
    sandbox: Sandbox, component: str, code: str
) -> None:
    body = {"kind": "decline", "component": component, "code": code}
    assert (await sandbox.ask("PUT", "/faults/one", json=body)).http == 400


def test_every_kind_can_be_put_up_with_its_required_parameters_alone() -> None:
    required: dict[str, dict[str, object]] = {
        "delay": {"ms": 1},
        "aaa": {"code": "42", "loop": "2000A"},
        "stc": {"code": "E1", "loop": "2200B"},
        "hcr": {"code": "A3"},
        "ack": {"code": "R"},
        "decline": {"code": "issuer_unavailable"},
        "drip": {"bytes_per_s": 1},
        "response_code": {"code": "91"},
        "certificate": {"days": 3},
        "rcode": {"code": "SERVFAIL"},
        "smtp": {"code": 421, "step": "banner"},
        "sip": {"status": 503},
    }
    for kind in KINDS:
        fault = parse_fault("one", {"kind": kind, "component": "*", **required.get(kind, {})})
        assert set(fault.parameters) == set(KINDS[kind].parameters)


async def test_a_share_is_drawn_from_the_seeded_source_alone() -> None:
    def hits(seed: int) -> list[bool]:
        board = Board(random.Random(seed), clock=lambda: 0.0)
        board.put(parse_fault("some", {"kind": "hang", "component": "*", "share": 0.3}))
        return [board.draw("portal", Counter()).take("hang") is not None for _ in range(200)]

    assert hits(1) == hits(1) != hits(2)
    assert 35 <= sum(hits(1)) <= 85


async def test_a_fault_ends_by_the_clock_and_not_before() -> None:
    seconds = [100.0]
    board = Board(random.Random(1), clock=lambda: seconds[0])
    board.put(parse_fault("brief", {"kind": "hang", "component": "*", "for_s": 10}))
    seconds[0] = 109.9
    assert [view["remaining_s"] for view in board.view()] == [0.1]
    assert board.draw("portal", Counter()).take("hang") is not None
    seconds[0] = 110.0
    assert board.draw("portal", Counter()).take("hang") is None
    assert board.view() == []


async def test_the_board_is_bounded_and_says_so() -> None:
    board = Board(random.Random(1), clock=lambda: 0.0)
    for n in range(MOST_FAULTS):
        board.put(parse_fault(f"f{n}", {"kind": "hang", "component": "*"}))
    with pytest.raises(FaultError, match="full"):
        board.put(parse_fault("more", {"kind": "hang", "component": "*"}))
    board.put(parse_fault("f1", {"kind": "reset", "component": "*"}))
    assert board.clear() == MOST_FAULTS


async def test_a_client_that_leaves_a_hang_is_noticed(sandbox: Sandbox) -> None:
    await sandbox.put_fault("hang", "portal")
    with socket.create_connection(("127.0.0.1", sandbox.port)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        while (await sandbox.fault_hits())["one"] == 0:
            pass
    counted: dict[str, Any] = {"unanswered": 0}
    async with asyncio.timeout(5):
        while counted["unanswered"] == 0:
            counted = (await sandbox.get("/counts")).json["components"]["portal"]["health"]
    assert (counted["received"], counted["answered"]) == (1, 0)
