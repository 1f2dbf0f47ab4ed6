"""Access as its users have it: one operator, agents and a viewer, with the product's own commands, over TLS.

What the page docs/access.md walks through is walked here.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from processes_support import DEMO_CONFIG, PATIENCE_S, free_port, until

from outrider.core.units import format_instant, to_datetime
from outrider_sandbox.lines.certificates import Authority

PASSWORD = "correct horse battery staple"


@dataclass
class House:
    """A collector that requires access, in one folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def certify(self) -> None:
        now, day = datetime.now(UTC), timedelta(days=1)
        authority = Authority(now, "ours")
        (self.folder / "ca.pem").write_bytes(authority.pem)
        for name, names, for_client in (("collector", ["127.0.0.1"], False), ("east-1", ["east-1"], True)):
            made = authority.issue(names, now - day, now + day, for_client=for_client)
            for end, raw in zip(("pem", "key"), made, strict=True):
                (self.folder / f"{name}.{end}").write_bytes(raw)

    def write(self) -> None:
        self.certify()
        (self.folder / "agreement.yaml").write_bytes((DEMO_CONFIG / "agreement.yaml").read_bytes())
        (self.folder / "collector.yaml").write_text(
            f"listen: 127.0.0.1:{self.port}\nstore: store/results.duckdb\nagreement: agreement.yaml\n"
            "settle: 3s\nrecent: 2m\naccess: required\n"
            "tls:\n  cert_file: collector.pem\n  key_file: collector.key\n  client_ca_file: ca.pem\n"
            "  clients: agents\n  client_names: true\n"
        )
        (self.folder / "agent.yaml").write_text(
            "agent: east-1\nregion: east\nspool: {path: east.spool}\nslice: 2s\n"
            f"listen: 127.0.0.1:{free_port()}\n"
            f"collector:\n  url: {self.url}\n  ca_file: ca.pem\n  client_cert_file: east-1.pem\n"
            "  client_key_file: east-1.key\n"
            f"targets: {{portal: {{url: {self.url}, ca_file: ca.pem}}}}\n"
            "checks: [{name: portal, scenario: portal, target: portal, interval: 1s, timeout: 500ms}]\n"
        )

    def environment(self, token: str = "") -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
        return {**kept, "OUTRIDER_CA_FILE": "ca.pem", **({"OUTRIDER_TOKEN_FILE": token} if token else {})}

    def start(self, name: str, *argv: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "outrider", *argv, "--until-stdin-closes"], cwd=self.folder,
                    env=self.environment(), stdin=subprocess.PIPE, stdout=log, stderr=log,
                )
            )  # fmt: skip

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def command(self, *argv: str, token: str = "", given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "outrider", *argv], cwd=self.folder, env=self.environment(token), input=given,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def done(self, *argv: str, token: str = "alice.token", given: str = "") -> str:
        made = self.command(*argv, token=token, given=given)
        assert made.returncode == 0, (argv, made.stderr)
        return made.stdout

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    try:
        made.write()
        yield made
    finally:
        made.close()


def test_an_operator_lets_an_agent_in_and_out_again_over_tls(house: House) -> None:
    there = ("--collector", house.url)
    house.start("collector", "collector", "--config", "collector.yaml")
    until("the collector is up", lambda: "access is required" in house.log("collector"))

    # The first operator, beside the store; everybody else through the collector.
    store = ("--store", "store/results.duckdb")
    house.done("people", "add", "alice", "--role", "operator", *store, token="", given=f"{PASSWORD}\n")
    house.done("people", "token", "alice", "--out", "alice.token", *store, token="")
    assert stat.S_IMODE((house.folder / "alice.token").stat().st_mode) == 0o600
    house.done("people", "add", "vera", "--role", "viewer", "--no-password", *there)
    house.done("people", "token", "vera", "--out", "vera.token", *there)

    # The agent runs before it is enrolled: nothing is lost, and nothing has to be started again.
    house.start("agent", "agent", "--config", "agent.yaml")
    until("the agent says so", lambda: "HTTP 401" in house.log("agent"))
    token = house.done("enroll", "token", "--agent", "east-1", "--region", "east", *there).strip()
    told = house.command("enroll", "--config", "agent.yaml", "--token-file", "-", given=f"{token}\n")
    assert "agent east-1 is enrolled" in told.stdout, told.stderr
    assert stat.S_IMODE((house.folder / "east.spool.credential").stat().st_mode) == 0o600
    again = house.command("enroll", "--config", "agent.yaml", "--token-file", "-", given=f"{token}\n")
    assert (again.returncode, "was used" in again.stderr) == (104, True)
    kept = house.command("enroll", "--config", "agent.yaml", "--unless-enrolled")
    assert (kept.returncode, "has its credential" in kept.stdout) == (0, True)
    report = ("report", "--last", "30s", "--json", *there)
    until("results arrive", lambda: '"portal"' in house.command(*report, token="vera.token").stdout)

    doctor = json.loads(house.command("agent", "doctor", "--config", "agent.yaml", "--json").stdout)
    assert doctor["collector"] == {"url": house.url, "trouble": None}

    # Rotation while it runs: the new one is taken, and the old one ends.
    assert "is enrolled" in house.done("enroll", "--config", "agent.yaml", "--rotate", token="")

    def rotated() -> bool:
        lines = [line for line in house.done("enroll", "list", *there).splitlines() if line.startswith("east-1")]
        return len(lines) == 2 and "good" in lines[0] and "never used" not in lines[0] and "revoked" in lines[1]

    until("the new credential was used", rotated)

    # Who may what.
    starts_at = format_instant(round((to_datetime(0).now(UTC) + timedelta(days=9)).timestamp()) * 1_000_000)
    announce = ("window", "announce", "--start", starts_at, "--duration", "1h", "--json", *there)
    assert '"author": "alice"' in house.done(*announce)
    for token_file, exit_code, words in (("vera.token", 104, "is viewer"), ("", 104, "say who you are")):
        refused = house.command(*announce, token=token_file)
        assert (refused.returncode, words in refused.stderr) == (exit_code, True), refused.stderr
    assert house.command("window", "list", *there, token="vera.token").returncode == 0
    named = house.command(*announce, "--author", "the provider", token="alice.token")
    assert (named.returncode, "you are alice" in named.stderr) == (104, True)

    # Out again.
    house.done("enroll", "revoke", "east-1", *there)
    seen = house.log("agent").count("HTTP 401")
    until("the agent is refused", lambda: house.log("agent").count("HTTP 401") > seen, PATIENCE_S)
    log = house.done("people", "log", *there)
    for line in ("alice from 127.0.0.1: enrolment token issued east-1", "agent east-1 from 127.0.0.1: enrolled",
                 "alice from 127.0.0.1: POST /v1/windows", "alice from 127.0.0.1: agent revoked east-1"):  # fmt: skip
        assert line in log
    secrets = [(house.folder / name).read_text().strip() for name in
               ("alice.token", "vera.token", "east.spool.credential")] + [token, PASSWORD]  # fmt: skip
    everything = house.log("agent") + house.log("collector") + log
    assert [secret for secret in secrets if secret in everything] == []


@pytest.mark.parametrize(
    ("argv", "given", "words"),
    [
        (("people", "add", "x", "--role", "viewer", "--store", "s.duckdb"), "short\n", "password: has 12"),
        (("people", "add", "x", "--role", "viewer", "--store", "s.duckdb"), "", "no password"),
        (("people", "disable", "x", "--store", "s.duckdb"), "", "nobody called 'x'"),
        (("people", "list", "--store", "none/s.duckdb"), "", "No such file"),
        (("enroll", "revoke", "x", "--store", "s.duckdb"), "", "there is no agent 'x'"),
        (("enroll", "token", "--agent", "x", "--ttl", "90d", "--store", "s.duckdb"), "", "ttl: a token lives"),
        (("enroll",), "", "--config FILE"),
        (("enroll", "--config", "agent.yaml"), "", "give the token"),
        (("enroll", "--config", "agent.yaml", "--token-file", "-"), "two words\n", "that is no token"),
        (("enroll", "--config", "agent.yaml", "--rotate"), "", "cannot be read"),
        (("report", "--last", "1m", "--token-file", "none"), "", "none cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_and_ends_with_104(
    house: House, argv: tuple[str, ...], given: str, words: str
) -> None:
    refused = house.command(*argv, given=given)
    assert refused.returncode == 104, refused.stderr
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
