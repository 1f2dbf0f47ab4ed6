"""kill -9 of agents and of the collector: what was acknowledged is in the store, exactly once."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import duckdb
from kills_support import SEED, kill_both
from processes_support import Network, network, until

REGIONS = ("us-east", "us-west", "eu-central")


def spooled(net: Network, region: str) -> dict[int, str]:
    """seq -> digest of every record that the spool acknowledged (delivered ones are kept for a day)."""
    with closing(sqlite3.connect(net.folder / f"{region}.spool")) as database:
        return dict(database.execute("SELECT seq, digest FROM records").fetchall())


def stored(net: Network) -> Counter[tuple[str, int, str]]:
    """(agent, seq, first half of the digest) -> how many rows the store has of it."""
    with duckdb.connect(str(net.folder / "store.duckdb"), read_only=True) as database:
        rows = database.execute("SELECT n.text, r.seq, r.digest FROM runs r JOIN names n ON n.id = r.agent").fetchall()
    return Counter((agent, seq, f"{digest:016x}") for agent, seq, digest in rows)


def test_what_was_acknowledged_survives_kill_9_of_agents_and_collector_exactly_once(tmp_path: Path) -> None:
    with network(tmp_path) as net:
        net.start_sandbox("--latency-ms", "5")
        net.start_collector()
        for region in REGIONS:
            net.start_agent(region)
        promised: dict[str, int] = {}
        for region in REGIONS:
            ledger = until("results were delivered", lambda: busy(net, region))  # noqa: B023
            promised[region] = ledger["recorded"]
            net.kill(f"agent-{region}")
        net.kill("collector")
        for region in REGIONS:
            net.start_agent(region)
        # Nobody collects: results wait, and probing goes on.
        waiting = {
            region: until("results wait", lambda: waits(net, region))["recorded"]  # noqa: B023
            for region in REGIONS
        }
        net.start_collector()
        for region in REGIONS:
            until("the backlog is gone", lambda: drained(net, region, waiting[region]))  # noqa: B023
            assert net.stop(f"agent-{region}") == 0, net.log(f"agent-{region}")
        assert net.stop("collector") == 0, net.log("collector")

        rows = stored(net)
        assert set(rows.values()) == {1}, "nothing twice"
        for region in REGIONS:
            kept = spooled(net, region)
            assert len(kept) >= waiting[region] > promised[region] > 0
            assert sorted(kept) == list(range(1, len(kept) + 1)), "no sequence number was lost or used twice"
            expected = {(f"{region}-1", seq, digest[:16]) for seq, digest in kept.items()}
            assert {key for key in rows if key[0] == f"{region}-1"} == expected, "nothing missing, nothing changed"


def busy(net: Network, region: str) -> dict[str, int] | None:
    ledger = net.ledger(region)
    return ledger if ledger.get("delivered", 0) >= 5 and ledger.get("waiting", 0) >= 0 else None


def waits(net: Network, region: str) -> dict[str, int] | None:
    ledger = net.ledger(region)
    return ledger if ledger.get("waiting", 0) >= 6 else None


def drained(net: Network, region: str, at_least: int) -> bool:
    ledger = net.ledger(region)
    return ledger.get("delivered", 0) >= at_least


def test_kills_at_random_moments_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    with network(tmp_path) as net:
        found = kill_both(net, 3, random.Random(SEED))
    assert (found.lost, found.twice, found.changed) == (0, 0, 0), found
    assert found.acknowledged > 0
