"""Every scenario in the box, against a running sandbox, over real sockets: each is ok, and each notices trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from sandbox_support import CountedNumbers, Sandbox, running

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.commands.dry_run import requests
from outrider.commands.library import load_library
from outrider.config import load_scenario
from outrider.core.outcome import Outcome, OutcomeClass
from outrider.core.timetable import Timetable
from outrider.core.units import SECOND
from outrider.execution import Check, Execution, Generators, Surroundings
from outrider.probes import Target
from outrider.resources import shipped
from outrider.scenario import CleanupState, Scenario
from outrider.transport.wires import Wires
from outrider_sandbox.services import SERVICES

SHIPPED = {path.stem: path for path in sorted(shipped("scenarios").glob("*.yaml"))}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running(services=dict.fromkeys(SERVICES, 0)) as sandbox:
        yield sandbox


def targets(sandbox: Sandbox) -> dict[str, Target]:
    """Scenario -> where `config/library.yaml` sends it."""
    checks = load_library(sandbox.url, sandbox.services).checks
    return {check.name: check.target for check in checks}


async def run(sandbox: Sandbox, name: str, path: Path | None = None, scenario: Scenario | None = None) -> Execution:
    """One run of a scenario, cleaned up."""
    clock = SystemClock()
    transport = Wires(clock)

    def no_secret(name: str) -> str:
        raise ValueError(f"a scenario in the box needs the secret {name}, which the sandbox does not ask for")

    check = Check(
        name=name,
        scenario=scenario or load_scenario(path or SHIPPED[name]),
        target=targets(sandbox).get(name, Target("sandbox", sandbox.url)),
        timetable=Timetable("test", name, 60 * SECOND),
        timeout=10 * SECOND,
    )
    generate = Generators(clock, CountedNumbers(), no_secret)
    execution = Execution(check, Surroundings("test", transport, clock, generate, OUTCOME_TABLE))
    try:
        await execution.measure()
        await execution.clean_up(delays=(0,))
    finally:
        await transport.close()
    return execution


async def test_the_library_file_names_every_scenario_in_the_box_once(sandbox: Sandbox) -> None:
    checks = load_library(sandbox.url, sandbox.services).checks
    assert sorted(check.scenario.name for check in checks) == sorted(SHIPPED)
    assert all(check.name == check.scenario.name for check in checks)


@pytest.mark.parametrize("name", SHIPPED)
async def test_every_scenario_in_the_box_is_ok_against_the_sandbox(sandbox: Sandbox, name: str) -> None:
    execution = await run(sandbox, name)
    assert execution.outcome == Outcome(OutcomeClass.OK)
    assert execution.cleanup is not CleanupState.UNCONFIRMED


async def test_every_scenario_in_the_box_can_be_shown_before_anything_is_sent(sandbox: Sandbox) -> None:
    generate = Generators(SystemClock(), CountedNumbers(), lambda name: name)
    for check in load_library(sandbox.url, sandbox.services).checks:
        first = next(requests(check, generate, frozenset()))
        assert (first.why_not, bool(first.sent)) == ("", True), check.name
        assert first.url.startswith(check.target.url.partition("://")[0].replace("https", "tls")), check.name
    counts = (await sandbox.get("/counts")).json
    assert counts["totals"]["received"] == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_a_scenario_is_called_as_its_file_and_says_what_it_proves(name: str) -> None:
    assert load_scenario(SHIPPED[name]).name == name
    assert SHIPPED[name].read_text(encoding="utf-8").startswith("# ")


X12_SCENARIOS = [name for name in SHIPPED if name.startswith(("eligibility", "claim-", "prior-"))]


BROKEN = {
    "truncate": ("truncated", "x12/"),
    "wrong_trn": ("mismatch", "echo/trn"),
    "wrong_payload_id": ("mismatch", "echo/payload_id"),
}


@pytest.mark.parametrize(
    ("name", "kind", "code", "place"),
    [
        (name, kind, *trouble)
        for name in X12_SCENARIOS
        for kind, trouble in BROKEN.items()
        if (name, kind) != ("eligibility-plain", "wrong_payload_id")  # without an envelope there is no PayloadID
    ],
)
async def test_an_answer_that_is_broken_or_somebody_elses_is_malformed_whatever_was_expected(
    sandbox: Sandbox, name: str, kind: str, code: str, place: str
) -> None:
    await sandbox.put_fault(kind, "clearinghouse")
    outcome = (await run(sandbox, name)).outcome
    assert (outcome.outcome, outcome.code) == (OutcomeClass.MALFORMED, code)
    assert outcome.place.startswith(place)


@pytest.mark.parametrize(
    ("code", "loop", "expected"),
    [
        ("E0", "2200B", OutcomeClass.PROBE_FAULT),
        ("E1", "2200B", OutcomeClass.SERVICE_DOWN),
        ("E1", "2200D", OutcomeClass.SERVICE_DOWN),
        ("E2", "2200B", OutcomeClass.PARTNER_DOWN),
        ("E3", "2200D", OutcomeClass.PROBE_FAULT),
        ("E4", "2200C", OutcomeClass.PROBE_FAULT),
        ("A4", "2200D", OutcomeClass.BUSINESS_UNEXPECTED),
        ("P1", "2200D", OutcomeClass.BUSINESS_UNEXPECTED),
    ],
)
@pytest.mark.parametrize("name", ["claim-status", "claim-status-not-found"])
async def test_a_status_that_was_not_expected_is_classified_by_its_code(
    sandbox: Sandbox, name: str, code: str, loop: str, expected: OutcomeClass
) -> None:
    await sandbox.put_fault("stc", "clearinghouse", code=code, loop=loop)
    outcome = (await run(sandbox, name)).outcome
    assert outcome.outcome is expected
    assert outcome.place == ("expect/stc" if code == "P1" else f"stc/{loop}")
    assert await sandbox.fault_hits() == {"one": 1}


async def test_a_known_claim_that_is_not_found_and_an_unknown_one_that_is_are_unexpected(sandbox: Sandbox) -> None:
    await sandbox.put_fault("stc", "clearinghouse", code="D0", loop="2200D")
    assert (await run(sandbox, "claim-status")).outcome.outcome is OutcomeClass.BUSINESS_UNEXPECTED
    await sandbox.put_fault("stc", "clearinghouse", code="F1", loop="2200D")
    assert (await run(sandbox, "claim-status-not-found")).outcome.outcome is OutcomeClass.BUSINESS_UNEXPECTED


@pytest.mark.parametrize(
    ("code", "loop", "expected"),
    [
        ("A3", "2200B", OutcomeClass.PROBE_FAULT),
        ("A7", "2200C", OutcomeClass.PROBE_FAULT),
        ("A3", "2200D", OutcomeClass.BUSINESS_UNEXPECTED),
        ("A7", "2200D", OutcomeClass.BUSINESS_UNEXPECTED),
        ("A8", "2200D", OutcomeClass.BUSINESS_UNEXPECTED),
        ("E1", "2200B", OutcomeClass.SERVICE_DOWN),
        ("E2", "2200D", OutcomeClass.PARTNER_DOWN),
    ],
)
async def test_a_claim_that_is_not_taken_is_classified_by_code_and_place(
    sandbox: Sandbox, code: str, loop: str, expected: OutcomeClass
) -> None:
    await sandbox.put_fault("stc", "clearinghouse", code=code, loop=loop)
    outcome = (await run(sandbox, "claim-submit")).outcome
    assert (outcome.outcome, outcome.code, outcome.place) == (expected, code, f"stc/{loop}")


@pytest.mark.parametrize(
    ("code", "expected", "place"),
    [
        ("A", OutcomeClass.MALFORMED, "expect/stc"),
        ("R", OutcomeClass.PROBE_FAULT, "999/IK501"),
    ],
)
async def test_a_999_where_a_277ca_was_expected_is_missing_it_or_the_probes_fault(
    sandbox: Sandbox, code: str, expected: OutcomeClass, place: str
) -> None:
    await sandbox.put_fault("ack", "clearinghouse", code=code)
    outcome = (await run(sandbox, "claim-submit")).outcome
    assert (outcome.outcome, outcome.place) == (expected, place)


@pytest.mark.parametrize("claim_answer", ["999", "999+277CA", "999,277CA"])
@pytest.mark.parametrize("wire", ["core-mime", "core-soap", "none"])
async def test_a_claim_that_expects_a_999_is_ok_wherever_one_comes(claim_answer: str, wire: str) -> None:
    path = {"core-mime": "/core/realtime", "core-soap": "/core/soap", "none": "/x12"}[wire]
    scenario = load_scenario(SHIPPED["claim-submit"])
    (step,) = scenario.steps
    other = msgspec.structs.replace(step, request={**step.request, "envelope": wire, "path": path}, expect={"ack": "A"})
    async with running(claim_answer=claim_answer, services=dict.fromkeys(SERVICES, 0)) as sandbox:
        made = msgspec.structs.replace(scenario, steps=[other])
        assert (await run(sandbox, "claim-submit", scenario=made)).outcome == Outcome(OutcomeClass.OK)


@pytest.mark.parametrize("code", ["A3", "A4", "CT"])
async def test_another_decision_than_expected_is_unexpected(sandbox: Sandbox, code: str) -> None:
    await sandbox.put_fault("hcr", "clearinghouse", code=code)
    outcome = (await run(sandbox, "prior-authorization")).outcome
    assert (outcome.outcome, outcome.place) == (OutcomeClass.BUSINESS_UNEXPECTED, "expect/hcr")


async def test_an_unknown_member_who_is_suddenly_covered_is_unexpected(sandbox: Sandbox, tmp_path: Path) -> None:
    text = SHIPPED["eligibility-not-found"].read_text(encoding="utf-8")
    known = tmp_path / "known.yaml"
    known.write_text(text.replace("OUT199999999", "OUT100000001").replace("TESTNOBODY", "TESTONE"), encoding="utf-8")
    outcome = (await run(sandbox, "known", known)).outcome
    assert (outcome.outcome, outcome.place) == (OutcomeClass.BUSINESS_UNEXPECTED, "expect/aaa")


@pytest.mark.parametrize("envelope", ["core-soap", "none"])
@pytest.mark.parametrize("name", ["claim-status", "claim-submit", "prior-authorization"])
async def test_every_transaction_goes_over_every_wire(sandbox: Sandbox, name: str, envelope: str) -> None:
    path = {"core-soap": "/core/soap", "none": "/x12"}[envelope]
    scenario = load_scenario(SHIPPED[name])
    (step,) = scenario.steps
    other = msgspec.structs.replace(step, request={**step.request, "envelope": envelope, "path": path})
    execution = await run(sandbox, name, scenario=msgspec.structs.replace(scenario, steps=[other]))
    assert execution.outcome == Outcome(OutcomeClass.OK)
