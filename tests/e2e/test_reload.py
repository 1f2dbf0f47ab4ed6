"""A running agent reads its file again: on SIGHUP, over HTTP, and by itself; a bad file changes nothing."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from processes_support import Network, network, text, until

AGENT = """\
agent: probe-1
region: us-east
collector: {{ url: "{collector}" }}
spool: {{ path: spool.db }}
listen: {listen}
targets:
  network: {{ url: "{target}" }}
checks:
  - {{ name: first, scenario: portal, target: network, interval: 1s, timeout: 500ms }}
"""


def start(net: Network, folder: Path) -> Path:
    """A sandbox and an agent with a file of its own; that file."""
    net.start_sandbox("--latency-ms", "1")
    port = net.environment()["OUTRIDER_LISTEN"]
    file = folder / "agent.yaml"
    file.write_text(AGENT.format(collector=net.collector_url, listen=port, target=net.sandbox_url))
    net.start("agent", "agent", "--config", str(file))
    until("the agent runs its check", lambda: runs(net, "first"))
    return file


def url(net: Network) -> str:
    return f"http://{net.environment()['OUTRIDER_LISTEN']}"


def runs(net: Network, check: str) -> float:
    for line in text(f"{url(net)}/metrics").splitlines():
        if line.startswith("probe_attempts_total{") and f'check="{check}"' in line:
            return float(line.rpartition(" ")[2])
    return 0


def renamed(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(f"name: {old}", f"name: {new}"))


def post(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("how", ["hangup", "http", "by itself"])
def test_a_running_agent_takes_a_changed_file_and_goes_on_in_the_same_process(tmp_path: Path, how: str) -> None:
    with network(tmp_path) as net:
        file = start(net, tmp_path)
        renamed(file, "first", "second")
        if how == "hangup":
            net.processes["agent"].send_signal(signal.SIGHUP)
        elif how == "http":
            assert post(f"{url(net)}/-/reload") == (200, "added: second; removed: first\n")
        until("the new check runs", lambda: runs(net, "second"))
        assert net.processes["agent"].poll() is None
        assert "reload: added: second; removed: first" in net.log("agent")
        assert net.stop("agent") == 0


def test_a_bad_file_changes_nothing_and_says_so_to_whoever_asked(tmp_path: Path) -> None:
    with network(tmp_path) as net:
        file = start(net, tmp_path)
        file.write_text(file.read_text().replace("interval: 1s", "interval: 1 second"))
        status, told = post(f"{url(net)}/-/reload")
        assert status == 422
        assert "agent.yaml:9:" in told
        before = runs(net, "first")
        until("the check goes on", lambda: runs(net, "first") > before)
        assert "outrider_config_last_reload_successful{" in text(f"{url(net)}/metrics")
        assert '"first"' in json.dumps(json.loads(text(f"{url(net)}/config")))
        assert net.stop("agent") == 0
