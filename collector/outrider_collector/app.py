"""The collector's HTTP side: results in, windows, statements and the current state out.

Every refusal is JSON with an `error` that says what was wrong and what to do.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from outrider.codecs.records import BatchError, decode_batch, encode_answer
from outrider.core.intervals import Interval
from outrider.core.period import parse_period
from outrider.core.units import DAY, Duration, Instant, parse_duration, parse_instant
from outrider.core.wire import Refusal
from outrider_collector.access.gate import admit
from outrider_collector.calendars.api import add_exchange
from outrider_collector.check_sets_api import CHECK_SETS, standing
from outrider_collector.conservation import delivery
from outrider_collector.current import make_current
from outrider_collector.intake import ConflictError
from outrider_collector.record_reading import UnreadableError
from outrider_collector.rooms import ROOMS, RefusedError, Rooms, json_answer
from outrider_collector.statement import make_statement
from outrider_collector.statement.values import Plain
from outrider_collector.store import StoreFailedError
from outrider_collector.verifying import add_verification
from outrider_collector.windows_api import add_windows

__all__ = ["ROOMS", "RefusedError", "Rooms", "build_app", "current", "last_minutes", "statement"]

LARGEST_BODY = 4 << 20
LARGEST_OPENED = 5 << 20
_PIECE = 1 << 18
LONGEST_PERIOD: Duration = 400 * DAY
_QUERY = ("period", "last", "from", "to", "as_of")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(rooms: Rooms) -> web.Application:
    """The API; pages are added by `outrider_collector.pages`."""
    app = web.Application(middlewares=[_refusals], client_max_size=LARGEST_BODY)
    app[ROOMS] = rooms
    app.router.add_post("/v1/results", _take_results)
    add_windows(app)
    add_verification(app)
    add_exchange(app)
    app.router.add_get("/v1/statements", _statement)
    app.router.add_get("/v1/status", _current)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/-/healthy", _healthy)
    app.router.add_get("/-/ready", _ready)
    return app


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    headers: dict[str, str] = {}
    try:
        return await handler(request)
    except RefusedError as refused:
        status, refusal, headers = refused.status, refused.refusal, refused.headers
    except web.HTTPException as error:
        if error.status < 400:
            raise
        status, refusal = error.status, Refusal(error.reason)
    except StoreFailedError as error:
        status, refusal = 503, Refusal(str(error))
    headers |= {"Retry-After": "1"} if status == 503 else {}
    return web.Response(body=encode_answer(refusal), status=status, content_type="application/json", headers=headers)


# --- results ---------------------------------------------------------------------------------------------------------


async def _take_results(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    try:
        batch = decode_batch(await _opened(request))
        admit(request, batch)
        answer = await rooms.intake.submit(batch)
    except BatchError as error:
        raise RefusedError(400, str(error)) from None
    except ConflictError as error:
        raise RefusedError(409, str(error), error.seq, digest=error.known) from None
    except UnreadableError as error:
        raise RefusedError(422, str(error), error.seq) from None
    rooms.metrics.took(answer)
    return web.Response(body=encode_answer(answer), content_type="application/json")


async def _opened(request: web.Request) -> bytes:
    """The body, decompressed piece by piece as it streams in: a bomb costs what the limit is, and no more."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("gzip", "identity"):
        raise RefusedError(415, f"bodies are gzip, not {encoding}")
    opener = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    opened, received = bytearray(), 0
    try:
        async for chunk in request.content.iter_any():
            received += len(chunk)
            for piece in _pieces(opener, chunk):
                opened += piece
                if received > LARGEST_BODY or len(opened) > LARGEST_OPENED:
                    raise RefusedError(413, f"a batch is at most {LARGEST_BODY} bytes, {LARGEST_OPENED} when opened")
    except zlib.error as error:
        raise RefusedError(400, f"the body is not gzip: {error}") from None
    if opener is not None and not opener.eof:
        raise RefusedError(400, "the body ends in the middle")
    return bytes(opened)


def _pieces(opener: zlib._Decompress | None, chunk: bytes) -> Iterator[bytes]:
    """What a chunk of the body opens to. Raises zlib.error, also for what comes after the end of the gzip."""
    if opener is None:
        yield chunk
        return
    while chunk:
        yield opener.decompress(chunk, _PIECE)
        chunk = opener.unconsumed_tail
    if opener.unused_data:
        raise zlib.error("something follows its end")


# --- figures ---------------------------------------------------------------------------------------------------------


async def _statement(request: web.Request) -> web.Response:
    rooms = request.app[ROOMS]
    as_of = await asyncio.to_thread(rooms.intake.as_of)
    try:
        if "as_of" in request.query:
            as_of = min(as_of, _instant(request.query["as_of"]))
        period, label = _period(request, rooms, as_of)
    except (ValueError, OverflowError) as error:
        raise RefusedError(422, str(error)) from None
    return json_answer(await asyncio.to_thread(statement, rooms, period, as_of, label))


def statement(rooms: Rooms, period: Interval, as_of: int, label: str) -> Plain:
    """The statement of a period; blocks."""
    basis = rooms.accountant.basis(period, as_of, rooms.register.announcements())
    made = make_statement(rooms.accountant, basis, label)
    return {**made, "delivery": delivery(rooms.intake.ledger, rooms.store, period, basis.as_of, basis.ledger)}


def _period(request: web.Request, rooms: Rooms, as_of: int) -> tuple[Interval, str]:
    """`period=2026-06`, `last=10m`, or `from=...&to=...`. Raises ValueError."""
    query = request.query
    if unknown := [name for name in query if name not in _QUERY or len(query.getall(name)) > 1]:
        raise ValueError(f"{unknown[0]!r} is unknown or there twice; a statement is asked for by {', '.join(_QUERY)}")
    match [name for name in _QUERY[:-1] if name in query]:
        case ["period"]:
            return parse_period(query["period"], rooms.config.agreement.zone), query["period"]
        case ["last"]:
            return last_minutes(rooms, parse_duration(query["last"]), as_of), f"the last {query['last']}"
        case ["from", "to"]:
            start, end = _instant(query["from"]), _instant(query["to"])
            if not start < end <= start + LONGEST_PERIOD:
                raise ValueError(f"'to' must come after 'from', by {LONGEST_PERIOD // DAY} days at most")
            return Interval(start, end), ""
    raise ValueError(
        "say which, and only one: period=2026-06, last=10m, or from=...&to=... with times like 2026-06-01T00:00:00Z"
    )


def _instant(text: str) -> Instant:
    found = parse_instant(text)
    if found < 0:
        raise ValueError(f"{text!r} is before 1970")
    return found


def last_minutes(rooms: Rooms, length: Duration, as_of: int) -> Interval:
    """Whole slices old enough for their results to have come in."""
    longest = max(guarantee.slice for guarantee in rooms.config.agreement.guarantees)
    if not longest <= length <= LONGEST_PERIOD:
        raise ValueError(f"'last' is from a slice ({longest // 1_000_000} s) to {LONGEST_PERIOD // DAY} days")
    end = (as_of - rooms.config.settle) // longest * longest
    if end < length:
        raise ValueError("that begins before 1970")
    return Interval(end - length // longest * longest, end)


async def _current(request: web.Request) -> web.Response:
    made = await asyncio.to_thread(current, request.app[ROOMS])
    if CHECK_SETS in request.app:
        made["check_sets"] = await asyncio.to_thread(standing, request.app[CHECK_SETS])
    return json_answer(made)


def current(rooms: Rooms) -> Plain:
    """The current state; blocks."""
    return make_current(
        rooms.store,
        rooms.config.agreement,
        rooms.register.announcements(),
        list(rooms.intake.senders.values()),
        now=rooms.clock.now(),
        lookback=rooms.config.recent,
        settle=rooms.config.settle,
    )


async def _metrics(request: web.Request) -> web.Response:
    registry: CollectorRegistry = request.app[ROOMS].metrics.registry
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _healthy(request: web.Request) -> web.Response:
    trouble = request.app[ROOMS].intake.trouble
    return web.Response(status=503 if trouble else 200, text=f"{trouble or 'healthy'}\n")


async def _ready(request: web.Request) -> web.Response:
    """As healthy, and the clock is to be trusted: starting the collector anew would take it for right."""
    request.app[ROOMS].clock.now()
    return await _healthy(request)
