"""`outrider demo`, whole: what its statement says, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil
import pytest
from processes_support import outrider, until

from outrider.core.units import parse_instant


@dataclass
class Played:
    """What a demo left."""

    folder: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One demo, for all that look at what it left."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "outrider", "demo", "--for", "45s", "--json", "--keep", str(folder)],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Played(folder, done)


def test_the_demo_excuses_the_announced_downtime_and_not_the_outage(played: Played) -> None:
    tmp_path, done = played.folder, played.done
    statement = json.loads(done.stdout)
    assert [(tmp_path / f"statement.{form}").read_bytes()[:5] for form in ("html", "pdf")] == [b"<!DOC", b"%PDF-"]
    available, fast = statement["guarantees"]
    (window,) = statement["windows"]
    length = parse_instant(window["end"]) - parse_instant(window["start"])
    assert [excuse["excused_us"] for excuse in window["excuses"]] == [length, length]
    assert available["verdict"] == "missed", "the outage counts"
    assert len(available["checks"]) == 3
    for part in available["checks"]:
        adjusted, raw = part["adjusted"], part["raw"]
        assert adjusted["excused"] == length // 2_000_000
        assert raw["down"] > adjusted["down"] >= 1, "raw counts the maintenance too"
        assert {region["region"] for region in part["coverage"]} == {"us-east", "us-west", "eu-central"}
        for outage in adjusted["outages"]:
            assert outage["end"] <= window["start"] or outage["start"] >= window["end"]
            assert outage["causes"][0]["outcome"] == "service_down"
    assert fast["adjusted"]["samples"] < fast["raw"]["samples"]
    assert fast["adjusted"]["share"]["numerator"] > 0
    assert children_of(os.getpid()) == []


ROWS = "SELECT * FROM read_parquet('{path}')"


@pytest.mark.parametrize(
    ("case", "select", "named"),
    [
        ("untouched", None, None),
        ("a value", "SELECT * REPLACE (CASE WHEN seq = 7 AND agent = 'us-east-1' THEN latency - 1 ELSE latency END AS "
         "latency) FROM read_parquet('{path}')", "seq 7 was changed"),
        ("a row less", f"{ROWS} WHERE NOT (agent = 'us-east-1' AND seq = 7)", "seq 7 is missing"),
        ("a row more", f"{ROWS} UNION ALL SELECT * REPLACE (99999 AS seq) FROM read_parquet('{{path}}') "
         "WHERE agent = 'us-east-1' AND seq = 7", "seq 99999 was added"),
    ],
)  # fmt: skip
def test_the_evidence_of_the_demo_checks_out_and_a_changed_row_is_named(
    played: Played, tmp_path: Path, case: str, select: str | None, named: str | None
) -> None:
    assert "evidence: ok, " in played.done.stderr
    folder = tmp_path / "evidence"
    shutil.copytree(played.folder / "evidence", folder)
    (path,) = [each for each in sorted(folder.glob("*.parquet")) if each.stat().st_size > 10_000][:1]
    if select is not None:
        duckdb.execute(f"COPY ({select.format(path=path)}) TO '{path}.new' (FORMAT parquet)")
        path.with_name(f"{path.name}.new").replace(path)
    done = outrider("verify-evidence", str(folder), "--key", str(played.folder / "collector.pub"))
    assert "before it was over; no seal completes it" in done.stdout, "it says that the day was not over"
    if named is None:
        assert (done.returncode, done.stdout.splitlines()[-1].startswith("ok: ")) == (0, True), done.stdout
    else:
        assert done.returncode == 1, case
        (told,) = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
        assert ("agent us-east-1" in told, named in told) == (True, True), told


def test_a_folder_with_an_earlier_demo_is_left_alone(played: Played) -> None:
    done = outrider("demo", "--keep", str(played.folder))
    assert (done.returncode, "holds an earlier demo" in done.stderr) == (104, True)


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="needs signals")
def test_ctrl_c_ends_the_demo_early_with_its_statement_and_leaves_nothing(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "outrider", "demo", "--for", "90s", "--json", "--keep", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until("all five processes run", lambda: len(children_of(demo.pid)) == 5)
    children = children_of(demo.pid)
    until("a result is stored", (tmp_path / "us-east.spool").exists)
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, err
    assert len(json.loads(out)["guarantees"]) == 2
    assert "evidence: " in err
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []


def test_a_demo_that_is_killed_takes_its_processes_along(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "outrider", "demo", "--for", "90s", "--json", "--keep", str(tmp_path)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until("all five processes run", lambda: len(children_of(demo.pid)) == 5)
    children = children_of(demo.pid)
    demo.kill()
    demo.wait()
    until("they are gone", lambda: not any(child.is_running() for child in children))


def test_a_demo_too_short_for_its_script_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "outrider", "demo", "--for", "5s"], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 104
    assert "needs 45s at least" in done.stderr


def children_of(pid: int) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if "outrider" in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE
    ]
