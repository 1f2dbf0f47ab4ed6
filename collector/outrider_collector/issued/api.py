"""Issued statements over HTTP: issue one, list them, make one again, compare two."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from outrider_collector.access.gate import signed
from outrider_collector.issued.issuing import Issuer, NotOverError
from outrider_collector.issued.register import IssuedRegister, UnknownRevisionError
from outrider_collector.rooms import RefusedError, Rooms, json_answer
from outrider_collector.statement.values import Plain
from outrider_collector.store import StoreFailedError
from outrider_collector.window_fields import decode_body

LOOK_EVERY_S = 300
ISSUER = web.AppKey("issuer", Issuer)
T = TypeVar("T")


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an issue; it may be left out."""

    author: str = ""


def make_issuer(rooms: Rooms, register: IssuedRegister) -> Issuer:
    """The issuer of a collector's statements."""
    return Issuer(
        register,
        rooms.store,
        rooms.accountant,
        as_of=rooms.intake.as_of,
        announcements=rooms.register.announcements,
    )


def add_issued(app: web.Application, issuer: Issuer) -> None:
    """Add the routes."""
    app[ISSUER] = issuer
    app.router.add_get("/v1/statements/revisions", _list)
    app.router.add_get("/v1/statements/{period}/revisions", _list)
    app.router.add_post("/v1/statements/{period}/revisions", _issue)
    app.router.add_get(r"/v1/statements/{period}/revisions/{number:\d{1,9}}", _again)
    app.router.add_get(r"/v1/statements/{period}/changes/{first:\d{1,9}}/{second:\d{1,9}}", _compare)


async def keep_looked_at(issuer: Issuer) -> None:
    """See now and then which statements are stale, so that the metrics know."""
    while True:
        with contextlib.suppress(StoreFailedError, ValueError):  # whoever asks for the list is told
            await asyncio.to_thread(issuer.listing)
        await asyncio.sleep(LOOK_EVERY_S)


async def _list(request: web.Request) -> web.Response:
    issuer, period = request.app[ISSUER], request.match_info.get("period")
    return json_answer({"revisions": await _answered(lambda: issuer.listing(period))})


async def _issue(request: web.Request) -> web.Response:
    issuer, period = request.app[ISSUER], request.match_info["period"]
    raw = await request.read()
    wanted = decode_body(raw, Wanted) if raw else Wanted()
    author = signed(request, wanted.author)
    made = await _answered(lambda: issuer.issue(period, author))
    plain = {"issued": made.revision.plain, "is_new": made.is_new, "statement": made.statement}
    return json_answer(plain, status=201 if made.is_new else 200)


async def _again(request: web.Request) -> web.Response:
    """`?as_issued=true` gives what was handed out, without making it again."""
    issuer, period, number = request.app[ISSUER], request.match_info["period"], int(request.match_info["number"])
    if unknown := [name for name in request.query if name != "as_issued"]:
        raise RefusedError(422, f"{unknown[0]!r} is unknown; a revision takes as_issued=true")
    as_issued = request.query.get("as_issued", "false")
    if as_issued not in ("true", "false"):
        raise RefusedError(422, "as_issued is true or false", field="as_issued")

    def made() -> Plain:
        if as_issued == "true":
            kept = issuer.kept(period, number)
            return {"issued": kept.revision.plain, "statement": kept.statement}
        again = issuer.again(period, number)
        told = {"is_same": again.is_same, "sha256": again.sha256, "why": list(again.why)}
        return {"issued": again.revision.plain, "statement": again.statement, **told}

    return json_answer(await _answered(made))


async def _compare(request: web.Request) -> web.Response:
    issuer, asked = request.app[ISSUER], request.match_info
    return json_answer(
        await _answered(lambda: issuer.compare(asked["period"], int(asked["first"]), int(asked["second"])))
    )


async def _answered(ask: Callable[[], T]) -> T:
    """What a question to the issuer gives, in a thread. Raises RefusedError, StoreFailedError."""
    try:
        return await asyncio.to_thread(ask)
    except UnknownRevisionError as error:
        raise RefusedError(404, str(error)) from None
    except NotOverError as error:
        raise RefusedError(409, str(error)) from None
    except (ValueError, OverflowError) as error:
        raise RefusedError(422, str(error)) from None
