"""`outrider window verify --probe-locally`: runs from here, over a real sandbox and a collector with stored runs."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from collector_support import NOON, Collector, collecting, keep
from processes_support import Network, get, network, send, until
from test_window_verification import AFTER, BEFORE, END, LATER, MAINTENANCE, announced, good, minutes, well

from outrider.core.units import HOUR, MINUTE, parse_instant
from outrider_collector.forms.verification_reading import read_report

AGENT = """\
agent: here-1
region: here
collector: { url: "http://127.0.0.1:9" }
spool: { path: here.spool }
targets: { network: { url: "${env:OUTRIDER_NETWORK}" } }
money: { daily_cap: { USD: 1000000 }, kill_switch: stop }
checks:
  - { name: eligibility, scenario: eligibility, target: network, interval: 60s, timeout: 5s }
  - { name: card, scenario: card-authorize-void, target: network, interval: 60s, timeout: 5s }
  - { name: portal, scenario: portal, target: network, interval: 60s, timeout: 5s }
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("net")) as made:
        made.start_sandbox()
        yield made


@pytest.fixture
async def collector(tmp_path: Path, net: Network) -> AsyncIterator[Collector]:
    send(f"{net.sandbox_url}/faults", "DELETE")
    async with collecting(tmp_path) as made:
        made.clock.at = NOON - 3 * HOUR
        yield made


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT)
    return path


async def verifying(
    net: Network, collector: Collector, window: str, agent: Path, *argv: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "outrider", "window", "verify", window, "--collector", collector.url, "--json",
        "--probe-locally", str(agent), "--probe-interval", "1s", *argv,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=net.environment(),
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> tuple[int, Any, str]:
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return process.returncode, json.loads(out) if out else None, err.decode()


async def line_with(process: asyncio.subprocess.Process, words: str) -> str:
    """The first line on standard error that has these words."""
    assert process.stderr is not None
    while raw := await asyncio.wait_for(process.stderr.readline(), 30):
        if words in raw.decode():
            return raw.decode()
    raise AssertionError(f"no line had {words!r}")


def payments(net: Network) -> list[str]:
    return [each["status"] for each in get(f"{net.sandbox_url}/v1/payments?limit=1000")["payments"]]


def purposes(collector: Collector) -> set[str]:
    """Of every run that the collector has."""
    import duckdb

    collector.rooms.store.close()
    with duckdb.connect(str(collector.rooms.config.store), read_only=True) as database:
        found = database.execute("SELECT DISTINCT n.text FROM runs r JOIN names n ON n.id = r.purpose").fetchall()
    return {str(name) for (name,) in found}


def rewrite(agent: Path, old: str, new: str) -> None:
    assert old in AGENT
    agent.write_text(AGENT.replace(old, new))


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def over(collector: Collector, check: str = "eligibility") -> str:
    """A window that went well, by the regions' own runs."""
    window = await announced(collector, scope=[check])
    records = good() if check == "eligibility" else well([BEFORE, minutes(NOON, END), AFTER], check)
    keep(collector.rooms.store, records, LATER)
    collector.clock.at = LATER
    return window


async def test_three_good_runs_from_here_stand_in_the_report_and_in_no_account(
    net: Network, collector: Collector, agent: Path, tmp_path: Path
) -> None:
    window = await over(collector)
    plain = (await collector.get(f"/v1/windows/{window}/verification")).json
    page = tmp_path / "report.html"
    code, report, err = await ended(await verifying(net, collector, window, agent, "--html", str(page)))
    assert (code, report["verdict"], err) == (0, "all clear", "")
    local = report.pop("local")
    assert {**report, "as_of": ""} == {**plain, "as_of": ""}, "what the regions saw is judged as ever"
    (check,) = local["checks"]
    assert (check["check"], check["runs"], check["good_running"], check["is_back"]) == ("eligibility", 3, 3, True)
    assert LATER < parse_instant(check["first_good"]) < LATER + MINUTE, "by the collector's clock"
    assert (local["purpose"], local["region"], local["interval_us"]) == ("verify", "here", 1_000_000)
    read_report({**report, "local": local})
    assert "in no account" in page.read_text()
    assert {each.name for each in files(tmp_path)} & {"here.spool"} == set(), "nothing waits to be sent"
    assert purposes(collector) == {"probe"}


async def test_bad_runs_from_here_leave_it_open_and_fail_nothing(
    net: Network, collector: Collector, agent: Path
) -> None:
    window = await over(collector)
    send(f"{net.sandbox_url}/faults/down", "PUT", {"kind": "error", "component": "clearinghouse"})
    code, report, _ = await ended(await verifying(net, collector, window, agent))
    assert (code, report["verdict"], report["failures"]) == (2, "inconclusive", [])
    assert report["pending"] == ["eligibility from here: 0 good runs running of 3"]
    assert report["local"]["checks"][0]["bad_runs"] == 3
    assert report["after"]["back"][0]["is_back"] is True


async def test_nothing_is_sent_from_here_before_the_window_is_over_and_waiting_shows_what_is_seen(
    net: Network, collector: Collector, agent: Path
) -> None:
    window = await announced(collector)
    keep(collector.rooms.store, [*well([BEFORE]), *MAINTENANCE], NOON + 30 * MINUTE)
    collector.clock.at = NOON + 30 * MINUTE
    process = await verifying(net, collector, window, agent, "--wait", "--limit", "60s")
    said = await line_with(process, "waiting: ")
    assert "the window ends" in said
    assert "probed locally" not in said
    keep(collector.rooms.store, well([minutes(END, END + HOUR)]), END + HOUR)
    collector.clock.at = END + HOUR
    assert "probed locally: 1 of 1 checks good again" in await line_with(process, "1 of 1 checks")
    keep(collector.rooms.store, well([minutes(END + HOUR, LATER)]), LATER)
    collector.clock.at = LATER
    code, report, _ = await ended(process)
    assert (code, report["verdict"]) == (0, "all clear")
    assert report["local"]["checks"][0]["runs"] >= 3
    first = parse_instant(report["local"]["checks"][0]["first_good"])
    assert END + HOUR <= first < END + HOUR + MINUTE, "it began when the window was over"


async def test_payments_from_here_are_cleaned_up_also_when_interrupted(
    net: Network, collector: Collector, agent: Path
) -> None:
    window = await over(collector, "card")
    code, report, _ = await ended(await verifying(net, collector, window, agent))
    assert (code, report["local"]["unconfirmed_cleanups"]) == (0, 0)
    before = payments(net)
    assert (len(before), set(before)) == (3, {"voided"})
    # Each answer comes late, so that the interruption meets a run under way.
    send(f"{net.sandbox_url}/faults/slow", "PUT", {"kind": "delay", "component": "gateway", "ms": 700})
    for number in (signal.SIGINT, signal.SIGTERM):
        process = await verifying(net, collector, window, agent, "--wait", "--limit", "60s", "--baseline-runs", "2000")
        await line_with(process, "from here: 0 good")
        known = len(payments(net))
        await asyncio.to_thread(until, "a run is under way", lambda: len(payments(net)) > known)  # noqa: B023
        process.send_signal(number)
        await line_with(process, "cleaning up")
        process.send_signal(number)
        code, report, _ = await ended(process)
        assert (code, report) == (130, None)
        assert set(payments(net)) == {"voided"}


async def test_the_agents_kill_switch_and_cap_hold_here_too(net: Network, collector: Collector, agent: Path) -> None:
    window = await over(collector, "card")
    known = len(payments(net))
    switch = agent.with_name("stop")
    switch.touch()
    code, report, err = await ended(await verifying(net, collector, window, agent))
    assert (code, report["verdict"], report["local"]["checks"][0]["runs"]) == (2, "inconclusive", 0)
    assert err.count("check card from here: does not run: the kill switch") == 1, err
    switch.unlink()
    rewrite(agent, "USD: 1000000", "USD: 200")
    code, report, err = await ended(await verifying(net, collector, window, agent))
    assert report["local"]["checks"][0]["runs"] == len(payments(net)) - known < 3
    assert "does not run: " in err
    assert "USD of 200 (minor units)" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--probe-interval", "999ms"), "every second at most"),
        (("--as-of", "2026-06-15T12:00:00Z"), "what is past is not probed"),
    ],
)
async def test_local_probing_that_cannot_be_meant_is_refused(
    net: Network, collector: Collector, agent: Path, argv: tuple[str, ...], words: str
) -> None:
    code, report, err = await ended(await verifying(net, collector, "w-1", agent, *argv))
    assert (code, report, words in err) == (104, None, True), err


async def test_a_file_that_is_wrong_or_has_nothing_in_scope_is_refused_by_its_place(
    net: Network, collector: Collector, agent: Path
) -> None:
    window = await over(collector, "second-site")
    code, _, err = await ended(await verifying(net, collector, window, agent))
    assert (code, "none of its checks is in the window's scope, second-site" in err) == (104, True), err
    rewrite(agent, "timeout: 5s }\n  - { name: card,", "timeout: soon }\n  - { name: card,")
    code, _, err = await ended(await verifying(net, collector, window, agent))
    assert (code, f"{agent}:8:" in err) == (104, True), err


async def test_what_was_not_given_back_is_told_and_leaves_the_window_open(
    net: Network, collector: Collector, agent: Path
) -> None:
    window = await over(collector, "card")
    # Every answer is lost, also those of the cleanup: nobody knows what became of the money.
    send(f"{net.sandbox_url}/faults/gone", "PUT", {"kind": "reset", "component": "gateway"})
    code, report, err = await ended(await verifying(net, collector, window, agent))
    assert (code, report["verdict"], report["local"]["unconfirmed_cleanups"]) == (2, "inconclusive", 3)
    assert report["missing"] == ["card from here: cleanup is not confirmed"]
    assert err.count("check card from here: cleanup is not confirmed") == 1
