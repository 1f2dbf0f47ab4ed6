"""`outrider demo`, whole: what its statement says, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from processes_support import until

from outrider.core.units import parse_instant


def test_the_demo_excuses_the_announced_downtime_and_not_the_outage(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "outrider", "demo", "--for", "45s", "--json", "--keep", str(tmp_path)],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
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
