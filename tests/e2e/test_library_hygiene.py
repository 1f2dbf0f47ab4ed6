"""The whole library run by an agent, with and without trouble: what leaves the process holds no card number, no
security code, no account number, nobody of those made-up people and no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest
from processes_support import get, network, outrider, send, text, until

from outrider.codecs.published_cards import PUBLISHED
from outrider.config import load_scenario
from outrider.hygiene import private_values
from outrider.redact import card_numbers
from outrider.resources import shipped

SCENARIOS = [load_scenario(path) for path in sorted(shipped("scenarios").glob("*.yaml"))]
LIBRARY = (shipped("config") / "library.yaml").read_text(encoding="utf-8")
SECRET = "canary-7Fq2Zx9Lw4"
ALSO_ELSEWHERE = {"OUTRIDER", "OUTRIDER TEST", "female", "5555550100"}
"""In names and numbers of companies too, or nobody's."""
CODE = re.compile(r"(?i)(?:cvc|cvv2?|security.?code)\W{1,12}(?<!\*)[0-9]{3,4}\b")
TROUBLE = (
    {"kind": "truncate", "component": "*", "share": 0.3},
    {"kind": "html", "component": "*", "share": 0.2},
    {"kind": "wrong_trn", "component": "clearinghouse", "share": 0.3},
    {"kind": "decline", "component": "gateway", "code": "do_not_honor", "share": 0.3},
    {"kind": "wrong_stan", "component": "switch", "share": 0.5},
)


def private() -> set[str]:
    """What the scenarios say about people and accounts, where it is no word that stands elsewhere too."""
    said = {value for scenario in SCENARIOS for value in private_values(scenario)}
    return {value for value in said if len(value) >= (8 if value.isdigit() else 5) and value not in ALSO_ELSEWHERE}


def assert_clean(where: str, content: str) -> None:
    for needle in (*PUBLISHED, *private(), SECRET):
        at = content.find(needle)
        assert at < 0, f"{where} holds {needle}: {content[max(at - 80, 0) : at + 40]!r}"
    if "metrics" not in where:  # their times have as many digits as a card
        assert not card_numbers(content), where
    assert (found := CODE.search(content)) is None, f"{where}: {found}"


def test_the_whole_library_leaves_nothing_of_cards_people_or_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"OUT100000001", "TESTONE"} <= private(), "the search would find nothing"
    with network(tmp_path) as net:
        net.start_sandbox("--latency-ms", "2")
        net.start_collector()
        services = get(f"{net.sandbox_url}/")["services"]
        addresses = {f"OUTRIDER_SANDBOX_{name.upper()}": url for name, url in services.items()}
        for name, value in {**addresses, "OUTRIDER_SANDBOX": net.sandbox_url, "CANARY": SECRET}.items():
            monkeypatch.setenv(name, value)
        environment = net.environment("r")
        config = tmp_path / "library.yaml"
        config.write_text(
            LIBRARY.replace("agent: library\nregion: here", "agent: ${env:OUTRIDER_AGENT}\nregion: r")
            .replace("url: http://127.0.0.1:8080 # `once` ships nothing", "url: ${env:OUTRIDER_COLLECTOR}")
            .replace("path: library.spool", "path: ${env:OUTRIDER_SPOOL}\nlisten: ${env:OUTRIDER_LISTEN}\nslice: 2s")
            .replace("${env:OUTRIDER_SANDBOX}\n", "${env:OUTRIDER_SANDBOX}\n    headers: { X-Key: '${env:CANARY}' }\n")
            .replace("interval: 60s, timeout: 15s", "interval: 2s, timeout: 1900ms"),
            encoding="utf-8",
        )
        net.start("agent", "agent", "--config", str(config), region="r")
        until("every scenario has run", lambda: net.ledger("r").get("delivered", 0) >= len(SCENARIOS))
        for number, fault in enumerate(TROUBLE):
            send(f"{net.sandbox_url}/faults/f{number}", "PUT", dict(fault))
        before = net.ledger("r")["delivered"]
        until("they have met trouble", lambda: net.ledger("r")["delivered"] >= before + 2 * len(SCENARIOS))
        listening = f"http://127.0.0.1:{net.agent_ports['r']}"
        found = {
            "the agent's metrics": text(f"{listening}/metrics"),
            "the collector's metrics": text(f"{net.collector_url}/metrics"),
            "/v1/status": text(f"{net.collector_url}/v1/status"),
            "the page": until("the page is there", lambda: text(f"{net.collector_url}/")),
        }
        for name, more in (("once --json", ["--json"]), ("a dry run", ["--dry-run"])):
            done = outrider("once", "--config", str(config), *more, environment=environment)
            found[name], found[f"{name}, errors"] = done.stdout, done.stderr
        assert net.stop("agent") == 0
        net.stop("collector")
        found |= {f"the log of the {name}": net.log(name) for name in ("agent", "collector", "sandbox")}
    with duckdb.connect(str(tmp_path / "store.duckdb"), read_only=True) as store:
        for (name,) in store.execute("select table_name from duckdb_tables()").fetchall():
            rows = store.execute(f'select * from "{name}"').fetchall()
            found[f"the store's {name}"] = "\n".join(str(row) for row in rows if name == "names")
    for path in tmp_path.rglob("*"):
        if path.is_file() and (".spool" in path.name or path.suffix in (".sqlite", ".duckdb")):
            found[path.name] = path.read_bytes().decode("latin-1")
    outcomes = {record["outcome"] for record in map(json.loads, found["once --json"].splitlines())}
    assert len(outcomes) > 1, "without trouble there are no details to search"
    assert any(".spool" in name for name in found)
    for where, content in found.items():
        if where.endswith((".sqlite", ".duckdb")) or ".spool" in where:
            for needle in (*PUBLISHED, *private(), SECRET):
                assert needle not in content, f"{where} holds {needle}"
        else:
            assert_clean(where, content)
