"""Enrolment and people over HTTP; where the collector is open there is nobody to let in, and it says so."""

from __future__ import annotations

import asyncio

from aiohttp import web

from outrider_collector.access import AccessError, Agent, UnknownError
from outrider_collector.access.acts import ACTS, Act, AgentNamed, Registers, access_path, perform
from outrider_collector.access.agents import Issued
from outrider_collector.access.gate import CALLER, GATE, Gate, Handler, bearer, by, guard, unenrolled
from outrider_collector.rooms import RefusedError, Rooms, json_answer
from outrider_collector.window_fields import decode_body


def open_registers(rooms: Rooms) -> Registers | None:
    """The registers beside the store; None where the collector is open. Raises StoreFailedError."""
    if not rooms.config.access.is_required:
        return None
    return Registers(access_path(rooms.config.store), rooms.clock)


def add_access(app: web.Application, gate: Gate) -> None:
    """Put the gate before every route, and add those of enrolment and people."""
    app[GATE] = gate
    app.middlewares.append(guard)
    app.router.add_post("/v1/enroll", _enrol)
    app.router.add_post("/v1/enroll/rotate", _rotate)
    for act in ACTS.values():
        app.router.add_route(act.method, act.path, _performing(act))


def _registers(request: web.Request) -> Registers:
    registers = request.app[GATE].registers
    if registers is None:
        raise RefusedError(409, "this collector is open to whoever reaches it; with `access: required` it asks who")
    return registers


def _performing(act: Act) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        registers, body = _registers(request), await request.read()
        try:
            answer = await asyncio.to_thread(perform, registers, act, body, by(request))
        except AccessError as error:
            told = f"{error.field}: {error}" if error.field else str(error)
            http = 404 if isinstance(error, UnknownError) else 422
            raise RefusedError(http, told, field=error.field or None) from None
        response = json_answer(answer)
        response.headers["Cache-Control"] = "no-store"
        return response

    return handle


async def _enrol(request: web.Request) -> web.StreamResponse:
    registers = _registers(request)
    wanted = await request.read()
    agent = await asyncio.to_thread(registers.agents.enrolled_by, bearer(request))
    if wanted and agent is not None and decode_body(wanted, AgentNamed).agent != agent:
        raise RefusedError(403, f"the token is for agent {agent!r}; it is not used up", field="agent")
    issued = await asyncio.to_thread(registers.agents.enrol, bearer(request), request.remote or "")
    if issued is None:  # somebody was faster
        raise unenrolled(request.app[GATE])
    return _told(issued)


async def _rotate(request: web.Request) -> web.StreamResponse:
    registers, caller = _registers(request), request.get(CALLER)
    assert isinstance(caller, Agent)  # the table says so
    return _told(await asyncio.to_thread(registers.agents.rotate, caller, request.remote or ""))


def _told(issued: Issued) -> web.Response:
    agent = issued.agent
    response = json_answer(
        {"agent": agent.name, "region": agent.region, "key": agent.key, "credential": issued.credential}, status=201
    )
    response.headers["Cache-Control"] = "no-store"
    return response
