"""The daily cap and the kill switch: what is counted, and when a run that pays does not begin."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outrider.config import load_agent
from outrider.core.units import HOUR, SECOND, parse_instant
from outrider.hygiene import asked_for
from outrider.purse import Purse, Withheld
from outrider.scenario import Scenario
from outrider.strict_yaml import ConfigError

NOON = parse_instant("2026-06-01T12:00:00Z")


class SetClock:
    """Shows what it was set to."""

    def __init__(self) -> None:
        self.wall = NOON

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> int:
        return 0


def paying(*amounts: object, most: int = 100, currency: str = "USD", unit: str = "minor", **step: Any) -> Scenario:
    steps = [
        {"name": f"pay-{number}", "request": {"path": "/", "json": {"amount": amount}}, **step}
        for number, amount in enumerate(amounts)
    ]
    made = {"name": "x", "title": "X", "synthetic": True, "probe": "http", "steps": steps,
            "money": {"max_amount": most, "currency": currency, "unit": unit}}  # fmt: skip
    return msgspec.convert(made, Scenario)


FREE = msgspec.convert(
    {"name": "x", "title": "X", "synthetic": True, "probe": "http", "steps": [{"name": "a", "request": {"path": "/"}}]},
    Scenario,
)


@pytest.mark.parametrize(
    ("scenario", "asked"),
    [
        (FREE, None),
        (paying(40), ("USD", 40)),
        (paying(40, "60"), ("USD", 100)),
        (paying("${secret:SUM}", 1), ("USD", 101)),
        (paying("0.40", currency="EUR", unit="major"), ("EUR", 40)),
        (paying(400, currency="JPY", unit="major", most=500), ("JPY", 400)),
    ],
)
def test_a_run_is_counted_with_all_that_its_steps_may_ask_for(
    scenario: Scenario, asked: tuple[str, int] | None
) -> None:
    assert asked_for(scenario) == asked


def test_a_step_that_pays_without_an_amount_counts_with_the_limit() -> None:
    step = {"name": "capture", "pays": True, "request": {"path": "/capture"}}
    assert asked_for(msgspec.structs.replace(paying(40), steps=[msgspec.convert(step, type(FREE.steps[0]))])) == (
        "USD", 100,
    )  # fmt: skip


def reason(withheld: Withheld | None) -> str:
    return withheld.reason if withheld else ""


def test_the_cap_may_be_reached_and_not_passed(tmp_path: Path) -> None:
    purse = Purse(tmp_path / "p", {"USD": 100}, None, SetClock())
    assert [reason(purse.withhold(paying(40))) for _ in range(4)] == ["", "", "daily-cap", "daily-cap"]
    assert reason(purse.withhold(paying(21))) == "daily-cap"
    assert reason(purse.withhold(paying(20))) == ""
    assert purse.withhold(FREE) is None
    assert purse.withhold(paying(99, currency="EUR")) is None, "no cap was set for it"


def test_a_day_begins_at_midnight_utc_and_a_clock_that_is_set_back_gives_nothing_back(tmp_path: Path) -> None:
    clock = SetClock()
    purse = Purse(tmp_path / "p", {"USD": 40}, None, clock)
    assert purse.withhold(paying(40)) is None
    clock.wall = NOON + 12 * HOUR - SECOND
    assert reason(purse.withhold(paying(40))) == "daily-cap"
    clock.wall += SECOND
    assert purse.withhold(paying(40)) is None
    clock.wall -= SECOND
    assert reason(purse.withhold(paying(40))) == "daily-cap"


def test_the_count_outlives_the_process_and_is_shared(tmp_path: Path) -> None:
    assert Purse(tmp_path / "p", {"USD": 50}, None, SetClock()).withhold(paying(40)) is None
    assert reason(Purse(tmp_path / "p", {"USD": 50}, None, SetClock()).withhold(paying(40))) == "daily-cap"


def test_purses_that_count_at_the_same_time_do_not_pass_the_cap_together(tmp_path: Path) -> None:
    said: list[str] = []

    def pay() -> None:
        purse = Purse(tmp_path / "p", {"USD": 500}, None, SetClock())
        said.extend(reason(purse.withhold(paying(40))) for _ in range(5))

    threads = [threading.Thread(target=pay) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == [""] * 12 + ["daily-cap"] * 13


def test_where_nothing_can_be_counted_nothing_is_paid(tmp_path: Path) -> None:
    (tmp_path / "torn").write_bytes(b"no database at all" * 100)
    for path in (tmp_path / "torn", tmp_path / "missing" / "p", tmp_path):
        assert reason(Purse(path, {"USD": 500}, None, SetClock()).withhold(paying(40))) == "not-counted"


def test_a_sum_that_is_too_large_to_be_counted_is_not_paid(tmp_path: Path) -> None:
    purse = Purse(tmp_path / "money", {"USD": 10**30}, None, SetClock())
    assert reason(purse.withhold(paying(*[10**18 - 1] * 50, most=10**18))) == "not-counted"


def test_a_run_that_could_not_be_counted_leaves_no_lock_behind(tmp_path: Path) -> None:
    purse = Purse(tmp_path / "p", {"USD": 10}, None, SetClock())
    assert reason(purse.withhold(paying(40))) == "daily-cap"
    other = sqlite3.connect(tmp_path / "p", timeout=0)
    other.execute("begin exclusive")
    other.close()


@pytest.mark.parametrize("kind", ["empty", "folder", "dangling"])
def test_the_kill_switch_holds_back_what_pays_and_nothing_else(tmp_path: Path, kind: str) -> None:
    switch = tmp_path / "stop"
    purse = Purse(tmp_path / "p", {}, switch, SetClock())
    assert purse.withhold(paying(40)) is None
    if kind == "dangling":
        switch.symlink_to(tmp_path / "nowhere")
    else:
        (switch.mkdir if kind == "folder" else switch.touch)()
    assert reason(purse.withhold(paying(40))) == "kill-switch"
    assert purse.withhold(FREE) is None


AGENT = """\
agent: a
region: r
collector: { url: "http://127.0.0.1:1" }
spool: { path: s }
targets: { t: { url: "http://127.0.0.1:2" } }
money: { daily_cap: { CURRENCY: CAP }, kill_switch: stop }
checks:
  - { name: card, scenario: card-authorize-void, target: t, interval: 60s, timeout: 10s }
"""


@pytest.mark.parametrize(
    ("cap", "currency", "message"),
    [("99", "USD", "asks for 100 USD (minor units); the cap is 99"), ("1000", "EUR", "there is no cap for USD")],
)
def test_a_cap_under_which_a_check_could_never_run_does_not_load(
    tmp_path: Path, cap: str, currency: str, message: str
) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT.replace("CAP", cap).replace("CURRENCY", currency))
    with pytest.raises(ConfigError, match="check 'card'") as caught:
        load_agent(path, {})
    assert (caught.value.line, message in caught.value.message) == (6, True)


def test_the_purse_lies_beside_the_spool_and_the_switch_beside_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT.replace("CAP", "100").replace("CURRENCY", "USD"))
    config = load_agent(path, {})
    purse = config.purse(SetClock())
    assert [reason(purse.withhold(check.scenario)) for check in config.checks * 2] == ["", "daily-cap"]
    assert (tmp_path / "s.money").exists()
    (tmp_path / "stop").touch()
    assert reason(purse.withhold(config.checks[0].scenario)) == "kill-switch"
