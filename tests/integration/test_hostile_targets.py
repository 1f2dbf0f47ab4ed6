"""What a hostile target can send, and what the agent makes of it: a clear outcome, in bounded time and memory (S10 to
S12, S15, S22). Truncation, resets and nonsense are in the tests of each wire.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from wire_support import BRIEF, PATIENT, SOCKET_BUFFERS, Answer, Certificates, found, gone_within, listening, silent

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.outcome import OutcomeClass
from outrider.core.timetable import Timetable
from outrider.core.units import MINUTE, SECOND
from outrider.core.wire import RunRecord
from outrider.execution import UNVERIFIED, Check, Execution, Surroundings
from outrider.probes import Target
from outrider.redact import printable
from outrider.scenario import Scenario
from outrider.transport import RESPONSE_CAP, DatagramRequest, Exchange, HttpRequest
from outrider.transport.wires import Wires


async def send(request: Any, timeout: int = PATIENT) -> Exchange[Any]:
    wires = Wires(SystemClock())
    try:
        return await wires.exchange(request, timeout)
    finally:
        await wires.close()


def saying(*chunks: bytes, pause: float = 0.0) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            if pause and await gone_within(reader, pause):
                return

    return answer


def endless(head: bytes, block: bytes, taken: list[int]) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        try:
            while sum(taken) < 2 * SOCKET_BUFFERS:
                writer.write(block)
                await writer.drain()
                taken.append(len(block))
        finally:
            writer.transport.abort()

    return answer


async def ask(answer: Answer, timeout: int = PATIENT) -> Exchange[Any]:
    async with listening(answer) as peer:
        return await send(HttpRequest("GET", peer.url), timeout)


ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


# --- too much ----------------------------------------------------------------------------------------------------

BOMB = """
import asyncio, sys
from outrider.clock import SystemClock
from outrider.transport import HttpRequest
from outrider.transport.wires import Wires

def peak():
    # Of this process alone: ru_maxrss would begin with that of the process which started it.
    with open("/proc/self/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("VmHWM:")))

async def main():
    wires = Wires(SystemClock())
    await wires.exchange(HttpRequest("GET", sys.argv[1] + "/small"), 10_000_000)
    before = peak()
    exchange = await wires.exchange(HttpRequest("GET", sys.argv[1] + "/bomb"), 30_000_000)
    print(len(exchange.reply.body) if exchange.reply else exchange.failure.code, peak() - before)
    await wires.close()

asyncio.run(main())
"""


async def memory_for(bomb: bytes) -> tuple[str, int]:
    """What a process of its own made of this answer, and by how many KiB its peak grew."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(bomb if b"/bomb" in head else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with listening(answer) as peer:
        done = await asyncio.create_subprocess_exec(sys.executable, "-c", BOMB, peer.url, stdout=subprocess.PIPE)
        said, _ = await asyncio.wait_for(done.communicate(), 60)
    what, grown = said.split()
    return what.decode(), int(grown)


@ON_LINUX
async def test_a_bomb_is_never_opened_and_costs_what_came_over_the_wire() -> None:
    packed = gzip.compress(bytes(512 << 20), 9)  # 512 MiB in half a megabyte
    assert len(packed) < RESPONSE_CAP
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    what, grown = await memory_for(head + packed)
    print(f"bomb: peak +{grown} KiB")
    assert what == str(len(packed))
    assert grown < 16 << 10


@ON_LINUX
async def test_an_answer_of_100_mb_is_cut_at_the_cap() -> None:
    what, grown = await memory_for(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(100 << 20))
    print(f"100 MiB: peak +{grown} KiB")
    assert what == "too-long"
    assert grown < 16 << 10


@ON_LINUX
async def test_a_chunk_extension_without_end_is_passed_over_and_not_kept() -> None:
    what, grown = await memory_for(CHUNKED + b"5;" + b"e" * (100 << 20))
    print(f"chunk extension: peak +{grown} KiB")
    assert what in ("truncated", "bad-http")
    assert grown < 16 << 10


@pytest.mark.parametrize(
    ("head", "block"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-More: aaaa\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"a" * 65536),
        (b"HTTP/1.1 200 ", b"a" * 65536),
        (CHUNKED + b"0\r\n", b"X-Trailer: aaaa\r\n" * 1000),
    ],
    ids=["headers", "a header", "a reason", "trailers"],
)
async def test_a_part_without_end_is_an_error_and_not_read_to_its_end(head: bytes, block: bytes) -> None:
    taken: list[int] = []
    exchange = await ask(endless(head, block, taken), 5 * SECOND)
    assert found(exchange)[1] in ("net/protocol", "net/receive")
    assert sum(taken) < SOCKET_BUFFERS
    assert exchange.failure is not None
    assert len(exchange.failure.detail) <= 200


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 1_000_000 + b"\r\n\r\n",
    ],
    ids=["100,000 headers", "a header of 1 MB"],
)
async def test_a_huge_head_is_a_broken_answer(head: bytes) -> None:
    assert found(await ask(saying(head))) == ("bad-http", "net/protocol")


# --- too slow ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chunks",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", *[b"x"] * 9999],
        [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 50],
        [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"] * 9999,
        [CHUNKED, *[b"1\r\nx\r\n"] * 9999],
        [CHUNKED, b"1;", *[b"e"] * 9999],
    ],
    ids=["a body", "a head", "interim answers", "chunks", "a chunk extension"],
)
async def test_a_drip_that_never_ends_ends_with_the_total_timeout(chunks: list[bytes]) -> None:
    # Each byte comes well within any read timeout; only a limit on all of it together ends this.
    exchange = await ask(saying(*chunks, pause=0.01), BRIEF)
    assert found(exchange)[0] == "timeout"
    assert exchange.latency < PATIENT


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_that_is_taken_and_never_answered_ends_with_the_timeout(scheme: str) -> None:
    async with listening(silent()) as peer:
        url = f"{scheme}://127.0.0.1:{peer.port}/"
        exchange = await send(HttpRequest("GET", url, verify_tls=False), BRIEF)
    assert found(exchange) == ("timeout", "net/tls" if scheme == "https" else "net/wait")


# --- lies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"<html>an answer of HTTP/0.9</html>", "bad-http"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "truncated"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nabc", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nabc", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc", None),
    ],
)
async def test_a_lie_about_the_length_is_a_finding(said: bytes, code: str | None) -> None:
    exchange = await ask(saying(said), 2 * SECOND)
    assert exchange.failure is not None
    assert code in (None, exchange.failure.code)
    assert exchange.failure.place in ("net/protocol", "net/receive", "net/wait")


async def test_a_datagram_from_another_address_or_port_is_no_answer() -> None:
    loop = asyncio.get_running_loop()
    with (
        socket.socket(type=socket.SOCK_DGRAM) as peer,
        socket.socket(type=socket.SOCK_DGRAM) as other_port,
        socket.socket(type=socket.SOCK_DGRAM) as other_address,
    ):
        for each, host in ((peer, "127.0.0.1"), (other_port, "127.0.0.1"), (other_address, "127.0.0.2")):
            each.bind((host, 0))
            each.setblocking(False)
        asking = asyncio.create_task(send(DatagramRequest("127.0.0.1", peer.getsockname()[1], b"?"), PATIENT))
        _, asker = await loop.sock_recvfrom(peer, 100)
        other_port.sendto(b"forged", asker)
        other_address.sendto(b"forged", asker)
        peer.sendto(b"genuine", asker)
        exchange = await asking
    assert exchange.reply is not None
    assert exchange.reply.payload == b"genuine"


# --- who it is, and what it says ---------------------------------------------------------------------------------


async def run(url: str, *, ca_file: str | None = None, verify_tls: bool = True) -> RunRecord:
    """One run of a check, as an agent keeps it."""
    scenario = msgspec.convert(
        {
            "name": "ask", "title": "Ask", "synthetic": True, "probe": "http",
            "steps": [{"name": "ask", "request": {"path": "/"}}],
        },
        Scenario,
    )  # fmt: skip
    target = Target("site", url, ca_file=ca_file, verify_tls=verify_tls)
    check = Check("asking", scenario, target, Timetable("here", "asking", MINUTE, MINUTE, None), 5 * SECOND)
    wires = Wires(SystemClock())
    execution = Execution(check, Surroundings("here", wires, SystemClock(), str, OUTCOME_TABLE, describe=printable))
    try:
        await execution.measure()
    finally:
        await wires.close()
    return execution.record(purpose="probe", scheduled_at=execution.started_at)


OK = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.mark.parametrize("kind", ["expired", "elsewhere", "untrusted"])
async def test_a_certificate_that_does_not_hold_fails_and_taking_it_is_shown_in_every_result(
    certificates: Certificates, kind: str
) -> None:
    context = certificates.server if kind == "untrusted" else getattr(certificates, kind)
    ca_file = None if kind == "untrusted" else str(certificates.ca)
    async with listening(OK, context) as peer:
        url = f"https://localhost:{peer.port}"
        refused = await run(url, ca_file=ca_file)
        assert (refused.outcome, refused.code, refused.place) == (OutcomeClass.SERVICE_DOWN, "certificate", "net/tls")
        assert UNVERIFIED not in refused.detail
        taken = await run(url, verify_tls=False)
        assert (taken.outcome, taken.detail) == (OutcomeClass.OK, UNVERIFIED)


async def test_a_certificate_that_holds_needs_no_remark(certificates: Certificates) -> None:
    async with listening(OK, certificates.server) as peer:
        record = await run(f"https://localhost:{peer.port}", ca_file=str(certificates.ca))
    assert (record.outcome, record.detail) == (OutcomeClass.OK, "")


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 500 \x1b[2J<script>\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nX-A: \x1b[2J<script>\r\nContent-Length: 0\r\n\r\n",
        b"\x1b[2J<script>\x9b\xe2\x80\xae\r\n\r\n",
        b'HTTP/1.1 402 No\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{"code":"\\u001b[2J<scri>"}',
    ],
    ids=["reason", "header", "first line", "code"],
)
async def test_nothing_that_steers_a_terminal_gets_into_a_result(said: bytes) -> None:
    async with listening(saying(said)) as peer:
        record = await run(peer.url)
    assert record.outcome != OutcomeClass.OK
    assert all(text.isprintable() for text in (record.detail, record.code, record.place))
