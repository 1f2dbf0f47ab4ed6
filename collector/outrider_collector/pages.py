"""The plain page at `/`: what was guaranteed and how it stands, rendered here, with no script and no outside request.

Rules
-----
1. Every text goes out printable and escaped; nothing in a template is marked as safe.
2. The accounts are made at most every ten seconds, the state at most every second, whoever asks and how often.
3. The page may load nothing and run nothing: its one style sheet is known by its hash.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from outrider.clock import Clock
from outrider.core.guarantee import Guarantee
from outrider.core.period import Calendar, PeriodKind
from outrider.core.units import DAY, HOUR, MINUTE, SECOND, Duration, Instant, format_instant, to_datetime
from outrider.redact import printable
from outrider_collector.access.gate import signed_in
from outrider_collector.accounting import Accountant, Basis
from outrider_collector.app import ROOMS, Rooms, current
from outrider_collector.page_reading import make_page
from outrider_collector.statement import make_accounts, make_statement
from outrider_collector.statement.values import Plain
from outrider_collector.store import StoreFailedError

ACCOUNTS_FRESH: Duration = 10 * SECOND
STATE_FRESH: Duration = 1 * SECOND
REFRESH_S = 5
_LONGEST_TEXT = 500

_Made = TypeVar("_Made")


class Shared(Generic[_Made]):
    """Something costly that blocks: made in a thread, for everybody who asks meanwhile and for a while after."""

    def __init__(self, make: Callable[[], _Made], clock: Clock, fresh: Duration) -> None:
        self._make = make
        self._clock = clock
        self._fresh = fresh
        self._making: asyncio.Task[_Made] | None = None
        self._made_at: Duration = 0

    async def get(self) -> _Made:
        """The latest, or a new one. Raises what making it raised; then the next to ask tries again."""
        if self._making is None or (self._making.done() and self._is_stale(self._making)):
            self._making = asyncio.create_task(self._anew())
        return await asyncio.shield(self._making)

    async def _anew(self) -> _Made:
        made = await asyncio.to_thread(self._make)
        self._made_at = self._clock.monotonic()  # not when it was begun: what takes long must not be made all the time
        return made

    def _is_stale(self, made: asyncio.Task[_Made]) -> bool:
        is_failed = made.cancelled() or made.exception() is not None
        return is_failed or self._clock.monotonic() - self._made_at >= self._fresh


def add_pages(app: web.Application) -> None:
    """Add GET /. The application needs its ROOMS."""
    rooms = app[ROOMS]
    environment = make_environment(rooms.config.agreement.zone)
    headers = security_headers(environment)
    state = Shared(lambda: current(rooms), rooms.clock, STATE_FRESH)
    accounts = Shared(lambda: running_accounts(rooms), rooms.clock, ACCOUNTS_FRESH)

    async def page(request: web.Request) -> web.Response:
        is_still = request.query.get("refresh") == "off"
        shown: dict[str, Any] = {"refresh": None if is_still else REFRESH_S, "person": signed_in(request)}
        try:
            now_state, statements = await asyncio.gather(state.get(), accounts.get())
        except StoreFailedError as error:
            text = environment.get_template("trouble.html").render(**shown, trouble=str(error))
            return _answer(text, {**headers, "Retry-After": str(REFRESH_S)}, HTTPStatus.SERVICE_UNAVAILABLE)
        text = await asyncio.to_thread(_render, environment, rooms, now_state, statements, shown)
        return _answer(text, headers, HTTPStatus.OK)

    app.router.add_get("/", page)


def running_accounts(rooms: Rooms) -> list[tuple[PeriodKind, Plain]]:
    """For each calendar of the agreement the statement of the period that runs, of its own guarantees, without what is
    shown day by day; blocks."""
    return [
        (kind, make_accounts(accountant, basis, f"the running {kind}")[1])
        for kind, accountant, basis in _running(rooms)
    ]


def count_running(rooms: Rooms) -> None:
    """Count all that the statements of the running periods need, so that they are quick when they are asked for."""
    for kind, accountant, basis in _running(rooms):
        make_statement(accountant, basis, f"the running {kind}")


def _running(rooms: Rooms) -> Iterator[tuple[PeriodKind, Accountant, Basis]]:
    config, now = rooms.config, rooms.clock.now()
    calendars: dict[Calendar, list[Guarantee]] = {}
    for guarantee in config.agreement.guarantees:
        calendars.setdefault(guarantee.calendar, []).append(guarantee)
    for calendar, guarantees in calendars.items():
        accountant = rooms.accountant.only(tuple(guarantees))
        # What rolls ends with what can be judged, which just after midnight is still the day before.
        unjudged = config.settle + max(each.slice for each in guarantees)
        at = now - unjudged if calendar.kind is PeriodKind.ROLLING else now
        basis = accountant.basis(calendar.containing(at), now, rooms.register.announcements())
        yield calendar.kind, accountant, basis


def _render(
    environment: Environment,
    rooms: Rooms,
    state: Plain,
    statements: list[tuple[PeriodKind, Plain]],
    shown: dict[str, Any],
) -> str:
    page = make_page(state, statements, rooms.config.agreement, rooms.config.settle, rooms.intake.trouble)
    return environment.get_template("page.html").render(**shown, page=page)


def _answer(text: str, headers: dict[str, str], status: HTTPStatus) -> web.Response:
    response = web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers, status=status)
    response.enable_compression()
    return response


# --- templates -------------------------------------------------------------------------------------------------------


def make_environment(zone: ZoneInfo) -> Environment:
    """The templates, with times of day in a zone."""
    environment = Environment(
        loader=PackageLoader("outrider_collector"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": lambda instant: _moment(instant, zone),
        "utc": lambda instant: _time(instant, f"{to_datetime(instant):%Y-%m-%d %H:%M:%S} UTC"),
        "age": _age,
    }
    return environment


def security_headers(environment: Environment, form_action: str = "'none'") -> dict[str, str]:
    """What a browser is told about every page. The style sheet is allowed by its hash (CSP level 2)."""
    style = environment.get_template("style.css").render().encode()
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        f"base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _printable(shown: object) -> object:
    """Rule 1. Markup comes from our own charts and macros only."""
    return printable(shown, _LONGEST_TEXT) if isinstance(shown, str) and not isinstance(shown, Markup) else shown


def _time(instant: Instant, text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(format_instant(instant), text)


def _moment(instant: Instant, zone: ZoneInfo) -> Markup:
    """Date and time of day with its offset: "2026-06-03 10:42 -04:00"; seconds only where there are any."""
    local = to_datetime(instant).astimezone(zone)
    offset = local.isoformat()[-6:]
    return _time(instant, f"{local:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + f" {offset}")


def _age(instant: Instant, now: Instant) -> str:
    """How long ago, in its largest unit. Clocks differ: what lies ahead is now."""
    age = max(now - instant, 0)
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if age >= 2 * unit:
            return f"{age // unit} {name} ago"
    return f"{age // SECOND} s ago"
