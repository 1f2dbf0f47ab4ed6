"""Check sets as people use them, with the product's own processes: sign, publish, and the agent runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes_support import Network, get, network, outrider, text, until

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
check_sets: {{ public_key_file: operator.pem, interval: 1s, shortest_interval: 1s }}
"""

SET = """\
for: { agents: ["probe-*"] }
checks:
  - { name: second, scenario: looking, target: network, interval: 1s, timeout: 500ms }
scenarios:
  - name: looking
    title: Look whether it is there
    synthetic: true
    probe: http
    steps:
      - { name: look, request: { path: /healthz }, expect: { status: 200 } }
"""


def runs(net: Network, check: str) -> float:
    for line in text(f"http://{net.environment()['OUTRIDER_LISTEN']}/metrics").splitlines():
        if line.startswith("probe_attempts_total{") and f'check="{check}"' in line:
            return float(line.rpartition(" ")[2])
    return 0


def metric(net: Network, name: str) -> str:
    found = text(f"http://{net.environment()['OUTRIDER_LISTEN']}/metrics").splitlines()
    return next((line.rpartition(" ")[2] for line in found if line.startswith(f"{name}{{")), "")


def start_agent(net: Network, folder: Path) -> None:
    net.start("agent", "agent", "--config", str(folder / "agent.yaml"))
    until("the agent runs its check", lambda: runs(net, "first"))


def test_a_published_check_runs_without_a_restart_and_without_the_collector_after_one(tmp_path: Path) -> None:
    key, file = tmp_path / "check-sets.key", tmp_path / "set.yaml"
    file.write_text(SET)
    with network(tmp_path) as net:
        net.start_sandbox("--latency-ms", "1")
        net.start_collector()
        made = outrider("checks", "keygen", "--key", str(key))
        assert made.returncode == 0
        (tmp_path / "operator.pem").write_text(made.stdout)
        listen = net.environment()["OUTRIDER_LISTEN"]
        config = AGENT.format(collector=net.collector_url, listen=listen, target=net.sandbox_url)
        (tmp_path / "agent.yaml").write_text(config)
        start_agent(net, tmp_path)
        to = ("--collector", net.collector_url)

        publish = ("checks", "publish", str(file), "--key", str(key), "--against", str(tmp_path / "agent.yaml"), *to)
        done = outrider(*publish)
        assert (done.returncode, done.stdout) == (0, "published as version 1, for agents probe-* in regions *\n")
        until("the new check runs", lambda: runs(net, "second"))
        assert metric(net, "outrider_check_set_version") == "1.0"
        until("the agent has said so", lambda: "version 1 of 1" in outrider("checks", "status", *to).stdout)
        assert SET in outrider("checks", "show", "1", *to).stdout

        # What an agent would refuse is seen before it is published, with its place ...
        file.write_text(SET.replace("target: network", "target: elsewhere"))
        early = outrider(*publish)
        assert early.returncode == 104
        assert f"{file}:3:48: the agent's own file has no target 'elsewhere'" in early.stderr
        # ... and after that, if it is published all the same.
        assert outrider("checks", "publish", str(file), "--key", str(key), *to).returncode == 0
        status = until("the refusal is told", lambda: _failed_status(to))
        assert "version 1 of 2" in status
        assert "refused version 2 (target)" in status
        assert get(f"{net.collector_url}/v1/status")["check_sets"]["newest"] == 2

        assert net.stop("agent") == 0
        net.kill("collector")
        start_agent(net, tmp_path)
        until("the check that was taken runs again", lambda: runs(net, "second"))
        assert "2 checks from us-east" in net.log("agent")


def _failed_status(to: tuple[str, ...]) -> str:
    done = outrider("checks", "status", *to)
    return done.stdout if done.returncode == 1 else ""


MISTAKES = {
    "an unknown key": ("interval: 1s", "intervall: 1s", "3:57: unknown key 'intervall'"),
    "a scenario that is not there": ("scenario: looking", "scenario: lokking", "there is no scenario 'lokking'"),
    "a path": ("scenario: looking", "scenario: ../looking.yaml", "a check set names none by its path"),
    "a file": ("path: /healthz", 'path: "/${file:/etc/passwd}"', "nothing from an agent's files"),
    "a probe's key": ("path: /healthz", "pth: /healthz", "request: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("command", ["validate", "publish"])
def test_a_mistake_in_a_set_is_told_with_its_place_and_104(tmp_path: Path, mistake: str, command: str) -> None:
    old, new, told = MISTAKES[mistake]
    file, key = tmp_path / "set.yaml", tmp_path / "k"
    file.write_text(SET.replace(old, new))
    argv = ("validate", str(file)) if command == "validate" else ("checks", "publish", str(file), "--key", str(key))
    done = outrider(*argv)
    assert done.returncode == 104
    assert f"{file}:" in done.stderr
    assert told in done.stderr
    assert not (tmp_path / "k.version").exists()


def test_a_set_that_is_right_validates(tmp_path: Path) -> None:
    (tmp_path / "set.yaml").write_text(SET)
    done = outrider("validate", str(tmp_path / "set.yaml"))
    assert (done.returncode, done.stdout) == (0, "1 file is right\n")


def test_keys_are_made_once_kept_from_others_and_asked_for(tmp_path: Path) -> None:
    key, file = tmp_path / "k", tmp_path / "set.yaml"
    file.write_text(SET)
    assert "there is no key" in outrider("checks", "publish", str(file), "--key", str(key)).stderr
    public = outrider("checks", "keygen", "--key", str(key)).stdout
    assert "BEGIN PUBLIC KEY" in public
    assert key.stat().st_mode & 0o777 == 0o600
    assert outrider("checks", "keygen", "--key", str(key)).returncode == 104
    assert outrider("checks", "key", "--key", str(key)).stdout == public
    dry = outrider("checks", "publish", str(file), "--key", str(key), "--dry-run")
    assert (dry.returncode, "it would be version 1" in dry.stdout) == (0, True)
    key.chmod(0o644)
    assert "others may read this key" in outrider("checks", "key", "--key", str(key)).stderr
