"""kill -9 of an agent and of the collector, again and again, and the count of what came through.

`make kills N=200` runs it alone and prints what it found; the suite runs it with a few kills.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
from processes_support import Network, network, until

REGION = "us-east"
SEED = 20260615
LONGEST_LIFE_S = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """What was promised, and what became of it. `lost` were acknowledged by the spool and are not in the store."""

    kills: int
    acknowledged: int
    lost: int
    twice: int
    changed: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.kills} kills of the agent and {self.kills} of the collector in {self.seconds:.0f} s: "
            f"{self.acknowledged} results acknowledged, {self.lost} lost, {self.twice} twice, {self.changed} changed"
        )


def kill_both(net: Network, times: int, rng: random.Random) -> Found:
    """Kill each so many times, at random moments of its life; then let everything be delivered, and count."""
    began = time.monotonic()
    seen: dict[int, str] = {}
    net.start_sandbox("--latency-ms", "5")
    net.start_collector()
    net.start_agent(REGION)
    for _ in range(times):
        for name in (f"agent-{REGION}", "collector"):
            signal.sigtimedwait([], rng.uniform(0, LONGEST_LIFE_S))
            net.kill(name)
            seen |= spooled(net, REGION)
            if name == "collector":
                net.start_collector()
            else:
                net.start_agent(REGION)
    until("the backlog is gone", lambda: net.ledger(REGION).get("waiting") == 0, patience_s=120)
    assert net.stop(f"agent-{REGION}") == 0, net.log(f"agent-{REGION}")
    assert net.stop("collector") == 0, net.log("collector")
    rows = stored(net)
    expected = {seq: digest[:16] for seq, digest in (seen | spooled(net, REGION)).items()}
    kept = dict(rows.keys())
    return Found(
        times,
        len(expected),
        lost=len(expected.keys() - kept.keys()),
        twice=sum(count - 1 for count in rows.values()) + len(rows) - len(kept),
        changed=sum(kept[seq] != digest for seq, digest in expected.items() if seq in kept),
        seconds=time.monotonic() - began,
    )


def spooled(net: Network, region: str) -> dict[int, str]:
    """seq -> digest of every record that the spool acknowledged (delivered ones are kept for a day)."""
    with closing(sqlite3.connect(net.folder / f"{region}.spool")) as database:
        return dict(database.execute("SELECT seq, digest FROM records").fetchall())


def stored(net: Network) -> Counter[tuple[int, str]]:
    """(seq, first half of the digest) -> how many rows the store has of it; there is one agent."""
    with duckdb.connect(str(net.folder / "store.duckdb"), read_only=True) as database:
        rows = database.execute("SELECT seq, digest FROM runs").fetchall()
    return Counter((seq, f"{digest:016x}") for seq, digest in rows)


def main(times: int) -> int:
    with tempfile.TemporaryDirectory() as folder, network(Path(folder)) as net:
        found = kill_both(net, times, random.Random(SEED))
    print(found)
    return 1 if found.lost or found.twice or found.changed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
