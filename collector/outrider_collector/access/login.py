"""Signing in and out, at pages that load nothing and run nothing.

Rules
-----
1. Attempts are limited for a name from an address, for an address, and for a name from wherever; each bucket fills
   again by itself, so nobody is ever locked out for good. The third does not hold back somebody who once got in from
   where they are now: a stranger elsewhere cannot keep them out.
2. A wrong name and a wrong password get the same answer, after the same work.
3. A session has a new name at each sign-in; the cookie is for this host, for no script, and for no other site's links.
"""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus

from aiohttp import web
from jinja2 import Environment

from outrider.clock import Clock
from outrider_collector.access import Person
from outrider_collector.access.gate import CALLER, GATE, Gate, read_form
from outrider_collector.access.limits import Buckets
from outrider_collector.access.people import ABSOLUTE
from outrider_collector.access.tokens import form_token
from outrider_collector.pages import make_environment, security_headers
from outrider_collector.rooms import ROOMS

_AT_ONCE = 2
"""Passwords checked at the same time; each takes 64 MiB meanwhile."""

_MOST_WAITING = 16
_LONGEST_FIELD = 1000


class Attempts:
    """Rule 1."""

    def __init__(self, clock: Clock) -> None:
        self._here = Buckets(clock, rate=1 / 30, burst=5)
        self._address = Buckets(clock, rate=1 / 5, burst=20)
        self._name = Buckets(clock, rate=1 / 10, burst=50)
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def wait(self, name: str, address: str, *, is_known: bool) -> float:
        """Seconds until this may be tried; 0 where it may now, and is counted."""
        asked = [(self._address, address), (self._here, f"{address} {name}")]
        asked += [] if is_known else [(self._name, name)]
        if waits := [wait for buckets, key in asked if (wait := buckets.wait(key))]:
            return max(waits)
        for buckets, key in asked:
            buckets.take(key)
        return 0.0

    def forgive(self, name: str, address: str) -> None:
        """Somebody got in: what they mistyped before is no attack from here."""
        self._here.forget(f"{address} {name}")
        self._address.forget(address)

    @property
    def is_busy(self) -> bool:
        return self._waiting >= _MOST_WAITING

    async def checked(self, gate: Gate, name: str, password: str, address: str, former: str) -> str | None:
        """The session, or None; a few at a time."""
        assert gate.registers is not None
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(gate.registers.people.sign_in, name, password, address, former)
        finally:
            self._waiting -= 1


def add_login(app: web.Application) -> None:
    """Add the routes. The application needs its ROOMS and its GATE."""
    rooms, gate = app[ROOMS], app[GATE]
    environment = make_environment(rooms.config.agreement.zone)
    headers = {
        **security_headers(environment, form_action="'self'"),
        # With no-referrer a browser would send `Origin: null` with our own forms.
        "Referrer-Policy": "same-origin",
    }
    signing = _Signing(gate, environment, headers, Attempts(rooms.clock))
    app.router.add_get("/login", signing.form)
    app.router.add_post("/login", signing.sign_in)
    app.router.add_get("/logout", signing.farewell)
    app.router.add_post("/logout", signing.sign_out)


class _Signing:
    def __init__(self, gate: Gate, environment: Environment, headers: dict[str, str], attempts: Attempts) -> None:
        self._gate = gate
        self._environment = environment
        self._headers = headers
        self._attempts = attempts

    async def form(self, request: web.Request) -> web.StreamResponse:
        if self._gate.registers is None:
            raise web.HTTPSeeOther("/")
        return self._page(HTTPStatus.OK)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        gate, address = self._gate, request.remote or ""
        if gate.registers is None:
            raise web.HTTPSeeOther("/")
        form = await read_form(request)
        name, password = (form.get(field, "")[:_LONGEST_FIELD] for field in ("name", "password"))
        is_known = await asyncio.to_thread(gate.registers.people.has_signed_in_from, name, address)
        wait = self._attempts.wait(name, address, is_known=is_known)
        if wait or self._attempts.is_busy:
            seconds = max(1, math.ceil(wait))
            told = f"Too many attempts. Try again in {seconds} s."
            return self._page(HTTPStatus.TOO_MANY_REQUESTS, told, {"Retry-After": str(seconds)})
        former = request.cookies.get(gate.cookie, "")
        session = await self._attempts.checked(gate, name, password, address, former)
        if session is None:
            return self._page(HTTPStatus.UNAUTHORIZED, "Name and password do not belong together.")
        self._attempts.forgive(name, address)
        answer = self._to("/")
        answer.set_cookie(
            gate.cookie,
            session,
            max_age=ABSOLUTE // 1_000_000,
            path="/",
            secure=gate.settings.tls is not None,
            httponly=True,
            samesite="Strict",
        )
        return answer

    async def farewell(self, request: web.Request) -> web.StreamResponse:
        person = request.get(CALLER)
        if not isinstance(person, Person) or not person.session:
            raise web.HTTPSeeOther("/")
        return self._page(HTTPStatus.OK, person=person, token=form_token(person.session))

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        person = request.get(CALLER)
        if isinstance(person, Person) and person.session and self._gate.registers is not None:
            await asyncio.to_thread(self._gate.registers.people.sign_out, person, request.remote or "")
        answer = self._to("/login")
        answer.del_cookie(self._gate.cookie, path="/", secure=self._gate.settings.tls is not None, httponly=True)
        return answer

    def _to(self, path: str) -> web.Response:
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={**self._headers, "Location": path})

    def _page(
        self,
        http: HTTPStatus,
        trouble: str = "",
        headers: dict[str, str] | None = None,
        *,
        person: Person | None = None,
        token: str = "",
    ) -> web.Response:
        text = self._environment.get_template("login.html").render(trouble=trouble, person=person, token=token)
        return web.Response(
            text=text, status=http, content_type="text/html", charset="utf-8",
            headers={**self._headers, **(headers or {})},
        )  # fmt: skip
