"""The product's processes, started for a test on free ports and ended with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE_S = 30
_BETWEEN_LOOKS_S = 0.05
DEMO_CONFIG = Path(__file__).resolve().parents[2] / "config" / "demo"


def until(what: str, look: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """Look again and again until something is seen."""
    give_up = time.monotonic() + patience_s
    while time.monotonic() < give_up:
        seen = look()
        if seen:
            return seen
        signal.sigtimedwait([], _BETWEEN_LOOKS_S)
    raise AssertionError(f"gave up waiting until {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> Any:
    """The JSON at a URL, or None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.loads(answer.read())
    except (OSError, urllib.error.URLError):
        return None


def text(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


def send(url: str, method: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        url, method=method, data=json.dumps(body or {}).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        raw = answer.read()
        return json.loads(raw) if raw else None


class Network:
    """A sandbox, a collector and agents with the demo's configuration, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sandbox_port, self.collector_port = free_port(), free_port()
        self.agent_ports: dict[str, int] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def collector_url(self) -> str:
        return f"http://127.0.0.1:{self.collector_port}"

    def environment(self, region: str = "us-east") -> dict[str, str]:
        port = self.agent_ports.setdefault(region, free_port())
        return {
            **os.environ,
            "OUTRIDER_AGENT": f"{region}-1",
            "OUTRIDER_REGION": region,
            "OUTRIDER_NUMBER": str(list(self.agent_ports).index(region) + 1),
            "OUTRIDER_COLLECTOR": self.collector_url,
            "OUTRIDER_NETWORK": self.sandbox_url,
            "OUTRIDER_SPOOL": str(self.folder / f"{region}.spool"),
            "OUTRIDER_LISTEN": f"127.0.0.1:{port}",
            "OUTRIDER_COLLECTOR_LISTEN": f"127.0.0.1:{self.collector_port}",
            "OUTRIDER_STORE": str(self.folder / "store.duckdb"),
            "OUTRIDER_AGREEMENT": "agreement.yaml",
        }

    def start(self, name: str, *argv: str, region: str = "us-east") -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "outrider", *argv, "--until-stdin-closes"],
                env=self.environment(region), stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip
        self.processes[name] = process
        return process

    def start_sandbox(self, *argv: str) -> None:
        self.start("sandbox", "sandbox", "--listen", f"127.0.0.1:{self.sandbox_port}", *argv)
        until("the sandbox answers", lambda: get(f"{self.sandbox_url}/healthz"))

    def start_collector(self) -> None:
        self.start("collector", "collector", "--config", str(DEMO_CONFIG / "collector.yaml"))
        until("the collector answers", lambda: get(f"{self.collector_url}/v1/status"))

    def start_agent(self, region: str) -> None:
        self.start(f"agent-{region}", "agent", "--config", str(DEMO_CONFIG / "agent.yaml"), region=region)
        until("the agent answers", lambda: text(f"http://127.0.0.1:{self.agent_ports[region]}/-/healthy"))

    def ledger(self, region: str) -> dict[str, int]:
        """The agent's own totals, from its metrics."""
        terms = {}
        for line in text(f"http://127.0.0.1:{self.agent_ports[region]}/metrics").splitlines():
            if line.startswith("outrider_runs_ledger{"):
                terms[line.partition('term="')[2].partition('"')[0]] = int(float(line.rpartition(" ")[2]))
        return terms

    def kill(self, name: str) -> None:
        """kill -9, of a process that this test started."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()

    def stop(self, name: str) -> int:
        """SIGTERM, and the exit code."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_S)
        assert process.stdin is not None
        process.stdin.close()
        return code

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    made = Network(folder)
    try:
        yield made
    finally:
        for name in list(made.processes):
            made.kill(name)


def outrider(
    *argv: str, environment: dict[str, str] | None = None, patience_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "outrider", *argv], env=environment, capture_output=True, text=True, timeout=patience_s
    )
