"""The line between a client and a room: counts, latency and faults, the same for every room.

The order in which things happen to a request:

1. counted, its body read, its faults drawn;
2. at the door: `unauthorized`, `throttle`, `maintenance`, then `error` and `html` with `committed: false`;
3. the room does what was asked, and is committed to it;
4. the latency, drawn for each answer, and `delay` on top;
5. the answer is hit by the first of `hang`, `reset`, `error`, `html`; then `truncate`, then `drip`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from aiohttp import web

from outrider_sandbox.answers import Answer, Refusal, json_answer, page
from outrider_sandbox.board import Board, Drawn
from outrider_sandbox.counts import Counts
from outrider_sandbox.latency import Latency

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
_DRIPS_PER_S = 20


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a room sees it: the body complete, and the faults that the room itself has to act out."""

    request: web.Request
    body: bytes
    drawn: Drawn


Room: TypeAlias = Callable[[Call], Answer]
"""Rooms answer at once and never wait: what they commit is whole before anybody can go away."""


class Line:
    """Leads requests to rooms. `attach` makes an aiohttp handler of a room."""

    def __init__(self, board: Board, counts: Counts, latency: Latency) -> None:
        self.board = board
        self.counts = counts
        self.latency = latency

    def attach(self, component: str, kind: str, room: Room) -> Handler:
        """A handler that counts under `component` and `kind`, and lets the component's faults happen."""
        tally = self.counts.tally(component, kind)

        async def handle(request: web.Request) -> web.StreamResponse:
            tally.received += 1
            try:
                response = await self._exchange(request, room, self.board.draw(component, tally.faults))
            except web.HTTPException as error:
                tally.http[error.status] += 1
                raise
            except Refusal as refusal:
                tally.http[refusal.http] += 1
                raise
            except BaseException:  # the client left, a fault cut the line, or we are shutting down
                tally.unanswered += 1
                raise
            tally.http[response.status] += 1
            return response

        return handle

    async def _exchange(self, request: web.Request, room: Room, drawn: Drawn) -> web.StreamResponse:
        body = await read_body(request)
        answer = _at_the_door(drawn) or _ask(room, Call(request, body, drawn))
        delay = drawn.take("delay")
        await asyncio.sleep(self.latency.draw() + (delay.fault.number("ms") / 1000 if delay else 0.0))
        answer = await _hit(request, answer, drawn)
        drip = drawn.take("drip")
        if drip is not None and request.method != "HEAD":
            return await _trickle(request, answer, drip.fault.number("bytes_per_s"))
        return web.Response(status=answer.http, body=answer.body, headers=_headers(answer))


async def read_body(request: web.Request) -> bytes:
    """The whole body. Raises Refusal (400) when it breaks off or is not encoded as its headers say."""
    try:
        return await request.read()
    except web.RequestPayloadError:
        raise Refusal(400, "unreadable_body", "the body is not encoded as its headers say, or breaks off") from None


def _ask(room: Room, call: Call) -> Answer:
    try:
        return room(call)
    except Refusal as refusal:
        return refusal.answer


def _at_the_door(drawn: Drawn) -> Answer | None:
    if drawn.take("unauthorized"):
        refusal = Refusal(401, "unauthorized", "the credentials were not accepted").answer
        return replace(refusal, headers={"WWW-Authenticate": 'Bearer realm="outrider-sandbox"'})
    if throttle := drawn.take("throttle"):
        refusal = Refusal(429, "throttled", "too many requests; wait before the next one").answer
        return replace(refusal, headers={"Retry-After": str(throttle.fault.number("retry_after_s"))})
    if maintenance := drawn.take("maintenance"):
        headers = {"Retry-After": str(maintenance.fault.number("retry_after_s"))}
        return page(503, "Down for maintenance", "We are back soon.", headers)
    return _in_place(drawn, committed=False)


def _in_place(drawn: Drawn, *, committed: bool) -> Answer | None:
    """What stands in place of an answer."""
    if error := drawn.take("error", committed=committed):
        problem = {"error": {"code": "internal_error", "message": "something went wrong on our side"}}
        return json_answer(error.fault.number("code"), problem)
    if drawn.take("html", committed=committed):
        return page(200, "Welcome", "You have reached a page where an answer was due.")
    return None


async def _hit(request: web.Request, answer: Answer, drawn: Drawn) -> Answer:
    if hang := drawn.take("hang"):
        await hang.over()
    if drawn.take("reset") and request.transport is not None:
        reset(request.transport)
        # The answer goes on to a connection that is gone: aiohttp passes over that, a raised error it would log.
    answer = _in_place(drawn, committed=True) or answer
    if drawn.take("truncate"):
        answer = replace(answer, body=answer.body[: len(answer.body) // 2])
    return answer


def reset(transport: asyncio.Transport | asyncio.WriteTransport) -> None:
    """Cut the connection with a TCP RST (RFC 9293): SO_LINGER with a time of 0, then close."""
    # A duplicate of the descriptor, since uvloop's own socket object refuses to set options.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _trickle(request: web.Request, answer: Answer, bytes_per_s: int) -> web.StreamResponse:
    """Send the headers at once and the body at a slow, even pace."""
    response = web.StreamResponse(status=answer.http, headers=_headers(answer))
    response.content_length = len(answer.body)
    await response.prepare(request)
    step = max(1, bytes_per_s // _DRIPS_PER_S)
    for start in range(0, len(answer.body), step):
        await response.write(answer.body[start : start + step])
        await asyncio.sleep(step / bytes_per_s)
    await response.write_eof()
    return response


def _headers(answer: Answer) -> dict[str, str]:
    return {"Content-Type": answer.content_type, **answer.headers}
