"""The agent's start and memory: `outrider agent --help`, and an agent with 1 and with 1,000 checks.

Start is from the process's birth until /-/ready answers, by the wall clock; memory is resident (RSS) ten seconds of
probing later. The target is the sandbox, whose memory is not counted.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.measuring import spread

RUNS = 5
PROBING_S = 10


def run() -> None:
    helps = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "outrider", "agent", "--help"], capture_output=True, check=True)
        helps.append(time.perf_counter() - began)
    print(f"  outrider agent --help: {spread(helps, 's')}")
    with tempfile.TemporaryDirectory() as folder, _sandbox() as network:
        for checks in (1, 1000):
            starts, sizes = [], []
            for number in range(RUNS if checks == 1 else 3):
                start, size = _agent(Path(folder) / f"{checks}-{number}", checks, network)
                starts.append(start)
                sizes.append(size)
            print(f"  agent with {checks:4} checks: ready after {spread(starts, 's')}, RSS {spread(sizes, 'MB', 1)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _sandbox() -> Iterator[str]:
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "outrider", "sandbox", "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _agent(folder: Path, checks: int, network: str) -> tuple[float, float]:
    folder.mkdir()
    port = _free_port()
    listed = "".join(
        f"  - {{name: portal-{number}, scenario: portal, target: network, interval: 60s, timeout: 15s}}\n"
        for number in range(checks)
    )
    (folder / "agent.yaml").write_text(
        f"agent: bench\nregion: bench\ncollector: {{url: 'http://127.0.0.1:{_free_port()}'}}\n"
        f"spool: {{path: spool}}\nlisten: 127.0.0.1:{port}\n"
        f"targets: {{network: {{url: '{network}'}}}}\nchecks:\n{listed}"
    )
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "outrider", "agent", "--config", str(folder / "agent.yaml")],
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    try:
        while not _is_ready(port) and time.perf_counter() - began < 30:
            time.sleep(0.005)
        start = time.perf_counter() - began
        time.sleep(PROBING_S)
        return start, psutil.Process(process.pid).memory_info().rss / 1e6
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
