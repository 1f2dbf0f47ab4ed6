"""The wire for datagrams against raw sockets on loopback that do to it what the world does, on either loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, field
from typing import Any

import pytest
from wire_support import BRIEF, PATIENT, found, on_both_loops, taken_port

from outrider.clock import SystemClock
from outrider.core.outcome import Finding
from outrider.core.units import MILLISECOND, SECOND
from outrider.transport import DatagramReply, DatagramRequest, Exchange
from outrider.transport.datagram_wire import DatagramWire

Send = Callable[[bytes], None]
Answer = Callable[[bytes, Send], None]


@dataclass
class Peer(asyncio.DatagramProtocol):
    """A socket that answers, and what it heard: each datagram with its sender."""

    answer: Answer
    heard: list[tuple[bytes, Any]] = field(default_factory=list)
    port: int = 0
    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append((data, addr))
        self.answer(data, lambda said: self.transport.sendto(said, addr))


@asynccontextmanager
async def listening(answer: Answer, host: str = "127.0.0.1") -> AsyncIterator[Peer]:
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_datagram_endpoint(lambda: Peer(answer), local_addr=(host, 0))
    try:
        yield peer
    finally:
        transport.close()


async def send(request: DatagramRequest, timeout: int = PATIENT) -> Exchange[DatagramReply]:
    exchange = await DatagramWire(SystemClock()).exchange(request, timeout)
    assert sum(astuple(exchange.phases)) == exchange.latency
    assert (exchange.reply is None) is (exchange.failure is not None)
    return exchange


async def ask(answer: Answer, timeout: int = PATIENT, **more: Any) -> Exchange[DatagramReply]:
    async with listening(answer) as peer:
        return await send(DatagramRequest("127.0.0.1", peer.port, b"question", **more), timeout)


def echo(heard: bytes, say: Send) -> None:
    say(heard)


def mute(heard: bytes, say: Send) -> None:
    """Not a word."""


@on_both_loops
async def test_the_answer_comes_as_it_was_sent() -> None:
    exchange = await ask(echo)
    assert exchange.reply == DatagramReply(b"question", 1)
    phases = exchange.phases
    assert phases.resolve == phases.tls == phases.receive == 0
    assert min(phases.connect, phases.send, phases.wait) > 0


@on_both_loops
async def test_a_long_answer_is_taken_whole() -> None:
    exchange = await ask(lambda heard, say: say(b"x" * 60_000))
    assert exchange.reply == DatagramReply(b"x" * 60_000, 1)


@on_both_loops
async def test_an_ipv6_address_is_reached() -> None:
    async with listening(echo, "::1") as peer:
        exchange = await send(DatagramRequest("::1", peer.port, b"question"))
    assert exchange.reply == DatagramReply(b"question", 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@on_both_loops
async def test_a_name_is_asked_at_each_of_its_addresses_until_one_does_not_refuse(host: str) -> None:
    async with listening(echo, host) as peer:
        exchange = await send(DatagramRequest("localhost", peer.port, b"question"))
    # A machine whose localhost is but one of the two refuses at the other.
    assert exchange.reply is not None or found(exchange) == ("refused", "net/wait")
    assert exchange.phases.resolve > 0


@on_both_loops
async def test_a_lost_question_is_sent_again_and_counted() -> None:
    heard: list[bytes] = []

    def third(question: bytes, say: Send) -> None:
        heard.append(question)
        if len(heard) == 3:
            say(b"answer")

    exchange = await ask(third, resend=(20 * MILLISECOND, 20 * MILLISECOND, 5 * SECOND))
    assert exchange.reply == DatagramReply(b"answer", 3)
    assert heard == [b"question"] * 3
    assert exchange.phases.wait >= 38 * MILLISECOND  # a timer may fire a tick early, never more


@on_both_loops
async def test_all_are_sent_from_one_socket_so_that_a_late_answer_is_taken() -> None:
    async with listening(mute) as peer:
        await send(DatagramRequest("127.0.0.1", peer.port, b"?", resend=(MILLISECOND, MILLISECOND)), BRIEF)
        assert [question for question, _ in peer.heard] == [b"?"] * 3
        assert len({sender for _, sender in peer.heard}) == 1


@on_both_loops
async def test_silence_ends_with_the_timeout_however_often_it_was_sent() -> None:
    for resend in ((), (10 * MILLISECOND,) * 3, (PATIENT,)):
        exchange = await ask(mute, BRIEF, resend=resend)
        assert exchange.failure == Finding("timeout", "net/wait", "no answer within 0.12 s")
        assert BRIEF - MILLISECOND <= exchange.latency < PATIENT


@on_both_loops
async def test_what_is_no_answer_is_passed_over() -> None:
    def late(question: bytes, say: Send) -> None:
        say(b"noise")
        say(b"more noise")
        say(b"answer")

    exchange = await ask(late, is_answer=lambda said: said == b"answer")
    assert exchange.reply == DatagramReply(b"answer", 1)


@on_both_loops
async def test_a_strangers_datagram_never_arrives() -> None:
    def answer(question: bytes, say: Send) -> None:
        stranger.sendto(b"forged", peer.heard[-1][1])
        say(b"true")

    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        async with listening(answer) as peer:
            exchange = await send(DatagramRequest("127.0.0.1", peer.port, b"question"))
    assert exchange.reply == DatagramReply(b"true", 1)


@on_both_loops
async def test_a_flood_of_what_is_no_answer_ends_with_the_timeout() -> None:
    stop = asyncio.Event()

    def flood(question: bytes, say: Send) -> None:
        def more() -> None:
            if not stop.is_set():
                for _ in range(50):
                    say(b"noise")
                asyncio.get_running_loop().call_soon(more)

        more()

    async with listening(flood) as peer:
        request = DatagramRequest("127.0.0.1", peer.port, b"?", is_answer=lambda said: False)
        exchange = await send(request, BRIEF)
        stop.set()
    assert found(exchange) == ("timeout", "net/wait")


@on_both_loops
async def test_a_port_where_nobody_listens_is_refused() -> None:
    with taken_port(socket.SOCK_DGRAM) as port:
        pass  # a bound socket would swallow the question
    exchange = await send(DatagramRequest("127.0.0.1", port, b"?", resend=(10 * MILLISECOND,) * 5), 2 * SECOND)
    assert found(exchange) == ("refused", "net/wait")


@on_both_loops
async def test_a_name_that_does_not_exist_fails_in_resolve() -> None:
    exchange = await send(DatagramRequest("nowhere.invalid", 53, b"?"), 2 * SECOND)
    assert found(exchange) in {("dns", "net/resolve"), ("timeout", "net/resolve")}


@pytest.mark.parametrize(("host", "port"), [("a..b", 53), ("127.0.0.1", 99_999), ("127.0.0.1", 0)])
@on_both_loops
async def test_an_address_that_is_none_is_the_agents_fault(host: str, port: int) -> None:
    assert found(await send(DatagramRequest(host, port, b"?"))) == ("cannot-send", "agent/request")


@on_both_loops
async def test_a_question_too_long_for_a_datagram_is_the_agents_fault() -> None:
    async with listening(mute) as peer:
        exchange = await send(DatagramRequest("127.0.0.1", peer.port, b"x" * 70_000))
    assert found(exchange) == ("cannot-send", "agent/request")


@on_both_loops
async def test_a_cancelled_exchange_says_so_and_closes_its_socket() -> None:
    def cancel(question: bytes, say: Send) -> None:
        asking.cancel()

    async with listening(cancel) as peer:
        asking = asyncio.create_task(send(DatagramRequest("127.0.0.1", peer.port, b"?")))
        with pytest.raises(asyncio.CancelledError):
            await asking
        # Its port is free again: what is sent there now is refused.
        exchange = await send(DatagramRequest("127.0.0.1", peer.heard[0][1][1], b"?"), 2 * SECOND)
    assert found(exchange) == ("refused", "net/wait")
