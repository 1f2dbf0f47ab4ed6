"""The target policy against what tries to get around it, on every wire: spellings, rebinding, proxies (S13, S14).

The peers are on loopback, and count who comes: a refused exchange must not reach them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from probe_support import generate
from wire_support import PATIENT, Peer, found, listening, on_both_loops, silent

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.core.outcome import Fault, Observation, OutcomeClass, classify
from outrider.probes import Target
from outrider.probes.table import PROBES
from outrider.transport import DatagramRequest, Exchange, HttpRequest, Request, StreamRequest, Turn
from outrider.transport.policy import Policy, read_network
from outrider.transport.wires import Wires

AGENT = Path(__file__).resolve().parents[2] / "agent" / "outrider"


def allowing(*networks: str) -> Policy:
    return Policy(hosts=("*",), networks=tuple(read_network(each) for each in networks), ports=(range(1, 65_536),))


async def send(request: Request, policy: Policy) -> Exchange[Any]:
    wires = Wires(SystemClock(), policy)
    try:
        return await wires.exchange(request, PATIENT)
    finally:
        await wires.close()


def by_every_wire(host: str, port: int) -> list[Request]:
    bracketed = f"[{host}]" if ":" in host else host
    return [
        HttpRequest("GET", f"http://{bracketed}:{port}/"),
        HttpRequest("GET", f"https://{bracketed}:{port}/", verify_tls=False),
        StreamRequest(host, port, (Turn(b"hello"),)),
        StreamRequest(host, port, tls=True, verify_tls=False),
        DatagramRequest(host, port, b"hello"),
    ]


@contextmanager
def heard_datagrams(port: int) -> Iterator[list[bytes]]:
    """What came to a UDP port by the end of the block."""
    heard: list[bytes] = []
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", port))
        peer.setblocking(False)
        yield heard
        with suppress(BlockingIOError):
            heard.append(peer.recv(100))


INNER = [
    "127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1",
    "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "::1", "0.0.0.0", "0", "::", "::ffff:0.0.0.0",
    "localhost", "169.254.169.254", "0xa9fea9fe", "::ffff:169.254.169.254", "fd00:ec2::254", "10.0.0.1", "224.0.0.1",
    "255.255.255.255",
]  # fmt: skip


@pytest.mark.parametrize("host", INNER)
@on_both_loops
async def test_no_spelling_of_an_inner_address_gets_a_socket_where_only_public_ones_may(host: str) -> None:
    async with listening(silent()) as peer:
        with heard_datagrams(peer.port) as heard:
            for request in by_every_wire(host, peer.port):
                exchange = await send(request, allowing("public"))
                assert found(exchange) == ("address-refused", "agent/policy")
                phases = exchange.phases
                assert phases.send == phases.wait == phases.tls == 0
        assert (peer.connections, heard) == (0, [])


@on_both_loops
async def test_what_is_refused_by_host_or_port_is_not_even_looked_up() -> None:
    for policy, code in (
        (Policy(frozenset({("elsewhere.example", 80)})), "host-refused"),
        (Policy(frozenset({("nowhere.invalid", 80)})), "port-refused"),
    ):
        for request in by_every_wire("nowhere.invalid", 81):
            exchange = await send(request, policy)
            assert found(exchange) == (code, "agent/policy")
            assert exchange.phases.resolve == 0


@on_both_loops
async def test_what_the_policy_allows_goes_through_on_every_wire() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with listening(answer) as peer:
        for policy in (allowing("127.0.0.1/32"), Policy(frozenset({("127.0.0.1", peer.port)}))):
            assert (await send(HttpRequest("GET", peer.url), policy)).failure is None
            assert (await send(StreamRequest("127.0.0.1", peer.port, (Turn(b"hello"),)), policy)).failure is None
        assert peer.connections == 4


@contextmanager
def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> Iterator[list[str]]:
    """A resolver of the system's that says something else each time, the last one for ever; what it was asked."""
    asked: list[str] = []
    genuine = socket.getaddrinfo

    def answer(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host != "rebinding.example":
            return genuine(host, port, *more, **named)
        asked.append(host)
        addresses = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", answer)
        yield asked


async def ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    writer.close()
    await writer.wait_closed()


def rebinding(peer: Peer) -> list[Request]:
    return [
        HttpRequest("GET", f"http://rebinding.example:{peer.port}/"),
        StreamRequest("rebinding.example", peer.port, (Turn(b"hello", lambda said: len(said) or None),)),
    ]


async def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 127.0.0.2 stands for the public address, 127.0.0.1 for the inner one that the name leads to when asked again.
    async with listening(ok, host="127.0.0.1") as peer:
        outer = await asyncio.start_server(ok, "127.0.0.2", peer.port)
        async with outer:
            for request in rebinding(peer):
                with names(monkeypatch, ["127.0.0.2"], ["127.0.0.1"]) as asked:
                    assert (await send(request, allowing("127.0.0.2"))).failure is None
                    assert len(asked) == 1  # one look-up for check and connection
                    exchange = await send(request, allowing("127.0.0.2"))
                    assert found(exchange) == ("address-refused", "agent/policy")
                    assert exchange.failure is not None
                    assert "rebinding.example leads to 127.0.0.1" in exchange.failure.detail
        assert peer.connections == 0


async def test_a_refused_address_among_others_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(ok) as peer:
        for request in rebinding(peer):
            with names(monkeypatch, ["10.0.0.1", "127.0.0.1"]):
                assert (await send(request, allowing("127.0.0.1"))).failure is None


async def test_where_an_address_was_passed_over_a_failed_connection_is_not_held_against_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(ok) as peer:
        for order in (["127.0.0.3", "10.0.0.1"], ["10.0.0.1", "127.0.0.3"]):  # nobody listens on 127.0.0.3
            for request in rebinding(peer):
                with names(monkeypatch, order):
                    assert found(await send(request, allowing("127.0.0.3"))) == ("address-refused", "agent/policy")


async def test_what_fails_after_the_connection_is_the_services_also_where_an_address_was_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with listening(gone) as peer:
        plain, stream = rebinding(peer)
        tls = HttpRequest("GET", f"https://rebinding.example:{peer.port}/", verify_tls=False)
        for request in (plain, stream, tls):
            for order in (["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"]):
                with names(monkeypatch, order):
                    assert found(await send(request, allowing("127.0.0.1")))[1].startswith("net/")


async def test_a_redirect_to_an_inner_address_is_shown_and_not_followed() -> None:
    async with listening(silent()) as inner:
        head = f"HTTP/1.1 302 Found\r\nLocation: {inner.url}/secret\r\nContent-Length: 0\r\n\r\n".encode()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(head)

        async with listening(answer) as peer:
            exchange = await send(HttpRequest("GET", peer.url), allowing("loopback"))
        assert exchange.http_status == 302
        assert inner.connections == 0


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_sees_nothing(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    async with listening(silent()) as proxy, listening(ok) as peer:
        monkeypatch.setenv(variable, proxy.url)
        assert (await send(HttpRequest("GET", peer.url), allowing("loopback"))).failure is None
        assert proxy.connections == 0


PROBED = [
    ("http", "http://localhost:{}", {"path": "/"}),
    ("tcp", "tcp://localhost:{}", {}),
    ("tls", "tls://localhost:{}", {}),
    ("dns", "udp://localhost:{}", {"name": "pay.example"}),
    ("dns", "tcp://localhost:{}", {"name": "pay.example"}),
    ("dns", "tls://localhost:{}", {"name": "pay.example"}),
    ("smtp", "tcp://localhost:{}", {}),
    ("smtp", "tls://localhost:{}", {}),
    ("sip", "udp://localhost:{}", {}),
    ("sip", "tcp://localhost:{}", {}),
    ("sip", "tls://localhost:{}", {}),
]


@pytest.mark.parametrize(("kind", "url", "step"), PROBED, ids=[f"{kind} {url[:5]}" for kind, url, _ in PROBED])
async def test_a_refusal_is_void_and_the_agents_own_whatever_the_probe(
    kind: str, url: str, step: dict[str, Any]
) -> None:
    async with listening(silent()) as peer:
        prepared = PROBES[kind].prepare(step, Target("t", url.format(peer.port)), generate)
        exchange = await send(prepared.request, allowing("public"))
        assert peer.connections == 0
    assert exchange.failure is not None
    outcome = classify([], Observation((exchange.failure,)), OUTCOME_TABLE)
    assert (outcome.outcome, outcome.fault) == (OutcomeClass.AGENT_FAULT, Fault.AGENT)
    assert outcome.code == "address-refused"


def test_sockets_to_targets_are_made_at_the_gate_and_nowhere_else() -> None:
    makers = ("socket.socket(", "create_connection(", "create_datagram_endpoint(", "ClientSession(", "urlopen(")
    found_in = {
        str(path.relative_to(AGENT))
        for path in AGENT.rglob("*.py")
        if any(maker in path.read_text(encoding="utf-8") for maker in makers)
    }
    assert found_in - {"transport/gate.py", "transport/aiohttp_wire.py"} == {
        "commands/agent_doctor.py",  # the agent itself and its collector, as its file says
        "check_set_client.py",  # the collector
        "collector_client.py",  # the collector, as the user or the file says
        "commands/library.py",  # the sandbox, as the user says
        "demo.py",  # which ports are free here
        "shipper.py",  # the collector
    }
