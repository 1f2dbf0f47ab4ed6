"""Claim status at the clearinghouse over real sockets. pyx12 reads its X12 too, since a shared codec hides mistakes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from pyx12.segment import Segment
from pyx12.x12file import X12Reader
from sandbox_support import Sandbox, running

from outrider.codecs import core_mime
from outrider.codecs.claim_status import Claim, ClaimInquiry, Dependent, Member, read_response, write_request
from outrider.codecs.core_mime import Envelope
from outrider.core.outcome import Observation
from outrider_sandbox.clearinghouse.claims import CLAIMS, MEANINGS, ClaimRecord
from outrider_sandbox.clearinghouse.members import RECORDS, SURNAME, UNKNOWN_NPI

TRACE = "TRACE-000000018"
CREATED = datetime(2026, 6, 1, 22, 0, tzinfo=UTC)
MEMBER = Member(SURNAME, "TESTONE", "OUT100000001", "19700101", "F")
CHILD = Dependent(SURNAME, "TESTCHILD", "20150401")
CLAIM = Claim("OUTCLAIM0001", "125.00", "20260302")
INQUIRY = ClaimInquiry(
    sender_id="OUTRIDERAGENT",
    receiver_id="OUTRIDERSANDBOX",
    control_number=18,
    trace=TRACE,
    payer_name="OUTRIDER TEST PAYER",
    payer_id="OUTPAYER01",
    submitter_name="OUTRIDER TEST CLINIC",
    submitter_id="OUTRIDERAGENT",
    provider_name="OUTRIDER TEST CLINIC",
    provider_npi="1234567893",
    member=MEMBER,
    claim=CLAIM,
    created=CREATED,
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back: the envelope, its payload as our own codec reads it, and as pyx12 does."""

    envelope: Envelope
    seen: Observation

    @property
    def places(self) -> list[tuple[str, str]]:
        return [(finding.code, finding.place) for finding in self.seen.findings]

    def values(self, name: str, place: str) -> list[str | None]:
        """One element of each segment of a kind, read by pyx12, which must find nothing wrong."""
        reader = X12Reader(io.StringIO(self.envelope.payload.decode("ascii")))
        segments: list[Segment] = []
        errors = []
        for segment in reader:
            segments.append(segment)
            errors += reader.pop_errors()
        reader.cleanup()
        assert [*errors, *reader.pop_errors()] == []
        return [segment.get_value(place) for segment in segments if segment.get_seg_id() == name]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


async def inquire(
    sandbox: Sandbox,
    inquiry: ClaimInquiry = INQUIRY,
    *,
    payload: bytes | None = None,
    payload_type: str = core_mime.X12_276,
) -> Exchange:
    content_type, body = core_mime.write(
        Envelope(
            payload_type=payload_type,
            payload_id="0b7a4a3e-6f0e-4f0a-9f67-0d1f6d6c1b12",
            timestamp="2026-06-01T22:00:00Z",
            sender_id="OUTRIDERAGENT",
            receiver_id="OUTRIDERSANDBOX",
            payload=payload or write_request(inquiry),
        ),
        boundary="test-boundary-8",
    )
    reply = await sandbox.ask("POST", "/core/realtime", data=body, headers={"Content-Type": content_type})
    received = core_mime.read(reply.content_type, reply.raw)
    return Exchange(received, read_response(received.payload, trace=TRACE))


def asking_for(record: ClaimRecord, account: str) -> ClaimInquiry:
    member = RECORDS[record.member_id]
    return replace(
        INQUIRY,
        member=Member(SURNAME, member.first, record.member_id, member.birth_date, member.gender),
        dependent=CHILD if record.dependent else None,
        claim=Claim(account, record.charged, record.day),
    )


@pytest.mark.parametrize("account", CLAIMS)
async def test_a_claim_in_the_table_is_answered_as_the_table_has_it(sandbox: Sandbox, account: str) -> None:
    record = CLAIMS[account]
    answer = await inquire(sandbox, asking_for(record, account))
    assert (answer.envelope.error_code, answer.envelope.payload_type) == ("Success", core_mime.X12_277)
    assert answer.places == []
    assert answer.values("ST", "ST01") == ["277"]
    assert answer.values("ST", "ST03") == ["005010X212"]
    assert answer.values("TRN", "TRN02") == [TRACE]
    assert answer.values("HL", "HL03") == ["20", "21", "19", "22"] + (["23"] if record.dependent else [])
    assert answer.values("STC", "STC01-1") == [record.category] == list(answer.seen.facts["stc"])
    assert answer.values("STC", "STC01-2") == [record.code] == list(answer.seen.facts["stc_code"])
    assert answer.values("STC", "STC04") == [record.charged]
    assert answer.values("STC", "STC05") == [record.paid or None]
    assert answer.values("REF", "REF02") == [account]


NOT_FOUND = ("D0", "stc/2200D")


@pytest.mark.parametrize(
    ("inquiry", "expected", "code"),
    [
        (replace(INQUIRY, claim=Claim("OUTCLAIM0009")), NOT_FOUND, "35"),
        (replace(INQUIRY, claim=Claim()), NOT_FOUND, "35"),
        (replace(INQUIRY, claim=Claim("OUTCLAIM0003")), NOT_FOUND, "35"),
        (replace(INQUIRY, claim=replace(CLAIM, amount="125.01")), NOT_FOUND, "35"),
        (replace(INQUIRY, claim=replace(CLAIM, first_day="20260303")), NOT_FOUND, "35"),
        (replace(INQUIRY, claim=Claim("OUTCLAIM0004", "75")), NOT_FOUND, "35"),
        (replace(INQUIRY, dependent=CHILD), ("D0", "stc/2200E"), "35"),
        (replace(INQUIRY, dependent=replace(CHILD, first="NOBODY")), ("D0", "stc/2200E"), "34"),
        (replace(INQUIRY, dependent=replace(CHILD, birth_date="20150402")), ("D0", "stc/2200E"), "34"),
        (replace(INQUIRY, member=replace(MEMBER, member_id="OUT100000099")), NOT_FOUND, "33"),
        (replace(INQUIRY, member=replace(MEMBER, first="ELSE")), NOT_FOUND, "33"),
        (replace(INQUIRY, member=replace(MEMBER, birth_date="19700102")), NOT_FOUND, "33"),
        (replace(INQUIRY, dependent=CHILD, member=replace(MEMBER, last="ELSE")), NOT_FOUND, "33"),
        (replace(INQUIRY, provider_npi="1234567890"), ("E0", "stc/2200C"), "562"),
        (replace(INQUIRY, provider_npi=UNKNOWN_NPI), ("E0", "stc/2200C"), "26"),
        (replace(INQUIRY, payer_id="NOBODY"), ("E0", "stc/2200B"), "26"),
        (replace(INQUIRY, member=replace(MEMBER, member_id="OUT100000042")), ("E2", "stc/2200B"), "0"),
        (replace(INQUIRY, member=replace(MEMBER, member_id="OUT100000080")), ("E2", "stc/2200B"), "0"),
    ],
)
async def test_what_cannot_be_answered_ends_at_its_level(
    sandbox: Sandbox, inquiry: ClaimInquiry, expected: tuple[str, str], code: str
) -> None:
    answer = await inquire(sandbox, inquiry)
    assert answer.places == [expected]
    assert answer.values("STC", "STC01-2") == [code]
    assert len(answer.values("HL", "HL01")) == "ABCDE".index(expected[1][-1]) + 1


@pytest.mark.parametrize(
    "claim",
    [
        Claim("OUTCLAIM0001"),
        Claim("OUTCLAIM0001", "125"),
        Claim("OUTCLAIM0001", "125.0", "20260301", "20260331"),
    ],
)
async def test_an_amount_or_days_that_fit_find_the_claim(sandbox: Sandbox, claim: Claim) -> None:
    assert (await inquire(sandbox, replace(INQUIRY, claim=claim))).seen.facts["stc"] == ("F1",)


@pytest.mark.parametrize("loop", ["2200B", "2200C", "2200D"])
@pytest.mark.parametrize("code", ["E1", "E2", "D0"])
async def test_an_stc_fault_answers_a_good_request_as_it_is_told_to(sandbox: Sandbox, code: str, loop: str) -> None:
    await sandbox.put_fault("stc", "clearinghouse", code=code, loop=loop)
    answer = await inquire(sandbox)
    assert answer.places == [(code, f"stc/{loop}")]
    assert answer.values("STC", "STC01-1") == [code]
    assert await sandbox.fault_hits() == {"one": 1}


async def test_faults_of_another_transaction_do_not_hit(sandbox: Sandbox) -> None:
    await sandbox.put_fault("aaa", "clearinghouse", code="42", loop="2000A")
    assert (await inquire(sandbox)).places == []
    assert await sandbox.fault_hits() == {"one": 0}


async def test_a_wrong_trn_and_a_truncated_answer_work_for_claims_too(sandbox: Sandbox) -> None:
    await sandbox.put_fault("wrong_trn", "clearinghouse")
    wrong = await inquire(sandbox)
    assert wrong.places == [("mismatch", "echo/trn")]
    assert TRACE not in wrong.values("TRN", "TRN02")
    await sandbox.put_fault("truncate", "clearinghouse")
    assert [code for code, _ in (await inquire(sandbox)).places] == ["truncated"]


@pytest.mark.parametrize(
    ("payload", "payload_type", "code"),
    [
        (write_request(INQUIRY), core_mime.X12_270, "1"),
        (write_request(INQUIRY).replace(f"TRN*1*{TRACE}~".encode(), b"REF*1K*1~"), core_mime.X12_276, "5"),
        (write_request(INQUIRY).replace(b"SE*16*", b"SE*17*"), core_mime.X12_276, "4"),
    ],
)
async def test_a_276_that_cannot_be_worked_with_gets_a_999(
    sandbox: Sandbox, payload: bytes, payload_type: str, code: str
) -> None:
    answer = await inquire(sandbox, payload=payload, payload_type=payload_type)
    assert answer.places == [("R", "999/IK501"), ("R", "999/AK901")]
    assert (answer.values("AK1", "AK101"), answer.values("AK2", "AK201")) == (["HR"], ["276"])
    assert answer.values("IK5", "IK502") == [code]


async def test_no_byte_that_is_changed_or_cut_makes_an_error_500(sandbox: Sandbox) -> None:
    whole = write_request(INQUIRY)
    payloads = [whole[:at] for at in range(1, len(whole), 41)]
    payloads += [whole[:at] + b"*" + whole[at + 1 :] for at in range(0, len(whole), 29)]
    for payload in payloads:
        assert (await inquire(sandbox, payload=payload)).envelope.error_code in ("Success", "PayloadIllegal")


def test_every_claim_belongs_to_a_made_up_member_and_is_explained() -> None:
    assert all(record.member_id in RECORDS for record in CLAIMS.values())
    assert CLAIMS.keys() < MEANINGS.keys()
    assert all(account.startswith("OUTCLAIM") for account in CLAIMS)
