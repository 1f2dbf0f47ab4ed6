"""A proxy between agents and collector that does to a connection what a bad line does, when its dice say so."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from faults.ground import COLLECTOR_PORT, HUB, PROXY_PORT


@dataclass
class Line:
    """`drop_answers` and `cut_requests` are how often; `delay_s` is each way. Counts what it did."""

    drop_answers: float = 0
    cut_requests: float = 0
    delay_s: float = 0
    dropped: int = 0
    cut: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dice = random.Random(f"{self.dropped} {self.cut} {id(reader)}")
        try:
            towards, back = await asyncio.open_connection(HUB, COLLECTOR_PORT)
        except OSError:
            writer.close()
            return
        ways = [
            asyncio.create_task(self._pass(reader, back, dice, is_request=True)),
            asyncio.create_task(self._pass(towards, writer, dice, is_request=False)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, back):
            with suppress(OSError):
                end.close()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, dice: random.Random, *, is_request: bool
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(1 << 16):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if not is_request and dice.random() < self.drop_answers:
                    self.dropped += 1
                    return
                if is_request and b"\r\n\r\n" in piece and dice.random() < self.cut_requests:
                    self.cut += 1
                    sink.write(piece[: len(piece) * 2 // 3])
                    await sink.drain()
                    _reset_on_close(sink)
                    return
                sink.write(piece)
                await sink.drain()


def _reset_on_close(writer: asyncio.StreamWriter) -> None:
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def proxied(line: Line) -> Iterator[Line]:
    """The line at PROXY_PORT of the hub, on a loop and a thread of its own."""
    loop = asyncio.new_event_loop()
    opened = threading.Event()
    ending = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(line.serve, HUB, PROXY_PORT)
        opened.set()
        await ending.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert opened.wait(10)
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(10)
        loop.close()
