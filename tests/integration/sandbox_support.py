"""A sandbox on a free port of 127.0.0.1, and the few verbs that the tests speak to it with."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from outrider_sandbox import Settings, serve

GOOD_CARD = "4242424242424242"
_KEYS = itertools.count(1)


class CountedNumbers:
    """Control numbers from 1."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def control_number(self) -> int:
        return next(self._numbers)


@dataclass(frozen=True, slots=True)
class Reply:
    http: int
    headers: Mapping[str, str]
    raw: bytes
    json: Any

    @property
    def content_type(self) -> str:
        return self.headers["Content-Type"]


@dataclass(frozen=True, slots=True)
class Sandbox:
    url: str
    session: aiohttp.ClientSession
    serving: asyncio.Task[None]
    stop: asyncio.Event
    services: Mapping[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def ask(self, method: str, path: str, **options: Any) -> Reply:
        async with self.session.request(method, self.url + path, **options) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json"
            try:
                body = await response.json() if is_json else None
            except ValueError:
                body = None
            return Reply(response.status, response.headers, raw, body)

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, body: object = None, *, key: str | None = None, **options: Any) -> Reply:
        headers = {"Idempotency-Key": key or f"key-{next(_KEYS)}", **options.pop("headers", {})}
        return await self.ask("POST", path, json={} if body is None else body, headers=headers, **options)

    async def sale(self, *, key: str | None = None, kind: str = "sales", **changes: Any) -> Reply:
        return await self.post(f"/v1/{kind}", order(**changes), key=key)

    async def authorize(self, **changes: Any) -> str:
        reply = await self.sale(kind="authorizations", **changes)
        assert reply.http == 201, reply.raw
        return str(reply.json["id"])

    async def put_fault(self, kind: str, component: str = "gateway", name: str = "one", **more: Any) -> Reply:
        reply = await self.ask("PUT", f"/faults/{name}", json={"kind": kind, "component": component, **more})
        assert reply.http == 200, reply.raw
        return reply

    async def fault_hits(self) -> dict[str, int]:
        return {fault["name"]: fault["hits"] for fault in (await self.get("/faults")).json["faults"]}


def card(number: str = GOOD_CARD, exp_year: int = 2095) -> dict[str, object]:
    return {"number": number, "exp_month": 12, "exp_year": exp_year, "cvc": "123"}


def order(**changes: Any) -> dict[str, object]:
    return {"amount": 2500, "currency": "USD", "reference": "ref-1", "card": card(), **changes}


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Sandbox]:
    """A sandbox that serves until the block ends; without latency unless the settings say otherwise."""
    chosen = Settings(**{"port": 0, "latency_median_ms": 0.0, **settings})
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(chosen, stop=stop, ready=address.set_result))
    await asyncio.wait({serving, address}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    timeout = aiohttp.ClientTimeout(total=20)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            addresses = address.result()
            yield Sandbox(addresses.http, session, serving, stop, addresses.services)
    finally:
        stop.set()
        await asyncio.wait_for(serving, 5)
