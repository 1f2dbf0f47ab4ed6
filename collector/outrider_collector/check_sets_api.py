"""Check sets over HTTP: published by operators, asked for by agents, who say what became of them."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from outrider.codecs.check_sets import MOST_BYTES, CheckSetError, decode, decode_taken, encode
from outrider.core.units import format_instant
from outrider_collector.access.gate import speaks_for
from outrider_collector.check_sets import CheckSetRegister, Published, PublishError
from outrider_collector.rooms import RefusedError, json_answer

CHECK_SETS = web.AppKey("check_sets", CheckSetRegister)
_LARGEST_REPORT = 16 << 10
_LONGEST_NAME = 200


def add_check_sets(app: web.Application, register: CheckSetRegister) -> None:
    """Add the routes."""
    app[CHECK_SETS] = register
    app.router.add_get("/v1/check-sets", _list)
    app.router.add_post("/v1/check-sets", _publish)
    app.router.add_get("/v1/check-sets/current", _current)
    app.router.add_post("/v1/check-sets/taken", _taken)
    app.router.add_get("/v1/check-sets/{version}", _show)


def standing(register: CheckSetRegister) -> Any:
    """The newest version, and what each agent said last, for `/v1/status`; blocks."""
    published = register.published()
    return {
        "newest": published[-1].version if published else 0,
        "agents": [
            {
                "agent": taken.agent,
                "region": taken.region,
                "version": taken.version,
                "offered": offered.version if (offered := register.current(taken.agent, taken.region)) else 0,
                "refused": taken.refused,
                "reason": taken.reason,
                "detail": taken.detail,
                "told_at": format_instant(told_at),
            }
            for taken, told_at in register.taken()
        ],
    }


async def _list(request: web.Request) -> web.Response:
    register = request.app[CHECK_SETS]
    return json_answer({"check_sets": [_plain(each) for each in reversed(register.published())]})


def _plain(each: Published) -> Any:
    return {
        "version": each.version,
        "agents": each.audience.agents,
        "regions": each.audience.regions,
        "key": each.key,
        "digest": each.digest,
        "published_at": format_instant(each.published_at),
    }


async def _publish(request: web.Request) -> web.Response:
    try:
        signed = decode(await _body(request, MOST_BYTES))
        made = await asyncio.to_thread(request.app[CHECK_SETS].publish, signed)
    except CheckSetError as error:
        raise RefusedError(422, str(error)) from None
    except PublishError as error:
        raise RefusedError(409 if error.is_conflict else 422, str(error)) from None
    return json_answer(_plain(made))


async def _current(request: web.Request) -> web.Response:
    """`?agent=NAME&region=NAME`: the newest set for an agent, with its digest as ETag; 204 where there is none."""
    register, query = request.app[CHECK_SETS], request.query
    agent, region = query.get("agent", ""), query.get("region", "")
    if not (0 < len(agent) <= _LONGEST_NAME and 0 < len(region) <= _LONGEST_NAME):
        raise RefusedError(422, "say who asks: agent=NAME&region=NAME", field="agent")
    speaks_for(request, agent, lambda: {region})
    found = await asyncio.to_thread(register.current, agent, region)
    if found is None:
        return web.Response(status=204)
    headers = {"ETag": f'"{found.digest}"', "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return await _answer(register, found.version, headers)


async def _show(request: web.Request) -> web.Response:
    text = request.match_info["version"]
    if not text.isascii() or not text.isdecimal() or len(text) > 16:
        raise RefusedError(404, f"{text!r} is no version of a check set; `outrider checks list` shows them")
    return await _answer(request.app[CHECK_SETS], int(text), {})


async def _answer(register: CheckSetRegister, version: int, headers: dict[str, str]) -> web.Response:
    signed = await asyncio.to_thread(register.signed, version)
    if signed is None:
        raise RefusedError(404, f"there is no check set {version}; `outrider checks list` shows them")
    return web.Response(body=encode(signed), content_type="application/json", headers=headers)


async def _taken(request: web.Request) -> web.Response:
    try:
        taken = decode_taken(await _body(request, _LARGEST_REPORT))
    except CheckSetError as error:
        raise RefusedError(422, str(error)) from None
    speaks_for(request, taken.agent, lambda: {taken.region})
    if not await asyncio.to_thread(request.app[CHECK_SETS].note, taken):
        raise RefusedError(429, "too many agents have spoken of check sets; there is no room for another")
    return web.Response(status=204)


async def _body(request: web.Request, most: int) -> bytes:
    """The body as it is, within a bound."""
    if "Content-Encoding" in request.headers:
        raise RefusedError(415, "this is not taken compressed")
    found = bytearray()
    async for chunk in request.content.iter_any():
        found += chunk
        if len(found) > most:
            raise RefusedError(413, f"this is at most {most} bytes")
    return bytes(found)
