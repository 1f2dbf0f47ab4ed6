"""What becomes of a card authorization whose answer never came: the inquiry, against a running sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sandbox_support import CountedNumbers, Sandbox, running

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.config import load_scenario
from outrider.core.outcome import OutcomeClass
from outrider.core.timetable import Timetable
from outrider.core.units import MILLISECOND, SECOND
from outrider.execution import Check, Execution, Generators, Surroundings
from outrider.probes import Target
from outrider.resources import shipped
from outrider.scenario import CleanupState
from outrider.transport.wires import Wires

NAME = "card-authorize-void-inquiry"
DELAYS = (0, 20 * MILLISECOND, 20 * MILLISECOND)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


class Run:
    """The shipped scenario against the sandbox's gateway, in two halves."""

    def __init__(self, sandbox: Sandbox, timeout: int = 400 * MILLISECOND) -> None:
        clock = SystemClock()
        self.transport = Wires(clock)
        scenario = load_scenario(shipped("scenarios") / f"{NAME}.yaml")
        check = Check(NAME, scenario, Target("sandbox", sandbox.url), Timetable("test", NAME, 60 * SECOND), timeout)
        generate = Generators(clock, CountedNumbers(), str)
        self.execution = Execution(check, Surroundings("test", self.transport, clock, generate, OUTCOME_TABLE))


@pytest.fixture
async def run(sandbox: Sandbox) -> AsyncIterator[Run]:
    run = Run(sandbox)
    yield run
    await run.transport.close()


async def received(sandbox: Sandbox) -> dict[str, int]:
    kinds: dict[str, Any] = (await sandbox.get("/counts")).json["components"]["gateway"]
    return {kind: tally["received"] for kind, tally in kinds.items() if tally["received"]}


async def open_payments(sandbox: Sandbox) -> int:
    return int((await sandbox.get("/v1/payments?open=true")).json["total"])


@pytest.mark.parametrize(
    ("fault", "code", "place"),
    [
        ({"kind": "hang"}, "timeout", "net/wait"),
        ({"kind": "reset"}, "reset", "net/"),
        ({"kind": "error", "code": 503}, "503", "status"),
        ({"kind": "html"}, "not-json", "body/type"),
        ({"kind": "truncate"}, "not-json", "body/json"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
async def test_an_authorization_whose_answer_was_lost_is_found_and_voided(
    sandbox: Sandbox, run: Run, fault: dict[str, Any], code: str, place: str
) -> None:
    await sandbox.put_fault(**fault)
    await run.execution.measure()
    assert await open_payments_after_fault(sandbox) == 1
    assert await run.execution.clean_up(DELAYS) is CleanupState.CONFIRMED
    assert await open_payments(sandbox) == 0
    record = run.execution.record(purpose="probe", scheduled_at=0)
    assert (record.code, record.step, record.cleanup) == (code, "authorize", "confirmed")
    assert record.place.startswith(place)
    counted = await received(sandbox)
    assert (counted["authorization"], counted["void"]) == (1, 1), "it asked, and did not authorize a second time"


async def open_payments_after_fault(sandbox: Sandbox) -> int:
    await sandbox.ask("DELETE", "/faults")
    return await open_payments(sandbox)


async def test_an_authorization_that_never_happened_is_asked_for_twice_and_nothing_is_voided(
    sandbox: Sandbox, run: Run
) -> None:
    await sandbox.put_fault("error", code=500, committed=False)
    await run.execution.measure()
    await sandbox.ask("DELETE", "/faults")
    assert await run.execution.clean_up(DELAYS) is CleanupState.CONFIRMED
    assert run.execution.outcome.outcome is OutcomeClass.SERVICE_DOWN
    assert await received(sandbox) == {"authorization": 1, "inquiry": 2}


async def test_one_attempt_is_not_enough_to_say_that_nothing_happened(sandbox: Sandbox, run: Run) -> None:
    await sandbox.put_fault("error", code=500, committed=False)
    await run.execution.measure()
    await sandbox.ask("DELETE", "/faults")
    assert await run.execution.clean_up((0,)) is CleanupState.UNCONFIRMED
    assert await received(sandbox) == {"authorization": 1, "inquiry": 1}


async def test_a_gateway_that_answers_no_inquiry_leaves_the_cleanup_unconfirmed_until_it_does(
    sandbox: Sandbox, run: Run
) -> None:
    await sandbox.put_fault("error", code=500)
    await run.execution.measure()
    assert await run.execution.clean_up(DELAYS) is CleanupState.UNCONFIRMED
    assert await open_payments_after_fault(sandbox) == 1
    assert await run.execution.clean_up(DELAYS) is CleanupState.CONFIRMED
    assert await open_payments(sandbox) == 0
