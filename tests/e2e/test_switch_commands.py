"""The card switch as a user meets it: `outrider sandbox`, `once` and a dry run, each a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes_support import get, network, outrider, send, text, until

AGENT = """\
agent: one
region: here
collector: { url: "http://127.0.0.1:1" }
spool: { path: here.spool }
targets:
  switch: { url: "URL" }
checks:
  - { name: echo, scenario: echo.yaml, target: switch, interval: 60s, timeout: 5s }
  - { name: card, scenario: card.yaml, target: switch, interval: 60s, timeout: 5s }
"""
SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
CARD = "4242424242424242"


@pytest.mark.parametrize(("length", "bitmap"), [("binary-2", "hex"), ("ascii-4", "binary")])
def test_the_switch_is_reached_by_the_commands_and_no_card_number_is_told(
    tmp_path: Path, length: str, bitmap: str
) -> None:
    with network(tmp_path) as net:
        net.start_sandbox("--latency-ms", "1", "--switch-length", length, "--switch-bitmap", bitmap)
        url = get(f"{net.sandbox_url}/")["services"]["switch"]
        assert until("the address is told", lambda: f"switch at {url}" in net.log("sandbox"))
        (tmp_path / "agent.yaml").write_text(AGENT.replace("URL", url))
        agreed = f"request:\n      framing: {{ prefix: {length} }}\n      spec: {{ bitmap: {bitmap} }}"
        for name, shipped in (("echo", "iso8583-echo"), ("card", "iso8583-authorize-reverse")):
            written = (SCENARIOS / f"{shipped}.yaml").read_text().replace("request:", agreed)
            (tmp_path / f"{name}.yaml").write_text(written)
        config = ("--config", str(tmp_path / "agent.yaml"))

        done = outrider("once", *config, "--json")
        records = {record["check"]: record for record in map(json.loads, done.stdout.splitlines())}
        assert (done.returncode, {name: each["outcome"] for name, each in records.items()}) == (
            0, {"echo": "ok", "card": "ok"},
        )  # fmt: skip
        send(f"{net.sandbox_url}/faults/it", "PUT", {"kind": "response_code", "component": "switch", "code": "91"})
        with subprocess.Popen(
            [sys.executable, "-m", "outrider", "once", *config, "--json", "card"], stdout=subprocess.PIPE, text=True
        ) as failing:
            until("the authorization is answered", lambda: get(f"{net.sandbox_url}/faults")["faults"][0]["hits"])
            send(f"{net.sandbox_url}/faults", "DELETE")
            failed, _ = failing.communicate(timeout=60)
        record = json.loads(failed)
        assert (failing.returncode, record["outcome"], record["code"], record["cleanup"]) == (
            1, "partner_down", "91", "confirmed",
        )  # fmt: skip
        assert get(f"{net.sandbox_url}/switch/authorizations?open=true")["total"] == 0

        dry = outrider("once", *config, "--dry-run")
        assert dry.stdout.count("424242******4242") == 3
        assert dry.stdout.count("--- card: ") == 3
        told = done.stdout + failed + done.stderr + dry.stdout + dry.stderr + net.log("sandbox")
        in_hex = re.sub(r"[^0-9A-F*]", "", dry.stdout)
        assert CARD not in told
        assert CARD[:7] not in told
        assert CARD.encode().hex().upper() not in in_hex


def test_no_card_number_is_in_an_agents_spool_log_or_metrics(tmp_path: Path) -> None:
    with network(tmp_path) as net:
        net.start_sandbox("--latency-ms", "1")
        url = get(f"{net.sandbox_url}/")["services"]["switch"]
        send(f"{net.sandbox_url}/faults/it", "PUT", {"kind": "wrong_stan", "component": "switch", "share": 0.5})
        port = net.environment()["OUTRIDER_LISTEN"]
        agent = AGENT.replace("URL", url) + f'listen: "{port}"\nscenario_dirs: [ {SCENARIOS} ]\n'
        for name, shipped in (("echo", "iso8583-echo"), ("card", "iso8583-authorize-reverse")):
            agent = agent.replace(f"{name}.yaml", shipped)
        (tmp_path / "agent.yaml").write_text(
            agent.replace("interval: 60s, timeout: 5s", "interval: 1s, timeout: 900ms")
        )
        net.start("agent", "agent", "--config", str(tmp_path / "agent.yaml"))

        def seen() -> tuple[int, int]:
            tallies = (get(f"{net.sandbox_url}/counts") or {"components": {}})["components"].get("switch", {})
            return tuple(tallies.get(kind, {"answered": 0})["answered"] for kind in ("authorization", "reversal"))

        until("some runs went well and some did not", lambda: min(seen()) >= 6)
        metrics = text(f"http://{port}/metrics")
        net.stop("agent")
        kept = b"".join(path.read_bytes() for path in tmp_path.glob("here.spool*"))
        told = [kept, metrics.encode(), net.log("agent").encode(), net.log("sandbox").encode()]
    assert b"echo/de11" in kept
    for each in told:
        assert CARD[:7].encode() not in each


def test_a_service_is_named_with_its_port_or_refused(tmp_path: Path) -> None:
    done = outrider("sandbox", "--listen", "127.0.0.1:0", "--services", "swatch=8583")
    assert done.returncode == 104
    assert "is not NAME or NAME=PORT with one of" in done.stderr
    assert "switch" in done.stderr
