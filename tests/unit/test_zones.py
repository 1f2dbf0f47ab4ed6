"""`today` is a date of the target's zone: in what steps say, in what the x12 probe draws, and in a dry run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import msgspec
import pytest

from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.commands.dry_run import requests
from outrider.config import load_agent
from outrider.core.timetable import Timetable
from outrider.core.units import HOUR, MINUTE, SECOND, Instant, parse_instant
from outrider.execution import Check, Execution, Generators, Surroundings, in_zone
from outrider.probes import Target
from outrider.scenario import Scenario
from outrider.strict_yaml import ConfigError
from outrider.transport import HttpReply
from outrider.transport.fake import FakeTransport
from outrider.zones import read_zone


@dataclass
class ClockAt:
    at: Instant

    def now(self) -> Instant:
        return self.at

    def monotonic(self) -> int:
        return HOUR


class Numbers:
    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def control_number(self) -> int:
        return next(self._numbers)


def generators(moment: str) -> Generators:
    return Generators(ClockAt(parse_instant(moment)), Numbers(), str)


MIDNIGHTS = [
    ("Pacific/Kiritimati", "2026-06-01T09:59:59Z", "2026-06-01"),  # UTC+14
    ("Pacific/Kiritimati", "2026-06-01T10:00:00Z", "2026-06-02"),
    ("America/Los_Angeles", "2026-06-01T06:59:59Z", "2026-05-31"),  # UTC-7 in summer
    ("America/Los_Angeles", "2026-06-01T07:00:00Z", "2026-06-01"),
    ("America/Los_Angeles", "2026-12-01T07:59:59Z", "2026-11-30"),  # UTC-8 in winter
    ("America/Los_Angeles", "2026-12-01T08:00:00Z", "2026-12-01"),
    ("UTC", "2026-06-01T23:59:59Z", "2026-06-01"),
    ("UTC", "2026-06-02T00:00:00Z", "2026-06-02"),
]


@pytest.mark.parametrize(("zone", "moment", "date"), MIDNIGHTS)
def test_today_changes_at_the_midnight_of_its_zone(zone: str, moment: str, date: str) -> None:
    assert in_zone(generators(moment), read_zone(zone))("today") == date


def test_days_are_counted_on_the_calendar_across_a_clock_change() -> None:
    # Half past midnight on the day after the clocks went forward: thirty times 24 hours before is another date.
    generate = in_zone(generators("2026-03-09T07:30:00Z"), read_zone("America/Los_Angeles"))
    assert [generate(name) for name in ("today", "today-1d", "today-30d", "today+1d")] == [
        "2026-03-09", "2026-03-08", "2026-02-07", "2026-03-10",
    ]  # fmt: skip


def test_now_and_what_is_not_a_day_are_the_same_in_every_zone() -> None:
    generate = in_zone(generators("2026-06-01T23:30:00Z"), read_zone("Pacific/Kiritimati"))
    assert generate("now") == "2026-06-01T23:30:00Z"
    assert generate("control_number") == "1"


def test_another_generator_is_left_as_it_is() -> None:
    assert in_zone(str.upper, UTC) is str.upper or in_zone(str.upper, UTC)("a") == "A"


def scenario(probe: str, request: dict[str, object]) -> Scenario:
    made = {"name": "x", "title": "X", "synthetic": True, "probe": probe,
            "names": {"from": "${today-30d}"}, "steps": [{"name": "one", "request": request}]}  # fmt: skip
    return msgspec.convert(made, Scenario)


HTTP = scenario("http", {"path": "/from/${from}/to/${today}"})
X12 = scenario(
    "x12",
    {
        "path": "/core",
        "sender": "A1",
        "receiver": "B1",
        "payer": {"name": "P", "id": "1"},
        "provider": {"name": "C", "id": "1234567893"},
        "member": {"last": "OUTRIDER", "first": "TESTONE", "id": "OUT100000001", "birth_date": "19700101"},
    },
)


async def sent(made: Scenario, zone: str, moment: str) -> tuple[str, str]:
    """The URL and the body of the scenario's request: as a run sends it, and as the dry run shows it, are the same."""
    target = Target("t", "https://network.test", zone=read_zone(zone))
    check = Check("x", made, target, Timetable("r", "x", MINUTE), 10 * SECOND)
    transport = FakeTransport(lambda request: HttpReply(200, (), b""))
    generate = generators(moment)
    execution = Execution(check, Surroundings("r", transport, generate.clock, generate, OUTCOME_TABLE))
    await execution.measure()
    (request,) = transport.sent
    (shown,) = requests(check, generate, frozenset())
    assert shown.url == request.url
    return request.url, request.body.decode()


@pytest.mark.parametrize(("zone", "moment", "date"), MIDNIGHTS)
async def test_a_scenarios_today_is_in_the_zone_of_its_target(zone: str, moment: str, date: str) -> None:
    url, _ = await sent(HTTP, zone, moment)
    assert url.endswith(f"/to/{date}")


@pytest.mark.parametrize(("zone", "moment", "date"), MIDNIGHTS)
async def test_the_date_of_service_of_an_eligibility_inquiry_is_in_the_zone_of_its_target(
    zone: str, moment: str, date: str
) -> None:
    _, body = await sent(X12, zone, moment)
    assert f"DTP*291*D8*{date.replace('-', '')}~" in body


AGENT = """\
agent: probe-1
region: us-east
collector: { url: "http://127.0.0.1:8080" }
spool: { path: spool.db }
targets:
  gateway:
    url: https://gateway.test
    zone: America/Los_Angeles
checks:
  - { name: portal, scenario: portal, target: gateway, interval: 30s, timeout: 15s }
"""


def test_a_target_has_the_zone_that_its_file_says_and_utc_without(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    for text, zone in ((AGENT, "America/Los_Angeles"), (AGENT.replace("    zone: America/Los_Angeles\n", ""), "UTC")):
        path.write_text(text, encoding="utf-8")
        assert str(load_agent(path, {}).checks[0].target.zone) == zone


@pytest.mark.parametrize("zone", ["America/Nowhere", "America", "PDT", "../etc/passwd", "/etc/localtime", "", "+05:00"])
def test_an_unknown_zone_is_told_with_its_line(tmp_path: Path, zone: str) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT.replace("America/Los_Angeles", f"'{zone}'"), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_agent(path, {})
    assert refused.value.line == 8
    assert refused.value.message == f"{zone!r} is not an IANA time zone; write it like America/New_York"
