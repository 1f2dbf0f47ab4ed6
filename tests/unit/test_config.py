"""Agent files and scenarios, good and bad: one bad text for each rule, and the exact message with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.config import AgentConfig, load_agent, load_scenario, secret_names
from outrider.core.outcome import OutcomeClass, Rule
from outrider.core.units import DAY, MILLISECOND, MINUTE, SECOND
from outrider.execution import secrets_from
from outrider.probes import Target
from outrider.probes.table import PROBES
from outrider.strict_yaml import ConfigError

PROJECT = Path(__file__).resolve().parents[2]

AGENT = """\
agent: probe-1
region: us-east
collector:
  url: http://127.0.0.1:8080
spool:
  path: spool.db
scenario_dirs: [scenarios]
targets:
  gateway:
    url: https://gateway.test
checks:
  - name: asking
    scenario: ask
    target: gateway
    interval: 30s
    timeout: 15s
"""

SCENARIO = """\
name: ask
title: Ask for something
synthetic: true
probe: http
names:
  key: ${uuid}
steps:
  - name: ask
    request:
      method: POST
      path: /ask
      headers: { Idempotency-Key: "${key}" }
      json: { reference: "${key}" }
    capture:
      id: json.id
cleanup:
  - name: undo
    undoes: ask
    request:
      path: /undo/${id}
"""

INQUIRY = """\
name: inquiry
title: Eligibility
synthetic: true
probe: x12
steps:
  - name: inquiry
    request:
      path: /core
      sender: A
      receiver: B
      payer: { name: P, id: "1" }
      provider: { name: C, id: "2" }
      member: { last: L, first: F, id: M, birth_date: "19700101" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "ask.yaml").write_text(SCENARIO)
    return tmp_path


NO_TARGET = "is not an address; it begins with http://, https://, tcp://, tls:// or udp://"


def load(folder: Path, text: str = AGENT, **environ: str) -> AgentConfig:
    (folder / "agent.yaml").write_text(text)
    return load_agent(folder / "agent.yaml", environ)


def complaint(folder: Path, text: str, **environ: str) -> str:
    """What is said about a bad agent file, with the folder left out."""
    with pytest.raises(ConfigError) as refused:
        load(folder, text, **environ)
    return str(refused.value).replace(f"{folder}/", "")


def changed(old: str, new: str, text: str = AGENT) -> str:
    assert text.count(old) == 1, "the text to be changed must be there once"
    return text.replace(old, new)


# --- a good file -------------------------------------------------------------------------------------------------


def test_a_short_file_is_completed_with_what_is_usual(folder: Path) -> None:
    config = load(folder)
    assert (config.name, config.region, config.number) == ("probe-1", "us-east", 0)
    assert config.collector_url == "http://127.0.0.1:8080"
    assert (config.ship_interval, config.drain, config.slice) == (SECOND, 10 * SECOND, MINUTE)
    assert config.spool_path == folder / "spool.db"
    assert (config.spool_quota, config.spool_retention) == (256 * 10**6, DAY)
    assert config.listen == ("127.0.0.1", 9464)
    assert config.table == tuple(OUTCOME_TABLE)
    assert config.secrets == {}
    (check,) = config.checks
    assert (check.name, check.scenario.name, check.timeout, check.interval) == (
        "asking",
        "ask",
        15 * SECOND,
        30 * SECOND,
    )
    assert check.target == Target("gateway", "https://gateway.test")
    assert (check.timetable.region, check.timetable.check, check.timetable.slice) == ("us-east", "asking", MINUTE)
    assert check.timetable.allowed_lateness == SECOND


def test_everything_that_can_be_said_is_taken(folder: Path) -> None:
    text = """\
agent: probe-1
region: us-east
number: 998
collector: { url: "https://collector.test/base", interval: 250ms }
spool: { path: /var/spool/outrider.db, quota: 1GiB, retention: 2d }
listen: "[::1]:0"
slice: 2s
drain: 0s
scenario_dirs: [nowhere, scenarios]
targets:
  gateway:
    url: https://${env:HOST}:8443/v1
    headers: { Authorization: "Bearer ${file:token}", X-Cost: "5$$" }
    ca_file: tls/ca.pem
    verify_tls: false
checks:
  - { name: one, scenario: scenarios/ask.yaml, target: gateway, interval: 1s, timeout: 900ms, lateness: 100ms }
  - { name: two, scenario: ask, target: gateway, interval: 4s, timeout: 1s, regions: [us-east, eu] }
outcomes:
  - { place: status, code: "404", outcome: service_down }
"""
    (folder / "token").write_text("hush\n")
    config = load(folder, text, HOST="gateway.test")
    assert (config.number, config.listen, config.drain, config.slice) == (998, ("::1", 0), 0, 2 * SECOND)
    assert (config.ship_interval, config.spool_quota, config.spool_retention) == (250 * MILLISECOND, 1 << 30, 2 * DAY)
    assert config.spool_path == Path("/var/spool/outrider.db")
    assert [check.name for check in config.checks] == ["one", "two"]
    assert config.checks[0].timetable.allowed_lateness == 100 * MILLISECOND
    assert config.checks[0].target == Target(
        "gateway",
        "https://gateway.test:8443/v1",
        (("Authorization", "Bearer hush"), ("X-Cost", "5$")),
        str(folder / "tls/ca.pem"),
        False,
    )
    assert config.table[0] == Rule("status", "404", OutcomeClass.SERVICE_DOWN)
    assert config.table[1:] == tuple(OUTCOME_TABLE)
    assert "hush" not in repr(config)


def test_durations_of_a_check_are_plain_numbers_that_a_record_can_hold(folder: Path) -> None:
    (check,) = load(folder, changed("timeout: 15s", "timeout: 15s\n    lateness: 500ms")).checks
    for value in (check.timeout, check.interval, check.timetable.slice, check.timetable.allowed_lateness):
        assert type(value) is int


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("regions: [us-east]", True),
        ("regions: [us-west, us-east]", True),
        ("regions: [us-west]", False),
        ("regions: []", False),
        ("enabled: true", True),
        ("enabled: false", False),
    ],
)
def test_a_check_runs_where_it_is_meant_to(folder: Path, line: str, runs: bool) -> None:
    config = load(folder, changed("timeout: 15s", f"timeout: 15s\n    {line}"))
    assert [check.name for check in config.checks] == (["asking"] if runs else [])


def test_a_scenario_of_ones_own_goes_before_the_one_that_ships(folder: Path) -> None:
    shipped = load(folder, changed("scenario: ask", "scenario: portal")).checks[0].scenario
    assert shipped.title == "Portal health"
    (folder / "scenarios" / "portal.yaml").write_text(changed("title: Ask for something", "title: Mine", SCENARIO))
    assert load(folder, changed("scenario: ask", "scenario: portal")).checks[0].scenario.title == "Mine"


# --- what ships --------------------------------------------------------------------------------------------------

ENVIRON = {
    "OUTRIDER_AGENT": "probe-1",
    "OUTRIDER_REGION": "us-east",
    "OUTRIDER_NUMBER": "1",
    "OUTRIDER_COLLECTOR": "http://127.0.0.1:1",
    "OUTRIDER_SPOOL": "spool.db",
    "OUTRIDER_LISTEN": "127.0.0.1:0",
    "OUTRIDER_CLEARINGHOUSE": "http://127.0.0.1:2",
    "OUTRIDER_GATEWAY": "http://127.0.0.1:3",
    "OUTRIDER_NETWORK": "http://127.0.0.1:4",
}
SHIPPED_SCENARIOS = sorted((PROJECT / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("file", ["config/agent.yaml", "config/demo/agent.yaml"])
def test_the_agent_files_that_ship_load(file: str) -> None:
    config = load_agent(PROJECT / file, ENVIRON)
    assert {check.name for check in config.checks} >= {"eligibility", "card-authorize-void", "portal"}


@pytest.mark.parametrize("path", SHIPPED_SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_that_ships_loads_is_named_like_its_file_and_can_be_sent(path: Path) -> None:
    scenario = load_scenario(path)
    assert scenario.name == path.stem
    for _, step in scenario.located_steps():
        PROBES[scenario.kind(step)].check(step.request)


def test_there_are_scenarios_that_ship() -> None:
    assert {path.stem for path in SHIPPED_SCENARIOS} >= {"eligibility", "card-authorize-void", "portal"}


# --- a bad agent file --------------------------------------------------------------------------------------------

SECOND_CHECK = """\
  - name: {name}
    scenario: ask
    target: gateway
    interval: 30s
    timeout: 15s
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            changed("timeout: 15s", "timeuot: 15s"),
            "agent.yaml:16:5: unknown key 'timeuot' (did you mean 'timeout'?)",
            id="an unknown key",
        ),
        pytest.param(
            changed("region: us-east", "region: us-east\nregion: us-west"),
            "agent.yaml:3:1: key 'region' is written twice; the first one is on line 2",
            id="a key twice",
        ),
        pytest.param(changed("region: us-east\n", ""), "agent.yaml:1:1: missing key 'region'", id="a missing key"),
        pytest.param(
            changed("timeout: 15s", "timeout: 30s"),
            "agent.yaml:16:14: a timeout of 30s is not shorter than the interval of 30s: "
            "a hang would hide in missed slots",
            id="a timeout as long as the interval",
        ),
        pytest.param(
            changed("timeout: 15s", "timeout: 1m"),
            "agent.yaml:16:14: a timeout of 1m is not shorter than the interval of 30s: "
            "a hang would hide in missed slots",
            id="a timeout longer than the interval",
        ),
        pytest.param(
            changed("timeout: 15s", "timeout: 0s"),
            "agent.yaml:16:14: a timeout must be longer than nothing",
            id="no timeout",
        ),
        pytest.param(
            changed("timeout: 15s", "timeout: 15"),
            "agent.yaml:16:14: timeout: expected a duration, like 10s, 1.5s, 5m or 1h30m; got the number 15",
            id="a duration without a unit",
        ),
        pytest.param(
            changed("target: gateway", "target: gatway"),
            "agent.yaml:14:13: there is no target 'gatway'; known: gateway (did you mean 'gateway'?)",
            id="an unknown target",
        ),
        pytest.param(
            changed("targets:\n  gateway:\n    url: https://gateway.test\n", "targets: {}\n"),
            "agent.yaml:12:13: there is no target 'gateway'; known: none",
            id="no target at all",
        ),
        pytest.param(
            changed("scenario: ask", "scenario: aks"),
            "agent.yaml:13:15: there is no scenario 'aks'; known: "
            + ", ".join(sorted(["ask", *(path.stem for path in SHIPPED_SCENARIOS)]))
            + " (did you mean 'ask'?)",
            id="an unknown scenario",
        ),
        pytest.param(
            changed("scenario: ask", "scenario: other/ask.yaml"),
            "other/ask.yaml:1:1: the file cannot be read: No such file or directory",
            id="a path to nowhere",
        ),
        pytest.param(
            AGENT + SECOND_CHECK.format(name="asking"),
            "agent.yaml:17:11: two checks are called 'asking'",
            id="two checks of one name",
        ),
        pytest.param(
            changed("interval: 30s", "interval: 16.001s"),
            "agent.yaml:15:15: a lateness limit of 1000 us leaves no room: interval 16001000 us and slice 60000000 us "
            "have edges every 1000 us; choose an interval that divides the slice",
            id="an interval that does not fit the slice",
        ),
        pytest.param(
            changed("timeout: 15s", "timeout: 15s\n    lateness: 15s"),
            "agent.yaml:15:15: a lateness limit of 15000000 us leaves no room: interval 30000000 us and slice "
            "60000000 us have edges every 30000000 us; choose an interval that divides the slice",
            id="a lateness limit that leaves no room",
        ),
        pytest.param(
            changed("region: us-east", "region: us-east\nslice: 0s"),
            "agent.yaml:16:15: interval and slice must be longer than nothing",
            id="no slice",
        ),
        pytest.param(
            changed("region: us-east", "region: us-east\nnumber: 999"),
            "agent.yaml:3:9: number: 999 is not between 0 and 998",
            id="a number too large",
        ),
        pytest.param(
            changed("region: us-east", "region: us-east\nnumber: -1"),
            "agent.yaml:3:9: number: -1 is not between 0 and 998",
            id="a number too small",
        ),
        pytest.param(
            changed("region: us-east", 'region: us-east\nlisten: "9464"'),
            "agent.yaml:3:9: '9464' is not an address; write it like 127.0.0.1:9464",
            id="listen without a host",
        ),
        pytest.param(
            changed("region: us-east", "region: us-east\nlisten: 127.0.0.1:http"),
            "agent.yaml:3:9: '127.0.0.1:http' is not an address; write it like 127.0.0.1:9464",
            id="listen on a word",
        ),
        pytest.param(
            changed("region: us-east", "region: us-east\nlisten: 127.0.0.1:65536"),
            "agent.yaml:3:9: '127.0.0.1:65536' is not an address; write it like 127.0.0.1:9464",
            id="listen on a port that is none",
        ),
        pytest.param(
            changed("region: us-east", "region: us-east\nlisten: 127.0.0.1:²"),
            "agent.yaml:3:9: '127.0.0.1:²' is not an address; write it like 127.0.0.1:9464",
            id="listen on a digit that is no number",
        ),
        pytest.param(
            changed("timeout: 15s", "timeout: 15s\noutcomes:\n  - { place: status, code: '404', outcome: down }"),
            "agent.yaml:18:44: outcome: expected one of ok, business_unexpected, partner_down, service_down, "
            "malformed, throttled, probe_fault, agent_fault; got text 'down'",
            id="an outcome that is none",
        ),
        pytest.param(
            changed("path: spool.db", "path: spool.db\n  quota: 256"),
            "agent.yaml:7:10: quota: expected a size, like 256MB or 1GiB; got the number 256",
            id="a size without a unit",
        ),
    ],
)
def test_a_bad_agent_file_is_told_with_its_place(folder: Path, text: str, message: str) -> None:
    assert complaint(folder, text) == message


@pytest.mark.parametrize(
    "url",
    [
        "gateway.test", "ftp://gateway.test", "https://", "/path", "", "http://:80", "http://host:abc", "http://host:99999",
        "http://host:0", "http://[::1", "https//gateway.test",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_told_for_targets_and_for_the_collector(folder: Path, url: str) -> None:
    target = changed("url: https://gateway.test", f"url: '{url}'")
    assert complaint(folder, target) == f"agent.yaml:10:10: {url!r} {NO_TARGET}"
    collector = changed("url: http://127.0.0.1:8080", f"url: '{url}'")
    assert complaint(folder, collector) == (
        f"agent.yaml:4:8: {url!r} is not an address; it begins with http:// or https://"
    )


@pytest.mark.parametrize("line", ["regions: [us-west]", "enabled: false"])
def test_a_mistake_is_told_wherever_the_check_runs(folder: Path, line: str) -> None:
    # One file serves every region: its mistakes must not come to light in another one.
    text = changed("timeout: 15s", f"timeout: 15s\n    {line}", changed("https://gateway.test", "gateway.test"))
    assert complaint(folder, text) == f"agent.yaml:10:10: 'gateway.test' {NO_TARGET}"
    text = changed("timeout: 15s", f"timeout: 90s\n    {line}")
    assert complaint(folder, text).startswith("agent.yaml:16:14: a timeout of 1m30s is not shorter")


def test_a_variable_that_is_not_set_is_named(folder: Path) -> None:
    text = changed("region: us-east", "region: ${env:REGION}")
    assert complaint(folder, text) == "agent.yaml:2:9: '${env:REGION}': no such environment variable"
    assert load(folder, text, REGION="eu").region == "eu"


def test_a_value_from_the_environment_is_not_shown_in_a_complaint(folder: Path) -> None:
    text = changed("https://gateway.test", "${env:GATEWAY}")
    assert complaint(folder, text, GATEWAY="user:hush@gateway") == f"agent.yaml:10:10: '${{env:GATEWAY}}' {NO_TARGET}"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml:1:1: the file cannot be read: No such file or directory"):
        load_agent(tmp_path / "none.yaml", {})


# --- secrets -----------------------------------------------------------------------------------------------------

SECRET_STEP = changed('json: { reference: "${key}" }', 'json: { pin: "${secret:PIN}", of: "${key}" }', SCENARIO)


def test_the_secrets_of_all_scenarios_are_there_when_the_agent_starts(folder: Path) -> None:
    (folder / "scenarios" / "ask.yaml").write_text(SECRET_STEP)
    config = load(folder, AGENT, PIN="1-2-3-4")
    assert config.secrets == {"PIN": "1-2-3-4"}
    assert "1-2-3-4" not in repr(config)
    (folder / "pin").write_text("5-6-7-8\n")
    assert load(folder, AGENT, PIN_FILE=str(folder / "pin")).secrets == {"PIN": "5-6-7-8"}


def test_a_secret_that_is_missing_is_named(folder: Path) -> None:
    (folder / "scenarios" / "ask.yaml").write_text(SECRET_STEP)
    assert complaint(folder, AGENT) == (
        "agent.yaml:11:1: secret PIN is not set; set PIN or PIN_FILE in the environment"
    )


def test_a_secret_of_a_check_that_does_not_run_here_is_not_asked_for(folder: Path) -> None:
    (folder / "scenarios" / "ask.yaml").write_text(SECRET_STEP)
    assert load(folder, changed("timeout: 15s", "timeout: 15s\n    regions: [eu]")).secrets == {}


def test_secrets_are_found_wherever_a_scenario_can_name_them(folder: Path) -> None:
    text = changed("key: ${uuid}", "key: ${secret:A}", SCENARIO)
    text = changed('Idempotency-Key: "${key}"', 'X: "${secret:B} ${secret:C}"', text)
    text = changed(
        "    capture:", "    expect: { a: ['${secret:D}', 1] }\n    echo: { b: '${secret:E}' }\n    capture:", text
    )
    text = changed("/undo/${id}", "/undo/${secret:F}/$${secret:G}", text)
    (folder / "scenarios" / "ask.yaml").write_text(text)
    assert secret_names(load_scenario(folder / "scenarios" / "ask.yaml")) == set("ABCDEF")
    assert load(folder, AGENT, **dict.fromkeys("ABCDEF", "x")).secrets == dict.fromkeys("ABCDEF", "x")
    assert secrets_from({"A": "x"})("A") == "x"


# --- a bad scenario ----------------------------------------------------------------------------------------------

KNOWN = "uuid, control_number, trace, stan, now, today, agent_number, now:MMDDhhmmss, today-30d, secret:NAME"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            changed("title: Ask", "titel: Ask", SCENARIO),
            "ask.yaml:2:1: unknown key 'titel' (did you mean 'title'?)",
            id="an unknown key",
        ),
        pytest.param(
            changed("synthetic: true", "synthetic: false", SCENARIO),
            "ask.yaml:3:12: a scenario must say 'synthetic: true': real people's data does not load",
            id="not synthetic",
        ),
        pytest.param(
            changed("probe: http", "probe: htpp", SCENARIO),
            f"ask.yaml:4:8: there is no probe 'htpp'; known: {', '.join(PROBES)} (did you mean 'http'?)",
            id="an unknown probe",
        ),
        pytest.param(
            changed("  - name: undo", "  - name: undo\n    probe: ftp", SCENARIO),
            f"ask.yaml:18:12: there is no probe 'ftp'; known: {', '.join(PROBES)} (did you mean 'tcp'?)",
            id="an unknown probe of one step",
        ),
        pytest.param(
            changed("undoes: ask", "undoes: aks", SCENARIO),
            "ask.yaml:18:13: there is no step 'aks'; the steps are ask",
            id="a cleanup of nothing",
        ),
        pytest.param(
            changed("/undo/${id}", "/undo/${ident}", SCENARIO),
            f"ask.yaml:20:13: '${{ident}}' is not a name; known here are {KNOWN}, id, key (write $$ for a dollar sign)",
            id="an unknown name",
        ),
        pytest.param(
            changed('json: { reference: "${key}" }', 'json: { price: "5 $" }', SCENARIO),
            f"ask.yaml:13:22: '${{}}' is not a name; known here are {KNOWN}, key (write $$ for a dollar sign)",
            id="a lone dollar",
        ),
        pytest.param(
            changed("path: /ask", "pth: /ask", SCENARIO),
            "ask.yaml:11:7: request: unknown key 'pth'",
            id="a bad request key",
        ),
        pytest.param(
            changed("      path: /ask\n", "", SCENARIO),
            "ask.yaml:10:7: request: Object missing required field `path`",
            id="a request without a path",
        ),
        pytest.param(
            changed("method: POST", "method: post", SCENARIO),
            "ask.yaml:10:7: request: 'post' is not an HTTP method; write it like GET or POST",
            id="a method that is none",
        ),
        pytest.param(
            changed("path: /ask", "path: /ask\n      body: x", SCENARIO),
            "ask.yaml:10:7: request: a request has one of body, json and form, not several",
            id="a body beside json",
        ),
        pytest.param(
            changed("path: /ask", "path: 3", SCENARIO),
            "ask.yaml:11:13: request: Expected `str`, got `int`",
            id="a number for a path",
        ),
        pytest.param(
            changed('Idempotency-Key: "${key}"', "Idempotency-Key: 3", SCENARIO),
            "ask.yaml:12:16: request: Expected `str`, got `int`",
            id="a number for a header",
        ),
        pytest.param(
            changed("path: /ask", "path: /ask\n      contains:\n        - up\n        - 3", SCENARIO),
            "ask.yaml:14:11: request: Expected `str`, got `int`",
            id="a number in a list",
        ),
        pytest.param(
            changed("sender: A", "sendr: A", INQUIRY), "ask.yaml:9:7: request: unknown key 'sendr'", id="a bad X12 key"
        ),
        pytest.param(
            changed("payer: { name: P,", "payer: { nmae: P,", INQUIRY),
            "ask.yaml:11:16: request: unknown key 'nmae'",
            id="a bad key deeper down",
        ),
        pytest.param(
            changed("path: /core", "path: /core\n      usage: Q", INQUIRY),
            "ask.yaml:9:14: request: Invalid enum value 'Q'",
            id="a usage that is none",
        ),
    ],
)
def test_a_bad_scenario_is_told_with_its_own_place(folder: Path, text: str, message: str) -> None:
    (folder / "scenarios" / "ask.yaml").write_text(text)
    assert complaint(folder, AGENT) == f"scenarios/{message}"


def test_a_scenarios_dollars_are_not_looked_up_in_the_environment(folder: Path) -> None:
    # ${...} of a scenario belongs to its runs, and ${env:...} is none of its names.
    (folder / "scenarios" / "ask.yaml").write_text(changed("path: /ask", "path: /${env:HOME}", SCENARIO))
    assert "'${env:HOME}' is not a name" in complaint(folder, AGENT, HOME="/root")


def test_a_target_that_the_scenarios_probe_cannot_go_to_is_told(folder: Path) -> None:
    text = changed("https://gateway.test", "udp://gateway.test:53")
    told = complaint(folder, text)
    assert told.startswith(
        "agent.yaml:14:13: step 'ask' of scenario 'ask' speaks http, which goes to a target of http://"
    )
    assert told.endswith("https://; target 'gateway' is udp://")


def test_a_target_without_a_port_is_told_where_its_scheme_has_none(folder: Path) -> None:
    (folder / "scenarios" / "ask.yaml").write_text(
        "name: ask\ntitle: T\nsynthetic: true\nprobe: tcp\nsteps:\n  - name: ask\n    request: {}\n"
    )
    told = complaint(folder, changed("https://gateway.test", "tcp://gateway.test"))
    assert told == "agent.yaml:10:10: target gateway: its address needs a host and a port, like tcp://host:1234"
    (check,) = load(folder, changed("https://gateway.test", "tcp://gateway.test:25")).checks
    assert check.target.url == "tcp://gateway.test:25"


@pytest.mark.parametrize(
    ("probe", "request_", "url", "told"),
    [
        ("tls", "{}", "tls://gateway.test", "needs cryptography; pip install 'outrider[tls]'"),
        ("dns", "{ name: a }", "udp://gateway.test", "needs dnspython; pip install 'outrider[dns]'"),
        ("iso8583", "{ message: echo }", "tcp://gateway.test:1", "needs pyiso8583; pip install 'outrider[iso8583]'"),
    ],
)
def test_a_check_whose_probe_lacks_its_library_does_not_load(
    folder: Path, monkeypatch: pytest.MonkeyPatch, probe: str, request_: str, url: str, told: str
) -> None:
    (folder / "scenarios" / "ask.yaml").write_text(
        f"name: ask\ntitle: T\nsynthetic: true\nprobe: {probe}\nsteps:\n  - name: ask\n    request: {request_}\n"
    )
    text = changed("https://gateway.test", url)
    assert load(folder, text).checks
    monkeypatch.setattr("outrider.codecs.extras.find_spec", lambda name: None)
    assert complaint(folder, text) == f"agent.yaml:13:15: step 'ask' of scenario 'ask' {told}"


UNLISTED = "4916123456789010"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("url: https://gateway.test", f"url: https://gateway.test/{UNLISTED}", 10),
        ("url: https://gateway.test", f"url: https://gateway.test\n    headers: {{ X-Card: '{UNLISTED}' }}", 11),
        ("region: us-east", f"region: '{UNLISTED}'", 2),
        ("region: us-east", f"region: us-east # {UNLISTED}", 2),
    ],
)
def test_an_agents_file_holds_no_unlisted_card_number(folder: Path, old: str, new: str, line: int) -> None:
    with pytest.raises(ConfigError, match=r"491612\*{6}9010 is a card number") as refused:
        load(folder, AGENT.replace(old, new))
    assert refused.value.line == line


def test_a_token_from_outside_may_look_like_a_card_number(folder: Path) -> None:
    headers = 'url: https://gateway.test\n    headers: { X-Token: "${env:TOKEN}" }'
    config = load(folder, AGENT.replace("url: https://gateway.test", headers), TOKEN=UNLISTED)
    assert UNLISTED in config.secret_values
