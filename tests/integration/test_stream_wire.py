"""The wire for conversations against raw servers on loopback that do to it what the world does, on either loop."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from polling_support import until_true
from wire_support import (
    BRIEF,
    PATIENT,
    SOCKET_BUFFERS,
    Answer,
    Certificates,
    Peer,
    found,
    gone_within,
    listening,
    on_both_loops,
    reset,
    silent,
    taken_port,
)

from outrider.clock import SystemClock
from outrider.codecs.framing import FramingError, line
from outrider.core.outcome import Finding
from outrider.core.units import MILLISECOND, SECOND
from outrider.transport import RESPONSE_CAP, Exchange, StreamReply, StreamRequest, Turn
from outrider.transport.stream_wire import StreamWire

HELLO = Turn(b"hello\n", line)


def to(peer: Peer | int, *turns: Turn, host: str = "127.0.0.1", **more: Any) -> StreamRequest:
    return StreamRequest(host, peer if isinstance(peer, int) else peer.port, turns or (HELLO,), **more)


async def hold(request: StreamRequest, timeout: int = PATIENT) -> Exchange[StreamReply]:
    """One conversation; every one of them keeps its books."""
    exchange = await StreamWire(SystemClock()).exchange(request, timeout)
    assert sum(astuple(exchange.phases)) == exchange.latency
    assert (exchange.reply is None) is (exchange.failure is not None)
    if exchange.failure is not None:
        assert len(exchange.failure.detail) <= 200
        assert "0x" not in repr(exchange.failure)  # no object of ours in a text for people
    return exchange


async def ask(answer: Answer, *turns: Turn, timeout: int = PATIENT, **more: Any) -> Exchange[StreamReply]:
    """One conversation with a server that answers so."""
    async with listening(answer) as peer:
        exchange = await hold(to(peer, *turns, **more), timeout)
        assert peer.connections <= 1  # never a second attempt
        return exchange


def saying(*chunks: bytes, pause: float = 0.02, then: Callable[[asyncio.StreamWriter], None] | None = None) -> Answer:
    """An answer to the first line: these chunks with a pause between them, then the end of the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\n")
        for number, chunk in enumerate(chunks):
            if number and await gone_within(reader, pause):
                return
            writer.write(chunk)
            await writer.drain()
        if then is not None:
            await gone_within(reader, 0.02)  # or the end overtakes what was said
            then(writer)

    return answer


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while said := await reader.readline():
        writer.write(said)
        await writer.drain()


async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up, and do not wait for a word."""


# --- good conversations --------------------------------------------------------------------------------------------


@on_both_loops
async def test_the_answers_come_in_order_and_what_nobody_asked_for_is_kept_apart() -> None:
    exchange = await ask(saying(b"one\ntwo\nmore"), HELLO, Turn(b"", line))
    assert exchange.reply == StreamReply((b"one\n", b"two\n"), None, b"more")


@on_both_loops
async def test_a_conversation_ends_where_a_turn_does_not_agree_to_go_on() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.readline())
        writer.write(b"no\n")
        heard.put_nowait(await reader.readline())

    turns = (replace(HELLO, goes_on=lambda said: said == b"yes\n"), Turn(b"second\n", line))
    async with listening(answer) as peer:
        exchange = await hold(to(peer, *turns))
        assert exchange.reply == StreamReply((b"no\n",))
        assert [await asyncio.wait_for(heard.get(), 5) for _ in range(2)] == [b"hello\n", b""]


@on_both_loops
async def test_without_turns_it_only_connects_and_a_turn_without_an_end_waits_for_none() -> None:
    async with listening(silent()) as peer:
        connected = await hold(StreamRequest("127.0.0.1", peer.port))
        assert connected.reply == StreamReply()
        assert connected.phases.send == connected.phases.wait == 0
        assert (await hold(to(peer, Turn(b"bye\n")))).reply == StreamReply()


@on_both_loops
async def test_an_answer_in_drips_is_one_answer_and_its_time_is_booked_where_it_was_spent() -> None:
    exchange = await ask(saying(b"a", b"b", b"c\n"))
    assert exchange.reply == StreamReply((b"abc\n",))
    assert exchange.phases.receive >= 39 * MILLISECOND  # a timer may fire a tick early, never more
    assert exchange.phases.resolve == exchange.phases.tls == 0
    assert exchange.phases.connect > 0


@on_both_loops
async def test_an_ipv6_address_is_reached_and_a_name_takes_time_to_resolve() -> None:
    async with listening(echo, host="::1") as peer:
        assert (await hold(to(peer, host="::1"))).reply == StreamReply((b"hello\n",))
        by_name = await hold(to(peer, host="localhost"))
    # localhost is 127.0.0.1 as well, where nobody listens: the next address is tried, if the system knows it.
    if by_name.reply is None:
        assert found(by_name) == ("refused", "net/connect")
    assert by_name.phases.resolve > 0


# --- no answer -----------------------------------------------------------------------------------------------------


@on_both_loops
async def test_a_refused_connection_is_told_as_one() -> None:
    with taken_port() as port:
        exchange = await hold(to(port))
    assert found(exchange) == ("refused", "net/connect")
    assert exchange.failure is not None
    assert str(port) in exchange.failure.detail


@on_both_loops
async def test_a_name_that_does_not_exist_fails_in_resolve() -> None:
    # RFC 6761: nobody has .invalid. Without a network the resolver fails too, or does not come back.
    exchange = await hold(to(25, host="nowhere.invalid"), 2 * SECOND)
    assert found(exchange) in {("dns", "net/resolve"), ("timeout", "net/resolve")}
    assert exchange.phases.connect < SECOND


@pytest.mark.parametrize(
    ("answer", "code", "place"),
    [
        pytest.param(saying(), "closed", "net/wait", id="closed without a word"),
        pytest.param(saying(then=reset), "reset", "net/wait", id="reset without a word"),
        pytest.param(saying(b"half"), "truncated", "net/receive", id="closed in the answer"),
        pytest.param(saying(b"half", then=reset), "reset", "net/receive", id="reset in the answer"),
        pytest.param(saying(b"x" * 5000), "too-long", "body/frame", id="a line without end"),
    ],
)
@on_both_loops
async def test_an_answer_that_is_none_is_told_with_how_far_it_came(answer: Answer, code: str, place: str) -> None:
    assert found(await ask(answer)) == (code, place)


@on_both_loops
async def test_a_peer_that_leaves_after_the_first_answer_fails_the_second_turn() -> None:
    for then, expected in ((None, {("closed", "net/wait")}), (reset, {("reset", "net/wait"), ("reset", "net/send")})):
        exchange = await ask(saying(b"one\n", then=then), HELLO, Turn(b"", line))
        assert found(exchange) in expected


@on_both_loops
async def test_a_peer_that_has_gone_when_the_next_words_go_out_is_told_in_either_phase() -> None:
    # Whether the system knows already when we write is its own affair.
    exchange = await ask(saying(b"one\n", then=reset), HELLO, Turn(b"", lambda came: 0), *[Turn(b"x" * 9999, line)] * 9)
    assert found(exchange)[0] in ("reset", "closed")
    assert found(exchange)[1] in ("net/send", "net/wait")


@on_both_loops
async def test_a_peer_that_hangs_up_at_once_is_closed_or_reset() -> None:
    code, place = found(await ask(at_once))
    assert code in ("closed", "reset")
    assert place in ("net/send", "net/wait")


@on_both_loops
async def test_what_can_never_become_an_answer_is_told_with_the_frames_own_code() -> None:
    def refuse(came: bytearray) -> int | None:
        raise FramingError("bad-length", f"{len(came)} bytes of nonsense")

    exchange = await ask(saying(b"abc"), Turn(b"hello\n", refuse))
    assert exchange.failure == Finding("bad-length", "body/frame", "3 bytes of nonsense")


# --- time ----------------------------------------------------------------------------------------------------------


@on_both_loops
async def test_a_hang_ends_with_the_timeout_and_names_the_phase_in_which_it_hung() -> None:
    exchange = await ask(silent(), timeout=BRIEF)
    assert exchange.failure == Finding("timeout", "net/wait", "no answer within 0.12 s")
    assert BRIEF - MILLISECOND <= exchange.latency < PATIENT
    assert exchange.phases.wait > exchange.latency // 2


@on_both_loops
async def test_drips_without_end_do_not_outlive_the_timeout() -> None:
    exchange = await ask(saying(*[b"x"] * 4000, pause=0.005), timeout=BRIEF)
    assert found(exchange) == ("timeout", "net/receive")


@on_both_loops
async def test_a_peer_that_does_not_read_is_a_timeout_in_send() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(gone.wait(), 20)

    gone = asyncio.Event()
    async with listening(deaf) as peer:
        exchange = await hold(to(peer, Turn(b"x" * SOCKET_BUFFERS, line)), BRIEF)
        gone.set()
    assert found(exchange) == ("timeout", "net/send")


@on_both_loops
async def test_a_full_queue_of_connections_is_a_timeout_in_connect() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        held = [socket.socket() for _ in range(4)]
        try:
            for each in held:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            exchange = await hold(to(port), BRIEF)
        finally:
            for each in held:
                each.close()
    assert found(exchange) == ("timeout", "net/connect")


# --- too much ------------------------------------------------------------------------------------------------------


@on_both_loops
async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    taken: list[int] = []

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        while sum(taken) < 2 * SOCKET_BUFFERS:
            writer.write(b"x" * 65536)
            await writer.drain()
            taken.append(65536)

    exchange = await ask(flood, Turn(b"hello\n", lambda came: None))
    assert found(exchange) == ("too-long", "body/frame")
    assert sum(taken) < SOCKET_BUFFERS


@on_both_loops
async def test_an_answer_up_to_the_cap_is_taken() -> None:
    def whole(came: bytearray) -> int | None:
        return len(came) if came.endswith(b"\n") else None

    exchange = await ask(saying(b"x" * (RESPONSE_CAP - 1) + b"\n"), Turn(b"hello\n", whole))
    assert exchange.reply is not None
    assert len(exchange.reply.answers[0]) == RESPONSE_CAP


# --- the agent's own trouble ---------------------------------------------------------------------------------------


@on_both_loops
async def test_an_address_that_is_none_is_the_agents_fault() -> None:
    for host, port in (("a..b", 25), ("a" * 64 + ".invalid", 25), ("127.0.0.1", 99_999)):
        assert found(await hold(to(port, host=host))) == ("cannot-send", "agent/request"), (host, port)


@on_both_loops
async def test_authorities_that_cannot_be_read_are_the_agents_fault_also_for_a_later_handshake() -> None:
    for request in (to(25, ca_file="/nowhere.pem", tls=True), to(25, replace(HELLO, then_tls=True), ca_file="/no.pem")):
        assert found(await hold(request)) == ("certificates", "agent/tls")


WITHOUT_DESCRIPTORS = """
import asyncio, os, resource
from outrider.clock import SystemClock
from outrider.transport import DatagramRequest, StreamRequest
from outrider.transport.wires import Wires

async def main():
    wires = Wires(SystemClock())
    requests = [StreamRequest("127.0.0.1", 1), DatagramRequest("127.0.0.1", 1, b"?")]
    for request in requests:
        await wires.exchange(request, 5_000_000)  # whatever is loaded late is loaded now
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        pass
    for request in requests:
        exchange = await wires.exchange(request, 5_000_000)
        print(exchange.failure.code, exchange.failure.place)
    for number in held:
        os.close(number)
    await wires.close()

asyncio.run(main())
"""


def test_an_agent_without_file_descriptors_blames_itself() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_DESCRIPTORS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["EMFILE agent/socket"] * 2


# --- sockets are let go of -----------------------------------------------------------------------------------------


def open_sockets() -> int:
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    return sum(1 for link in links if os.path.lexists(link) and os.readlink(link).startswith("socket:"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc to count sockets in")
@on_both_loops
async def test_no_socket_is_left_open_whatever_became_of_the_conversation(certificates: Certificates) -> None:
    async with listening(silent()) as mute, listening(echo, certificates.server) as secure:
        ca_file = str(certificates.ca)
        good = to(secure, host="localhost", tls=True, ca_file=ca_file)
        before = open_sockets()
        endings = [good, to(secure, tls=True, ca_file=ca_file), to(secure, tls=True), to(mute), to(mute, tls=True)]
        for request in endings * 3:
            await hold(request, BRIEF if request.port == mute.port else PATIENT)
        # A loop closes them in one of its next rounds.
        await until_true("no socket is left", lambda: open_sockets() <= before)


@pytest.mark.parametrize("with_tls", [False, True], ids=["tcp", "tls"])
@on_both_loops
async def test_a_cancelled_conversation_says_so_and_hangs_up(certificates: Certificates, with_tls: bool) -> None:
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asking.cancel()
        try:
            await reader.read()
        finally:
            closed.set()

    async with listening(answer, certificates.server if with_tls else None) as peer:
        request = to(peer, host="localhost", tls=with_tls, ca_file=str(certificates.ca))
        asking = asyncio.create_task(hold(request))
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(closed.wait(), 5)


@on_both_loops
async def test_a_conversation_cancelled_in_its_handshake_hangs_up() -> None:
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asking.cancel()
        await reader.read()
        closed.set()

    async with listening(answer) as peer:
        asking = asyncio.create_task(hold(to(peer, tls=True, verify_tls=False)))
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(closed.wait(), 5)


# --- TLS -----------------------------------------------------------------------------------------------------------


@on_both_loops
async def test_a_handshake_has_its_own_phase_and_says_whom_it_met(certificates: Certificates) -> None:
    async with listening(echo, certificates.server) as peer:
        exchange = await hold(to(peer, host="localhost", tls=True, ca_file=str(certificates.ca)))
    assert exchange.reply is not None
    assert exchange.reply.answers == (b"hello\n",)
    phases = exchange.phases
    assert min(phases.resolve, phases.connect, phases.tls, phases.wait) > 0
    met = exchange.reply.tls
    assert met is not None
    assert (met.version, met.certificate[:1]) == ("TLSv1.3", b"\x30")
    assert met.cipher.startswith("TLS_")


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        ("server", {"ca_file": None}, "unable to get local issuer certificate"),
        ("expired", {}, "certificate has expired"),
        ("elsewhere", {}, "Hostname mismatch, certificate is not valid for 'localhost'."),
        ("server", {"host": "127.0.0.1"}, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
        ("server", {"server_name": "other.example"}, "certificate is not valid for 'other.example'."),
    ],
    ids=["unknown authority", "expired", "another host's", "an address", "another name asked for"],
)
@on_both_loops
async def test_a_certificate_that_does_not_hold_is_told_with_the_reason(
    certificates: Certificates, kind: str, more: dict[str, Any], reason: str
) -> None:
    given = {"host": "localhost", "ca_file": str(certificates.ca), "tls": True, **more}
    async with listening(echo, getattr(certificates, kind)) as peer:
        exchange = await hold(to(peer, **given))
    assert found(exchange) == ("certificate", "net/tls")
    assert exchange.failure is not None
    assert exchange.failure.detail.endswith(reason)
    assert exchange.phases.send == exchange.phases.wait == 0


@on_both_loops
async def test_a_name_of_its_own_and_an_ip_address_are_verified_where_the_certificate_is_for_them(
    certificates: Certificates,
) -> None:
    for kind, host, name in (("elsewhere", "127.0.0.1", "elsewhere.example"), ("by_address", "127.0.0.1", None)):
        async with listening(echo, getattr(certificates, kind)) as peer:
            exchange = await hold(to(peer, host=host, tls=True, ca_file=str(certificates.ca), server_name=name))
        assert exchange.failure is None


@on_both_loops
async def test_verification_can_be_switched_off_and_the_certificate_comes_all_the_same(
    certificates: Certificates,
) -> None:
    async with listening(echo, certificates.expired) as peer:
        exchange = await hold(to(peer, tls=True, verify_tls=False))
    assert exchange.reply is not None
    assert exchange.reply.tls is not None
    assert exchange.reply.tls.certificate[:1] == b"\x30"


def after(first: int, ending: Callable[[asyncio.StreamWriter], None], say: bytes = b"") -> Answer:
    """Read so many bytes of a handshake, say something, and end it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(first)
        if say:
            writer.write(say)
            await writer.drain()
        ending(writer)

    return answer


def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal, handshake_failure


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (after(1000, close), {("reset", "net/tls"), ("closed", "net/tls")}),
        (after(1, reset), {("reset", "net/tls")}),
        (after(1000, close, b"HTTP/1.1 400 This is HTTP\r\n\r\n"), {("handshake", "net/tls")}),
        (after(1000, close, b"220 mail.example ready\r\n"), {("handshake", "net/tls")}),
        (after(1000, close, ALERT), {("handshake", "net/tls")}),
        (after(1000, close, b"\x16\x03\x03\x40\x00\x02"), {("reset", "net/tls"), ("closed", "net/tls")}),
    ],
    ids=["closes", "resets", "speaks HTTP", "speaks SMTP", "alerts", "breaks off"],
)
@on_both_loops
async def test_a_handshake_that_fails_is_told_as_one(answer: Answer, expected: set[tuple[str, str]]) -> None:
    async with listening(answer) as peer:
        exchange = await hold(to(peer, tls=True, verify_tls=False))
    assert found(exchange) in expected
    assert exchange.phases.send == exchange.phases.wait == 0


@on_both_loops
async def test_a_handshake_that_hangs_is_a_timeout_in_tls() -> None:
    async with listening(silent()) as peer:
        exchange = await hold(to(peer, tls=True, verify_tls=False), BRIEF)
    assert found(exchange) == ("timeout", "net/tls")
    assert exchange.phases.tls > exchange.latency // 2


@on_both_loops
async def test_an_old_protocol_is_not_spoken(certificates: Certificates) -> None:
    async with listening(echo, certificates.old) as peer:
        exchange = await hold(to(peer, host="localhost", tls=True, ca_file=str(certificates.ca)))
    assert found(exchange) in {("handshake", "net/tls"), ("reset", "net/tls")}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (saying(), {("closed", "net/wait")}),
        (saying(b"half"), {("truncated", "net/receive")}),
        (saying(then=reset), {("reset", "net/wait"), ("closed", "net/wait")}),
        (saying(b"half", then=reset), {("reset", "net/receive"), ("truncated", "net/receive")}),
        (silent(), {("timeout", "net/wait")}),
    ],
    ids=["closed", "truncated", "reset", "reset in the answer", "hangs"],
)
@on_both_loops
async def test_what_goes_wrong_over_tls_is_told_as_it_is_without(
    certificates: Certificates, answer: Answer, expected: set[tuple[str, str]]
) -> None:
    async with listening(answer, certificates.server) as peer:
        request = to(peer, host="localhost", tls=True, ca_file=str(certificates.ca))
        exchange = await hold(request, PATIENT if ("timeout", "net/wait") not in expected else 4 * BRIEF)
    assert found(exchange) in expected


# --- STARTTLS ------------------------------------------------------------------------------------------------------

UPGRADE = (replace(HELLO, then_tls=True), Turn(b"again\n", line))


def upgrading(context: ssl.SSLContext, *, early: bytes = b"", said: list[bytes] | None = None) -> Answer:
    """Agree to TLS with "go", with `early` behind it in clear; then an echo over TLS."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"go\n" + early)
        await writer.drain()
        await writer.start_tls(context)
        while heard := await reader.readline():
            if said is not None:
                said.append(heard)
            writer.write(heard)
            await writer.drain()

    return answer


@on_both_loops
async def test_a_conversation_goes_on_over_tls_after_the_turn_that_agreed_to_it(certificates: Certificates) -> None:
    exchange = await ask(upgrading(certificates.server), *UPGRADE, host="localhost", ca_file=str(certificates.ca))
    assert exchange.reply is not None
    assert exchange.reply.answers == (b"go\n", b"again\n")
    assert exchange.reply.tls is not None
    assert exchange.phases.tls > 0


@pytest.mark.parametrize("length", [9, 70_000], ids=["a line", "more than is read at once"])
@on_both_loops
async def test_what_came_in_clear_before_the_handshake_is_never_taken_for_what_comes_after(
    certificates: Certificates, length: int
) -> None:
    # CVE-2011-0411: whoever stands between could say something before TLS that seems to be said in it.
    said: list[bytes] = []
    peer = upgrading(certificates.server, early=b"x" * (length - 1) + b"\n", said=said)
    exchange = await ask(peer, *UPGRADE, host="localhost", ca_file=str(certificates.ca))
    assert found(exchange) in {("early-answer", "body/frame"), ("handshake", "net/tls")}
    assert said == []


@pytest.mark.parametrize("length", [1 << 16, 1 << 17])
@on_both_loops
async def test_what_lies_behind_a_long_answer_in_clear_is_never_taken_for_an_answer_over_tls(
    certificates: Certificates, length: int
) -> None:
    # A reader that reads in blocks of such a size would have it left over, and go on with it after the handshake.
    def long(came: bytearray) -> int | None:
        return length if len(came) >= length else None

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"x" * length + b"forged\n")
        await writer.drain()
        await writer.start_tls(certificates.server)
        await reader.read()

    turns = (Turn(b"hello\n", long, then_tls=True), Turn(b"again\n", line))
    exchange = await ask(answer, *turns, host="localhost", ca_file=str(certificates.ca), timeout=4 * BRIEF)
    assert found(exchange) in {("early-answer", "body/frame"), ("handshake", "net/tls")}


@on_both_loops
async def test_a_certificate_that_does_not_hold_ends_the_conversation_at_the_handshake(
    certificates: Certificates,
) -> None:
    exchange = await ask(upgrading(certificates.expired), *UPGRADE, host="localhost", ca_file=str(certificates.ca))
    assert found(exchange) == ("certificate", "net/tls")


@on_both_loops
async def test_a_peer_that_agrees_and_goes_on_in_clear_fails_in_the_handshake() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"go\n")
        await reader.read(1)
        writer.write(b"500 what?\r\n")
        await reader.read()

    exchange = await ask(answer, *UPGRADE, verify_tls=False)
    assert found(exchange) == ("handshake", "net/tls")


@on_both_loops
async def test_what_is_no_tls_after_a_handshake_is_told_where_it_came(certificates: Certificates) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        os.write(writer.get_extra_info("socket").fileno(), b"not a record of TLS\r\n")
        await reader.read()

    async with listening(answer, certificates.server) as peer:
        exchange = await hold(to(peer, host="localhost", tls=True, ca_file=str(certificates.ca)))
    assert found(exchange) == ("bad-tls", "net/wait")
