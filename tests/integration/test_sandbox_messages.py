"""Services of messages over TCP and UDP: what each fault does to an answer, as the agent's own wires see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from outrider.clock import SystemClock
from outrider.codecs.framing import line as a_line
from outrider.core.outcome import Finding
from outrider.core.units import MILLISECOND, SECOND
from outrider.transport import DatagramReply, DatagramRequest, Exchange, StreamReply, StreamRequest, Turn
from outrider.transport.wires import Wires
from outrider_sandbox import edge, parse_fault
from outrider_sandbox.board import Board
from outrider_sandbox.counts import Counts
from outrider_sandbox.latency import Latency
from outrider_sandbox.line import Line
from outrider_sandbox.messages import DatagramService, Message, StreamService


@dataclass
class Echo:
    """A service that says what it hears, over TCP and UDP, and what it counted."""

    line: Line
    stream: tuple[str, int]
    datagrams: tuple[str, int]
    wires: Wires

    def put(self, kind: str, **more: object) -> None:
        self.line.board.put(parse_fault(kind, {"kind": kind, "component": "switch", **more}))

    async def say(self, *lines: bytes, timeout: int = 5 * SECOND) -> Exchange[StreamReply]:
        turns = tuple(Turn(line, a_line) for line in lines)
        return await self.wires.exchange(StreamRequest(*self.stream, turns), timeout)  # type: ignore[return-value]

    async def ask(self, payload: bytes, timeout: int = 5 * SECOND, **more: object) -> Exchange[DatagramReply]:
        request = DatagramRequest(*self.datagrams, payload, **more)  # type: ignore[arg-type]
        return await self.wires.exchange(request, timeout)  # type: ignore[return-value]

    @property
    def counted(self) -> tuple[int, int, int]:
        tally = self.line.counts.tally("switch", "message")
        return tally.received, tally.answered, tally.unanswered


def room(message: Message) -> bytes | None:
    return None if message.payload.startswith(b"quiet") else message.payload


@asynccontextmanager
async def echoing() -> AsyncIterator[Echo]:
    line = Line(
        Board(edge.generator(1, "faults"), edge.monotonic),
        Counts(),
        Latency(edge.generator(1, "latency"), median_ms=0, sigma=0),
    )
    stream = StreamService("switch", line, ends=a_line, open_room=lambda: room, idle_s=0.2)
    datagrams = DatagramService("switch", line, room=room)
    addresses = [await service.start("127.0.0.1", 0) for service in (stream, datagrams)]
    assert [address.partition("://")[0] for address in addresses] == ["tcp", "udp"]
    ports = [int(address.rpartition(":")[2]) for address in addresses]
    wires = Wires(SystemClock())
    try:
        yield Echo(line, ("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]), wires)
    finally:
        await wires.close()
        await stream.close()
        await datagrams.close()


async def test_several_messages_go_over_one_connection_and_are_counted() -> None:
    async with echoing() as echo:
        exchange = await echo.say(b"one\n", b"two\n")
        assert exchange.reply == StreamReply((b"one\n", b"two\n"))
        assert echo.counted == (2, 2, 0)
        phases = exchange.phases
        assert exchange.latency == phases.connect + phases.send + phases.wait + phases.receive > 0


@pytest.mark.parametrize(
    ("kind", "more", "failure"),
    [
        ("reset", {}, Finding("reset", "net/wait", "the peer reset the connection")),
        (
            "truncate",
            {},
            Finding("truncated", "net/receive", "the peer closed the connection in the middle of its answer"),
        ),
        ("hang", {}, Finding("timeout", "net/wait", "no answer within 0.2 s")),
        ("delay", {"ms": 60_000}, Finding("timeout", "net/wait", "no answer within 0.2 s")),
        ("drip", {"bytes_per_s": 1}, Finding("timeout", "net/receive", "no answer within 0.2 s")),
    ],
)
async def test_a_fault_hits_the_answer_over_tcp(kind: str, more: dict[str, object], failure: Finding) -> None:
    async with echoing() as echo:
        echo.put(kind, **more)
        exchange = await echo.say(b"hello\n", timeout=200 * MILLISECOND)
        assert (exchange.reply, exchange.failure) == (None, failure)
        assert echo.line.board.view()[0]["hits"] == 1


async def test_a_page_comes_where_an_answer_was_due() -> None:
    async with echoing() as echo:
        echo.put("html")
        exchange = await echo.say(b"hello\n")
        assert exchange.reply is not None
        assert exchange.reply.answers == (b"HTTP/1.0 200 OK\r\n",)
        assert exchange.reply.rest.endswith(b"<title>Welcome</title>")


async def test_who_says_nothing_or_no_end_of_a_line_is_cut_off() -> None:
    async with echoing() as echo:
        waiting = StreamRequest(*echo.stream, (Turn(b"no end", a_line),))
        idle = await echo.wires.exchange(waiting, 5 * SECOND)
        assert idle.failure == Finding("closed", "net/wait", "the peer closed the connection without an answer")
        assert (await echo.say(b"x" * 5000)).failure is not None
        assert echo.counted == (0, 0, 0)


async def test_a_datagram_is_answered_and_a_lost_one_is_sent_again() -> None:
    async with echoing() as echo:
        assert (await echo.ask(b"one")).reply == DatagramReply(b"one", 1)
        echo.put("reset", for_s=0.05)  # over UDP: the answer is lost
        again = await echo.ask(b"two", resend=(100 * MILLISECOND,) * 20)
        assert again.reply is not None
        assert (again.reply.payload, again.reply.sent > 1) == (b"two", True)


async def test_a_datagram_that_is_no_answer_is_passed_over_until_the_time_is_over() -> None:
    async with echoing() as echo:
        exchange = await echo.ask(b"one", timeout=200 * MILLISECOND, is_answer=lambda came: came == b"two")
        assert exchange.failure == Finding("timeout", "net/wait", "no answer within 0.2 s")
        quiet = await echo.ask(b"quiet", timeout=100 * MILLISECOND)
        assert quiet.failure == Finding("timeout", "net/wait", "no answer within 0.1 s")
        assert echo.counted == (2, 1, 1)
