"""Serving: the address, the stop, the latencies, the counts."""

from __future__ import annotations

import asyncio
import math
import statistics
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sandbox_support import running

from outrider_sandbox import Settings, build_app, edge, parse_fault, serve
from outrider_sandbox.latency import Latency


def latencies(seed: int, count: int = 2000, **settings: Any) -> list[float]:
    chosen = Settings(seed=seed, **settings)
    latency = Latency(
        edge.generator(chosen.seed, "latency"), median_ms=chosen.latency_median_ms, sigma=chosen.latency_sigma
    )
    return [latency.draw() for _ in range(count)]


def test_the_same_seed_draws_the_same_latencies_and_another_seed_others() -> None:
    assert latencies(1, 50) == latencies(1, 50) != latencies(2, 50)


def test_latencies_are_lognormal_about_their_median() -> None:
    drawn = latencies(1)
    logs = [math.log(seconds) for seconds in drawn]
    assert statistics.median(drawn) == pytest.approx(0.060, rel=0.05)
    assert statistics.stdev(logs) == pytest.approx(0.35, rel=0.05)
    assert latencies(1, 5, latency_sigma=0.0) == pytest.approx([0.060] * 5)
    assert latencies(1, 5, latency_median_ms=0.0) == [0.0] * 5


def test_drawing_faults_does_not_disturb_the_latencies() -> None:
    assert edge.generator(1, "latency").random() != edge.generator(1, "faults").random()


async def test_an_answer_takes_at_least_its_latency() -> None:
    async with running(latency_median_ms=50.0, latency_sigma=0.0) as sandbox:
        loop = asyncio.get_running_loop()
        before = loop.time()
        assert (await sandbox.get("/healthz")).json == {"status": "up"}
        assert loop.time() - before >= 0.048  # a timer may be a millisecond early


async def test_the_address_that_is_told_is_the_one_that_answers() -> None:
    async with running() as sandbox:
        assert sandbox.url == f"http://127.0.0.1:{sandbox.port}"
        assert sandbox.port > 0
        assert (await sandbox.get("/healthz")).http == 200


async def test_an_address_that_is_taken_is_an_error_at_once() -> None:
    async with running() as sandbox:
        with pytest.raises(OSError, match=str(sandbox.port)):
            await serve(Settings(port=sandbox.port), stop=asyncio.Event(), ready=lambda _: None)


async def test_a_stop_is_prompt_with_requests_that_hang_drip_and_wait() -> None:
    before = asyncio.all_tasks()
    async with running() as sandbox:
        await sandbox.put_fault("hang", "gateway", name="h")
        await sandbox.put_fault("drip", "portal", name="d", bytes_per_s=1)
        asked = [asyncio.create_task(sandbox.get(path)) for path in ("/v1/payments", "/healthz") for _ in range(10)]
        while await sandbox.fault_hits() != {"h": 10, "d": 10}:
            pass
        loop = asyncio.get_running_loop()
        start = loop.time()
        sandbox.stop.set()
        await asyncio.wait_for(sandbox.serving, 5)
        assert loop.time() - start < 2
        ended = await asyncio.gather(*asked, return_exceptions=True)
        assert [end for end in ended if not isinstance(end, aiohttp.ClientError)] == []
    assert asyncio.all_tasks() == before


async def test_faults_can_be_on_from_the_start() -> None:
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    fault = parse_fault("early", {"kind": "throttle", "component": "portal"})
    serving = asyncio.create_task(serve(Settings(port=0), stop=stop, ready=address.set_result, faults=(fault,)))
    reader, writer = await asyncio.open_connection("127.0.0.1", int((await address).http.rpartition(":")[2]))
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 429 Too Many Requests\r\n"
    writer.close()
    stop.set()
    await asyncio.wait_for(serving, 5)


async def test_counts_add_up_by_component_kind_and_status() -> None:
    async with running() as sandbox:
        await sandbox.sale(key="a")
        await sandbox.sale(key="a")
        await sandbox.sale(amount=105)
        payment = await sandbox.authorize()
        await sandbox.post(f"/v1/payments/{payment}/void")
        await sandbox.get(f"/v1/payments/{payment}")
        await sandbox.get("/healthz")
        counted = (await sandbox.get("/counts")).json
        gateway = counted["components"]["gateway"]
        assert gateway["sale"] == {
            "received": 3,
            "answered": 3,
            "unanswered": 0,
            "http": {"201": 2, "402": 1},
            "faults": {},
        }
        seen = {kind: tally["received"] for kind, tally in gateway.items() if tally["received"]}
        assert seen == {"sale": 3, "authorization": 1, "void": 1, "lookup": 1}
        assert counted["totals"]["received"] == counted["totals"]["answered"] == 7
        assert counted["totals"]["http"] == {"200": 3, "201": 3, "402": 1}


async def test_a_restart_never_gives_an_identifier_again() -> None:
    identifiers = set()
    for _ in range(2):
        async with running() as sandbox:
            identifiers.add(await sandbox.authorize())
    assert len(identifiers) == 2


async def test_the_directory_names_every_room() -> None:
    async with running(partner="OUTRIDER OTHER NETWORK") as sandbox:
        shown = (await sandbox.get("/")).json
        assert (shown["partner"], shown["synthetic"]) == ("OUTRIDER OTHER NETWORK", True)
        assert {"clearinghouse", "gateway", "portal", "control"} < shown.keys()


async def test_an_app_can_be_built_without_being_served() -> None:
    app = build_app(Settings(), now=lambda: datetime(2026, 6, 1, tzinfo=UTC))
    assert isinstance(app, web.Application)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"port": -1}, "port"),
        ({"port": 65_536}, "port"),
        ({"host": ""}, "host"),
        ({"latency_median_ms": -1.0}, "latency_median_ms"),
        ({"latency_median_ms": float("nan")}, "latency_median_ms"),
        ({"latency_sigma": 3.1}, "latency_sigma"),
        ({"receiver_id": "has space"}, "receiver_id"),
        ({"decline_endings": (("5", "x"),)}, "decline_endings"),
        ({"keep": 0}, "keep"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Settings(**settings)


def test_secrets_do_not_show() -> None:
    shown = repr(Settings(api_key="key-secret", core_username="u", core_password="pass-secret"))
    assert "secret" not in shown
