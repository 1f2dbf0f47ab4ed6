"""Eligibility over all three wires, against the running sandbox, through the agent's own execution and transport."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sandbox_support import CountedNumbers, Sandbox, running

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.config import load_scenario
from outrider.core.outcome import OutcomeClass
from outrider.core.timetable import Timetable
from outrider.core.units import MILLISECOND, MINUTE, SECOND
from outrider.core.wire import RunRecord
from outrider.execution import Check, Execution, Generators, Surroundings, secrets_from
from outrider.probes import Target
from outrider.probes.table import PROBES
from outrider.scenario import Scenario
from outrider.transport.wires import Wires

C = OutcomeClass
SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
WIRES = {"mime": "eligibility", "soap": "eligibility-soap", "plain": "eligibility-plain"}
PATIENT = 10 * SECOND
IMPATIENT = 300 * MILLISECOND


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


@asynccontextmanager
async def transport() -> AsyncIterator[Wires]:
    wire = Wires(SystemClock())
    try:
        yield wire
    finally:
        await wire.close()


def scenario(wire: str, **changes: Any) -> Scenario:
    loaded = load_scenario(SCENARIOS / f"{WIRES[wire]}.yaml")
    (step,) = loaded.steps
    asked = msgspec.structs.replace(step, request={**step.request, **changes})
    return msgspec.structs.replace(loaded, steps=[asked])


async def probe(
    sandbox: Sandbox,
    made: Scenario,
    *,
    timeout: int = PATIENT,
    headers: tuple[tuple[str, str], ...] = (),
    environ: Mapping[str, str] | None = None,
) -> RunRecord:
    clock = SystemClock()
    target = Target("sandbox", sandbox.url, headers)
    check = Check("eligibility", made, target, Timetable("here", "eligibility", MINUTE), timeout)
    async with transport() as wire:
        generate = Generators(clock, CountedNumbers(), secrets_from(environ or {}))
        execution = Execution(check, Surroundings("here", wire, clock, generate, OUTCOME_TABLE))
        await execution.measure()
        return execution.record(purpose="probe", scheduled_at=clock.now())


@pytest.mark.parametrize("wire", WIRES)
async def test_a_shipped_scenario_is_ok_against_the_sandbox(sandbox: Sandbox, wire: str) -> None:
    record = await probe(sandbox, scenario(wire))
    assert (record.outcome, record.code, record.place, record.status) == (C.OK, "", "", 200)


OK = ("", "", C.OK)

# The fault that is dialled in -> (code, place, class) on every wire, or on each.
FAULTS: list[tuple[dict[str, Any], dict[str, tuple[str, str, C]]]] = [
    ({"kind": "error"}, dict.fromkeys(WIRES, ("500", "status", C.SERVICE_DOWN))),
    ({"kind": "error", "code": 503}, dict.fromkeys(WIRES, ("503", "status", C.SERVICE_DOWN))),
    ({"kind": "maintenance"}, dict.fromkeys(WIRES, ("503", "status", C.SERVICE_DOWN))),
    ({"kind": "throttle"}, dict.fromkeys(WIRES, ("429", "status", C.THROTTLED))),
    ({"kind": "unauthorized"}, dict.fromkeys(WIRES, ("401", "status", C.PROBE_FAULT))),
    (
        {"kind": "html"},
        {
            "mime": ("not-multipart", "envelope/content-type", C.MALFORMED),
            "soap": ("not-soap", "envelope/content-type", C.MALFORMED),
            "plain": ("no-isa", "x12/ISA", C.MALFORMED),
        },
    ),
    ({"kind": "truncate"}, dict.fromkeys(WIRES, ("truncated", "x12/segment", C.MALFORMED))),
    ({"kind": "wrong_trn"}, dict.fromkeys(WIRES, ("mismatch", "echo/trn", C.MALFORMED))),
    (
        {"kind": "wrong_payload_id"},
        {**dict.fromkeys(("mime", "soap"), ("mismatch", "echo/payload_id", C.MALFORMED)), "plain": OK},
    ),
    ({"kind": "soap_fault"}, {"mime": OK, "soap": ("Receiver", "envelope/fault", C.SERVICE_DOWN), "plain": OK}),
    (
        {"kind": "soap_fault", "code": "Sender"},
        {"mime": OK, "soap": ("Sender", "envelope/fault", C.PROBE_FAULT), "plain": OK},
    ),
    *(
        ({"kind": "aaa", "code": code, "loop": loop}, dict.fromkeys(WIRES, (code, f"aaa/{loop}", outcome)))
        for code, loop, outcome in (
            ("42", "2000A", C.SERVICE_DOWN),
            ("42", "2100A", C.PARTNER_DOWN),
            ("80", "2100A", C.PARTNER_DOWN),
            ("41", "2100A", C.PROBE_FAULT),
            ("43", "2100B", C.PROBE_FAULT),
            ("51", "2100B", C.PROBE_FAULT),
            ("75", "2100C", C.BUSINESS_UNEXPECTED),
        )
    ),
    ({"kind": "reset"}, dict.fromkeys(WIRES, ("reset", "net/wait", C.SERVICE_DOWN))),
]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("fault", "expected"), FAULTS, ids=["-".join(str(value) for value in fault.values()) for fault, _ in FAULTS]
)
async def test_a_fault_becomes_its_class_on_every_wire(
    sandbox: Sandbox, wire: str, fault: dict[str, Any], expected: dict[str, tuple[str, str, C]]
) -> None:
    await sandbox.put_fault(component="clearinghouse", **fault)
    record = await probe(sandbox, scenario(wire))
    assert (record.code, record.place, record.outcome) == expected[wire]
    assert await sandbox.fault_hits() == {"one": int(expected[wire] != OK)}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ({"kind": "hang"}, "net/wait"),
        ({"kind": "delay", "ms": 60_000}, "net/wait"),
        ({"kind": "drip", "bytes_per_s": 20}, "net/receive"),
    ],
)
async def test_an_answer_that_comes_too_late_is_a_timeout_on_every_wire(
    sandbox: Sandbox, wire: str, fault: dict[str, Any], place: str
) -> None:
    await sandbox.put_fault(component="clearinghouse", **fault)
    record = await probe(sandbox, scenario(wire), timeout=IMPATIENT)
    assert (record.code, record.place, record.outcome) == ("timeout", place, C.SERVICE_DOWN)


CREDENTIALS = {"username": "agent", "password": "${secret:CORE_PASSWORD}"}


@pytest.mark.parametrize(("password", "outcome"), [("open & shut", C.OK), ("wrong", C.PROBE_FAULT)])
@pytest.mark.parametrize("wire", ["mime", "soap"])
async def test_credentials_go_in_the_envelope(wire: str, password: str, outcome: C) -> None:
    async with running(core_username="agent", core_password="open & shut") as sandbox:
        made = scenario(wire, **CREDENTIALS)
        record = await probe(sandbox, made, environ={"CORE_PASSWORD": password})
        assert record.outcome is outcome
        assert (record.code, record.status) == ("UnAuthorized" if outcome is not C.OK else "", 200)


@pytest.mark.parametrize(("credentials", "outcome"), [("agent:open", C.OK), ("agent:shut", C.PROBE_FAULT)])
async def test_without_an_envelope_credentials_stand_in_the_targets_headers(credentials: str, outcome: C) -> None:
    basic = "Basic " + b64encode(credentials.encode()).decode()
    async with running(core_username="agent", core_password="open") as sandbox:
        record = await probe(sandbox, scenario("plain"), headers=(("Authorization", basic),))
        assert (record.outcome, record.code) == (outcome, "" if outcome is C.OK else "401")


@pytest.mark.parametrize(
    ("wire", "path", "code", "place", "outcome"),
    [
        ("soap", "/core/realtime", "400", "status", C.PROBE_FAULT),
        ("mime", "/core/soap", "400", "status", C.PROBE_FAULT),
        ("plain", "/core/soap", "400", "status", C.PROBE_FAULT),
        ("soap", "/x12", "415", "status", C.PROBE_FAULT),
        ("plain", "/core/realtime", "400", "status", C.PROBE_FAULT),
    ],
)
async def test_a_scenario_that_speaks_to_the_wrong_wire_is_told_by_the_status(
    sandbox: Sandbox, wire: str, path: str, code: str, place: str, outcome: C
) -> None:
    record = await probe(sandbox, scenario(wire, path=path))
    assert (record.code, record.place, record.outcome) == (code, place, outcome)


@pytest.mark.parametrize(
    ("wire", "change", "told"),
    [
        ("plain", {"username": "agent"}, "no place for username and password"),
        ("plain", {"password": "x"}, "no place for username and password"),
        ("soap", {"password": "x"}, "a password needs a username"),
        ("soap", {"envelope": "core-soup"}, "core-soup"),
    ],
)
def test_a_request_that_no_envelope_can_carry_does_not_load(wire: str, change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        PROBES["x12"].check(scenario(wire, **change).steps[0].request)
