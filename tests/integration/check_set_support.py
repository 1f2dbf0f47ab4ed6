"""Check sets for tests: keys, an agent's folder, sets that are signed, and a collector that answers what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from outrider.check_set_client import CheckSetClient
from outrider.clock import SystemClock
from outrider.codecs.check_sets import SignedSet, Taken, encode, sign
from outrider.codecs.ed25519_keys import key_hex, public_pem
from outrider.commands.processes import serving
from outrider.config import load_agent
from outrider.execution import NoLag
from outrider.reloading import Configured
from outrider.spool import Outbox
from outrider.transport.wires import Wires

NOBODY = "http://127.0.0.1:9"
OURS = Ed25519PrivateKey.generate()
OTHERS = Ed25519PrivateKey.generate()

AGENT = """\
agent: east-1
region: us-east
collector: {{ url: "{url}" }}
spool: {{ path: spool.db }}
scenario_dirs: [scenarios]
targets:
  portal: {{ url: "https://portal.test/base" }}
  gateway: {{ url: "https://gateway.test" }}
  line: {{ url: "tcp://line.test:7000" }}
  far: {{ url: "tcp://far.test:443" }}
  elsewhere-on-it: {{ url: "https://FAR.test" }}
references: {{ targets: [far] }}
checks:
  - {{ name: asking, scenario: ask, target: portal, interval: 30s, timeout: 15s }}
  - {{ name: resting, scenario: ask, target: portal, interval: 30s, timeout: 15s, enabled: false }}
money: {{ daily_cap: {{ USD: 1000 }} }}
check_sets: {{ public_key_file: ours.pem, secrets: [GRANTED] }}
"""

SCENARIO = """\
name: ask
title: Ask
synthetic: true
probe: http
steps:
  - { name: ask, request: { path: /a } }
"""

CHECK = "  - { name: NAME, scenario: SCENARIO, target: TARGET, interval: 30s, timeout: 15s }\n"


def check(name: str = "new", scenario: str = "ask", target: str = "portal") -> str:
    """A set with one check."""
    return "checks:\n" + CHECK.replace("NAME", name).replace("SCENARIO", scenario).replace("TARGET", target)


def sent(request: str, *, probe: str = "http", target: str = "portal", more: str = "") -> str:
    """A set with a check whose scenario is written out in it; `more` are further keys of the scenario, or of steps."""
    return (
        check(scenario="sent", target=target)
        + f"scenarios:\n  - name: sent\n    title: Sent\n    synthetic: true\n    probe: {probe}\n"
        + f"    steps:\n      - {{ name: one, request: {request} }}\n{more}"
    )


def signed(text: str, version: int = 1, key: Ed25519PrivateKey = OURS) -> SignedSet:
    return sign(version, text, key_hex(key.public_key()), key.sign)


@dataclass
class Folder:
    """An agent's files, and the agent that was configured by them."""

    path: Path
    configured: Configured
    told: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.configured.config.checks]

    @property
    def version(self) -> int:
        return self.configured.sets.version

    @property
    def refusals(self) -> dict[str, int]:
        return dict(self.configured.sets.refusals)

    async def offer(self, session: aiohttp.ClientSession, client: CheckSetClient | None = None) -> None:
        """Ask the collector once."""
        await (client or self.client()).ask(session)

    def client(self) -> CheckSetClient:
        return CheckSetClient(self.configured, info=self.told.append, warn=self.told.append)

    async def rewrite(self, old: str, new: str) -> None:
        text = (self.path / "agent.yaml").read_text()
        assert old in text
        (self.path / "agent.yaml").write_text(text.replace(old, new))
        assert (await self.configured.reload()).is_in_force


def write_agent(path: Path, url: str) -> None:
    (path / "scenarios").mkdir(parents=True, exist_ok=True)
    (path / "scenarios" / "ask.yaml").write_text(SCENARIO)
    (path / "ours.pem").write_bytes(public_pem(OURS))
    (path / "others.pem").write_bytes(public_pem(OTHERS))
    (path / "agent.yaml").write_text(AGENT.format(url=url))


@asynccontextmanager
async def configured_agent(
    path: Path, url: str = "http://127.0.0.1:9", *, is_new: bool = True
) -> AsyncIterator[Folder]:
    """An agent in a folder; one that was there before is as after a restart."""
    if is_new:
        write_agent(path, url)
    clock, file = SystemClock(), path / "agent.yaml"
    config = load_agent(file)
    outbox, transport = Outbox(config.spool_path, agent=config.name, clock=clock), Wires(clock, config.policy)
    try:
        yield Folder(path, Configured(file, config, clock=clock, outbox=outbox, transport=transport, lag=NoLag()))
    finally:
        await transport.close()
        outbox.close()


Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Hostile:
    """A collector that answers every question for a set with `answer`, and keeps the reports."""

    url: str = ""
    answer: Answering | bytes = b""
    asked: list[web.Request] = field(default_factory=list)
    reports: list[Taken] = field(default_factory=list)

    def offer(self, offered: SignedSet | bytes) -> None:
        self.answer = offered if isinstance(offered, bytes) else encode(offered)

    async def _current(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if isinstance(self.answer, bytes):
            return web.Response(body=self.answer)
        return await self.answer(request)

    async def _taken(self, request: web.Request) -> web.Response:
        self.reports.append(msgspec.json.decode(await request.read(), type=Taken))
        return web.Response(status=204)


@asynccontextmanager
async def hostile_collector() -> AsyncIterator[Hostile]:
    made, app = Hostile(), web.Application()
    app.router.add_get("/v1/check-sets/current", made._current)
    app.router.add_post("/v1/check-sets/taken", made._taken)
    async with serving(app, "127.0.0.1", 0) as url:
        made.url = url
        yield made


def new_session(timeout_s: float = 5) -> Any:
    """As the agent makes its own."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_s), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )
