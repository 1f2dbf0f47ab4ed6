"""Professional claims at the clearinghouse over real sockets, on every wire. pyx12 reads the answers by its maps."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import aiohttp
import pytest
from pyx12.params import params
from pyx12.x12n_document import x12n_document
from sandbox_support import Sandbox, running

from outrider.codecs import core_mime, core_soap, x12
from outrider.codecs.core_envelope import X12_277CA, X12_837_REQUEST, Envelope
from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.codecs.professional_claim import (
    Address,
    BillingProvider,
    Claim,
    Dependent,
    Member,
    ServiceLine,
    Submission,
    Submitter,
    read_response,
    write_submission,
)
from outrider.core.outcome import Expected, Observation, OutcomeClass, classify
from outrider_sandbox import Settings
from outrider_sandbox.clearinghouse.acknowledge import TYPE_999
from outrider_sandbox.clearinghouse.members import RECORDS, SURNAME, UNKNOWN_NPI
from outrider_sandbox.clearinghouse.submissions import REJECTIONS

C = OutcomeClass
TRACE, CLAIM_ID, NUMBER = "TRACE-000000020", "OUTCLAIM-20", 20
PAYLOAD_ID = "0b7a4a3e-6f0e-4f0a-9f67-0d1f6d6c1b14"
HOME = Address("2 MADE UP ROAD", "TESTVILLE", "NY", "10001")
MEMBER = Member(SURNAME, "TESTONE", "OUT100000001", "19700101", "F")
CHILD = Dependent(SURNAME, "TESTCHILD", "20150401", "M")
CLINIC = BillingProvider("OUTRIDER TEST CLINIC", "1234567893", "123456789", replace(HOME, zip_code="100010001"))
CLAIM = Claim(CLAIM_ID, ("R519",), (ServiceLine("99213", "75", "20260601"), ServiceLine("87880", "50", "20260601")))
SUBMISSION = Submission(
    "OUTRIDERAGENT",
    "OUTRIDERSANDBOX",
    NUMBER,
    TRACE,
    "OUTRIDER TEST PAYER",
    "OUTPAYER01",
    Submitter("OUTRIDER TEST CLINIC", "OUTRIDERAGENT", "5555550100"),
    "OUTRIDER TEST PAYER",
    CLINIC,
    MEMBER,
    HOME,
    CLAIM,
    created=datetime(2026, 6, 1, 22, 0, tzinfo=UTC),
)
WIRES = ("mime", "soap", "plain")


@dataclass(frozen=True, slots=True)
class Answered:
    """The X12 that came back, what the envelope called it ("" without one), and how it reads."""

    payload: bytes
    payload_type: str
    seen: Observation

    @property
    def places(self) -> list[tuple[str, str]]:
        return [(finding.code, finding.place) for finding in self.seen.findings]

    def segments(self, name: str) -> list[tuple[str, ...]]:
        found = (each for one in x12.read_transmission(self.payload) for each in one.transactions)
        return [segment.elements for each in found for segment in each.segments if segment.id == name]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


@asynccontextmanager
async def answering(claim_answer: str) -> AsyncIterator[Sandbox]:
    async with running(claim_answer=claim_answer) as sandbox:
        yield sandbox


async def submit(
    sandbox: Sandbox, submission: Submission = SUBMISSION, *, wire: str = "mime", payload: bytes | None = None
) -> Answered:
    sent = payload or write_submission(submission)
    if wire == "plain":
        reply = await sandbox.ask("POST", "/x12", data=sent, headers={"Content-Type": "application/edi-x12"})
        assert reply.http == 200, reply.raw
        return read(reply.raw, "")
    envelope = Envelope(
        payload_type=X12_837_REQUEST,
        payload_id=PAYLOAD_ID,
        timestamp="2026-06-01T22:00:00Z",
        sender_id="OUTRIDERAGENT",
        receiver_id="OUTRIDERSANDBOX",
        payload=sent,
    )
    if wire == "soap":
        content_type, body = core_soap.write(envelope)
        reply = await sandbox.ask("POST", "/core/soap", data=body, headers={"Content-Type": content_type})
        back = core_soap.read(reply.content_type, reply.raw, element=core_soap.RESPONSE)
    else:
        content_type, body = core_mime.write(envelope, boundary="test-boundary-9")
        reply = await sandbox.ask("POST", "/core/realtime", data=body, headers={"Content-Type": content_type})
        back = core_mime.read(reply.content_type, reply.raw)
    return read(back.payload, back.payload_type)


def read(payload: bytes, payload_type: str) -> Answered:
    return Answered(payload, payload_type, read_response(payload, trace=TRACE, claim=CLAIM_ID, control_number=NUMBER))


def is_right_by_the_map(payload: bytes) -> bool:
    return bool(x12n_document(params(), io.StringIO(payload.decode("ascii")), io.StringIO(), None))


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("dependent", [None, CHILD])
async def test_a_claim_of_a_covered_patient_is_accepted_on_every_wire(
    sandbox: Sandbox, wire: str, dependent: Dependent | None
) -> None:
    answer = await submit(sandbox, replace(SUBMISSION, dependent=dependent), wire=wire)
    assert answer.places == []
    assert answer.seen.facts["stc"] == ("A1", "A1", "A2")
    assert answer.seen.facts["trn"] == (TRACE, CLAIM_ID)
    assert answer.payload_type == ("" if wire == "plain" else X12_277CA)
    assert is_right_by_the_map(answer.payload)
    assert [each[:1] for each in answer.segments("REF")] == [("1K",)]
    assert [each[3] for each in answer.segments("STC")] == ["125"] * 3


def of(member_id: str, **changes: str) -> Submission:
    record = RECORDS.get(member_id, RECORDS["OUT100000001"])
    member = Member(SURNAME, record.first, member_id, record.birth_date, record.gender)
    return replace(SUBMISSION, member=replace(member, **changes))


@pytest.mark.parametrize(
    ("submission", "code", "loop", "status", "outcome"),
    [
        (of("OUT100000099"), "A3", "2200D", "33", C.BUSINESS_UNEXPECTED),
        (of("OUT100000003"), "A3", "2200D", "88", C.BUSINESS_UNEXPECTED),
        (of("NOBODY"), "A7", "2200D", "164", C.BUSINESS_UNEXPECTED),
        (of("OUT100000001", birth_date="19700102"), "A8", "2200D", "158", C.BUSINESS_UNEXPECTED),
        (of("OUT100000001", last="ELSE"), "A8", "2200D", "125", C.BUSINESS_UNEXPECTED),
        (of("OUT100000042"), "E2", "2200B", "0", C.PARTNER_DOWN),
        (of("OUT100000080"), "E2", "2200B", "0", C.PARTNER_DOWN),
        (replace(SUBMISSION, payer_id="NOBODY"), "A3", "2200D", "26", C.BUSINESS_UNEXPECTED),
        (replace(SUBMISSION, provider=replace(CLINIC, npi=UNKNOWN_NPI)), "A7", "2200C", "562", C.PROBE_FAULT),
        (replace(SUBMISSION, dependent=replace(CHILD, first="NO")), "A3", "2200D", "97", C.BUSINESS_UNEXPECTED),
        (
            replace(SUBMISSION, dependent=replace(CHILD, birth_date="20150402")),
            "A8",
            "2200D",
            "158",
            C.BUSINESS_UNEXPECTED,
        ),
        (
            replace(SUBMISSION, claim=replace(CLAIM, lines=(ServiceLine("99213", "75", "20191231"),))),
            "A3",
            "2200D",
            "88",
            C.BUSINESS_UNEXPECTED,
        ),
    ],
)
async def test_what_cannot_be_taken_is_rejected_at_its_level(
    sandbox: Sandbox, submission: Submission, code: str, loop: str, status: str, outcome: OutcomeClass
) -> None:
    answer = await submit(sandbox, submission)
    assert answer.places == [(code, f"stc/{loop}")]
    assert answer.seen.facts["stc_code"][-1] == status
    assert classify([Expected("stc", ("A2",))], answer.seen, OUTCOME_TABLE).outcome is outcome
    assert answer.segments("REF") == []
    assert is_right_by_the_map(answer.payload) == (loop == "2200D"), "the map wants the levels that the guide ends"


SHAPES = {
    "277CA": (["277"], 1),
    "999": (["999"], 1),
    "999+277CA": (["999", "277"], 1),
    "999,277CA": (["999", "277"], 2),
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("shape", SHAPES)
async def test_the_answer_takes_the_shape_that_was_agreed_on(shape: str, wire: str) -> None:
    sets, interchanges = SHAPES[shape]
    async with answering(shape) as sandbox:
        answer = await submit(sandbox, wire=wire)
        assert (answer.places, list(answer.seen.facts["set"])) == ([], sets)
        assert len(x12.read_transmission(answer.payload)) == interchanges
        assert answer.seen.facts["ack"] == (("A", "A") if "999" in sets else ())
        assert answer.seen.facts["stc"] == (("A1", "A1", "A2") if "277" in sets else ())
        assert answer.payload_type == ("" if wire == "plain" else X12_277CA if "277" in sets else TYPE_999)
        rejected = await submit(sandbox, of("OUT100000099"), wire=wire)
        assert rejected.places == ([("A3", "stc/2200D")] if "277" in sets else []), "a 999 knows nobody"


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_wrong_trace_and_a_truncated_answer_are_noticed_in_every_shape(shape: str) -> None:
    async with answering(shape) as sandbox:
        await sandbox.put_fault("wrong_trn", "clearinghouse")
        wrong = await submit(sandbox)
        assert {place for _, place in wrong.places} == {
            *(["echo/ack"] if "999" in shape else []),
            *(["echo/trn"] if "277CA" in shape else []),
        }
        assert classify([], wrong.seen, OUTCOME_TABLE).outcome is C.MALFORMED
        await sandbox.put_fault("truncate", "clearinghouse")
        assert [code for code, _ in (await submit(sandbox)).places] == ["truncated"]


@pytest.mark.parametrize(
    ("code", "loop", "outcome"),
    [
        ("A3", "2200B", C.PROBE_FAULT),
        ("A7", "2200C", C.PROBE_FAULT),
        ("A8", "2200D", C.BUSINESS_UNEXPECTED),
        ("E1", "2200B", C.SERVICE_DOWN),
        ("E2", "2200D", C.PARTNER_DOWN),
        ("A1", "2200D", C.BUSINESS_UNEXPECTED),
        ("A2", "2200B", C.OK),
        ("F1", "2200D", C.MALFORMED),
    ],
)
async def test_an_stc_fault_answers_a_good_claim_as_it_is_told_to(
    sandbox: Sandbox, code: str, loop: str, outcome: OutcomeClass
) -> None:
    await sandbox.put_fault("stc", "clearinghouse", code=code, loop=loop)
    answer = await submit(sandbox)
    assert (code, loop) in [
        (each[0].split(":")[0], f"2200{level}") for each, level in zip(answer.segments("STC"), "BCD", strict=False)
    ]
    assert classify([Expected("stc", ("A2",))], answer.seen, OUTCOME_TABLE).outcome is outcome
    assert await sandbox.fault_hits() == {"one": 1}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("code", "places"), [("A", []), ("E", []), ("R", [("R", "999/IK501"), ("R", "999/AK901")])])
async def test_an_ack_fault_answers_with_a_999_alone(
    sandbox: Sandbox, code: str, places: list[tuple[str, str]], wire: str
) -> None:
    await sandbox.put_fault("ack", "clearinghouse", code=code)
    answer = await submit(sandbox, wire=wire)
    assert answer.places == places
    assert answer.seen.facts["ack"] == (code, code)
    assert is_right_by_the_map(answer.payload)
    expected = C.PROBE_FAULT if code == "R" else C.OK
    assert classify([Expected("ack", ("A", "E"))], answer.seen, OUTCOME_TABLE).outcome is expected


async def test_a_fault_that_cannot_act_is_passed_over() -> None:
    async with answering("999") as sandbox:
        await sandbox.put_fault("stc", "clearinghouse", code="A3", loop="2200D")
        await sandbox.put_fault("aaa", "clearinghouse", name="two", code="42", loop="2000A")
        assert (await submit(sandbox)).places == []
        assert await sandbox.fault_hits() == {"one": 0, "two": 0}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"CLM*OUTCLAIM-20*125*", b"CLM*OUTCLAIM-20*126*", "5"),
        (b"1234567893", b"1234567890", "5"),
        (b"REF*EI*", b"REF*SY*", "5"),
        (b"HL*2*1*22*0", b"HL*2**22*0", "5"),
        (b"LX*2", b"LX*3", "5"),
        (b"SE*26*", b"SE*27*", "4"),
    ],
)
async def test_a_claim_whose_structure_is_wrong_gets_a_999_that_rejects_it(
    sandbox: Sandbox, old: bytes, new: bytes, code: str, wire: str
) -> None:
    payload = write_submission(SUBMISSION)
    assert payload.count(old) == 1
    answer = await submit(sandbox, payload=payload.replace(old, new), wire=wire)
    assert answer.places == [("R", "999/IK501"), ("R", "999/AK901")]
    assert answer.segments("AK1") == [("HC", str(NUMBER), "005010X222A1")]
    assert answer.segments("AK2") == [("837", "0001", "005010X222A1")]
    assert answer.segments("IK5") == [("R", code)]
    assert classify([], answer.seen, OUTCOME_TABLE).outcome is C.PROBE_FAULT


async def test_an_interchange_that_does_not_hold_together_gets_a_ta1_about_ours(sandbox: Sandbox) -> None:
    payload = write_submission(SUBMISSION).replace(b"IEA*1*000000020", b"IEA*1*000000021")
    answer = await submit(sandbox, payload=payload)
    assert answer.places == [("001", "ta1/TA105")]


async def test_no_byte_that_is_changed_or_cut_makes_an_error_500(sandbox: Sandbox) -> None:
    whole = write_submission(replace(SUBMISSION, dependent=CHILD))
    payloads = [whole[:at] for at in range(110, len(whole), 53)]
    payloads += [whole[:at] + b"*" + whole[at + 1 :] for at in range(107, len(whole), 31)]
    for payload in payloads:
        assert (await submit(sandbox, payload=payload)).seen.facts.get("set", ()) != ()


async def test_many_claims_at_once_get_control_numbers_of_their_own() -> None:
    async with answering("999,277CA") as sandbox:
        answers = [await submit(sandbox) for _ in range(20)]
    numbers = [each.control_number for answer in answers for each in x12.read_transmission(answer.payload)]
    assert len(set(numbers)) == len(numbers) == 40


async def test_the_directory_says_how_claims_are_answered() -> None:
    async with answering("999") as sandbox, aiohttp.ClientSession() as session, session.get(sandbox.url) as reply:
        body = await reply.json()
    assert body["clearinghouse"]["submissions"]["answered_with"] == "999"


def test_a_shape_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="claim_answer: '997' is not one of 277CA 999"):
        partial(Settings, claim_answer="997")()


def test_every_reason_of_eligibility_has_its_claim_status() -> None:
    assert set(REJECTIONS) == {"42", "80", "51", "79", "72", "75", "71", "73", "67"}
