"""No fault leaves money behind: every payment scenario, every step, every fault, and the sandbox's books afterwards.

The claim: when a run and its cleanup are over, nothing is open and nothing captured is left unrefunded, or the run says
that its cleanup is unconfirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_support import CountedNumbers, Sandbox, running

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.config import load_scenario
from outrider.core.outcome import OutcomeClass
from outrider.core.timetable import Timetable
from outrider.core.units import SECOND, Duration
from outrider.execution import Check, Execution, Generators, Surroundings
from outrider.probes import Target
from outrider.resources import shipped
from outrider.scenario import CleanupState, Scenario
from outrider.transport import Exchange, HttpRequest, Reply, Request, Transport
from outrider.transport.wires import Wires

PAYING = {
    path.stem: scenario
    for path in sorted(shipped("scenarios").glob("*.yaml"))
    if (scenario := load_scenario(Path(path))).money is not None and scenario.probe == "http"
}

FAULTS: dict[str, dict[str, Any]] = {
    "hang": {"kind": "hang"},
    "reset": {"kind": "reset"},
    "error, done": {"kind": "error", "committed": True},
    "error, not done": {"kind": "error", "committed": False},
    "html, done": {"kind": "html", "committed": True},
    "html, not done": {"kind": "html", "committed": False},
    "truncate": {"kind": "truncate"},
    "throttle": {"kind": "throttle"},
    "maintenance": {"kind": "maintenance"},
    "unauthorized": {"kind": "unauthorized"},
}
LONG: Duration = 10 * SECOND
SHORT: Duration = SECOND // 10
"""How long an answer that hangs is waited for: the run's own timeout would say the same, later."""

UNCONFIRMED, SETTLED_WELL = CleanupState.UNCONFIRMED, (CleanupState.NONE, CleanupState.CONFIRMED)


class Faulty:
    """The real transport, where fault number n of a list is on while exchange number n goes on."""

    def __init__(self, wire: Transport, sandbox: Sandbox, faults: list[dict[str, Any] | None]) -> None:
        self._wire = wire
        self._sandbox = sandbox
        self._faults = faults
        self.asked: list[str] = []

    async def exchange(self, request: Request, timeout: Duration) -> Exchange[Reply]:
        assert isinstance(request, HttpRequest)
        fault = self._faults[len(self.asked)] if len(self.asked) < len(self._faults) else None
        self.asked.append(f"{request.method} {request.url.removeprefix(self._sandbox.url)}")
        if fault is None:
            return await self._wire.exchange(request, timeout)
        await self._sandbox.put_fault(**fault)
        try:
            return await self._wire.exchange(request, min(timeout, SHORT) if fault["kind"] == "hang" else timeout)
        finally:
            await self._sandbox.ask("DELETE", "/faults")

    async def close(self) -> None:
        await self._wire.close()


@asynccontextmanager
async def run(
    sandbox: Sandbox, scenario: Scenario, faults: list[dict[str, Any] | None]
) -> AsyncIterator[tuple[Execution, Faulty]]:
    """A run of a scenario that has been measured, and not yet cleaned up."""
    clock = SystemClock()
    wire = Faulty(Wires(clock), sandbox, faults)
    check = Check(scenario.name, scenario, Target("s", sandbox.url), Timetable("t", "c", 60 * SECOND), LONG)
    generate = Generators(clock, CountedNumbers(), lambda name: name)
    execution = Execution(check, Surroundings("t", wire, clock, generate, OUTCOME_TABLE))
    try:
        await execution.measure()
        yield execution, wire
    finally:
        await wire.close()


async def left_behind(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Every payment and debit that still holds or has taken money."""
    payments = (await sandbox.get("/v1/payments?limit=1000")).json["payments"]
    debits = (await sandbox.get("/v1/ach/debits?limit=1000")).json["debits"]
    left = [
        (entry["id"], entry["status"])
        for entry in (*payments, *debits)
        if entry["status"] not in ("voided", "refunded", "declined", "returned")
    ]
    still_open = (await sandbox.get("/v1/payments?open=true")).json["payments"]
    assert {one["id"] for one in still_open} <= {name for name, _ in left}
    return left


CASES = [
    (name, number, step.name, fault)
    for name, scenario in PAYING.items()
    for number, step in enumerate(scenario.steps)
    for fault in FAULTS
]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


def test_the_table_has_every_payment_scenario_and_every_step() -> None:
    assert {"card-sale-refund", "card-sale-refund-form", "card-authorize-capture-refund", "card-authorize-void",
            "card-token-sale-void", "card-decline", "card-avs-mismatch", "card-cvv-mismatch",
            "ach-debit-void"} <= PAYING.keys()  # fmt: skip
    assert {("authorize", "hang"), ("capture", "reset"), ("refund", "error, done"), ("void", "error, not done"),
            ("sale", "hang"), ("debit", "hang")} <= {(step, fault) for _, _, step, fault in CASES}  # fmt: skip


@pytest.mark.parametrize(("name", "number", "step", "fault"), CASES)
async def test_a_fault_at_any_step_leaves_no_money_behind(
    sandbox: Sandbox, name: str, number: int, step: str, fault: str
) -> None:
    async with run(sandbox, PAYING[name], [None] * number + [FAULTS[fault]]) as (execution, wire):
        assert not execution.outcome.is_ok
        assert execution.outcome.outcome is not OutcomeClass.AGENT_FAULT
        await execution.clean_up((0, SECOND // 20))  # a second attempt only where the first one did not settle it
        assert await left_behind(sandbox) == []
        assert execution.cleanup in SETTLED_WELL, wire.asked
        assert execution.record(purpose="probe", scheduled_at=0).step == step


@pytest.mark.parametrize(("name", "number", "step", "fault"), CASES)
async def test_a_fault_that_stays_is_never_taken_for_a_cleanup_and_is_made_good_once_it_goes(
    sandbox: Sandbox, name: str, number: int, step: str, fault: str
) -> None:
    asked_for_now = [None] * number + [FAULTS[fault]] * 100
    async with run(sandbox, PAYING[name], asked_for_now) as (execution, wire):
        await execution.clean_up((0, 0))
        if execution.cleanup is not UNCONFIRMED:
            assert await left_behind(sandbox) == [], wire.asked
        asked_for_now.clear()
        await execution.clean_up((0, 0))
        assert execution.cleanup is not UNCONFIRMED, wire.asked
        assert await left_behind(sandbox) == [], wire.asked


@pytest.mark.parametrize("name", PAYING)
async def test_what_settles_at_once_is_given_back_or_said_to_be_left(name: str) -> None:
    async with running(settlement_s=0.0) as sandbox, run(sandbox, PAYING[name], []) as (execution, _):
        await execution.clean_up((0,))
        assert (await left_behind(sandbox) == []) is (execution.cleanup is not UNCONFIRMED)
        assert execution.outcome.is_ok is (name not in ("card-token-sale-void", "ach-debit-void"))
        assert (execution.cleanup is UNCONFIRMED) is (name == "ach-debit-void")


async def test_a_capture_of_which_nobody_knows_is_refunded_and_one_that_was_refused_is_voided(
    sandbox: Sandbox,
) -> None:
    scenario = PAYING["card-authorize-capture-refund"]
    async with run(sandbox, scenario, [None, FAULTS["reset"]]) as (execution, wire):
        await execution.clean_up((0,))
    assert [asked.rpartition("/")[2] for asked in wire.asked] == ["authorizations", "capture", "capture", "refund"]
    async with run(sandbox, scenario, [None, FAULTS["reset"], FAULTS["reset"]]) as (execution, wire):
        await execution.clean_up((0,))
    assert [asked.rpartition("/")[2] for asked in wire.asked][2:] == ["capture", "void"]
    async with run(sandbox, scenario, [None, FAULTS["throttle"]]) as (execution, wire):
        await execution.clean_up((0,))
    assert [asked.rpartition("/")[2] for asked in wire.asked][2:] == ["void"]
    assert await left_behind(sandbox) == []


async def test_a_card_that_is_approved_against_expectation_is_voided(sandbox: Sandbox, tmp_path: Path) -> None:
    text = shipped("scenarios").joinpath("card-decline.yaml").read_text(encoding="utf-8")
    path = tmp_path / "approved.yaml"
    path.write_text(text.replace("4000000000009995", "4242424242424242"), encoding="utf-8")
    async with run(sandbox, load_scenario(path), []) as (execution, _):
        await execution.clean_up((0,))
    assert (execution.outcome.code, execution.cleanup) == ("unexpected", CleanupState.CONFIRMED)
    assert [one["status"] for one in (await sandbox.get("/v1/payments")).json["payments"]] == ["voided"]


QUICK = [None, None, *(fault for name, fault in FAULTS.items() if name != "hang")]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(PAYING)), st.lists(st.sampled_from(QUICK), max_size=8), st.sampled_from([0.0, 3600.0]))
def test_whatever_hits_whichever_exchange_a_confirmed_cleanup_has_left_nothing(
    name: str, faults: list[dict[str, Any] | None], settlement_s: float
) -> None:
    async def whole() -> None:
        async with running(settlement_s=settlement_s) as sandbox, run(sandbox, PAYING[name], faults) as (made, wire):
            await made.clean_up((0,))
            if made.cleanup is not UNCONFIRMED:
                assert await left_behind(sandbox) == [], wire.asked
            await made.clean_up((0,) * 10)
            if made.cleanup is not UNCONFIRMED:
                assert await left_behind(sandbox) == [], wire.asked
            else:  # what is settled over ACH is the only thing that cannot be undone
                assert (name, settlement_s) == ("ach-debit-void", 0.0), wire.asked

    asyncio.run(whole())
