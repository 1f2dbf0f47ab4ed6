"""The `tcp` probe over its wire, against raw servers on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from wire_support import BRIEF, PATIENT, Answer, Certificates, listening, on_both_loops, reset, silent, taken_port

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.outcome import Finding, Observation, OutcomeClass, classify
from outrider.probes import Target
from outrider.probes.tcp import TcpProbe
from outrider.transport.stream_wire import StreamWire


def never(name: str) -> str:
    raise AssertionError(f"nothing is drawn for a connection: {name}")


async def look(url: str, request: dict[str, Any], timeout: int = PATIENT, **more: Any) -> Observation:
    """What the probe saw; a failed exchange is its finding."""
    prepared = TcpProbe().prepare(request, Target("line", url, **more), never)
    exchange = await StreamWire(SystemClock()).exchange(prepared.request, timeout)
    if exchange.reply is None:
        assert exchange.failure is not None
        return Observation((exchange.failure,))
    return TcpProbe().read(prepared, exchange.reply)


def banner(said: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        await reader.read()

    return answer


async def parrot(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"you said " + await reader.readline())


@on_both_loops
async def test_a_port_that_takes_connections_is_ok_without_a_word() -> None:
    async with listening(silent()) as peer:
        assert await look(f"tcp://127.0.0.1:{peer.port}", {}) == Observation()
        assert await look("tcp://127.0.0.1:1", {"port": peer.port}) == Observation()


@pytest.mark.parametrize(
    ("said", "wanted", "expected"),
    [
        (b"SSH-2.0-made_up\r\nmore", "SSH-2", Observation((), {"banner": ("SSH-2.0-made_up",)})),
        (b"\xff\xfe hello\n", "hello", Observation((), {"banner": ("\ufffd\ufffd hello",)})),
        (
            b"HTTP/1.0 200 OK\r\n",
            "SSH-2",
            Observation(
                (Finding("missing", "body/contains", "the first line does not contain 'SSH-2'"),),
                {"banner": ("HTTP/1.0 200 OK",)},
            ),
        ),
        (b"x" * 9999, "x", Observation((Finding("too-long", "body/frame", "the line is longer than 4096 bytes"),))),
    ],
    ids=["as wanted", "bytes that are no text", "another service", "a line without end"],
)
@on_both_loops
async def test_the_first_line_is_held_against_what_was_wanted(said: bytes, wanted: str, expected: Observation) -> None:
    async with listening(banner(said)) as peer:
        seen = await look(f"tcp://127.0.0.1:{peer.port}", {"contains": wanted})
    assert seen == expected
    is_ok = not expected.findings
    assert classify((), seen, OUTCOME_TABLE).outcome is (OutcomeClass.OK if is_ok else OutcomeClass.MALFORMED)


@on_both_loops
async def test_what_is_said_first_goes_out_and_comes_back(certificates: Certificates) -> None:
    request = {"send": "hello\n", "contains": "hello"}
    async with listening(parrot) as peer, listening(parrot, certificates.server) as secure:
        plain = await look(f"tcp://127.0.0.1:{peer.port}", request)
        over_tls = await look(f"tls://localhost:{secure.port}", request, ca_file=str(certificates.ca))
    assert plain == over_tls == Observation((), {"banner": ("you said hello",)})


@on_both_loops
async def test_a_line_that_does_not_answer_is_down() -> None:
    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        reset(writer)

    request = {"send": "hello\n", "contains": "hello"}
    async with listening(silent()) as mute, listening(gone) as rude:
        seen = [
            await look(f"tcp://127.0.0.1:{mute.port}", request, BRIEF),
            await look(f"tcp://127.0.0.1:{rude.port}", request),
        ]
        with taken_port() as port:
            seen.append(await look(f"tcp://127.0.0.1:{port}", request))
    assert [each.findings[0].code for each in seen] == ["timeout", "reset", "refused"]
    assert {classify((), each, OUTCOME_TABLE).outcome for each in seen} == {OutcomeClass.SERVICE_DOWN}
