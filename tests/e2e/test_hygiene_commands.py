"""Hygiene from outside: what the commands refuse, what a dry run shows, and what is found nowhere afterwards."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from echo_support import EchoServer, echo_server
from processes_support import DEMO_CONFIG, network, outrider, text, until

from outrider.redact import MASK, card_numbers

PROJECT = DEMO_CONFIG.parents[1]
SCENARIOS = PROJECT / "scenarios"
PAN = "4242424242424242"
LAST, FIRST, MEMBER_ID = "OUTRIDERZWYX", "TESTQUILL", "OUT987650004"
SECRETS = {
    "CANARY_ENV": "canary-one-Qm7xTz/+&=<3 \u00e9",
    "CANARY_FILE": "canary-two-Vk2pLw",
    "CANARY_TARGET": "canary-three-Hs9dRb",
    "CANARY_TARGET_FILE": "canary-four-Jc4nYe",
}
CORES = ("canary-one-Qm7xTz", "canary-two-Vk2pLw", "canary-three-Hs9dRb", "canary-four-Jc4nYe")

SCENARIO = """\
name: NAME
title: Says what it must not say again
synthetic: true
probe: http
steps:
  - name: tell
    request:
      path: /WAY/told?key=${secret:CANARY_FILED}
      method: POST
      headers: { X-One: "${secret:CANARY_ENV}", Authorization: "Bearer ${secret:CANARY_ENV}" }
      json:
        one: ${secret:CANARY_ENV}
        number: "4242 4242 4242 4242"
        card: { number: "4242424242424242", cvc: "123" }
        member: { last: OUTRIDERZWYX, first: TESTQUILL, id: OUT987650004 }
        two: [ "${secret:CANARY_FILED}" ]
"""
WAYS = {
    "error": "",
    "teapot": "",
    "nonsense": "",
    "body-one": "    expect: { json.body.one: nothing }\n",
    "body-two": "    expect: { json.body.two.0: nothing }\n",
    "path": "    expect: { json.path: nothing }\n",
    "card": "    expect: { json.body.card.number: nothing }\n",
    "spaced": "    expect: { json.body.number: nothing }\n",
    "member": "    expect: { json.body.member.last: nothing }\n",
    "first": "    expect: { json.body.member.first: nothing }\n",
    "member-id": "    expect: { json.body.member.id: nothing }\n",
    "header": "    expect: { header.x-echo-x-one: nothing }\n",
    "target-header": "    expect: { header.x-echo-x-three: nothing }\n",
    "target-file": "    expect: { header.x-echo-x-four: nothing }\n",
    "authorization": "    expect: { json.headers.Authorization: nothing }\n",
    "wanted": '    expect: { json.path: "${secret:CANARY_ENV}" }\n',
    "echo": '    echo: { json.path: "${secret:CANARY_ENV}" }\n',
    "contains": '      contains: [ "not ${secret:CANARY_ENV}" ]\n',
    "unsendable": '      contains: [ "\\n" ]\n',
}
X12 = (SCENARIOS / "eligibility.yaml").read_text()
AGENT = """\
agent: canary-1
region: r
collector: { url: "${env:OUTRIDER_COLLECTOR}", interval: 200ms }
spool: { path: "${env:OUTRIDER_SPOOL}" }
listen: ${env:OUTRIDER_LISTEN}
slice: 2s
scenario_dirs: [ scenarios ]
targets:
  echo:
    url: ${env:ECHO}
    headers: { X-Three: "${env:CANARY_TARGET}", X-Four: "key ${file:four.txt}" }
checks:
"""


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with echo_server() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, echo: EchoServer) -> Path:
    """An agent's configuration with a check for each way of leaking, and secrets from the environment and files."""
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    (tmp_path / "two.txt").write_text(SECRETS["CANARY_FILE"] + "\n")
    (tmp_path / "four.txt").write_text(SECRETS["CANARY_TARGET_FILE"] + "\n")
    checks = AGENT
    for name, more in WAYS.items():
        way = name if name in ("error", "teapot", "nonsense") else "json"
        (scenarios / f"{name}.yaml").write_text(SCENARIO.replace("NAME", name).replace("WAY", way) + more)
        checks += f"  - {{ name: {name}, scenario: {name}, target: echo, interval: 2s, timeout: 1900ms }}\n"
    member = X12.replace(
        "last: OUTRIDER, first: TESTONE, id: OUT100000001", f"last: {LAST}, first: {FIRST}, id: {MEMBER_ID}"
    )
    assert member != X12
    (scenarios / "x12.yaml").write_text(
        member.replace(
            "path: /core/realtime", "path: /same/x\n      username: u\n      password: ${secret:CANARY_FILED}"
        )
    )
    checks += "  - { name: x12, scenario: x12, target: echo, interval: 2s, timeout: 1900ms }\n"
    (tmp_path / "agent.yaml").write_text(checks)
    monkeypatch.setenv("CANARY_ENV", SECRETS["CANARY_ENV"])
    monkeypatch.setenv("CANARY_FILED_FILE", str(tmp_path / "two.txt"))
    monkeypatch.setenv("CANARY_TARGET", SECRETS["CANARY_TARGET"])
    monkeypatch.setenv("ECHO", echo.url)
    return tmp_path


def shapes() -> Iterator[bytes]:
    """What must not be found: as it is, and in base64 at each offset."""
    for needle in (*CORES, PAN, "4242 4242 4242 4242", LAST, FIRST, MEMBER_ID):
        raw = needle.encode()
        yield raw
        for offset in range(3):
            within = base64.b64encode(bytes(offset) + raw)
            yield within[4 if offset else 0 : -4]


def assert_clean(where: str, content: bytes | str) -> None:
    raw = content.encode() if isinstance(content, str) else content
    for shape in shapes():
        at = raw.find(shape)
        assert at < 0, f"{where} holds {shape!r}: {raw[max(at - 80, 0) : at + 80]!r}"


def test_what_must_not_be_told_is_found_nowhere(folder: Path, echo: EchoServer) -> None:
    with network(folder) as net:
        net.start_collector()
        environment = net.environment("r")
        config = str(folder / "agent.yaml")
        net.start("agent", "agent", "--config", config, region="r")
        listening = f"http://127.0.0.1:{net.agent_ports['r']}"
        until("every check has delivered", lambda: net.ledger("r").get("delivered", 0) >= 2 * (len(WAYS) + 1))
        found = {
            "agent /metrics": until("the agent tells its metrics", lambda: text(f"{listening}/metrics")),
            "agent /-/ready": text(f"{listening}/-/ready"),
            "page": until("the page is there", lambda: text(f"{net.collector_url}/")),
            "collector /metrics": text(f"{net.collector_url}/metrics"),
            "/v1/status": text(f"{net.collector_url}/v1/status"),
        }
        assert net.stop("agent") == 0
        for name, arguments in {
            "once": [], "once --json": ["--json"], "dry run": ["--dry-run"], "dry run --json": ["--dry-run", "--json"],
        }.items():  # fmt: skip
            done = outrider("once", "--config", config, *arguments, environment=environment)
            found[name], found[f"{name}, errors"] = done.stdout, done.stderr
        done = outrider("validate", str(folder), environment=environment)
        found["validate"] = done.stdout + done.stderr
        net.stop("collector")
    said = ("agent /metrics", "page", "once", "once --json", "dry run", "dry run --json")
    assert [name for name in said if not found[name]] == []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in (".yaml", ".txt"):
            assert_clean(path.name, path.read_bytes())
    for name, content in found.items():
        assert_clean(name, content)
    details = stored(folder / "store.duckdb")
    assert_clean("the store's tables", details)
    # None of this means anything if it was not told, or not answered.
    received = b"".join(echo.received)
    assert all(core.encode() in received for core in CORES)
    assert PAN.encode() in received
    assert LAST.encode() in received
    records = {record["check"]: record for record in map(json.loads, found["once --json"].splitlines())}
    assert {record["outcome"] for record in records.values()} <= {
        "service_down", "malformed", "business_unexpected", "agent_fault", "ok",
    }  # fmt: skip
    for name in ("body-one", "body-two", "path", "member", "header", "target-header", "target-file", "authorization"):
        assert MASK in records[name]["detail"], f"{name}: {records[name]['detail']}"
    assert "424242******4242" in records["card"]["detail"]
    assert not card_numbers(" ".join(record["detail"] for record in records.values()))


def stored(path: Path) -> str:
    """Every row of every table, since the file itself may be packed."""
    with duckdb.connect(str(path), read_only=True) as store:
        tables = [name for (name,) in store.execute("select table_name from duckdb_tables()").fetchall()]
        assert tables
        return "\n".join(str(row) for name in tables for row in store.execute(f'select * from "{name}"').fetchall())


# --- the dry run


def test_a_dry_run_shows_every_request_and_sends_nothing(folder: Path, echo: EchoServer) -> None:
    with network(folder) as net:
        environment = {**net.environment("r"), "OUTRIDER_NETWORK": echo.url}
        done = outrider("once", "--config", str(DEMO_CONFIG / "agent.yaml"), "--dry-run", environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert echo.connections == 0
    assert not (folder / "r.spool").exists()
    for line in (
        "--- eligibility: inquiry (step) to", "--- card-authorize-void: authorize (step) to",
        "--- card-authorize-void: void (step) to", "--- card-authorize-void: void-what-was-authorized (cleanup, undoes",
        "POST /v1/payments/${payment}/void HTTP/1.1", "GET /healthz HTTP/1.1", '"number":"424242******4242"',
        f"NM1*IL*1*{MASK}*{MASK}****{MASK}*{MASK}~", f'"cvc":"{MASK}"',
    ):  # fmt: skip
        assert line in done.stdout


def test_a_dry_run_shows_the_bytes_that_are_sent(folder: Path, echo: EchoServer) -> None:
    plain = "name: plain\ntitle: X\nsynthetic: true\nprobe: http\nsteps:\n  - name: one\n    request:\n"
    plain += (
        "      path: /json/x?a=1\n      method: PUT\n      headers: { X-Five: five }\n      json: { a: [1, zwei] }\n"
    )
    (folder / "scenarios" / "plain.yaml").write_text(plain)
    config = folder / "plain.yaml"
    config.write_text(
        AGENT.replace('"${env:CANARY_TARGET}", X-Four: "key ${file:four.txt}"', "three")
        + "  - { name: plain, scenario: plain, target: echo, interval: 2s, timeout: 1s }\n"
    )
    with network(folder) as net:
        environment = net.environment("r")
        shown = outrider("once", "--config", str(config), "--dry-run", "--json", environment=environment)
        assert echo.connections == 0
        assert outrider("once", "--config", str(config), environment=environment).returncode == 0
    assert json.loads(shown.stdout)["sent"].replace("\n", "\r\n") == echo.received[0].decode()


def test_a_dry_run_masks_secrets_and_shows_where_they_stand(folder: Path, echo: EchoServer) -> None:
    with network(folder) as net:
        done = outrider("once", "--config", str(folder / "agent.yaml"), "card", "x12", "--dry-run", "--json",
                        environment=net.environment("r"))  # fmt: skip
    card, x12 = map(json.loads, done.stdout.splitlines())
    assert "X-One: ${secret:CANARY_ENV}" in card["sent"]
    assert f"X-Three: {MASK}" in card["sent"]
    assert "POST /json/told?key=${secret:CANARY_FILED} HTTP/1.1" in card["sent"]
    assert MASK in x12["sent"]
    assert_clean("the dry run", done.stdout)
    assert echo.connections == 0


# --- validate

HEAD = "name: x\ntitle: X\nsynthetic: true\nprobe: http\n"
PAY = HEAD + "steps:\n  - name: pay\n    request: { path: /p, method: POST, json: { amount: 100 } }\n"
BAD = {
    "card": (HEAD + "steps:\n  - { name: a, request: { path: '/4916123456789010' } }\n", 6, "is a card number"),
    "card-in-a-comment": (
        HEAD + "# 4916 1234 5678 9010\nsteps:\n  - { name: a, request: { path: / } }\n", 5, "is a card number",
    ),
    "card-as-key": (HEAD + "4916123456789010: x\n", 5, "a key is text"),
    "card-twice": (HEAD + "'4916123456789010': 1\n'4916123456789010': 2\n", 6, "is written twice"),
    "unknown": (HEAD + "steps:\n  - name: a\n    reqest: {}\n    request: { path: / }\n", 7, "unknown key 'reqest'"),
    "no-limit": (PAY, 7, "the scenario sets no limit"),
    "too-much": (PAY + "money: { max_amount: 99, currency: USD }\n", 7, "100 is more than the 99"),
    "no-cleanup": (PAY + "money: { max_amount: 100, currency: USD }\n", 6, "no cleanup undoes it"),
    "not-synthetic": (PAY.replace("true", "false"), 3, "a scenario must say 'synthetic: true'"),
    "npi": (X12.replace("1234567893", "1234567890"), 14, "this is not an NPI"),
    "routing": (
        HEAD + "steps:\n  - name: a\n    request:\n      path: /\n      json: { routing_number: '021000022' }\n",
        9, "not an ABA routing number",
    ),
}  # fmt: skip


def test_validate_names_every_mistake_by_file_and_line(tmp_path: Path) -> None:
    shutil.copytree(SCENARIOS, tmp_path / "good")
    for name, (content, _, _) in BAD.items():
        (tmp_path / f"{name}.yaml").write_text(content)
    done = outrider("validate", str(tmp_path))
    assert done.returncode == 104
    lines = done.stderr.splitlines()
    assert len(lines) == len(BAD)
    for name, (_, line, message) in BAD.items():
        assert any(said.startswith(f"{tmp_path / name}.yaml:{line}:") and message in said for said in lines), name
    assert not card_numbers(done.stdout + done.stderr)


@pytest.mark.parametrize("name", sorted(BAD))
def test_each_mistake_alone_is_104_also_for_an_agent(tmp_path: Path, folder: Path, name: str) -> None:
    (folder / "scenarios" / "card.yaml").write_text(BAD[name][0])
    with network(folder) as net:
        done = outrider("once", "--config", str(folder / "agent.yaml"), "card", environment=net.environment("r"))
    assert (done.returncode, done.stdout) == (104, "")
    assert f"card.yaml:{BAD[name][1]}:" in done.stderr


# --- the purse

PAYING = (
    HEAD.replace("name: x", "name: pay")
    + """\
money: { max_amount: 100, currency: USD }
steps:
  - name: pay
    request: { path: /json/pay, method: POST, json: { amount: 100 } }
cleanup:
  - { name: undo, undoes: pay, request: { path: /json/undo, method: POST } }
"""
)


def test_payments_stop_at_the_cap_and_at_the_kill_switch_and_stay_stopped(tmp_path: Path, echo: EchoServer) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "pay.yaml").write_text(PAYING)
    config = tmp_path / "agent.yaml"
    agent = AGENT[: AGENT.index("    headers")] + "money: { daily_cap: { USD: 300 }, kill_switch: stop }\nchecks:\n"
    agent = agent.replace("${env:ECHO}", echo.url)
    agent += "  - { name: pay, scenario: pay, target: echo, interval: 1s, timeout: 900ms }\n"
    config.write_text(agent)
    switch = tmp_path / "stop"
    switch.touch()

    def held_back(reason: str) -> float:
        wanted = f'outrider_payments_withheld_total{{agent="canary-1",check="pay",reason="{reason}",region="r"}}'
        said = text(f"http://127.0.0.1:{net.agent_ports['r']}/metrics")
        return float(said.partition(wanted)[2].partition("\n")[0] or 0)

    def start() -> None:
        net.start("agent", "agent", "--config", str(config), region="r")

    def asked(path: bytes) -> int:
        return sum(request.startswith(b"POST " + path) for request in echo.received)

    with network(tmp_path) as net:
        environment = net.environment("r")
        start()
        until("the switch holds payments back", lambda: held_back("kill-switch") >= 2)
        assert echo.connections == 0
        assert net.ledger("r")["skipped"] >= 2
        done = outrider("once", "--config", str(config), environment=environment)
        assert (done.returncode, "check pay does not run: the kill switch" in done.stderr) == (2, True)
        switch.unlink()
        until("the cap is reached", lambda: held_back("daily-cap") >= 1)
        assert net.stop("agent") == 0
        assert asked(b"/json/pay") == 3
        assert asked(b"/json/undo") == 3, "what was done is undone, whatever the cap"
        start()
        until("the cap holds after a restart", lambda: held_back("daily-cap") >= 1)
        assert net.stop("agent") == 0
        done = outrider("once", "--config", str(config), environment=environment)
        assert (done.returncode, "300 USD of 300" in done.stderr) == (2, True)
        log = net.log("agent")
    assert asked(b"/json/pay") == 3
    assert log.count("check pay does not run: the kill switch") == 1
    assert log.count("check pay does not run: 300 USD of 300 (minor units)") == 2
