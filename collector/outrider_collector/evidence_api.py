"""The evidence over HTTP: the public key, the chain of seals, and sealing what is due now."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import msgspec
from aiohttp import web

from outrider_collector.app import RefusedError, Rooms
from outrider_collector.evidence.sealing import Sealer
from outrider_collector.issued.register import IssuedRegister
from outrider_collector.store import StoreFailedError

SEAL_EVERY_S = 300
SEALER = web.AppKey("sealer", Sealer)
_log = logging.getLogger("outrider")


def make_sealer(rooms: Rooms, issued: IssuedRegister) -> Sealer | None:
    """The sealer of the configured folder; None where none is configured."""
    config = rooms.config
    if config.evidence is None:
        return None
    return Sealer(
        config.evidence,
        config.store.with_suffix(".evidence.key"),
        rooms.store,
        as_of=rooms.intake.as_of,
        announcements=rooms.register.announcements,
        settle=config.settle,
        statements=lambda as_of: [each.sealed for each in issued.revisions(as_of)],
    )


def add_evidence(app: web.Application, sealer: Sealer | None) -> None:
    """Add the routes; without a sealer they say how to get one."""
    if sealer is not None:
        app[SEALER] = sealer
    app.router.add_get("/v1/evidence", _chain)
    app.router.add_get("/v1/evidence/key", _key)
    app.router.add_post("/v1/evidence/seal", _seal)


async def keep_sealed(sealer: Sealer) -> None:
    """Seal each day when it is old enough. What goes wrong is logged once, and tried again."""
    told = ""
    while True:
        with contextlib.suppress(StoreFailedError):
            for each in await asyncio.to_thread(sealer.seal, only_with_a_new_day=True):
                _log.info("sealed %s: %d records", each.seal.name, each.seal.records.count)
        if sealer.trouble and sealer.trouble != told:
            _log.error("%s", sealer.trouble)
        told = sealer.trouble
        await asyncio.sleep(SEAL_EVERY_S)


def _sealer(request: web.Request) -> Sealer:
    if SEALER not in request.app:
        raise RefusedError(404, "this collector seals nothing; name a folder in its configuration, `evidence: FOLDER`")
    return request.app[SEALER]


async def _key(request: web.Request) -> web.Response:
    pem = await asyncio.to_thread(_sealer(request).public_key)
    return _json({"public_key": pem.decode()})


async def _chain(request: web.Request) -> web.Response:
    sealer = _sealer(request)
    chain = await asyncio.to_thread(sealer.chain)
    return _json({"seals": [each.plain for each in chain], "trouble": sealer.trouble})


async def _seal(request: web.Request) -> web.Response:
    """`?today=true` seals days that are not over too, as partial."""
    today = request.query.get("today", "false")
    if today not in ("true", "false") or set(request.query) - {"today"}:
        raise RefusedError(422, "sealing takes today=true, or nothing", field="today")
    made = await asyncio.to_thread(_sealer(request).seal, with_today=today == "true")
    return _json({"seals": [each.plain for each in made]})


def _json(plain: Any) -> web.Response:
    body = msgspec.json.format(msgspec.json.encode(plain, order="deterministic"), indent=1)
    return web.Response(body=body, content_type="application/json")
