"""`outrider agent doctor`, on a spool that lies there, on one that is in use, and on damage."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from processes_support import DEMO_CONFIG, Network, network, outrider, until

from outrider.clock import SystemClock
from outrider.spool import Outbox

REGION = "us-east"


def doctor(net: Network, *more: str) -> tuple[int, Any]:
    argv = ("agent", "doctor", "--json", "--config", str(DEMO_CONFIG / "agent.yaml"), *more)
    found = outrider(*argv, environment=net.environment(REGION))
    assert found.stderr == "" or found.returncode == 104, found.stderr
    return found.returncode, json.loads(found.stdout) if found.stdout else None


def spooled(net: Network, *bodies: bytes) -> None:
    outbox = Outbox(net.folder / f"{REGION}.spool", agent=f"{REGION}-1", clock=SystemClock())

    async def keep() -> None:
        for each in bodies:
            outbox.count("scheduled")
            await outbox.append(each)

    asyncio.run(keep())
    outbox.close()


def test_a_running_agent_is_looked_at_from_outside_and_is_sound(tmp_path: Path) -> None:
    with network(tmp_path) as net:
        net.start_sandbox("--latency-ms", "5")
        net.start_collector()
        net.start_agent(REGION)
        until("results were delivered", lambda: net.ledger(REGION).get("delivered", 0) >= 3)

        def sound() -> Any:
            code, report = doctor(net)
            return report if code == 0 else None

        report = until("the doctor finds it sound", sound)
        assert (report["sound"], report["agent_answers"], report["collector"]["trouble"]) == (True, True, None)
        assert report["last_acknowledgement"] is not None
        assert report["live"]["clock_offset_s"] == pytest.approx(0, abs=1)
        terms = report["conservation"]
        assert terms["scheduled"] == sum(terms.values()) - terms["scheduled"]
        until("it goes on", lambda: net.ledger(REGION).get("delivered", 0) > terms["delivered"])
        assert net.stop(f"agent-{REGION}") == 0, net.log(f"agent-{REGION}")


def test_a_spool_whose_agent_and_collector_are_gone_says_what_waits_and_what_to_do(tmp_path: Path) -> None:
    with network(tmp_path) as net:
        spooled(net, b'{"a":1}', b'{"a":2}')
        before = (net.folder / f"{REGION}.spool").read_bytes()
        code, report = doctor(net)
        assert code == 1
        assert (report["agent_answers"], report["conservation"]["waiting"]) == (False, 2)
        assert report["spool"]["oldest_waiting"] is not None
        assert [each["what"].partition(":")[0] for each in report["troubles"]] == ["collector http"]
        assert (net.folder / f"{REGION}.spool").read_bytes() == before, "nothing was changed"
        words = outrider(
            "agent", "doctor", "--config", str(DEMO_CONFIG / "agent.yaml"), environment=net.environment(REGION)
        )
        assert "conservation: 2 scheduled = 0 skipped" in words.stdout
        assert "  do: results wait in the spool meanwhile" in words.stdout


def test_no_spool_a_damaged_one_and_one_set_aside_are_each_told(tmp_path: Path) -> None:
    with network(tmp_path) as net:
        code, report = doctor(net)
        assert (code, report["spool"]["bytes"]) == (1, 0)
        assert "there is no spool" in report["troubles"][0]["what"]
        assert not (net.folder / f"{REGION}.spool").exists()
        spooled(net, b"{}")
        with closing(sqlite3.connect(net.folder / f"{REGION}.spool", isolation_level=None)) as database:
            database.execute("DELETE FROM facts")
        assert "its totals are damaged" in doctor(net)[1]["troubles"][0]["what"]
        (net.folder / f"{REGION}.spool").write_bytes(b"garbage" * 1000)
        assert "cannot be read" in doctor(net)[1]["troubles"][0]["what"]
        spooled(net, b"{}")
        code, report = doctor(net)
        assert code == 1
        assert len(report["spool"]["set_aside"]) == 1


def test_a_wrong_configuration_is_104(tmp_path: Path) -> None:
    wrong = tmp_path / "agent.yaml"
    wrong.write_text("nonsense: 1\n")
    assert outrider("agent", "doctor", "--config", str(wrong)).returncode == 104
