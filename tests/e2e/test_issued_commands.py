"""`outrider report` for issued statements, as a user types it, and what the collector tells its scraper of them."""

from __future__ import annotations

import json
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from collector_support import keep, lose, run
from processes_support import DEMO_CONFIG, Network, get, network, outrider, send, text, until

from outrider.core.units import DAY, HOUR, format_instant
from outrider_collector.store.duckdb_store import DuckdbStore


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    """A collector with ten records of two days ago in its store, which it seals, and a calendar that is not there."""
    with network(tmp_path) as made:
        store = DuckdbStore(made.folder / "store.duckdb")
        at = time.time_ns() // 1000 // DAY * DAY - 2 * DAY + 12 * HOUR
        keep(store, [run(at + n) for n in range(10)], at + HOUR)
        store.close()
        plain = (DEMO_CONFIG / "collector.yaml").read_text().replace("${env:OUTRIDER_AGREEMENT}", "agreement.yaml")
        calendar = "calendars:\n  - {name: provider, source: none.ics, interval: 1s}\n"
        (made.folder / "collector.yaml").write_text(plain + "evidence: evidence\n" + calendar)
        (made.folder / "agreement.yaml").write_text((DEMO_CONFIG / "agreement.yaml").read_text())
        start(made)
        yield made


def start(net: Network) -> None:
    net.start("collector", "collector", "--config", str(net.folder / "collector.yaml"))
    until("the collector answers", lambda: get(f"{net.collector_url}/v1/status"))


def metric(net: Network, name: str) -> float | None:
    for line in text(f"{net.collector_url}/metrics").splitlines():
        if line.startswith(name):
            return float(line.rpartition(" ")[2])
    return None


def test_a_statement_is_issued_made_again_and_replaced_and_each_step_is_told(net: Network) -> None:
    day = format_instant(time.time_ns() // 1000 - 2 * DAY)[:10]
    to = ("--collector", net.collector_url)
    outputs = [net.folder / "r1.html", net.folder / "r1.pdf"]
    html, pdf = map(str, outputs)
    done = outrider("report", *to, "--period", day, "--issue", "--author", "ops", "--html", html, "--pdf", pdf)
    assert f"{day} r1 issued" in " ".join(done.stdout.split()), done.stdout + done.stderr
    first = outrider("report", *to, "--period", day, "--revision", "1", "--json")
    assert (json.loads(first.stdout)["revision"], first.returncode) == (1, done.returncode)
    again = outrider("report", *to, "--period", day, "--issue")
    assert "r1 still holds" in again.stdout
    assert metric(net, f'outrider_statement_stale{{period="{day}"}}') == 0

    start_at = f"{day}T13:00:00Z"
    send(f"{net.collector_url}/v1/windows", "POST", {"start": start_at, "duration": "1h", "reason": "afterwards"})
    listed = outrider("report", *to, "--revisions")
    assert (listed.returncode, f"{day} r1 is stale: announcements of windows" in listed.stdout) == (0, True)
    assert metric(net, f'outrider_statement_stale{{period="{day}"}}') == 1
    second = outrider("report", *to, "--period", day, "--issue")
    assert f"{day} r2 issued" in " ".join(second.stdout.split())
    assert "issued as revision r2, replaces r1 of " in second.stdout
    compared = outrider("report", *to, "--period", day, "--compare", "1", "2")
    assert compared.returncode == 0
    assert f"{day}, r1 to r2" in compared.stdout
    assert "window w-" in compared.stdout

    made_again = [net.folder / "again.html", net.folder / "again.pdf"]
    html, pdf = map(str, made_again)
    outrider("report", *to, "--period", day, "--revision", "1", "--html", html, "--pdf", pdf)
    assert [each.read_bytes() for each in made_again] == [each.read_bytes() for each in outputs]
    assert outrider("report", *to, "--period", day, "--revision", "1", "--json").stdout == first.stdout


def test_what_does_not_go_together_or_is_too_early_is_104(net: Network) -> None:
    today = format_instant(time.time_ns() // 1000)[:10]
    to = ("--collector", net.collector_url)
    for argv, words in (
        (("--last", "1h", "--issue"), "are about a --period"),
        (("--period", today, "--issue"), "is not over and settled: it can be issued from"),
        (("--period", today, "--author", "me"), "--author goes with --issue"),
        (("--period", today, "--as-issued"), "--as-issued goes with --revision"),
        (("--period", today, "--revision", "1", "--as-of", f"{today}T00:00:00Z"), "has its own instant"),
        (("--period", today, "--revision", "1"), "was not issued"),
        (("--period", today, "--revision", "-1"), "numbered from 1"),
        (("--period", "../..", "--issue"), "not a period"),
        (("--period", today, "--issue", "--revision", "1"), "not allowed with"),
    ):
        done = outrider("report", *to, *argv)
        assert (done.returncode, words in done.stderr) == (104, True), (argv, done.stderr)
        assert "Traceback" not in done.stderr


def test_an_issued_statement_that_can_no_longer_be_made_fails_loudly(net: Network) -> None:
    day = format_instant(time.time_ns() // 1000 - 2 * DAY)[:10]
    to = ("--collector", net.collector_url)
    issued = json.loads(outrider("report", *to, "--period", day, "--issue", "--json").stdout)
    net.stop("collector")
    assert lose(net.folder / "store.duckdb", time.time_ns() // 1000) == 10
    start(net)
    done = outrider("report", *to, "--period", day, "--revision", "1")
    assert (done.returncode, "is NOT what was issued" in done.stderr) == (1, True)
    kept = outrider("report", *to, "--period", day, "--revision", "1", "--as-issued", "--json")
    assert json.loads(kept.stdout) == issued


def test_the_metrics_tell_of_calendars_and_evidence(net: Network) -> None:
    until("the day is sealed", lambda: metric(net, "outrider_evidence_last_sealed_day_timestamp_seconds"))
    assert metric(net, "outrider_evidence_trouble") == 0
    sealed = metric(net, "outrider_evidence_last_sealed_day_timestamp_seconds")
    assert sealed is not None
    assert time.time() - 2 * 86_400 < sealed + 86_400 <= time.time()
    until("a look failed", lambda: metric(net, 'outrider_calendar_failures_total{calendar="provider"}'))
    name = 'outrider_calendar_last_read_timestamp_seconds{calendar="provider"}'
    assert metric(net, name) is None, "it was never read to its end"
    start_at = format_instant((time.time_ns() // 1000 + 9 * DAY) // DAY * DAY)
    stamp = start_at.replace("-", "").replace(":", "")
    (net.folder / "none.ics").write_text(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//y//EN\nBEGIN:VEVENT\nUID:a\nDTSTAMP:20260101T000000Z\n"
        f"DTSTART:{stamp}\nDURATION:PT1H\nSUMMARY:work\nEND:VEVENT\nEND:VCALENDAR\n".replace("\n", "\r\n")
    )
    until("it was read", lambda: metric(net, name))
    assert metric(net, 'outrider_calendar_windows_taken_total{calendar="provider"}') == 1


def test_today_is_sealed_when_asked_for_and_every_look_at_it_says_so(net: Network) -> None:
    to = ("--collector", net.collector_url)
    until("the day is sealed", lambda: metric(net, "outrider_evidence_last_sealed_day_timestamp_seconds"))
    sealed = outrider("seal", *to, "--today")
    assert (sealed.returncode, "(partial: the day was not over)" in sealed.stdout) == (0, True), sealed.stderr
    again = outrider("seal", *to, "--today")
    assert "no seal: no day is due" in again.stdout
    found = json.loads(outrider("verify-evidence", str(net.folder / "evidence"), "--json").stdout)
    assert (found["ok"], len(found["partial"])) == (True, 1)
    assert "before it was over; no seal completes it" in found["partial"][0]
    with pytest.raises(urllib.error.HTTPError, match="422"):
        send(f"{net.collector_url}/v1/evidence/seal?today=maybe", "POST")
