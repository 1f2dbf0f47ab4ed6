"""The wire for HTTP against raw servers on 127.0.0.1 that do to it what the world does."""

from __future__ import annotations

import asyncio
import errno
import gzip
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from wire_support import (
    BRIEF,
    LOOPS,
    PATIENT,
    SOCKET_BUFFERS,
    Answer,
    Certificates,
    LoopFactory,
    Peer,
    found,
    gone_within,
    listening,
    on,
    reset,
    silent,
    taken_port,
)

from outrider.clock import SystemClock
from outrider.core.outcome import Finding
from outrider.core.units import MILLISECOND, SECOND
from outrider.transport import RESPONSE_CAP, Exchange, HttpRequest
from outrider.transport.aiohttp_wire import AiohttpTransport, _explain


@asynccontextmanager
async def wire() -> AsyncIterator[AiohttpTransport]:
    transport = AiohttpTransport(SystemClock())
    try:
        yield transport
    finally:
        await transport.close()


async def ask(answer: Answer, method: str = "GET", *, timeout: int = PATIENT, **more: Any) -> Exchange:
    """One exchange with a server that answers so."""
    async with listening(answer) as peer, wire() as transport:
        exchange = await transport.exchange(HttpRequest(method, f"{peer.url}/path", **more), timeout)
        assert peer.connections == 1  # never a second attempt
        return exchange


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def saying(*chunks: bytes, pause: float = 0.02) -> Answer:
    """An answer to each request: these chunks with a pause between them, then the end of the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        for number, chunk in enumerate(chunks):
            if number and await gone_within(reader, pause):
                return
            writer.write(chunk)
            await writer.drain()

    return answer


def resetting(*chunks: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(*chunks)(reader, writer)
        await gone_within(reader, 0.02)  # or the RST overtakes what was said
        reset(writer)

    return answer


def flooding(head: bytes, line: bytes, sent: list[int]) -> Answer:
    """Say the line for ever; `sent` keeps how many bytes the peer took, with what the kernel holds."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(head)
        block = line * (65536 // len(line))
        try:
            while sum(sent) < 2 * SOCKET_BUFFERS:
                writer.write(block)
                await writer.drain()
                sent.append(len(block))
        finally:
            writer.transport.abort()

    return answer


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


# --- a good answer -----------------------------------------------------------------------------------------------


async def test_a_good_answer_is_taken_as_it_came() -> None:
    exchange = await ask(
        saying(b"HTTP/1.1 201 Made\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3\r\nContent-Length: 4\r\n\r\n\x00\xff\r\n")
    )
    assert exchange.failure is None
    assert exchange.reply is not None
    assert (exchange.reply.status, exchange.reply.body) == (201, b"\x00\xff\r\n")
    assert exchange.reply.headers == (("X-A", "1"), ("x-b", "2"), ("X-A", "3"), ("Content-Length", "4"))
    assert exchange.reply.header("x-a") == "1"
    assert exchange.reply.header("X-C") == ""


async def test_the_phases_add_up_to_the_latency_to_the_microsecond() -> None:
    # Both are differences of the same readings of one clock, so nothing may be lost or counted twice.
    exchange = await ask(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok", pause=0.03))
    assert sum(astuple(exchange.phases)) == exchange.latency > 0


async def test_time_is_booked_on_the_phase_in_which_it_was_spent() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone_within(reader, 0.05)
        await saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok", pause=0.04)(Empty(), writer)

    exchange = await ask(answer)
    # Timers may fire a clock tick early, never more; nothing bounds how late.
    assert exchange.phases.wait >= 49 * MILLISECOND
    assert exchange.phases.receive >= 39 * MILLISECOND
    assert exchange.phases.resolve == exchange.phases.tls == 0
    assert exchange.phases.connect > 0


class Empty(asyncio.StreamReader):
    """A peer that has said all it had to say, and stays."""

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        return b""


async def test_a_name_takes_time_to_resolve() -> None:
    async with listening(saying(OK)) as peer, wire() as transport:
        exchange = await transport.exchange(HttpRequest("GET", f"http://localhost:{peer.port}/"), PATIENT)
    assert exchange.failure is None
    assert exchange.phases.resolve > 0


@pytest.mark.parametrize("status", [299, 302, 404, 429, 500, 503, 599])
async def test_every_status_is_a_reply_for_the_probe_to_judge(status: int) -> None:
    exchange = await ask(saying(f"HTTP/1.1 {status} What\r\nContent-Length: 0\r\n\r\n".encode()))
    assert exchange.reply is not None
    assert exchange.reply.status == status


async def test_a_redirect_is_not_followed() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    exchange = await ask(saying(head))
    assert exchange.reply is not None
    assert (exchange.reply.status, exchange.reply.header("Location")) == (302, "/elsewhere")


async def test_a_compressed_body_is_left_as_it_is() -> None:
    packed = gzip.compress(b"hello " * 100)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    exchange = await ask(saying(head + packed))
    assert exchange.reply is not None
    assert exchange.reply.body == packed
    assert exchange.reply.header("Content-Encoding") == "gzip"


@pytest.mark.parametrize(
    ("chunks", "body"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\nto the", b" end"], b"to the end"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"1\r\nd\r\n0\r\n\r\n"], b"abcd"),
        ([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", OK], b"ok"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], b"ok"),
        ([OK + OK], b"ok"),  # what comes after the answer is nobody's
    ],
    ids=["until the end", "chunked", "early hints", "no content", "HTTP/1.0", "two answers"],
)
async def test_a_body_ends_where_http_says_that_it_does(chunks: list[bytes], body: bytes) -> None:
    exchange = await ask(saying(*chunks))
    assert exchange.reply is not None
    assert exchange.reply.body == body


# --- what is sent ------------------------------------------------------------------------------------------------


async def sent(request: Callable[[Peer], HttpRequest]) -> list[str]:
    """The lines of the request's head as they went out, and the body as the last one."""
    received: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        received.append(head + await reader.readexactly(length))
        writer.write(OK)

    async with listening(answer) as peer, wire() as transport:
        exchange = await transport.exchange(request(peer), PATIENT)
        assert exchange.failure is None
    (raw,) = received
    return raw.decode().replace(str(peer.port), "PORT").split("\r\n")


async def test_the_request_goes_out_as_it_was_prepared_and_with_nothing_for_which_nobody_asked() -> None:
    headers = (("User-Agent", "outrider"), ("Idempotency-Key", "k-1"), ("Content-Type", "application/json"), ("B", "2"))
    lines = await sent(lambda peer: HttpRequest("POST", f"{peer.url}/v1/pay?of=a%20b&to=%C3%A9", headers, b'{"a":1}'))
    assert lines == [
        "POST /v1/pay?of=a%20b&to=%C3%A9 HTTP/1.1",
        "Host: 127.0.0.1:PORT",
        "User-Agent: outrider",
        "Idempotency-Key: k-1",
        "Content-Type: application/json",
        "B: 2",
        "Content-Length: 7",
        "Connection: close",
        "",
        '{"a":1}',
    ]


async def test_a_request_without_headers_has_none_but_those_that_http_needs() -> None:
    lines = await sent(lambda peer: HttpRequest("GET", f"{peer.url}/"))
    assert lines == ["GET / HTTP/1.1", "Host: 127.0.0.1:PORT", "Connection: close", "", ""]
    lines = await sent(lambda peer: HttpRequest("POST", peer.url))
    assert lines == ["POST / HTTP/1.1", "Host: 127.0.0.1:PORT", "Content-Length: 0", "Connection: close", "", ""]


async def test_a_host_that_was_asked_for_is_the_one_that_is_sent() -> None:
    lines = await sent(lambda peer: HttpRequest("GET", f"{peer.url}/", (("Host", "pay.example"),)))
    assert lines[1] == "Host: pay.example"


async def test_each_exchange_has_its_own_connection_and_no_cookie_of_the_last_one() -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1; Path=/\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with listening(answer) as peer, wire() as transport:
        for _ in range(2):
            assert (await transport.exchange(HttpRequest("GET", f"{peer.url}/"), PATIENT)).failure is None
        assert peer.connections == 2
    assert heads[0] == heads[1]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await ask(saying(OK))).failure is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("ending", [saying(), resetting()], ids=["closed", "reset"])
async def test_a_request_is_never_sent_twice(method: str, ending: Answer) -> None:
    # Otherwise a second attempt that succeeds would hide the first one, which counts.
    exchange = await ask(ending, method)  # which asserts that there was one connection
    assert exchange.failure is not None


# --- no answer ---------------------------------------------------------------------------------------------------


async def test_a_refused_connection_is_told_with_its_address() -> None:
    with taken_port() as port:
        async with wire() as transport:
            exchange = await transport.exchange(HttpRequest("GET", f"http://127.0.0.1:{port}/"), PATIENT)
    assert found(exchange) == ("refused", "net/connect")
    assert exchange.failure is not None
    assert exchange.failure.detail.startswith(f"127.0.0.1:{port}: ")
    assert exchange.phases.send == exchange.phases.wait == 0


async def test_a_name_that_does_not_exist_fails_in_resolve() -> None:
    # RFC 6761: nobody has .invalid. Without a network the resolver fails too, or does not come back.
    async with wire() as transport:
        exchange = await transport.exchange(HttpRequest("GET", "http://nowhere.invalid/"), 2 * SECOND)
    code, place = found(exchange)
    assert place == "net/resolve"
    assert code in ("dns", "timeout")


@pytest.mark.parametrize(
    ("answer", "code", "place"),
    [
        pytest.param(saying(), "closed", "net/wait", id="closed without a word"),
        pytest.param(resetting(), "reset", "net/wait", id="reset without a word"),
        pytest.param(saying(b"HTTP/1.1 200 OK\r\nContent-Le"), "closed", "net/wait", id="closed in the head"),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nok"), "truncated", "net/receive", id="too short"
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"),
            "truncated",
            "net/receive",
            id="closed in a chunk",
        ),
        pytest.param(
            resetting(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nok"),
            "truncated",
            "net/receive",
            id="reset in the body",
        ),
        pytest.param(saying(b"SSH-2.0-OpenSSH_9.6\r\n"), "bad-http", "net/protocol", id="another protocol"),
        pytest.param(
            saying(b"\x15\x03\x03\x00\x02\x02\x28"), "bad-http", "net/protocol", id="TLS where HTTP was asked"
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), "bad-http", "net/protocol", id="a negative length"
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
            "bad-http",
            "net/protocol",
            id="two lengths",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "bad-http",
            "net/protocol",
            id="a chunk that is none",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n"),
            "bad-http",
            "net/protocol",
            id="a huge header",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 " + b"a" * 20_000 + b"\r\n\r\n"), "bad-http", "net/protocol", id="a huge reason"
        ),
    ],
)
async def test_an_answer_that_is_none_is_told_with_how_far_it_came(answer: Answer, code: str, place: str) -> None:
    exchange = await ask(answer)
    assert found(exchange) == (code, place)
    assert exchange.failure is not None
    assert len(exchange.failure.detail) <= 200
    assert sum(astuple(exchange.phases)) == exchange.latency


# --- time --------------------------------------------------------------------------------------------------------


async def test_a_hang_ends_with_the_timeout_and_names_the_phase_in_which_it_hung() -> None:
    exchange = await ask(silent(), timeout=BRIEF)
    assert found(exchange) == ("timeout", "net/wait")
    assert exchange.failure == Finding("timeout", "net/wait", "no answer within 0.12 s")
    assert BRIEF - MILLISECOND <= exchange.latency < PATIENT
    assert exchange.phases.wait > exchange.latency // 2


async def test_an_answer_in_drips_does_not_outlive_the_timeout() -> None:
    drips = [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", *[b"x"] * 5000]
    exchange = await ask(saying(*drips, pause=0.005), timeout=BRIEF)
    assert found(exchange) == ("timeout", "net/receive")
    assert exchange.latency < PATIENT


async def test_a_head_in_drips_does_not_outlive_the_timeout() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 100
    exchange = await ask(saying(*(bytes([byte]) for byte in head), pause=0.005), timeout=BRIEF)
    assert found(exchange) == ("timeout", "net/wait")


async def test_interim_answers_without_end_do_not_outlive_the_timeout() -> None:
    exchange = await ask(saying(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000, pause=0.005), timeout=BRIEF)
    assert found(exchange) == ("timeout", "net/wait")


async def test_nonsense_after_a_good_chunk_ends_with_the_timeout_at_the_latest() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    exchange = await ask(saying(head, b"zz\r\nwhat\r\n"), timeout=2 * BRIEF)
    code, place = found(exchange)
    assert (code, place) in {("timeout", "net/receive"), ("bad-http", "net/protocol"), ("truncated", "net/receive")}


async def test_a_cancelled_exchange_says_so_and_lets_go_of_its_connection() -> None:
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asking.cancel()
        await reader.read()
        closed.set()

    async with listening(answer) as peer, wire() as transport:
        asking = asyncio.create_task(transport.exchange(HttpRequest("GET", f"{peer.url}/"), PATIENT))
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(closed.wait(), 5)


async def test_exchanges_side_by_side_keep_their_own_time() -> None:
    async with listening(silent()) as mute, listening(saying(OK)) as quick, wire() as transport:
        slow, fast = await asyncio.gather(
            transport.exchange(HttpRequest("GET", f"https://127.0.0.1:{mute.port}/", verify_tls=False), BRIEF),
            transport.exchange(HttpRequest("GET", f"{quick.url}/"), PATIENT),
        )
    assert found(slow) == ("timeout", "net/tls")
    assert fast.failure is None
    assert fast.phases.tls == 0
    assert slow.phases.wait == 0


# --- too much ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"])
async def test_a_body_over_the_cap_is_not_read_to_its_end(head: bytes) -> None:
    taken: list[int] = []
    exchange = await ask(flooding(head, b"x", taken))
    assert found(exchange) == ("too-long", "body/size")
    assert sum(taken) < SOCKET_BUFFERS


@pytest.mark.parametrize(("length", "is_taken"), [(RESPONSE_CAP, True), (RESPONSE_CAP + 1, False)])
async def test_the_cap_is_the_last_length_that_is_taken(length: int, is_taken: bool) -> None:
    exchange = await ask(saying(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + b"x" * length))
    assert (exchange.reply is not None) is is_taken
    if exchange.reply is not None:
        assert len(exchange.reply.body) == length


async def test_headers_without_end_are_not_read_to_their_end() -> None:
    taken: list[int] = []
    exchange = await ask(flooding(b"HTTP/1.1 200 OK\r\n", b"X-More: aaaaaaaaaaaaaaaaaaaaaa\r\n", taken))
    assert found(exchange) == ("bad-http", "net/protocol")
    assert sum(taken) < SOCKET_BUFFERS


# --- TLS ---------------------------------------------------------------------------------------------------------


async def ask_tls(answer: Answer, tls: ssl.SSLContext | None, host: str = "localhost", *, timeout: int = PATIENT,
                  **more: Any) -> Exchange:  # fmt: skip
    async with listening(answer, tls) as peer, wire() as transport:
        return await transport.exchange(HttpRequest("GET", f"https://{host}:{peer.port}/", **more), timeout)


@LOOPS
def test_the_handshake_has_its_own_phase_on_either_loop(certificates: Certificates, loop_factory: LoopFactory) -> None:
    exchange = on(loop_factory, ask_tls(saying(OK), certificates.server, ca_file=str(certificates.ca)))
    assert exchange.failure is None
    assert exchange.reply is not None
    assert exchange.reply.body == b"ok"
    phases = exchange.phases
    assert min(phases.resolve, phases.connect, phases.tls, phases.wait) > 0
    assert sum(astuple(phases)) == exchange.latency


@LOOPS
@pytest.mark.parametrize(
    ("host", "with_ca", "reason"),
    [
        ("localhost", False, "unable to get local issuer certificate"),
        ("127.0.0.1", True, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
    ],
    ids=["untrusted", "for another host"],
)
def test_a_certificate_that_does_not_hold_is_told_with_the_reason(
    certificates: Certificates, loop_factory: LoopFactory, host: str, with_ca: bool, reason: str
) -> None:
    ca_file = str(certificates.ca) if with_ca else None
    exchange = on(loop_factory, ask_tls(saying(OK), certificates.server, host, ca_file=ca_file))
    assert found(exchange) == ("certificate", "net/tls")
    assert exchange.failure is not None
    assert exchange.failure.detail.startswith(f"{host}:")
    assert exchange.failure.detail.endswith(reason)
    assert exchange.phases.wait == 0


@LOOPS
def test_verification_can_be_switched_off(certificates: Certificates, loop_factory: LoopFactory) -> None:
    exchange = on(loop_factory, ask_tls(saying(OK), certificates.server, "127.0.0.1", verify_tls=False))
    assert exchange.failure is None
    assert exchange.phases.tls > 0


@LOOPS
def test_a_handshake_that_hangs_is_told_as_one(loop_factory: LoopFactory) -> None:
    exchange = on(loop_factory, ask_tls(silent(), None, verify_tls=False, timeout=BRIEF))
    assert found(exchange) == ("timeout", "net/tls")
    assert exchange.phases.tls > exchange.latency // 2


@LOOPS
def test_a_peer_that_does_not_speak_tls_fails_in_the_handshake(loop_factory: LoopFactory) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 This is HTTP\r\n\r\n")
        await reader.read()

    exchange = on(loop_factory, ask_tls(answer, None, verify_tls=False))
    assert found(exchange) == ("handshake", "net/tls")
    assert "0x" not in repr(exchange.failure)  # no object of ours in a text for people


@LOOPS
def test_a_peer_that_leaves_during_the_handshake_is_told_as_one(loop_factory: LoopFactory) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    exchange = on(loop_factory, ask_tls(answer, None, verify_tls=False))
    assert found(exchange) == ("reset", "net/tls")
    assert "0x" not in repr(exchange.failure)


# --- the agent's own trouble -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file or directory"), ("nonsense", "NO_CERTIFICATE")])
async def test_a_ca_file_that_cannot_be_read_is_the_agents_fault(
    content: str | None, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    exchange = await ask_tls(silent(), None, ca_file=str(file))
    assert found(exchange) == ("certificates", "agent/tls")
    assert exchange.failure is not None
    assert exchange.failure.detail.startswith(f"cannot read the certificates of {file}: ")
    assert reason in exchange.failure.detail


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://a..b/", "http://" + "a" * 64 + ".invalid/"])
async def test_an_address_that_is_none_is_the_agents_fault(url: str) -> None:
    async with wire() as transport:
        assert found(await transport.exchange(HttpRequest("GET", url), PATIENT)) == ("cannot-send", "agent/request")


WITHOUT_DESCRIPTORS = """
import asyncio, os, resource
from outrider.clock import SystemClock
from outrider.transport import HttpRequest
from outrider.transport.aiohttp_wire import AiohttpTransport

async def main():
    wire = AiohttpTransport(SystemClock())
    request = HttpRequest("GET", "http://127.0.0.1:1/")
    await wire.exchange(request, 5_000_000)  # whatever is loaded late is loaded now
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        pass
    for url in ("http://127.0.0.1:1/", "http://localhost:1/"):
        exchange = await wire.exchange(HttpRequest("GET", url), 5_000_000)
        print(exchange.failure.code, exchange.failure.place)
    for number in held:
        os.close(number)
    await wire.close()

asyncio.run(main())
"""


def test_an_agent_without_file_descriptors_blames_itself() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_DESCRIPTORS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    direct, by_name = done.stdout.splitlines()
    assert direct == "EMFILE agent/socket"
    assert by_name.partition(" ")[2] in ("agent/resolver", "agent/socket")  # as the C library tells it


def connector(error: OSError, kind: type[aiohttp.ClientConnectorError] = aiohttp.ClientConnectorError) -> Exception:
    return kind(ConnectionKey("pay.example", 443, True, True, None, None, None), error)


@pytest.mark.parametrize(
    ("error", "finding"),
    [
        (connector(OSError(errno.EMFILE, "Too many")), ("EMFILE", "agent/socket")),
        (connector(OSError(errno.ENFILE, "Too many")), ("ENFILE", "agent/socket")),
        (connector(OSError(errno.ENOBUFS, "No buffer")), ("ENOBUFS", "agent/socket")),
        (connector(OSError(errno.EADDRNOTAVAIL, "No port")), ("EADDRNOTAVAIL", "agent/socket")),
        (OSError(errno.ENOMEM, "No memory"), ("ENOMEM", "agent/socket")),
        (connector(OSError(errno.EHOSTUNREACH, "No route")), ("unreachable", "net/connect")),
        (connector(OSError(errno.ENETUNREACH, "No network")), ("unreachable", "net/connect")),
        (connector(OSError(errno.ETIMEDOUT, "Timed out")), ("timeout", "net/connect")),
        (connector(ConnectionResetError(errno.ECONNRESET, "Reset")), ("reset", "net/connect")),
        (connector(ConnectionResetError()), ("reset", "net/connect")),
        (connector(OSError("Multiple exceptions")), ("failed", "net/connect")),
        (connector(socket.gaierror(-3, "Try again"), aiohttp.ClientConnectorDNSError), ("dns", "net/resolve")),
        (connector(OSError(errno.EBUSY, "Busy"), aiohttp.ClientConnectorDNSError), ("EBUSY", "agent/resolver")),
        (aiohttp.ClientOSError(errno.EPIPE, "Broken pipe"), ("reset", "net/connect")),
        (aiohttp.ClientConnectionResetError("Cannot write to closing transport"), ("reset", "net/connect")),
        (aiohttp.ClientOSError(errno.EIO, "I/O"), ("failed", "net/connect")),
        (aiohttp.ClientPayloadError("short"), ("truncated", "net/receive")),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, Exception) else "-".join(value),
)
def test_what_the_machine_says_is_told_from_what_the_network_says(error: Exception, finding: tuple[str, str]) -> None:
    explained = _explain(error, "connect")
    assert (explained.code, explained.place) == finding
    assert "ConnectionKey" not in explained.detail
