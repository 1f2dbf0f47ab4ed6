"""Reference targets over real sockets: when a failed run says something about the service, and when only about us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outrider.clock import SystemClock
from outrider.config import load_agent
from outrider.core.outcome import Outcome, OutcomeClass
from outrider.core.units import SECOND
from outrider.references import References
from outrider.strict_yaml import ConfigError
from outrider.transport import StreamRequest
from outrider.transport.wires import Wires

LOST = Outcome(OutcomeClass.SERVICE_DOWN, "timeout", "net/wait")


class Place:
    """A port of this machine that takes connections while it is open, and counts them."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _taken(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@asynccontextmanager
async def places(count: int) -> AsyncIterator[list[Place]]:
    """Open ports, each of which may be closed."""
    made = [Place() for _ in range(count)]
    for place in made:
        await place.open()
    try:
        yield made
    finally:
        for place in made:
            await place.close()


@asynccontextmanager
async def watching(*where: tuple[str, Place], interval: int = 60 * SECOND) -> AsyncIterator[References]:
    """References at these hosts and ports."""
    transport = Wires(SystemClock())
    requests = {f"{host} {number}": StreamRequest(host, place.port) for number, (host, place) in enumerate(where)}
    try:
        yield References(requests, transport, SystemClock(), interval=interval)
    finally:
        await transport.close()


async def test_a_run_that_failed_while_a_reference_was_reached_is_held_against_the_service() -> None:
    async with places(2) as (one, other), watching(("127.0.0.1", one), ("127.0.0.1", other)) as references:
        await one.close()
        assert await references.finding(LOST, SystemClock().monotonic()) is None
        assert references.reached == frozenset({"127.0.0.1 1"})


async def test_a_run_that_failed_while_no_reference_was_reached_says_nothing_about_the_service() -> None:
    async with places(2) as (one, other), watching(("127.0.0.1", one), ("127.0.0.1", other)) as references:
        await one.close()
        await other.close()
        finding = await references.finding(LOST, SystemClock().monotonic())
    assert finding is not None
    assert (finding.code, finding.place) == ("no-uplink", "agent/reference")
    assert "127.0.0.1 0, 127.0.0.1 1" in finding.detail


async def test_a_line_that_came_back_before_the_run_ended_was_down_during_it_nevertheless() -> None:
    async with places(1) as (place,), watching(("127.0.0.1", place)) as references:
        await place.close()
        began = SystemClock().monotonic()
        assert await references.finding(LOST, began) is not None
        await place.open()
        assert await references.finding(LOST, began) is not None
        assert await references.finding(LOST, SystemClock().monotonic()) is None


@pytest.mark.parametrize(
    ("outcome", "is_asked"),
    [
        (Outcome(OutcomeClass.SERVICE_DOWN, "refused", "net/connect"), True),
        (Outcome(OutcomeClass.SERVICE_DOWN, "reset", "net/send"), True),
        (Outcome(OutcomeClass.SERVICE_DOWN, "timeout", "net/tls"), True),
        (Outcome(OutcomeClass.SERVICE_DOWN, "certificate", "net/tls"), False),
        (Outcome(OutcomeClass.SERVICE_DOWN, "503", "status"), False),
        (Outcome(OutcomeClass.MALFORMED, "bad-http", "net/protocol"), False),
        (Outcome(OutcomeClass.PARTNER_DOWN, "42", "aaa/2000A"), False),
    ],
)
async def test_only_a_run_that_failed_on_the_way_asks_the_references(outcome: Outcome, is_asked: bool) -> None:
    async with places(1) as (place,), watching(("127.0.0.1", place)) as references:
        await place.close()
        assert (await references.finding(outcome, SystemClock().monotonic()) is not None) is is_asked
        assert (references.reached is not None) is is_asked


@pytest.mark.parametrize(("place", "is_void"), [("net/resolve", True), ("net/connect", False)])
async def test_a_name_that_was_not_resolved_is_held_against_references_with_names(place: str, is_void: bool) -> None:
    async with places(2) as (named, literal), watching(("localhost", named), ("127.0.0.1", literal)) as references:
        await named.close()
        outcome = Outcome(OutcomeClass.SERVICE_DOWN, "dns", place)
        assert (await references.finding(outcome, SystemClock().monotonic()) is not None) is is_void


async def test_runs_that_fail_together_share_a_round() -> None:
    async with places(1) as (place,), watching(("127.0.0.1", place)) as references:
        began = SystemClock().monotonic()
        found = await asyncio.gather(*(references.finding(LOST, began) for _ in range(50)))
        assert found == [None] * 50
        assert place.connections <= 2


async def test_without_references_nothing_is_asked_and_every_failure_stands() -> None:
    async with watching() as references:
        assert await references.finding(LOST, 0) is None


# --- the agent's file ------------------------------------------------------------------------------------------------

AGENT = """\
agent: probe-1
region: us-east
collector: { url: "http://127.0.0.1:8080" }
spool: { path: spool.db }
targets:
  portal: { url: "https://portal.test/x" }
  also-portal: { url: "tcp://PORTAL.test:9000" }
  resolver: { url: "tcp://192.0.2.53:53" }
  clock: { url: "udp://192.0.2.123:123" }
  portless: { url: "tcp://192.0.2.9" }
checks:
  - { name: asking, scenario: portal, target: portal, interval: 30s, timeout: 15s }
references:
  targets: [resolver]
"""


def test_a_file_names_its_references(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text(AGENT)
    config = load_agent(tmp_path / "agent.yaml")
    assert config.references == {"resolver": StreamRequest("192.0.2.53", 53)}
    assert (config.reference_interval, config.reference_timeout) == (10 * SECOND, 2 * SECOND)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("[resolver]", "[resolvr]"), ":14:13: there is no target 'resolvr'"),
        (lambda text: text.replace("[resolver]", "[also-portal]"), "on the host of 'portal', which is being probed"),
        (lambda text: text.replace("[resolver]", "[clock]"), ":14:13: target 'clock'"),
        (lambda text: text.replace("[resolver]", "[portless]"), "needs a host and a port"),
        (lambda text: text + "  timeout: 11s\n", "at most the interval"),
    ],
)
def test_a_reference_that_cannot_be_one_is_refused_at_its_place(
    tmp_path: Path, change: Callable[[str], str], told: str
) -> None:
    (tmp_path / "agent.yaml").write_text(change(AGENT))
    with pytest.raises(ConfigError, match=r"agent\.yaml") as caught:
        load_agent(tmp_path / "agent.yaml")
    assert told in str(caught.value)
