"""The probes of DNS, SMTP and SIP over their wires, against raw peers that behave as the world's do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from line_support import dns_answer, sip_response
from probe_support import meaning, observe
from wire_support import BRIEF, Answer, Certificates, gone_within, listening, on_both_loops, taken_port

from outrider.codecs.dns import framed
from outrider.core.outcome import OutcomeClass as C

RECORD = "host.example. 60 IN A 192.0.2.1"


def speaking(*replies: bytes) -> Answer:
    """The first of these at once, and one of the others after each line; then silence."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, reply in enumerate(replies):
            if number and not await reader.readline():
                return
            writer.write(reply)
            await writer.drain()
        await reader.read()

    return answer


async def resolve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A name server that answers in three pieces, and says more than it was asked."""
    length = int.from_bytes(await reader.readexactly(2), "big")
    said = framed(dns_answer(await reader.readexactly(length), records=[RECORD]))
    for piece in (said[:1], said[1:9], said[9:] + b"\x00\x0dmore"):
        writer.write(piece)
        await writer.drain()
        await gone_within(reader, 0.01)


def calling(*responses: Callable[[bytes], bytes]) -> Answer:
    """A SIP host that answers a request with all of these."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        for response in responses:
            writer.write(response(request))
            await writer.drain()
            await gone_within(reader, 0.01)
        await reader.read()

    return answer


def status(number: int, **changed: str) -> Callable[[bytes], bytes]:
    return lambda request: sip_response(request, number, **changed)


class Datagrams(asyncio.DatagramProtocol):
    """A host over UDP that sends all of these for each request."""

    def __init__(self, *responses: Callable[[bytes], bytes]) -> None:
        self.responses = responses
        self.transport: Any = None
        self.heard: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append(data)
        for response in self.responses:
            self.transport.sendto(response(data), addr)


async def over_udp(host: Datagrams, kind: str, request: dict[str, Any], **more: Any) -> Any:
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: host, local_addr=("127.0.0.1", 0))
    try:
        port = host.transport.get_extra_info("sockname")[1]
        return await observe(kind, f"udp://127.0.0.1:{port}", request, **more)
    finally:
        host.transport.close()


# --- over TLS from the start -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "request_", "answer", "fact", "value"),
    [
        ("dns", {"name": "host.example"}, resolve, "answer", "192.0.2.1"),
        ("smtp", {}, speaking(b"220 m\r\n", b"250-m\r\n250 SIZE\r\n"), "extensions", "SIZE"),
        ("sip", {}, calling(status(200)), "sip", "200"),
    ],
    ids=["dns", "smtp", "sip"],
)
@on_both_loops
async def test_each_of_them_speaks_over_tls_from_the_start(
    certificates: Certificates, kind: str, request_: dict[str, Any], answer: Answer, fact: str, value: str
) -> None:
    async with listening(answer, certificates.server) as peer:
        url, ca_file = f"tls://localhost:{peer.port}", str(certificates.ca)
        seen = await observe(kind, url, request_, ca_file=ca_file)
        assert (seen.findings, seen.facts[fact]) == ((), (value,))
        named = {**request_, "server_name": "elsewhere.example"}
        wrong = meaning(await observe(kind, url, named, ca_file=ca_file))
        assert (wrong.outcome, wrong.code, wrong.place) == (C.SERVICE_DOWN, "certificate", "net/tls")
    if kind == "smtp":
        assert seen.facts["days_to_expiry"][0] in ("29", "30")  # 30 within the second of its making


# --- dns -------------------------------------------------------------------------------------------------------------


@on_both_loops
async def test_an_answer_in_pieces_is_one_answer() -> None:
    async with listening(resolve) as peer:
        seen = await observe("dns", f"tcp://127.0.0.1:{peer.port}", {"name": "host.example"})
    assert seen.facts["answer"] == ("192.0.2.1",)


@on_both_loops
async def test_forged_and_broken_datagrams_before_the_answer_are_passed_over() -> None:
    def other_id(asked: bytes) -> bytes:
        return bytes([asked[0] ^ 1]) + dns_answer(asked, records=["host.example. 60 IN A 203.0.113.66"])[1:]

    host = Datagrams(
        other_id, lambda asked: asked[:5], lambda asked: asked, lambda asked: dns_answer(asked, records=[RECORD])
    )
    seen = await over_udp(host, "dns", {"name": "host.example"})
    assert seen.facts["answer"] == ("192.0.2.1",)


@on_both_loops
async def test_a_name_server_that_is_not_there_is_down_at_once() -> None:
    with ExitStack() as stack:
        port = stack.enter_context(taken_port())
        said = meaning(await observe("dns", f"tcp://127.0.0.1:{port}", {"name": "host.example"}))
    assert (said.outcome, said.code, said.place) == (C.SERVICE_DOWN, "refused", "net/connect")


# --- smtp ------------------------------------------------------------------------------------------------------------


@on_both_loops
async def test_a_greeting_of_many_lines_in_drips_is_one_greeting() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"220-no spam\r\n220 mail.example\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
            await gone_within(reader, 0.001) if byte == 0x0D else None
        await reader.readline()
        writer.write(b"250 mail.example\r\n")
        await reader.read()

    async with listening(slow) as peer:
        seen = await observe("smtp", f"tcp://127.0.0.1:{peer.port}")
    assert seen.facts["banner"] == ("no spam mail.example",)
    assert meaning(seen).is_ok


@pytest.mark.parametrize(
    ("replies", "code", "place", "outcome"),
    [
        ((b"220 m\r\n", b"421 closing\r\n"), "421", "smtp/ehlo", C.SERVICE_DOWN),
        ((b"554 no\r\n",), "554", "smtp/banner", C.PROBE_FAULT),
        ((b"220 m\r\n", b"250 m\r\n"), "not-offered", "smtp/starttls", C.SERVICE_DOWN),
        ((b"220 m\r\n", b"250-m\r\n250 STARTTLS\r\n", b"454 later\r\n"), "454", "smtp/starttls", C.SERVICE_DOWN),
        (
            (b"220 m\r\n", b"250-m\r\n250 STARTTLS\r\n", b"220 go\r\n220 more\r\n"),
            "early-answer",
            "body/frame",
            C.MALFORMED,
        ),
        ((b"220 m\r\n", b"250-m\r\n250 STARTTLS\r\n", b"220 go\r\n"), "timeout", "net/tls", C.SERVICE_DOWN),
        ((b"SSH-2.0-x\r\n",), "not-smtp", "body/frame", C.MALFORMED),
        ((b"",), "timeout", "net/wait", C.SERVICE_DOWN),
        ((b"220-m\r\n",), "timeout", "net/receive", C.SERVICE_DOWN),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@on_both_loops
async def test_a_mail_host_that_does_not_do_its_part_is_told_where(
    replies: tuple[bytes, ...], code: str, place: str, outcome: C
) -> None:
    async with listening(speaking(*replies)) as peer:
        url = f"tcp://127.0.0.1:{peer.port}"
        said = meaning(await observe("smtp", url, {"starttls": True}, timeout=BRIEF, verify_tls=False))
    assert (said.outcome, said.code, said.place) == (outcome, code, place)


@on_both_loops
async def test_a_mail_host_hears_a_polite_end(certificates: Certificates) -> None:
    for tls in (None, certificates.server):
        heard = await _heard(tls, certificates)
        assert heard == [b"EHLO outrider.invalid\r\n", b"QUIT\r\n", b""]


async def _heard(tls: ssl.SSLContext | None, certificates: Certificates) -> list[bytes]:
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 m\r\n")
        lines.put_nowait(await reader.readline())
        writer.write(b"250 m\r\n")
        for _ in range(2):
            try:
                lines.put_nowait(await reader.readline())
            except ConnectionError:
                lines.put_nowait(b"")

    async with listening(answer, tls) as peer:
        scheme = "tls" if tls else "tcp"
        seen = await observe("smtp", f"{scheme}://localhost:{peer.port}", ca_file=str(certificates.ca))
        assert meaning(seen).is_ok
        return [await asyncio.wait_for(lines.get(), 5) for _ in range(3)]


# --- sip -------------------------------------------------------------------------------------------------------------


@on_both_loops
async def test_provisional_responses_are_waited_out_on_either_wire() -> None:
    async with listening(calling(status(100), status(183), status(486))) as peer:
        seen = await observe("sip", f"tcp://127.0.0.1:{peer.port}")
    assert seen.facts["sip"] == ("486",)
    host = Datagrams(status(100), status(200, call_id="other"), lambda _: b"nonsense", status(200))
    assert (await over_udp(host, "sip", {})).facts["sip"] == ("200",)
    assert len(host.heard) == 1


@on_both_loops
async def test_a_host_that_only_tries_does_not_outlive_the_timeout() -> None:
    async with listening(calling(status(100))) as peer:
        said = meaning(await observe("sip", f"tcp://127.0.0.1:{peer.port}", timeout=BRIEF))
    assert (said.outcome, said.code, said.place) == (C.SERVICE_DOWN, "timeout", "net/receive")
    said = meaning(await over_udp(Datagrams(status(100)), "sip", {}, timeout=BRIEF))
    assert (said.outcome, said.code, said.place) == (C.SERVICE_DOWN, "timeout", "net/wait")
