"""What the agent's metrics say of its target policy, and of targets that nobody verifies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from outrider.agent_http import AgentMetrics
from outrider.clock import SystemClock
from outrider.collector_clock import CollectorClock
from outrider.config import load_agent
from outrider.core.units import SECOND
from outrider.core.wire import RunRecord
from outrider.execution import NoLag
from outrider.reloading import Configured
from outrider.runner import Ended
from outrider.shipper import Shipper
from outrider.spool import Outbox
from outrider.transport import HttpReply, StreamRequest
from outrider.transport.fake import FakeTransport
from outrider.transport.wires import Wires

FILE = """\
agent: probe-1
region: here
collector: { url: "http://127.0.0.1:8080" }
spool: { path: spool.db }
targets:
  sure: { url: "https://pay.example" }
  unsure: { url: "https://test.example", verify_tls: false }
checks:
  - { name: one, scenario: portal, target: sure, interval: 30s, timeout: 5s }
  - { name: two, scenario: portal, target: unsure, interval: 30s, timeout: 5s }
"""


def record(code: str, place: str) -> RunRecord:
    return RunRecord("one", "portal", "here", "probe", 0, 0, 1, 1, "agent_fault", "agent", code, place)


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[AgentMetrics]:
    (tmp_path / "agent.yaml").write_text(FILE)
    clock = SystemClock()
    outbox = Outbox(tmp_path / "spool.db", agent="probe-1", clock=clock)
    shipper = Shipper(
        outbox,
        url="http://127.0.0.1:1",
        region="here",
        clock=clock,
        collector_clock=CollectorClock(clock, tmp_path / "clock"),
    )
    made = AgentMetrics(outbox, shipper, "here")
    path = tmp_path / "agent.yaml"
    transport = FakeTransport(lambda _: HttpReply(200))
    made.follow(Configured(path, load_agent(path, {}), clock=clock, outbox=outbox, transport=transport, lag=NoLag()))
    made.observe(Ended(record("address-refused", "agent/policy"), 0))
    made.observe(Ended(record("EMFILE", "agent/socket"), 0))
    yield made
    outbox.close()


def test_refusals_are_counted_by_rule_and_unverified_checks_are_marked(metrics: AgentMetrics) -> None:
    lines = generate_latest(metrics.registry).decode().splitlines()
    where = 'agent="probe-1",check="{}",region="here"'
    refused = [line for line in lines if line.startswith("outrider_policy_refusals_total")]
    assert refused == [f'outrider_policy_refusals_total{{{where.format("one")},rule="address-refused"}} 1.0']
    assert f"outrider_tls_unverified{{{where.format('one')}}} 0.0" in lines
    assert f"outrider_tls_unverified{{{where.format('two')}}} 1.0" in lines


async def test_a_reload_puts_the_files_policy_in_force_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    path, clock = tmp_path / "agent.yaml", SystemClock()
    path.write_text(FILE)
    outbox = Outbox(tmp_path / "spool.db", agent="probe-1", clock=clock)
    wires = Wires(clock, load_agent(path, {}).policy)
    configured = Configured(
        path, load_agent(path, {}), clock=clock, outbox=outbox, transport=wires, lag=NoLag(), keep_to=wires.keep_to
    )

    async def code() -> str:
        exchange = await wires.exchange(StreamRequest("localhost", 1), SECOND)
        assert exchange.failure is not None
        return exchange.failure.code

    try:
        assert await code() == "host-refused"
        path.write_text(FILE + 'policy: { hosts: ["*.example", localhost], networks: [loopback], ports: [1, 443] }\n')
        assert (await configured.reload()).is_in_force
        assert await code() == "refused"  # by the system: nobody listens on port 1
        path.write_text(FILE + "policy: { hosts: [] }\n")
        assert not (await configured.reload()).is_in_force
        assert await code() == "refused"
    finally:
        await wires.close()
        outbox.close()
