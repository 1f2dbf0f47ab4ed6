"""The portal: the page that people would look at first. GET /healthz -> {"status": "up"}."""

from __future__ import annotations

from aiohttp import web

from outrider_sandbox.answers import Answer, json_answer
from outrider_sandbox.line import Call, Line

COMPONENT = "portal"


def add_portal(router: web.UrlDispatcher, line: Line) -> None:
    router.add_get("/healthz", line.attach(COMPONENT, "health", _health))


def _health(_call: Call) -> Answer:
    return json_answer(200, {"status": "up"})
