"""Services of messages over TCP, TLS or UDP: framing, latency and faults around a room, as the line does it for HTTP.

Rules
-----
1. A message is counted when it is complete; its answer when it has been handed to the system.
2. `delay`, `hang` and `drip` hold an answer back, `reset` ends the connection in its place; `html` puts a web page in
   its place, `truncate` cuts it in half and ends the connection. What was asked for has been done by then.
3. Over UDP an answer that is reset is never sent, and `drip` has nothing to drip.
4. Who sends what can never become a message, or nothing for `idle_s`, is cut off.
5. After an answer that is `ThenTls` the connection goes on over TLS; what came in clear before that is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from outrider.codecs.framing import Ends, FramingError
from outrider_sandbox.board import Drawn
from outrider_sandbox.line import Line, reset

MOST_BYTES = 1 << 16
"""The longest message that is read, 64 KiB."""

PAGE = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html><title>Welcome</title>"
_DRIPS_PER_S = 20


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a room sees it: the whole frame, and the faults that the room itself has to act out."""

    payload: bytes
    drawn: Drawn


class ThenTls(bytes):
    """An answer after which a TLS handshake is due."""


Room: TypeAlias = Callable[[Message], bytes | None]
"""Answers at once, with a whole frame; None where nothing is answered."""

Kind: TypeAlias = Callable[[bytes], str]
"""What a message is counted as."""


class Hall:
    """What a message goes through between a wire and a room, whatever the wire."""

    def __init__(self, component: str, line: Line, kind: Kind) -> None:
        self._component = component
        self._line = line
        self._kind = kind

    async def ask(self, payload: bytes, room: Room) -> tuple[bytes | None, Drawn]:
        """The answer after its latency, as far as the faults of every wire leave it; `reset`, `truncate` and `drip`
        are left to the wire."""
        tally = self._line.counts.tally(self._component, self._kind(payload))
        tally.received += 1
        drawn = self._line.board.draw(self._component, tally.faults)
        try:
            answer = room(Message(payload, drawn))
            delay = drawn.take("delay")
            await asyncio.sleep(self._line.latency.draw() + (delay.fault.number("ms") / 1000 if delay else 0.0))
            if answer is not None and (hang := drawn.take("hang")):
                await hang.over()
        except BaseException:
            tally.unanswered += 1
            raise
        if answer is None:
            tally.unanswered += 1
            return None, drawn
        tally.messages += 1
        return (PAGE if drawn.take("html") else answer), drawn


class StreamService:
    """A service over TCP, or TLS with `tls`. `open_room` makes a room for each connection: it may remember what was
    said there. `greeting` is said first, with the faults of its own. `secure` gives the context of a handshake that is
    due later (rule 5)."""

    def __init__(
        self,
        component: str,
        line: Line,
        *,
        ends: Ends,
        open_room: Callable[[], Room],
        kind: Kind = lambda _: "message",
        greeting: Room | None = None,
        tls: ssl.SSLContext | None = None,
        secure: Callable[[Drawn], ssl.SSLContext] | None = None,
        idle_s: float = 60.0,
    ) -> None:
        self._hall = Hall(component, line, kind)
        self._ends = ends
        self._open_room = open_room
        self._greeting = greeting
        self._tls = tls
        self._secure = secure
        self._idle_s = idle_s
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[Any]] = set()

    async def start(self, host: str, port: int) -> str:
        """See `outrider_sandbox.services.Service`."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=self._tls)
        return url_of("tls" if self._tls else "tcp", self._server.sockets[0])

    async def close(self) -> None:
        """See `outrider_sandbox.services.Service`."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            # Cancelled by `close`, it just ends: asyncio would log a cancelled connection as an error.
            with contextlib.suppress(OSError, FramingError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            self._connections.discard(connection)
            writer.transport.abort() if connection.cancelling() else writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        room, came = self._open_room(), bytearray()
        if self._greeting is not None and not await self._answer(b"", self._greeting, writer):
            return
        while (payload := await self._next(reader, came)) is not None:
            if (goes_on := await self._answer(payload, room, writer)) is None:
                came.clear()
            elif not goes_on:
                return

    async def _answer(self, payload: bytes, room: Room, writer: asyncio.StreamWriter) -> bool | None:
        """Whether the conversation goes on; None where it goes on over TLS."""
        answer, drawn = await self._hall.ask(payload, room)
        if not await _send(writer, answer, drawn):
            return False
        if not isinstance(answer, ThenTls) or self._secure is None:
            return True
        await writer.start_tls(self._secure(drawn))
        return None

    async def _next(self, reader: asyncio.StreamReader, came: bytearray) -> bytes | None:
        async with asyncio.timeout(self._idle_s):
            while (length := self._ends(came) if came else None) is None:
                chunk = await reader.read(MOST_BYTES)
                if not chunk or len(came) > MOST_BYTES:
                    return None
                came += chunk
        payload = bytes(came[:length])
        del came[:length]
        return payload


async def _send(writer: asyncio.StreamWriter, answer: bytes | None, drawn: Drawn) -> bool:
    """Send an answer as far as the faults leave it; whether the conversation goes on."""
    if answer is None:
        return True
    if drawn.take("reset"):
        reset(writer.transport)
        return False
    is_cut = drawn.take("truncate") is not None
    answer = answer[: len(answer) // 2] if is_cut else answer
    if drip := drawn.take("drip"):
        bytes_per_s = drip.fault.number("bytes_per_s")
        step = max(1, bytes_per_s // _DRIPS_PER_S)
        for start in range(0, len(answer), step):
            writer.write(answer[start : start + step])
            await writer.drain()
            await asyncio.sleep(step / bytes_per_s)
    else:
        writer.write(answer)
        await writer.drain()
    return not is_cut


class DatagramService(asyncio.DatagramProtocol):
    """A service over UDP: each datagram is a message."""

    MOST_AT_ONCE = 1000

    def __init__(self, component: str, line: Line, *, room: Room, kind: Kind = lambda _: "message") -> None:
        self._hall = Hall(component, line, kind)
        self._room = room
        self._transport: asyncio.DatagramTransport | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> str:
        """See `outrider_sandbox.services.Service`."""
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self._transport = transport
        return url_of("udp", transport.get_extra_info("socket"))

    async def close(self) -> None:
        """See `outrider_sandbox.services.Service`."""
        if self._transport is not None:
            self._transport.close()
        for answering in list(self._answering):
            answering.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if len(self._answering) < self.MOST_AT_ONCE:  # more are lost, as datagrams may be
            answering = asyncio.get_running_loop().create_task(self._answer(data, addr))
            self._answering.add(answering)
            answering.add_done_callback(self._answering.discard)

    async def _answer(self, payload: bytes, sender: Any) -> None:
        answer, drawn = await self._hall.ask(payload, self._room)
        if answer is None or drawn.take("reset") or self._transport is None:
            return
        self._transport.sendto(answer[: len(answer) // 2] if drawn.take("truncate") else answer, sender)


def url_of(scheme: str, listening: Any) -> str:
    """Where a socket listens."""
    host, port = listening.getsockname()[:2]  # asyncio and uvloop have socket classes of their own
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
