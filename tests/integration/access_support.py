"""A collector that asks everybody who they are, as its process puts it together, and whoever comes to it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from collector_support import G1, G3, SETTLE, UTC, Answer, SettableClock, batch, packed, run

from outrider.collector_access import write_token
from outrider.commands.processes import serving
from outrider.core.guarantee import Agreement
from outrider.core.units import DAY, HOUR
from outrider.core.wire import Batch
from outrider_collector.access import By, Role
from outrider_collector.access.acts import Registers
from outrider_collector.access.gate import GATE
from outrider_collector.access.settings import AccessSettings
from outrider_collector.access.tls import server_context
from outrider_collector.config import CollectorConfig
from outrider_collector.main import opened
from outrider_collector.rooms import ROOMS, Rooms

OURSELVES = By("the test", "here")
PASSWORD = "correct horse battery staple"
REQUIRED = AccessSettings(is_required=True)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A running collector behind its gate. `secrets` are all that it gave away through these verbs."""

    app: web.Application
    clock: SettableClock
    url: str
    session: aiohttp.ClientSession
    secrets: list[str]

    @property
    def rooms(self) -> Rooms:
        return self.app[ROOMS]

    @property
    def registers(self) -> Registers:
        found = self.app[GATE].registers
        assert found is not None
        return found

    async def ask(self, method: str, path: str, token: str = "", **options: Any) -> Answer:
        headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        options.setdefault("allow_redirects", False)
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def send(self, token: str, made: Batch | None = None) -> Answer:
        body = packed(batch(run()) if made is None else made)
        return await self.ask("POST", "/v1/results", token, data=BytesIO(body), headers={"Content-Encoding": "gzip"})

    def enrolment(self, agent: str = "east-1", region: str = "", ttl: int = HOUR) -> str:
        token, _ = self.registers.agents.issue_token(agent, region, ttl, OURSELVES)
        self.secrets.append(token)
        return token

    async def enrol(self, token: str) -> Answer:
        answer = await self.ask("POST", "/v1/enroll", token)
        if answer.http == 201:
            self.secrets.append(answer.json["credential"])
        return answer

    async def credential(self, agent: str = "east-1", region: str = "") -> str:
        return str((await self.enrol(self.enrolment(agent, region))).json["credential"])

    def person(self, name: str, role: Role, ttl: int = 90 * DAY, password: str | None = None) -> str:
        """Somebody new, and an API token of theirs."""
        self.registers.people.add(name, role, password, OURSELVES)
        token, _, _ = self.registers.people.issue_token(name, None, ttl, OURSELVES)
        self.secrets.append(token)
        return token

    async def sign_in(self, name: str, password: str = PASSWORD, **options: Any) -> Answer:
        answer = await self.ask("POST", "/login", data={"name": name, "password": password}, **options)
        if answer.http == 303:
            self.secrets.append(cookie_of(answer))
        return answer


def cookie_of(answer: Answer) -> str:
    """The value of the cookie that an answer sets."""
    return answer.headers["Set-Cookie"].partition(";")[0].partition("=")[2]


@asynccontextmanager
async def guarded(
    folder: Path, settings: AccessSettings = REQUIRED, clock: SettableClock | None = None
) -> AsyncIterator[Guarded]:
    clock = clock or SettableClock()
    agreement = Agreement("Network services", (G1, G3), UTC)
    config = CollectorConfig(
        ("127.0.0.1", 0), folder / "results.duckdb", agreement, SETTLE, HOUR, evidence=folder / "evidence",
        access=settings,
    )  # fmt: skip
    tls = server_context(settings.tls) if settings.tls else None
    async with (
        opened(config, clock) as app,
        serving(app, *config.listen, tls) as url,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Guarded(app, clock, url, session, [])


def trusting(ca: Path, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A client that trusts this authority, and shows a certificate if it has one."""
    context = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


__all__ = ["OURSELVES", "PASSWORD", "REQUIRED", "Guarded", "cookie_of", "guarded", "trusting", "write_token"]
