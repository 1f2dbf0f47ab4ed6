"""The sandbox as one aiohttp application, and how it is served and stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from outrider_sandbox import edge
from outrider_sandbox.answers import Answer, Refusal, json_answer
from outrider_sandbox.board import Board
from outrider_sandbox.clearinghouse.fhir import FhirFacade
from outrider_sandbox.clearinghouse.rooms import Clearinghouse
from outrider_sandbox.control import Control
from outrider_sandbox.counts import Counts
from outrider_sandbox.directory import directory
from outrider_sandbox.faults import Fault
from outrider_sandbox.gateway.rooms import Gateway
from outrider_sandbox.latency import Latency
from outrider_sandbox.line import Line
from outrider_sandbox.lines.secure import Certificates
from outrider_sandbox.portal import add_portal
from outrider_sandbox.services import SERVICES, Site, available
from outrider_sandbox.settings import Settings
from outrider_sandbox.switch.authorizations import Authorizations
from outrider_sandbox.switch.inquiry import add_inquiry

MOST_BYTES = 1 << 20
"""The largest body that is read, 1 MiB: far above any real-time transaction."""

_LAST_ANSWERS_S = 0.25
"""How long a stop waits for answers that are about to go out, before it cancels them."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a sandbox is: the base URL of all that is HTTP, and each other service's URL by its name."""

    http: str
    services: Mapping[str, str]


def build_app(
    settings: Settings,
    *,
    now: Callable[[], datetime],
    clock: Callable[[], float] = edge.monotonic,
    nonce: bytes | None = None,
    faults: Iterable[Fault] = (),
) -> web.Application:
    """All of the network that is HTTP. `now` gives aware times, `clock` monotonic seconds; `faults` are on from the
    start. `nonce` (32 bytes, by default new ones) keeps identifiers and control numbers unlike those of any other
    start."""
    return _http(_site(settings, now, clock, nonce, faults), {})


def _site(
    settings: Settings,
    now: Callable[[], datetime],
    clock: Callable[[], float],
    nonce: bytes | None,
    faults: Iterable[Fault],
) -> Site:
    board = Board(edge.generator(settings.seed, "faults"), clock)
    for fault in faults:
        board.put(fault)
    source = edge.generator(settings.seed, "latency")
    latency = Latency(source, median_ms=settings.latency_median_ms, sigma=settings.latency_sigma)
    return Site(
        settings,
        Line(board, Counts(), latency),
        now,
        edge.nonce() if nonce is None else nonce,
        Authorizations(settings.keep),
        Certificates(now, settings.host),
    )


def _http(site: Site, services: Mapping[str, str]) -> web.Application:
    app = web.Application(client_max_size=MOST_BYTES, middlewares=[_errors_as_json])
    line = site.line
    Control(line.board, line.counts, directory(site.settings, services), lambda: site.certificates.pem).add_to(
        app.router
    )
    Gateway(site.settings, site.now, site.nonce).add_to(app.router, line)
    Clearinghouse(site.settings, site.now, site.nonce).add_to(app.router, line)
    FhirFacade(site.settings, site.now, site.nonce).add_to(app.router, line)
    add_portal(app.router, line)
    add_inquiry(app.router, site.authorizations)
    return app


async def serve(
    settings: Settings, *, stop: asyncio.Event, ready: Callable[[Addresses], None], faults: Iterable[Fault] = ()
) -> None:
    """Bind, call `ready` with the addresses, serve until `stop` is set, then close within about a second.

    Requests that hang are cut off. Raises OSError when an address cannot be bound, ValueError for a service that there
    is not.
    """
    if unknown := settings.services.keys() - SERVICES.keys():
        raise ValueError(f"services: there is no {min(unknown)!r}; known: {', '.join(SERVICES)}")
    if missing := [why for name, why in available().items() if why and name in settings.services]:
        raise ValueError(f"services: {missing[0]}")
    site = _site(settings, edge.utc_now, edge.monotonic, None, faults)
    services: dict[str, str] = {}
    runner = web.AppRunner(
        _http(site, services),
        handler_cancellation=True,  # a client that goes away ends what it hung on
        shutdown_timeout=_LAST_ANSWERS_S,
        access_log=None,  # a path or a query of ours holds nothing secret, but a client's might
    )
    await runner.setup()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        for name, port in settings.services.items():
            service = SERVICES[name](site)
            stack.push_async_callback(service.close)
            services[name] = await service.start(settings.host, port)
        listening = web.TCPSite(runner, settings.host, settings.port)
        await listening.start()
        ready(Addresses(_base_url(settings.host, listening.port), services))
        await stop.wait()


def _base_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Whatever aiohttp or a control endpoint refuses (404, 405, 413, ...) is answered like all refusals."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _response(refusal.answer)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = error.reason.lower().replace(" ", "_")
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _response(json_answer(error.status, {"error": {"code": code, "message": error.reason}}, allowed))


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.http, body=answer.body, headers={"Content-Type": answer.content_type, **answer.headers}
    )
