"""The ground of a fault trial: a network of namespaces, the product's processes in it, and the sum at the end.

`make faults` runs this suite inside a network and a mount namespace of its own, so that everything that is made here
(bridge, addresses, firewall rules, mounts) is gone with the process. The test's own namespace is the hub: sandbox and
collector run there. Each region is a namespace behind a cable of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from processes_support import DEMO_CONFIG, until

from outrider.codecs.records import encode_record
from outrider.core.units import MINUTE
from outrider.core.wire import Phases, RunRecord, StepRecord
from outrider.spool import conservation

HUB = "10.213.0.1"
REGIONS = ("us-east", "us-west", "eu-central")
COLLECTOR_PORT, SANDBOX_PORT, AGENT_PORT, PROXY_PORT = 8080, 8081, 9464, 8082
PATIENCE_S = 60


def address(region: str) -> str:
    return f"10.213.0.{11 + REGIONS.index(region)}"


def shell(*argv: str) -> str:
    made = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    if made.returncode:
        raise AssertionError(f"{' '.join(argv)}: {made.stderr.strip() or made.stdout.strip()}")
    return made.stdout


def in_region(region: str, *argv: str) -> str:
    return shell("ip", "netns", "exec", region, *argv)


def lay() -> None:
    """The hub's bridge, and a namespace with a cable for each region."""
    Path("/run/netns").mkdir(exist_ok=True)
    shell("mount", "-t", "tmpfs", "none", "/run/netns")  # names of ours alone: nobody else's is seen, or touched
    shell("ip", "link", "set", "lo", "up")
    shell("ip", "link", "add", "br0", "type", "bridge")
    shell("ip", "address", "add", f"{HUB}/24", "dev", "br0")
    shell("ip", "link", "set", "br0", "up")
    for number, region in enumerate(REGIONS):
        shell("ip", "netns", "add", region)
        shell("ip", "link", "add", f"cable{number}", "type", "veth", "peer", "name", "e0", "netns", region)
        shell("ip", "link", "set", f"cable{number}", "master", "br0", "up")
        in_region(region, "ip", "address", "add", f"{address(region)}/24", "dev", "e0")
        for device in ("e0", "lo"):
            in_region(region, "ip", "link", "set", device, "up")


def fetch(url: str) -> str:
    """What a URL answers; "" while nobody does."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


@dataclass(frozen=True)
class Sum:
    """What came of a trial: results that spools acknowledged, rows in the collector's store, and how the two differ.
    `declared` are results that the spools themselves count as gone, with the reason."""

    promised: int
    delivered: int
    missing: int
    twice: int
    wrong: int
    declared: int


@dataclass
class Trial:
    """Processes in one folder; `proxied` agents reach the collector through PROXY_PORT of the hub."""

    folder: Path
    proxied: bool = False
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    spools: dict[str, Path] = field(default_factory=dict)

    # --- processes ---------------------------------------------------------------------------------------------------

    @property
    def store(self) -> Path:
        return self.folder / "collector" / "store.duckdb"

    def spool(self, region: str) -> Path:
        return self.spools.get(region, self.folder / region / "spool.db")

    def environment(self, region: str = "us-east", **more: str) -> dict[str, str]:
        port = PROXY_PORT if self.proxied else COLLECTOR_PORT
        return {
            **os.environ,
            "OUTRIDER_AGENT": f"{region}-1",
            "OUTRIDER_REGION": region,
            "OUTRIDER_NUMBER": str(REGIONS.index(region) + 1),
            "OUTRIDER_COLLECTOR": f"http://{HUB}:{port}",
            "OUTRIDER_NETWORK": f"http://{HUB}:{SANDBOX_PORT}",
            "OUTRIDER_SPOOL": str(self.spool(region)),
            "OUTRIDER_LISTEN": f"{address(region)}:{AGENT_PORT}",
            "OUTRIDER_COLLECTOR_LISTEN": f"{HUB}:{COLLECTOR_PORT}",
            "OUTRIDER_STORE": str(self.store),
            "OUTRIDER_AGREEMENT": str(DEMO_CONFIG / "agreement.yaml"),
            **more,
        }

    def start(self, name: str, *argv: str, environment: Mapping[str, str], before: Iterable[str] = ()) -> None:
        (self.folder / name).mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*before, sys.executable, "-m", "outrider", *argv], env=dict(environment), stdout=log, stderr=log
            )

    def start_sandbox(self, latency_ms: int = 5) -> None:
        listen, latency = f"{HUB}:{SANDBOX_PORT}", str(latency_ms)
        self.start("sandbox", "sandbox", "--listen", listen, "--latency-ms", latency, environment=os.environ)
        until("the sandbox answers", lambda: fetch(f"http://{HUB}:{SANDBOX_PORT}/healthz"), PATIENCE_S)

    def start_collector(self) -> None:
        file = self.folder / "collector.yaml"
        file.write_text((DEMO_CONFIG / "collector.yaml").read_text() + "access: open\n")
        self.start("collector", "collector", "--config", str(file), environment=self.environment())
        until("the collector answers", lambda: fetch(f"http://{HUB}:{COLLECTOR_PORT}/-/healthy"), PATIENCE_S)

    def start_agent(self, region: str, before: Iterable[str] = (), **environment: str) -> None:
        argv = "agent", "--config", str(DEMO_CONFIG / "agent.yaml")
        into = ("ip", "netns", "exec", region)
        self.start(region, *argv, environment=self.environment(region, **environment), before=(*into, *before))
        until("the agent answers", lambda: fetch(f"{self.url(region)}/-/healthy"), PATIENCE_S)

    def start_all(self, regions: Iterable[str] = REGIONS) -> None:
        self.start_sandbox()
        self.start_collector()
        for region in regions:
            self.start_agent(region)

    def url(self, region: str) -> str:
        return f"http://{address(region)}:{AGENT_PORT}"

    def agent_id(self, region: str) -> int:
        """The agent's own process: `ip netns exec` becomes it, what traces it has it for a child."""
        started = self.processes[region].pid
        children = Path(f"/proc/{started}/task/{started}/children").read_text().split()
        is_agent = b"outrider" in Path(f"/proc/{started}/cmdline").read_bytes().split(b"\0")[2:3]
        return started if is_agent or not children else int(children[0])

    def kill(self, name: str) -> None:
        if name in REGIONS:
            os.kill(self.agent_id(name), signal.SIGKILL)
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> int:
        """SIGTERM, and the exit code."""
        if name in REGIONS:
            os.kill(self.agent_id(name), signal.SIGTERM)
        else:
            self.processes[name].terminate()
        return self.processes.pop(name).wait(PATIENCE_S)

    def end(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # --- what the agents say -----------------------------------------------------------------------------------------

    def ledger(self, region: str) -> dict[str, int]:
        """The running agent's totals, from its metrics."""
        terms = {}
        for line in fetch(f"{self.url(region)}/metrics").splitlines():
            if line.startswith("outrider_runs_ledger{"):
                terms[line.partition('term="')[2].partition('"')[0]] = int(float(line.rpartition(" ")[2]))
        return terms

    def until_term(self, region: str, term: str, at_least: int) -> dict[str, int]:
        def look() -> dict[str, int] | None:
            ledger = self.ledger(region)
            return ledger if ledger.get(term, -1) >= at_least else None

        return until(f"{region} counts {at_least} {term}", look, PATIENCE_S)

    def until_delivered(self, more: int = 10, regions: Iterable[str] = REGIONS) -> None:
        """Until each has delivered so many more."""
        for region in regions:
            self.until_term(region, "delivered", self.ledger(region).get("delivered", 0) + more)

    def until_drained(self, regions: Iterable[str] = REGIONS) -> None:
        """Until what waits now has gone."""
        for region in regions:
            ledger = self.ledger(region)
            self.until_term(region, "delivered", ledger.get("delivered", 0) + ledger.get("waiting", 0))

    # --- the sum -----------------------------------------------------------------------------------------------------

    def close(self, regions: Iterable[str] = REGIONS) -> Sum:
        """Let everybody drain and stop, then compare spools with the store."""
        for region in regions:
            if region in self.processes:
                assert self.stop(region) == 0, self.log(region)
        if "collector" in self.processes:
            assert self.stop("collector") == 0, self.log("collector")
        promised: dict[tuple[str, str, int], str] = {}
        declared = 0
        for region in regions:
            totals = read_totals(self.spool(region))
            scheduled, went = conservation({**totals.counts, "waiting": totals.waiting})
            assert scheduled == went, f"{region}: {scheduled} scheduled, {went} accounted for: {totals.counts}"
            gone = ("dropped_unwritable", "dropped_quota", "dropped_corrupt", "dead_lettered", "lost_in_flight")
            declared += sum(totals.counts.get(name, 0) for name in gone)
            for seq, digest in records(self.spool(region)):
                promised[f"{region}-1", totals.epoch, seq] = digest[:16]
        rows = stored(self.store)
        return Sum(
            promised=len(promised),
            delivered=sum(rows.values()),
            missing=sum((*key, digest) not in rows for key, digest in promised.items()),
            twice=sum(n - 1 for n in rows.values()),
            wrong=sum(promised.get(key[:3], key[3]) != key[3] for key in rows),
            declared=declared,
        )


@dataclass(frozen=True)
class Totals:
    epoch: str
    counts: dict[str, int]

    @property
    def waiting(self) -> int:
        went = ("delivered", "dead_lettered", "dropped_quota", "dropped_corrupt")
        return self.counts.get("recorded", 0) - sum(self.counts.get(name, 0) for name in went)


def read_totals(spool: Path) -> Totals:
    with closing(sqlite3.connect(spool)) as database:
        (text,) = database.execute("SELECT value FROM facts WHERE name = 'totals'").fetchone()
    read = json.loads(text.partition(" ")[2])
    return Totals(read["epoch"], Counter(read["counts"]))


def records(spool: Path) -> list[tuple[int, str]]:
    """(seq, digest) of what the spool acknowledged; delivered ones are kept for a day."""
    with closing(sqlite3.connect(spool)) as database:
        return [(seq, digest) for seq, digest in database.execute("SELECT seq, digest FROM records")]


def stored(store: Path) -> Counter[tuple[str, str, int, str]]:
    """(agent, epoch, seq, first half of the digest) -> how many rows the store has of it."""
    rows = ask(store, """SELECT a.text, e.text, r.seq, lpad(lower(to_hex(r.digest)), 16, '0') FROM runs r
        JOIN names a ON a.id = r.agent JOIN names e ON e.id = r.epoch""")  # fmt: skip
    return Counter(rows)


def ask(store: Path, sql: str) -> list[Any]:
    with duckdb.connect(str(store), read_only=True) as database:
        return database.execute(sql).fetchall()


def result(number: int, at: int = 1_780_000_020_000_000) -> bytes:
    """A record's bytes, of the size that a scenario of two steps has."""
    phases = Phases(1000, 2000, 3000, 400, 50_000, 600)
    steps = tuple(StepRecord(f"step {n}", "ok", "", "", 200_000, phases, 200) for n in range(2))
    return encode_record(RunRecord(
        check=f"check-{number % 3}", scenario="eligibility", region="us-east", purpose="probe",
        scheduled_at=at, started_at=at, interval=MINUTE, latency=400_000 + number, outcome="ok", fault="none",
        clock_offset=0, clock_error=1000, phases=phases, steps=steps,
    ))  # fmt: skip
