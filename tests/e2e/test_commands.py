"""The commands as a user types them: exit codes, messages, and what an agent must not load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from processes_support import DEMO_CONFIG, Network, free_port, get, network, outrider, send, until

from outrider.resources import shipped

AGENT = str(DEMO_CONFIG / "agent.yaml")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("net")) as made:
        made.start_sandbox("--latency-ms", "5")
        made.start_collector()
        yield made


def once(net: Network, *argv: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = outrider("once", "--config", AGENT, "--json", *argv, environment=net.environment())
    return done.returncode, {record["check"]: record for record in map(json.loads, done.stdout.splitlines())}


def test_once_passes_where_everything_is_well(net: Network) -> None:
    code, records = once(net)
    assert code == 0
    assert {record["outcome"] for record in records.values()} == {"ok"}
    assert records["card-authorize-void"]["cleanup"] == "none", "the void was a step of its own"
    assert [step["name"] for step in records["card-authorize-void"]["steps"]] == ["authorize", "void"]


@pytest.mark.parametrize(
    ("fault", "check", "outcome", "code", "exit_code"),
    [
        ({"kind": "truncate", "component": "clearinghouse"}, "eligibility", "malformed", "truncated", 1),
        ({"kind": "wrong_trn", "component": "clearinghouse"}, "eligibility", "malformed", "mismatch", 1),
        ({"kind": "wrong_payload_id", "component": "clearinghouse"}, "eligibility", "malformed", "mismatch", 1),
        ({"kind": "aaa", "code": "80", "loop": "2100A", "component": "*"}, "eligibility", "partner_down", "80", 1),
        ({"kind": "aaa", "code": "42", "loop": "2100A", "component": "*"}, "eligibility", "partner_down", "42", 1),
        ({"kind": "aaa", "code": "42", "loop": "2000A", "component": "*"}, "eligibility", "service_down", "42", 1),
        ({"kind": "html", "component": "*"}, "eligibility", "malformed", "", 1),
        ({"kind": "maintenance", "component": "*"}, "portal", "service_down", "503", 1),
        ({"kind": "throttle", "component": "*"}, "portal", "throttled", "429", 1),
        ({"kind": "unauthorized", "component": "*"}, "portal", "probe_fault", "401", 2),
        ({"kind": "reset", "component": "*"}, "portal", "service_down", "reset", 1),
        ({"kind": "hang", "component": "*"}, "portal", "service_down", "timeout", 1),
    ],
)
def test_once_says_what_went_wrong_and_whose_fault_it_is(
    net: Network, fault: dict[str, Any], check: str, outcome: str, code: str, exit_code: int
) -> None:
    send(f"{net.sandbox_url}/faults/it", "PUT", fault)
    try:
        returned, records = once(net, check)
    finally:
        send(f"{net.sandbox_url}/faults", "DELETE")
    assert (returned, records[check]["outcome"]) == (exit_code, outcome)
    assert records[check]["code"] == code or not code


def test_once_against_nobody_is_service_down(net: Network) -> None:
    nowhere = {**net.environment(), "OUTRIDER_NETWORK": f"http://127.0.0.1:{free_port()}"}
    done = outrider("once", "--config", AGENT, "--json", environment=nowhere)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert {(record["outcome"], record["code"], record["place"]) for record in records} == {
        ("service_down", "refused", "net/connect")
    }


def test_an_authorization_that_nobody_answered_is_given_back(net: Network) -> None:
    send(f"{net.sandbox_url}/faults/it", "PUT", {"kind": "reset", "component": "gateway"})
    try:
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(once, net, "card-authorize-void")
            until("the authorization was reset", lambda: get(f"{net.sandbox_url}/faults")["faults"][0]["hits"])
            send(f"{net.sandbox_url}/faults", "DELETE")
            code, records = running.result()
    finally:
        send(f"{net.sandbox_url}/faults", "DELETE")
    assert (code, records["card-authorize-void"]["outcome"]) == (1, "service_down")
    assert records["card-authorize-void"]["cleanup"] == "confirmed"
    assert get(f"{net.sandbox_url}/v1/payments?open=true")["payments"] == []


def test_once_names_a_check_that_is_not_there(net: Network) -> None:
    done = outrider("once", "--config", AGENT, "nonsense", environment=net.environment())
    assert (done.returncode, done.stdout) == (104, "")
    assert "there is no check 'nonsense'; known: eligibility, card-authorize-void, portal" in done.stderr


def test_a_broken_configuration_stops_with_104_and_its_place(net: Network, tmp_path: Path) -> None:
    shutil.copytree(DEMO_CONFIG, tmp_path / "config")
    broken = tmp_path / "config" / "agent.yaml"
    broken.write_text(broken.read_text().replace("interval: 1s", "intervall: 1s", 1))
    for command in (("agent", "--config"), ("once", "--config"), ("validate",)):
        done = outrider(*command, str(broken), environment=net.environment())
        assert done.returncode == 104
        assert f"{broken}:18:5: " in done.stderr
        assert "'intervall'" in done.stderr
        assert "'interval'" in done.stderr, "the nearest key that exists"
        assert "Traceback" not in done.stderr


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    done = outrider("collector", "--config", str(DEMO_CONFIG / "collector.yaml"), environment={"PATH": "/usr/bin"})
    assert done.returncode == 104
    assert "OUTRIDER_COLLECTOR_LISTEN" in done.stderr


def test_wrong_arguments_are_104_since_2_means_inconclusive() -> None:
    assert outrider("once", "--nonsense").returncode == 104
    assert outrider("nonsense").returncode == 104
    assert outrider().returncode == 104


def test_a_sandbox_that_nobody_could_have_meant_does_not_start() -> None:
    done = outrider("sandbox", "--listen", "127.0.0.1:0", "--claim-answer", "997")
    assert done.returncode == 104
    assert "claim_answer: '997' is not one of 277CA 999 999+277CA 999,277CA" in done.stderr
    assert outrider("--version").returncode == 0


def test_validate_accepts_what_is_shipped(net: Network) -> None:
    assert outrider("validate").returncode == 0
    done = outrider("validate", str(DEMO_CONFIG), environment=net.environment())
    assert (done.returncode, done.stdout) == (0, "3 files are right\n")


def test_validate_tells_how_many_there_are_and_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("name: x\nsteps: 1\n")
    done = outrider("validate", str(tmp_path / "one.yaml"))
    assert (done.returncode, done.stdout) == (104, "1 file, 1 mistake\n")
    (tmp_path / "one.yaml").unlink()
    done = outrider("validate", str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (104, "", f"there is no .yaml or .yml file in {tmp_path}\n")
    done = outrider("validate", str(tmp_path / "two.yaml"))
    assert done.stderr == f"{tmp_path}/two.yaml:1:1: the file cannot be read: No such file or directory\n"


def test_validate_holds_an_agent_against_the_agreement_beside_it(net: Network, tmp_path: Path) -> None:
    shutil.copytree(DEMO_CONFIG, tmp_path / "config")
    agreement = tmp_path / "config" / "agreement.yaml"
    agreement.write_text(agreement.read_text().replace("limit: 600ms", "limit: 900ms"))
    done = outrider("validate", str(tmp_path / "config"), environment=net.environment())
    assert done.returncode == 104
    assert "check 'eligibility': a timeout of 900ms is not longer than the limit of G3" in done.stderr


def test_a_second_agent_on_the_same_spool_is_refused(net: Network) -> None:
    net.start_agent("us-west")
    pid = net.processes["agent-us-west"].pid
    done = outrider("agent", "--config", AGENT, environment=net.environment("us-west"))
    assert net.stop("agent-us-west") == 0
    assert done.returncode == 104
    assert f"is in use by process {pid}" in done.stderr


def test_windows_and_reports_work_from_the_command_line(net: Network, tmp_path: Path) -> None:
    where = ("--collector", net.collector_url)
    done = outrider("window", "announce", *where, "--start", "2030-01-05T02:00:00-05:00", "--duration", "2h",
                    "--reason", "upgrade", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert [excuse["excused_us"] for excuse in made["excuses"]] == [7_200_000_000] * 2
    late = outrider("window", "complete", *where, made["window"])
    assert (late.returncode, "cancel it instead" in late.stderr) == (104, True)
    assert outrider("window", "cancel", *where, made["window"]).returncode == 0
    listed = outrider("window", "list", *where)
    assert made["window"] in listed.stdout
    assert "cancelled" in listed.stdout
    verified = outrider("window", "verify", *where, made["window"], "--json")
    assert (verified.returncode, json.loads(verified.stdout)["verdict"]) == (2, "inconclusive"), "it was cancelled"
    assert "was cancelled" in outrider("window", "verify", *where, made["window"], "--wait").stdout
    unknown = outrider("window", "cancel", *where, "w-none")
    assert (unknown.returncode, "there is no window" in unknown.stderr) == (104, True)
    wrong = outrider("window", "announce", *where, "--start", "2030-01-05T02:00:00", "--duration", "2h")
    assert (wrong.returncode, "names no offset" in wrong.stderr) == (104, True)
    assert outrider("window", "delete", *where, made["window"]).returncode == 104, "there is no such act"
    report = outrider("report", *where, "--period", "2029-01", "--json")
    assert (report.returncode, json.loads(report.stdout)["verdict"]) == (2, "no data")
    forms = [each for form in ("csv", "html", "pdf") for each in (f"--{form}", str(tmp_path / form))]
    written = outrider("report", *where, "--period", "2029-01", *forms)
    assert (written.returncode, written.stderr) == (2, "")
    assert [(tmp_path / form).read_bytes()[:5] for form in ("csv", "html", "pdf")] == [b"guara", b"<!DOC", b"%PDF-"]
    bad = outrider("report", *where, "--period", "June")
    assert (bad.returncode, "write a month like 2026-06" in bad.stderr) == (104, True)
    away = outrider("report", "--collector", f"http://127.0.0.1:{free_port()}", "--last", "10m")
    assert (away.returncode, "no collector answers" in away.stderr) == (1, True)


def test_every_act_on_a_window_works_from_the_command_line(net: Network, tmp_path: Path) -> None:
    def window(act: str, *argv: str) -> tuple[int, str, str]:
        done = outrider("window", act, "--collector", net.collector_url, *argv)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def shown(act: str, *argv: str) -> Any:
        code, out, err = window(act, *argv, "--json")
        assert code == 0, err
        return json.loads(out)

    zone = ("--timezone", "America/New_York")
    made = shown("announce", "--start", "2031-01-05T02:00", "--duration", "2h", *zone)["window"]
    assert shown("move", made, "--start", "2031-01-06T02:00", *zone)["end"] == "2031-01-06T09:00:00Z"
    assert shown("extend", made, "--by", "1h", "--reason", "more work")["reason"] == "more work"
    assert shown("shorten", made, "--end", "2031-01-06T03:00", *zone)["end"] == "2031-01-06T08:00:00Z"
    code, out, _ = window("history", made)
    assert code == 0
    assert [word for word in out.split() if word in ("announce", "move", "extend", "shorten")][:4] == [
        "announce", "move", "extend", "shorten"
    ]  # fmt: skip
    code, _, err = window("announce", "--start", "2031-03-09T02:30", "--duration", "1h", *zone)
    assert (code, "2031-03-09T02:30:00-05:00" in err, "2031-03-09T02:30:00-04:00" in err) == (104, True, True)
    code, out, _ = window("announce", "--start", "2026-01-01T02:00:00Z", "--duration", "1h")
    assert (code, "will not excuse under G1" in out) == (0, True), "too late is recorded, and told"
    code, _, err = window("announce", "--start", "2031-01-05T02:00:00Z", "--duration", "1h", "--scope", "nonsense")
    assert (code, "'nonsense' is no known check" in err) == (104, True)


def test_arguments_that_no_window_can_be_meant_by_are_refused_by_name(net: Network, tmp_path: Path) -> None:
    at = ("--start", "2031-01-05T02:00:00Z", "--duration", "1h")
    where = ("--collector", net.collector_url)
    latin = os.fsdecode(b"caf\xe9")
    file = tmp_path / "c.ics"
    file.write_text("BEGIN:VCALENDAR\nEND:VCALENDAR\n")
    wrong: list[tuple[tuple[str, ...], str]] = [
        (("announce", *where, *at, "--reason", latin), "--reason: 'caf\\udce9' is not UTF-8"),
        (("import", *where, str(file), "--calendar", latin), "--calendar: "),
        (("import", *where, str(file), "--scope", latin), "--scope: "),
        (("history", *where, latin), "window: "),
        (("history", *where, ".."), "there is no window '..'"),
        (("cancel", *where, ""), "there is no window ''"),
        (("import", *where, "http://[bad", "--calendar", "c"), "cannot be had"),
        (("list", "--collector", "nonsense"), "'nonsense' is not the address of a collector"),
        (("list", "--collector", "http://127.0.0.1:99999"), "is not the address of a collector"),
        (("list", "--collector", "ftp://127.0.0.1"), "is not the address of a collector"),
    ]
    for argv, told in wrong:
        done = outrider("window", *argv)
        assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (
            1 if "cannot be had" in told else 104, True, False
        ), done.stderr  # fmt: skip


def test_windows_come_from_calendars_and_go_into_them_from_the_command_line(net: Network, tmp_path: Path) -> None:
    where = ("--collector", net.collector_url)
    file = tmp_path / "provider.ics"
    event = "BEGIN:VEVENT\nUID:a\nDTSTART:20310105T020000Z\nDURATION:PT1H\nSUMMARY:from a file\nEND:VEVENT\n"
    file.write_text(f"BEGIN:VCALENDAR\n{event}END:VCALENDAR\n")
    for extra, told in ((("--dry-run",), "1 would be recorded"), ((), "1 recorded"), ((), "0 recorded, 1 unchanged")):
        done = outrider("window", "import", *where, str(file), *extra)
        assert (done.returncode, told in done.stdout) == (0, True), done.stderr
    exported = tmp_path / "all.ics"
    assert outrider("window", "export", *where, str(exported)).returncode == 0
    assert "SUMMARY:from a file" in exported.read_text()
    assert outrider("window", "export", *where).stdout == exported.read_text()
    file.write_text(f"BEGIN:VCALENDAR\n{event}{event.replace('UID:a', 'UID:b').replace('PT1H', 'soon')}END:VCALENDAR\n")
    done = outrider("window", "import", *where, str(file))
    assert (done.returncode, "provider.ics: line 11: DURATION: 'soon' is not a duration" in done.stderr) == (104, True)
    done = outrider("window", "import", *where, str(tmp_path / "none.ics"))
    assert (done.returncode, "cannot be read" in done.stderr) == (104, True)
    done = outrider("window", "import", *where, "http://127.0.0.1:9/x.ics")
    assert (done.returncode, "--calendar" in done.stderr) == (104, True)
    done = outrider("window", "import", *where, "http://127.0.0.1:9/x.ics", "--calendar", "x")
    assert (done.returncode, "cannot be had" in done.stderr) == (1, True)


def test_an_agent_loads_neither_numpy_nor_locust_nor_the_store() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "outrider", "agent", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "aiohttp" in loaded
    assert "outrider" in loaded
    heavy = {"numpy", "locust", "duckdb", "jinja2", "rich", "cryptography", "dns", "fpdf"}
    assert not loaded & {*heavy, "outrider_collector", "outrider_sandbox"}


def test_once_all_runs_the_whole_library_against_a_sandbox_of_its_own() -> None:
    done = outrider("once", "--all", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["scenario"] for record in records} == {path.stem for path in shipped("scenarios").glob("*.yaml")}
    assert {(record["outcome"], record["purpose"]) for record in records} == {("ok", "once")}


def test_once_all_at_a_sandbox_that_runs_meets_its_faults(net: Network) -> None:
    send(f"{net.sandbox_url}/faults/it", "PUT", {"kind": "throttle", "component": "portal"})
    done = outrider("once", "--all", "--sandbox", net.sandbox_url, "--json", "portal", "eligibility")
    send(f"{net.sandbox_url}/faults", "DELETE")
    outcomes = {record["check"]: record["outcome"] for record in map(json.loads, done.stdout.splitlines())}
    assert (done.returncode, outcomes) == (1, {"portal": "throttled", "eligibility": "ok"})


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["--all", "--sandbox", "http://127.0.0.1:1"], 1, "there is no sandbox at http://127.0.0.1:1"),
        (["--all", "nobody"], 104, "there is no check 'nobody'; known: "),
        (["--all", "--config", AGENT], 104, "not allowed with argument"),
        (["--sandbox", "http://127.0.0.1:1", "--config", AGENT], 104, "--sandbox goes with --all"),
        ([], 104, "one of the arguments --config --all is required"),
    ],
)
def test_once_without_a_file_to_go_by_says_what_is_wrong(argv: list[str], code: int, told: str) -> None:
    done = outrider("once", *argv)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr


def test_the_outcome_table_is_shown_with_an_agents_own_rows_first(tmp_path: Path, net: Network) -> None:
    def rows(*argv: str) -> list[dict[str, str]]:
        done = outrider("outcomes", "--json", *argv, environment=net.environment())
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    shipped_rows = rows()
    assert {
        "place": "aaa/*", "code": "80", "outcome": "partner_down", "fault": "partner", "network": "good",
        "end_to_end": "bad",
    } in shipped_rows  # fmt: skip
    own = tmp_path / "agent.yaml"
    row = "outcomes:\n  - { place: status, code: '418', outcome: throttled }\n"
    own.write_text((DEMO_CONFIG / "agent.yaml").read_text(encoding="utf-8") + row, encoding="utf-8")
    first, *others = rows("--config", str(own))
    assert (first["place"], first["code"], first["outcome"]) == ("status", "418", "throttled")
    assert others == shipped_rows
    assert outrider("outcomes", "--config", str(tmp_path / "none.yaml")).returncode == 104
