"""Control numbers and traces of two agents, over restarts and kill -9: none goes over the wire twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from echo_support import EchoServer, echo_server
from processes_support import DEMO_CONFIG, Network, network, outrider, until

from outrider.codecs import x12

SCENARIO = (DEMO_CONFIG.parents[1] / "scenarios" / "eligibility-plain.yaml").read_text()
AGENT = """\
agent: ${env:OUTRIDER_AGENT}
region: ${env:OUTRIDER_REGION}
number: ${env:OUTRIDER_NUMBER}
collector: { url: "${env:OUTRIDER_COLLECTOR}" }
spool: { path: "${env:OUTRIDER_SPOOL}" }
listen: ${env:OUTRIDER_LISTEN}
slice: 1s
drain: 0s
scenario_dirs: [ scenarios ]
targets: { echo: { url: "${env:OUTRIDER_NETWORK}/same" } }
checks:
  - { name: one, scenario: eligibility-plain, target: echo, interval: 500ms, timeout: 400ms }
  - { name: two, scenario: eligibility-plain, target: echo, interval: 500ms, timeout: 400ms }
"""


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with echo_server() as server:
        yield server


@pytest.fixture
def net(tmp_path: Path, echo: EchoServer) -> Iterator[Network]:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "eligibility-plain.yaml").write_text(SCENARIO)
    (tmp_path / "agent.yaml").write_text(AGENT)
    with network(tmp_path) as made:
        made.sandbox_port = echo.server_address[1]
        yield made


def asked(echo: EchoServer) -> list[tuple[int, tuple[str, str], str]]:
    """ISA13, (GS06, ST02) and TRN02 of each inquiry that was received, in order."""
    found = []
    for request in list(echo.received):
        interchange = x12.read(request.partition(b"\r\n\r\n")[2])
        (group,) = interchange.groups
        (transaction,) = group.transactions
        trace = next(segment.get(2) for segment in transaction.segments if segment.id == "TRN")
        assert int(interchange.control_number) == int(group.control_number)
        found.append((int(interchange.control_number), (group.control_number, transaction.control_number), trace))
    return found


def start(net: Network, region: str) -> None:
    net.start(f"agent-{region}", "agent", "--config", str(net.folder / "agent.yaml"), region=region)


def test_two_agents_never_give_a_number_twice_over_a_restart_and_kill_9(net: Network, echo: EchoServer) -> None:
    regions = ("us-east", "us-west")
    ends = (net.kill, net.stop, net.kill)
    for end in ends:
        before = len(echo.received)
        for region in regions:
            start(net, region)
        until("both agents have asked", lambda: {number // 10**6 for number, _, _ in asked(echo)[before:]} == {1, 2})  # noqa: B023
        until("each has asked more than once", lambda: len(echo.received) >= before + 8)  # noqa: B023
        for region in regions:
            end(f"agent-{region}")
    seen = asked(echo)
    assert len(seen) >= 8 * len(ends)
    for numbers in zip(*seen, strict=True):
        assert len(set(numbers)) == len(numbers)


def test_a_command_gives_numbers_that_no_agent_can_have(net: Network, echo: EchoServer) -> None:
    environment = net.environment("us-east")
    outrider("once", "--config", str(net.folder / "agent.yaml"), environment=environment)
    outrider("once", "--config", str(net.folder / "agent.yaml"), environment=environment)
    numbers = [number for number, _, _ in asked(echo)]
    assert len(set(numbers)) == len(numbers) == 4
    assert {number // 10**6 for number in numbers} == {999}
    done = outrider("validate", str(net.folder / "agent.yaml"), environment={**environment, "OUTRIDER_NUMBER": "999"})
    assert (
        done.returncode,
        "agent.yaml:3:9: number: ${env:OUTRIDER_NUMBER} is not between 0 and 998" in done.stderr,
    ) == (104, True)


def test_two_agents_with_one_number_and_one_submitter_are_noticed_when_they_are_validated(net: Network) -> None:
    text = re.sub(r"\$\{env:OUTRIDER_NUMBER\}", "7", AGENT)
    first, second = net.folder / "agent.yaml", net.folder / "second.yaml"
    first.write_text(text)
    second.write_text(text.replace("${env:OUTRIDER_AGENT}", "another-1"))
    environment = net.environment("us-east")
    done = outrider("validate", str(first), str(second), environment=environment)
    assert done.returncode == 104
    assert f"{second}: number: agent 'us-east-1' has 7 too, and both send as 'OUTRIDER'" in done.stderr
    second.write_text(second.read_text().replace("number: 7", "number: 8"))
    assert outrider("validate", str(first), str(second), environment=environment).returncode == 0
    # The same agent twice, as in a copy of its file, is one agent.
    second.write_text(text)
    assert outrider("validate", str(first), str(second), environment=environment).returncode == 0
