"""The target policy as its user meets it: `validate` with the line, `once` with the rule and the key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes_support import free_port, outrider

FILE = """\
agent: probe-1
region: us-east
collector: {{ url: "http://127.0.0.1:8080" }}
spool: {{ path: spool.db }}
policy: {{ networks: [public] }}
targets:
  site: {{ url: "http://{host}:{port}" }}
checks:
  - {{ name: portal, scenario: portal, target: site, interval: 30s, timeout: 5s }}
"""


@pytest.mark.parametrize("command", [["validate"], ["once", "--config"]])
def test_what_the_file_alone_shows_is_told_with_its_line(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(FILE.format(host="127.0.0.1", port=free_port()))
    done = outrider(*command, str(path))
    assert done.returncode == 104
    assert f"{path}:7:16" in done.stderr
    assert "127.0.0.1: a loopback address; policy.networks allows public" in done.stderr


def test_a_name_that_leads_inside_is_void_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(FILE.format(host="localhost", port=free_port()))
    done = outrider("once", "--config", str(path), "--json")
    assert done.returncode == 2, "the trouble is the agent's own"
    record = json.loads(done.stdout)
    assert (record["outcome"], record["fault"]) == ("agent_fault", "agent")
    assert (record["code"], record["place"]) == ("address-refused", "agent/policy")
    assert "localhost leads to" in record["detail"]
    assert "policy.networks allows public" in record["detail"]
