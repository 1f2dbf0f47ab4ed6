"""Eligibility over FHIR R4 against a running sandbox: what the probe makes of its answers, and what is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from sandbox_support import CountedNumbers, Reply, Sandbox, running

from outrider.clock import SystemClock
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.config import load_scenario
from outrider.core.outcome import Outcome, OutcomeClass
from outrider.core.timetable import Timetable
from outrider.core.units import MILLISECOND, SECOND
from outrider.execution import Check, Execution, Generators, Surroundings
from outrider.probes import Target
from outrider.probes.table import PROBES
from outrider.resources import shipped
from outrider.transport.wires import Wires
from outrider_sandbox.clearinghouse.members import UNKNOWN_NPI
from outrider_sandbox.faults import ISSUE_CODES

C = OutcomeClass
NAME = "fhir-eligibility"
SCENARIO = load_scenario(shipped("scenarios") / f"{NAME}.yaml")
PATH = "/fhir/CoverageEligibilityRequest"
FHIR_JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


def target(sandbox: Sandbox, **headers: str) -> Target:
    return Target("sandbox", sandbox.url, tuple(headers.items()))


async def run(
    sandbox: Sandbox,
    request: dict[str, Any] | None = None,
    expect: dict[str, Any] | None = None,
    timeout: int = 10 * SECOND,
    **headers: str,
) -> Outcome:
    """What a run of the shipped scenario comes to, with parts of its request and its expectations changed."""
    (step,) = SCENARIO.steps
    changed = msgspec.structs.replace(
        step,
        request={**step.request, **(request or {})},
        expect=step.expect if expect is None else expect,
    )
    PROBES["fhir"].check(changed.request)
    scenario = msgspec.structs.replace(SCENARIO, steps=[changed])
    check = Check(NAME, scenario, target(sandbox, **headers), Timetable("test", NAME, 60 * SECOND), timeout)
    clock = SystemClock()
    transport = Wires(clock)
    generate = Generators(clock, CountedNumbers(), str)
    execution = Execution(check, Surroundings("test", transport, clock, generate, OUTCOME_TABLE))
    try:
        await execution.measure()
    finally:
        await transport.close()
    return execution.outcome


def patient(first: str, member_id: str, birth_date: str, last: str = "OUTRIDER") -> dict[str, Any]:
    return {"patient": {"last": last, "first": first, "id": member_id, "birth_date": birth_date}}


ACTIVE = patient("TESTONE", "OUT100000001", "1970-01-01")
CHILD = {
    **patient("TESTCHILD", "OUT100000001", "2015-04-01"),
    "coverage": {"subscriber_id": "OUT100000001", "relationship": "child"},
}


@pytest.mark.parametrize(
    ("request_", "expect"),
    [
        (ACTIVE, {"outcome": "complete", "inforce": True, "benefit": "deductible", "excluded": False, "status": 201}),
        ({"path": f"{PATH}/$$submit"}, {"outcome": "complete", "inforce": True, "status": 200}),
        (CHILD, {"inforce": True, "category": "30"}),
        (patient("TESTTHREE", "OUT100000003", "1959-02-28"), {"outcome": "complete", "inforce": False}),
        ({**patient("TESTFOUR", "OUT100000004", "2001-09-11"), "categories": ["35"]},
         {"inforce": True, "category": "35", "excluded": False}),
        ({**patient("TESTFOUR", "OUT100000004", "2001-09-11"), "categories": ["30"]}, {"excluded": True}),
        (patient("TESTNOBODY", "OUT199999999", "1970-01-01"), {"outcome": "error", "error": "75"}),
        (patient("TESTONE", "NOBODY", "1970-01-01"), {"outcome": "error", "error": "72"}),
        (patient("TESTONE", "OUT100000001", "1970-01-02"), {"outcome": "error", "error": "71"}),
        (patient("TESTTWO", "OUT100000001", "1970-01-01"), {"outcome": "error", "error": "73"}),
        ({"insurer": {"name": "NOBODY", "id": "NOBODY"}}, {"outcome": "error", "error": "79"}),
    ],
)  # fmt: skip
async def test_a_member_is_answered_for_as_the_clearinghouse_answers_in_x12(
    sandbox: Sandbox, request_: dict[str, Any], expect: dict[str, Any]
) -> None:
    assert await run(sandbox, request_, expect) == Outcome(C.OK)


@pytest.mark.parametrize(
    ("request_", "expected", "code", "place"),
    [
        (patient("TESTFORTYTWO", "OUT100000042", "1970-01-01"), C.PARTNER_DOWN, "42", "error/x12"),
        (patient("TESTEIGHTY", "OUT100000080", "1970-01-01"), C.PARTNER_DOWN, "80", "error/x12"),
        ({"provider": {"name": "CLINIC", "id": UNKNOWN_NPI}}, C.PROBE_FAULT, "51", "error/x12"),
        (patient("TESTNOBODY", "OUT199999999", "1970-01-01"), C.BUSINESS_UNEXPECTED, "75", "error/x12"),
        ({**patient("TESTNOBODY", "OUT100000001", "2015-04-01"), "coverage": CHILD["coverage"]},
         C.BUSINESS_UNEXPECTED, "67", "error/x12"),
        (patient("TESTTHREE", "OUT100000003", "1959-02-28"), C.BUSINESS_UNEXPECTED, "unexpected", "expect/inforce"),
        ({"insurer": {"reference": "Organization/1"}}, C.BUSINESS_UNEXPECTED, "not-found", "issue/insurer"),
        ({"provider": {"name": "CLINIC", "id": "1234567893", "system": "urn:other"}},
         C.PROBE_FAULT, "required", "issue/provider.identifier"),
        ({"path": "/fhir/Nothing"}, C.MALFORMED, "404", "status"),
    ],
)  # fmt: skip
async def test_an_answer_that_was_not_expected_is_classified_by_code_and_place(
    sandbox: Sandbox, request_: dict[str, Any], expected: OutcomeClass, code: str, place: str
) -> None:
    outcome = await run(sandbox, request_)
    assert (outcome.outcome, outcome.code, outcome.place) == (expected, code, place)


FAULTS = [
    ({"kind": "fhir_issue", "code": "timeout"}, C.SERVICE_DOWN, "timeout", "issue/whole"),
    ({"kind": "fhir_issue", "code": "timeout", "place": "insurer"}, C.PARTNER_DOWN, "timeout", "issue/insurer"),
    ({"kind": "fhir_issue", "code": "timeout", "place": "insurer", "http": 200}, C.PARTNER_DOWN, "timeout",
     "issue/insurer"),
    ({"kind": "fhir_issue", "code": "login", "http": 401}, C.PROBE_FAULT, "401", "status"),
    ({"kind": "fhir_issue", "code": "required", "place": "insurance"}, C.PROBE_FAULT, "required", "issue/insurance"),
    ({"kind": "fhir_issue", "code": "required", "http": 500}, C.SERVICE_DOWN, "500", "status"),
    ({"kind": "fhir_issue", "code": "throttled", "http": 429}, C.THROTTLED, "429", "status"),
    ({"kind": "fhir_issue", "code": "not-found", "place": "patient", "http": 404}, C.BUSINESS_UNEXPECTED, "not-found",
     "issue/patient"),
    ({"kind": "fhir_error", "code": "42"}, C.PARTNER_DOWN, "42", "error/x12"),
    ({"kind": "fhir_error", "code": "a001"}, C.PROBE_FAULT, "a001", "error/hl7"),
    ({"kind": "fhir_error", "code": "75"}, C.BUSINESS_UNEXPECTED, "75", "error/x12"),
    ({"kind": "fhir_outcome"}, C.BUSINESS_UNEXPECTED, "queued", "outcome"),
    ({"kind": "fhir_outcome", "outcome": "partial"}, C.BUSINESS_UNEXPECTED, "partial", "outcome"),
    ({"kind": "fhir_outcome", "outcome": "error"}, C.MALFORMED, "error", "outcome"),
    ({"kind": "wrong_request"}, C.MALFORMED, "mismatch", "echo/request"),
    ({"kind": "truncate"}, C.MALFORMED, "not-json", "body/json"),
    ({"kind": "html"}, C.MALFORMED, "not-fhir", "body/type"),
    ({"kind": "error", "code": 503}, C.SERVICE_DOWN, "503", "status"),
    ({"kind": "maintenance"}, C.SERVICE_DOWN, "503", "status"),
    ({"kind": "throttle"}, C.THROTTLED, "429", "status"),
    ({"kind": "unauthorized"}, C.PROBE_FAULT, "401", "status"),
    ({"kind": "reset"}, C.SERVICE_DOWN, "reset", ""),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "expected", "code", "place"), FAULTS, ids=str)
async def test_a_fault_that_is_dialled_in_becomes_its_class(
    sandbox: Sandbox, fault: dict[str, Any], expected: OutcomeClass, code: str, place: str
) -> None:
    await sandbox.put_fault(component="clearinghouse", **fault)
    outcome = await run(sandbox)
    assert (outcome.outcome, outcome.code) == (expected, code)
    assert outcome.place == place or not place
    assert await sandbox.fault_hits() == {"one": 1}


async def test_an_answer_that_hangs_is_a_timeout(sandbox: Sandbox) -> None:
    await sandbox.put_fault("hang", "clearinghouse")
    outcome = await run(sandbox, timeout=300 * MILLISECOND)
    assert (outcome.outcome, outcome.code) == (C.SERVICE_DOWN, "timeout")


@pytest.mark.parametrize("code", ISSUE_CODES)
async def test_every_issue_that_can_be_dialled_in_has_its_row_in_the_outcome_table(sandbox: Sandbox, code: str) -> None:
    await sandbox.put_fault("fhir_issue", "clearinghouse", code=code)
    outcome = await run(sandbox)
    assert (outcome.code, outcome.place) == (code, "issue/whole")
    assert outcome.outcome is not C.MALFORMED


@pytest.mark.parametrize("fault", ["fhir_issue", "fhir_error", "fhir_outcome", "wrong_request"])
async def test_a_fault_that_speaks_fhir_is_passed_over_elsewhere(sandbox: Sandbox, fault: str) -> None:
    await sandbox.put_fault(fault, "clearinghouse")
    assert (await sandbox.get("/healthz")).http == 200
    refused = await sandbox.ask("PUT", "/faults/two", json={"kind": fault, "component": "gateway"})
    assert refused.http == 400
    assert await sandbox.fault_hits() == {"one": 0}


async def test_credentials_are_asked_for_where_they_were_agreed_on() -> None:
    async with running(core_username="probe", core_password="correct horse") as sandbox:
        outcome = await run(sandbox)
        assert (outcome.outcome, outcome.code) == (C.PROBE_FAULT, "401")
        assert await run(sandbox, Authorization="Basic cHJvYmU6Y29ycmVjdCBob3JzZQ==") == Outcome(C.OK)


# --- what the sandbox makes of strange requests


def body() -> dict[str, Any]:
    drawn = {"uuid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "now": "2026-06-01T22:00:00Z", "today": "2026-06-01"}
    prepared = PROBES["fhir"].prepare(SCENARIO.steps[0].request, Target("t", "http://t"), drawn.__getitem__)
    made: dict[str, Any] = json.loads(prepared.request.body)
    return made


async def post(sandbox: Sandbox, content: object, headers: dict[str, str] = FHIR_JSON) -> tuple[Reply, dict[str, Any]]:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    back = await sandbox.ask("POST", PATH, data=raw, headers=headers)
    return back, json.loads(back.raw)


async def test_an_answer_holds_what_r4_requires_and_names_nobody(sandbox: Sandbox) -> None:
    back, answer = await post(sandbox, body())
    assert (back.http, back.content_type) == (201, "application/fhir+json; charset=utf-8")
    assert back.headers["Location"].startswith("/fhir/CoverageEligibilityRequest/")
    required = {"status", "purpose", "patient", "created", "request", "outcome", "insurer"}
    assert required <= answer.keys()
    assert answer["request"]["identifier"]["value"] == "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    assert back.headers["Location"].partition("/_history")[0].endswith(answer["request"]["reference"])
    assert "TESTONE" not in back.raw.decode()
    assert "1970" not in back.raw.decode()


async def test_two_answers_have_different_ids(sandbox: Sandbox) -> None:
    ids = [(await post(sandbox, body()))[1]["id"] for _ in range(3)]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("change", "http", "code", "expression"),
    [
        ({"resourceType": "Claim"}, 400, "structure", ".resourceType"),
        ({"status": "cancelled"}, 422, "business-rule", ".status"),
        ({"purpose": []}, 400, "code-invalid", ".purpose"),
        ({"purpose": ["x"]}, 400, "code-invalid", ".purpose"),
        ({"purpose": {}}, 400, "structure", ".purpose"),
        ({"created": ""}, 400, "required", ".created"),
        ({"patient": {"reference": "#nobody"}}, 422, "not-found", ".patient"),
        ({"patient": {}}, 400, "required", ".patient"),
        ({"patient": "x"}, 400, "structure", ".patient"),
        ({"insurance": []}, 400, "structure", ".insurance"),
        ({"contained": []}, 422, "not-found", ".patient"),
        ({"servicedDate": "then"}, 422, "value", ""),
    ],
)
async def test_a_request_that_cannot_be_answered_is_refused_with_its_element(
    sandbox: Sandbox, change: dict[str, Any], http: int, code: str, expression: str
) -> None:
    back, answer = await post(sandbox, {**body(), **change})
    (issue,) = answer["issue"]
    assert (back.http, answer["resourceType"], issue["code"]) == (http, "OperationOutcome", code)
    assert issue["expression"] == [f"CoverageEligibilityRequest{expression}"]


@pytest.mark.parametrize("raw", [b"", b"[", b"[]", b"5", b'{"a": 1, "a": 2}', b"[" * 100_000, b"\xff"])
async def test_what_is_no_json_object_is_refused_as_such(sandbox: Sandbox, raw: bytes) -> None:
    back, answer = await post(sandbox, raw)
    assert (back.http, answer["issue"][0]["code"]) == (400, "structure")


async def test_another_content_type_is_refused(sandbox: Sandbox) -> None:
    back, answer = await post(sandbox, body(), {"Content-Type": "application/fhir+xml"})
    assert (back.http, answer["issue"][0]["code"]) == (415, "not-supported")


STRANGE: list[Any] = [
    None, 5, "x", "\ud800", [], [None], [5], ["x"], [[]], [{}], {}, {"reference": 5}, [{"coverage": 5}], [{"value": 5}],
    [{"family": 5}], {"coding": [5]},
]  # fmt: skip


async def test_nothing_in_any_element_makes_an_unplanned_error_500(sandbox: Sandbox) -> None:
    for key, value in itertools.product(body(), STRANGE):
        back, _ = await post(sandbox, {**body(), key: value})
        assert back.http < 500, (key, value)
    within = ("id", "name", "identifier", "birthDate", "subscriberId", "relationship", "resourceType")
    for number, element, value in itertools.product(range(4), within, STRANGE):
        made = body()
        made["contained"][number][element] = value
        back, _ = await post(sandbox, made)
        assert back.http < 500, (number, element, value)
