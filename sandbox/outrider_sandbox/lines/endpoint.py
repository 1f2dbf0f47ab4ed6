"""The service `tls`: a handshake, and then an echo of each line.

Latency and faults come before the handshake, on a socket that nothing was read from yet: `reset` and `truncate` end it,
`html` says something that is no handshake, and the fault `certificate` chooses what is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

from outrider.codecs.framing import FramingError, line
from outrider_sandbox.line import Line
from outrider_sandbox.lines.secure import Certificates
from outrider_sandbox.messages import PAGE, Hall, url_of

COMPONENT = "tls"
_BACKLOG = 100


class Endpoint:
    """See `outrider_sandbox.services.Service`."""

    def __init__(self, hall: Line, certificates: Certificates, *, idle_s: float = 60.0) -> None:
        self._hall = Hall(COMPONENT, hall, lambda payload: "line" if payload else "handshake")
        self._certificates = certificates
        self._idle_s = idle_s
        self._listening: socket.socket | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> str:
        """See `outrider_sandbox.services.Service`."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._listening.setblocking(False)
        self._run(self._accept(self._listening))
        return url_of("tls", self._listening)

    async def close(self) -> None:
        """See `outrider_sandbox.services.Service`."""
        running = list(self._running)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                accepted, _ = await asyncio.get_running_loop().sock_accept(listening)
            except OSError:  # it was gone already, or there is no descriptor left
                await asyncio.sleep(0.01)
                continue
            self._run(self._serve(accepted))

    async def _serve(self, accepted: socket.socket) -> None:
        with contextlib.closing(accepted), contextlib.suppress(OSError, FramingError):
            accepted.setblocking(False)
            answer, drawn = await self._hall.ask(b"", lambda _: b"")
            if drawn.take("reset"):
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif answer == PAGE:
                await asyncio.get_running_loop().sock_sendall(accepted, PAGE)
            elif not drawn.take("truncate"):
                await self._converse(accepted, self._certificates.context(drawn))

    async def _converse(self, accepted: socket.socket, context: Any) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=context)
        writer, came = asyncio.StreamWriter(transport, protocol, reader, loop), bytearray()
        try:
            while said := await self._next(reader, came):
                answer, _ = await self._hall.ask(said, lambda message: message.payload)
                writer.write(answer or b"")
                await writer.drain()
        finally:
            transport.abort()

    async def _next(self, reader: asyncio.StreamReader, came: bytearray) -> bytes:
        """The next line; nothing where the client has gone, or says nothing for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._idle_s):
                while (length := line(came) if came else None) is None:
                    if not (chunk := await reader.read(4096)):
                        return b""
                    came += chunk
                said = bytes(came[:length])
                del came[:length]
                return said
        return b""
